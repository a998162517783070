"""Local polynomial fits of many outcome columns at once, on one side of a cutoff.

A side is given by `x` (n,), the distances from the cutoff ordered by absolute value, so that every
window is a prefix; `weight` (n,), the weights of the units; and `columns` (Q, n), one row for each
outcome column. `h` (Q,) is the bandwidth of each column: equal neighbours share their work.
`kind` codes the kernel: 0 triangular, 1 Epanechnikov, 2 uniform. The basis is (x / h)^j.
"""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel

MAX_CONDITION = 1e12


@kernel
def kernel_weight(u: float, kind: int) -> float:
    """Kernel at u, zero outside [-1, 1]; uniform includes the end points. O(1)."""
    size = abs(u)
    if size > 1.0:
        return 0.0
    if kind == 0:
        return 1.0 - size
    if kind == 1:
        return 0.75 * (1.0 - u * u)
    return 0.5


@kernel
def side_by_distance(
    x: NDArray[np.float64], above: bool
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rows on one side of 0 and their values, ascending in absolute value, ties in order. O(n).

    The bits of non-negative numbers are ordered as the numbers are, so a radix sort of 11 bits at a
    time applies; digits that all numbers share are skipped.
    """
    n = 0
    for row in range(x.size):
        n += (x[row] >= 0.0) == above
    distance = np.empty(n)
    order = np.empty(n, np.int64)
    n = 0
    for row in range(x.size):
        if (x[row] >= 0.0) == above:
            # Adding zero turns -0.0, whose sign bit would sort last, into 0.0.
            distance[n] = abs(x[row]) + 0.0
            order[n] = row
            n += 1
    key = distance.view(np.uint64)
    other = np.empty(n, np.int64)
    other_key = np.empty(n, np.uint64)
    start = np.zeros((6, 2048), np.int64)
    for i in range(n):
        for digit in range(6):
            start[digit, np.int64((key[i] >> np.uint64(11 * digit)) & np.uint64(2047))] += 1
    for digit in range(6):
        shift = np.uint64(11 * digit)
        largest = 0
        total = 0
        for code in range(2048):
            size = start[digit, code]
            largest = max(largest, size)
            start[digit, code] = total
            total += size
        if largest == n:
            continue
        for i in range(n):
            bucket = np.int64((key[i] >> shift) & np.uint64(2047))
            place = start[digit, bucket]
            other[place] = order[i]
            other_key[place] = key[i]
            start[digit, bucket] = place + 1
        order, other = other, order
        key, other_key = other_key, key
    sign = 1.0 if above else -1.0
    return order, sign * key.view(np.float64)


@kernel
def inverted(gram: NDArray[np.float64], inverse: NDArray[np.float64]) -> float:
    """Invert a symmetric positive definite matrix; its condition number, or inf. O(k^3).

    The condition number is that of the 1-norm. `gram` is overwritten by its Cholesky factor.
    """
    size = gram.shape[0]
    norm = 0.0
    for j in range(size):
        total = 0.0
        for i in range(size):
            total += abs(gram[i, j])
        norm = max(norm, total)
    for j in range(size):
        pivot = gram[j, j]
        for i in range(j):
            pivot -= gram[j, i] * gram[j, i]
        if not pivot > 0.0:
            return np.inf
        gram[j, j] = np.sqrt(pivot)
        for row in range(j + 1, size):
            entry = gram[row, j]
            for i in range(j):
                entry -= gram[row, i] * gram[j, i]
            gram[row, j] = entry / gram[j, j]
    inverse_norm = 0.0
    for column in range(size):
        for row in range(size):
            entry = 1.0 if row == column else 0.0
            for i in range(row):
                entry -= gram[row, i] * inverse[i, column]
            inverse[row, column] = entry / gram[row, row]
        total = 0.0
        for row in range(size - 1, -1, -1):
            entry = inverse[row, column]
            for i in range(row + 1, size):
                entry -= gram[i, row] * inverse[i, column]
            inverse[row, column] = entry / gram[row, row]
            total += abs(inverse[row, column])
        inverse_norm = max(inverse_norm, total)
    return norm * inverse_norm


@kernel
def fill_smoother(
    x: NDArray[np.float64],
    weight: NDArray[np.float64],
    h: float,
    kind: int,
    smoother: NDArray[np.float64],
    leverage: NDArray[np.float64],
) -> tuple[int, float]:
    """Fill the rows that turn outcomes into coefficients, and the leverage of each unit.

    ``smoother[j, i]`` is k_i (G^-1 b_i)_j, the derivative of coefficient j by the weighted outcome
    of unit i; multiply by the weight for the coefficient itself. ``leverage[i]`` is
    k_i b_i'G^-1 b_i, without the weight. Returns the length of the window and the condition number
    of G, inf if it is singular. O(window p^2).
    """
    size = smoother.shape[0]
    gram = np.zeros((size, size))
    inverse = np.zeros((size, size))
    powers = np.empty(size)
    window = 0
    while window < x.size and abs(x[window]) <= h:
        u = x[window] / h
        mass = weight[window] * kernel_weight(u, kind)
        powers[0] = 1.0
        for j in range(1, size):
            powers[j] = powers[j - 1] * u
        for j in range(size):
            for i in range(j + 1):
                gram[j, i] += mass * powers[j] * powers[i]
        window += 1
    for j in range(size):
        for i in range(j):
            gram[i, j] = gram[j, i]
    condition = inverted(gram, inverse)
    if not condition < np.inf:
        return window, np.inf
    for unit in range(window):
        u = x[unit] / h
        mass = kernel_weight(u, kind)
        powers[0] = 1.0
        for j in range(1, size):
            powers[j] = powers[j - 1] * u
        total = 0.0
        for j in range(size):
            entry = 0.0
            for i in range(size):
                entry += inverse[j, i] * powers[i]
            smoother[j, unit] = mass * entry
            total += powers[j] * entry
        leverage[unit] = mass * total
    return window, condition


@kernel
def local_coefficients(
    x: NDArray[np.float64],
    weight: NDArray[np.float64],
    h: NDArray[np.float64],
    columns: NDArray[np.float64],
    kind: int,
    order: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Coefficients (order + 1, Q) in the basis (x / h)^j, condition numbers and leverages (Q,).

    The leverage is the largest one of a weighted unit in the column's window.
    A column whose fit is singular gets NaN. O(window Q p) for one bandwidth, O(window Q p^2) for
    one of each column.
    """
    n_columns = columns.shape[0]
    coefficients = np.full((order + 1, n_columns), np.nan)
    conditions = np.empty(n_columns)
    leverages = np.zeros(n_columns)
    smoother = np.empty((order + 1, x.size))
    leverage = np.empty(x.size)
    window = 0
    condition = np.inf
    largest = 0.0
    for q in range(n_columns):
        if q == 0 or h[q] != h[q - 1]:
            window, condition = fill_smoother(x, weight, h[q], kind, smoother, leverage)
            largest = 0.0
            if condition < MAX_CONDITION:
                for unit in range(window):
                    largest = max(largest, weight[unit] * leverage[unit])
        conditions[q] = condition
        leverages[q] = largest
        if not condition < MAX_CONDITION:
            continue
        for j in range(order + 1):
            total = 0.0
            for unit in range(window):
                total += smoother[j, unit] * weight[unit] * columns[q, unit]
            coefficients[j, q] = total
    return coefficients, conditions, leverages


@kernel
def fitted_value(coefficients: NDArray[np.float64], q: int, u: float) -> float:
    """Value of the polynomial of column `q` at u. O(p)."""
    value = 0.0
    for j in range(coefficients.shape[0] - 1, -1, -1):
        value = value * u + coefficients[j, q]
    return value


@kernel
def coefficient_variance(
    x: NDArray[np.float64],
    weight: NDArray[np.float64],
    h: NDArray[np.float64],
    columns: NDArray[np.float64],
    kind: int,
    order: int,
    power: int,
    copies: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coefficient of x^power of each column and its HC2 sandwich variance, both (Q,).

    With `copies` a weight counts independent units. NaN where the fit is singular. O(window Q p).
    """
    n_columns = columns.shape[0]
    value = np.full(n_columns, np.nan)
    variance = np.full(n_columns, np.nan)
    coefficients = np.zeros((order + 1, n_columns))
    smoother = np.empty((order + 1, x.size))
    leverage = np.empty(x.size)
    share = np.empty(x.size)
    window = 0
    condition = np.inf
    for q in range(n_columns):
        if q == 0 or h[q] != h[q - 1]:
            window, condition = fill_smoother(x, weight, h[q], kind, smoother, leverage)
            for unit in range(window):
                mass = weight[unit]
                left = 1.0 - (leverage[unit] if copies else mass * leverage[unit])
                part = mass * smoother[power, unit] * smoother[power, unit]
                if not copies:
                    part *= mass
                share[unit] = part / left if left > 1e-10 else 0.0
        if not condition < MAX_CONDITION:
            continue
        for j in range(order + 1):
            total = 0.0
            for unit in range(window):
                total += smoother[j, unit] * weight[unit] * columns[q, unit]
            coefficients[j, q] = total
        total = 0.0
        for unit in range(window):
            residual = columns[q, unit] - fitted_value(coefficients, q, x[unit] / h[q])
            total += share[unit] * residual * residual
        scale = h[q] ** power
        if scale > 0.0:
            value[q] = coefficients[power, q] / scale
            variance[q] = total / scale / scale
    return value, variance


@kernel
def intercept_influence(
    x: NDArray[np.float64],
    weight: NDArray[np.float64],
    h: NDArray[np.float64],
    columns: NDArray[np.float64],
    kind: int,
    order: int,
    copies: bool,
    leave_one_out: bool,
    influence: NDArray[np.float64],
) -> None:
    """Fill (Q, n) with the influence of each unit's weight on each column's intercept.

    The derivative is k_i (G^-1 b_i)_0 e_i. With `leave_one_out`, residuals are divided by
    1 - leverage (HC3); the leverage is that of one copy of the unit if its weight counts `copies`,
    else that of the weighted unit. O(window Q p).
    """
    coefficients = np.empty((order + 1, columns.shape[0]))
    smoother = np.empty((order + 1, x.size))
    leverage = np.empty(x.size)
    window = 0
    condition = np.inf
    for q in range(columns.shape[0]):
        if q == 0 or h[q] != h[q - 1]:
            window, condition = fill_smoother(x, weight, h[q], kind, smoother, leverage)
        if not condition < MAX_CONDITION:
            influence[q, :] = np.nan
            continue
        for j in range(order + 1):
            total = 0.0
            for unit in range(window):
                total += smoother[j, unit] * weight[unit] * columns[q, unit]
            coefficients[j, q] = total
        influence[q, window:] = 0.0
        for unit in range(window):
            influence[q, unit] = 0.0
            left = 1.0
            if leave_one_out:
                share = leverage[unit] if copies else weight[unit] * leverage[unit]
                left = 1.0 - share
            if left > 1e-10:
                residual = columns[q, unit] - fitted_value(coefficients, q, x[unit] / h[q])
                influence[q, unit] = smoother[0, unit] * residual / left


@kernel
def isotonic_rows(rows: NDArray[np.float64]) -> None:
    """Replace each row by its non-decreasing least-squares fit, in place. O(rows x columns)."""
    n_columns = rows.shape[1]
    level = np.empty(n_columns)
    size = np.empty(n_columns)
    for row in range(rows.shape[0]):
        blocks = 0
        for column in range(n_columns):
            level[blocks] = rows[row, column]
            size[blocks] = 1.0
            blocks += 1
            while blocks > 1 and level[blocks - 2] > level[blocks - 1]:
                total = size[blocks - 2] + size[blocks - 1]
                level[blocks - 2] += (level[blocks - 1] - level[blocks - 2]) * (
                    size[blocks - 1] / total
                )
                size[blocks - 2] = total
                blocks -= 1
        column = 0
        for block in range(blocks):
            for _ in range(int(size[block])):
                rows[row, column] = level[block]
                column += 1
