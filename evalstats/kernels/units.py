"""Sums over sampling units and centring within strata."""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel


@kernel
def spread_weights(
    unit_weight: NDArray[np.float64],
    unit_of_row: NDArray[np.int64],
    row_weight: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Weight of each row: its own times that of its unit. O(rows)."""
    for row in range(unit_of_row.size):
        out[row] = row_weight[row] * unit_weight[unit_of_row[row]]


@kernel
def weighted_unit_sums(
    values: NDArray[np.float64],
    row_weight: NDArray[np.float64],
    unit_of_row: NDArray[np.int64],
    n_units: int,
) -> NDArray[np.float64]:
    """Sum of weight times value over the rows of each unit. O(rows x columns)."""
    sums = np.zeros((n_units, values.shape[1]))
    for row in range(values.shape[0]):
        unit = unit_of_row[row]
        for column in range(values.shape[1]):
            sums[unit, column] += row_weight[row] * values[row, column]
    return sums


@kernel
def centre_within_strata(
    sums: NDArray[np.float64],
    stratum: NDArray[np.int64],
    active: NDArray[np.bool_],
    n_strata: int,
) -> None:
    """Centre active units within their stratum of m units and scale by sqrt(m / (m - 1)).

    Inactive units become 0; the only unit of a stratum becomes NaN, since its variance cannot be
    estimated. O(units x columns).
    """
    k = sums.shape[1]
    size = np.zeros(n_strata)
    mean = np.zeros((n_strata, k))
    for unit in range(sums.shape[0]):
        if active[unit]:
            size[stratum[unit]] += 1.0
            for column in range(k):
                mean[stratum[unit], column] += sums[unit, column]
    scale = np.full(n_strata, np.nan)
    for code in range(n_strata):
        if size[code] > 1.0:
            scale[code] = np.sqrt(size[code] / (size[code] - 1.0))
        for column in range(k):
            mean[code, column] /= max(size[code], 1.0)
    for unit in range(sums.shape[0]):
        code = stratum[unit]
        for column in range(k):
            if active[unit]:
                sums[unit, column] = (sums[unit, column] - mean[code, column]) * scale[code]
            else:
                sums[unit, column] = 0.0
