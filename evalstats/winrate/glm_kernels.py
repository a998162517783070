"""Fractional logistic regression of every model, as a function of the weights of instructions.

Rows of all models lie one after another; model m owns rows ``offsets[m]`` to ``offsets[m + 1]``.
A row's weight is its own weight times that of its instruction.
"""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

NO_PENALTY = 0
RIDGE = 1
LASSO = 2
FIRTH = 3


@kernel
def expit(eta: float) -> float:
    """Logistic function, without overflow. O(1)."""
    if eta >= 0.0:
        return 1.0 / (1.0 + float(np.exp(-eta)))
    e = float(np.exp(eta))
    return e / (1.0 + e)


@kernel
def factorise(matrix: Array, p: int) -> bool:
    """Cholesky factor in the lower triangle, in place; False if not positive definite. O(p^3)."""
    for i in range(p):
        original = matrix[i, i]
        for j in range(i + 1):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            if i == j:
                # Rounding leaves about 1e-16 of the diagonal where a column is redundant.
                if not total > 1e-13 * original:
                    return False
                matrix[i, i] = np.sqrt(total)
            else:
                matrix[i, j] = total / matrix[j, j]
    return True


@kernel
def solve_factorised(factor: Array, p: int, vector: Array, out: Array) -> None:
    """Solve L L' out = vector. O(p^2)."""
    for i in range(p):
        total = vector[i]
        for k in range(i):
            total -= factor[i, k] * out[k]
        out[i] = total / factor[i, i]
    for i in range(p - 1, -1, -1):
        total = out[i]
        for k in range(i + 1, p):
            total -= factor[k, i] * out[k]
        out[i] = total / factor[i, i]


@kernel
def accumulate(
    design: Array,
    y: Array,
    weight: Array,
    item: Codes,
    start: int,
    stop: int,
    unit: Array,
    theta: Array,
    score: Array,
    information: Array,
) -> None:
    """Score and information (lower triangle) of one model. O(rows p^2)."""
    p = design.shape[1]
    score[:] = 0.0
    information[:, :] = 0.0
    for row in range(start, stop):
        w = weight[row] * unit[item[row]]
        if w == 0.0:
            continue
        eta = 0.0
        for j in range(p):
            eta += design[row, j] * theta[j]
        probability = expit(eta)
        residual = w * (y[row] - probability)
        curvature = w * probability * (1.0 - probability)
        for j in range(p):
            x = design[row, j]
            score[j] += residual * x
            scaled = curvature * x
            for k in range(j + 1):
                information[j, k] += scaled * design[row, k]


@kernel
def accumulate_three(
    design: Array,
    y: Array,
    weight: Array,
    item: Codes,
    start: int,
    stop: int,
    unit: Array,
    theta: Array,
    score: Array,
    information: Array,
) -> None:
    """As :func:`accumulate` for three terms, AlpacaEval's number, at half the time. O(rows)."""
    a, b, c = theta[0], theta[1], theta[2]
    s0 = s1 = s2 = 0.0
    h00 = h10 = h11 = h20 = h21 = h22 = 0.0
    for row in range(start, stop):
        w = weight[row] * unit[item[row]]
        if w == 0.0:
            continue
        x0, x1, x2 = design[row, 0], design[row, 1], design[row, 2]
        probability = expit(a * x0 + b * x1 + c * x2)
        residual = w * (y[row] - probability)
        curvature = w * probability * (1.0 - probability)
        s0 += residual * x0
        s1 += residual * x1
        s2 += residual * x2
        h00 += curvature * x0 * x0
        h10 += curvature * x1 * x0
        h11 += curvature * x1 * x1
        h20 += curvature * x2 * x0
        h21 += curvature * x2 * x1
        h22 += curvature * x2 * x2
    score[0], score[1], score[2] = s0, s1, s2
    information[0, 0] = h00
    information[1, 0], information[1, 1] = h10, h11
    information[2, 0], information[2, 1], information[2, 2] = h20, h21, h22


@kernel
def add_firth_score(
    design: Array,
    weight: Array,
    item: Codes,
    start: int,
    stop: int,
    unit: Array,
    theta: Array,
    factor: Array,
    score: Array,
) -> None:
    """Add the gradient of half the log determinant of the information. O(rows p^2)."""
    p = design.shape[1]
    solution = np.empty(p)
    for row in range(start, stop):
        w = weight[row] * unit[item[row]]
        if w == 0.0:
            continue
        eta = 0.0
        for j in range(p):
            eta += design[row, j] * theta[j]
        probability = expit(eta)
        solve_factorised(factor, p, design[row], solution)
        leverage = 0.0
        for j in range(p):
            leverage += design[row, j] * solution[j]
        leverage *= w * probability * (1.0 - probability)
        for j in range(p):
            score[j] += leverage * (0.5 - probability) * design[row, j]


@kernel
def lasso_step(
    score: Array, information: Array, theta: Array, strength: float, step: Array
) -> None:
    """Minimise the quadratic model plus the L1 norm by coordinate descent. O(sweeps p^2)."""
    p = len(theta)
    step[:] = 0.0
    for _ in range(10_000):
        largest = 0.0
        for j in range(p):
            curvature = information[j, j]
            if curvature <= 0.0:
                continue
            slope = score[j]
            for k in range(p):
                if k != j:
                    entry = information[j, k] if k < j else information[k, j]
                    slope -= entry * step[k]
            wanted = slope + curvature * theta[j]
            if wanted > strength:
                new = (wanted - strength) / curvature
            elif wanted < -strength:
                new = (wanted + strength) / curvature
            else:
                new = 0.0
            change = new - theta[j] - step[j]
            step[j] += change
            largest = max(largest, abs(change))
        if largest < 1e-13:
            return


@kernel
def retreated(score: Array, theta: Array, step: Array, slope: float) -> bool:
    """Take back half of the last step where the slope along it turned and did not shrink. O(p)."""
    turned = 0.0
    for j in range(len(theta)):
        turned += score[j] * step[j]
    if slope <= 0.0 or turned >= -0.9 * slope:
        return False
    for j in range(len(theta)):
        step[j] *= 0.5
        theta[j] -= step[j]
    return True


@kernel
def moved(theta: Array, step: Array) -> float:
    """Add the step and return its size relative to the coefficients (at least 1). O(p)."""
    largest = 0.0
    size = 1.0
    for j in range(len(theta)):
        theta[j] += step[j]
        largest = max(largest, abs(step[j]))
        size = max(size, abs(theta[j]))
    return largest / size


@kernel
def add_ridge(score: Array, information: Array, theta: Array, strength: float) -> None:
    """Add the derivatives of the ridge penalty. O(p)."""
    for j in range(len(theta)):
        score[j] -= strength * theta[j]
        information[j, j] += strength


@kernel
def fit_model(
    design: Array,
    y: Array,
    weight: Array,
    item: Codes,
    start: int,
    stop: int,
    unit: Array,
    penalty: int,
    strength: float,
    tolerance: float,
    max_iterations: int,
    theta: Array,
) -> bool:
    """Newton's method from `theta`, in place; False where it does not converge.

    The objective is convex, so slopes alone tell when a step was too long and no objective value
    is needed. Complexity O(iterations rows p^2).
    """
    p = design.shape[1]
    score = np.empty(p)
    information = np.empty((p, p))
    step = np.zeros(p)
    slope = 0.0
    for _ in range(max_iterations):
        if p == 3:
            accumulate_three(design, y, weight, item, start, stop, unit, theta, score, information)
        else:
            accumulate(design, y, weight, item, start, stop, unit, theta, score, information)
        if penalty == RIDGE:
            add_ridge(score, information, theta, strength)
        if penalty == LASSO:
            lasso_step(score, information, theta, strength, step)
        else:
            if not factorise(information, p):
                return False
            if penalty == FIRTH:
                add_firth_score(design, weight, item, start, stop, unit, theta, information, score)
            if retreated(score, theta, step, slope):
                slope *= 0.5
                continue
            solve_factorised(information, p, score, step)
            slope = np.dot(score, step)
        size = moved(theta, step)
        if not np.isfinite(size):
            return False
        if size <= tolerance:
            return True
    return False


@kernel
def fit_models(
    design: Array,
    y: Array,
    weight: Array,
    item: Codes,
    offsets: Codes,
    fitted: NDArray[np.bool_],
    unit: Array,
    penalty: int,
    strength: float,
    tolerance: float,
    max_iterations: int,
    theta: Array,
) -> None:
    """Fit every model from ``theta[m]``, in place; NaN where it fails. O(iterations rows p^2)."""
    for model in range(len(offsets) - 1):
        if not fitted[model]:
            continue
        converged = fit_model(
            design,
            y,
            weight,
            item,
            offsets[model],
            offsets[model + 1],
            unit,
            penalty,
            strength,
            tolerance,
            max_iterations,
            theta[model],
        )
        if not converged:
            theta[model, :] = np.nan


@kernel
def weighted_means(
    values: Array, weight: Array, item: Codes, offsets: Codes, unit: Array, out: Array
) -> None:
    """Weighted mean of `values` over the rows of each model, NaN rows left out. O(rows)."""
    for model in range(len(offsets) - 1):
        total = 0.0
        mass = 0.0
        for row in range(offsets[model], offsets[model + 1]):
            value = values[row]
            if value == value:  # noqa: PLR0124 - NaN
                w = weight[row] * unit[item[row]]
                total += w * value
                mass += w
        out[model] = total / mass if mass > 0.0 else np.nan


@kernel
def controlled_probabilities(design: Array, offsets: Codes, theta: Array, out: Array) -> None:
    """Predicted preference of every row under its model's coefficients. O(rows p)."""
    p = design.shape[1]
    for model in range(len(offsets) - 1):
        for row in range(offsets[model], offsets[model + 1]):
            eta = 0.0
            for j in range(p):
                eta += design[row, j] * theta[model, j]
            out[row] = expit(eta)


@kernel
def item_scores(
    design: Array,
    y: Array,
    weight: Array,
    item: Codes,
    start: int,
    stop: int,
    theta: Array,
    scores: Array,
) -> None:
    """Add each row's score to its instruction, without the instruction's weight. O(rows p)."""
    p = design.shape[1]
    for row in range(start, stop):
        eta = 0.0
        for j in range(p):
            eta += design[row, j] * theta[j]
        residual = weight[row] * (y[row] - expit(eta))
        for j in range(p):
            scores[item[row], j] += residual * design[row, j]


@kernel
def pair_rates(
    context: Array, weight: Array, theta: Array, first: Codes, second: Codes, out: Array
) -> None:
    """Mean preference of model ``first`` over ``second`` at equal mediators. O(pairs items p)."""
    n, p = context.shape
    for pair in range(len(first)):
        total = 0.0
        mass = 0.0
        for row in range(n):
            if weight[row] == 0.0:
                continue
            eta = 0.0
            for j in range(p):
                eta += context[row, j] * (theta[first[pair], j] - theta[second[pair], j])
            total += weight[row] * expit(eta)
            mass += weight[row]
        out[pair] = total / mass if mass > 0.0 else np.nan
