"""Run-length encoded masks as concatenated arrays of run lengths."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalstats.errors import InputError

Codes = NDArray[np.int64]
Array = NDArray[np.float64]

# Run lengths are 32-bit numbers, here and in pycocotools.
MAX_PIXELS = 2**32


@dataclass(frozen=True)
class Masks:
    """Column-major run lengths of several masks, starting with background.

    Attributes
    ----------
    runs : uint32 array
        Run lengths of all masks.
    start, stop : int64 array (N,)
        Where the runs of each mask lie; several masks may share them.
    size : int64 array (N, 2)
        Height and width.
    area : float64 array (N,)
        Number of foreground pixels.
    box : float64 array (N, 4)
        Bounding box [x, y, w, h].
    """

    runs: NDArray[np.uint32]
    start: Codes
    stop: Codes
    size: Codes
    area: Array
    box: Array

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, rows: NDArray[np.int64]) -> "Masks":
        return Masks(
            self.runs,
            self.start[rows],
            self.stop[rows],
            self.size[rows],
            self.area[rows],
            self.box[rows],
        )

    def compacted(self) -> "Masks":
        """Return the same masks without the runs of others that share the array. O(runs)."""
        lengths = self.stop - self.start
        stop = np.cumsum(lengths)
        rows = np.repeat(self.start - (stop - lengths), lengths) + np.arange(int(lengths.sum()))
        return replace(self, runs=self.runs[rows], start=stop - lengths, stop=stop)


def mask_sizes(sizes: Sequence[Any], label: str) -> Codes:
    """Heights and widths of run-length encoded masks, of which the runs must know the area."""
    for row, item in enumerate(sizes):
        sides = item if isinstance(item, Sequence) and not isinstance(item, str) else ()
        if len(sides) != 2 or not all(isinstance(side, int) and side >= 0 for side in sides):
            raise InputError(f"{label} row {row}: RLE size {item!r}: give [height, width]")
        if sides[0] * sides[1] >= MAX_PIXELS:
            raise InputError(f"{label} row {row}: RLE size {item!r} has more than 2^32 pixels")
    return np.array(sizes, dtype=np.int64).reshape(-1, 2)


def masks_from_text(counts: Sequence[str | bytes], size: Codes, label: str) -> Masks:
    """Masks from COCO's compressed text, by compiled decoding. O(bytes)."""
    from evalstats.detection.mask_kernels import count_runs, decode_runs

    for row, item in enumerate(counts):
        if not isinstance(item, str | bytes):
            raise InputError(f"{label} has no RLE text in row {row}, but {item!r}")
    encoded = [item.encode(errors="replace") if isinstance(item, str) else item for item in counts]
    text_offsets = np.concatenate([[0], np.cumsum([len(item) for item in encoded])])
    text_offsets = text_offsets.astype(np.int64)
    text = np.frombuffer(b"".join(encoded), dtype=np.uint8).copy()
    bad = (text < 48) | (text > 111)
    if bool(bad.any()):
        row = int(np.searchsorted(text_offsets, int(np.argmax(bad)), side="right")) - 1
        raise InputError(f"{label} has no valid RLE text in row {row}: pass COCO's compressed RLE")
    lengths = np.empty(len(encoded), dtype=np.int64)
    count_runs(text, text_offsets, lengths)
    for row, item in enumerate(encoded):
        if item and (item[-1] - 48) & 0x20:
            raise InputError(f"{label} has a cut-off RLE text in row {row}")
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    runs = np.empty(offsets[-1], dtype=np.uint32)
    decode_runs(text, text_offsets, offsets, runs)
    return described(runs, offsets, size, label)


def joined_masks(parts: Sequence[Masks]) -> Masks:
    """Masks of all parts, one after another. O(runs)."""
    shift = np.cumsum([0, *(len(part.runs) for part in parts[:-1])])
    return Masks(
        np.concatenate([part.runs for part in parts]),
        np.concatenate([part.start + by for part, by in zip(parts, shift, strict=True)]),
        np.concatenate([part.stop + by for part, by in zip(parts, shift, strict=True)]),
        np.concatenate([part.size for part in parts]),
        np.concatenate([part.area for part in parts]),
        np.concatenate([part.box for part in parts]),
    )


def described(runs: NDArray[np.uint32], offsets: Codes, size: Codes, label: str) -> Masks:
    """Attach areas and bounding boxes, and check that the runs fill the image."""
    from evalstats.detection.mask_kernels import describe_masks

    n = len(offsets) - 1
    area, box = np.empty(n), np.empty((n, 4))
    pixels = np.empty(n, dtype=np.int64)
    describe_masks(runs, offsets, np.ascontiguousarray(size[:, 0]), area, box, pixels)
    wrong = pixels != size[:, 0] * size[:, 1]
    if bool(wrong.any()):
        row = int(np.argmax(wrong))
        raise InputError(
            f"{label} row {row}: the runs cover {pixels[row]} pixels but size is "
            f"{size[row].tolist()}: encode the mask of the whole image"
        )
    return Masks(runs, offsets[:-1].copy(), offsets[1:].copy(), size, area, box)


def masks_from_segmentations(segmentations: Sequence[Any], size: Codes, label: str) -> Masks:
    """Masks from COCO segmentations: RLE, run lists, or polygons through pycocotools."""
    texts: list[bytes | str] = []
    for row, item in enumerate(segmentations):
        height, width = (int(side) for side in size[row])
        if isinstance(item, dict):
            if "size" not in item or "counts" not in item:
                raise InputError(f"{label} row {row}: an RLE mask has 'size' and 'counts'")
            if list(mask_sizes([item["size"]], f"{label} mask")[0]) != [height, width]:
                raise InputError(
                    f"{label} row {row}: RLE size {list(item['size'])} differs from the image's "
                    f"{[height, width]}: encode the mask at the size of the image"
                )
            if isinstance(item["counts"], str | bytes):
                texts.append(item["counts"])
            else:
                _require_runs(item["counts"], height * width, f"{label} row {row}")
                texts.append(_pycocotools().frPyObjects(item, height, width)["counts"])
        elif isinstance(item, list) and item:
            _require_polygons(item, height * width, f"{label} row {row}")
            coco = _pycocotools()
            texts.append(coco.merge(coco.frPyObjects(item, height, width))["counts"])
        else:
            raise InputError(f"{label} row {row} has no segmentation: iou_type='segm' needs masks")
    return masks_from_text(texts, size, label)


def _require_runs(counts: object, pixels: int, place: str) -> None:
    """Refuse run lengths that do not fill the image exactly, before anything is allocated."""
    whole = isinstance(counts, list) and all(isinstance(n, int) and n >= 0 for n in counts)
    if not whole:
        raise InputError(f"{place}: the counts of an RLE mask are text or a list of integers >= 0")
    if sum(counts) != pixels:  # type: ignore[call-overload]
        raise InputError(
            f"{place}: the runs cover {sum(counts)} pixels, "  # type: ignore[call-overload]
            f"but the image has {pixels}: encode the mask of the whole image"
        )


def _require_polygons(polygons: list[Any], pixels: int, place: str) -> None:
    if not 0 < pixels < MAX_PIXELS:
        raise InputError(
            f"{place}: a polygon needs the size of its image, with fewer than 2^32 pixels"
        )
    for polygon in polygons:
        numbers = polygon if isinstance(polygon, list) else []
        plain = all(isinstance(x, int | float) and abs(x) < MAX_PIXELS for x in numbers)
        if len(numbers) < 6 or len(numbers) % 2 or not plain:
            raise InputError(
                f"{place}: a polygon is a list of at least three pairs of finite coordinates"
            )


def _pycocotools() -> Any:
    try:
        from pycocotools import mask  # type: ignore[import-untyped]
    except ImportError as error:
        raise InputError(
            "polygons need pycocotools: pip install 'evalstats[detection]', or pass RLE masks"
        ) from error
    return mask
