"""Overlap scores from a ranked tail of normal pixels and counts of mask pixels between them.

The tail is in descending order of the score. A *cut* is a place between two distinct scores of the
tail: the share of normal pixels above cut c is ``reached[c] / total``. A *slot* is where mask
pixels lie: in a gap (its low and high cut are the same), or tied with a score (the cuts before and
after it). Whatever depends on weights is a function of the shares at the cuts.
"""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel

# Ranks that are looked at one after the other rather than by halves.
FEW = 8


@kernel
def true_positions(
    words: NDArray[np.uint64], flags: NDArray[np.uint8], count: int
) -> NDArray[np.int64]:
    """Positions of the `count` flags that are set; `words` is the same memory, eight at a time.

    O(flags), but what holds none is skipped 64 flags at a time.
    """
    # One place more: each position is written before its flag is looked at, without a branch.
    positions = np.empty(count + 1, dtype=np.int64)
    used = 0
    word = 0
    while word < words.size:
        if word + 8 <= words.size:
            near = words[word] | words[word + 1] | words[word + 2] | words[word + 3]
            far = words[word + 4] | words[word + 5] | words[word + 6] | words[word + 7]
            if near | far == 0:
                word += 8
                continue
        stop = min(word + 8, words.size)
        while word < stop:
            if words[word] != 0:
                for position in range(8 * word, 8 * word + 8):
                    positions[used] = position
                    used += int(flags[position])
            word += 1
    for position in range(8 * words.size, flags.size):
        positions[used] = position
        used += int(flags[position])
    return positions[:count]


@kernel
def scores_from(scores: NDArray[np.float64], floor: float) -> NDArray[np.float64]:
    """Scores not below `floor`, in their order. O(n)."""
    kept = np.empty(scores.size + 1)
    used = 0
    for position in range(scores.size):
        kept[used] = scores[position]
        used += int(scores[position] >= floor)
    return kept[:used].copy()


@kernel
def _bucket(score: float, top: float, scale: float, last: int) -> int:
    """Number of the bucket of a score: never lower for a lower score. O(1)."""
    place = (top - score) * scale
    # Also where the place is no number, as between scores that are infinitely far apart.
    if not place > 0.0:
        return 0
    return int(min(place, float(last)))


@kernel
def bucket_starts(tail: NDArray[np.float64], scale: float, buckets: int) -> NDArray[np.int32]:
    """First rank of the descending tail in each bucket, and the end. O(tail + buckets)."""
    starts = np.empty(buckets + 1, dtype=np.int32)
    rank = 0
    for bucket in range(buckets):
        while rank < tail.size and _bucket(tail[rank], tail[0], scale, buckets - 1) < bucket:
            rank += 1
        starts[bucket] = rank
    starts[buckets] = tail.size
    return starts


@kernel
def slot_counts(
    scores: NDArray[np.float64],
    tail: NDArray[np.float64],
    starts: NDArray[np.int32],
    scale: float,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Slots (2 r in the gap before distinct score r, 2 r + 1 tied with it) and pixels in each.

    The tail descends and ends with -inf, the scores are in any order. A bucket of the tail leaves a
    handful of ranks to look at in most cases, a search by halves where it holds more.
    O(scores + tail), O(scores log tail) at worst.
    """
    n = scores.size
    slots = np.empty(n, dtype=np.int32)
    last = starts.size - 2
    for position in range(n):
        score = scores[position]
        bucket = _bucket(score, tail[0], scale, last)
        rank = starts[bucket]
        size = starts[bucket + 1] - rank
        while size > FEW:
            half = size // 2
            rank += half * int(tail[rank + half - 1] > score)
            size -= half
        while tail[rank] > score:
            rank += 1
        slots[position] = 2 * rank + int(tail[rank] == score)
    if n < tail.size // 4:
        slots.sort()
        counts = np.empty(n, dtype=np.int32)
        used = 0
        for position in range(n):
            if used > 0 and slots[used - 1] == slots[position]:
                counts[used - 1] += 1
            else:
                slots[used] = slots[position]
                counts[used] = 1
                used += 1
        return slots[:used].copy(), counts[:used].copy()
    dense = np.zeros(2 * tail.size, dtype=np.int32)
    for position in range(n):
        dense[slots[position]] += 1
    used = 0
    found = np.empty(dense.size + 1, dtype=np.int32)
    counts = np.empty(dense.size + 1, dtype=np.int32)
    for slot in range(dense.size):
        # Written before it is known to be needed, without a branch.
        found[used] = slot
        counts[used] = dense[slot]
        used += int(dense[slot] > 0)
    # Copies: what is kept must not hold on to the buffers.
    return found[:used].copy(), counts[:used].copy()


@kernel
def reached_at_cuts(
    owner: NDArray[np.int32], gain: NDArray[np.float64], ends: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Sum of the owners' gains over the tail pixels above each cut; last, over all. O(tail)."""
    reached = np.empty(ends.size)
    total = 0.0
    position = 0
    for cut in range(ends.size):
        while position < ends[cut]:
            total += gain[owner[position]]
            position += 1
        reached[cut] = total
    return reached


@kernel
def extreme_at_cuts(
    owner: NDArray[np.int32],
    gain: NDArray[np.float64],
    weight: NDArray[np.float64],
    ends: NDArray[np.int64],
    quantile: float,
) -> NDArray[np.float64]:
    """Weighted quantile over images of their own share above each cut; 1 is the maximum.

    The smallest share that at least `quantile` of the weight does not exceed. O(tail) for the
    maximum, O(tail images) at worst else.
    """
    n = gain.size
    share = np.zeros(n)
    fired = np.zeros(n)
    order = np.arange(n)
    place = np.empty(n, dtype=np.int64)
    for position in range(n):
        place[position] = position
    total = weight.sum()
    reached = np.empty(ends.size)
    highest = 0.0
    pixel = 0
    for cut in range(ends.size):
        while pixel < ends[cut]:
            image = owner[pixel]
            fired[image] += 1.0
            share[image] = fired[image] * gain[image]
            if weight[image] > 0.0:
                highest = max(highest, share[image])
            position = place[image]
            while position + 1 < n and share[order[position + 1]] < share[image]:
                order[position] = order[position + 1]
                place[order[position]] = position
                position += 1
            order[position] = image
            place[image] = position
            pixel += 1
        if quantile >= 1.0:
            reached[cut] = highest
            continue
        above = 0.0
        value = 0.0
        for position in range(n - 1, -1, -1):
            if weight[order[position]] > 0.0:
                value = share[order[position]]
                above += weight[order[position]]
                if total - above < quantile * total:
                    break
        reached[cut] = value
    return reached


@kernel
def log_credits(
    share: NDArray[np.float64],
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    lower: float,
    upper: float,
    before: float,
) -> NDArray[np.float64]:
    """Credit of a pixel in each slot: its truncated log p-value. O(slots).

    ``W(p) = log(upper / clip(p)) / log(upper / lower)``; a tied pixel takes `before` of the credit
    at the share strictly above it, and the rest of that at the share at or above it.
    """
    credit_of = np.empty(low.size)
    span = np.log(upper / lower)
    for slot in range(low.size):
        if share[low[slot]] >= upper:
            credit_of[slot:] = 0.0
            break
        credit = _log_credit(share[low[slot]], lower, upper, span)
        if high[slot] != low[slot]:
            after = _log_credit(share[high[slot]], lower, upper, span)
            credit = before * credit + (1.0 - before) * after
        credit_of[slot] = credit
    return credit_of


@kernel
def _log_credit(share: float, lower: float, upper: float, span: float) -> float:
    """Credit at one share. O(1)."""
    if share <= lower:
        return 1.0
    if share >= upper:
        return 0.0
    credit: float = np.log(upper / share) / span
    return credit


@kernel
def log_slopes(
    share: NDArray[np.float64],
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    mass: NDArray[np.float64],
    lower: float,
    upper: float,
    before: float,
) -> NDArray[np.float64]:
    """Derivative of ``sum(mass * log_credits)`` by the share at each cut. O(slots + cuts)."""
    slopes = np.zeros(share.size)
    span = np.log(upper / lower)
    for slot in range(low.size):
        first, second = before, 1.0 - before
        if high[slot] == low[slot]:
            first, second = 1.0, 0.0
        p = share[low[slot]]
        if lower < p < upper:
            slopes[low[slot]] -= first * mass[slot] / (p * span)
        p = share[high[slot]]
        if lower < p < upper:
            slopes[high[slot]] -= second * mass[slot] / (p * span)
    return slopes


@kernel
def linear_credits(
    share: NDArray[np.float64], low: NDArray[np.int64], high: NDArray[np.int64], upper: float
) -> NDArray[np.float64]:
    """Credit of a pixel in each slot on a linear axis that ends at `upper`. O(slots).

    ``1 - p / upper``; a tied pixel enters evenly between the two shares, as the trapezoid of a ROC
    curve does.
    """
    credit_of = np.empty(low.size)
    for slot in range(low.size):
        p = share[low[slot]]
        q = share[high[slot]]
        if p >= upper:
            credit_of[slot] = 0.0
        elif q <= upper:
            credit_of[slot] = 1.0 - 0.5 * (p + q) / upper
        else:
            credit_of[slot] = 0.5 * (upper - p) * (upper - p) / ((q - p) * upper)
    return credit_of


@kernel
def linear_slopes(
    share: NDArray[np.float64],
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    mass: NDArray[np.float64],
    upper: float,
) -> NDArray[np.float64]:
    """Derivative of ``sum(mass * linear_credits)`` by the share at each cut. O(slots + cuts)."""
    slopes = np.zeros(share.size)
    for slot in range(low.size):
        p = share[low[slot]]
        q = share[high[slot]]
        if p >= upper:
            continue
        if q <= upper:
            slopes[low[slot]] -= 0.5 * mass[slot] / upper
            slopes[high[slot]] -= 0.5 * mass[slot] / upper
        else:
            ratio = (upper - p) / (q - p)
            slopes[low[slot]] += mass[slot] * ratio * (0.5 * ratio - 1.0) / upper
            slopes[high[slot]] -= mass[slot] * 0.5 * ratio * ratio / upper
    return slopes


@kernel
def set_scores(
    offsets: NDArray[np.int64],
    slots: NDArray[np.int32],
    counts: NDArray[np.int32],
    sizes: NDArray[np.float64],
    credit_of: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Mean credit of the pixels of each set (image or region). O(entries above the bound).

    Slots ascend within a set and credits descend, so the first zero ends a set, and as long as the
    credit is 1 pixels are only counted. Four running sums, always the same ones, keep the
    additions from waiting for each other.
    """
    scores = np.empty(sizes.size)
    full = 0
    while full < credit_of.size and credit_of[full] == 1.0:
        full += 1
    active = full
    while active < credit_of.size and credit_of[active] > 0.0:
        active += 1
    for item in range(sizes.size):
        start = offsets[item]
        entry = _entries_before(slots, start, offsets[item + 1], full)
        stop = _entries_before(slots, entry, offsets[item + 1], active)
        certain = 0
        for position in range(start, entry):
            certain += counts[position]
        a = float(certain)
        b = 0.0
        c = 0.0
        d = 0.0
        while entry + 4 <= stop:
            a += counts[entry] * credit_of[slots[entry]]
            b += counts[entry + 1] * credit_of[slots[entry + 1]]
            c += counts[entry + 2] * credit_of[slots[entry + 2]]
            d += counts[entry + 3] * credit_of[slots[entry + 3]]
            entry += 4
        while entry < stop:
            a += counts[entry] * credit_of[slots[entry]]
            entry += 1
        scores[item] = min(((a + b) + (c + d)) / sizes[item], 1.0)
    return scores


@kernel
def _entries_before(slots: NDArray[np.int32], low: int, high: int, slot: int) -> int:
    """First entry between `low` and `high` whose slot is not before `slot`. O(log entries)."""
    while low < high:
        middle = (low + high) // 2
        if slots[middle] < slot:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def slot_masses(
    offsets: NDArray[np.int64],
    slots: NDArray[np.int32],
    counts: NDArray[np.int32],
    factor: NDArray[np.float64],
    n_slots: int,
) -> NDArray[np.float64]:
    """Sum over the sets of ``factor * counts`` in each slot. O(entries)."""
    mass = np.zeros(n_slots)
    for item in range(factor.size):
        for entry in range(offsets[item], offsets[item + 1]):
            mass[slots[entry]] += factor[item] * counts[entry]
    return mass


@kernel
def owner_sums(
    owner: NDArray[np.int32], ends: NDArray[np.int64], slopes: NDArray[np.float64], n: int
) -> NDArray[np.float64]:
    """For each image, the slopes of the cuts below each of its tail pixels, added up. O(tail).

    That is ``sum over cuts of slope * (number of its pixels above the cut)``.
    """
    sums = np.zeros(n)
    following = 0.0
    for cut in range(ends.size - 1, -1, -1):
        following += slopes[cut]
        start = ends[cut - 1] if cut > 0 else 0
        for pixel in range(start, ends[cut]):
            sums[owner[pixel]] += following
    return sums


@kernel
def counts_above(scores: NDArray[np.float64], cuts: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number of `scores` (ascending) at or above each of `cuts` (descending). O(scores + cuts)."""
    counts = np.empty(cuts.size, dtype=np.int64)
    position = scores.size
    for cut in range(cuts.size):
        while position > 0 and scores[position - 1] >= cuts[cut]:
            position -= 1
        counts[cut] = scores.size - position
    return counts


@kernel
def threshold_ranks(
    scores: NDArray[np.float64],
    owner: NDArray[np.int32],
    gain: NDArray[np.float64],
    limits: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First score (descending) whose block lifts the sum of gains above each ascending limit.

    Also the sum before that block. ``-inf`` where the limit is never exceeded. O(tail).
    """
    found = np.full(limits.size, -np.inf)
    before = np.zeros(limits.size)
    total = 0.0
    above = 0.0
    position = 0
    limit = 0
    n = scores.size
    while position < n and limit < limits.size:
        score = scores[position]
        while position < n and scores[position] == score:
            total += gain[owner[position]]
            position += 1
        while limit < limits.size and total > limits[limit] * (1.0 + 1e-12):
            found[limit] = score
            before[limit] = above
            limit += 1
        above = total
    for rest in range(limit, limits.size):
        before[rest] = above
    return found, before
