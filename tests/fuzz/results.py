"""Targets ``estimate:<method>`` and ``method:<Estimator.method>``: what can be done after a fit."""

import copy
import inspect
import pickle
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

import evalstats as es
from tests.battery_support import registered
from tests.fuzz.checks import (
    check_html,
    check_latex,
    check_markdown,
    check_plot,
    check_saved,
    check_terminal,
)
from tests.fuzz.harness import Target, Trial, WrongError
from tests.fuzz.options import KNOWN, described, keyword_options
from tests.fuzz.values import JUNK, NAMES, Rng, pick

POOL = 4
ROWS = {"DistributionRDD": 80, "AUPIMO": 12, "AUPRO": 12}
METHOD_NAMES = (
    "level", "null", "alternative", "adjust", "reference", "terms", "margin", "matrix", "labels",
    "column", "term", "digits", "label", "caption", "compare", "row",
)  # fmt: skip
# They read further data, or have a target of their own.
# density_test needs a further package.
NOT_AFTER_FIT = (
    "fit", "finalize", "merge", "partial", "stream", "plot", "chance_level", "density_test",
)  # fmt: skip
# Hundreds of milliseconds each, mostly drawing.
DEAR = ("plot_budgets", "plot_categories", "placebo_cutoffs", "bandwidth_path", "permutation_test")


@cache
def fitted(name: str, number: int) -> Any:
    """Estimator `name`, fitted to its example under hostile names of models."""
    cls = next(cls for cls in registered() if cls.__name__ == name)
    rng = np.random.default_rng([7, number])
    n = ROWS.get(name, 30)
    arguments = cls._example_arguments(rng, n)
    if number:
        arguments = {
            role: _renamed(value, number) if isinstance(value, Mapping) else value
            for role, value in arguments.items()
        }
    inference = (es.Bootstrap(20, rng=0, n_jobs=1), "auto", es.NoInference(), es.Jackknife())
    options: dict[str, Any] = {"inference": inference[number]}
    if name == "AUPIMO":
        options["fpr_bounds"] = (0.01, 0.2)
    if name in ("AveragePrecision", "PooledAveragePrecision", "CalibrationError") and number == 1:
        options["inference"] = es.Bootstrap(20, rng=0, n_jobs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return cls(**options).fit(**arguments)
        except es.InputError:
            return cls(**(options | {"inference": es.NoInference()})).fit(**arguments)


def _renamed(models: Mapping[str, Any], number: int) -> dict[str, Any]:
    texts = [name for name in NAMES[:14] if isinstance(name, str) and name != "\ud800lone"]
    chosen = [texts[(5 * number + j) % len(texts)] for j in range(len(models))]
    return dict(zip(chosen, models.values(), strict=True))


def targets() -> list[Target]:
    """Methods of the result, and methods of fitted estimators."""
    found = [
        Target(f"estimate:{name}", _estimate_drawer(name), 0.01 if name == "plot" else 2.0)
        for name in ESTIMATE
    ]
    for cls in registered():
        base = set(dir(es.Estimator)) | set(NOT_AFTER_FIT)
        for name in sorted(set(dir(cls)) - base):
            if not name.startswith("_") and callable(getattr(cls, name)):
                share = 0.003 if name in DEAR else 0.04
                draw = _method_drawer(cls.__name__, name)
                found.append(Target(f"method:{cls.__name__}.{name}", draw, share))
    return found


def any_fitted(rng: Rng) -> Any:
    """One of the pool."""
    return fitted(pick(rng, registered()).__name__, int(rng.integers(POOL)))


# Estimate ---------------------------------------------------------------------------------------


def _contrast_arguments(rng: Rng, estimate: Any) -> dict[str, Any]:
    k = len(estimate)
    rows = int(pick(rng, (1, 2, 3)))
    matrix = pick(
        rng,
        (
            rng.normal(size=(rows, k)),
            np.zeros((rows, k)),
            np.full((rows, k), np.nan),
            np.full((rows, k), 1e300),
            rng.normal(size=(rows, k + 1)),
            np.ones(k),
            np.ones((2, 2, k)),
            [],
            "text",
            [[1] * k, [2]],
        ),
    )
    labels = pick(rng, ([str(i) for i in range(rows)], ["a"] * rows, ["a"], [], "ab", None, [1.5]))
    return {"matrix": matrix, "labels": labels}


def _reference(rng: Rng, estimate: Any) -> Any:
    return pick(
        rng, (None, estimate.terms["model"][0], estimate.terms["model"][-1], "nobody", 3, [])
    )


def _compare_arguments(rng: Rng, estimate: Any) -> dict[str, Any]:
    options = keyword_options(rng, es.Estimate.compare, leave=("reference", "terms"))
    options["reference"] = _reference(rng, estimate)
    options["terms"] = pick(rng, (None, None, *estimate.terms.columns, "nonsense"))
    return options


def _select_arguments(rng: Rng, estimate: Any) -> dict[str, Any]:
    column = pick(rng, (*estimate.terms.columns, "nonsense"))
    known = estimate.terms[column][0] if column in estimate.terms.columns else 0
    return {column: pick(rng, (known, *JUNK))}


def _table_arguments(method: str) -> Callable[[Rng, Any], dict[str, Any]]:
    def draw(rng: Rng, estimate: Any) -> dict[str, Any]:
        from evalstats.results import tables

        writer = getattr(tables, f"format_{method}")
        options = keyword_options(rng, writer)
        for name in ("title", "note"):
            if name in options:
                options[name] = pick(rng, [text for text in NAMES if isinstance(text, str)])
        options.pop("caption", None)
        return options

    return draw


def _plain(method: Any) -> Callable[[Rng, Any], dict[str, Any]]:
    return lambda rng, estimate: keyword_options(rng, method)


ESTIMATE: Mapping[str, Callable[[Rng, Any], dict[str, Any]]] = {
    "confidence_interval": _plain(es.Estimate.confidence_interval),
    "test": _plain(es.Estimate.test),
    "compare": _compare_arguments,
    "joint_test": lambda rng, e: {"terms": pick(rng, (None, *e.terms.columns, "nonsense", 3))},
    "contrast": _contrast_arguments,
    "select": _select_arguments,
    "to_frame": _plain(es.Estimate.to_frame),
    "to_html": _table_arguments("html"),
    "to_latex": _table_arguments("latex"),
    "to_markdown": _table_arguments("markdown"),
    "__str__": lambda rng, e: {},
    "__repr__": lambda rng, e: {},
    "methods": lambda rng, e: {},
    "save": lambda rng, e: {},
    "copies": lambda rng, e: {},
    "plot": lambda rng, e: {},
}


def _estimate_drawer(name: str) -> Callable[[Rng], Trial]:
    def draw(rng: Rng) -> Trial:
        estimate = any_fitted(rng).estimate_
        arguments = ESTIMATE[name](rng, estimate)

        def call() -> Any:
            if name == "save":
                return check_saved(estimate)
            if name == "copies":
                return _check_copies(estimate)
            return getattr(estimate, name)(**arguments)

        return Trial(
            call,
            (*METHOD_NAMES, *arguments, *estimate.terms.columns),
            [estimate.value, estimate.covariance, arguments],
            lambda result: _check_result(name, result, estimate),
            f"<{estimate!r}>.{name}({described(arguments)})",
        )

    return draw


def _check_copies(estimate: Any) -> None:
    for copied in (copy.deepcopy(estimate), pickle.loads(pickle.dumps(estimate))):
        if copied != estimate:
            raise WrongError("a copy differs")


def _check_result(name: str, result: Any, estimate: Any) -> None:
    if name == "to_html":
        check_html(result)
    elif name == "to_latex":
        check_latex(result)
    elif name == "to_markdown":
        check_markdown(result, estimate.terms.height)
    elif name in ("__str__", "__repr__", "methods"):
        check_terminal(result)
    elif name == "plot":
        check_plot(result)
    elif name in ("compare", "test"):
        _check_test_table(result)


def _check_test_table(table: Any) -> None:
    for column in ("p_value", "p_adjusted"):
        p = np.asarray(table[column].to_numpy(), dtype=float)
        if not (np.isnan(p) | ((p >= 0) & (p <= 1))).all():
            raise WrongError(f"{column} outside [0, 1]: {p}")
    if (table["p_adjusted"].to_numpy() < table["p_value"].to_numpy() - 1e-12).any():
        raise WrongError("an adjusted p-value is smaller than the raw one")


# Methods of estimators --------------------------------------------------------------------------


def _method_drawer(estimator: str, name: str) -> Callable[[Rng], Trial]:
    def draw(rng: Rng) -> Trial:
        model = fitted(estimator, int(rng.integers(POOL)))
        method = getattr(model, name)
        needed = [
            parameter
            for parameter in inspect.signature(method).parameters.values()
            if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        ]
        options = keyword_options(rng, method)
        for count in ("n_resamples", "n_permutations"):
            if count in inspect.signature(method).parameters:
                options.setdefault(count, pick(rng, KNOWN[count]))
        models = (
            list(model.estimate_.terms["model"].unique())
            if "model" in model.estimate_.terms
            else []
        )
        required = [pick(rng, (*models, *models, *JUNK[:12])) for _ in needed]
        words = [*inspect.signature(method).parameters, *model._parameter_names(), name, "fit"]
        return Trial(
            lambda: method(*required, **options),
            (*words, "model", "inference", "group", "row", *model.estimate_.terms.columns),
            [required, options, model.estimate_.value],
            text=f"{model!r}.{name}(*{required!r}, {described(options)})",
        )

    return draw
