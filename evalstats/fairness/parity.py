"""Tests of demographic parity: chi-square approximation and permutation of the prediction."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.data.columns import Columns
from evalstats.fairness.functions import correlation
from evalstats.fairness.geometry import CellGeometry, Geometry, Ranking
from evalstats.inference.methods import RandomSource
from evalstats.inference.multiplicity import adjusted_p_values
from evalstats.inference.permutation import permuted_statistics

if TYPE_CHECKING:
    from evalstats.fairness.audit import Audit

Array = NDArray[np.float64]

# Statistics this close to the observed one, relative to their spread, are ties and count.
SLACK = 1e-9


def chi_square_p_value(
    geometry: Geometry, ranking: Ranking, n_units: float, weights: Array | None = None
) -> tuple[float, float]:
    """Unbiased dCor2 and P(chi2_1 > n dCor2 + 1) (Shen, Panda and Vogelstein 2022).

    A constant variable gives 0 and 1.
    """
    from scipy.special import chdtrc

    w = np.ones(len(ranking.y)) if weights is None else weights
    parts = geometry.parts(ranking, w, True)
    first, second = float(parts.variance_prediction), float(parts.variance_attributes)
    value = correlation(float(parts.dependence), first, second)
    if not (first > 0 and second > 0):
        return value, 1.0
    return value, float(chdtrc(1.0, max(n_units * value + 1.0, 0.0)))


def permutation_p_value(
    geometry: Geometry, ranking: Ranking, unbiased: bool, n_resamples: int, rng: RandomSource
) -> tuple[float, float]:
    """Dependence and (1 + number at least as large) / (n_resamples + 1).

    Only the prediction moves, so dependence among the attributes is left as it is.
    """
    statistic = geometry.permutation_statistics(ranking, unbiased)
    n = len(ranking.y)
    observed = statistic(np.arange(n))
    size = len(geometry.distances[0]) if isinstance(geometry, CellGeometry) else 100
    values = permuted_statistics(statistic, n, n_resamples, rng, n * size)
    slack = SLACK * float(np.abs(values).max())
    return observed, float((1 + np.count_nonzero(values >= observed - slack)) / (len(values) + 1))


def parity_table(
    audit: "Audit",
    columns: Columns,
    labels: Sequence[Mapping[str, Hashable]],
    n_resamples: int | None,
    rng: RandomSource,
    adjust: str | None,
) -> pl.DataFrame:
    """One test per model and geometry; by permutation where `n_resamples` is given."""
    rows = []
    for model, ranking in zip(columns.model_names, audit.rankings, strict=True):
        for names, geometry in zip(labels, audit.geometries, strict=True):
            if n_resamples is None:
                statistic, p_value = chi_square_p_value(geometry, ranking, columns.n)
            else:
                statistic, p_value = permutation_p_value(
                    geometry, ranking, audit.unbiased, n_resamples, rng
                )
            rows.append({"model": model, **names, "statistic": statistic, "p_value": p_value})
    frame = pl.DataFrame(rows)
    p_values = frame["p_value"].to_numpy()
    adjusted = adjusted_p_values(
        p_values,
        adjust,
        statistic=p_values,
        covariance=np.eye(len(p_values)),
        df=np.inf,
        two_sided=True,
    )
    method = "chi-square" if n_resamples is None else "permutation"
    return frame.with_columns(
        pl.Series("p_adjusted", adjusted), pl.lit(method).alias("test"), n=pl.lit(columns.n)
    )
