"""Distinct rows and how often each occurs: a state as long as there are distinct rows."""

from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.data.columns import Columns
from evalstats.data.stored_columns import WEIGHT, columns_of_table, table_of_columns
from evalstats.errors import InputError

COUNT, SQUARES = "count", "squares"
# A state of more distinct rows than this share of all rows is not worth its memory.
FEW_DISTINCT = 8


def counted_table(columns: Columns) -> pl.DataFrame:
    """Each distinct row with its number, summed weights and summed squared weights. O(n)."""
    table = table_of_columns(replace(columns, weight=None), {})
    weight = np.ones(columns.n) if columns.weight is None else columns.weight
    numbers = {WEIGHT: weight, SQUARES: weight**2, COUNT: np.ones(columns.n, dtype=np.int64)}
    kept = table.with_columns(**{name: pl.Series(own) for name, own in numbers.items()})
    return merged_counts([kept.filter(pl.col(WEIGHT) > 0)])


def merged_counts(tables: list[pl.DataFrame]) -> pl.DataFrame:
    """Distinct rows of all parts."""
    if any(table.columns != tables[0].columns for table in tables):
        raise InputError("the states have other columns: merge states of the same columns")
    whole = pl.concat(tables, how="vertical_relaxed")
    keys = [name for name in whole.columns if name not in (WEIGHT, SQUARES, COUNT)]
    return whole.group_by(keys, maintain_order=True).sum().sort(keys)


def counted_columns(
    table: pl.DataFrame,
) -> tuple[Columns, NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Columns of the distinct rows, without weights; their weights, squares and counts."""
    weight, squares, count = table.select(WEIGHT, SQUARES, COUNT).cast(pl.Float64).to_numpy().T
    columns = columns_of_table(table.drop(WEIGHT, SQUARES, COUNT))
    contiguous = np.ascontiguousarray
    return columns, contiguous(weight), contiguous(squares), contiguous(count)
