"""Tests of calibration for one model: Spiegelhalter's z and Hosmer and Lemeshow's groups."""

from collections.abc import Hashable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalstats.calibration.rows import binary_rows
from evalstats.errors import InputError, warn
from evalstats.options import typed_options

Array = NDArray[np.float64]


class SpiegelhalterTest(NamedTuple):
    """Result of :func:`spiegelhalter_test`.

    Attributes
    ----------
    statistic : float
        z; NaN where the test is undefined.
    p_value : float
        Two-sided p-value.
    reason : str or None
        Why the statistic is NaN.
    """

    statistic: float
    p_value: float
    reason: str | None


class HosmerLemeshowTest(NamedTuple):
    """Result of :func:`hosmer_lemeshow_test`.

    Attributes
    ----------
    statistic : float
        Chi-squared statistic; infinite where a group with expectation 0 or n is missed.
    df : int
        Degrees of freedom.
    p_value : float
        Upper tail probability.
    n_groups : int
        Groups that were formed.
    """

    statistic: float
    df: int
    p_value: float
    n_groups: int


@typed_options
def spiegelhalter_test(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: Hashable | None = None,
) -> SpiegelhalterTest:
    """Spiegelhalter's z test that every probability is right.

    Parameters
    ----------
    y_true : array-like (n,)
        Labels: 0/1, boolean, or two values with `pos_label`.
    y_prob : array-like (n,)
        Probability of the positive class.
    sample_weight : array-like (n,), optional
        Non-negative weights; the variance is that of the weighted sum.
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.

    Returns
    -------
    SpiegelhalterTest
        Named tuple ``(statistic, p_value, reason)``.

    Raises
    ------
    InputError
        If the input cannot be used.

    Notes
    -----
    ``z = sum w (y - p)(1 - 2p) / sqrt(sum w^2 (1 - 2p)^2 p (1 - p))`` is N(0, 1) under calibration
    and independent rows (Spiegelhalter 1986). It compares the Brier score with its expectation, so
    errors around one half weigh nothing. Undefined when all forecasts are 0, 1/2 or 1. O(n).

    Examples
    --------
    >>> import evalstats as es
    >>> z = es.spiegelhalter_test([0, 1, 1, 0, 1], [0.1, 0.7, 0.8, 0.4, 0.9])
    >>> round(z.statistic, 3)
    -1.033
    """
    rows = binary_rows(y_true, y_prob, sample_weight, pos_label)
    p, w = rows.forecast, rows.weights
    slope = 1.0 - 2.0 * p
    variance = float((w**2 * slope**2 * p * (1.0 - p)).sum())
    if variance == 0.0:
        reason = "all forecasts are 0, 1/2 or 1, where the Brier score has no variance"
        return SpiegelhalterTest(np.nan, np.nan, reason)
    z = float((w * (rows.outcome - p) * slope).sum()) / variance**0.5
    return SpiegelhalterTest(z, _two_sided(z), None)


@typed_options
def hosmer_lemeshow_test(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    *,
    n_groups: int = 10,
    fitted: bool = False,
    split_ties: bool = False,
    pos_label: Hashable | None = None,
) -> HosmerLemeshowTest:
    """Hosmer and Lemeshow's chi-squared test over groups of like forecasts; not recommended.

    The result depends on the number of groups and on where ties fall, which is why this function
    always warns (``hosmer-lemeshow``). :class:`~evalstats.ReliabilityDiagram` and
    :class:`~evalstats.CalibrationSlope` test calibration without groups.

    Parameters
    ----------
    y_true : array-like (n,)
        Labels: 0/1, boolean, or two values with `pos_label`.
    y_prob : array-like (n,)
        Probability of the positive class.
    n_groups : int, default 10
        Number of groups G of (nearly) equal size.
    fitted : bool, default False
        The probabilities come from a model fitted to these very rows: G - 2 degrees of freedom
        instead of G.
    split_ties : bool, default False
        Let equal forecasts fall into different groups, as statsmodels does; the statistic then
        depends on the order of the rows.
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.

    Returns
    -------
    HosmerLemeshowTest
        Named tuple ``(statistic, df, p_value, n_groups)``.

    Raises
    ------
    InputError
        If the input cannot be used or there are too few rows or distinct forecasts.

    Notes
    -----
    ``sum (O - E)^2 / (E (1 - E / n))`` over groups of n rows (Hosmer and Lemeshow 1980).
    O(n log n).

    Examples
    --------
    >>> import warnings
    >>> import evalstats as es
    >>> y_true, y_prob = [0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.6, 0.7, 0.9]
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     test = es.hosmer_lemeshow_test(y_true, y_prob, n_groups=3)
    >>> round(test.statistic, 3), test.df
    (0.873, 3)
    """
    rows = binary_rows(y_true, y_prob, None, pos_label)
    n = len(rows.forecast)
    lowest = 3 if fitted else 1
    if isinstance(n_groups, bool) or int(n_groups) != n_groups or not lowest <= n_groups <= n:
        raise InputError(f"n_groups={n_groups!r}: choose an integer from {lowest} to {n} (rows)")
    warn(
        "hosmer-lemeshow",
        "the Hosmer-Lemeshow test depends on the grouping and has little power: prefer the "
        "calibration slope or the test of a reliability diagram",
    )
    order = np.argsort(rows.forecast)
    sizes = np.full(n_groups, n // n_groups)
    sizes[: n % n_groups] += 1
    ends = np.cumsum(sizes)
    if not split_ties:
        ranked = rows.forecast[order]
        ends = np.unique(np.searchsorted(ranked, ranked[ends - 1], side="right"))
    starts = np.concatenate([[0], ends[:-1]])
    size = (ends - starts).astype(np.float64)
    df = len(ends) - 2 if fitted else len(ends)
    if df < 1:
        raise InputError(f"y_prob forms only {len(ends)} groups of distinct forecasts: too few")
    observed = np.add.reduceat(rows.outcome[order].astype(np.float64), starts)
    expected = np.add.reduceat(rows.forecast[order], starts)
    # The expectation of those who do not have the event, without the rounding of a difference.
    remaining = np.add.reduceat(1.0 - rows.forecast[order], starts)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        parts = (observed - expected) ** 2 * (1.0 / expected + 1.0 / remaining)
    parts[(observed == expected) & (expected * remaining == 0)] = 0.0
    statistic = float(parts.sum())
    return HosmerLemeshowTest(statistic, df, _upper_chi2(statistic, df), len(size))


def _two_sided(z: float) -> float:
    from scipy import stats

    return float(2.0 * stats.norm.sf(abs(z)))


def _upper_chi2(statistic: float, df: int) -> float:
    from scipy import stats

    return float(stats.chi2.sf(statistic, df))
