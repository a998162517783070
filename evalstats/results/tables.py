"""Tables of estimates and comparisons as plain text, Markdown and HTML (and, next door, LaTeX).

What is shown is decided in :mod:`evalstats.results.layout`; here it is only written down.
Names come from users' files, so every format escapes whatever it would otherwise interpret.
"""

import html
import io
import re
from collections.abc import Sequence

import polars as pl

from evalstats.options import typed_options
from evalstats.results.latex import escape_latex, format_latex
from evalstats.results.layout import Column, clean, lay_out

__all__ = ["escape_latex", "format_html", "format_latex", "format_markdown", "format_text"]

_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]<>&$|~#])")


@typed_options
def format_text(
    frame: pl.DataFrame,
    *,
    title: str | None = None,
    note: str | None = None,
    digits: int = 3,
    level: float | None = None,
) -> str:
    """Aligned plain text, whatever the width of the terminal.

    Parameters
    ----------
    frame : polars.DataFrame
        Estimates or comparisons: term columns, then measures.
    title, note : str, optional
        Lines above and below the table.
    digits : int
        Decimals of estimates, standard errors and interval bounds.
    level : float, optional
        Confidence level, shown in the heading of the interval.

    Returns
    -------
    str
        Lines without colour codes and without trailing spaces.
    """
    from rich.box import Box
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    layout = lay_out(frame, digits=digits, level=level, note=note)
    rule_below_heading = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)
    table = Table(box=rule_below_heading, show_edge=False, pad_edge=False)
    for column in layout.columns:
        table.add_column(
            Text(column.heading), justify="left" if column.is_text else "right", no_wrap=True
        )
    for row in layout.rows:
        table.add_row(*(Text(cell) for cell in row))
    # Wider than the content needs: rich would otherwise shorten names to the terminal's width.
    width = sum(3 + max(map(cell_len, (c.heading, *c.cells))) for c in layout.columns)
    buffer = io.StringIO()
    Console(file=buffer, width=width, color_system=None, legacy_windows=False).print(table)
    body = [line.rstrip() for line in buffer.getvalue().rstrip("\n").split("\n")]
    heading = [] if title is None else _present(clean(title))
    return "\n".join([*heading, *body, *_present(layout.note)])


@typed_options
def format_markdown(
    frame: pl.DataFrame,
    *,
    digits: int = 3,
    note: str | None = None,
    level: float | None = None,
) -> str:
    """GitHub pipe table, followed by the note.

    Parameters
    ----------
    frame : polars.DataFrame
        Estimates or comparisons: term columns, then measures.
    digits : int
        Decimals of estimates, standard errors and interval bounds.
    note : str, optional
        Plain text below the table.
    level : float, optional
        Confidence level, shown in the heading of the interval.

    Returns
    -------
    str
        Markdown in which names are literal text.
    """
    layout = lay_out(frame, digits=digits, level=level, note=note)
    columns = [_markdown_column(column) for column in layout.columns]
    lines = ["| " + " | ".join(cells) + " |" for cells in zip(*columns, strict=True)]
    if layout.note:
        lines += ["", _escape_markdown(layout.note)]
    return "\n".join(lines)


@typed_options
def format_html(
    frame: pl.DataFrame,
    *,
    title: str | None = None,
    note: str | None = None,
    digits: int = 3,
    level: float | None = None,
) -> str:
    """Self-contained HTML fragment: one table with caption, column and row headers.

    Parameters
    ----------
    frame : polars.DataFrame
        Estimates or comparisons: term columns, then measures.
    title, note : str, optional
        Caption and footer, as plain text.
    digits : int
        Decimals of estimates, standard errors and interval bounds.
    level : float, optional
        Confidence level, shown in the heading of the interval.

    Returns
    -------
    str
        HTML in which names are literal text.
    """
    layout = lay_out(frame, digits=digits, level=level, note=note)
    caption = title or ("Differences" if layout.is_comparison else "Estimates")
    head = "".join(
        f'<th scope="col"{_html_align(column)}>{html.escape(column.heading)}</th>'
        for column in layout.columns
    )
    lines = [
        '<table class="evalstats">',
        f"<caption>{html.escape(caption)}</caption>",
        f"<thead><tr>{head}</tr></thead>",
        "<tbody>",
        *(_html_row(layout.columns, row) for row in layout.rows),
        "</tbody>",
    ]
    if layout.note:
        span = len(layout.columns)
        cell = f'<td colspan="{span}" style="text-align:left">{html.escape(layout.note)}</td>'
        lines.append(f"<tfoot><tr>{cell}</tr></tfoot>")
    return "\n".join([*lines, "</table>"])


def _present(text: str | None) -> list[str]:
    return [text] if text else []


def _markdown_column(column: Column) -> list[str]:
    cells = [_escape_markdown(c) if column.is_text else c for c in column.cells]
    title = _escape_markdown(column.heading)
    width = max(3, *map(len, (title, *cells)))
    if column.is_text:
        return [text.ljust(width) for text in (title, "-" * width, *cells)]
    return [text.rjust(width) for text in (title, "-" * (width - 1) + ":", *cells)]


def _escape_markdown(text: str) -> str:
    return _MARKDOWN_SPECIAL.sub(r"\\\1", text)


def _html_row(columns: Sequence[Column], row: Sequence[str]) -> str:
    cells = []
    for column, cell in zip(columns, row, strict=True):
        tag = 'th scope="row"' if column.is_term else "td"
        text = html.escape(cell if column.is_text else cell.replace("-", "\N{MINUS SIGN}"))
        cells.append(f"<{tag}{_html_align(column)}>{text}</{tag[:2]}>")
    return f"<tr>{''.join(cells)}</tr>"


def _html_align(column: Column) -> str:
    return f' style="text-align:{"left" if column.is_text else "right"}"'
