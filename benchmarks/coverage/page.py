"""The page of the laboratory: what the recorded rows say, in tables."""

import platform
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

import evalstats as es

GENERATED = Path(__file__).resolve().parents[2] / "docs" / "generated"
TABLE = GENERATED / "coverage.parquet"
PAGE = GENERATED / "coverage.md"
TITLES = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "mistakes": "Losses by kinds of mistakes",
    "balance": "Balance score",
    "calibration-error": "Calibration error",
    "brier": "Brier score",
    "log-loss": "Log loss",
    "slope": "Calibration slope",
    "corp": "CORP decomposition",
    "win-rate": "Win rate",
    "bradley-terry": "Bradley-Terry ratings",
    "controlled-win-rate": "Length-controlled win rate",
    "wildbench": "WildBench scores",
    "distance-covariance": "Distance covariance",
    "aupimo": "AUPIMO",
    "aupro": "AUPRO",
    "amd": "AMD",
    "amv": "AMV",
    "trajectory-scores": "Trajectory scores",
    "discontinuity": "Discontinuity designs",
    "macro-ap": "Average precision, fixed budgets",
    "pooled-ap": "Average precision, pooled",
}
LOW = 0.93


def page(rows: pl.DataFrame, missing: Sequence[str] = ()) -> str:
    """Markdown of all recorded rows, and the names of designs that have none."""
    parts = ["# Coverage of intervals, and levels of tests", "", introduction(rows)]
    shown = rows.filter(~pl.col("control"))
    parts += ["", "## Defaults that cover less than 93%", "", low_defaults(shown)]
    for family, group in rows.group_by("family", maintain_order=True):
        parts += ["", f"## {TITLES.get(str(family[0]), str(family[0]))}"]
        parts += ["", *designs(group)]
        covered = group.filter(pl.col("coverage").is_not_null())
        if len(covered):
            parts += ["", *table(INTERVAL_HEAD, map(interval_cells, covered.iter_rows(named=True)))]
        tested = group.filter(pl.col("rejected").is_not_null())
        if len(tested):
            parts += ["", *table(TEST_HEAD, map(test_cells, tested.iter_rows(named=True)))]
    if missing:
        names = ", ".join(f"`{name}`" for name in missing)
        parts += [
            "",
            "## Not recorded",
            "",
            f"Designs of the list that this run left out: {names}.",
        ]
    return "\n".join([*parts, "", footer(rows), ""])


def introduction(rows: pl.DataFrame) -> str:
    """What was done and how to read the tables."""
    n_designs = rows["design"].n_unique()
    n_tests = int(rows["rejected"].is_not_null().sum())
    n_intervals = int(rows["coverage"].is_not_null().sum())
    counts = rows["replicates"].to_list()
    least, most = min(counts), max(counts)
    return f"""{n_designs} designs, {n_intervals} intervals or bands and {n_tests} tests, {least} to
{most} simulated samples each, as the tables say. *Coverage* is the share of 95% intervals that hold
the population value, in percent, with its Monte Carlo standard error; *low* and *high* are the
shares of intervals that lie wholly below and above it. *SE ratio* is the mean estimated standard
error over the standard deviation (*SD*) of the estimates. *Warned* is the share of samples with an
`EvalstatsWarning` and *refused* the share that `fit` refused; both in percent. Coverage is that
among samples that were not refused; an interval that is undefined counts as one that misses. Tests
are at 5%: *size* where the hypothesis holds, else *power*. Rows in *italics* are not
recommended and shown for contrast, such as clusters that were ignored. **Bold** rows are what a
user gets by default, with fewer replicates of the bootstrap where the label says so. One row of
`docs/generated/coverage.parquet` has all figures of one line of these tables."""


def low_defaults(rows: pl.DataFrame) -> str:
    """Defaults whose coverage is low beyond Monte Carlo error, and whether a warning says so."""
    low = rows.filter(
        pl.col("default"), pl.col("coverage") + 2 * pl.col("coverage_error") < LOW
    ).sort("coverage")
    if low.is_empty():
        return "None, beyond two Monte Carlo standard errors."
    head = ("Design", "Target", "Coverage", "Warned", "Codes")
    cells = (
        (
            f"{row['metric']}: {row['about']}",
            row["target"],
            percent(row["coverage"], row["coverage_error"]),
            share(row["warned"]),
            row["codes"] or "none",
        )
        for row in low.iter_rows(named=True)
    )
    return "\n".join(["Beyond two Monte Carlo standard errors:", "", *table(head, cells)])


def designs(group: pl.DataFrame) -> list[str]:
    """One line per design of a family."""
    lines = []
    for row in group.unique("design", keep="first", maintain_order=True).iter_rows(named=True):
        hard = [
            f"{name} {row[name]}" if name == "clusters" else row[name]
            for name in ("clusters", "imbalance", "ties")
            if row[name]
        ]
        extra = f" ({'; '.join(hard)})" if hard else ""
        lines.append(
            f"- `{short(row)}`: {row['about']}{extra}. {row['replicates']:,} samples; truth from "
            f"{row['truth_source']}."
        )
    return lines


def short(row: dict[str, object]) -> str:
    """Name of a design within its family."""
    return str(row["design"]).split("/", 1)[1]


INTERVAL_HEAD = (
    "Design",
    "Interval",
    "Target",
    "Truth",
    "Coverage",
    "Low / high",
    "Width",
    "Bias",
    "SD",
    "SE ratio",
    "Warned",
    "Refused",
)


def interval_cells(row: dict[str, object]) -> Sequence[str]:
    """One row of the table of intervals."""
    replicates = float(str(row["replicates"]))
    low, high = row["below"], row["above"]
    return (
        f"`{short(row)}`",
        emphasis(row),
        str(row["target"]),
        number(row["truth"]),
        percent(row["coverage"], row["coverage_error"]),
        "" if low is None else f"{share(low)} / {share(high)}",
        number(row["mean_width"]),
        number(row["bias"], sign=True),
        number(row["sd"]),
        "" if row["se_ratio"] is None else f"{row['se_ratio']:.2f}",
        share(row["warned"]),
        share(float(str(row["refused"])) / replicates),
    )


TEST_HEAD = ("Design", "Procedure", "Test of", "Size", "Power")


def test_cells(row: dict[str, object]) -> Sequence[str]:
    """One row of the table of tests."""
    found = percent(row["rejected"], row["rejected_error"])
    size, power = (found, "") if row["null"] else ("", found)
    return (f"`{short(row)}`", emphasis(row), str(row["target"]), size, power)


def emphasis(row: dict[str, object]) -> str:
    """Label of the procedure; defaults are bold, negative controls italic."""
    mark = "*" if row["control"] else "**" if row["default"] else ""
    return f"{mark}{row['procedure']}{mark}"


def percent(value: object, error: object) -> str:
    """Share with its Monte Carlo error."""
    return f"{100 * float(str(value)):.1f} ± {100 * float(str(error)):.1f}"


def share(value: object) -> str:
    """Share in percent; nothing for none."""
    return "" if not value else f"{100 * float(str(value)):.3g}"


def number(value: object, *, sign: bool = False) -> str:
    """Number with four digits; nothing where there is none."""
    if value is None or not np.isfinite(float(str(value))):
        return ""
    return f"{float(str(value)):{'+' if sign else ''}.4g}"


def table(head: Sequence[str], cells: Iterable[Sequence[str]]) -> list[str]:
    """Markdown table whose columns after the third are numbers."""
    rule = ["---" if place < 3 else "---:" for place in range(len(head))]
    rows = [f"| {' | '.join(row)} |" for row in cells]
    return [f"| {' | '.join(head)} |", f"| {' | '.join(rule)} |", *rows]


def footer(rows: pl.DataFrame) -> str:
    """Seed, date and versions."""
    return (
        f"Seed {rows['seed'][0]}; {datetime.now(tz=UTC):%Y-%m-%d}; evalstats {es.__version__}, "
        f"numpy {np.__version__}, polars {pl.__version__}, Python {platform.python_version()}; "
        "made by `make coverage`."
    )
