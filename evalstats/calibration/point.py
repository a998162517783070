"""Point values of one model in a single pass over its rows."""

import numpy as np
from numpy.typing import NDArray

from evalstats.calibration.kernels import one_pass_sums
from evalstats.data.columns import Columns

Array = NDArray[np.float64]


def one_pass(columns: Columns, n_bins: int) -> tuple[Array, Array]:
    """Sums of bins of equal width, and totals of weight, squared error and balance.

    Returns
    -------
    sums : float64 array (n_bins, 4)
        As :meth:`evalstats.calibration.binning.FixedBins.sums`.
    totals : float64 array (3,)
        Weight, squared errors and balances.
    """
    forecast = columns.models["y_prob"]["y_prob"]
    weights = np.empty(0) if columns.weight is None else columns.weight
    edges = np.arange(n_bins + 1) / n_bins
    halves = np.zeros((2 * n_bins, 4))
    totals = np.empty(3)
    one_pass_sums(forecast, columns.single["y_true"], weights, edges, halves, totals)
    return halves[:n_bins] + halves[n_bins:], totals
