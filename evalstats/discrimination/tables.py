"""States of rankings as tables, and the weighted rows that they stand for.

An exact state has one row for each combination of the scores of all models that occurs, a binned
one a row for each model and bin.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.discrimination.state import score_bins
from evalstats.errors import InputError
from evalstats.inference.influence import covariance_of_counted

Array = NDArray[np.float64]
SUMS = ("positive", "negative", "positive_squares", "negative_squares")
COUNTS = ("n_positive", "n_negative")
SCORE = "score:"
N_BINS = 1 << 16


def exact_table(
    scores: Mapping[str, NDArray[Any]], y_true: NDArray[np.bool_], weight: Array | None
) -> pl.DataFrame:
    """Sums of the rows of equal scores of all models. O(n)."""
    # Adding zero turns -0.0, which groups apart, into 0.0.
    columns = {f"{SCORE}{name}": own.astype(np.float64) + 0.0 for name, own in scores.items()}
    keys, positive = list(columns), pl.col("y")
    counts = [
        positive.sum().cast(pl.Int64).alias("n_positive"),
        (~positive).sum().cast(pl.Int64).alias("n_negative"),
    ]
    if weight is None:
        grouped = pl.DataFrame({**columns, "y": y_true}).group_by(keys).agg(counts)
        alike = dict(zip(SUMS, COUNTS * 2, strict=True))
        grouped = grouped.with_columns(
            pl.col(count).cast(pl.Float64).alias(name) for name, count in alike.items()
        )
    else:
        w = pl.col("w")
        sums = [
            (weights * rows).sum().alias(name)
            for name, weights, rows in zip(
                SUMS, (w, w, w * w, w * w), (positive, ~positive) * 2, strict=True
            )
        ]
        rows = pl.DataFrame({**columns, "y": y_true, "w": weight})
        grouped = rows.group_by(keys, maintain_order=True).agg(*sums, *counts)
    return grouped.select(*keys, *SUMS, *COUNTS).sort(keys)


def binned_table(
    scores: Mapping[str, NDArray[Any]], y_true: NDArray[np.bool_], weight: Array | None
) -> pl.DataFrame:
    """Sums of the rows of each bin of each model. O(n + bins)."""
    tables = []
    for model, column in scores.items():
        place = score_bins(column).astype(np.int64)
        place[y_true] += N_BINS
        counts = np.bincount(place, minlength=2 * N_BINS).reshape(2, N_BINS)
        sums = squares = counts.astype(np.float64)
        if weight is not None:
            sums = _weighted_counts(place, weight)
            squares = _weighted_counts(place, weight**2)
        used = np.flatnonzero(counts.sum(axis=0))
        tables.append(
            pl.DataFrame(
                {
                    "model": pl.Series([model]).new_from_index(0, len(used)),
                    "scores": used.astype(np.float64),
                    "positive": sums[1, used],
                    "negative": sums[0, used],
                    "positive_squares": squares[1, used],
                    "negative_squares": squares[0, used],
                    "n_positive": counts[1, used],
                    "n_negative": counts[0, used],
                }
            )
        )
    return pl.concat(tables)


def _weighted_counts(place: NDArray[np.int64], weight: Array) -> Array:
    return np.bincount(place, weight, 2 * N_BINS).reshape(2, N_BINS).astype(np.float64)


def merged_tables(tables: list[pl.DataFrame]) -> pl.DataFrame:
    """Sums of the rows of all parts."""
    models = [list(_models(table)) for table in tables]
    if any(names != models[0] for names in models):
        raise InputError(f"the states hold different models: {models}")
    keys = [name for name in tables[0].columns if name not in (*SUMS, *COUNTS)]
    merged = pl.concat(tables).group_by(keys, maintain_order=True).sum()
    if "model" in keys:
        return merged.sort(pl.col("model").cast(pl.Enum(models[0])), "scores")
    return merged.sort(keys)


def model_scores(table: pl.DataFrame) -> dict[str, Array]:
    """Scores of the rows of each model."""
    if "model" not in table.columns:
        return {name: table[f"{SCORE}{name}"].to_numpy() for name in _models(table)}
    parts = table.partition_by("model", maintain_order=True)
    return {str(part["model"][0]): part["scores"].to_numpy() for part in parts}


def _models(table: pl.DataFrame) -> list[str]:
    if "model" in table.columns:
        return [str(name) for name in table["model"].unique(maintain_order=True)]
    names = [name for name in table.columns if name.startswith(SCORE)]
    return [name.removeprefix(SCORE) for name in names]


@dataclass(frozen=True)
class Stacked:
    """Rows of a table twice: first as positives, then as negatives.

    Attributes
    ----------
    positive : bool array (2 m,)
        Class of each row.
    weight, squares, count : float64 array (2 m,)
        Summed weight, summed squared weight and number of observations of each row.
    """

    positive: NDArray[np.bool_]
    weight: Array
    squares: Array
    count: Array

    @classmethod
    def of(cls, table: pl.DataFrame) -> "Stacked":
        """Rows of one table."""

        def both(first: str, second: str) -> Array:
            values = np.concatenate([table[first].to_numpy(), table[second].to_numpy()])
            return values.astype(np.float64)

        return cls(
            np.repeat([True, False], table.height),
            both("positive", "negative"),
            both("positive_squares", "negative_squares"),
            both("n_positive", "n_negative"),
        )

    @property
    def sizes(self) -> dict[str, float]:
        """Number of observations of each class."""
        half = len(self.count) // 2
        counts = self.count[:half].sum(), self.count[half:].sum()
        return {"n_positive": float(counts[0]), "n_negative": float(counts[1])}

    @property
    def counted(self) -> bool:
        """Whether every observation has weight 1."""
        return bool((self.weight == self.count).all())

    def covariance(self, influence: Array, rows: NDArray[np.bool_]) -> Array:
        """Covariance that one stratum contributes, from influence values (2 m, k)."""
        sums = (self.weight[rows], self.squares[rows], self.count[rows])
        return covariance_of_counted(influence[rows], *sums)
