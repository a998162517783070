"""Contributions of bins to a calibration error as a vector of means with its covariance."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from evalstats.calibration.binned_error import Norm
from evalstats.calibration.binning import Bins
from evalstats.calibration.kernels import cluster_bin_errors
from evalstats.inference.confidence_curve import ConfidenceCurve, norm_confidence_curve

Array = NDArray[np.float64]


def error_curve(
    bins: Bins, weights: Array, cluster: NDArray[np.int64] | None, norm: Norm
) -> ConfidenceCurve:
    """Confidence curve of the error of one model.

    The contribution of a bin is its weighted error over the total weight; the covariance is that
    of means over rows, or over clusters. O(n + clusters x bins).
    """
    mean, share, covariance = _contributions(bins, weights, cluster)
    return norm_confidence_curve(mean, covariance, _norm(share, norm))


def _norm(share: Array, norm: Norm) -> Callable[[Array], Array]:
    return partial(_norm_of, share=share, norm=norm)


def _norm_of(mean: Array, share: Array, norm: Norm) -> Array:
    if norm == 1:
        return np.asarray(np.abs(mean).sum(axis=-1))
    if norm == 2:
        return np.asarray(np.sqrt((mean**2 / share).sum(axis=-1)))
    return np.asarray(np.abs(mean / share).max(axis=-1))


def _contributions(
    bins: Bins, weights: Array, cluster: NDArray[np.int64] | None
) -> tuple[Array, Array, Array]:
    sums = bins.sums(weights)
    used = sums[:, 0] > 0
    total = sums[:, 0].sum()
    mean, share = sums[used, 1] / total, sums[used, 0] / total
    code = np.cumsum(used)[bins.assigned(weights)] - 1
    present = weights > 0
    if cluster is None:
        # Only the own bin of a row differs from zero, so two sums give the whole covariance.
        error2 = np.bincount(code, weights**2 * bins.error, len(mean))
        square2 = np.bincount(code, (weights * bins.error) ** 2, len(mean))
        cross = np.outer(mean, error2)
        spread = np.diag(square2) - cross - cross.T + np.outer(mean, mean) * (weights**2).sum()
        n = int(present.sum())
        return mean, share, spread * n / max(n - 1, 1) / total**2
    codes, dense = np.unique(cluster[present], return_inverse=True)
    errors = np.zeros((len(codes), len(mean)))
    mass = np.zeros(len(codes))
    cluster_bin_errors(
        dense.astype(np.int64).ravel(), code[present], bins.error[present], weights[present],
        errors, mass,
    )  # fmt: skip
    centred = errors - np.outer(mass, mean)
    n = len(codes)
    return mean, share, centred.T @ centred * n / max(n - 1, 1) / total**2
