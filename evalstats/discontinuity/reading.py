"""From the columns of ``fit`` to one row of quantiles per unit."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalstats.data.columns import Column, Columns
from evalstats.data.validation import computable
from evalstats.discontinuity.options import Grid, OutcomeForm
from evalstats.discontinuity.outcomes import (
    Draws,
    collapsed,
    gathered_rows,
    nested_outcomes,
    outcome_label,
    quantile_rows,
    require_draw_weights,
)
from evalstats.errors import InputError, warn

Array = NDArray[np.float64]


def holds_single_numbers(columns: Columns) -> bool:
    """Whether every unit has one number as its outcome: an ordinary discontinuity design."""
    outcomes: list[Any] = list(columns.models["outcome"].values())
    return "unit" not in columns.single and all(
        isinstance(column, np.ndarray) and column.dtype.kind in "biuf" for column in outcomes
    )


def unit_columns(
    columns: Columns,
    grid: Grid,
    form: OutcomeForm,
    *,
    drop_missing: bool,
    keep_unweighted: bool,
) -> Columns:
    """One row per unit: quantiles (n, Q) of each outcome, and finite numbers elsewhere.

    With `keep_unweighted` the role ``unweighted`` holds the quantiles without `draw_weight`.
    """
    columns = _with_finite_numbers(columns)
    if "unit" in columns.single:
        if form == "quantiles":
            raise InputError("outcome_form='quantiles' has one row per unit: leave unit= out")
        order, edges = gathered_rows(columns.single["unit"])
        weights = columns.single.get("draw_weight")
        if weights is not None:
            weights = require_draw_weights(weights, columns.n)
            weights = weights if order is None else weights[order]
        columns = collapsed(columns, order, edges)
    else:
        weights = _nested_weights(columns)
    if form == "quantiles":
        return _given_quantiles(columns, grid)
    found = _reduced(columns, grid, weights, drop_missing=drop_missing)
    if keep_unweighted and weights is not None:
        plain = _reduced(columns, grid, None, drop_missing=drop_missing)
        found = found.with_columns(models={"unweighted": plain.models["outcome"]})
    return found


def _with_finite_numbers(columns: Columns) -> Columns:
    single = {
        name: np.asarray(computable(name, column), dtype=np.float64)
        if name in ("running", "treatment")
        else column
        for name, column in columns.single.items()
    }
    covariates = {
        name: np.asarray(computable(f"covariates[{name!r}]", column), dtype=np.float64)
        for name, column in columns.models.get("covariates", {}).items()
    }
    models = {"covariates": covariates} if covariates else {}
    return columns.with_columns(single=single, models=models)


def _nested_weights(columns: Columns) -> "Column | None":
    weights = columns.single.get("draw_weight")
    if weights is None:
        return None
    if not isinstance(weights, Draws):
        raise InputError("draw_weight needs unit=, or one array of weights per unit")
    return weights


def _reduced(
    columns: Columns, grid: Grid, weights: "Column | None", *, drop_missing: bool
) -> Columns:
    outcomes: dict[str, Column] = {}
    sizes = np.full(columns.n, np.iinfo(np.int64).max)
    for model, given in columns.models["outcome"].items():
        label = outcome_label(columns, model)
        column: Any = nested_outcomes(label, given)
        if isinstance(column, Draws):
            numbers = _weights_of(weights, column)
            missing = int(np.isnan(column.values).sum())
            rows, own = quantile_rows(
                label, column, grid.levels, numbers, drop_missing=drop_missing
            )
            if missing:
                warn("rows-dropped", f"{missing} missing draws of {label} were left out")
            outcomes[model], sizes = rows, np.minimum(sizes, own)
        else:
            numbers = np.asarray(computable(label, column), dtype=np.float64)
            outcomes[model] = np.repeat(numbers[:, np.newaxis], len(grid.levels), axis=1)
            sizes = np.ones(columns.n, dtype=np.int64)
    single = {name: column for name, column in columns.single.items() if name != "draw_weight"}
    return _replaced(columns, single, outcomes, sizes)


def _weights_of(weights: "Column | None", draws: Draws) -> "Array | None":
    if weights is None:
        return None
    if not isinstance(weights, Draws):
        return weights
    differing = (weights.stops - weights.starts) != (draws.stops - draws.starts)
    if bool(differing.any()):
        raise InputError(
            f"draw_weight has another number of draws than outcome for unit "
            f"{int(np.argmax(differing))}"
        )
    return require_draw_weights(weights.values, len(draws.values))


def _given_quantiles(columns: Columns, grid: Grid) -> Columns:
    """Rows that are quantile functions on the grid already, in the user's order of it."""
    outcomes = columns.models["outcome"]
    if all(isinstance(column, np.ndarray) for column in outcomes.values()):
        stacked = [computable(f"outcome[{m!r}]", column) for m, column in outcomes.items()]
        outcomes = {"outcome": np.column_stack(stacked)}
        sizes = len(stacked)
    else:
        outcomes = {m: _matrix(outcome_label(columns, m), c) for m, c in outcomes.items()}
        sizes = next(iter(outcomes.values())).shape[1]
    if sizes != len(grid.levels):
        raise InputError(
            f"outcome has {sizes} columns but quantiles has {len(grid.levels)} levels: pass one "
            "column per quantile"
        )
    ordered = {}
    for model, rows in outcomes.items():
        ascending = np.empty(rows.shape)
        ascending[:, grid.position] = rows
        falls = np.diff(ascending, axis=1) < 0
        if bool(falls.any()):
            unit = int(np.argmax(falls.any(axis=1)))
            raise InputError(
                f"outcome[{model!r}] decreases with the quantile in row {unit}: quantile "
                "functions must not (draws: outcome_form='draws')"
            )
        ordered[model] = ascending
    return _replaced(columns, columns.single, ordered, np.zeros(columns.n, dtype=np.int64))


def _matrix(label: str, column: Any) -> Array:
    if not isinstance(column, Draws):
        raise InputError(f"{label} has one column: pass the (units, quantiles) matrix")
    sizes = column.stops - column.starts
    if bool((sizes != sizes[0]).any()):
        unit = int(np.argmax(sizes != sizes[0]))
        raise InputError(f"{label} has {sizes[unit]} quantiles in row {unit}, not {sizes[0]}")
    rows = column.values.reshape(-1, sizes[0])[: len(column)]
    missing = np.isnan(rows)
    if bool(missing.any()):
        raise InputError(
            f"{label} has {int(missing.sum())} missing values (first in row "
            f"{int(np.argmax(missing.any(axis=1)))}): leave the unit out"
        )
    return np.asarray(rows, dtype=np.float64)


def _replaced(
    columns: Columns,
    single: dict[str, Column],
    outcomes: dict[str, Column],
    sizes: NDArray[np.int64],
) -> Columns:
    from dataclasses import replace

    models = {**columns.models, "outcome": outcomes}
    return replace(columns, single={**single, "n_draws": sizes}, models=models)
