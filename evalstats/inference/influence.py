"""Covariance from influence values."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from evalstats.errors import InputError
from evalstats.inference.methods import WeightKind
from evalstats.inference.units import Units
from evalstats.kernels.units import centre_within_strata, weighted_unit_sums


def influence_factor(
    influence: NDArray[np.float64], units: Units, weight_kind: WeightKind = "probability"
) -> NDArray[np.float64]:
    """Scaled influence Z of each unit, so that the covariance of the estimates is Z'Z.

    Parameters
    ----------
    influence : float64 array (n_rows, k)
        Derivative of each estimate with respect to the weight of each row; overwritten, since at
        10^7 rows a copy is what memory cannot afford.
    units : Units
        Clusters, weights and strata. Within a stratum of m units the weighted influence sums are
        centred and scaled by m / (m - 1): DeLong's estimate when strata are the classes, the
        cluster-robust sandwich when units are clusters.
    weight_kind : {"probability", "frequency"}
        Frequency weights count identical rows.

    Returns
    -------
    float64 array (n_units, k)
        One row per unit, 0 where a unit has no weight. Complexity O(n_rows k).
    """
    if weight_kind == "frequency" and not units.clustered:
        return _frequency_factor(influence, units.row_weight, units)
    factor = np.ascontiguousarray(influence)
    if units.unit_of_row is not None:
        factor = weighted_unit_sums(factor, units.row_weight, units.unit_of_row, units.n_units)
    elif units.weight is not None:
        factor *= units.weight[:, np.newaxis]
    stratum = units.unit_stratum
    centre_within_strata(factor, stratum, units.active, int(stratum.max()) + 1)
    return factor


def _frequency_factor(
    influence: NDArray[np.float64], weight: NDArray[np.float64], units: Units
) -> NDArray[np.float64]:
    fractional = weight != np.round(weight)
    if bool(fractional.any()):
        row = int(np.argmax(fractional))
        raise InputError(
            f"sample_weight is {weight[row]} in row {row}: frequency weights must be whole numbers "
            "(other weights: Analytic(weight_kind='probability'))"
        )
    factor = np.zeros_like(influence)
    members, offsets = units.strata
    for start, stop in pairwise(offsets):
        rows = members[start:stop]
        copies = weight[rows][:, np.newaxis]
        m = float(copies.sum())
        mean = (copies * influence[rows]).sum(axis=0) / m
        scale = m / (m - 1) if m > 1 else np.nan
        factor[rows] = np.sqrt(copies * scale) * (influence[rows] - mean)
    return factor


def covariance_of_counted(
    influence: NDArray[np.float64],
    weight: NDArray[np.float64],
    squares: NDArray[np.float64],
    count: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Covariance Z'Z of one stratum from distinct rows instead of all of them.

    Parameters
    ----------
    influence : float64 array (m, k)
        Derivative of each estimate by the weight of each distinct row.
    weight, squares, count : float64 array (m,)
        Summed weight, summed squared weight and number of the observations that are alike.

    Returns
    -------
    float64 array (k, k)
        NaN with fewer than two observations. Complexity O(m k^2).
    """
    n = float(count.sum())
    if n <= 1:
        return np.full((influence.shape[1],) * 2, np.nan)
    total = weight @ influence
    squared = (squares[:, np.newaxis] * influence).T @ influence
    return np.asarray(n / (n - 1.0) * (squared - np.outer(total, total) / n))


def covariance_of_sums(
    n: int,
    sums: NDArray[np.float64],
    products: NDArray[np.float64],
    coefficients: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Covariance Z'Z of units whose influence is linear in numbers x that each of them has.

    Parameters
    ----------
    n : int
        Number of units.
    sums, products : float64 array (p,) and (p, p)
        Sums of w x, and of w^2 x x'.
    coefficients : float64 array (p, k)
        Influence of a unit of weight 1 on each estimate, per x.

    Returns
    -------
    float64 array (k, k)
        NaN with fewer than two units. Complexity O(p^2 k).
    """
    if n < 2:
        return np.full((coefficients.shape[1],) * 2, np.nan)
    mean = sums @ coefficients / n
    spread = coefficients.T @ products @ coefficients - n * np.outer(mean, mean)
    return np.asarray(spread * (n / (n - 1.0)))


def acceleration(factor: NDArray[np.float64]) -> NDArray[np.float64]:
    """Acceleration of the BCa interval, sum z^3 / (6 (sum z^2)^1.5) (Efron 1987, eq. 6.6)."""
    spread = np.square(factor).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        value = (factor**3).sum(axis=0) / (6.0 * spread**1.5)
    return np.asarray(np.where(spread > 0, value, 0.0))
