"""The distance of the truth from a mixture: Tipping's (1999) metric averaged along the path."""

import math

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel
from evalstats.trajectory.em_kernels import inverse_factor

ROOT_PI = math.sqrt(math.pi)
# exp(s^2) erfc(s) is computed as it stands up to here, by its asymptotic series beyond.
LARGE_ARGUMENT = 20.0
SHORT = 0.1
# Gauss-Legendre nodes and weights on [-1, 1], exact up to degree 9.
NODES = np.array(
    [
        0.0,
        0.5384693101056831,
        -0.5384693101056831,
        0.9061798459386640,
        -0.9061798459386640,
    ]
)
NODE_WEIGHTS = np.array(
    [
        0.5688888888888889,
        0.4786286704993665,
        0.4786286704993665,
        0.2369268850561891,
        0.2369268850561891,
    ]
)


@kernel
def scaled_erfc(s: float) -> float:
    """exp(s^2) erfc(s) for s >= 0, without underflow. O(1)."""
    if s < LARGE_ARGUMENT:
        return math.exp(s * s) * math.erfc(s)
    # Asymptotic series; its sixth term is below 1e-12 of the first from s = 20 on.
    inverse = 0.5 / (s * s)
    series = 1.0
    term = 1.0
    for k in range(1, 8):
        term *= -(2 * k - 1) * inverse
        series += term
    return series / (s * ROOT_PI)


@kernel
def log_erf_difference(high: float, low: float) -> float:
    """Log of erf(high) - erf(low) for high > low, without cancellation or underflow. O(1)."""
    if low < 0.0 and high <= 0.0:
        low, high = -high, -low
    width = high - low
    if width * (1.0 + abs(low) + abs(high)) < SHORT:
        middle = 0.5 * (high + low)
        total = 0.0
        for i in range(NODES.size):
            t = 0.5 * width * NODES[i]
            total += NODE_WEIGHTS[i] * math.exp(-t * (2.0 * middle + t))
        return math.log(total * width / ROOT_PI) - middle * middle
    if low >= 0.0:
        gap = math.exp((low - high) * (low + high)) * scaled_erfc(high)
        return math.log(scaled_erfc(low) - gap) - low * low
    return math.log(math.erf(high) - math.erf(low))


@kernel
def path_distance(  # noqa: PLR0912, PLR0915 - one formula, no calls in its inner loop
    m: int,
    weights: NDArray[np.float64],
    means: NDArray[np.float64],
    covariances: NDArray[np.float64],
    centre: NDArray[np.float64],
    truth: NDArray[np.float64],
    with_determinant: bool,
    naive: bool,
) -> float:
    """D = sqrt(v'Gv) of the truth from the centre of a mixture of m Gaussians. O(m d^3).

    `naive` evaluates the formula in the order of the published code, NaN where all shares
    underflow; otherwise the shares are kept as logarithms. NaN where a covariance is singular.
    """
    d = centre.size
    factor = np.empty((d, d))
    precision = np.empty(m)
    share = np.empty(m)
    white = np.empty(d)
    offset = np.empty(d)
    moved = 0.0
    for row in range(d):
        moved += abs(centre[row] - truth[row])
    if moved == 0.0:
        return 0.0
    for k in range(m):
        log_det = inverse_factor(covariances[k], factor)
        if not np.isfinite(log_det):
            return np.nan
        # v'Pv, v'Pu and u'Pu from whitened vectors: white = Wv, offset = Wu.
        vv = 0.0
        vu = 0.0
        for row in range(d):
            white[row] = 0.0
            offset[row] = 0.0
            for column in range(row + 1):
                white[row] += factor[row, column] * (centre[column] - truth[column])
                offset[row] += factor[row, column] * (means[k, column] - truth[column])
            vv += white[row] * white[row]
            vu += white[row] * offset[row]
        precision[k] = vv
        place = vu / vv
        z = 0.0
        for row in range(d):
            rest = offset[row] - place * white[row]
            z += rest * rest
        scale = math.sqrt(0.5 * vv)
        high, low = (1.0 - place) * scale, -place * scale
        if naive:
            length = math.sqrt(0.5 * math.pi / vv)
            share[k] = weights[k] * length * math.exp(-0.5 * z) * (math.erf(high) - math.erf(low))
            if with_determinant:
                share[k] *= math.exp(-0.5 * log_det)
        else:
            share[k] = -np.inf
            if weights[k] > 0.0:
                share[k] = (
                    math.log(weights[k])
                    - 0.5 * math.log(vv)
                    - 0.5 * z
                    + log_erf_difference(high, low)
                )
            if with_determinant:
                share[k] -= 0.5 * log_det
    if not naive:
        top = share.max()
        for k in range(m):
            share[k] = math.exp(share[k] - top)
    above = 0.0
    below = 0.0
    for k in range(m):
        above += share[k] * precision[k]
        below += share[k]
    if below == 0.0:
        return np.nan
    return math.sqrt(above / below)
