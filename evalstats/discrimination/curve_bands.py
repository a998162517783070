"""ROC and precision-recall curves on a common grid, with pointwise bootstrap bands."""

from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.data.columns import Columns
from evalstats.discrimination.curve_kernels import roc_points
from evalstats.discrimination.ranked import Component
from evalstats.inference.methods import Bootstrap
from evalstats.inference.problem import Part, Problem
from evalstats.inference.resampling import bootstrap_replicates
from evalstats.inference.units import sample_units

Array = NDArray[np.float64]
CurveKind = Literal["roc", "precision_recall"]
N_POINTS = 401


def curves_with_bands(
    columns: Columns, kind: CurveKind, *, level: float, n_resamples: int
) -> pl.DataFrame:
    """Curve of each model (and group) with a pointwise percentile band over resampled units.

    Parameters
    ----------
    columns : Columns
        Validated binary labels and scores.
    kind : {"roc", "precision_recall"}
        Which curve.
    level : float
        Pointwise confidence level of the band.
    n_resamples : int
        Bootstrap replicates; 0 draws no band.

    Returns
    -------
    polars.DataFrame
        Columns ``model``, ``group`` (if grouped), ``x``, ``y`` and, with a band, ``low``, ``high``.
    """
    frames = []
    for position, labels in enumerate(columns.group_labels or ((),)):
        sample = columns
        if columns.group is not None:
            sample = columns.take(np.flatnonzero(columns.group == position))
        frame = _sample_curves(sample, kind, level, n_resamples)
        if labels:
            name = ", ".join(str(label) for label in labels)
            frame = frame.with_columns(pl.lit(name).alias("group"))
        frames.append(frame)
    return pl.concat(frames)


def _sample_curves(
    columns: Columns, kind: CurveKind, level: float, n_resamples: int
) -> pl.DataFrame:
    y_true = columns.single["y_true"]
    models = columns.models["y_score"]
    components = [Component.of(y_true, scores) for scores in models.values()]
    # Most of what a reader looks at lies at low rates: half of the points are below 0.1.
    grid = np.unique(
        np.concatenate([np.linspace(0, 0.1, N_POINTS // 2), np.linspace(0.1, 1, N_POINTS // 2)])
    )
    evaluate = _CurveEvaluation(components, kind, grid)
    units = sample_units(columns)
    value = evaluate(units.row_weight)
    frame = pl.DataFrame(
        {
            "model": np.repeat(list(models), len(grid)),
            "x": np.tile(grid, len(models)),
            "y": value,
        }
    )
    if n_resamples == 0:
        return frame
    problem = Problem(units, [Part(None, units, None, evaluate, None)], value, True)
    replicates, _ = bootstrap_replicates(problem, Bootstrap(n_resamples, rng=0), studentized=False)
    tail = (1 - level) / 2
    low, high = np.nanquantile(replicates, [tail, 1 - tail], axis=0)
    return frame.with_columns(pl.Series("low", low), pl.Series("high", high))


class _CurveEvaluation:
    """Ordinates of all models on the grid, as a function of the row weights."""

    def __init__(self, components: list[Component], kind: CurveKind, grid: Array) -> None:
        self._components = components
        self._kind = kind
        self._grid = grid

    def __call__(self, weights: Array) -> Array:
        return np.concatenate([self._curve(part, weights) for part in self._components])

    def _curve(self, component: Component, weights: Array) -> Array:
        false, true = roc_points(*component.ranking, weights)
        if true[-1] <= 0 or false[-1] <= 0:
            return np.full(len(self._grid), np.nan)
        if self._kind == "roc":
            rate = np.concatenate([[0.0], false / false[-1]])
            return np.asarray(np.interp(self._grid, rate, np.concatenate([[0.0], true / true[-1]])))
        recall = true / true[-1]
        position = np.searchsorted(recall, np.minimum(self._grid, recall[-1]), side="left")
        fired = np.maximum(true + false, np.finfo(float).tiny)
        return np.asarray((true / fired)[position])
