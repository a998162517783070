"""Compiled logistic regression on one covariate: slope, intercept, calibration-in-the-large."""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]


@kernel
def logistic_sums(
    logit: Array, outcome: Bools, weights: Array, intercept: float, slope: float
) -> Array:
    """Deviance / 2, gradient (2) and information (3) of a logistic line. O(n)."""
    sums = np.zeros(6)
    for row in range(logit.size):
        weight = weights[row]
        if weight > 0.0:
            x = logit[row]
            line = intercept + slope * x
            small = np.exp(-abs(line))
            rate = 1.0 / (1.0 + small) if line >= 0.0 else small / (1.0 + small)
            event = 1.0 if outcome[row] else 0.0
            sums[0] += weight * (max(line, 0.0) - event * line + np.log1p(small))
            sums[1] += weight * (event - rate)
            sums[2] += weight * (event - rate) * x
            curvature = weight * small / ((1.0 + small) * (1.0 + small))
            sums[3] += curvature
            sums[4] += curvature * x
            sums[5] += curvature * x * x
    return sums


@kernel
def fit_logistic_line(
    logit: Array, outcome: Bools, weights: Array, free_slope: bool, out: Array
) -> bool:
    """Maximum likelihood by Newton's method from the calibrated line (0, 1). O(n) per step.

    `out` receives intercept and slope; False without convergence (separated outcomes).
    """
    intercept = 0.0
    slope = 1.0
    sums = logistic_sums(logit, outcome, weights, intercept, slope)
    for _ in range(100):
        if free_slope:
            determinant = sums[3] * sums[5] - sums[4] * sums[4]
            if not determinant > 1e-14 * sums[3] * sums[5]:
                return False
            step0 = (sums[5] * sums[1] - sums[4] * sums[2]) / determinant
            step1 = (sums[3] * sums[2] - sums[4] * sums[1]) / determinant
        else:
            if not sums[3] > 0.0:
                return False
            step0 = sums[1] / sums[3]
            step1 = 0.0
        size = abs(step0) / (1.0 + abs(intercept)) + abs(step1) / (1.0 + abs(slope))
        if not np.isfinite(size):
            return False
        if size < 1e-8:
            # Convergence is quadratic: what is left is rounding.
            out[0] = intercept + step0
            out[1] = slope + step1
            return True
        scale = 1.0
        moved = logistic_sums(logit, outcome, weights, intercept + step0, slope + step1)
        # Near the optimum rounding decides the comparison; the step itself is then right.
        while size > 1e-6 and moved[0] > sums[0] and scale > 1e-10:
            scale *= 0.5
            moved = logistic_sums(
                logit, outcome, weights, intercept + scale * step0, slope + scale * step1
            )
        intercept += scale * step0
        slope += scale * step1
        sums = moved
        if abs(intercept) > 1e6 or abs(slope) > 1e6:
            return False
    return False
