"""Columns as a table and back, for states that keep every unit."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from evalstats.data.columns import Column, Columns

SINGLE, MODEL, WEIGHT = "single:", "model:", "weight"


def table_of_columns(columns: Columns, labels: Mapping[str, Sequence[Any]]) -> pl.DataFrame:
    """One row per unit: its columns, of one or several numbers each, its weight and labels."""
    found = {name: pl.Series(list(values)) for name, values in labels.items()}
    found |= {f"{SINGLE}{name}": _series(column) for name, column in columns.single.items()}
    for role, models in columns.models.items():
        found |= {f"{MODEL}{role}:{name}": _series(column) for name, column in models.items()}
    if columns.weight is not None:
        found[WEIGHT] = _series(columns.weight)
    return pl.DataFrame(found)


def columns_of_table(table: pl.DataFrame) -> Columns:
    """Columns of all units of a table; labels are left out."""
    models: dict[str, dict[str, Column]] = {}
    single: dict[str, Column] = {}
    for name in table.columns:
        if name.startswith(SINGLE):
            single[name.removeprefix(SINGLE)] = _array(table[name])
        elif name.startswith(MODEL):
            role, model = name.removeprefix(MODEL).split(":", 1)
            models.setdefault(role, {})[model] = _array(table[name])
    weight = _array(table[WEIGHT]) if WEIGHT in table.columns else None
    return Columns(table.height, single, models, weight)


def _series(column: Column) -> pl.Series:
    if column.ndim == 1:
        return pl.Series(column.tolist() if column.dtype == object else column)
    return pl.Series(column, dtype=pl.Array(pl.Float64, column.shape[1]))


def _array(series: pl.Series) -> Column:
    # A copy, since those of polars are read-only.
    return np.array(series.to_numpy(), order="C")
