"""From draws in any shape to one row of quantiles per unit."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from evalstats.data.columns import Column, Columns, Records, dense_codes
from evalstats.data.validation import computable
from evalstats.discontinuity.quantile_kernels import draw_quantiles, weighted_draw_quantiles
from evalstats.errors import InputError
from evalstats.inference.resampling import parallel_map

Array = NDArray[np.float64]
UNITS_PER_TASK = 2_000


class Draws(Records):
    """Draws of every unit, without copying them on selection.

    Parameters
    ----------
    values : array (M,)
        Draws of all units.
    starts, stops : int64 array (n,)
        Unit i has ``values[starts[i]:stops[i]]``.
    """

    def __init__(self, values: Column, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> None:
        self.values = values
        self.starts = starts
        self.stops = stops

    @classmethod
    def of_units(cls, argument: str, units: "Sequence[Any] | NDArray[Any]") -> "Draws":
        """Collect one array per unit, or the rows of a 2-D array."""
        if isinstance(units, np.ndarray) and units.ndim == 2:
            n, m = units.shape
            edges = np.arange(n + 1, dtype=np.int64) * m
            return cls(finite_or_nan(argument, units.reshape(-1)), edges[:-1], edges[1:])
        arrays = []
        for number, unit in enumerate(units):
            try:
                array = np.asarray(unit)
            except (ValueError, TypeError) as error:
                raise InputError(f"{argument} cannot be read for unit {number}: {error}") from error
            if array.ndim != 1:
                raise InputError(
                    f"{argument} has shape {array.shape} for unit {number}: pass one "
                    "one-dimensional array of draws per unit"
                )
            arrays.append(array)
        sizes = np.array([len(array) for array in arrays], dtype=np.int64)
        edges = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        values = np.concatenate(arrays) if arrays else np.empty(0)
        return cls(finite_or_nan(argument, values), edges[:-1], edges[1:])

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, units: NDArray[np.int64]) -> Self:
        return type(self)(self.values, self.starts[units], self.stops[units])


def finite_or_nan(argument: str, values: Column) -> Array:
    """Draws as float64, where missing ones may be NaN but none is infinite."""
    if values.dtype.kind not in "biuf":
        values = computable(argument, values)
    numbers = np.asarray(values, dtype=np.float64)
    if bool(np.isinf(numbers).any()):
        draw = int(np.argmax(np.isinf(numbers)))
        raise InputError(f"{argument} has infinite draws (first is draw {draw}): remove them")
    return numbers


def nested_outcomes(argument: str, outcome: object) -> object:
    """Turn one array of draws per unit, for one or several outcomes, into `Draws`."""
    if isinstance(outcome, Mapping):
        return {
            name: nested_outcomes(f"{argument}[{name!r}]", value) for name, value in outcome.items()
        }
    if isinstance(outcome, np.ndarray) and outcome.ndim == 2 and outcome.shape[1] > 1:
        return Draws.of_units(argument, outcome)
    if isinstance(outcome, Sequence) and not isinstance(outcome, str) and len(outcome) > 0:
        first = outcome[0]
        if not isinstance(first, str) and hasattr(first, "__len__"):
            return Draws.of_units(argument, outcome)
    if isinstance(outcome, np.ndarray) and _holds_arrays(outcome):
        return Draws.of_units(argument, list(outcome))
    return outcome


def _holds_arrays(column: Column) -> bool:
    """Whether a column holds one sequence of draws in each row, as list columns of frames do."""
    if column.dtype.kind != "O" or column.ndim != 1 or len(column) == 0:
        return False
    return hasattr(column[0], "__len__") and not isinstance(column[0], str)


def collapsed(
    columns: Columns, order: "NDArray[np.int64] | None", edges: NDArray[np.int64]
) -> Columns:
    """One row per unit of a long frame whose rows are draws.

    Parameters
    ----------
    columns : Columns
        Long columns with the role ``unit``.
    order : int64 array (M,) or None
        Rows, gathered by unit; None if they already are.
    edges : int64 array (n + 1,)
        Where each unit starts in `order`.

    Returns
    -------
    Columns
        The outcomes as :class:`Draws`, everything else constant within units.
    """
    names = columns.single["unit"][edges[:-1] if order is None else order[edges[:-1]]]

    def constant(argument: str, column: Column) -> Column:
        gathered = column if order is None else column[order]
        first = np.repeat(gathered[edges[:-1]], np.diff(edges))
        varies = gathered != first
        if bool(varies.any()):
            position = int(np.argmax(varies))
            row = position if order is None else int(order[position])
            unit = columns.single["unit"][row : row + 1].tolist()[0]
            raise InputError(
                f"{argument} varies within the unit {unit!r} (first in row "
                f"{row}): it belongs to the unit, so give all its rows the same value"
            )
        return np.ascontiguousarray(gathered[edges[:-1]])

    def optional(argument: str, column: "Column | None") -> Any:
        return None if column is None else constant(argument, column)

    def draws(model: str, column: Column) -> Any:
        label = outcome_label(columns, model)
        numbers = np.asarray(computable(label, column), dtype=np.float64)
        return Draws(numbers if order is None else numbers[order], edges[:-1], edges[1:])

    outcomes = {model: draws(model, item) for model, item in columns.models["outcome"].items()}
    single = {
        name: constant(name, column)
        for name, column in columns.single.items()
        if name not in ("unit", "draw_weight")
    }
    covariates = {
        name: constant(f"covariates[{name!r}]", column)
        for name, column in columns.models.get("covariates", {}).items()
    }
    models = {**columns.models, "outcome": outcomes}
    if covariates:
        models["covariates"] = covariates
    return Columns(
        n=len(names),
        single=single,
        models=models,
        weight=optional("sample_weight", columns.weight),
        cluster=optional("cluster", columns.cluster),
        group=optional("by", columns.group),
        group_labels=columns.group_labels,
        group_names=columns.group_names,
        n_dropped=columns.n_dropped,
        extra={**columns.extra, "unit_names": names},
    )


def outcome_label(columns: Columns, model: str) -> str:
    """How messages name an outcome."""
    return "outcome" if len(columns.models["outcome"]) == 1 else f"outcome[{model!r}]"


def gathered_rows(unit: Column) -> "tuple[NDArray[np.int64] | None, NDArray[np.int64]]":
    """Rows gathered by unit and where each unit starts. O(M) if the rows come unit by unit."""
    if unit.dtype.kind in "biu" and bool((unit[1:] >= unit[:-1]).all()):
        starts = np.flatnonzero(unit[1:] != unit[:-1]) + 1
        return None, np.concatenate([[0], starts, [len(unit)]]).astype(np.int64)
    codes, _ = dense_codes(unit)
    order = np.argsort(codes, kind="stable").astype(np.int64)
    counts = np.bincount(codes)
    return order, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def quantile_rows(
    argument: str, draws: Draws, grid: Array, weights: "Array | None", *, drop_missing: bool
) -> tuple[Array, NDArray[np.int64]]:
    """Quantiles (n, Q) of each unit's draws, and how many draws it has. O(M log m + n Q)."""
    values, sizes = draws.values, draws.stops - draws.starts
    absent = np.isnan(values)
    if bool(absent.any()) and not drop_missing:
        unit = int(np.searchsorted(draws.stops, int(np.argmax(absent)), side="right"))
        raise InputError(
            f"{argument} has {int(absent.sum())} missing values (first in unit {unit}): "
            "remove them or pass nan_policy='omit'"
        )
    if weights is not None:
        absent |= ~(weights > 0)
    if bool(absent.any()):
        unit_of_draw = np.repeat(np.arange(len(sizes)), sizes)
        sizes = np.bincount(unit_of_draw[~absent], minlength=len(sizes)).astype(np.int64)
        values = values[~absent]
        weights = None if weights is None else weights[~absent]
    if bool((sizes == 0).any()):
        of_weight = "" if weights is None else " of positive weight"
        raise InputError(
            f"{argument} has no draw{of_weight} for unit {int(np.argmin(sizes))}: leave the unit "
            "out"
        )
    return _all_quantiles(values, sizes, grid, weights), sizes


def _all_quantiles(
    values: Array, sizes: NDArray[np.int64], grid: Array, weights: "Array | None"
) -> Array:
    edges = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    out = np.empty((len(sizes), len(grid)))
    values = np.require(values, np.float64, ["C", "W"])

    def task(start: int) -> None:
        stop = min(start + UNITS_PER_TASK, len(sizes))
        block = edges[start : stop + 1].copy()
        if weights is None:
            draw_quantiles(values, block, grid, out[start:stop])
        else:
            weighted_draw_quantiles(values, weights, block, grid, out[start:stop])

    parallel_map(task, list(range(0, len(sizes), UNITS_PER_TASK)), 10 * len(values))
    return out


def require_draw_weights(weights: Column, n: int) -> Array:
    """Non-negative, finite weights of the draws."""
    numbers = np.asarray(computable("draw_weight", weights), dtype=np.float64)
    if len(numbers) != n:
        raise InputError(f"draw_weight has {len(numbers)} values but outcome has {n} draws")
    if bool((numbers < 0).any()):
        draw = int(np.argmax(numbers < 0))
        raise InputError(f"draw_weight is {numbers[draw]:g} for draw {draw}: it must be >= 0")
    return np.require(numbers, np.float64, ["C", "W"])
