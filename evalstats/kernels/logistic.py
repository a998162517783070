"""Weighted logistic regression on a few columns by Newton's method."""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel

Array = NDArray[np.float64]


@kernel
def logistic_loss(design: Array, target: Array, weight: Array, coefficient: Array) -> float:
    """Weighted negative log-likelihood at `coefficient`. O(n k)."""
    n, k = design.shape
    loss = 0.0
    for row in range(n):
        eta = 0.0
        for column in range(k):
            eta += design[row, column] * coefficient[column]
        # log(1 + exp(eta)) - target * eta without overflow.
        loss += weight[row] * (max(eta, 0.0) + np.log1p(np.exp(-abs(eta))) - target[row] * eta)
    return loss


@kernel
def newton_system(
    design: Array, target: Array, weight: Array, coefficient: Array, system: Array
) -> None:
    """Write the information matrix, and the score in the last column, to `system`. O(n k^2)."""
    n, k = design.shape
    system[:] = 0.0
    for row in range(n):
        eta = 0.0
        for column in range(k):
            eta += design[row, column] * coefficient[column]
        shrunk = np.exp(-abs(eta))
        fitted = 1.0 / (1.0 + shrunk) if eta >= 0.0 else shrunk / (1.0 + shrunk)
        spread = weight[row] * shrunk / (1.0 + shrunk) ** 2
        residual = weight[row] * (target[row] - fitted)
        for i in range(k):
            system[i, k] += residual * design[row, i]
            for j in range(i + 1):
                system[i, j] += spread * design[row, i] * design[row, j]
    for i in range(k):
        for j in range(i):
            system[j, i] = system[i, j]


@kernel
def solve_semidefinite(system: Array, step: Array) -> None:
    """Solve the augmented k x (k + 1) system; dependent columns get a step of 0. O(k^3)."""
    k = step.size
    size = np.empty(k)
    for i in range(k):
        size[i] = system[i, i]
    kept = np.zeros(k, dtype=np.bool_)
    for pivot in range(k):
        if system[pivot, pivot] <= 1e-12 * size[pivot] or size[pivot] <= 0.0:
            continue
        kept[pivot] = True
        for row in range(k):
            if row != pivot:
                factor = system[row, pivot] / system[pivot, pivot]
                for column in range(k + 1):
                    system[row, column] -= factor * system[pivot, column]
    for i in range(k):
        step[i] = system[i, k] / system[i, i] if kept[i] else 0.0


@kernel
def fit_logistic(
    design: Array, target: Array, weight: Array, coefficient: Array, max_iter: int
) -> tuple[bool, float]:
    """Maximise the weighted likelihood from `coefficient` on, in place. O(n k^2) a step.

    Parameters
    ----------
    design : float64 array (n, k)
        Columns, with the constant among them where one is wanted.
    target, weight : float64 array (n,)
        Responses in [0, 1] and weights >= 0.
    coefficient : float64 array (k,)
        Start; overwritten by the estimate.
    max_iter : int
        Newton steps allowed.

    Returns
    -------
    converged : bool
        False where the likelihood has no maximum (separation) within the steps allowed.
    loss : float
        Negative log-likelihood at the estimate.
    """
    k = coefficient.size
    system = np.empty((k, k + 1))
    step = np.empty(k)
    mass = weight.sum()
    loss = logistic_loss(design, target, weight, coefficient)
    decrement = np.inf
    for _ in range(max_iter):
        newton_system(design, target, weight, coefficient, system)
        gradient = system[:, k].copy()
        solve_semidefinite(system, step)
        # Half the decrement is the gain in likelihood that the step promises.
        decrement = 0.0
        for i in range(k):
            decrement += gradient[i] * step[i]
        if decrement <= 1e-22 * mass:
            return True, loss
        length = 1.0
        while length > 1e-10:
            trial = coefficient + length * step
            trial_loss = logistic_loss(design, target, weight, trial)
            # The loss itself is rounded: near the end steps are taken on trust.
            if trial_loss <= loss + 1e-14 * (abs(loss) + mass):
                break
            length *= 0.5
        if length <= 1e-10:
            break
        coefficient[:] = trial
        loss = trial_loss
    return decrement <= 1e-14 * mass, loss
