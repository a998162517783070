"""Descending ranking of scores in blocks of ties: the start of every rank-based metric."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Ranking(NamedTuple):
    """Rows in descending order of score, with the ends of the blocks of tied scores.

    Attributes
    ----------
    order : ndarray of int64, shape (n,)
        Row indices from the highest to the lowest score; tied rows come in any order.
    last_in_block : ndarray of bool, shape (n,)
        True at the last position of each block of equal scores, in that order.
    """

    order: NDArray[np.int64]
    last_in_block: NDArray[np.bool_]


def rank_descending(scores: NDArray[Any]) -> Ranking:
    """Sort one vector of numbers from high to low and mark the blocks of ties.

    The sort runs in the dtype of `scores`, so that float32 is sorted at its own speed and wide
    integers are compared exactly; 0.0 and -0.0 are tied. Time O(n log n).
    """
    # The default sort is not stable but vectorised on many processors; no metric may depend on
    # the order within a block of ties.
    order = np.argsort(scores)[::-1].astype(np.int64, order="C")
    ranked = scores[order]
    last_in_block = np.ones(order.size, dtype=np.bool_)
    np.not_equal(ranked[1:], ranked[:-1], out=last_in_block[:-1])
    return Ranking(order, last_in_block)
