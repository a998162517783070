"""``evalstats demo``: three classifiers on real data, as a report for a paper."""

import sys
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from evalstats.errors import InputError
from evalstats.report.files import write_atomically
from evalstats.report.page import write_report
from evalstats.report.predictions import fertility, marriages, tumours
from evalstats.report.progress import progress_shown
from evalstats.report.run import exit_codes
from evalstats.report.section import Section
from evalstats.report.sections import SECTIONS
from evalstats.results.tables import format_text

TITLE = "Three classifiers, with honest uncertainty"
LEAD = (
    "Logistic regression, a random forest and gradient boosting, evaluated on predictions for rows "
    "that were left out in five-fold cross-validation. Every number carries its interval, every "
    "claim that one model is better is a paired test. All data ship with scikit-learn and "
    "statsmodels; the whole report is made by one command: evalstats demo."
)


def demo(
    out: Annotated[Path, typer.Option(help="Folder to write into.", metavar="DIR")] = Path(
        "evalstats-demo"
    ),
) -> None:
    """Evaluate three classifiers on real data and write a report with tables and figures."""
    with exit_codes():
        _require_report_extra()
        _draw_without_display()
        started = time.monotonic()
        sections = _make_sections()
        page = write_report(out, TITLE, LEAD, sections)
        data = _write_predictions(out)
        _announce(out, page, data, sections[0], time.monotonic() - started)


def _require_report_extra() -> None:
    missing = [name for name in ("jinja2", "matplotlib") if find_spec(name) is None]
    if missing:
        raise InputError(
            f"the demo needs {' and '.join(missing)}: pip install 'evalstats-metrics[report]'"
        )


def _draw_without_display() -> None:
    import matplotlib

    matplotlib.use("agg")


def _make_sections() -> list[Section]:
    sections = []
    with progress_shown("Evaluating") as bar:
        for done, make in enumerate(SECTIONS):
            if bar is not None:
                bar.describe(make.__name__.replace("_", " ").capitalize())
                bar.report(done, len(SECTIONS))
            sections.append(make())
    return sections


def _write_predictions(folder: Path) -> Path:
    """Out-of-fold predictions as files, to try the other commands on."""
    data = folder / "data"
    data.mkdir(exist_ok=True)
    for name, predictions in (
        ("tumours", tumours()),
        ("marriages", marriages()),
        ("fertility", fertility()),
    ):
        write_atomically(data / f"{name}.csv", predictions.frame.write_csv())
    return data


def _announce(folder: Path, page: Path, data: Path, headline: Section, seconds: float) -> None:
    console = Console(file=sys.stdout, highlight=False, soft_wrap=True)
    for table in headline.tables:
        text = format_text(table.frame, title=table.title, note=table.note, level=table.level)
        console.print(Text(text))
        console.print()
    written: Sequence[tuple[str, Path]] = (
        ("Report", page),
        ("Tables", folder / "tables"),
        ("Figures", folder / "figures"),
        ("Data", data),
    )
    for label, path in written:
        where = path.resolve()
        line = Text(f"{label:<8} ").append(str(where), style=f"link {where.as_uri()}")
        console.print(line)
    console.print(Text(f"Done in {seconds:.0f} s. Now try:"))
    example = (
        f'  evalstats auroc "{data / "tumours.csv"}" --y-true malignant '
        '--y-score "random forest" "gradient boosting" --compare'
    )
    console.print(Text(example))
