"""Command line of the coverage laboratory.

Usage: python -m benchmarks.coverage [--list] [--only PATTERN] [--replicates N] [--workers N]
[--work DIRECTORY] [--fresh] [--collect]

The complete run writes docs/generated/coverage.parquet and docs/generated/coverage.md. With
``--only`` or ``--replicates`` nothing is written but the parts in the work directory, and the
rows are printed. ``--collect`` writes what has been finished so far and runs nothing.
"""

import argparse
import fnmatch
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from benchmarks.coverage.design import Design
from benchmarks.coverage.designs import DESIGNS
from benchmarks.coverage.laboratory import collected, run
from benchmarks.coverage.page import PAGE, TABLE, page

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".coverage-parts"
SHOWN = ("design", "procedure", "target", "truth", "coverage", "se_ratio", "rejected", "warned")


def chosen(pattern: str | None) -> list[Design]:
    """Designs whose name matches, as a glob or as a part of it."""
    if pattern is None:
        return list(DESIGNS)
    return [
        design
        for design in DESIGNS
        if fnmatch.fnmatch(design.name, pattern) or pattern in design.name
    ]


def record(rows: pl.DataFrame, missing: list[str]) -> None:
    """Write the table and the page; designs without a result are named there."""
    rows.write_parquet(TABLE)
    PAGE.write_text(page(rows, missing), encoding="utf-8")
    print(f"Wrote {TABLE} and {PAGE}, {len(missing)} designs missing")


def parser() -> argparse.ArgumentParser:
    """Options of the command."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.coverage")
    options.add_argument("--list", action="store_true", help="name the designs and stop")
    options.add_argument("--only", metavar="PATTERN", help="run matching designs, write no page")
    options.add_argument("--replicates", type=int, metavar="N", help="samples of each design")
    options.add_argument("--workers", type=int, default=1, metavar="N", help="processes")
    options.add_argument("--work", type=Path, default=WORK, help="directory of finished parts")
    options.add_argument("--collect", action="store_true", help="write the finished designs only")
    options.add_argument("--fresh", action="store_true", help="forget finished parts first")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; returns the exit code."""
    options = parser().parse_args(arguments)
    designs = chosen(options.only)
    if not designs:
        sys.stderr.write(f"no design matches {options.only!r}\n")
        return 2
    if options.list:
        for design in designs:
            print(f"{design.name:45s} {design.replicates:5d}  {design.metric}: {design.about}")
        return 0
    if options.fresh and options.work.is_dir():
        shutil.rmtree(options.work)
    if options.collect:
        record(*collected(designs, options.work))
        return 0
    rows = run(designs, options.work, replicates=options.replicates, workers=options.workers)
    if options.only is None and options.replicates is None:
        record(rows, [])
    else:
        with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_width_chars=200, fmt_str_lengths=50):
            print(rows.select(SHOWN))
    return 0


if __name__ == "__main__":
    sys.exit(main())
