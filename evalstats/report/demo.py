"""``evalstats demo``: every method on real or generated data, as a report for a paper."""

import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from evalstats.errors import EvalstatsWarning, InputError
from evalstats.report.files import write_atomically
from evalstats.report.page import write_report
from evalstats.report.predictions import FOLDS, SEED, fertility, marriages, tumours
from evalstats.report.progress import progress_shown
from evalstats.report.run import exit_codes
from evalstats.report.section import Section
from evalstats.report.sections import SECTIONS
from evalstats.report.sections.overview import headline
from evalstats.results.tables import format_text

TITLE = "Nine evaluation methods, with honest uncertainty"
LEAD = (
    "Classifiers, probabilities, language models, anomaly maps, detectors, trajectory forecasts, "
    "thresholds and tariffs: one report for all. Every number carries its interval, and every "
    "claim that one model is better is a paired test. Classifiers are judged on rows that were "
    "left out in five-fold cross-validation. Real data ship with scikit-learn and statsmodels; "
    "where none fits the question, the data are generated, and the section says so. One command "
    "makes the whole report: evalstats demo."
)
DATA = {"tumours": tumours, "marriages": marriages, "fertility": fertility}
# What compiles longest goes to a second process, so that two processors share the first run.
BACKGROUND = ("crowd_forecasts", "defects_at_few_false_alarms", "breaks_in_climate_records")
FORMS = ("svg", "png", "pdf")


def demo(
    out: Annotated[Path, typer.Option(help="Folder to write into.", metavar="DIR")] = Path(
        "evalstats-demo"
    ),
) -> None:
    """Evaluate every method on real or generated data and write a report."""
    with exit_codes():
        _require_report_extra()
        _draw_without_display()
        started = time.monotonic()
        sections = _make_sections()
        data = {name: read().frame.write_csv() for name, read in DATA.items()}
        page = write_report(out, TITLE, LEAD, sections, manifest=_manifest(data))
        folder = _write_predictions(out, data)
        _announce(out, page, folder, sections[0], time.monotonic() - started)


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
    """All sections in their order, drawn, after the headline that is made from them."""
    made: dict[str, Section] = {}
    with progress_shown("Evaluating") as bar, _made_elsewhere() as elsewhere:
        for make in sorted(SECTIONS, key=lambda make: make.__name__ in elsewhere):
            name = make.__name__
            if bar is not None:
                bar.describe(name.replace("_", " ").capitalize())
                bar.report(len(made), len(SECTIONS))
            made[name] = _finished(elsewhere.get(name), make)
    sections = [made[make.__name__] for make in SECTIONS]
    return [headline(sections).drawn(FORMS), *sections] if sections else []


def _finished(waiting: "Future[Section] | None", make: Callable[[], Section]) -> Section:
    if waiting is not None:
        try:
            return waiting.result()
        except BrokenProcessPool:
            # The system ended the second process, for want of memory perhaps: this one can do it.
            pass
    return make_section(make)


@contextmanager
def _made_elsewhere() -> Iterator[Mapping[str, "Future[Section]"]]:
    """Sections that a second process makes meanwhile, where there is a processor for it."""
    chosen = [make for make in SECTIONS if make.__name__ in BACKGROUND]
    if not chosen or (os.cpu_count() or 1) < 2:
        yield {}
        return
    # A fresh process: a copy of this one would hold the locks of threads that it does not have.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield {make.__name__: pool.submit(make_section, make) for make in chosen}


def make_section(make: Callable[[], Section]) -> Section:
    """Make and draw a section; what it warns about becomes its diagnostics.

    Parameters
    ----------
    make : callable
        One of the functions in ``SECTIONS``.

    Returns
    -------
    Section
        With drawn figures, so that it can come from another process.
    """
    _draw_without_display()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", EvalstatsWarning)
        section = make().drawn(FORMS)
    messages = dict.fromkeys(
        str(seen.message) for seen in caught if isinstance(seen.message, EvalstatsWarning)
    )
    return replace(section, warnings=tuple(messages))


def _manifest(data: dict[str, str]) -> dict[str, object]:
    """What the numbers rest on; no times, so that two runs write the same bytes."""
    hashes = {f"{name}.csv": sha256(text.encode()).hexdigest() for name, text in data.items()}
    return {
        "command": "evalstats demo",
        "data": {
            "predictions (SHA-256)": hashes,
            "generated": "fixed seeds, in the module of each section",
        },
        "seeds": {"cross-validation and classifiers": SEED, "folds": FOLDS},
    }


def _write_predictions(folder: Path, data: dict[str, str]) -> Path:
    """Out-of-fold predictions as files, to try the other commands on."""
    target = folder / "data"
    target.mkdir(exist_ok=True)
    for name, text in data.items():
        write_atomically(target / f"{name}.csv", text)
    return target


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
