"""Tables of numbers in a grid, such as metrics by models."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass

from evalstats.report.section import Table
from evalstats.results.latex import escape_latex
from evalstats.results.layout import MISSING, clean

# More columns than this do not fit on a page: what would be columns then becomes rows.
WIDEST = 5
BEST = "best estimate, not a test of difference"
MINUS = "\N{MINUS SIGN}"
ARROWS = {True: "\N{UPWARDS ARROW}", False: "\N{DOWNWARDS ARROW}", None: ""}
LATEX_ARROWS = {True: r" $\uparrow$", False: r" $\downarrow$", None: ""}
_MARKDOWN_SPECIAL = re.compile(r"([\\`*_{}\[\]<>&$|~#])")


@dataclass(frozen=True)
class Cell:
    """One number and its interval, as text.

    Attributes
    ----------
    number, interval : str
        The number, and its interval in brackets.
    best : bool
        Whether it is the best of its metric.
    """

    number: str = MISSING
    interval: str = MISSING
    best: bool = False

    @property
    def text(self) -> str:
        """Number and interval."""
        return self.number if self.interval == MISSING else f"{self.number} {self.interval}"


@dataclass(frozen=True)
class Heading:
    """Name of a row or column.

    Attributes
    ----------
    name : str
        Any text.
    higher_is_better : bool or None
        Shown as an arrow.
    """

    name: str
    higher_is_better: bool | None = None

    @property
    def text(self) -> str:
        """The name, on one line, and the arrow."""
        return f"{clean(self.name)} {ARROWS[self.higher_is_better]}".rstrip()


@dataclass(frozen=True)
class GridTable(Table):
    """A grid for readers; its frame is tidy, for files that programs read.

    Attributes
    ----------
    corner : str
        Heading of the names of the rows.
    columns : sequence of Heading
        The columns.
    rows : sequence of (Heading, sequence of Cell)
        The rows.
    """

    corner: str = ""
    columns: Sequence[Heading] = ()
    rows: Sequence[tuple[Heading, Sequence[Cell]]] = ()

    def _footnote(self, mark: str) -> str:
        cells = [cell for _, row in self.rows for cell in row]
        parts = []
        if any(cell.interval != MISSING for cell in cells):
            parts.append(f"{100 * self.level:g}% confidence intervals in brackets")
        if any(cell.best for cell in cells):
            parts.append(f"{mark}: {BEST}")
        return ". ".join([*parts, *([clean(self.note)] if self.note else [])])

    def to_text(self) -> str:
        """Aligned plain text; a star marks the best estimate."""
        lines = [[self.corner, *(column.text for column in self.columns)]]
        for name, cells in self.rows:
            lines.append([name.text, *(f"{c.text}{'*' if c.best else ''}" for c in cells)])
        body = aligned(lines)
        parts = [clean(self.title), *body, self._footnote("*")]
        return "\n".join(part for part in parts if part)

    def to_html(self) -> str:
        """HTML fragment."""
        head = "".join(
            f'<th scope="col" style="text-align:right">{_html_heading(column)}</th>'
            for column in self.columns
        )
        lines = [
            '<table class="evalstats">',
            f"<caption>{html.escape(clean(self.title))}</caption>",
            f'<thead><tr><th scope="col">{html.escape(self.corner)}</th>{head}</tr></thead>',
            "<tbody>",
        ]
        for name, cells in self.rows:
            body = "".join(f'<td style="text-align:right">{_html_cell(c)}</td>' for c in cells)
            lines.append(f'<tr><th scope="row">{_html_heading(name)}</th>{body}</tr>')
        lines.append("</tbody>")
        note = html.escape(self._footnote("Bold"))
        if note:
            cell = f'<td colspan="{len(self.columns) + 1}" style="text-align:left">{note}</td>'
            lines.append(f"<tfoot><tr>{cell}</tr></tfoot>")
        return "\n".join([*lines, "</table>"])

    def to_latex(self) -> str:
        """LaTeX ``table`` environment (booktabs)."""
        lines = [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape_latex(clean(self.title))}}}",
            rf"\label{{tab:{self.name}}}",
            rf"\begin{{tabular}}{{l{'r' * len(self.columns)}}}",
            r"\toprule",
            _latex_row([escape_latex(self.corner), *map(_latex_heading, self.columns)]),
            r"\midrule",
        ]
        for name, cells in self.rows:
            lines.append(_latex_row([_latex_heading(name), *map(_latex_cell, cells)]))
        lines += [r"\bottomrule", r"\end{tabular}"]
        note = self._footnote("Bold")
        if note:
            text = escape_latex(note.rstrip(".")) + "."
            lines += [
                r"\par\smallskip",
                rf"\begin{{minipage}}{{\linewidth}}\footnotesize {text}\end{{minipage}}",
            ]
        return "\n".join([*lines, r"\end{table}"])

    def to_markdown(self) -> str:
        """GitHub pipe table, followed by the note."""
        lines = [
            [self.corner, *map(_markdown_heading, self.columns)],
            ["---", *("---:" for _ in self.columns)],
        ]
        for name, cells in self.rows:
            texts = [f"**{c.number}** {c.interval}" if c.best else c.text for c in cells]
            lines.append([_markdown_heading(name), *texts])
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        note = _MARKDOWN_SPECIAL.sub(r"\\\1", self._footnote("Bold"))
        return f"{table}\n\n{note}".rstrip()


def aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Rows of text in columns, with a rule below the first."""
    from rich.cells import cell_len

    widths = [max(cell_len(line[i]) for line in lines) for i in range(len(lines[0]))]
    body = [
        "  ".join(
            text + " " * (width - cell_len(text)) for text, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    ]
    return [body[0], "-" * max(map(cell_len, body)), *body[1:]]


def oriented(
    names: tuple[str, str],
    across: Sequence[Heading],
    down: Sequence[Heading],
    cells: Sequence[Sequence[Cell]],
) -> tuple[str, list[Heading], list[tuple[Heading, list[Cell]]]]:
    """Corner, columns and rows of a grid, turned where it would be too wide.

    Parameters
    ----------
    names : pair of str
        What the headings of the rows are, and those of the columns.
    across, down : sequence of Heading
        Columns and rows.
    cells : sequence of sequence of Cell
        Row by row.
    """
    if len(across) <= WIDEST or len(across) <= len(down):
        return names[0], list(across), [(h, list(c)) for h, c in zip(down, cells, strict=True)]
    turned = [list(column) for column in zip(*cells, strict=True)]
    return names[1], list(down), list(zip(across, turned, strict=True))


def _html_heading(heading: Heading) -> str:
    name, way = html.escape(clean(heading.name)), heading.higher_is_better
    if way is None:
        return name
    words = "higher is better" if way else "lower is better"
    return f'{name} <span title="{words}">{ARROWS[way]}</span>'


def _html_cell(cell: Cell) -> str:
    number, interval = (
        html.escape(text.replace("-", MINUS)) for text in (cell.number, cell.interval)
    )
    number = f"<strong>{number}</strong>" if cell.best else number
    return number if cell.interval == MISSING else f"{number} {interval}"


def _latex_heading(heading: Heading) -> str:
    return f"{escape_latex(clean(heading.name))}{LATEX_ARROWS[heading.higher_is_better]}"


def _latex_cell(cell: Cell) -> str:
    number, interval = (_latex_number(text) for text in (cell.number, cell.interval))
    number = rf"\textbf{{{number}}}" if cell.best else number
    return number if cell.interval == MISSING else f"{number} {interval}"


def _latex_number(text: str) -> str:
    text = re.sub(r"e([+-])0*(\d+)", lambda m: rf"$\times10^{{{m[1].strip('+')}{m[2]}}}$", text)
    text = re.sub(r"(?<![{\w])-(?=[\di])", "$-$", text)
    return text.replace("inf", r"$\infty$").replace("$$", "").replace(MISSING, "--")


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _markdown_heading(heading: Heading) -> str:
    return _MARKDOWN_SPECIAL.sub(r"\\\1", heading.text)
