"""AUROC and AUPRC from mergeable summaries: exact distinct scores, or 65536 bins with bounds."""

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.data.columns import Columns
from evalstats.discrimination.curve_bands import CurveKind, curves_with_bands
from evalstats.discrimination.ranked import Component, Prepared, RankingEstimator
from evalstats.discrimination.state import binned_bounds, score_bins, score_histogram
from evalstats.errors import InputError
from evalstats.inference.methods import RandomSource
from evalstats.inference.permutation import paired_swap_test
from evalstats.inference.units import sample_units
from evalstats.kernels.classes import EXACT_INTEGERS
from evalstats.mergeable import MergeableEstimator
from evalstats.results.estimate import Estimate

Array = NDArray[np.float64]


class MergeableRanking(RankingEstimator, MergeableEstimator):
    """Summaries of binary rankings for the estimators with influence values."""

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
        """Sums of weights by distinct score (exact) or by 16-bit key of the score (binned)."""
        require_options("partial", options, ("state",))
        state = options.get("state", "exact")
        if state not in ("exact", "binned"):
            raise InputError(f"state={state!r}: choose 'exact' or 'binned'")
        if self.multiclass != "raise" or not self._has_influence(columns):
            raise InputError(
                f"{self!r} has no mergeable state: it exists for two classes and the default curve"
            )
        tables = []
        for model, column in columns.models["y_score"].items():
            wide = column.dtype.kind in "iu" and column.dtype.itemsize == 8
            if wide and bool((np.abs(column) > EXACT_INTEGERS).any()):
                raise InputError("y_score has integers beyond 2**53, which a state does not keep")
            scores = column.astype(np.float64) if state == "exact" else score_bins(column)
            rows = slice(None) if columns.weight is None else columns.weight > 0
            weight = None if columns.weight is None else columns.weight[rows]
            sums = score_histogram(scores[rows], columns.single["y_true"][rows], weight)
            tables.append(
                pl.DataFrame(sums._asdict())
                .with_columns(pl.col("scores").cast(pl.Float64))
                .insert_column(0, pl.Series("model", [model] * len(sums.scores), dtype=pl.String))
            )
        return pl.concat(tables)

    def _merge(self, tables: list[pl.DataFrame]) -> pl.DataFrame:
        models = [table["model"].unique(maintain_order=True).to_list() for table in tables]
        if any(names != models[0] for names in models):
            raise InputError(f"the states hold different models: {models}")
        merged = pl.concat(tables).group_by("model", "scores", maintain_order=True).sum()
        order = pl.Enum(models[0])
        return merged.sort(pl.col("model").cast(order), "scores")

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
            One term per model.
        """
        require_options("finalize", options, ("state", "tolerance"))
        state = options.get("state", "exact")
        parts = table.partition_by("model", maintain_order=True)
        names = [str(part["model"][0]) for part in parts]
        summaries = [self._from_sums(part) for part in parts]
        variance = np.array([variance for _, variance, _ in summaries])
        covariance = np.full((len(parts), len(parts)), np.nan)
        np.fill_diagonal(covariance, variance)
        counts = np.array([counts for _, _, counts in summaries])
        sizes = {"n_positive": counts[:, 0], "n_negative": counts[:, 1]}
        support = {name: sizes[name] for name in self.boundary_counts}
        if state == "binned":
            support |= self._bounds(parts, names, options.get("tolerance"))
        notes = ["covariances between models are not kept in a summary"] if len(parts) > 1 else []
        n = int(counts[0].sum())
        return Estimate(
            name=self.metric,
            unit=self.unit,
            n_units=n,
            n_clusters=None,
            inference="analytic",
            level=float(self.level),
            terms=pl.DataFrame({"metric": [self.metric] * len(parts), "model": names}),
            value=np.array([value for value, _, _ in summaries]),
            standard_error=np.sqrt(variance),
            covariance=covariance,
            scale=self.scale,
            interval=(self.interval,) * len(parts),
            support=support,
            higher_is_better=self.higher_is_better,
            notes=tuple(notes),
            method_text=f"{self.metric} from merged {state} summaries of {n} observations.",
            citation_keys=self.citation_keys,
        )

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

    def _from_sums(self, sums: pl.DataFrame) -> tuple[float, float, tuple[float, float]]:
        """Value, variance and class sizes: each distinct score acts as two weighted rows."""
        scores = sums["scores"].to_numpy()
        size = len(scores)
        positive = np.repeat([True, False], size)
        weight = np.concatenate([sums["positive"].to_numpy(), sums["negative"].to_numpy()])
        squares = np.concatenate(
            [sums["positive_squares"].to_numpy(), sums["negative_squares"].to_numpy()]
        )
        count = np.concatenate([sums["n_positive"].to_numpy(), sums["n_negative"].to_numpy()])
        component = Component.of(positive, np.concatenate([scores, scores]))
        value = self._statistic(component, weight)
        influence = self._statistic_influence(component, weight)
        strata = (
            [positive, ~positive] if self._strata_are_classes else [np.ones(2 * size, dtype=bool)]
        )
        variance = sum(
            _stratum_variance(influence[rows], weight[rows], squares[rows], count[rows])
            for rows in strata
        )
        sizes = float(count[:size].sum()), float(count[size:].sum())
        if not np.isfinite(value) and self.on_undefined == "raise":
            raise InputError(
                f"a class is empty in the merged states, so {self.metric} is undefined"
            )
        return value, float(variance), sizes

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


def _stratum_variance(influence: Array, weight: Array, squares: Array, count: Array) -> float:
    m = float(count.sum())
    if m <= 1:
        return float("nan")
    total = float(weight @ influence)
    return m / (m - 1) * (float(squares @ influence**2) - total**2 / m)
