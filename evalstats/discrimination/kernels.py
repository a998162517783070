"""Partial AUROC and the influence values of AUROC and average precision, one scan each.

All kernels on a ranking take the same four arrays: `positive` (n,) bool, the label of row
``order[i]`` at position i; `last_in_block` (n,) bool, the ends of the blocks of tied scores;
`order` (n,) int64, rows from high to low score; `weight` (n,) float64 in ROW order. A kernel
returns NaN where the statistic is undefined. P and N are the positive and negative weight at or
above the current score, p and q those of the current block of ties, and B = P + N.
"""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.classes import class_weights, ranked_auroc, ranked_average_precision
from evalstats.kernels.compile import kernel


@kernel
def auroc_influence(
    positive: NDArray[np.bool_],
    last_in_block: NDArray[np.bool_],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Derivative of the AUROC with respect to the weight of each row, in row order. O(n).

    For a positive, (share of the negatives that it beats - AUROC) / W+; for a negative, (share of
    the positives that beat it - AUROC) / W-: the placement values of DeLong (1988).
    """
    n = order.size
    influence = np.full(n, np.nan)
    total_positive, total_negative = class_weights(positive, order, weight)
    if total_positive <= 0.0 or total_negative <= 0.0:
        return influence
    auroc = ranked_auroc(positive, last_in_block, order, weight)
    above_positive = 0.0
    above_negative = 0.0
    p = 0.0
    q = 0.0
    start = 0
    for position in range(n):
        row_weight = weight[order[position]]
        if positive[position]:
            p += row_weight
        else:
            q += row_weight
        if last_in_block[position]:
            lost = (above_negative + 0.5 * q) / total_negative
            of_positive = (1.0 - lost - auroc) / total_positive
            won = (above_positive + 0.5 * p) / total_positive
            of_negative = (won - auroc) / total_negative
            for member in range(start, position + 1):
                influence[order[member]] = of_positive if positive[member] else of_negative
            above_positive += p
            above_negative += q
            p = 0.0
            q = 0.0
            start = position + 1
    return influence


@kernel
def average_precision_influence(
    positive: NDArray[np.bool_],
    last_in_block: NDArray[np.bool_],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Derivative of the average precision with respect to each row's weight, in row order. O(n).

    (y (Q - AP + G1) - G2) / W+, where Q is the precision at the row's score and G1, G2 add w/B and
    w Q/B over the positives at or below it. A zero-weight row above all weighted rows has B = 0;
    its own precision there is 1 if it is a positive and 0 if it is a negative (the limit of a
    vanishing weight), as for every row of a block without weight.
    """
    n = order.size
    influence = np.full(n, np.nan)
    ap = ranked_average_precision(positive, last_in_block, order, weight)
    if np.isnan(ap):
        return influence
    # Kept from the way down: on the way up, subtracting from the totals would cancel near the top.
    fired = np.empty(n)
    fired_positive = np.empty(n)
    P = 0.0
    B = 0.0
    for position in range(n):
        row_weight = weight[order[position]]
        B += row_weight
        if positive[position]:
            P += row_weight
        fired[position] = B
        fired_positive[position] = P
    g1 = 0.0
    g2 = 0.0
    end = n - 1
    while end >= 0:
        start = end
        while start > 0 and not last_in_block[start - 1]:
            start -= 1
        P_above = fired_positive[start - 1] if start > 0 else 0.0
        precision = 1.0
        if fired[end] > 0.0:
            precision = fired_positive[end] / fired[end]
            share = (fired_positive[end] - P_above) / fired[end]
            g1 += share
            g2 += share * precision
        of_negative = -g2 / P
        of_positive = (precision - ap + g1 - g2) / P
        for member in range(start, end + 1):
            influence[order[member]] = of_positive if positive[member] else of_negative
        end = start - 1
    return influence


@kernel
def partial_auroc(
    positive: NDArray[np.bool_],
    last_in_block: NDArray[np.bool_],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
    max_fpr: float,
) -> float:
    """Area under the ROC curve up to the false positive rate `max_fpr`, interpolated. O(n)."""
    total_positive, total_negative = class_weights(positive, order, weight)
    if total_positive <= 0.0 or total_negative <= 0.0:
        return np.nan
    cut = max_fpr * total_negative
    area = 0.0
    P = 0.0
    N = 0.0
    p = 0.0
    q = 0.0
    for position in range(order.size):
        row_weight = weight[order[position]]
        if positive[position]:
            p += row_weight
        else:
            q += row_weight
        if last_in_block[position]:
            if N + q > cut:
                taken = cut - N
                area += taken * (P + 0.5 * p * (taken / q))
                return area / total_positive / total_negative
            area += q * (P + 0.5 * p)
            P += p
            N += q
            p = 0.0
            q = 0.0
    return area / total_positive / total_negative
