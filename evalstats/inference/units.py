"""Sampling units: which rows are drawn together, and which units share a stratum."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from evalstats.data.columns import Columns
from evalstats.errors import InputError

FEW_CLUSTERS = 30


@dataclass(frozen=True)
class Units:
    """How the rows of one analysis form units of sampling.

    Attributes
    ----------
    n_rows, n_units : int
        Number of rows and of units (clusters, or rows without clusters).
    unit_of_row : int64 array or None
        Unit of each row; None when every row is a unit.
    weight : float64 array or None
        ``sample_weight`` of each row.
    stratum : int64 array or None
        Stratum of each row, constant within a unit.
    """

    n_rows: int
    n_units: int
    unit_of_row: NDArray[np.int64] | None
    weight: NDArray[np.float64] | None
    stratum: NDArray[np.int64] | None = None

    @property
    def clustered(self) -> bool:
        """Whether several rows may form one unit."""
        return self.unit_of_row is not None

    @cached_property
    def row_weight(self) -> NDArray[np.float64]:
        """Weight of each row in the full data."""
        return np.ones(self.n_rows) if self.weight is None else self.weight

    @cached_property
    def unit_ids(self) -> NDArray[np.int64]:
        """Unit of each row, as an array."""
        return np.arange(self.n_rows) if self.unit_of_row is None else self.unit_of_row

    @cached_property
    def active(self) -> NDArray[np.bool_]:
        """Units with positive weight; a unit of weight 0 counts as absent."""
        if self.weight is None:
            return np.ones(self.n_units, dtype=bool)
        if self.unit_of_row is None:
            return self.weight > 0
        return np.bincount(self.unit_of_row, self.weight, self.n_units) > 0

    @cached_property
    def unit_stratum(self) -> NDArray[np.int64]:
        """Stratum of each unit (0 without strata)."""
        if self.stratum is None:
            return np.zeros(self.n_units, dtype=np.int64)
        if self.unit_of_row is None:
            return self.stratum
        of_unit = np.zeros(self.n_units, dtype=np.int64)
        of_unit[self.unit_of_row] = self.stratum
        mixed = of_unit[self.unit_of_row] != self.stratum
        if bool(mixed.any()):
            raise InputError(
                f"stratify varies within a cluster (first in row {int(np.argmax(mixed))}): strata "
                "must be unions of whole clusters"
            )
        return of_unit

    @cached_property
    def strata(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Active units ordered by stratum, and the offset of each stratum."""
        units = np.flatnonzero(self.active)
        codes = self.unit_stratum[units]
        order = np.argsort(codes, kind="stable")
        present, counts = np.unique(codes, return_counts=True)
        if len(present) == 0:
            raise InputError("sample_weight: no unit has a positive weight")
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return np.ascontiguousarray(units[order]), offsets


def sample_units(columns: Columns) -> Units:
    """Units of one sample: its rows, or the clusters that occur in it."""
    n_units = columns.n
    codes = None
    if columns.cluster is not None:
        present, inverse = np.unique(columns.cluster, return_inverse=True)
        n_units, codes = len(present), inverse.astype(np.int64, copy=False).ravel()
    return Units(columns.n, n_units, codes, columns.weight)
