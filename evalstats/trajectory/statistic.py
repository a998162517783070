"""From scored cells to values: weighted ratios and top eigenvalues, with their influence."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.units import weighted_unit_sums
from evalstats.trajectory.mixture_kernels import MASKED
from evalstats.trajectory.scored import Scored, Summed

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Aggregate = Literal["scene", "cell"]
AmvLevel = Literal["scene", "pooled", "cell", "track"]


@dataclass(frozen=True)
class Quantity:
    """One score: where it stands in the scored cells and over what it is averaged.

    Attributes
    ----------
    metric : str
        Name in the terms.
    field : str
        Field of :class:`Scored`.
    level : {"cell", "agent", "scene", "spread"}
        A mean over cells, over agents or over scenes, or a top eigenvalue.
    """

    metric: str
    field: str
    level: Literal["cell", "agent", "scene", "spread"]


@dataclass(frozen=True)
class Ratio:
    """Weighted sum of a numerator over that of a denominator."""

    numerator: Array
    denominator: Array


@dataclass(frozen=True)
class Spread:
    """Mean over groups of the top eigenvalue of the group's mean covariance.

    Attributes
    ----------
    moments : float64 array (n, 1 + p)
        Number of cells of each agent, and the sum of their covariances (upper triangles).
    group : int64 array (n,)
        Group (scene, track) of each agent.
    scale : float64 array (n_groups,)
        1 / number of cells of each group under the user's weights; 0 for a group without weight.
    """

    moments: Array
    group: Codes
    scale: Array

    def value(self, weights: Array) -> float:
        """Value under the given weights of the agents."""
        sums, top = self._tops(weights)
        share = self.scale * sums[:, 0]
        total = float(share.sum())
        return float((self.scale * top).sum() / total) if total > 0 else np.nan

    def influence(self, weights: Array) -> Array:
        """Derivative of the value by the weight of each agent."""
        sums, top = self._tops(weights)
        total = float((self.scale * sums[:, 0]).sum())
        if total <= 0:
            return np.full(len(self.group), np.nan)
        value = float((self.scale * top).sum()) / total
        vectors = np.linalg.eigh(unpacked(sums[:, 1:]))[1][:, :, -1]
        mine = vectors[self.group]
        own = np.einsum("ni,nij,nj->n", mine, unpacked(self.moments[:, 1:]), mine)
        scale = self.scale[self.group] / total
        return np.asarray(scale * (own - value * self.moments[:, 0]))

    def _tops(self, weights: Array) -> tuple[Array, Array]:
        sums = weighted_unit_sums(self.moments, weights, self.group, len(self.scale))
        return sums, top_eigenvalue(sums[:, 1:])

    def relative_gap(self, weights: Array) -> float:
        """Smallest gap between the two top eigenvalues of a group, relative to the largest."""
        sums, _ = self._tops(weights)
        roots = np.linalg.eigvalsh(unpacked(sums[sums[:, 0] > 0][:, 1:]))
        if not len(roots) or roots.shape[1] < 2:
            return 1.0
        return float(((roots[:, -1] - roots[:, -2]) / roots[:, -1]).min())


@dataclass(frozen=True)
class Prepared:
    """Terms of all models, ready for any weights of the agents."""

    terms: list[Ratio | Spread]
    numerators: Array
    denominators: Array
    averaged: tuple[tuple[int, int], ...] = ()

    def evaluate(self, weights: Array) -> Array:
        """Values of all terms."""
        with np.errstate(divide="ignore", invalid="ignore"):
            above, below = weights @ self.numerators, weights @ self.denominators
            ratios = iter(np.where(below > 0, above / below, np.nan))
        values = [
            next(ratios) if isinstance(term, Ratio) else term.value(weights) for term in self.terms
        ]
        values += [0.5 * (values[i] + values[j]) for i, j in self.averaged]
        return np.array(values, dtype=np.float64)

    def influence(self, weights: Array) -> Array:
        """Derivatives (n_agents, k) of all terms by the weights."""
        below = weights @ self.denominators
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios = weights @ self.numerators / below
            slopes = iter(((self.numerators - ratios * self.denominators) / below).T)
        columns = [
            next(slopes) if isinstance(term, Ratio) else term.influence(weights)
            for term in self.terms
        ]
        columns += [0.5 * (columns[i] + columns[j]) for i, j in self.averaged]
        return np.column_stack(columns)


def prepared_from(
    terms: list[Ratio | Spread], averaged: tuple[tuple[int, int], ...] = ()
) -> Prepared:
    """Stack the ratios, so that a replicate is two matrix products."""
    ratios = [term for term in terms if isinstance(term, Ratio)]
    n = len(terms[0].numerator if isinstance(terms[0], Ratio) else terms[0].moments)
    stack = np.zeros((2, n, len(ratios)))
    for column, ratio in enumerate(ratios):
        stack[0, :, column] = ratio.numerator
        stack[1, :, column] = ratio.denominator
    return Prepared(terms, stack[0], stack[1], averaged)


@dataclass(frozen=True)
class Layout:
    """How agents are weighted and grouped.

    Attributes
    ----------
    weight : float64 array (n,)
        The user's weights, from which the sizes of scenes are counted.
    scene, track : int64 array (n,)
        Dense codes; scene is 0 everywhere where none was given.
    """

    weight: Array
    scene: Codes
    track: Codes
    aggregate: Aggregate
    amv_level: AmvLevel

    def term(self, scored: Scored, quantity: Quantity, step: int | None) -> Ratio | Spread:
        """One term of one model, over all steps or at one of them."""
        return self.term_of_sums(quantity, agent_sums(scored, quantity, step, self.amv_level))

    def term_of_sums(self, quantity: Quantity, sums: Array) -> Ratio | Spread:
        """One term from what :func:`agent_sums` returns, or from sums of it over agents."""
        if is_spread(quantity, self.amv_level):
            codes = {"scene": self.scene, "track": self.track, "pooled": np.zeros_like(self.scene)}
            group = codes[self.amv_level]
            return Spread(sums, group, self._inverse_size(group, sums[:, 0]))
        count, total = np.ascontiguousarray(sums.T)
        by_scene = quantity.level == "cell" and self.aggregate == "scene"
        if not by_scene and quantity.level != "scene":
            return Ratio(total, count)
        scale = self._inverse_size(self.scene, count)[self.scene]
        return Ratio(scale * total, scale * count)

    def _inverse_size(self, group: Codes, count: Array) -> Array:
        """1 / weighted number of cells of each group; 0 for a group without any."""
        size = np.bincount(group, self.weight * count)
        return np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)


def is_spread(quantity: Quantity, amv_level: AmvLevel) -> bool:
    """Whether the quantity is an eigenvalue of sums over agents, and no mean of numbers."""
    return quantity.level == "spread" and amv_level != "cell"


def agent_sums(scored: Scored, quantity: Quantity, step: int | None, amv_level: AmvLevel) -> Array:
    """Count and sums (n, 1 + p) of a quantity over the cells of each agent, before any weights."""
    if isinstance(scored, Summed):
        return scored.field(quantity.metric)
    if quantity.level in ("agent", "scene"):
        values = scored.field(quantity.field)
        defined = np.isfinite(values)
        return np.column_stack([defined, np.where(defined, values, 0.0)])
    used = scored.field("status") != MASKED
    values = scored.field(quantity.field)
    if step is not None:
        used, values = used[:, step : step + 1], values[:, step : step + 1]
    if quantity.level == "spread" and amv_level == "cell":
        values = top_eigenvalue(values.reshape(-1, values.shape[2])).reshape(used.shape)
    shown = used if values.ndim == 2 else used[:, :, np.newaxis]
    return np.column_stack([used.sum(axis=1), np.where(shown, values, 0.0).sum(axis=1)])


def unpacked(upper: Array) -> Array:
    """Symmetric matrices from rows of upper triangles."""
    p = upper.shape[1]
    d = round((np.sqrt(8 * p + 1) - 1) / 2)
    matrix = np.empty((len(upper), d, d))
    rows, columns = np.triu_indices(d)
    matrix[:, rows, columns] = upper
    matrix[:, columns, rows] = upper
    return matrix


def top_eigenvalue(upper: Array) -> Array:
    """Largest eigenvalue of symmetric matrices given as rows of upper triangles."""
    if upper.shape[1] == 1:
        return upper[:, 0]
    if upper.shape[1] == 3:
        a, b, c = upper.T
        return np.asarray(0.5 * (a + c) + np.hypot(0.5 * (a - c), b))
    return np.asarray(np.linalg.eigvalsh(unpacked(upper))[:, -1])
