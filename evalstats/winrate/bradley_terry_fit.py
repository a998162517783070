"""Maximum likelihood of the Bradley-Terry model: existence, Newton's method, score products."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evalstats.inference.units import Units
from evalstats.winrate.bradley_terry_kernels import (
    davidson_score_and_information,
    linear_predictor,
    pair_sums,
    reachable,
    row_score_products,
    row_scores,
    score_and_information,
    solve_positive,
    unit_score_products,
)

Array = NDArray[np.float64]

MAX_STEPS = 40
STEP_TOLERANCE = 1e-7
ERROR = 1e-13


@dataclass(frozen=True)
class Battles:
    """Rows of the likelihood: who met whom, the outcome for the first, and the contrasts.

    Attributes
    ----------
    first, second : int64 array (n,)
        Codes of the two models.
    outcome : float64 array (n,)
        1 where the first won, 0 where the second won, 0.5 for a tie, or a probability.
    tie : float64 array (n,) or (0,)
        1 for a tie in Davidson's model; empty where ties count one half.
    design : float64 array (n, f)
        Contrasts of the controls, first minus second.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    outcome: Array
    tie: Array
    design: Array
    n_models: int

    @property
    def davidson(self) -> bool:
        """Whether ties have a parameter of their own."""
        return self.tie.size > 0

    @property
    def n_parameters(self) -> int:
        """Ratings, controls, and the tie parameter."""
        return int(self.n_models + self.design.shape[1] + self.davidson)


@dataclass(frozen=True)
class Restriction:
    """What makes the maximum unique: anchored ratings, or a ridge.

    Attributes
    ----------
    fixed : bool array (p,)
        Parameters that keep their starting value.
    penalty : float64 array (p,)
        Ridge of each parameter, subtracting ``penalty theta^2 / 2`` from the log-likelihood.
    """

    fixed: NDArray[np.bool_]
    penalty: Array

    @property
    def free_shift(self) -> bool:
        """Whether adding a constant to all ratings changes nothing."""
        return not bool(self.fixed.any()) and not bool((self.penalty > 0).any())


def score_and_hessian(
    battles: Battles, weight: Array, theta: Array, restriction: Restriction
) -> tuple[Array, Array]:
    """Gradient and non-singular negative Hessian of the penalised log-likelihood."""
    p, m = battles.n_parameters, battles.n_models
    gradient = np.empty(p)
    information = np.empty((p, p))
    if battles.davidson:
        davidson_score_and_information(
            battles.first,
            battles.second,
            battles.design,
            battles.outcome,
            battles.tie,
            weight,
            theta,
            m,
            gradient,
            information,
        )
    else:
        score_and_information(
            battles.first,
            battles.second,
            battles.design,
            battles.outcome,
            weight,
            theta,
            m,
            gradient,
            information,
        )
    gradient -= restriction.penalty * theta
    information[np.diag_indices(p)] += restriction.penalty
    if restriction.free_shift:
        # The gradient is orthogonal to a common shift, so this only makes the system regular.
        information[:m, :m] += information[np.diag_indices(m)].mean() / m
    fixed = restriction.fixed
    gradient[fixed] = 0.0
    information[fixed] = 0.0
    information[:, fixed] = 0.0
    information[fixed, fixed] = 1.0
    return gradient, information


def maximise(
    battles: Battles, weight: Array, start: Array, restriction: Restriction
) -> Array | None:
    """Newton's method from `start`; None where there is no finite maximum.

    The log-likelihood is concave, so a step has gone too far exactly if the slope along it has
    turned steeply negative; it is then halved. Convergence is quadratic: iteration stops once the
    error predicted from the last two steps is below rounding. O(n f^2 + p^3) per step.
    """
    theta = start.copy()
    step = np.zeros_like(theta)
    slope = np.inf
    size = np.inf
    for _ in range(MAX_STEPS):
        gradient, information = score_and_hessian(battles, weight, theta, restriction)
        if float(gradient @ step) < -0.5 * slope:
            step *= 0.5
            theta -= step
            continue
        if not solve_positive(information, gradient, step):
            return None
        slope = float(gradient @ step)
        theta += step
        previous, size = size, float(np.abs(step).max())
        if not np.isfinite(size):
            return None
        if size < STEP_TOLERANCE or (size < 1e-2 and size * (size / previous) ** 2 < ERROR):
            return theta
    return None


def collapsed(battles: Battles, weight: Array) -> tuple[Battles, Array, Array]:
    """One row per pair of models that met, its weight, and who beat whom how often (m, m)."""
    total, points, ties = pair_sums(
        battles.first, battles.second, battles.outcome, battles.tie, weight, battles.n_models
    )
    first, second = np.nonzero(total)
    pair_weight = total[first, second]
    wins = points + (total - points).T
    pairs = replace(
        battles,
        first=first.astype(np.int64),
        second=second.astype(np.int64),
        outcome=points[first, second] / pair_weight,
        tie=ties[first, second] / pair_weight if battles.davidson else battles.tie,
        design=np.empty((len(first), 0)),
    )
    return pairs, pair_weight, wins


def connected(wins: Array, anchored: NDArray[np.bool_]) -> bool:
    """Ford's condition: from each model a chain of wins leads to each other model."""
    edges = wins > 0
    edges |= np.logical_and.outer(anchored, anchored)
    return bool(reachable(edges, False).all() and reachable(edges, True).all())


def why_infinite(wins: Array, names: Sequence[Hashable]) -> str:
    """Name the models for which the ratings have no finite maximum."""
    from scipy.sparse.csgraph import connected_components

    met = (wins + wins.T) > 0
    absent = np.flatnonzero(~met.any(axis=0))
    if len(absent):
        return f"{_listed(names, absent)} has no battle with positive weight"
    n_parts, part = connected_components(met, directed=False)
    if n_parts > 1:
        smallest = np.flatnonzero(part == np.argmin(np.bincount(part)))
        return (
            f"the graph of comparisons has {n_parts} parts without a battle between them (one is "
            f"{_listed(names, smallest)}), so their ratings cannot be compared"
        )
    winners = np.flatnonzero((wins.sum(axis=0) == 0) & (wins.sum(axis=1) > 0))
    if len(winners):
        return f"{_listed(names, winners)} has only wins: its rating is infinite"
    losers = np.flatnonzero((wins.sum(axis=1) == 0) & (wins.sum(axis=0) > 0))
    if len(losers):
        return f"{_listed(names, losers)} has only losses: its rating is minus infinity"
    _, part = connected_components(wins > 0, directed=True, connection="strong")
    smallest = np.flatnonzero(part == np.argmin(np.bincount(part)))
    return f"the group {_listed(names, smallest)} always or never beats the other models"


def _listed(names: Sequence[Hashable], rows: NDArray[np.int64]) -> str:
    shown = ", ".join(repr(names[row]) for row in rows[:5])
    return shown + (f" and {len(rows) - 5} more" if len(rows) > 5 else "")


def eta_scores(battles: Battles, theta: Array) -> Array:
    """Score of each battle in (log-odds, log tie parameter), without its weight."""
    eta = np.empty(len(battles.first))
    linear_predictor(battles.first, battles.second, battles.design, theta, battles.n_models, eta)
    log_tie = float(theta[-1]) if battles.davidson else 0.0
    return row_scores(eta, battles.outcome, battles.tie, log_tie)


def score_matrix(battles: Battles, theta: Array) -> Array:
    """Scores of all parameters, one row per battle: O(n p) memory."""
    scores = eta_scores(battles, theta)
    m = battles.n_models
    matrix = np.zeros((len(scores), battles.n_parameters))
    rows = np.arange(len(scores))
    matrix[rows, battles.first] = scores[:, 0]
    matrix[rows, battles.second] -= scores[:, 0]
    matrix[:, m : m + battles.design.shape[1]] = scores[:, :1] * battles.design
    if battles.davidson:
        matrix[:, -1] = scores[:, 1]
    return matrix


def centred_score_products(battles: Battles, theta: Array, units: Units) -> Array:
    """Sum over units of centred score sums, times m / (m - 1): the meat of the sandwich."""
    weight = units.row_weight
    scores = eta_scores(battles, theta)
    m = battles.n_models
    weighted = weight * scores[:, 0]
    if units.clustered or battles.davidson:
        order, offsets = _rows_by_unit(units)
        products = unit_score_products(
            order,
            offsets,
            battles.first,
            battles.second,
            battles.design,
            scores,
            weight,
            m,
            battles.n_parameters,
        )
    else:
        products = row_score_products(battles.first, battles.second, battles.design, weighted, m)
    total = np.zeros(battles.n_parameters)
    total[:m] = np.bincount(battles.first, weighted, m) - np.bincount(battles.second, weighted, m)
    total[m : m + battles.design.shape[1]] = weighted @ battles.design
    if battles.davidson:
        total[-1] = weight @ scores[:, 1]
    n_active = int(units.active.sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.divide(n_active, n_active - 1.0)
        return np.asarray(scale * (products - np.outer(total, total) / n_active))


def _rows_by_unit(units: Units) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if units.unit_of_row is None:
        return np.arange(units.n_rows), np.arange(units.n_rows + 1)
    order = np.argsort(units.unit_of_row, kind="stable")
    counts = np.bincount(units.unit_of_row, minlength=units.n_units)
    return order, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
