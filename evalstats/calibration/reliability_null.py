"""Distribution of miscalibration when the forecasts are right."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalstats.calibration.binned_terms import ForecastBins
from evalstats.calibration.corp import SortedForecasts, losses, weighted_mean
from evalstats.inference.consistency import consistency_replicates, upper_p_value
from evalstats.inference.methods import RandomSource

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class MiscalibrationNull:
    """Miscalibration as a function of the outcomes, and the forecasts they are drawn from.

    Attributes
    ----------
    value : float
        Miscalibration of the data.
    forecast : float64 array (n,)
        Forecast of each outcome, in ascending order for isotonic regression.
    statistic : callable
        Outcomes in that order to an array (1,).
    """

    value: float
    forecast: Array
    statistic: Callable[[Bools], Array]

    @classmethod
    def of(cls, item: SortedForecasts | ForecastBins, weights: Array) -> "MiscalibrationNull":
        """Bind prepared rows to their weights."""
        value = float(item.terms(weights)[0])
        if isinstance(item, ForecastBins):
            return cls(value, item.forecast, _binned(item, weights))
        return cls(value, item.forecast, _isotonic(item, weights))

    def test(self, n_resamples: int, rng: RandomSource) -> tuple[float, float, float]:
        """Value, mean under calibration and p-value. O(n) per replicate."""
        replicates = consistency_replicates(self.statistic, self.forecast, n_resamples, rng)
        p_value = upper_p_value(replicates, np.array([self.value]))
        return self.value, float(replicates.mean()), float(p_value[0])


def _isotonic(rows: SortedForecasts, weights: Array) -> Callable[[Bools], Array]:
    ranked = weights[rows.order]

    def statistic(outcome: Bools) -> Array:
        mean = weighted_mean(losses(rows.forecast, outcome, rows.score), ranked)
        blocks = rows.blocks_of(outcome.astype(np.float64), weights)
        return rows.terms_of(blocks, mean)[:1]

    return statistic


def _binned(bins: ForecastBins, weights: Array) -> Callable[[Bools], Array]:
    def statistic(outcome: Bools) -> Array:
        return ForecastBins(bins.code, bins.forecast, outcome, bins.centre).terms(weights)[:1]

    return statistic
