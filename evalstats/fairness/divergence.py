"""Differences between the groups' predictions: Jensen-Shannon divergence, shares of variance."""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalstats.data.columns import dense_codes
from evalstats.data.intake import to_array
from evalstats.data.validation import computable
from evalstats.errors import InputError
from evalstats.options import typed_options

Array = NDArray[np.float64]
GRID = 1000
# Above this many rows predictions are shared out over fine bins before smoothing.
EXACT_ROWS = 100_000
BINS_PER_STEP = 8
FLOOR = 1e-10
# Few enough that the table of bumps stays in the cache.
_CHUNK = 200


@typed_options
def jensen_shannon_divergence(
    prediction: ArrayLike,
    group: ArrayLike,
    *,
    bandwidth: "float | Literal['silverman']" = 0.15,
    weights: Literal["proportion", "equal"] = "proportion",
    normalise: bool = False,
) -> float:
    """Generalised Jensen-Shannon divergence between the groups' predictions, in bits.

    Parameters
    ----------
    prediction : array-like (n,)
        Predictions.
    group : array-like (n,)
        Group of each row, such as the joint level of the protected attributes.
    bandwidth : float or "silverman"
        Standard deviation of the Gaussian kernel, in units of the prediction; 0.15 is the paper's.
        ``"silverman"`` follows the spread of all predictions.
    weights : {"proportion", "equal"}
        Groups count by their share of rows, or all alike.
    normalise : bool, default False
        Divide by the entropy of the group weights, its upper limit, so that 1 is complete
        separation.

    Returns
    -------
    float
        Between 0 and the entropy of the group weights.

    Notes
    -----
    Densities are evaluated at 1,000 points from the smallest to the largest prediction and
    renormalised there. Small groups bias the value upwards. O(1000 n) up to 10^5 rows, then O(n).

    References
    ----------
    Lin (1991), IEEE Transactions on Information Theory 37; Lee et al. (2025), arXiv:2509.08163.

    Examples
    --------
    >>> import evalstats as es
    >>> score = [0.1, 0.2, 0.3, 0.8, 0.9, 1.0]
    >>> round(es.jensen_shannon_divergence(score, ["a", "a", "a", "b", "b", "b"]), 4)
    0.8958
    """
    values, codes = _grouped(prediction, group)
    if weights not in ("proportion", "equal"):
        raise InputError(f"weights={weights!r}: choose 'proportion' or 'equal'")
    counts = np.bincount(codes)
    share = (
        counts / len(codes) if weights == "proportion" else np.full(len(counts), 1 / len(counts))
    )
    width = _bandwidth(values, bandwidth)
    if values.min() == values.max() or len(counts) == 1:
        return 0.0
    with np.errstate(over="ignore"):
        density = _densities(values, codes, len(counts), width)
    if not bool((density.sum(axis=1) > 0).all()):
        raise InputError(f"bandwidth={bandwidth!r} is too narrow for the range of the prediction")
    mixed = _mixture_divergence(density, share)
    return mixed / _entropy(share) if normalise else mixed


@typed_options
def unfairness(prediction: ArrayLike, group: ArrayLike) -> float:
    """Variance between unweighted group means over the variance of the prediction (UF).

    Parameters
    ----------
    prediction : array-like (n,)
        Predictions.
    group : array-like (n,)
        Group of each row.

    Returns
    -------
    float
        The paper's number, with n - 1 in both variances; it may exceed 1, and a group of 11 rows
        counts as much as one of 11,000. ``explained_variance`` has neither defect. NaN with one
        group, 0 for a constant prediction.

    References
    ----------
    Lee et al. (2025), arXiv:2509.08163.

    Examples
    --------
    >>> import evalstats as es
    >>> round(es.unfairness([1.0, 2.0, 3.0, 4.0], ["a", "a", "b", "b"]), 4)
    1.2
    """
    values, codes = _grouped(prediction, group)
    counts = np.bincount(codes)
    if len(counts) < 2:
        return float("nan")
    if values.min() == values.max():
        return 0.0
    means, total = np.bincount(codes, values) / counts, values.var(ddof=1)
    # Squares of subnormal differences vanish.
    return float(means.var(ddof=1) / total) if total > 0 else 0.0


def explained_variance(
    prediction: ArrayLike, group: ArrayLike, *, corrected: bool = False
) -> float:
    """Share of the prediction's variance that the groups explain (eta squared).

    Parameters
    ----------
    prediction : array-like (n,)
        Predictions.
    group : array-like (n,)
        Group of each row.
    corrected : bool, default False
        Subtract what groups explain by chance (epsilon squared).

    Returns
    -------
    float
        In [0, 1]; the corrected version may be slightly negative. 0 for a constant prediction.
    """
    values, codes = _grouped(prediction, group)
    if values.min() == values.max():
        return 0.0
    counts = np.bincount(codes)
    means = np.bincount(codes, values) / counts
    share = float(counts @ (means - values.mean()) ** 2 / len(values) / values.var())
    n, k = len(values), len(counts)
    if not corrected:
        return share
    return 1.0 - (n - 1) / (n - k) * (1.0 - share) if n > k else float("nan")


def _grouped(prediction: object, group: object) -> tuple[Array, NDArray[np.int64]]:
    column, missing = to_array("prediction", prediction)
    labels, unlabelled = to_array("group", group)
    if column.ndim != 1 or labels.ndim != 1 or len(column) != len(labels) or len(column) == 0:
        raise InputError(
            f"prediction has shape {column.shape} and group {labels.shape}: pass one value per row"
        )
    if column.dtype.kind not in "biuf":
        raise InputError(f"prediction has dtype {column.dtype}: pass numbers")
    values = np.asarray(column, dtype=np.float64)
    finite = np.isfinite(values)
    if missing is not None or not bool(finite.all()):
        raise InputError(f"prediction is not finite in row {int(np.argmin(finite))}")
    computable("prediction", values)
    if unlabelled is not None or (labels.dtype.kind == "f" and not bool(np.isfinite(labels).all())):
        raise InputError("group has missing values: remove these rows or name the group")
    return values, dense_codes(labels)[0]


def _bandwidth(values: Array, bandwidth: object) -> float:
    if bandwidth == "silverman":
        quartiles = np.quantile(values, [0.25, 0.75])
        if len(values) < 2:
            raise InputError("bandwidth='silverman' needs at least 2 rows of the prediction")
        spread = min(float(values.std(ddof=1)), float(np.diff(quartiles)[0]) / 1.349)
        return float(0.9 * (spread or float(values.std()) or 1.0) * len(values) ** -0.2)
    if (
        isinstance(bandwidth, str)
        or not isinstance(bandwidth, int | float | np.integer | np.floating)
        or not (np.isfinite(bandwidth) and bandwidth > 0)
    ):
        raise InputError(f"bandwidth={bandwidth!r}: pass a positive number or 'silverman'")
    return float(bandwidth)


def _densities(values: Array, codes: NDArray[np.int64], n_groups: int, width: float) -> Array:
    grid = np.linspace(values.min(), values.max(), GRID)
    density = np.zeros((n_groups, GRID))
    if len(values) <= EXACT_ROWS:
        for code in range(n_groups):
            own = values[codes == code]
            for start in range(0, len(own), _CHUNK):
                steps = (own[start : start + _CHUNK, np.newaxis] - grid) / width
                density[code] += np.exp(-0.5 * steps * steps).sum(axis=0)
        return density
    return _binned_densities(values, codes, n_groups, width)


def _binned_densities(
    values: Array, codes: NDArray[np.int64], n_groups: int, width: float
) -> Array:
    """The same, with each row shared out between the two nearest of fine bins."""
    from scipy.signal import fftconvolve

    n_bins = (GRID - 1) * BINS_PER_STEP + 1
    step = (values.max() - values.min()) / (n_bins - 1)
    place = (values - values.min()) / step
    lower = np.clip(place.astype(np.int64), 0, n_bins - 2)
    upper_share = place - lower
    mass = np.zeros(n_groups * n_bins)
    for offset, part in ((0, 1.0 - upper_share), (1, upper_share)):
        mass += np.bincount(codes * n_bins + lower + offset, part, n_groups * n_bins)
    bump = np.exp(-0.5 * (np.arange(1 - n_bins, n_bins) * step / width) ** 2)
    smooth = fftconvolve(mass.reshape(n_groups, n_bins), bump[np.newaxis], mode="full", axes=1)
    # What underflows in the transform is noise around 0.
    return np.asarray(np.maximum(smooth[:, n_bins - 1 : 2 * n_bins - 1 : BINS_PER_STEP], 0.0))


def binned_divergence(values: Array, codes: NDArray[np.int64], bandwidth: float = 0.15) -> float:
    """Divergence weighted by share of rows, from binned predictions. O(n + groups x bins)."""
    if values.min() == values.max():
        return 0.0
    counts = np.bincount(codes)
    share = counts / len(codes)
    return _mixture_divergence(_binned_densities(values, codes, len(counts), bandwidth), share)


def _mixture_divergence(density: Array, share: Array) -> float:
    total = density.sum(axis=1, keepdims=True)
    if not bool((total > 0).all()):
        raise InputError(
            "bandwidth is so small that a group has no density at any of the 1,000 points: pass a "
            "larger one or 'silverman'"
        )
    density = density / total
    return _entropy(share @ density) - float(share @ [_entropy(row) for row in density])


def _entropy(probabilities: Array) -> float:
    clipped = np.maximum(probabilities, FLOOR)
    return float(-(clipped * np.log2(clipped)).sum())
