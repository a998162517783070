"""Minimising a function with kinks: BFGS with a weak Wolfe line search (Lewis and Overton 2013).

scipy's BFGS and L-BFGS-B ask for a strong Wolfe condition, which may have no solution where the
slope jumps. Without kinks (strength 0) scipy's trust region is used.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalstats.fairness.glm_objective import constant_start

Array = NDArray[np.float64]
Function = Callable[[Array], tuple[float, Array]]

ARMIJO = 1e-4
CURVATURE = 0.9
MAX_HALVINGS = 60
# Share of the tolerance below which a line search has nothing left to find.
GRAIN = 0.1


@dataclass
class Descent:
    """Where a minimisation ended.

    Attributes
    ----------
    x, gradient : float64 arrays
        Best point and the gradient there.
    value : float
        Best value.
    n_iterations : int
        Steps taken.
    converged : bool
        Whether the last restart gained no more than the tolerance.
    history : list of float
        Value after each restart.
    """

    x: Array
    value: float
    gradient: Array
    n_iterations: int = 0
    converged: bool = False
    history: list[float] = field(default_factory=list)


def minimise_smooth(function: Function, hessian: Callable[[Array], Array], start: Array) -> Array:
    """Minimum of a smooth convex function, by scipy's trust region and final Newton steps."""
    from scipy.linalg import lstsq
    from scipy.optimize import minimize

    found = minimize(
        function, start, jac=True, hess=hessian, method="trust-exact", options={"gtol": 1e-8}
    )
    x = np.asarray(found.x, dtype=np.float64)
    _, gradient = function(x)
    for _ in range(3):
        candidate = x - lstsq(hessian(x), gradient)[0]
        moved, slope = function(candidate)
        if not np.abs(slope).max() < np.abs(gradient).max() or not np.isfinite(moved):
            break
        x, gradient = candidate, slope
    return x


def smooth_start(objective: Any) -> Array:
    """Coefficients without penalty."""
    plain = with_strength(objective, 0.0)
    return minimise_smooth(plain, plain.hessian, constant_start(objective))


def minimise_kinked(
    function: Function,
    start: Array,
    inverse_hessian: Array,
    *,
    tolerance: float = 1e-11,
    max_restarts: int = 20,
    max_steps: int = 300,
    patience: int = 2,
) -> Descent:
    """Restarted BFGS; every restart forgets the curvature that kinks have spoilt.

    Stops when `patience` restarts in a row lower the value by less than `tolerance` relative to it.
    """
    value, gradient = function(start)
    best = Descent(start, value, gradient)
    scale = max(abs(value), 1e-3)
    idle = 0
    for restart in range(max_restarts):
        first = inverse_hessian if restart % 2 == 0 else _diagonal(inverse_hessian)
        before = best.value
        _descend(function, best, first, max_steps, tolerance * scale)
        best.history.append(best.value)
        idle = idle + 1 if before - best.value <= tolerance * scale else 0
        if idle == patience:
            best.converged = True
            break
    return best


# Rows times coefficients up to which shallow minima are searched for by probes.
MAX_PROBED = 20_000
# Coefficients up to which the sign of each is tried both ways.
MAX_REFLECTED = 20


def with_strength(objective: Any, strength: float) -> Any:
    """The same objective with another strength."""
    return replace(objective, strength=strength)


def minimise_best(objective: Any, smooth: Array, constant: Array) -> Descent:
    """Lowest of the descents along strengths from below, from above, and from a constant.

    Signs of slopes are then tried both ways, since minima differ in them.
    Small data pile up kinks into many shallow minima, so there the neighbourhood of the best
    descent is probed as well.
    """
    inverse = np.linalg.pinv(objective.hessian(smooth))
    strength = objective.strength
    runs = []
    for start, factors in ((smooth, (0.25, 0.5)), (constant, (4.0, 2.0)), (constant, (8.0, 1.3))):
        x = start
        for factor in factors:
            easier = with_strength(objective, factor * strength)
            x = minimise_kinked(easier, x, inverse).x
        runs.append(minimise_kinked(objective, x, inverse))
    best = reflected(objective, min(runs, key=lambda run: run.value), inverse)
    if objective.design.size <= MAX_PROBED:
        best = probed(objective, best, inverse, 1.0 / np.sqrt(len(objective.y)))
    return best


def reflected(function: Function, best: Descent, inverse_hessian: Array) -> Descent:
    """Restart with one slope at 0 or with the other sign: under a penalty slopes trade places."""
    if len(best.x) > MAX_REFLECTED:
        return best
    for j in range(1, len(best.x)):
        for factor in (0.0, -1.0):
            start = best.x.copy()
            start[j] *= factor
            run = minimise_kinked(function, start, inverse_hessian, max_restarts=5)
            if run.value < best.value:
                best = run
    return best


def probed(function: Function, best: Descent, inverse_hessian: Array, radius: float) -> Descent:
    """Restart from `radius` (and a third) away along each axis of the curvature, both ways."""
    roots, axes = np.linalg.eigh(inverse_hessian)
    reach = np.sqrt(np.clip(roots, 0.0, None))
    for share in (1.0, 0.3):
        centre = best.x
        for axis in range(len(reach)):
            for sign in (1.0, -1.0):
                start = centre + sign * share * radius * reach[axis] * axes[:, axis]
                run = minimise_kinked(function, start, inverse_hessian, max_restarts=6)
                if run.value < best.value:
                    best = run
    return best


def _diagonal(matrix: Array) -> Array:
    return np.diag(np.diag(matrix))


def _descend(function: Function, best: Descent, inverse: Array, steps: int, least: float) -> None:
    """One run of BFGS from the best point; `best` is updated in place."""
    x, value, gradient = best.x, best.value, best.gradient
    matrix = inverse.copy()
    small = 0
    for _ in range(steps):
        direction = -matrix @ gradient
        if not gradient @ direction < 0:
            return
        found = _weak_wolfe(function, x, value, gradient, direction, GRAIN * least)
        if found is None:
            return
        step, new_value, new_gradient = found
        best.n_iterations += 1
        change = new_gradient - gradient
        curvature = float(step @ change)
        if curvature > 1e-14 * float(np.linalg.norm(step) * np.linalg.norm(change)):
            matrix = _updated(matrix, step, change, curvature)
        small = small + 1 if value - new_value <= least else 0
        x, value, gradient = x + step, new_value, new_gradient
        best.x, best.value, best.gradient = x, value, gradient
        if small >= 3:
            return


def _updated(matrix: Array, step: Array, change: Array, curvature: float) -> Array:
    """BFGS update of the inverse Hessian."""
    moved = matrix @ change
    factor = (1.0 + float(change @ moved) / curvature) / curvature
    cross = np.outer(moved, step) / curvature
    return np.asarray(matrix + factor * np.outer(step, step) - cross - cross.T)


def _weak_wolfe(
    function: Function, x: Array, value: float, gradient: Array, direction: Array, grain: float
) -> tuple[Array, float, Array] | None:
    """Bisection for sufficient decrease and a slope that is less negative; None if there is none.

    A point that decreases the value is returned even if no point with both was found. Bisection
    ends where the slope promises less than `grain` over what is left.
    """
    slope = float(gradient @ direction)
    low, high, length = 0.0, np.inf, 1.0
    fallback: tuple[Array, float, Array] | None = None
    for _ in range(MAX_HALVINGS):
        step = length * direction
        new_value, new_gradient = function(x + step)
        if not new_value <= value + ARMIJO * length * slope:
            high = length
        elif new_gradient @ direction < CURVATURE * slope:
            low = length
            fallback = step, new_value, new_gradient
        else:
            return step, new_value, new_gradient
        length = 2.0 * low if np.isinf(high) else 0.5 * (low + high)
        if high - low <= 1e-14 * max(high if np.isfinite(high) else 1.0, 1e-300):
            break
        if -slope * high <= grain:
            break
    return fallback
