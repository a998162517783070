"""The reference's threshold grid, to reproduce published numbers.

Bounds are snapped to the nearest rate on the grid, without interpolation; that, and not the number
of thresholds, is its error.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalstats.anomaly.images import ImageStack, over_images
from evalstats.anomaly.pixels import Layout
from evalstats.errors import InputError, warn

Array = NDArray[np.float64]
FEWEST_POINTS = 30
FEW_POINTS = 300


@dataclass(frozen=True)
class GridPrepared:
    """Scores of the anomalous images on the grid, (models x bounds, sets)."""

    set_unit: NDArray[np.int64]
    scores: Array

    def means(self, weights: Array) -> Array:
        """Mean over the anomalous images; the weights of normal images are refused before."""
        own = weights[self.set_unit]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.scores @ own / own.sum())


def grid_scores(
    layout: Layout,
    maps: ImageStack,
    bounds: Sequence[tuple[float, float]],
    n_thresholds: int,
    force: bool = False,
) -> Array:
    """Score of each anomalous image for each pair of bounds, as the reference computes it.

    O(pixels log pixels + thresholds).
    """
    shapes = {maps.image(unit).shape for unit in range(len(maps))}
    if len(shapes) > 1:
        raise InputError(
            f"mode='grid' needs images of one size, but there are {len(shapes)}: use mode='exact'"
        )
    normal = list(layout.normal_unit)
    size = maps.image(0).size
    work = 20 * size * len(maps)
    ordered = over_images(lambda u: np.sort(_floating(maps, u), axis=None), normal, work)
    thresholds = grid_thresholds(ordered, n_thresholds)
    rates = np.zeros(n_thresholds)
    for own in ordered:
        fired = _fired(own, thresholds)
        rates += fired / size
    rates /= len(normal)
    curves = over_images(
        lambda u: _recall(layout, maps, u, thresholds), list(layout.set_unit), work
    )
    recall = np.array(curves).reshape(len(curves), n_thresholds)
    return np.stack([_area(rates, recall, lower, upper, force) for lower, upper in bounds])


def grid_thresholds(ordered: Sequence[NDArray[np.floating]], n_thresholds: int) -> NDArray:  # type: ignore[type-arg]
    """Equally spaced from the lowest to the highest normal score, in the dtype of the maps."""
    low, high = min(float(own[0]) for own in ordered), max(float(own[-1]) for own in ordered)
    if not low < high:
        raise InputError(
            f"all normal pixels score {low}: there is no grid of thresholds; use mode='exact'"
        )
    thresholds = np.linspace(low, high, n_thresholds).astype(ordered[0].dtype)
    if not bool((thresholds[1:] > thresholds[:-1]).all()):
        raise InputError(
            f"{n_thresholds} thresholds between {low} and {high} coincide in {ordered[0].dtype}: "
            "use mode='exact', fewer n_thresholds or float64"
        )
    return thresholds


def threshold_index(rates: Array, level: float) -> int:
    """Index of the rate nearest to `level`: the first of equally near ones."""
    return int(np.argmin(np.abs(rates - level)))


def _area(rates: Array, recall: Array, lower: float, upper: float, force: bool) -> Array:
    """Trapezoid of the recall over the logarithm of the rate, between the snapped bounds."""
    first, last = threshold_index(rates, upper), threshold_index(rates, lower)
    _check_achieved(rates, lower, last)
    _check_achieved(rates, upper, first)
    if first >= last:
        raise InputError(
            f"fpr_bounds ({lower:g}, {upper:g}) fall on one threshold of the grid: use mode='exact'"
        )
    part = slice(first, last + 1)
    with np.errstate(divide="ignore"):
        axis = np.log(rates[part])[::-1]
    finite = np.isfinite(axis)
    axis = axis[finite]
    if len(axis) <= FEWEST_POINTS and not force:
        raise InputError(
            f"only {len(axis)} thresholds of the grid lie between the bounds ({lower:g}, "
            f"{upper:g}): use mode='exact', more n_thresholds, or force=True"
        )
    if len(axis) < FEW_POINTS:
        warn("few-thresholds", f"only {len(axis)} thresholds of the grid lie between the bounds")
    heights = recall[:, part][:, ::-1][:, finite]
    area = np.trapezoid(heights, axis, axis=1) / np.log(upper / lower)
    return np.asarray(np.clip(area, 0.0, 1.0))


def _check_achieved(rates: Array, level: float, index: int) -> None:
    smallest = float(rates[rates > 0].min(initial=np.inf))
    if level < smallest:
        raise InputError(
            f"the smallest positive false positive rate of the grid is {smallest:.3g}, above the "
            f"bound {level:g}: use mode='exact', which is defined there, or more normal pixels"
        )
    if not np.isclose(rates[index], level, rtol=1e-2):
        warn(
            "bound-not-on-grid",
            f"the grid meets the false positive rate {rates[index]:.4g} instead of {level:g}; "
            "mode='exact' has no such error",
        )


def _floating(maps: ImageStack, unit: int) -> NDArray[np.floating]:
    image = maps.image(int(unit))
    return image if image.dtype.kind == "f" else image.astype(np.float64)


def _fired(ordered: NDArray[np.generic], thresholds: NDArray[np.generic]) -> NDArray[np.int64]:
    """Number of scores at or above each threshold."""
    return len(ordered) - np.searchsorted(ordered, thresholds, side="left")


def _recall(layout: Layout, maps: ImageStack, unit: int, thresholds: NDArray[np.generic]) -> Array:
    positions = layout.members(int(unit))[0]
    inside = np.sort(_floating(maps, unit).ravel()[positions])
    return _fired(inside, thresholds) / len(inside)
