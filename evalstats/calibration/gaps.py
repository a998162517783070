"""Contributions of bins to a calibration error as a vector of means with its covariance."""

from collections.abc import Callable
from dataclasses import dataclass
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
    return norm_confidence_curve(mean, covariance, _norm(share, norm), even=norm == 1)


def curve_of_sums(sums: Array, n: int, norm: Norm) -> ConfidenceCurve:
    """Confidence curve of the error of one model from sums over independent rows.

    Parameters
    ----------
    sums : float64 array (bins, 5)
        Sums of w, w (y - p), w^2, w^2 p and w^2 p (1 - p) of each bin.
    n : int
        Number of rows with weight.
    norm : {1, 2, "max"}
        Norm of the error.
    """
    total = sums[:, 0].sum()
    weight, error, squared, forecast, binomial = sums[sums[:, 0] > 0].T
    mean, share = error / total, weight / total
    independent = _IndependentCovariance(
        share,
        squared / total**2,
        binomial / total**2,
        (squared - 2.0 * forecast) / total**2,
        n / max(n - 1, 1),
    )
    return norm_confidence_curve(mean, independent, _norm(share, norm), even=norm == 1)


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
) -> tuple[Array, Array, Callable[[Array], Array]]:
    """Contribution, weight share and covariance of the bins with weight."""
    sums = bins.sums(weights)
    used = sums[:, 0] > 0
    total = sums[:, 0].sum()
    mean, share = sums[used, 1] / total, sums[used, 0] / total
    code = np.cumsum(used)[bins.assigned(weights)] - 1
    if cluster is not None:
        observed = _clustered_covariance(bins, weights, code, cluster, mean)
        return mean, share, lambda means: observed  # noqa: ARG005
    forecast = bins.outcome - bins.error
    present = int((weights > 0).sum())

    def summed(part: Array) -> Array:
        return np.asarray(np.bincount(code, weights**2 * part, len(mean)) / total**2)

    independent = _IndependentCovariance(
        share,
        summed(np.ones(len(code))),
        summed(forecast * (1.0 - forecast)),
        summed(1.0 - 2.0 * forecast),
        present / max(present - 1, 1),
    )
    return mean, share, independent


@dataclass(frozen=True)
class _IndependentCovariance:
    """Covariance of the contributions of independent rows, given what they are on average.

    Where the frequency exceeds the forecasts of a bin by g, the squared error of a row has the
    mean ``p (1 - p) + g (1 - 2 p)``. This is known where calibration holds, while the scatter
    observed in a bin without events would be far too small.

    Attributes
    ----------
    squared, binomial, slope : float64 array (bins,)
        Sums of w^2, w^2 p (1 - p) and w^2 (1 - 2 p) over the squared total weight.
    """

    share: Array
    squared: Array
    binomial: Array
    slope: Array
    scale: float

    def __call__(self, mean: Array) -> Array:
        gap = mean / self.share
        own = np.clip(self.binomial + gap * self.slope, 0.0, None)
        cross = np.outer(mean, gap * self.squared)
        spread = np.diag(own) - cross - cross.T + np.outer(mean, mean) * self.squared.sum()
        return np.asarray(self.scale * spread)


def _clustered_covariance(
    bins: Bins,
    weights: Array,
    code: NDArray[np.int64],
    cluster: NDArray[np.int64],
    mean: Array,
) -> Array:
    present = weights > 0
    codes, dense = np.unique(cluster[present], return_inverse=True)
    n = len(codes)
    errors = np.zeros((n, len(mean)))
    mass = np.zeros(n)
    cluster_bin_errors(
        dense.astype(np.int64).ravel(),
        code[present],
        bins.error[present],
        weights[present],
        errors,
        mass,
    )
    centred = errors - np.outer(mass, mean)
    return np.asarray(centred.T @ centred * n / max(n - 1, 1) / mass.sum() ** 2)
