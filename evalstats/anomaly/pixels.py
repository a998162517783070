"""The pixels that matter: the highest scores of the normal pixels, and mask pixels among them.

Only normal scores at a share below the upper bound enter a score, one pixel in ten thousand by
default. A tail is found by the maxima of short runs of pixels, at the speed of one maximum over all
of them; a deep tail by a cut-off from a sample of the pixels and one comparison with each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evalstats.anomaly.images import Image, ImageStack, over_images
from evalstats.anomaly.kernels import scores_from, true_positions
from evalstats.anomaly.runs import RUN, high_runs

Array = NDArray[np.float64]
SAMPLE = 2**19
BLOCK = 2**18


@dataclass(frozen=True)
class Tail:
    """All normal pixels that score at least `floor`, and the mask pixels that do.

    Attributes
    ----------
    scores, owner : array
        Score of each normal pixel, unordered, and the number of its image.
    sets : list of float64 arrays
        Scores of each set of mask pixels (image or region) from the floor up, unordered.
    floor : float
        Lowest score kept.
    complete : bool
        Whether no normal pixel lies below the floor.
    """

    scores: Array
    owner: NDArray[np.int32]
    sets: list[Array]
    floor: float
    complete: bool


class Pixels(Protocol):
    """Where tails of any depth come from.

    Attributes
    ----------
    normal_unit, normal_size : array
        Row and number of pixels of each image whose pixels make up the false positive rate.
    set_unit, set_size : array
        Row and number of pixels of each set whose recall is scored.
    fixed : bool
        Whether there is one tail only, of whatever depth.
    """

    @property
    def normal_unit(self) -> NDArray[np.int64]: ...  # noqa: D102

    @property
    def normal_size(self) -> Array: ...  # noqa: D102

    @property
    def set_unit(self) -> NDArray[np.int64]: ...  # noqa: D102

    @property
    def set_size(self) -> Array: ...  # noqa: D102

    @property
    def fixed(self) -> bool: ...  # noqa: D102

    def tail(self, depth: float) -> Tail | None:
        """Tail with about the share `depth` of the normal pixels or more; None if out of reach."""


@dataclass(frozen=True)
class Layout:
    """Which pixels of which rows are normal, and which form sets; shared by all models.

    Attributes
    ----------
    normal, members : callable
        Row to the mask of its normal pixels (None for all of them), and to the flat positions of
        the pixels of each of its sets.
    """

    normal_unit: NDArray[np.int64]
    normal_size: Array
    set_unit: NDArray[np.int64]
    set_size: Array
    normal: Callable[[int], NDArray[np.bool_] | None]
    members: Callable[[int], list[NDArray[np.int64]]]


def image_layout(masks: ImageStack, ignore: ImageStack | None) -> Layout:
    """AUPIMO: pixels of normal images; the mask of each anomalous image is one set."""
    anomalous = _areas(masks) > 0
    normal_unit, set_unit = np.flatnonzero(~anomalous), np.flatnonzero(anomalous)

    def normal(unit: int) -> NDArray[np.bool_] | None:
        return None if ignore is None else ~ignore.image(unit).astype(bool)

    def members(unit: int) -> list[NDArray[np.int64]]:
        return [positions(_kept(masks.image(unit), unit, ignore), set_size(unit))]

    def normal_size(unit: int) -> int:
        kept = normal(unit)
        return masks.image(unit).size if kept is None else int(np.count_nonzero(kept))

    def set_size(unit: int) -> int:
        if ignore is None:
            return int(_areas(masks)[unit])
        return int(np.count_nonzero(_kept(masks.image(unit), unit, ignore)))

    # Without pixels to leave out all sizes are known already.
    work = 0 if ignore is None else len(masks) * masks.image(0).size
    return Layout(
        normal_unit,
        np.array(over_images(normal_size, list(normal_unit), work), dtype=np.float64),
        set_unit,
        np.array(over_images(set_size, list(set_unit), work), dtype=np.float64),
        normal,
        members,
    )


def region_layout(masks: ImageStack, ignore: ImageStack | None) -> Layout:
    """AUPRO: background pixels of all images; each connected region is one set."""

    def background(unit: int) -> NDArray[np.bool_]:
        outside = ~masks.image(unit).astype(bool)
        return outside if ignore is None else outside & ~ignore.image(unit).astype(bool)

    def members(unit: int) -> list[NDArray[np.int64]]:
        from scipy import ndimage

        mask = _kept(masks.image(unit), unit, ignore)
        if not bool(mask.any()):
            return []
        labels, n = ndimage.label(mask, structure=np.ones((3, 3)))
        inside = np.flatnonzero(labels)
        codes = labels.ravel()[inside]
        order = np.argsort(codes, kind="stable")
        return np.split(inside[order], np.cumsum(np.bincount(codes, minlength=n + 1)[1:-1]))

    units = np.arange(len(masks))
    regions = [members(int(unit)) for unit in units]
    return Layout(
        units,
        np.array([np.count_nonzero(background(int(u))) for u in units], dtype=np.float64),
        np.repeat(units, [len(found) for found in regions]),
        np.array([len(region) for found in regions for region in found], dtype=np.float64),
        background,
        members,
    )


@dataclass(frozen=True)
class StackPixels:
    """Pixels of one model's maps, read again for each depth."""

    layout: Layout
    maps: ImageStack
    fixed: bool = False

    @property
    def normal_unit(self) -> NDArray[np.int64]:
        """Rows whose pixels make up the false positive rate."""
        return self.layout.normal_unit

    @property
    def normal_size(self) -> Array:
        """Their numbers of pixels."""
        return self.layout.normal_size

    @property
    def set_unit(self) -> NDArray[np.int64]:
        """Row of each set of mask pixels."""
        return self.layout.set_unit

    @property
    def set_size(self) -> Array:
        """Number of pixels of each set."""
        return self.layout.set_size

    def tail(self, depth: float) -> Tail:
        """Tail with at least the share `depth` of the normal pixels. One pass, O(pixels)."""
        work = int(self.normal_size.sum())
        wanted = int(np.ceil(depth * work))
        whole = len(self.normal_unit) and self.layout.normal(int(self.normal_unit[0])) is None
        if whole and wanted * RUN <= work // 4:
            found, floor = self._above_peaks(wanted, work)
        else:
            found, floor = self._above_sampled(depth, work)
        complete = floor == -np.inf
        owners = [np.full(len(own), i, dtype=np.int32) for i, own in enumerate(found)]
        members = list(dict.fromkeys(self.set_unit.tolist()))
        area = int(self.set_size.sum())
        sets = over_images(lambda unit: self._sets(unit, floor), members, max(area, work // 4))
        return Tail(
            _joined(found),
            np.concatenate([np.zeros(0, dtype=np.int32), *owners]),
            [scores for image in sets for scores in image],
            floor,
            complete,
        )

    def _above_peaks(self, wanted: int, work: int) -> tuple[list[Image], float]:
        """Highest pixels by the maxima of runs of pixels; only runs that reach the floor are read.

        As many pixels reach a score as runs have such a maximum, or more.
        """
        units = self.normal_unit.tolist()
        peaks = over_images(self.maps.peaks, units, work)
        pooled = np.concatenate(peaks)
        floor = float(np.partition(pooled, len(pooled) - wanted)[len(pooled) - wanted])
        found = over_images(
            lambda i: at_least(high_runs(self._normal(units[i]), peaks[i], floor), floor),
            range(len(units)),
            work,
        )
        pooled = _joined(found)
        if len(pooled) > 2 * wanted:
            # Smooth maps: a run that reaches the floor does so with many pixels.
            floor = float(np.partition(pooled, len(pooled) - wanted)[len(pooled) - wanted])
            found = [at_least(own, floor) for own in found]
        return found, floor

    def _above_sampled(self, depth: float, work: int) -> tuple[list[Image], float]:
        """Pixels from a cut-off up that a sample of them gives; a deeper one if it is too high."""
        asked = depth
        while True:
            floor = self._cut_off(asked)
            found = self._selected(floor, work)
            if floor == -np.inf or sum(map(len, found)) >= depth * work:
                return found, floor
            asked *= 2.0

    def _selected(self, floor: float, work: int) -> list[Image]:
        return over_images(
            lambda unit: at_least(self._normal(unit), floor), list(self.normal_unit), work
        )

    def _normal(self, unit: int) -> Image:
        image = self.maps.image(unit)
        kept = self.layout.normal(unit)
        return image.ravel() if kept is None else image[kept]

    def _sets(self, unit: int, floor: float) -> list[Array]:
        image = self.maps.image(unit).ravel()
        members = self.layout.members(unit)
        return [scores_from(image[inside].astype(np.float64), floor) for inside in members]

    def _cut_off(self, depth: float) -> float:
        """Score that about the share `depth` of the normal pixels reaches, or more of them."""
        total = int(self.normal_size.sum())
        # An odd step does not run down a column of an image of even width.
        step = max(1, total // SAMPLE) | 1
        sample = _joined(
            over_images(lambda u: self._normal(u)[::step], list(self.normal_unit), 10 * SAMPLE)
        )
        wanted = depth * len(sample)
        above = int(np.ceil(wanted + (4.0 * np.sqrt(wanted) + 4.0) * (step > 1)))
        if depth >= 1 or above >= len(sample):
            return -np.inf
        return float(np.partition(sample, len(sample) - above)[len(sample) - above])


def at_least(scores: Image, floor: float) -> Image:
    """Scores not below `floor`, whatever their dtype: the floor is rounded down to it. O(n)."""
    if scores.dtype.kind == "b":
        scores = scores.astype(np.uint8)
    if floor == -np.inf:
        return scores.copy()
    limit: Any = floor
    if scores.dtype.kind == "f" and scores.dtype.itemsize < 8:
        with np.errstate(over="ignore"):
            limit = scores.dtype.type(floor)
        if float(limit) > floor:
            limit = np.nextafter(limit, scores.dtype.type(-np.inf))
    # In blocks, so that the comparison's result never leaves the cache.
    blocks = (scores[start : start + BLOCK] for start in range(0, len(scores), BLOCK))
    return np.concatenate([scores[:0], *(block[positions(block >= limit)] for block in blocks)])


def positions(flags: NDArray[np.bool_], count: int | None = None) -> NDArray[np.int64]:
    """Flat positions of the flags that are set (`count` of them), fast where few are. O(flags)."""
    flat = flags.ravel()
    if count is None:
        count = int(np.count_nonzero(flat))
    if count == 0:
        return np.zeros(0, dtype=np.int64)
    whole = len(flat) // 8 * 8
    if flat.ctypes.data % 8 or not flat.flags.writeable:
        flat = flat.copy()
    return true_positions(flat[:whole].view(np.uint64), flat.view(np.uint8), count)


def _joined(parts: list[Image]) -> Array:
    return np.concatenate([np.zeros(0), *(part.astype(np.float64) for part in parts)])


def _kept(mask: Image, unit: int, ignore: ImageStack | None) -> NDArray[np.bool_]:
    # Masks hold zeros and ones, so that one byte of any kind can be read as a flag.
    inside = mask.view(np.bool_) if mask.dtype.itemsize == 1 else mask.astype(bool)
    return inside if ignore is None else inside & ~ignore.image(unit).astype(bool)


def _areas(masks: ImageStack) -> NDArray[np.int64]:
    if masks.areas is None:
        raise AssertionError("masks are measured when they are validated")
    return masks.areas
