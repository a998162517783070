"""Slow, literal versions of the ranking statistics: pairs and thresholds by the definition."""

from itertools import pairwise, permutations, product

import numpy as np


def auroc(y, scores, weight):
    """Share of the weighted (positive, negative) pairs that are won; a tie is half a win."""
    won = total = 0.0
    for i in np.flatnonzero(y):
        for j in np.flatnonzero(~y):
            pair = weight[i] * weight[j]
            total += pair
            if scores[i] > scores[j]:
                won += pair
            elif scores[i] == scores[j]:
                won += 0.5 * pair
    return won / total if total > 0 else np.nan


def precision_at(y, scores, weight, score):
    """Precision of firing at `score` or more."""
    fired = scores >= score
    return weight[fired & y].sum() / weight[fired].sum()


def average_precision(y, scores, weight):
    """Weighted mean over the positives of the precision at their score."""
    rows = [i for i in np.flatnonzero(y) if weight[i] > 0]
    if not rows:
        return np.nan
    total = sum(weight[i] * precision_at(y, scores, weight, scores[i]) for i in rows)
    return total / weight[rows].sum()


def roc(y, scores, weight):
    """False and true positive rate at every threshold, from (0, 0)."""
    points = [(0.0, 0.0)]
    for score in sorted(set(scores.tolist()), reverse=True):
        fired = scores >= score
        points.append(
            (
                weight[fired & ~y].sum() / weight[~y].sum(),
                weight[fired & y].sum() / weight[y].sum(),
            )
        )
    return np.array(points)


def partial_auroc(y, scores, weight, max_fpr):
    """Trapezoid area of the ROC curve from 0 to `max_fpr`, segment by segment."""
    area = 0.0
    points = roc(y, scores, weight)
    for (x0, y0), (x1, y1) in pairwise(points):
        if x1 <= max_fpr:
            area += (x1 - x0) * (y0 + y1) / 2
        elif x0 < max_fpr:
            height = y0 + (y1 - y0) * (max_fpr - x0) / (x1 - x0)
            area += (max_fpr - x0) * (y0 + height) / 2
    return area


def precision_recall(y, scores, weight):
    """Recall and precision at every threshold that fires some weight, from the top."""
    points = []
    for score in sorted(set(scores[weight > 0].tolist()), reverse=True):
        fired = scores >= score
        points.append(
            (
                weight[fired & y].sum() / weight[y].sum(),
                weight[fired & y].sum() / weight[fired].sum(),
            )
        )
    return np.array(points)


def interpolated_at_levels(y, scores, weight, n_levels):
    """Mean over recall levels of the largest precision at that recall or more."""
    points = precision_recall(y, scores, weight)
    levels = np.arange(n_levels) / (n_levels - 1)
    return np.mean([points[points[:, 0] >= level - 1e-12, 1].max() for level in levels])


def interp_all(y, scores, weight):
    """Step area under the running maximum of precision from the right."""
    points = precision_recall(y, scores, weight)
    area = last = 0.0
    for recall, _ in points:
        area += (recall - last) * points[points[:, 0] >= recall - 1e-12, 1].max()
        last = recall
    return area


def tie_orders_average_precision(y, scores):
    """Smallest, mean and largest average precision over all orders of the tied rows."""
    blocks = [np.flatnonzero(scores == s) for s in sorted(set(scores.tolist()), reverse=True)]
    values = []
    for orders in product(*(list(permutations(block)) for block in blocks)):
        rows = np.concatenate([np.array(order) for order in orders])
        values.append(
            average_precision(y[rows], -np.arange(rows.size, dtype=float), np.ones(rows.size))
        )
    return min(values), float(np.mean(values)), max(values)


def derivative(statistic, y, scores, weight, step=1e-6):
    """One-sided (at weight 0) or central difference of a statistic in the weight of each row."""
    result = np.empty(weight.size)
    for row in range(weight.size):
        up, down = weight.copy(), weight.copy()
        up[row] += step
        down[row] -= min(step, weight[row])
        change = statistic(y, scores, up) - statistic(y, scores, down)
        result[row] = change / (up[row] - down[row])
    return result


def subgroup_losses(y, scores, weight, group):
    """Losses of AUROC and AP by (group of the positive, group of the negative).

    A misranked pair costs AUROC its weight, a tie half of it. AP loses, at each positive, the
    share of the negatives among what scores as high, and each negative its part of that.
    """
    groups = sorted(set(group.tolist()))
    positives, negatives = np.flatnonzero(y), np.flatnonzero(~y)
    all_pairs = weight[positives].sum() * weight[negatives].sum()
    by_pair = {"auroc": np.zeros((len(groups),) * 2), "ap": np.zeros((len(groups),) * 2)}
    for i, j in product(positives, negatives):
        place = groups.index(group[i]), groups.index(group[j])
        if scores[j] >= scores[i]:
            share = 0.5 if scores[j] == scores[i] else 1.0
            by_pair["auroc"][place] += share * weight[i] * weight[j] / all_pairs
            fired = weight[scores >= scores[i]].sum()
            by_pair["ap"][place] += weight[i] / weight[positives].sum() * weight[j] / fired
    return by_pair["auroc"], by_pair["ap"]
