"""Multiplier draws of an effect curve: uniform bands, and tests of nullity and homogeneity."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.discontinuity.effect import treatment_jump
from evalstats.discontinuity.r3d import consecutive_ranges, gini
from evalstats.discontinuity.weak_first_stage import FirstStage, relative_first_stage
from evalstats.errors import InputError
from evalstats.inference.methods import random_key
from evalstats.options import require_count
from evalstats.results.estimate import Estimate
from evalstats.results.ranges import require_level

if TYPE_CHECKING:
    from evalstats.discontinuity.fitted import FittedDiscontinuity

Array = NDArray[np.float64]
BandKind = Literal["constant", "studentized"]
ROUND_OFF = 1e-9


@dataclass(frozen=True)
class MultiplierBootstrap:
    """Draws of one effect curve about its estimate.

    Attributes
    ----------
    quantiles : float64 array (Q,)
        Levels, in the user's order.
    effect : float64 array (Q,)
        Estimated curve.
    standard_error : float64 array (Q,)
        Standard errors.
    draws : float64 array (B, Q)
        Draws of the estimation error.
    level : float
        Default confidence level.
    sides : tuple of arrays or None
        Both limits and their draws, for R3D's Gini test.
    compat : str or None
        Whose p-values: ours count the estimate itself, R3D's can be 0.
    first_stage : FirstStage or None
        Draws of the jump of the treatment in a fuzzy design.
    """

    quantiles: Array
    effect: Array
    standard_error: Array
    draws: Array
    level: float
    sides: tuple[Array, Array, Array, Array] | None = None
    compat: str | None = None
    first_stage: FirstStage | None = None

    def critical_value(self, level: float | None = None, *, kind: BandKind = "constant") -> float:
        """Order statistic ceil(level (B + 1)) of the largest absolute (studentized) draw.

        Half the width of a band in a sharp design; a fuzzy one needs more, see :meth:`band`.

        Parameters
        ----------
        level : float, optional
            Confidence level.
        kind : {"constant", "studentized"}
            Which band.

        Returns
        -------
        float
            Distance from the curve, or multiple of the standard errors.
        """
        level = self.level if level is None else level
        require_level(level)
        draws = self.draws
        if kind == "studentized":
            varying = self.standard_error > 0
            draws = draws[:, varying] / self.standard_error[varying]
        return self._upper(np.abs(draws).max(axis=1, initial=0.0), level)

    @staticmethod
    def _upper(largest: Array, level: float) -> float:
        largest = np.sort(largest)
        # Rounding must not push level (B + 1) over the next integer.
        rank = ceil(level * (len(largest) + 1) - ROUND_OFF)
        if rank > len(largest):
            needed = ceil(level / (1.0 - level) - ROUND_OFF)
            raise InputError(
                f"n_resamples={len(largest)} is too few for level={level:g}: use at least {needed}"
            )
        return float(largest[rank - 1])

    def band(
        self, level: float | None = None, *, kind: BandKind = "constant"
    ) -> tuple[Array, Array]:
        """Uniform confidence band of the curve.

        In a fuzzy design it inverts tests of the Anderson-Rubin type, since the error of the
        treatment's jump depends on the effect: a curve at a distance is compared with draws that
        hold if it is the true one. The band is then not symmetric, and infinite where the jump of
        the treatment cannot be told from zero.

        Parameters
        ----------
        level : float, optional
            Confidence level.
        kind : {"constant", "studentized"}
            Equal width, or width proportional to the standard error.

        Returns
        -------
        low, high : float64 array (Q,)
            Limits of the band.
        """
        level = self.level if level is None else level
        critical = self.critical_value(level, kind=kind)
        first = self.first_stage
        if first is None:
            half = critical * (self.standard_error if kind == "studentized" else 1.0)
            return self.effect - half, self.effect + half
        if kind == "studentized":
            lower, upper = first.studentized_reach(critical, self.standard_error)
            return self.effect - lower, self.effect + upper
        below, above = first.constant_reach(
            self.draws, critical, lambda largest: self._upper(largest, level)
        )
        return self.effect - below, self.effect + above

    def _draws_under(self, curve: Array) -> Array:
        """Draws of the error if `curve` is the true effect."""
        if self.first_stage is None:
            return self.draws
        return self.draws + np.outer(self.first_stage.draws, self.effect - curve)

    def tests(
        self, ranges: Sequence[Sequence[float]] | None = None, level: float | None = None
    ) -> pl.DataFrame:
        """Tests that the effect is zero (nullity) or the same (homogeneity) over ranges.

        Parameters
        ----------
        ranges : sequence of sequences of float, optional
            Ranges of quantiles, inclusive; more than two points mean consecutive ranges. The whole
            grid by default.
        level : float, optional
            Confidence level of the critical values.

        Returns
        -------
        polars.DataFrame
            ``test``, ``low``, ``high``, ``statistic``, ``critical_value``, ``p_value``. With
            ``compat="r3d"`` also its Gini test, which is not valid.
        """
        level = self.level if level is None else level
        require_level(level)
        pairs = self._checked_ranges(ranges)
        rows = [self._supremum_test("nullity", pair, level) for pair in pairs]
        rows += [self._supremum_test("homogeneity", pair, level) for pair in pairs]
        if self.compat == "r3d" and self.sides is not None:
            rows.append(self._reference_gini(level))
        return pl.DataFrame(rows)

    def _checked_ranges(
        self, ranges: Sequence[Sequence[float]] | None
    ) -> list[tuple[float, float]]:
        given = None if ranges is None else [[float(p) for p in points] for points in ranges]
        if given is not None and any(len(points) < 2 for points in given):
            raise InputError("ranges needs at least two points in each range")
        pairs = consecutive_ranges(given, self.quantiles)
        lowest, highest = float(self.quantiles.min()), float(self.quantiles.max())
        for low, high in pairs:
            inside = self._inside((low, high))
            if not lowest - ROUND_OFF <= low <= high <= highest + ROUND_OFF:
                raise InputError(
                    f"ranges has [{low:g}, {high:g}], which leaves the grid "
                    f"[{lowest:g}, {highest:g}]"
                )
            if inside.sum() < 2 and len(self.quantiles) > 1:
                raise InputError(
                    f"ranges has [{low:g}, {high:g}] with fewer than 2 quantiles: widen it"
                )
        return pairs

    def _inside(self, pair: tuple[float, float]) -> NDArray[np.bool_]:
        low, high = pair
        q = self.quantiles
        # 0.1 may be 1/10 or a rounded sum; R3D compares the bits.
        slack = 0.0 if self.compat == "r3d" else ROUND_OFF
        return np.asarray((q >= low - slack) & (q <= high + slack))

    def _supremum_test(self, test: str, pair: tuple[float, float], level: float) -> dict[str, Any]:
        inside = self._inside(pair)
        true = 0.0 if test == "nullity" else float(self.effect[inside].mean())
        draws = self._draws_under(np.full(len(self.effect), true))[:, inside]
        effect = self.effect[inside] - true
        if test == "homogeneity":
            draws = draws - draws.mean(axis=1, keepdims=True)
        statistic = float(np.abs(effect).max())
        return self._row(test, pair, statistic, np.abs(draws).max(axis=1), level)

    def _reference_gini(self, level: float) -> dict[str, Any]:
        if self.sides is None:
            raise AssertionError("checked by the caller")
        below, above, low_draws, high_draws = self.sides
        q = self.quantiles
        statistic = abs(gini(q, above) - gini(q, below))
        drawn = np.array(
            [
                abs(gini(q, above + high) - gini(q, below + low))
                for low, high in zip(low_draws, high_draws, strict=True)
            ]
        )
        pair = (float(q.min()), float(q.max()))
        return self._row("gini", pair, statistic, drawn[np.isfinite(drawn)], level)

    def _row(
        self, test: str, pair: tuple[float, float], statistic: float, drawn: Array, level: float
    ) -> dict[str, Any]:
        exceeding = int((drawn >= statistic).sum())
        p_value = (1.0 + exceeding) / (len(drawn) + 1.0)
        if self.compat == "r3d":
            p_value = exceeding / len(drawn) if len(drawn) and np.isfinite(statistic) else np.nan
        return {
            "test": test,
            "low": pair[0],
            "high": pair[1],
            "statistic": statistic,
            "critical_value": float(np.quantile(drawn, level)) if len(drawn) else np.nan,
            "p_value": p_value,
        }


def gaussian_multipliers(
    rdd: "FittedDiscontinuity", n_resamples: int, rng: int, conditions: Mapping[str, object]
) -> MultiplierBootstrap:
    """Draws under Gaussian multipliers, which are exactly N(0, covariance). O(Q^3 + B Q^2)."""
    require_count("n_resamples", n_resamples)
    curve = _one_curve(rdd.estimate_, conditions)
    if not bool(np.isfinite(curve.covariance).all()):
        raise InputError("the estimate has no covariance: fit with Analytic() or Bootstrap()")
    fuzzy = rdd.compat is None and "treatment" in rdd._fitted_columns().single
    covariance = curve.covariance
    if fuzzy:
        covariance = relative_first_stage(rdd._joint().select(**_named(curve)))
    roots, vectors = np.linalg.eigh(covariance)
    keep = roots > 1e-14 * max(float(roots[-1]), 0.0)
    scale = vectors[:, keep] * np.sqrt(roots[keep])
    seed = np.random.SeedSequence(random_key(rng))
    normals = np.random.Generator(np.random.Philox(seed)).standard_normal(
        (int(n_resamples), scale.shape[1])
    )
    drawn = normals @ scale.T
    size = len(curve)
    return MultiplierBootstrap(
        curve.terms["quantile"].to_numpy(),
        curve.value,
        curve.standard_error,
        drawn[:, :size],
        rdd.level,
        first_stage=FirstStage(drawn[:, size], covariance[size]) if fuzzy else None,
    )


def given_multipliers(
    rdd: "FittedDiscontinuity", multipliers: Array, conditions: Mapping[str, object]
) -> MultiplierBootstrap:
    """Draws under the user's own multipliers of the units, one column for each draw."""
    columns = rdd._fitted_columns()
    curve = _one_curve(rdd.estimate_, conditions)
    if columns.group is not None:
        raise InputError("multipliers cannot be given together with by=: fit one group")
    if multipliers.ndim != 2 or len(multipliers) != columns.n:
        raise InputError(
            f"multipliers has shape {multipliers.shape}: pass one row per unit ({columns.n}) and "
            "one column per draw"
        )
    if not bool(np.isfinite(multipliers).all()):
        raise InputError("multipliers holds NaN or infinite values")
    model = curve.terms["model"][0]
    single = columns.with_columns(models={"outcome": {model: columns.models["outcome"][model]}})
    prepared = rdd._prepare(single)
    mass = prepared.weights[:, np.newaxis]
    draws = multipliers.T @ (mass * rdd._influence(prepared, prepared.weights))
    sides = None
    if rdd.compat == "r3d":
        size = len(curve)
        view = rdd._joint_view()
        limits = view._evaluate(prepared, prepared.weights)
        moved = multipliers.T @ view._influence(prepared, prepared.weights)
        sides = limits[:size], limits[size : 2 * size], moved[:, :size], moved[:, size : 2 * size]
    first_stage = None
    if rdd.compat is None and "treatment" in columns.single:
        jump = rdd._joint_view()._influence(prepared, prepared.weights)[:, -1:]
        covariance = relative_first_stage(rdd._joint().select(**_named(curve)))
        moved = (multipliers.T @ (mass * jump))[:, 0]
        relative = moved / (treatment_jump(prepared, prepared.weights) or np.nan)
        first_stage = FirstStage(relative, covariance[-1])
    return MultiplierBootstrap(
        curve.terms["quantile"].to_numpy(),
        curve.value,
        curve.standard_error,
        draws,
        rdd.level,
        sides,
        rdd.compat,
        first_stage,
    )


def banded_frame(
    rdd: "FittedDiscontinuity", level: float, kind: BandKind, n_resamples: int, rng: int
) -> pl.DataFrame:
    """All curves with pointwise intervals and a uniform band for each."""
    if kind not in ("constant", "studentized"):
        raise InputError(f"kind={kind!r} is unknown: choose 'constant' or 'studentized'")
    parts = []
    for conditions in _curves(rdd.estimate_):
        curve = rdd.estimate_.select(**conditions)
        low, high = gaussian_multipliers(rdd, n_resamples, rng, conditions).band(level, kind=kind)
        parts.append(
            curve.to_frame(level).with_columns(
                pl.Series("band_low", low), pl.Series("band_high", high)
            )
        )
    return pl.concat(parts)


def _curves(estimate: Estimate) -> list[dict[str, object]]:
    names = [name for name in ("model", "group") if name in estimate.terms.columns]
    columns = [estimate.terms[name].to_list() for name in names]
    return [dict(zip(names, key, strict=True)) for key in dict.fromkeys(zip(*columns, strict=True))]


def _named(curve: Estimate) -> dict[str, object]:
    """Conditions that select one curve."""
    return _curves(curve)[0]


def _one_curve(estimate: Estimate, conditions: Mapping[str, object]) -> Estimate:
    curve = estimate.select(**conditions) if conditions else estimate
    curves = _curves(curve)
    if len(curves) > 1:
        shown = ", ".join(str(names) for names in curves)
        raise InputError(f"there are several curves ({shown}): choose one, such as model=...")
    return curve
