"""Point values of one model in a single pass over its rows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalstats.calibration.kernels import one_pass_sums
from evalstats.data.columns import Columns

Array = NDArray[np.float64]


class OnePass(NamedTuple):
    """What one pass over the rows of a model gives.

    Attributes
    ----------
    bins : float64 array (bins, 3)
        Weight, weighted error and weighted outcome of bins of equal width.
    brier_score, balance_score, calibration_in_the_large : float
        Weighted means of the squared, the directed and the plain error ``y - p``.
    """

    bins: Array
    brier_score: float
    balance_score: float
    calibration_in_the_large: float


def one_pass(columns: Columns, n_bins: int) -> OnePass:
    """Sum the rows of one binary model. O(n)."""
    weights = np.ones(1) if columns.weight is None else columns.weight
    edges = np.arange(n_bins + 1) / n_bins
    rows = np.zeros((8 * n_bins, 3))
    one_pass_sums(
        columns.models["y_prob"]["y_prob"], columns.single["y_true"], weights, edges, rows
    )
    # Axes: bin, outcome, p >= 1/2, then the three sums.
    sums = rows.reshape(n_bins, 2, 2, 2, 3).sum(axis=3)
    mass, error, square = np.moveaxis(sums, -1, 0)
    total = mass.sum()
    bins = np.column_stack([mass.sum(axis=(1, 2)), error.sum(axis=(1, 2)), mass[:, 1].sum(axis=1)])
    return OnePass(
        bins,
        float(square.sum() / total),
        float((error[:, :, 1].sum() - error[:, :, 0].sum()) / total),
        float(error.sum() / total),
    )
