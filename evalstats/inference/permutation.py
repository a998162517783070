"""Permutation tests of paired samples: swap what two models say about a unit."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from evalstats.errors import InputError
from evalstats.inference.methods import RandomSource, random_key
from evalstats.inference.resampling import parallel_map
from evalstats.inference.units import Units
from evalstats.options import require_count

# Differences this close to the observed one are equal but for round-off, and count.
SLACK = 1e-12


def paired_swap_test(
    difference: Callable[[NDArray[np.bool_]], float],
    units: Units,
    n_resamples: int,
    alternative: str,
    rng: RandomSource,
) -> tuple[float, float]:
    """Observed difference and its permutation p-value.

    Parameters
    ----------
    difference : callable
        Statistic as a function of the rows whose two predictions are exchanged.
    units : Units
        Rows of one unit are exchanged together.
    n_resamples : int
        Number of random swaps.
    alternative : {"two-sided", "greater", "less"}
        Direction of the alternative.
    rng : int, SeedSequence, Generator or None
        Source of randomness; each swap has its own stream.

    Returns
    -------
    tuple of float
        Difference without swaps, and (1 + count) / (n_resamples + 1).
    """
    require_count("n_resamples", n_resamples)
    if alternative not in ("two-sided", "greater", "less"):
        raise InputError(f"alternative={alternative!r}: choose two-sided, greater or less")
    key = random_key(rng)
    observed = difference(np.zeros(units.n_rows, dtype=bool))

    def swapped(replicate: int) -> float:
        bits = np.random.Generator(np.random.Philox(np.random.SeedSequence((*key, replicate))))
        swap = bits.random(units.n_units) < 0.5
        return difference(swap if units.unit_of_row is None else swap[units.unit_of_row])

    work = 100 * units.n_rows * int(n_resamples)
    values = np.array(parallel_map(swapped, list(range(int(n_resamples))), work))
    if alternative == "two-sided":
        exceed = np.abs(values) >= abs(observed) - SLACK
    elif alternative == "greater":
        exceed = values >= observed - SLACK
    else:
        exceed = values <= observed + SLACK
    return observed, float((1 + exceed.sum()) / (len(values) + 1))


def permuted_statistics(
    statistic: Callable[[NDArray[np.int64]], float],
    n: int,
    n_resamples: int,
    rng: RandomSource,
    work: int,
) -> NDArray[np.float64]:
    """Statistic under random permutations of n rows, each from a stream of its own.

    Parameters
    ----------
    statistic : callable
        Takes a permutation of 0..n-1.
    n, n_resamples : int
        Number of rows and of permutations.
    rng : int, SeedSequence, Generator or None
        Source of the key.
    work : int
        Row operations of one evaluation, which decide whether threads pay.

    Returns
    -------
    float64 array (n_resamples,)
        Values that depend neither on the number of threads nor on the order of the work.
    """
    require_count("n_resamples", n_resamples)
    key = random_key(rng)

    def drawn(replicate: int) -> float:
        bits = np.random.Generator(np.random.Philox(np.random.SeedSequence((*key, replicate))))
        return statistic(bits.permutation(n))

    return np.array(parallel_map(drawn, list(range(int(n_resamples))), work * int(n_resamples)))
