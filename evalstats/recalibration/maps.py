"""Fits of the maps from a score to a probability; pure functions of validated arrays."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalstats.errors import InputError
from evalstats.kernels.isotonic import pool_adjacent_violators
from evalstats.kernels.logistic import fit_logistic

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Scale = Literal["logit", "raw"]

# A probability of 0 or 1 has no logit: scores are moved this far into (0, 1) first.
EPSILON = float(np.finfo(np.float64).eps)
MAX_ITER = 100


@dataclass(frozen=True)
class LogisticMap:
    """Probability 1 / (1 + exp(-(intercept + slope x))), x the logit of the score or the score."""

    slope: float
    intercept: float
    scale: Scale = "logit"

    def __call__(self, score: Array) -> Array:
        """Probability of each score. O(n)."""
        return expit(self.intercept + self.slope * _on_scale(score, self.scale))


@dataclass(frozen=True)
class BetaMap:
    """Probability with the logit a log(s) - b log(1 - s) + intercept; monotone as a, b >= 0."""

    a: float
    b: float
    intercept: float

    def __call__(self, score: Array) -> Array:
        """Probability of each score. O(n)."""
        inside = _inside(score)
        return expit(self.a * np.log(inside) - self.b * np.log1p(-inside) + self.intercept)


@dataclass(frozen=True)
class TemperatureMap:
    """Logits divided by one temperature."""

    temperature: float

    def __call__(self, score: Array) -> Array:
        """Probabilities of scores (n,) or of rows of class probabilities (n, K). O(n K)."""
        if np.ndim(score) == 1:
            return expit(logit(score) / self.temperature)
        return softmax(np.log(_inside(score)) / self.temperature)


@dataclass(frozen=True)
class IsotonicMap:
    """Non-decreasing piecewise linear function through the corners, constant outside of them."""

    x: Array
    y: Array

    def __call__(self, score: Array) -> Array:
        """Probability of each score. O(n log k)."""
        return np.interp(np.asarray(score, dtype=np.float64), self.x, self.y)


@dataclass(frozen=True)
class HistogramMap:
    """One value for each of the equal bins of [0, 1], closed on the right."""

    value: Array

    def __call__(self, score: Array) -> Array:
        """Probability of each score. O(n log k)."""
        return self.value[equal_bins(score, self.value.size)]


def fit_platt(
    score: Array,
    positive: Mask,
    weight: Array | None = None,
    *,
    scale: Scale = "logit",
    smooth: bool = False,
) -> LogisticMap:
    """Logistic regression of the label on the score (Platt 1999).

    Parameters
    ----------
    score : float64 array (n,)
        Probabilities, or any scores with ``scale="raw"``.
    positive : bool array (n,)
        Labels.
    weight : float64 array (n,), optional
        Weights of the rows.
    scale : {"logit", "raw"}
        Whether the regression is on the logit of the score or on the score.
    smooth : bool
        Replace the labels by Platt's targets (N+ + 1) / (N+ + 2) and 1 / (N- + 2), which keep the
        fit finite where the score separates the classes.

    Raises
    ------
    InputError
        If the score separates the classes, or there is one class only, and `smooth` is off.
    """
    mass = _weights(score, weight)
    x = _on_scale(score, scale)
    target = positive.astype(np.float64)
    if smooth:
        n_positive = float(mass[positive].sum())
        n_negative = float(mass[~positive].sum())
        target = np.where(
            positive, (n_positive + 1.0) / (n_positive + 2.0), 1.0 / (n_negative + 2.0)
        )
    else:
        _refuse_separation(x, positive, mass)
    (slope, intercept), _ = _logistic([x], target, mass)
    return LogisticMap(slope, intercept, scale)


def fit_beta(score: Array, positive: Mask, weight: Array | None = None) -> BetaMap:
    """Logistic regression on log(s) and -log(1 - s), neither coefficient negative.

    The likelihood is concave, so that the best of the feasible fits on both, one or none of the
    columns is the constrained maximum (Kull, Silva Filho and Flach 2017).

    Raises
    ------
    InputError
        If the score separates the classes, or there is one class only.
    """
    mass = _weights(score, weight)
    inside = _inside(score)
    _refuse_separation(inside, positive, mass)
    target = positive.astype(np.float64)
    columns = [np.log(inside), -np.log1p(-inside)]
    best: tuple[float, BetaMap] | None = None
    for used in ((0, 1), (0,), (1,), ()):
        fitted, loss = _logistic([columns[i] for i in used], target, mass, required=used != (0, 1))
        coefficient = [0.0, 0.0]
        for i, value in zip(used, fitted, strict=False):
            coefficient[i] = value
        feasible = bool(np.isfinite(loss)) and min(coefficient) >= 0.0
        if feasible and (best is None or loss < best[0]):
            best = loss, BetaMap(coefficient[0], coefficient[1], fitted[-1])
        if feasible and used == (0, 1):
            break
    assert best is not None  # the fit without columns is always feasible
    return best[1]


def fit_temperature(
    score: Array, label: NDArray[np.bool_] | NDArray[np.int64], weight: Array | None = None
) -> TemperatureMap:
    """Temperature of least log loss, for scores (n,) or class probabilities (n, K).

    The loss is convex in the inverse temperature: the root of its derivative is bracketed and
    bisected (Brent), O(n K) a step (Guo et al. 2017).

    Raises
    ------
    InputError
        If the loss falls without end: every row right, or forecasts worse than uniform ones.
    """
    from scipy.optimize import brentq

    mass = _weights(score, weight)
    if score.ndim == 1:
        # Of two classes with the logits -half and half.
        half = logit(score) / 2.0
        own, largest = np.where(label, half, -half), np.abs(half)
    else:
        logits = np.log(_inside(score))
        own = logits[np.arange(len(logits)), label.astype(np.int64)]
        largest = logits.max(axis=1)

    def derivative(inverse: float) -> float:
        if score.ndim == 1:
            expected = half * np.tanh(half * inverse)
        else:
            expected = (softmax(logits * inverse) * logits).sum(axis=1)
        return float(mass @ (expected - own))

    uniform = InputError(
        "y_prob is no better than uniform probabilities on these rows: no finite temperature "
        "helps; check the labels (and pos_label)"
    )
    if derivative(0.0) >= 0.0:
        raise uniform
    right = (own == largest) | (mass == 0.0)
    upper = 1.0
    while derivative(upper) < 0.0 and upper < 1e6:
        upper *= 2.0
    if bool(right.all()) or derivative(upper) < 0.0:
        raise InputError(
            "y_prob gives every row's own class the largest probability: the temperature has no "
            "optimum above 0; fit on rows that the model was not trained on"
        )
    slope = float(brentq(derivative, 0.0, upper, xtol=1e-14, rtol=1e-14))
    if slope < 1e-12:
        raise uniform
    return TemperatureMap(1.0 / slope)


def fit_isotonic(score: Array, positive: Mask, weight: Array | None = None) -> IsotonicMap:
    """Non-decreasing least-squares fit, ties pooled, linear between the corners. O(n log n)."""
    mass = _weights(score, weight)
    used = np.flatnonzero(mass > 0.0)
    order = used[np.argsort(score[used])]
    x = np.asarray(score, dtype=np.float64)[order]
    last = np.append(x[1:] != x[:-1], True)
    weights, total, end = pool_adjacent_violators(
        positive[order].astype(np.float64), last, order, mass
    )
    start = np.append(0, end[:-1])
    value = total / weights
    corners = np.column_stack([x[start], x[end - 1]]).ravel()
    values = np.repeat(value, 2)
    distinct = np.append(True, corners[1:] != corners[:-1])
    return IsotonicMap(corners[distinct], values[distinct])


def fit_histogram(
    score: Array, positive: Mask, weight: Array | None = None, *, n_bins: int = 15
) -> HistogramMap:
    """Share of positives in each of `n_bins` equal bins; the middle of an empty one.

    O(n log n_bins).
    """
    mass = _weights(score, weight)
    bins = equal_bins(score, n_bins)
    total = np.bincount(bins, mass, n_bins)
    hits = np.bincount(bins, mass * positive, n_bins)
    middle = (np.arange(n_bins) + 0.5) / n_bins
    return HistogramMap(np.divide(hits, total, out=middle, where=total > 0.0))


def equal_bins(score: Array, n_bins: int) -> NDArray[np.int64]:
    """Bin of each score: (a, b], the first closed; the edges are exactly i / n_bins."""
    edges = np.arange(1, n_bins) / n_bins
    return np.searchsorted(edges, np.asarray(score, dtype=np.float64), side="left")


def expit(x: Array) -> Array:
    """Logistic function without overflow."""
    shrunk = np.exp(-np.abs(x))
    return np.where(x >= 0.0, 1.0, shrunk) / (1.0 + shrunk)


def logit(score: Array) -> Array:
    """Logit of probabilities, those of 0 and 1 moved inside by the float64 epsilon."""
    inside = _inside(score)
    return np.log(inside) - np.log1p(-inside)


def softmax(logits: Array) -> Array:
    """Rows of probabilities from rows of logits."""
    shifted: Array = np.exp(logits - logits.max(axis=1, keepdims=True))
    shifted /= shifted.sum(axis=1, keepdims=True)
    return shifted


def separated(score: Array, positive: Mask) -> bool:
    """Whether a threshold on the score parts the classes, so that a logistic fit is infinite."""
    if positive.all() or not positive.any():
        return True
    high, low = score[positive], score[~positive]
    if score.min() == score.max():
        return False
    return bool(high.min() >= low.max() or high.max() <= low.min())


def _refuse_separation(score: Array, positive: Mask, mass: Array) -> None:
    used = mass > 0.0
    if separated(score[used], positive[used]):
        raise InputError(
            "the scores separate the classes perfectly (or there is one class only): a logistic "
            "map has no finite fit; use more rows, smoothed targets, or isotonic recalibration"
        )


def _logistic(
    columns: list[Array], target: Array, mass: Array, *, required: bool = True
) -> tuple[list[float], float]:
    """Coefficients of the columns and the constant, and the loss; infinite without a maximum."""
    # Centred columns keep the information matrix well conditioned.
    share = mass / mass.sum()
    centre = [float(share @ column) for column in columns]
    spread = [float(np.sqrt(share @ (v - c) ** 2)) for v, c in zip(columns, centre, strict=True)]
    # What is left of a constant column is rounding; infinite scale turns it into zeros.
    scale = [
        s if s > 1e-12 * (abs(c) + 1e-290) else np.inf for s, c in zip(spread, centre, strict=True)
    ]
    scaled = [(v - c) / s for v, c, s in zip(columns, centre, scale, strict=True)]
    design = np.ascontiguousarray(np.column_stack([*scaled, np.ones(len(target))]))
    coefficient = np.zeros(design.shape[1])
    base = float(share @ target)
    if 0.0 < base < 1.0:
        coefficient[-1] = np.log(base) - np.log1p(-base)
    converged, loss = fit_logistic(design, target, mass, coefficient, MAX_ITER)
    if not converged:
        if required:
            raise InputError(
                "the logistic fit does not converge: the scores all but separate the classes; use "
                "more rows or isotonic recalibration"
            )
        return [0.0] * design.shape[1], float("inf")
    slopes = [float(b) / s for b, s in zip(coefficient, scale, strict=False)]
    intercept = float(coefficient[-1]) - sum(b * c for b, c in zip(slopes, centre, strict=True))
    return [*slopes, intercept], float(loss)


def _weights(score: Array, weight: Array | None) -> Array:
    if weight is None:
        return np.ones(len(score))
    return np.require(weight, np.float64, ["C", "W"])


def _inside(score: Array) -> Array:
    return np.clip(np.asarray(score, dtype=np.float64), EPSILON, 1.0 - EPSILON)


def _on_scale(score: Array, scale: Scale) -> Array:
    return logit(score) if scale == "logit" else np.asarray(score, dtype=np.float64)
