"""Images that stand for the statistics of a box plot of the scores."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.errors import InputError

Array = NDArray[np.float64]
# How far from a statistic a substitute for a used image may lie, absolute and relative.
NEAR_ABSOLUTE = 1e-2
NEAR_RELATIVE = 1e-5


def representative_images(
    scores: pl.DataFrame, *, outliers: Literal["none", "low", "high", "both"], avoid_repeats: bool
) -> pl.DataFrame:
    """Nearest image of each statistic; `scores` holds ``image`` and ``score``. O(images^2)."""
    if outliers not in ("none", "low", "high", "both"):
        raise InputError(f"outliers={outliers!r}: choose 'none', 'low', 'high' or 'both'")
    known = scores.drop_nulls("score")
    value = known["score"].to_numpy()
    wanted = _statistics(value)
    low, high = wanted["lower whisker"], wanted["upper whisker"]
    named = list(wanted.items())
    if outliers in ("low", "both"):
        named += [("low outlier", float(item)) for item in value[value < low]]
    if outliers in ("high", "both"):
        named += [("high outlier", float(item)) for item in value[value > high]]
    named.sort(key=lambda item: item[1])
    chosen = _nearest(value, [target for _, target in named], avoid_repeats)
    return pl.DataFrame(
        {
            "statistic": [name for name, _ in named],
            "value": [target for _, target in named],
            "image": known["image"].to_numpy()[chosen],
            "score": value[chosen],
        }
    ).sort("score", maintain_order=True)


def _statistics(value: Array) -> dict[str, float]:
    """Mean, quartiles, and whiskers at the last scores within 1.5 interquartile ranges."""
    lower, median, upper = np.percentile(value, [25, 50, 75])
    reach = 1.5 * (upper - lower)
    inside_low, inside_high = value[value >= lower - reach], value[value <= upper + reach]
    return {
        "lower whisker": float(min(inside_low.min(initial=np.inf), lower)),
        "lower quartile": float(lower),
        "mean": float(value.mean()),
        "median": float(median),
        "upper quartile": float(upper),
        "upper whisker": float(max(inside_high.max(initial=-np.inf), upper)),
    }


def _nearest(value: Array, targets: Sequence[float], avoid_repeats: bool) -> list[int]:
    used: set[int] = set()
    chosen = []
    for target in targets:
        distance = np.abs(value - target)
        order = np.argsort(distance, kind="stable")
        best = int(order[0])
        if avoid_repeats and best in used:
            limit = NEAR_ABSOLUTE + NEAR_RELATIVE * abs(target)
            free = (int(i) for i in order if int(i) not in used and distance[i] <= limit)
            best = next(free, best)
        used.add(best)
        chosen.append(best)
    return chosen
