"""Scores that are weighted means of one number per row: balance, Brier score, log loss."""

from abc import abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.calibration.kernels import weighted_moments, weighted_row_means
from evalstats.calibration.probabilities import ProbabilityEstimator
from evalstats.data.columns import Columns
from evalstats.errors import InputError
from evalstats.estimator import Diagnosis
from evalstats.mergeable import MergeableEstimator
from evalstats.results.estimate import Estimate

Array = NDArray[np.float64]
MOMENTS = ("weight", "value", "weight2", "value2", "square2")


@dataclass(frozen=True)
class RowValues:
    """One number per term and row; the estimates are their weighted means over rows."""

    values: Array


class MeanScore(ProbabilityEstimator, MergeableEstimator):
    """Base of the scores that are means over rows; states of parts merge exactly.

    The variance of the mean is ``sum w^2 (f - mean)^2 n / (n - 1) / (sum w)^2``, that of a mean
    over clusters the same with sums over clusters; intervals take Student's t.
    """

    t_reference: ClassVar[bool] = True

    @abstractmethod
    def _row_values(self, columns: Columns) -> Array:
        """Values (k, n) of validated rows, term after term."""

    def _prepare(self, columns: Columns) -> RowValues:
        return RowValues(np.ascontiguousarray(self._row_values(columns)))

    def _evaluate(self, prepared: RowValues, weights: Array) -> Array:
        return weighted_row_means(prepared.values, weights)

    def _influence(self, prepared: RowValues, weights: Array) -> Array:
        means = self._evaluate(prepared, weights)
        return np.asarray(((prepared.values - means[:, np.newaxis]) / weights.sum()).T)

    def _diagnose(self, columns: Columns, prepared: RowValues) -> list[Diagnosis]:
        spread = np.ptp(prepared.values, axis=1)
        if columns.n > 1 and bool((spread == 0).any()):
            message = "every row has the same value: the standard error is 0 and says nothing"
            return [("degenerate-variance", message)]
        return []

    def _analytic_name(self, columns: Columns) -> str:
        if columns.cluster is not None:
            return "the t interval of a mean over clusters"
        return "the t interval of a mean"

    # Mergeable states -----------------------------------------------------------------------

    def _summarise(self, columns: Columns, options: dict[str, Any]) -> pl.DataFrame:
        if options:
            raise InputError(f"{', '.join(options)}: a state of means has no options")
        values = self._prepare(columns).values
        weights = np.ones(columns.n) if columns.weight is None else columns.weight
        moments = weighted_moments(values, weights)
        terms = pl.DataFrame(self._terms(columns))
        return terms.with_columns(
            pl.lit(int((weights > 0).sum())).alias("n"),
            *(pl.Series(name, moments[:, column]) for column, name in enumerate(MOMENTS)),
        )

    def _merge(self, tables: list[pl.DataFrame]) -> pl.DataFrame:
        if any(table.columns != tables[0].columns for table in tables):
            raise InputError("the states have different terms: merge states of the same models")
        keys = [name for name in tables[0].columns if name not in ("n", *MOMENTS)]
        summed = pl.concat(tables).group_by(keys, maintain_order=True)
        merged = summed.agg(pl.col("n").sum(), *(pl.col(name).sum() for name in MOMENTS))
        if merged.height != tables[0].height:
            raise InputError("the states have different terms: merge states of the same models")
        return merged

    def _from_summary(self, table: pl.DataFrame, options: dict[str, Any]) -> Estimate:
        if options:
            raise InputError(f"{', '.join(options)}: a state of means has no options")
        n = table["n"].to_numpy()
        weight, value, weight2, value2, square2 = (table[name].to_numpy() for name in MOMENTS)
        mean = value / weight
        spread = np.clip(square2 - 2 * mean * value2 + mean**2 * weight2, 0.0, None)
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = np.where(n > 1, spread * n / (n - 1.0) / weight**2, np.nan)
        terms = table.drop("n", *MOMENTS)
        counts = n.astype(np.int64)
        columns = Columns(int(counts[0]), {}, {})
        return self._merged_estimate(columns, terms, mean, _diagonal(variance), counts)


def _diagonal(variance: Array) -> Array:
    covariance = np.full((len(variance), len(variance)), np.nan)
    np.fill_diagonal(covariance, variance)
    return covariance


def model_terms(metric: str, columns: Columns) -> list[dict[str, Hashable]]:
    """One term per model."""
    return [{"metric": metric, "model": model} for model in columns.model_names]
