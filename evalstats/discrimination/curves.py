"""ROC and precision-recall curves as their points, with the conventions of scikit-learn."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalstats.discrimination.curve_kernels import roc_points
from evalstats.kernels.ranking import rank_descending


class RocCurve(NamedTuple):
    """Points of a ROC curve from (0, 0) to (1, 1).

    Attributes
    ----------
    fpr, tpr : ndarray of float64
        False and true positive rate; NaN where the class has no weight.
    thresholds : ndarray
        Scores that reach each point, descending, the first one infinite.
    """

    fpr: NDArray[np.float64]
    tpr: NDArray[np.float64]
    thresholds: NDArray[Any]


class PrecisionRecallCurve(NamedTuple):
    """Points of a precision-recall curve, from recall 1 to the added point (recall 0, precision 1).

    Attributes
    ----------
    precision, recall : ndarray of float64
        One more value than `thresholds`.
    thresholds : ndarray
        Scores that reach each point, ascending.
    """

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    thresholds: NDArray[Any]


def roc_curve(
    y: NDArray[np.bool_],
    scores: NDArray[Any],
    weight: NDArray[np.float64] | None = None,
    *,
    drop_intermediate: bool = True,
) -> RocCurve:
    """ROC curve of validated labels and scores.

    Parameters
    ----------
    y : bool array (n,)
        Whether each row is a positive.
    scores : array (n,)
        Scores; higher means positive.
    weight : float64 array (n,), optional
        Weights of the rows.
    drop_intermediate : bool
        Leave out points halfway between their neighbours, where the second differences of both
        counts vanish; the curve does not change.

    Returns
    -------
    RocCurve
        False positive rates, true positive rates and thresholds, from the highest score down.
    """
    false_positive, true_positive, thresholds = _points(y, scores, weight)
    if drop_intermediate and thresholds.size > 2:
        bends = (np.diff(false_positive, 2) != 0) | (np.diff(true_positive, 2) != 0)
        kept = np.flatnonzero(np.concatenate(([True], bends, [True])))
        false_positive, true_positive = false_positive[kept], true_positive[kept]
        thresholds = thresholds[kept]
    infinite = np.asarray([np.inf], dtype=np.result_type(thresholds.dtype, np.float32))
    return RocCurve(
        _rates(np.concatenate(([0.0], false_positive))),
        _rates(np.concatenate(([0.0], true_positive))),
        np.concatenate((infinite, thresholds)),
    )


def precision_recall_curve(
    y: NDArray[np.bool_],
    scores: NDArray[Any],
    weight: NDArray[np.float64] | None = None,
    *,
    drop_intermediate: bool = False,
) -> PrecisionRecallCurve:
    """Precision-recall curve of validated labels and scores.

    Parameters
    ----------
    y : bool array (n,)
        Whether each row is a positive.
    scores : array (n,)
        Scores; higher means positive.
    weight : float64 array (n,), optional
        Weights of the rows.
    drop_intermediate : bool
        Leave out the inner points of a run of equal recall.

    Returns
    -------
    PrecisionRecallCurve
        Precision, recall and thresholds, from the lowest score up, ending at recall 0.
    """
    false_positive, true_positive, thresholds = _points(y, scores, weight)
    if drop_intermediate and thresholds.size > 1:
        moves = np.diff(true_positive) != 0
        kept = np.concatenate(([True], moves[:-1] | moves[1:], [True]))
        false_positive, true_positive = false_positive[kept], true_positive[kept]
        thresholds = thresholds[kept]
    fired = false_positive + true_positive
    precision = true_positive / fired
    if true_positive.size and true_positive[-1] > 0:
        recall = true_positive / true_positive[-1]
    else:
        recall = np.ones_like(true_positive)
    return PrecisionRecallCurve(
        np.append(precision[::-1], 1.0), np.append(recall[::-1], 0.0), thresholds[::-1].copy()
    )


def log_roc_area(
    y: NDArray[np.bool_], scores: NDArray[Any], weight: NDArray[np.float64] | None = None
) -> float:
    """Integral of log TPR over the false positive rate, trapezoids between the points.

    At high prevalence the average precision is close to 1 + (1 - prevalence) / prevalence times
    this area (McDermott et al. 2024). Minus infinity when a negative is ranked above all positives.
    """
    fpr, tpr, _ = roc_curve(y, scores, weight)
    reached = tpr > 0.0
    if np.isnan(fpr[-1]) or not reached.any():
        return np.nan
    if fpr[~reached][-1] > 0.0:
        return -np.inf
    return float(np.trapezoid(np.log(tpr[reached]), fpr[reached]))


def _points(
    y: NDArray[np.bool_], scores: NDArray[Any], weight: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[Any]]:
    """False and true positive weight and score of every block that holds weight, from the top."""
    order, last_in_block = rank_descending(scores)
    if weight is None:
        weight = np.ones(order.size)
    false_positive, true_positive = roc_points(y[order], last_in_block, order, weight)
    thresholds = scores[order[last_in_block]]
    fired = false_positive + true_positive
    weighted = np.diff(fired, prepend=0.0) > 0.0
    if weighted.all():
        return false_positive, true_positive, thresholds
    return false_positive[weighted], true_positive[weighted], thresholds[weighted]


def _rates(cumulative: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of the last value; NaN throughout when it is zero."""
    if cumulative[-1] <= 0.0:
        return np.full_like(cumulative, np.nan)
    shares: NDArray[np.float64] = cumulative / cumulative[-1]
    return shares
