"""The two sides of the cutoff, in the layout that the kernels want."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalstats.discontinuity.kernels import side_by_distance

Array = NDArray[np.float64]

KERNEL_CODES = {"triangular": 0, "epanechnikov": 1, "uniform": 2}
SIDE_NAMES = ("below", "above")


@dataclass(frozen=True)
class Side:
    """Units of one side of the cutoff, ordered by their distance from it.

    Attributes
    ----------
    name : str
        "below" or "above".
    rows : int64 array (n,)
        Row of each unit in the sample.
    x : float64 array (n,)
        Signed distance from the cutoff, ascending in absolute value.
    """

    name: str
    rows: NDArray[np.int64]
    x: Array

    def columns(self, outcome: Array) -> Array:
        """Rows of the (units, Q) outcome as contiguous (Q, n) columns."""
        return np.ascontiguousarray(outcome[self.rows].T)

    def within(self, h: float, *, closed: bool = True) -> "Side":
        """Keep the units whose distance is at most h, or below it."""
        # Distances ascend, so x descends below the cutoff.
        ascending = self.x if self.name == "above" else -self.x
        stop = int(np.searchsorted(ascending, h, side="right" if closed else "left"))
        return Side(self.name, self.rows[:stop], self.x[:stop])

    @property
    def n_distinct(self) -> int:
        """Distinct values of x. O(n), as they are sorted."""
        return int(np.count_nonzero(np.diff(self.x))) + (len(self.x) > 0)


def split_sides(x: Array) -> tuple[Side, Side]:
    """Units below, and at or above, the cutoff 0. O(n)."""
    x = np.ascontiguousarray(x)
    below, above = (Side(name, *side_by_distance(x, name == "above")) for name in SIDE_NAMES)
    return below, above


def kernel_moments(kernel: str, powers: NDArray[np.int64]) -> Array:
    """Integrals of u^j K(u) over [0, 1]."""
    j = powers.astype(np.float64)
    if kernel == "triangular":
        return np.asarray(1.0 / ((j + 1.0) * (j + 2.0)))
    if kernel == "epanechnikov":
        return np.asarray(0.75 * (1.0 / (j + 1.0) - 1.0 / (j + 3.0)))
    return np.asarray(0.5 / (j + 1.0))


def bias_constant(kernel: str, order: int, power: int) -> float:
    """Share of the next coefficient that enters coefficient `power` of a boundary fit.

    Entry `power` of Gamma^-1 Lambda with Gamma_ij = int u^(i+j) K and Lambda_i = int u^(i+order+1)
    K over [0, 1] (Fan and Gijbels 1996, section 3.2); times h^(order + 1 - power) it is the bias.
    """
    index = np.arange(order + 1)
    gram = kernel_moments(kernel, np.add.outer(index, index))
    return float(np.linalg.solve(gram, kernel_moments(kernel, index + order + 1))[power])
