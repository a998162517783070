"""What single ranking mistakes cost in AUROC and in average precision.

The arguments are those of :mod:`evalstats.discrimination.kernels`. Rows of zero weight are absent.
"""

import numpy as np
from numpy.typing import NDArray

from evalstats.discrimination.curve_kernels import roc_points
from evalstats.kernels.classes import class_weights
from evalstats.kernels.compile import kernel


@kernel
def swap_gain(
    P: float, N: float, p1: float, q1: float, p2: float, q2: float, w: float, v: float
) -> tuple[float, float]:
    """Gain in won pairs and in summed precision from one swap between adjacent blocks. O(1).

    A positive of weight `w` rises from the lower block (p2, q2) to the upper one (p1, q1), which
    has P, N above it, and a negative of weight `v` falls the other way. Divided by W+ W- and W+
    these are the gains in AUROC and average precision. Written without differences of large
    numbers: two single rows give w v and w v (P + w) / ((P + w + N)(P + w + N + v)).
    """
    won = 0.5 * (w * (q1 + q2) + v * (p1 + p2))
    P1 = P + p1 + w
    # In this order nothing is lost where the negative outweighs all others.
    B1 = P + N + p1 + (q1 - v) + w
    precision = 0.0
    if w > 0.0:
        B2 = P + N + p1 + q1 + p2 + q2
        precision += w * (P1 * (v + q2 + p2 - w) - (p2 - w) * B1) / (B1 * B2)
    if p1 > 0.0:
        B1_before = P + N + p1 + q1
        precision += p1 * (w * (N + q1) + v * (P + p1)) / (B1 * B1_before)
    return won, precision


@kernel
def atomic_mistakes(
    positive: NDArray[np.bool_],
    last_in_block: NDArray[np.bool_],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Every negative directly above a positive, from the top: the rows and both gains. O(n).

    Returns the row of the positive, the row of the negative, and what swapping their two scores
    adds to the AUROC and to the average precision. Tied rows are no mistake; between two adjacent
    blocks of ties there is one, the lowest row of each class standing for its block. The gain in
    average precision can then be negative: the positive may join a block of many negatives.
    """
    n = order.size
    W_positive, W_negative = class_weights(positive, order, weight)
    positive_row = np.empty(n, dtype=np.int64)
    negative_row = np.empty(n, dtype=np.int64)
    auroc_gain = np.empty(n)
    ap_gain = np.empty(n)
    found = 0
    P = N = p1 = q1 = p2 = q2 = 0.0
    upper = -1
    low_positive = low_negative = n
    for position in range(n):
        row = order[position]
        if weight[row] > 0.0:
            if positive[position]:
                p2 += weight[row]
                low_positive = min(low_positive, row)
            else:
                q2 += weight[row]
                low_negative = min(low_negative, row)
        if last_in_block[position] and p2 + q2 > 0.0:
            if upper >= 0 and low_positive < n:
                w = weight[low_positive]
                won, precision = swap_gain(P, N, p1, q1, p2, q2, w, weight[upper])
                positive_row[found] = low_positive
                negative_row[found] = upper
                auroc_gain[found] = won / (W_positive * W_negative)
                ap_gain[found] = precision / W_positive
                found += 1
            P += p1
            N += q1
            p1, q1 = p2, q2
            p2 = q2 = 0.0
            upper = low_negative if low_negative < n else -1
            low_positive = low_negative = n
    return (
        positive_row[:found].copy(),
        negative_row[:found].copy(),
        auroc_gain[:found].copy(),
        ap_gain[:found].copy(),
    )


@kernel
def loss_curves(
    positive: NDArray[np.bool_],
    last_in_block: NDArray[np.bool_],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> tuple[
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.float64],
    NDArray[np.float64],
]:
    """Firing rate at the end of each block, and the loss in both metrics that lies in it. O(n).

    Returns the firing rate; the losses in AUROC and in average precision by the block of the missed
    positive; the same two by the block of the false alarm. Each loss adds up to one minus the
    metric; all are NaN where a class has no weight.
    """
    N, P = roc_points(positive, last_in_block, order, weight)
    n_blocks = P.size
    rate = np.full(n_blocks, np.nan)
    auroc_missed = np.full(n_blocks, np.nan)
    ap_missed = np.full(n_blocks, np.nan)
    auroc_alarm = np.full(n_blocks, np.nan)
    ap_alarm = np.full(n_blocks, np.nan)
    if n_blocks == 0 or P[-1] <= 0.0 or N[-1] <= 0.0:
        return rate, auroc_missed, ap_missed, auroc_alarm, ap_alarm
    W_positive = P[-1]
    W_negative = N[-1]
    below = 0.0
    inverse = 0.0
    for block in range(n_blocks - 1, -1, -1):
        P_above = P[block - 1] if block > 0 else 0.0
        N_above = N[block - 1] if block > 0 else 0.0
        p = P[block] - P_above
        q = N[block] - N_above
        B = P[block] + N[block]
        if p > 0.0:
            inverse += p / B
        rate[block] = B / (W_positive + W_negative)
        auroc_missed[block] = p * (N_above + 0.5 * q) / (W_positive * W_negative)
        ap_missed[block] = p * N[block] / (W_positive * B) if p > 0.0 else 0.0
        auroc_alarm[block] = q * (below + 0.5 * p) / (W_positive * W_negative)
        ap_alarm[block] = q * inverse / W_positive
        below += p
    return rate, auroc_missed, ap_missed, auroc_alarm, ap_alarm


@kernel
def firing_rate_at_share(
    rate: NDArray[np.float64], loss: NDArray[np.float64], share: float
) -> float:
    """Firing rate by which `share` of the loss has occurred, linear within a block. O(blocks).

    NaN when there is no loss.
    """
    total = 0.0
    for block in range(loss.size):
        total += loss[block]
    if not total > 0.0:
        return np.nan
    cumulative = 0.0
    last_rate = 0.0
    for block in range(loss.size):
        if loss[block] > 0.0 and cumulative + loss[block] >= share * total:
            within = (share * total - cumulative) / loss[block]
            return float(last_rate + within * (rate[block] - last_rate))
        cumulative += loss[block]
        last_rate = rate[block]
    return last_rate


@kernel
def subgroup_losses(
    positive: NDArray[np.bool_],
    last_in_block: NDArray[np.bool_],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
    group: NDArray[np.int64],
    n_groups: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Loss in AUROC and in average precision by group of the positive and of the negative.

    Two (n_groups, n_groups) matrices, rows for the group of the missed positive and columns for
    that of the false alarm; they add up to one minus each metric. `group` has codes from 0 in row
    order. O(n + positives * n_groups).
    """
    auroc_loss = np.full((n_groups, n_groups), np.nan)
    ap_loss = np.full((n_groups, n_groups), np.nan)
    W_positive, W_negative = class_weights(positive, order, weight)
    if W_positive <= 0.0 or W_negative <= 0.0:
        return auroc_loss, ap_loss
    auroc_loss[:] = 0.0
    ap_loss[:] = 0.0
    above = np.zeros(n_groups)
    tied = np.zeros(n_groups)
    B = 0.0
    start = 0
    for position in range(order.size):
        row = order[position]
        B += weight[row]
        if not positive[position]:
            tied[group[row]] += weight[row]
        if last_in_block[position]:
            for member in range(start, position + 1):
                row = order[member]
                if positive[member] and weight[row] > 0.0:
                    g = group[row]
                    of_pair = weight[row] / (W_positive * W_negative)
                    of_fired = weight[row] / (W_positive * B)
                    for h in range(n_groups):
                        auroc_loss[g, h] += of_pair * (above[h] + 0.5 * tied[h])
                        ap_loss[g, h] += of_fired * (above[h] + tied[h])
            for member in range(start, position + 1):
                h = group[order[member]]
                above[h] += tied[h]
                tied[h] = 0.0
            start = position + 1
    return auroc_loss, ap_loss


def top_gain_shares(
    ap_gain: NDArray[np.float64], group: NDArray[np.int64], n_groups: int, share: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Groups that hold the largest gains in average precision.

    Takes the fewest atomic mistakes that hold `share` of all attainable gain, and returns the part
    of their gain and the part of their number that belongs to each group. NaN without mistakes.
    """
    ap_gain = np.maximum(ap_gain, 0.0)
    ranked = np.argsort(-ap_gain, kind="stable")
    cumulative = np.cumsum(ap_gain[ranked])
    if cumulative.size == 0 or cumulative[-1] <= 0.0:
        return np.full(n_groups, np.nan), np.full(n_groups, np.nan)
    # A hair less than the share, or rounding in the cumulative sum would take one mistake more.
    wanted = share * cumulative[-1] * (1.0 - 1e-12)
    top = ranked[: int(np.searchsorted(cumulative, wanted)) + 1]
    gain = np.bincount(group[top], ap_gain[top], n_groups)
    count = np.bincount(group[top], minlength=n_groups).astype(np.float64)
    return gain / gain.sum(), count / count.sum()
