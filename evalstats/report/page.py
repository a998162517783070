"""One self-contained HTML page and its tables and figures as files."""

import base64
import io
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from evalstats.errors import InputError
from evalstats.report.files import write_atomically
from evalstats.report.section import Section
from evalstats.results.citations import citations

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

SCREEN_DPI = 200
PAPER_DPI = 300
MANIFEST = ("evalstats-metrics", "numpy", "scipy", "polars", "numba", "scikit-learn", "statsmodels")


def write_report(folder: Path, title: str, lead: str, sections: Sequence[Section]) -> Path:
    """Write ``report.html``, ``references.bib``, ``tables/*`` and ``figures/*`` into `folder`.

    Parameters
    ----------
    folder : Path
        Created when missing; files of the same names are replaced.
    title, lead : str
        Heading and first paragraph, as plain text.
    sections : sequence of Section
        What to show, in this order.

    Returns
    -------
    Path
        The HTML page.

    Raises
    ------
    InputError
        If the folder cannot be written to, or jinja2 is not installed.
    """
    page = render_page(title, lead, sections)
    tables, figures = folder / "tables", folder / "figures"
    try:
        for directory in (tables, figures):
            directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot create {str(folder)!r}: {error.strerror}") from error
    for section in sections:
        for table in section.tables:
            write_atomically(tables / f"{table.name}.tex", table.to_latex() + "\n")
            write_atomically(tables / f"{table.name}.csv", table.frame.write_csv())
        for figure in section.figures:
            for form in ("png", "pdf"):
                drawn = _drawn(figure.drawing, form, PAPER_DPI)
                write_atomically(figures / f"{figure.name}.{form}", drawn)
    write_atomically(folder / "references.bib", _bibtex(sections) + "\n")
    write_atomically(folder / "report.html", page)
    return folder / "report.html"


def render_page(title: str, lead: str, sections: Sequence[Section]) -> str:
    """HTML page that loads nothing from elsewhere: style and figures are inside.

    Parameters
    ----------
    title, lead : str
        Heading and first paragraph, as plain text.
    sections : sequence of Section
        What to show, in this order.

    Returns
    -------
    str
        The page. All names in it are literal text.
    """
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ModuleNotFoundError as error:
        raise InputError(
            "the report needs jinja2: pip install 'evalstats-metrics[report]'"
        ) from error
    environment = Environment(
        loader=PackageLoader("evalstats.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    images = {
        figure.name: _data_uri(_drawn(figure.drawing, "png", SCREEN_DPI))
        for section in sections
        for figure in section.figures
    }
    style = files("evalstats.report").joinpath("templates/report.css").read_text("utf-8")
    return environment.get_template("report.html.jinja").render(
        title=title,
        lead=lead,
        sections=sections,
        images=images,
        style=style,
        paragraphs=lambda text: [part.strip() for part in text.split("\n\n") if part.strip()],
        methods=_methods(sections),
        bibtex=_bibtex(sections),
        versions=_versions(),
    )


def _drawn(drawing: "Drawing", form: str, dpi: int) -> bytes:
    buffer = io.BytesIO()
    # Without a date the same numbers give the same file; the tight box keeps long names whole.
    metadata = {"CreationDate": None} if form == "pdf" else None
    drawing.savefig(
        buffer, format=form, dpi=dpi, metadata=metadata, facecolor="white", bbox_inches="tight"
    )
    return buffer.getvalue()


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def _methods(sections: Sequence[Section]) -> dict[str, str]:
    """Methods sentences by title of the section."""
    return {
        section.title: " ".join(estimate.methods() for estimate in section.estimates)
        for section in sections
        if section.estimates
    }


def _bibtex(sections: Sequence[Section]) -> str:
    keys = dict.fromkeys(
        key
        for section in sections
        for estimate in section.estimates
        for key in estimate.citation_keys
    )
    return citations("evalstats", *keys)


def _versions() -> Mapping[str, str]:
    found = {"Python": platform.python_version()}
    for name in MANIFEST:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
