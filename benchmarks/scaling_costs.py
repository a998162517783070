"""What each estimator costs per million of its units, and the size of its state."""

import time
from typing import Any

import numpy as np

import evalstats as es
from benchmarks.processes import task
from evalstats.estimator import REGISTRY
from evalstats.mergeable import MergeableEstimator

# Sizes grow until one run takes as long as this, so that what does not depend on them vanishes.
LONG_ENOUGH = 0.5
SIZES = (200, 1_000, 5_000, 20_000, 100_000, 400_000)


def registered() -> list[str]:
    """Names of all estimators."""
    for name in es.__all__:
        getattr(es, name)
    return sorted(REGISTRY)


@task
def cost(name: str) -> dict[str, float]:
    """Seconds of ``fit`` without resampling where that is offered, and of ``partial``."""
    registered()
    cls = REGISTRY[name]
    estimator: Any = cls(inference=es.NoInference())  # type: ignore[call-arg]
    found: dict[str, float] = {}
    for n in SIZES:
        arguments = cls._example_arguments(np.random.default_rng(0), n)
        if not found:
            estimator.fit(**arguments)
        seconds = _seconds(estimator.fit, arguments)
        found = {"units": float(n), "fit": seconds}
        if seconds > LONG_ENOUGH:
            break
    options = _bounded_state(estimator)
    if options is not None:
        state = estimator.partial(**arguments, **options)
        found["partial"] = _seconds(estimator.partial, {**arguments, **options})
        found["bytes"] = float(len(state.to_bytes()))
    return found


def _bounded_state(estimator: Any) -> dict[str, str] | None:
    if not isinstance(estimator, MergeableEstimator):
        return None
    return {"state": estimator.states[-1]} if estimator.states else {}


def _seconds(run: Any, arguments: dict[str, Any]) -> float:
    start = time.process_time()
    run(**arguments)
    return time.process_time() - start
