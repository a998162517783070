"""What AUPIMO and AUPRO share: images as units, a ranked tail, influence, mergeable states."""

from abc import abstractmethod
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, ClassVar, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.anomaly.images import (
    ImageStack,
    argument_name,
    as_stack,
    classified_masks,
    read_models,
    read_stack,
    require_maps,
)
from evalstats.anomaly.pixels import Layout, Pixels, StackPixels
from evalstats.anomaly.ranked import Ladder, Prepared, Rule, SharedRate
from evalstats.anomaly.state import CAPACITY, Recorded, merged_images, recorded_images
from evalstats.data.columns import Columns, Role
from evalstats.data.state import State
from evalstats.errors import InputError
from evalstats.inference.methods import Inference, NoInference
from evalstats.inference.problem import Problem
from evalstats.inference.scales import ScaleName
from evalstats.mergeable import MergeableEstimator
from evalstats.results.estimate import Estimate

Array = NDArray[np.float64]
BATCH = 16


class LocalisationEstimator(MergeableEstimator):
    """Base of the estimators that compare anomaly maps with masks, image by image."""

    unit: ClassVar[str] = "image"
    roles: ClassVar[tuple[Role, ...]] = (
        Role("masks", "records", help="ground-truth masks, one per image"),
        Role("anomaly_maps", "records", per_model=True, help="anomaly maps of a model"),
        Role("ignore", "records", required=False, help="masks of pixels to leave out"),
    )
    scale: ClassVar[ScaleName] = "logit"
    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    higher_is_better: ClassVar[bool | None] = True
    exceptions: ClassVar[Mapping[str, str]] = {
        "series_equal_arrays": "a pandas Series holds one dimension, images have three: "
        "tests/anomaly/test_inputs.py checks the other containers",
    }

    needs_normal: ClassVar[bool] = True

    higher_is_anomalous: bool
    interval: Literal["logit", "wald"]

    @abstractmethod
    def _layout(self, masks: ImageStack, ignore: ImageStack | None) -> Layout:
        """Which pixels make up the false positive rate, and whose recall is scored."""

    @abstractmethod
    def _rules(self) -> list[Rule]:
        """Credit of a pixel, one rule per bound."""

    @abstractmethod
    def _margin(self) -> float:
        """Share of the normal pixels that the first tail should hold."""

    def fit(
        self,
        masks: Any,
        anomaly_maps: Any,
        ignore: Any = None,
        *,
        data: Any = None,
        sample_weight: Any = None,
        cluster: Any = None,
        by: Any = None,
    ) -> Self:
        """Estimate the mean score of every model on the same images.

        Parameters
        ----------
        masks : array-like (N, H, W) or list of 2-D arrays
            Ground truth, bool or 0/1. An image without a mask pixel is normal.
        anomaly_maps : array-like (N, H, W), list of 2-D arrays, or mapping of model name to these
            Scores of every pixel, at the size of the masks.
        ignore : array-like (N, H, W) or list of 2-D arrays, optional
            True where a pixel is left out everywhere.
        data : data frame, optional
            Frame with images in its columns; role arguments are then names.
        sample_weight : array-like (N,) or column name, optional
            Non-negative weights of the images.
        cluster : array-like (N,) or column name, optional
            Images of one physical object, which are sampled together.
        by : array-like (N,) or column names, optional
            Fit separately in each group, with its own normal images, and stack the terms.

        Returns
        -------
        LocalisationEstimator
            The fitted estimator.

        Raises
        ------
        InputError
            If images do not fit each other, hold missing or infinite values, or lack a class.
        """
        roles = {"masks": masks, "anomaly_maps": anomaly_maps, "ignore": ignore}
        return self._fit(roles, data=data, sample_weight=sample_weight, cluster=cluster, by=by)

    # Streams ------------------------------------------------------------------------------------

    def stream(self, images: Iterable[Any], *, capacity: int = CAPACITY) -> State:
        """Summarise images that come one by one, in constant memory for the normal pixels.

        Parameters
        ----------
        images : iterable of (mask, map) or (mask, mapping of model to map)
            A generator, a data loader; never held at once.
        capacity : int, default 1,000,000
            Normal pixels to keep, the highest ones.

        Returns
        -------
        State
            For :meth:`merge` and :meth:`finalize`, the same for any order and batching.
        """
        source = iter(images)
        state: State | None = None
        while batch := list(islice(source, BATCH)):
            masks = [mask for mask, _ in batch]
            maps: Any = [item for _, item in batch]
            if isinstance(maps[0], Mapping):
                maps = {model: [item[model] for item in maps] for model in maps[0]}
            part = self.partial(masks, maps, capacity=capacity)
            state = part if state is None else self.merge(state, part)
        if state is None:
            raise InputError("images is empty: at least one pair of mask and map is needed")
        return state

    def _summarise(self, columns: Columns, options: dict[str, Any]) -> pl.DataFrame:
        unknown = set(options) - {"capacity"}
        if unknown:
            raise InputError(f"partial has no option {sorted(unknown)}: choose capacity=")
        self._require_mergeable()
        return recorded_images(columns, self._sources(columns), _capacity(options))

    def _merge(self, tables: list[pl.DataFrame]) -> pl.DataFrame:
        return merged_images(tables)

    def _from_summary(self, table: pl.DataFrame, options: dict[str, Any]) -> Estimate:
        unknown = set(options) - {"capacity"}
        if unknown:
            raise InputError(f"finalize has no option {sorted(unknown)}")
        columns = Recorded.columns(table)
        estimate = self._estimate(columns)
        self._columns_seen = columns
        return estimate

    def _require_summarised_inference(self) -> None:
        """Images can be resampled: a state holds what each of them adds."""

    def _require_mergeable(self) -> None:
        """Refuse configurations whose result is no function of a tail."""

    # The contract -------------------------------------------------------------------------------

    def _check_params(self) -> None:
        super()._check_params()
        if self.interval not in ("logit", "wald"):
            raise InputError(f"interval={self.interval!r}: choose 'logit' or 'wald'")

    def _read(self, arguments: Mapping[str, object]) -> Mapping[str, object]:
        return {
            name: read_models(name, value)
            if name == "anomaly_maps"
            else read_stack(name, value)
            if name in ("masks", "ignore")
            else value
            for name, value in arguments.items()
        }

    def _validate(self, columns: Columns) -> Columns:
        masks = classified_masks("masks", as_stack("masks", columns.single["masks"]))
        single: dict[str, Any] = {"masks": masks}
        if "ignore" in columns.single:
            single["ignore"] = _validated_ignore(columns.single["ignore"], masks)
        maps: dict[str, Any] = {}
        for model, column in columns.models["anomaly_maps"].items():
            argument = argument_name("anomaly_maps", model, columns)
            stack = as_stack(argument, column)
            require_maps(argument, stack, masks)
            maps[model] = replace(stack, negated=not self.higher_is_anomalous)
        return columns.with_columns(single, {"anomaly_maps": maps})

    def _sources(self, columns: Columns) -> list[Pixels]:
        """Where the tails of each model come from."""
        maps = list(columns.models["anomaly_maps"].values())
        if isinstance(maps[0], Recorded):
            return [model.pixels() for model in maps]  # type: ignore[attr-defined]
        layout = self._layout(
            columns.single["masks"],  # type: ignore[arg-type]
            columns.single.get("ignore"),  # type: ignore[arg-type]
        )
        return [StackPixels(layout, model) for model in maps]  # type: ignore[arg-type]

    def _prepare(self, columns: Columns) -> Any:
        ladders = [Ladder(source, self._margin()) for source in self._sources(columns)]
        return Prepared(
            columns.n, ladders, self._rules(), self._shared_rate(), self._shared_quantile()
        )

    def _problem(
        self,
        columns: Columns,
        groups: list[NDArray[np.int64] | None],
        samples: list[Columns],
        prepared: list[Any],
        method: Inference,
    ) -> Problem:
        problem = super()._problem(columns, groups, samples, prepared, method)
        # Rows are images, but a replicate reads the tail: that is what pays for threads.
        work = sum(item.work() for item in prepared if isinstance(item, Prepared))
        return replace(problem, work=work)

    def _shared_rate(self) -> SharedRate:
        return "pooled"

    def _shared_quantile(self) -> float:
        return 1.0

    def _evaluate(self, prepared: Any, weights: Array) -> Array:
        means: Array = prepared.means(weights)
        return means

    def _influence(self, prepared: Any, weights: Array) -> Array:
        influence: Array = prepared.influence(weights)
        return influence

    def _populations(self, columns: Columns) -> NDArray[np.int64] | None:
        return anomalous_images(columns).astype(np.int64)

    def _analytic_interval(self, columns: Columns) -> str:  # noqa: ARG002
        return self.interval

    def _analytic_name(self, columns: Columns) -> str:
        clustered = "cluster-robust " if columns.cluster is not None else ""
        return f"{clustered}two-sample influence values of normal and anomalous images"

    def _support(self, columns: Columns, prepared: Any) -> dict[str, Array]:  # noqa: ARG002
        present = anomalous_images(columns)
        if columns.weight is not None:
            present = present & (columns.weight > 0)
        n_terms = len(self._terms(columns))
        # Where every image scores 0 or every image 1: bounded by the share of those that do not.
        return {"n_positive": np.full(n_terms, float(present.sum()))}

    def _require_defined(self, columns: Columns, prepared: Any, value: Array) -> None:
        anomalous = anomalous_images(columns)
        weight = np.ones(columns.n) if columns.weight is None else columns.weight
        present = weight > 0
        counts = int((present & ~anomalous).sum()), int((present & anomalous).sum())
        hints = ("an empty mask", "at least one mask pixel")
        for count, name, hint in zip(counts, ("normal", "anomalous"), hints, strict=True):
            if name == "normal" and not self.needs_normal and count == 0:
                continue
            where = "" if columns.weight is None else " with positive weight"
            if count == 0:
                raise InputError(
                    f"masks hold no {name} image{where} ({hint}), so {self.metric} is undefined"
                )
            if count < 2 and not isinstance(self.inference, NoInference):
                raise InputError(
                    f"masks hold one {name} image only{where}: a standard error needs at least 2 "
                    "of each class; pass inference=NoInference() for the value alone"
                )
        if not bool(np.isfinite(value).all()):
            self._refuse_shallow(prepared)

    def _refuse_shallow(self, prepared: Any) -> None:
        if isinstance(prepared, Prepared):
            raise InputError(
                f"too few of the {prepared.pixels.normal_size.sum():.0f} normal pixels were kept "
                "to reach the upper bound of the false positive rate: summarise with a larger "
                "capacity="
            )

    @classmethod
    def _example_arguments(cls, rng: np.random.Generator, n: int) -> dict[str, Any]:
        side = 24
        anomalous = rng.random(n) < 0.4
        anomalous[:4] = [True, False, True, False]
        inner = np.zeros((side, side), dtype=bool)
        inner[8:14, 9:16] = True
        masks = anomalous[:, np.newaxis, np.newaxis] & inner
        strength = rng.gamma(4.0, 1.0, n)[:, np.newaxis, np.newaxis]
        shared = rng.normal(size=(n, side, side))
        own = rng.normal(size=(n, side, side))
        return {
            "masks": masks,
            "anomaly_maps": {
                "strong": shared + strength * masks,
                "weak": shared + 0.5 * own + 0.7 * strength * masks,
            },
        }


def anomalous_images(columns: Columns) -> NDArray[np.bool_]:
    """Class of each image."""
    masks = columns.single["masks"]
    if not isinstance(masks, ImageStack) or masks.anomalous is None:
        raise AssertionError("masks are classified when they are validated")
    return masks.anomalous


def bounds_label(bounds: tuple[float, float]) -> str:
    """How tables call a pair of bounds."""
    return f"{bounds[0]:g} to {bounds[1]:g}"


def model_terms(metric: str, columns: Columns, labels: list[str]) -> list[dict[str, Hashable]]:
    """Terms of all models and, where there are several, bounds."""
    return [
        {"metric": metric, "model": model, **({"fpr_bounds": label} if len(labels) > 1 else {})}
        for model in columns.model_names
        for label in labels
    ]


def _validated_ignore(column: Any, masks: ImageStack) -> ImageStack:
    ignore = classified_masks("ignore", as_stack("ignore", column))
    for unit in range(len(masks)):
        mask, left_out = masks.image(unit), ignore.image(unit)
        if left_out.shape != mask.shape:
            raise InputError(
                f"ignore has shape {left_out.shape} in image {unit}, but the mask has {mask.shape}"
            )
        kept = ~left_out.astype(bool)
        if not bool(kept.any()):
            raise InputError(f"ignore leaves no pixel of image {unit}: leave the image out")
        if bool(mask.any()) and not bool((kept & mask.astype(bool)).any()):
            raise InputError(f"ignore leaves no mask pixel of image {unit}: leave the image out")
    return ignore


def _capacity(options: Mapping[str, Any]) -> int:
    capacity = options.get("capacity", CAPACITY)
    if not isinstance(capacity, int) or capacity < 1:
        raise InputError(f"capacity={capacity!r}: pass the number of normal pixels to keep")
    return capacity
