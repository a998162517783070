"""Expectation-maximisation of Gaussian mixtures on the samples of one cell.

Samples lie in coordinate-major order, padded with weight 0 to whole blocks of ``LANES``, so that
every inner loop runs over a fixed number of contiguous values and the compiler can use vector
instructions. Sums are kept per lane and added in one order: the bits of a fit depend on its cell
alone.
"""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel

LANES = 64
LOG_2PI = float(np.log(2.0 * np.pi))
# Products of up to this many sums of at most a few dozen terms cannot overflow.
PRODUCT_BLOCKS = 100
LARGE = 1e200

# exp(x) = 2^n exp(r) with |r| <= ln(2)/2; adding the constant rounds to a whole n, which then
# stands in the lowest bits of the number.
LOG2_E = 1.4426950408889634
LN2_HIGH = 6.93147180369123816490e-01
LN2_LOW = 1.90821492927058770002e-10
ROUNDING = 6755399441055744.0
ONE_BITS = np.int64(1023) << np.int64(52)
SMALLEST = -700.0

Array = NDArray[np.float64]


@kernel
def exponentials(
    values: NDArray[np.float64], shift: NDArray[np.float64], bits: NDArray[np.int64]
) -> None:
    """Replace LANES non-positive values by exp(value), to 1 ulp; below -700 by exp(-700). O(LANES).

    `bits` is the int64 view of the work space `shift`.
    """
    for i in range(LANES):
        x = values[i] if values[i] > SMALLEST else SMALLEST
        shift[i] = x * LOG2_E + ROUNDING
    for i in range(LANES):
        x = values[i] if values[i] > SMALLEST else SMALLEST
        n = shift[i] - ROUNDING
        r = (x - n * LN2_HIGH) - n * LN2_LOW
        p = 1.0 / 6227020800.0
        p = p * r + 1.0 / 479001600.0
        p = p * r + 1.0 / 39916800.0
        p = p * r + 1.0 / 3628800.0
        p = p * r + 1.0 / 362880.0
        p = p * r + 1.0 / 40320.0
        p = p * r + 1.0 / 5040.0
        p = p * r + 1.0 / 720.0
        p = p * r + 1.0 / 120.0
        p = p * r + 1.0 / 24.0
        p = p * r + 1.0 / 6.0
        p = p * r + 0.5
        values[i] = (p * r + 1.0) * r + 1.0
    for i in range(LANES):
        bits[i] = (bits[i] << np.int64(52)) + ONE_BITS
    for i in range(LANES):
        values[i] *= shift[i]


@kernel
def inverse_factor(covariance: NDArray[np.float64], factor: NDArray[np.float64]) -> float:
    """Fill `factor` with the inverse W of the Cholesky factor, W'W = C^-1; log det C. O(d^3).

    The log determinant is NaN where C is not positive definite.
    """
    d = covariance.shape[0]
    log_det = 0.0
    for i in range(d):
        for j in range(i + 1):
            total = covariance[i, j]
            for k in range(j):
                total -= factor[i, k] * factor[j, k]
            if i == j:
                if not total > 0.0:
                    return np.nan
                factor[i, i] = np.sqrt(total)
                log_det += np.log(total)
            else:
                factor[i, j] = total / factor[j, j]
                factor[j, i] = 0.0
    # Invert the lower triangle in place, column by column.
    for j in range(d):
        factor[j, j] = 1.0 / factor[j, j]
        for i in range(j + 1, d):
            total = 0.0
            for k in range(j, i):
                total -= factor[i, k] * factor[k, j]
            factor[i, j] = total / factor[i, i]
    return log_det


@kernel
def component_densities(
    x: NDArray[np.float64],
    start: int,
    mean: NDArray[np.float64],
    factor: NDArray[np.float64],
    constant: float,
    work: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Log of weight times density of one component at one block of samples. O(LANES d^2)."""
    d = x.shape[0]
    if d == 2:
        first, second = x[0, start : start + LANES], x[1, start : start + LANES]
        mx, my = mean[0], mean[1]
        a, b, c = factor[0, 0], factor[1, 0], factor[1, 1]
        for i in range(LANES):
            dx = first[i] - mx
            dy = second[i] - my
            u = a * dx
            v = b * dx + c * dy
            out[i] = constant - 0.5 * (u * u + v * v)
        return
    for i in range(LANES):
        out[i] = constant
    for row in range(d):
        for i in range(LANES):
            work[i] = 0.0
        for column in range(row + 1):
            values = x[column, start : start + LANES]
            centre = mean[column]
            slope = factor[row, column]
            for i in range(LANES):
                work[i] += slope * (values[i] - centre)
        for i in range(LANES):
            out[i] -= 0.5 * work[i] * work[i]


@kernel
def add_moments(
    x: NDArray[np.float64],
    start: int,
    mean: NDArray[np.float64],
    share: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:
    """Add a block to the lane sums of r, r dx and r dx dx' about `mean`. O(LANES d^2)."""
    d = x.shape[0]
    if d == 2:
        first, second = x[0, start : start + LANES], x[1, start : start + LANES]
        mx, my = mean[0], mean[1]
        for i in range(LANES):
            r = share[i]
            dx = first[i] - mx
            dy = second[i] - my
            rx = r * dx
            ry = r * dy
            sums[i] += r
            sums[LANES + i] += rx
            sums[2 * LANES + i] += ry
            sums[3 * LANES + i] += rx * dx
            sums[4 * LANES + i] += rx * dy
            sums[5 * LANES + i] += ry * dy
        return
    for i in range(LANES):
        sums[i] += share[i]
    position = (1 + d) * LANES
    for row in range(d):
        left = x[row, start : start + LANES]
        centre = mean[row]
        lane = sums[(1 + row) * LANES : (2 + row) * LANES]
        for i in range(LANES):
            lane[i] += share[i] * (left[i] - centre)
        for column in range(row, d):
            right = x[column, start : start + LANES]
            other = mean[column]
            lane = sums[position : position + LANES]
            for i in range(LANES):
                lane[i] += share[i] * (left[i] - centre) * (right[i] - other)
            position += LANES


@kernel
def expectation(  # noqa: PLR0912 - the loops over lanes must see each other
    x: NDArray[np.float64],
    weight: NDArray[np.float64],
    weighted: bool,
    m: int,
    constants: NDArray[np.float64],
    means: NDArray[np.float64],
    factors: NDArray[np.float64],
    lanes: NDArray[np.float64],
    bits: NDArray[np.int64],
    densities: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> float:
    """One E-step fused with the moment sums of the M-step; total log-likelihood. O(K m d^2).

    `lanes` (6, LANES) is work space, `bits` the int64 view of its row 0.
    """
    shift, top, total, product, height, work = (
        lanes[0],
        lanes[1],
        lanes[2],
        lanes[3],
        lanes[4],
        lanes[5],
    )
    sums[:m] = 0.0
    product[:] = 1.0
    height[:] = 0.0
    log_sum = 0.0
    for block in range(x.shape[1] // LANES):
        start = block * LANES
        share = weight[start : start + LANES]
        for k in range(m):
            component_densities(x, start, means[k], factors[k], constants[k], work, densities[k])
        first = densities[0]
        for i in range(LANES):
            top[i] = first[i]
            total[i] = 0.0
        for k in range(1, m):
            row = densities[k]
            for i in range(LANES):
                top[i] = row[i] if row[i] > top[i] else top[i]
        if m == 2:
            # The larger of two is exp(0): one exponential per sample serves both.
            second = densities[1]
            for i in range(LANES):
                work[i] = -abs(first[i] - second[i])
            exponentials(work, shift, bits)
            for i in range(LANES):
                ahead = first[i] >= second[i]
                first[i] = 1.0 if ahead else work[i]
                second[i] = work[i] if ahead else 1.0
                total[i] = 1.0 + work[i]
        else:
            for k in range(m):
                row = densities[k]
                for i in range(LANES):
                    row[i] -= top[i]
                exponentials(row, shift, bits)
                for i in range(LANES):
                    total[i] += row[i]
        for i in range(LANES):
            height[i] += share[i] * top[i]
        if weighted:
            for i in range(LANES):
                log_sum += share[i] * np.log(total[i])
        else:
            # Total lies in [1, m]: one logarithm of a product serves many samples.
            for i in range(LANES):
                product[i] *= total[i] if share[i] > 0.0 else 1.0
            if block % PRODUCT_BLOCKS == PRODUCT_BLOCKS - 1:
                log_sum += log_of_product(product)
        for i in range(LANES):
            total[i] = np.divide(share[i], total[i])
        for k in range(m):
            row = densities[k]
            for i in range(LANES):
                row[i] *= total[i]
            add_moments(x, start, means[k], row, sums[k])
    log_sum += log_of_product(product)
    for i in range(LANES):
        log_sum += height[i]
    return log_sum


@kernel
def log_of_product(product: NDArray[np.float64]) -> float:
    """Log of the product of all lanes, each at least 1; resets them to 1. O(LANES)."""
    log_sum = 0.0
    part = 1.0
    for i in range(LANES):
        if part * product[i] > LARGE:
            log_sum += np.log(part)
            part = 1.0
        part *= product[i]
        product[i] = 1.0
    return float(log_sum + np.log(part))


@kernel
def maximisation(
    m: int,
    sums: NDArray[np.float64],
    reg: float,
    weights: NDArray[np.float64],
    means: NDArray[np.float64],
    covariances: NDArray[np.float64],
    factors: NDArray[np.float64],
    constants: NDArray[np.float64],
) -> bool:
    """M-step from moment sums about the old means; False where a covariance breaks. O(m d^3)."""
    d = means.shape[1]
    moments = np.empty(1 + d + d * (d + 1) // 2)
    mass = 0.0
    for k in range(m):
        for q in range(moments.size):
            total = 0.0
            for i in range(LANES):
                total += sums[k, q * LANES + i]
            moments[q] = total
        # As in scikit-learn, an empty component does not divide by zero.
        count = moments[0] + 10.0 * np.finfo(np.float64).eps
        weights[k] = count
        mass += count
        position = 1 + d
        for row in range(d):
            for column in range(row, d):
                step = moments[1 + row] * moments[1 + column] / count
                value = (moments[position] - step) / count
                covariances[k, row, column] = value
                covariances[k, column, row] = value
                position += 1
            # The guard is for cancellation only: a variance is never negative.
            covariances[k, row, row] = max(covariances[k, row, row], 0.0) + reg
        for row in range(d):
            means[k, row] += moments[1 + row] / count
    for k in range(m):
        weights[k] /= mass
        log_det = inverse_factor(covariances[k], factors[k])
        if not np.isfinite(log_det):
            return False
        constants[k] = np.log(weights[k]) - 0.5 * (d * LOG_2PI + log_det)
    return True


@kernel
def run_em(
    x: NDArray[np.float64],
    weight: NDArray[np.float64],
    weighted: bool,
    total_weight: float,
    m: int,
    reg: float,
    tol: float,
    max_iter: int,
    weights: NDArray[np.float64],
    means: NDArray[np.float64],
    covariances: NDArray[np.float64],
    factors: NDArray[np.float64],
    constants: NDArray[np.float64],
    lanes: NDArray[np.float64],
    bits: NDArray[np.int64],
    densities: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> tuple[float, bool]:
    """EM from the parameters given; log-likelihood of the final ones, and convergence.

    Stops as scikit-learn does, when the mean log-likelihood before the M-step has changed by less
    than `tol`, first compared in the second iteration. O(iterations K m d^2).
    """
    before = -np.inf
    converged = False
    for _ in range(max_iter):
        value = (
            expectation(
                x, weight, weighted, m, constants, means, factors, lanes, bits, densities, sums
            )
            / total_weight
        )
        if not maximisation(m, sums, reg, weights, means, covariances, factors, constants):
            return np.nan, False
        if abs(value - before) < tol:
            converged = True
            break
        before = value
    value = expectation(
        x, weight, weighted, m, constants, means, factors, lanes, bits, densities, sums
    )
    return value, converged
