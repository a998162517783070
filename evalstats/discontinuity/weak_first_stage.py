"""Fuzzy designs: the jump of the treatment, and sets that hold when it is weak.

The error of an estimated ratio d / J is (d - t J) / J with the true t, whose variance changes with
t by that of J. Sets that take it at each t cover whatever the strength of the first stage (Anderson
and Rubin 1949; Feir, Lemieux and Marmer 2016); Wald intervals take it at the estimate.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.errors import InputError
from evalstats.results.estimate import Estimate
from evalstats.results.ranges import require_level

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FirstStage:
    """Error of the jump of the treatment, relative to the jump.

    Attributes
    ----------
    draws : float64 array (B,)
        Its draws, joint with those of the effect curve.
    covariance : float64 array (Q + 1,)
        Its covariance with the error of the curve, then its variance.
    """

    draws: Array
    covariance: Array

    def constant_reach(
        self, errors: Array, critical: float, upper: Callable[[Array], float]
    ) -> tuple[float, float]:
        """Distance below and above the curve at which a band of constant width ends.

        At distance w along the main direction g of the error the draws are e - w g r, with r the
        relative error of the jump; the band ends where their critical value is w itself.

        Parameters
        ----------
        errors : float64 array (B, Q)
            Draws of the error at the estimate.
        critical : float
            Their critical value.
        upper : callable
            Critical value of the largest absolute draws (B,).

        Returns
        -------
        below, above : float
            Infinite where the jump does not differ from zero at this level.
        """
        from scipy.optimize import brentq

        if critical == 0.0:
            return 0.0, 0.0
        if upper(np.abs(self.draws)) >= 1.0:
            return np.inf, np.inf
        direction = np.linalg.eigh(errors.T @ errors)[1][:, -1]
        direction = direction / direction[np.argmax(np.abs(direction))]
        move = np.outer(self.draws, direction)

        def reach(sign: float) -> float:
            def excess(w: float) -> float:
                return upper(np.abs(errors - sign * w * move).max(axis=1)) - w

            far = critical
            while excess(far) > 0.0:
                far *= 2.0
            return float(brentq(excess, 0.0, far, rtol=1e-10)) if excess(far) < 0.0 else far

        return reach(-1.0), reach(1.0)

    def studentized_reach(self, critical: float, standard_error: Array) -> tuple[Array, Array]:
        """Distances below and above the curve, with the standard error at each distance.

        Solves s^2 <= c^2 (se^2 - 2 s k + s^2 v) for s, where k is the covariance of the errors of
        curve and jump and v the variance of the latter.
        """
        squared = critical**2
        slope, variance = self.covariance[:-1], self.covariance[-1]
        a = 1.0 - squared * variance
        if a <= 0.0:
            unbounded = np.full(len(standard_error), np.inf)
            return unbounded, unbounded
        root = np.sqrt((squared * slope) ** 2 + a * squared * standard_error**2)
        return (root + squared * slope) / a, (root - squared * slope) / a


def relative_first_stage(joint: Estimate) -> Array:
    """Covariance (Q + 1, Q + 1) of the errors of an effect curve and, last, of J relative to J."""
    sides = joint.terms["side"].to_numpy()
    below, above = np.flatnonzero(sides == "below"), np.flatnonzero(sides == "above")
    treated = int(np.flatnonzero(sides == "treatment")[0])
    size, jump = len(below), joint.value[treated]
    contrast = np.zeros((size + 1, len(joint)))
    rows = np.arange(size)
    contrast[rows, above], contrast[rows, below] = 1.0, -1.0
    contrast[rows, treated] = -(joint.value[above] - joint.value[below]) / jump
    contrast[size, treated] = 1.0
    contrast /= jump
    return np.asarray(contrast @ joint.covariance @ contrast.T)


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
