"""Ranked tails, deepened on demand, and scores of all models as functions of image weights."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import fsum
from threading import Lock
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from evalstats.anomaly.images import over_images
from evalstats.anomaly.kernels import (
    bucket_starts,
    extreme_at_cuts,
    linear_credits,
    linear_slopes,
    log_credits,
    log_slopes,
    owner_sums,
    reached_at_cuts,
    set_scores,
    slot_counts,
    slot_masses,
)
from evalstats.anomaly.pixels import Pixels

Array = NDArray[np.float64]
SharedRate = Literal["mean", "pooled", "max", "quantile"]
# What a tail is kept for: resampled images move the bound, seldom beyond this factor.
MARGIN = 4.0
DEEPER = 8.0
# As many starts of buckets as stay in the cache.
BUCKETS = 2**16
# Beyond this many pixels a deeper tail would cost more memory than most machines give.
LARGEST_TAIL = 50_000_000


class Rule(Protocol):
    """Credit of a mask pixel as a function of the shares of normal pixels around it."""

    @property
    def upper(self) -> float:
        """Share from which on there is no credit."""

    def credits(self, share: Array, ranked: "Ranked") -> Array:
        """Credit in each slot."""

    def slopes(self, share: Array, ranked: "Ranked", mass: Array) -> Array:
        """Derivative of the total credit of `mass` by the share at each cut."""


@dataclass(frozen=True)
class LogRule:
    """Truncated log p-value between two bounds; `before` is the part of ties counted as above."""

    lower: float
    upper: float
    before: float = 0.5

    def credits(self, share: Array, ranked: "Ranked") -> Array:
        """Credit in each slot."""
        return log_credits(share, ranked.low, ranked.high, self.lower, self.upper, self.before)

    def slopes(self, share: Array, ranked: "Ranked", mass: Array) -> Array:
        """Derivative of the total credit of `mass` by the share at each cut."""
        return log_slopes(share, ranked.low, ranked.high, mass, self.lower, self.upper, self.before)


@dataclass(frozen=True)
class LinearRule:
    """One minus the share over its limit: area under a curve on a linear axis."""

    upper: float

    def credits(self, share: Array, ranked: "Ranked") -> Array:
        """Credit in each slot."""
        return linear_credits(share, ranked.low, ranked.high, self.upper)

    def slopes(self, share: Array, ranked: "Ranked", mass: Array) -> Array:
        """Derivative of the total credit of `mass` by the share at each cut."""
        return linear_slopes(share, ranked.low, ranked.high, mass, self.upper)


@dataclass(frozen=True)
class Ranked:
    """A tail in descending order with the mask pixels counted between its scores.

    Attributes
    ----------
    scores, owner : array (m,)
        Normal pixels, and the number of the image of each.
    ends : int64 array (cuts + 1,)
        Number of tail pixels above each cut; the last entry is all of them.
    low, high : int64 array (slots,)
        Cut before and after each slot.
    offsets, slots, counts : array
        Sparse counts of the pixels of each set in each slot.
    complete : bool
        Whether the tail holds every normal pixel.
    """

    scores: Array
    owner: NDArray[np.int32]
    ends: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]
    offsets: NDArray[np.int64]
    slots: NDArray[np.int32]
    counts: NDArray[np.int32]
    complete: bool


def rank_tail(pixels: Pixels, depth: float) -> Ranked | None:
    """Rank a tail of the given depth. O(m log m) beside reading the pixels."""
    tail = pixels.tail(depth)
    if tail is None:
        return None
    order = np.argsort(tail.scores)[::-1]
    if len(np.unique(pixels.normal_size)) > 1:
        # Within a tie by size, so that no sum depends on the order of the images.
        order = np.lexsort((pixels.normal_size[tail.owner], -tail.scores))
    scores = np.ascontiguousarray(tail.scores[order])
    first = np.concatenate([[True], scores[1:] != scores[:-1]])[: len(scores)]
    starts = np.append(np.flatnonzero(first), len(scores))
    distinct = np.ascontiguousarray(scores[first])
    work = 20 * sum(map(len, tail.sets))
    sets = range(len(tail.sets))
    bucket_start, scale = _buckets(distinct)
    ended = np.append(distinct, -np.inf)
    found = over_images(
        lambda item: slot_counts(tail.sets[item], ended, bucket_start, scale), sets, work
    )
    slots = np.concatenate([np.zeros(0, dtype=np.int32), *(own for own, _ in found)])
    counts = np.concatenate([np.zeros(0, dtype=np.int32), *(own for _, own in found)])
    offsets = np.concatenate([[0], np.cumsum([len(own) for own, _ in found])]).astype(np.int64)
    is_used = np.zeros(2 * len(distinct) + 1, dtype=bool)
    is_used[slots] = True
    used = np.flatnonzero(is_used)
    is_cut = np.zeros(len(distinct) + 1, dtype=bool)
    is_cut[used // 2] = True
    is_cut[(used + 1) // 2] = True
    cut_number = np.cumsum(is_cut) - 1
    return Ranked(
        scores=scores,
        owner=np.ascontiguousarray(tail.owner[order]),
        ends=np.append(starts[is_cut], len(scores)).astype(np.int64),
        low=cut_number[used // 2].astype(np.int64),
        high=cut_number[(used + 1) // 2].astype(np.int64),
        offsets=offsets,
        slots=(np.cumsum(is_used, dtype=np.int32) - np.int32(1))[slots],
        counts=counts,
        complete=tail.complete,
    )


def _buckets(distinct: Array) -> tuple[NDArray[np.int32], float]:
    """Ranks at which buckets of equal width start, and buckets per unit of the score."""
    buckets = int(min(max(8 * len(distinct), 1), BUCKETS))
    with np.errstate(all="ignore"):
        scale = buckets / (distinct[0] - distinct[-1]) if len(distinct) else 0.0
    if not 0.0 < scale < np.inf:
        # One bucket: scores all alike, or further apart than floating point can say.
        buckets, scale = 1, 0.0
    return bucket_starts(distinct, float(scale), buckets), float(scale)


@dataclass
class Ladder:
    """Tails of one model, each deeper than the last, ranked when a weighting first needs them."""

    pixels: Pixels
    depth: float
    _levels: list[Ranked | None] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def level(self, number: int) -> Ranked | None:
        """Tail of a level; None where it cannot be had."""
        with self._lock:
            while len(self._levels) <= number:
                self._levels.append(self._ranked(len(self._levels)))
            return self._levels[number]

    def _ranked(self, number: int) -> Ranked | None:
        depth = min(1.0, self.depth * DEEPER**number)
        too_large = depth * float(self.pixels.normal_size.sum()) > LARGEST_TAIL
        return (
            None if number and (too_large or self.pixels.fixed) else rank_tail(self.pixels, depth)
        )


@dataclass(frozen=True)
class Reached:
    """A tail deep enough for some weights, with the shares at its cuts.

    Attributes
    ----------
    ranked : Ranked
        The tail.
    share : float64 array
        Share of the normal pixels above each cut; last, above the floor.
    gain : float64 array
        What one pixel of each normal image adds to ``share * total``.
    total : float
        Weight of all normal pixels.
    """

    ranked: Ranked
    share: Array
    gain: Array
    total: float


@dataclass(frozen=True)
class Prepared:
    """All models of one sample, ready for any weights.

    Attributes
    ----------
    n : int
        Number of images.
    ladders : sequence of Ladder
        One per model; all share the layout of images and sets.
    rules : sequence of Rule
        One per bound.
    shared_rate, quantile
        How the rates of the normal images become one.
    """

    n: int
    ladders: Sequence[Ladder]
    rules: Sequence[Rule]
    shared_rate: SharedRate = "mean"
    quantile: float = 1.0

    @property
    def pixels(self) -> Pixels:
        """Layout of images and sets."""
        return self.ladders[0].pixels

    def work(self) -> int:
        """Entries that one evaluation reads."""
        tails = [tail for ladder in self.ladders if (tail := ladder.level(0)) is not None]
        return sum(len(tail.owner) + len(tail.slots) for tail in tails)

    def reached(self, ladder: Ladder, weights: Array) -> Reached | None:
        """Shares under the weights, from the first tail that reaches all bounds; None if none."""
        own = weights[self.pixels.normal_unit]
        size = np.maximum(self.pixels.normal_size, 1.0)
        # In units of the largest image: equal sizes then add up exactly, as integers.
        per_pixel = size.max(initial=1.0) / size
        gain, cost = (per_pixel, per_pixel * size)
        if self.shared_rate == "pooled":
            gain, cost = np.ones_like(size), self.pixels.normal_size
        total = fsum((own * cost).tolist())
        upper = max(rule.upper for rule in self.rules)
        level = 0
        while total > 0.0 and (ranked := ladder.level(level)) is not None:
            if self.shared_rate in ("mean", "pooled"):
                share = reached_at_cuts(ranked.owner, own * gain, ranked.ends) / total
            else:
                q = 1.0 if self.shared_rate == "max" else self.quantile
                share = extreme_at_cuts(ranked.owner, 1.0 / size, own, ranked.ends, q)
            if ranked.complete or share[-1] >= upper:
                return Reached(ranked, share, gain, total)
            level += 1
        return None

    def scores(self, weights: Array) -> NDArray[np.float64]:
        """Score of each set, (models, bounds, sets); the weights of normal images set the rate."""
        pixels = self.pixels
        out = np.full((len(self.ladders), len(self.rules), len(pixels.set_size)), np.nan)
        for model, ladder in enumerate(self.ladders):
            at = self.reached(ladder, weights)
            if at is None:
                continue
            ranked = at.ranked
            for bound, rule in enumerate(self.rules):
                credit = rule.credits(at.share, ranked)
                out[model, bound] = set_scores(
                    ranked.offsets, ranked.slots, ranked.counts, pixels.set_size, credit
                )
        return out

    def means(self, weights: Array) -> Array:
        """Weighted mean score over the sets, for all models and bounds. O(tail + entries)."""
        own = weights[self.pixels.set_unit]
        mass = fsum(own.tolist())
        k = len(self.ladders) * len(self.rules)
        scores = self.scores(weights).reshape(k, len(own))
        if mass <= 0.0:
            return np.full(len(scores), np.nan)
        # Rounded once, so that the order of the images does not show.
        return np.array([_exact_sum(own * row) / mass for row in scores])

    def influence(self, weights: Array) -> Array:
        """Derivative (n, k) of the means by the weight of each image. O(tail + entries)."""
        pixels = self.pixels
        own = weights[pixels.set_unit]
        mass = fsum(own.tolist())
        scores = self.scores(weights)
        columns = []
        for model, ladder in enumerate(self.ladders):
            at = self.reached(ladder, weights)
            for bound, rule in enumerate(self.rules):
                column: Array = np.full(self.n, np.nan)
                if at is not None and mass > 0.0:
                    mean = _exact_sum(own * scores[model, bound]) / mass
                    centred = (scores[model, bound] - mean) / mass
                    column = np.bincount(pixels.set_unit, centred, self.n).astype(np.float64)
                    column[pixels.normal_unit] += self._normal_influence(at, rule, own / mass)
                columns.append(column)
        return np.column_stack(columns)

    def _normal_influence(self, at: Reached, rule: Rule, factor: Array) -> Array:
        """Derivative of a mean by the weights of the normal images, which move the rate."""
        ranked, pixels = at.ranked, self.pixels
        mass = slot_masses(
            ranked.offsets,
            ranked.slots,
            ranked.counts,
            factor / pixels.set_size,
            len(ranked.low),
        )
        slopes = rule.slopes(at.share, ranked, mass)
        n = len(pixels.normal_size)
        own = at.gain * owner_sums(ranked.owner, ranked.ends, slopes, n)
        return (own - at.gain * pixels.normal_size * float(slopes @ at.share)) / at.total


def _exact_sum(values: Array) -> float:
    return fsum(values.tolist()) if bool(np.isfinite(values).all()) else np.nan
