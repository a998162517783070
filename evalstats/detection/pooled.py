"""Average precision of all categories in one pool (AP-Pool)."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.data.columns import Columns
from evalstats.data.intake import NanPolicy
from evalstats.detection.base import EXCEPTIONS, FEW_IMAGES, FEW_OBJECTS, DetectionEstimator
from evalstats.detection.budget import within_budget
from evalstats.detection.curves import GRID, CurveSet, curve_set, curve_values
from evalstats.detection.files import BoxFormat
from evalstats.detection.influence import category_influence, image_influence
from evalstats.detection.matching import AreaSource, IouType, Matches
from evalstats.detection.per_category import weight_draws
from evalstats.detection.protocols import Ties, kept
from evalstats.detection.records import Array, GroundTruth, detections_of, truth_of
from evalstats.errors import InputError
from evalstats.estimator import Diagnosis
from evalstats.inference.methods import InferenceOption

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POOLS = ("AP", "APr", "APc", "APf")


@dataclass(frozen=True)
class Prepared:
    """The pooled curves of every model, and those of the frequency groups where they exist."""

    pools: tuple[tuple[CurveSet, ...], ...]


class PooledAveragePrecision(DetectionEstimator):
    """Average precision over the detections of all categories in one ranking (AP-Pool).

    Objects are matched within their category, as for AP-Fixed, but one precision-recall curve ranks
    all detections together. Scores must therefore be comparable across categories, which the
    average over categories cannot see, and categories count in proportion to their objects.

    Parameters
    ----------
    iou_type : {"bbox", "segm"}
        Overlap of boxes or of masks.
    class_budget : int, default 10000
        Detections of each category that enter the pool.
    ties : {"reference", "block"}
        Equal scores: in the stable order of the reference programs, or all at once, which does not
        depend on the order of images.
    iou_thresholds : sequence of float, optional
        By default 0.50, 0.55, ..., 0.95.
    metrics : sequence of str, optional
        Which of ``"AP"``, ``"APr"``, ``"APc"``, ``"APf"``; all that the data define by default.
    box_format : {"xywh", "xyxy"}
        What boxes hold; never guessed.
    area : {"iou_type", "record"}
        Area of detections: of what is compared, or what the reference takes from the first record.
    respect_ignore : bool, default False
        With COCO data, honour an ``ignore`` flag, which the reference overwrites.
    inference : "auto", Bootstrap, Jackknife or NoInference
        "auto" is the double bootstrap over images, the interval around the bias-corrected value.
    level : float, default 0.95
        Confidence level.
    nan_policy : {"raise", "omit"}
        Missing values are refused when records are read.

    Attributes
    ----------
    estimate_ : Estimate
        One term per pool (all categories, rare, common, frequent) and model.

    Notes
    -----
    Categories without objects that were verified to be absent contribute false positives, which
    an average over categories does not count. One replicate costs O(detections + hits x
    thresholds).

    References
    ----------
    Dave, Dollar, Ramanan, Kirillov and Girshick (2021), arXiv:2102.01066, section 5.

    Examples
    --------
    >>> import evalstats as es
    >>> truth = {
    ...     "images": [{"id": 1}],
    ...     "categories": [{"id": 1}, {"id": 2}],
    ...     "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]}],
    ... }
    >>> found = [
    ...     {"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "score": 0.5},
    ...     {"image_id": 1, "category_id": 2, "bbox": [0, 0, 9, 9], "score": 0.9},
    ... ]
    >>> es.pooled_average_precision(truth, found)["AP"]
    0.5
    """

    metric: ClassVar[str] = "Pooled average precision"
    verb: ClassVar[str] = "detection"
    citation_keys: ClassVar[tuple[str, ...]] = ("dave2021",)
    exceptions: ClassVar[Mapping[str, str]] = EXCEPTIONS

    def __init__(
        self,
        *,
        iou_type: IouType = "bbox",
        class_budget: int = 10_000,
        ties: Ties = "reference",
        iou_thresholds: Sequence[float] | None = None,
        metrics: Sequence[str] | None = None,
        box_format: BoxFormat = "xywh",
        area: AreaSource = "iou_type",
        respect_ignore: bool = False,
        inference: InferenceOption = "auto",
        level: float = 0.95,
        nan_policy: NanPolicy = "raise",
    ) -> None:
        self.iou_type = iou_type
        self.class_budget = class_budget
        self.ties = ties
        self.iou_thresholds = iou_thresholds
        self.metrics = metrics
        self.box_format = box_format
        self.area = area
        self.respect_ignore = respect_ignore
        self.inference = inference
        self.level = level
        self.nan_policy = nan_policy

    def category_influence(self) -> pl.DataFrame:
        """What each category does to the pooled number: exact leave-one-category-out differences.

        Returns
        -------
        polars DataFrame
            ``model``, ``category``, ``n_objects``, ``influence`` (the number minus that without
            the category), sorted by model and descending absolute influence. O(categories x D).
        """
        columns = self._fitted_columns()
        return category_influence(self._main_curves(columns), columns)

    def image_influence(self) -> pl.DataFrame:
        """What each image does to the pooled number: exact leave-one-image-out differences.

        Returns
        -------
        polars DataFrame
            ``model``, ``image_id``, ``influence``, sorted by model and descending absolute
            influence. O(images x D).
        """
        columns = self._fitted_columns()
        return image_influence(self._main_curves(columns), columns)

    def curves(self, *, n_resamples: int = 200, rng: int = 0) -> pl.DataFrame:
        """Interpolated precision over recall, averaged over thresholds, with a pointwise band.

        Parameters
        ----------
        n_resamples : int, default 200
            Bootstrap replicates of the band; 0 draws none.
        rng : int, default 0
            Seed.

        Returns
        -------
        polars DataFrame
            ``model``, ``recall``, ``precision``, ``low``, ``high``.
        """
        columns = self._fitted_columns()
        weight = np.ones(columns.n) if columns.weight is None else columns.weight
        draws = weight_draws(columns, n_resamples, rng)
        tail = (1 - self.level) / 2
        tables = []
        for name, item in self._main_curves(columns).items():
            line = curve_values(item, weight, with_curves=True).precision[0].mean(axis=0)
            table = {"model": np.repeat(name, len(GRID)), "recall": GRID, "precision": line}
            if n_resamples:
                drawn = np.array(
                    [
                        curve_values(item, w, with_curves=True).precision[0].mean(axis=0)
                        for w in draws
                    ]
                )
                # Centred like the interval: precision on the grid is biased upwards as well.
                shift = 2 * line - drawn.mean(axis=0) - np.median(drawn, axis=0)
                low, high = np.quantile(drawn, [tail, 1 - tail], axis=0) + shift
                table |= {"low": np.clip(low, 0, 1), "high": np.clip(high, 0, 1)}
            tables.append(pl.DataFrame(table))
        return pl.concat(tables)

    def plot(self, ax: "Axes | None" = None, *, n_resamples: int = 200, **options: Any) -> "Axes":
        """Draw the pooled precision-recall curve of every model with a pointwise band.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure at paper column width by default.
        n_resamples : int, default 200
            Replicates of the band; 0 draws none.
        **options
            As in :func:`evalstats.results.displays.plot_pr_curves`.

        Returns
        -------
        matplotlib Axes
            The axes drawn on. With groups the estimates are drawn instead.
        """
        from evalstats.results.displays import plot_pr_curves

        if self._fitted_columns().group is not None:
            return super().plot(ax, **options)
        table = self.curves(n_resamples=n_resamples).rename({"recall": "x", "precision": "y"})
        areas = table.group_by("model", maintain_order=True).agg(area=pl.col("y").mean())
        labels = areas.select(
            "model", area_label=pl.format("{}: AP {}", "model", pl.col("area").round(3))
        )
        return plot_pr_curves(
            table.join(labels, on="model", maintain_order="left"), ax=ax, **options
        )

    def _validate(self, columns: Columns) -> Columns:
        columns = super()._validate(columns)
        truth = truth_of(columns)
        self._names(truth)
        limited = within_budget(detections_of(columns), truth, self.class_budget)
        return columns.with_columns(models={"detections": limited})  # type: ignore[dict-item]

    def _names(self, truth: GroundTruth) -> tuple[str, ...]:
        grouped = bool((truth.categories.frequency >= 0).any())
        known = POOLS if grouped else POOLS[:1]
        if self.metrics is None:
            return known
        wanted = (self.metrics,) if isinstance(self.metrics, str) else tuple(self.metrics)
        if not wanted:
            raise InputError("metrics is empty: name at least one, or pass None for all")
        for name in wanted:
            if name not in known:
                raise InputError(f"metrics has {name!r}: choose among {', '.join(known)}")
        return wanted

    def _main_curve(self, matches: Matches, truth: GroundTruth) -> CurveSet:
        return self._pool(matches, "AP", truth, self.ties)

    def _pool(self, matches: Matches, name: str, truth: GroundTruth, ties: Ties) -> CurveSet:
        group = np.zeros(len(truth.categories.ids), dtype=np.int64)
        if name != "AP":
            group[truth.categories.frequency != "rcf".index(name[-1])] = -1
        keep: NDArray[np.bool_] | None = kept(matches, "pool", None, self.class_budget)
        return curve_set(matches, keep, group, ties=ties)

    def _prepare(self, columns: Columns) -> Prepared:
        truth = truth_of(columns)
        names = self._names(truth)
        return Prepared(
            tuple(
                tuple(self._pool(matches, name, truth, self.ties) for name in names)
                for matches in self._matches(columns).values()
            )
        )

    def _evaluate(self, prepared: Prepared, weights: Array) -> Array:
        return np.array(
            [
                curve_values(item, weights).ap.mean() if item.n_groups else np.nan
                for pools in prepared.pools
                for item in pools
            ]
        )

    def _terms(self, columns: Columns) -> list[dict[str, Hashable]]:
        return [
            {"metric": name, "model": model}
            for model in columns.model_names
            for name in self._names(truth_of(columns))
        ]

    def _tie_values(self, columns: Columns, ties: Ties) -> Array:
        truth = truth_of(columns)
        ones = np.ones(columns.n)
        return np.array(
            [
                float(
                    np.nan_to_num(
                        curve_values(self._pool(matches, "AP", truth, ties), ones).ap.mean()
                    )
                )
                for matches in self._matches(columns).values()
            ]
        )

    def _diagnose(self, columns: Columns, prepared: Prepared) -> list[Diagnosis]:
        notes = self._zero_area(self._matches(columns)) + self._tie_diagnosis(columns)
        n_objects = len(prepared.pools[0][0].truth_image)
        if n_objects < FEW_OBJECTS:
            message = f"{n_objects} objects: average precision is biased upwards; see the bias"
            notes.append(("few-objects", message))
        if columns.n < FEW_IMAGES:
            message = f"{columns.n} images: intervals cover too rarely below about {FEW_IMAGES}"
            notes.append(("few-images", message))
        return notes
