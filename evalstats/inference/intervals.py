"""Confidence intervals of single estimates, by name.

``logit`` and ``log`` are Wald intervals on the natural scale; ``wald`` is clipped to the range;
``newcombe`` is method 5 of Newcombe (2006) and also serves AUROC at 0 and 1; ``binomial_logit`` is
the interval of Boyd, Eng and Page (2013) for average precision.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from evalstats.inference.scales import SCALES, ScaleName, on_scale

Array = NDArray[np.float64]


def critical_value(level: float, df: Array) -> Array:
    """Two-sided critical value: Student t, or normal where df is infinite."""
    from scipy import stats

    tail = 0.5 + level / 2.0
    finite = np.isfinite(df)
    value = np.full(np.shape(df), stats.norm.ppf(tail))
    value[finite] = stats.t.ppf(tail, df[finite])
    return value


def wald_interval(
    value: Array, standard_error: Array, critical: Array, scale: ScaleName, clip: ScaleName
) -> tuple[Array, Array]:
    """Value -+ critical x standard error on `scale`, back-transformed and clipped to the range."""
    centre, spread = on_scale(value, standard_error, scale)
    transform = SCALES[scale]
    limits = SCALES[clip]
    low = np.clip(transform.inverse(centre - critical * spread), limits.low, limits.high)
    high = np.clip(transform.inverse(centre + critical * spread), limits.low, limits.high)
    return low, high


def newcombe_interval(value: float, m: float, n: float, critical: float) -> tuple[float, float]:
    """Newcombe's method 5 for AUROC with m positives and n negatives; never a single point.

    Solves ``|t - theta| = z sqrt(V(theta))`` with ``V = theta (1 - theta) / (m n) * (1 + (N - 1)
    ((1 - theta) / (2 - theta) + theta / (1 + theta)))``, ``N = (m + n) / 2`` (Newcombe 2006).
    """

    def excess(theta: float) -> float:
        spread = (1 - theta) / (2 - theta) + theta / (1 + theta)
        variance = theta * (1 - theta) / (m * n) * (1 + ((m + n) / 2 - 1) * spread)
        return (value - theta) ** 2 - critical**2 * variance

    # The variance vanishes at 0 and 1, and rounding tells nothing that close to them: an interval
    # whose limit would lie there reaches the end of the range.
    first, last = 1e-12, 1 - 1e-12
    low = 0.0 if value <= first or excess(first) <= 0 else _root(excess, first, min(value, last))
    high = 1.0 if value >= last or excess(last) <= 0 else _root(excess, last, max(value, first))
    return low, high


def _root(function: Callable[[float], float], end: float, value: float) -> float:
    """Root between an end of the range and the estimate, which it may equal up to rounding."""
    from scipy import optimize

    if function(value) >= 0:
        return value
    return float(optimize.brentq(function, end, value, xtol=1e-14))


def binomial_logit_interval(
    value: Array, n_positive: Array, critical: Array
) -> tuple[Array, Array]:
    """Boyd's interval for AP: logit scale with standard error 1 / sqrt(n t (1 - t))."""
    from scipy import special

    with np.errstate(divide="ignore", invalid="ignore"):
        centre = special.logit(value)
        spread = 1.0 / np.sqrt(n_positive * value * (1.0 - value))
        return special.expit(centre - critical * spread), special.expit(centre + critical * spread)


def small_sample_interval(
    value: Array, standard_error: Array, n_positive: Array, level: float, df: Array
) -> tuple[Array, Array]:
    """Logit interval for a mean over few positives, such as average precision.

    A sample in which the mean came out small understates its error: the relative error is taken to
    be at least that of a Poisson count of n t, ``1 / sqrt(n t)``, and the reference is a t
    distribution with at most n - 1 degrees of freedom. Both corrections vanish as n grows.
    """
    critical = critical_value(level, np.minimum(df, np.maximum(n_positive - 1.0, 1.0)))
    with np.errstate(divide="ignore", invalid="ignore"):
        least = value * (1.0 - value) / np.sqrt(n_positive * value)
    return wald_interval(value, np.fmax(standard_error, least), critical, "logit", "logit")


def percentile_interval(replicates: Array, level: float) -> tuple[Array, Array]:
    """Equal-tailed quantiles of the replicates."""
    tail = (1.0 - level) / 2.0
    # Between infinite replicates nothing can be interpolated: NaN, not a warning.
    with np.errstate(invalid="ignore"):
        low, high = np.quantile(replicates, [tail, 1.0 - tail], axis=0)
    return low, high


def expanded_interval(replicates: Array, level: float, n: Array) -> tuple[Array, Array]:
    """Quantiles further out by as much as percentiles of a mean of n units fall short.

    The variance of a resample is that of the data times (n - 1) / n, and its quantiles are normal
    rather than Student's: the tail becomes ``Phi(-sqrt(n / (n - 1)) t)`` (Hesterberg 2015).
    """
    from scipy import stats

    factor = np.sqrt(n / np.maximum(n - 1.0, 1.0))
    tails = stats.norm.cdf(-factor * critical_value(level, np.maximum(n - 1.0, 1.0)))
    low, high = np.empty(len(n)), np.empty(len(n))
    for term, tail in enumerate(tails):
        low[term], high[term] = np.quantile(replicates[:, term], [tail, 1.0 - tail])
    return low, high


def basic_interval(
    value: Array, replicates: Array, level: float, scale: ScaleName, truth: Array
) -> tuple[Array, Array]:
    """Move the estimate by what the replicates miss their truth by, on the natural scale.

    The truth of the replicates is the statistic of the data themselves: the estimate, unless the
    estimator corrects a bias.
    """
    low, high = percentile_interval(replicates, level)
    transform = SCALES[scale]
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = transform.forward(value) + transform.forward(truth)
        limits = [transform.inverse(shift - transform.forward(end)) for end in (high, low)]
    lower, upper = (np.clip(limit, transform.low, transform.high) for limit in limits)
    return lower, upper


def bias_corrected_interval(
    value: Array, standard_error: Array, bias: Array, critical: Array, scale: ScaleName
) -> tuple[Array, Array]:
    """Wald interval around the estimate minus its bias.

    Symmetric where that fits into the range; on the natural scale near its ends, clipped where the
    corrected value lies outside.
    """
    centre = value - bias
    transform = SCALES[scale]
    reach = critical * standard_error
    fits = (centre - reach > transform.low) & (centre + reach < transform.high)
    symmetric = fits | (centre <= transform.low) | (centre >= transform.high)
    low, high = wald_interval(centre, standard_error, critical, scale, scale)
    plain = wald_interval(centre, standard_error, critical, "identity", scale)
    return np.where(symmetric, plain[0], low), np.where(symmetric, plain[1], high)


def bca_interval(
    value: Array, replicates: Array, acceleration: Array, level: float
) -> tuple[Array, Array]:
    """Bias-corrected and accelerated interval (Efron 1987); ties count half."""
    from scipy import stats

    below = (replicates < value).mean(axis=0) + 0.5 * (replicates == value).mean(axis=0)
    low = np.empty(len(value))
    high = np.empty(len(value))
    tails = stats.norm.ppf([(1 - level) / 2, (1 + level) / 2])
    for term, share in enumerate(below):
        if share in (0.0, 1.0):
            low[term] = high[term] = np.nan
            continue
        shift = stats.norm.ppf(share)
        z = shift + tails
        adjusted = stats.norm.cdf(shift + z / (1 - acceleration[term] * z))
        low[term] = high[term] = np.nan
        if bool(np.isfinite(adjusted).all()):
            low[term], high[term] = np.quantile(replicates[:, term], adjusted)
    return low, high


def studentized_interval(
    value: Array,
    standard_error: Array,
    replicates: Array,
    replicate_error: Array,
    level: float,
    scale: ScaleName,
) -> tuple[Array, Array]:
    """Bootstrap-t interval on the natural scale (Efron and Tibshirani 1993, ch. 12)."""
    centre, spread = on_scale(value, standard_error, scale)
    moved, moved_spread = on_scale(replicates, replicate_error, scale)
    with np.errstate(divide="ignore", invalid="ignore"):
        pivots = (moved - centre) / moved_spread
    pivots[~np.isfinite(pivots)] = np.nan
    tail = (1.0 - level) / 2.0
    defined = np.isfinite(pivots).any(axis=0)
    limits = np.full((2, len(centre)), np.nan)
    if bool(defined.any()):
        tails = [tail, 1.0 - tail]
        limits[:, defined] = np.nanquantile(pivots[:, defined], tails, axis=0)
    lower, upper = limits
    transform = SCALES[scale]
    return transform.inverse(centre - upper * spread), transform.inverse(centre - lower * spread)
