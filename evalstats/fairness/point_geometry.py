"""Distance covariance with one block of attributes of any kind: O(n^2) time, O(n) memory."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalstats.fairness.geometry import (
    Geometry,
    Parts,
    Ranking,
    centre_values,
    combine,
    variance_slopes,
)
from evalstats.fairness.kernels import row_distances
from evalstats.fairness.point_kernels import point_products, point_sums
from evalstats.inference.resampling import parallel_map

Array = NDArray[np.float64]

# Rows whose distances to one row are computed together; they stay in the fastest cache.
TILE = 512
# Tasks of a sweep, each with sums of its own: fixed, so that threads change no digit.
TASKS = 8


@dataclass(frozen=True)
class PointGeometry(Geometry):
    """One block of any columns; every pair of rows is looked at once.

    Attributes
    ----------
    columns : float64 array (columns, n)
        Encoded attributes, transposed.
    """

    columns: Array
    c: float = 0.0
    n_blocks: int = 1

    @classmethod
    def of(cls, points: Array) -> "PointGeometry":
        """Geometry of points (n, columns)."""
        return cls(np.ascontiguousarray(points.T))

    def _swept(self, part: Callable[[int, int], Array]) -> Array:
        n = self.columns.shape[1]
        tasks = min(TASKS, -(-n // TILE))
        work = n * n // 2
        parts = parallel_map(lambda task: part(task, tasks), list(range(tasks)), work)
        total = parts[0]
        for other in parts[1:]:
            total += other
        return total

    def _products(self, ranking: Ranking, weights: Array) -> Array:
        """Sums over j of w_j d_ij and of w_j a_ij d_ij, for each row."""
        y, weights = ranking.in_rows, np.ascontiguousarray(weights)
        return self._swept(
            lambda task, step: point_products(self.columns, y, weights, task, step, TILE)
        )

    def _squares(self, weights: Array) -> Array:
        """Squared distance of each row from the weighted mean."""
        centred = self.columns - (self.columns @ weights / weights.sum())[:, np.newaxis]
        return np.asarray((centred**2).sum(axis=0))

    def parts(self, ranking: Ranking, weights: Array, unbiased: bool) -> Parts:
        """Values; see :class:`Geometry`."""
        total = float(weights.sum())
        a = row_distances(ranking.y, ranking.order, weights)
        b, products = self._products(ranking, weights)
        raw = float(weights @ products)
        sum_b = float(weights @ b)
        value = combine(raw, float((weights * a) @ b), float(weights @ a), sum_b, total, unbiased)
        square = 2.0 * total * float(weights @ self._squares(weights))
        spread = combine(square, float(weights @ b**2), sum_b, sum_b, total, unbiased)
        return Parts(value, 0.0, ranking.variance(weights, unbiased), spread)

    def influence(self, ranking: Ranking, weights: Array) -> Parts:
        """Influence values; see :class:`Geometry`."""
        share = weights / weights.sum()
        a, variance = ranking.variance_influence(share)
        b, products = self._products(ranking, share)
        first, second = share * a, share * b
        by_a, by_b = self._swept(
            lambda task, step: point_sums(self.columns, first, second, task, step, TILE)
        )
        g = products - a * b
        g -= row_distances(ranking.y, ranking.order, second) - a * float(second.sum())
        g -= by_a - b * float(first.sum())
        squares = self._squares(share)
        squares = squares + float(share @ squares)
        return Parts(
            2.0 * centre_values(g, share),
            np.zeros(len(share)),
            variance,
            variance_slopes(squares, b, by_b, share),
        )
