"""Targets ``call:<name>``: the public functions and the classes that are no estimators."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl

import evalstats as es
from tests.fuzz.checks import check_numbers
from tests.fuzz.estimators import SHARED, spoiled_arguments
from tests.fuzz.harness import Target, Trial
from tests.fuzz.options import described, keyword_options
from tests.fuzz.values import JUNK, Rng, pick, spoil, weights

Arguments = dict[str, Any]
SIZES = (1, 3, 8, 12, 20, 40)


def _labels(rng: Rng, n: int) -> Any:
    return rng.integers(0, 2, n)


def _scored(rng: Rng, n: int) -> Arguments:
    return {"y_true": _labels(rng, n), "y_score": rng.normal(size=n)}


def _forecast(rng: Rng, n: int) -> Arguments:
    return {"y_true": _labels(rng, n), "y_prob": rng.random(n)}


def _any_forecast(rng: Rng, n: int) -> Arguments:
    if rng.random() < 0.6:
        return _forecast(rng, n)
    return _table(rng, n)


def _table(rng: Rng, n: int) -> Arguments:
    return {"y_true": np.arange(n) % 3, "y_prob": rng.dirichlet(np.ones(3), n)}


def _maps(rng: Rng, n: int) -> Arguments:
    masks = np.zeros((max(2, n // 3), 6, 7), dtype=bool)
    masks[len(masks) // 2 :, 2:4, 2:5] = True
    return {"masks": masks, "anomaly_maps": np.round(rng.normal(size=masks.shape) + masks, 1)}


def _paths(rng: Rng, n: int) -> Arguments:
    steps = int(pick(rng, (1, 3)))
    truth = rng.normal(size=(steps, n, 2))
    return {"trajectory": truth, "samples": rng.normal(size=(12, steps, n, 2)) + truth}


def _detections(rng: Rng, n: int) -> Arguments:
    from evalstats.detection.average_precision import AveragePrecision

    example = AveragePrecision._example_arguments(rng, max(n, 3))
    return {"ground_truth": example["ground_truth"], "detections": example["detections"]["a"]}


def coco(rng: Rng, n: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """COCO ground truth and results as plain json documents."""
    images = [{"id": i + 1, "height": 20, "width": 20} for i in range(n)]
    categories = [{"id": 1, "name": "<i>cat</i>"}, {"id": 5, "name": "dog"}]
    mask = {"size": [20, 20], "counts": [5, 3, 392]}
    annotations = [
        {
            "id": i + 1,
            "image_id": 1 + i % max(n, 1),
            "category_id": (1, 5)[i % 2],
            "bbox": [float(x) for x in rng.integers(1, 9, 4)],
            "area": 30.0,
            "iscrowd": 0,
            "segmentation": mask,
        }
        for i in range(2 * n)
    ]
    results = [
        {
            "image_id": item["image_id"],
            "category_id": item["category_id"],
            "bbox": [x + 0.5 for x in item["bbox"]],
            "score": float(rng.random()),
            "segmentation": mask,
        }
        for item in annotations
    ]
    return {"images": images, "categories": categories, "annotations": annotations}, results


def _people(rng: Rng, n: int) -> Arguments:
    return {"X": rng.normal(size=(n, 2)), "y": rng.normal(size=n), "protected": rng.normal(size=n)}


def _agents(rng: Rng, n: int) -> Arguments:
    steps = [(a, t) for a in range(n) for t in range(2)]
    truth = pl.DataFrame({"agent": [a for a, _ in steps], "step": [t for _, t in steps]})
    truth = truth.with_columns(x=pl.Series(rng.normal(size=len(steps))), y=pl.lit(0.5))
    rows = pl.DataFrame({"sample": [0, 1, 2]}).join(truth, how="cross")
    return {"frame": rows, "truth": truth}


def _ranked(rng: Rng, n: int) -> Arguments:
    return {"scores": {"a": rng.random(n), "b": rng.random(n), "c": rng.random(n)}}


def _pair(rng: Rng, n: int) -> Arguments:
    return {"x": rng.normal(size=n), "y": rng.normal(size=n)}


def _audit(rng: Rng, n: int) -> Arguments:
    return {"prediction": rng.random(n), "group": _labels(rng, n)}


def _jump(rng: Rng, n: int) -> Arguments:
    running = rng.uniform(-1, 1, n)
    return {"running": running, "outcome": rng.normal(size=n), "bandwidth": 0.8}


def _preference(rng: Rng, n: int) -> Arguments:
    return {"preference": 1 + rng.random(n)}


FUNCTIONS: Mapping[str, Callable[[Rng, int], Arguments]] = {
    "ace_netcal": _any_forecast,
    "ace_nixon": _table,
    "amd_amv": _paths,
    "atomic_mistakes": _scored,
    "aupimo": _maps,
    "auprc": _scored,
    "aupro": _maps,
    "auroc": _scored,
    "average_precision": _detections,
    "balance_score": _any_forecast,
    "brier_score": _any_forecast,
    "calibrate_scores": _detections,
    "calibration_error": _any_forecast,
    "calibration_regression": _forecast,
    "calibration_summary": _forecast,
    "corp_decomposition": _forecast,
    "distance_correlation_squared": _pair,
    "distance_covariance_squared": _pair,
    "ece": _any_forecast,
    "energy_score": lambda rng, n: _paths(rng, n),
    "fairness_path": _people,
    "forecasts_from_frame": _agents,
    "hosmer_lemeshow_test": _forecast,
    "jensen_shannon_divergence": _audit,
    "log_loss": _any_forecast,
    "min_ade_fde": _paths,
    "murphy_decomposition": _forecast,
    "pooled_average_precision": _detections,
    "rank_models": _ranked,
    "recalibration_report": _any_forecast,
    "regression_discontinuity": _jump,
    "smooth_calibration_error": _forecast,
    "spiegelhalter_test": _forecast,
    "unfairness": _audit,
    "win_rate": _preference,
}
# A path of penalties fits hundreds of models, a report cross-fits five methods.
DEAR = ("fairness_path", "recalibration_report")


def targets() -> list[Target]:
    """One target per function, and per class with a method that takes data."""
    named = [Target(f"call:{name}", _drawer(name), _share(name)) for name in FUNCTIONS]
    named += [Target(f"call:{name}", _class_drawer(name), 2.0) for name in CLASSES]
    return [*named, *(Target(f"call:{name}", draw, 1.5) for name, draw in OTHERS.items())]


def _share(name: str) -> float:
    return 0.005 if name in DEAR else 3.0


def _drawer(name: str) -> Callable[[Rng], Trial]:
    def draw(rng: Rng) -> Trial:
        function = getattr(es, name)
        n = int(pick(rng, SIZES))
        arguments = FUNCTIONS[name](rng, n)
        options = keyword_options(rng, function, leave=("data", "cluster", "sample_weight"))
        if name == "aupimo":
            options.setdefault("fpr_bounds", (0.01, 0.4))
        if name == "recalibration_report":
            options.setdefault("methods", ("platt", "isotonic"))
        if "sample_weight" in inspect.signature(function).parameters and rng.random() < 0.3:
            options["sample_weight"] = weights(rng, n)
        for _ in range(int(pick(rng, (0, 0, 0, 1, 1, 2)))):
            arguments = spoiled_arguments(rng, arguments)
        return Trial(
            call=lambda: function(**arguments, **options),
            names=(*arguments, *options, *inspect.signature(function).parameters, *SHARED, "row"),
            watched=[arguments, options],
            # With one group the number of the paper is NaN, as its documentation says.
            check=check_numbers if name != "unfairness" else lambda result: None,
            text=f"es.{name}({described(arguments | options)})",
        )

    return draw


# Classes that learn from data -------------------------------------------------------------------


PREDICTIONS = ("predict_proba", "predict_set", "predict", "predict_interval", "transform")


def _recalibrator(rng: Rng, model: Any, n: int) -> Any:
    data = _any_forecast(rng, n)
    p, y = data["y_prob"], data["y_true"]
    arguments: Arguments = {"X": p, "y": y}
    if rng.random() < 0.5:
        arguments = spoiled_arguments(rng, arguments)
    given, labels = arguments["X"], arguments["y"]
    weight = weights(rng, n) if rng.random() < 0.2 else None
    later = spoil(rng, p) if rng.random() < 0.3 else p
    use = pick(rng, [name for name in PREDICTIONS if hasattr(model, name)])
    crossed = rng.random() < 0.3

    def call() -> Any:
        if crossed:
            return model.cross_fit(given, labels, n_folds=2, sample_weight=weight)
        model.fit(given, labels, weight)
        return getattr(model, use)(later)

    return call, [arguments, later, weight], arguments


def _glm(rng: Rng, model: Any, n: int) -> Any:
    arguments = _people(rng, n)
    if rng.random() < 0.3:
        arguments["sample_weight"] = weights(rng, n)
    for _ in range(int(pick(rng, (0, 1, 1)))):
        arguments = spoiled_arguments(rng, arguments)
    later = rng.normal(size=(3, 2)) if rng.random() < 0.7 else spoil(rng, rng.normal(size=(3, 2)))

    use = pick(rng, (model.predict, model.predict_mean))

    def call() -> Any:
        model.fit(**arguments)
        return use(later)

    return call, [arguments, later], arguments


CLASSES: Mapping[str, Callable[[Rng, Any, int], Any]] = {
    "BetaCalibration": _recalibrator,
    "FairGLM": _glm,
    "IsotonicRecalibration": _recalibrator,
    "PlattScaling": _recalibrator,
    "SplitConformal": _recalibrator,
    "TemperatureScaling": _recalibrator,
    "VennABERS": _recalibrator,
}


def _class_drawer(name: str) -> Callable[[Rng], Trial]:
    def draw(rng: Rng) -> Trial:
        cls = getattr(es, name)
        options = keyword_options(rng, cls.__init__)
        n = int(pick(rng, SIZES))
        call, watched, arguments = CLASSES[name](rng, cls(**options), n)
        words = (*arguments, *options, *inspect.signature(cls.__init__).parameters, *SHARED)
        return Trial(
            call,
            (*words, "y_true", "y_prob", "n_folds", "exposure", "row", "labels", "column"),
            watched,
            text=f"{name}({described(options)}) on {described(arguments)}",
        )

    return draw


# Everything else --------------------------------------------------------------------------------


def _variables(function: Any) -> Callable[[Rng], Trial]:
    def draw(rng: Rng) -> Trial:
        n = int(pick(rng, SIZES))
        columns = [rng.normal(size=n) for _ in range(int(pick(rng, (2, 2, 3, 1))))]
        columns = [spoil(rng, column) if rng.random() < 0.2 else column for column in columns]
        options = keyword_options(rng, function)
        return Trial(
            lambda: function(*columns, **options),
            ("variable", "prediction", "attribute", *options, "standardise", "estimator", "rows"),
            columns,
            check_numbers,
            f"{function.__name__}({columns!r}, {described(options)})",
        )

    return draw


def _configuration(rng: Rng) -> Trial:
    cls = pick(rng, (es.Bootstrap, es.Bootstrap, es.Analytic))
    names = list(inspect.signature(cls.__init__).parameters)[1:]
    options = {name: pick(rng, JUNK) for name in names if rng.random() < 0.3}
    return Trial(
        lambda: cls(**options).describe(), names, text=f"{cls.__name__}({described(options)})"
    )


def _keys(rng: Rng) -> Trial:
    keys = [pick(rng, ("delong1988", "nonsense", "", *JUNK)) for _ in range(int(rng.integers(3)))]
    return Trial(lambda: es.citations(*keys), ("key", "citation"), text=f"citations(*{keys!r})")


def _mixtures(rng: Rng) -> Trial:
    shapes = {"weights": (1, 2, 3), "means": (1, 2, 3, 2), "covariances": (1, 2, 3, 2, 2)}
    arrays: Arguments = {name: rng.random(shape) for name, shape in shapes.items()}
    arrays["covariances"] = np.tile(np.eye(2), (1, 2, 3, 1, 1))
    if rng.random() < 0.7:
        arrays = spoiled_arguments(rng, arrays)
    truth = rng.normal(size=(2, 3, 2))
    return Trial(
        lambda: (
            es.AMD(inference=es.NoInference()).fit(truth, es.GaussianMixtures(**arrays)).estimate_
        ),
        (*arrays, "samples", "trajectory", "mixture"),
        arrays,
        text=f"GaussianMixtures({described(arrays)})",
    )


def _weighted_samples(rng: Rng) -> Trial:
    arrays: Arguments = {"samples": rng.random((5, 2, 3, 2)), "probability": rng.random(5)}
    if rng.random() < 0.7:
        arrays = spoiled_arguments(rng, arrays)
    truth = rng.normal(size=(2, 3, 2))
    return Trial(
        lambda: (
            es.AMV(inference=es.NoInference()).fit(truth, es.WeightedSamples(**arrays)).estimate_
        ),
        (*arrays, "trajectory"),
        arrays,
        text=f"WeightedSamples({described(arrays)})",
    )


def _stream(rng: Rng) -> Trial:
    document, results = coco(rng, int(pick(rng, (1, 2, 4))))
    rows = {
        key: [row[key] for row in results] for key in ("image_id", "category_id", "score", "bbox")
    }
    if rng.random() < 0.5:
        key = pick(rng, list(rows))
        rows[key] = spoil(rng, np.array(rows[key]))
    steps = [pick(rng, ("count", "update", "merge")) for _ in range(int(rng.integers(4)))]
    budget = pick(rng, (1, 3, 10_000, 0, -1))

    def call() -> Any:
        truth, found = es.read_ground_truth(document), es.read_detections(rows)
        stream = es.DetectionStream(truth.categories, class_budget=budget)
        for step in steps:
            if step == "merge":
                stream = stream.merge(es.DetectionStream(truth.categories, class_budget=budget))
            else:
                getattr(stream, step)(*((found,) if step == "count" else (truth, found)))
        return stream.collect()

    words = (*rows, "categories", "class_budget", "detections", "image", "part")
    return Trial(call, words, rows, text=f"DetectionStream {steps} of {described(rows)}")


OTHERS: Mapping[str, Callable[[Rng], Trial]] = {
    "joint_distance_covariance_squared": _variables(es.joint_distance_covariance_squared),
    "concatenated_distance_covariance_squared": _variables(
        es.concatenated_distance_covariance_squared
    ),
    "Bootstrap": _configuration,
    "citations": _keys,
    "GaussianMixtures": _mixtures,
    "WeightedSamples": _weighted_samples,
    "DetectionStream": _stream,
}
