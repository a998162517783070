"""One self-contained HTML page and its tables and figures as files."""

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

from evalstats.errors import InputError
from evalstats.report.files import write_atomically
from evalstats.report.manifest import as_text, complete
from evalstats.report.naming import unique_names
from evalstats.report.section import Section, Table
from evalstats.results.citations import citations

# A drawing of very many points is smaller as pixels than as vectors.
LARGEST_VECTOR = 400_000
SCREEN_FORMS = ("svg", "png")
MIME = {"svg": "image/svg+xml", "png": "image/png"}
OWN_ANCHORS = ("contents", "content", "methods", "references", "reproducibility")


def write_report(
    folder: Path,
    title: str,
    lead: str,
    sections: Sequence[Section],
    *,
    manifest: Mapping[str, object] | None = None,
    table_formats: Sequence[str] = ("tex", "csv", "md", "parquet"),
    figure_formats: Sequence[str] = ("png", "pdf", "svg"),
) -> Path:
    """Write ``report.html``, ``references.bib``, ``tables/*`` and ``figures/*`` into `folder`.

    Parameters
    ----------
    folder : Path
        Created when missing; files of the same names are replaced.
    title, lead : str
        Heading and first paragraph, as plain text.
    sections : sequence of Section
        What to show, in this order.
    manifest : mapping, optional
        What makes the run reproducible (seeds, hashes, timings): nested mappings, lists and
        scalars. Versions of the software are added where there is no entry ``"software"``.
    table_formats : sequence of str
        Which files to write of every table.
    figure_formats : sequence of str
        Which files to write of every figure.

    Returns
    -------
    Path
        The HTML page. The same numbers and the same manifest give the same bytes in every file.

    Raises
    ------
    InputError
        If the folder cannot be written to, a format is unknown, or jinja2 is not installed.
    """
    drawn = [s.drawn((*SCREEN_FORMS, *figure_formats)) for s in _named(sections)]
    page = render_page(title, lead, drawn, manifest=manifest)
    write_exports(folder, drawn, table_formats, figure_formats)
    write_atomically(folder / "references.bib", _bibtex(drawn) + "\n")
    write_atomically(folder / "report.html", page)
    return folder / "report.html"


def write_exports(
    folder: Path,
    sections: Sequence[Section],
    table_formats: Sequence[str],
    figure_formats: Sequence[str],
) -> list[Path]:
    """Write ``tables/*`` and ``figures/*`` into `folder`, without a page.

    Parameters
    ----------
    folder : Path
        Created when missing; files of the same names are replaced.
    sections : sequence of Section
        What to write.
    table_formats, figure_formats : sequence of str
        Which files to write of every table and figure.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    InputError
        If the folder cannot be written to, or a format is unknown.
    """
    _check_formats("table", table_formats, TABLE_WRITERS)
    tables, figures = folder / "tables", folder / "figures"
    try:
        for directory in (tables, figures):
            directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot create {str(folder)!r}: {error.strerror}") from error
    contents: dict[Path, str | bytes] = {}
    for section in _named(sections):
        for table in section.tables:
            for form in table_formats:
                contents[tables / f"{table.name}.{form}"] = TABLE_WRITERS[form](table)
        for figure in section.figures:
            images = figure.drawn(figure_formats)
            for form in figure_formats:
                contents[figures / f"{figure.name}.{form}"] = images.forms[form]
    for path, content in contents.items():
        write_atomically(path, content)
    return list(contents)


def render_page(
    title: str,
    lead: str,
    sections: Sequence[Section],
    *,
    manifest: Mapping[str, object] | None = None,
) -> str:
    """HTML page that loads nothing from elsewhere: style and figures are inside.

    Parameters
    ----------
    title, lead : str
        Heading and first paragraph, as plain text.
    sections : sequence of Section
        What to show, in this order.
    manifest : mapping, optional
        What makes the run reproducible; see :func:`write_report`.

    Returns
    -------
    str
        The page. All names in it are literal text, and a content security policy forbids
        scripts and requests.
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
    named = _named(sections)
    images = {
        figure.name: _data_uri(figure.drawn(SCREEN_FORMS).forms)
        for section in named
        for figure in section.figures
    }
    style = files("evalstats.report").joinpath("templates/report.css").read_text("utf-8")
    anchors = unique_names((section.anchor for section in named), taken=OWN_ANCHORS)
    return environment.get_template("report.html.jinja").render(
        title=title,
        lead=lead,
        sections=list(zip(anchors, named, strict=True)),
        images=images,
        style=style,
        paragraphs=lambda text: [part.strip() for part in text.split("\n\n") if part.strip()],
        methods=_methods(named),
        bibtex=_bibtex(named),
        manifest=complete(manifest),
        as_text=as_text,
        is_list=lambda value: isinstance(value, list | tuple),
        split_code=_split_code,
    )


def _named(sections: Sequence[Section]) -> list[Section]:
    """The same sections; no two tables and no two figures would become the same file."""
    tables = iter(unique_names(table.name for s in sections for table in s.tables))
    figures = iter(unique_names(figure.name for s in sections for figure in s.figures))
    return [
        replace(
            section,
            tables=[replace(table, name=next(tables)) for table in section.tables],
            figures=[replace(figure, name=next(figures)) for figure in section.figures],
        )
        for section in sections
    ]


def _parquet(table: Table) -> bytes:
    buffer = io.BytesIO()
    table.frame.write_parquet(buffer)
    return buffer.getvalue()


TABLE_WRITERS: Mapping[str, Callable[[Table], str | bytes]] = {
    "tex": lambda table: table.to_latex() + "\n",
    "csv": lambda table: table.frame.write_csv(),
    "md": lambda table: table.to_markdown() + "\n",
    "parquet": _parquet,
}


def _check_formats(kind: str, formats: Sequence[str], known: Mapping[str, object]) -> None:
    unknown = [form for form in formats if form not in known]
    if unknown:
        raise InputError(f"{kind} format {unknown[0]!r} is unknown: use {', '.join(known)}")


def _data_uri(forms: Mapping[str, bytes]) -> str:
    form = "svg" if len(forms["svg"]) <= LARGEST_VECTOR else "png"
    return f"data:{MIME[form]};base64,{base64.b64encode(forms[form]).decode('ascii')}"


def _split_code(warning: str) -> tuple[str, str]:
    """Code in brackets, and the message behind it."""
    if warning.startswith("[") and "] " in warning:
        code, _, message = warning[1:].partition("] ")
        return code, message
    return "", warning


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
