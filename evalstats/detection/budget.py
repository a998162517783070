"""The budget of detections per category over the whole data set."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from evalstats.data.columns import Columns
from evalstats.detection.curves import CurveSet, curve_set, curve_values
from evalstats.detection.matching import Matches, descending
from evalstats.detection.per_category import weight_draws
from evalstats.detection.records import Array, Codes, Detections, GroundTruth
from evalstats.errors import InputError
from evalstats.inference.intervals import bias_corrected_interval, critical_value
from evalstats.inference.resampling import parallel_map

BUDGETS = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)


def budget_table(
    models: Mapping[str, Matches],
    columns: Columns,
    budgets: Sequence[int],
    ties: str,
    level: float,
    n_resamples: int,
    rng: int,
) -> pl.DataFrame:
    """Table of :meth:`AveragePrecision.budgets`; one matching serves all budgets.

    A smaller budget removes lower scores only, which never change what a higher one matched.
    """
    every = np.arange(next(iter(models.values())).n_categories)
    largest = max(int(m.category_rank.max(initial=0)) + 1 for m in models.values())
    chosen = [b for b in budgets if b < largest]
    chosen += [b for b in budgets if b >= largest][:1]
    if not chosen or min(chosen) < 1:
        raise InputError(f"budgets={list(budgets)!r}: pass positive integers")
    base = np.ones(columns.n) if columns.weight is None else columns.weight
    draws = weight_draws(columns, n_resamples, rng)
    rows, replicates = [], []
    for name, matches in models.items():
        for budget in chosen:
            curves = curve_set(matches, matches.category_rank < budget, every, ties=ties)

            def number(weight: Array, curves: CurveSet = curves) -> float:
                result = curve_values(curves, weight)
                defined = result.n > 0
                return float(result.ap[defined].mean()) if bool(defined.any()) else float("nan")

            rows.append((name, budget, number(base)))
            replicates.append(parallel_map(number, draws, len(matches.score) * n_resamples))
    value = np.array([row[2] for row in rows])
    drawn = np.array(replicates).reshape(len(rows), n_resamples).T
    enough = n_resamples > 1
    bias = np.nanmean(drawn, axis=0) - value if enough else np.full(len(rows), np.nan)
    error = np.nanstd(drawn, axis=0, ddof=1) if enough else np.full(len(rows), np.nan)
    critical = critical_value(level, np.full(len(rows), np.inf))
    low, high = bias_corrected_interval(value, error, bias, critical, "logit")
    table = {
        "model": [row[0] for row in rows],
        "budget": [row[1] for row in rows],
        "estimate": value,
        "bias": bias,
        "standard_error": error,
        "ci_low": low,
        "ci_high": high,
    }
    return pl.DataFrame(table)


def within_budget(
    models: Mapping[str, Detections], truth: GroundTruth, budget: int
) -> dict[str, Detections]:
    """Keep the `budget` best detections of each category; ties by row of the file.

    Done once on all images, so that groups and replicates inherit one selection. O(n log n) where
    the budget binds.
    """
    return {name: _limited(found, truth, budget) for name, found in models.items()}


def _limited(found: Detections, truth: GroundTruth, budget: int) -> Detections:
    key = ("budget", budget)
    if key in found.cache:
        return found.cache[key]  # type: ignore[no-any-return]
    category = truth.categories.positions(found.category_id)
    known = category[category >= 0]
    limited = found
    if len(known) and int(np.bincount(known).max()) > budget:
        limited = selected(found, category_ranks(found, category) < budget)
    found.cache[key] = limited
    return limited


def category_ranks(found: Detections, category: Codes) -> Codes:
    """Rank by score within the category, -1 for unknown categories."""
    from evalstats.detection.sort_kernels import ranks_within

    rank = np.empty_like(category)
    ranks_within(descending(found.score, found.row), category, int(category.max()) + 1, rank)
    return rank


def selected(found: Detections, keep: "np.typing.NDArray[np.bool_]") -> Detections:
    """Only the detections to keep, on all images."""
    rows = np.flatnonzero(keep)
    ends = np.concatenate([[0], np.cumsum(keep)]).astype(np.int64)
    return replace(
        found,
        offsets=ends[found.offsets],
        category_id=found.category_id[rows],
        score=found.score[rows],
        row=found.row[rows],
        box=None if found.box is None else found.box[rows],
        masks=None if found.masks is None else found.masks[rows],
        cache={},
    )
