"""The bandwidth selector of the R package R3D 0.1.0, for conformance.

It is not equivariant: its second step takes the coefficient of order s in the scaled basis for the
curvature, so that multiplying the running variable by a multiplies the bandwidth by a^0.2 (s = 1).
Use it to reproduce published numbers; the default selector is in ``bandwidth``.
"""

from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import NDArray

from evalstats.discontinuity.kernels import kernel_weight, local_coefficients
from evalstats.discontinuity.sides import KERNEL_CODES, Side

Array = NDArray[np.float64]

RIEMANN_POINTS = 1000
NO_CURVATURE = 1e-14
TRIANGULAR = KERNEL_CODES["triangular"]


@dataclass(frozen=True)
class ReferenceRule:
    """Options of the selector.

    Attributes
    ----------
    kernel : str
        Kernel of the density and of the constants; the local fit is always triangular.
    s : int
        Order of the local fit.
    step : float or None
        Mean spacing of the quantile grid for one bandwidth of all columns; None for one of each.
    coverage : bool
        Shrink to the coverage-error rate.
    """

    kernel: str
    s: int
    step: float | None
    coverage: bool = False


@dataclass(frozen=True)
class ReferenceSelection:
    """Selected bandwidth of each column and the quantities on the way to it.

    Attributes
    ----------
    h, pilot : float64 array (Q,)
        Final and pilot bandwidths.
    bias, variance : float64 array (2, Q)
        Terms of the second step, below first.
    density : float
        Density of the running variable at the cutoff.
    """

    h: Array
    pilot: Array
    bias: Array
    variance: Array
    density: float


def kernel_values(kernel: str, u: Array) -> Array:
    """Kernel at every u."""
    code = KERNEL_CODES[kernel]
    return np.array([kernel_weight(value, code) for value in u.tolist()])


def riemann_constants(kernel: str, s: int, above: bool) -> tuple[Array, Array, Array]:
    """Gamma, Lambda and Psi as Riemann sums over 1000 points of weight 2/1000."""
    u = np.linspace(-1.0, 1.0, RIEMANN_POINTS)
    u = u[u >= 0] if above else u[u < 0]
    weight = kernel_values(kernel, u)
    basis = np.vander(u, s + 1, increasing=True)
    step = 2.0 / RIEMANN_POINTS
    gamma = step * basis.T @ (weight[:, np.newaxis] * basis)
    lambda_ = step * basis.T @ (weight * u ** (s + 1))
    psi = step * basis.T @ ((weight**2)[:, np.newaxis] * basis)
    return gamma, lambda_, psi


def boundary_constants(kernel: str, s: int, above: bool) -> tuple[float, float]:
    """Bias and variance constants (beta, nu) of the intercept."""
    gamma, lambda_, psi = riemann_constants(kernel, s, above)
    inverse = np.linalg.inv(gamma)
    return float((inverse @ lambda_)[0]), float((inverse @ psi @ inverse)[0, 0])


def global_pilot(x: Array, columns: Array, order: int) -> tuple[Array, Array]:
    """Derivative of the given order and residual variance of a global polynomial of that order."""
    if len(x) <= order:
        return np.zeros(len(columns)), np.ones(len(columns))
    basis = np.vander(x, order + 1, increasing=True)
    coefficients = np.linalg.lstsq(basis, columns.T, rcond=None)[0]
    residual = columns.T - basis @ coefficients
    variance = residual.var(axis=0, ddof=1)
    variance[~(variance >= np.finfo(np.float64).eps)] = 1.0
    return factorial(order) * coefficients[-1], variance


def reference_bandwidths(
    rule: ReferenceRule, sides: tuple[Side, Side], columns: tuple[Array, Array]
) -> ReferenceSelection:
    """Bandwidths as the reference selects them; weights of the units are ignored, as there."""
    s, n = rule.s, sum(len(side.x) for side in sides)
    deviation = float(np.concatenate([side.x for side in sides]).std(ddof=1))
    fallback = 1.06 * deviation * n ** (-1.0 / (2 * s + 1))
    window = 1.06 * deviation * n**-0.2
    u = np.concatenate([side.x for side in sides]) / window
    density = float(kernel_values(rule.kernel, u).mean()) / window
    curvature: Array = np.zeros(len(columns[0]))
    noise: Array = np.zeros(len(columns[0]))
    for side, block in zip(sides, columns, strict=True):
        sign = 1.0 if side.name == "above" else -1.0
        beta, nu = boundary_constants(rule.kernel, s, side.name == "above")
        derivative, variance = global_pilot(side.x, block, s + 1)
        curvature = curvature + sign * beta * derivative / factorial(s + 1)
        noise = noise + variance * nu / density
    pilot = _optimal(rule, curvature, noise, n, fallback)
    bias = np.empty((2, len(columns[0])))
    variance = np.empty_like(bias)
    for row, (side, block) in enumerate(zip(sides, columns, strict=True)):
        bias[row], variance[row] = _local_terms(side, block, pilot, s)
    h = _optimal(rule, bias[1] - bias[0], variance.sum(axis=0) / density, n, fallback)
    if rule.coverage:
        h = h * n ** (-s / ((2 * s + 3) * (s + 3)))
    return ReferenceSelection(h, pilot, bias, variance, density)


def _optimal(rule: ReferenceRule, bias: Array, variance: Array, n: int, fallback: float) -> Array:
    s = rule.s
    squared, flat = bias**2, np.abs(bias) <= NO_CURVATURE
    if rule.step is not None:
        squared = np.full_like(squared, rule.step * squared.sum())
        variance = np.full_like(variance, rule.step * variance.sum())
        flat = squared <= NO_CURVATURE
    with np.errstate(divide="ignore", invalid="ignore"):
        h = (variance / (2.0 * (s + 1) * squared) / n) ** (1.0 / (2 * s + 3))
    return np.where(flat | ~(h > 0) | ~np.isfinite(h), fallback, h)


def _local_terms(side: Side, columns: Array, h: Array, s: int) -> tuple[Array, Array]:
    """Coefficient of order s over (s + 1)!, and residual variance where the weights are positive.

    A singular fit leaves zeros, as in the reference.
    """
    ones = np.ones(len(side.x))
    coefficients, _, _ = local_coefficients(side.x, ones, h, columns, TRIANGULAR, s)
    bias = np.nan_to_num(coefficients[s]) / factorial(s + 1)
    variance = np.zeros(len(columns))
    for q, bandwidth in enumerate(h):
        if not np.isfinite(coefficients[0, q]):
            continue
        u = side.x / bandwidth
        mass = np.clip(1.0 - np.abs(u), 0.0, None)
        basis = np.vander(u, s + 1, increasing=True)
        intercept = mass * (basis @ np.linalg.inv(basis.T @ (mass[:, np.newaxis] * basis))[0])
        positive = intercept > 0
        residual = columns[q] - basis @ coefficients[:, q]
        share = intercept[positive]
        variance[q] = share @ residual[positive] ** 2 / share.sum()
    return bias, variance
