"""Jump of scalar outcomes in one window: two passes over the rows in any order, no sorting."""

import numpy as np
from numpy.typing import NDArray

from evalstats.discontinuity.kernels import inverted, kernel_weight
from evalstats.kernels.compile import kernel


@kernel
def rows_within(running: NDArray[np.float64], cutoff: float, h: float) -> NDArray[np.int64]:
    """Rows whose running variable is at most `h` from the cutoff, in their order. O(n)."""
    rows = np.empty(running.size + 1, dtype=np.int64)
    used = 0
    for row in range(running.size):
        # Each place is written before it is known to be needed, without a branch.
        rows[used] = row
        used += int(abs(running[row] - cutoff) <= h)
    return rows[:used]


@kernel
def _mass(u: float, kind: int, weight: NDArray[np.float64], row: int) -> float:
    """Weight of a row at u; `weight` is empty where all rows count alike. O(1)."""
    mass = kernel_weight(u, kind)
    if weight.size > 0:
        mass *= weight[row]
    return mass


@kernel
def _normal_equations(
    rows: NDArray[np.int64],
    running: NDArray[np.float64],
    outcome: NDArray[np.float64],
    weight: NDArray[np.float64],
    cutoff: float,
    h: float,
    kind: int,
    gram: NDArray[np.float64],
    right: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Fill the moments (2, k, k) and (2, k) of both sides; their rows with weight. O(rows p^2)."""
    size = gram.shape[1]
    counts = np.zeros(2, dtype=np.int64)
    powers = np.ones(size)
    for row in rows:
        u = (running[row] - cutoff) / h
        mass = _mass(u, kind, weight, row)
        side = int(u >= 0.0)
        counts[side] += int(mass > 0.0)
        for j in range(1, size):
            powers[j] = powers[j - 1] * u
        for j in range(size):
            right[side, j] += mass * powers[j] * outcome[row]
            for i in range(j + 1):
                gram[side, j, i] += mass * powers[j] * powers[i]
    for j in range(size):
        for i in range(j):
            gram[:, i, j] = gram[:, j, i]
    return counts


@kernel
def scalar_jump(
    running: NDArray[np.float64],
    outcome: NDArray[np.float64],
    weight: NDArray[np.float64],
    cutoff: float,
    h: float,
    kind: int,
    order: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Fit both sides of one window.

    Returns the limits (2,), sum and sum of squares of the leave-one-out influence values on each
    limit (2, 2), condition numbers (2,) and numbers of rows with weight (2,), below first. A side
    whose fit is singular gets NaN. O(n + window p^2).
    """
    size = order + 1
    gram, inverse = np.zeros((2, size, size)), np.empty((2, size, size))
    right, coefficients = np.zeros((2, size)), np.full((2, size), np.nan)
    rows = rows_within(running, cutoff, h)
    counts = _normal_equations(rows, running, outcome, weight, cutoff, h, kind, gram, right)
    condition = np.empty(2)
    for side in range(2):
        condition[side] = inverted(gram[side], inverse[side])
        if condition[side] < np.inf:
            for j in range(size):
                coefficients[side, j] = (inverse[side, j] * right[side]).sum()
    sums = np.zeros((2, 2))
    powers = np.ones(size)
    for row in rows:
        u = (running[row] - cutoff) / h
        mass = _mass(u, kind, weight, row)
        side = int(u >= 0.0)
        for j in range(1, size):
            powers[j] = powers[j - 1] * u
        residual = outcome[row]
        pull = 0.0
        leverage = 0.0
        for j in range(size):
            residual -= coefficients[side, j] * powers[j]
            pull += inverse[side, 0, j] * powers[j]
            entry = 0.0
            for i in range(size):
                entry += inverse[side, j, i] * powers[i]
            leverage += powers[j] * entry
        left = 1.0 - mass * leverage
        if left > 1e-10:
            influence = mass * pull * residual / left
            sums[side, 0] += influence
            sums[side, 1] += influence * influence
    return coefficients[:, 0].copy(), sums, condition, counts
