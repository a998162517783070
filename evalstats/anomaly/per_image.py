"""AUPIMO of each image as plain numbers."""

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalstats.anomaly.aupimo import AUPIMO, Bounds, Ties
from evalstats.anomaly.grid import GridPrepared
from evalstats.anomaly.ranked import SharedRate
from evalstats.inference.methods import NoInference
from evalstats.options import typed_options

Array = NDArray[np.float64]


@typed_options
def aupimo(
    masks: ArrayLike,
    anomaly_maps: ArrayLike,
    *,
    fpr_bounds: Bounds = (1e-5, 1e-4),
    mode: Literal["exact", "grid"] = "exact",
    ties: Ties = "half",
    n_thresholds: int = 300_000,
    force: bool = False,
    shared_fpr: SharedRate = "mean",
    shared_quantile: float = 0.95,
    higher_is_anomalous: bool = True,
    ignore: ArrayLike | None = None,
) -> Array:
    """Area under the per-image overlap curve of each image, as plain numbers.

    Parameters
    ----------
    masks : array-like (N, H, W) or list of 2-D arrays
        Ground truth, bool or 0/1.
    anomaly_maps : array-like (N, H, W) or list of 2-D arrays
        Scores of one model.
    fpr_bounds : (float, float), default (1e-5, 1e-4)
        Range of the shared false positive rate.
    mode, ties, n_thresholds, force, shared_fpr, shared_quantile, higher_is_anomalous : object
        As in :class:`AUPIMO`.
    ignore : array-like (N, H, W) or list of 2-D arrays, optional
        True where a pixel is left out.

    Returns
    -------
    ndarray of float64, shape (N,)
        Scores in [0, 1]; NaN for normal images.

    Raises
    ------
    InputError
        If the images cannot be used or one class is absent.

    Notes
    -----
    O(pixels + tail log tail), see :class:`AUPIMO`.

    Examples
    --------
    >>> import evalstats as es
    >>> normal, defect = [[0.1, 0.4], [0.2, 0.3]], [[0.9, 0.35], [0.1, 0.0]]
    >>> es.aupimo([[[0, 0], [0, 0]], [[1, 1], [0, 0]]], [normal, defect], fpr_bounds=(0.1, 1.0))
    array([    nan, 0.80103])
    """
    estimator = AUPIMO(
        fpr_bounds=fpr_bounds,
        mode=mode,
        ties=ties,
        n_thresholds=n_thresholds,
        force=force,
        shared_fpr=shared_fpr,
        shared_quantile=shared_quantile,
        higher_is_anomalous=higher_is_anomalous,
        inference=NoInference(),
    )
    columns = estimator.point_columns(
        {"masks": masks, "anomaly_maps": anomaly_maps, "ignore": ignore}
    )
    prepared = estimator._prepare(columns)
    if isinstance(prepared, GridPrepared):
        unit, scores = prepared.set_unit, prepared.scores[0]
    else:
        # Nothing is resampled, so the tail need not reach below the bound.
        prepared = replace(
            prepared, ladders=[replace(ladder, depth=fpr_bounds[1]) for ladder in prepared.ladders]
        )
        unit, scores = prepared.pixels.set_unit, prepared.scores(np.ones(columns.n))[0, 0]
    estimator._require_defined(columns, prepared, np.atleast_1d(scores.sum()))
    out = np.full(columns.n, np.nan)
    out[unit] = scores
    return out
