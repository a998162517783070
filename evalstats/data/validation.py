"""What a column must hold: binary labels, class labels, finite scores, class probabilities."""

from collections.abc import Hashable

import numpy as np
from numpy.typing import NDArray

from evalstats.data.columns import Column, dense_codes
from evalstats.errors import InputError

LARGEST_NUMBER = 1e70


def binary_labels(argument: str, column: Column, pos_label: Hashable | None) -> NDArray[np.bool_]:
    """Turn labels into a mask of positives: bool, 0/1, or any two values with a `pos_label`.

    Raises
    ------
    InputError
        If there are more than two labels, if they are not 0/1 and no `pos_label` is given, or if
        `pos_label` does not occur.
    """
    if column.dtype == np.bool_ and pos_label in (None, True):
        return np.require(column, np.bool_, ["C", "W"])
    if column.dtype.kind in "iu" and pos_label is None and _zero_or_one(column):
        return np.ascontiguousarray(column.astype(np.bool_))
    if column.dtype.kind in "biuf" and pos_label is None:
        positive = column == 1
        bad = ~(positive | (column == 0))
        if bool(bad.any()):
            row = int(np.argmax(bad))
            raise InputError(
                f"{argument} is {column[row].item()!r} in row {row}: labels must be 0/1 or "
                "boolean, or name the positive class with pos_label= (several classes: "
                "multiclass='ovr')"
            )
        return np.ascontiguousarray(positive)
    _refuse_complex(argument, column)
    labels = dense_codes(column)[1]
    shown = ", ".join(repr(label) for label in labels[:5])
    if len(labels) > 2:
        raise InputError(f"{argument} has {len(labels)} labels ({shown}, ...): expected two")
    if pos_label is None:
        if set(labels) <= {0, 1}:
            return np.ascontiguousarray(np.array([value == 1 for value in column.tolist()]))
        raise InputError(f"{argument} has the labels {shown}: say which is positive by pos_label=")
    try:
        hash(pos_label)
    except TypeError:
        raise InputError(f"pos_label={pos_label!r}: expected a single value") from None
    if pos_label not in labels:
        raise InputError(f"pos_label={pos_label!r} does not occur in {argument} (labels: {shown})")
    return np.array([value == pos_label for value in column.tolist()], dtype=bool)


def class_labels(
    argument: str, column: Column, n_classes: int, labels: "list[Hashable] | None" = None
) -> tuple[NDArray[np.int64], list[Hashable]]:
    """Codes of class labels, and the class that each column of the scores stands for."""
    _refuse_complex(argument, column)
    codes, present = dense_codes(column)
    if labels is None:
        if len(present) == n_classes:
            return codes, present
        integers = all(isinstance(label, int) and 0 <= label < n_classes for label in present)
        if integers:
            return column.astype(np.int64), list(range(n_classes))
        raise InputError(
            f"{argument} has {len(present)} classes but the scores have {n_classes} columns: "
            "pass labels= with the class of each column"
        )
    if len(labels) != n_classes or len(set(labels)) != n_classes:
        raise InputError(f"labels must name the {n_classes} columns of the scores, each once")
    position = {label: index for index, label in enumerate(labels)}
    unknown = [label for label in present if label not in position]
    if unknown:
        row = int(np.argmax(codes == present.index(unknown[0])))
        raise InputError(f"{argument} is {unknown[0]!r} in row {row}, which labels= does not name")
    table = np.array([position[label] for label in present], dtype=np.int64)
    return table[codes], list(labels)


def finite_scores(argument: str, column: Column) -> Column:
    """Real, finite numbers in a contiguous array; float32 and integers keep their dtype."""
    _refuse_complex(argument, column)
    if column.dtype.kind == "O":
        try:
            if any(isinstance(value, complex | np.complexfloating) for value in column.ravel()):
                raise TypeError("complex numbers")
            column = column.astype(np.float64)
        except (ValueError, TypeError, OverflowError) as error:
            raise InputError(
                f"{argument} has dtype object with values that are no numbers: convert it first"
            ) from error
    if column.dtype.kind not in "biuf":
        raise InputError(f"{argument} has dtype {column.dtype}: scores must be real numbers")
    if column.dtype.kind == "f" and column.size and not _extremes_finite(column):
        finite = np.isfinite(column)
        if not bool(finite.all()):
            row = int(np.argmin(finite if finite.ndim == 1 else finite.all(axis=1)))
            raise InputError(
                f"{argument} has {int((~finite).sum())} infinite values (first in row {row}): "
                "scores must be finite"
            )
    if column.dtype == np.float16:
        column = column.astype(np.float32)
    elif column.dtype == np.longdouble and np.dtype(np.longdouble) != np.dtype(np.float64):
        column = column.astype(np.float64)
    return np.ascontiguousarray(column)


def computable(argument: str, column: Column) -> Column:
    """Finite numbers whose squares and sums are finite as well, for statistics of distances.

    Raises
    ------
    InputError
        If a number is beyond 1e70 in size.
    """
    column = finite_scores(argument, column)
    if column.dtype.kind == "f" and column.size:
        size = max(abs(float(column.min())), abs(float(column.max())))
        if size > LARGEST_NUMBER:
            where = np.abs(column) == column.dtype.type(size)
            row = int(np.argmax(where if where.ndim == 1 else where.any(axis=1)))
            raise InputError(
                f"{argument} is of size {size:g} in row {row}: numbers beyond {LARGEST_NUMBER:g} "
                "have no finite squares; rescale the column"
            )
    return column


def _zero_or_one(column: Column) -> bool:
    # For integers, the commonest labels, two extremes are all there is to check.
    return bool(len(column) and column.min() >= 0 and column.max() <= 1)


def _extremes_finite(column: Column) -> bool:
    # Extremes carry NaN on, and need no array of their own.
    return bool(np.isfinite(column.min()) and np.isfinite(column.max()))


def row_sums_to_one(argument: str, matrix: Column) -> None:
    """Refuse class probabilities whose rows do not sum to 1 within 1e-6."""
    off = np.abs(matrix.sum(axis=1, dtype=np.float64) - 1) > 1e-6
    if bool(off.any()):
        row = int(np.argmax(off))
        raise InputError(
            f"{argument} sums to {float(matrix[row].sum()):.6g} in row {row}: class probabilities "
            "must sum to 1 (scores without that property: multiclass='ovr', normalize=False)"
        )


def _refuse_complex(argument: str, column: Column) -> None:
    if column.dtype.kind == "c":
        raise InputError(f"{argument} is complex: pass real numbers")
