"""Simultaneous confidence intervals of ranks."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalstats.errors import InputError
from evalstats.inference.simultaneous import SIMULATION_KEY
from evalstats.kernels.pairs import largest_pair_deviations

Array = NDArray[np.float64]
N_DRAWS = 20_000


class RankIntervals(NamedTuple):
    """Rank of each estimate, 1 being the best, with its simultaneous limits."""

    rank: NDArray[np.int64]
    low: NDArray[np.int64]
    high: NDArray[np.int64]


def rank_intervals(
    value: Array,
    covariance: Array,
    level: float,
    *,
    df: float = np.inf,
    higher_is_better: bool = True,
) -> RankIntervals:
    """Ranks that are jointly covered with probability `level` (Mogstad et al. 2024).

    All pairwise differences get simultaneous max-t intervals from the joint distribution; the best
    possible rank of an estimate is 1 plus the number of those significantly better, the worst is
    the number of all minus those significantly worse. Tied estimates share the best rank.
    Complexity O(20 000 m^2).

    Parameters
    ----------
    value : float64 array (m,)
        Estimates.
    covariance : float64 array (m, m)
        Their joint covariance.
    level : float
        Simultaneous confidence level.
    df : float, optional
        Degrees of freedom of the covariance, clusters minus one.
    higher_is_better : bool, default True
        Direction of the ranking.

    Returns
    -------
    RankIntervals
        Ranks with lower and upper limits.
    """
    m = len(value)
    if not bool(np.isfinite(covariance).all()):
        raise InputError(
            "ranks need a finite covariance of all models: fit with Analytic() or Bootstrap()"
        )
    signed = value if higher_is_better else -value
    variance = np.diag(covariance)
    spread = variance[:, np.newaxis] + variance - 2 * covariance
    standard_error = np.sqrt(np.clip(spread, 0.0, None))
    roots, vectors = np.linalg.eigh(covariance)
    loading = vectors * np.sqrt(np.clip(roots, 0.0, None))
    generator = np.random.Generator(np.random.Philox(SIMULATION_KEY))
    draws = generator.standard_normal((N_DRAWS, m)) @ loading.T
    maxima = largest_pair_deviations(draws, standard_error)
    if np.isfinite(df):
        maxima /= np.sqrt(generator.chisquare(df, N_DRAWS) / df)
    critical = float(np.quantile(maxima, level))
    difference = signed[:, np.newaxis] - signed
    margin = critical * standard_error
    return RankIntervals(
        1 + (difference < 0).sum(axis=1),
        1 + (difference < -margin).sum(axis=1),
        m - (difference > margin).sum(axis=1),
    )
