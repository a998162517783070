"""A commented study file to start from, filled in from the columns of a data file."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from evalstats.errors import InputError
from evalstats.report.files import scan_table, write_atomically

DEMO = "evalstats-demo/data/tumours.csv"
LOOKED_AT = 100_000
LABELS = ("label", "y_true", "y", "target", "truth", "true", "class", "outcome")
MOST_GROUPS = 20
FEWEST_ROWS_IN_CLUSTERS = 1.5


@dataclass
class Found:
    """What the columns of a file seem to be."""

    label: str | None = None
    scores: list[str] = field(default_factory=list)
    are_probabilities: bool = True
    groups: list[str] = field(default_factory=list)
    clusters: list[str] = field(default_factory=list)
    weight: str | None = None


def write_starter(target: Path, data: Path | None, *, force: bool) -> None:
    """Write a study file.

    Parameters
    ----------
    target : Path
        Where to write.
    data : Path or None
        Data to look at; the data of the demo by default.
    force : bool
        Whether to replace an existing file.

    Raises
    ------
    InputError
        If the file exists, or the data cannot be read.
    """
    if target.exists() and not force:
        raise InputError(f"{str(target)!r} exists: pass --force to replace it, or --out FILE")
    if data is None:
        text = starter_text(DEMO, _demo(), demo=True)
    else:
        shown = data.resolve()
        try:
            # Paths in a study file begin at its folder.
            relative = shown.relative_to(target.resolve().parent).as_posix()
        except ValueError:
            relative = str(shown)
        text = _for_data(relative, data)
    write_atomically(target, text)


def _for_data(shown: str, path: Path) -> str:
    frame = scan_table(path)
    names = set(frame.collect_schema().names())
    for needed, text in _SPECIAL:
        if needed <= names:
            return f"{_head(shown)}\n{text}{_TAIL}"
    return starter_text(shown, _inspected(frame.head(LOOKED_AT).collect()), demo=False)


def _demo() -> Found:
    models = ["logistic regression", "random forest", "gradient boosting"]
    return Found("malignant", models)


def _inspected(frame: pl.DataFrame) -> Found:
    """Guess the roles of columns from their names, types and values."""
    found = Found()
    two_valued = [
        name
        for name, dtype in frame.schema.items()
        if (dtype == pl.Boolean or dtype.is_integer() or dtype == pl.String)
        and frame[name].drop_nulls().n_unique() == 2
    ]
    named = [name for name in LABELS for own in frame.columns if own.lower() == name]
    candidates = [own for own in frame.columns if own.lower() in named and own in two_valued]
    numeric = [name for name in two_valued if frame[name].dtype != pl.String]
    found.label = next(iter([*candidates, *numeric, *two_valued]), None)
    for name, dtype in frame.schema.items():
        if name == found.label:
            continue
        if "weight" in name.lower() and dtype.is_numeric():
            found.weight = name
        elif dtype.is_float():
            found.scores.append(name)
        elif not dtype.is_nested():
            n = frame[name].n_unique()
            if dtype in (pl.String, pl.Boolean, pl.Categorical) and 2 <= n <= MOST_GROUPS:
                found.groups.append(name)
            elif n > MOST_GROUPS and frame.height / n >= FEWEST_ROWS_IN_CLUSTERS:
                found.clusters.append(name)
    values = frame.select(found.scores)
    extremes = [value for column in values for value in (column.min(), column.max())]
    found.are_probabilities = all(v is not None and 0 <= float(v) <= 1 for v in extremes)  # type: ignore[arg-type]
    return found


def starter_text(shown: str, found: Found, *, demo: bool) -> str:
    """The study file.

    Parameters
    ----------
    shown : str
        Path of the data, as the file writes it.
    found : Found
        Roles of the columns.
    demo : bool
        Whether the data are those of the demo.
    """
    label = found.label or "label"
    scores = found.scores or ["score"]
    lines = [_head(shown, demo=demo)]
    lines.append("# Columns that all metrics share. A metric may name others of its own.")
    lines.append("[defaults]")
    if found.label is None:
        lines.append("# No column with two values was found: name the one with the labels.")
    lines.append(f"y_true = {_quoted(label)}")
    if not found.scores:
        lines.append("# No column of numbers was found: name those with the scores.")
    lines.append(f"y_score = {_list(scores)}  # one column per model")
    if found.are_probabilities:
        lines.append(f"y_prob = {_list(scores)}")
    cluster = found.clusters[0] if found.clusters else "patient"
    lines.append(f"# cluster = {_quoted(cluster)}  # rows of one cluster are sampled together")
    if found.weight is not None:
        lines.append(f"# sample_weight = {_quoted(found.weight)}")
    metrics = ["AUROC", "AUPRC"] + (
        ["BrierScore", "CalibrationError"] if found.are_probabilities else []
    )
    for metric in metrics:
        lines.append(f"\n[[metric]]\nestimator = {_quoted(metric)}")
        if metric == "CalibrationError":
            lines.append("options = { debias = true }")
    if found.groups:
        lines.append(f'\n[[metric]]\nestimator = "AUROC"\nby = {_quoted(found.groups[0])}')
        lines.append("compare = false")
    else:
        lines.append('\n# [[metric]]\n# estimator = "AUROC"\n# by = "site"  # once in each group')
    return "\n".join(lines) + "\n" + _TAIL


def _head(shown: str, *, demo: bool = False) -> str:
    origin = "# Written by the command: evalstats demo\n" if demo else ""
    return f"""\
# A study: data, metrics, comparisons. Check it with `evalstats run THIS --dry-run`, run it with
# `evalstats run THIS`. Finished metrics are kept, so a second run computes what changed.
title = "My study"
seed = 1
level = 0.95

[data.test]
{origin}path = {_quoted(shown)}  # parquet, csv, tsv, ndjson, arrow; or a pattern: "runs/*.csv"
# filter = "split = 'test'"  # keeps the rows that fulfil this SQL expression
"""


_TAIL = """
# How models are compared in every metric: paired, on the same rows.
[compare]
adjust = "holm"  # or "bonferroni", "bh", "by", "max-t", "none"
# reference = "baseline"  # compare with this model instead of all pairs
# margin = 0.01  # equivalence instead of difference

# Metrics whose comparisons answer one question together are adjusted together.
# [[family]]
# name = "primary"
# metrics = "all"
# adjust = "holm"

[output]
tables = ["tex", "csv"]  # also "md", "parquet"
figures = ["png", "pdf"]  # also "svg"
report = true
"""

_SPECIAL: Sequence[tuple[set[str], str]] = (
    (
        {"model_a", "model_b"},
        """[[metric]]
estimator = "BradleyTerry"
model_a = "model_a"
model_b = "model_b"
outcome = "outcome"
""",
    ),
    (
        {"preference", "model", "item"},
        """[[metric]]
estimator = "WinRate"
preference = "preference"
model = "model"
item = "item"

[[metric]]
estimator = "LengthControlledWinRate"
preference = "preference"
model = "model"
item = "item"
length_model = "length_model"
length_baseline = "length_baseline"
""",
    ),
    (
        {"trajectory"},
        """[[metric]]
estimator = "TrajectoryScores"
trajectory = "trajectory"
samples = "samples"
""",
    ),
)


def _quoted(text: str) -> str:
    # A TOML text has the escapes of JSON, and forbids one character more.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _list(names: Sequence[str]) -> str:
    return f"[{', '.join(map(_quoted, names))}]"
