"""Length-balanced win rate: mean of the rates among longer and among shorter answers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalstats.winrate.design import Rows, length_difference
from evalstats.winrate.judgements import Judgements

Array = NDArray[np.float64]


@dataclass(frozen=True)
class BalancedRates:
    """Percentages of all judgements and on which side of the baseline's length they lie.

    Attributes
    ----------
    n_items : int
        Number of instructions.
    rows : Rows
        Judgements; the one column of the design is the sign of the length difference.
    """

    n_items: int
    rows: Rows

    @classmethod
    def of(cls, columns: Judgements) -> "BalancedRates":
        """Gather the judgements that have a preference."""
        parts = []
        for name, block in columns.blocks.items():
            used = np.isfinite(block.y)
            sign = np.sign(length_difference(block, name))[used, np.newaxis]
            parts.append((sign, 100.0 * block.y[used], block.weight[used], block.item[used]))
        return cls(columns.n, Rows.stacked(parts))

    def values(self, weights: Array) -> Array:
        """One rate per model; the plain mean where one side has no answer. O(rows)."""
        return np.array(
            [
                np.mean([w @ y / w.sum() for w, y, _ in self._strata(model, weights)])
                for model in range(len(self.rows.offsets) - 1)
            ]
        )

    def influence(self, weights: Array) -> Array:
        """Derivative (items, models) of the rates by the weight of each instruction. O(rows)."""
        influence = np.zeros((self.n_items, len(self.rows.offsets) - 1))
        for model in range(influence.shape[1]):
            strata = self._strata(model, weights)
            for w, y, base in strata:
                item = self.rows.item[self.rows.of(model)]
                deviations = base * (y - w @ y / w.sum()) / (w.sum() * len(strata))
                influence[:, model] += np.bincount(item, deviations, self.n_items)
        return influence

    def require_defined(self) -> None:
        """Nothing can be undefined: every model has a judgement."""

    def _strata(self, model: int, weights: Array) -> list[tuple[Array, Array, Array]]:
        """Total weights, percentages and own weights, zero outside of each stratum in turn."""
        own = self.rows.of(model)
        sign, y = self.rows.design[own, 0], self.rows.y[own]
        total = self.rows.weight[own] * weights[self.rows.item[own]]
        longer, shorter = (total * (sign == side) for side in (-1.0, 1.0))
        if longer.sum() > 0 and shorter.sum() > 0:
            base = self.rows.weight[own]
            return [(longer, y, base * (sign == -1.0)), (shorter, y, base * (sign == 1.0))]
        return [(total, y, self.rows.weight[own])]
