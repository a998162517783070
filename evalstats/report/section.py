"""What a section of a report holds, whatever wrote it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from evalstats.results.estimate import Estimate
from evalstats.results.latex import escape_latex, format_latex
from evalstats.results.style import column_width
from evalstats.results.tables import format_html

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


@dataclass(frozen=True)
class Table:
    """A table of estimates or differences.

    Parameters
    ----------
    name : str
        File name without extension, and LaTeX label.
    title : str
        Caption, as plain text.
    frame : polars.DataFrame
        Tidy frame of estimates or comparisons.
    note : str
        Plain text below the table.
    level : float
        Confidence level of the intervals.
    higher_is_better : bool or None
        Which estimate LaTeX sets in bold; None sets none.
    """

    name: str
    title: str
    frame: pl.DataFrame
    note: str = ""
    level: float = 0.95
    higher_is_better: bool | None = None

    def to_html(self) -> str:
        """HTML fragment."""
        return format_html(self.frame, title=self.title, note=self.note, level=self.level)

    def to_latex(self) -> str:
        """LaTeX ``table`` environment (booktabs)."""
        return format_latex(
            self.frame,
            caption=escape_latex(self.title),
            label=f"tab:{self.name}",
            note=self.note,
            level=self.level,
            higher_is_better=self.higher_is_better,
        )


@dataclass(frozen=True)
class Figure:
    """A drawing with its caption.

    Parameters
    ----------
    name : str
        File name without extension.
    caption : str
        Plain text below the figure.
    drawing : matplotlib Figure
        The drawing.
    """

    name: str
    caption: str
    drawing: "Drawing"

    @property
    def is_wide(self) -> bool:
        """Whether the drawing needs more than the width of a paper column."""
        return bool(self.drawing.get_figwidth() > 1.2 * column_width)


@dataclass(frozen=True)
class Section:
    """One question, answered by tables and figures.

    Parameters
    ----------
    title : str
        Heading.
    intro : str
        What was done and what to see, as plain text; paragraphs are separated by empty lines.
    tables : sequence of Table
        Shown first.
    figures : sequence of Figure
        Shown after the tables.
    estimates : sequence of Estimate
        Where the methods sentences and the references come from.
    """

    title: str
    intro: str
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    estimates: Sequence[Estimate] = field(default=())

    @property
    def anchor(self) -> str:
        """Name of the heading as a link target."""
        words = "".join(c if c.isalnum() else " " for c in self.title.lower()).split()
        return "-".join(words)
