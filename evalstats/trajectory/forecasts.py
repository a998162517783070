"""What a predictor emits for each agent: samples, weighted samples or a Gaussian mixture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalstats.data.intake import LARGEST_WEIGHT, SMALLEST_WEIGHT, number_array, to_array
from evalstats.errors import InputError

Array = NDArray[Any]


@dataclass(frozen=True)
class WeightedSamples:
    """Samples with a probability each, such as the modes of a multi-modal predictor.

    Parameters
    ----------
    samples : array-like
        Positions, in the order of the estimator's `axes`.
    probability : array-like (K,) or (K, A)
        Non-negative weight of each sample, shared by all agents or for each of them.

    Examples
    --------
    >>> import numpy as np
    >>> import evalstats as es
    >>> rng = np.random.default_rng(0)
    >>> forecast = es.WeightedSamples(rng.normal(size=(64, 3, 5, 2)), rng.random(64))
    >>> scores = es.AMV().fit(np.zeros((3, 5, 2)), {"a": forecast})
    >>> scores.estimate_.n_units
    5
    """

    samples: ArrayLike
    probability: ArrayLike


@dataclass(frozen=True)
class GaussianMixtures:
    """Predicted Gaussian mixtures, which need no fitting and have no sampling error.

    Parameters
    ----------
    weights : array-like
        Component weights, in the order of the estimator's `axes` without D, K being the component.
    means : array-like
        Component means, in the order of `axes`.
    covariances : array-like
        Component covariances: `axes`, then one more coordinate axis at the end.

    Examples
    --------
    >>> import numpy as np
    >>> import evalstats as es
    >>> mixtures = es.GaussianMixtures(
    ...     np.ones((1, 2, 4)), np.zeros((1, 2, 4, 2)), np.tile(np.eye(2), (1, 2, 4, 1, 1))
    ... )
    >>> scores = es.AMD().fit(np.ones((2, 4, 2)), {"unit": mixtures})
    >>> round(float(scores.estimate_.value[0]), 4)
    1.4142
    """

    weights: ArrayLike
    means: ArrayLike
    covariances: ArrayLike


@dataclass(frozen=True)
class AgentSamples:
    """Samples (K, T, D) of one agent, with their probabilities (K,)."""

    values: Array
    probability: Array


@dataclass(frozen=True)
class AgentMixture:
    """Mixture of one agent: weights (T, m), means (T, m, D), covariances (T, m, D, D)."""

    weights: Array
    means: Array
    covariances: Array


def require_axes(axes: object) -> None:
    """Refuse anything but an order of the letters K, T, A and D."""
    if not isinstance(axes, str) or sorted(axes) != ["A", "D", "K", "T"]:
        raise InputError(
            f"axes={axes!r}: name the axes of the samples by the letters K (sample), T (step), "
            "A (agent) and D (coordinate), such as 'KTAD' or 'AKTD'"
        )


def read_trajectory(argument: object, axes: str) -> object:
    """One (T, D) array per agent, from one array in the order of `axes` without K."""
    return _per_agent("trajectory", argument, axes.replace("K", ""), "TD")


def read_mask(argument: object, axes: str) -> object:
    """One (T,) array of booleans per agent."""
    return _per_agent("mask", argument, axes.replace("K", "").replace("D", ""), "T")


def read_models(argument: object, axes: str) -> object:
    """Samples of one or several models, each as one (K, T, D) array per agent."""
    if isinstance(argument, Mapping):
        return {
            name: read_samples(f"samples[{name!r}]", value, axes)
            for name, value in argument.items()
        }
    column = read_samples("samples", argument, axes)
    if column is argument:
        return argument
    return {"samples": column}


def read_samples(label: str, argument: object, axes: str) -> object:
    """Samples of one model as one item per agent; names and ready columns stay as they are."""
    if isinstance(argument, WeightedSamples):
        return _weighted(label, argument, axes)
    if isinstance(argument, GaussianMixtures):
        return _mixtures(label, argument, axes)
    return _per_agent(label, argument, axes, "KTD")


def _per_agent(label: str, argument: object, axes: str, order: str) -> object:
    """Views of one array, agent by agent; anything that is a column already is left alone."""
    if argument is None or isinstance(argument, str | Mapping):
        return argument
    if isinstance(argument, list | tuple):
        items = list(argument)
        if not items or isinstance(items[0], str):
            return argument
        if isinstance(items[0], np.ndarray | AgentSamples | AgentMixture) or items[0] is None:
            return _column(items)
        if not isinstance(items[0], Sequence):
            return argument
        return _per_agent(label, to_array(label, argument)[0], axes, order)
    if not hasattr(argument, "__array__") or getattr(argument, "ndim", 1) < 2:
        return argument
    if isinstance(argument, np.ma.MaskedArray):
        raise InputError(
            f"{label} is a masked array: pass mask= with True for the cells to evaluate"
        )
    array = np.asarray(argument)
    if array.ndim != len(axes):
        described = "one column per model: " if order == "KTD" else ""
        raise InputError(
            f"{label} must have {described}{len(axes)} axes in the order {axes} (a single "
            f"coordinate is an axis of length 1), but has shape {array.shape}; name another order "
            "by axes="
        )
    moved = array.transpose([axes.index(name) for name in "A" + order])
    return _column(list(moved))


def _is_column(items: object) -> TypeGuard[Array]:
    return isinstance(items, np.ndarray) and items.dtype == object


def _column(items: list[Any]) -> Array:
    column = np.empty(len(items), dtype=object)
    for row, item in enumerate(items):
        column[row] = item
    return column


def _weighted(label: str, forecast: WeightedSamples, axes: str) -> Array:
    items = _per_agent(label, forecast.samples, axes, "KTD")
    if not _is_column(items) or any(item is None for item in items):
        raise InputError(f"{label}: WeightedSamples takes one array in the order {axes}")
    probability = number_array(f"{label}: probability", forecast.probability)
    k = len(items[0]) if len(items) else 0
    if k == 0:
        raise InputError(f"{label} has no sample of an agent: give at least one")
    if probability.ndim == 1:
        probability = np.broadcast_to(probability[:, np.newaxis], (len(probability), len(items)))
    if probability.shape != (k, len(items)):
        raise InputError(
            f"{label}: probability has shape {np.shape(forecast.probability)}, but there are {k} "
            f"samples of {len(items)} agents: pass (K,) or (K, A)"
        )
    usable = (probability >= 0) & (probability <= LARGEST_WEIGHT)
    bad = ~usable.all(axis=0)
    bad |= ~(np.where(usable, probability, 0.0).sum(axis=0) > SMALLEST_WEIGHT)
    if bool(bad.any()):
        raise InputError(
            f"{label}: the probabilities of agent {int(np.argmax(bad))} are negative, not finite, "
            "far too large or all zero"
        )
    return _column([AgentSamples(v, probability[:, a]) for a, v in enumerate(items)])


def _mixtures(label: str, forecast: GaussianMixtures, axes: str) -> Array:
    weights = number_array(f"{label}: weights", forecast.weights)
    means = number_array(f"{label}: means", forecast.means)
    covariances = number_array(f"{label}: covariances", forecast.covariances)
    if means.ndim != 4:
        raise InputError(f"{label}: means must have the axes {axes}, but has shape {means.shape}")
    flat = axes.replace("D", "")
    size = dict(zip(axes, means.shape, strict=True))
    expected = {
        "weights": (weights.shape, tuple(size[name] for name in flat)),
        "covariances": (covariances.shape, (*means.shape, size["D"])),
    }
    for name, (shape, wanted) in expected.items():
        if shape != wanted:
            raise InputError(f"{label}: {name} has shape {shape}, but means imply {wanted}")
    weights = weights.transpose([flat.index(name) for name in "ATK"])
    means = means.transpose([axes.index(name) for name in "ATKD"])
    covariances = covariances.transpose([*(axes.index(name) for name in "ATKD"), 4])
    _require_mixture(label, weights, means, covariances)
    return _column(
        [AgentMixture(*parts) for parts in zip(weights, means, covariances, strict=True)]
    )


def _require_mixture(label: str, weights: Array, means: Array, covariances: Array) -> None:
    def refuse(bad: Array, what: str) -> None:
        if bool(bad.any()):
            agent, step = (int(i) for i in np.argwhere(bad)[0][:2])
            raise InputError(f"{label}: {what} (first for agent {agent}, step {step})")

    refuse(~np.isfinite(weights) | (weights < 0), "a mixture weight is negative or not finite")
    refuse(~(weights.sum(axis=2) > 0), "all mixture weights are 0")
    refuse(~np.isfinite(means), "a mean is not finite")
    refuse(~np.isfinite(covariances), "a covariance is not finite")
    size = np.abs(covariances).max(axis=(3, 4), initial=0.0)
    gap = np.abs(covariances - covariances.swapaxes(3, 4)).max(axis=(3, 4), initial=0.0)
    refuse(gap > 1e-8 * size, "a covariance is not symmetric")
    lowest = np.linalg.eigvalsh(covariances)[..., 0]
    refuse(
        (lowest <= 0) & (weights > 0),
        "a covariance is not positive definite: add a small variance to its diagonal",
    )
