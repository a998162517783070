"""Effects on functionals of the distribution, from both limit curves by the delta method."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.errors import InputError
from evalstats.results.estimate import Estimate

Array = NDArray[np.float64]
NAMES = ("mean", "iqr", "gini", "wasserstein_2")
Functional = Callable[[Array, Array, Array], tuple[float, Array, Array]]


def integration_weights(grid: Array) -> Array:
    """Weights of the trapezoid rule over (0, 1), curves extended flat beyond the grid."""
    weights = np.zeros(len(grid))
    steps = np.diff(grid)
    weights[:-1] += steps / 2.0
    weights[1:] += steps / 2.0
    weights[0] += grid[0]
    weights[-1] += 1.0 - grid[-1]
    return weights


def interpolation_row(grid: Array, level: float) -> Array:
    """Coefficients that interpolate a curve on the grid at `level`."""
    if not grid[0] <= level <= grid[-1]:
        raise InputError(
            f"names needs the quantile {level:g}, outside of the grid [{grid[0]:g}, {grid[-1]:g}]"
        )
    return np.array([np.interp(level, grid, unit) for unit in np.eye(len(grid))])


def gini_with_gradient(grid: Array, curve: Array) -> tuple[float, Array]:
    """Gini coefficient of a quantile curve and its gradient; NaN unless the mean is positive."""
    area = integration_weights(grid)
    mean = float(area @ curve)
    q = np.concatenate([[0.0], grid, [1.0]])
    steps = np.diff(q)
    size = len(grid)
    # Row k holds the weights of the area below the curve over the k-th step.
    parts = np.zeros((size + 1, size))
    for k, step in enumerate(steps):
        parts[k, max(k - 1, 0)] += step / 2.0
        parts[k, min(k, size - 1)] += step / 2.0
    reached = np.vstack([np.zeros(size), np.cumsum(parts, axis=0)])
    lorenz = (steps[:, np.newaxis] * (reached[1:] + reached[:-1]) / 2.0).sum(axis=0)
    # A symmetric curve has mean 0 up to rounding.
    if not mean > 1e-12 * float(area @ np.abs(curve)):
        return np.nan, np.full(size, np.nan)
    total = float(lorenz @ curve)
    return 1.0 - 2.0 * total / mean, -2.0 * (lorenz / mean - total * area / mean**2)


def _mean(grid: Array, below: Array, above: Array) -> tuple[float, Array, Array]:
    area = integration_weights(grid)
    return float(area @ (above - below)), -area, area


def _iqr(grid: Array, below: Array, above: Array) -> tuple[float, Array, Array]:
    row = interpolation_row(grid, 0.75) - interpolation_row(grid, 0.25)
    return float(row @ (above - below)), -row, row


def _gini(grid: Array, below: Array, above: Array) -> tuple[float, Array, Array]:
    low, low_gradient = gini_with_gradient(grid, below)
    high, high_gradient = gini_with_gradient(grid, above)
    return high - low, -low_gradient, high_gradient


def _wasserstein(grid: Array, below: Array, above: Array) -> tuple[float, Array, Array]:
    area = integration_weights(grid)
    distance = float(np.sqrt(area @ (above - below) ** 2))
    with np.errstate(invalid="ignore"):
        gradient = area * (above - below) / (distance or np.nan)
    return distance, -gradient, gradient


def _ratio(name: str) -> Functional:
    try:
        high, low = (float(part) / 100.0 for part in name.split("_")[1:])
    except ValueError as error:
        raise InputError(f"names has {name!r}: write it like 'ratio_90_10'") from error

    def functional(grid: Array, below: Array, above: Array) -> tuple[float, Array, Array]:
        top, bottom = interpolation_row(grid, high), interpolation_row(grid, low)
        ratios, gradients = [], []
        for curve in (below, above):
            denominator = float(bottom @ curve)
            ratio = float(top @ curve) / denominator if denominator else np.nan
            ratios.append(ratio)
            gradients.append((top - ratio * bottom) / (denominator or np.nan))
        return ratios[1] - ratios[0], -gradients[0], gradients[1]

    return functional


LINEAR = ("mean", "iqr")
FUNCTIONALS: dict[str, Functional] = {
    "mean": _mean,
    "iqr": _iqr,
    "gini": _gini,
    "wasserstein_2": _wasserstein,
}


def functional_effects(joint: Estimate, grid: Array, names: Sequence[str]) -> Estimate:
    """Value and gradient of each functional for every curve of the joint estimate."""
    chosen: dict[str, Functional] = {}
    for name in names:
        if name in FUNCTIONALS:
            chosen[name] = FUNCTIONALS[name]
        elif name.startswith("ratio_"):
            chosen[name] = _ratio(name)
        else:
            raise InputError(f"names has {name!r}: choose from {list(FUNCTIONALS)} or ratio_90_10")
    if not chosen:
        raise InputError("names is empty: name at least one functional")
    keys = [name for name in ("model", "group") if name in joint.terms.columns]
    indexed = joint.terms.with_row_index("__row")
    rows, values, terms = [], [], []
    for key, block in indexed.group_by(keys, maintain_order=True):
        label = dict(zip(keys, key, strict=True))
        for name, functional in chosen.items():
            value, row = _one_functional(joint, block, grid, functional, name in LINEAR)
            values.append(value)
            rows.append(row)
            terms.append({"metric": "Effect on functional", **label, "functional": name})
    estimate = joint.contrast(np.vstack(rows), [str(number) for number in range(len(rows))])
    return replace(
        estimate,
        name="Effect on functional",
        terms=pl.DataFrame(terms),
        value=np.array(values),
        notes=(*joint.notes, *_remarks(joint, chosen)),
        method_text=joint.method_text.replace(joint.name, "Effect on functional", 1),
    )


def _one_functional(
    joint: Estimate, block: pl.DataFrame, grid: Array, functional: Functional, linear: bool
) -> tuple[float, Array]:
    """Value and its gradient with respect to all terms of the joint estimate."""
    index, sides = block["__row"].to_numpy(), block["side"].to_numpy()
    row = np.zeros(len(joint))
    found = {}
    for side in ("below", "above"):
        members = index[sides == side]
        order = np.argsort(block.filter(pl.col("side") == side)["quantile"].to_numpy())
        found[side] = members[order]
    value, low, high = functional(grid, joint.value[found["below"]], joint.value[found["above"]])
    treated = index[sides == "treatment"]
    jump = float(joint.value[treated[0]]) if len(treated) and linear else 1.0
    row[found["below"]], row[found["above"]] = low / jump, high / jump
    if len(treated) and linear:
        row[treated[0]] = -value / jump**2
    return value / jump, row


def _remarks(joint: Estimate, chosen: dict[str, Functional]) -> list[str]:
    remarks = []
    if "wasserstein_2" in chosen:
        remarks.append(
            "the standard error of a Wasserstein distance fails near 0: test nullity instead"
        )
    if bool((joint.terms["side"] == "treatment").any()) and set(chosen) - set(LINEAR):
        remarks.append("functionals other than mean and iqr are of the reduced form")
    return remarks
