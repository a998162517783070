"""Mergeable summaries of labelled scores: an exact histogram, and 65536 fixed bins with bounds.

Both add up over parts of the data in any order, so that a partition, a stream or a cluster node
can summarise its own rows.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel


class ScoreHistogram(NamedTuple):
    """What the rows of each distinct score add up to; exact, and as long as there are scores.

    Attributes
    ----------
    scores : ndarray, shape (m,)
        Distinct scores, ascending.
    positive, negative : ndarray of float64, shape (m,)
        Weight of the positives and of the negatives at each score.
    positive_squares, negative_squares : ndarray of float64, shape (m,)
        Sums of the squared weights, which the variance needs.
    n_positive, n_negative : ndarray of int64, shape (m,)
        Numbers of rows.
    """

    scores: NDArray[Any]
    positive: NDArray[np.float64]
    negative: NDArray[np.float64]
    positive_squares: NDArray[np.float64]
    negative_squares: NDArray[np.float64]
    n_positive: NDArray[np.int64]
    n_negative: NDArray[np.int64]


class BinnedBounds(NamedTuple):
    """Values between which both metrics of the binned rows must lie, whatever their exact scores.

    Attributes
    ----------
    auroc_low, auroc_mid, auroc_high : float
        Lowest, central (pairs within a bin tied) and highest AUROC.
    ap_low, ap_high : float
        Lowest and highest average precision.
    """

    auroc_low: float
    auroc_mid: float
    auroc_high: float
    ap_low: float
    ap_high: float


def score_histogram(
    scores: NDArray[Any], positive: NDArray[np.bool_], weight: NDArray[np.float64] | None = None
) -> ScoreHistogram:
    """Summarise validated rows by distinct score. O(n log n)."""
    unique, index = np.unique(scores, return_inverse=True)
    if unique.dtype.kind == "f":
        unique = unique + unique.dtype.type(0)
    size = unique.size
    n_positive = np.bincount(index[positive], minlength=size)
    n_negative = np.bincount(index, minlength=size) - n_positive
    if weight is None:
        counts = n_positive.astype(np.float64), n_negative.astype(np.float64)
        return ScoreHistogram(unique, *counts, *counts, n_positive, n_negative)

    def added(values: NDArray[np.float64], rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        # Without rows, bincount forgets that its weights were floats.
        return np.bincount(index[rows], values[rows], size).astype(np.float64)

    squares = weight * weight
    return ScoreHistogram(
        unique,
        added(weight, positive),
        added(weight, ~positive),
        added(squares, positive),
        added(squares, ~positive),
        n_positive,
        n_negative,
    )


@kernel
def binned_auroc(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> float:
    """AUROC of weights by ascending score, half ties within each entry. O(m)."""
    P = 0.0
    N = 0.0
    won = 0.0
    for index in range(positive.size - 1, -1, -1):
        won += negative[index] * (P + 0.5 * positive[index])
        P += positive[index]
        N += negative[index]
    if P * N <= 0.0:
        return np.nan
    return min(won / (P * N), 1.0)


@kernel
def average_precision_bounds(
    positive: NDArray[np.float64], negative: NDArray[np.float64]
) -> tuple[float, float]:
    """Lowest and highest average precision of rows known only by their bin. O(m).

    Low: the negatives of a bin come first and its positives are infinitely divided, the integral of
    (P + x) / (P + x + N + q) over x from 0 to p. High: its positives come first, at one score.
    """
    P = 0.0
    N = 0.0
    low = 0.0
    high = 0.0
    for index in range(positive.size - 1, -1, -1):
        p = positive[index]
        fired_negative = N + negative[index]
        if p > 0.0:
            low += p
            if fired_negative > 0.0:
                low -= fired_negative * np.log1p(p / (P + fired_negative))
            high += p * ((P + p) / (P + p + N))
        P += p
        N = fired_negative
    if P <= 0.0:
        return np.nan, np.nan
    return max(low / P, 0.0), high / P


def score_bins(scores: NDArray[Any]) -> NDArray[np.uint16]:
    """Bin of each score: the top 16 bits of its float32 image, made monotone. O(n).

    A bin is about 0.4 to 0.8 per cent wide relative to the score, at every magnitude. Rounding to
    float32 keeps the order up to ties, so the bounds hold for scores of any precision.
    """
    with np.errstate(over="ignore"):
        # Adding zero turns -0.0, which has another bit pattern, into 0.0.
        single = scores.astype(np.float32) + np.float32(0.0)
    bits = single.view(np.uint32)
    sign = np.uint32(0x80000000)
    keys = np.where(bits & sign, ~bits, bits | sign)
    return (keys >> np.uint32(16)).astype(np.uint16)


def binned_bounds(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> BinnedBounds:
    """Bounds on AUROC and average precision from the weights per bin, ascending. O(bins)."""
    mid = float(binned_auroc(positive, negative))
    total = float(positive.sum() * negative.sum())
    half_width = 0.5 * float(positive @ negative) / total if total > 0.0 else np.nan
    ap_low, ap_high = average_precision_bounds(positive, negative)
    low, high = max(mid - half_width, 0.0), min(mid + half_width, 1.0)
    return BinnedBounds(low, mid, high, float(ap_low), float(ap_high))
