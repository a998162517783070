"""The budget of detections per category over the whole data set."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from evalstats.detection.matching import descending
from evalstats.detection.records import Codes, Detections, GroundTruth


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
