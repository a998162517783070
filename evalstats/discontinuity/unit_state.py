"""Units of a discontinuity design as a table: their quantiles instead of their draws."""

from typing import Any

import polars as pl

from evalstats.data.batches import UnlikePartsError
from evalstats.data.columns import Columns
from evalstats.data.stored_columns import table_of_columns
from evalstats.errors import InputError

UNIT = "unit"


def summarised_units(columns: Columns, options: dict[str, Any]) -> pl.DataFrame:
    """One row per unit."""
    if options:
        raise InputError(f"{', '.join(options)}: a state of units has no options")
    names = columns.extra.get("unit_names")
    return table_of_columns(columns, {} if names is None else {UNIT: names.tolist()})


def merged_units(tables: list[pl.DataFrame]) -> pl.DataFrame:
    """Units of all parts.

    Raises
    ------
    UnlikePartsError
        If a unit is in several parts, whose quantiles say nothing about those of all its draws.
    """
    if any(table.columns != tables[0].columns for table in tables):
        raise InputError(
            "the states have other outcomes, covariates or weights: merge states alike"
        )
    merged = pl.concat(tables, how="vertical_relaxed")
    if UNIT in merged.columns:
        split = merged.filter(pl.col(UNIT).is_duplicated())
        if split.height:
            raise UnlikePartsError(
                f"the unit {split[UNIT][0]!r} is in several parts: keep the draws of a unit "
                "together, such as by sorting the file by unit"
            )
    return merged
