"""From the arguments of ``fit`` to :class:`~evalstats.data.columns.Columns`."""

from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from math import isnan
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evalstats.data.columns import (
    Column,
    Columns,
    Records,
    Role,
    dense_codes,
    require_same_length,
)
from evalstats.data.frames import UNREADABLE, Frame, series_to_numpy
from evalstats.errors import InputError, warn

NanPolicy = Literal["raise", "omit"]
# Squares and sums of weights are computed, which must neither overflow nor vanish.
SMALLEST_WEIGHT, LARGEST_WEIGHT = 1e-30, 1e30
Resolved = tuple[Column, NDArray[np.bool_] | None]


def collect_columns(
    roles: Sequence[Role],
    arguments: Mapping[str, object],
    *,
    data: object = None,
    sample_weight: object = None,
    cluster: object = None,
    by: object = None,
    nan_policy: NanPolicy = "raise",
    may_be_missing: Collection[str] = (),
) -> Columns:
    """Resolve every role to a column, apply the NaN policy and code clusters and groups.

    Parameters
    ----------
    roles : sequence of Role
        What the estimator wants, the first one defining the number of rows.
    arguments : mapping of str to object
        The role arguments: arrays, mappings and 2-D arrays for several models, or column names
        when `data` is given.
    data, sample_weight, cluster, by, nan_policy : object
        The shared arguments of every ``fit``.
    may_be_missing : collection of str
        Roles whose missing values the estimator itself handles; they arrive as NaN.

    Returns
    -------
    Columns
        Raw columns of equal length; their content is validated by the estimator.

    Raises
    ------
    InputError
        If a required argument is missing, a column is unknown, lengths differ, a value is
        missing under ``nan_policy="raise"``, or a weight is negative or not finite.
    """
    source = None
    if data is not None:
        source = Frame(data, [*arguments.values(), sample_weight, cluster, by])
    single: dict[str, Resolved] = {}
    models: dict[str, dict[str, Resolved]] = {}
    for role in roles:
        argument = arguments.get(role.name)
        if argument is None:
            if role.required:
                raise InputError(f"{role.name} is required, but None was given")
        elif role.per_model:
            models[role.name] = _resolve_models(role, argument, source)
        else:
            single[role.name] = _resolve(role.name, argument, source)
    _require_flat(roles, single, models)
    for name in may_be_missing:
        models[name] = {model: _nan_for_null(item) for model, item in models[name].items()}
    return _assemble(
        roles, single, models, source, sample_weight, cluster, by, nan_policy, may_be_missing
    )


def _require_flat(
    roles: Sequence[Role], single: dict[str, Resolved], models: dict[str, dict[str, Resolved]]
) -> None:
    """Refuse nested columns of a frame where a role wants one value per row."""
    for role in roles:
        if role.kind == "records" or role.matrix:
            continue
        named = [(role.name, single[role.name])] if role.name in single else []
        named += [
            (f"{role.name}[{model!r}]", item) for model, item in models.get(role.name, {}).items()
        ]
        for label, (column, _) in named:
            if not isinstance(column, Records) and column.ndim != 1:
                raise InputError(
                    f"{label} holds {column.shape[1:]} values in each row: pass one value per row"
                )


def _nan_for_null(item: Resolved) -> Resolved:
    column, missing = item
    if missing is None:
        return item
    return np.where(missing, np.nan, column.astype(np.float64)), None


def _assemble(
    roles: Sequence[Role],
    single: dict[str, Resolved],
    models: dict[str, dict[str, Resolved]],
    source: Frame | None,
    sample_weight: object,
    cluster: object,
    by: object,
    nan_policy: NanPolicy,
    may_be_missing: Collection[str],
) -> Columns:
    reference = roles[0].name
    first = single[reference] if reference in single else next(iter(models[reference].values()))
    n = len(first[0])
    if n == 0:
        raise InputError(f"{reference} is empty: at least one row is needed")
    weight = None if sample_weight is None else _resolve("sample_weight", sample_weight, source)
    clusters = None if cluster is None else _resolve("cluster", cluster, source)
    groups = {} if by is None else _resolve_groups(by, source)
    named: list[tuple[str, str, Resolved]] = [(name, name, item) for name, item in single.items()]
    for role_name, items in models.items():
        named += [
            (role_name, role_name if len(items) == 1 else f"{role_name}[{model!r}]", item)
            for model, item in items.items()
        ]
    if weight is not None:
        named.append(("sample_weight", "sample_weight", weight))
    if clusters is not None:
        named.append(("cluster", "cluster", clusters))
    named += [(name, f"by[{name!r}]", item) for name, item in groups.items()]
    for _, label, (column, _) in named:
        require_same_length(label, column, n, reference)
    needed = [item for item in named if item[0] not in may_be_missing]
    keep = _complete_rows(needed, n, nan_policy)

    def kept(item: Resolved) -> Column:
        return item[0] if keep is None else item[0][keep]

    columns = Columns(
        n=n if keep is None else len(keep),
        single={name: kept(item) for name, item in single.items()},
        models={
            role_name: {model: kept(item) for model, item in items.items()}
            for role_name, items in models.items()
        },
        weight=None if weight is None else _validated_weight(kept(weight)),
        cluster=None if clusters is None else _cluster_codes(kept(clusters)),
        n_dropped=0 if keep is None else n - len(keep),
    )
    return _with_groups(columns, {name: kept(item) for name, item in groups.items()})


def _resolve(argument: str, value: object, source: Frame | None) -> Resolved:
    if isinstance(value, Records):
        return value, None  # type: ignore[return-value]
    if source is not None and isinstance(value, str):
        return source.column(argument, value)
    if isinstance(value, str):
        raise InputError(
            f"{argument}={value!r} is a name, but no frame was given: pass data=... or an array"
        )
    column, missing = to_array(argument, value)
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.ndim != 1:
        raise InputError(
            f"{argument} must be one-dimensional, but has shape {column.shape}: "
            "pass one value per row"
        )
    return column, missing


def to_array(argument: str, value: object) -> Resolved:
    """Turn any array-like into a numpy array and the mask of its nulls, without changing it."""
    if isinstance(value, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(value)
        return np.asarray(value.data), mask if bool(mask.any()) else None
    if isinstance(value, np.ndarray):
        return np.asarray(value), None
    series = _as_series(value)
    if series is not None:
        try:
            return series_to_numpy(series)
        except UNREADABLE as error:
            raise InputError(f"{argument} cannot be read as an array: {error}") from error
    if isinstance(value, Mapping) or (
        isinstance(value, Iterable) and not hasattr(value, "__len__")
    ):
        raise InputError(f"{argument} is a {type(value).__name__}: pass an array or a list")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise InputError(f"{argument} cannot be read as an array: {error}") from error
    return array, None


def number_array(argument: str, value: object) -> NDArray[np.float64]:
    """Any array-like of real numbers as float64; missing values become NaN.

    Raises
    ------
    InputError
        If it holds anything but real numbers.
    """
    array, missing = to_array(argument, value)
    if array.dtype.kind not in "biuf":
        try:
            # Casting drops imaginary parts, and reads numbers out of text.
            if array.dtype.kind != "O":
                raise TypeError(f"it has dtype {array.dtype}")
            if any(np.iscomplexobj(item) for item in array.ravel()):
                raise TypeError("it holds complex numbers")
            array = array.astype(np.float64)
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{argument} must hold real numbers: {error}") from error
    numbers = array.astype(np.float64)
    if missing is not None:
        numbers[missing] = np.nan
    return numbers


def _as_series(value: object) -> "Any | None":
    import narwhals as nw

    series = nw.from_native(value, pass_through=True, allow_series=True)
    return series if isinstance(series, nw.Series) else None


def _resolve_models(role: Role, argument: object, source: Frame | None) -> dict[str, Resolved]:
    if isinstance(argument, Mapping):
        if not argument:
            raise InputError(f"{role.name} is an empty mapping: give at least one model")
        models: dict[str, Resolved] = {}
        for model, value in argument.items():
            if str(model) in models:
                raise InputError(f"{role.name} names the model {str(model)!r} twice: rename one")
            models[str(model)] = _resolve_model(role, value, source, f"{role.name}[{model!r}]")
        return models
    if source is not None and _is_name_list(argument):
        names = list(argument)  # type: ignore[call-overload]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise InputError(f"{role.name} names the column {twice!r} twice: remove one")
        if role.matrix:
            return {role.name: _resolve_model(role, names, source, role.name)}
        return {name: _resolve(role.name, name, source) for name in names}
    if source is not None and isinstance(argument, str):
        return {argument: _resolve(role.name, argument, source)}
    return _resolve_array_models(role, argument)


def _resolve_array_models(role: Role, argument: object) -> dict[str, Resolved]:
    if isinstance(argument, Records):
        return {role.name: _resolve(role.name, argument, None)}
    if isinstance(argument, str):
        raise InputError(
            f"{role.name}={argument!r} is a name, but no frame was given: pass data=... or an array"
        )
    named = None if role.matrix else _frame_columns(argument)
    if named:
        return named
    array, missing = _matrix_array(role.name, argument)
    if array.ndim == 1:
        return {role.name: (array, missing)}
    if array.ndim == 2 and role.matrix:
        return {role.name: (array, missing)}
    if array.ndim == 2 and array.shape[1] > 0:
        masks = [None if missing is None else missing[:, j] for j in range(array.shape[1])]
        return {f"model_{j}": (array[:, j], masks[j]) for j in range(array.shape[1])}
    raise InputError(
        f"{role.name} must have one column per model, but has shape {array.shape}: "
        "pass shape (n,) or (n, k)"
    )


def _matrix_array(argument: str, value: object) -> Resolved:
    columns = _frame_columns(value)
    if columns is None:
        return to_array(argument, value)
    masks = [np.zeros(len(c), dtype=bool) if m is None else m for c, m in columns.values()]
    return np.column_stack([column for column, _ in columns.values()]), np.column_stack(masks)


def _frame_columns(value: object) -> dict[str, Resolved] | None:
    if isinstance(value, np.ndarray):
        return None
    import narwhals as nw

    native = nw.from_native(value, pass_through=True)
    if not isinstance(native, nw.DataFrame):
        return None
    return {str(name): to_array(str(name), native.get_column(name)) for name in native.columns}


def _resolve_model(role: Role, value: object, source: Frame | None, label: str) -> Resolved:
    if source is not None and role.matrix and _is_name_list(value):
        columns = [source.column(label, name) for name in value]  # type: ignore[attr-defined]
        matrix = np.column_stack([column for column, _ in columns])
        masks = [mask for _, mask in columns if mask is not None]
        return matrix, _any_column(np.column_stack(masks)) if masks else None
    if role.matrix and not isinstance(value, str):
        array, missing = _matrix_array(label, value)
        if array.ndim == 2:
            return array, _any_column(missing)
    return _resolve(label, value, source)


def _any_column(mask: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    return None if mask is None else np.asarray(mask.any(axis=1))


def _is_name_list(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) > 0
        and all(isinstance(name, str) for name in value)
    )


def _resolve_groups(by: object, source: Frame | None) -> dict[str, Resolved]:
    if isinstance(by, Mapping):
        return {str(name): _resolve(f"by[{name!r}]", value, source) for name, value in by.items()}
    if source is not None and _is_name_list(by):
        return {name: _resolve("by", name, source) for name in by}  # type: ignore[attr-defined]
    name = by if source is not None and isinstance(by, str) else "group"
    return {name: _resolve("by", by, source)}


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and isnan(value))


def _missing_rows(item: Resolved) -> NDArray[np.bool_] | None:
    column, mask = item
    if isinstance(column, Records):
        return column.missing_units()
    missing: NDArray[np.bool_] | None = None
    if column.dtype.kind == "f":
        # The minimum carries NaN on, and needs no array of its own.
        if column.size and np.isnan(column.min()):
            missing = np.isnan(column)
    elif column.dtype.kind == "O":
        missing = np.array(
            [
                value is None or (isinstance(value, float) and isnan(value))
                for value in column.ravel()
            ]
        )
        missing = missing.reshape(column.shape)
    elif column.dtype.kind == "M":
        missing = np.isnat(column)
    if missing is not None and missing.ndim > 1:
        missing = np.asarray(missing.any(axis=tuple(range(1, missing.ndim))))
    if mask is not None:
        mask = np.asarray(mask.any(axis=1)) if mask.ndim == 2 else mask
        missing = mask if missing is None else missing | mask
    return missing if missing is not None and bool(missing.any()) else None


def _complete_rows(
    named: list[tuple[str, str, Resolved]], n: int, nan_policy: NanPolicy
) -> NDArray[np.int64] | None:
    incomplete: NDArray[np.bool_] | None = None
    for _, label, item in named:
        missing = _missing_rows(item)
        if missing is None:
            continue
        if nan_policy == "raise":
            raise missing_values(label, int(missing.sum()), int(np.argmax(missing)))
        incomplete = missing if incomplete is None else incomplete | missing
    if incomplete is None:
        return None
    keep = np.flatnonzero(~incomplete)
    if len(keep) == 0:
        raise InputError("every row has a missing value: nothing is left under nan_policy='omit'")
    warn("rows-dropped", f"{n - len(keep)} of {n} rows have missing values and were left out")
    return keep


def missing_values(label: str, count: int, first: int) -> InputError:
    """Error about rows with missing values, for estimators that look for them later."""
    return InputError(
        f"{label} has {count} missing value{'s' if count > 1 else ''} "
        f"(first in row {first}): remove them or pass nan_policy='omit'"
    )


def _validated_weight(column: Column) -> NDArray[np.float64]:
    if column.dtype.kind not in "biuf":
        try:
            # Casting drops imaginary parts with a warning only.
            column = column.astype(
                np.float64, casting="unsafe" if column.dtype.kind == "O" else "safe"
            )
        except (ValueError, TypeError) as error:
            raise InputError(
                f"sample_weight has dtype {column.dtype}: pass non-negative numbers"
            ) from error
    weight = np.require(column, np.float64, ["C", "W"])
    bad = ~(np.isfinite(weight) & (weight >= 0))
    if bool(bad.any()):
        row = int(np.argmax(bad))
        raise InputError(
            f"sample_weight is {weight[row]} in row {row}: weights must be finite and >= 0"
        )
    positive = weight > 0
    extreme = positive & ((weight < SMALLEST_WEIGHT) | (weight > LARGEST_WEIGHT))
    if bool(extreme.any()):
        row = int(np.argmax(extreme))
        raise InputError(
            f"sample_weight is {weight[row]:g} in row {row}: positive weights must lie between "
            f"{SMALLEST_WEIGHT:g} and {LARGEST_WEIGHT:g}; rescale them, or set tiny ones to 0"
        )
    if not bool(positive.any()):
        raise InputError("sample_weight is 0 in every row: give at least one row a weight")
    return weight


def _cluster_codes(column: Column) -> NDArray[np.int64]:
    codes, labels = dense_codes(column)
    if len(labels) < 2:
        raise InputError(
            f"cluster has one value ({labels[0]!r}) only: at least 2 clusters are needed to "
            "estimate a standard error"
        )
    return codes


def _with_groups(columns: Columns, groups: dict[str, Column]) -> Columns:
    if not groups:
        return columns
    from dataclasses import replace

    coded = {name: dense_codes(column) for name, column in groups.items()}
    combined = np.zeros(columns.n, dtype=np.int64)
    for codes, labels in coded.values():
        combined = combined * len(labels) + codes
    present, group = np.unique(combined, return_inverse=True)
    group_labels: list[tuple[Hashable, ...]] = []
    for code in present.tolist():
        parts: list[Hashable] = []
        rest = code
        for _, labels in reversed(coded.values()):
            rest, position = divmod(rest, len(labels))
            parts.append(labels[position])
        group_labels.append(tuple(reversed(parts)))
    if columns.weight is not None:
        empty = np.bincount(group.ravel(), columns.weight > 0) == 0
        if bool(empty.any()):
            label = group_labels[int(np.argmax(empty))]
            raise InputError(
                f"by: the group {label if len(label) > 1 else label[0]!r} has no row with a "
                "positive sample_weight: leave its rows out"
            )
    return replace(
        columns,
        group=group.astype(np.int64, copy=False).ravel(),
        group_labels=tuple(group_labels),
        group_names=tuple(groups),
    )
