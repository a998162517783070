"""AUROC and AUPRC from mergeable summaries: exact distinct scores, or 65536 bins with bounds."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.data.columns import Columns
from evalstats.data.counted_rows import FEW_DISTINCT
from evalstats.data.state import State
from evalstats.discrimination.curve_bands import CurveKind, curves_with_bands
from evalstats.discrimination.ranked import Component, Prepared, RankingEstimator
from evalstats.discrimination.second_pass import (
    influence_by_bin,
    joint_covariance,
    row_products,
)
from evalstats.discrimination.state import binned_bounds
from evalstats.discrimination.tables import (
    Stacked,
    binned_table,
    exact_table,
    merged_tables,
    model_scores,
)
from evalstats.errors import InputError
from evalstats.inference.methods import RandomSource
from evalstats.inference.permutation import paired_swap_test
from evalstats.inference.units import sample_units
from evalstats.kernels.ranking import EXACT_INTEGERS
from evalstats.mergeable import NOT_JOINT, MergeableEstimator
from evalstats.results.estimate import Estimate

Array = NDArray[np.float64]


class MergeableRanking(RankingEstimator, MergeableEstimator):
    """Summaries of binary rankings for the estimators with influence values."""

    states: ClassVar[tuple[str, ...]] = ("exact", "binned")

    def permutation_test(
        self,
        first: str,
        second: str,
        *,
        n_resamples: int = 9999,
        alternative: str = "two-sided",
        rng: RandomSource = None,
    ) -> pl.DataFrame:
        """Test two models as exchangeable by swapping their mid-ranks unit by unit.

        Unlike the Wald test it needs no variance, and so serves tiny or degenerate samples
        (Bandos, Rockette and Gur 2005). It tests that the two rankings are exchangeable, which is
        more than equality of the two areas.

        Parameters
        ----------
        first, second : str
            Names of the models; the difference is first - second.
        n_resamples : int, default 9999
            Random swaps; the p-value is (1 + count) / (n_resamples + 1) and counts ties.
        alternative : {"two-sided", "greater", "less"}
            Direction of the alternative.
        rng : int, SeedSequence, Generator or None
            Source of randomness.

        Returns
        -------
        polars.DataFrame
            ``metric``, ``model``, ``reference``, ``estimate``, ``p_value``, ``n_resamples``.

        Raises
        ------
        InputError
            If a model is unknown, or there are several classes or groups.

        Notes
        -----
        O(n_resamples n log n).
        """
        from scipy.stats import rankdata

        columns = self._fitted_columns()
        scores = columns.models["y_score"]
        for name in (first, second):
            if name not in scores:
                raise InputError(f"{name!r} is no model: choose from {list(scores)}")
        if self.multiclass != "raise" or columns.group is not None:
            raise InputError("the permutation test compares two models on one binary sample")
        ranks = np.stack([rankdata(scores[name]) for name in (first, second)])
        y_true = columns.single["y_true"]
        units = sample_units(columns)

        def difference(swap: NDArray[np.bool_]) -> float:
            mixed = np.where(swap, ranks[::-1], ranks)
            values = [self._statistic(Component.of(y_true, row), units.row_weight) for row in mixed]
            return values[0] - values[1]

        estimate, p_value = paired_swap_test(difference, units, n_resamples, alternative, rng)
        return pl.DataFrame(
            {
                "metric": [self.metric],
                "model": [first],
                "reference": [second],
                "estimate": [estimate],
                "p_value": [p_value],
                "n_resamples": [n_resamples],
            }
        )

    def _summarise(self, columns: Columns, options: dict[str, Any]) -> pl.DataFrame:
        """Sums of weights by distinct scores (exact) or by 16-bit key of a score (binned)."""
        require_options("partial", options, ("state",))
        state = options.get("state", "exact")
        if state not in ("exact", "binned"):
            raise InputError(f"state={state!r}: choose 'exact' or 'binned'")
        if self.multiclass != "raise" or not self._has_influence(columns):
            raise InputError(
                f"{self!r} has no mergeable state: it exists for two classes and the default curve"
            )
        rows = slice(None) if columns.weight is None else columns.weight > 0
        weight = None if columns.weight is None else columns.weight[rows]
        y_true = columns.single["y_true"][rows]
        scores = {name: column[rows] for name, column in columns.models["y_score"].items()}
        if state == "binned":
            return binned_table(scores, y_true, weight)
        for column in scores.values():
            wide = column.dtype.kind in "iu" and column.dtype.itemsize == 8
            if wide and bool((np.abs(column) > EXACT_INTEGERS).any()):
                raise InputError("y_score has integers beyond 2**53, which a state does not keep")
        return exact_table(scores, y_true, weight)

    def _merge(self, tables: list[pl.DataFrame]) -> pl.DataFrame:
        return merged_tables(tables)

    def _fit_state(self) -> dict[str, Any] | None:
        mergeable = self.multiclass == "raise" and self._has_influence(Columns(0, {}, {}))
        return {"state": "exact"} if mergeable and self._is_analytic else None

    def _state_pays(self, state: State, n: int) -> bool:
        return state.table.height <= n // FEW_DISTINCT

    def _summary_key(self, options: dict[str, Any]) -> str:
        # The sums are the same for every statistic of the ranking.
        return f"ranking {self.pos_label!r} {self.direction} {options.get('state', 'exact')}"

    def _from_summary(self, table: pl.DataFrame, options: dict[str, Any]) -> Estimate:
        """Estimate with standard errors; binned states carry rigorous bounds.

        Parameters
        ----------
        table : polars.DataFrame
            Merged summary.
        options : dict
            ``state``, what the summary holds ("exact" or "binned"), and ``tolerance``, the largest
            acceptable half-width of the bounds of a binned state.

        Returns
        -------
        Estimate
            One term per model; their covariances only from an exact state, which holds rows of
            equal scores of all models.
        """
        require_options("finalize", options, ("state", "tolerance"))
        binned = options.get("state", "exact") == "binned"
        models = model_scores(table)
        parts = table.partition_by("model", maintain_order=True) if binned else [table]
        stacks = [Stacked.of(part) for part in parts]
        found = [
            self._of_stack(stack, scores)
            for stack, scores in zip(
                stacks if binned else stacks * len(models), models.values(), strict=True
            )
        ]
        value = np.array([value for value, _ in found])
        if binned:
            covariance = np.full((len(found), len(found)), np.nan)
            for place, (stack, (_, influence)) in enumerate(zip(stacks, found, strict=True)):
                covariance[place, place] = self._stack_covariance(stack, influence[:, None])[0, 0]
        else:
            influence = np.column_stack([influence for _, influence in found])
            covariance = self._stack_covariance(stacks[0], influence)
        sizes = stacks[0].sizes
        support = {name: np.full(len(found), sizes[name]) for name in self.boundary_counts}
        if binned:
            support |= self._bounds(parts, list(models), options.get("tolerance"))
        n = np.full(len(found), int(sum(sizes.values())))
        terms = pl.DataFrame({"metric": [self.metric] * len(models), "model": list(models)})
        counted = None if stacks[0].counted else np.ones(1)
        columns = Columns(int(n[0]), {}, {}, counted, extra=sizes)
        return replace(self._merged_estimate(columns, terms, value, covariance, n), support=support)

    def _second_pass(self, state: State) -> Callable[[Columns], Array] | None:
        if "model" not in state.table.columns or state.table["model"].n_unique() < 2:
            return None
        influence = {}
        for part in state.table.partition_by("model", maintain_order=True):
            stack, bins = Stacked.of(part), part["scores"].to_numpy()
            found = self._of_stack(stack, bins)[1]
            influence[str(part["model"][0])] = influence_by_bin(bins, found)
        return partial(row_products, influence=influence)

    def _with_second_pass(self, estimate: Estimate, total: Array) -> Estimate:
        covariance = joint_covariance(total, self._strata_are_classes)
        return replace(
            estimate,
            covariance=covariance,
            standard_error=np.sqrt(np.diag(covariance)),
            notes=tuple(note for note in estimate.notes if note != NOT_JOINT),
        )

    def _of_stack(self, stack: Stacked, scores: Array) -> tuple[float, Array]:
        """Value and influence of one model; each distinct score acts as two weighted rows."""
        component = Component.of(stack.positive, np.concatenate([scores, scores]))
        value = self._statistic(component, stack.weight)
        if not np.isfinite(value) and self.on_undefined == "raise":
            raise InputError(
                f"a class is empty in the merged states, so {self.metric} is undefined"
            )
        return value, self._statistic_influence(component, stack.weight)

    def _stack_covariance(self, stack: Stacked, influence: Array) -> Array:
        masks = [stack.positive, ~stack.positive]
        if not self._strata_are_classes:
            masks = [np.ones(len(stack.positive), dtype=bool)]
        covariance: Array = sum(stack.covariance(influence, rows) for rows in masks)  # type: ignore[assignment]
        return covariance

    @staticmethod
    def _sample_size(columns: Columns) -> tuple[int, int]:
        """Numbers of rows and of positives."""
        positives = columns.extra.get("n_positive")
        if positives is None:
            positives = np.count_nonzero(columns.single["y_true"])
        return columns.n, int(positives)

    interval: str
    curve_kind: ClassVar[CurveKind]
    bounds_prefix: ClassVar[str]
    boundary_counts: ClassVar[tuple[str, ...]]

    @property
    @abstractmethod
    def _strata_are_classes(self) -> bool:
        """Whether the standard error takes the class sizes as fixed."""

    def _design_strata(self, columns: Columns) -> NDArray[np.int64] | None:
        return columns.single["y_true"].astype(np.int64) if self._strata_are_classes else None

    def _support(self, columns: Columns, prepared: Prepared) -> dict[str, Array]:
        counts = super()._support(columns, prepared)
        return {name: counts[name] for name in self.boundary_counts}

    def curves(self, *, n_resamples: int = 200) -> pl.DataFrame:
        """Curve of every model on a grid, with a pointwise bootstrap band.

        Parameters
        ----------
        n_resamples : int, default 200
            Replicates of the band; 0 for the curve alone.

        Returns
        -------
        polars.DataFrame
            ``model``, ``x``, ``y``, ``low``, ``high`` and ``area_label`` for a legend.
        """
        columns = self._fitted_columns()
        frame = curves_with_bands(
            columns, self.curve_kind, level=self.level, n_resamples=n_resamples
        )
        estimates = self.estimate_.to_frame()
        labels = [
            f"{row['model']} {row['estimate']:.3f} [{row['ci_low']:.3f}, {row['ci_high']:.3f}]"
            for row in estimates.iter_rows(named=True)
        ]
        return frame.with_columns(
            pl.Series("area_label", np.repeat(labels, len(frame) // len(labels)))
        )

    def _bounds(
        self, parts: list[pl.DataFrame], names: list[str], tolerance: float | None
    ) -> dict[str, Array]:
        limits = []
        for name, part in zip(names, parts, strict=True):
            bounds = binned_bounds(part["positive"].to_numpy(), part["negative"].to_numpy())
            low = getattr(bounds, f"{self.bounds_prefix}_low")
            high = getattr(bounds, f"{self.bounds_prefix}_high")
            if tolerance is not None and (high - low) / 2 > tolerance:
                raise InputError(
                    f"the binned state bounds {self.metric} of {name!r} to "
                    f"[{low:.6g}, {high:.6g}], wider than tolerance={tolerance}: use state='exact'"
                )
            limits.append((low, high))
        low_high = np.array(limits)
        return {"bound_low": low_high[:, 0], "bound_high": low_high[:, 1]}


def require_options(method: str, options: dict[str, Any], known: tuple[str, ...]) -> None:
    """Refuse options that the state does not have."""
    for name in options:
        if name not in known:
            raise InputError(f"{method} has no option {name!r}: choose from {', '.join(known)}")
