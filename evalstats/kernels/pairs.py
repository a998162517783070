"""Maxima over all pairs of estimates."""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel


@kernel
def largest_pair_deviations(
    draws: NDArray[np.float64], standard_error: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Per draw the largest |draw_i - draw_j| / standard_error_ij over all pairs. O(B m^2)."""
    largest = np.zeros(draws.shape[0])
    for draw in range(draws.shape[0]):
        top = 0.0
        for i in range(draws.shape[1]):
            for j in range(i):
                if standard_error[i, j] > 0.0:
                    ratio = abs(draws[draw, i] - draws[draw, j]) / standard_error[i, j]
                    top = max(top, ratio)
        largest[draw] = top
    return largest


@kernel
def pair_sums_within(values: NDArray[np.float64], limit: float) -> int:
    """Number of pairs with a sum of at most `limit`; values ascend and pair with themselves too.

    O(n): as the first value grows, the last one that fits moves down.
    """
    count = 0
    last = values.size - 1
    for first in range(values.size):
        while last >= first and values[first] + values[last] > limit:
            last -= 1
        if last < first:
            break
        count += last - first + 1
    return count
