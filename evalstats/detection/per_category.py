"""Average precision of single categories, with intervals and paired differences."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from evalstats.data.columns import Columns
from evalstats.detection.curves import CurveSet, curve_values
from evalstats.detection.records import Array, truth_of
from evalstats.inference.intervals import bias_corrected_interval, critical_value
from evalstats.inference.methods import Bootstrap, random_key
from evalstats.inference.resampling import draw_weights, parallel_map
from evalstats.inference.units import Units
from evalstats.options import require_count

FEW = 5


def weight_draws(columns: Columns, n_resamples: int, rng: int) -> list[Array]:
    """Image weights of each replicate: clusters and sample weights are respected."""
    n_units = columns.n if columns.cluster is None else int(columns.cluster.max()) + 1
    units = Units(columns.n, n_units, columns.cluster, columns.weight)
    require_count("n_resamples", n_resamples, minimum=0)
    method = Bootstrap(n_resamples=max(n_resamples, 2), rng=rng)
    key = random_key(rng)
    draws = []
    for replicate in range(n_resamples):
        counts = np.empty(n_units)
        draw_weights(units, method, key, replicate, counts)
        draws.append(counts[units.unit_ids] * units.row_weight)
    return draws


def category_table(
    curves: Mapping[str, CurveSet], columns: Columns, level: float, n_resamples: int, rng: int
) -> pl.DataFrame:
    """Table of :meth:`AveragePrecision.per_category`."""
    truth = truth_of(columns)
    base = np.ones(columns.n) if columns.weight is None else columns.weight
    draws = weight_draws(columns, n_resamples, rng)
    values, replicates, tables = {}, {}, []
    for name, item in curves.items():
        point = curve_values(item, base)
        values[name] = point.ap.mean(axis=1)

        def replicate(weight: Array, item: CurveSet = item) -> Array:
            return np.asarray(curve_values(item, weight).ap.mean(axis=1))

        drawn = parallel_map(replicate, draws, columns.n * max(n_resamples, 1) * 10)
        replicates[name] = np.array(drawn).reshape(n_resamples, len(point.n))
        seen = point.n > 0
        columns_of = {
            "model": np.repeat(name, len(seen)),
            "category": list(truth.categories.names),
            "n_objects": point.n,
            "n_detections": item.n_detections,
            **_summary(values[name], replicates[name], point.n, level, "logit"),
        }
        tables.append(pl.DataFrame(columns_of).filter(seen))
    names = list(curves)
    if len(names) != 2 or n_resamples == 0:
        return pl.concat(tables)
    difference = values[names[1]] - values[names[0]]
    summary = _summary(
        difference, replicates[names[1]] - replicates[names[0]], point.n, level, "identity"
    )
    # By position: names of categories need not be unique.
    tables[1] = tables[1].hstack(_differences(summary).filter(seen))
    return pl.concat(tables, how="diagonal")


def _differences(summary: dict[str, Array]) -> pl.DataFrame:
    from scipy import stats

    with np.errstate(divide="ignore", invalid="ignore"):
        centre = summary["estimate"] - summary["bias"]
        p_value = 2 * stats.norm.sf(np.abs(centre / summary["standard_error"]))
    usable = np.isfinite(p_value)
    adjusted = np.full(len(p_value), np.nan)
    if bool(usable.any()):
        adjusted[usable] = stats.false_discovery_control(p_value[usable])
    return pl.DataFrame(
        {
            "difference": summary["estimate"],
            "difference_low": summary["ci_low"],
            "difference_high": summary["ci_high"],
            "p_value": p_value,
            "p_adjusted": adjusted,
        }
    )


def _summary(
    value: Array, replicates: Array, n: Array, level: float, scale: Any
) -> dict[str, Array]:
    """Bias, standard error and interval over the replicates in which a category exists."""
    if len(replicates) == 0:
        blank = np.full(len(value), np.nan)
        return dict.fromkeys(("estimate", "bias", "standard_error", "ci_low", "ci_high"), blank) | {
            "estimate": value
        }
    enough = (n >= FEW) & (np.isfinite(replicates).sum(axis=0) > 1)
    bias, error = np.full(len(value), np.nan), np.full(len(value), np.nan)
    bias[enough] = np.nanmean(replicates[:, enough], axis=0) - value[enough]
    error[enough] = np.nanstd(replicates[:, enough], axis=0, ddof=1)
    critical = critical_value(level, np.full(len(value), np.inf))
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = bias_corrected_interval(value, error, bias, critical, scale)
    return {
        "estimate": value,
        "bias": bias,
        "standard_error": error,
        "ci_low": low,
        "ci_high": high,
    }
