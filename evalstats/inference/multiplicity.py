"""Adjustment of p-values for several tests."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalstats.errors import InputError
from evalstats.inference.simultaneous import max_t_p_values

Adjust = Literal["holm", "bonferroni", "bh", "by", "max-t"]
STATSMODELS_NAMES = {
    "holm": "holm",
    "bonferroni": "bonferroni",
    "bh": "fdr_bh",
    "by": "fdr_by",
}


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
        return max_t_p_values(statistic, covariance, df)
    if adjust not in STATSMODELS_NAMES:
        options = ", ".join(repr(name) for name in [*STATSMODELS_NAMES, "max-t"])
        raise InputError(f"adjust={adjust!r} is unknown: choose one of {options} or None")
    from statsmodels.stats.multitest import multipletests

    adjusted = np.full(len(p_value), np.nan)
    defined = np.isfinite(p_value)
    if bool(defined.any()):
        adjusted[defined] = multipletests(p_value[defined], method=STATSMODELS_NAMES[adjust])[1]
    return adjusted
