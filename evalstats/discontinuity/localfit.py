"""Both limits of every outcome column at the cutoff, and their influence values."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evalstats.discontinuity.kernels import (
    MAX_CONDITION,
    fill_smoother,
    intercept_influence,
    local_coefficients,
)
from evalstats.discontinuity.sides import KERNEL_CODES, Side
from evalstats.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Solved:
    """Coefficients (order + 1, Q) and the largest leverages (Q,) of both sides, for one weight."""

    weights: tuple[Array, Array]
    coefficients: tuple[Array, Array]
    leverages: tuple[Array, Array]


@dataclass(frozen=True)
class LocalFit:
    """Outcome columns in the windows of both sides.

    Attributes
    ----------
    sides : tuple of Side
        Units within the widest window, below and above.
    columns : tuple of float64 array (Q, n_side)
        Their outcomes.
    h : float64 array (2, Q)
        Bandwidth of each side and column.
    kernel, order : str, int
        Kernel and order of the polynomial.
    """

    sides: tuple[Side, Side]
    columns: tuple[Array, Array]
    h: Array
    kernel: str
    order: int
    _solved: list[_Solved] = field(default_factory=list, repr=False, compare=False)

    @classmethod
    def of(
        cls, sides: tuple[Side, Side], outcome: Array, h: Array, kernel: str, order: int
    ) -> "LocalFit":
        """Keep the rows of the outcome (units, Q) that the windows reach."""
        near = tuple(side.within(float(row.max())) for side, row in zip(sides, h, strict=True))
        columns = tuple(side.columns(outcome) for side in near)
        return cls((near[0], near[1]), (columns[0], columns[1]), h, kernel, order)

    def coefficients(self, weights: Array) -> tuple[Array, Array]:
        """Coefficients (order + 1, Q) of the sides; NaN where a fit is singular."""
        masses = [weights[side.rows] for side in self.sides]
        # The sample's own weights come back for the value, the influence and the diagnoses.
        for solved in self._solved:
            if all(map(np.array_equal, solved.weights, masses)):
                return solved.coefficients
        code = KERNEL_CODES[self.kernel]
        below, above = (
            local_coefficients(side.x, mass, h, columns, code, self.order)[0]
            for side, mass, h, columns in zip(self.sides, masses, self.h, self.columns, strict=True)
        )
        return below, above

    def limits(self, weights: Array) -> Array:
        """Limits (2, Q) of the outcome at the cutoff, below first."""
        below, above = self.coefficients(weights)
        return np.vstack([below[0], above[0]])

    def influence(self, weights: Array, *, copies: bool) -> tuple[Array, Array]:
        """Leave-one-out influence (Q, n_side) on the limit of each side."""
        code = KERNEL_CODES[self.kernel]
        blocks = []
        for side, h, columns in zip(self.sides, self.h, self.columns, strict=True):
            block = np.empty_like(columns)
            intercept_influence(
                side.x, weights[side.rows], h, columns, code, self.order, copies, True, block
            )
            blocks.append(block)
        return blocks[0], blocks[1]

    def largest_leverage(self) -> float:
        """Largest leverage of a unit on a limit, under the weights of `require_estimable`."""
        return max(float(rows.max()) for rows in self._solved[0].leverages)

    def smoother(self, side: int, q: int, weights: Array) -> tuple[Array, Array, float]:
        """Intercept weights, leverages and condition number of one column's window."""
        part = self.sides[side]
        rows = np.zeros((self.order + 1, len(part.x)))
        leverage = np.zeros(len(part.x))
        mass = weights[part.rows]
        _, condition = fill_smoother(
            part.x, mass, float(self.h[side, q]), KERNEL_CODES[self.kernel], rows, leverage
        )
        return rows[0] * mass, leverage * mass, float(condition)

    def require_estimable(self, what: str, grid: Array, weights: Array) -> None:
        """Refuse windows whose polynomial cannot be told apart, naming side and quantile."""
        code = KERNEL_CODES[self.kernel]
        masses = [weights[side.rows] for side in self.sides]
        found = []
        for side, mass, h, columns in zip(self.sides, masses, self.h, self.columns, strict=True):
            # Windows are nested: the narrowest one has the fewest values.
            narrow = int(np.argmin(h))
            closed = self.kernel == "uniform"
            within = side.within(float(h[narrow]), closed=closed)
            units, distinct = len(within.x), within.n_distinct
            if distinct < self.order + 1 or units < self.order + 2:
                raise InputError(
                    f"{_place(what, side, h, grid, narrow)} holds {units} units with "
                    f"{distinct} distinct values of running, but a fit of order {self.order} needs "
                    f"{self.order + 2} units and {self.order + 1} values: widen the bandwidth or "
                    "lower p"
                )
            solved = local_coefficients(side.x, mass, h, columns, code, self.order)
            found.append(solved)
            conditions = solved[1]
            worst = int(np.argmax(conditions))
            if not conditions[worst] < MAX_CONDITION:
                raise InputError(
                    f"{_place(what, side, h, grid, worst)} has a singular fit (condition number "
                    f"{conditions[worst]:.1e}): widen the bandwidth or lower p"
                )
        below, above = found
        self._solved[:] = [
            _Solved((masses[0], masses[1]), (below[0], above[0]), (below[2], above[2]))
        ]


def _place(what: str, side: Side, h: Array, grid: Array, q: int) -> str:
    quantile = f", quantile {grid[q]:g}" if len(grid) > 1 else ""
    return f"{what}: the window {side.name} the cutoff (h = {h[q]:.6g}{quantile})"
