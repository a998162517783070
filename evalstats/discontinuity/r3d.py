"""What R3D 0.1.0 computes differently from us, for ``compat="r3d"``.

The influence leaves out units with a negative weight, residuals are those of the sample, the
denominator of a fuzzy design borrows the weights of the first quantile, and the Gini test compares
draws that are centred at the estimate with the estimate.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from evalstats.discontinuity.kernels import isotonic_rows
from evalstats.discontinuity.localfit import LocalFit

Array = NDArray[np.float64]


def reference_weights(fit: LocalFit, weights: Array, n: int) -> tuple[Array, Array]:
    """Intercept weights (n, Q) below and above, zero outside of each window."""
    found = []
    for number, side in enumerate(fit.sides):
        block = np.zeros((n, fit.h.shape[1]))
        for q in range(fit.h.shape[1]):
            if q and fit.h[number, q] == fit.h[number, q - 1]:
                block[:, q] = block[:, q - 1]
            else:
                block[side.rows, q] = fit.smoother(number, q, weights)[0]
        found.append(block)
    return found[0], found[1]


def reference_residuals(
    fit: LocalFit, weights: Array, used: tuple[Array, Array], isotonic: bool
) -> Array:
    """In-sample residuals (n, Q) of units with a positive weight, others 0.

    With `isotonic` the fitted row of each unit is made non-decreasing first.
    """
    n, n_columns = used[0].shape
    residuals = np.zeros((n, n_columns))
    coefficients = fit.coefficients(weights)
    for number, side in enumerate(fit.sides):
        positive = used[number][side.rows] > 0
        u = side.x[:, np.newaxis] / fit.h[number]
        fitted = np.zeros_like(u)
        for power in range(fit.order, -1, -1):
            fitted = fitted * u + coefficients[number][power]
        fitted[~positive] = 0.0
        if isotonic:
            isotonic_rows(fitted)
        block = np.where(positive, fit.columns[number].T - fitted, 0.0)
        residuals[side.rows] = block
    return residuals


def side_influence(fit: LocalFit, weights: Array, n: int, isotonic: bool) -> tuple[Array, Array]:
    """Influence (n, Q) of each unit on the limit below and above, as the reference has it."""
    used = reference_weights(fit, weights, n)
    residuals = reference_residuals(fit, weights, used, isotonic)
    return used[0] * residuals, used[1] * residuals


def treatment_influence(outcome: LocalFit, treatment: LocalFit, weights: Array, n: int) -> Array:
    """Influence (n,) on the jump of the treatment, with the outcome's first-quantile weights."""
    below, above = reference_weights(outcome, weights, n)
    first = (below[:, :1], above[:, :1])
    residuals = np.zeros(n)
    coefficients = treatment.coefficients(weights)
    for number, side in enumerate(treatment.sides):
        positive = first[number][side.rows, 0] > 0
        u = side.x / treatment.h[number, 0]
        fitted = np.zeros_like(u)
        for power in range(treatment.order, -1, -1):
            fitted = fitted * u + coefficients[number][power, 0]
        residuals[side.rows] = np.where(positive, treatment.columns[number][0] - fitted, 0.0)
    return np.asarray((first[1] - first[0])[:, 0] * residuals)


def gini(grid: Array, curve: Array) -> float:
    """Gini coefficient of a quantile curve, extended flat to 0 and 1; NaN where undefined."""
    if len(grid) < 2:
        return np.nan
    order = np.argsort(grid, kind="stable")
    q = np.concatenate([[0.0], grid[order], [1.0]])
    y = np.concatenate([curve[order][:1], curve[order], curve[order][-1:]])
    steps = np.diff(q)
    parts = steps * (y[1:] + y[:-1]) / 2.0
    mean = parts.sum()
    # A symmetric curve has mean 0 up to rounding.
    if not mean > 1e-12 * np.abs(parts).sum():
        return np.nan
    lorenz = np.concatenate([[0.0], np.cumsum(parts)]) / mean
    area = (steps * (lorenz[1:] + lorenz[:-1]) / 2.0).sum()
    return float(np.clip(1.0 - 2.0 * area, 0.0, 1.0))


def consecutive_ranges(
    ranges: "list[list[float]] | None", grid: Array
) -> list[tuple[float, float]]:
    """Sub-ranges of the tests: a vector of more than two points means consecutive ones."""
    if ranges is None:
        return [(float(grid.min()), float(grid.max()))]
    return [pair for points in ranges for pair in pairwise(points)]
