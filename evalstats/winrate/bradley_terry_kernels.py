"""Compiled sums of the Bradley-Terry likelihood over battles.

A battle is (first, second, outcome, weight): integer indices instead of a one-hot design, so that
a pass touches two ratings and f controls per row whatever the number of models. Parameters are
laid out as ratings (m), controls (f) and, in Davidson's model, the log tie parameter.
"""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel

Array = NDArray[np.float64]
Index = NDArray[np.int64]


@kernel
def pair_sums(
    first: Index, second: Index, outcome: Array, tie: Array, weight: Array, n_models: int
) -> tuple[Array, Array, Array]:
    """Weight, points of the lower-numbered model and weight of ties, by pair of models. O(n).

    `tie` may be empty, which counts no ties.
    """
    total = np.zeros((n_models, n_models))
    points = np.zeros((n_models, n_models))
    ties = np.zeros((n_models, n_models))
    for row in range(first.size):
        a = first[row]
        b = second[row]
        w = weight[row]
        y = outcome[row]
        if a > b:
            a, b, y = b, a, 1.0 - y
        total[a, b] += w
        points[a, b] += w * y
        if tie.size > 0:
            ties[a, b] += w * tie[row]
    return total, points, ties


@kernel
def davidson_terms(
    eta: float, outcome: float, tie: float, log_tie: float
) -> tuple[float, float, float, float, float]:
    """Scores and information of one battle in (eta, log tie), Davidson (1970). O(1).

    Returns ``score_eta, score_tie, info_eta, info_cross, info_tie``; win, loss and tie have
    weights exp(eta / 2), exp(-eta / 2) and nu, scaled here by the largest exponent.
    """
    half = 0.5 * eta
    top = max(abs(half), log_tie)
    win = np.exp(half - top)
    loss = np.exp(-half - top)
    draw = np.exp(log_tie - top)
    scale = win + loss + draw
    p_win = win / scale
    p_loss = loss / scale
    p_draw = draw / scale
    lead = p_win - p_loss
    return (
        outcome - 0.5 - 0.5 * lead,
        tie - p_draw,
        0.25 * (p_win + p_loss - lead * lead),
        -0.5 * lead * p_draw,
        p_draw * (1.0 - p_draw),
    )


@kernel
def linear_predictor(
    first: Index, second: Index, design: Array, theta: Array, n_models: int, eta: Array
) -> None:
    """Fill `eta` with the log-odds of each battle. O(n f)."""
    n_controls = design.shape[1]
    slopes = theta[n_models:]
    for row in range(first.size):
        value = theta[first[row]] - theta[second[row]]
        for c in range(n_controls):
            value += design[row, c] * slopes[c]
        eta[row] = value


@kernel
def score_and_information(
    first: Index,
    second: Index,
    design: Array,
    outcome: Array,
    weight: Array,
    theta: Array,
    n_models: int,
    gradient: Array,
    information: Array,
) -> None:
    """Fill gradient (p,) and negative Hessian (p, p) where ties count one half. O(n f^2 + p^2)."""
    f = design.shape[1]
    gradient[:] = 0.0
    information[:] = 0.0
    pairs = np.zeros(n_models * n_models)
    cross = np.zeros((n_models, f))
    inner = np.zeros((f, f))
    slopes = theta[n_models:]
    slope_score = np.zeros(f)
    for row in range(first.size):
        w = weight[row]
        if w == 0.0:
            continue
        a = first[row]
        b = second[row]
        eta = theta[a] - theta[b]
        for c in range(f):
            eta += design[row, c] * slopes[c]
        # expit(-|eta|) keeps its relative accuracy in both tails.
        small = np.exp(-abs(eta))
        high = 1.0 / (1.0 + small)
        p = high if eta >= 0.0 else small * high
        score = w * (outcome[row] - p)
        info = w * high * high * small
        gradient[a] += score
        gradient[b] -= score
        pairs[a * n_models + b] += info
        for c in range(f):
            x = design[row, c]
            wx = info * x
            slope_score[c] += score * x
            cross[a, c] += wx
            cross[b, c] -= wx
            for d in range(c + 1):
                inner[c, d] += wx * design[row, d]
    gradient[n_models : n_models + f] = slope_score
    for a in range(n_models):
        for b in range(n_models):
            information[a, b] = -pairs[a * n_models + b]
        for c in range(f):
            information[a, n_models + c] = cross[a, c]
    for c in range(f):
        for d in range(c + 1):
            information[n_models + d, n_models + c] = inner[c, d]
    complete_symmetric(information, n_models)


@kernel
def davidson_score_and_information(
    first: Index,
    second: Index,
    design: Array,
    outcome: Array,
    tie: Array,
    weight: Array,
    theta: Array,
    n_models: int,
    gradient: Array,
    information: Array,
) -> None:
    """Fill gradient (p,) and negative Hessian (p, p) of Davidson's model. O(n f^2 + p^2)."""
    f = design.shape[1]
    last = n_models + f
    gradient[:] = 0.0
    information[:] = 0.0
    for row in range(first.size):
        w = weight[row]
        if w == 0.0:
            continue
        a = first[row]
        b = second[row]
        eta = theta[a] - theta[b]
        for c in range(f):
            eta += design[row, c] * theta[n_models + c]
        score, score_tie, info, cross, info_tie = davidson_terms(
            eta, outcome[row], tie[row], theta[last]
        )
        gradient[a] += w * score
        gradient[b] -= w * score
        gradient[last] += w * score_tie
        information[a, b] -= w * info
        information[last, last] += w * info_tie
        information[a, last] += w * cross
        information[b, last] -= w * cross
        for c in range(f):
            x = w * design[row, c]
            gradient[n_models + c] += score * x
            information[a, n_models + c] += info * x
            information[b, n_models + c] -= info * x
            information[n_models + c, last] += cross * x
            for d in range(c, f):
                information[n_models + c, n_models + d] += info * x * design[row, d]
    complete_symmetric(information, n_models)


@kernel
def solve_positive(matrix: Array, right: Array, solution: Array) -> bool:
    """Solve by Cholesky's method, overwriting `matrix`; False where it is not positive definite.

    A threaded LAPACK would lose more by waking its threads than such small systems take, and would
    compete with the threads of the engine. O(p^3 / 3).
    """
    p = matrix.shape[0]
    floor = 0.0
    for i in range(p):
        floor = max(floor, 1e-14 * matrix[i, i])
    # Upper factor U with U'U = matrix, row by row, so that the inner loop is contiguous.
    for k in range(p):
        if not matrix[k, k] > floor:
            return False
        root = np.sqrt(matrix[k, k])
        for j in range(k, p):
            matrix[k, j] /= root
        for i in range(k + 1, p):
            factor = matrix[k, i]
            for j in range(i, p):
                matrix[i, j] -= factor * matrix[k, j]
    solution[:] = right
    for i in range(p):
        solution[i] /= matrix[i, i]
        for j in range(i + 1, p):
            solution[j] -= matrix[i, j] * solution[i]
    for i in range(p - 1, -1, -1):
        value = solution[i]
        for j in range(i + 1, p):
            value -= matrix[i, j] * solution[j]
        solution[i] = value / matrix[i, i]
    return True


@kernel
def complete_symmetric(matrix: Array, n_models: int) -> None:
    """Fill a matrix of pair sums: rating block from its off-diagonal, rest by symmetry. O(p^2)."""
    for i in range(n_models):
        for j in range(i):
            both = matrix[i, j] + matrix[j, i]
            matrix[i, j] = both
            matrix[j, i] = both
    for i in range(n_models):
        diagonal = 0.0
        for j in range(n_models):
            if j != i:
                diagonal -= matrix[i, j]
        matrix[i, i] = diagonal
    for i in range(matrix.shape[0]):
        for j in range(max(i + 1, n_models), matrix.shape[0]):
            matrix[j, i] = matrix[i, j]


@kernel
def row_scores(eta: Array, outcome: Array, tie: Array, log_tie: float) -> Array:
    """Score of each battle in (eta, log tie), shape (n, 2), without its weight. O(n).

    An empty `tie` counts ties one half.
    """
    scores = np.zeros((eta.size, 2))
    for row in range(eta.size):
        if tie.size > 0:
            terms = davidson_terms(eta[row], outcome[row], tie[row], log_tie)
            scores[row, 0] = terms[0]
            scores[row, 1] = terms[1]
        else:
            scores[row, 0] = outcome[row] - 1.0 / (1.0 + np.exp(-eta[row]))
    return scores


@kernel
def row_score_products(
    first: Index, second: Index, design: Array, score: Array, n_models: int
) -> Array:
    """Sum of psi psi' over battles as independent units, without a tie parameter. O(n f^2 + p^2).

    `score` is the weighted score in eta of each battle.
    """
    n_controls = design.shape[1]
    size = n_models + n_controls
    products = np.zeros((size, size))
    for row in range(first.size):
        squared = score[row] * score[row]
        products[first[row], second[row]] -= squared
        for c in range(n_controls):
            x = squared * design[row, c]
            products[first[row], n_models + c] += x
            products[second[row], n_models + c] -= x
            for d in range(c, n_controls):
                products[n_models + c, n_models + d] += x * design[row, d]
    complete_symmetric(products, n_models)
    return products


@kernel
def unit_score_products(
    order: Index,
    offsets: Index,
    first: Index,
    second: Index,
    design: Array,
    scores: Array,
    weight: Array,
    n_models: int,
    n_parameters: int,
) -> Array:
    """Sum over units of s s', s the sum of the weighted scores of the unit's battles.

    ``order[offsets[u]:offsets[u + 1]]`` are the battles of unit u. O(n f + units t^2), where t is
    the number of parameters that a unit touches.
    """
    n_controls = design.shape[1]
    products = np.zeros((n_parameters, n_parameters))
    total = np.zeros(n_parameters)
    seen = np.zeros(n_parameters, dtype=np.bool_)
    touched = np.empty(n_parameters, dtype=np.int64)
    for unit in range(offsets.size - 1):
        count = 0
        for position in range(offsets[unit], offsets[unit + 1]):
            row = order[position]
            score = weight[row] * scores[row, 0]
            for side in range(2):
                model = first[row] if side == 0 else second[row]
                if not seen[model]:
                    seen[model] = True
                    touched[count] = model
                    count += 1
                total[model] += score if side == 0 else -score
            for c in range(n_controls):
                total[n_models + c] += score * design[row, c]
            if n_parameters > n_models + n_controls:
                total[n_parameters - 1] += weight[row] * scores[row, 1]
        for parameter in range(n_models, n_parameters):
            touched[count] = parameter
            count += 1
        for i in range(count):
            for j in range(count):
                products[touched[i], touched[j]] += total[touched[i]] * total[touched[j]]
        for i in range(count):
            total[touched[i]] = 0.0
            seen[touched[i]] = False
    return products


@kernel
def reachable(edges: NDArray[np.bool_], backwards: bool) -> NDArray[np.bool_]:
    """Nodes that can be reached from node 0 along (or against) the edges. O(m^2)."""
    m = edges.shape[0]
    found = np.zeros(m, dtype=np.bool_)
    queue = np.empty(m, dtype=np.int64)
    found[0] = True
    queue[0] = 0
    head = 0
    tail = 1
    while head < tail:
        node = queue[head]
        head += 1
        for other in range(m):
            linked = edges[other, node] if backwards else edges[node, other]
            if linked and not found[other]:
                found[other] = True
                queue[tail] = other
                tail += 1
    return found
