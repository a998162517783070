"""Two-way bootstrap: images and categories are both seen as samples."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from evalstats.data.columns import Columns
from evalstats.detection.curves import CurveSet, curve_values
from evalstats.detection.per_category import weight_draws
from evalstats.detection.records import Array
from evalstats.errors import InputError
from evalstats.inference.intervals import bias_corrected_interval, critical_value
from evalstats.inference.methods import Bootstrap, random_key
from evalstats.inference.resampling import draw_weights, parallel_map
from evalstats.inference.units import Units


def two_way_table(
    curves: Mapping[str, CurveSet], columns: Columns, level: float, n_resamples: int, rng: int
) -> pl.DataFrame:
    """Table of ``two_way``: weights of a replicate are products of image and category counts."""
    if n_resamples < 2:
        raise InputError(f"n_resamples={n_resamples!r}: a standard error needs at least 2")
    weight = np.ones(columns.n) if columns.weight is None else columns.weight
    images = weight_draws(columns, n_resamples, rng)
    n_categories = len(next(iter(curves.values())).ones)
    key = random_key(np.random.SeedSequence([rng, 1]))
    units = Units(n_categories, n_categories, None, None)
    method = Bootstrap(n_resamples=n_resamples)
    categories = []
    for replicate in range(n_resamples):
        counts = np.empty(n_categories)
        draw_weights(units, method, key, replicate, counts)
        categories.append(counts)
    pairs = list(zip(images, categories, strict=True))
    names = list(curves)
    values = np.array([_mean(curves[name], weight, np.ones(n_categories)) for name in names])
    drawn = parallel_map(
        lambda pair: [_mean(curves[name], *pair) for name in names],
        pairs,
        n_resamples * max(len(item.image) for item in curves.values()),
    )
    replicates = np.array(drawn)
    bias = np.nanmean(replicates, axis=0) - values
    error = np.nanstd(replicates, axis=0, ddof=1)
    critical = critical_value(level, np.full(len(values), np.inf))
    low, high = bias_corrected_interval(values, error, bias, critical, "logit")
    return pl.DataFrame(
        {
            "model": names,
            "estimate": values,
            "bias": bias,
            "standard_error": error,
            "ci_low": low,
            "ci_high": high,
            "inference": [f"two-way bootstrap (images x categories, B={n_resamples})"] * len(names),
        }
    )


def _mean(curves: CurveSet, weight: Array, category_weight: Array) -> float:
    result = curve_values(curves, weight, category_weight)
    defined = result.n > 0
    if not bool(defined.any()):
        return float("nan")
    mass = category_weight if curves.n_groups == len(category_weight) else np.ones(curves.n_groups)
    return float(np.average(result.ap[defined].mean(axis=1), weights=mass[defined]))
