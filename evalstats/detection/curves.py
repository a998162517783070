"""Precision-recall curves of groups of categories, prepared once and re-weighted."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalstats.detection.matching import Matches, sorted_by
from evalstats.detection.records import Codes

Array = NDArray[np.float64]
EXACT_INTEGERS = 2.0**53
GRID = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True)
class CurveSet:
    """Detections of each group in the order of the curve, cut off after the last hit.

    A group is one category, or several pooled ones. Events are hits and ignored detections.
    """

    n_images: int
    n_thresholds: int
    offsets: Codes
    image: NDArray[np.int32]
    category: NDArray[np.int32]
    event_offsets: Codes
    event: NDArray[np.int32]
    event_end: NDArray[np.int32]
    truth_image: NDArray[np.int32]
    truth_category: NDArray[np.int32]
    truth_group: NDArray[np.int32]
    ones: Array
    n_detections: Codes

    @property
    def n_groups(self) -> int:
        """Number of curves per threshold."""
        return len(self.offsets) - 1


@dataclass(frozen=True)
class CurveValues:
    """Results per group and threshold; NaN where a group has no countable object."""

    n: Array
    ap: Array
    recall: Array
    precision: Array


def curve_set(
    matches: Matches,
    keep: NDArray[np.bool_] | None,
    group_of_category: Codes,
    *,
    area: int = 0,
    ties: str = "reference",
) -> CurveSet:
    """Lay out the curves of the groups for one area range. O(D x T)."""
    from evalstats.detection.curve_kernels import count_events, fill_events

    n_groups = int(group_of_category.max()) + 1 if len(group_of_category) else 0
    n_thresholds = len(matches.settings.thresholds)
    rows, offsets = _grouped(matches, keep, group_of_category, n_groups)
    hits = matches.hits[area]
    ignored = matches.ignored[area]
    counts = np.zeros((n_groups, n_thresholds), dtype=np.int64)
    last = np.empty(n_groups, dtype=np.int64)
    block = ties == "block"
    count_events(offsets, rows, hits, ignored, matches.score, block, counts, last)
    event_offsets = np.concatenate([[0], np.cumsum(counts.ravel())]).astype(np.int64)
    event = np.empty(event_offsets[-1], dtype=np.int32)
    event_end = np.empty(event_offsets[-1], dtype=np.int32)
    fill_events(
        offsets,
        rows,
        last,
        hits,
        ignored,
        matches.score,
        block,
        event_offsets,
        event,
        event_end,
    )
    needed = last + 1
    cut = np.concatenate([[0], np.cumsum(needed)]).astype(np.int64)
    source = np.repeat(offsets[:-1] - cut[:-1], needed) + np.arange(cut[-1])
    chosen = rows[source.astype(np.int64)]
    counted = matches.truth_counted[area] & (group_of_category[matches.truth_category] >= 0)
    truth_category = matches.truth_category[counted]
    return CurveSet(
        matches.n_images,
        n_thresholds,
        cut,
        matches.image[chosen].astype(np.int32),
        matches.category[chosen].astype(np.int32),
        event_offsets,
        event,
        event_end,
        matches.truth_image[counted].astype(np.int32),
        truth_category.astype(np.int32),
        group_of_category[truth_category].astype(np.int32),
        np.ones(len(group_of_category)),
        np.diff(offsets),
    )


def _grouped(
    matches: Matches, keep: NDArray[np.bool_] | None, group_of_category: Codes, n_groups: int
) -> tuple[Codes, Codes]:
    """Rows of the kept detections of each group, by the pool's order, and where each starts."""
    if n_groups == len(group_of_category) and bool((np.diff(group_of_category) == 1).all()):
        rows = matches.by_category
        if keep is not None:
            rows = rows[keep[rows]]
        counts = np.bincount(matches.category[rows], minlength=n_groups)
        return rows, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    order = matches.pool_order
    group = group_of_category[matches.category]
    usable = group[order] >= 0
    if keep is not None:
        usable &= keep[order]
    return sorted_by(order[usable], group, n_groups)


def curve_values(
    curves: CurveSet,
    weight: Array,
    category_weight: Array | None = None,
    *,
    with_curves: bool = False,
) -> CurveValues:
    """Average precision and recall under weights of images and categories. One pass."""
    from evalstats.detection.curve_kernels import weighted_curves

    weight, unit = _in_units(weight)
    shape = (curves.n_groups, curves.n_thresholds)
    n, ap, recall = np.empty(curves.n_groups), np.empty(shape), np.empty(shape)
    curve = np.full((*shape, len(GRID)) if with_curves else (0, 0, 0), np.nan)
    weighted_curves(
        curves.offsets,
        curves.image,
        curves.category,
        curves.event_offsets,
        curves.event,
        curves.event_end,
        curves.truth_image,
        curves.truth_category,
        curves.truth_group,
        weight,
        curves.ones if category_weight is None else category_weight,
        GRID,
        n,
        ap,
        recall,
        curve,
    )
    return CurveValues(n * unit, ap, recall, curve)


def _in_units(weight: Array) -> tuple[Array, float]:
    """Weights as multiples of the smallest one, whole where they are so up to rounding.

    Recall is compared with the grid exactly, so that 0.1 for every image must give the sums of 1.
    """
    weight = np.ascontiguousarray(weight, dtype=np.float64)
    if np.array_equal(weight, np.rint(weight)) or not bool((weight > 0).any()):
        return weight, 1.0
    unit = float(weight[weight > 0].min())
    multiple = weight / unit
    if multiple.max() > EXACT_INTEGERS:
        # Sums of these are not exact in any unit.
        return weight, 1.0
    whole = np.rint(multiple)
    return (whole if np.allclose(multiple, whole, rtol=1e-12, atol=0.0) else multiple), unit
