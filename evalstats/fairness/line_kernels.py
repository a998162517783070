"""Sums over all pairs of rows of two numbers per row, by a binary indexed tree. O(n log n).

A node holds sums of w, wy, wz and wzy, half a cache line.
"""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel


@kernel
def tree_product(tree: NDArray[np.float64], node: int, y: float, z: float) -> float:
    """Sum of w_j (y - y_j)(z - z_j) over the rows below rank `node`. O(log n)."""
    s0 = 0.0
    s1 = 0.0
    s2 = 0.0
    s3 = 0.0
    while node > 0:
        s0 += tree[node, 0]
        s1 += tree[node, 1]
        s2 += tree[node, 2]
        s3 += tree[node, 3]
        node -= node & -node
    return y * z * s0 - z * s1 - y * s2 + s3


@kernel
def tree_add(tree: NDArray[np.float64], node: int, w: float, y: float, z: float) -> None:
    """Add a row at rank `node`. O(log n)."""
    while node < tree.shape[0]:
        tree[node, 0] += w
        tree[node, 1] += w * y
        tree[node, 2] += w * z
        tree[node, 3] += w * y * z
        node += node & -node


@kernel
def rank_sums(
    y: NDArray[np.float64],
    z: NDArray[np.float64],
    rank: NDArray[np.int64],
    weight: NDArray[np.float64],
    n_ranks: int,
) -> NDArray[np.float64]:
    """Sums of w, wy, wz, wzy over the rows below each rank of y. O(n)."""
    level = np.zeros((n_ranks + 1, 4))
    for row in range(y.size):
        w = weight[row]
        place = rank[row] + 1
        level[place, 0] += w
        level[place, 1] += w * y[row]
        level[place, 2] += w * z[row]
        level[place, 3] += w * z[row] * y[row]
    for place in range(n_ranks):
        for entry in range(4):
            level[place + 1, entry] += level[place, entry]
    return level


@kernel
def line_products(
    y: NDArray[np.float64],
    z: NDArray[np.float64],
    rank: NDArray[np.int64],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
    n_ranks: int,
) -> NDArray[np.float64]:
    """Sum over j of w_j |y_i - y_j| |z_i - z_j| for each row i. O(n log n).

    `order` sorts the rows by z, `rank` is the dense rank of y. One sweep over z suffices: with d_j
    = (z_i - z_j) |y_i - y_j|, the sum over all rows is twice that over the rows before minus the
    signed sum over all, which sums by rank of y give.
    """
    level = rank_sums(y, z, rank, weight, n_ranks)
    full = level[n_ranks]
    tree = np.zeros((n_ranks + 1, 4))
    seen = np.zeros(4)
    products = np.empty(y.size)
    for place in range(y.size):
        row = order[place]
        a = y[row]
        b = z[row]
        w = weight[row]
        passed = a * b * seen[0] - b * seen[1] - a * seen[2] + seen[3]
        before = 2.0 * tree_product(tree, rank[row], a, b) - passed
        below = level[rank[row]]
        every = 2.0 * (a * b * below[0] - b * below[1] - a * below[2] + below[3])
        every -= a * b * full[0] - b * full[1] - a * full[2] + full[3]
        products[row] = 2.0 * before - every
        seen[0] += w
        seen[1] += w * a
        seen[2] += w * b
        seen[3] += w * a * b
        tree_add(tree, rank[row] + 1, w, a, b)
    return products


@kernel
def line_total(
    y: NDArray[np.float64],
    z: NDArray[np.float64],
    rank: NDArray[np.int64],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
    n_ranks: int,
) -> float:
    """Sum over all pairs of w_i w_j |y_i - y_j| |z_i - z_j|. O(n log n)."""
    tree = np.zeros((n_ranks + 1, 4))
    c0 = 0.0
    c1 = 0.0
    c2 = 0.0
    c3 = 0.0
    total = 0.0
    for place in range(y.size):
        row = order[place]
        a = y[row]
        b = z[row]
        w = weight[row]
        passed = a * b * c0 - b * c1 - a * c2 + c3
        total += w * (2.0 * tree_product(tree, rank[row], a, b) - passed)
        c0 += w
        c1 += w * a
        c2 += w * b
        c3 += w * a * b
        tree_add(tree, rank[row] + 1, w, a, b)
    return 2.0 * total
