"""Values, influence and labels of the effect curve and of the limits that it consists of."""

from collections.abc import Hashable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalstats.data.columns import Columns
from evalstats.discontinuity.design import Design, Settings
from evalstats.discontinuity.localfit import LocalFit
from evalstats.discontinuity.monotone import Step, monotone_curve
from evalstats.discontinuity.r3d import side_influence, treatment_influence

Array = NDArray[np.float64]
View = Literal["effect", "joint"]


def curve_values(design: Design, weights: Array, step: Step, view: View) -> Array:
    """Effects (models x Q), or for each model both limits and the jump of the treatment."""
    jump = treatment_jump(design, weights)
    position = design.grid.position
    values: list[Array] = []
    for fit in design.outcomes.values():
        below, above = (curve[position] for curve in monotone_limits(design, fit, weights, step))
        if view == "effect":
            values.append((above - below) / (1.0 if jump is None else jump))
        else:
            values += [below, above]
            values += [] if jump is None else [np.array([jump])]
    return np.concatenate(values)


def monotone_limits(
    design: Design, fit: LocalFit, weights: Array, step: Step
) -> tuple[Array, Array]:
    """Both limits after the monotone step, by ascending quantile."""
    below, above = (monotone_curve(row, design.grid.levels, step) for row in fit.limits(weights))
    return below, above


def treatment_jump(design: Design, weights: Array) -> "float | None":
    """Jump of the treatment; None in a sharp design, NaN where it is zero."""
    if design.treatment is None:
        return None
    below, above = design.treatment.limits(weights)[:, 0]
    jump = float(above - below)
    return jump if jump != 0.0 else np.nan


def curve_influence(
    design: Design, weights: Array, step: Step, view: View, settings: Settings
) -> Array:
    """Influence (n, k) of every unit on the values, without the units' own weights."""
    size = len(design.grid.levels)
    jump = treatment_jump(design, weights)
    fuzzy = design.treatment is not None
    width = size if view == "effect" else 2 * size + fuzzy
    influence = np.zeros((design.n, width * len(design.outcomes)))
    for number, fit in enumerate(design.outcomes.values()):
        block = influence[:, number * width : (number + 1) * width]
        below, above = _side_blocks(design, fit, weights, settings)
        treated = _treatment_block(design, fit, weights, settings) if fuzzy else None
        if view == "joint":
            _add(block[:, :size], fit, 0, below, 1.0)
            _add(block[:, size : 2 * size], fit, 1, above, 1.0)
            if treated is not None:
                block[:, -1] = treated
            continue
        _add(block, fit, 0, below, -1.0)
        _add(block, fit, 1, above, 1.0)
        if treated is not None and jump is not None:
            low, high = monotone_limits(design, fit, weights, step)
            block -= np.outer(treated, (high - low) / jump)
            block /= jump
    if bool((design.grid.position != np.arange(size)).any()):
        influence = influence[:, _columns_in_order(design, view, width)]
    return influence


def _columns_in_order(design: Design, view: View, width: int) -> NDArray[np.int64]:
    """Columns of the influence in the user's order of the quantiles."""
    position, size = design.grid.position, len(design.grid.levels)
    if view == "effect":
        one = position
    else:
        one = np.concatenate([position, size + position, np.arange(2 * size, width)])
    starts = np.arange(len(design.outcomes)) * width
    return (starts[:, np.newaxis] + one).ravel()


def _add(target: Array, fit: LocalFit, side: int, block: Array, sign: float) -> None:
    # A unit lies on one side, so nothing is there yet.
    target[fit.sides[side].rows] = block if sign > 0 else -block


def _side_blocks(
    design: Design, fit: LocalFit, weights: Array, settings: Settings
) -> tuple[Array, Array]:
    """Influence (n_side, Q) on either limit."""
    if settings.compat == "r3d":
        below, above = side_influence(fit, weights, design.n, settings.method == "frechet")
        return below[fit.sides[0].rows], above[fit.sides[1].rows]
    low, high = fit.influence(weights, copies=settings.copies)
    return low.T, high.T


def _treatment_block(design: Design, fit: LocalFit, weights: Array, settings: Settings) -> Array:
    """Influence (n,) on the jump of the treatment."""
    treatment = design.treatment
    if treatment is None:
        raise AssertionError("only called in a fuzzy design")
    if settings.compat == "r3d":
        return treatment_influence(fit, treatment, weights, design.n)
    below, above = treatment.influence(weights, copies=settings.copies)
    column = np.zeros(design.n)
    column[treatment.sides[0].rows] -= below[0]
    column[treatment.sides[1].rows] += above[0]
    return column


def view_terms(metric: str, columns: Columns, view: View) -> list[dict[str, Hashable]]:
    """Labels of the values, in their order."""
    grid = columns.extra["grid"]
    quantiles = [float(level) for level in grid.levels[grid.position]]
    terms: list[dict[str, Hashable]] = []
    for model in columns.model_names:
        base: dict[str, Hashable] = {"metric": metric, "model": model}
        if view == "effect":
            terms += [{**base, "quantile": q} for q in quantiles]
            continue
        for side in ("below", "above"):
            terms += [{**base, "side": side, "quantile": q} for q in quantiles]
        if "treatment" in columns.single:
            terms.append({**base, "side": "treatment", "quantile": None})
    return terms
