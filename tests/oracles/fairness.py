"""Distance covariances from n x n matrices, by their definitions."""

import numpy as np


def distances(values):
    values = np.asarray(values, dtype=float)
    values = values[:, None] if values.ndim == 1 else values
    return np.sqrt(((values[:, None, :] - values[None, :, :]) ** 2).sum(axis=2))


def centred(a, weights=None, unbiased=False):
    """U- or double-centred matrix; weights are shares for the V-version."""
    n = len(a)
    if unbiased:
        rows = a.sum(axis=1)
        out = a - (rows[:, None] + rows) / (n - 2) + a.sum() / ((n - 1) * (n - 2))
        np.fill_diagonal(out, 0.0)
        return out
    p = np.full(n, 1 / n) if weights is None else np.asarray(weights) / np.sum(weights)
    rows = a @ p
    return a - rows[:, None] - rows + p @ rows


def dcov2(x, y, unbiased=False, weights=None):
    n = len(x)
    if unbiased:
        product = centred(distances(x), unbiased=True) * centred(distances(y), unbiased=True)
        return product.sum() / (n * (n - 3))
    p = np.full(n, 1 / n) if weights is None else np.asarray(weights) / np.sum(weights)
    return p @ (centred(distances(x), weights) * centred(distances(y), weights)) @ p


def jdcov2(variables, c=1.0, unbiased=False):
    n, d = len(variables[0]), len(variables)
    product = np.ones((n, n))
    for variable in variables:
        product *= c - centred(distances(variable), unbiased=unbiased)
    if unbiased:
        return product.sum() / (n * (n - 3)) - c**d * n / (n - 3)
    return product.mean() - c**d


def jdcov2_prediction(y, attributes, c=1.0, unbiased=False):
    """Part that involves the prediction."""
    whole = jdcov2([y, *attributes], c, unbiased)
    return whole - (c * jdcov2(attributes, c, unbiased) if len(attributes) > 1 else 0.0)
