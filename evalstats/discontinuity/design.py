"""One prepared sample: windows, bandwidths and what depends on neither weights nor draws."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evalstats.data.columns import Columns
from evalstats.discontinuity.bandwidth import Rule, select_bandwidths
from evalstats.discontinuity.localfit import LocalFit
from evalstats.discontinuity.options import Grid, given_bandwidths
from evalstats.discontinuity.reference_bandwidth import ReferenceRule, reference_bandwidths
from evalstats.discontinuity.sides import Side, split_sides
from evalstats.errors import InputError

Array = NDArray[np.float64]
NO_JUMP = 1e-9
NO_VARIATION = 1e-12


@dataclass(frozen=True)
class Settings:
    """The estimator's options in the form that the numbers need."""

    cutoff: float
    donut: float
    method: str
    p: int
    s: int
    kernel: str
    bandwidth: object
    regularize: bool
    compat: str | None
    copies: bool


@dataclass(frozen=True)
class Design:
    """Local fits of every outcome, and of the treatment in a fuzzy design.

    Attributes
    ----------
    n : int
        Units of the sample.
    grid : Grid
        Quantiles.
    sides : tuple of Side
        All eligible units, below and above.
    outcomes : dict of str to LocalFit
        Model name to its fit.
    treatment : LocalFit or None
        Fit of the treatment.
    """

    n: int
    grid: Grid
    sides: tuple[Side, Side]
    weights: Array
    outcomes: dict[str, LocalFit]
    treatment: LocalFit | None
    slopes: dict[str, Array] = field(default_factory=dict)


def prepare_design(columns: Columns, settings: Settings, grid: Grid) -> Design:
    """Split at the cutoff, select bandwidths and keep what the windows reach."""
    x = columns.single["running"] - settings.cutoff
    weights = np.ones(columns.n) if columns.weight is None else columns.weight
    sides = _eligible_sides(x, weights, settings)
    outcomes, slopes = {}, {}
    for model, given in columns.models["outcome"].items():
        outcome = given
        seen = columns.models.get("unweighted", columns.models["outcome"])[model]
        h = _bandwidths(seen, sides, weights, settings, grid)
        covariates = columns.models.get("covariates")
        if covariates:
            z = np.column_stack(list(covariates.values()))
            slope = _common_slopes(sides, outcome, z, h, weights, settings)
            share = weights / weights.sum()
            outcome = outcome - (z - share @ z) @ slope
            slopes[model] = slope
            h = _bandwidths(outcome, sides, weights, settings, grid)
        fit = LocalFit.of(sides, outcome, h, settings.kernel, settings.p)
        label = "outcome" if len(columns.models["outcome"]) == 1 else f"outcome[{model!r}]"
        fit.require_estimable(label, grid.levels, weights)
        outcomes[model] = fit
    treatment = None
    named = settings.bandwidth if isinstance(settings.bandwidth, Mapping) else {}
    if "treatment" in named and "treatment" not in columns.single:
        raise InputError("bandwidth names 'treatment', but the design is sharp: pass treatment=")
    if "treatment" in columns.single:
        column = columns.single["treatment"][:, np.newaxis]
        h = _treatment_bandwidth(column, sides, weights, settings, grid)
        if isinstance(settings.bandwidth, str) and settings.compat is None:
            # A first stage from fewer units than the outcome's is what makes a ratio unstable.
            widths = [fit.h.max(axis=1, keepdims=True) for fit in outcomes.values()]
            h = np.maximum(h, np.min(widths, axis=0))
        treatment = LocalFit.of(sides, column, h, settings.kernel, settings.p)
        treatment.require_estimable("treatment", np.ones(1), weights)
        _require_jump(treatment, weights)
    return Design(columns.n, grid, sides, weights, outcomes, treatment, slopes)


def _require_jump(treatment: LocalFit, weights: Array) -> None:
    """Refuse a treatment that is the same on both sides, by which nothing can be divided."""
    below, above = treatment.limits(weights)[:, 0]
    size = max(float(np.abs(columns).max()) for columns in treatment.columns)
    if not abs(above - below) > NO_JUMP * size:
        raise InputError(
            f"the treatment has the same limit ({below:.6g}) on both sides of the cutoff: a fuzzy "
            "design needs one that jumps"
        )


def _eligible_sides(x: Array, weights: Array, settings: Settings) -> tuple[Side, Side]:
    """Units of positive weight outside of the donut, on both sides."""
    eligible = weights > 0
    if settings.donut > 0:
        eligible &= np.abs(x) >= settings.donut
    everyone = bool(eligible.all())
    rows = None if everyone else np.flatnonzero(eligible)
    sides = split_sides(x if rows is None else x[rows])
    for side in sides:
        if len(side.x) == 0:
            outside = f" (|running - cutoff| >= {settings.donut:g})" if settings.donut else ""
            raise InputError(
                f"running has no unit {side.name} the cutoff {settings.cutoff:g}{outside}: check "
                "cutoff= (running spans "
                f"{float(x.min()) + settings.cutoff:g} to {float(x.max()) + settings.cutoff:g})"
            )
    if rows is None:
        return sides
    below, above = (Side(side.name, rows[side.rows], side.x) for side in sides)
    return below, above


def _bandwidths(
    outcome: Array,
    sides: tuple[Side, Side],
    weights: Array,
    settings: Settings,
    grid: Grid,
) -> Array:
    """Bandwidth (2, Q) of both sides."""
    size = len(grid.levels)
    if not isinstance(settings.bandwidth, str):
        values = given_bandwidths(settings.bandwidth, grid)
        if "treatment" in values and len(values) == 1:
            raise InputError("bandwidth names 'treatment' alone: add 'outcome'")
        chosen = [values.get("outcome", values.get(side.name, np.ones(1))) for side in sides]
        h = np.vstack([np.broadcast_to(value, size) for value in chosen]).copy()
        if (
            settings.method == "frechet"
            and settings.compat is None
            and bool((h[0] != h[0, 0]).any())
        ):
            raise InputError(
                "bandwidth has one value per quantile, but method='frechet' projects one fit: pass "
                "one value or method='local_polynomial'"
            )
        return h
    return _selected(outcome, sides, weights, settings, grid)


def _selected(
    outcome: Array,
    sides: tuple[Side, Side],
    weights: Array,
    settings: Settings,
    grid: Grid,
) -> Array:
    rule = str(settings.bandwidth)
    columns = (sides[0].columns(outcome), sides[1].columns(outcome))
    integrated = settings.method == "frechet" or rule.startswith("imse")
    if settings.compat == "r3d" or rule == "r3d":
        levels = grid.levels
        step = float(levels[-1] - levels[0]) / max(len(levels) - 1, 1)
        reference = ReferenceRule(
            settings.kernel,
            settings.s,
            (step or 1.0) if integrated else None,
            rule.startswith("cer"),
        )
        return np.vstack([reference_bandwidths(reference, sides, columns).h] * 2)
    masses = (weights[sides[0].rows], weights[sides[1].rows])
    joined = np.concatenate(masses)
    total = float(joined.sum())
    n = total if settings.copies else total**2 / float(joined @ joined)
    return select_bandwidths(
        Rule(
            kernel=settings.kernel,
            s=settings.s,
            p=settings.p,
            integrated=integrated,
            two_sided=rule.endswith("_two"),
            coverage=rule.startswith("cer"),
            regularise=settings.regularize,
            n=n,
            copies=settings.copies,
        ),
        sides,
        columns,
        masses,
    )


def _treatment_bandwidth(
    column: Array,
    sides: tuple[Side, Side],
    weights: Array,
    settings: Settings,
    grid: Grid,
) -> Array:
    """Bandwidth (2, 1) of the treatment; by default that of its own selection."""
    if isinstance(settings.bandwidth, str):
        # The constant of the integral cancels in the ratio, but not in R3D's threshold.
        return _selected(column, sides, weights, settings, Grid.of([0.5]))[:, :1]
    values = given_bandwidths(settings.bandwidth, grid)
    if "treatment" in values:
        return np.full((2, 1), values["treatment"][0])
    chosen = [values.get("outcome", values.get(side.name, np.ones(1))) for side in sides]
    if any(len(value) > 1 for value in chosen):
        raise InputError(
            "bandwidth has one value per quantile, but the treatment of a fuzzy design needs one: "
            "pass {'outcome': [...], 'treatment': h}"
        )
    return np.vstack(chosen)


def _common_slopes(
    sides: tuple[Side, Side],
    outcome: Array,
    covariates: Array,
    h: Array,
    weights: Array,
    settings: Settings,
) -> Array:
    """Slopes (d, Q) of the covariates, common to both sides (Calonico et al. 2019, eq. 3).

    Weighted least squares of the outcome on the covariates after both sides' polynomials.
    """
    d, size = covariates.shape[1], outcome.shape[1]
    width = float(h.max())
    cross, right, total = np.zeros((d, d)), np.zeros((d, size)), np.zeros(d)
    joint = np.column_stack([covariates, outcome])
    for side in sides:
        fit = side.within(width)
        u = fit.x / width
        mass = np.clip(1.0 - np.abs(u), 0.0, None) * weights[fit.rows]
        basis = np.vander(u, settings.p + 1, increasing=True) * np.sqrt(mass)[:, np.newaxis]
        block = joint[fit.rows] * np.sqrt(mass)[:, np.newaxis]
        residual = block - basis @ np.linalg.lstsq(basis, block, rcond=None)[0]
        total += (block[:, :d] ** 2).sum(axis=0)
        cross += residual[:, :d].T @ residual[:, :d]
        right += residual[:, :d].T @ residual[:, d:]
    scale = np.sqrt(np.diag(cross))
    flat = scale**2 <= NO_VARIATION * total
    if bool(flat.any()) or np.linalg.cond(cross / np.outer(scale, scale)) > 1e12:
        raise InputError(
            "covariates are collinear, constant or functions of running within the window: remove "
            "some"
        )
    return np.asarray(np.linalg.solve(cross, right))
