"""Detections in parts: budgets first, then matching part by part, then one evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from evalstats.detection.budget import selected
from evalstats.detection.masks import Masks, joined_masks
from evalstats.detection.matching import sorted_by
from evalstats.detection.records import Categories, Codes, Detections, GroundTruth, aligned
from evalstats.errors import InputError
from evalstats.options import require_count

Part = TypeVar("Part", GroundTruth, Detections)


@dataclass
class DetectionStream:
    """Evaluate data sets whose detections do not fit into memory, in two phases.

    Phase one, ``count``, sees every part once and keeps per category only the `class_budget` best
    scores and their rows. Phase two, ``update``, sees every part again and drops what the budget
    excludes, which leaves at most ``class_budget x categories`` detections, as boxes or masks.
    ``collect`` returns records for the protocols with a budget, AP-Fixed and AP-Pool: the result
    equals that of all parts at once. Caps per image would see only what the budget left.

    Parameters
    ----------
    categories : Categories
        Those of the ground truth.
    class_budget : int, default 10000
        Detections of each category.

    Notes
    -----
    Parts partition the images. Streams of disjoint parts merge in both phases, in any order;
    equal scores at the edge of a budget are decided by the row, for which `row` of each part must
    be the row of the whole file. O(n log n) per part.

    Examples
    --------
    >>> import numpy as np
    >>> import evalstats as es
    >>> from evalstats.detection.synthetic import example_detections
    >>> truth, models = example_detections(np.random.default_rng(0), 40)
    >>> parts = [np.arange(20), np.arange(20, 40)]
    >>> stream = es.DetectionStream(truth.categories)
    >>> for part in parts:
    ...     stream.count(models["a"][part])
    >>> for part in parts:
    ...     stream.update(truth[part], models["a"][part])
    >>> es.average_precision(*stream.collect(), protocol="fixed") == es.average_precision(
    ...     truth, models["a"], protocol="fixed"
    ... )
    True
    """

    categories: Categories
    class_budget: int = 10_000
    _score: "np.typing.NDArray[np.float64]" = field(default_factory=lambda: np.empty(0))
    _row: Codes = field(default_factory=lambda: np.empty(0, np.int64))
    _category: Codes = field(default_factory=lambda: np.empty(0, np.int64))
    _parts: list[tuple[GroundTruth, Detections]] = field(default_factory=list)

    def __post_init__(self) -> None:
        require_count("class_budget", self.class_budget, maximum=2**31)

    def count(self, detections: Detections) -> None:
        """Phase one: take the scores of a part into account.

        Parameters
        ----------
        detections : Detections
            Detections of the images of one part.
        """
        category = self.categories.positions(detections.category_id)
        known = category >= 0
        self._keep(
            np.concatenate([self._score, detections.score[known]]),
            np.concatenate([self._row, detections.row[known]]),
            np.concatenate([self._category, category[known]]),
        )

    def update(self, ground_truth: GroundTruth, detections: Detections) -> None:
        """Phase two: keep what the budgets admit of a part.

        Parameters
        ----------
        ground_truth : GroundTruth
            The images of the part.
        detections : Detections
            Their detections.
        """
        if not len(self.categories.ids):
            raise InputError("categories are empty: the ground truth lists none")
        detections = aligned(detections, ground_truth, "detections")
        category = self.categories.positions(detections.category_id)
        last_score, last_row = self.budget_thresholds()
        inside = np.maximum(category, 0)
        above = detections.score > last_score[inside]
        above |= (detections.score == last_score[inside]) & (detections.row <= last_row[inside])
        found = selected(detections, above & (category >= 0))
        # Masks of a part may be a view of the runs of the whole file.
        self._parts.append((_compacted(ground_truth), _compacted(found)))

    def budget_thresholds(self) -> tuple["np.typing.NDArray[np.float64]", Codes]:
        """Lowest score that each budget admits, and the last row admitted at that score.

        Returns
        -------
        tuple of arrays (K,)
            Minus infinity where the budget does not bind.
        """
        k = len(self.categories.ids)
        score, row = np.full(k, -np.inf), np.full(k, np.iinfo(np.int64).max)
        counts = np.bincount(self._category, minlength=k)
        order, offsets = sorted_by(np.arange(len(self._category)), self._category, k)
        full = np.flatnonzero(counts >= self.class_budget)
        last = order[offsets[full + 1] - 1] if len(full) else np.empty(0, np.int64)
        score[full], row[full] = self._score[last], self._row[last]
        return score, row

    def merge(self, *others: "DetectionStream") -> "DetectionStream":
        """Combine streams of disjoint parts, of either phase.

        Parameters
        ----------
        *others : DetectionStream
            Streams of the same categories and budget.

        Returns
        -------
        DetectionStream
            A new stream.

        Raises
        ------
        InputError
            If categories or budgets differ.
        """
        streams = (self, *others)
        for other in others:
            same = np.array_equal(other.categories.ids, self.categories.ids)
            if not same or other.class_budget != self.class_budget:
                raise InputError("streams of different categories or budgets cannot be merged")
        merged = DetectionStream(self.categories, self.class_budget)
        merged._keep(
            np.concatenate([stream._score for stream in streams]),
            np.concatenate([stream._row for stream in streams]),
            np.concatenate([stream._category for stream in streams]),
        )
        merged._parts = [part for stream in streams for part in stream._parts]
        return merged

    def collect(self) -> tuple[GroundTruth, Detections]:
        """Records of all parts, images sorted by id.

        Returns
        -------
        tuple of GroundTruth and Detections
            What the estimators fit.

        Raises
        ------
        InputError
            If there is no part or an image is in two parts.
        """
        if not self._parts:
            raise InputError("this stream holds no part: call update first")
        truth = joined_truth([truth for truth, _ in self._parts])
        found = joined_detections([found for _, found in self._parts])
        order = np.argsort(truth.image_ids, kind="stable")
        if bool((np.diff(truth.image_ids[order]) == 0).any()):
            raise InputError("an image is in two parts of the stream: parts must be disjoint")
        return truth[order], found[order]

    def _keep(self, score: "np.typing.NDArray[np.float64]", row: Codes, category: Codes) -> None:
        """Keep the best of each category, sorted by descending score, then row."""
        order = np.lexsort((row, -score))
        order, offsets = sorted_by(order, category, len(self.categories.ids))
        rank = np.arange(len(order)) - np.repeat(offsets[:-1], np.diff(offsets))
        order = order[rank < self.class_budget]
        self._score, self._row, self._category = score[order], row[order], category[order]


def _offsets(parts: Sequence[Codes]) -> Codes:
    return np.concatenate([[0], np.cumsum(np.concatenate([np.diff(p) for p in parts]))]).astype(
        np.int64
    )


def joined_truth(parts: Sequence[GroundTruth]) -> GroundTruth:
    """Images of all parts, one after another."""
    from evalstats.detection.records import Ragged

    def lists(name: str) -> Ragged | None:
        items = [getattr(part, name) for part in parts]
        if items[0] is None:
            return None
        return Ragged(
            _offsets([item.offsets for item in items]),
            np.concatenate([item.category for item in items]),
        )

    names = ("image_ids", "category", "box", "area", "ignore", "crowd", "annotation_id", "size")
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in names
    }
    return replace(
        parts[0],
        offsets=_offsets([part.offsets for part in parts]),
        negative=lists("negative"),
        not_exhaustive=lists("not_exhaustive"),
        masks=_joined_masks([part.masks for part in parts]),
        **joined,
    )


def joined_detections(parts: Sequence[Detections]) -> Detections:
    """Detections of all parts, one after another."""
    names = ("image_ids", "category_id", "score", "row")
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in names
    }
    # A part without detections has no shapes to add.
    filled = [part for part in parts if len(part.score)] or [parts[0]]
    boxes = [part.box for part in filled if part.box is not None]
    return replace(
        filled[0],
        offsets=_offsets([part.offsets for part in parts]),
        box=np.concatenate(boxes) if len(boxes) == len(filled) else None,
        masks=_joined_masks([part.masks for part in filled]),
        cache={},
        **joined,
    )


def _compacted(part: Part) -> Part:
    return part if part.masks is None else replace(part, masks=part.masks.compacted())


def _joined_masks(parts: Sequence[Masks | None]) -> Masks | None:
    held = [part for part in parts if part is not None]
    return joined_masks(held) if len(held) == len(parts) else None
