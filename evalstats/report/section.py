"""What a section of a report holds, whatever wrote it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from evalstats.report.drawings import Images, draw
from evalstats.report.naming import safe_name
from evalstats.results.estimate import Estimate
from evalstats.results.latex import escape_latex, format_latex
from evalstats.results.style import column_width
from evalstats.results.tables import format_html, format_markdown

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
            label=f"tab:{safe_name(self.name)}",
            note=self.note,
            level=self.level,
            higher_is_better=self.higher_is_better,
        )

    def to_markdown(self) -> str:
        """GitHub pipe table with its note."""
        return format_markdown(self.frame, note=self.note, level=self.level)


@dataclass(frozen=True)
class Figure:
    """A drawing with its caption.

    Parameters
    ----------
    name : str
        File name without extension.
    caption : str
        Plain text below the figure.
    drawing : matplotlib Figure or Images
        The drawing, or what has been drawn of it.
    """

    name: str
    caption: str
    drawing: "Drawing | Images"

    @classmethod
    def of_axes(cls, name: str, caption: str, axes: Any) -> "Figure":
        """Take the drawing that the axes, or an array of axes, belong to.

        Parameters
        ----------
        name, caption : str
            As for the class.
        axes : matplotlib Axes or array of Axes
            What a ``plot`` method returns.

        Returns
        -------
        Figure
            Its drawing no longer appears among those that pyplot keeps open.
        """
        import numpy as np
        from matplotlib import pyplot

        drawing = np.ravel(axes)[0].figure
        pyplot.close(drawing)
        return cls(name, caption, drawing)

    def drawn(self, forms: Iterable[str]) -> Images:
        """Contents of its files.

        Parameters
        ----------
        forms : iterable of str
            ``"png"``, ``"pdf"`` or ``"svg"``.

        Returns
        -------
        Images
            At least the formats that were asked for.
        """
        return self.drawing if isinstance(self.drawing, Images) else draw(self.drawing, forms)

    @property
    def is_wide(self) -> bool:
        """Whether the drawing needs more than the width of a paper column."""
        drawing = self.drawing
        width = drawing.width if isinstance(drawing, Images) else drawing.get_figwidth()
        return bool(width > 1.2 * column_width)


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
    warnings : sequence of str
        What was suspicious, as plain text; shown as diagnostics.
    """

    title: str
    intro: str
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()
    estimates: Sequence[Estimate] = field(default=())
    warnings: Sequence[str] = ()

    @property
    def anchor(self) -> str:
        """Name of the heading as a link target."""
        return safe_name(self.title.lower())

    def drawn(self, forms: Iterable[str]) -> "Section":
        """The same section with all its figures drawn, which makes it a plain value.

        Parameters
        ----------
        forms : iterable of str
            ``"png"``, ``"pdf"`` or ``"svg"``.

        Returns
        -------
        Section
            It can be sent to another process.
        """
        wanted = tuple(forms)
        figures = [replace(figure, drawing=figure.drawn(wanted)) for figure in self.figures]
        return replace(self, figures=figures)
