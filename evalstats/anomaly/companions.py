"""Metrics that are reported beside AUPIMO: pixel AUROC and AP, AUPRO, IoU over the band."""

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.anomaly.aupro import AUPRO
from evalstats.anomaly.images import ImageStack, over_images
from evalstats.anomaly.kernels import counts_above
from evalstats.anomaly.localisation import bounds_label
from evalstats.anomaly.pixels import StackPixels, at_least
from evalstats.anomaly.ranked import Prepared, Reached
from evalstats.anomaly.views import exact_samples
from evalstats.errors import InputError
from evalstats.kernels.classes import unweighted_auroc, unweighted_average_precision

if TYPE_CHECKING:
    from evalstats.anomaly.aupimo import AUPIMO

Array = NDArray[np.float64]
LIMITS = (0.3, 0.05)


def companions(estimator: "AUPIMO") -> pl.DataFrame:
    """Point values of every model and group."""
    rows: list[dict[str, Any]] = []
    for sample in exact_samples(estimator):
        columns = sample.columns
        if columns.weight is not None:
            raise InputError("companions are unweighted: fit without sample_weight for them")
        masks, ignore = columns.single["masks"], columns.single.get("ignore")
        for position, model in enumerate(sample.models):
            maps: Any = columns.models["anomaly_maps"][model]
            if not isinstance(maps, ImageStack):
                raise InputError("a summary keeps no background pixels: companions need the images")
            found = pixel_rankings(masks, maps, ignore)  # type: ignore[arg-type]
            for limit in LIMITS:
                regions = AUPRO(max_fpr=limit)
                source = _of_model(columns, model)
                value = regions._evaluate(regions._prepare(source), np.ones(columns.n))
                found[f"AUPRO up to {limit:g}"] = float(value[0])
            for pair in estimator._bounds():
                overlap = iou_over_band(sample.prepared, position, pair)
                found[f"mean IoU, FPR {bounds_label(pair)}"] = float(np.mean(overlap))
            rows += [
                {"model": model, **sample.labels, "metric": name, "estimate": value}
                for name, value in found.items()
            ]
    return pl.DataFrame(rows)


def _of_model(columns: Any, model: str) -> Any:
    """Columns with one model only."""
    maps = {model: columns.models["anomaly_maps"][model]}
    return columns.with_columns(models={"anomaly_maps": maps})


def pixel_rankings(
    masks: ImageStack, maps: ImageStack, ignore: ImageStack | None
) -> dict[str, float]:
    """AUROC and average precision of all pixels pooled. O(pixels log pixels)."""
    scores, labels = [], []
    for unit in range(len(maps)):
        kept = slice(None) if ignore is None else ~ignore.image(unit).astype(bool).ravel()
        scores.append(maps.image(unit).ravel()[kept])
        labels.append(masks.image(unit).ravel()[kept].astype(bool))
    pooled, positive = np.concatenate(scores), np.concatenate(labels)
    return {
        "pixel AUROC": unweighted_auroc(positive, pooled),
        "pixel AP": unweighted_average_precision(positive, pooled),
    }


def iou_over_band(prepared: Prepared, model: int, bounds: tuple[float, float]) -> Array:
    """Intersection over union of each anomalous image, averaged over the log rate in the band.

    At a rate x every pixel is predicted whose share of normal pixels at or above it does not exceed
    x: the axis and the tie rule of ``ties="conservative"``.
    """
    ladder = prepared.ladders[model]
    at = prepared.reached(ladder, np.ones(prepared.n))
    source = ladder.pixels
    if at is None or not isinstance(source, StackPixels):
        raise InputError("a summary keeps no background pixels: the IoU needs the images")
    scores, width = _band_steps(at, bounds)
    if not len(scores):
        return np.full(len(source.set_unit), np.nan)
    thresholds = np.nextafter(scores, np.inf)

    def one(item: int) -> float:
        unit, area = int(source.set_unit[item]), float(source.set_size[item])
        image = source.maps.image(unit).ravel()
        kept = source.layout.normal(unit)
        inside = image[source.layout.members(unit)[0]]
        every = image if kept is None else image[kept.ravel()]
        found, fired = (
            counts_above(np.sort(at_least(part, thresholds[-1]).astype(np.float64)), thresholds)
            for part in (inside, every)
        )
        return float(width @ (found / (area + fired - found)))

    return np.array(over_images(one, range(len(source.set_unit)), 10**7))


def _band_steps(at: Reached, bounds: tuple[float, float]) -> tuple[Array, Array]:
    """Normal scores at which the rate leaves each step within the band, and the step's width."""
    lower, upper = bounds
    ranked = at.ranked
    cost = at.gain[ranked.owner]
    share = np.cumsum(cost) / at.total
    last = np.append(ranked.scores[1:] != ranked.scores[:-1], True)[: len(share)]
    after = share[last]
    before = np.concatenate([[0.0], after[:-1]])
    width = np.log(np.clip(after, lower, upper) / np.clip(before, lower, upper))
    width /= np.log(upper / lower)
    used = width > 0
    return ranked.scores[last][used], width[used]
