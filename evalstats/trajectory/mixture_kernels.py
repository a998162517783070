"""Gaussian mixtures of many cells: the number of components by BIC, one cell after another."""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel
from evalstats.kernels.random import MASK32, SHIFT32
from evalstats.trajectory.em_kernels import (
    LANES,
    LOG_2PI,
    inverse_factor,
    maximisation,
    run_em,
)
from evalstats.trajectory.start_kernels import add_hard_moments, run_kmeans, split_widest

# Status of a cell; the first that applies.
OK = 0
REG_DOMINATED = 1
COINCIDENT = 2
UNDERFLOW = 3
NOT_CONVERGED = 4
MASKED = 5

# With several starts each is iterated this far before the best is chosen.
SCREENING_TOLERANCE = 1e-4
SCREENING_ITERATIONS = 50

STREAM_SAMPLES = 4
STREAM_DIGITS = 1e5
STREAM_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@kernel
def n_parameters(m: int, d: int) -> int:
    """Free parameters of a mixture of m full Gaussians. O(1)."""
    return (m - 1) + m * d + m * d * (d + 1) // 2


@kernel
def load_cell(
    values: NDArray[np.float64],
    weights: NDArray[np.float64],
    first: int,
    last: int,
    mean: NDArray[np.float64],
    covariance: NDArray[np.float64],
    x: NDArray[np.float64],
    share: NDArray[np.float64],
) -> tuple[bool, float]:
    """Centre one cell into padded coordinate-major blocks; weighted?, Kish's effective K. O(K d^2).

    Weights are scaled to mean 1. The covariance has denominator K.
    """
    n = last - first
    d = values.shape[1]
    total = 0.0
    squares = 0.0
    weighted = False
    for i in range(n):
        total += weights[first + i]
        squares += weights[first + i] * weights[first + i]
        weighted = weighted or weights[first + i] != weights[first]
    scale = n / total
    share[:] = 0.0
    for i in range(n):
        share[i] = weights[first + i] * scale if weighted else 1.0
    for row in range(d):
        origin = values[first, row]
        centre = 0.0
        for i in range(n):
            centre += share[i] * (values[first + i, row] - origin)
        mean[row] = origin + centre / n
        for i in range(n):
            x[row, i] = values[first + i, row] - mean[row]
        for i in range(n, x.shape[1]):
            x[row, i] = 0.0
    for row in range(d):
        for column in range(row + 1):
            moment = 0.0
            for i in range(n):
                moment += share[i] * x[row, i] * x[column, i]
            covariance[row, column] = moment / n
            covariance[column, row] = moment / n
    return weighted, (total * total / squares if weighted else float(n))


@kernel
def single_gaussian(
    covariance: NDArray[np.float64],
    reg: float,
    regularised: NDArray[np.float64],
    factor: NDArray[np.float64],
) -> float:
    """Mean log-likelihood of the one-component fit in closed form. O(d^3)."""
    d = covariance.shape[0]
    regularised[:] = covariance
    for row in range(d):
        regularised[row, row] += reg
    log_det = inverse_factor(regularised, factor)
    trace = 0.0
    for row in range(d):
        for i in range(row + 1):
            for j in range(row + 1):
                trace += factor[row, i] * covariance[i, j] * factor[row, j]
    return float(-0.5 * (d * LOG_2PI + log_det + trace))


@kernel
def count_distinct(x: NDArray[np.float64], n: int) -> int:
    """Number of distinct samples, counted up to 3. O(K d)."""
    second = -1
    for i in range(1, n):
        same_first = True
        same_second = second >= 0
        for row in range(x.shape[0]):
            same_first = same_first and x[row, i] == x[row, 0]
            if second >= 0:
                same_second = same_second and x[row, i] == x[row, second]
        if not same_first and not same_second:
            if second >= 0:
                return 3
            second = i
    return 1 if second < 0 else 2


@kernel
def whitened(x: NDArray[np.float64], factor: NDArray[np.float64]) -> NDArray[np.float64]:
    """Samples in coordinates in which their covariance is the identity. O(K d^2)."""
    y = np.zeros(x.shape)
    for row in range(x.shape[0]):
        for column in range(row + 1):
            slope = factor[row, column]
            for i in range(x.shape[1]):
                y[row, i] += slope * x[column, i]
    return y


@kernel
def smallest_count(m: int, weights: NDArray[np.float64], n: int) -> float:
    """Expected number of samples of the smallest component. O(m)."""
    smallest = np.inf
    for k in range(m):
        smallest = min(smallest, weights[k] * n)
    return smallest


@kernel
def cell_stream(
    x: NDArray[np.float64], factor: NDArray[np.float64], n: int, key0: np.uint64, key1: np.uint64
) -> tuple[np.uint64, np.uint64]:
    """Key of a cell's random stream, from what no affine map or order of cells changes. O(d^2).

    Cells of one data set need streams of their own, or their chance errors would add up.
    """
    mixed = np.uint64(n)
    for i in range(min(n, STREAM_SAMPLES)):
        square = 0.0
        for row in range(x.shape[0]):
            white = 0.0
            for column in range(row + 1):
                white += factor[row, column] * x[column, i]
            square += white * white
        digits = np.uint64(min(square, 1e9) * STREAM_DIGITS)
        mixed = (mixed ^ digits) * STREAM_MULTIPLIER
        mixed ^= mixed >> np.uint64(29)
    return key0 ^ (mixed & MASK32), key1 ^ (mixed >> SHIFT32)


@kernel
def fit_mixture(  # noqa: PLR0912, PLR0915 - the search shares all of its work space
    x: NDArray[np.float64],
    share: NDArray[np.float64],
    weighted: bool,
    n: int,
    effective: float,
    covariance: NDArray[np.float64],
    robust: bool,
    max_components: int,
    n_starts: int,
    reg: float,
    tol: float,
    max_iter: int,
    key0: np.uint64,
    key1: np.uint64,
    best_weights: NDArray[np.float64],
    best_means: NDArray[np.float64],
    best_covariances: NDArray[np.float64],
) -> tuple[int, float, bool, int]:
    """Fit one centred cell: components, BIC, convergence and the number of refused fits.

    Components are added until the BIC stops to fall (with `robust`, fails to fall twice). With
    `robust` each number of components starts from a split of the previous mixture and from
    `n_starts` k-means++ starts in whitened coordinates; the best is iterated to `tol`, and a
    component must hold 1 % of the samples. O(K d^2 x EM passes).
    """
    d = x.shape[0]
    weights = np.empty(max_components)
    means = np.empty((max_components, d))
    covariances = np.empty((max_components, d, d))
    factors = np.empty((max_components, d, d))
    constants = np.empty(max_components)
    lanes = np.empty((6, LANES))
    bits = lanes[0].view(np.int64)
    densities = np.empty((max_components, LANES))
    sums = np.empty((max_components, (1 + d + d * (d + 1) // 2) * LANES))
    labels = np.empty(x.shape[1])
    # Best fit of one number of components, from which the next is split.
    kept_weights = np.empty(max_components)
    kept_means = np.empty((max_components, d))
    kept_covariances = np.empty((max_components, d, d))

    best_m = 1
    best_weights[0] = 1.0
    best_means[0] = 0.0
    single = single_gaussian(covariance, reg, best_covariances[0], factors[0])
    best_bic = -2.0 * effective * single + n_parameters(best_m, d) * np.log(effective)
    kept_weights[0] = 1.0
    kept_means[0] = 0.0
    kept_covariances[0] = best_covariances[0]
    word0, word1 = cell_stream(x, factors[0], n, key0, key1)
    y = whitened(x, factors[0]) if robust else x
    floor = max(d + 1.0, 0.01 * n) if robust else 0.0
    patience = 2 if robust else 1
    all_converged = True
    refused = 0
    worse = 0
    limit = min(max_components, max(1, n // (d * (d + 1) // 2 + d + 1)))
    for m in range(2, limit + 1):
        value = np.nan
        converged = False
        # The last round continues the best start until it has converged.
        for start in range(-1 if robust else 0, n_starts + robust):
            polish = robust and start == n_starts
            if polish and np.isnan(value):
                break
            if start < 0 or polish:
                weights[:] = kept_weights
                means[:] = kept_means
                covariances[:] = kept_covariances
                if start < 0:
                    split_widest(m, weights, means, covariances)
                usable = invert_all(m, weights, covariances, factors, constants)
            else:
                run_kmeans(y, share, n, m, start, word0, word1, labels, densities, sums)
                sums[:m] = 0.0
                means[:] = 0.0
                for block in range(x.shape[1] // LANES):
                    first = block * LANES
                    winner = labels[first : first + LANES]
                    add_hard_moments(x, first, share, m, winner, means, densities, sums)
                usable = maximisation(m, sums, reg, weights, means, covariances, factors, constants)
            if not usable:
                refused += 1
                continue
            screening = robust and not polish
            total, done = run_em(
                x,
                share,
                weighted,
                float(n),
                m,
                reg,
                SCREENING_TOLERANCE if screening else tol,
                SCREENING_ITERATIONS if screening else max_iter,
                weights,
                means,
                covariances,
                factors,
                constants,
                lanes,
                bits,
                densities,
                sums,
            )
            if smallest_count(m, weights, n) < floor or not np.isfinite(total):
                refused += 1
                value = np.nan if polish else value
                continue
            if not total <= value:
                value = total
                converged = done
                kept_weights[:] = weights
                kept_means[:] = means
                kept_covariances[:] = covariances
        if np.isnan(value):
            break
        bic = -2.0 * effective * value / n + n_parameters(m, d) * np.log(effective)
        if bic < best_bic:
            best_bic = bic
            best_m = m
            worse = 0
            all_converged = converged
            best_weights[:m] = kept_weights[:m]
            best_means[:m] = kept_means[:m]
            best_covariances[:m] = kept_covariances[:m]
        else:
            worse += 1
            if worse == patience:
                break
    return best_m, best_bic, all_converged, refused


@kernel
def invert_all(
    m: int,
    weights: NDArray[np.float64],
    covariances: NDArray[np.float64],
    factors: NDArray[np.float64],
    constants: NDArray[np.float64],
) -> bool:
    """Precision factors and constants of m components; False where one is singular. O(m d^3)."""
    d = covariances.shape[1]
    usable = True
    for k in range(m):
        log_det = inverse_factor(covariances[k], factors[k])
        usable = usable and np.isfinite(log_det)
        constants[k] = np.log(weights[k]) - 0.5 * (d * LOG_2PI + log_det)
    return usable
