"""Permutation test of two detectors: swap their outputs image by image."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.data.columns import Columns
from evalstats.detection.curves import CurveSet, curve_values
from evalstats.detection.matching import Matches, descending
from evalstats.detection.records import Array
from evalstats.inference.methods import random_key
from evalstats.inference.resampling import parallel_map
from evalstats.options import require_count


def swap_table(
    models: Mapping[str, Matches],
    columns: Columns,
    curves_of: Callable[[Matches], CurveSet],
    n_resamples: int,
    rng: int,
) -> pl.DataFrame:
    """Table of ``permutation_test``. O(pairs x replicates x detections)."""
    from statsmodels.stats.multitest import multipletests

    base = np.ones(columns.n) if columns.weight is None else columns.weight
    unit = np.arange(columns.n) if columns.cluster is None else columns.cluster
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(random_key(rng))))
    require_count("n_resamples", n_resamples)
    swaps = generator.random((n_resamples, int(unit.max()) + 1)) < 0.5
    rows = []
    for first, second in combinations(models, 2):
        both = curves_of(side_by_side(models[first], models[second]))

        def difference(swap: NDArray[np.bool_], both: CurveSet = both) -> float:
            moved = swap[unit]
            kept, swapped = np.where(moved, 0.0, base), np.where(moved, base, 0.0)
            return _mean(both, [swapped, kept]) - _mean(both, [kept, swapped])

        observed = difference(np.zeros(swaps.shape[1], dtype=bool))
        work = n_resamples * len(both.image)
        drawn = np.abs(np.array(parallel_map(difference, list(swaps), work)))
        # Rounding must not turn an equal difference into a smaller one.
        extreme = int((drawn >= abs(observed) - 1e-12).sum())
        rows.append((first, second, observed, (1 + extreme) / (1 + n_resamples)))
    p_value = [row[3] for row in rows]
    adjusted = multipletests(p_value, method="holm")[1] if rows else []
    return pl.DataFrame(
        {
            "reference": [row[0] for row in rows],
            "model": [row[1] for row in rows],
            "difference": [row[2] for row in rows],
            "p_value": p_value,
            "p_adjusted": list(adjusted),
        },
        schema_overrides={"difference": pl.Float64, "p_adjusted": pl.Float64},
    )


def side_by_side(first: Matches, second: Matches) -> Matches:
    """Both detectors on twice the images, scores replaced by ranks that are comparable.

    Image i of the second becomes image I + i, so that image weights choose whose output counts.
    """
    score = np.concatenate([_rank_share(first.score), _rank_share(second.score)])

    def joined(name: str) -> NDArray[np.int64]:
        return np.concatenate([getattr(first, name), getattr(second, name)])

    n = first.n_images
    return replace(
        first,
        n_images=2 * n,
        detection=joined("detection"),
        image=np.concatenate([first.image, second.image + n]),
        category=joined("category"),
        score=score,
        image_rank=joined("image_rank"),
        category_rank=joined("category_rank"),
        group_rank=joined("group_rank"),
        hits=np.concatenate([first.hits, second.hits], axis=1),
        ignored=np.concatenate([first.ignored, second.ignored], axis=1),
        truth=joined("truth"),
        truth_image=np.concatenate([first.truth_image, second.truth_image + n]),
        truth_category=joined("truth_category"),
        truth_counted=np.concatenate([first.truth_counted, second.truth_counted], axis=1),
        pool_order=descending(score, np.arange(len(score))),
    )


def _rank_share(score: Array) -> Array:
    from scipy.stats import rankdata

    return np.asarray(rankdata(score) / max(len(score), 1))


def _mean(curves: CurveSet, weights: list[Array]) -> float:
    result = curve_values(curves, np.concatenate(weights))
    defined = result.n > 0
    return float(result.ap[defined].mean()) if bool(defined.any()) else float("nan")
