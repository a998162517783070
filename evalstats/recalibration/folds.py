"""Folds for cross-fitting that do not depend on the labels."""

import heapq

import numpy as np
from numpy.typing import NDArray

from evalstats.errors import InputError
from evalstats.inference.methods import RandomSource, random_key
from evalstats.kernels.random import uniform_draws

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


def assign_folds(
    probability: Array, cluster: Codes | None, n_folds: int, rng: RandomSource
) -> Codes:
    """Fold of each row, stratified by the forecast, or whole clusters in folds of like size.

    Folds stratified by the label would tell something about a row's own label. Rows are put in
    order of their forecast instead, and each run of `n_folds` rows is dealt out at random.

    Parameters
    ----------
    probability : float64 array (n,) or (n, K)
        Forecasts.
    cluster : int64 array (n,) or None
        Dense codes of clusters.
    n_folds : int
        Number of folds; as many as rows (or clusters) leave one out.
    rng : int, SeedSequence, Generator or None
        Source of randomness.

    Returns
    -------
    int64 array (n,)
        Codes 0 .. n_folds - 1, none of them empty. O(n log n).

    Raises
    ------
    InputError
        If `n_folds` is no integer between 2 and the number of rows or clusters.
    """
    n = len(probability)
    pieces = n if cluster is None else int(cluster.max()) + 1
    require_folds(n_folds, pieces, "rows" if cluster is None else "clusters")
    priority = _priorities(pieces, rng)
    if cluster is not None:
        return _clustered(cluster, priority, n_folds)
    block = np.empty(n, dtype=np.int64)
    block[_forecast_order(probability)] = np.arange(n) // n_folds
    fold = np.empty(n, dtype=np.int64)
    fold[np.lexsort((priority, block))] = np.arange(n) % n_folds
    return fold


def require_folds(n_folds: object, pieces: int, what: str) -> None:
    """Refuse a number of folds that cannot be made of so many pieces."""
    integer = isinstance(n_folds, int | np.integer) and not isinstance(n_folds, bool)
    if not integer or not 2 <= n_folds <= pieces:  # type: ignore[operator]
        raise InputError(
            f"n_folds={n_folds!r} is not possible with {pieces} {what}: choose an integer from 2 "
            f"to {pieces}"
        )


def _forecast_order(probability: Array) -> Codes:
    if probability.ndim == 1:
        return np.argsort(probability, kind="stable")
    predicted = probability.argmax(axis=1)
    return np.lexsort((probability.max(axis=1), predicted))


def _clustered(cluster: Codes, priority: Array, n_folds: int) -> Codes:
    """Largest clusters first, each into the fold with the fewest rows."""
    size = np.bincount(cluster)
    fold_of = np.empty(len(size), dtype=np.int64)
    folds = [(0, number) for number in range(n_folds)]
    for one in np.lexsort((priority, -size)).tolist():
        rows, number = heapq.heappop(folds)
        fold_of[one] = number
        heapq.heappush(folds, (rows + int(size[one]), number))
    return fold_of[cluster]


def _priorities(n: int, rng: RandomSource) -> Array:
    key = random_key(rng)
    drawn = np.empty(n)
    uniform_draws(np.uint64(key[0]), np.uint64(key[1]), np.uint64(0), drawn)
    return drawn
