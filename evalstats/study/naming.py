"""Tables in the names that a study gives to its metrics."""

import polars as pl


def named(frame: pl.DataFrame) -> pl.DataFrame:
    """With the name of the study's metric in place of the metric's own, for the reader."""
    if "metric" not in frame.columns:
        return frame.rename({"name": "metric"})
    several = pl.col("metric").n_unique().over("name") > 1
    both = pl.format("{} ({})", pl.col("metric"), pl.col("name"))
    named = pl.when(several).then(both).otherwise(pl.col("name"))
    return frame.with_columns(named.alias("metric")).drop("name")
