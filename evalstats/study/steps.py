"""The steps of a study: what is fitted, with which seed, under which key of the cache."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from evalstats.estimator import Estimator
from evalstats.inference.methods import Bootstrap
from evalstats.results.method_text import package_version
from evalstats.study.hashing import NotHashableError, canonical, code_digest
from evalstats.study.sources import Source
from evalstats.study.specification import Comparison, Metric, Specification
from evalstats.study.toml_lines import KeyPath

KEY_VERSION = 1


@dataclass(frozen=True)
class Step:
    """One fit with everything that decides its numbers.

    Attributes
    ----------
    name : str
        Name of the metric.
    estimator : Estimator
        Configured and seeded.
    source : Source
        Where the rows come from.
    arguments : mapping of str to object
        Arguments of ``fit`` without ``data``.
    comparison : Comparison or None
        How models are compared.
    seed : int
        Seed of inference that the estimator chooses itself.
    path : tuple
        Place in the study.
    identity : mapping or None
        What the key is made of; None where some of it has no hash.
    """

    name: str
    estimator: Estimator
    source: Source
    arguments: Mapping[str, Any]
    comparison: Comparison | None
    seed: int
    path: KeyPath
    identity: Mapping[str, Any] | None

    @property
    def key(self) -> str | None:
        """Name of the step in the cache; None if it cannot be cached."""
        if self.identity is None:
            return None
        text = json.dumps(self.identity, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def make_steps(specification: Specification, *, with_keys: bool = True) -> list[Step]:
    """Steps in the order of the study.

    Parameters
    ----------
    specification : Specification
        The study.
    with_keys : bool
        Whether to hash the data.
    """
    return [_step(metric, specification.seed, with_keys) for metric in specification.metrics]


def derived_seed(root: int | None, name: str) -> int:
    """Seed of a metric: from the root and its name, so that order and neighbours do not matter."""
    if root is None:
        return 0
    words = np.frombuffer(hashlib.sha256(name.encode()).digest(), dtype="<u4")
    state = np.random.SeedSequence([root, *words.tolist()]).generate_state(1, np.uint64)
    # Below 2**53, so that a reader of the manifest in any language gets the same number.
    return int(state[0]) >> 11


def _step(metric: Metric, root: int | None, with_keys: bool) -> Step:
    seed = derived_seed(root, metric.name)
    estimator = _seeded(metric, seed, given=root is not None)
    step = Step(
        metric.name,
        estimator,
        metric.source,
        metric.arguments,
        metric.comparison,
        seed,
        metric.path,
        None,
    )
    return replace(step, identity=_identity(step)) if with_keys else step


def _seeded(metric: Metric, seed: int, *, given: bool) -> Estimator:
    parameters = metric.estimator.get_params()
    if given and "rng" in parameters and not metric.own_rng:
        parameters["rng"] = seed
    inference = parameters["inference"]
    if isinstance(inference, Bootstrap) and inference.rng is None:
        parameters["inference"] = replace(inference, rng=seed)
    return type(metric.estimator)(**parameters)


def _identity(step: Step) -> dict[str, Any] | None:
    try:
        return {
            "version": KEY_VERSION,
            "evalstats": [package_version(), code_digest()],
            "estimator": f"{type(step.estimator).__module__}.{type(step.estimator).__qualname__}",
            "parameters": canonical(step.estimator.get_params()),
            "arguments": canonical(dict(step.arguments)),
            "comparison": canonical(step.comparison),
            "seed": step.seed,
            "data": canonical(_content(step.source.describe())),
        }
    except NotHashableError:
        return None


def _content(described: Mapping[str, Any] | None) -> Any:
    """What a source holds, without the names of its files: a moved file is the same data."""
    if described is None:
        raise NotHashableError("data")
    drop = ("path",)
    return {
        name: [{k: v for k, v in item.items() if k not in drop} for item in value]
        if isinstance(value, list)
        else value
        for name, value in described.items()
    }
