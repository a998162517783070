"""Where EM starts: k-means from k-means++ centres, and splits of a smaller mixture."""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel
from evalstats.kernels.random import philox
from evalstats.trajectory.em_kernels import LANES, add_moments

MAX_LLOYD = 300
LLOYD_TOLERANCE = 1e-4
# Splitting at +-0.8 SD along the principal axis keeps mean and covariance of the component.
SPLIT = 0.8


@kernel
def uniform(position: int, start: int, key0: np.uint64, key1: np.uint64) -> float:
    """Uniform number in (0, 1) at one position of the stream of one start. O(1)."""
    words = philox(np.uint64(position), np.uint64(start), key0, key1)
    high = np.float64(words[0] >> np.uint64(5))
    low = np.float64(words[1] >> np.uint64(6))
    return (high * 67108864.0 + low + 0.5) / 9007199254740992.0


@kernel
def weighted_index(values: NDArray[np.float64], threshold: float, last: int) -> int:
    """First index at which the running sum exceeds `threshold`. O(K)."""
    total = 0.0
    for i in range(last):
        total += values[i]
        if total > threshold:
            return i
    return last


@kernel
def squared_distances(y: NDArray[np.float64], index: int, out: NDArray[np.float64]) -> None:
    """Squared distance of every sample to sample `index`. O(K d)."""
    for i in range(y.shape[1]):
        out[i] = 0.0
    for row in range(y.shape[0]):
        values = y[row]
        centre = values[index]
        for i in range(y.shape[1]):
            out[i] += (values[i] - centre) * (values[i] - centre)


@kernel
def choose_centres(
    y: NDArray[np.float64],
    weight: NDArray[np.float64],
    n: int,
    m: int,
    start: int,
    key0: np.uint64,
    key1: np.uint64,
    centres: NDArray[np.float64],
) -> None:
    """Greedy k-means++ (Arthur and Vassilvitskii 2007), the best of a few draws. O(K m d)."""
    trials = 2 + int(np.log(m))
    width = y.shape[1]
    nearest = np.empty(width)
    candidate = np.empty(width)
    best = np.empty(width)
    mass = np.empty(width)
    total = 0.0
    for i in range(n):
        total += weight[i]
    position = 0
    index = weighted_index(weight, uniform(position, start, key0, key1) * total, n - 1)
    squared_distances(y, index, nearest)
    position += 1
    centres[0] = y[:, index]
    for k in range(1, m):
        total = 0.0
        for i in range(n):
            mass[i] = weight[i] * nearest[i]
            total += mass[i]
        lowest = np.inf
        chosen = 0
        for _ in range(trials):
            index = weighted_index(mass, uniform(position, start, key0, key1) * total, n - 1)
            position += 1
            squared_distances(y, index, candidate)
            potential = 0.0
            for i in range(n):
                candidate[i] = min(candidate[i], nearest[i])
                potential += weight[i] * candidate[i]
            if potential < lowest:
                lowest = potential
                chosen = index
                best[:] = candidate
        nearest[:] = best
        centres[k] = y[:, chosen]


@kernel
def assign_nearest(
    y: NDArray[np.float64],
    weight: NDArray[np.float64],
    m: int,
    centres: NDArray[np.float64],
    labels: NDArray[np.float64],
    distances: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> bool:
    """Label samples by their nearest centre and sum counts and steps; any change? O(K m d)."""
    # One flag per lane: a single sum would be a chain of additions.
    changed = np.zeros(LANES)
    sums[:m] = 0.0
    lowest = np.empty(LANES)
    winner = np.empty(LANES)
    for block in range(y.shape[1] // LANES):
        start = block * LANES
        for k in range(m):
            centre_distances(y, start, centres[k], distances[k])
        first = distances[0]
        for i in range(LANES):
            lowest[i] = first[i]
            winner[i] = 0.0
        for k in range(1, m):
            row = distances[k]
            code = float(k)
            for i in range(LANES):
                winner[i] = code if row[i] < lowest[i] else winner[i]
                lowest[i] = row[i] if row[i] < lowest[i] else lowest[i]
        old = labels[start : start + LANES]
        for i in range(LANES):
            changed[i] = 1.0 if old[i] != winner[i] else changed[i]
        for i in range(LANES):
            old[i] = winner[i]
        share = weight[start : start + LANES]
        for k in range(m):
            row = distances[k]
            code = float(k)
            for i in range(LANES):
                row[i] = share[i] if winner[i] == code else 0.0
            add_steps(y, start, centres[k], row, sums[k])
    return bool(changed.max() > 0.0)


@kernel
def centre_distances(
    y: NDArray[np.float64], start: int, centre: NDArray[np.float64], out: NDArray[np.float64]
) -> None:
    """Squared distances of one block from a centre. O(LANES d)."""
    for i in range(LANES):
        out[i] = 0.0
    for row in range(y.shape[0]):
        values = y[row, start : start + LANES]
        middle = centre[row]
        for i in range(LANES):
            out[i] += (values[i] - middle) * (values[i] - middle)


@kernel
def add_steps(
    y: NDArray[np.float64],
    start: int,
    centre: NDArray[np.float64],
    share: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:
    """Add the counts of one block and its distances from the centre, by row. O(LANES d)."""
    for i in range(LANES):
        sums[i] += share[i]
    for row in range(y.shape[0]):
        values = y[row, start : start + LANES]
        middle = centre[row]
        lane = sums[(1 + row) * LANES : (2 + row) * LANES]
        for i in range(LANES):
            lane[i] += share[i] * (values[i] - middle)


@kernel
def add_hard_moments(
    x: NDArray[np.float64],
    start: int,
    weight: NDArray[np.float64],
    m: int,
    labels: NDArray[np.float64],
    means: NDArray[np.float64],
    densities: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:
    """Add the moments of one labelled block. O(LANES m d^2)."""
    share = weight[start : start + LANES]
    for k in range(m):
        row = densities[k]
        code = float(k)
        for i in range(LANES):
            row[i] = share[i] if labels[i] == code else 0.0
        add_moments(x, start, means[k], row, sums[k])


@kernel
def run_kmeans(
    y: NDArray[np.float64],
    weight: NDArray[np.float64],
    n: int,
    m: int,
    start: int,
    key0: np.uint64,
    key1: np.uint64,
    labels: NDArray[np.float64],
    densities: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:
    """Lloyd's algorithm from k-means++ centres, with scikit-learn's stopping rule.

    O(iterations K m d).
    """
    d = y.shape[0]
    centres = np.empty((m, d))
    choose_centres(y, weight, n, m, start, key0, key1, centres)
    labels[:] = -1.0
    variance = 0.0
    for row in range(d):
        for i in range(n):
            variance += y[row, i] * y[row, i]
    tolerance = LLOYD_TOLERANCE * variance / (n * d)
    for _ in range(MAX_LLOYD):
        if not assign_nearest(y, weight, m, centres, labels, densities, sums):
            break
        moved = 0.0
        for k in range(m):
            count = 0.0
            for i in range(LANES):
                count += sums[k, i]
            if count > 0.0:
                for row in range(d):
                    shift = 0.0
                    for i in range(LANES):
                        shift += sums[k, (1 + row) * LANES + i]
                    shift /= count
                    centres[k, row] += shift
                    moved += shift * shift
        if moved <= tolerance:
            assign_nearest(y, weight, m, centres, labels, densities, sums)
            break


@kernel
def split_widest(
    m: int,
    weights: NDArray[np.float64],
    means: NDArray[np.float64],
    covariances: NDArray[np.float64],
) -> None:
    """Turn a mixture of m - 1 into m components: split the one of largest w * lambda. O(m d^3)."""
    widest = 0
    spread = -1.0
    for k in range(m - 1):
        largest = weights[k] * np.linalg.eigvalsh(covariances[k])[-1]
        if largest > spread:
            spread = largest
            widest = k
    roots, vectors = np.linalg.eigh(covariances[widest])
    d = means.shape[1]
    last = m - 1
    weights[widest] *= 0.5
    weights[last] = weights[widest]
    size = SPLIT * np.sqrt(max(roots[d - 1], 0.0))
    # The sign of an eigenvector is arbitrary; it only exchanges the two halves.
    for row in range(d):
        step = size * vectors[row, d - 1]
        means[last, row] = means[widest, row] - step
        means[widest, row] += step
        for column in range(d):
            part = size * size * vectors[row, d - 1] * vectors[column, d - 1]
            covariances[widest, row, column] -= part
            covariances[last, row, column] = covariances[widest, row, column]
