"""What FairGLM is given: checked, encoded, refused."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evalstats.data.columns import Role
from evalstats.data.intake import LARGEST_WEIGHT, SMALLEST_WEIGHT, collect_columns, number_array
from evalstats.errors import InputError, warn
from evalstats.fairness.encoding import Attribute, Types, encode, geometry_of
from evalstats.fairness.functions import require_counts, require_rows
from evalstats.fairness.geometry import CellGeometry
from evalstats.fairness.glm_objective import Family, Penalty

if TYPE_CHECKING:
    from evalstats.fairness.glm import FairGLM

Array = NDArray[np.float64]


def require_one_kind(argument: str, labels: NDArray[Any]) -> None:
    """Refuse labels that cannot be told apart by order, such as text among numbers."""
    try:
        np.unique(labels)
    except TypeError as error:
        raise InputError(
            f"{argument} mixes values of unlike types ({error}): convert them to one type"
        ) from error


def outcome_of(y: NDArray[Any], family: Family) -> tuple[Array, NDArray[Any] | None]:
    """Outcome as numbers, and the two classes of a binomial model."""
    if family == "binomial":
        require_one_kind("y", y)
        numeric = y.dtype.kind == "f" and bool(((y >= 0) & (y <= 1)).all())
        classes = np.array([0, 1]) if numeric and len(np.unique(y)) > 2 else np.unique(y)
        if len(classes) == 1:
            raise InputError(f"y has one class only ({classes[0].item()!r}): expected two")
        if len(classes) != 2:
            kind = "continuous" if _fractions(y) else "multiclass"
            raise InputError(
                "Only binary classification is supported. The type of the target is "
                f"{kind}: Unknown label type: y has {len(classes)} values; "
                "family='binomial' takes two classes, or shares in [0, 1]"
            )
        if numeric:
            return np.asarray(y, dtype=np.float64), classes
        return np.asarray(y == classes[1], dtype=np.float64), classes
    outcome = number_array("y", y)
    if family == "poisson" and bool((outcome < 0).any()):
        row = int(np.argmax(outcome < 0))
        raise InputError(f"y is {outcome[row]} in row {row}: Poisson counts are >= 0")
    if family == "poisson" and not outcome.any():
        raise InputError("y is 0 in every row: a Poisson model needs at least one event")
    return outcome, None


def require_events(outcome: Array, weights: Array, family: Family) -> None:
    """Refuse outcomes that rows without weight alone make two-sided: there is no finite fit."""
    counted = outcome[weights > 0]
    if family == "poisson" and not counted.any():
        raise InputError("y is 0 in every row with a weight: a Poisson model needs an event")
    if family == "binomial" and counted[0] in (0.0, 1.0) and bool((counted == counted[0]).all()):
        raise InputError("y has one class only among the rows with a weight: expected two")


def _fractions(y: NDArray[Any]) -> bool:
    """Whether values are fractions and so no class labels."""
    return y.dtype.kind == "f" and bool((y != np.round(y)).any())


def penalty_of(
    model: "FairGLM", protected: Any, features: Array, weights: Array
) -> tuple[Penalty, list[Attribute]]:
    """Penalty of the protected attributes with the options of a model, and their encodings."""
    columns = collect_columns(
        (Role("protected", "code", per_model=True),), {"protected": protected}
    )
    if columns.n != len(features):
        raise InputError(f"protected has {columns.n} rows but X has {len(features)}")
    if model.estimator != "biased":
        require_counts(weights)
        require_rows(float(weights.sum()))
    given = columns.models["protected"]
    nominal, ordinal, continuous = (
        [] if names is None else list(names)
        for names in (model.nominal, model.ordinal, model.continuous)
    )
    types = Types(nominal, ordinal, continuous, model.levels)
    types.check(list(given))
    encoded = [
        encode(name, column, types, model.encoding, weights) for name, column in given.items()
    ]
    attributes = [attribute for attribute, _ in encoded]
    _warn_about_copies(attributes, [codes for _, codes in encoded], features)
    geometry = geometry_of(
        attributes, [codes for _, codes in encoded], joint=True, c=0.0, limit=None
    )
    if not isinstance(geometry, CellGeometry):
        raise InputError(
            "protected has too many joint levels for a penalty: round the continuous attributes"
        )
    blocks = geometry.distances
    if model.penalty == "marginal":
        parts = [CellGeometry(geometry.cell, (d,), 0.0) for d in blocks]
    elif model.penalty == "joint" and len(blocks) > 1:
        parts = [CellGeometry(geometry.cell, blocks, float(model.c))]
    else:
        whole = np.sqrt(np.sum([d * d for d in blocks], axis=0))
        parts = [CellGeometry(geometry.cell, (whole,), 0.0)]
    return Penalty(parts, weights, model.estimator, blocks), attributes


def positive_column(name: str, values: Any, n: int, *, zero: bool) -> Array:
    """A column of finite numbers, ones by default; `zero` says whether 0 is allowed."""
    if values is None:
        return np.ones(n)
    column = number_array(name, values)
    if column.shape != (n,):
        raise InputError(f"{name} has shape {column.shape}, expected ({n},)")
    bad = ~(np.isfinite(column) & ((column >= 0) if zero else (column > 0)))
    if bool(bad.any()):
        row = int(np.argmax(bad))
        limit = ">= 0" if zero else "> 0"
        raise InputError(f"{name} is {column[row]} in row {row}: it must be finite and {limit}")
    present = column[column > 0]
    if len(present) and (present.min() < SMALLEST_WEIGHT or present.max() > LARGEST_WEIGHT):
        raise InputError(
            f"{name} must be 0 or between {SMALLEST_WEIGHT:g} and {LARGEST_WEIGHT:g}: rescale it"
        )
    if not column.any():
        raise InputError(f"{name} is zero in every row: no row has a weight")
    return column


def _warn_about_copies(
    attributes: Sequence[Attribute], codes: Sequence[NDArray[np.int64]], features: Array
) -> None:
    """A protected attribute among the features: allowed, but worth knowing."""
    for attribute, code in zip(attributes, codes, strict=True):
        if len(attribute.levels) < 2:
            continue
        for column in range(features.shape[1]):
            values = features[:, column]
            _, first = np.unique(code, return_index=True)
            if bool((values == values[first][code]).all()) and len(np.unique(values)) > 1:
                warn(
                    "protected-in-features",
                    f"column {column} of X is a function of protected[{attribute.name!r}]",
                    stacklevel=5,
                )
