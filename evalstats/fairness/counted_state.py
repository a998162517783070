"""States of statistics of pairs of rows: distinct rows, and how often each of them occurs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from evalstats.data.columns import Columns
from evalstats.data.counted_rows import (
    FEW_DISTINCT,
    counted_columns,
    counted_table,
    merged_counts,
)
from evalstats.data.intake import collect_columns
from evalstats.data.state import State
from evalstats.errors import InputError
from evalstats.inference.influence import covariance_of_counted
from evalstats.mergeable import MergeableEstimator
from evalstats.results.estimate import Estimate


class CountedRowsEstimator(MergeableEstimator):
    """Base of an estimator whose weights act as masses at the distinct rows.

    Pairs of rows of two parts need the rows of both, but equal rows may be counted: with discrete
    predictions and attributes a state is as long as there are cells.
    """

    def _state_columns(
        self, arguments: Mapping[str, object], data: object, sample_weight: object
    ) -> Columns:
        # Levels and their order are those of all parts: they are read when all are known.
        self._check_params()
        policy = self.nan_policy
        return collect_columns(
            self.roles, arguments, data=data, sample_weight=sample_weight, nan_policy=policy
        )

    def _summarise(self, columns: Columns, options: dict[str, Any]) -> pl.DataFrame:
        if options:
            raise InputError(f"{', '.join(options)}: a state of counted rows has no options")
        return counted_table(columns)

    def _merge(self, tables: list[pl.DataFrame]) -> pl.DataFrame:
        return merged_counts(tables)

    def _state_pays(self, state: State, n: int) -> bool:
        return state.table.height <= n // FEW_DISTINCT

    def _fit_state(self) -> dict[str, Any] | None:
        return {} if self._is_analytic else None

    def _from_summary(self, table: pl.DataFrame, options: dict[str, Any]) -> Estimate:  # noqa: ARG002
        rows, weight, squares, count = counted_columns(table)
        n = int(count.sum())
        columns = self._validate(replace(rows, weight=weight, extra={"n_observed": n}))
        prepared = self._prepare(columns)
        value = self._evaluate(prepared, weight)
        self._require_defined(columns, prepared, value)
        covariance = covariance_of_counted(
            self._influence(prepared, weight), weight, squares, count
        )
        terms = pl.DataFrame(self._terms(columns))
        found = self._diagnose(columns, prepared)
        if bool((weight == count).all()):
            columns = replace(columns, weight=None)
        counts = np.full(len(value), n)
        return self._merged_estimate(columns, terms, value, covariance, counts, found)
