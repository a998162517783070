"""Fuzzy designs: the jump of the treatment, and sets that hold when it is weak."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.errors import InputError
from evalstats.results.estimate import Estimate
from evalstats.results.ranges import require_level

Array = NDArray[np.float64]


def _require_fuzzy(joint: Estimate) -> None:
    if not bool((joint.terms["side"] == "treatment").any()):
        raise InputError("the design is sharp: fit with treatment= first")


def first_stage(joint: Estimate) -> pl.DataFrame:
    """Jump of the treatment in each group."""
    _require_fuzzy(joint)
    rows = np.flatnonzero((joint.terms["side"] == "treatment").to_numpy())
    # All outcomes share one first stage.
    rows = rows[(joint.terms["model"] == joint.terms["model"][0]).to_numpy()[rows]]
    jump, error = joint.value[rows], joint.standard_error[rows]
    with np.errstate(divide="ignore"):
        statistic = (jump / error) ** 2
    table = pl.DataFrame({"estimate": jump, "standard_error": error, "f_statistic": statistic})
    if "group" not in joint.terms.columns:
        return table
    return table.insert_column(0, joint.terms["group"].gather(rows.tolist()))


def anderson_rubin(joint: Estimate, level: float, *, simultaneous: bool) -> pl.DataFrame:
    """Values t for which m_above - m_below - t J is not significantly different from zero.

    The set solves (d - t J)^2 <= c^2 Var(d - t J), a quadratic inequality in t.
    """
    from scipy import stats

    require_level(level)
    _require_fuzzy(joint)
    keys = [name for name in ("model", "group") if name in joint.terms.columns]
    rows = []
    for key, block in joint.terms.with_row_index("__row").group_by(keys, maintain_order=True):
        index, sides = block["__row"].to_numpy(), block["side"].to_numpy()
        below, above = index[sides == "below"], index[sides == "above"]
        treated = int(index[sides == "treatment"][0])
        tail = (1.0 - level) / (len(below) if simultaneous else 1)
        squared = float(stats.chi2.isf(tail, 1))
        for low, high, quantile in zip(
            below, above, block.filter(pl.col("side") == "below")["quantile"], strict=True
        ):
            contrast = np.zeros((2, len(joint)))
            contrast[0, high], contrast[0, low], contrast[1, treated] = 1.0, -1.0, 1.0
            pick = [low, high, treated]
            small = contrast[:, pick]
            value = small @ joint.value[pick]
            covariance = small @ joint.covariance[np.ix_(pick, pick)] @ small.T
            start, stop, shape = _solved(value, covariance, squared)
            rows.append(
                {
                    **dict(zip(keys, key, strict=True)),
                    "quantile": quantile,
                    "estimate": value[0] / value[1],
                    "low": start,
                    "high": stop,
                    "shape": shape,
                }
            )
    return pl.DataFrame(rows)


def _solved(value: Array, covariance: Array, squared: float) -> tuple[float, float, str]:
    """Solve a t^2 - 2 b t + c <= 0."""
    a = value[1] ** 2 - squared * covariance[1, 1]
    b = value[0] * value[1] - squared * covariance[0, 1]
    c = value[0] ** 2 - squared * covariance[0, 0]
    discriminant = b * b - a * c
    if a > 0:
        root = np.sqrt(max(discriminant, 0.0))
        return float((b - root) / a), float((b + root) / a), "interval"
    if discriminant <= 0:
        return -np.inf, np.inf, "line"
    root = np.sqrt(discriminant)
    return float((b + root) / a), float((b - root) / a), "outside"
