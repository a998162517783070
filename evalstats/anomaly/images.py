"""Stacks of images as records: arrays, lists of different sizes, memory maps, files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from evalstats.anomaly.runs import Scan, scan
from evalstats.data.columns import Columns, Records
from evalstats.data.intake import to_array
from evalstats.errors import InputError
from evalstats.inference.resampling import parallel_map

Image = NDArray[Any]
EXACT_INTEGERS = 2**53
PIECES = 8
Result = TypeVar("Result")


class Readable(Protocol):
    """Images by position, read when they are needed."""

    def __len__(self) -> int: ...

    def __getitem__(self, position: int) -> Image: ...


@dataclass(frozen=True, eq=False)
class ImageStack(Records):
    """One image per unit, of one size or of several, in memory or on disk.

    Attributes
    ----------
    images : sequence of 2-D arrays
        The images as they were given; an image is copied only while it is looked at.
    rows : int64 array
        Position of the image of each unit.
    missing : bool array or None
        Units whose image is missing or holds a missing value.
    areas : int64 array or None
        Number of pixels that the mask of each unit holds; known once the stack is validated.
    negated : bool
        Whether low scores mean anomalous, so that all of them change their sign.
    scans : dict of int to Scan
        What was seen of each row, shared by all stacks that read the same images.
    """

    images: Readable
    rows: NDArray[np.int64]
    missing: NDArray[np.bool_] | None = field(default=None)
    areas: NDArray[np.int64] | None = field(default=None)
    negated: bool = False
    scans: dict[int, Scan] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, units: NDArray[np.int64]) -> "ImageStack":
        return replace(
            self,
            rows=self.rows[units],
            missing=None if self.missing is None else self.missing[units],
            areas=None if self.areas is None else self.areas[units],
        )

    @property
    def anomalous(self) -> NDArray[np.bool_] | None:
        """Whether the mask of each unit holds a pixel; None before the stack is validated."""
        return None if self.areas is None else self.areas > 0

    def image(self, unit: int) -> Image:
        """Image of one unit in native byte order."""
        image = np.asarray(self.images[int(self.rows[unit])])
        if not image.dtype.isnative:
            image = image.astype(image.dtype.newbyteorder("="))
        if self.negated:
            return -(image if image.dtype.kind == "f" else image.astype(np.float64))
        return image

    def missing_units(self) -> NDArray[np.bool_] | None:
        """Units with a missing value: masked, or NaN among the pixels."""
        found = np.zeros(len(self), dtype=bool) if self.missing is None else self.missing.copy()
        for unit in np.flatnonzero(self.suspicious):
            found[unit] |= bool(np.isnan(self.image(int(unit))).any())
        return found if bool(found.any()) else None

    @cached_property
    def suspicious(self) -> NDArray[np.bool_]:
        """Units whose pixels may not all be finite; those of the others are."""

        def may_not_be_finite(unit: int) -> bool:
            image = self.image(unit)
            return image.dtype.kind == "f" and not self._scanned(unit, image).finite

        found = over_images(may_not_be_finite, range(len(self)), _work(self))
        return np.array(found, dtype=bool)

    def peaks(self, unit: int) -> Image:
        """Maximum of each run of pixels of one unit."""
        return self._scanned(unit, self.image(unit)).peaks

    def _scanned(self, unit: int, image: Image) -> Scan:
        row = int(self.rows[unit])
        if self.negated:
            return scan(image)
        if row not in self.scans:
            self.scans[row] = scan(image)
        return self.scans[row]


@dataclass(frozen=True)
class _FromList:
    """Images that came one by one, each turned into an array when it is read."""

    items: Sequence[Any]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, position: int) -> Image:
        return _as_image(self.items[position])


def read_stack(argument: str, value: object) -> object:
    """Turn an array (N, H, W) or a sequence of 2-D arrays into an :class:`ImageStack`.

    Names of columns and None pass through, so that intake can say what is wrong with them.
    """
    if value is None or isinstance(value, str | Records):
        return value
    if isinstance(value, list | tuple):
        if len(value) and isinstance(value[0], str):
            return value
        return _checked(argument, ImageStack(_FromList(value), np.arange(len(value))))
    if _is_lazy(value):
        files: Any = value
        return _checked(argument, ImageStack(files, np.arange(len(files))))
    array, nulls = to_array(argument, value)
    return stack_of_array(argument, array, nulls)


def stack_of_array(
    argument: str, array: Image, nulls: NDArray[np.bool_] | None = None
) -> ImageStack:
    """Stack from one array of three dimensions, or of one dimension with an image in each entry."""
    missing: NDArray[np.bool_] | None = None
    if nulls is not None:
        missing = np.asarray(nulls.reshape(len(array), -1).any(axis=1))
    if array.ndim == 1 and array.dtype.kind == "O":
        items: Readable = _FromList(array)  # type: ignore[arg-type]
        return _checked(argument, ImageStack(items, np.arange(len(array)), missing))
    if array.dtype.kind not in "biufc":
        raise InputError(f"{argument} has dtype {array.dtype}: pass images of real numbers")
    if array.ndim != 3:
        raise InputError(
            f"{argument} has shape {array.shape}: pass images as (N, H, W), or as a list of "
            "2-D arrays"
        )
    return _checked(argument, ImageStack(array, np.arange(len(array)), missing))


def read_models(argument: str, value: object) -> object:
    """Turn the maps of one model, or a mapping of models to maps, into stacks."""
    if isinstance(value, Mapping):
        return {model: read_stack(f"{argument}[{model!r}]", maps) for model, maps in value.items()}
    return read_stack(argument, value)


def as_stack(argument: str, column: Any) -> ImageStack:
    """Stack of a column that came out of a frame; other columns are stacks already."""
    if isinstance(column, ImageStack):
        return column
    return stack_of_array(argument, np.asarray(column))


def over_images(task: Callable[[int], Result], units: Sequence[int], work: int) -> list[Result]:
    """Apply `task` to each unit on threads, in a few pieces: images may be small and many."""
    pieces = np.array_split(np.asarray(units, dtype=np.int64), min(PIECES, max(len(units), 1)))
    found = parallel_map(lambda piece: [task(int(unit)) for unit in piece], pieces, work)
    return [result for piece in found for result in piece]


def argument_name(role: str, model: str, columns: Columns) -> str:
    """How messages call the maps of a model."""
    return role if len(columns.models[role]) == 1 else f"{role}[{model!r}]"


def require_maps(argument: str, maps: ImageStack, masks: ImageStack) -> None:
    """Refuse maps that are no finite real numbers or do not fit the masks."""

    def fault(unit: int) -> str | None:
        image = maps.image(unit)
        shape = masks.image(unit).shape
        if image.shape != shape:
            return (
                f"{argument} has shape {image.shape} in image {unit}, but the mask has {shape}: "
                "resize the maps to the masks first, and report how"
            )
        wide = image.dtype.kind in "iu" and image.dtype.itemsize == 8
        if wide and max(abs(int(image.min())), abs(int(image.max()))) > EXACT_INTEGERS:
            return (
                f"{argument} has integers beyond 2**53 in image {unit}, which float64 would tie: "
                "rescale them"
            )
        return None

    _raise_first([fault(unit) for unit in range(len(maps))])
    suspects = np.flatnonzero(maps.suspicious)
    infinite = [unit for unit in suspects if bool(np.isinf(maps.image(int(unit))).any())]
    if infinite:
        raise InputError(
            f"{argument} has {len(infinite)} infinite map{'s' if len(infinite) > 1 else ''} (first "
            f"in row {infinite[0]}): replace infinite scores by finite ones"
        )


def classified_masks(argument: str, masks: ImageStack) -> ImageStack:
    """Masks with their number of pixels: an image is anomalous if its mask holds at least one."""

    def measure(unit: int) -> int | str:
        mask = masks.image(unit)
        advice = "pass bool or 0/1, and regions to leave out as ignore="
        if mask.dtype.kind not in "biu":
            return f"{argument} has dtype {mask.dtype} in image {unit}: {advice}"
        if mask.dtype.kind != "b" and mask.size and not 0 <= int(mask.min()) <= int(mask.max()) < 2:
            values = np.unique(mask)[:4].tolist()
            return f"{argument} holds the values {values} in image {unit}: {advice}"
        return int(np.count_nonzero(mask))

    found = over_images(measure, range(len(masks)), _work(masks))
    _raise_first([item for item in found if isinstance(item, str)])
    return replace(masks, areas=np.array(found, dtype=np.int64))


def _checked(argument: str, stack: ImageStack) -> ImageStack:
    """Refuse what is no image of real numbers, before anything is computed."""
    faults = [_fault(argument, stack, unit) for unit in range(len(stack))]
    _raise_first(faults)
    return stack


def _fault(argument: str, stack: ImageStack, unit: int) -> str | None:
    if isinstance(stack.images, np.ndarray) and unit:
        return None
    image = np.asarray(stack.images[unit])
    if image.dtype.kind == "c":
        return f"{argument} is complex: pass real numbers"
    if image.dtype.kind not in "biuf":
        return f"{argument} has dtype {image.dtype} in image {unit}: pass real numbers"
    if image.ndim != 2 or image.size == 0:
        return f"{argument} has shape {image.shape} in image {unit}: an image has rows and columns"
    return None


def _as_image(item: Any) -> Image:
    if item is None:
        return np.array(None)
    array, _ = to_array("image", item)
    if array.dtype.kind == "O" and array.ndim:
        try:
            return np.array([np.asarray(row).tolist() for row in array])
        except ValueError:
            return array
    return array


def _is_lazy(value: object) -> bool:
    """Whether images are read on demand (files), rather than held in an array or a series."""
    return getattr(value, "reads_images", False) is True


def _raise_first(faults: Sequence[str | None]) -> None:
    for fault in faults:
        if fault is not None:
            raise InputError(fault)


def _work(stack: ImageStack) -> int:
    """Pixels of the stack, judged by its first image."""
    return len(stack) * int(np.asarray(stack.images[0]).size) if len(stack) else 0
