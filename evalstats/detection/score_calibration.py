"""Calibration of scores across categories, which AP-Pool rewards and AP-Fixed cannot see."""

from collections.abc import Callable
from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from evalstats.detection.matching import DEFAULT_SETTINGS, MatchSettings, match_detections
from evalstats.detection.records import Array, Codes, Detections, GroundTruth, aligned
from evalstats.errors import InputError
from evalstats.options import require_count, typed_options
from evalstats.recalibration.maps import (
    fit_beta,
    fit_histogram,
    fit_isotonic,
    fit_platt,
    fit_temperature,
)

Method = Literal["platt", "beta", "histogram", "isotonic", "temperature"]
Grouping = Literal["overall", "frequency", "category"]
Missing = Literal["zero", "keep", "group"]
Fitted = Callable[[Array], Array]
ZERO = 0.0


@typed_options
def calibrate_scores(
    ground_truth: GroundTruth,
    detections: Detections,
    *,
    train: tuple[GroundTruth, Detections] | None = None,
    method: Method = "platt",
    grouping: Grouping = "category",
    iou: float = 0.75,
    n_folds: int = 5,
    shrinkage: float = 20.0,
    missing: Missing = "group",
    n_bins: int = 15,
    include_ignored: bool = False,
) -> Detections:
    """Replace scores by the probability of being a hit, fitted per category or group.

    Parameters
    ----------
    ground_truth : GroundTruth
        Annotated images.
    detections : Detections
        Scores in [0, 1].
    train : tuple of GroundTruth and Detections, optional
        Other images to fit on. Without them the maps are cross-fitted: those applied to an image
        come from the images of other folds.
    method : {"platt", "beta", "histogram", "isotonic", "temperature"}
        Map from score to probability.
    grouping : {"overall", "frequency", "category"}
        Detections that share a map.
    iou : float, default 0.75
        Overlap from which a detection is a hit.
    n_folds : int, default 5
        Folds of images; image i belongs to fold i modulo `n_folds`.
    shrinkage : float, default 20.0
        Weight, in detections, of the map of all categories in the mixture with a category's own;
        0 turns it off. A category with n training detections gets its own map with weight
        ``n / (n + shrinkage)``, mixed on the probability scale.
    missing : {"zero", "keep", "group"}
        What a category without training hits or misses gets: score 0, its old score, or the map of
        all categories.
    n_bins : int, default 15
        Bins of the histogram.
    include_ignored : bool, default False
        Train on ignored detections as well, as misses; the reference program does.

    Returns
    -------
    Detections
        The same detections with calibrated scores. Equal calibrated scores stay in the order of
        the original ones.

    Raises
    ------
    InputError
        If scores lie outside [0, 1] or options are unknown.

    Notes
    -----
    A strictly increasing map for all categories changes no ranking, and one per category does not
    change AP-Fixed.

    References
    ----------
    Dave et al. (2021), arXiv:2102.01066, section 6.

    Examples
    --------
    >>> import numpy as np
    >>> import evalstats as es
    >>> from evalstats.detection.synthetic import example_detections
    >>> truth, models = example_detections(np.random.default_rng(0), 60)
    >>> better = es.calibrate_scores(truth, models["b"], method="platt")
    >>> len(better.score) == len(models["b"].score)
    True
    """
    _require_options(detections, method, grouping, missing, n_folds, shrinkage)
    detections = aligned(detections, ground_truth, "detections")
    group = _groups(ground_truth, detections, grouping)
    score = np.empty(len(detections.score))
    mapping = _Maps(method, shrinkage, missing, n_bins)
    if train is not None:
        other = aligned(train[1], train[0], "train")
        label, usable = hit_labels(train[0], other, iou, include_ignored)
        maps = mapping.fit(other.score, label, _groups(train[0], other, grouping), usable)
        return detections.with_scores(tie_broken(maps(detections.score, group), detections.score))
    label, usable = hit_labels(ground_truth, detections, iou, include_ignored)
    fold = detections.image % n_folds
    for held in range(n_folds):
        inside = fold == held
        maps = mapping.fit(detections.score, label, group, usable & ~inside)
        score[inside] = maps(detections.score[inside], group[inside])
    return detections.with_scores(tie_broken(score, detections.score))


def hit_labels(
    truth: GroundTruth, detections: Detections, iou: float, include_ignored: bool = False
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each detection is a hit at `iou`, and whether it counts at all."""
    settings: MatchSettings = replace(
        DEFAULT_SETTINGS, federated=truth.federated, thresholds=(iou,)
    )
    matches = match_detections(truth, detections, settings)
    label = np.zeros(len(detections.score), dtype=bool)
    usable = np.zeros(len(detections.score), dtype=bool)
    label[matches.detection] = matches.hits[0] > 0
    usable[matches.detection] = include_ignored | (matches.ignored[0] == 0)
    return label, usable


def tie_broken(calibrated: Array, original: Array) -> Array:
    """Move equal calibrated scores apart by the order of the original ones.

    Distinct pairs keep their order: each follows the last at the next representable number.
    """
    order = np.lexsort((original, calibrated))
    value, old = calibrated[order], original[order]
    same = (value[1:] == value[:-1]) & (old[1:] != old[:-1])
    if not bool(same.any()):
        return calibrated
    # The next representable numbers: at most n of them, far below any difference of interest.
    moved = value.copy()
    step = np.concatenate([[0], same]).astype(np.int64)
    for position in np.flatnonzero(step):
        moved[position] = np.nextafter(max(moved[position - 1], value[position]), np.inf)
    below = np.maximum.accumulate(moved)
    result = np.empty_like(calibrated)
    result[order] = below
    return result


class _Maps:
    """Fits one map per group, shrunk towards the map of all."""

    def __init__(self, method: Method, shrinkage: float, missing: Missing, n_bins: int) -> None:
        self.method = method
        self.shrinkage = shrinkage
        self.missing = missing
        self.n_bins = n_bins

    def fit(
        self, score: Array, label: NDArray[np.bool_], group: Codes, usable: NDArray[np.bool_]
    ) -> Callable[[Array, Codes], Array]:
        """Maps of all groups, as one function of scores and groups."""
        score, label, group = score[usable], label[usable], group[usable]
        common = self._one(score, label)
        if common is None:
            raise InputError(
                "calibration needs hits and misses among the training detections: lower iou="
            )
        order = np.argsort(group, kind="stable")
        codes, starts, counts = np.unique(group[order], return_index=True, return_counts=True)
        own: dict[int, tuple[Fitted | None, int]] = {}
        for code, start, count in zip(codes, starts, counts, strict=True):
            rows = order[start : start + count]
            own[int(code)] = (self._one(score[rows], label[rows]), int(count))

        def apply(scores: Array, groups: Codes) -> Array:
            result = common(scores)
            for code in np.unique(groups).tolist():
                rows = np.flatnonzero(groups == code)
                fitted, count = own.get(code, (None, 0))
                if fitted is not None:
                    share = count / (count + self.shrinkage)
                    result[rows] += share * (fitted(scores[rows]) - result[rows])
                elif self.missing != "group":
                    result[rows] = ZERO if self.missing == "zero" else scores[rows]
            return result

        return apply

    def _one(self, score: Array, label: NDArray[np.bool_]) -> Fitted | None:
        if not bool(label.any()) or (bool(label.all()) and self.method != "histogram"):
            return None
        if self.method == "platt":
            # Platt's targets keep the fit finite where a small category is separable.
            return self._smooth(score, label)
        try:
            if self.method == "beta":
                return fit_beta(score, label)
            if self.method == "isotonic":
                return fit_isotonic(score, label)
            if self.method == "temperature":
                return fit_temperature(score, label)
        except InputError:
            # Separable or worse than uniform: this group has no fit of its own.
            return None
        return fit_histogram(score, label, n_bins=self.n_bins)

    def _smooth(self, score: Array, label: NDArray[np.bool_]) -> Fitted:
        try:
            return fit_platt(score, label)
        except InputError:
            return fit_platt(score, label, smooth=True)


def _groups(truth: GroundTruth, detections: Detections, grouping: Grouping) -> Codes:
    category = truth.categories.positions(detections.category_id)
    if grouping == "overall":
        return np.zeros(len(category), dtype=np.int64)
    if grouping == "category":
        return category
    return np.where(category < 0, -1, truth.categories.frequency[category])


def _require_options(
    detections: Detections,
    method: str,
    grouping: str,
    missing: str,
    n_folds: int,
    shrinkage: float,
) -> None:
    for name, value, kind in (
        ("method", method, Method),
        ("grouping", grouping, Grouping),
        ("missing", missing, Missing),
    ):
        if value not in get_args(kind):
            raise InputError(f"{name}={value!r}: choose one of {', '.join(get_args(kind))}")
    require_count("n_folds", n_folds, minimum=2)
    if not 0 <= shrinkage < np.inf:
        raise InputError(f"shrinkage={shrinkage!r}: give a finite number >= 0")
    outside = (detections.score < 0) | (detections.score > 1)
    if bool(outside.any()):
        position = int(np.argmax(outside))
        raise InputError(
            f"detections has score {detections.score[position]} in row "
            f"{detections.row[position]}: calibration needs scores in [0, 1]"
        )
