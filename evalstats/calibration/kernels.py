"""Compiled sums over rows: means, bins of probabilities, and what states of them hold."""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel

Array = NDArray[np.float64]


@kernel
def weighted_row_means(values: Array, weights: Array) -> Array:
    """Weighted mean of each row of `values` (k, n); NaN without weight. O(k n)."""
    out = np.empty(values.shape[0])
    for term in range(values.shape[0]):
        total = 0.0
        mass = 0.0
        for row in range(values.shape[1]):
            total += weights[row] * values[term, row]
            mass += weights[row]
        out[term] = total / mass if mass > 0.0 else np.nan
    return out


@kernel
def weighted_moments(values: Array, weights: Array) -> Array:
    """Sums of w, wf, w^2, w^2 f and of w^2 f g for every term g, over the rows. O(k^2 n)."""
    k = values.shape[0]
    out = np.zeros((k, 4 + k))
    for term in range(k):
        for row in range(values.shape[1]):
            weight = weights[row]
            weighted = weight * values[term, row]
            out[term, 0] += weight
            out[term, 1] += weighted
            out[term, 2] += weight * weight
            out[term, 3] += weight * weighted
        for other in range(term, k):
            total = 0.0
            for row in range(values.shape[1]):
                total += weights[row] * values[term, row] * weights[row] * values[other, row]
            out[term, 4 + other] = total
            out[other, 4 + term] = total
    return out


@kernel
def signed_errors(forecast: Array, outcome: NDArray[np.bool_], out: Array) -> None:
    """Balance of each row: y - p where p >= 1/2, else p - y (Choi et al. 2023). O(n)."""
    for row in range(forecast.size):
        error = np.float64(outcome[row]) - forecast[row]
        out[row] = error * (2.0 * np.float64(forecast[row] >= 0.5) - 1.0)


@kernel
def bin_of_forecast(
    forecast: Array, edges: Array, right_closed: bool, out: NDArray[np.int32]
) -> None:
    """Bin of each forecast among increasing edges that cover them. O(n) for equal widths.

    The first guess is that of equally wide bins between the outer edges; walking from there makes
    the comparison with the edges themselves decide.
    """
    n_bins = edges.size - 1
    low = edges[0]
    per_width = n_bins / (edges[n_bins] - low)
    for row in range(forecast.size):
        p = forecast[row]
        code = min(max(int((p - low) * per_width), 0), n_bins - 1)
        if right_closed:
            while code > 0 and p <= edges[code]:
                code -= 1
            while code < n_bins - 1 and p > edges[code + 1]:
                code += 1
        else:
            while code > 0 and p < edges[code]:
                code -= 1
            while code < n_bins - 1 and p >= edges[code + 1]:
                code += 1
        out[row] = code


@kernel
def bin_sums(
    code: NDArray[np.int32],
    error: Array,
    outcome: NDArray[np.bool_],
    weights: Array,
    base: Array,
    sums: Array,
) -> None:
    """Sums of w, w (y - p), w y and w b over the rows of each bin. O(n).

    Parameters
    ----------
    base : float64 array (n,) or (0,)
        Sample weight b of each row, of which `weights` are multiples; empty for ones.
    sums : float64 array (2 x bins, 4)
        Neighbouring rows go to different halves, so that an addition need not wait for the one
        before it.
    """
    half = sums.shape[0] // 2
    weighted = base.size > 0
    for row in range(code.size):
        place = code[row] + (row & 1) * half
        weight = weights[row]
        sums[place, 0] += weight
        sums[place, 1] += weight * error[row]
        sums[place, 2] += weight * np.float64(outcome[row])
        sums[place, 3] += weight * base[row] if weighted else weight


@kernel
def one_pass_sums(
    forecast: Array, outcome: NDArray[np.uint8], weights: Array, edges: Array, sums: Array
) -> bool:
    """Sums of w, w p and w p^2 by bin, outcome and side of one half, of unsorted rows. O(n).

    Returns whether all forecasts lie in [0, 1]; the sums mean nothing if one does not.

    Bins of equal width, closed at the right. The sums are indexed by what tells rows apart, so
    that no branch depends on a random row; only forecasts next to an edge are compared with it.

    Parameters
    ----------
    weights : float64 array (n,) or (1,)
        One weight for all rows, or one for each.
    edges : float64 array (bins + 1,)
        The exact edges.
    sums : float64 array (8 bins, 3)
        Row ``((2 bin + y) 2 + (p >= 1/2)) 2 + parity``; neighbouring rows have different parity, so
        that an addition need not wait for the one before it.
    """
    n_bins = edges.size - 1
    scale = float(n_bins)
    step = 1 if weights.size == forecast.size else 0
    for row in range(forecast.size):
        p = forecast[row]
        if not 0.0 <= p <= 1.0:
            return False
        position = p * scale
        code = int(position)
        beyond = position - code
        if abs(beyond - 0.5) > 0.5 - 1e-9:
            code = min(code, n_bins - 1)
            if p > edges[code + 1]:
                code += 1
            elif p <= edges[code] and code > 0:
                code -= 1
        weight = weights[row * step]
        place = ((2 * code + int(outcome[row])) * 2 + int(p >= 0.5)) * 2 + (row & 1)
        sums[place, 0] += weight
        sums[place, 1] += weight * p
        sums[place, 2] += weight * p * p
    return True


@kernel
def cumulative_sums(
    order: NDArray[np.int64],
    last_in_block: NDArray[np.bool_],
    error: Array,
    outcome: NDArray[np.bool_],
    weights: Array,
    base: Array,
) -> tuple[Array, NDArray[np.int64], bool]:
    """Cumulative sums of w, w (y - p), w y and w b at the end of each tie block. O(n).

    Returns
    -------
    sums : float64 array (blocks + 1, 4)
        Starting from 0.
    ends : int64 array (blocks,)
        Number of rows up to the end of each block.
    whole : bool
        Whether all weights are whole numbers.
    """
    n_blocks = 0
    for place in range(order.size):
        n_blocks += last_in_block[place]
    sums = np.zeros((n_blocks + 1, 4))
    ends = np.empty(n_blocks, dtype=np.int64)
    mass = signed = events = squares = 0.0
    weighted = base.size > 0
    whole = True
    block = 0
    for place in range(order.size):
        row = order[place]
        weight = weights[row]
        whole = whole and weight == np.floor(weight)
        mass += weight
        signed += weight * error[row]
        events += weight if outcome[row] else 0.0
        squares += weight * base[row] if weighted else weight
        if last_in_block[place]:
            ends[block] = place + 1
            block += 1
            sums[block, 0] = mass
            sums[block, 1] = signed
            sums[block, 2] = events
            sums[block, 3] = squares
    return sums, ends, whole


@kernel
def equal_mass_blocks(
    cumulative: Array, whole: bool, n_bins: int, last_block: NDArray[np.int64]
) -> int:
    """Number of bins of equal mass, and the last tie block of each. O(bins log blocks).

    Whole weights are shared out as repeated rows, the first bins taking one more. A boundary
    within a tie block moves to its end, and bins that lose all their rows that way vanish.
    """
    total = cumulative[-1, 0]
    slack = 1e-12 * total
    n_blocks = cumulative.shape[0] - 1
    found = 0
    first = 1
    for bin_ in range(1, n_bins):
        if whole:
            per_bin = np.floor(total / n_bins)
            boundary = bin_ * per_bin + min(float(bin_), total - per_bin * n_bins)
        else:
            boundary = bin_ * total / n_bins
        if found > 0 and cumulative[first - 1, 0] >= boundary - slack:
            continue
        low = first
        high = n_blocks
        while low < high:
            middle = (low + high) // 2
            if cumulative[middle, 0] >= boundary - slack:
                high = middle
            else:
                low = middle + 1
        if cumulative[low, 0] > cumulative[first - 1, 0] and low < n_blocks:
            last_block[found] = low
            found += 1
            first = low + 1
    # What follows the last boundary is the last bin, unless it has no weight.
    if found == 0 or total > cumulative[last_block[found - 1], 0]:
        found += 1
    last_block[found - 1] = n_blocks
    return found


@kernel
def differences(cumulative: Array, last_block: NDArray[np.int64], n_bins: int) -> Array:
    """Sums of each bin from cumulative sums. O(bins)."""
    sums = np.empty((n_bins, cumulative.shape[1]))
    start = 0
    for bin_ in range(n_bins):
        for column in range(cumulative.shape[1]):
            sums[bin_, column] = cumulative[last_block[bin_], column] - cumulative[start, column]
        start = last_block[bin_]
    return sums


@kernel
def equal_mass_sums(
    order: NDArray[np.int64],
    last_in_block: NDArray[np.bool_],
    error: Array,
    outcome: NDArray[np.bool_],
    weights: Array,
    base: Array,
    n_bins: int,
) -> tuple[Array, NDArray[np.int64]]:
    """Sums and last rows of bins of equal mass over rows in order of their forecasts. O(n)."""
    cumulative, ends, whole = cumulative_sums(order, last_in_block, error, outcome, weights, base)
    last_block = np.empty(n_bins, dtype=np.int64)
    found = equal_mass_blocks(cumulative, whole, n_bins, last_block)
    return differences(cumulative, last_block, found), ends[last_block[:found] - 1]


@kernel
def is_monotone(sums: Array) -> bool:
    """Whether observed frequencies never decrease from bin to bin. O(bins)."""
    for bin_ in range(1, sums.shape[0]):
        if sums[bin_, 2] * sums[bin_ - 1, 0] < sums[bin_ - 1, 2] * sums[bin_, 0]:
            return False
    return True


@kernel
def sweep_sums(
    order: NDArray[np.int64],
    last_in_block: NDArray[np.bool_],
    error: Array,
    outcome: NDArray[np.bool_],
    weights: Array,
    base: Array,
) -> tuple[Array, NDArray[np.int64]]:
    """Bins of equal mass, as many as keep the observed frequencies monotone (Roelofs et al. 2022).

    The number of bins grows until the first violation. O(n + b^2 log n) for b bins.
    """
    cumulative, ends, whole = cumulative_sums(order, last_in_block, error, outcome, weights, base)
    kept = np.arange(1, ends.size + 1)
    if is_monotone(differences(cumulative, kept, ends.size)):
        # So is every coarser partition: the finest is reached without a violation on the way.
        return differences(cumulative, kept, ends.size), ends
    last_block = np.empty(order.size, dtype=np.int64)
    n_kept = equal_mass_blocks(cumulative, whole, 1, kept)
    for n_bins in range(2, order.size + 1):
        found = equal_mass_blocks(cumulative, whole, n_bins, last_block)
        if not is_monotone(differences(cumulative, last_block, found)):
            break
        n_kept = found
        kept[:found] = last_block[:found]
    return differences(cumulative, kept, n_kept), ends[kept[:n_kept] - 1]


@kernel
def bin_moments(
    code: NDArray[np.int32],
    error: Array,
    outcome: NDArray[np.bool_],
    weights: Array,
    counts: NDArray[np.int64],
    moments: Array,
) -> None:
    """Rows with weight, and weighted sums of each bin. O(n).

    Parameters
    ----------
    moments : float64 array (bins, 8)
        Sums of w, we, wy, w^2, w^2 e, w^2 e^2, w^2 p and w^2 p (1 - p), which are added to.
    """
    for row in range(code.size):
        weight = weights[row]
        if weight > 0.0:
            place = code[row]
            weighted = weight * error[row]
            happened = np.float64(outcome[row])
            forecast = happened - error[row]
            counts[place] += 1
            moments[place, 0] += weight
            moments[place, 1] += weighted
            moments[place, 2] += weight * happened
            moments[place, 3] += weight * weight
            moments[place, 4] += weight * weighted
            moments[place, 5] += weighted * weighted
            moments[place, 6] += weight * weight * forecast
            moments[place, 7] += weight * weight * forecast * (1.0 - forecast)


@kernel
def cluster_bin_errors(
    cluster: NDArray[np.int64],
    code: NDArray[np.int64],
    error: Array,
    weights: Array,
    errors: Array,
    mass: Array,
) -> None:
    """Weighted errors of each cluster in each bin, and the weight of each cluster. O(n)."""
    for row in range(cluster.size):
        errors[cluster[row], code[row]] += weights[row] * error[row]
        mass[cluster[row]] += weights[row]


@kernel
def pair_moments(
    code: NDArray[np.int32],
    error: Array,
    other_code: NDArray[np.int32],
    other_error: Array,
    weights: Array,
    moments: Array,
) -> None:
    """Sums of w^2, w^2 e, w^2 f and w^2 e f by the bins of two sets of events. O(n).

    Parameters
    ----------
    moments : float64 array (bins, other bins, 4)
        What is added to; e and f are the errors of the two sets.
    """
    for row in range(code.size):
        squared = weights[row] * weights[row]
        cell = moments[code[row], other_code[row]]
        cell[0] += squared
        cell[1] += squared * error[row]
        cell[2] += squared * other_error[row]
        cell[3] += squared * error[row] * other_error[row]
