"""Compiled greedy matching of detections to ground truth, all thresholds and areas at once."""

import numpy as np
from numpy.typing import NDArray

from evalstats.detection.mask_kernels import mask_intersection
from evalstats.kernels.compile import kernel

Codes = NDArray[np.int64]
Array = NDArray[np.float64]
Bits = NDArray[np.uint32]
Flags = NDArray[np.uint8]


@kernel
def box_iou(a: Array, b: Array, crowd: bool) -> float:
    """Intersection over union of two [x, y, w, h] boxes; over `a` alone for a crowd. O(1)."""
    w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    if w <= 0:
        return 0.0
    h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if h <= 0:
        return 0.0
    shared = w * h
    area = a[2] * a[3]
    return float(shared / (area if crowd else area + b[2] * b[3] - shared))


@kernel
def match_one(
    iou: Array,
    ignored: Flags,
    crowd: Flags,
    order: Codes,
    threshold: float,
    taken: Flags,
    matched: Codes,
) -> None:
    """Greedy matching of one group at one threshold; -1 is unmatched. O(detections x truths)."""
    n_detections, n_truths = iou.shape
    taken[:n_truths] = 0
    for d in range(n_detections):
        best = threshold
        held = -1
        for position in range(n_truths):
            g = order[position]
            if taken[g] and not crowd[g]:
                continue
            if held >= 0 and not ignored[held] and ignored[g]:
                break
            if iou[d, g] >= best:
                best = iou[d, g]
                held = g
        matched[d] = held
        if held >= 0:
            taken[held] = 1


@kernel
def fill_iou(
    d0: int,
    d1: int,
    g0: int,
    g1: int,
    box: Array,
    truth_box: Array,
    crowd: Flags,
    use_masks: bool,
    runs: NDArray[np.uint32],
    spans: Codes,
    mask_area: Array,
    truth_runs: NDArray[np.uint32],
    truth_spans: Codes,
    truth_mask_area: Array,
    iou: Array,
) -> float:
    """Overlaps of one group's detections with its truths; the largest one. O(pairs x runs)."""
    largest = 0.0
    for d in range(d0, d1):
        for g in range(g0, g1):
            value = box_iou(box[d], truth_box[g], crowd[g] != 0)
            if use_masks and value > 0:
                shared = mask_intersection(
                    runs, spans[d, 0], spans[d, 1], truth_runs, truth_spans[g, 0], truth_spans[g, 1]
                )
                union = mask_area[d]
                if crowd[g] == 0:
                    union = mask_area[d] + truth_mask_area[g] - shared
                value = shared / union if union > 0 else 0.0
            iou[d - d0, g - g0] = value
            largest = max(largest, value)
    return largest


@kernel
def match_images(
    first: int,
    last: int,
    offsets: Codes,
    category: Codes,
    box: Array,
    area: Array,
    lenient: Flags,
    truth_offsets: Codes,
    truth_category: Codes,
    truth_box: Array,
    truth_area: Array,
    truth_ignore: Flags,
    truth_crowd: Flags,
    use_masks: bool,
    runs: NDArray[np.uint32],
    spans: Codes,
    mask_area: Array,
    truth_runs: NDArray[np.uint32],
    truth_spans: Codes,
    truth_mask_area: Array,
    thresholds: Array,
    ranges: Array,
    hits: Bits,
    ignored: Bits,
    match: NDArray[np.int32],
) -> None:
    """Match the groups of images first..last-1; bits over thresholds for each area range.

    Detections and truths are sorted by image and category, detections by descending score.
    O(sum over groups of detections x truths x areas x thresholds); areas that agree on what is
    ignored share one matching.
    """
    n_thresholds = len(thresholds)
    every = np.uint32((np.uint64(1) << np.uint64(n_thresholds)) - np.uint64(1))
    none = np.uint32(0)
    for image in range(first, last):
        d0 = offsets[image]
        g0 = truth_offsets[image]
        while d0 < offsets[image + 1]:
            c = category[d0]
            d1 = d0
            while d1 < offsets[image + 1] and category[d1] == c:
                d1 += 1
            while g0 < truth_offsets[image + 1] and truth_category[g0] < c:
                g0 += 1
            g1 = g0
            while g1 < truth_offsets[image + 1] and truth_category[g1] == c:
                g1 += 1
            for a in range(len(ranges)):
                for d in range(d0, d1):
                    outside = area[d] < ranges[a, 0] or area[d] > ranges[a, 1]
                    hits[a, d] = none
                    ignored[a, d] = every if outside or lenient[d] else none
            if g1 > g0:
                _match_group(
                    d0,
                    d1,
                    g0,
                    g1,
                    box,
                    truth_box,
                    truth_area,
                    truth_ignore,
                    truth_crowd,
                    use_masks,
                    runs,
                    spans,
                    mask_area,
                    truth_runs,
                    truth_spans,
                    truth_mask_area,
                    thresholds,
                    ranges,
                    hits,
                    ignored,
                    match,
                )
            d0 = d1
            g0 = g1


@kernel
def _match_group(
    d0: int,
    d1: int,
    g0: int,
    g1: int,
    box: Array,
    truth_box: Array,
    truth_area: Array,
    truth_ignore: Flags,
    truth_crowd: Flags,
    use_masks: bool,
    runs: NDArray[np.uint32],
    spans: Codes,
    mask_area: Array,
    truth_runs: NDArray[np.uint32],
    truth_spans: Codes,
    truth_mask_area: Array,
    thresholds: Array,
    ranges: Array,
    hits: Bits,
    ignored: Bits,
    match: NDArray[np.int32],
) -> None:
    """Match one image's detections of one category. O(detections x truths x areas x thresholds)."""
    nd, ng = d1 - d0, g1 - g0
    iou = np.empty((nd, ng))
    largest = fill_iou(
        d0,
        d1,
        g0,
        g1,
        box,
        truth_box,
        truth_crowd,
        use_masks,
        runs,
        spans,
        mask_area,
        truth_runs,
        truth_spans,
        truth_mask_area,
        iou,
    )
    n_thresholds, n_areas = len(thresholds), len(ranges)
    flags = np.empty((n_areas, ng), dtype=np.uint8)
    order = np.empty((n_areas, ng), dtype=np.int64)
    twin = np.empty(n_areas, dtype=np.int64)
    for a in range(n_areas):
        _range_order(g0, ng, truth_area, truth_ignore, ranges[a], flags[a], order[a])
        twin[a] = a
        for b in range(a):
            if twin[a] == a and np.array_equal(flags[a], flags[b]):
                twin[a] = b
    crowd = truth_crowd[g0:g1]
    taken = np.empty(ng, dtype=np.uint8)
    matched = np.empty((n_areas, nd), dtype=np.int64)
    for t in range(n_thresholds):
        threshold = min(thresholds[t], 1 - 1e-10)
        if largest < threshold:
            continue
        bit = np.uint32(1) << np.uint32(t)
        for a in range(n_areas):
            if twin[a] == a:
                match_one(iou, flags[a], crowd, order[a], threshold, taken, matched[a])
            for d in range(nd):
                g = matched[twin[a], d]
                if g < 0:
                    continue
                if flags[a, g]:
                    ignored[a, d0 + d] |= bit
                else:
                    hits[a, d0 + d] |= bit
                    ignored[a, d0 + d] &= ~bit
                if a == 0 and len(match) > 0:
                    match[t, d0 + d] = g0 + g


@kernel
def _range_order(
    g0: int,
    ng: int,
    truth_area: Array,
    truth_ignore: Flags,
    limits: Array,
    flags: Flags,
    order: Codes,
) -> None:
    """Mark what one area range ignores and put the others first, stably. O(truths)."""
    n = 0
    for g in range(ng):
        size = truth_area[g0 + g]
        flags[g] = truth_ignore[g0 + g] != 0 or size < limits[0] or size > limits[1]
        if not flags[g]:
            order[n] = g
            n += 1
    for g in range(ng):
        if flags[g]:
            order[n] = g
            n += 1
