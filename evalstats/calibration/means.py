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
MOMENTS = ("weight", "value", "weight2", "value2")
PRODUCTS = "products"
ADDED = ("n", *MOMENTS)
TALLY = "rows:"
SHARED = "same:"
# A relative spread as small as that is what rounding leaves of none.
ROUNDING = 1e-15
DEGENERATE = (
    "degenerate-variance",
    "every row has the same value: the standard error is 0 and says nothing",
)


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
            return [DEGENERATE]
        return []

    def _analytic_name(self, columns: Columns) -> str:
        if columns.cluster is not None:
            return "the t interval of a mean over clusters"
        return "the t interval of a mean"

    # Mergeable states -----------------------------------------------------------------------

    def _summarise(self, columns: Columns, options: dict[str, Any]) -> pl.DataFrame:
        if options:
            raise InputError(f"{', '.join(options)}: a state of means has no options")
        prepared = self._prepare(columns)
        values = prepared.values
        weights = np.ones(columns.n) if columns.weight is None else columns.weight
        moments = weighted_moments(values, weights)
        terms = pl.DataFrame(self._terms(columns))
        tallies = self._tallies(columns, prepared)
        return terms.with_columns(
            *(pl.Series(name, numbers) for name, numbers in tallies.items()),
            pl.lit(int((weights > 0).sum())).alias("n"),
            *(pl.Series(name, moments[:, column]) for column, name in enumerate(MOMENTS)),
            pl.Series(PRODUCTS, moments[:, len(MOMENTS) :].tolist(), pl.List(pl.Float64)),
        )

    def _merge(self, tables: list[pl.DataFrame]) -> pl.DataFrame:
        sums = [name for name in tables[0].columns if name in ADDED or name.startswith(TALLY)]
        keys = [name for name in tables[0].columns if name not in (*sums, PRODUCTS)]
        if any(
            table.columns != tables[0].columns or not table[keys].equals(tables[0][keys])
            for table in tables
        ):
            raise InputError("the states have different terms: merge states of the same models")
        total = tables[0]
        for table in tables[1:]:
            products = _products(total) + _products(table)
            total = total.with_columns(
                *(pl.Series(name, total[name] + table[name]) for name in sums),
                pl.Series(PRODUCTS, products.tolist(), pl.List(pl.Float64)),
            )
        return total

    def _from_summary(self, table: pl.DataFrame, options: dict[str, Any]) -> Estimate:
        if options:
            raise InputError(f"{', '.join(options)}: a state of means has no options")
        n = table["n"].to_numpy().astype(np.int64)
        weight, value, weight2, value2 = (table[name].to_numpy() for name in MOMENTS)
        mean = value / weight
        # All terms have the same rows and weights, so that sums of w^2 f are those of a pair too.
        crossed = np.outer(mean, value2)
        spread = _products(table) - crossed - crossed.T + np.outer(mean, mean) * weight2[0]
        np.fill_diagonal(spread, np.clip(np.diag(spread), 0.0, None))
        factor = n[0] / (n[0] - 1.0) if n[0] > 1 else np.nan
        names = [name for name in table.columns if name.startswith((TALLY, SHARED))]
        extra = {name: table[name].to_list() for name in names}
        terms = table.drop(*ADDED, PRODUCTS, *names)
        weighted = None if weight[0] == n[0] else np.ones(1)
        columns = Columns(int(n[0]), {}, {}, weighted, extra={"terms": terms["model"], **extra})
        covariance = spread * factor / weight[0] ** 2
        found = self._summary_diagnoses(columns)
        if n[0] > 1 and bool((np.diag(spread) <= ROUNDING * mean**2 * weight2).any()):
            found.append(DEGENERATE)
        return self._merged_estimate(columns, terms, mean, covariance, n, found)

    def _tallies(self, columns: Columns, prepared: RowValues) -> dict[str, list[Any]]:  # noqa: ARG002
        """Numbers by term that warnings need.

        Names that begin with ``rows:`` add up over parts; with ``same:`` they must be alike.
        """
        return {}

    def _summary_diagnoses(self, columns: Columns) -> list[Diagnosis]:  # noqa: ARG002
        """Warnings from the tallies of a summary, which are in `columns.extra`."""
        return []

    def _fit_state(self) -> dict[str, Any] | None:
        return {} if self._is_analytic else None


def _products(table: pl.DataFrame) -> Array:
    return np.array(table[PRODUCTS].to_list(), dtype=np.float64)


def model_terms(metric: str, columns: Columns) -> list[dict[str, Hashable]]:
    """One term per model."""
    return [{"metric": metric, "model": model} for model in columns.model_names]
