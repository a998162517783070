"""The folder of a study: report, tables, figures, estimates, methods, references, manifest."""

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from evalstats.errors import InputError
from evalstats.report.files import write_atomically
from evalstats.report.naming import unique_names
from evalstats.report.page import SCREEN_FORMS, write_exports, write_report
from evalstats.study.manifest import as_json, for_readers, make_manifest, make_timings, with_files
from evalstats.study.sections import make_sections
from evalstats.study.specification import Output
from evalstats.study.stored import estimate_bytes

if TYPE_CHECKING:
    from evalstats.study.result import StudyResult

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


def write_study(result: "StudyResult", folder: Path) -> Path:
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
    try:
        (folder / "estimates").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot create {str(folder)!r}: {error.strerror}") from error
    sections = make_sections(result)
    manifest = make_manifest(result)
    output = specification.output
    forms = (*(SCREEN_FORMS if output.report else ()), *output.figures)
    sections = [section.drawn(forms) for section in sections]
    files = write_exports(folder, sections, output.tables, output.figures)
    page = folder
    if output.report:
        page = write_report(
            folder,
            specification.title,
            _lead(result),
            sections,
            manifest=for_readers(manifest),
            table_formats=output.tables,
            figure_formats=output.figures,
        )
        files.append(page)
    names = unique_names(name.lower() for name in result.estimates)
    for name, estimate in zip(names, result.estimates.values(), strict=True):
        path = folder / "estimates" / f"{name}.npz"
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


def _lead(result: "StudyResult") -> str:
    n = len(result.finished)
    source = (result.record.get("study") or {}).get("file")
    text = f"{n} metric{'s' if n != 1 else ''} with confidence intervals and paired comparisons."
    return f"{text} Made by: evalstats run {source}" if source else text


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
