"""The headline of a study: one row per model, one column per metric, the best number marked."""

import html
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import polars as pl

from evalstats.report.section import Table
from evalstats.results.estimate import Estimate
from evalstats.results.latex import escape_latex
from evalstats.results.layout import MISSING, clean, format_interval, format_number, is_constant

# More columns than this do not fit on a page: metrics then become the rows.
WIDEST = 5
ARROWS = {True: "\N{UPWARDS ARROW}", False: "\N{DOWNWARDS ARROW}", None: ""}
LATEX_ARROWS = {True: r" $\uparrow$", False: r" $\downarrow$", None: ""}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>&$|~#])")
BACKSLASHED = r"\\\1"
NOTE = "Bold: best estimate, not a test of difference"
NO_MODEL = "all"


@dataclass(frozen=True)
class Cell:
    """One estimate with its interval, as text."""

    number: str
    interval: str
    best: bool = False

    @property
    def text(self) -> str:
        """Number and interval."""
        return self.number if self.interval == MISSING else f"{self.number} {self.interval}"


Column = tuple[str, bool | None, dict[str, Cell]]


@dataclass(frozen=True)
class HeadlineTable(Table):
    """Metrics by models; its frame is the tidy one, for files that programs read.

    Attributes
    ----------
    columns : sequence
        Heading, direction and cells by model of each metric.
    models : sequence of str
        The rows.
    """

    columns: Sequence[Column] = ()
    models: Sequence[str] = ()

    def grid(
        self,
    ) -> tuple[list[tuple[str, bool | None]], list[tuple[str, bool | None, list[Cell]]]]:
        """Headings of the columns, and name, direction and cells of each row."""
        empty = Cell(MISSING, MISSING)
        if len(self.columns) <= WIDEST:
            heads = [(head, direction) for head, direction, _ in self.columns]
            rows: list[tuple[str, bool | None, list[Cell]]] = [
                (model, None, [cells.get(model, empty) for _, _, cells in self.columns])
                for model in self.models
            ]
            return heads, rows
        across: list[tuple[str, bool | None]] = [(model, None) for model in self.models]
        return across, [
            (head, direction, [cells.get(model, empty) for model in self.models])
            for head, direction, cells in self.columns
        ]

    @property
    def corner(self) -> str:
        """Heading of the names of the rows."""
        return "Model" if len(self.columns) <= WIDEST else "Metric"

    @property
    def footnote(self) -> str:
        """What a reader must know to read the table."""
        parts = [f"{100 * self.level:g}% confidence intervals in brackets"] if self.columns else []
        if any(cell.best for _, _, cells in self.columns for cell in cells.values()):
            parts.append(NOTE)
        return ". ".join([*parts, *([clean(self.note)] if self.note else [])])

    def to_text(self) -> str:
        """Aligned plain text; a star marks the best estimate."""
        from rich.cells import cell_len

        heads, rows = self.grid()
        lines = [[self.corner, *(f"{clean(head)} {ARROWS[way]}".strip() for head, way in heads)]]
        for name, way, cells in rows:
            marked = [f"{cell.text}{'*' if cell.best else ''}" for cell in cells]
            lines.append([f"{clean(name)} {ARROWS[way]}".strip(), *marked])
        widths = [max(cell_len(line[i]) for line in lines) for i in range(len(lines[0]))]
        body = [
            "  ".join(
                text + " " * (width - cell_len(text))
                for text, width in zip(line, widths, strict=True)
            ).rstrip()
            for line in lines
        ]
        rule = "-" * max(map(cell_len, body))
        return "\n".join(
            [clean(self.title), body[0], rule, *body[1:], self.footnote.replace("Bold", "*")]
        )

    def to_html(self) -> str:
        """HTML fragment."""
        heads, rows = self.grid()
        top = "".join(
            f'<th scope="col" style="text-align:right">{_html_name(head, way)}</th>'
            for head, way in heads
        )
        lines = [
            '<table class="evalstats">',
            f"<caption>{html.escape(clean(self.title))}</caption>",
            f'<thead><tr><th scope="col">{self.corner}</th>{top}</tr></thead>',
            "<tbody>",
        ]
        for name, way, cells in rows:
            body = "".join(
                f'<td style="text-align:right">{_html_cell(cell)}</td>' for cell in cells
            )
            first = f'<th scope="row" style="text-align:left">{_html_name(name, way)}</th>'
            lines.append(f"<tr>{first}{body}</tr>")
        span = len(heads) + 1
        foot = f'<td colspan="{span}" style="text-align:left">{html.escape(self.footnote)}</td>'
        return "\n".join([*lines, "</tbody>", f"<tfoot><tr>{foot}</tr></tfoot>", "</table>"])

    def to_latex(self) -> str:
        """LaTeX ``table`` environment (booktabs)."""
        heads, rows = self.grid()
        lines = [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape_latex(clean(self.title))}}}",
            rf"\label{{tab:{self.name}}}",
            rf"\begin{{tabular}}{{l{'r' * len(heads)}}}",
            r"\toprule",
            " & ".join([self.corner, *(_latex_name(head, way) for head, way in heads)]) + r" \\",
            r"\midrule",
        ]
        lines += [
            " & ".join([_latex_name(name, way), *map(_latex_cell, cells)]) + r" \\"
            for name, way, cells in rows
        ]
        note = escape_latex(self.footnote).rstrip(".") + "."
        return "\n".join(
            [
                *lines,
                r"\bottomrule",
                r"\end{tabular}",
                r"\par\smallskip",
                rf"\begin{{minipage}}{{\linewidth}}\footnotesize {note}\end{{minipage}}",
                r"\end{table}",
            ]
        )

    def to_markdown(self) -> str:
        """GitHub pipe table, followed by the note."""
        heads, rows = self.grid()
        lines = [
            [self.corner, *(_markdown_name(head, way) for head, way in heads)],
            ["---", *("---:" for _ in heads)],
        ]
        for name, way, cells in rows:
            texts = [
                f"**{cell.number}** {cell.interval}" if cell.best else cell.text for cell in cells
            ]
            lines.append([_markdown_name(name, way), *texts])
        table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        return f"{table}\n\n{self.footnote}"


def headline(estimates: Mapping[str, Estimate], title: str) -> HeadlineTable | None:
    """Table of all estimates that are one number per metric and model; None without any.

    Parameters
    ----------
    estimates : mapping of str to Estimate
        Estimates by name of the metric.
    title : str
        Caption.
    """
    columns: list[Column] = []
    frames = []
    left_out = []
    for name, estimate in estimates.items():
        if not _is_flat(estimate):
            left_out.append(name)
            continue
        columns += _columns(name, estimate)
        frames.append(estimate.to_frame().select(pl.lit(name).alias("name"), pl.all()))
    if not columns:
        return None
    models = list(dict.fromkeys(model for _, _, cells in columns for model in cells))
    note = f"Not in this table: {', '.join(left_out)}" if left_out else ""
    return HeadlineTable(
        "headline",
        title,
        pl.concat(frames, how="diagonal_relaxed"),
        note=note,
        level=next(iter(estimates.values())).level,
        columns=columns,
        models=models,
    )


def _is_flat(estimate: Estimate) -> bool:
    """Whether a metric and a model identify each term."""
    terms = estimate.terms
    keys = [name for name in ("metric", "model") if name in terms.columns]
    varying = [name for name in terms.columns if name not in keys and not is_constant(terms[name])]
    return not varying and bool(keys) and terms.select(keys).is_unique().all()


def _columns(name: str, estimate: Estimate) -> list[Column]:
    terms = estimate.terms
    digits = 2 if estimate.scale == "logit_percent" else 3
    low, high = estimate.confidence_interval()
    metrics = [str(m) for m in terms["metric"]] if "metric" in terms.columns else [name] * len(low)
    models = [str(m) for m in terms["model"]] if "model" in terms.columns else [NO_MODEL] * len(low)
    columns: list[Column] = []
    for metric in dict.fromkeys(metrics):
        rows = [row for row, own in enumerate(metrics) if own == metric]
        heading = name if len(set(metrics)) == 1 else f"{metric} ({name})"
        cells = {
            models[row]: Cell(
                format_number(float(estimate.value[row]), digits),
                format_interval(float(low[row]), float(high[row]), digits),
            )
            for row in rows
        }
        better = estimate.higher_is_better
        values = {models[row]: float(estimate.value[row]) for row in rows}
        columns.append((heading, better, _marked(cells, values, better)))
    return columns


def _marked(
    cells: dict[str, Cell], values: Mapping[str, float], better: bool | None
) -> dict[str, Cell]:
    defined = {model: value for model, value in values.items() if not math.isnan(value)}
    if better is None or len(defined) < 2:
        return cells
    best = (max if better else min)(defined, key=defined.__getitem__)
    # Models that print the same number are equally best to the reader.
    return {
        model: replace(cell, best=cell.number == cells[best].number)
        for model, cell in cells.items()
    }


def _html_name(name: str, way: bool | None) -> str:
    words = {True: "higher is better", False: "lower is better"}
    arrow = "" if way is None else f' <span title="{words[way]}">{ARROWS[way]}</span>'
    return f"{html.escape(clean(name))}{arrow}"


def _html_cell(cell: Cell) -> str:
    number = html.escape(cell.number.replace("-", "\N{MINUS SIGN}"))
    number = f"<strong>{number}</strong>" if cell.best else number
    if cell.interval == MISSING:
        return number
    return f"{number} {html.escape(cell.interval.replace('-', chr(0x2212)))}"


def _latex_name(name: str, way: bool | None) -> str:
    return f"{escape_latex(clean(name))}{LATEX_ARROWS[way]}"


def _latex_cell(cell: Cell) -> str:
    number, interval = (
        re.sub(r"-(?=[\di])", "$-$", text).replace("inf", r"$\infty$").replace(MISSING, "--")
        for text in (cell.number, cell.interval)
    )
    number = rf"\textbf{{{number}}}" if cell.best else number
    return number if cell.interval == MISSING else f"{number} {interval}"


def _markdown_name(name: str, way: bool | None) -> str:
    return f"{_SPECIAL.sub(BACKSLASHED, clean(name))} {ARROWS[way]}".strip()
