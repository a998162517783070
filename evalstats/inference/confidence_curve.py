"""Intervals of a norm of normal means, by inverting tests along a path through the estimate.

A norm of estimated means is biased upwards and not normal near zero, where resampling fails. The
interval holds every value of the norm that a one-sided test does not reject. Means of a smaller
norm are the observed ones moved towards zero by the same number of standard errors (so that what
may be noise vanishes first). Means of a larger norm are multiples of the observed ones, or of their
standard errors: the observed means contain noise, which makes the norm look more biased than it is,
while a sum of absolute means of a given size is biased least where all lie equally many standard
errors from zero.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalstats.inference.simultaneous import SIMULATION_KEY
from evalstats.kernels.products import tall_product

Array = NDArray[np.float64]
N_DRAWS = 4_000
N_SMALLER = 40
N_LARGER = 30
# Beyond so many standard deviations of the norm no usual level has its limit.
REACH = 6.0


class ConfidenceCurve(NamedTuple):
    """Possible values of a norm, ascending, and the tail probabilities of the observed one.

    Attributes
    ----------
    value : float64 array (g,)
        Norms of the means along the path, from 0.
    above, below : float64 array (g,)
        Probability of an estimate at least, or at most, as large as the observed one.
    """

    value: Array
    above: Array
    below: Array


def norm_confidence_curve(
    mean: Array,
    covariance: Callable[[Array], Array],
    norm: Callable[[Array], Array],
    *,
    even: bool = False,
) -> ConfidenceCurve:
    """Tail probabilities of an observed norm under means on a path through the observed ones.

    Parameters
    ----------
    mean : float64 array (m,)
        Estimated means.
    covariance : callable
        Possible means (m,) to the covariance (m, m) of their estimates.
    norm : callable
        Means (..., m) to norms (...), proportional to a common factor of the means.
    even : bool, default False
        Spread means of a larger norm evenly, in standard errors, which is the least favourable
        case for the upper limit of a sum of absolute means.

    Returns
    -------
    ConfidenceCurve
        On 71 values. O(71 (4,000 m^2 + m^3)).
    """
    generator = np.random.Generator(np.random.Philox(SIMULATION_KEY))
    normals = generator.standard_normal((N_DRAWS, len(mean)))
    error = np.sqrt(np.clip(np.diag(covariance(np.zeros(len(mean)))), 0.0, None))
    observed = float(norm(mean))
    spread = float(norm(mean + _noise(covariance(mean), normals)).std())
    path = np.concatenate([_smaller(mean, error), _larger(mean, error, spread, norm, even)])
    value, above, below = np.empty(len(path)), np.empty(len(path)), np.empty(len(path))
    slack = 1e-12 * max(observed, 1e-300)
    for place, means in enumerate(path):
        drawn = norm(means + _noise(covariance(means), normals))
        value[place] = norm(means)
        above[place] = (drawn >= observed - slack).mean()
        below[place] = (drawn <= observed + slack).mean()
    return ConfidenceCurve(value, np.maximum.accumulate(above), np.minimum.accumulate(below))


def _noise(covariance: Array, normals: Array) -> Array:
    roots, vectors = np.linalg.eigh(covariance)
    factor = np.ascontiguousarray(vectors * np.sqrt(np.clip(roots, 0.0, None)))
    return tall_product(normals, factor)


def _smaller(mean: Array, error: Array) -> Array:
    """Means from none at all to just before the observed ones."""
    with np.errstate(divide="ignore", invalid="ignore"):
        largest = np.nanmax(np.where(error > 0, np.abs(mean) / error, np.nan), initial=0.0)
    thresholds = largest * np.linspace(1.0, 0.0, N_SMALLER, endpoint=False)
    shrunk = np.sign(mean) * np.clip(np.abs(mean) - thresholds[:, np.newaxis] * error, 0.0, None)
    # What round-off leaves of the largest is no mean either.
    shrunk[0] = 0.0
    return np.asarray(shrunk)


def _larger(
    mean: Array, error: Array, spread: float, norm: Callable[[Array], Array], even: bool
) -> Array:
    """Means of the observed norm and more: multiples of the observed means, or of their errors."""
    observed, unit = float(norm(mean)), float(norm(error))
    if observed > 0 and not (even and unit > 0):
        return np.linspace(1.0, 1.0 + REACH * spread / observed, N_LARGER + 1)[:, np.newaxis] * mean
    most = observed + REACH * (spread + unit * (observed == 0))
    factors = (
        np.linspace(observed, most, N_LARGER + 1) / unit if unit > 0 else np.zeros(N_LARGER + 1)
    )
    return factors[:, np.newaxis] * np.where(mean < 0, -error, error)


def curve_interval(curve: ConfidenceCurve, level: float) -> tuple[Array, Array]:
    """Limits at which each tail probability is half of what the level leaves.

    Parameters
    ----------
    curve : ConfidenceCurve
        Arrays (g, k): the curves of k terms side by side.
    level : float
        Confidence level.
    """
    from scipy.special import ndtri

    tail = (1.0 - level) / 2.0
    # On the probit scale, where the curve of a normal mean is straight between its points.
    resolution = 0.5 / N_DRAWS
    z = ndtri(tail)
    low, high = np.empty(curve.value.shape[1]), np.empty(curve.value.shape[1])
    for term, (value, above, below) in enumerate(
        zip(curve.value.T, curve.above.T, curve.below.T, strict=True)
    ):
        rising, falling = (
            ndtri(np.clip(part, resolution, 1.0 - resolution)) for part in (above, below)
        )
        low[term] = value[0] if above[0] >= tail else np.interp(z, rising, value)
        high[term] = np.interp(-z, -falling, value)
    return low, high
