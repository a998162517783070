"""Compiled sums over rows: means, bins of probabilities, and what states of them hold."""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel

Array = NDArray[np.float64]


@kernel
def weighted_row_means(values: Array, weights: Array) -> Array:
    """Weighted mean of each row of `values` (k, n); NaN without weight. O(k n)."""
    out = np.empty(values.shape[0])
    for term in range(values.shape[0]):
        total = 0.0
        mass = 0.0
        for row in range(values.shape[1]):
            total += weights[row] * values[term, row]
            mass += weights[row]
        out[term] = total / mass if mass > 0.0 else np.nan
    return out


@kernel
def weighted_moments(values: Array, weights: Array) -> Array:
    """Sums of w, wf, w^2, w^2 f and w^2 f^2 over the rows of each term. O(k n)."""
    out = np.zeros((values.shape[0], 5))
    for term in range(values.shape[0]):
        for row in range(values.shape[1]):
            weight = weights[row]
            weighted = weight * values[term, row]
            out[term, 0] += weight
            out[term, 1] += weighted
            out[term, 2] += weight * weight
            out[term, 3] += weight * weighted
            out[term, 4] += weighted * weighted
    return out


@kernel
def signed_errors(forecast: Array, outcome: NDArray[np.bool_], out: Array) -> None:
    """Balance of each row: y - p where p >= 1/2, else p - y (Choi et al. 2023). O(n)."""
    for row in range(forecast.size):
        error = (1.0 if outcome[row] else 0.0) - forecast[row]
        out[row] = error if forecast[row] >= 0.5 else -error


@kernel
def bin_of_forecast(
    forecast: Array, edges: Array, right_closed: bool, out: NDArray[np.int32]
) -> None:
    """Bin of each forecast among increasing edges that cover them. O(n) for equal widths.

    The first guess is that of equally wide bins between the outer edges; walking from there makes
    the comparison with the edges themselves decide.
    """
    n_bins = edges.size - 1
    low = edges[0]
    per_width = n_bins / (edges[n_bins] - low)
    for row in range(forecast.size):
        p = forecast[row]
        code = min(max(int((p - low) * per_width), 0), n_bins - 1)
        if right_closed:
            while code > 0 and p <= edges[code]:
                code -= 1
            while code < n_bins - 1 and p > edges[code + 1]:
                code += 1
        else:
            while code > 0 and p < edges[code]:
                code -= 1
            while code < n_bins - 1 and p >= edges[code + 1]:
                code += 1
        out[row] = code


@kernel
def bin_sums(
    code: NDArray[np.int32],
    error: Array,
    outcome: NDArray[np.bool_],
    weights: Array,
    sums: Array,
) -> None:
    """Add weight, weighted error y - p and weighted outcome of each row to its bin. O(n).

    `sums` has the shape (2 x bins, 4): neighbouring rows go to different halves, so that an
    addition need not wait for the one before it.
    """
    half = sums.shape[0] // 2
    for row in range(code.size):
        place = code[row] + (row & 1) * half
        weight = weights[row]
        sums[place, 0] += weight
        sums[place, 1] += weight * error[row]
        sums[place, 2] += weight if outcome[row] else 0.0


@kernel
def one_pass_sums(
    forecast: Array,
    outcome: NDArray[np.bool_],
    weights: Array,
    edges: Array,
    sums: Array,
    totals: Array,
) -> None:
    """Bins (right-closed), squared error and balance of unsorted rows in one pass. O(n).

    Parameters
    ----------
    weights : float64 array (n,) or (0,)
        Empty for rows of weight one.
    sums : float64 array (2 x bins, 4)
        As in :func:`bin_sums`.
    totals : float64 array (3,)
        Sums of the weights, of squared errors and of balances.
    """
    n_bins = edges.size - 1
    weighted = weights.size > 0
    mass = 0.0
    squares = 0.0
    balance = 0.0
    for row in range(forecast.size):
        p = forecast[row]
        weight = weights[row] if weighted else 1.0
        code = min(int(p * n_bins), n_bins - 1)
        # Rounding may put a forecast on the wrong side of an edge, never two bins away.
        if p > edges[code + 1]:
            code += 1
        elif p <= edges[code] and code > 0:
            code -= 1
        event = 1.0 if outcome[row] else 0.0
        error = event - p
        place = code + (row & 1) * n_bins
        sums[place, 0] += weight
        sums[place, 1] += weight * error
        sums[place, 2] += weight * event
        mass += weight
        squares += weight * error * error
        balance += weight * (error if p >= 0.5 else -error)
    totals[0] = mass
    totals[1] = squares
    totals[2] = balance
