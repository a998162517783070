"""Adjustment of p-values for several tests."""

import numpy as np
from numpy.typing import NDArray

from evalstats.errors import InputError
from evalstats.inference.simultaneous import max_t_p_values

METHODS = ("holm", "bonferroni", "bh", "by", "max-t")


def adjusted_p_values(
    p_value: NDArray[np.float64],
    adjust: str | None,
    *,
    statistic: NDArray[np.float64],
    covariance: NDArray[np.float64],
    df: float,
    two_sided: bool,
) -> NDArray[np.float64]:
    """P-values adjusted over all rows; undefined ones stay NaN and do not count as tests.

    Raises
    ------
    InputError
        If `adjust` is unknown, or "max-t" is asked for one-sided tests.
    """
    if adjust is None:
        return p_value
    if adjust == "max-t":
        if not two_sided:
            raise InputError("adjust='max-t' needs alternative='two-sided' without a margin")
        # Simulated, and so with an error of its own that must not undercut the single test.
        return np.fmax(max_t_p_values(statistic, covariance, df), p_value)
    if adjust not in METHODS:
        options = ", ".join(repr(name) for name in METHODS)
        raise InputError(f"adjust={adjust!r} is unknown: choose one of {options} or None")
    adjusted = np.full(len(p_value), np.nan)
    defined = np.isfinite(p_value)
    if bool(defined.any()):
        adjusted[defined] = _stepwise(p_value[defined], adjust)
    return adjusted


def _stepwise(p_value: NDArray[np.float64], adjust: str) -> NDArray[np.float64]:
    m = len(p_value)
    if adjust == "bonferroni":
        return np.minimum(m * p_value, 1.0)
    if adjust == "holm":
        order = np.argsort(p_value, kind="stable")
        stepped = np.maximum.accumulate((m - np.arange(m)) * p_value[order])
        adjusted = np.empty(m)
        adjusted[order] = np.minimum(stepped, 1.0)
        return adjusted
    from scipy.stats import false_discovery_control

    return np.asarray(false_discovery_control(p_value, method=adjust))
