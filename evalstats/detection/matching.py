"""One matching pass that every protocol shares."""

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalstats.detection.masks import Masks
from evalstats.detection.records import Codes, Detections, GroundTruth
from evalstats.errors import InputError
from evalstats.inference.resampling import parallel_map

Array = NDArray[np.float64]
IouType = Literal["bbox", "segm"]
AreaSource = Literal["iou_type", "record"]
AREAS = ("all", "small", "medium", "large")
RANGES = np.array([[0.0, 1e10], [0.0, 32.0**2], [32.0**2, 96.0**2], [96.0**2, 1e10]])
BLOCKS = 16


@dataclass(frozen=True)
class MatchSettings:
    """What decides which detection matches which object; equal settings share one pass."""

    federated: bool
    iou_type: IouType
    thresholds: tuple[float, ...]
    area: AreaSource = "iou_type"
    respect_ignore: bool = False
    keep_matches: bool = False


DEFAULT_SETTINGS = MatchSettings(False, "bbox", (0.5,))


@dataclass(frozen=True)
class Matches:
    """Detections that are evaluated, sorted by image, category and descending score.

    Attributes
    ----------
    detection : int64 array (D,)
        Position of each in the :class:`Detections`.
    image_rank, category_rank, group_rank : int64 array (D,)
        Rank by score within the image, within the category over all images (both before anything
        is dropped), and within image and category: what caps and budgets filter by.
    hits, ignored : uint32 array (A, D)
        Bits over thresholds: true positive, and neither true nor false positive.
    match : int32 array (T, D) or (0, 0)
        Matched annotation (position in the sorted truths), -1 without one.
    truth : int64 array (G,)
        Position in the ground truth of each sorted annotation.
    """

    settings: MatchSettings
    n_images: int
    n_categories: int
    detection: Codes
    image: Codes
    category: Codes
    score: Array
    image_rank: Codes
    category_rank: Codes
    group_rank: Codes
    hits: NDArray[np.uint32]
    ignored: NDArray[np.uint32]
    match: NDArray[np.int32]
    truth: Codes
    truth_image: Codes
    truth_category: Codes
    truth_counted: NDArray[np.bool_]
    pool_order: Codes
    n_unknown: int
    n_zero_area: int

    @cached_property
    def by_category(self) -> Codes:
        """The pool's order, sorted by category."""
        return sorted_by(self.pool_order, self.category, self.n_categories)[0]


def match_detections(
    truth: GroundTruth, detections: Detections, settings: MatchSettings
) -> Matches:
    """Match once per pair of records and settings; the detections remember the result."""
    known = detections.cache.get(("match", settings))
    if known is not None and known[0] is truth:
        return known[1]  # type: ignore[no-any-return]
    matches = _match(truth, detections, settings)
    detections.cache["match", settings] = (truth, matches)
    return matches


def _match(truth: GroundTruth, detections: Detections, settings: MatchSettings) -> Matches:
    from evalstats.detection import sort_kernels

    k, n = len(truth.categories.ids), len(truth)
    image = detections.image
    category = truth.categories.positions(detections.category_id)
    by_score = descending(detections.score, detections.row)
    image_rank, category_rank = np.empty_like(image), np.empty_like(image)
    sort_kernels.ranks_within(by_score, image, n, image_rank)
    sort_kernels.ranks_within(by_score, category, k, category_rank)
    area = detection_area(detections, settings)
    keep = category >= 0
    n_unknown = int((~keep).sum())
    n_zero = 0
    lenient = np.zeros(len(image), dtype=np.uint8)
    if settings.federated:
        n_zero = int((area <= 0).sum()) + int((truth.area <= 0).sum())
        keep &= area > 0
        keep &= _verified(truth, detections, category, k)
        if truth.not_exhaustive is not None:
            listed = truth.not_exhaustive
            sort_kernels.verified_pairs(
                detections.offsets, category, listed.offsets, listed.category, k, lenient
            )
    ranked = by_score[keep[by_score]]
    chosen, _ = sorted_by(ranked, category, k)
    chosen, offsets = sorted_by(chosen, image, n)
    group = image[chosen] * k + category[chosen]
    starts = np.flatnonzero(np.diff(group, prepend=-1))
    lengths = np.diff(np.append(starts, len(group)))
    group_rank = np.arange(len(group)) - np.repeat(starts, lengths)
    rows = _truth_rows(truth, settings, k)
    score = detections.score[chosen]
    # The pool ranks by score, then image, category and rank: ties by position among the chosen.
    position = np.empty(len(image), dtype=np.int64)
    position[chosen] = np.arange(len(chosen))
    pool_order = position[ranked]
    sort_kernels.sort_tied_runs(pool_order, score, np.arange(len(chosen)))
    base = Matches(
        settings,
        n,
        k,
        chosen,
        image[chosen],
        category[chosen],
        score,
        image_rank[chosen],
        category_rank[chosen],
        group_rank,
        np.empty((0, 0), np.uint32),
        np.empty((0, 0), np.uint32),
        np.empty((0, 0), np.int32),
        rows,
        np.repeat(np.arange(n), np.diff(truth.offsets))[rows],
        truth.category[rows],
        np.empty((0, 0), bool),
        pool_order,
        n_unknown,
        n_zero,
    )
    return _run(base, truth, detections, offsets, area[chosen], lenient[chosen])


def _run(
    base: Matches,
    truth: GroundTruth,
    detections: Detections,
    offsets: Codes,
    area: Array,
    lenient: NDArray[np.uint8],
) -> Matches:
    from evalstats.detection.match_kernels import match_images

    settings = base.settings
    n_areas, n_detections = len(RANGES), len(base.detection)
    thresholds = np.array(settings.thresholds)
    hits = np.empty((n_areas, n_detections), dtype=np.uint32)
    ignored = np.empty((n_areas, n_detections), dtype=np.uint32)
    shape = (len(thresholds), n_detections) if settings.keep_matches else (0, 0)
    match = np.full(shape, -1, dtype=np.int32)
    rows = base.truth
    truth_offsets = np.searchsorted(base.truth_image, np.arange(len(truth) + 1)).astype(np.int64)
    ignore = truth_ignored(truth, settings)[rows]
    crowd = np.zeros(len(rows), np.uint8) if settings.federated else truth.crowd[rows]
    segm = settings.iou_type == "segm"
    box, runs, spans, mask_area = _shapes(detections.box, detections.masks, base.detection, segm)
    truth_box, truth_runs, truth_spans, truth_mask_area = _shapes(
        truth.box, truth.masks, rows, segm
    )
    truth_area = truth.area[rows]

    def block(limits: tuple[int, int]) -> None:
        match_images(
            *limits,
            offsets,
            base.category,
            box,
            area,
            lenient,
            truth_offsets,
            base.truth_category,
            truth_box,
            truth_area,
            ignore,
            crowd,
            segm,
            runs,
            spans,
            mask_area,
            truth_runs,
            truth_spans,
            truth_mask_area,
            thresholds,
            RANGES,
            hits,
            ignored,
            match,
        )

    edges = np.linspace(0, len(truth), BLOCKS + 1).astype(int).tolist()
    parallel_map(block, list(pairwise(edges)), 10 * n_detections)
    inside = (truth_area >= RANGES[:, :1]) & (truth_area <= RANGES[:, 1:])
    return replace(
        base, hits=hits, ignored=ignored, match=match, truth_counted=inside & (ignore == 0)
    )


def truth_ignored(truth: GroundTruth, settings: MatchSettings) -> NDArray[np.uint8]:
    """Flag of annotations that may absorb a detection but are not counted."""
    if settings.federated:
        return truth.ignore
    if settings.respect_ignore:
        return truth.crowd | truth.ignore
    return truth.crowd


def _truth_rows(truth: GroundTruth, settings: MatchSettings, k: int) -> Codes:
    rows = np.arange(len(truth.category))
    if settings.federated:
        rows = rows[truth.area > 0]
    image = np.repeat(np.arange(len(truth)), np.diff(truth.offsets))
    rows, _ = sorted_by(rows, truth.category, k)
    rows, _ = sorted_by(rows, image, len(truth))
    return rows


def _shapes(
    box: Array | None, masks: Masks | None, rows: Codes, segm: bool
) -> tuple[Array, NDArray[np.uint32], Codes, Array]:
    if not segm:
        assert box is not None
        return (
            np.ascontiguousarray(box[rows]),
            np.zeros(1, np.uint32),
            np.zeros((1, 2), np.int64),
            np.zeros(1),
        )
    if masks is None:
        raise InputError("iou_type='segm' needs masks, but there are boxes only")
    chosen = masks[rows]
    spans = np.column_stack([chosen.start, chosen.stop])
    return np.ascontiguousarray(chosen.box), masks.runs, spans, chosen.area


def detection_area(detections: Detections, settings: MatchSettings) -> Array:
    """Area of each detection: of its mask or box, or what the first record of the file has."""
    by_box = settings.iou_type == "bbox"
    if settings.area == "record":
        by_box = detections.boxes_first
    if by_box:
        if detections.box is None:
            raise InputError("iou_type='bbox' needs boxes, but the detections have masks only")
        return detections.box[:, 2] * detections.box[:, 3]
    if detections.masks is None:
        raise InputError("iou_type='segm' needs masks, but the detections have boxes only")
    return detections.masks.area


def _verified(
    truth: GroundTruth, detections: Detections, category: Codes, k: int
) -> NDArray[np.bool_]:
    from evalstats.detection.sort_kernels import verified_pairs

    found = np.zeros(len(category), dtype=np.uint8)
    kept = truth.area > 0
    ends = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
    present = np.ascontiguousarray(truth.category[kept])
    lists = [(ends[truth.offsets], present)]
    if truth.negative is not None:
        lists.append((truth.negative.offsets, truth.negative.category))
    for offsets, listed in lists:
        verified_pairs(detections.offsets, category, offsets, listed, k, found)
    return found.astype(bool)


def sorted_by(order: Codes, key: Codes, n_keys: int) -> tuple[Codes, Codes]:
    """Stable sort of `order` by ``key[order]`` and where each key starts. O(n + keys)."""
    from evalstats.detection.sort_kernels import counting_sort

    out = np.empty_like(order)
    offsets = np.empty(n_keys + 1, dtype=np.int64)
    counting_sort(order, key, n_keys, out, offsets)
    return out, offsets


def descending(score: Array, row: Codes) -> Codes:
    """Positions by descending score, equal scores by row of the file. O(n log n)."""
    from evalstats.detection.sort_kernels import sort_tied_runs

    # The default sort is vectorised on many processors but not stable; ties are put in order after.
    order = np.argsort(-score)
    sort_tied_runs(order, score, row)
    return order
