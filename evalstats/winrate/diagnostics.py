"""Whether a controlled rate rests on data: overlap, calibration; and simultaneous ranks."""

from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.errors import InputError
from evalstats.inference.simultaneous import sup_t_critical_value
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
    if n_bins < 1:
        raise InputError(f"n_bins={n_bins!r}: give at least one bin")
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


def simultaneous_ranks(estimate: Estimate, level: float) -> pl.DataFrame:
    """Ranks whose intervals cover all true ranks together (Mogstad and others 2024).

    A model is ranked behind another only where their difference is away from zero in the max-t
    band of all pairwise differences. Complexity O(k^2) beyond the band.
    """
    require_level(level)
    k = len(estimate)
    better = np.zeros((k, k), dtype=bool)
    if k > 1:
        pairs = np.array(list(combinations(range(k), 2)))
        matrix = np.zeros((len(pairs), k))
        matrix[np.arange(len(pairs)), pairs[:, 0]] = 1.0
        matrix[np.arange(len(pairs)), pairs[:, 1]] = -1.0
        difference = matrix @ estimate.value
        covariance = matrix @ estimate.covariance @ matrix.T
        critical = sup_t_critical_value(covariance, level, float(np.min(estimate.df)))
        margin = critical * np.sqrt(np.clip(np.diag(covariance), 0.0, None))
        for (i, j), gap, slack in zip(pairs.tolist(), difference, margin, strict=True):
            better[i, j] = gap > slack
            better[j, i] = -gap > slack
    order = (-estimate.value).argsort(kind="stable")
    rank = np.empty(k, dtype=np.int64)
    rank[order] = np.arange(1, k + 1)
    return estimate.terms.with_columns(
        pl.Series("estimate", estimate.value),
        pl.Series("rank", rank),
        pl.Series("rank_low", 1 + better.sum(axis=0)),
        pl.Series("rank_high", k - better.sum(axis=1)),
    )


def _judged(design: Design, model: int) -> tuple[Array, Array, Array]:
    """Preferences, design and weight of one model's own judgements, without the gamed ones."""
    own = design.report.of(model)
    count = int(np.isfinite(design.report.y[own]).sum())
    rows = slice(design.fit.of(model).start, design.fit.of(model).start + count)
    return design.fit.y[rows], design.fit.design[rows], design.fit.weight[rows]


def _expit(eta: Array) -> Array:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * eta)))
