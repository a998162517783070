"""Usable but suspicious designs, and the table of what each side rests on."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.data.columns import Columns
from evalstats.discontinuity.design import Design, Settings
from evalstats.discontinuity.localfit import LocalFit

Array = NDArray[np.float64]
Diagnosis = tuple[str, str]

MASS_POINT_SHARE = 0.8
WEAK_F = 10.0
HIGH_LEVERAGE = 0.95


def diagnoses(columns: Columns, design: Design, settings: Settings) -> list[Diagnosis]:
    """Warning codes and messages, for the sample as a whole and for each outcome."""
    found = _running_diagnoses(design, settings)
    found += _draw_diagnoses(columns, design)
    for model, fit in design.outcomes.items():
        found += _fit_diagnoses(model, fit, design)
    found += _treatment_diagnoses(columns, design, settings)
    return found


def _running_diagnoses(design: Design, settings: Settings) -> list[Diagnosis]:
    found = []
    share = min(side.n_distinct / len(side.x) for side in design.sides)
    if share < MASS_POINT_SHARE:
        found.append(
            (
                "mass-points",
                f"only {100 * share:.0f}% of the values of running on one side are distinct: "
                "intervals assume a continuous running variable",
            )
        )
    if settings.p <= settings.s and settings.compat is None:
        found.append(
            (
                "not-bias-corrected",
                f"p={settings.p} is not above s={settings.s}: intervals ignore the bias that the "
                "bandwidth leaves; use p = s + 1",
            )
        )
    return found


def _draw_diagnoses(columns: Columns, design: Design) -> list[Diagnosis]:
    sizes = columns.single["n_draws"]
    if not bool((sizes > 1).any()):
        return []
    fewest = int(sizes.min())
    levels = design.grid.levels
    beyond = (levels < 1.0 / (fewest + 1)) | (levels > fewest / (fewest + 1.0))
    if not bool(beyond.any()):
        return []
    return [
        (
            "few-draws",
            f"a unit has only {fewest} draws: its quantiles at {int(beyond.sum())} of the "
            f"{len(levels)} levels are extremes, so there the estimand is the mean empirical "
            "quantile",
        )
    ]


def _fit_diagnoses(model: str, fit: LocalFit, design: Design) -> list[Diagnosis]:
    found = []
    spread = max(float(np.ptp(columns)) for columns in fit.columns)
    if spread == 0.0:
        found.append(("constant-outcome", f"{model!r} is constant within the window"))
    share = crossing_share(fit, design.weights)
    if share > 0:
        found.append(
            (
                "quantile-crossing",
                f"{100 * share:.0f}% of the steps of {model!r}'s limit curves fell before they "
                "were made monotone: inference is based on the fit before that",
            )
        )
    leverage = fit.largest_leverage()
    if leverage > HIGH_LEVERAGE:
        found.append(
            (
                "high-leverage",
                f"one unit has leverage {leverage:.3f} on the limit of {model!r}: its standard "
                "error rests on nothing but that unit",
            )
        )
    return found


def _treatment_diagnoses(columns: Columns, design: Design, settings: Settings) -> list[Diagnosis]:
    treatment = design.treatment
    if treatment is None:
        return []
    found = []
    values = columns.single["treatment"]
    if not bool(np.isin(values, (0.0, 1.0)).all()):
        found.append(("treatment-not-binary", "treatment has values other than 0 and 1"))
    below, above = treatment.limits(design.weights)[:, 0]
    low, high = treatment.influence(design.weights, copies=settings.copies)
    parts = zip((low, high), treatment.sides, strict=True)
    variance = sum(float(((part * design.weights[s.rows]) ** 2).sum()) for part, s in parts)
    statistic = (above - below) ** 2 / variance if variance > 0 else np.inf
    if statistic < WEAK_F:
        found.append(
            (
                "weak-first-stage",
                f"the treatment jumps by {above - below:.3g} only (F = {statistic:.1f}): use "
                "anderson_rubin()",
            )
        )
    return found


def crossing_share(fit: LocalFit, weights: Array) -> float:
    """Share of neighbouring quantiles whose fitted limits decrease, over both sides."""
    if fit.h.shape[1] < 2:
        return 0.0
    limits = fit.limits(weights)
    falls = np.diff(limits, axis=1)
    return float((falls < -1e-12 * (1.0 + np.abs(limits[:, 1:]))).mean())


def _distinct(h: Array) -> list[int]:
    return [q for q in range(len(h)) if q == 0 or h[q] != h[q - 1]]


def diagnostics_frame(columns: Columns, prepare: Callable[[Columns], Design]) -> pl.DataFrame:
    """Table of windows, by group, outcome and side."""
    rows: list[dict[str, Any]] = []
    if columns.group is None:
        return pl.DataFrame(_rows({}, columns, prepare(columns)))
    for code, labels in enumerate(columns.group_labels):
        part = columns.take(np.flatnonzero(columns.group == code))
        label = labels[0] if len(labels) == 1 else ", ".join(str(item) for item in labels)
        rows += _rows({"group": label}, part, prepare(part))
    return pl.DataFrame(rows)


def _rows(base: dict[str, Any], columns: Columns, design: Design) -> list[dict[str, Any]]:
    fits = dict(design.outcomes)
    if design.treatment is not None:
        fits["treatment"] = design.treatment
    rows = []
    for model, fit in fits.items():
        for number, side in enumerate(fit.sides):
            whole = design.sides[number]
            parts = [fit.smoother(number, q, design.weights) for q in _distinct(fit.h[number])]
            sizes = columns.single["n_draws"][side.rows]
            rows.append(
                {
                    "model": model,
                    **base,
                    "side": side.name,
                    "n": len(whole.x),
                    "n_window": len(side.x),
                    "n_distinct": side.n_distinct,
                    "bandwidth_min": float(fit.h[number].min()),
                    "bandwidth_max": float(fit.h[number].max()),
                    "effective_n": min(float(w.sum() ** 2 / (w @ w)) for w, _, _ in parts),
                    "max_leverage": max(float(lev.max(initial=0.0)) for _, lev, _ in parts),
                    "condition": max(condition for _, _, condition in parts),
                    "crossing_share": crossing_share(fit, design.weights),
                    "draws_min": int(sizes.min()),
                    "draws_max": int(sizes.max()),
                }
            )
    return rows
