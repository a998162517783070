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
