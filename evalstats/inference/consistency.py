"""Consistency resampling: outcomes drawn anew from the forecasts (Broecker and Smith 2007)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from evalstats.inference.methods import RandomSource, random_key
from evalstats.inference.resampling import parallel_map
from evalstats.kernels.random import bernoulli_draws
from evalstats.options import require_count

CHUNK = 16


def consistency_replicates(
    statistic: Callable[[NDArray[np.bool_]], NDArray[np.float64]],
    probability: NDArray[np.float64],
    n_resamples: int,
    rng: RandomSource,
) -> NDArray[np.float64]:
    """Statistic under calibration: each outcome is drawn with the probability forecast for it.

    Outcomes are independent given the forecasts, so rows of one cluster are too.

    Parameters
    ----------
    statistic : callable
        Outcomes (n,) to values (k,).
    probability : float64 array (n,)
        Forecast of each row.
    n_resamples : int
        Number of replicates.
    rng : int, SeedSequence, Generator or None
        Source of randomness; outcome i of replicate r is a function of the key, r and i alone.

    Returns
    -------
    float64 array (n_resamples, k)
        Values in each replicate. O(n_resamples n).
    """
    require_count("n_resamples", n_resamples)
    first, second = (np.uint64(word) for word in random_key(rng))

    def chunk(start: int) -> NDArray[np.float64]:
        outcome = np.empty(len(probability), dtype=np.bool_)
        values = []
        for replicate in range(start, min(start + CHUNK, int(n_resamples))):
            bernoulli_draws(probability, first, second, np.uint64(replicate), outcome)
            values.append(statistic(outcome))
        return np.stack(values)

    work = 2 * len(probability) * int(n_resamples)
    return np.concatenate(parallel_map(chunk, list(range(0, int(n_resamples), CHUNK)), work))


def upper_p_value(
    replicates: NDArray[np.float64], value: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Share of replicates at least as large, ties included, by the rule (1 + count) / (B + 1)."""
    slack = 1e-12 * np.maximum(1.0, np.abs(value))
    exceed = (replicates >= value - slack).sum(axis=0)
    return np.asarray((1.0 + exceed) / (len(replicates) + 1.0))
