"""Sums per bin as a mergeable state, and the calibration error that follows from them."""

from collections.abc import Mapping, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.calibration.binned_error import Norm, plugin_error
from evalstats.calibration.binning import Bins, FixedBins
from evalstats.calibration.kernels import bin_moments
from evalstats.errors import InputError

Array = NDArray[np.float64]
SUMS = ("weight", "error", "outcome", "weight2", "error2", "square2")


def summarised_models(
    models: Mapping[str, Sequence[Bins]], weights: Array, fixed: bool
) -> pl.DataFrame:
    """Rows and weighted sums of every bin of every model and class.

    Raises
    ------
    InputError
        If the bins depend on all rows, which parts do not know.
    """
    frames = []
    for model, sets in models.items():
        for position, bins in enumerate(sets):
            if not isinstance(bins, FixedBins) or not fixed:
                raise InputError(
                    "this binning chooses its bins from all rows, which parts do not know: use "
                    "binning='uniform' or bin_edges="
                )
            labels = (pl.lit(model).alias("model"), pl.lit(position).alias("class"))
            frames.append(summarised_bins(bins, weights).with_columns(labels))
    return pl.concat(frames)


def summarised_bins(bins: FixedBins, weights: Array) -> pl.DataFrame:
    """Rows and weighted sums of each bin."""
    counts = np.zeros(bins.n_bins, dtype=np.int64)
    moments = np.zeros((bins.n_bins, len(SUMS)))
    bin_moments(bins.code, bins.error, bins.outcome, weights, counts, moments)
    return pl.DataFrame(
        {
            "bin": np.arange(bins.n_bins),
            "n": counts,
            **{name: moments[:, column] for column, name in enumerate(SUMS)},
        }
    )


def merged_bins(tables: list[pl.DataFrame]) -> pl.DataFrame:
    """Sums of the rows of all parts."""
    keys = [name for name in tables[0].columns if name not in ("n", *SUMS)]
    if any(not table.select(keys).equals(tables[0].select(keys)) for table in tables):
        raise InputError("the states have other models, classes or bins: merge states alike")
    total = tables[0]
    for table in tables[1:]:
        total = total.with_columns(
            pl.Series(name, total[name] + table[name]) for name in ("n", *SUMS)
        )
    return total


def bin_sums_of(table: pl.DataFrame, counts_rows: bool) -> Array:
    """Weight, error, outcome and squared weight of each bin, as :class:`FixedBins` sums them."""
    last = "weight" if counts_rows else "weight2"
    return table.select("weight", "error", "outcome", last).to_numpy().astype(np.float64)


def summarised_standard_error(table: pl.DataFrame, norm: Norm) -> float:
    """Standard error from the influence values that the sums of each bin imply; NaN for "max"."""
    n = int(table["n"].sum())
    if norm == "max" or n < 2:
        return np.nan
    weight, error, _, weight2, error2, square2 = (table[name].to_numpy() for name in SUMS)
    sums = np.column_stack([weight, error, weight, weight])
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.where(weight > 0, error / weight, 0.0)
    value = plugin_error(sums, norm)
    # Each row's influence is slope x error - level, up to the total weight.
    slope, level = np.sign(gap), np.full(len(gap), value)
    if norm == 2:
        slope, level = 2.0 * gap, gap**2 + value**2
    spread = slope**2 * square2 - 2.0 * slope * level * error2 + level**2 * weight2
    scale = float(weight.sum()) * (2.0 * value if norm == 2 else 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.sqrt(max(spread.sum(), 0.0) * n / (n - 1.0)) / scale)
