"""Calibration error of bins: its value, its correction for bias and its influence."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalstats.calibration.binning import Bins

Array = NDArray[np.float64]
Norm = Literal[1, 2, "max"]

# A bin whose error is within so many standard errors of zero may have either sign.
CLEAR_SIGN = 2.0


def plugin_error(sums: Array, norm: Norm) -> float:
    """Norm of the differences between frequency and mean forecast of bins, uncorrected.

    Parameters
    ----------
    sums : float64 array (bins, 4)
        Weight, weighted error, weighted outcome and weight times sample weight of each bin.
    norm : {1, 2, "max"}
        Weighted mean of absolute differences, root of the weighted mean of squares, or maximum.
    """
    mass, signed = sums[:, 0], sums[:, 1]
    total = mass.sum()
    if total <= 0:
        return np.nan
    used = mass > 0
    if norm == 1:
        return float(np.abs(signed).sum() / total)
    gaps = signed[used] / mass[used]
    if norm == 2:
        return float(np.sqrt((mass[used] * gaps**2).sum() / total))
    return float(np.abs(gaps).max())


def corrected_error(sums: Array, norm: Norm) -> float:
    """Error less its bias in finite bins; may be negative, and for norm 2 is the *square*.

    For norm 1 twice the error minus its mean if the observed differences were the true ones and
    frequencies normal; for norm 2 each squared difference minus ``y (1 - y) / (n - 1)``, bins of
    fewer than two rows left out (Kumar, Liang and Ma 2019).
    """
    used = sums[:, 0] > 0
    mass, signed, events = sums[used, 0], sums[used, 1], sums[used, 2]
    total = mass.sum()
    if total <= 0:
        return np.nan
    share, gap, rate = mass / total, signed / mass, events / mass
    n = effective_size(sums[used])
    spread = rate * (1.0 - rate)
    if norm == 2:
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(n >= 2.0, gap**2 - spread / (n - 1.0), 0.0)
        return float((share * terms).sum())
    return float((share * (2.0 * np.abs(gap) - _mean_absolute_normal(gap, spread / n))).sum())


def combined_error(values: list[float], norm: Norm) -> float:
    """Error over all classes from that of each."""
    if norm == 1:
        return float(np.mean(values))
    return float(np.sqrt(np.mean(np.square(values)))) if norm == 2 else float(np.max(values))


def effective_size(sums: Array) -> Array:
    """Number of rows that the weights of each bin are worth (Kish)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(sums[:, 0] > 0, sums[:, 0] ** 2 / sums[:, 3], 0.0)


def singleton_share(sums: Array) -> float:
    """Share of the weight in bins of fewer than two rows, about which nothing can be corrected."""
    lonely = effective_size(sums) < 2.0 - 1e-9
    return float(sums[lonely, 0].sum() / sums[:, 0].sum())


def _mean_absolute_normal(mean: Array, variance: Array) -> Array:
    """E|N(mean, variance)|; |mean| without variance."""
    from scipy.special import ndtr

    sd = np.sqrt(variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(sd > 0, mean / sd, np.inf * np.sign(mean))
    folded = sd * np.sqrt(2.0 / np.pi) * np.exp(-0.5 * z**2) + mean * (1.0 - 2.0 * ndtr(-z))
    return np.where(sd > 0, folded, np.abs(mean))


def error_influence(bins: Bins, weights: Array, norm: Norm) -> Array:
    """Derivative of the plug-in error (norm 1) or of its square (norm 2) by each row's weight."""
    sums = bins.sums(weights)
    total = sums[:, 0].sum()
    code = bins.assigned(weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.where(sums[:, 0] > 0, sums[:, 1] / sums[:, 0], 0.0)
    if norm == 1:
        value = plugin_error(sums, 1)
        return np.asarray((np.sign(gap)[code] * bins.error - value) / total)
    square = plugin_error(sums, 2) ** 2
    of_row = gap[code]
    return np.asarray((2.0 * of_row * bins.error - of_row**2 - square) / total)


def share_of_unclear_signs(sums: Array) -> float:
    """Weight share of bins whose difference lies within two standard errors of zero."""
    used = sums[:, 0] > 0
    rate, gap = sums[used, 2] / sums[used, 0], sums[used, 1] / sums[used, 0]
    error = np.sqrt(rate * (1.0 - rate) / effective_size(sums[used]))
    unclear = np.abs(gap) <= CLEAR_SIGN * error
    return float(sums[used, 0][unclear].sum() / sums[used, 0].sum())
