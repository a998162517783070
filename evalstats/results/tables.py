"""Tables of estimates and comparisons as plain text, Markdown, HTML and LaTeX.

What is shown is decided in :mod:`evalstats.results.layout`; here it is only written down.
Names come from users' files, so every format escapes whatever it would otherwise interpret.
"""

import html
import io
import re
from collections.abc import Iterable, Sequence

import polars as pl

from evalstats.errors import InputError
from evalstats.results.layout import MISSING, Column, Layout, lay_out

_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]<>&$|~#])")
_EXPONENT = re.compile(r"e([+-])0*(\d+)")
_LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    "-": "-{}",
    # After a line break LaTeX reads a bare bracket as the optional length of that break.
    "[": "{[}",
    "]": "{]}",
    MISSING: "--",
}


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
        side = "left" if column.is_text else "right"
        table.add_column(Text(column.heading), justify=side, no_wrap=True)
    for row in layout.rows:
        table.add_row(*(Text(cell) for cell in row))
    # Wider than the content needs: rich would otherwise shorten names to the terminal's width.
    width = sum(3 + max(map(cell_len, (c.heading, *c.cells))) for c in layout.columns)
    buffer = io.StringIO()
    Console(file=buffer, width=width, color_system=None, legacy_windows=False).print(table)
    body = [line.rstrip() for line in buffer.getvalue().rstrip("\n").split("\n")]
    return "\n".join([*_present(title), *body, *_present(layout.note)])


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


def format_latex(
    frame: pl.DataFrame,
    *,
    caption: str | None = None,
    label: str | None = None,
    digits: int = 3,
    siunitx: bool = False,
    bold_best: bool = True,
    higher_is_better: bool | None = True,
    level: float | None = None,
    note: str | None = None,
) -> str:
    r"""LaTeX table for a paper; needs ``\usepackage{booktabs}``.

    Parameters
    ----------
    frame : polars.DataFrame
        Estimates or comparisons: term columns, then measures.
    caption : str, optional
        Caption, as LaTeX source: an author may write mathematics in it. Names that come from
        data must pass through :func:`escape_latex` first.
    label : str, optional
        Target of ``\ref``.
    digits : int
        Decimals of estimates, standard errors and interval bounds.
    siunitx : bool
        Align estimates and standard errors at the decimal point; needs
        ``\usepackage{siunitx}``. The interval then has a column of its own.
    bold_best : bool
        Set the best estimate among the models of one metric, group and class in bold. Bold says
        which number is best, not that its distance to the next one is significant.
    higher_is_better : bool or None
        Which estimate is the best one; None sets none in bold.
    level : float, optional
        Confidence level, shown in the heading of the interval.
    note : str, optional
        Plain text below the table.

    Returns
    -------
    str
        A ``table`` environment in which names are literal text.
    """
    if label is not None and re.search(r"[\\{}%#~^$&]", label):
        raise InputError(f"label {label!r} has a character that LaTeX refuses in a label")
    layout = lay_out(
        frame,
        digits=digits,
        level=level,
        note=note,
        higher_is_better=higher_is_better if bold_best else None,
    )
    columns = _latex_columns(layout, siunitx)
    lines = [r"\begin{table}", r"\centering"]
    lines += [rf"\caption{{{caption}}}"] if caption else []
    lines += [rf"\label{{{label}}}"] if label else []
    lines += [rf"\begin{{tabular}}{{{''.join(spec for spec, _, _ in columns)}}}", r"\toprule"]
    lines += [_latex_row(title for _, title, _ in columns), r"\midrule"]
    for row in range(layout.n_rows):
        lines += [r"\addlinespace"] if row in layout.block_starts else []
        lines.append(_latex_row(cells[row] for _, _, cells in columns))
    lines += [r"\bottomrule", r"\end{tabular}", *_latex_note(layout), r"\end{table}"]
    return "\n".join(lines)


def escape_latex(text: str) -> str:
    """Plain text as LaTeX source that prints exactly that text.

    Parameters
    ----------
    text : str
        Any text, such as the name of a model.

    Returns
    -------
    str
        LaTeX source.
    """
    return "".join(_LATEX_SPECIAL.get(character, character) for character in text)


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


def _latex_columns(layout: Layout, siunitx: bool) -> list[tuple[str, str, list[str]]]:
    """Alignment, heading and cells per LaTeX column."""
    columns = []
    intervals = next((c for c in layout.columns if c.kind == "interval"), None)
    for column in layout.columns:
        title, cells = escape_latex(column.heading), [_latex_cell(column, c) for c in column.cells]
        spec = "l" if column.is_text else "r"
        if column.kind == "number" and siunitx:
            spec, title = _siunitx_spec(column.cells), f"{{{title}}}"
            cells = [f"{{{_latex_number(c)}}}" if _not_digits(c) else c for c in column.cells]
        elif column.name == "estimate" and intervals is not None:
            title = f"{title} {{[}}{escape_latex(intervals.heading)}{{]}}"
            pairs = zip(cells, intervals.cells, strict=True)
            cells = [f"{c} {_latex_number(i)}" if i != MISSING else c for c, i in pairs]
        elif column is intervals and not siunitx:
            continue
        if column.name == "estimate":
            cells = [_bold(c, siunitx) if row in layout.best else c for row, c in enumerate(cells)]
        columns.append((spec, title, cells))
    return columns


def _latex_cell(column: Column, cell: str) -> str:
    return escape_latex(cell) if column.is_text else _latex_number(cell)


def _latex_number(cell: str) -> str:
    """Number, interval or p-value made by the layout, with signs set as mathematics."""
    cell = _EXPONENT.sub(_latex_exponent, cell)
    cell = re.sub(r"(?<!\{)-(?=[\di])", "$-$", cell)
    cell = cell.replace("<", "$<$").replace("inf", r"$\infty$").replace("$$", "")
    return cell.replace(MISSING, "--")


def _latex_exponent(match: re.Match[str]) -> str:
    sign = "-" if match[1] == "-" else ""
    return rf"$\times10^{{{sign}{match[2]}}}$"


def _not_digits(cell: str) -> bool:
    return cell == MISSING or "inf" in cell


def _siunitx_spec(cells: Sequence[str]) -> str:
    """Column type that reserves the space of the widest number."""
    numbers = [cell.partition("e") for cell in cells if not _not_digits(cell)]
    parts = [mantissa.lstrip("-").partition(".") for mantissa, _, _ in numbers]
    whole = max((len(part[0]) for part in parts), default=1)
    decimals = max((len(part[2]) for part in parts), default=0)
    sign = "-" if any(mantissa.startswith("-") for mantissa, _, _ in numbers) else ""
    exponents = [exponent for _, _, exponent in numbers if exponent]
    tail = f"e{max(exponents, key=len)}".replace("+", "") if exponents else ""
    return f"S[table-format={sign}{whole}.{decimals}{tail},detect-weight=true]"


def _bold(cell: str, siunitx: bool) -> str:
    return rf"\bfseries {cell}" if siunitx else rf"\textbf{{{cell}}}"


def _latex_row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_note(layout: Layout) -> list[str]:
    sentences = [escape_latex(layout.note)] if layout.note else []
    if layout.best:
        sentences.append("Bold: best estimate, not a test of difference")
    if not sentences:
        return []
    text = ". ".join(sentence.rstrip(".") for sentence in sentences) + "."
    return [r"\par\smallskip", rf"\begin{{minipage}}{{\linewidth}}\footnotesize {text}\end{{minipage}}"]
