"""Points of the ROC and precision-recall curves, and the other areas under the latter.

The arguments are those of :mod:`evalstats.discrimination.kernels`. P, N and B = P + N are the
positive, negative and total weight at or above the current score; p and q those of its block.
"""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel


@kernel
def roc_points(
    positive: NDArray[np.bool_],
    last_in_block: NDArray[np.bool_],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight of the false and the true positives at the end of each block, from the top. O(n)."""
    n_blocks = 0
    for position in range(last_in_block.size):
        n_blocks += last_in_block[position]
    false_positive = np.empty(n_blocks)
    true_positive = np.empty(n_blocks)
    P = 0.0
    N = 0.0
    block = 0
    for position in range(order.size):
        row_weight = weight[order[position]]
        if positive[position]:
            P += row_weight
        else:
            N += row_weight
        if last_in_block[position]:
            false_positive[block] = N
            true_positive[block] = P
            block += 1
    return false_positive, true_positive


@kernel
def trapezoid(
    positive: NDArray[np.bool_],
    last_in_block: NDArray[np.bool_],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> float:
    """Area under straight lines between the precision-recall points, from (0, 1). O(n)."""
    false_positive, true_positive = roc_points(positive, last_in_block, order, weight)
    P = 0.0
    precision = 1.0
    total = 0.0
    for block in range(true_positive.size):
        B = true_positive[block] + false_positive[block]
        if B > 0.0:
            last = precision
            precision = true_positive[block] / B
            total += (true_positive[block] - P) * 0.5 * (last + precision)
            P = true_positive[block]
    if P <= 0.0:
        return np.nan
    return total / P


@kernel
def davis_goadrich(
    positive: NDArray[np.bool_],
    last_in_block: NDArray[np.bool_],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> float:
    """Area when true and false positives grow in proportion within a block. O(n).

    A block with p positives and q negatives after P and N contributes the integral of
    (P + x) / (B + x + h x) over x from 0 to p, with h = q/p (Davis and Goadrich 2006).
    """
    false_positive, true_positive = roc_points(positive, last_in_block, order, weight)
    P = 0.0
    N = 0.0
    total = 0.0
    for block in range(true_positive.size):
        p = true_positive[block] - P
        q = false_positive[block] - N
        if p > 0.0:
            h = q / p
            k = 1.0 + h
            c = N - h * P
            total += p / k
            if P + N > 0.0:
                total -= c / (k * k) * np.log1p((p + q) / (P + N))
        P = true_positive[block]
        N = false_positive[block]
    if P <= 0.0:
        return np.nan
    return total / P


@kernel
def interpolated_at_levels(
    positive: NDArray[np.bool_],
    last_in_block: NDArray[np.bool_],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
    n_levels: int,
) -> float:
    """Mean over equally spaced recall levels of the best precision at that recall or more. O(n)."""
    false_positive, true_positive = roc_points(positive, last_in_block, order, weight)
    if true_positive.size == 0 or true_positive[-1] <= 0.0:
        return np.nan
    total_positive = true_positive[-1]
    best = 0.0
    total = 0.0
    level = n_levels - 1
    for block in range(true_positive.size - 1, -1, -1):
        P = true_positive[block]
        # Reached up to rounding: the order of the rows must not decide whether weights such as
        # 0.1 + 0.2 meet a level.
        reached = P * (n_levels - 1) * (1.0 + 1e-12)
        while level >= 0 and level * total_positive > reached:
            total += best
            level -= 1
        if P > 0.0:
            best = max(best, P / (P + false_positive[block]))
    return (total + (level + 1) * best) / n_levels


def interp11(
    positive: NDArray[np.bool_],
    last_in_block: NDArray[np.bool_],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> float:
    """Interpolated precision averaged over recall 0, 0.1, ..., 1 (PASCAL VOC 2007). O(n)."""
    return interpolated_at_levels(positive, last_in_block, order, weight, 11)


def interp101(
    positive: NDArray[np.bool_],
    last_in_block: NDArray[np.bool_],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> float:
    """Interpolated precision averaged over recall 0, 0.01, ..., 1 (COCO). O(n)."""
    return interpolated_at_levels(positive, last_in_block, order, weight, 101)


@kernel
def interp_all(
    positive: NDArray[np.bool_],
    last_in_block: NDArray[np.bool_],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> float:
    """Step area under the running maximum of precision from the right (PASCAL VOC 2010). O(n)."""
    false_positive, true_positive = roc_points(positive, last_in_block, order, weight)
    if true_positive.size == 0 or true_positive[-1] <= 0.0:
        return np.nan
    best = 0.0
    total = 0.0
    for block in range(true_positive.size - 1, -1, -1):
        P = true_positive[block]
        P_above = true_positive[block - 1] if block > 0 else 0.0
        if P > 0.0:
            best = max(best, P / (P + false_positive[block]))
        total += (P - P_above) * best
    return min(total / float(true_positive[-1]), 1.0)


# Copies that are added one by one; more of them have a closed form.
COPIES_ADDED = 1024.0
ASYMPTOTIC_FROM = 32.0


@kernel
def harmonic_excess(start: float, count: float) -> tuple[float, float]:
    """Share u = count / (start + 1/2), and u less sum of 1 / (start + j) for j = 1, ..., count.

    From the expansion of digamma(x + 1/2) about log x, whose error is below 1e-14 for `start` of 32
    and more. The difference is not taken of two equal numbers where u is small. O(1).
    """
    first = start + 0.5
    last = first + count
    share = count / first
    if share < 0.1:
        excess = 0.0
        power = share
        for k in range(2, 20):
            power *= -share
            excess -= power / k
    else:
        excess = share - np.log1p(share)
    low = 1.0 / (first * first)
    high = 1.0 / (last * last)
    excess -= (high - low) / 24.0 - (high * high - low * low) * 7.0 / 960.0
    excess -= (high * high * high - low * low * low) * 31.0 / 8064.0
    return share, excess


@kernel
def tied_average_precision(
    positive: NDArray[np.bool_],
    last_in_block: NDArray[np.bool_],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
    negatives_first: bool,
) -> float:
    """Average precision with ties broken one way; weights count copies. O(n)."""
    false_positive, true_positive = roc_points(positive, last_in_block, order, weight)
    P = 0.0
    N = 0.0
    total = 0.0
    for block in range(true_positive.size):
        if negatives_first:
            N = false_positive[block]
        left = true_positive[block] - P
        while left >= 0.5 and (left <= COPIES_ADDED or P + N < ASYMPTOTIC_FROM):
            P += 1.0
            left -= 1.0
            total += P / (P + N)
        if left >= 0.5:
            # The sum of (P + i) / (P + N + i) over i = 1, ..., left.
            share, excess = harmonic_excess(P + N, left)
            total += N * excess + share * (P + 0.5)
        P = true_positive[block]
        N = false_positive[block]
    if P <= 0.0:
        return np.nan
    return total / P


def best_tied_average_precision(
    positive: NDArray[np.bool_],
    last_in_block: NDArray[np.bool_],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> float:
    """Average precision if every positive came before the negatives that it is tied with."""
    return tied_average_precision(positive, last_in_block, order, weight, False)


def worst_tied_average_precision(
    positive: NDArray[np.bool_],
    last_in_block: NDArray[np.bool_],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> float:
    """Average precision if every positive came after the negatives that it is tied with."""
    return tied_average_precision(positive, last_in_block, order, weight, True)


@kernel
def expected_tied_average_precision(
    positive: NDArray[np.bool_],
    last_in_block: NDArray[np.bool_],
    order: NDArray[np.int64],
    weight: NDArray[np.float64],
) -> float:
    """Mean average precision over all random orders of the ties; weights count copies.

    A block of t rows with p positives has a positive at place j with probability p/t, and then
    (j - 1)(p - 1)/(t - 1) positives before it on average (McSherry and Najork 2008). O(n).
    """
    false_positive, true_positive = roc_points(positive, last_in_block, order, weight)
    P = 0.0
    N = 0.0
    total = 0.0
    for block in range(true_positive.size):
        p = true_positive[block] - P
        size = p + false_positive[block] - N
        if p > 0.0:
            growth = (p - 1.0) / (size - 1.0) if size > 1.0 else 0.0
            left = size
            before = 0.0
            found = 0.0
            while left >= 0.5 and (left <= COPIES_ADDED or P + N + before < ASYMPTOTIC_FROM):
                found += (P + 1.0 + before * growth) / (P + N + 1.0 + before)
                before += 1.0
                left -= 1.0
            if left >= 0.5:
                # The sum of (above + 1 + i growth) / (rank + 1 + i) over i = 0, ..., left - 1.
                above = P + before * growth
                rank = P + N + before
                share, excess = harmonic_excess(rank, left)
                found += growth * ((rank + 1.0) * excess - 0.5 * share)
                found += (above + 1.0) * (share - excess)
            total += p / size * found
        P = true_positive[block]
        N = false_positive[block]
    if P <= 0.0:
        return np.nan
    return total / P


def chance_average_precision(n: int, n_positive: int) -> float:
    """Mean average precision of a random ranking of `n` rows, slightly above the prevalence."""
    from scipy.special import digamma

    if n_positive == 0:
        return np.nan
    if n == n_positive:
        return 1.0
    harmonic = float(digamma(n + 1.0)) + np.euler_gamma
    return harmonic * (n - n_positive) / (n * (n - 1.0)) + (n_positive - 1.0) / (n - 1.0)
