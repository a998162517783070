"""Fixing one atomic mistake after another: the compiled steps.

Slots are the places of the ranking from the top; scores belong to slots and rows move between them,
so the blocks of tied slots never change. Within a block the positives come first. A mistake lives
on the boundary below block b when b holds a negative and b + 1 a positive; fixing it swaps the last
negative of b with the last positive of b + 1.
"""

import numpy as np
from numpy.typing import NDArray

from evalstats.discrimination.mistake_kernels import swap_gain
from evalstats.kernels.compile import kernel


@kernel
def boundary_gain(
    boundary: int,
    slots: NDArray[np.int64],
    start: NDArray[np.int64],
    n_positive: NDArray[np.int64],
    weight: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> tuple[float, float]:
    """Won pairs and summed precision to gain at a boundary; -inf without a mistake. O(1).

    The rows of `sums` are the blocks: positive and negative weight above and within.
    """
    cut = start[boundary + 1]
    if n_positive[boundary + 1] == 0 or n_positive[boundary] == cut - start[boundary]:
        return -np.inf, -np.inf
    w = weight[slots[cut + n_positive[boundary + 1] - 1]]
    v = weight[slots[cut - 1]]
    P, N, p1, q1 = sums[boundary]
    p2 = sums[boundary + 1, 2]
    q2 = sums[boundary + 1, 3]
    return swap_gain(P, N, p1, q1, p2, q2, w, v)


@kernel
def update_tree(tree: NDArray[np.float64], leaf: int, key: float) -> None:
    """Set one leaf of a tree of maxima. O(log n)."""
    node = tree.size // 2 + leaf
    tree[node] = key
    node //= 2
    while node >= 1:
        tree[node] = max(tree[2 * node], tree[2 * node + 1])
        node //= 2


@kernel
def topmost_maximum(tree: NDArray[np.float64]) -> int:
    """Leaf with the largest key, the first of them. O(log n)."""
    node = 1
    half = tree.size // 2
    while node < half:
        node = 2 * node if tree[2 * node] >= tree[2 * node + 1] else 2 * node + 1
    return node - half


@kernel
def nth_mistake(counts: NDArray[np.float64], nth: int) -> int:
    """Leaf of the `nth` mistake in a tree of sums. O(log n)."""
    node = 1
    half = counts.size // 2
    while node < half:
        node *= 2
        if nth >= counts[node]:
            nth -= int(counts[node])
            node += 1
    return node - half


@kernel
def update_counts(counts: NDArray[np.float64], leaf: int, key: float) -> None:
    """Set one leaf of a tree of sums. O(log n)."""
    node = counts.size // 2 + leaf
    change = key - counts[node]
    while node >= 1:
        counts[node] += change
        node //= 2


@kernel
def group_gain(
    code: int,
    boundary: int,
    rows: tuple[int, int],
    slots: NDArray[np.int64],
    start: NDArray[np.int64],
    n_positive: NDArray[np.int64],
    weight: NDArray[np.float64],
    group: NDArray[np.int64],
    above: NDArray[np.float64],
) -> tuple[float, float]:
    """Gain of one group alone from a swap, before it is made; keeps `above` up to date.

    `above` has, for every row, the positive and negative weight of its group in higher blocks.
    Linear in the two blocks.
    """
    rising, falling = rows
    p1 = q1 = p2 = q2 = 0.0
    for block in range(boundary, boundary + 2):
        for slot in range(start[block], start[block + 1]):
            row = slots[slot]
            if group[row] == code:
                is_positive = slot - start[block] < n_positive[block]
                if block == boundary:
                    p1 += weight[row] if is_positive else 0.0
                    q1 += 0.0 if is_positive else weight[row]
                else:
                    p2 += weight[row] if is_positive else 0.0
                    q2 += 0.0 if is_positive else weight[row]
    w = v = 0.0
    if group[falling] == code:
        v = weight[falling]
        P, N = above[falling]
    else:
        P = above[rising, 0] - p1
        N = above[rising, 1] - q1
    if group[rising] == code:
        w = weight[rising]
    gain = swap_gain(P, N, p1, q1, p2, q2, w, v)
    for slot in range(start[boundary + 1], start[boundary + 2]):
        row = slots[slot]
        if group[row] == code:
            above[row, 0] = P + p1 + w
            above[row, 1] = N + q1 - v
    if group[rising] == code:
        above[rising, 0] = P
        above[rising, 1] = N
    if group[falling] == code:
        above[falling, 0] = P + p1 + w
        above[falling, 1] = N + q1 - v
    return gain


@kernel
def move_rows(
    boundary: int,
    lower: int,
    slots: NDArray[np.int64],
    start: NDArray[np.int64],
    n_positive: NDArray[np.int64],
    weight: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:
    """Swap the positive in slot `lower` with the last negative above the boundary. O(1).

    The newcomers end each class of their block: first negative slot above, last one below.
    """
    upper = start[boundary + 1] - 1
    rising = slots[lower]
    falling = slots[upper]
    target = start[boundary] + n_positive[boundary]
    slots[upper] = slots[target]
    slots[target] = rising
    slots[lower] = falling
    n_positive[boundary] += 1
    n_positive[boundary + 1] -= 1
    sums[boundary, 2] += weight[rising]
    sums[boundary, 3] -= weight[falling]
    sums[boundary + 1, 0] += weight[rising]
    sums[boundary + 1, 1] -= weight[falling]
    sums[boundary + 1, 2] -= weight[rising]
    sums[boundary + 1, 3] += weight[falling]


@kernel
def fix_steps(
    slots: NDArray[np.int64],
    start: NDArray[np.int64],
    n_positive: NDArray[np.int64],
    weight: NDArray[np.float64],
    group: NDArray[np.int64],
    above: NDArray[np.float64],
    sums: NDArray[np.float64],
    scale: NDArray[np.float64],
    uniforms: NDArray[np.float64],
    policy: int,
    n_boundaries: int,
    values: NDArray[np.float64],
    swapped: NDArray[np.int64],
) -> int:
    """Fix up to ``len(swapped)`` mistakes and return how many there were to fix.

    `policy` is 0 for the largest gain in average precision, 1 for the highest score and 2 for a
    random mistake (one of `uniforms` per step). Updates `slots`, `n_positive`, `above` and `sums`
    in place; fills `swapped` with the rows and rows 1.. of `values` with AUROC and average
    precision, of all rows and then of each group, from row 0 and the factors `scale`.
    O(n + steps * (log n + sizes of the blocks)).
    """
    half = 1
    while half < n_boundaries:
        half *= 2
    tree = np.full(2 * half, -np.inf)
    counts = np.zeros(2 * half)
    for boundary in range(n_boundaries):
        gain = boundary_gain(boundary, slots, start, n_positive, weight, sums)[1]
        if gain > -np.inf:
            update_counts(counts, boundary, 1.0)
            update_tree(tree, boundary, gain if policy == 0 else float(half - boundary))
    for step in range(len(swapped)):
        if counts[1] < 1.0:
            return step
        if policy == 2:
            boundary = nth_mistake(counts, int(uniforms[step] * counts[1]))
        else:
            boundary = topmost_maximum(tree)
        lower = start[boundary + 1] + n_positive[boundary + 1] - 1
        rising = slots[lower]
        falling = slots[start[boundary + 1] - 1]
        swapped[step, 0] = rising
        swapped[step, 1] = falling
        won, precision = boundary_gain(boundary, slots, start, n_positive, weight, sums)
        values[step + 1] = values[step]
        values[step + 1, 0] += won * scale[0]
        values[step + 1, 1] += precision * scale[1]
        for which in range(2):
            code = group[rising] if which == 0 else group[falling]
            if which == 0 or code != group[rising]:
                won, precision = group_gain(
                    code,
                    boundary,
                    (rising, falling),
                    slots,
                    start,
                    n_positive,
                    weight,
                    group,
                    above,
                )
                values[step + 1, 2 + 2 * code] += won * scale[2 + 2 * code]
                values[step + 1, 3 + 2 * code] += precision * scale[3 + 2 * code]
        move_rows(boundary, lower, slots, start, n_positive, weight, sums)
        for changed in range(max(boundary - 1, 0), min(boundary + 2, n_boundaries)):
            gain = boundary_gain(changed, slots, start, n_positive, weight, sums)[1]
            update_counts(counts, changed, 1.0 if gain > -np.inf else 0.0)
            key = gain if policy == 0 or gain == -np.inf else float(half - changed)
            update_tree(tree, changed, key)
    return len(swapped)
