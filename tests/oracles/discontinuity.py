"""Local polynomial limits, weighted quantiles and isotonic curves, as slow as they like."""

import math

import numpy as np


def kernel(name, u):
    if abs(u) > 1:
        return 0.0
    return {"triangular": 1 - abs(u), "epanechnikov": 0.75 * (1 - u * u), "uniform": 0.5}[name]


def limit(x, y, h, name, order, weight=None):
    """Intercept of weighted least squares on the units with |x| <= h."""
    weight = np.ones(len(x)) if weight is None else weight
    rows = [i for i in range(len(x)) if kernel(name, x[i] / h) * weight[i] > 0]
    root = np.sqrt([kernel(name, x[i] / h) * weight[i] for i in rows])
    basis = np.array([[(x[i] / h) ** j for j in range(order + 1)] for i in rows])
    target = np.array([y[i] for i in rows])
    return np.linalg.lstsq(basis * root[:, None], target * root, rcond=None)[0][0]


def jump(x, y, h, name, order, weight=None):
    weight = np.ones(len(x)) if weight is None else weight
    above = x >= 0
    sides = [limit(x[m], y[m], h, name, order, weight[m]) for m in (above, ~above)]
    return sides[0] - sides[1]


def leave_one_out_influence(x, y, h, name, order):
    """Change of the jump when a unit is left out: its HC3 influence, exactly."""
    whole = jump(x, y, h, name, order)
    keep = [np.arange(len(x)) != i for i in range(len(x))]
    return np.array([whole - jump(x[k], y[k], h, name, order) for k in keep])


def weighted_quantile(y, w, q):
    """Interpolated order statistics of the weights scaled to their number."""
    pairs = sorted((a, b) for a, b in zip(y, w, strict=True) if b > 0)
    m, total = len(pairs), sum(b for _, b in pairs)

    def smallest(target):
        reached = 0.0
        for value, weight in pairs:
            reached += weight * m / total
            if reached >= target - 1e-12 * m:
                return value
        return pairs[-1][0]

    r = 1 + (m - 1) * q
    low = max(math.floor(r), 1)
    share = r - math.floor(r)
    return (1 - share) * smallest(low) + share * smallest(min(low + 1, m))


def isotonic(row):
    """Min-max formula of isotonic regression."""
    n = len(row)
    return [
        max(min(np.mean(row[a : b + 1]) for b in range(i, n)) for a in range(i + 1))
        for i in range(n)
    ]


def gini(grid, curve):
    """Mean absolute difference over twice the mean, of the piecewise linear quantile function."""
    u = (np.arange(200_000) + 0.5) / 200_000
    y = np.interp(u, grid, curve)
    return 2 * np.mean(y * u) / np.mean(y) - 1
