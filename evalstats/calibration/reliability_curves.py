"""Reliability curves with confidence and consistency bands, and histograms of forecasts."""

from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.calibration.binned_terms import ForecastBins
from evalstats.calibration.corp import SortedForecasts
from evalstats.inference.consistency import consistency_replicates
from evalstats.inference.methods import Bootstrap, RandomSource
from evalstats.inference.problem import Part, Problem
from evalstats.inference.resampling import bootstrap_replicates
from evalstats.inference.units import Units

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
MAX_GRID = 200


class Curve(Protocol):
    """Frequencies at fixed places, as a function of weights or of outcomes."""

    x: Array

    def frequency(self, weights: Array) -> Array:
        """Frequency of events at each place under the weights of the rows."""

    def simulated(self, outcome: Bools) -> Array:
        """Frequency at each place for other outcomes, given in the order of `drawn_for`."""

    @property
    def drawn_for(self) -> Array:
        """Forecast of each outcome to be simulated."""


class IsotonicCurve:
    """CORP curve at the ends of its steps and at a grid of forecasts between them."""

    def __init__(self, rows: SortedForecasts, weights: Array) -> None:
        self._rows = rows
        self._weights = weights
        end = rows.blocks(weights)[2]
        n = len(rows.order)
        starts = np.concatenate([[0], end[:-1]])
        spread = np.linspace(0, n - 1, min(n, MAX_GRID)).astype(np.int64)
        places = np.unique(np.concatenate([starts, end - 1, spread]))
        # One place for each forecast: the last row of its ties.
        forecasts, first = np.unique(rows.forecast[places], return_index=True)
        self._places = places[first]
        self.x = forecasts

    def frequency(self, weights: Array) -> Array:
        """Isotonic fit at each place. O(n)."""
        return self._at_places(self._rows.blocks(weights))

    def simulated(self, outcome: Bools) -> Array:
        """Isotonic fit of outcomes in ascending order of the forecasts. O(n)."""
        return self._at_places(self._rows.blocks_of(outcome.astype(np.float64), self._weights))

    @property
    def drawn_for(self) -> Array:
        """Forecasts in ascending order."""
        return self._rows.forecast

    def _at_places(self, blocks: tuple[Array, Array, NDArray[np.int64]]) -> Array:
        weight, events, end = blocks
        block = np.searchsorted(end, self._places, side="right")
        return np.asarray((events / weight)[np.minimum(block, len(end) - 1)])


class BinnedCurve:
    """Frequency in each bin against the mean forecast of the full data."""

    def __init__(self, bins: ForecastBins, weights: Array) -> None:
        self._bins = bins
        self._weights = weights
        sums = bins.moments(weights)
        self._present = sums[:, 0] > 0
        self.x = (bins.centre + sums[:, 3] / np.where(self._present, sums[:, 0], 1.0))[
            self._present
        ]

    def frequency(self, weights: Array) -> Array:
        """Frequency of each bin; NaN where a replicate has no row. O(n)."""
        return self._frequency(self._bins, weights)

    def simulated(self, outcome: Bools) -> Array:
        """Frequency of each bin for other outcomes. O(n)."""
        bins = ForecastBins(self._bins.code, self._bins.forecast, outcome, self._bins.centre)
        return self._frequency(bins, self._weights)

    @property
    def drawn_for(self) -> Array:
        """Forecasts in the order of the rows."""
        return self._bins.forecast

    def _frequency(self, bins: ForecastBins, weights: Array) -> Array:
        sums = bins.moments(weights)[self._present]
        with np.errstate(invalid="ignore"):
            return np.asarray(sums[:, 2] / sums[:, 0])


def curve_frame(
    curve: Curve, units: Units, *, level: float, n_resamples: int, rng: RandomSource
) -> pl.DataFrame:
    """Columns ``x``, ``y`` and, with replicates, the limits of both pointwise bands.

    Parameters
    ----------
    curve : IsotonicCurve or BinnedCurve
        Frequencies as a function of weights and of outcomes.
    units : Units
        Units that are resampled for the confidence band.
    level : float
        Pointwise level of both bands.
    n_resamples : int
        Replicates of each band; 0 draws none.
    rng : int, SeedSequence, Generator or None
        Source of randomness.

    Returns
    -------
    polars.DataFrame
        ``low`` and ``high`` bound the frequency (percentiles over resampled units);
        ``consistency_low`` and ``consistency_high`` bound what a calibrated model would show.
    """
    value = curve.frequency(units.row_weight)
    frame = pl.DataFrame({"x": curve.x, "y": value})
    if n_resamples == 0:
        return frame
    problem = Problem(units, [Part(None, units, None, curve.frequency, None)], value, True)
    resampled, _ = bootstrap_replicates(problem, Bootstrap(n_resamples, rng=rng), studentized=False)
    expected = consistency_replicates(curve.simulated, curve.drawn_for, n_resamples, rng)
    limits = {}
    tail = (1.0 - level) / 2.0
    for prefix, replicates in (("", resampled), ("consistency_", expected)):
        low, high = np.nanquantile(replicates, [tail, 1.0 - tail], axis=0)
        limits[f"{prefix}low"], limits[f"{prefix}high"] = low, high
    return frame.with_columns(pl.Series(name, limit) for name, limit in limits.items())


def forecast_histogram(forecast: Array, weights: Array, n_bins: int) -> pl.DataFrame:
    """Share of the weight in equally wide bins: ``low``, ``high``, ``share``."""
    edges = np.arange(n_bins + 1) / n_bins
    counts, _ = np.histogram(forecast, edges, weights=weights)
    return pl.DataFrame({"low": edges[:-1], "high": edges[1:], "share": counts / weights.sum()})
