"""What is read off the fitted coefficients: controlled rates, mediator effects, pairs of models.

Each view gives its values, and their derivatives by the coefficients and, directly, by the weight
of each instruction; the chain rule turns the influence on the coefficients into that on the values.
"""

from collections.abc import Hashable
from dataclasses import dataclass
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from evalstats.winrate.design import Design
from evalstats.winrate.glm_kernels import controlled_probabilities, pair_rates, weighted_means

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Derivatives:
    """Derivatives of k values.

    Attributes
    ----------
    by_theta : float64 array (k, models, p)
        By the coefficients of each model.
    by_weight : float64 array (items, k)
        By the weight of each instruction with the coefficients held fixed.
    """

    by_theta: Array
    by_weight: Array


class ControlledRates:
    """Mean predicted preference with all mediators at 0, in percent: one value per model."""

    metric = "Length-controlled win rate"

    def terms(self, design: Design) -> list[dict[str, Hashable]]:
        """Labels of the values."""
        return [{"metric": self.metric, "model": model} for model in design.models]

    def values(self, design: Design, theta: Array, weights: Array) -> Array:
        """One rate per model. O(rows p)."""
        rows = design.report
        q = np.empty(len(rows.y))
        controlled_probabilities(rows.design, rows.offsets, theta, q)
        return _means(design, 100.0 * q, weights)

    def derivatives(self, design: Design, theta: Array, weights: Array) -> Derivatives:
        """Derivatives of the rates. O(rows p + items models)."""
        rows = design.report
        q = np.empty(len(rows.y))
        controlled_probabilities(rows.design, rows.offsets, theta, q)
        by_theta = np.zeros((len(design.models), *theta.shape))
        by_weight = _mean_influence(design, 100.0 * q, weights)
        for model in range(len(design.models)):
            own = rows.of(model)
            w = rows.weight[own] * weights[rows.item[own]]
            slope = 100.0 * w * q[own] * (1.0 - q[own]) / w.sum()
            by_theta[model, model] = slope @ rows.design[own]
        return Derivatives(by_theta, by_weight)


class MediatorEffects:
    """Coefficient of each mediator, then raw minus controlled rate in percentage points."""

    def terms(self, design: Design) -> list[dict[str, Hashable]]:
        """Labels of the values."""
        names = [name for name, use in zip(design.names, design.mediator, strict=True) if use]
        return [
            {"metric": "Mediator effect", "model": model, "effect": effect}
            for model in design.models
            for effect in [*names, "raw - controlled"]
        ]

    def values(self, design: Design, theta: Array, weights: Array) -> Array:
        """Coefficients and the difference, model after model. O(rows p)."""
        raw = _means(design, 100.0 * design.report.y, weights)
        controlled = ControlledRates().values(design, theta, weights)
        blocks = np.column_stack([theta[:, design.mediator], raw - controlled])
        return blocks.ravel()

    def derivatives(self, design: Design, theta: Array, weights: Array) -> Derivatives:
        """Derivatives of coefficients and differences."""
        rates = ControlledRates().derivatives(design, theta, weights)
        raw = _mean_influence(design, 100.0 * design.report.y, weights)
        mediators = np.flatnonzero(design.mediator)
        k = (len(mediators) + 1) * len(design.models)
        by_theta = np.zeros((k, *theta.shape))
        by_weight = np.zeros((design.n_items, k))
        row = 0
        for model in range(len(design.models)):
            for mediator in mediators:
                by_theta[row, model, mediator] = 1.0
                row += 1
            by_theta[row] = -rates.by_theta[model]
            by_weight[:, row] = raw[:, model] - rates.by_weight[:, model]
            row += 1
        return Derivatives(by_theta, by_weight)


class PairRates:
    """Predicted rate of each model against each other one and the baseline, mediators at 0."""

    def __init__(self, baseline: str) -> None:
        self.baseline = baseline

    def _pairs(self, design: Design) -> tuple[list[str], NDArray[np.int64]]:
        itself = np.flatnonzero(~design.fitted)
        names = list(design.models)
        if len(itself) == 0:
            names.append(self.baseline)
        pairs = np.array(list(permutations(range(len(names)), 2)), dtype=np.int64).reshape(-1, 2)
        return names, pairs

    def terms(self, design: Design) -> list[dict[str, Hashable]]:
        """Labels of the values: all ordered pairs."""
        names, pairs = self._pairs(design)
        return [
            {"metric": "Predicted win rate", "model": names[i], "opponent": names[j]}
            for i, j in pairs.tolist()
        ]

    def values(self, design: Design, theta: Array, weights: Array) -> Array:
        """Rate of each ordered pair. O(pairs items p)."""
        _, pairs = self._pairs(design)
        with_baseline = np.vstack([theta, np.zeros((1, theta.shape[1]))])
        known = design.known_items
        out = np.empty(len(pairs))
        pair_rates(
            np.where(known[:, np.newaxis], design.context, 0.0),
            np.where(known, weights, 0.0),
            with_baseline,
            np.ascontiguousarray(pairs[:, 0]),
            np.ascontiguousarray(pairs[:, 1]),
            out,
        )
        return 100.0 * out

    def derivatives(self, design: Design, theta: Array, weights: Array) -> Derivatives:
        """Derivatives of the pair rates. O(pairs items p)."""
        _, pairs = self._pairs(design)
        with_baseline = np.vstack([theta, np.zeros((1, theta.shape[1]))])
        known = design.known_items
        context = np.where(known[:, np.newaxis], design.context, 0.0)
        weights = np.where(known, weights, 0.0)
        mass = weights.sum()
        by_theta = np.zeros((len(pairs), len(with_baseline), theta.shape[1]))
        by_weight = np.zeros((design.n_items, len(pairs)))
        for row, (i, j) in enumerate(pairs.tolist()):
            q = 0.5 * (1.0 + np.tanh(0.5 * context @ (with_baseline[i] - with_baseline[j])))
            slope = 100.0 * (weights * q * (1.0 - q)) @ context / mass
            by_theta[row, i] = slope
            by_theta[row, j] = -slope
            rate = weights @ q / mass
            by_weight[:, row] = np.where(known, 100.0 * (q - rate) / mass, 0.0)
        return Derivatives(by_theta[:, : len(theta)], by_weight)


View = ControlledRates | MediatorEffects | PairRates


def _means(design: Design, values: Array, weights: Array) -> Array:
    rows = design.report
    out = np.empty(len(design.models))
    weighted_means(values, rows.weight, rows.item, rows.offsets, weights, out)
    return out


def _mean_influence(design: Design, values: Array, weights: Array) -> Array:
    """Derivative of each model's mean by the weight of each instruction."""
    rows = design.report
    means = _means(design, values, weights)
    influence = np.zeros((design.n_items, len(means)))
    for model, mean in enumerate(means):
        own = rows.of(model)
        item = rows.item[own]
        known = np.isfinite(values[own])
        w = np.where(known, rows.weight[own], 0.0)
        deviations = np.where(known, w * (values[own] - mean), 0.0)
        # Undefined in a resample without items of this model.
        with np.errstate(invalid="ignore", divide="ignore"):
            mass = w @ weights[item]
            influence[:, model] = np.bincount(item, deviations, design.n_items) / mass
    return influence
