"""Distance covariance of a prediction and protected attributes, as a function of row weights.

A *geometry* knows the attributes, a *ranking* the prediction. Notation: a_ij = |y_i - y_j|, d_ij
the distance of one block of attributes, U = -(centred distance), P_ij the product of U + c over the
blocks. With the weights w and their sum W,

    JdCov2_y = mean of Ua P,   JdCov2 = JdCov2_y + c (mean of P - c^p),

and one block with c = 0 is the ordinary squared distance covariance. Four geometries give the same
numbers: ``CellGeometry`` for K joint levels, O(nK); ``LineGeometry`` for one continuous attribute,
O(n log n); ``PointGeometry`` for any other block and ``PairGeometry`` for several, O(n^2) time and
O(n) memory.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalstats.fairness.kernels import (
    distance_moments,
    pair_table,
    permuted_sum,
    row_distances,
    row_products,
)
from evalstats.fairness.line_kernels import line_products, line_total

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


class Parts(NamedTuple):
    """What the statistics are made of.

    Attributes
    ----------
    dependence : float or array
        JdCov2_y, or dCov2 for one block with c = 0.
    among_attributes : float or array
        c times (JdCov2 among the attributes alone); 0 for one block.
    variance_prediction, variance_attributes : float or array
        dVar2; of the attributes for one block only, else NaN.
    """

    dependence: "float | Array"
    among_attributes: "float | Array"
    variance_prediction: "float | Array"
    variance_attributes: "float | Array"


@dataclass(frozen=True)
class Ranking:
    """One prediction, centred and sorted once.

    Attributes
    ----------
    y : float64 array (n,)
        Sorted prediction minus its mean.
    order : int64 array (n,)
        Row of each sorted value.
    """

    y: Array
    order: Codes
    _cells: dict[int, tuple[Codes, Codes]] = field(default_factory=dict, repr=False, compare=False)

    def sorted_cells(self, cell: Codes) -> Codes:
        """Cells in the order of the prediction, gathered once for all replicates."""
        key = id(cell)
        if key not in self._cells:
            # The cells themselves are kept too, so that their id stays theirs.
            self._cells[key] = cell, np.ascontiguousarray(cell[self.order])
        return self._cells[key][1]

    @classmethod
    def of(cls, prediction: NDArray[np.generic]) -> "Ranking":
        """Sort `prediction`."""
        values = np.asarray(prediction, dtype=np.float64)
        # Around the mean, sums of products cannot swamp the differences they are made of.
        values = values - values.mean()
        order = np.argsort(values)
        return cls(np.ascontiguousarray(values[order]), order)

    @cached_property
    def in_rows(self) -> Array:
        """The centred prediction in the order of the rows."""
        values = np.empty_like(self.y)
        values[self.order] = self.y
        return values

    @cached_property
    def rank(self) -> Codes:
        """Dense rank of each row."""
        steps = np.zeros(len(self.y), dtype=np.int64)
        steps[1:] = np.cumsum(self.y[1:] != self.y[:-1])
        rank = np.empty_like(steps)
        rank[self.order] = steps
        return rank

    def variance(self, weights: Array, unbiased: bool) -> float:
        """dVar2 of the prediction."""
        if len(self.y) == 0 or self.y[0] == self.y[-1]:
            return 0.0
        total, square, raw = distance_moments(self.y, self.order, weights)
        return combine(raw, square, total, total, float(weights.sum()), unbiased)

    def variance_influence(self, share: Array) -> tuple[Array, Array]:
        """Mean distances a_i and the influence of dVar2, V version, under shares of weight."""
        a = row_distances(self.y, self.order, share)
        mean = float(share @ self.in_rows)
        centred = self.in_rows - mean
        squares = centred**2 + float(share @ centred**2)
        crossed = row_distances(self.y, self.order, share * a)
        return a, variance_slopes(squares, a, crossed, share)


def variance_slopes(squares: Array, a: Array, crossed: Array, share: Array) -> Array:
    """2 (g - theta) with g_i the mean of the squared centred distances of row i."""
    grand = float(share @ a)
    g = squares - a**2 - 2.0 * crossed + 2.0 * grand * a + float(share @ a**2) - grand**2
    return np.asarray(2.0 * (g - float(share @ g)))


def combine(
    raw: float, cross: float, total_a: float, total_b: float, mass: float, unbiased: bool
) -> float:
    """Inner product of two centred matrices from the sums of the raw ones.

    `raw` is the sum of w_i w_j a b, `cross` the sum of w_i a_i b_i with the row sums a_i and b_i,
    `mass` the sum of the weights. NaN where the unbiased version has too few rows.
    """
    if not unbiased:
        if mass <= 0:
            return float("nan")
        return raw / mass**2 + (total_a / mass**2) * (total_b / mass**2) - 2.0 * cross / mass**3
    if mass <= 3:
        return float("nan")
    inner = raw - 2.0 / (mass - 2.0) * cross
    inner += total_a / (mass - 1.0) * total_b / (mass - 2.0)
    return inner / (mass * (mass - 3.0))


def centring(sums: Array, grand: float, mass: float, unbiased: bool) -> tuple[Array, float]:
    """What is subtracted for a row and added for the whole when distances are centred."""
    if mass <= (2.0 if unbiased else 0.0):
        return np.full_like(sums, np.nan), float("nan")
    if unbiased:
        return sums / (mass - 2.0), grand / ((mass - 1.0) * (mass - 2.0))
    return sums / mass, grand / mass**2


class Geometry(ABC):
    """Protected attributes, ready for any weights."""

    n_blocks: int
    c: float

    @abstractmethod
    def parts(self, ranking: Ranking, weights: Array, unbiased: bool) -> Parts:
        """Values under the given weights of the rows."""

    @abstractmethod
    def influence(self, ranking: Ranking, weights: Array) -> Parts:
        """Influence values (V version) of the rows, as derivatives by shares of weight."""

    def permutation_statistics(self, ranking: Ranking, unbiased: bool) -> "PermutedStatistic":
        """Function of a permutation of the rows that returns `dependence`."""
        return PermutedStatistic(self, ranking, unbiased)


@dataclass(frozen=True)
class PermutedStatistic:
    """The statistic when the rows of the attributes are permuted against the prediction."""

    geometry: Geometry
    ranking: Ranking
    unbiased: bool

    def __call__(self, permutation: Codes) -> float:
        """Dependence of the permuted rows."""
        shuffled = Ranking(self.ranking.y, permutation[self.ranking.order])
        weights = np.ones(len(permutation))
        return float(self.geometry.parts(shuffled, weights, self.unbiased).dependence)


@dataclass(frozen=True)
class CellGeometry(Geometry):
    """Attributes with K joint levels.

    Attributes
    ----------
    cell : int64 array (n,)
        Joint level of each row.
    distances : tuple of float64 arrays (K, K)
        Distances between the levels in each block.
    c : float
        Constant of the joint distance covariance.
    scaled : bool
        Divide each block by the square root of its dVar2 first.
    """

    cell: Codes
    distances: tuple[Array, ...]
    c: float
    scaled: bool = False

    @property
    def n_blocks(self) -> int:  # type: ignore[override]
        """Number of blocks."""
        return len(self.distances)

    def mass(self, weights: Array) -> Array:
        """Weight of each cell."""
        return np.bincount(self.cell, weights, len(self.distances[0])).astype(np.float64)

    def block_variance(self, block: int, mass: Array, unbiased: bool) -> float:
        """dVar2 of one block."""
        d = self.distances[block]
        sums = d @ mass
        raw = float(mass @ (d * d) @ mass)
        total = float(mass @ sums)
        return combine(raw, float(mass @ sums**2), total, total, float(mass.sum()), unbiased)

    def similarity(self, mass: Array, unbiased: bool) -> Array:
        """P, the product over the blocks of U + c, for pairs of different rows."""
        product = np.ones_like(self.distances[0])
        total = float(mass.sum())
        for block, d in enumerate(self.distances):
            sums = d @ mass
            centre, grand = centring(sums, float(mass @ sums), total, unbiased)
            u = centre[:, np.newaxis] + centre - grand - d
            if self.scaled:
                variance = self.block_variance(block, mass, unbiased)
                u = u / np.sqrt(variance) if variance > 0 else np.full_like(u, np.nan)
            product *= u + self.c
        return product

    def centred_similarity(self, weights: Array, unbiased: bool) -> tuple[Array, float]:
        """H, the centred P, and the number that turns sums of a H into the statistic."""
        mass = self.mass(weights)
        total = float(weights.sum())
        product = self.similarity(mass, unbiased)
        sums = product @ mass - (np.diag(product) if unbiased else 0.0)
        centre, grand = centring(sums, float(mass @ sums), total, unbiased)
        pairs = total * (total - 3.0) if unbiased else total**2
        if pairs <= 0:
            return np.full_like(product, np.nan), float("nan")
        return np.ascontiguousarray(product - centre[:, np.newaxis] - centre + grand), -1.0 / pairs

    def parts(self, ranking: Ranking, weights: Array, unbiased: bool) -> Parts:
        """Values; see :class:`Geometry`."""
        mass = self.mass(weights)
        total = float(weights.sum())
        product = self.similarity(mass, unbiased)
        table = pair_table(
            ranking.y, ranking.sorted_cells(self.cell), ranking.order, weights, len(mass)
        )
        return self.parts_of_table(table, mass, total, product, ranking, weights, unbiased)

    def parts_of_table(
        self,
        table: Array,
        mass: Array,
        total: float,
        product: Array,
        ranking: Ranking,
        weights: Array,
        unbiased: bool,
    ) -> Parts:
        """Values from the table of summed distances, which suits any encoding and any c."""
        rows = table.sum(axis=1)
        sums = product @ mass - (np.diag(product) if unbiased else 0.0)
        s = float(mass @ sums)
        raw = float((table * product).sum())
        # From 0, so that independence is 0 and not -0.
        dependence = 0.0 - combine(raw, float(rows @ sums), float(rows.sum()), s, total, unbiased)
        among = among_attributes(s, total, self.c, self.n_blocks, unbiased)
        single = self.n_blocks == 1
        return Parts(
            dependence,
            0.0 if single else among,
            ranking.variance(weights, unbiased),
            self.block_variance(0, mass, unbiased) if single else np.nan,
        )

    def influence(self, ranking: Ranking, weights: Array) -> Parts:
        """Influence values; see :class:`Geometry`."""
        total = float(weights.sum())
        share = weights / total
        mass = self.mass(share)
        product = self.similarity(mass, False)
        sorted_cell = ranking.sorted_cells(self.cell)
        a, variance = ranking.variance_influence(share)
        grand = float(share @ a)
        table = pair_table(ranking.y, sorted_cell, ranking.order, share, len(mass))
        rows = table.sum(axis=1)
        q = product @ mass
        own = -row_products(ranking.y, sorted_cell, ranking.order, share, product)
        own += a * q[self.cell] + (product @ rows - grand * q)[self.cell]
        weighted = share * q[self.cell]
        moved = row_distances(ranking.y, ranking.order, weighted) - a * float(weighted.sum())
        ua = np.outer(rows, mass) + np.outer(mass, rows) - table - grand * np.outer(mass, mass)
        dependence = 2.0 * (own + moved + self._by_blocks(mass, ua)[self.cell])
        pairs = np.outer(mass, mass)
        among = 2.0 * self.c * (q + self._by_blocks(mass, pairs))[self.cell]
        return Parts(
            centre_values(dependence, share),
            centre_values(among, share) if self.n_blocks > 1 else np.zeros(len(weights)),
            variance,
            self._variance_influence(mass, share) if self.n_blocks == 1 else np.nan,
        )

    def _by_blocks(self, mass: Array, pairs: Array) -> Array:
        """Per cell l, sum over blocks m and rows i of p_i r_i (d_il - d_l), r without block m."""
        result = np.zeros(len(mass))
        for block, d in enumerate(self.distances):
            rest = CellGeometry(
                self.cell,
                tuple(self.distances[:block]) + tuple(self.distances[block + 1 :]),
                self.c,
            )
            others = rest.similarity(mass, False) if rest.n_blocks else np.ones_like(d)
            remaining = (pairs * others).sum(axis=1)
            result += d @ remaining - d @ mass * remaining.sum()
        return result

    def _variance_influence(self, mass: Array, share: Array) -> Array:
        d = self.distances[0]
        sums = d @ mass
        value = variance_slopes((d * d) @ mass, sums, d @ (mass * sums), mass)
        return np.asarray(value[self.cell] - float(share @ value[self.cell]))

    def permutation_statistics(self, ranking: Ranking, unbiased: bool) -> "PermutedStatistic":
        """One pass for every permutation."""
        return PermutedCells(self, ranking, unbiased)


@dataclass(frozen=True)
class PermutedCells(PermutedStatistic):
    """Cells keep their centred similarity under permutation, so that one pass is enough."""

    @cached_property
    def _fixed(self) -> tuple[Array, Array, float]:
        if not isinstance(self.geometry, CellGeometry):
            raise AssertionError("made by CellGeometry only")
        gap = np.append(np.diff(self.ranking.y), 0.0)
        matrix, scale = self.geometry.centred_similarity(np.ones(len(gap)), self.unbiased)
        return gap, matrix, scale

    def __call__(self, permutation: Codes) -> float:
        """Dependence of the permuted rows."""
        gap, matrix, scale = self._fixed
        cell = self.geometry.cell  # type: ignore[attr-defined]
        rows = permutation[self.ranking.order]
        return scale * permuted_sum(gap, cell, rows, matrix)


def among_attributes(s: float, total: float, c: float, n_blocks: int, unbiased: bool) -> float:
    """The part without the prediction: c times the JdCov2 among the attributes."""
    if not unbiased:
        return c * s / total**2 - c ** (n_blocks + 1)
    if total <= 3:
        return float("nan")
    power = c ** (n_blocks + 1)
    return (c * s + total * power) / (total * (total - 3.0)) - power * total / (total - 3.0)


def centre_values(values: Array, share: Array) -> Array:
    """Values minus their weighted mean."""
    return np.asarray(values - float(share @ values))


@dataclass(frozen=True)
class LineGeometry(Geometry):
    """One continuous attribute."""

    z: Ranking
    c: float = 0.0
    n_blocks: int = 1

    def parts(self, ranking: Ranking, weights: Array, unbiased: bool) -> Parts:
        """Values; see :class:`Geometry`."""
        rank = ranking.rank
        raw = line_total(
            ranking.in_rows, self.z.in_rows, rank, self.z.order, weights, int(rank.max()) + 1
        )
        a = row_distances(ranking.y, ranking.order, weights)
        b = row_distances(self.z.y, self.z.order, weights)
        wa = weights * a
        total = float(weights.sum())
        value = combine(raw, float(wa @ b), float(wa.sum()), float(weights @ b), total, unbiased)
        return Parts(
            value, 0.0, ranking.variance(weights, unbiased), self.z.variance(weights, unbiased)
        )

    def influence(self, ranking: Ranking, weights: Array) -> Parts:
        """Influence values; see :class:`Geometry`."""
        share = weights / weights.sum()
        a, variance_y = ranking.variance_influence(share)
        b, variance_z = self.z.variance_influence(share)
        rank = ranking.rank
        products = line_products(
            ranking.in_rows, self.z.in_rows, rank, self.z.order, share, int(rank.max()) + 1
        )
        g = products - a * b
        g -= row_distances(ranking.y, ranking.order, share * b) - a * float(share @ b)
        g -= row_distances(self.z.y, self.z.order, share * a) - b * float(share @ a)
        return Parts(2.0 * centre_values(g, share), np.zeros(len(share)), variance_y, variance_z)
