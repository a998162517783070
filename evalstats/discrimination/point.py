"""Unweighted point values of one score vector: two plain sorts and a merge, no index array."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalstats.discrimination.kernels import (
    auroc_from_sorted,
    average_precision_from_sorted,
    ranked_auroc,
    ranked_average_precision,
    split_by_label,
)
from evalstats.kernels.ranking import rank_descending

EXACT_INTEGERS = 2**53


def unweighted_auroc(y: NDArray[np.bool_], scores: NDArray[Any]) -> float:
    """AUROC of validated labels and scores; NaN when a class is absent. O(n log n)."""
    if _needs_integers(scores):
        return float(ranked_auroc(*_ranked(y, scores)))
    positives, negatives = _sorted_classes(y, scores)
    if positives.size == 0 or negatives.size == 0:
        return np.nan
    doubled = int(auroc_from_sorted(positives, negatives))
    return doubled / (2 * positives.size * negatives.size)


def unweighted_average_precision(y: NDArray[np.bool_], scores: NDArray[Any]) -> float:
    """Average precision of validated labels and scores; NaN without positives. O(n log n)."""
    if _needs_integers(scores):
        return float(ranked_average_precision(*_ranked(y, scores)))
    return float(average_precision_from_sorted(*_sorted_classes(y, scores)))


def standardised_partial_auroc(area: float, max_fpr: float) -> float:
    """Partial area on the scale where chance is 0.5 and perfection 1 (McClish 1989)."""
    chance = 0.5 * max_fpr**2
    return 0.5 * (1.0 + (area - chance) / (max_fpr - chance))


def _sorted_classes(
    y: NDArray[np.bool_], scores: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ascending scores of the positives and of the negatives."""
    positives, negatives = split_by_label(y, np.require(scores, np.float64, ["C", "W"]))
    positives.sort()
    negatives.sort()
    return positives, negatives


def _needs_integers(scores: NDArray[Any]) -> bool:
    """Whether some integer score would be rounded by float64, which could create ties."""
    if scores.dtype.kind not in "iu" or scores.dtype.itemsize < 8 or scores.size == 0:
        return False
    return max(abs(int(scores.min())), abs(int(scores.max()))) > EXACT_INTEGERS


def _ranked(
    y: NDArray[np.bool_], scores: NDArray[Any]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64], NDArray[np.float64]]:
    """Arguments of the kernels on a ranking, every row with weight one."""
    order, last_in_block = rank_descending(scores)
    return y[order], last_in_block, order, np.ones(order.size)
