"""LaTeX tables with booktabs rules, ready for a paper."""

import re
from collections.abc import Iterable, Sequence

import polars as pl

from evalstats.errors import InputError
from evalstats.options import typed_options
from evalstats.results.layout import MISSING, Column, Layout, lay_out

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
    "\N{MINUS SIGN}": "$-$",
}


@typed_options
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
        if column.name == "estimate":
            cells = [_bold(c, siunitx) if row in layout.best else c for row, c in enumerate(cells)]
            if intervals is not None and not siunitx:
                title = f"{title} {{[}}{escape_latex(intervals.heading)}{{]}}"
                pairs = zip(cells, intervals.cells, strict=True)
                cells = [c if i == MISSING else f"{c} {_latex_number(i)}" for c, i in pairs]
        elif column is intervals and not siunitx:
            continue
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
    tail = "e-2" if any(exponent for _, _, exponent in numbers) else ""
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
    return [
        r"\par\smallskip",
        rf"\begin{{minipage}}{{\linewidth}}\footnotesize {text}\end{{minipage}}",
    ]
