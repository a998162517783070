"""Point values of one model in a single pass over its rows."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalstats.calibration.kernels import one_pass_sums
from evalstats.data.columns import Columns
from evalstats.options import MAX_COUNT

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
    """Sum the rows of one validated binary model. O(n)."""
    sums = _summed(
        columns.models["y_prob"]["y_prob"],
        columns.single["y_true"],
        np.ones(1) if columns.weight is None else columns.weight,
        n_bins,
    )
    if sums is None:
        raise AssertionError("validated probabilities lie in [0, 1]")
    return sums


def one_pass_of_arrays(y_true: object, y_prob: object, n_bins: object) -> OnePass | None:
    """Sum plain arrays without weights, checking them in the same pass. O(n).

    Returns None where anything is not plain or not right; validation then says what.
    """
    plain = isinstance(y_true, np.ndarray) and isinstance(y_prob, np.ndarray)
    if (
        not plain
        or not isinstance(n_bins, int)
        or isinstance(n_bins, bool)
        or not 1 <= n_bins <= MAX_COUNT
    ):
        return None
    if not 1 <= n_bins <= MAX_COUNT:
        return None
    if type(y_true) is not np.ndarray or type(y_prob) is not np.ndarray:
        return None
    fits = y_true.ndim == y_prob.ndim == 1 and len(y_true) == len(y_prob) > 0
    if not fits or y_prob.dtype != np.float64 or y_true.dtype.kind not in "biu":
        return None
    # Read without its sign, a negative number is a large one.
    if (
        y_true.dtype != np.bool_
        and y_true.view(f"{y_true.dtype.byteorder}u{y_true.itemsize}").max() > 1
    ):
        return None
    outcome = np.require(y_true.astype(np.bool_, copy=False), np.bool_, ["C", "W"])
    forecast = np.require(y_prob, np.float64, ["C", "W"])
    return _summed(forecast, outcome, np.ones(1), n_bins)


def _summed(
    forecast: Array, outcome: NDArray[np.bool_], weights: Array, n_bins: int
) -> OnePass | None:
    edges = np.arange(n_bins + 1) / n_bins
    rows = np.zeros((8 * n_bins, 3))
    if not one_pass_sums(forecast, outcome.view(np.uint8), weights, edges, rows):
        return None
    # Axes: bin, outcome, p >= 1/2, then the three sums.
    sums = rows.reshape(n_bins, 2, 2, 2, 3).sum(axis=3)
    mass, first, second = np.moveaxis(sums, -1, 0)
    happened = np.array([0.0, 1.0])[:, np.newaxis]
    error = happened * mass - first
    square = happened * (mass - 2.0 * first) + second
    total = mass.sum()
    bins = np.column_stack([mass.sum(axis=(1, 2)), error.sum(axis=(1, 2)), mass[:, 1].sum(axis=1)])
    return OnePass(
        bins,
        float(square.sum() / total),
        float((error[:, :, 1].sum() - error[:, :, 0].sum()) / total),
        float(error.sum() / total),
    )
