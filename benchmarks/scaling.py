"""Time and memory at scale; writes docs/generated/scaling.md.

Usage: python -m benchmarks.scaling [ROWS]; with a number of rows the page is printed, not written.
"""

import datetime
import platform
import sys
from pathlib import Path

import joblib
import numpy as np
import polars as pl

import evalstats as es
from benchmarks.processes import measured
from benchmarks.scaling_costs import registered
from benchmarks.scaling_streams import ESTIMATORS, files_of
from evalstats.estimator import REGISTRY

PAGE = Path(__file__).resolve().parents[1] / "docs" / "generated" / "scaling.md"
ROWS = 100_000_000
MEMORY_GIB = 4.0
CELLS = (100_000, 1_000_000)


def stream_table(rows: int) -> list[str]:
    """One pass over a large table, next to what only reads it."""
    threads = int(joblib.cpu_count())
    lines = [
        f"## {rows:,} rows, two models",
        "",
        "Parquet, uncompressed, int8 labels, float32 probabilities, 9 bytes per row, files of 10^7 "
        "rows. Every line is a process of its own; time is that of the pass, without imports and "
        "the loading of kernels; memory is the peak of the whole process. The machine "
        "was shared with other work: where it had to wait, seconds exceed processor seconds.",
        "",
        "| Pass | threads | seconds | processor seconds | 10^6 rows / s | peak memory, MiB |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    with files_of(rows) as pattern:
        for name, text in (
            ("scan", "polars adds up the columns"),
            ("batches", "polars hands over batches"),
        ):
            found = measured("scaling_streams", name, pattern)
            seconds = found["seconds"]
            lines.append(
                f"| {text} | | {seconds:.1f} | {found['processor']:.1f} | "
                f"{rows / seconds / 1e6:.0f} | {found['mib']:.0f} |"
            )
        everything = list(ESTIMATORS)
        plans = [(everything, threads), (everything, 1), *(([name], 1) for name in everything)]
        for names, used in plans:
            found = measured("scaling_streams", "streamed", pattern, names, used)
            if found["n"] != rows:
                raise AssertionError(f"{found['n']} of {rows} rows were seen")
            if found["mib"] > 1024 * MEMORY_GIB:
                raise AssertionError(f"peak memory {found['mib']:.0f} MiB")
            seconds = found["fit_seconds"]
            lines.append(
                f"| {' + '.join(names)} | {used} | {seconds:.1f} | "
                f"{found['processor_seconds']:.1f} | {rows / seconds / 1e6:.1f} | "
                f"{found['mib']:.0f} |"
            )
    return [*lines, ""]


def trajectory_table() -> list[str]:
    """Peak memory of trajectory scores that come in parts."""
    lines = [
        "## Trajectory forecasts in parts",
        "",
        "AMD, AMV, minADE and CRPS of two models, 20 samples, 10 steps; parts of 10,000 cells.",
        "",
        "| State | labels | cells | seconds | peak memory, MiB | bytes of the state |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for state, labels, sizes in (
        ("sums", "", CELLS),
        ("sums", "cluster", CELLS),
        ("sums", "scene", CELLS),
        ("agents", "", CELLS),
    ):
        for cells in sizes:
            found = measured("scaling_trajectory", "trajectory", cells, state, labels)
            lines.append(
                f"| `{state}` | {labels} | {cells:,} | {found['seconds']:.0f} | "
                f"{found['mib']:.0f} | {found['bytes']:,.0f} |"
            )
    return [*lines, ""]


def cost_table() -> list[str]:
    """Seconds per million units of every estimator."""
    lines = [
        "## Cost of each estimator",
        "",
        "Processor seconds per 10^6 units (rows, images, agents, judgements) of the examples of "
        "the test suite, two models, without resampling: `fit` on arrays, and `partial` where "
        "there is a state; extrapolated from the number of units of the third column. The state "
        "is the bounded one where there are several kinds. One run each.",
        "",
        "| Estimator | unit | units timed | fit, s | partial, s | bytes of the state |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for name in registered():
        found = measured("scaling_costs", "cost", name)
        per_million = 1e6 / found["units"]
        partial = f"{found['partial'] * per_million:.2g}" if "partial" in found else ""
        size = f"{found['bytes']:,.0f}" if "bytes" in found else ""
        lines.append(
            f"| {name} | {REGISTRY[name].unit} | {found['units']:,.0f} | "
            f"{found['fit'] * per_million:.2g} | {partial} | {size} |"
        )
    return [*lines, ""]


def page_of(*tables: list[str]) -> str:
    """The whole page."""
    lines = [
        "# Measurements at scale",
        "",
        *(line for table in tables for line in table),
        f"{datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}; {joblib.cpu_count()} processors; "
        f"evalstats {es.__version__}, numpy {np.__version__}, polars {pl.__version__}, Python "
        f"{platform.python_version()}; made by `python -m benchmarks.scaling`.",
        "",
    ]
    return "\n".join(lines)


def main(rows: int = ROWS, page: Path | None = PAGE) -> None:
    """Measure everything and write the page, or print it."""
    text = page_of(stream_table(rows), trajectory_table(), cost_table())
    if page is None:
        sys.stdout.write(text)
    else:
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(int(float(sys.argv[1])), None)
    else:
        main()
