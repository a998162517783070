"""Losses of a predicted mean, row by row."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalstats.errors import InputError
from evalstats.fairness.glm_objective import Family

Array = NDArray[np.float64]


def unit_deviance(y: Array, mean: Array, family: Family) -> Array:
    """Deviance of each row: squared error, or twice the log-likelihood ratio."""
    if family == "gaussian":
        return (y - mean) ** 2
    from scipy.special import xlogy

    if family == "poisson":
        return np.asarray(2.0 * (xlogy(y, y) - xlogy(y, mean) - (y - mean)))
    inside = np.clip(mean, 1e-300, 1.0)
    outside = np.clip(1.0 - mean, 1e-300, 1.0)
    fitted = xlogy(y, inside) + xlogy(1.0 - y, outside)
    return np.asarray(2.0 * (xlogy(y, y) + xlogy(1.0 - y, 1.0 - y) - fitted))


def ranked_probability_score(
    y: ArrayLike, mean: ArrayLike, *, family: Family, max_count: int = 10
) -> float:
    """Mean ranked probability score of a binomial or Poisson prediction; NaN for gaussian.

    Parameters
    ----------
    y, mean : array-like (n,)
        Outcomes and expected outcomes.
    family : {"binomial", "poisson", "gaussian"}
        Two classes give the Brier score; counts the sum over k = 0..max_count of the squared
        difference of the distribution functions.
    max_count : int, default 10
        Largest count; the paper's 10. Observed counts above it lie above every step.

    Returns
    -------
    float
        0 is perfect.

    Examples
    --------
    >>> from evalstats.fairness.scores import ranked_probability_score
    >>> round(ranked_probability_score([0, 1], [0.2, 0.6], family="binomial"), 4)
    0.1
    """
    observed, expected = np.asarray(y, dtype=np.float64), np.asarray(mean, dtype=np.float64)
    if observed.shape != expected.shape:
        raise InputError(f"y has shape {observed.shape} but mean {expected.shape}")
    if family == "gaussian":
        return float("nan")
    if family == "binomial":
        return float(np.mean((expected - observed) ** 2))
    from scipy.special import pdtr

    counts = np.arange(max_count + 1)
    predicted = pdtr(counts, expected[:, np.newaxis])
    return float(np.mean(((predicted - (observed[:, np.newaxis] <= counts)) ** 2).sum(axis=1)))
