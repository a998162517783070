"""Isotonic values of a test object under either label, for every place it may take."""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel

Array = NDArray[np.float64]


@kernel
def isotonic_with_positive(weight: Array, total: Array) -> Array:
    """Isotonic value at each place after one positive of weight 1 was added there. O(k).

    The extra object is a segment (1, 1) of the cumulative sum diagram that moves from place to
    place by one swap of neighbours; the convex minorant is kept as a stack of corners
    (Vovk, Petej and Fedorova 2015, algorithms 1 and 2).

    Parameters
    ----------
    weight, total : float64 array (k,)
        Weight and weighted sum of the labels of each distinct score, ascending.

    Returns
    -------
    float64 array (k,)
    """
    k = weight.size
    # Points P_{-1}, P_0, ..., P_k are kept at the positions 0, 1, ..., k + 1.
    x = np.empty(k + 2)
    y = np.empty(k + 2)
    x[0] = y[0] = -1.0
    x[1] = y[1] = 0.0
    for i in range(k):
        x[i + 2] = x[i + 1] + weight[i]
        y[i + 2] = y[i + 1] + total[i]
    # Corners from the right, so that the leftmost ends on top.
    stack = np.empty(k + 2, dtype=np.int64)
    depth = 0
    for i in range(k + 1, -1, -1):
        while depth > 1 and not_left(x, y, i, stack[depth - 1], stack[depth - 2]):
            depth -= 1
        stack[depth] = i
        depth += 1
    value = np.empty(k)
    for i in range(k):
        top = stack[depth - 1]
        below = stack[depth - 2]
        value[i] = (y[below] - y[top]) / (x[below] - x[top])
        moved = i + 1
        x[moved] = x[i] + x[i + 2] - x[i + 1]
        y[moved] = y[i] + y[i + 2] - y[i + 1]
        if not_left(x, y, top, moved, below):
            continue
        depth -= 1
        while depth > 1 and not_left(x, y, moved, stack[depth - 1], stack[depth - 2]):
            depth -= 1
        stack[depth] = moved
        depth += 1
    return value


@kernel
def not_left(x: Array, y: Array, a: int, b: int, c: int) -> bool:
    """Whether the way a, b, c does not turn left at b. O(1)."""
    return bool((x[b] - x[a]) * (y[c] - y[b]) <= (y[b] - y[a]) * (x[c] - x[b]))
