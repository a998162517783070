"""Products of a tall and a small matrix."""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel


@kernel
def tall_product(rows: NDArray[np.float64], factor: NDArray[np.float64]) -> NDArray[np.float64]:
    """Product (n, m) of `rows` (n, k) and the transpose of `factor` (m, k). O(n m k).

    For a dozen columns the threads of a BLAS cost far more than they give, above all where other
    work keeps the processors busy.
    """
    out = np.empty((rows.shape[0], factor.shape[0]))
    for row in range(rows.shape[0]):
        for column in range(factor.shape[0]):
            total = 0.0
            for inner in range(factor.shape[1]):
                total += rows[row, inner] * factor[column, inner]
            out[row, column] = total
    return out
