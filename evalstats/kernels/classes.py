"""AUROC and average precision of two classes: one scan of a ranking, or a merge of sorted classes.

Kernels on a ranking take the same four arrays: `positive` (n,) bool, the label of row ``order[i]``
at position i; `last_in_block` (n,) bool, the ends of the blocks of tied scores; `order` (n,) int64,
rows from high to low score; `weight` (n,) float64 in ROW order. They return NaN where the statistic
is undefined. P and N are the positive and negative weight at or above the current score, p and q
those of the current block of ties.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel
from evalstats.kernels.radix import ascending
from evalstats.kernels.ranking import rank_descending, rounded_by_float


@kernel
def class_weights(
    positive: NDArray[np.bool_], order: NDArray[np.int64], weight: NDArray[np.float64]
) -> tuple[float, float]:
    """Total weight of the positives and of the negatives, added from the top down. O(n)."""
    total_positive = 0.0
    total_negative = 0.0
    for position in range(order.size):
        row_weight = weight[order[position]]
        if positive[position]:
            total_positive += row_weight
        else:
            total_negative += row_weight
    return total_positive, total_negative


@kernel
def ranked_auroc(
    positive: NDArray[np.bool_],
    last_in_block: NDArray[np.bool_],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> float:
    """Area under the ROC curve; a tied pair counts one half. O(n)."""
    above_positive = 0.0
    total_negative = 0.0
    won = 0.0
    p = 0.0
    q = 0.0
    for position in range(order.size):
        row_weight = weight[order[position]]
        if positive[position]:
            p += row_weight
        else:
            q += row_weight
        if last_in_block[position]:
            won += q * (above_positive + 0.5 * p)
            above_positive += p
            total_negative += q
            p = 0.0
            q = 0.0
    # One rounding when the weights are integers; rounding alone can lift other weights above 1.
    pairs = above_positive * total_negative
    if pairs <= 0.0:
        return np.nan
    return min(won / pairs, 1.0)


@kernel
def ranked_average_precision(
    positive: NDArray[np.bool_],
    last_in_block: NDArray[np.bool_],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> float:
    """Average precision: step integral of precision over recall, one step per block. O(n).

    Without negatives every ranking is perfect, and the value says nothing: NaN.
    """
    P = 0.0
    N = 0.0
    total = 0.0
    p = 0.0
    for position in range(order.size):
        row_weight = weight[order[position]]
        if positive[position]:
            p += row_weight
        else:
            N += row_weight
        if last_in_block[position] and p > 0.0:
            P += p
            total += p * (P / (P + N))
            p = 0.0
    if P <= 0.0 or N <= 0.0:
        return np.nan
    return total / P


@kernel
def split_by_label(
    positive: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores of the positives and of the negatives, in row order. O(n).

    Every score is written to both sides and only one side advances: labels are unpredictable, and
    a mispredicted branch would cost more than the store.
    """
    n = scores.size
    positives = np.empty(n + 1)
    negatives = np.empty(n + 1)
    n_positive = 0
    for row in range(n):
        positives[n_positive] = scores[row]
        negatives[row - n_positive] = scores[row]
        n_positive += int(positive[row])
    return positives[:n_positive], negatives[: n - n_positive]


@kernel
def auroc_from_sorted(positives: NDArray[np.float64], negatives: NDArray[np.float64]) -> int:
    """Twice the number of won pairs plus the number of tied pairs, exactly. O(m + n).

    Both arrays ascend. Exact while twice the number of pairs fits a signed 64-bit integer.
    """
    doubled = 0
    below = 0
    not_above = 0
    n = negatives.size
    for index in range(positives.size):
        score = positives[index]
        while below < n and negatives[below] < score:
            below += 1
        not_above = max(not_above, below)
        while not_above < n and negatives[not_above] <= score:
            not_above += 1
        doubled += below + not_above
    return doubled


@kernel
def average_precision_from_sorted(
    positives: NDArray[np.float64], negatives: NDArray[np.float64]
) -> float:
    """Average precision from the ascending scores of both classes, ties grouped. O(m + n)."""
    m = positives.size
    total = 0.0
    if m == 0 or negatives.size == 0:
        return np.nan
    negative = negatives.size - 1
    end = m - 1
    while end >= 0:
        score = positives[end]
        start = end
        while start > 0 and positives[start - 1] == score:
            start -= 1
        while negative >= 0 and negatives[negative] >= score:
            negative -= 1
        fired_positive = m - start
        fired = fired_positive + negatives.size - 1 - negative
        total += (end - start + 1) * (fired_positive / fired)
        end = start - 1
    return total / m


def unweighted_auroc(y: NDArray[np.bool_], scores: NDArray[Any]) -> float:
    """AUROC of validated labels and scores; NaN when a class is absent. O(n log n)."""
    if rounded_by_float(scores):
        return float(ranked_auroc(*_ranked(y, scores)))
    positives, negatives = _sorted_classes(y, scores)
    if positives.size == 0 or negatives.size == 0:
        return np.nan
    doubled = int(auroc_from_sorted(positives, negatives))
    return doubled / (2 * positives.size * negatives.size)


def unweighted_average_precision(y: NDArray[np.bool_], scores: NDArray[Any]) -> float:
    """Average precision of validated labels and scores; NaN without positives. O(n log n)."""
    if rounded_by_float(scores):
        return float(ranked_average_precision(*_ranked(y, scores)))
    return float(average_precision_from_sorted(*_sorted_classes(y, scores)))


def _sorted_classes(
    y: NDArray[np.bool_], scores: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ascending scores of the positives and of the negatives."""
    positives, negatives = split_by_label(y, np.require(scores, np.float64, ["C", "W"]))
    return ascending(positives), ascending(negatives)


def _ranked(
    y: NDArray[np.bool_], scores: NDArray[Any]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64], NDArray[np.float64]]:
    """Arguments of the kernels on a ranking, every row with weight one."""
    order, last_in_block = rank_descending(scores)
    return y[order], last_in_block, order, np.ones(order.size)
