"""Distance covariance of very many rows with continuous attributes, with the error it costs.

Used on request only: the other functions are exact or refuse.
"""

from math import gamma, pi, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalstats.errors import InputError
from evalstats.fairness.functions import _blocks, numeric_geometry, require_constant
from evalstats.fairness.geometry import LineGeometry, Ranking
from evalstats.inference.methods import RandomSource, random_key

Array = NDArray[np.float64]


class Approximation(NamedTuple):
    """An estimate and the standard error of the approximation.

    Attributes
    ----------
    value : float
        Unbiased squared distance covariance.
    standard_error : float
        Of the random blocks or projections; the sampling error of the rows is in the first one
        only.
    n_draws : int
        Number of blocks or projections.
    """

    value: float
    standard_error: float
    n_draws: int


def block_distance_covariance(
    prediction: ArrayLike,
    *attributes: ArrayLike,
    block_size: int = 1000,
    c: float | None = None,
    rng: RandomSource = 0,
) -> Approximation:
    """Mean of the unbiased statistic over disjoint random blocks of rows: O(n block_size).

    Parameters
    ----------
    prediction : array-like (n,)
        One number per row.
    *attributes : array-like (n,) or (n, d)
        Encoded attributes.
    block_size : int, default 1000
        Rows per block, at least 10.
    c : float, optional
        Joint instead of concatenated distance covariance with this constant; the part that
        involves the prediction.
    rng : int, SeedSequence, Generator or None, default 0
        Source of the blocks.

    Returns
    -------
    Approximation
        Unbiased; the standard error covers blocks and rows, away from independence and near it.

    Examples
    --------
    >>> import numpy as np
    >>> from evalstats.fairness.approximation import block_distance_covariance
    >>> rng = np.random.default_rng(0)
    >>> age = rng.normal(size=5000)
    >>> price = age + rng.normal(size=5000)
    >>> found = block_distance_covariance(price, np.column_stack([age, age**2]), block_size=500)
    >>> bool(found.value > 5 * found.standard_error)
    True
    """
    names = ["prediction", *(f"attribute {place}" for place in range(1, len(attributes) + 1))]
    blocks = _blocks([prediction, *attributes], names)
    _require_one_column(blocks[0])
    if c is not None:
        require_constant(c)
    n = len(blocks[0])
    count = n // block_size if block_size >= 10 else 0
    if count < 2:
        raise InputError(
            f"block_size={block_size!r}: {n} rows must give at least 2 blocks of 10 or more"
        )
    order = _generator(rng).permutation(n)
    values = []
    for rows in np.array_split(order, count):
        geometry = numeric_geometry(
            [block[rows] for block in blocks[1:]], c or 0.0, joint=c is not None
        )
        parts = geometry.parts(Ranking.of(blocks[0][rows, 0]), np.ones(len(rows)), True)
        values.append(float(parts.dependence))
    return Approximation(float(np.mean(values)), float(np.std(values, ddof=1)) / sqrt(count), count)


def projected_distance_covariance(
    prediction: ArrayLike, attributes: ArrayLike, *, n_projections: int = 50, rng: RandomSource = 0
) -> Approximation:
    """Unbiased statistic from random projections of the attributes: O(n log n) each.

    ``dCov2(y, z) = C_d E dCov2(y, v'z)`` with v uniform on the sphere and C_d = sqrt(pi)
    Gamma((d + 1) / 2) / Gamma(d / 2) (Huang and Huo 2017).

    Parameters
    ----------
    prediction : array-like (n,)
        One number per row.
    attributes : array-like (n, d)
        Encoded attributes.
    n_projections : int, default 50
        At least 2.
    rng : int, SeedSequence, Generator or None, default 0
        Source of the projections.

    Returns
    -------
    Approximation
        The standard error is that of the projections alone.

    Examples
    --------
    >>> import numpy as np
    >>> from evalstats.fairness.approximation import projected_distance_covariance
    >>> z = np.random.default_rng(0).normal(size=(300, 2))
    >>> found = projected_distance_covariance(z[:, 0], z)
    >>> bool(found.standard_error < 0.2 * found.value)
    True
    """
    first, second = _blocks([prediction, attributes], ["prediction", "attributes"])
    _require_one_column(first)
    if n_projections < 2:
        raise InputError(f"n_projections={n_projections!r}: at least 2 give a standard error")
    d = second.shape[1]
    factor = sqrt(pi) * gamma((d + 1) / 2) / gamma(d / 2)
    directions = _generator(rng).standard_normal((n_projections, d))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    ranking = Ranking.of(first[:, 0])
    weights = np.ones(len(first))
    values = [
        factor
        * float(
            LineGeometry(Ranking.of(second @ direction)).parts(ranking, weights, True).dependence
        )
        for direction in directions
    ]
    error = float(np.std(values, ddof=1)) / sqrt(n_projections)
    return Approximation(float(np.mean(values)), error, n_projections)


def _require_one_column(prediction: Array) -> None:
    if prediction.shape[1] != 1:
        raise InputError(f"prediction has {prediction.shape[1]} columns: pass one number per row")


def _generator(rng: RandomSource) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(random_key(rng))))
