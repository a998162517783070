"""Sums per bin as a mergeable state, and the calibration error that follows from them.

A state has a row for each bin of each set of events (a model, or a class of a model), and a row
for each pair of bins of two sets, from which covariances between models follow.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.calibration.binned_error import Norm, combined_error, plugin_error
from evalstats.calibration.binning import Bins, FixedBins
from evalstats.calibration.gaps import curve_of_sums
from evalstats.calibration.kernels import bin_moments, pair_moments
from evalstats.data.columns import Columns
from evalstats.errors import InputError
from evalstats.inference.confidence_curve import ConfidenceCurve

Array = NDArray[np.float64]
OWN = (
    "weight",
    "error",
    "outcome",
    "weight2",
    "error2",
    "square2",
    "forecast2",
    "binomial2",
)
SUMS = (*OWN, "other2")
PAIRED = ("weight2", "error2", "other2", "square2")
# Pairs of more sets (classes of several models) would be longer than the rows they summarise.
MAX_SETS = 16


def summarised_models(
    models: Mapping[str, Sequence[Bins]], weights: Array, fixed: bool, paired: bool
) -> pl.DataFrame:
    """Rows and weighted sums of every bin of every model and class, and of pairs of bins.

    Raises
    ------
    InputError
        If the bins depend on all rows, which parts do not know.
    """
    sets: list[tuple[str, int, FixedBins]] = []
    for model, given in models.items():
        for position, bins in enumerate(given):
            if not isinstance(bins, FixedBins) or not fixed:
                raise InputError(
                    "this binning chooses its bins from all rows, which parts do not know: use "
                    "binning='uniform' or bin_edges="
                )
            sets.append((model, position, bins))
    frames = [
        summarised_bins(bins, weights).with_columns(
            pl.lit(model).alias("model"), pl.lit(number).alias("set"), pl.lit(None).alias("other")
        )
        for number, (model, _, bins) in enumerate(sets)
    ]
    if paired and len(sets) <= MAX_SETS:
        for first, second in combinations(range(len(sets)), 2):
            model, _, bins = sets[first]
            frames.append(
                _paired_bins(bins, sets[second][2], weights).with_columns(
                    pl.lit(model).alias("model"),
                    pl.lit(first).alias("set"),
                    pl.lit(second).alias("other"),
                )
            )
    return pl.concat(frames, how="diagonal_relaxed")


def summarised_bins(bins: FixedBins, weights: Array) -> pl.DataFrame:
    """Rows and weighted sums of each bin."""
    counts = np.zeros(bins.n_bins, dtype=np.int64)
    moments = np.zeros((bins.n_bins, len(OWN)))
    bin_moments(bins.code, bins.error, bins.outcome, weights, counts, moments)
    return pl.DataFrame(
        {
            "bin": np.arange(bins.n_bins),
            "n": counts,
            **{name: moments[:, column] for column, name in enumerate(OWN)},
        }
    )


def _paired_bins(bins: FixedBins, other: FixedBins, weights: Array) -> pl.DataFrame:
    moments = np.zeros((bins.n_bins, other.n_bins, len(PAIRED)))
    pair_moments(bins.code, bins.error, other.code, other.error, weights, moments)
    flat = moments.reshape(-1, len(PAIRED))
    return pl.DataFrame(
        {
            "bin": np.arange(len(flat)),
            **{name: flat[:, column] for column, name in enumerate(PAIRED)},
        }
    )


def merged_bins(tables: list[pl.DataFrame]) -> pl.DataFrame:
    """Sums of the rows of all parts."""
    sums = [name for name in ("n", *SUMS) if name in tables[0].columns]
    keys = [name for name in tables[0].columns if name not in sums]
    if any(not table.select(keys).equals(tables[0].select(keys)) for table in tables):
        raise InputError("the states have other models, classes or bins: merge states alike")
    total = tables[0]
    for table in tables[1:]:
        total = total.with_columns(pl.Series(name, total[name] + table[name]) for name in sums)
    return total


def _own_rows(table: pl.DataFrame) -> list[pl.DataFrame]:
    """Rows of the bins of each set."""
    return table.filter(pl.col("other").is_null()).partition_by("set", maintain_order=True)


def set_sums(table: pl.DataFrame, counts_rows: bool) -> list[Array]:
    """Weight, error, outcome and squared weight of each bin, as :class:`FixedBins` sums them."""
    names = ("weight", "error", "outcome", "weight" if counts_rows else "weight2")
    return [
        np.column_stack([rows[name].to_numpy().astype(np.float64) for name in names])
        for rows in _own_rows(table)
    ]


def summarised_curves(table: pl.DataFrame, norm: Norm) -> list[ConfidenceCurve]:
    """Confidence curve of the error of each set."""
    names = ("weight", "error", "weight2", "forecast2", "binomial2")
    return [
        curve_of_sums(rows.select(names).to_numpy(), int(rows["n"].sum()), norm)
        for rows in _own_rows(table)
    ]


def sample_size(table: pl.DataFrame) -> Columns:
    """Number of rows, and whether they had weights, as columns without content."""
    rows = _own_rows(table)[0]
    n, weight = int(rows["n"].sum()), float(rows["weight"].sum())
    return Columns(n, {}, {}, None if weight == n else np.ones(1))


def summarised_errors(
    table: pl.DataFrame, of_sets: list[float], norm: Norm
) -> tuple[list[str], Array, Array]:
    """Models, their errors over all their sets, and the joint covariance."""
    owners = [str(rows["model"][0]) for rows in _own_rows(table)]
    models = list(dict.fromkeys(owners))
    members = [np.flatnonzero([owner == model for owner in owners]) for model in models]
    values = np.array([combined_error([of_sets[place] for place in own], norm) for own in members])
    joint = summarised_covariance(table, norm)
    covariance = np.array([[joint[np.ix_(i, j)].mean() for j in members] for i in members])
    if norm == 2:
        # From the squares of the errors to the root of their mean.
        with np.errstate(divide="ignore", invalid="ignore"):
            covariance = covariance / np.outer(2.0 * values, 2.0 * values)
        covariance[~np.isfinite(covariance)] = np.nan
    return models, values, covariance


def summarised_covariance(table: pl.DataFrame, norm: Norm) -> Array:
    """Covariance of the errors of all sets (norm 2: of their squares), NaN where not kept.

    A row's influence on the error of a set is slope x error - level, up to the total weight, with
    a slope and a level for each bin, so that all products are sums over bins and pairs of bins.
    """
    own = _own_rows(table)
    n = int(own[0]["n"].sum())
    covariance = np.full((len(own), len(own)), np.nan)
    if norm == "max" or n < 2:
        return covariance
    lines = [_influence_line(rows, norm) for rows in own]
    for position, (rows, (slope, level)) in enumerate(zip(own, lines, strict=True)):
        weight2, error2, square2 = (
            rows[name].to_numpy() for name in ("weight2", "error2", "square2")
        )
        spread = slope**2 * square2 - 2.0 * slope * level * error2 + level**2 * weight2
        covariance[position, position] = max(float(spread.sum()), 0.0)
    pairs = table.filter(pl.col("other").is_not_null())
    for (first, second), rows in pairs.group_by(["set", "other"], maintain_order=True):
        (slope, level), (other_slope, other_level) = lines[int(first)], lines[int(second)]
        shape = len(slope), len(other_slope)
        weight2, error2, other2, square2 = (rows[name].to_numpy().reshape(shape) for name in PAIRED)
        product = (
            slope @ square2 @ other_slope
            - slope @ error2 @ other_level
            - level @ other2 @ other_slope
            + level @ weight2 @ other_level
        )
        covariance[first, second] = covariance[second, first] = product
    total = float(own[0]["weight"].sum())
    return np.asarray(covariance * (n / (n - 1.0)) / total**2)


def _influence_line(rows: pl.DataFrame, norm: Norm) -> tuple[Array, Array]:
    """Slope and level of each bin."""
    weight, error = rows["weight"].to_numpy(), rows["error"].to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.where(weight > 0, error / weight, 0.0)
    value = plugin_error(np.column_stack([weight, error, weight, weight]), norm)
    if norm == 1:
        return np.sign(gap), np.full(len(gap), value)
    return 2.0 * gap, gap**2 + value**2
