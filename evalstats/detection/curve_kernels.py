"""Compiled precision-recall curves under image and category weights."""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel

Codes = NDArray[np.int64]
Ints = NDArray[np.int32]
Array = NDArray[np.float64]

# What COCO adds to the denominator of precision: the spacing of doubles at one.
SPACING = 2.220446049250313e-16
# Sums of fractional weights in two orders differ by less: all found is a recall of exactly 1.
ROUNDING = 1e-12


@kernel
def count_events(
    offsets: Codes,
    rows: Codes,
    hits: NDArray[np.uint32],
    ignored: NDArray[np.uint32],
    score: Array,
    block: bool,
    counts: Codes,
    last: Codes,
) -> None:
    """Hits and ignored detections per group and threshold up to the last hit. O(D x T).

    `last` is the position of that hit, or the end of its block of equal scores with `block`.
    """
    n_thresholds = counts.shape[1]
    for g in range(len(offsets) - 1):
        last[g] = -1
        for position in range(offsets[g], offsets[g + 1]):
            if hits[rows[position]] != 0:
                last[g] = position - offsets[g]
        if block and last[g] >= 0:
            tied = score[rows[offsets[g] + last[g]]]
            position = offsets[g] + last[g] + 1
            while position < offsets[g + 1] and score[rows[position]] == tied:
                last[g] += 1
                position += 1
        for position in range(offsets[g], offsets[g] + last[g] + 1):
            either = hits[rows[position]] | ignored[rows[position]]
            for t in range(n_thresholds):
                if (either >> np.uint32(t)) & np.uint32(1):
                    counts[g, t] += 1


@kernel
def fill_events(
    offsets: Codes,
    rows: Codes,
    last: Codes,
    hits: NDArray[np.uint32],
    ignored: NDArray[np.uint32],
    score: Array,
    block: bool,
    event_offsets: Codes,
    event: Ints,
    event_end: Ints,
) -> None:
    """Write events (position, or its complement when ignored) and where each counts. O(D x T)."""
    n_thresholds = (len(event_offsets) - 1) // max(len(last), 1)
    fill = event_offsets[:-1].copy()
    for g in range(len(last)):
        start = offsets[g]
        end = -1
        for position in range(last[g] + 1):
            row = rows[start + position]
            if block:
                if position > end:
                    end = position
                    while (
                        start + end + 1 < offsets[g + 1]
                        and score[rows[start + end + 1]] == score[row]
                    ):
                        end += 1
            else:
                end = position
            if (hits[row] | ignored[row]) == 0:
                continue
            for t in range(n_thresholds):
                slot = g * n_thresholds + t
                if (hits[row] >> np.uint32(t)) & np.uint32(1):
                    event[fill[slot]] = position
                elif (ignored[row] >> np.uint32(t)) & np.uint32(1):
                    event[fill[slot]] = -1 - position
                else:
                    continue
                event_end[fill[slot]] = end
                fill[slot] += 1


@kernel
def weighted_curves(
    offsets: Codes,
    image: Ints,
    category: Ints,
    event_offsets: Codes,
    event: Ints,
    event_end: Ints,
    truth_image: Ints,
    truth_category: Ints,
    truth_group: Ints,
    weight: Array,
    category_weight: Array,
    grid: Array,
    n: Array,
    ap: Array,
    recall: Array,
    curve: Array,
) -> None:
    """Interpolated average precision and recall of each group and threshold.

    The recall of a position is compared with the grid as the quotient of doubles that the
    references form. `curve` (groups, T, R) is filled unless empty. O(D + events + R x groups x T).
    """
    n_groups, n_thresholds = ap.shape
    n[:] = 0.0
    for g in range(len(truth_image)):
        n[truth_group[g]] += weight[truth_image[g]] * category_weight[truth_category[g]]
    longest, most = 1, 1
    for g in range(n_groups):
        longest = max(longest, offsets[g + 1] - offsets[g])
    for slot in range(len(event_offsets) - 1):
        most = max(most, event_offsets[slot + 1] - event_offsets[slot])
    own = np.empty(longest)
    total = np.empty(longest)
    tp = np.empty(most)
    precision = np.empty(most)
    for g in range(n_groups):
        start = offsets[g]
        if n[g] <= 0:
            ap[g, :] = np.nan
            recall[g, :] = np.nan
            continue
        running = 0.0
        for position in range(offsets[g + 1] - start):
            w = weight[image[start + position]] * category_weight[category[start + position]]
            own[position] = w
            running += w
            total[position] = running
        for t in range(n_thresholds):
            first = event_offsets[g * n_thresholds + t]
            stop = event_offsets[g * n_thresholds + t + 1]
            held = 0.0
            ignored = 0.0
            m = 0
            for e in range(first, stop):
                code = event[e]
                if code >= 0:
                    held += own[code]
                else:
                    ignored += own[-1 - code]
                if e + 1 < stop and event_end[e + 1] == event_end[e]:
                    continue
                if held > 0:
                    tp[m] = n[g] if held > n[g] * (1.0 - ROUNDING) else held
                    precision[m] = held / (total[event_end[e]] - ignored + SPACING)
                    m += 1
            recall[g, t] = 1.0 if held > n[g] * (1.0 - ROUNDING) else held / n[g]
            ap[g, t] = _interpolate(tp, precision, m, n[g], grid, curve, g, t)


@kernel
def _interpolate(
    tp: Array, precision: Array, m: int, n: float, grid: Array, curve: Array, g: int, t: int
) -> float:
    """Mean over the grid of the best precision at or beyond each recall. O(m + grid)."""
    keep = len(curve) > 0
    r = len(grid) - 1
    while r >= 0 and (m == 0 or tp[m - 1] / n < grid[r]):
        if keep:
            curve[g, t, r] = 0.0
        r -= 1
    best = 0.0
    area = 0.0
    for j in range(m - 1, -1, -1):
        best = max(best, precision[j])
        before = tp[j - 1] / n if j > 0 else -1.0
        while r >= 0 and before < grid[r]:
            area += best
            if keep:
                curve[g, t, r] = best
            r -= 1
    return area / len(grid)
