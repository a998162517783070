"""Roles and the validated columns that fill them."""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from evalstats.errors import InputError

Column = NDArray[Any]


class Records(ABC):
    """One structured record per sampling unit, such as an image with its maps or detections.

    An estimator whose units are no single numbers brings its data into such a column in ``_read``;
    weights, clusters, groups and resampling then work as for arrays of numbers.
    """

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of units."""

    @abstractmethod
    def __getitem__(self, units: NDArray[np.int64]) -> Self:
        """Return the given units, in that order, without copying what they share."""

    def missing_units(self) -> NDArray[np.bool_] | None:
        """Units with a missing value; None where there is none."""
        return None


@dataclass(frozen=True)
class Role:
    """What one argument of ``fit`` stands for.

    Parameters
    ----------
    name : str
        The argument of ``fit`` and, with hyphens, the command-line option.
    kind : {"label", "score", "code", "records"}
        Labels are compared for equality, scores are numbers, codes name groups, records are
        :class:`Records`.
    per_model : bool
        Several models may each bring their own column.
    matrix : bool
        One model may bring several columns, one for each class.
    required : bool
        Whether the argument may be None.
    help : str
        One line for the command line.
    """

    name: str
    kind: Literal["label", "score", "code", "records"]
    per_model: bool = False
    matrix: bool = False
    required: bool = True
    help: str = ""


@dataclass(frozen=True)
class Columns:
    """The rows of one analysis: a column for each role, and how rows form units.

    Attributes
    ----------
    single : dict of str to array
        Roles that all models share; an array or :class:`Records`.
    models : dict of str to dict of str to array
        For each role that models bring, model name to its column, in the order given.
    weight : array or None
        ``sample_weight`` of each row.
    cluster : array or None
        Dense cluster code of each row.
    n_dropped : int
        Rows left out because of missing values.
    """

    n: int
    single: dict[str, Column]
    models: dict[str, dict[str, Column]]
    weight: NDArray[np.float64] | None = None
    cluster: NDArray[np.int64] | None = None
    group: NDArray[np.int64] | None = None
    group_labels: tuple[tuple[Hashable, ...], ...] = ()
    group_names: tuple[str, ...] = ()
    n_dropped: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def model_names(self) -> list[str]:
        """Names of the models, in the order given."""
        return list(next(iter(self.models.values()))) if self.models else []

    def take(self, rows: NDArray[np.int64]) -> "Columns":
        """Return the given rows, in that order, without their grouping."""
        return replace(
            self,
            n=len(rows),
            single={role: column[rows] for role, column in self.single.items()},
            models={
                role: {model: column[rows] for model, column in columns.items()}
                for role, columns in self.models.items()
            },
            weight=None if self.weight is None else self.weight[rows],
            cluster=None if self.cluster is None else self.cluster[rows],
            group=None,
        )

    def with_columns(
        self,
        single: dict[str, Column] | None = None,
        models: dict[str, dict[str, Column]] | None = None,
        **extra: Any,
    ) -> "Columns":
        """Return a copy in which the named roles hold validated columns."""
        return replace(
            self,
            single={**self.single, **(single or {})},
            models={**self.models, **(models or {})},
            extra={**self.extra, **extra},
        )


def is_hashable(value: object) -> bool:
    """Whether a value can be a label."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def dense_codes(values: Column) -> tuple[NDArray[np.int64], list[Hashable]]:
    """Codes 0..g-1 of `values` and the distinct values, sorted where they can be."""
    if values.dtype == np.longdouble:
        values = values.astype(np.float64)  # tables have no wider numbers
    try:
        labels, codes = np.unique(values, return_inverse=True)
        if values.dtype != object or all(map(is_hashable, labels)):
            return codes.astype(np.int64, copy=False).ravel(), labels.tolist()
    except (TypeError, ValueError):
        pass
    order: dict[Hashable, int] = {}
    try:
        codes = np.fromiter(
            (order.setdefault(value, len(order)) for value in values.tolist()),
            dtype=np.int64,
            count=len(values),
        )
    except TypeError as error:
        raise InputError(f"a column of labels or groups holds no single values: {error}") from error
    return codes, list(order)


def require_same_length(argument: str, column: Column, n: int, reference: str) -> None:
    """Refuse a column whose number of rows differs from that of the first role."""
    if len(column) != n:
        raise InputError(
            f"{argument} has {len(column)} rows but {reference} has {n}: pass one row per unit"
        )
