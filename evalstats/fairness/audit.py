"""One audit: the models' sorted predictions and the geometries of the attributes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalstats.data.columns import Columns
from evalstats.fairness.encoding import geometry_of
from evalstats.fairness.functions import correlation
from evalstats.fairness.geometry import Geometry, Parts, Ranking
from evalstats.fairness.parity import chi_square_p_value

Array = NDArray[np.float64]
Kind = Literal["concatenated", "joint", "marginal"]


@dataclass(frozen=True)
class Audit:
    """What the statistics of every model are computed from.

    Attributes
    ----------
    rankings : sequence of Ranking
        One per model.
    geometries : sequence of Geometry
        Those whose values are reported; `whole` holds all attributes side by side.
    p_values : sequence of float
        Chi-square tests of parity per model, which say whether standard errors can be trusted.
    joint, unbiased : bool
        JdCov rather than dCov; U- rather than V-statistic.
    """

    rankings: Sequence[Ranking]
    geometries: Sequence[Geometry]
    whole: Geometry
    p_values: Sequence[float]
    joint: bool
    unbiased: bool

    def values(self, weights: Array) -> Array:
        """Two numbers per model and geometry: JdCov2_y and JdCov2, or dCov2 and dCor2."""
        found: list[float] = []
        for ranking in self.rankings:
            for geometry in self.geometries:
                parts = geometry.parts(ranking, weights, self.unbiased)
                value = float(parts.dependence)
                if self.joint:
                    found += [value, value + float(parts.among_attributes)]
                    continue
                variances = float(parts.variance_prediction), float(parts.variance_attributes)
                found += [value, correlation(value, *variances)]
        return np.array(found)

    def influence(self, weights: Array) -> Array:
        """Influence of the rows (n, numbers) on the V-statistics."""
        total = float(weights.sum())
        columns: list[Array] = []
        for ranking in self.rankings:
            for geometry in self.geometries:
                slopes = geometry.influence(ranking, weights)
                dependence = np.asarray(slopes.dependence)
                if self.joint:
                    second = np.asarray(dependence + slopes.among_attributes)
                else:
                    parts = geometry.parts(ranking, weights, False)
                    second = _correlation_influence(parts, slopes)
                columns += [dependence / total, second / total]
        return np.column_stack(columns)


def audit_of(columns: Columns, kind: Kind, c: float, unbiased: bool) -> Audit:
    """Sort the predictions and choose the geometries of validated columns."""
    names = list(columns.extra["attributes"])
    joint = kind == "joint" and len(names) > 1
    if kind == "marginal":
        geometries = [geometry_of_columns(columns, [name], joint=False, c=0.0) for name in names]
    else:
        geometries = [geometry_of_columns(columns, names, joint=joint, c=c)]
    if kind == "concatenated":
        whole = geometries[0]
    else:
        whole = geometry_of_columns(columns, names, joint=False, c=0.0)
    rankings = rankings_of(columns)
    p_values = _parity(whole, rankings, columns, unbiased)
    return Audit(rankings, geometries, whole, p_values, kind == "joint", unbiased)


def rankings_of(columns: Columns) -> list[Ranking]:
    """Sorted prediction of every model."""
    return [Ranking.of(column) for column in columns.models["prediction"].values()]


def geometry_of_columns(
    columns: Columns, names: Sequence[str], *, joint: bool, c: float
) -> Geometry:
    """Geometry of some of the attributes."""
    attributes = columns.extra["attributes"]
    codes = columns.models["protected"]
    return geometry_of(
        [attributes[name] for name in names], [codes[name] for name in names], joint=joint, c=c
    )


def _parity(
    whole: Geometry, rankings: Sequence[Ranking], columns: Columns, unbiased: bool
) -> list[float]:
    """Chi-square p-values."""
    weights = np.ones(columns.n) if columns.weight is None else columns.weight
    present = float(columns.extra.get("n_observed", np.count_nonzero(weights)))
    units = present if columns.cluster is None else len(np.unique(columns.cluster[weights > 0]))
    if not unbiased:
        weights = weights * (present / weights.sum())
    return [
        chi_square_p_value(whole, ranking, units, weights)[1] if weights.sum() > 3 else 1.0
        for ranking in rankings
    ]


def _correlation_influence(parts: Parts, slopes: Parts) -> Array:
    """Delta method for R = theta / sqrt(V_y V_z)."""
    value = float(parts.dependence)
    first, second = float(parts.variance_prediction), float(parts.variance_attributes)
    if not (first > 0 and second > 0):
        return np.zeros_like(np.asarray(slopes.dependence))
    spread = np.sqrt(first) * np.sqrt(second)
    relative = np.asarray(slopes.variance_prediction) / first
    relative = relative + np.asarray(slopes.variance_attributes) / second
    return np.asarray(slopes.dependence / spread - 0.5 * value / spread * relative)
