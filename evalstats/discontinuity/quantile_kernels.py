"""Empirical quantile functions of many units, each with its own number of draws.

`values` (M,) holds the draws of all units, unit i in ``values[offsets[i]:offsets[i + 1]]``; `grid`
(Q,) is ascending and inside (0, 1).
"""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel

# Cumulative weights that reach an integer up to rounding have reached it: the weighted quantile is
# a step function of them, and the order of the additions must not decide.
SLACK = 1e-12


@kernel
def draw_quantiles(
    values: NDArray[np.float64],
    offsets: NDArray[np.int64],
    grid: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Fill (units, Q) with the type-7 quantiles of each unit's draws. O(M log m + units Q)."""
    for unit in range(offsets.size - 1):
        draws = np.sort(values[offsets[unit] : offsets[unit + 1]])
        last = draws.size - 1
        for q in range(grid.size):
            position = last * grid[q]
            low = int(position)
            high = min(low + 1, last)
            share = position - low
            out[unit, q] = (1.0 - share) * draws[low] + share * draws[high]


@kernel
def weighted_draw_quantiles(
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    offsets: NDArray[np.int64],
    grid: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Fill (units, Q) with weighted quantiles that equal type 7 for equal weights.

    The weights of a unit are scaled to its number of weighted draws m; with r = 1 + (m - 1) q the
    quantile interpolates between the smallest values whose cumulative weight reaches floor(r) and
    floor(r) + 1. O(M log m + units Q log m).
    """
    for unit in range(offsets.size - 1):
        start = offsets[unit]
        order = np.argsort(values[start : offsets[unit + 1]])
        level = np.empty(order.size)
        reached = np.empty(order.size)
        total = 0.0
        m = 0
        distinct = 0
        for position in range(order.size):
            weight = weights[start + order[position]]
            if weight > 0.0:
                value = values[start + order[position]]
                total += weight
                m += 1
                if distinct == 0 or level[distinct - 1] != value:
                    level[distinct] = value
                    distinct += 1
                reached[distinct - 1] = total
        scale = m / total
        for position in range(distinct):
            reached[position] = reached[position] * scale + SLACK * m
        for q in range(grid.size):
            r = 1.0 + (m - 1) * grid[q]
            low = max(np.floor(r), 1.0)
            high = min(low + 1.0, float(m))
            first = min(np.searchsorted(reached[:distinct], low), distinct - 1)
            second = min(np.searchsorted(reached[:distinct], high), distinct - 1)
            share = r - np.floor(r)
            out[unit, q] = (1.0 - share) * level[first] + share * level[second]
