"""Sums over all pairs of rows when protected attributes take K joint levels (cells). O(nK).

Rows arrive sorted by the prediction y. Distances |y_i - y_j| then split into signed sums over the
rows before and after, which running totals per cell carry along.
"""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel


@kernel
def pair_table(
    y: NDArray[np.float64],
    cell: NDArray[np.int64],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
    n_cells: int,
) -> NDArray[np.float64]:
    """T_kl, the sum of w_i w_j |y_i - y_j| over rows i of cell k and j of cell l. O(nK).

    `y` and `cell` are sorted by y; `weight` is in the order of the rows, so that a bootstrap
    replicate sorts nothing.
    """
    table = np.zeros((n_cells, n_cells))
    count = np.zeros(n_cells)
    total = np.zeros(n_cells)
    for position in range(y.size):
        w = weight[order[position]]
        if w == 0.0:
            continue
        k = cell[position]
        value = y[position]
        for other in range(n_cells):
            table[k, other] += w * (value * count[other] - total[other])
        count[k] += w
        total[k] += w * value
    for k in range(n_cells):
        for other in range(k + 1):
            both = table[k, other] + table[other, k]
            table[k, other] = both
            table[other, k] = both
    return table


@kernel
def row_distances(
    y: NDArray[np.float64], order: NDArray[np.int64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum over j of w_j |y_i - y_j| for each row i, in the order of the rows. O(n)."""
    out = np.empty(y.size)
    all_count = 0.0
    all_total = 0.0
    for position in range(y.size):
        w = weight[order[position]]
        all_count += w
        all_total += w * y[position]
    count = 0.0
    total = 0.0
    for position in range(y.size):
        row = order[position]
        value = y[position]
        count += weight[row]
        total += weight[row] * value
        out[row] = value * (2.0 * count - all_count) - (2.0 * total - all_total)
    return out


@kernel
def merged_halves(
    first: NDArray[np.float64], second: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Merge two sorted arrays; cell 0 or 1 says which one a value comes from. O(n)."""
    n = first.size + second.size
    values = np.empty(n)
    cell = np.empty(n, dtype=np.int64)
    i = 0
    j = 0
    for place in range(n):
        if j == second.size or (i < first.size and first[i] <= second[j]):
            values[place] = first[i]
            cell[place] = 0
            i += 1
        else:
            values[place] = second[j]
            cell[place] = 1
            j += 1
    return values, cell


@kernel
def distance_moments(
    y: NDArray[np.float64], order: NDArray[np.int64], weight: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Sums of w_i a_i, w_i a_i^2 and w_i w_j a_ij^2, where a_i is the sum of w_j a_ij. O(n)."""
    all_count = 0.0
    all_total = 0.0
    for position in range(y.size):
        w = weight[order[position]]
        all_count += w
        all_total += w * y[position]
    mean = all_total / all_count if all_count > 0.0 else 0.0
    count = 0.0
    total = 0.0
    first = 0.0
    second = 0.0
    spread = 0.0
    for position in range(y.size):
        w = weight[order[position]]
        value = y[position]
        count += w
        total += w * value
        a = value * (2.0 * count - all_count) - (2.0 * total - all_total)
        first += w * a
        second += w * a * a
        spread += w * (value - mean) * (value - mean)
    return first, second, 2.0 * all_count * spread


@kernel
def row_products(
    y: NDArray[np.float64],
    cell: NDArray[np.int64],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
    matrix: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Sum over j of w_j |y_i - y_j| G_{k(i) k(j)} for each row i and symmetric G. O(nK)."""
    n_cells = matrix.shape[0]
    mass = np.zeros(n_cells)
    moment = np.zeros(n_cells)
    for position in range(y.size):
        w = weight[order[position]]
        mass[cell[position]] += w
        moment[cell[position]] += w * y[position]
    all_count = matrix @ mass
    all_total = matrix @ moment
    count = np.zeros(n_cells)
    total = np.zeros(n_cells)
    out = np.empty(y.size)
    for position in range(y.size):
        row = order[position]
        k = cell[position]
        value = y[position]
        w = weight[row]
        if w != 0.0:
            for other in range(n_cells):
                step = w * matrix[k, other]
                count[other] += step
                total[other] += step * value
        out[row] = value * (2.0 * count[k] - all_count[k]) - (2.0 * total[k] - all_total[k])
    return out


@kernel
def signed_sums(
    y: NDArray[np.float64],
    cell: NDArray[np.int64],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
    matrix: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Sum over j of w_j sign(y_i - y_j) G_{k(i) k(j)} for each row i; ties count 0. O(nK).

    Half the derivative of the weighted sum of |y_i - y_j| G by y_i, over w_i.
    """
    n_cells = matrix.shape[0]
    mass = np.zeros(n_cells)
    for position in range(y.size):
        mass[cell[position]] += weight[order[position]]
    everything = matrix @ mass
    below = np.zeros(n_cells)
    out = np.empty(y.size)
    start = 0
    while start < y.size:
        stop = start
        while stop < y.size and y[stop] == y[start]:
            out[order[stop]] = below[cell[stop]]
            stop += 1
        for position in range(start, stop):
            k = cell[position]
            w = weight[order[position]]
            if w != 0.0:
                for other in range(n_cells):
                    below[other] += w * matrix[k, other]
        for position in range(start, stop):
            k = cell[position]
            out[order[position]] += below[k] - everything[k]
        start = stop
    return out


@kernel
def permuted_sum(
    gap: NDArray[np.float64],
    cell: NDArray[np.int64],
    permutation: NDArray[np.int64],
    matrix: NDArray[np.float64],
) -> float:
    """Sum over pairs of |y_i - y_j| G when sorted rows get the cells of `permutation`. O(nK).

    `gap` holds the distance from each sorted value to the next one, 0 at the end.
    """
    n_cells = matrix.shape[0]
    mass = np.zeros(n_cells)
    for position in range(cell.size):
        mass[cell[position]] += 1.0
    everything = matrix @ mass
    below = np.zeros(n_cells)
    linear = 0.0
    square = 0.0
    total = 0.0
    for position in range(gap.size):
        k = cell[permutation[position]]
        linear += everything[k]
        square += 2.0 * below[k] + matrix[k, k]
        for other in range(n_cells):
            below[other] += matrix[k, other]
        total += gap[position] * (linear - square)
    return 2.0 * total
