"""Simultaneous bands and single-step adjusted p-values from the joint distribution."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
N_SIMULATIONS = 200_000
SIMULATION_KEY = 20_060_102


def maximum_statistics(covariance: Array, df: float = np.inf) -> Array:
    """Sorted draws of max |t| under N(0, correlation), or multivariate t with `df`.

    The simulation has a fixed key, so that the same covariance always gives the same critical
    value; with 200 000 draws the error of a 95 % critical value is about 0.005. Terms without
    variance are left out. Complexity O(200 000 k rank).
    """
    variance = np.diag(covariance)
    varying = np.isfinite(variance) & (variance > 0)
    if not bool(varying.any()):
        return np.zeros(1)
    scale = np.sqrt(variance[varying])
    correlation = covariance[np.ix_(varying, varying)] / np.outer(scale, scale)
    roots, vectors = np.linalg.eigh(correlation)
    keep = roots > 1e-12 * roots[-1]
    loading = vectors[:, keep] * np.sqrt(roots[keep])
    generator = np.random.Generator(np.random.Philox(SIMULATION_KEY))
    maxima = np.empty(N_SIMULATIONS)
    block = max(1, min(N_SIMULATIONS, 4_000_000 // max(loading.shape)))
    for start in range(0, N_SIMULATIONS, block):
        stop = min(start + block, N_SIMULATIONS)
        draws = generator.standard_normal((stop - start, loading.shape[1])) @ loading.T
        maxima[start:stop] = np.abs(draws).max(axis=1)
    if np.isfinite(df):
        maxima /= np.sqrt(generator.chisquare(df, N_SIMULATIONS) / df)
    return np.sort(maxima)


def sup_t_critical_value(covariance: Array, level: float, df: float = np.inf) -> float:
    """Critical value of the simultaneous band (Montiel Olea and Plagborg-Moller 2019)."""
    return float(np.quantile(maximum_statistics(covariance, df), level))


def replicate_maxima(centre: Array, spread: Array, replicates: Array) -> Array:
    """Largest studentised deviation of each replicate from the estimate."""
    varying = spread > 0
    if not bool(varying.any()):
        return np.zeros(len(replicates))
    deviations = np.abs(replicates[:, varying] - centre[varying]) / spread[varying]
    return np.asarray(np.nanmax(deviations, axis=1))


def max_t_p_values(statistic: Array, covariance: Array, df: float = np.inf) -> Array:
    """Single-step adjusted p-values: P(max |t| >= |statistic|), with the (1 + count) rule."""
    maxima = maximum_statistics(covariance, df)
    exceed = len(maxima) - np.searchsorted(maxima, np.abs(statistic), side="left")
    p_value = (1.0 + exceed) / (len(maxima) + 1.0)
    return np.where(np.isfinite(statistic), p_value, np.nan)
