"""Sums over all pairs of rows of any dimension: O(n^2) time, O(n) memory.

Variables are blocks of columns: block b of `points` holds columns ``offsets[b]:offsets[b + 1]``,
and its distance is Euclidean. Each kernel treats rows ``start:stop``, so that threads share work.
"""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel


@kernel
def block_distance(points: NDArray[np.float64], i: int, j: int, first: int, last: int) -> float:
    """Euclidean distance of two rows in columns first:last. O(columns)."""
    if last - first == 1:
        return float(abs(points[i, first] - points[j, first]))
    square = 0.0
    for column in range(first, last):
        difference = points[i, column] - points[j, column]
        square += difference * difference
    return float(np.sqrt(square))


@kernel
def distance_sums(
    points: NDArray[np.float64],
    offsets: NDArray[np.int64],
    weight: NDArray[np.float64],
    start: int,
    stop: int,
) -> NDArray[np.float64]:
    """Sum over j of weight[j, s] d(i, j) for each row i, block and column s. O(n^2 columns).

    Returns (stop - start, blocks); block b is summed with weight[:, b].
    """
    n_blocks = offsets.size - 1
    out = np.zeros((stop - start, n_blocks))
    for i in range(start, stop):
        for j in range(points.shape[0]):
            for block in range(n_blocks):
                out[i - start, block] += weight[j, block] * block_distance(
                    points, i, j, offsets[block], offsets[block + 1]
                )
    return out


@kernel
def product_sums(
    points: NDArray[np.float64],
    offsets: NDArray[np.int64],
    weight: NDArray[np.float64],
    centre: NDArray[np.float64],
    grand: NDArray[np.float64],
    scale: NDArray[np.float64],
    c: float,
    start: int,
    stop: int,
) -> NDArray[np.float64]:
    """Row sums that every statistic of several variables is made of. O(n^2 columns).

    Block 0 is the prediction with distances a; with U_m = (centre_i + centre_j - grand - d) *
    scale in the other blocks, P is the product of U_m + c. Columns of the result, each a sum over
    j of w_j times: P; a P; Ua P with Ua = centre_i + centre_j - grand - a of block 0; the product
    without block m (one column for each m >= 1); Ua times it (again one for each). The terms of
    the row with itself are included.
    """
    n_blocks = offsets.size - 1
    others = n_blocks - 1
    out = np.zeros((stop - start, 3 + 2 * others))
    factor = np.empty(n_blocks)
    for i in range(start, stop):
        row = out[i - start]
        for j in range(points.shape[0]):
            w = weight[j]
            if w == 0.0:
                continue
            a = block_distance(points, i, j, offsets[0], offsets[1])
            ua = centre[i, 0] + centre[j, 0] - grand[0] - a
            product = 1.0
            for block in range(1, n_blocks):
                d = block_distance(points, i, j, offsets[block], offsets[block + 1])
                u = (centre[i, block] + centre[j, block] - grand[block] - d) * scale[block]
                factor[block] = u + c
                product *= factor[block]
            row[0] += w * product
            row[1] += w * a * product
            row[2] += w * ua * product
            for block in range(1, n_blocks):
                rest = 1.0
                for other in range(1, n_blocks):
                    if other != block:
                        rest *= factor[other]
                row[2 + block] += w * rest
                row[2 + others + block] += w * ua * rest
    return out


@kernel
def squared_distance_total(
    points: NDArray[np.float64], weight: NDArray[np.float64], first: int, last: int
) -> float:
    """Sum over all pairs of w_i w_j d^2(i, j), from moments. O(n columns)."""
    mass = 0.0
    square = 0.0
    total = 0.0
    for i in range(points.shape[0]):
        mass += weight[i]
    for column in range(first, last):
        mean = 0.0
        for i in range(points.shape[0]):
            mean += weight[i] * points[i, column]
        mean /= mass
        for i in range(points.shape[0]):
            shift = points[i, column] - mean
            square += weight[i] * shift * shift
            total += weight[i] * shift
    return 2.0 * (mass * square - total * total)
