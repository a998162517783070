"""Test of calibration: how large the error would be if the forecasts were right."""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.calibration.binning import Bins, Prepared
from evalstats.data.columns import Columns
from evalstats.inference.consistency import consistency_replicates, upper_p_value
from evalstats.inference.methods import RandomSource

Array = NDArray[np.float64]


def consistency_test(
    columns: Columns,
    samples: Sequence[tuple[str | None, Columns, Prepared]],
    error: Callable[[Array], float],
    n_resamples: int,
    rng: RandomSource,
) -> pl.DataFrame:
    """Table of the test; see :meth:`evalstats.CalibrationError.calibration_test`."""
    rows: list[dict[str, object]] = []
    for group, sample, prepared in samples:
        weights = np.ones(sample.n) if sample.weight is None else sample.weight
        for model, sets in zip(columns.model_names, prepared.models, strict=True):
            bins = sets[0]
            value = error(bins.sums(weights))
            replicates = consistency_replicates(
                _Redrawn(bins, weights, error), bins.outcome - bins.error, n_resamples, rng
            )
            p_value = upper_p_value(replicates, np.array([value]))[0]
            rows.append(
                {
                    "metric": "Calibration error",
                    "model": model,
                    **({} if group is None else {"group": group}),
                    "estimate": value,
                    "null_mean": float(replicates.mean()),
                    "p_value": float(p_value),
                    "n": int((weights > 0).sum()),
                }
            )
    return pl.DataFrame(rows)


class _Redrawn:
    """Error of the same bins with other outcomes."""

    def __init__(self, bins: Bins, weights: Array, error: Callable[[Array], float]) -> None:
        self._bins = bins
        self._weights = weights
        self._error = error

    def __call__(self, outcome: NDArray[np.bool_]) -> Array:
        return np.array([self._error(self._bins.with_outcome(outcome).sums(self._weights))])
