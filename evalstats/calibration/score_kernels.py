"""Compiled loops over rows of the scores, of their decomposition by bins and of smoothing."""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]


@kernel
def squared_errors(forecast: Array, outcome: Bools, factor: float, out: Array) -> None:
    """Squared error of each row times `factor`. O(n)."""
    for row in range(forecast.size):
        error = (1.0 if outcome[row] else 0.0) - forecast[row]
        out[row] = factor * error * error


@kernel
def mean_squared_error(forecast: Array, outcome: Bools, weights: Array) -> float:
    """Weighted mean of squared errors; `weights` is empty for rows of weight one. O(n)."""
    weighted = weights.size > 0
    # Four sums, so that an addition need not wait for the one before it.
    totals = np.zeros(4)
    mass = 0.0
    for row in range(forecast.size):
        error = (1.0 if outcome[row] else 0.0) - forecast[row]
        weight = weights[row] if weighted else 1.0
        totals[row & 3] += weight * error * error
        mass += weight
    return float((totals[0] + totals[1] + totals[2] + totals[3]) / mass)


@kernel
def log_losses(forecast: Array, outcome: Bools, clip: float, out: Array) -> None:
    """Minus the log of the probability given to what happened, clipped to [clip, 1 - clip]. O(n).

    With ``clip = 0`` an event of probability zero costs infinity.
    """
    for row in range(forecast.size):
        given = forecast[row] if outcome[row] else 1.0 - forecast[row]
        if clip > 0.0:
            given = min(max(given, clip), 1.0 - clip)
            out[row] = -np.log(given)
        elif outcome[row]:
            out[row] = -np.log(given) if given > 0.0 else np.inf
        else:
            out[row] = -np.log1p(-forecast[row]) if given > 0.0 else np.inf


@kernel
def mean_log_loss(forecast: Array, outcome: Bools, clip: float, weights: Array) -> float:
    """Weighted mean of clipped log losses; `weights` is empty for rows of weight one. O(n)."""
    weighted = weights.size > 0
    total = 0.0
    mass = 0.0
    for row in range(forecast.size):
        given = forecast[row] if outcome[row] else 1.0 - forecast[row]
        given = min(max(given, clip), 1.0 - clip)
        weight = weights[row] if weighted else 1.0
        total -= weight * np.log(given)
        mass += weight
    return total / mass


@kernel
def weighted_mean_of_present(values: Array, weights: Array) -> float:
    """Weighted mean over the rows with positive weight; NaN without any. O(n)."""
    total = 0.0
    mass = 0.0
    for row in range(values.size):
        if weights[row] > 0.0:
            total += weights[row] * values[row]
            mass += weights[row]
    return total / mass if mass > 0.0 else np.nan


@kernel
def bin_moments(
    code: NDArray[np.int64],
    forecast: Array,
    outcome: Bools,
    centre: Array,
    weights: Array,
) -> Array:
    """Sums of w, w^2, wy, wd, wd^2 and wdy in each bin, d = p - centre of the bin. O(n).

    Deviations from a centre keep the digits that squares of near-equal forecasts would lose.
    """
    sums = np.zeros((centre.size, 6))
    for row in range(code.size):
        place = code[row]
        weight = weights[row]
        deviation = forecast[row] - centre[place]
        event = 1.0 if outcome[row] else 0.0
        sums[place, 0] += weight
        sums[place, 1] += weight * weight
        sums[place, 2] += weight * event
        sums[place, 3] += weight * deviation
        sums[place, 4] += weight * deviation * deviation
        sums[place, 5] += weight * deviation * event
    return sums


@kernel
def residuals_on_mesh(forecast: Array, outcome: Bools, weights: Array, mesh: Array) -> float:
    """Add each weighted residual y - p to its two neighbours on a mesh of cell centres. O(n).

    Beyond the outer centres the mesh is reflected. Returns the sum of the weights; `weights` is
    empty for rows of weight one.
    """
    cells = mesh.size
    weighted = weights.size > 0
    mass = 0.0
    for row in range(forecast.size):
        weight = weights[row] if weighted else 1.0
        residual = weight * ((1.0 if outcome[row] else 0.0) - forecast[row])
        place = forecast[row] * cells - 0.5
        left = int(np.floor(place))
        share = place - left
        mesh[max(left, 0)] += (1.0 - share) * residual
        mesh[min(left + 1, cells - 1)] += share * residual
        mass += weight
    return mass


@kernel
def cubic_moments(values: Array, weights: Array) -> Array:
    """Sums from which the skewness of means and of their differences follows. O(k^2 n).

    For term f those of w, wf, w^2, w^2 f, w^3 and w^3 f; then of w^2 f g, w^3 f g and w^3 f^2 g for
    every term g.
    """
    k = values.shape[0]
    out = np.zeros((k, 6 + 3 * k))
    for term in range(k):
        for row in range(values.shape[1]):
            w = weights[row]
            f = values[term, row]
            out[term, 0] += w
            out[term, 1] += w * f
            out[term, 2] += w * w
            out[term, 3] += w * w * f
            out[term, 4] += w * w * w
            out[term, 5] += w * w * w * f
        for other in range(k):
            for row in range(values.shape[1]):
                w = weights[row]
                product = w * w * values[term, row] * values[other, row]
                out[term, 6 + other] += product
                out[term, 6 + k + other] += w * product
                out[term, 6 + 2 * k + other] += w * product * values[term, row]
    return out
