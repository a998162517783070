"""What the distance between two people's protected attributes is.

=============  ==========================================  ===================================
type           ``"default"``                               ``"paper"``
=============  ==========================================  ===================================
binary         0 or 1                                      0 or 1
nominal        1 between any two levels                    sqrt(2) (one-hot columns, unscaled)
ordinal        |i - j| / (L - 1)                           |i - j| / (L - 1)
continuous     |x - x'| / standard deviation (n - 1)       |x - x'| / (max - min)
=============  ==========================================  ===================================
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalstats.data.columns import Column, dense_codes
from evalstats.data.validation import computable
from evalstats.errors import InputError
from evalstats.fairness.geometry import CellGeometry, Geometry, LineGeometry, Ranking
from evalstats.fairness.pair_geometry import all_pairs

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Encoding = Literal["default", "paper"]
Balance = Literal["mean-distance"]
AttributeType = Literal["binary", "nominal", "ordinal", "continuous"]

MAX_CELLS = 4096
# Below this many cells their tables are cheaper than any other way, however few the rows.
FEW_CELLS = 64
MAX_PAIR_ROWS = 50_000
# Rows looked at to see that an attribute has too many levels for cells.
PROBE = 4 * MAX_CELLS


@dataclass(frozen=True)
class Attribute:
    """One protected attribute, encoded once and reused for every group and every replicate.

    Attributes
    ----------
    name : str
        Name of the column.
    kind : {"binary", "nominal", "ordinal", "continuous"}
        Decides the distance.
    levels : list
        Value of each code.
    position : float64 array (L,)
        Place of each level on a line; for a nominal attribute its code.
    gap : float
        Distance between two levels of a nominal attribute.
    """

    name: str
    kind: AttributeType
    levels: list[Hashable]
    position: Array
    gap: float = 1.0

    @property
    def n_columns(self) -> int:
        """Columns of the embedding."""
        return len(self.levels) if self.kind == "nominal" else 1

    def squared(self, codes: Codes) -> Array:
        """Squared distances between the levels `codes`. O(K^2)."""
        if self.kind == "nominal":
            return self.gap**2 * np.not_equal(codes[:, np.newaxis], codes).astype(np.float64)
        place = self.position[codes]
        return np.asarray((place[:, np.newaxis] - place) ** 2)

    def embedded(self, codes: Codes) -> Array:
        """Coordinates (n, columns) whose Euclidean distance is the attribute's."""
        if self.kind != "nominal":
            return self.position[codes][:, np.newaxis]
        columns = self.gap / np.sqrt(2.0) * np.eye(len(self.levels))
        return np.asarray(columns[codes])

    def balanced(self, codes: Codes, weight: Array | None) -> "Attribute":
        """Return the attribute with a mean distance of 1 over all pairs of rows. O(n + L log L)."""
        mass = np.bincount(codes, weight, len(self.levels))
        share = mass / mass.sum()
        if self.kind == "nominal":
            mean = self.gap * (1.0 - float(share @ share))
            return replace(self, gap=self.gap / mean) if mean > 0 else self
        order = np.argsort(self.position)
        below = np.cumsum(share[order])[:-1]
        mean = 2.0 * float(np.diff(self.position[order]) @ (below * (1.0 - below)))
        return replace(self, position=self.position / mean) if mean > 0 else self


@dataclass(frozen=True)
class Types:
    """What the user said about the attributes.

    Attributes
    ----------
    nominal, ordinal, continuous : sequence of str
        Names of attributes.
    levels : mapping of str to sequence
        Levels of an ordinal attribute from low to high.
    """

    nominal: Sequence[Hashable] = ()
    ordinal: Sequence[Hashable] = ()
    continuous: Sequence[Hashable] = ()
    levels: Mapping[str, Sequence[Hashable]] | None = None

    def check(self, names: Sequence[str]) -> None:
        """Refuse names that are no attribute, and an attribute of two types."""
        seen: dict[Hashable, str] = {}
        ordered = list(self.levels or {})
        for kind, given in (
            ("nominal", self.nominal),
            ("ordinal", [*self.ordinal, *(name for name in ordered if name not in self.ordinal)]),
            ("continuous", self.continuous),
        ):
            if isinstance(given, str):
                raise InputError(f"{kind}={given!r}: pass a list of names")
            for name in given:
                if name not in names:
                    raise InputError(
                        f"{kind} names {name!r}, which is no protected attribute: choose from "
                        f"{list(names)}"
                    )
                if seen.get(name, kind) != kind:
                    raise InputError(f"{name!r} is declared {seen[name]} and {kind}: choose one")
                seen[name] = kind

    def declared(self, name: str) -> AttributeType | None:
        """Type that the user gave."""
        if name in self.nominal:
            return "nominal"
        if name in self.ordinal or name in (self.levels or {}):
            return "ordinal"
        return "continuous" if name in self.continuous else None


def encode(
    name: str, column: Column, types: Types, encoding: Encoding, weight: Array | None
) -> tuple[Attribute, Codes]:
    """Type, levels and distances of one attribute, and the code of each row.

    Raises
    ------
    InputError
        If whole numbers with more than two values come without a type, values are not finite, or a
        value is not among the given levels.
    """
    if column.dtype.kind == "c":
        raise InputError(f"{_label(name)} is complex: pass numbers or labels")
    if column.dtype.kind == "f" and not bool(np.isfinite(column).all()):
        row = int(np.argmin(np.isfinite(column)))
        raise InputError(f"{_label(name)} is infinite in row {row}: pass finite numbers")
    if column.dtype.kind == "f":
        computable(_label(name), column)
    given = (types.levels or {}).get(name)
    if given is not None:
        codes, levels = _ordered(name, column, list(given))
    else:
        codes, levels = dense_codes(column)
    kind = types.declared(name) or _guessed(name, column, levels)
    if kind == "ordinal" and given is None and column.dtype.kind not in "biuf":
        raise InputError(
            f"{_label(name)} is ordinal with labels: give their order, levels={{{name!r}: [...]}}"
        )
    position = np.arange(len(levels), dtype=np.float64)
    if kind in ("ordinal", "binary"):
        position /= max(len(levels) - 1, 1)
    if kind == "continuous":
        position = _scaled(name, levels, codes, encoding, weight)
    gap = np.sqrt(2.0) if encoding == "paper" else 1.0
    return Attribute(name, kind, levels, position, float(gap)), codes


def _label(name: str) -> str:
    return f"protected[{name!r}]"


def _ordered(name: str, column: Column, levels: list[Hashable]) -> tuple[Codes, list[Hashable]]:
    place = {level: code for code, level in enumerate(levels)}
    if len(place) < len(levels):
        raise InputError(f"levels[{name!r}] names a level twice")
    codes, present = dense_codes(column)
    unseen = [code for code, level in enumerate(present) if level not in place]
    if unseen:
        row = int(np.argmax(codes == unseen[0]))
        raise InputError(
            f"{_label(name)} is {present[unseen[0]]!r} in row {row}, which levels does not name"
        )
    return np.array([place[level] for level in present], dtype=np.int64)[codes], levels


def _guessed(name: str, column: Column, levels: list[Hashable]) -> AttributeType:
    if len(levels) <= 2:
        return "binary"
    if column.dtype.kind not in "biuf" and not all(
        isinstance(level, int | float) for level in levels
    ):
        return "nominal"
    if column.dtype.kind == "f" and bool((column != np.round(column)).any()):
        return "continuous"
    raise InputError(
        f"{_label(name)} holds {len(levels)} different whole numbers: declare {name!r} as nominal, "
        "ordinal or continuous, by the option of that name"
    )


def _scaled(
    name: str, levels: list[Hashable], codes: Codes, encoding: Encoding, weight: Array | None
) -> Array:
    try:
        values = np.array(levels, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{_label(name)} is continuous but has values that are no numbers"
        ) from error
    mass = np.bincount(codes, weight, len(values)).astype(np.float64)
    present = values[mass > 0]
    if encoding == "paper":
        spread = float(present.max() - present.min())
    else:
        total = float(mass.sum())
        # Fractional weights have no number of observations but that of the rows.
        fractional = weight is not None and bool((weight != np.round(weight)).any())
        n = float(np.count_nonzero(weight)) if weight is not None and fractional else total
        mean = float(mass @ values) / total
        variance = float(mass @ (values - mean) ** 2) / total
        spread = float(np.sqrt(variance * n / (n - 1))) if n > 1 else 0.0
    return values / spread if spread > 0 else np.zeros_like(values)


def joint_codes(codes: Sequence[Codes], sizes: Sequence[int]) -> tuple[Codes, Codes] | None:
    """Joint level of each row and a row that has it; None above the limit. O(n) per attribute."""
    n = len(codes[0])
    if n > PROBE:
        head = joint_codes([column[:PROBE] for column in codes], sizes)
        if head is None:
            return None
    joint = codes[0]
    size = sizes[0]
    for column, levels in zip(codes[1:], sizes[1:], strict=True):
        if size * levels > 2**40:
            joint, size = _compressed(joint, size)
        joint = joint * levels + column
        size *= levels
    joint, size = _compressed(joint, size)
    if size > MAX_CELLS:
        return None
    first = np.empty(size, dtype=np.int64)
    first[joint[::-1]] = np.arange(n - 1, -1, -1)
    return joint, first


def _compressed(codes: Codes, size: int) -> tuple[Codes, int]:
    if size <= 4 * len(codes) + 1024:
        present = np.bincount(codes, minlength=size) > 0
        table = np.cumsum(present) - 1
        return table[codes].astype(np.int64, copy=False), int(present.sum())
    levels, joint = np.unique(codes, return_inverse=True)
    return joint.astype(np.int64, copy=False).ravel(), len(levels)


def geometry_of(
    attributes: Sequence[Attribute],
    codes: Sequence[Codes],
    *,
    joint: bool,
    c: float,
    limit: int | None = MAX_PAIR_ROWS,
) -> Geometry:
    """The cheapest geometry of some attributes: cells, one line, or pairs.

    Raises
    ------
    InputError
        If all pairs of more than `limit` rows would have to be looked at.
    """
    n = len(codes[0])
    cells = joint_codes(codes, [len(item.levels) for item in attributes])
    if cells is not None and (len(cells[1]) <= FEW_CELLS or 4 * len(cells[1]) <= n):
        cell, first = cells
        squares = [
            item.squared(column[first]) for item, column in zip(attributes, codes, strict=True)
        ]
        if joint:
            return CellGeometry(cell, tuple(np.sqrt(square) for square in squares), c)
        return CellGeometry(cell, (np.sqrt(np.sum(squares, axis=0)),), 0.0)
    if len(attributes) == 1 and attributes[0].n_columns == 1:
        return LineGeometry(Ranking.of(attributes[0].position[codes[0]]))
    if limit is not None and n > limit:
        raise InputError(
            f"protected has more than {MAX_CELLS} joint levels in {n} rows, which takes {n}^2 / 2 "
            "distances: round the continuous attributes, or estimate from random blocks with "
            "evalstats.fairness.approximation.block_distance_covariance"
        )
    columns = [item.embedded(column) for item, column in zip(attributes, codes, strict=True)]
    widths = (
        [column.shape[1] for column in columns] if joint else [sum(c.shape[1] for c in columns)]
    )
    offsets = np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)
    return all_pairs(np.hstack(columns), offsets, c if joint else 0.0)
