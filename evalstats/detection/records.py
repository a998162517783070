"""Ground truth and detections as structures of arrays, one record per image."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalstats.data.columns import Columns, Records
from evalstats.detection.masks import Masks
from evalstats.errors import InputError

Codes = NDArray[np.int64]
Array = NDArray[np.float64]
DENSE_IDS = 1_000_000
FREQUENCIES = ("r", "c", "f")


@dataclass(frozen=True)
class Categories:
    """Categories sorted by id; `frequency` is 0, 1, 2 for r, c, f and -1 where it is unknown."""

    ids: Codes
    names: tuple[str, ...]
    frequency: Codes

    def positions(self, category_id: Codes) -> Codes:
        """Position of each id, -1 for unknown ones."""
        if not len(self.ids):
            return np.full(len(category_id), -1, dtype=np.int64)
        low, high = int(self.ids[0]), int(self.ids[-1])
        limits = np.iinfo(np.int64)
        if high - low <= DENSE_IDS and low > limits.min and high < limits.max:
            table = np.full(high - low + 3, -1, dtype=np.int64)
            table[self.ids - low + 1] = np.arange(len(self.ids))
            return np.asarray(table[np.clip(category_id, low - 1, high + 1) - (low - 1)])
        found = np.searchsorted(self.ids, category_id)
        found[found == len(self.ids)] = 0
        return np.where(self.ids[found] == category_id, found, -1).astype(np.int64)


@dataclass(frozen=True)
class Ragged:
    """Category positions listed for each image."""

    offsets: Codes
    category: Codes

    def take(self, units: Codes) -> "Ragged":
        """Lists of the given images."""
        rows, offsets = ragged_rows(self.offsets, units)
        return Ragged(offsets, self.category[rows])


@dataclass(frozen=True)
class GroundTruth(Records):
    """Annotated images. Build it with :func:`read_ground_truth`; index it by image positions.

    Attributes
    ----------
    image_ids : int64 array (I,)
        Identifier of each image, sorted when read.
    offsets : int64 array (I + 1,)
        Where the annotations of each image start, in file order within an image.
    negative, not_exhaustive : Ragged or None
        LVIS lists of verified absent and of incompletely annotated categories; None without them.

    Examples
    --------
    >>> import evalstats as es
    >>> truth = es.read_ground_truth(
    ...     {
    ...         "images": [{"id": 1}],
    ...         "categories": [{"id": 1, "name": "cat"}],
    ...         "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]}],
    ...     }
    ... )
    >>> len(truth)
    1
    """

    image_ids: Codes
    offsets: Codes
    category: Codes
    box: Array
    area: Array
    ignore: NDArray[np.uint8]
    crowd: NDArray[np.uint8]
    annotation_id: Codes
    categories: Categories
    size: Codes
    negative: Ragged | None = None
    not_exhaustive: Ragged | None = None
    masks: Masks | None = None

    def __len__(self) -> int:
        return len(self.image_ids)

    def __getitem__(self, units: NDArray[np.int64]) -> "GroundTruth":
        rows, offsets = ragged_rows(self.offsets, units)
        return replace(
            self,
            image_ids=self.image_ids[units],
            offsets=offsets,
            size=self.size[units],
            category=self.category[rows],
            box=self.box[rows],
            area=self.area[rows],
            ignore=self.ignore[rows],
            crowd=self.crowd[rows],
            annotation_id=self.annotation_id[rows],
            negative=None if self.negative is None else self.negative.take(units),
            not_exhaustive=(
                None if self.not_exhaustive is None else self.not_exhaustive.take(units)
            ),
            masks=None if self.masks is None else self.masks[rows],
        )

    @property
    def federated(self) -> bool:
        """Whether categories were verified image by image (LVIS)."""
        return self.negative is not None


@dataclass(frozen=True)
class Detections(Records):
    """Scored detections of one model. Build it with :func:`read_detections`.

    Attributes
    ----------
    image_ids : int64 array (I,)
        Identifier of each image.
    offsets : int64 array (I + 1,)
        Where the detections of each image start, in file order within an image.
    row : int64 array (D,)
        Row in the file, which decides between equal scores.

    Examples
    --------
    >>> import evalstats as es
    >>> found = es.read_detections(
    ...     [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "score": 0.9}]
    ... )
    >>> found.score.tolist()
    [0.9]
    """

    image_ids: Codes
    offsets: Codes
    category_id: Codes
    score: Array
    row: Codes
    box: Array | None = None
    masks: Masks | None = None
    boxes_first: bool = False
    cache: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.image_ids)

    def __getitem__(self, units: NDArray[np.int64]) -> "Detections":
        rows, offsets = ragged_rows(self.offsets, units)
        return replace(
            self,
            image_ids=self.image_ids[units],
            offsets=offsets,
            category_id=self.category_id[rows],
            score=self.score[rows],
            row=self.row[rows],
            box=None if self.box is None else self.box[rows],
            masks=None if self.masks is None else self.masks[rows],
            cache={},
        )

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "cache": {}}

    @property
    def image(self) -> Codes:
        """Image position of each detection."""
        return np.repeat(np.arange(len(self.image_ids)), np.diff(self.offsets))

    def with_scores(self, score: Array) -> "Detections":
        """Return the same detections with other scores.

        Parameters
        ----------
        score : float64 array (n,)
            Score of each detection, in their order.

        Returns
        -------
        Detections
            Sharing everything but the scores.
        """
        return replace(self, score=score, cache={})


def ragged_rows(offsets: Codes, units: Codes) -> tuple[Codes, Codes]:
    """Rows of the given units, one after another, and the offsets among them. O(rows)."""
    units = np.asarray(units)
    lengths = offsets[units + 1] - offsets[units]
    new = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = np.repeat(offsets[units] - new[:-1], lengths) + np.arange(new[-1])
    return rows.astype(np.int64), new


def aligned(detections: Detections, truth: GroundTruth, label: str) -> Detections:
    """Bring detections onto the images of the ground truth, in their order."""
    if np.array_equal(detections.image_ids, truth.image_ids):
        return detections
    order = np.argsort(detections.image_ids, kind="stable")
    known = detections.image_ids[order]
    if len(known) > 1 and bool((np.diff(known) == 0).any()):
        raise InputError(f"{label} repeats images that the ground truth does not: index both alike")
    unknown = ~np.isin(known, truth.image_ids)
    unknown &= (np.diff(detections.offsets) > 0)[order]
    if bool(unknown.any()):
        image = known[int(np.argmax(unknown))]
        position = int(np.flatnonzero(detections.image_ids == image)[0])
        row = int(detections.row[detections.offsets[position]])
        raise InputError(
            f"{label} has image_id {image} in row {row}, which the ground truth does not have: "
            "evaluate on the images the detector saw"
        )
    found = np.searchsorted(known, truth.image_ids)
    inside = np.minimum(found, max(len(known) - 1, 0))
    present = known[inside] == truth.image_ids if len(known) else np.zeros(len(truth), dtype=bool)
    extended = replace(
        detections,
        image_ids=np.append(detections.image_ids, -1),
        offsets=np.append(detections.offsets, detections.offsets[-1]),
    )
    source = np.full(len(truth), len(detections.image_ids), dtype=np.int64)
    source[present] = order[inside[present]]
    return replace(extended[source], image_ids=truth.image_ids)


def truth_of(columns: Columns) -> GroundTruth:
    """Narrow the type of the first role."""
    truth: Any = columns.single["ground_truth"]
    if not isinstance(truth, GroundTruth):
        raise AssertionError("_read returns GroundTruth")
    return truth


def detections_of(columns: Columns) -> dict[str, Detections]:
    """Narrow the type of the second role."""
    found: Any = columns.models["detections"]
    return dict(found)
