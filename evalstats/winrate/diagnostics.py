"""Whether a controlled rate rests on data: overlap, calibration; and simultaneous ranks."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.errors import InputError
from evalstats.inference.ranks import rank_intervals
from evalstats.options import require_count
from evalstats.results.estimate import Estimate
from evalstats.results.ranges import require_level
from evalstats.winrate.design import Design

Array = NDArray[np.float64]


def overlap_table(design: Design, theta: Array, extreme: float) -> pl.DataFrame:
    """One row per model and mediator; see :meth:`LengthControlledWinRate.diagnostics`."""
    rows = []
    for model, name in enumerate(design.models):
        y, fit, _ = _judged(design, model)
        report = design.report.design[design.report.of(model)]
        controlled = 100.0 * _expit(report @ theta[model]).mean()
        for term in np.flatnonzero(design.mediator):
            t = fit[:, term]
            rows.append(
                {
                    "model": name,
                    "mediator": design.names[term],
                    "n": len(y),
                    "share_above_baseline": float((t < 0).mean()),
                    "share_below_baseline": float((t > 0).mean()),
                    "overlap": bool((t < 0).any() and (t > 0).any()),
                    "mean_abs": float(np.abs(t).mean()),
                    "share_extreme": float((np.abs(t) > extreme).mean()),
                    "coefficient": float(theta[model, term]),
                    "raw": 100.0 * float(y.mean()),
                    "controlled": float(controlled),
                }
            )
    return pl.DataFrame(rows)


def calibration_table(design: Design, theta: Array, n_bins: int) -> pl.DataFrame:
    """One row per model and bin; see :meth:`LengthControlledWinRate.calibration`."""
    require_count("n_bins", n_bins)
    mediators = np.flatnonzero(design.mediator)
    if len(mediators) == 0:
        raise InputError("the fit has no mediator to bin by")
    rows = []
    for model, name in enumerate(design.models):
        y, fit, _ = _judged(design, model)
        t = fit[:, mediators[0]]
        predicted = _expit(fit @ theta[model])
        for position, members in enumerate(np.array_split(np.argsort(t, kind="stable"), n_bins)):
            if len(members):
                rows.append(
                    {
                        "model": name,
                        "bin": position + 1,
                        "mediator": float(t[members].mean()),
                        "observed": 100.0 * float(y[members].mean()),
                        "predicted": 100.0 * float(predicted[members].mean()),
                        "n": len(members),
                    }
                )
    return pl.DataFrame(rows)


def rank_table(estimate: Estimate, level: float) -> pl.DataFrame:
    """Ranks with simultaneous limits, within each group; see `LengthControlledWinRate.ranks`."""
    require_level(level)
    ranks, low, high = (np.zeros(len(estimate), dtype=np.int64) for _ in range(3))
    groups = estimate.terms["group"] if "group" in estimate.terms.columns else None
    labels = np.zeros(len(estimate)) if groups is None else groups.to_numpy()
    for label in dict.fromkeys(labels.tolist()):
        own = np.flatnonzero(labels == label)
        ranks[own], low[own], high[own] = rank_intervals(
            estimate.value[own],
            estimate.covariance[np.ix_(own, own)],
            level,
            df=float(np.min(estimate.df[own])),
        )
    return estimate.terms.with_columns(
        pl.Series("estimate", estimate.value),
        pl.Series("rank", ranks),
        pl.Series("rank_low", low),
        pl.Series("rank_high", high),
    )


def _judged(design: Design, model: int) -> tuple[Array, Array, Array]:
    """Preferences, design and weight of one model's own judgements, without the gamed ones."""
    own = design.report.of(model)
    count = int(np.isfinite(design.report.y[own]).sum())
    rows = slice(design.fit.of(model).start, design.fit.of(model).start + count)
    return design.fit.y[rows], design.fit.design[rows], design.fit.weight[rows]


def _expit(eta: Array) -> Array:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * eta)))
