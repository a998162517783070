"""Codings of a pairwise preference, all turned into P(model preferred) in [0, 1]."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evalstats.data.validation import finite_scores
from evalstats.errors import InputError

Array = NDArray[np.float64]
Coding = Literal["alpaca", "unit", "pm1", "labels"]

_LIMITS = {"unit": (0.0, 1.0), "pm1": (-1.0, 1.0)}
_DESCRIPTION = {
    "alpaca": "1 (baseline wins) to 2 (model wins), with 0 or 1.5 for a draw",
    "unit": "0 (baseline wins) to 1 (model wins)",
    "pm1": "-1 (baseline wins) to 1 (model wins)",
    "labels": "'model', 'baseline' or 'draw'",
}
_LABELS = {
    "model": 1.0,
    "win": 1.0,
    "baseline": 0.0,
    "loss": 0.0,
    "draw": 0.5,
    "tie": 0.5,
}


def require_coding(coding: object) -> None:
    """Refuse an unknown coding."""
    if not isinstance(coding, str) or coding not in _DESCRIPTION:
        raise InputError(f"coding={coding!r} is unknown: choose one of {list(_DESCRIPTION)}")


def unit_preference(
    column: NDArray[Any], coding: Coding, *, argument: str = "preference", draw_within: float = 0.0
) -> Array:
    """Turn preferences into P(model preferred), with 1/2 for a draw; NaN stays NaN.

    Parameters
    ----------
    column : array (n,)
        Preferences in the given coding.
    coding : {"alpaca", "unit", "pm1", "labels"}
        See :class:`evalstats.WinRate`.
    argument : str
        Name for messages.
    draw_within : float, default 0.0
        Preferences this close to 1/2 become draws.

    Returns
    -------
    float64 array (n,)
        Values in [0, 1].

    Raises
    ------
    InputError
        If a value lies outside the coding, or two codings are mixed.
    """
    if coding == "labels":
        y = _from_labels(column, argument)
    else:
        y = _from_numbers(_numbers(column, argument), coding, argument)
    y[np.abs(y - 0.5) <= draw_within] = 0.5
    return y


def _from_numbers(values: Array, coding: Coding, argument: str) -> Array:
    if coding == "alpaca":
        bad = ~np.isnan(values) & (values != 0.0) & ~((values >= 1.0) & (values <= 2.0))
        mixed = bool((bad & (values > 0.0) & (values < 1.0)).any()) and bool((values > 1.0).any())
        _refuse(bad, values, argument, coding, mixed=mixed)
        return np.where(values == 0.0, 0.5, values - 1.0)
    low, high = _LIMITS[coding]
    bad = ~np.isnan(values) & ~((values >= low) & (values <= high))
    _refuse(bad, values, argument, coding, mixed=False)
    return np.asarray((values - low) / (high - low))


def _refuse(
    bad: NDArray[np.bool_], values: NDArray[Any], argument: str, coding: Coding, *, mixed: bool
) -> None:
    if not bool(bad.any()):
        return
    row = int(np.argmax(bad))
    count = int(bad.sum())
    remedy = (
        "some values lie below 1 and some above, so two codings are mixed: bring them to one"
        if mixed
        else "remove these rows or name another coding"
    )
    raise InputError(
        f"{argument} is {values[row]!s} in row {row} ({count} such row{'s' if count > 1 else ''}), "
        f"but coding={coding!r} means {_DESCRIPTION[coding]}; {remedy}"
    )


def _numbers(column: NDArray[Any], argument: str) -> Array:
    if column.dtype.kind in "US":
        raise InputError(
            f"{argument} has dtype {column.dtype}, which is text: pass numbers, or coding='labels'"
        )
    missing = np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), dtype=bool)
    present = finite_scores(argument, np.where(missing, 0.0, column) if missing.any() else column)
    return np.where(missing, np.nan, present.astype(np.float64))


def _from_labels(column: NDArray[Any], argument: str) -> Array:
    if column.ndim != 1:
        raise InputError(f"{argument} has shape {column.shape}: pass one label per row")
    values = column.tolist()
    missing = np.array(
        [value is None or (isinstance(value, float) and np.isnan(value)) for value in values],
        dtype=bool,
    )
    known = np.array([str(value) in _LABELS for value in values], dtype=bool)
    _refuse(~known & ~missing, column, argument, "labels", mixed=False)
    return np.array([_LABELS.get(str(value), np.nan) for value in values])
