"""The folder of a study: report, tables, figures, estimates, methods, references, manifest."""

import io
import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from evalstats.errors import InputError
from evalstats.report.files import write_atomically
from evalstats.report.page import PAPER_DPI, write_report
from evalstats.report.section import Section, Table
from evalstats.results.tables import format_markdown
from evalstats.study.manifest import as_json, make_manifest, make_timings, with_files
from evalstats.study.names import slugs
from evalstats.study.result import StudyResult
from evalstats.study.sections import make_sections
from evalstats.study.specification import Output
from evalstats.study.stored import estimate_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

FOLDERS = ("tables", "figures", "estimates")


def require_extras(output: Output) -> None:
    """Refuse before any work what could not be written after it.

    Raises
    ------
    InputError
        If matplotlib or jinja2 is needed and missing.
    """
    needed = ["matplotlib"] if output.report or output.figures else []
    needed += ["jinja2"] if output.report else []
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise InputError(
            f"the report needs {' and '.join(missing)}: pip install 'evalstats-metrics[report]', "
            "or write report = false and figures = [] below [output]"
        )


def write_study(result: StudyResult, folder: Path) -> Path:
    """Write everything that a study asks for, and remove what an earlier run left behind.

    Parameters
    ----------
    result : StudyResult
        What was found.
    folder : Path
        Where; it is created when missing.

    Returns
    -------
    Path
        The page, or the folder if the study wants none.

    Raises
    ------
    InputError
        If the folder cannot be written to.
    """
    specification = result.specification
    require_extras(specification.output)
    earlier = _listed_files(folder)
    for name in FOLDERS:
        try:
            (folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot create {str(folder / name)!r}: {error.strerror}") from error
    sections = make_sections(result)
    manifest = make_manifest(result)
    files = _write_exports(folder, sections, specification.output)
    page = folder
    if specification.output.report:
        # Until the page takes `manifest` and `formats`, tables and figures are written here and
        # replaced by equal ones: write_report(..., manifest=manifest, formats=...) then does both.
        page = write_report(folder, specification.title, _lead(result), sections)
        files.append(page)
    estimates = slugs(result.estimates)
    for name, estimate in result.estimates.items():
        path = folder / "estimates" / f"{estimates[name]}.npz"
        write_atomically(path, estimate_bytes(estimate))
        files.append(path)
    for name, text in (("methods.txt", result.methods()), ("references.bib", result.bibtex())):
        write_atomically(folder / name, text + "\n")
        files.append(folder / name)
    for name, frame in (
        ("estimates.csv", result.to_frame()),
        ("comparisons.csv", result.comparisons()),
    ):
        write_atomically(folder / name, frame.write_csv())
        files.append(folder / name)
    written = {path.relative_to(folder).as_posix() for path in files}
    for name in earlier - written:
        (folder / name).unlink(missing_ok=True)
    write_atomically(folder / "timings.json", as_json(make_timings(result)))
    write_atomically(folder / "manifest.json", as_json(with_files(manifest, folder, files)))
    return page


def _lead(result: StudyResult) -> str:
    n = len(result.finished)
    source = (result.record.get("study") or {}).get("file")
    text = f"{n} metric{'s' if n != 1 else ''} with confidence intervals and paired comparisons."
    return f"{text} Made by: evalstats run {source}" if source else text


def _write_exports(folder: Path, sections: Sequence[Section], output: Output) -> list[Path]:
    """Tables and figures in the formats of the study."""
    written = []
    for section in sections:
        for table in section.tables:
            for form in output.tables:
                path = folder / "tables" / f"{table.name}.{form}"
                write_atomically(path, _table_content(table, form))
                written.append(path)
        for figure in section.figures:
            for form in output.figures:
                path = folder / "figures" / f"{figure.name}.{form}"
                write_atomically(path, _figure_content(figure.drawing, form))
                written.append(path)
    return written


def _table_content(table: Table, form: str) -> str | bytes:
    if form == "tex":
        return table.to_latex() + "\n"
    if form == "csv":
        return table.frame.write_csv()
    if form == "parquet":
        buffer = io.BytesIO()
        table.frame.write_parquet(buffer)
        return buffer.getvalue()
    own = getattr(table, "to_markdown", None)
    text = (
        format_markdown(table.frame, note=table.note, level=table.level) if own is None else own()
    )
    return f"{text}\n"


def _figure_content(drawing: "Drawing", form: str) -> bytes:
    buffer = io.BytesIO()
    drawing.savefig(buffer, format=form, dpi=PAPER_DPI)
    return buffer.getvalue()


def _listed_files(folder: Path) -> set[str]:
    """Files of an earlier run below the folders that a study owns."""
    try:
        names = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {
        name
        for name in names
        if len(parts := Path(name).parts) == 2 and parts[0] in FOLDERS and ".." not in parts
    }
