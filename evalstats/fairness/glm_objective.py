"""What FairGLM minimises: mean loss plus a penalty on the dependence of the predictions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalstats.fairness.geometry import CellGeometry, Ranking
from evalstats.fairness.kernels import signed_sums

Array = NDArray[np.float64]
Family = Literal["gaussian", "binomial", "poisson"]
PenaltyScale = Literal["rate", "mean", "link"]
PenaltyVersion = Literal["biased", "unbiased", "positive"]

# exp of more than this would overflow in a product; no line search accepts such a step anyway.
LARGEST_LINK = 500.0


@dataclass(frozen=True)
class Penalty:
    """Distance covariance of the predictions and the protected attributes, and its gradient.

    Attributes
    ----------
    geometries : sequence of CellGeometry
        Their distance covariances are added (marginal penalty) or there is one; all have the same
        cells.
    weights : float64 array (n,)
        Weight of each row.
    version : {"biased", "unbiased", "positive"}
        V-statistic, U-statistic, or its positive part.
    blocks : tuple of float64 arrays (K, K)
        Distances of every attribute alone, for reports.
    """

    geometries: Sequence[CellGeometry]
    weights: Array
    version: PenaltyVersion
    blocks: tuple[Array, ...] = ()

    @cached_property
    def _matrix(self) -> tuple[Array, float]:
        unbiased = self.version != "biased"
        found = [item.centred_similarity(self.weights, unbiased) for item in self.geometries]
        return np.ascontiguousarray(np.sum([matrix for matrix, _ in found], axis=0)), found[0][1]

    def gradient(self, scores: Array) -> tuple[float, Array]:
        """Value and derivative by each score; the value is linear between kinks.

        O(n log n + nK).
        """
        matrix, scale = self._matrix
        centred = scores - scores.mean()
        order = np.argsort(centred)
        cell = self.geometries[0].cell[order]
        sums = signed_sums(centred[order], cell, order, self.weights, matrix)
        slope = 2.0 * scale * self.weights * sums
        # Homogeneous of degree one: by Euler's theorem the value is the scores times the slope.
        value = float(slope @ centred)
        if self.version == "positive" and value < 0:
            return 0.0, np.zeros_like(slope)
        return value, slope

    def influence(self, scores: Array, slopes: Array) -> Array:
        """Influence values (n, p) of the penalty's gradient by each coefficient.

        The influence of a distance covariance is linear in the distances, so that of its derivative
        has (slope_i - slope_l) sign(s_i - s_l) in their place: sorted by the scores, the slopes
        stand for the prediction.
        """
        order = np.argsort(scores)
        columns = []
        for slope in slopes.T:
            ranking = Ranking(np.ascontiguousarray(slope[order]), order)
            parts = [
                np.asarray(item.influence(ranking, self.weights).dependence)
                for item in self.geometries
            ]
            columns.append(np.sum(parts, axis=0))
        return np.column_stack(columns)


@dataclass(frozen=True)
class Objective:
    """Mean negative log-likelihood plus strength times penalty, as a function of coefficients.

    Attributes
    ----------
    design : float64 array (n, p)
        With a column of ones first.
    y, exposure, weights : float64 arrays (n,)
        Outcome, exposure (ones without), row weights.
    """

    design: Array
    y: Array
    exposure: Array
    weights: Array
    family: Family
    scale: PenaltyScale
    penalty: Penalty | None
    strength: float

    @cached_property
    def share(self) -> Array:
        """Weights that sum to 1."""
        return np.asarray(self.weights / self.weights.sum())

    def mean(self, link: Array) -> Array:
        """Expected outcome per unit of exposure."""
        if self.family == "gaussian":
            return link
        if self.family == "poisson":
            return np.asarray(np.exp(np.minimum(link, LARGEST_LINK)))
        from scipy.special import expit

        return np.asarray(expit(link))

    def _slope(self, mean: Array) -> Array:
        """Derivative of the mean by the link."""
        if self.family == "gaussian":
            return np.ones_like(mean)
        return mean if self.family == "poisson" else mean * (1.0 - mean)

    def loss(self, link: Array, mean: Array | None = None) -> float:
        """Mean negative log-likelihood without constants (gaussian: half the squared error)."""
        mean = self.mean(link) if mean is None else mean
        if self.family == "gaussian":
            return float(self.share @ (0.5 * (self.y - mean) ** 2))
        if self.family == "binomial":
            # log(1 + exp(link)) from the probability of the sign that cannot round to 0.
            likely = np.maximum(mean, 1.0 - mean)
            return float(self.share @ (np.maximum(link, 0.0) - np.log(likely) - self.y * link))
        return float(self.share @ (self.exposure * mean - self.y * (link + self._log_exposure)))

    @cached_property
    def _log_exposure(self) -> Array:
        return np.asarray(np.log(self.exposure))

    def scores(self, link: Array, mean: Array | None = None) -> tuple[Array, Array]:
        """The penalised quantity and its derivative by the link."""
        if self.scale == "link":
            return link, np.ones_like(link)
        mean = self.mean(link) if mean is None else mean
        slope = self._slope(mean)
        if self.scale == "mean" and self.family == "poisson":
            return self.exposure * mean, self.exposure * slope
        return mean, slope

    def __call__(self, coefficients: Array) -> tuple[float, Array]:
        """Value and gradient."""
        link = self.design @ coefficients
        mean = self.mean(link)
        expected = self.exposure * mean if self.family == "poisson" else mean
        slope = self.share * (expected - self.y)
        value = self.loss(link, mean)
        if self.penalty is not None and self.strength > 0:
            scores, by_link = self.scores(link, mean)
            penalty, by_score = self.penalty.gradient(scores)
            value += self.strength * penalty
            slope = slope + self.strength * by_score * by_link
        return value, np.asarray(self.design.T @ slope)

    def penalty_gradient(self, coefficients: Array) -> Array:
        """Gradient of the penalty alone, times its strength."""
        if self.penalty is None or self.strength == 0:
            return np.zeros(self.design.shape[1])
        scores, by_link = self.scores(self.design @ coefficients)
        _, by_score = self.penalty.gradient(scores)
        return np.asarray(self.strength * (self.design.T @ (by_score * by_link)))

    def hessian(self, coefficients: Array) -> Array:
        """Hessian of the loss (all links are canonical)."""
        mean = self.mean(self.design @ coefficients)
        curvature = self.share * self._slope(mean)
        if self.family == "poisson":
            curvature = curvature * self.exposure
        return np.asarray((self.design * curvature[:, np.newaxis]).T @ self.design)


def constant_start(objective: Objective) -> Array:
    """The same prediction for everyone, which no penalty can object to."""
    start = np.zeros(objective.design.shape[1])
    mean = float(objective.share @ objective.y)
    if objective.family == "poisson":
        start[0] = np.log(mean / float(objective.share @ objective.exposure))
    elif objective.family == "binomial":
        mean = min(max(mean, 1e-9), 1.0 - 1e-9)
        start[0] = np.log(mean / (1.0 - mean))
    else:
        start[0] = mean
    return start


def balancing_shift(objective: Objective, link: Array) -> tuple[float, float]:
    """What to add to the intercept, and the factor by which the mean prediction changes."""
    share, y = objective.share, objective.y
    fitted = float(share @ (objective.exposure * objective.mean(link)))
    observed = float(share @ y)
    if objective.family == "gaussian":
        return observed - fitted, observed / fitted if fitted else np.nan
    if objective.family == "poisson":
        return float(np.log(observed / fitted)), observed / fitted
    from scipy.optimize import brentq

    shift = brentq(
        lambda step: float(share @ objective.mean(link + step)) - observed, -30.0, 30.0, xtol=1e-13
    )
    return float(shift), observed / fitted
