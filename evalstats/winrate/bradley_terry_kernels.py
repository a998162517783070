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
def row_score(
    eta: float, outcome: float, tie: float, log_tie: float, davidson: bool
) -> tuple[float, float, float, float, float, float]:
    """Log-likelihood of one battle with its scores and information in (eta, log tie).

    Returns ``loglik, score_eta, score_tie, info_eta, info_cross, info_tie``. O(1).
    """
    small = np.exp(-abs(eta))
    if not davidson:
        p_high = 1.0 / (1.0 + small)
        p = p_high if eta >= 0.0 else 1.0 - p_high
        loglik = outcome * eta - max(eta, 0.0) - np.log1p(small)
        return loglik, outcome - p, 0.0, p_high * p_high * small, 0.0, 0.0
    # Davidson (1970): weights exp(eta / 2), exp(-eta / 2) and nu, scaled by the largest exponent.
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
    loglik = (outcome - 0.5) * eta + tie * log_tie - top - np.log(scale)
    return (
        loglik,
        outcome - 0.5 - 0.5 * lead,
        tie - p_draw,
        0.25 * (p_win + p_loss - lead * lead),
        -0.5 * lead * p_draw,
        p_draw * (1.0 - p_draw),
    )


@kernel
def likelihood_sums(
    first: Index,
    second: Index,
    design: Array,
    outcome: Array,
    tie: Array,
    weight: Array,
    theta: Array,
    n_models: int,
    davidson: bool,
    gradient: Array,
    information: Array,
) -> float:
    """Log-likelihood; fills its gradient (p,) and negative Hessian (p, p). O(n f^2 + p^2)."""
    n_controls = design.shape[1]
    gradient[:] = 0.0
    information[:] = 0.0
    last = n_models + n_controls
    log_tie = theta[last] if davidson else 0.0
    loglik = 0.0
    for row in range(first.size):
        w = weight[row]
        if w == 0.0:
            continue
        a = first[row]
        b = second[row]
        eta = theta[a] - theta[b]
        for c in range(n_controls):
            eta += design[row, c] * theta[n_models + c]
        drawn = tie[row] if davidson else 0.0
        value, s_eta, s_tie, i_eta, i_cross, i_tie = row_score(
            eta, outcome[row], drawn, log_tie, davidson
        )
        loglik += w * value
        s_eta *= w
        i_eta *= w
        gradient[a] += s_eta
        gradient[b] -= s_eta
        information[a, b] -= i_eta
        for c in range(n_controls):
            x = design[row, c]
            wx = i_eta * x
            gradient[n_models + c] += s_eta * x
            information[a, n_models + c] += wx
            information[b, n_models + c] -= wx
            for d in range(c, n_controls):
                information[n_models + c, n_models + d] += wx * design[row, d]
        if davidson:
            gradient[last] += w * s_tie
            information[last, last] += w * i_tie
            i_cross *= w
            information[a, last] += i_cross
            information[b, last] -= i_cross
            for c in range(n_controls):
                information[n_models + c, last] += i_cross * design[row, c]
    complete_symmetric(information, n_models)
    return loglik


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
def row_scores(
    first: Index,
    second: Index,
    design: Array,
    outcome: Array,
    tie: Array,
    theta: Array,
    n_models: int,
    davidson: bool,
) -> Array:
    """Score of each battle in (eta, log tie), shape (n, 2), without its weight. O(n f)."""
    scores = np.zeros((first.size, 2))
    n_controls = design.shape[1]
    log_tie = theta[n_models + n_controls] if davidson else 0.0
    for row in range(first.size):
        eta = theta[first[row]] - theta[second[row]]
        for c in range(n_controls):
            eta += design[row, c] * theta[n_models + c]
        drawn = tie[row] if davidson else 0.0
        result = row_score(eta, outcome[row], drawn, log_tie, davidson)
        scores[row, 0] = result[1]
        scores[row, 1] = result[2]
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


@kernel
def largest_pair_deviations(draws: Array, standard_error: Array) -> Array:
    """Per draw the largest |draw_i - draw_j| / standard_error_ij over all pairs. O(B m^2)."""
    largest = np.zeros(draws.shape[0])
    for draw in range(draws.shape[0]):
        top = 0.0
        for i in range(draws.shape[1]):
            for j in range(i):
                if standard_error[i, j] > 0.0:
                    ratio = abs(draws[draw, i] - draws[draw, j]) / standard_error[i, j]
                    top = max(top, ratio)
        largest[draw] = top
    return largest
