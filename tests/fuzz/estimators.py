"""Targets ``fit:<Estimator>``: every registered estimator with spoiled columns and options."""

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from evalstats.estimator import Estimator
from tests.battery_support import registered
from tests.fuzz.checks import check_estimate
from tests.fuzz.harness import Target, Trial
from tests.fuzz.options import INFERENCES, bootstrap, constructor_options, described
from tests.fuzz.values import NAMES, Rng, codes, pick, spoil, weights

SIZES = (1, 3, 8, 12, 20, 20, 40, 40)
LARGER = {"AUPIMO": (4, 8, 12), "AUPRO": (4, 8, 12), "DistributionRDD": (1, 5, 40, 80, 80)}
# Their default inference is a bootstrap of thousands of replicates: "auto" is drawn rarely.
SLOW_DEFAULT = (
    "AveragePrecision", "PooledAveragePrecision", "CalibrationError", "AMD", "AMV",
    "ReliabilityDiagram", "TrajectoryScores",
)  # fmt: skip
SHARED = (
    "interval",
    "kind",
    "stratify",
    "path.json",
    "column of labels",
    "sample_weight",
    "cluster",
    "by",
    "data",
    "nan_policy",
    "level",
    "inference",
)


def targets() -> list[Target]:
    """One target for each registered estimator."""
    return [Target(f"fit:{cls.__name__}", _drawer(cls), 0.7) for cls in registered()]


def _drawer(cls: type[Estimator]) -> Any:
    return lambda rng: draw(rng, cls)


def small_example(rng: Rng, cls: type[Estimator]) -> tuple[dict[str, Any], int]:
    """Valid arguments of few rows."""
    n = int(pick(rng, LARGER.get(cls.__name__, SIZES)))
    while True:
        try:
            return cls._example_arguments(rng, n), n
        except (ValueError, IndexError):
            # An example may need more rows to hold both classes.
            n += 1


def small_inference(rng: Rng, cls: type[Estimator]) -> Any:
    """Any inference that is cheap enough."""
    inference = pick(rng, INFERENCES)(rng)
    return bootstrap(rng) if inference == "auto" and cls.__name__ in SLOW_DEFAULT else inference


def draw(rng: Rng, cls: type[Estimator]) -> Trial:
    """Spoil columns, names of models, weights, clusters, groups, options or the container."""
    arguments, n = small_example(rng, cls)
    shared: dict[str, Any] = {}
    params = {"inference": small_inference(rng, cls)} if rng.random() < 0.9 else {}
    if cls.__name__ in SLOW_DEFAULT and not params:
        params["inference"] = bootstrap(rng)
    if cls.__name__ == "AUPIMO":
        params["fpr_bounds"] = (0.01, 0.2)
    params |= constructor_options(rng, cls)
    if rng.random() < 0.3:
        shared["sample_weight"] = weights(rng, n)
    if rng.random() < 0.2:
        shared["cluster"] = codes(rng, n)
    if rng.random() < 0.2:
        shared["by"] = codes(rng, n) if rng.random() < 0.7 else {pick(rng, NAMES): codes(rng, n)}
    for _ in range(int(pick(rng, (0, 0, 0, 1, 1, 2)))):
        arguments = spoiled_arguments(rng, arguments)
    if rng.random() < 0.15 and "data" in inspect.signature(cls.fit).parameters:
        arguments, shared = _as_frame(rng, arguments, shared, n)
    names = words(cls, arguments)
    return Trial(
        call=lambda: cls(**params).fit(**arguments, **shared).estimate_,
        names=names,
        watched=[arguments, shared],
        check=lambda estimate: check_estimate(rng, estimate, cls, params),
        text=f"{cls.__name__}({described(params)}).fit({described(arguments | shared)})",
    )


def words(cls: type[Estimator], arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """What a refusal may name."""
    init = cls._parameter_names()
    return (
        *arguments,
        *init,
        *SHARED,
        *(role.name for role in cls.roles),
        "ground_truth",
        "row",
        "model or group",
    )


def spoiled_arguments(rng: Rng, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Spoil the column or the model names of one role."""
    role = pick(rng, list(arguments))
    value = arguments[role]
    changed = dict(arguments)
    if isinstance(value, Mapping) and value:
        changed[role] = _spoiled_models(rng, value)
    elif hasattr(value, "dtype") or isinstance(value, list):
        changed[role] = _spoiled_column(rng, value)
    else:
        changed[role] = pick(rng, (None, "path.json", {}, [], 3, value))
    return changed


def _spoiled_models(rng: Rng, models: Mapping[str, Any]) -> Any:
    kind = int(rng.integers(6))
    names = list(models)
    if kind == 0:
        renamed = dict(zip([pick(rng, NAMES) for _ in names], models.values(), strict=True))
        return renamed if len(renamed) == len(names) else models
    if kind == 1:
        return next(iter(models.values()))
    if kind == 2:
        return {names[0]: models[names[0]]}
    if kind == 3 and all(np.ndim(column) == 1 for column in models.values()):
        return np.column_stack(list(models.values()))
    target = pick(rng, names)
    return {name: _spoiled_column(rng, c) if name == target else c for name, c in models.items()}


def _spoiled_column(rng: Rng, column: Any) -> Any:
    if not hasattr(column, "dtype"):
        return pick(rng, (None, [], {}, column))
    if column.dtype == object and len(column) and isinstance(column[0], np.ndarray):
        return _spoiled_objects(rng, column)
    return spoil(rng, column)


def _spoiled_objects(rng: Rng, column: Any) -> Any:
    """Spoil the array of one row, or stack all."""
    if rng.random() < 0.3:
        return np.stack(list(column))
    changed = column.copy()
    row = int(rng.integers(len(column)))
    changed[row] = spoil(rng, column[row])
    return changed


def _as_frame(
    rng: Rng, arguments: Mapping[str, Any], shared: Mapping[str, Any], n: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The same data as columns of a frame, under hostile names."""
    columns: dict[str, Any] = {}
    named: dict[str, Any] = {}

    def stored(name: Any, value: Any) -> str:
        name = name if isinstance(name, str) and "\ud800" not in name else "column"
        while name in columns:
            name += "_"
        # polars aborts the process when it builds nested columns of some odd types.
        nested = isinstance(value, np.ndarray) and value.dtype == object and np.ndim(value[:1]) > 1
        if nested or getattr(value, "ndim", 1) > 1:
            try:
                value = [np.asarray(item, dtype=np.float64) for item in value]
            except (TypeError, ValueError):
                value = [None] * n
        columns[name] = value
        return name

    for role, value in arguments.items():
        if isinstance(value, Mapping):
            named[role] = [stored(pick(rng, (m, pick(rng, NAMES))), c) for m, c in value.items()]
        else:
            named[role] = stored(pick(rng, (role, pick(rng, NAMES))), value)
    rest = {}
    for name, value in shared.items():
        rest[name] = value if isinstance(value, Mapping) else stored(name, value)
    try:
        frame = pl.DataFrame(columns, strict=False)
        data = pick(
            rng,
            (
                lambda: frame,
                frame.lazy,
                lambda: frame.to_pandas(),
                lambda: frame.to_arrow(),
                lambda: pd.concat([frame.to_pandas()] * 2, axis=1),
                lambda: frame.head(0),
            ),
        )()
    except (Exception, pl.exceptions.PanicException):  # no such frame can exist
        return dict(arguments), dict(shared)
    if rng.random() < 0.1:
        role = pick(rng, list(named))
        named[role] = pick(rng, ("missing", ["missing"], [], 3, [named[role], named[role]], None))
    return named, rest | {"data": data}
