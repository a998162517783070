"""Sums over all pairs of rows of two numbers per row, by a binary indexed tree. O(n log n)."""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel


@kernel
def line_products(
    y: NDArray[np.float64],
    z: NDArray[np.float64],
    rank: NDArray[np.int64],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums over j of w_j |y_i - y_j| |z_i - z_j| and of w_j sign(y_i - y_j) |z_i - z_j|.

    `order` sorts the rows by z, `rank` is the dense rank of y. One sweep over z suffices: with d_j
    = (z_i - z_j) |y_i - y_j|, the sum over all rows is twice that over the rows before minus the
    signed sum over all, which prefix sums over y give. O(n log n).
    """
    n = y.size
    n_ranks = 0
    for row in range(n):
        n_ranks = max(n_ranks, rank[row] + 1)
    # Per rank of y: sums of w, wy, wz, wzy; a node of the tree fills half a cache line.
    level = np.zeros((n_ranks + 1, 4))
    for row in range(n):
        w = weight[row]
        level[rank[row] + 1, 0] += w
        level[rank[row] + 1, 1] += w * y[row]
        level[rank[row] + 1, 2] += w * z[row]
        level[rank[row] + 1, 3] += w * z[row] * y[row]
    for position in range(n_ranks):
        for entry in range(4):
            level[position + 1, entry] += level[position, entry]
    tree = np.zeros((n_ranks + 1, 4))
    seen = np.zeros(4)
    products = np.empty(n)
    signed = np.empty(n)
    for place in range(n):
        row = order[place]
        a = y[row]
        b = z[row]
        w = weight[row]
        strictly = rank[row]
        s0 = 0.0
        s1 = 0.0
        s2 = 0.0
        s3 = 0.0
        node = strictly
        while node > 0:
            s0 += tree[node, 0]
            s1 += tree[node, 1]
            s2 += tree[node, 2]
            s3 += tree[node, 3]
            node -= node & -node
        before = 2.0 * (a * b * s0 - b * s1 - a * s2 + s3) - (
            a * b * seen[0] - b * seen[1] - a * seen[2] + seen[3]
        )
        # Rows tied in y among those before: the tree holds them from their rank upwards.
        node = strictly + 1
        t0 = 0.0
        t2 = 0.0
        while node > 0:
            t0 += tree[node, 0]
            t2 += tree[node, 2]
            node -= node & -node
        sign_before = (b * s0 - s2) - (b * (seen[0] - t0) - (seen[2] - t2))
        below = level[strictly]
        upto = level[strictly + 1]
        full = level[n_ranks]
        every = 2.0 * (a * b * below[0] - b * below[1] - a * below[2] + below[3]) - (
            a * b * full[0] - b * full[1] - a * full[2] + full[3]
        )
        sign_every = (b * below[0] - below[2]) - (
            b * (full[0] - upto[0]) - (full[2] - upto[2])
        )
        products[row] = 2.0 * before - every
        signed[row] = 2.0 * sign_before - sign_every
        seen[0] += w
        seen[1] += w * a
        seen[2] += w * b
        seen[3] += w * a * b
        node = strictly + 1
        while node <= n_ranks:
            tree[node, 0] += w
            tree[node, 1] += w * a
            tree[node, 2] += w * b
            tree[node, 3] += w * a * b
            node += node & -node
    return products, signed


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
        s0 = 0.0
        s1 = 0.0
        s2 = 0.0
        s3 = 0.0
        node = rank[row]
        while node > 0:
            s0 += tree[node, 0]
            s1 += tree[node, 1]
            s2 += tree[node, 2]
            s3 += tree[node, 3]
            node -= node & -node
        below = a * b * s0 - b * s1 - a * s2 + s3
        total += w * (2.0 * below - (a * b * c0 - b * c1 - a * c2 + c3))
        c0 += w
        c1 += w * a
        c2 += w * b
        c3 += w * a * b
        node = rank[row] + 1
        while node <= n_ranks:
            tree[node, 0] += w
            tree[node, 1] += w * a
            tree[node, 2] += w * b
            tree[node, 3] += w * a * b
            node += node & -node
    return 2.0 * total
