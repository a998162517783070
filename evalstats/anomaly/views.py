"""What a fitted AUPIMO can show beyond its means: scores, curves and operating thresholds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.anomaly.grid import GridPrepared
from evalstats.anomaly.kernels import set_scores, threshold_ranks
from evalstats.anomaly.localisation import anomalous_images, bounds_label
from evalstats.anomaly.ranked import LogRule, Prepared
from evalstats.data.columns import Columns
from evalstats.errors import InputError
from evalstats.inference.engine import infer
from evalstats.inference.intervals import percentile_interval
from evalstats.inference.methods import Bootstrap
from evalstats.inference.problem import Part, Problem
from evalstats.inference.units import Units

if TYPE_CHECKING:
    from evalstats.anomaly.aupimo import AUPIMO

Array = NDArray[np.float64]
Bounds = tuple[float, float]


@dataclass(frozen=True)
class Sample:
    """One group of a fit, or all of it.

    Attributes
    ----------
    rows : int64 array
        Images of the fit.
    labels : dict
        ``group`` where there are groups.
    """

    rows: NDArray[np.int64]
    labels: Mapping[str, Any]
    columns: Columns
    prepared: Any
    weights: Array
    models: Sequence[str]


def samples(estimator: "AUPIMO") -> Iterator[Sample]:
    """Prepare each group of the last fit anew."""
    columns = estimator._fitted_columns()
    groups: list[tuple[NDArray[np.int64], dict[str, Any]]] = [(np.arange(columns.n), {})]
    if columns.group is not None:
        names = [", ".join(map(str, label)) for label in columns.group_labels]
        groups = [
            (np.flatnonzero(columns.group == code), {"group": name})
            for code, name in enumerate(names)
        ]
    for rows, labels in groups:
        part = columns if columns.group is None else columns.take(rows)
        weights = np.ones(part.n) if part.weight is None else part.weight
        yield Sample(rows, labels, part, estimator._prepare(part), weights, columns.model_names)


def exact_samples(estimator: "AUPIMO") -> Iterator[Sample]:
    """Samples whose tail is known; the grid has none."""
    if estimator.mode != "exact":
        raise InputError("mode='grid' keeps scores only: use mode='exact'")
    yield from samples(estimator)


def image_scores(estimator: "AUPIMO") -> pl.DataFrame:
    """Tidy frame of the scores of all images."""
    frames = []
    pairs = [bounds_label(pair) for pair in estimator._bounds()]
    for sample in samples(estimator):
        anomalous = anomalous_images(sample.columns)
        if isinstance(sample.prepared, GridPrepared):
            set_unit, sizes = sample.prepared.set_unit, None
            scores = sample.prepared.scores.reshape(len(sample.models), len(pairs), -1)
        else:
            set_unit = sample.prepared.pixels.set_unit
            sizes = sample.prepared.pixels.set_size
            scores = sample.prepared.scores(sample.weights)
        area = np.zeros(sample.columns.n, dtype=np.int64)
        if sizes is None:
            masks = sample.columns.single["masks"]
            area[set_unit] = [np.count_nonzero(masks.image(int(u))) for u in set_unit]  # type: ignore[attr-defined]
        else:
            area[set_unit] = sizes
        for model, per_bound in zip(sample.models, scores, strict=True):
            for label, own in zip(pairs, per_bound, strict=True):
                score = np.full(sample.columns.n, np.nan)
                score[set_unit] = own
                constants = {"model": model, "fpr_bounds": label, **sample.labels}
                frames.append(
                    pl.DataFrame(
                        {
                            "image": sample.rows,
                            "anomalous": anomalous,
                            "mask_pixels": area,
                            **{k: [v] * len(score) for k, v in constants.items()},
                            "score": pl.Series(score, nan_to_null=True, dtype=pl.Float64),
                        }
                    )
                )
    return pl.concat(frames)


def compare_images(
    estimator: "AUPIMO", protocol: str, test: str, options: Mapping[str, Any]
) -> pl.DataFrame:
    """Paired tests of the image scores, in each group and for each pair of bounds."""
    from evalstats.results.model_ranks import rank_models

    names = {"two-sided": "evalstats", "aupimo-paper": "aupimo-paper"}
    if protocol not in names:
        raise InputError(f"protocol={protocol!r}: choose 'two-sided' or 'aupimo-paper'")
    columns = estimator._fitted_columns()
    if columns.weight is not None or columns.cluster is not None:
        raise InputError(
            "compare_images takes images as independent and alike: with sample_weight or cluster "
            "use estimate_.compare"
        )
    if len(columns.model_names) < 2:
        raise InputError("compare_images needs at least 2 models")
    scores = image_scores(estimator).filter("anomalous")
    keys = [key for key in ("group", "fpr_bounds") if key in scores.columns]
    shown = [key for key in keys if key == "group" or scores[key].n_unique() > 1]
    frames = []
    for labels, part in scores.group_by(keys, maintain_order=True):
        ranks = rank_models(part, unit="image")
        pairs = ranks.pairwise(test, protocol=names[protocol], **options)
        known = dict(zip(keys, labels, strict=True))
        frames.append(pairs.select(*(pl.lit(known[key]).alias(key) for key in shown), pl.all()))
    return pl.concat(frames)


def scores_of_model(estimator: "AUPIMO", model: str | None) -> pl.DataFrame:
    """Scores of one model, where it is clear which."""
    frame = image_scores(estimator)
    names = frame["model"].unique(maintain_order=True).to_list()
    if model is None and len(names) > 1:
        raise InputError(f"there are several models: pass model=, one of {names}")
    if model is not None and model not in names:
        raise InputError(f"model={model!r} is no model: choose from {names}")
    own = frame.filter(pl.col("model") == (names[0] if model is None else model))
    if own["fpr_bounds"].n_unique() > 1:
        raise InputError("several fpr_bounds were fitted: fit one pair to choose images")
    return own


def curves(estimator: "AUPIMO", n_points: int, fpr_range: Bounds | None) -> pl.DataFrame:
    """Overlap of every anomalous image on a logarithmic axis."""
    pairs = estimator._bounds()
    if fpr_range is None:
        lowest, highest = min(pair[0] for pair in pairs), max(pair[1] for pair in pairs)
        fpr_range = (0.1 * lowest, min(1.0, 10.0 * highest))
    if not 0 < fpr_range[0] < fpr_range[1] <= 1 or n_points < 2:
        raise InputError(f"fpr_range={fpr_range} and n_points={n_points}: pass 0 < low < high <= 1")
    axis = np.geomspace(*fpr_range, n_points)
    frames = []
    for sample in exact_samples(estimator):
        # Asking for a higher bound is what makes the tail deep enough.
        prepared = replace(sample.prepared, rules=[LogRule(*fpr_range)])
        image = sample.rows[prepared.pixels.set_unit]
        for model, ladder in zip(sample.models, prepared.ladders, strict=True):
            overlap = overlaps(prepared, ladder, sample.weights, axis)
            size = overlap.size
            frames.append(
                pl.DataFrame(
                    {
                        "model": [model] * size,
                        **{name: [value] * size for name, value in sample.labels.items()},
                        "image": np.repeat(image, len(axis)),
                        "fpr": np.tile(axis, len(image)),
                        "overlap": overlap.ravel(),
                    }
                )
            )
    return pl.concat(frames)


def overlaps(prepared: Prepared, ladder: Any, weights: Array, axis: Array) -> Array:
    """Share of each set that is found at each rate, (sets, rates); ties count half."""
    at = prepared.reached(ladder, weights)
    pixels = prepared.pixels
    if at is None:
        return np.full((len(pixels.set_size), len(axis)), np.nan)
    ranked = at.ranked
    columns = []
    for rate in axis:
        found = (at.share[ranked.low] <= rate).astype(np.float64)
        found += at.share[ranked.high] <= rate
        columns.append(
            set_scores(ranked.offsets, ranked.slots, ranked.counts, pixels.set_size, 0.5 * found)
        )
    return np.column_stack(columns)


def thresholds_at(
    estimator: "AUPIMO", fpr: float | Sequence[float] | None, n_resamples: int, rng: Any
) -> pl.DataFrame:
    """Operating thresholds with percentile intervals over the normal images."""
    if fpr is None:
        rates = sorted({bound for pair in estimator._bounds() for bound in pair if bound < 1})
    else:
        rates = sorted(float(rate) for rate in np.atleast_1d(np.asarray(fpr, dtype=np.float64)))
    if not rates or not all(0 < rate < 1 for rate in rates):
        raise InputError(f"fpr={fpr!r}: rates lie strictly between 0 and 1")
    if estimator.shared_fpr not in ("mean", "pooled"):
        raise InputError("thresholds_at is offered for shared_fpr='mean' and 'pooled'")
    limits = np.array(rates)
    rows: list[dict[str, Any]] = []
    for sample in exact_samples(estimator):
        prepared = replace(sample.prepared, rules=[LogRule(rates[0] / 2, rates[-1])])
        both = _thresholds(prepared, sample.weights, limits)
        k = len(rates) * len(sample.models)
        value, achieved = both[:k], both[k:]
        low = high = np.full(k, np.nan)
        if n_resamples:
            low, high = _threshold_interval(estimator, sample, prepared, limits, n_resamples, rng)
        sign = 1.0 if estimator.higher_is_anomalous else -1.0
        for position in range(k):
            ends = sorted((sign * low[position], sign * high[position]))
            rows.append(
                {
                    "model": sample.models[position // len(rates)],
                    **sample.labels,
                    "fpr": rates[position % len(rates)],
                    "estimate": sign * value[position],
                    "achieved_fpr": achieved[position],
                    "ci_low": ends[0],
                    "ci_high": ends[1],
                }
            )
    return pl.DataFrame(rows)


def _thresholds(prepared: Prepared, weights: Array, limits: Array) -> Array:
    """Thresholds of all models at all rates, then the rates that they achieve."""
    values, achieved = [], []
    for ladder in prepared.ladders:
        at = prepared.reached(ladder, weights)
        if at is None:
            values.append(np.full(len(limits), np.nan))
            achieved.append(np.full(len(limits), np.nan))
            continue
        gain = at.gain * weights[prepared.pixels.normal_unit]
        highest, rate = threshold_ranks(at.ranked.scores, at.ranked.owner, gain, limits * at.total)
        values.append(np.nextafter(highest, np.inf))
        achieved.append(rate / at.total)
    return np.concatenate([*values, *achieved])


def _threshold_interval(
    estimator: "AUPIMO",
    sample: Sample,
    prepared: Prepared,
    limits: Array,
    n_resamples: int,
    rng: Any,
) -> tuple[Array, Array]:
    columns = sample.columns
    codes, n_units = None, columns.n
    if columns.cluster is not None:
        labels, codes = np.unique(columns.cluster, return_inverse=True)
        codes, n_units = codes.astype(np.int64).ravel(), len(labels)
    strata = estimator._sampled_populations(columns)
    units = Units(columns.n, n_units, codes, columns.weight, strata)
    k = len(limits) * len(prepared.ladders)

    def evaluate(weights: Array) -> Array:
        return _thresholds(prepared, weights, limits)[:k]

    part = Part(None, units, None, evaluate, None)
    problem = Problem(units, [part], evaluate(units.row_weight), True)
    drawn = infer(problem, Bootstrap(n_resamples=n_resamples, rng=rng))
    if drawn.replicates is None:
        raise AssertionError("a bootstrap has replicates")
    return percentile_interval(drawn.replicates, estimator.level)
