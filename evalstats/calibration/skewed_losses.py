"""Whether mean losses and their differences are too skewed for a t interval."""

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalstats.calibration.score_kernels import cubic_moments
from evalstats.estimator import Diagnosis

Array = NDArray[np.float64]
# A t interval of nominal 95% covers about 93% where its mean has this skewness (laboratory).
SKEWED_MEAN = 0.3
# Where more rows are few, events are rarer than a score of all rows can tell.
MANY_ROWS = 100_000
MAX_MODELS = 10
TALLY = "rows:cubic"


def cubic_tally(losses: Array, weights: Array) -> dict[str, list[Any]]:
    """Sums over rows for `skewness_note`, a column for each; they add up over parts.

    Parameters
    ----------
    losses : float64 array (models, n)
        Loss of each row.
    weights : float64 array (n,)
        Weights of the rows.
    """
    k = len(losses)
    if k > MAX_MODELS:
        return {}
    if losses.shape[1] >= MANY_ROWS:
        sums = np.full((k, 6 + 3 * k), np.nan)
    else:
        sums = cubic_moments(np.ascontiguousarray(losses), weights)
    return {f"{TALLY}:{place:02d}": column.tolist() for place, column in enumerate(sums.T)}


def skewness_note(n: int, models: list[Any], tallies: dict[str, Any]) -> list[Diagnosis]:
    """Warning about the mean or difference of the largest skewness, if that is large."""
    names = sorted(name for name in tallies if name.startswith(TALLY))
    if not names or n >= MANY_ROWS:
        return []
    sums = np.array([tallies[name] for name in names], dtype=np.float64).T
    if not bool(np.isfinite(sums).all()):
        return []
    k = len(sums)
    weight, value, weight2, value2, weight3, value3 = sums[:, :6].T
    squares, products, thirds = (sums[:, 6 + block * k : 6 + (block + 1) * k] for block in range(3))
    worst, what = 0.0, ""
    combined = [(a, None) for a in range(k)] + list(combinations(range(k), 2))
    for a, b in combined:
        name = f"the losses of {models[a]!r}"
        mean = value[a] / weight[a]
        second, linear2 = squares[a, a], value2[a]
        third, quadratic, linear3 = thirds[a, a], products[a, a], value3[a]
        if b is not None:
            name = f"the differences of losses of {models[a]!r} and {models[b]!r}"
            mean -= value[b] / weight[b]
            second += squares[b, b] - 2 * squares[a, b]
            linear2, linear3 = linear2 - value2[b], linear3 - value3[b]
            third += 3 * (thirds[b, a] - thirds[a, b]) - thirds[b, b]
            quadratic += products[b, b] - 2 * products[a, b]
        spread = second - 2 * mean * linear2 + mean**2 * weight2[a]
        cubes = third - 3 * mean * quadratic + 3 * mean**2 * linear3 - mean**3 * weight3[a]
        # Rounding leaves some of a spread that is zero.
        if spread > 1e-12 * abs(second):
            skewness = abs(cubes) / spread**1.5
            if skewness > worst:
                worst, what = skewness, name
    if not worst > SKEWED_MEAN:
        return []
    message = (
        f"{n} rows are few for {what}, whose mean has skewness {worst:.2f}: its t interval covers "
        "too rarely; use inference=Bootstrap(interval='studentized')"
    )
    return [("skewed-losses", message)]
