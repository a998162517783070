"""Which interval each term of an estimate gets, at any level."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evalstats.errors import InputError
from evalstats.inference import intervals, simultaneous
from evalstats.inference.confidence_curve import ConfidenceCurve, curve_interval
from evalstats.inference.scales import SCALES, on_scale

if TYPE_CHECKING:
    from evalstats.results.estimate import Estimate

Array = NDArray[np.float64]
Limits = tuple[Array, Array]
ROUND_OFF = 1e-13


def require_level(level: object) -> None:
    """Refuse a confidence level outside (0, 1)."""
    number = isinstance(level, int | float | np.integer | np.floating)
    if not number or not 0 < level < 1:  # type: ignore[operator]
        raise InputError(f"level={level!r}: a confidence level lies strictly between 0 and 1")


def marginal_intervals(estimate: "Estimate", level: float) -> Limits:
    """Interval of each term by its own method; ends of the range get an exact interval."""
    low = np.full(len(estimate), np.nan)
    high = np.full(len(estimate), np.nan)
    for name in dict.fromkeys(estimate.interval):
        rows = np.flatnonzero([code == name for code in estimate.interval])
        low[rows], high[rows] = _named_interval(estimate, name, rows, level)
    for row in np.flatnonzero(_degenerate(estimate)):
        low[row], high[row] = _boundary_interval(estimate, int(row), level)
    return low, high


def _named_interval(
    estimate: "Estimate", name: str, rows: NDArray[np.int64], level: float
) -> Limits:
    value = estimate.value[rows]
    error = estimate.standard_error[rows]
    critical = intervals.critical_value(level, estimate.df[rows])
    scale = estimate.scale
    if name == "wald" or name in SCALES:
        used = "identity" if name == "wald" else name
        return intervals.wald_interval(value, error, critical, used, scale)  # type: ignore[arg-type]
    if name == "binomial_logit":
        return intervals.binomial_logit_interval(
            value, estimate.support["n_positive"][rows], critical
        )
    if name == "small_sample":
        positives = estimate.support["n_positive"][rows]
        return intervals.small_sample_interval(value, error, positives, level, estimate.df[rows])
    if name == "newcombe":
        limits = [_boundary_interval(estimate, int(row), level) for row in rows]
        return np.array([low for low, _ in limits]), np.array([high for _, high in limits])
    if name == "confidence_curve":
        support = estimate.support
        curve = (support[f"curve_{part}"][:, rows] for part in ("value", "above", "below"))
        return curve_interval(ConfidenceCurve(*curve), level)
    if estimate.replicates is None:
        return np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    replicates = estimate.replicates[:, rows]
    if name == "expanded":
        return intervals.expanded_interval(replicates, level, _averaged_units(estimate)[rows])
    if name == "basic":
        truth = estimate.support.get("replicate_truth", estimate.value)[rows]
        return intervals.basic_interval(value, replicates, level, scale, truth)
    if name == "bias_corrected":
        bias = estimate.support["bias"][rows]
        return intervals.bias_corrected_interval(value, error, bias, critical, scale)
    if name == "bca":
        speed = estimate.support["acceleration"][rows]
        return intervals.bca_interval(value, replicates, speed, level)
    if name == "studentized":
        covariance = estimate.support["replicate_covariance"][:, rows, rows]
        return intervals.studentized_interval(
            value, error, replicates, np.sqrt(covariance), level, scale
        )
    return intervals.percentile_interval(replicates, level)


def _averaged_units(estimate: "Estimate") -> NDArray[np.float64]:
    """Units that each value averages: all of them, or those of the class that it is a mean of."""
    units = estimate.residual_df + 1.0
    return np.minimum(units, estimate.support.get("n_positive", units))


def _degenerate(estimate: "Estimate") -> NDArray[np.bool_]:
    """Terms at the end of their range, or with an exact interval where the variance is zero."""
    limits = SCALES[estimate.scale]
    at_end = (estimate.value <= limits.low) | (estimate.value >= limits.high)
    degenerate = at_end & (not limits.closed)
    if "n_negative" in estimate.support:
        exact = np.array([name != "wald" for name in estimate.interval])
        degenerate |= exact & (estimate.standard_error <= ROUND_OFF)
    return degenerate & np.isfinite(estimate.value) & (estimate.inference != "none")


def _boundary_interval(estimate: "Estimate", row: int, level: float) -> tuple[float, float]:
    value = float(estimate.value[row])
    support = estimate.support
    if "n_positive" not in support:
        return np.nan, np.nan
    positives = float(support["n_positive"][row])
    if "n_negative" in support:
        critical = float(intervals.critical_value(level, np.array([np.inf]))[0])
        negatives = float(support["n_negative"][row])
        return intervals.newcombe_interval(value, positives, negatives, critical)
    # One end is the estimate itself, the other is Clopper and Pearson's for all or no successes.
    tail = ((1 - level) / 2) ** (1 / positives)
    top = SCALES[estimate.scale].high
    return (top * tail, top) if value >= top else (0.0, top * (1.0 - tail))


def simultaneous_band(estimate: "Estimate", level: float) -> Limits:
    """Sup-t band on the natural scale, from the replicates or the joint covariance."""
    centre, spread = on_scale(estimate.value, estimate.standard_error, estimate.scale)
    usable = np.isfinite(centre) & np.isfinite(spread)
    if estimate.replicates is not None and bool(usable.any()):
        with np.errstate(divide="ignore", invalid="ignore"):
            moved = SCALES[estimate.scale].forward(estimate.replicates[:, usable])
        moved[~np.isfinite(moved)] = np.nan
        truth = estimate.support.get("replicate_truth", estimate.value)
        middle = SCALES[estimate.scale].forward(truth[usable])
        maxima = simultaneous.replicate_maxima(middle, spread[usable], moved)
        critical = float(np.nanquantile(maxima, level))
    else:
        critical = simultaneous.sup_t_critical_value(
            estimate.covariance, level, float(np.min(estimate.df))
        )
    low, high = intervals.wald_interval(
        estimate.value,
        estimate.standard_error,
        np.full(len(estimate), critical),
        estimate.scale,
        estimate.scale,
    )
    bonferroni = 1 - (1 - level) / len(estimate)
    for row in np.flatnonzero(_degenerate(estimate)):
        low[row], high[row] = _boundary_interval(estimate, int(row), bonferroni)
    return low, high
