"""Tables that do not fit into memory, read in batches of the same rows every time."""

from collections.abc import Iterator
from os import PathLike

import narwhals as nw
import polars as pl

from evalstats.data.files import scan_table, table_read
from evalstats.data.frames import unknown_column
from evalstats.errors import InputError


class UnlikePartsError(InputError):
    """Parts cannot be summarised one by one: a unit lies in several, or they were read unlike."""


MOST_ROWS = 1 << 20
BATCH_BYTES = 64 << 20
SAMPLED_ROWS = 1_000


def lazy_table(data: object) -> pl.LazyFrame | None:
    """A table that is read in batches: polars' LazyFrame, or files; None for anything else."""
    if isinstance(data, str | PathLike):
        return scan_table(data)
    if isinstance(data, nw.LazyFrame):
        data = data.to_native()
    return data if isinstance(data, pl.LazyFrame) else None


def read_batches(
    table: pl.LazyFrame, columns: list[str], rows: int | None = None, whole: str | None = None
) -> Iterator[pl.DataFrame]:
    """Yield the named columns in batches of equal length, the last one shorter.

    Parameters
    ----------
    table : polars.LazyFrame
        What to read; polars reads a few batches ahead, never all of it.
    columns : list of str
        Columns to read.
    rows : int, optional
        Rows of a batch; by default 2^20, or fewer where the first rows show that these would take
        more than 64 MiB.
    whole : str, optional
        Column whose runs of equal values are never cut, such as the unit that draws belong to.

    Yields
    ------
    polars.DataFrame
        The next rows, in their order.
    """
    table = selected(table, columns)
    size = batch_rows(table) if rows is None else rows
    held: list[pl.DataFrame] = []
    count = 0
    for chunk in _chunks(table, size):
        held.append(chunk)
        count += chunk.height
        while count >= size:
            frame = pl.concat(held) if len(held) > 1 else held[0]
            cut = size if whole is None else _cut_between_runs(frame[whole], size)
            held = [frame[cut:]]
            if cut == 0:
                break
            yield frame[:cut]
            count -= cut
    if count:
        yield pl.concat(held)


def _cut_between_runs(values: pl.Series, size: int) -> int:
    """Last change of value up to `size`, else the first one after it, else 0."""
    changes = (values[1:].ne_missing(values[:-1])).arg_true() + 1
    places = changes.to_numpy()
    before = places[places <= size]
    if len(before):
        return int(before[-1])
    return int(places[0]) if len(places) else 0


def selected(table: pl.LazyFrame, columns: list[str]) -> pl.LazyFrame:
    """The named columns.

    Raises
    ------
    InputError
        If the table lacks one of them.
    """
    known = table.collect_schema().names()
    for name in columns:
        if name not in known:
            raise InputError(unknown_column(name, known))
    return table.select(columns)


def batch_rows(table: pl.LazyFrame) -> int:
    """Rows of a batch of about 64 MiB, judged by the first rows."""
    with table_read():
        head = table.head(SAMPLED_ROWS).collect()
    if head.height < SAMPLED_ROWS:
        return MOST_ROWS
    per_row = max(float(head.estimated_size()) / head.height, 1.0)
    return max(min(MOST_ROWS, int(BATCH_BYTES / per_row)), 1)


def _chunks(table: pl.LazyFrame, size: int) -> Iterator[pl.DataFrame]:
    with table_read():
        if hasattr(table, "collect_batches"):
            yield from table.collect_batches(chunk_size=size, maintain_order=True)
            return
        # polars before 1.34: slices of a scan read only the row groups that they touch.
        start = 0
        while (chunk := table.slice(start, size).collect()).height:
            yield chunk
            start += chunk.height


def require_rows(rows: object) -> int | None:
    """Refuse anything but a positive number of rows, or None."""
    if rows is None:
        return None
    if not isinstance(rows, int) or isinstance(rows, bool) or rows < 1:
        raise InputError(f"batch_rows={rows!r}: pass a positive number of rows")
    return rows
