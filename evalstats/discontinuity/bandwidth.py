"""Bandwidths that minimise the mean squared error, equivariant in the running variable.

The plug-in rule of Fan and Gijbels (1996, section 4.2) at a boundary, for many outcome columns at
once: a global polynomial of order s + 2 gives the bias of a pilot b, a local fit of order s + 1 at
b the curvature that biases a fit of order s; variances come from residuals in a rule-of-thumb
window. The square of an estimated curvature is too large on average by its sampling variance, which
is subtracted; a floor in proportion to that variance keeps a curvature that looks small by chance
from making the window huge (the purpose of Imbens and Kalyanaraman's regularisation, 2012). Every
step multiplies bandwidths by a when the running variable is multiplied by a.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalstats.discontinuity.kernels import coefficient_variance
from evalstats.discontinuity.sides import KERNEL_CODES, Side, bias_constant

Array = NDArray[np.float64]

# Rule of thumb for the window of the variances, per kernel (Calonico, Cattaneo and Titiunik 2014).
PILOT_FACTOR = {"triangular": 2.576, "epanechnikov": 2.34, "uniform": 1.843}
# Least squared curvature, as a share of its sampling variance.
FLOOR = 0.5
# Weight of a quantile's own ratio of squared bias to variance against that of all quantiles.
OWN_SHARE = 0.25
MIN_UNITS = 10


@dataclass(frozen=True)
class Rule:
    """What a selected bandwidth is optimal for.

    Attributes
    ----------
    kernel : str
        Name of the kernel.
    s : int
        Order of the fit whose error is minimised.
    p : int
        Order of the fit that will be made, which needs p + 1 distinct values in the window.
    integrated : bool
        One bandwidth for all columns.
    two_sided : bool
        A bandwidth for each side.
    coverage : bool
        Shrink to the rate that minimises the coverage error.
    regularise : bool
        Remove the noise from the squared curvature, down to a floor.
    n : float
        Number of units, effective where they are weighted.
    copies : bool
        Whether weights count identical units.
    """

    kernel: str
    s: int
    p: int
    integrated: bool
    two_sided: bool
    coverage: bool
    regularise: bool
    n: float
    copies: bool


@dataclass(frozen=True)
class _Curvature:
    """Per column: constant of the variance, bias coefficient and its sampling variance."""

    variance: Array
    bias: Array
    uncertainty: Array


def select_bandwidths(
    rule: Rule, sides: tuple[Side, Side], columns: tuple[Array, Array], weights: tuple[Array, Array]
) -> Array:
    """Bandwidth (2, Q) of each side, below first, for every column.

    Parameters
    ----------
    rule : Rule
        What to optimise.
    sides : tuple of Side
        Units of positive weight, below and above.
    columns : tuple of float64 array (Q, n_side)
        Outcome columns of each side.
    weights : tuple of float64 array (n_side,)
        Weights of the units.

    Returns
    -------
    float64 array (2, Q)
        Complexity O(n Q) if `rule` is integrated.
    """
    pilot = PILOT_FACTOR[rule.kernel] * _spread(sides, weights) * rule.n**-0.2
    below, above = (
        _curvature(rule, side, block, weight, pilot)
        for side, block, weight in zip(sides, columns, weights, strict=True)
    )
    exponent = 1.0 / (2 * rule.s + 3)
    factor = 2.0 * (rule.s + 1)
    limits = [_limits(rule, side, mass, rule.p) for side, mass in zip(sides, weights, strict=True)]
    if rule.two_sided:
        h = np.vstack([_minimiser(rule, part, factor, exponent) for part in (below, above)])
        for row, (low, high) in zip(h, limits, strict=True):
            np.clip(np.nan_to_num(row, nan=high, posinf=high), low, high, out=row)
    else:
        joint = _Curvature(
            below.variance + above.variance,
            above.bias - below.bias,
            below.uncertainty + above.uncertainty,
        )
        low, high = max(limits[0][0], limits[1][0]), max(limits[0][1], limits[1][1])
        common = np.nan_to_num(_minimiser(rule, joint, factor, exponent), nan=high, posinf=high)
        h = np.vstack([np.clip(common, low, high)] * 2)
    if rule.coverage:
        shrink = rule.n ** (-rule.s / ((2 * rule.s + 3) * (rule.s + 3)))
        lows = np.array([low for low, _ in limits])[:, np.newaxis]
        h = np.maximum(h * shrink, lows)
    return h


def _minimiser(rule: Rule, part: _Curvature, factor: float, exponent: float) -> Array:
    """Bandwidth at which variance / h and the squared bias h^(2s + 2) balance.

    A quantile's own ratio of squared bias to variance is averaged with that of all quantiles:
    neighbours need nearly the same window, and their own ratios are noisy.
    """
    squared, noise = part.bias**2, part.uncertainty
    total = squared.sum()
    if rule.regularise:
        total = max(total - noise.sum(), FLOOR * noise.sum())
        squared = np.maximum(squared - noise, FLOOR * noise)
    with np.errstate(divide="ignore", invalid="ignore"):
        joint = total / part.variance.sum()
        own = np.full_like(squared, joint) if rule.integrated else squared / part.variance
        ratio = OWN_SHARE * own + (1.0 - OWN_SHARE) * joint
        return np.asarray((factor * ratio) ** -exponent)


def _curvature(rule: Rule, side: Side, columns: Array, weight: Array, pilot: float) -> _Curvature:
    """Curvature that biases a fit of order s, from the pilot chain on one side."""
    s = rule.s
    order = s + 1
    low, high = _limits(rule, side, weight, s + 2)
    window = min(max(pilot, low), high)
    bias, _ = _coefficient(rule, side, columns, weight, s + 2, s + 2, high, "uniform")
    _, spread = _coefficient(rule, side, columns, weight, order, order, window)
    squared = bias_constant(rule.kernel, order, order) ** 2 * bias**2
    variance = spread * window ** (2 * order + 1)
    if rule.integrated:
        squared, variance = np.full_like(bias, squared.sum()), np.full_like(bias, variance.sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        wide = ((2 * order + 1) * variance / (2.0 * squared)) ** (1.0 / (2 * order + 3))
    wide = np.clip(np.nan_to_num(wide, nan=high, posinf=high), low, high)
    bias, uncertainty = _coefficient(rule, side, columns, weight, order, order, wide)
    _, spread = _coefficient(rule, side, columns, weight, s, 0, window)
    constant = bias_constant(rule.kernel, s, 0)
    sign = 1.0 if side.name == "above" or s % 2 else -1.0
    return _Curvature(spread * window, sign * constant * bias, constant**2 * uncertainty)


def _coefficient(
    rule: Rule,
    side: Side,
    columns: Array,
    weight: Array,
    order: int,
    power: int,
    h: "float | Array",
    kernel: str | None = None,
) -> tuple[Array, Array]:
    """Coefficient of x^power and its variance; 0 where the fit is singular."""
    wide = np.full(len(columns), h, dtype=np.float64)
    code = KERNEL_CODES[kernel or rule.kernel]
    value, variance = coefficient_variance(
        side.x, weight, wide, columns, code, order, power, rule.copies
    )
    return np.nan_to_num(value, nan=0.0), np.nan_to_num(variance, nan=0.0)


def _limits(rule: Rule, side: Side, weight: Array, order: int) -> tuple[float, float]:
    """Smallest window with order + 2 distinct values and ten units, and the range, of a side."""
    distance = np.abs(side.x)
    # Distances ascend.
    distinct = distance[np.flatnonzero(np.diff(distance, prepend=-1.0))]
    nearest = distinct[min(order + 2, len(distinct)) - 1]
    reached = np.cumsum(weight if rule.copies else np.ones(len(weight)))
    tenth = distance[min(int(np.searchsorted(reached, MIN_UNITS)), len(distance) - 1)]
    # A little beyond the unit, whose kernel weight would otherwise be zero.
    high = float(distance[-1])
    return min(1.0001 * max(float(nearest), float(tenth)), 1.0001 * high), 1.0001 * high


def _spread(sides: tuple[Side, Side], weights: tuple[Array, Array]) -> float:
    """Smaller of the standard deviation and the normalised interquartile range of x."""
    x = np.concatenate([side.x for side in sides])
    weight = np.concatenate(weights)
    share = weight / weight.sum()
    mean = float(share @ x)
    deviation = float(np.sqrt(share @ (x - mean) ** 2))
    order = np.argsort(x, kind="stable")
    reached = np.cumsum(share[order]) + 1e-12
    low, high = x[order][np.searchsorted(reached, [0.25, 0.75])]
    return min(deviation, float(high - low) / 1.349) or deviation
