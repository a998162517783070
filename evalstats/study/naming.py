"""Tables in the names that a study gives to its metrics."""

import polars as pl

from evalstats.inference.multiplicity import METHODS


def named(frame: pl.DataFrame) -> pl.DataFrame:
    """With the name of the study's metric in place of the metric's own, for the reader."""
    if "adjust" in frame.columns and frame["name"].n_unique() > 1:
        # Below a table of several metrics, the bare name of a method would claim all its rows.
        own = pl.col("adjust").is_in(METHODS)
        within = pl.format("{} within each metric", pl.col("adjust"))
        frame = frame.with_columns(pl.when(own).then(within).otherwise("adjust").alias("adjust"))
    if "metric" not in frame.columns:
        return frame.rename({"name": "metric"})
    several = pl.col("metric").n_unique().over("name") > 1
    both = pl.format("{} ({})", pl.col("metric"), pl.col("name"))
    named = pl.when(several).then(both).otherwise(pl.col("name"))
    return frame.with_columns(named.alias("metric")).drop("name")
