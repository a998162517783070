"""What the detection estimators share: reading, matching once, ties and warnings."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from evalstats.data.columns import Columns, Records, Role
from evalstats.detection.curves import CurveSet
from evalstats.detection.files import BoxFormat, read_detections, read_ground_truth
from evalstats.detection.matching import (
    AreaSource,
    IouType,
    Matches,
    MatchSettings,
    match_detections,
)
from evalstats.detection.permutation import swap_table
from evalstats.detection.protocols import Ties
from evalstats.detection.records import (
    Array,
    Detections,
    GroundTruth,
    aligned,
    detections_of,
    truth_of,
)
from evalstats.detection.synthetic import example_detections
from evalstats.detection.two_way import two_way_table
from evalstats.errors import InputError, warn
from evalstats.estimator import Diagnosis, Estimator
from evalstats.inference.methods import Bootstrap, Inference
from evalstats.inference.scales import ScaleName

MAX_THRESHOLDS = 31
FEW_OBJECTS = 30
FEW_IMAGES = 80
CAPS_SEEN = (100, 300)
TIE_DIFFERENCE = 0.001
DEFAULT_THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
PerImage = ArrayLike | Mapping[Any, Any]

EXCEPTIONS: Mapping[str, str] = {
    "merge": "states of detection are two-phase (budgets before matching): see DetectionStream",
    "frames_equal_arrays": "records of images are no columns of one frame; readers have own tests",
    "series_equal_arrays": "records of images cannot be written as a series of numbers",
    "dtypes_of_numbers": "the roles are records of images; dtypes of readers have own tests",
    "layouts_are_read_and_left_alone": "the roles are records; layouts of readers have own tests",
    "masked_rows_are_missing": "an image without annotations is valid, so that none is missing",
    "analytic": "average precision has no derivative at recall grid points; it is bootstrapped",
    "unknown_column_lists_the_known_ones": "records of images are no columns of one frame",
    "empty_input": "records without images are refused by the readers, in an own test",
    "every_row_missing_under_omit": "records have no missing rows; readers refuse bad numbers",
    "bad_columns": "the roles are records of images; the refusals of the readers have own tests",
    "bad_frames": "records of images are no columns of one frame; readers have own tests",
    "dtypes_of_labels": "the roles are records of images; dtypes of readers have own tests",
    "intervals_nest_and_stay_in_range": "an interval around the bias-corrected value need not "
    "contain the uncorrected one, which is its purpose; nesting and range have an own test",
    "nan_policy_omit": "scores that are no numbers are refused when read, image by image",
}


class DetectionEstimator(Estimator):
    """Base of :class:`AveragePrecision` and :class:`PooledAveragePrecision`."""

    unit: ClassVar[str] = "image"
    roles: ClassVar[tuple[Role, ...]] = (
        Role("ground_truth", "records", help="COCO or LVIS json"),
        Role("detections", "records", per_model=True, help="result json of a detector"),
    )
    scale: ClassVar[ScaleName] = "logit"
    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    higher_is_better: ClassVar[bool | None] = True
    undefined_terms: ClassVar[Literal["refuse", "blank"]] = "blank"
    exceptions: ClassVar[Mapping[str, str]] = EXCEPTIONS

    iou_type: IouType
    class_budget: int
    ties: Ties
    iou_thresholds: Sequence[float] | None
    box_format: BoxFormat
    area: AreaSource
    respect_ignore: bool

    def fit(
        self,
        ground_truth: object,
        detections: object,
        *,
        sample_weight: PerImage | None = None,
        cluster: PerImage | None = None,
        by: PerImage | None = None,
    ) -> Self:
        """Evaluate every detector on the same images.

        Parameters
        ----------
        ground_truth : path, mapping or GroundTruth
            COCO or LVIS json, or anything :func:`read_ground_truth` reads.
        detections : path, records, frame, Detections, or mapping of detector name to these
            Results of one or several detectors, as :func:`read_detections` reads them.
        sample_weight : array-like (images,) or mapping of image id to weight, optional
            Non-negative weight of each image, in the order of sorted image ids.
        cluster : array-like (images,) or mapping, optional
            Images of one cluster (video, scene, patient) are sampled together.
        by : array-like (images,) or mapping, optional
            Fit separately in each group of images.

        Returns
        -------
        Estimator
            The fitted estimator.

        Raises
        ------
        InputError
            If records cannot be read or do not belong together.
        """
        truth = read_ground_truth(ground_truth, box_format=self.box_format, iou_type=self.iou_type)
        per_image = {
            name: _per_image(name, value, truth)
            for name, value in (("sample_weight", sample_weight), ("cluster", cluster), ("by", by))
        }
        return self._fit({"ground_truth": truth, "detections": detections}, data=None, **per_image)

    def _read(self, arguments: Mapping[str, object]) -> Mapping[str, object]:
        truth = read_ground_truth(
            arguments["ground_truth"], box_format=self.box_format, iou_type=self.iou_type
        )
        given = arguments["detections"]
        if given is None:
            raise InputError("detections is required, but None was given")
        models = read_models(given, self.box_format)
        detections = {
            name: aligned(found, truth, _label(name, models)) for name, found in models.items()
        }
        for name, found in detections.items():
            self._require_shapes(found, truth, _label(name, models))
        return {"ground_truth": truth, "detections": detections}

    def _require_shapes(self, found: Detections, truth: GroundTruth, label: str) -> None:
        missing = "masks" if self.iou_type == "segm" else "boxes"
        if len(found.score) and (found.masks if self.iou_type == "segm" else found.box) is None:
            raise InputError(f"{label} has no {missing}, which iou_type={self.iou_type!r} needs")
        if self.iou_type == "segm" and found.masks is not None:
            wrong = (found.masks.size != truth.size[found.image]).any(axis=1)
            if bool(wrong.any()):
                position = int(np.argmax(wrong))
                raise InputError(
                    f"{label} has a mask of size {found.masks.size[position].tolist()} in row "
                    f"{found.row[position]}, but the image has "
                    f"{truth.size[found.image[position]].tolist()}: encode masks at image size"
                )

    def _check_params(self) -> None:
        super()._check_params()
        for name, allowed in (
            ("iou_type", ("bbox", "segm")),
            ("ties", ("reference", "block")),
            ("area", ("iou_type", "record")),
            ("box_format", ("xywh", "xyxy")),
        ):
            if getattr(self, name) not in allowed:
                options = " or ".join(map(repr, allowed))
                raise InputError(f"{name}={getattr(self, name)!r}: choose {options}")
        if self.class_budget < 1:
            raise InputError(f"class_budget={self.class_budget!r}: pass a positive integer")
        thresholds = np.asarray(self._thresholds)
        ordered = bool((np.diff(thresholds) > 0).all())
        if not (len(thresholds) and ordered and thresholds[0] > 0 and thresholds[-1] <= 1):
            raise InputError(
                f"iou_thresholds={self.iou_thresholds!r}: pass increasing numbers in (0, 1]"
            )
        if len(thresholds) > MAX_THRESHOLDS:
            raise InputError(f"iou_thresholds: at most {MAX_THRESHOLDS}, not {len(thresholds)}")

    @property
    def _thresholds(self) -> tuple[float, ...]:
        if self.iou_thresholds is None:
            return DEFAULT_THRESHOLDS
        return tuple(float(t) for t in np.asarray(self.iou_thresholds, dtype=np.float64).ravel())

    def _settings(self, truth: GroundTruth) -> MatchSettings:
        return MatchSettings(
            self._federated(truth), self.iou_type, self._thresholds, self.area, self.respect_ignore
        )

    def _federated(self, truth: GroundTruth) -> bool:
        return truth.federated

    def _matches(self, columns: Columns) -> dict[str, Matches]:
        truth = truth_of(columns)
        return {
            name: match_detections(truth, found, self._settings(truth))
            for name, found in detections_of(columns).items()
        }

    def _validate(self, columns: Columns) -> Columns:
        truth = truth_of(columns)
        if not len(truth.category):
            raise InputError("ground_truth has no annotation: nothing can be found")
        for name, found in detections_of(columns).items():
            self._warn_about(name, found, truth)
        # Ranks under caps and budgets belong to the detector's output on all images.
        return columns

    def _warn_about(self, name: str, found: Detections, truth: GroundTruth) -> None:
        if not len(found.score):
            warn("no-detections", f"{name} has no detection: its average precision is 0")
            return
        unknown = truth.categories.positions(found.category_id) < 0
        if bool(unknown.any()):
            warn(
                "unknown-category",
                f"{name} has {int(unknown.sum())} detections of categories that the ground truth "
                f"does not list (first id {found.category_id[int(np.argmax(unknown))]}); dropped",
            )

    def _zero_area(self, matches: Mapping[str, Matches]) -> list[Diagnosis]:
        return [
            (
                "zero-area",
                f"{name}: {item.n_zero_area} objects or detections without area were dropped, as "
                "LVIS does",
            )
            for name, item in matches.items()
            if item.n_zero_area
        ]

    @abstractmethod
    def _tie_values(self, columns: Columns, ties: Ties) -> Array:
        """Main number of each model under a rule for ties."""

    def _tie_diagnosis(self, columns: Columns) -> list[Diagnosis]:
        shares = {name: tied_share(found) for name, found in detections_of(columns).items()}
        if max(shares.values()) == 0:
            return []
        both = [self._tie_values(columns, rule) for rule in ("reference", "block")]
        difference = np.abs(both[0] - both[1])
        return [
            (
                "tied-scores",
                f"{name}: {100 * share:.0f}% of scores are tied and the rule for ties moves the "
                f"result by {100 * moved:.2f} points; ties='block' does not depend on image order",
            )
            for (name, share), moved in zip(shares.items(), difference, strict=True)
            if moved > TIE_DIFFERENCE
        ]

    def _remarks(self, columns: Columns) -> list[str]:
        return [
            f"{name}: {100 * share:.1f}% of scores tied"
            for name, found in detections_of(columns).items()
            if (share := tied_share(found)) > 0
        ] + ["caps and budgets are part of the detectors' output and held fixed"]

    def _default_inference(self, columns: Columns) -> Inference:  # noqa: ARG002
        return Bootstrap(n_resamples=1000, interval="bias_corrected", double=True, rng=0)

    @abstractmethod
    def _main_curve(self, matches: Matches, truth: GroundTruth) -> CurveSet:
        """Curves of the main number of one model."""

    def _main_curves(self, columns: Columns) -> dict[str, CurveSet]:
        truth = truth_of(columns)
        return {
            name: self._main_curve(matches, truth)
            for name, matches in self._matches(columns).items()
        }

    def permutation_test(self, *, n_resamples: int = 1000, rng: int = 0) -> pl.DataFrame:
        """Test all pairs of models by swapping their outputs in random images.

        Valid where the outputs of two equally good detectors are exchangeable in each image (or
        cluster of images). Scores of different detectors are not comparable, so that the ranks
        among a detector's own detections replace them, which leaves its own number as it is.

        Parameters
        ----------
        n_resamples : int, default 1000
            Random swaps; the smallest p-value is ``1 / (n_resamples + 1)``.
        rng : int, default 0
            Seed; all pairs see the same swaps.

        Returns
        -------
        polars DataFrame
            ``reference``, ``model``, ``difference`` in AP (model minus reference), ``p_value`` and
            ``p_adjusted`` (Holm over pairs).
        """
        columns = self._fitted_columns()
        truth = truth_of(columns)
        return swap_table(
            self._matches(columns),
            columns,
            lambda matches: self._main_curve(matches, truth),
            n_resamples,
            rng,
        )

    def two_way(self, *, n_resamples: int = 1000, rng: int = 0) -> pl.DataFrame:
        """Standard errors that generalise to new categories as well as to new images.

        Images and categories are drawn independently (Owen and Eckles 2012), for statements about
        categories like these; ``estimate_`` holds the categories fixed. The bias is that
        of a single bootstrap, smaller than that of the double one of ``estimate_``.

        Parameters
        ----------
        n_resamples : int, default 1000
            Bootstrap replicates.
        rng : int, default 0
            Seed.

        Returns
        -------
        polars DataFrame
            ``model``, ``estimate``, ``bias``, ``standard_error``, ``ci_low``, ``ci_high`` of AP.
        """
        columns = self._fitted_columns()
        return two_way_table(self._main_curves(columns), columns, self.level, n_resamples, rng)

    def ties_table(self) -> dict[str, float]:
        """Share of tied scores of each model.

        Returns
        -------
        dict of str to float
            Share of detections whose score another one of the same model has.
        """
        return {
            name: tied_share(found) for name, found in detections_of(self._fitted_columns()).items()
        }

    @classmethod
    def _example_arguments(cls, rng: np.random.Generator, n: int) -> dict[str, Any]:
        truth, models = example_detections(rng, n)
        return {"ground_truth": truth, "detections": models}


def read_models(given: object, box_format: BoxFormat) -> dict[str, Detections]:
    """Detections of each model, from one source or a mapping of names to sources."""
    if isinstance(given, Records):
        return {"detections": read_detections(given)}
    if isinstance(given, Mapping) and not {"image_id", "score"} <= set(given):
        if not given:
            raise InputError("detections is an empty mapping: give at least one model")
        return {
            str(name): read_detections(value, box_format=box_format, label=f"detections[{name!r}]")
            for name, value in given.items()
        }
    if (
        isinstance(given, Sequence)
        and not isinstance(given, str)
        and given
        and all(isinstance(item, str | Path) for item in given)
    ):
        names = [Path(item).name.split(".")[0] for item in given]
        if len(set(names)) < len(names):
            raise InputError(f"detections repeat the file name in {names}: pass a mapping")
        return read_models(dict(zip(names, given, strict=True)), box_format)
    return {"detections": read_detections(given, box_format=box_format)}


def _label(name: str, models: Mapping[str, object]) -> str:
    return "detections" if len(models) == 1 and name == "detections" else f"detections[{name!r}]"


def _per_image(name: str, value: object, truth: GroundTruth) -> object:
    if not isinstance(value, Mapping):
        return value
    missing = [image for image in truth.image_ids.tolist() if image not in value]
    if missing:
        raise InputError(f"{name} has no entry for image {missing[0]}: give one for every image")
    return [value[image] for image in truth.image_ids.tolist()]


def tied_share(found: Detections) -> float:
    """Share of scores that occur more than once. O(n log n)."""
    if "tied" not in found.cache:
        scores = np.sort(found.score)
        equal: NDArray[np.bool_] = scores[1:] == scores[:-1]
        tied = np.zeros(len(scores), dtype=bool)
        tied[1:] |= equal
        tied[:-1] |= equal
        found.cache["tied"] = float(tied.mean()) if len(tied) else 0.0
    return float(found.cache["tied"])
