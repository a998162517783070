"""Whether the data resolve the bounds, and enough normal images share the tail."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.anomaly.localisation import bounds_label
from evalstats.anomaly.ranked import Ladder, Prepared
from evalstats.anomaly.views import exact_samples
from evalstats.errors import InputError
from evalstats.estimator import Diagnosis

if TYPE_CHECKING:
    from evalstats.anomaly.aupimo import AUPIMO

Array = NDArray[np.float64]
Bounds = tuple[float, float]
# Below this many normal pixels above the lower bound the end of the axis is a matter of luck.
FEW_PIXELS = 10
# Below this many effective normal images in the tail the intervals cover too seldom (simulation).
FEW_TAIL_IMAGES = 10


class TailOwnership(NamedTuple):
    """Whose pixels lie above the upper bound.

    Attributes
    ----------
    shares : float64 array
        Share of each normal image in the tail, descending.
    at_maximum : float
        Share of normal pixels that hold the highest score.
    distinct : int
        Distinct normal scores between the bounds.
    """

    shares: Array
    at_maximum: float
    distinct: int

    @property
    def effective(self) -> float:
        """Number of equal shares that would be as uneven: one over the sum of squares."""
        squares = float(np.square(self.shares).sum())
        return 1.0 / squares if squares > 0 else np.nan


def tail_ownership(
    prepared: Prepared, ladder: Ladder, bounds: Bounds, weights: Array
) -> TailOwnership | None:
    """Ownership of the tail above the upper bound. O(tail)."""
    at = prepared.reached(ladder, weights)
    if at is None:
        return None
    pixels, ranked = prepared.pixels, at.ranked
    gain = weights[pixels.normal_unit] / pixels.normal_size
    gain /= weights[pixels.normal_unit].sum()
    share = np.cumsum(gain[ranked.owner])
    # Values at the end of each block of ties: a pixel counts once its whole block has entered.
    last = np.append(ranked.scores[1:] != ranked.scores[:-1], True)[: len(share)]
    block = share[last]
    inside = np.repeat(block <= bounds[1], np.diff(np.flatnonzero(last), prepend=-1))
    owned = np.bincount(ranked.owner[inside], gain[ranked.owner[inside]], len(gain))
    total = owned.sum()
    shares = np.sort(owned)[::-1] / total if total > 0 else np.zeros(len(owned))
    in_band = (block > bounds[0]) & (block <= bounds[1])
    at_maximum = float(block[0]) if len(block) else np.nan
    return TailOwnership(shares, at_maximum, int(np.count_nonzero(in_band)))


def require_resolution(prepared: Prepared, bounds: Sequence[Bounds]) -> None:
    """Refuse bounds below the rate of a single normal pixel."""
    pixels = float(prepared.pixels.normal_size.sum())
    for lower, upper in bounds:
        if pixels * upper < 1:
            raise InputError(
                f"fpr_bounds ({lower:g}, {upper:g}) lie below the rate of a single one of the "
                f"{pixels:.0f} normal pixels: more normal pixels or higher bounds are needed"
            )


def diagnose(
    prepared: Prepared, models: Sequence[str], bounds: Sequence[Bounds], weights: Array
) -> list[Diagnosis]:
    """What is suspicious about the tail of each model."""
    found: list[Diagnosis] = []
    present = weights[prepared.pixels.normal_unit] > 0
    pixels = float(prepared.pixels.normal_size[present].sum())
    lowest = min(lower for lower, _ in bounds)
    if pixels * lowest < FEW_PIXELS:
        found.append(
            (
                "low-resolution",
                f"the {pixels:.0f} normal pixels put {pixels * lowest:.3g} above the lower bound "
                f"{lowest:g}: scores near it are a matter of single pixels (want {FEW_PIXELS})",
            )
        )
    for model, ladder in zip(models, prepared.ladders, strict=True):
        # The highest of the upper bounds shows who owns the tail; the others lie within it.
        widest = max(bounds, key=lambda pair: pair[1])
        tail = tail_ownership(prepared, ladder, widest, weights)
        if tail is None:
            continue
        if tail.at_maximum > lowest:
            found.append(
                (
                    "low-resolution",
                    f"{tail.at_maximum:.3g} of the normal pixels of {model!r} share the highest "
                    f"score, more than the lower bound {lowest:g}: are the maps clipped?",
                )
            )
        if tail.effective < FEW_TAIL_IMAGES:
            found.append(
                (
                    "few-tail-images",
                    f"the tail of {model!r} belongs to {tail.effective:.1f} effective normal "
                    f"images (the first owns {tail.shares[0]:.0%}): intervals are unreliable below "
                    f"about {FEW_TAIL_IMAGES}",
                )
            )
    return found


def diagnostics(estimator: "AUPIMO") -> pl.DataFrame:
    """Resolution, ownership and leave-one-out range per model and bounds."""
    rows: list[dict[str, Any]] = []
    for sample in exact_samples(estimator):
        prepared, weights = sample.prepared, sample.weights
        unit = prepared.pixels.normal_unit
        sizes = prepared.pixels.normal_size[weights[unit] > 0]
        for position, ladder in enumerate(prepared.ladders):
            for bound, pair in enumerate(estimator._bounds()):
                tail = tail_ownership(prepared, ladder, pair, weights)
                if tail is None:
                    continue
                rule = [prepared.rules[bound]]
                alone = replace(prepared, ladders=[ladder], rules=rule)
                low, high = _leave_one_out(alone, weights)
                rows.append(
                    {
                        "model": sample.models[position],
                        **sample.labels,
                        "fpr_bounds": bounds_label(pair),
                        "normal_pixels": int(sizes.sum()),
                        "expected_below_lower": float(sizes.sum() * pair[0]),
                        "distinct_in_band": tail.distinct,
                        "share_at_maximum": tail.at_maximum,
                        "tail_share_top1": float(tail.shares[0]),
                        "tail_share_top3": float(tail.shares[:3].sum()),
                        "effective_normal_images": tail.effective,
                        "leave_one_out_low": low,
                        "leave_one_out_high": high,
                        "random_model": random_score(pair),
                    }
                )
    return pl.DataFrame(rows)


def random_score(bounds: Bounds) -> float:
    """Score of a model whose overlap equals the rate, (U - L) / log(U / L)."""
    lower, upper = bounds
    return float((upper - lower) / np.log(upper / lower))


def leave_one_out(prepared: Prepared, weights: Array) -> Array:
    """Mean without each of the normal images in turn. O(images x tail)."""
    values = []
    for unit in prepared.pixels.normal_unit[weights[prepared.pixels.normal_unit] > 0]:
        without = weights.copy()
        without[unit] = 0.0
        values.append(float(prepared.means(without)[0]))
    return np.array(values)


def _leave_one_out(prepared: Prepared, weights: Array) -> tuple[float, float]:
    values = leave_one_out(prepared, weights)
    values = values[np.isfinite(values)]
    return (float(values.min()), float(values.max())) if len(values) else (np.nan, np.nan)
