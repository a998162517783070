"""Columns of battles: model codes, outcomes and contrasts of controls."""

from collections.abc import Hashable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.data.columns import Column, Columns, dense_codes
from evalstats.data.validation import computable, finite_scores
from evalstats.errors import InputError

Array = NDArray[np.float64]

OUTCOME_LABELS: dict[str, float] = {
    "model_a": 1.0,
    "model_b": 0.0,
    "tie": 0.5,
    "both_bad": 0.5,
    "tie (bothbad)": 0.5,
}
# Smallest eigenvalue of the correlations of controls that counts as linear independence.
COLLINEAR = 1e-10


def model_codes(
    model_a: Column, model_b: Column
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]]:
    """Codes of both sides and the sorted names; hashing, since sorting 10^6 names takes seconds."""
    n = len(model_a)
    joined = np.concatenate([model_a, model_b])
    if joined.dtype.kind in "iu" and int(np.ptp(joined)) < 4 * len(joined):
        low = int(joined.min())
        present = np.bincount(joined - low) > 0
        codes = (np.cumsum(present) - 1)[joined - low]
        labels: Sequence[Hashable] = (np.flatnonzero(present) + low).tolist()
    elif joined.dtype.kind in "OU" and all(isinstance(name, str) for name in joined[:1]):
        series = pl.Series(joined.tolist(), dtype=pl.String, strict=False)
        if series.null_count():
            codes, labels = dense_codes(joined)
        else:
            names = series.unique().sort()
            codes = series.cast(pl.Enum(names)).to_physical().to_numpy()
            labels = names.to_list()
    else:
        codes, labels = dense_codes(joined)
    codes = codes.astype(np.int64)
    return codes[:n].copy(), codes[n:].copy(), [str(label) for label in labels]


def outcomes(column: Column) -> Array:
    """Points of the first model: numbers in [0, 1], or the labels of the Arena."""
    if column.dtype.kind in "OUS" and any(isinstance(value, str) for value in column[:1]):
        coded = np.array([OUTCOME_LABELS.get(str(value), np.nan) for value in column])
        unknown = np.isnan(coded)
        if bool(unknown.any()):
            row = int(np.argmax(unknown))
            raise InputError(
                f"outcome is {str(column[row])!r} in row {row}: pass numbers in [0, 1] or "
                f"{list(OUTCOME_LABELS)}"
            )
        return coded
    outcome: Array = finite_scores("outcome", column).astype(np.float64)
    outside = (outcome < 0) | (outcome > 1)
    if bool(outside.any()):
        row = int(np.argmax(outside))
        raise InputError(
            f"outcome is {outcome[row]:g} in row {row}: expected 1 (model_a won), 0 (model_b won), "
            "0.5 (tie) or a probability"
        )
    return outcome


def tie_indicator(outcome: Array) -> Array:
    """1 for a tie; refuses outcomes between win, tie and loss."""
    fractional = ~np.isin(outcome, (0.0, 0.5, 1.0))
    if bool(fractional.any()):
        row = int(np.argmax(fractional))
        raise InputError(
            f"outcome is {outcome[row]:g} in row {row}: ties='davidson' takes 0, 0.5 and 1 only; "
            "use ties='half' for probabilities"
        )
    return np.asarray(outcome == 0.5, dtype=np.float64)


def contrasts_of_sides(columns: Columns) -> dict[str, Array]:
    """Contrasts of the two sides, unscaled; antisymmetric in the sides and never centred."""
    found: dict[str, Array] = {}
    for name, column in columns.models.get("controls_a", {}).items():
        sides = [
            computable(f"controls_{side}[{name!r}]", values).astype(np.float64)
            for side, values in (("a", column), ("b", columns.models["controls_b"][name]))
        ]
        for side, values in zip("ab", sides, strict=True):
            if bool((values < 0).any()):
                row = int(np.argmax(values < 0))
                raise InputError(
                    f"controls_{side}[{name!r}] is {values[row]:g} in row {row}: controls are "
                    "counts or lengths >= 0 (signed contrasts: contrasts=)"
                )
        found[name] = (sides[0] - sides[1]) / (sides[0] + sides[1] + 1.0)
    for name, column in columns.models.get("contrasts", {}).items():
        if name in found:
            raise InputError(f"{name!r} is both a control and a contrast: rename one")
        found[name] = computable(f"contrasts[{name!r}]", column).astype(np.float64)
    return found


def scaled_design(design: Array, weight: Array, controls: list[str], ready: set[str]) -> Array:
    """Contrasts divided by their root mean square; refuses constant and collinear ones."""
    if not controls:
        return np.empty((len(weight), 0))
    used = weight > 0
    for column, name in enumerate(controls):
        values = design[:, column]
        low, high = values[used].min(), values[used].max()
        if low == high and (name not in ready or low == 0):
            raise InputError(
                f"control {name!r} has the same contrast ({low:g}) in every row, so it controls "
                "for nothing: leave it out"
            )
    moments = (design * weight[:, np.newaxis]).T @ design / weight.sum()
    scale = np.sqrt(np.diag(moments))
    roots, vectors = np.linalg.eigh(moments / np.outer(scale, scale))
    if roots[0] < COLLINEAR:
        involved = [controls[c] for c in np.flatnonzero(np.abs(vectors[:, 0]) > 1e-3)]
        raise InputError(f"controls {involved} are linearly dependent: leave one out")
    return np.ascontiguousarray(design / scale)
