"""Joint distance covariance from all pairs of rows: O(n^2) time, O(n) memory."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalstats.fairness.geometry import (
    Geometry,
    Parts,
    Ranking,
    among_attributes,
    centre_values,
    centring,
    combine,
)
from evalstats.fairness.pair_kernels import distance_sums, product_sums, squared_distance_total
from evalstats.fairness.point_geometry import PointGeometry
from evalstats.inference.resampling import parallel_map

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

# Rows of one task of an all-pairs sweep.
BLOCK_ROWS = 256


@dataclass(frozen=True)
class PairGeometry(Geometry):
    """Two or more blocks of attributes of any kind; every pair of rows is looked at.

    Attributes
    ----------
    points : float64 array (n, columns)
        Encoded attributes.
    offsets : int64 array (blocks + 1,)
        Columns of each block.
    """

    points: Array
    offsets: Codes
    c: float
    scaled: bool = False

    @property
    def n_blocks(self) -> int:  # type: ignore[override]
        """Number of blocks."""
        return len(self.offsets) - 1

    def parts(self, ranking: Ranking, weights: Array, unbiased: bool) -> Parts:
        """Values; see :class:`Geometry`."""
        joined = self._with(ranking.in_rows[:, np.newaxis])
        value, among, variances = joined.value(weights, unbiased)
        if self.scaled:
            value *= np.sqrt(variances[0])
        return Parts(value, among, variances[0], np.nan)

    def _with(self, prediction: Array) -> "JoinedPoints":
        points = np.ascontiguousarray(np.hstack([prediction, self.points]))
        offsets = np.concatenate([[0], self.offsets + prediction.shape[1]]).astype(np.int64)
        return JoinedPoints(points, offsets, self.c, self.scaled)

    def influence(self, ranking: Ranking, weights: Array) -> Parts:
        """Influence values; see :class:`Geometry`."""
        share = weights / weights.sum()
        joined = self._with(ranking.in_rows[:, np.newaxis])
        blocks = self.n_blocks
        means = joined.sums(np.repeat(share[:, np.newaxis], blocks + 1, axis=1))
        grand = share @ means
        products = joined.products(share, means, grand, np.ones(blocks + 1))
        q = products[:, 0]
        pulls = np.empty((len(share), blocks + 1))
        pulls[:, 0] = share * q
        pulls[:, 1:] = share[:, np.newaxis] * products[:, 3 + blocks :]
        moved = joined.sums(np.ascontiguousarray(pulls)) - means * pulls.sum(axis=0)
        dependence = 2.0 * (products[:, 2] + moved.sum(axis=1))
        _, variance = ranking.variance_influence(share)
        pulls[:, 0] = 0.0
        pulls[:, 1:] = share[:, np.newaxis] * products[:, 3 : 3 + blocks]
        moved = joined.sums(np.ascontiguousarray(pulls)) - means * pulls.sum(axis=0)
        among = centre_values(2.0 * self.c * (q + moved.sum(axis=1)), share)
        return Parts(centre_values(dependence, share), among, variance, np.nan)


@dataclass(frozen=True)
class JoinedPoints:
    """All variables as blocks of columns; block 0 takes the place of the prediction."""

    points: Array
    offsets: Codes
    c: float
    scaled: bool = False

    def _swept(self, sweep: "object", n_columns: int) -> Array:
        n = len(self.points)
        starts = list(range(0, n, BLOCK_ROWS))
        work = 10 * n * n * n_columns
        blocks = parallel_map(
            lambda start: sweep(start, min(start + BLOCK_ROWS, n)),  # type: ignore[operator]
            starts,
            work,
        )
        return np.concatenate(blocks)

    def sums(self, weights: Array) -> Array:
        """Weighted sums of distances of each row, per block."""
        return self._swept(
            lambda start, stop: distance_sums(self.points, self.offsets, weights, start, stop),
            self.points.shape[1],
        )

    def products(self, weights: Array, centre: Array, grand: Array, scale: Array) -> Array:
        """Row sums of products, see :func:`product_sums`."""
        centre = np.ascontiguousarray(centre)
        return self._swept(
            lambda start, stop: product_sums(
                self.points, self.offsets, weights, centre, grand, scale, self.c, start, stop
            ),
            2 * self.points.shape[1],
        )

    def variance(self, block: int, weights: Array, sums: Array, unbiased: bool) -> float:
        """dVar2 of one block from its row sums."""
        first, last = self.offsets[block : block + 2]
        raw = squared_distance_total(self.points, weights, int(first), int(last))
        total = float(weights @ sums)
        cross = float(weights @ sums**2)
        return combine(raw, cross, total, total, float(weights.sum()), unbiased)

    def value(self, weights: Array, unbiased: bool) -> tuple[float, float, list[float]]:
        """Dependence of block 0 on the others, the part among the others, dVar2 of each block."""
        total = float(weights.sum())
        blocks = len(self.offsets) - 1
        sums = self.sums(np.repeat(weights[:, np.newaxis], blocks, axis=1))
        grand = weights @ sums
        variances = [self.variance(b, weights, sums[:, b], unbiased) for b in range(blocks)]
        if unbiased and total <= 3:
            return np.nan, np.nan, variances
        centres = [centring(sums[:, b], float(grand[b]), total, unbiased) for b in range(blocks)]
        centre = np.column_stack([item for item, _ in centres])
        middle = np.array([item for _, item in centres])
        scale = np.ones(blocks)
        if self.scaled:
            known = np.array(variances) > 0
            scale = np.where(known, 1.0 / np.sqrt(np.where(known, variances, 1.0)), np.nan)
        products = self.products(weights, centre, middle, scale)
        q = products[:, 0]
        if unbiased:
            q = q - np.prod((2.0 * centre[:, 1:] - middle[1:]) * scale[1:] + self.c, axis=1)
        a = sums[:, 0]
        s = float(weights @ q)
        raw = float(weights @ products[:, 1])
        cross = float((weights * a) @ q)
        value = -combine(raw, cross, float(grand[0]), s, total, unbiased)
        among = among_attributes(s, total, self.c, blocks - 1, unbiased)
        return value * (float(scale[0]) if self.scaled else 1.0), among, variances


def all_pairs(points: Array, offsets: Codes, c: float, scaled: bool = False) -> Geometry:
    """The geometry of one block, which is far cheaper, or of several."""
    if len(offsets) == 2:
        return PointGeometry.of(points)
    return PairGeometry(np.ascontiguousarray(points), offsets, c, scaled)
