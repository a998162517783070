"""Weighted isotonic regression by pooling adjacent violators."""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel

Array = NDArray[np.float64]


@kernel
def pool_adjacent_violators(
    value: Array,
    last_in_tie: NDArray[np.bool_],
    order: NDArray[np.int64],
    weights: Array,
) -> tuple[Array, Array, NDArray[np.int64]]:
    """Blocks of the non-decreasing weighted least-squares fit of `value`. O(n).

    Parameters
    ----------
    value : float64 array (n,)
        Responses in ascending order of the covariate.
    last_in_tie : bool array (n,)
        True at the last of each run of equal covariates, which share one fitted value.
    order : int64 array (n,)
        Row of each position, for the weights.
    weights : float64 array (n,)
        Weight of each row, in the order of the rows; rows of weight 0 take no part.

    Returns
    -------
    weight, total : float64 array (blocks,)
        Weight of each block and weighted sum of its responses.
    end : int64 array (blocks,)
        Position after the last of each block.
    """
    n = order.size
    weight = np.empty(n)
    total = np.empty(n)
    end = np.empty(n, dtype=np.int64)
    depth = 0
    mass = 0.0
    amount = 0.0
    for position in range(n):
        of_row = weights[order[position]]
        mass += of_row
        amount += of_row * value[position]
        if not last_in_tie[position]:
            continue
        if mass > 0.0:
            # Pool while the block before is not lower.
            while depth > 0 and total[depth - 1] * mass >= amount * weight[depth - 1]:
                depth -= 1
                mass += weight[depth]
                amount += total[depth]
            weight[depth] = mass
            total[depth] = amount
            end[depth] = position + 1
            depth += 1
        mass = 0.0
        amount = 0.0
    return weight[:depth].copy(), total[:depth].copy(), end[:depth].copy()
