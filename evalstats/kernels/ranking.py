"""Descending ranking of scores in blocks of ties: the start of every rank-based metric."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.radix import stable_order

EXACT_INTEGERS = 2**53


class Ranking(NamedTuple):
    """Rows in descending order of score, with the ends of the blocks of tied scores.

    Attributes
    ----------
    order : ndarray of int64, shape (n,)
        Row indices from the highest to the lowest score, tied rows in no order to rely on.
    last_in_block : ndarray of bool, shape (n,)
        True at the last position of each block of equal scores, in that order.
    """

    order: NDArray[np.int64]
    last_in_block: NDArray[np.bool_]


def rank_descending(scores: NDArray[Any]) -> Ranking:
    """Sort one vector of numbers from high to low and mark the blocks of ties.

    Integers that float64 would round are compared as they are; 0.0 and -0.0 are tied, and tied rows
    keep their order. O(n), or O(n log n) for such integers.
    """
    if rounded_by_float(scores):
        order = np.argsort(scores, kind="stable")[::-1].astype(np.int64, order="C")
    else:
        # Adding zero makes -0.0 positive.
        order = stable_order(scores.astype(np.float64) + 0.0, descending=True)
    ranked = scores[order]
    last_in_block = np.ones(order.size, dtype=np.bool_)
    np.not_equal(ranked[1:], ranked[:-1], out=last_in_block[:-1])
    return Ranking(order, last_in_block)


def rounded_by_float(scores: NDArray[Any]) -> bool:
    """Whether some score would be rounded by float64, which could create ties."""
    if scores.size == 0 or (scores.dtype.kind in "biuf" and scores.dtype.itemsize < 8):
        return False
    if scores.dtype.kind in "iu":
        return max(abs(int(scores.min())), abs(int(scores.max()))) > EXACT_INTEGERS
    return scores.dtype != np.float64
