"""The verbs ``evalstats run`` and ``evalstats init``."""

import shlex
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import polars as pl
import typer

from evalstats.report.run import exit_codes
from evalstats.results.layout import format_term
from evalstats.study.grid import aligned
from evalstats.study.starter import write_starter
from evalstats.study.study import Study


def run(
    study: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="Study file.")],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder to write into; NAME-results by default."),
    ] = None,
    workers: Annotated[int, typer.Option(metavar="N", min=1, help="Number of processes.")] = 1,
    resume: Annotated[
        bool,
        typer.Option("--resume/--no-resume", help="Use what an earlier run finished."),
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, print the plan, run nothing.")
    ] = False,
) -> None:
    """Run a study file: estimates, comparisons, tables, figures and report."""
    with exit_codes():
        folder = Path(f"{study.stem}-results") if out is None else out
        read = Study(study)
        if dry_run:
            sys.stdout.write(_as_text(read.plan(folder)))
            return
        if find_spec("matplotlib") is not None:
            import matplotlib

            matplotlib.use("agg")
        command = shlex.join(["evalstats", *sys.argv[1:]])
        result = read.run(folder, workers=workers, resume=resume, command=command)
        for message in result.record["damaged"]:
            sys.stderr.write(f"warning: {message}\n")
        cached = sum(item.cached for item in result.finished)
        page = folder / "report.html"
        shown = page if read.specification.output.report else folder
        sys.stdout.write(f"{result}\n\n")
        sys.stdout.write(
            f"{len(result.finished)} metrics, {cached} of them finished by an earlier run\n"
            f"Report   {shown.resolve()}\n"
        )


def init(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Data to look at, or the study file to write."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="STUDY.toml", help="Study file to write.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the study file.")] = False,
) -> None:
    """Write a commented study file to start from."""
    with exit_codes():
        data = file
        if file is not None and file.suffix.lower() == ".toml":
            data, out = None, file if out is None else out
        target = Path("study.toml") if out is None else out
        write_starter(target, data, force=force)
        sys.stdout.write(
            f"Wrote {target}. Now try:\n  evalstats run {shlex.quote(str(target))} --dry-run\n"
        )


def _as_text(plan: pl.DataFrame) -> str:
    lines = [plan.columns]
    for row in plan.rows():
        cells = [
            f"{value:,}" if name == "rows" and value is not None else format_term(value)
            for name, value in zip(plan.columns, row, strict=True)
        ]
        lines.append(cells)
    return "\n".join(aligned(lines)) + "\n"
