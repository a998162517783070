"""Displacement errors and proper scores of the samples of one agent."""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel
from evalstats.trajectory.em_kernels import (
    LANES,
    LOG_2PI,
    component_densities,
    exponentials,
    inverse_factor,
)
from evalstats.trajectory.mixture_kernels import count_distinct, load_cell

CLIP = 20.0


@kernel
def pair_sum(  # noqa: PLR0912 - a fast path for the plane within the loops over blocks
    x: NDArray[np.float64], share: NDArray[np.float64], n: int
) -> float:
    """Sum of share_i share_j |x_i - x_j| over all ordered pairs. O(K^2 p / 2)."""
    p = x.shape[0]
    blocks = x.shape[1] // LANES
    sums = np.zeros(LANES)
    square = np.empty(LANES)
    same = 0.0
    other = 0.0
    for block in range(blocks):
        for i in range(block * LANES, min((block + 1) * LANES, n)):
            weight = share[i]
            for right in range(block, blocks):
                start = right * LANES
                mass = share[start : start + LANES]
                if p == 2:
                    a, b = x[0, start : start + LANES], x[1, start : start + LANES]
                    u, v = x[0, i], x[1, i]
                    for j in range(LANES):
                        dx = a[j] - u
                        dy = b[j] - v
                        square[j] = dx * dx + dy * dy
                else:
                    for j in range(LANES):
                        square[j] = 0.0
                    for row in range(p):
                        values = x[row, start : start + LANES]
                        centre = x[row, i]
                        for j in range(LANES):
                            square[j] += (values[j] - centre) * (values[j] - centre)
                for j in range(LANES):
                    sums[j] += weight * mass[j] * np.sqrt(square[j])
                if right == block:
                    # Pairs within a block are met in both orders, those of two blocks in one.
                    for j in range(LANES):
                        same += sums[j]
                        sums[j] = 0.0
            for j in range(LANES):
                other += sums[j]
                sums[j] = 0.0
    return same + 2.0 * other


@kernel
def energy_terms(
    x: NDArray[np.float64], share: NDArray[np.float64], n: int, y: NDArray[np.float64]
) -> tuple[float, float, float]:
    """E|X - y|, the V-statistic of E|X - X'|/2, and its unbiased form. O(K^2 p)."""
    total = 0.0
    squares = 0.0
    first = 0.0
    for i in range(n):
        total += share[i]
        squares += share[i] * share[i]
        distance = 0.0
        for row in range(x.shape[0]):
            distance += (x[row, i] - y[row]) ** 2
        first += share[i] * np.sqrt(distance)
    pairs = 0.5 * pair_sum(x, share, n)
    return first / total, pairs / (total * total), pairs / (total * total - squares)


@kernel
def crps_terms(
    values: NDArray[np.float64], share: NDArray[np.float64], n: int, y: float
) -> tuple[float, float, float]:
    """E|X - y|, the V-statistic of E|X - X'|/2, and its unbiased form, by sorting. O(K log K)."""
    order = np.argsort(values[:n])
    total = 0.0
    for i in range(n):
        total += share[i]
    squares = 0.0
    first = 0.0
    pairs = 0.0
    below = 0.0
    for position in range(n):
        i = order[position]
        # Each gap between neighbours separates the mass below from the mass above.
        if position > 0:
            pairs += below * (total - below) * (values[i] - values[order[position - 1]])
        below += share[i]
        squares += share[i] * share[i]
        first += share[i] * abs(values[i] - y)
    return first / total, pairs / (total * total), pairs / (total * total - squares)


@kernel
def kernel_density_loss(
    x: NDArray[np.float64],
    share: NDArray[np.float64],
    n: int,
    effective: float,
    covariance: NDArray[np.float64],
    y: NDArray[np.float64],
    reg: float,
) -> float:
    """Negative log of Scott's kernel density at `y`, at most 20. O(K d^2).

    NaN where there are up to two distinct samples.
    """
    d = x.shape[0]
    if count_distinct(x, n) <= 2:
        return np.nan
    bandwidth = effective ** (-2.0 / (d + 4.0)) * effective / (effective - 1.0)
    smoothed = covariance * bandwidth
    factor = np.empty((d, d))
    log_det = inverse_factor(smoothed, factor)
    if not np.isfinite(log_det):
        for row in range(d):
            smoothed[row, row] += reg
        log_det = inverse_factor(smoothed, factor)
    lanes = np.empty((3, LANES))
    bits = lanes[0].view(np.int64)
    density = np.empty(x.shape[1])
    top = -np.inf
    for block in range(x.shape[1] // LANES):
        start = block * LANES
        component_densities(x, start, y, factor, 0.0, lanes[1], density[start : start + LANES])
        for i in range(start, min(start + LANES, n)):
            top = max(top, density[i])
    total = 0.0
    for block in range(x.shape[1] // LANES):
        start = block * LANES
        part = density[start : start + LANES]
        for i in range(LANES):
            part[i] = min(part[i] - top, 0.0)
        exponentials(part, lanes[0], bits)
        for i in range(LANES):
            total += share[start + i] * part[i]
    log_density = np.log(total / n) + top - 0.5 * (d * LOG_2PI + log_det)
    return -float(max(log_density, -CLIP))


@kernel
def score_cells(
    values: NDArray[np.float64],
    sample_weight: NDArray[np.float64],
    offsets: NDArray[np.int64],
    truth: NDArray[np.float64],
    reg: float,
    want_density: bool,
    want_energy: bool,
    want_crps: bool,
    density: NDArray[np.float64],
    energy: NDArray[np.float64],
    crps: NDArray[np.float64],
) -> None:
    """KDE-NLL (C,), energy score (C, 2) and CRPS (C, d, 2) of each cell: V-statistic and fair.

    O(C (K^2 d + K d log K)).
    """
    d = values.shape[1]
    mean = np.empty(d)
    covariance = np.empty((d, d))
    y = np.empty(d)
    x = np.empty((d, 0))
    share = np.empty(0)
    for cell in range(truth.shape[0]):
        first, last = offsets[cell], offsets[cell + 1]
        n = last - first
        width = (n + LANES - 1) // LANES * LANES
        if width != x.shape[1]:
            x = np.empty((d, width))
            share = np.empty(width)
        _, effective = load_cell(values, sample_weight, first, last, mean, covariance, x, share)
        for row in range(d):
            y[row] = truth[cell, row] - mean[row]
        if want_density:
            density[cell] = kernel_density_loss(x, share, n, effective, covariance, y, reg)
        if want_energy:
            near, pairs, fair = energy_terms(x, share, n, y)
            energy[cell, 0] = near - pairs
            energy[cell, 1] = near - fair
        if want_crps:
            for row in range(d):
                near, pairs, fair = crps_terms(x[row], share, n, y[row])
                crps[cell, row, 0] = near - pairs
                crps[cell, row, 1] = near - fair


@kernel
def displacements(
    values: NDArray[np.float64],
    offsets: NDArray[np.int64],
    truth: NDArray[np.float64],
    first_cell: int,
    last_cell: int,
    average: NDArray[np.float64],
    final: NDArray[np.float64],
    highest: NDArray[np.float64],
) -> None:
    """Mean, last and largest distance of each sample from one agent's truth. O(T K d)."""
    n = average.size
    average[:] = 0.0
    highest[:] = 0.0
    for cell in range(first_cell, last_cell):
        start = offsets[cell]
        for i in range(n):
            square = 0.0
            for row in range(values.shape[1]):
                square += (values[start + i, row] - truth[cell, row]) ** 2
            final[i] = np.sqrt(square)
            average[i] += final[i]
            highest[i] = max(highest[i], final[i])
    for i in range(n):
        average[i] /= last_cell - first_cell


@kernel
def joint_energy(
    values: NDArray[np.float64],
    sample_weight: NDArray[np.float64],
    offsets: NDArray[np.int64],
    truth: NDArray[np.float64],
    cells: NDArray[np.int64],
) -> tuple[float, float]:
    """Energy score of several cells as one vector: V-statistic and fair. O(K^2 T d)."""
    d = values.shape[1]
    n = offsets[cells[0] + 1] - offsets[cells[0]]
    width = (n + LANES - 1) // LANES * LANES
    x = np.zeros((cells.size * d, width))
    y = np.zeros(cells.size * d)
    share = np.zeros(width)
    for i in range(n):
        share[i] = sample_weight[offsets[cells[0]] + i]
    for position in range(cells.size):
        cell = cells[position]
        start = offsets[cell]
        for row in range(d):
            line = position * d + row
            # Relative to the truth, so that far origins cost no digits.
            for i in range(n):
                x[line, i] = values[start + i, row] - truth[cell, row]
    near, pairs, fair = energy_terms(x, share, n, y)
    return near - pairs, near - fair


@kernel
def variogram_score(
    values: NDArray[np.float64],
    sample_weight: NDArray[np.float64],
    offsets: NDArray[np.int64],
    truth: NDArray[np.float64],
    first_cell: int,
    last_cell: int,
) -> float:
    """Variogram score of order 1/2 of one agent's (T d)-vector. O(T^2 d^2 K)."""
    d = values.shape[1]
    p = (last_cell - first_cell) * d
    start = offsets[first_cell]
    n = offsets[first_cell + 1] - start
    total = 0.0
    for i in range(n):
        total += sample_weight[start + i]
    x = np.empty((p, n))
    y = np.empty(p)
    for line in range(p):
        cell = first_cell + line // d
        row = line % d
        y[line] = truth[cell, row]
        for i in range(n):
            x[line, i] = values[offsets[cell] + i, row]
    terms = np.empty(n)
    score = 0.0
    for left in range(p):
        a = x[left]
        for right in range(left):
            b = x[right]
            for i in range(n):
                terms[i] = np.sqrt(abs(a[i] - b[i]))
            mean = 0.0
            for i in range(n):
                mean += sample_weight[start + i] * terms[i]
            gap = np.sqrt(abs(y[left] - y[right])) - mean / total
            score += 2.0 * gap * gap
    return score
