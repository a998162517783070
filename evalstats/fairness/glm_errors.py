"""Standard errors of penalised coefficients."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from evalstats.errors import InputError
from evalstats.fairness.glm_objective import Objective
from evalstats.fairness.glm_optimiser import minimise_kinked
from evalstats.inference.methods import Bootstrap, RandomSource, random_key
from evalstats.inference.resampling import draw_weights, parallel_map
from evalstats.inference.units import Units

Array = NDArray[np.float64]


def sandwich_covariance(objective: Objective, optimum: Array, *, model: bool = False) -> Array:
    """J^-1 M J^-1 with M from the influence of the gradient, or the inverse information.

    J is the Hessian of the loss plus central differences of the penalty's gradient, with a step of
    n^(-1/3) / 2 standardised units that smooths the kinks. O(p (n log n + nK p)).
    """
    bread = objective.hessian(optimum)
    total = float(objective.weights.sum())
    link = objective.design @ optimum
    mean = objective.mean(link)
    residual = objective.exposure * mean - objective.y
    if model:
        dispersion = 1.0
        if objective.family == "gaussian":
            squares = float(objective.weights @ residual**2)
            dispersion = squares / (np.count_nonzero(objective.weights) - len(optimum))
        return np.asarray(dispersion * _inverse(bread) / total)
    scores = objective.design * residual[:, np.newaxis]
    if objective.penalty is not None and objective.strength > 0:
        step = 0.5 * len(objective.y) ** (-1.0 / 3.0)
        curvature = np.empty_like(bread)
        for j in range(len(optimum)):
            move = np.zeros(len(optimum))
            move[j] = step
            up = objective.penalty_gradient(optimum + move)
            down = objective.penalty_gradient(optimum - move)
            curvature[j] = (up - down) / (2.0 * step)
        bread = bread + 0.5 * (curvature + curvature.T)
        values, by_link = objective.scores(link)
        slopes = objective.design * by_link[:, np.newaxis]
        scores = scores + objective.strength * objective.penalty.influence(values, slopes)
    weighted = objective.weights[:, np.newaxis] * scores
    inverse = _inverse(bread)
    return np.asarray(inverse @ (weighted.T @ weighted) @ inverse / total**2)


def _inverse(bread: Array) -> Array:
    if np.linalg.matrix_rank(bread, hermitian=True) < len(bread):
        raise InputError(
            "X has columns that are constant or combinations of others, whose coefficients have no "
            "standard errors: drop them"
        )
    return np.asarray(np.linalg.inv(bread))


def bootstrap_covariance(
    objective: Objective, optimum: Array, n_resamples: int, rng: RandomSource
) -> Array:
    """Covariance over resamples of rows, each refitted from the optimum."""
    n = len(objective.y)
    method = Bootstrap(n_resamples=n_resamples, rng=rng)
    key = random_key(method.rng)
    units = Units(n, n, None, objective.weights)
    inverse = np.asarray(np.linalg.pinv(objective.hessian(optimum)), dtype=np.float64)

    def refitted(replicate: int) -> Array:
        counts = np.empty(n)
        draw_weights(units, method, key, replicate, counts)
        weights = counts * objective.weights
        penalty = objective.penalty
        if penalty is not None:
            penalty = replace(penalty, weights=weights)
        resampled = replace(objective, weights=weights, penalty=penalty)
        return minimise_kinked(resampled, optimum, inverse, tolerance=1e-9, max_restarts=6).x

    replicates = parallel_map(refitted, list(range(n_resamples)), 100 * n * n_resamples)
    return np.asarray(np.cov(np.array(replicates), rowvar=False).reshape(len(optimum), -1))
