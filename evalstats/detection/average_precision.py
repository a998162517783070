"""Average precision by the protocols of COCO and LVIS and with a fixed budget (AP-Fixed)."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import polars as pl

from evalstats.data.columns import Columns
from evalstats.data.intake import NanPolicy
from evalstats.detection.base import (
    CAPS_SEEN,
    EXCEPTIONS,
    FEW_OBJECTS,
    DetectionEstimator,
)
from evalstats.detection.budget import BUDGETS, budget_table, within_budget
from evalstats.detection.curves import CurveSet, curve_set, curve_values
from evalstats.detection.files import BoxFormat
from evalstats.detection.matching import AreaSource, IouType, Matches
from evalstats.detection.per_category import category_table
from evalstats.detection.protocols import (
    DEFAULT_CAPS,
    Number,
    Protocol,
    Ties,
    kept,
    protocol_numbers,
    threshold_position,
)
from evalstats.detection.records import Array, Codes, GroundTruth, detections_of, truth_of
from evalstats.errors import InputError
from evalstats.estimator import Diagnosis
from evalstats.inference.methods import InferenceOption
from evalstats.inference.resampling import parallel_map

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Prepared:
    """Curves of every model for each area and cap, and what the numbers average."""

    names: tuple[str, ...]
    numbers: tuple[Number, ...]
    models: tuple[Mapping[tuple[int, int | None], CurveSet], ...]
    thresholds: Array
    frequency: Codes


class AveragePrecision(DetectionEstimator):
    """Mean average precision of object detectors and instance segmenters, with intervals.

    Averages the interpolated average precision over categories and IoU thresholds, by the protocol
    of COCO, by that of LVIS, or with a fixed budget of detections per category over the whole data
    set (AP-Fixed), which makes categories independent of each other.

    Parameters
    ----------
    protocol : {"coco", "lvis", "fixed"}
        ``"coco"`` keeps the best detections of each image and category, ``"lvis"`` those of each
        image over all categories, ``"fixed"`` the `class_budget` best of each category.
    iou_type : {"bbox", "segm"}
        Overlap of boxes or of masks.
    max_detections : int, sequence of int or None
        The caps; by default 1, 10, 100 for COCO and 300 for LVIS. ``"none"`` removes the cap.
    class_budget : int, default 10000
        Detections of each category with ``protocol="fixed"``.
    ties : {"reference", "block"}
        Equal scores: in the stable order of the reference programs, or all at once, which does not
        depend on the order of images.
    iou_thresholds : sequence of float, optional
        By default 0.50, 0.55, ..., 0.95.
    metrics : sequence of str, optional
        Which of the protocol's numbers to estimate; all by default.
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
        One term per number (``AP``, ``AP50``, ``APr``, ...) and model.

    Notes
    -----
    Matching does not depend on weights and is done once; a replicate re-weights the images in
    O(detections + hits x thresholds). Small samples bias average precision upwards, and a bootstrap
    replicate is biased once more, so that a percentile interval may miss the estimate itself; the
    default interval is centred at the estimate minus its bias by a double bootstrap.

    References
    ----------
    Dave, Dollar, Ramanan, Kirillov and Girshick (2021), arXiv:2102.01066; Lin et al. (2014); Gupta,
    Dollar and Girshick (2019); Efron and Tibshirani (1993), ch. 10.

    Examples
    --------
    >>> import evalstats as es
    >>> truth = {
    ...     "images": [{"id": 1}, {"id": 2}],
    ...     "categories": [{"id": 1}],
    ...     "annotations": [
    ...         {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]},
    ...         {"id": 2, "image_id": 2, "category_id": 1, "bbox": [0, 0, 9, 9]},
    ...     ],
    ... }
    >>> found = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "score": 0.9}]
    >>> ap = es.AveragePrecision(metrics=["AP"], inference=es.NoInference()).fit(truth, found)
    >>> ap.estimate_.value.round(4).tolist()
    [0.505]
    """

    metric: ClassVar[str] = "Average precision"
    verb: ClassVar[str] = "detection"
    citation_keys: ClassVar[tuple[str, ...]] = ("dave2021", "lin2014")
    exceptions: ClassVar[Mapping[str, str]] = EXCEPTIONS

    def __init__(
        self,
        *,
        protocol: Protocol = "coco",
        iou_type: IouType = "bbox",
        max_detections: int | Sequence[int] | str | None = None,
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
        self.protocol = protocol
        self.iou_type = iou_type
        self.max_detections = max_detections
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

    def per_category(self, *, n_resamples: int = 1000, rng: int = 0) -> pl.DataFrame:
        """Average precision of each category, with bias-corrected intervals.

        The bias is that of a single bootstrap, smaller than that of the double one that
        ``estimate_`` uses by default.

        Parameters
        ----------
        n_resamples : int, default 1000
            Bootstrap replicates over images; 0 gives points only.
        rng : int, default 0
            Seed; all models see the same replicates.

        Returns
        -------
        polars DataFrame
            One row per model and category with ``n_objects``, ``n_detections``, ``estimate``,
            ``bias``, ``standard_error``, ``ci_low``, ``ci_high``. With two models, also the paired
            difference of the second from the first and its p-value, adjusted by Benjamini and
            Hochberg. Categories with fewer than 5 objects have no interval.
        """
        columns = self._fitted_columns()
        return category_table(self._main_curves(columns), columns, self.level, n_resamples, rng)

    def gap(self) -> pl.DataFrame:
        """Price of the cap: this protocol's number minus AP-Fixed, for each category.

        Returns
        -------
        polars DataFrame
            ``model``, ``category``, ``average_precision``, ``fixed`` and ``gap``.
        """
        columns = self._fitted_columns()
        truth = truth_of(columns)
        weight = np.ones(columns.n) if columns.weight is None else columns.weight
        every = np.arange(len(truth.categories.ids))
        tables = []
        for name, matches in self._matches(columns).items():
            own = curve_values(self._curves(matches, 0, self._last_cap(), truth), weight)
            keep = kept(matches, "fixed", None, self.class_budget)
            fixed = curve_values(curve_set(matches, keep, every, ties=self.ties), weight)
            seen = own.n > 0
            table = {
                "model": np.repeat(name, seen.sum()),
                "category": [n for n, s in zip(truth.categories.names, seen, strict=True) if s],
                "average_precision": own.ap[seen].mean(axis=1),
                "fixed": fixed.ap[seen].mean(axis=1),
            }
            tables.append(pl.DataFrame(table))
        return pl.concat(tables).with_columns(gap=pl.col("average_precision") - pl.col("fixed"))

    def budgets(
        self,
        budgets: Sequence[int] = BUDGETS,
        *,
        n_resamples: int = 200,
        rng: int = 0,
    ) -> pl.DataFrame:
        """AP-Fixed under smaller budgets of detections per category.

        The bias is that of a single bootstrap, smaller than that of the double one that
        ``estimate_`` uses by default.

        Parameters
        ----------
        budgets : sequence of int
            Detections of each category over all images; by default 5, 10, 20, ..., 10,000 as far
            as they change anything.
        n_resamples : int, default 200
            Bootstrap replicates of the intervals; 0 draws none.
        rng : int, default 0
            Seed; all models and budgets see the same replicates.

        Returns
        -------
        polars DataFrame
            ``model``, ``budget``, ``estimate``, ``bias``, ``standard_error``, ``ci_low``,
            ``ci_high``.

        Raises
        ------
        InputError
            Unless ``protocol="fixed"``.
        """
        if self.protocol != "fixed":
            raise InputError(f"budgets belong to protocol='fixed', not to {self.protocol!r}")
        columns = self._fitted_columns()
        return budget_table(
            self._matches(columns), columns, budgets, self.ties, self.level, n_resamples, rng
        )

    def plot_budgets(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw AP-Fixed against the budget per category.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure at paper column width by default.
        **options
            As in :meth:`budgets`.

        Returns
        -------
        matplotlib Axes
            The axes drawn on.
        """
        from evalstats.results.displays import plot_budgets

        return plot_budgets(self.budgets(**options), ax=ax)

    def plot_categories(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw each category's paired difference of two models against its number of objects.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure at paper column width by default.
        **options
            As in :meth:`per_category`.

        Returns
        -------
        matplotlib Axes
            The axes drawn on.

        Raises
        ------
        InputError
            If there are not exactly two models.
        """
        from evalstats.results.displays import plot_category_differences

        table = self.per_category(**options)
        if "difference" not in table.columns:
            raise InputError("differences by category need two models and n_resamples > 0")
        return plot_category_differences(table.filter(pl.col("difference").is_not_null()), ax=ax)

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw a forest plot of the numbers with their intervals.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure at paper column width by default.
        **options
            As in :func:`evalstats.results.displays.plot_estimates`.

        Returns
        -------
        matplotlib Axes
            The axes drawn on.
        """
        return super().plot(ax, **options)

    def _check_params(self) -> None:
        super()._check_params()
        if self.protocol not in DEFAULT_CAPS:
            raise InputError(f"protocol={self.protocol!r}: choose 'coco', 'lvis' or 'fixed'")
        caps = [cap for cap in self._caps if cap is not None]
        if any(int(cap) != cap or cap < 1 for cap in caps) or sorted(set(caps)) != caps:
            raise InputError(
                f"max_detections={self.max_detections!r}: pass increasing positive integers, or "
                "'none' for no cap"
            )
        if self.protocol == "fixed" and self.max_detections is not None:
            raise InputError("protocol='fixed' has no cap per image: use class_budget")
        if self.protocol == "lvis" and len(self._caps) > 1:
            raise InputError("protocol='lvis' has one cap per image: pass one max_detections")

    @property
    def _caps(self) -> tuple[int | None, ...]:
        if self.max_detections is None:
            return DEFAULT_CAPS[self.protocol]
        if isinstance(self.max_detections, str):
            if self.max_detections != "none":
                raise InputError(f"max_detections={self.max_detections!r}: pass numbers or 'none'")
            return (None,)
        return tuple(np.atleast_1d(np.asarray(self.max_detections)).tolist())

    def _last_cap(self) -> int | None:
        return self._caps[-1] if self._caps else None

    def _federated(self, truth: GroundTruth) -> bool:
        return truth.federated and self.protocol != "coco"

    def _validate(self, columns: Columns) -> Columns:
        columns = super()._validate(columns)
        truth = truth_of(columns)
        if self.protocol == "lvis" and not truth.federated:
            raise InputError(
                "protocol='lvis' needs neg_category_ids and not_exhaustive_category_ids of the "
                "images: use 'coco' or 'fixed' for exhaustively annotated data"
            )
        self._numbers(truth)
        if self.protocol != "fixed":
            return columns
        limited = within_budget(detections_of(columns), truth, self.class_budget)
        return columns.with_columns(models={"detections": limited})  # type: ignore[dict-item]

    def _numbers(self, truth: GroundTruth) -> dict[str, Number]:
        caps = tuple(cap for cap in self._caps if cap is not None)
        grouped = bool((truth.categories.frequency >= 0).any()) and self.protocol != "coco"
        numbers = protocol_numbers(self.protocol, caps, grouped)
        thresholds = np.array(self._thresholds)
        numbers = {
            name: number
            for name, number in numbers.items()
            if number.threshold is None
            or threshold_position(thresholds, number.threshold) is not None
        }
        if self.metrics is None:
            return numbers
        wanted = [self.metrics] if isinstance(self.metrics, str) else list(self.metrics)
        if not wanted:
            raise InputError("metrics is empty: name at least one, or pass None for all")
        for name in wanted:
            if name not in numbers:
                raise InputError(f"metrics has {name!r}: choose among {', '.join(numbers)}")
        return {name: numbers[name] for name in wanted}

    def _curves(self, matches: Matches, area: int, cap: int | None, truth: GroundTruth) -> CurveSet:
        keep = kept(matches, self.protocol, cap, self.class_budget)
        every = np.arange(len(truth.categories.ids))
        return curve_set(matches, keep, every, area=area, ties=self.ties)

    def _main_curve(self, matches: Matches, truth: GroundTruth) -> CurveSet:
        return self._curves(matches, 0, self._last_cap(), truth)

    def _prepare(self, columns: Columns) -> Prepared:
        truth = truth_of(columns)
        numbers = self._numbers(truth)
        needed = dict.fromkeys((number.area, number.cap) for number in numbers.values())
        models = []
        for matches in self._matches(columns).values():
            # Every curve starts from this order: once, before the threads ask for it.
            _ = matches.by_category

            def curves(key: tuple[int, int | None], matches: Matches = matches) -> CurveSet:
                return self._curves(matches, *key, truth)

            found = parallel_map(curves, list(needed), len(needed) * len(matches.score))
            models.append(dict(zip(needed, found, strict=True)))
        return Prepared(
            tuple(numbers),
            tuple(numbers.values()),
            tuple(models),
            np.array(self._thresholds),
            truth.categories.frequency,
        )

    def _evaluate(self, prepared: Prepared, weights: Array) -> Array:
        values = []
        for model in prepared.models:
            results = {key: curve_values(curves, weights) for key, curves in model.items()}
            for number in prepared.numbers:
                result = results[number.area, number.cap]
                grid = result.ap if number.kind == "ap" else result.recall
                defined = result.n > 0
                if number.frequency is not None:
                    defined = defined & (prepared.frequency == number.frequency)
                grid = grid[defined]
                if number.threshold is not None:
                    near = np.isclose(prepared.thresholds, number.threshold, rtol=0.0, atol=1e-9)
                    grid = grid[:, near]
                values.append(grid.mean() if grid.size else np.nan)
        return np.array(values)

    def _terms(self, columns: Columns) -> list[dict[str, Hashable]]:
        return [
            {"metric": name, "model": model}
            for model in columns.model_names
            for name in self._numbers(truth_of(columns))
        ]

    def _tie_values(self, columns: Columns, ties: Ties) -> Array:
        truth = truth_of(columns)
        every = np.arange(len(truth.categories.ids))
        values = []
        for matches in self._matches(columns).values():
            keep = kept(matches, self.protocol, self._last_cap(), self.class_budget)
            curves = curve_set(matches, keep, every, ties=ties)
            result = curve_values(curves, np.ones(columns.n))
            values.append(result.ap[result.n > 0].mean() if bool((result.n > 0).any()) else 0.0)
        return np.array(values)

    def _diagnose(self, columns: Columns, prepared: Prepared) -> list[Diagnosis]:  # noqa: ARG002
        truth = truth_of(columns)
        matches = self._matches(columns)
        notes = self._zero_area(matches) + self._tie_diagnosis(columns)
        first = next(iter(matches.values()))
        counted = np.bincount(
            first.truth_category[first.truth_counted[0]], minlength=len(truth.categories.ids)
        )
        few = int(((counted > 0) & (counted < FEW_OBJECTS)).sum())
        if few:
            message = (
                f"{few} of {int((counted > 0).sum())} averaged categories have fewer than "
                f"{FEW_OBJECTS} objects: average precision is biased upwards there; see the bias"
            )
            notes.append(("few-objects", message))
        if self.protocol == "fixed":
            notes += _capped(columns)
        return notes

    def _remarks(self, columns: Columns) -> list[str]:
        remarks = super()._remarks(columns)
        if self.protocol == "fixed":
            truth = truth_of(columns)
            for name, found in detections_of(columns).items():
                position = truth.categories.positions(found.category_id)
                counts = np.bincount(position[position >= 0], minlength=len(truth.categories.ids))
                short = int((counts < self.class_budget).sum())
                if short:
                    remarks.append(
                        f"{name}: {short} categories have fewer than {self.class_budget} "
                        "detections, so that AP-Fixed is a lower bound"
                    )
        return remarks


def _capped(columns: Columns) -> list[Diagnosis]:
    """Detectors whose output seems to be cut at a usual number per image."""
    notes = []
    for name, found in detections_of(columns).items():
        counts = np.diff(found.offsets)
        largest = int(counts.max())
        if largest in CAPS_SEEN and int((counts == largest).sum()) > 1:
            message = (
                f"{name} has at most {largest} detections in every image, as if it had been capped "
                "for another protocol: AP-Fixed from such a file is too low; export without a cap"
            )
            notes.append(("capped-detections", message))
    return notes
