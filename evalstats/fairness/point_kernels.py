"""Sums over all pairs of rows for one block of attributes: each unordered pair is looked at once.

Coordinates are transposed, (columns, n), so that the distances of one row to a tile of others are
computed side by side. A task takes every `step`-th tile of rows against all tiles after it.
"""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel


@kernel
def fill_distances(
    points: NDArray[np.float64], row: int, left: int, right: int, out: NDArray[np.float64]
) -> None:
    """Euclidean distances of one row to rows left:right. O(right - left) per column."""
    width = right - left
    if points.shape[0] == 1:
        here = points[0, row]
        line = points[0, left:right]
        for place in range(width):
            out[place] = abs(line[place] - here)
        return
    for place in range(width):
        out[place] = 0.0
    for column in range(points.shape[0]):
        here = points[column, row]
        line = points[column, left:right]
        for place in range(width):
            difference = line[place] - here
            out[place] += difference * difference
    for place in range(width):
        out[place] = np.sqrt(out[place])


@kernel
def add_scaled(target: NDArray[np.float64], factor: float, values: NDArray[np.float64]) -> None:
    """Add factor * values, as far as `target` reaches. O(n)."""
    for place in range(target.size):
        target[place] += factor * values[place]


@kernel
def folded_dot(
    first: NDArray[np.float64], second: NDArray[np.float64], scratch: NDArray[np.float64]
) -> float:
    """Inner product summed in halves, as far as `first` reaches. O(n).

    A running total would have to wait for each addition; halves are added side by side.
    """
    width = first.size
    for place in range(width):
        scratch[place] = first[place] * second[place]
    while width > 1:
        half = (width + 1) // 2
        upper = scratch[half:width]
        for place in range(upper.size):
            scratch[place] += upper[place]
        width = half
    return float(scratch[0])


@kernel
def point_products(
    points: NDArray[np.float64],
    y: NDArray[np.float64],
    weight: NDArray[np.float64],
    task: int,
    step: int,
    tile: int,
) -> NDArray[np.float64]:
    """For each row i, sums over j of w_j d_ij and of w_j |y_i - y_j| d_ij. O(n^2 columns / step).

    Part of one task; the sum over the tasks 0 to step - 1 is complete. Returns (2, n).
    """
    n = y.size
    out = np.zeros((2, n))
    distance = np.empty(tile)
    product = np.empty(tile)
    scratch = np.empty(tile)
    for start in range(task * tile, n, step * tile):
        stop = min(start + tile, n)
        for left in range(start, n, tile):
            right = min(left + tile, n)
            line = y[left:right]
            weights = weight[left:right]
            for i in range(start, stop):
                fill_distances(points, i, left, right, distance)
                here = y[i]
                for place in range(line.size):
                    product[place] = abs(line[place] - here) * distance[place]
                add_scaled(out[0, left:right], weight[i], distance)
                add_scaled(out[1, left:right], weight[i], product)
                # Within the tile itself each row meets every other one as a column already.
                if left > start:
                    out[0, i] += folded_dot(weights, distance, scratch)
                    out[1, i] += folded_dot(weights, product, scratch)
    return out


@kernel
def point_sums(
    points: NDArray[np.float64],
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    task: int,
    step: int,
    tile: int,
) -> NDArray[np.float64]:
    """For each row i, sums over j of first_j d_ij and of second_j d_ij. O(n^2 columns / step).

    Part of one task, as in :func:`point_products`. Returns (2, n).
    """
    n = first.size
    out = np.zeros((2, n))
    distance = np.empty(tile)
    scratch = np.empty(tile)
    for start in range(task * tile, n, step * tile):
        stop = min(start + tile, n)
        for left in range(start, n, tile):
            right = min(left + tile, n)
            for i in range(start, stop):
                fill_distances(points, i, left, right, distance)
                add_scaled(out[0, left:right], first[i], distance)
                add_scaled(out[1, left:right], second[i], distance)
                if left > start:
                    out[0, i] += folded_dot(first[left:right], distance, scratch)
                    out[1, i] += folded_dot(second[left:right], distance, scratch)
    return out
