"""Diagnostics of a metric as a table: quantities by model."""

import polars as pl

from evalstats.report.section import Table
from evalstats.results.layout import MEASURES, format_number, format_term, is_constant
from evalstats.study.grid import Cell, GridTable, Heading, oriented


def diagnostics_table(name: str, title: str, frame: pl.DataFrame, level: float) -> Table | None:
    """A frame of any quantities, laid out for readers; None if there is nothing to show.

    Parameters
    ----------
    name, title : str
        Of the file, and of the table.
    frame : polars.DataFrame
        What the estimator returned.
    level : float
        Confidence level of its intervals.
    """
    if frame.height == 0:
        return None
    if "estimate" in frame.columns and frame.columns[0] not in MEASURES:
        return Table(name, title, frame, level=level)
    labels = [n for n, dtype in frame.schema.items() if not dtype.is_numeric()]
    numbers = [n for n in frame.columns if n not in labels]
    if not numbers:
        return None
    labels = [n for n in labels if not is_constant(frame[n])] or labels
    down = [
        Heading(", ".join(format_term(value) for value in row) or "all")
        for row in frame.select(labels).rows()
    ] or [Heading("all")] * frame.height
    cells = [[Cell(_number(value)) for value in row] for row in frame.select(numbers).rows()]
    corner, columns, rows = oriented(
        (", ".join(labels).replace("_", " ") or "row", "quantity"),
        [Heading(number.replace("_", " ")) for number in numbers],
        down,
        cells,
    )
    return GridTable(name, title, frame, corner=corner, columns=columns, rows=rows)


def _number(value: float | int | None) -> str:
    return f"{value:,}" if isinstance(value, int) else format_number(value)
