"""Simulate a model builder who fixes one ranking mistake after another."""

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalstats.discrimination.fixing_kernels import fix_steps
from evalstats.kernels.classes import ranked_auroc, ranked_average_precision
from evalstats.kernels.ranking import Ranking, rank_descending

Policy = Literal["argmax", "highest_score", "random"]
POLICIES: dict[Policy, int] = {"argmax": 0, "highest_score": 1, "random": 2}


class FixTrajectory(NamedTuple):
    """Both metrics before the first and after each fix.

    Attributes
    ----------
    auroc, ap : ndarray of float64, shape (steps + 1,)
        Metrics of all rows.
    group_auroc, group_ap : ndarray of float64, shape (steps + 1, n_groups)
        Metrics of each group alone; NaN where a class is absent.
    swapped : ndarray of int64, shape (steps, 2)
        Row of the positive and row of the negative that exchanged scores.
    scores : ndarray, shape (n,)
        Scores after the last fix.
    """

    auroc: NDArray[np.float64]
    ap: NDArray[np.float64]
    group_auroc: NDArray[np.float64]
    group_ap: NDArray[np.float64]
    swapped: NDArray[np.int64]
    scores: NDArray[Any]


def fix_mistakes(
    y: NDArray[np.bool_],
    scores: NDArray[Any],
    *,
    n_steps: int,
    policy: Policy = "argmax",
    weight: NDArray[np.float64] | None = None,
    group: NDArray[np.int64] | None = None,
    n_groups: int = 1,
    rng: np.random.Generator | None = None,
    spare_lowest_pair: bool = False,
) -> FixTrajectory:
    """Fix up to `n_steps` atomic mistakes, fewer if none are left.

    Parameters
    ----------
    y, scores, weight, group : ndarray, shape (n,)
        Validated labels, scores, positive weights (default 1) and group codes from 0 (default one
        group).
    n_steps : int
        Number of mistakes to fix.
    policy : {"argmax", "highest_score", "random"}
        The mistake whose repair adds most to the average precision, the one at the highest score,
        or one at random, which is what AUROC rewards: there all repairs are worth the same. The
        first two differ, because a mistake below many positives can be worth more than one above.
    n_groups : int
        Number of groups.
    rng : numpy.random.Generator
        Needed by the random policy.
    spare_lowest_pair : bool
        Never fix the two lowest rows, as the notebook of McDermott et al. (2024) does not.
    """
    weight = np.ones(y.size) if weight is None else weight
    group = np.zeros(y.size, dtype=np.int64) if group is None else group
    ranking = rank_descending(scores)
    slots, start, n_positive = _slots(y, ranking)
    sums = _block_sums(y, weight, slots, start)
    values = np.empty((n_steps + 1, 2 + 2 * n_groups))
    scale = np.empty(2 + 2 * n_groups)
    above = np.empty((y.size, 2))
    values[0, :2], scale[:2] = _metrics(y, scores, weight)
    for code in range(n_groups):
        rows = np.flatnonzero(group == code)
        columns = slice(2 + 2 * code, 4 + 2 * code)
        values[0, columns], scale[columns] = _metrics(y[rows], scores[rows], weight[rows])
        above[rows] = _above(y[rows], scores[rows], weight[rows])
    if policy == "random" and rng is None:
        rng = np.random.default_rng()
    uniforms = rng.random(n_steps) if policy == "random" and rng is not None else np.empty(0)
    swapped = np.empty((n_steps, 2), dtype=np.int64)
    done = fix_steps(
        slots,
        start,
        n_positive,
        weight,
        group,
        above,
        sums,
        scale,
        uniforms,
        POLICIES[policy],
        max(start.size - 2 - spare_lowest_pair, 0),
        values,
        swapped,
    )
    fixed = np.empty_like(scores)
    fixed[slots] = scores[ranking.order]
    values = values[: done + 1]
    return FixTrajectory(
        values[:, 0], values[:, 1], values[:, 2::2], values[:, 3::2], swapped[:done], fixed
    )


def _slots(
    y: NDArray[np.bool_], ranking: Ranking
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Rows by block, positives first, the lowest row last; block starts; positives per block."""
    order, last_in_block = ranking
    block = np.zeros(order.size, dtype=np.int64)
    np.cumsum(last_in_block[:-1], out=block[1:])
    slots = order[np.lexsort((-order, ~y[order], block))]
    start = np.concatenate(([0], np.flatnonzero(last_in_block) + 1))
    n_positive = np.bincount(block, y[order], start.size - 1).astype(np.int64)
    return slots, start, n_positive


def _block_sums(
    y: NDArray[np.bool_],
    weight: NDArray[np.float64],
    slots: NDArray[np.int64],
    start: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Positive and negative weight above and within each block, from the top."""
    sums = np.empty((start.size - 1, 4))
    ranked = weight[slots]
    for column, rows in ((0, y[slots]), (1, ~y[slots])):
        cumulative = np.concatenate(([0.0], np.cumsum(np.where(rows, ranked, 0.0))))[start]
        sums[:, column] = cumulative[:-1]
        sums[:, column + 2] = np.diff(cumulative)
    return sums


def _above(
    y: NDArray[np.bool_], scores: NDArray[Any], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Positive and negative weight at higher scores, for every row."""
    slots, start, _ = _slots(y, rank_descending(scores))
    above = np.empty((y.size, 2))
    sums = _block_sums(y, weight, slots, start)
    above[slots] = np.repeat(sums[:, :2], np.diff(start), axis=0)
    return above


def _metrics(
    y: NDArray[np.bool_], scores: NDArray[Any], weight: NDArray[np.float64]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """AUROC and average precision, and what one won pair and one unit of precision add to them."""
    order, last_in_block = rank_descending(scores)
    ranked = y[order], last_in_block, order, weight
    W_positive, W_negative = float(weight[y].sum()), float(weight[~y].sum())
    per_pair = 1.0 / (W_positive * W_negative) if W_positive * W_negative > 0.0 else np.nan
    per_precision = 1.0 / W_positive if W_positive > 0.0 else np.nan
    return (ranked_auroc(*ranked), ranked_average_precision(*ranked)), (per_pair, per_precision)
