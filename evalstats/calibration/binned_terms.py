"""Murphy's decomposition of the Brier score over bins of the forecasts."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalstats.calibration.binning import Rule, make_bins, require_rule
from evalstats.calibration.probabilities import Events, require_option
from evalstats.calibration.rows import binary_rows
from evalstats.calibration.score_kernels import bin_moments
from evalstats.errors import InputError
from evalstats.options import typed_options

Array = NDArray[np.float64]
ForecastBinning = Literal["uniform", "unique"]
TERMS = (
    "reliability",
    "resolution",
    "uncertainty",
    "within_bin_variance",
    "within_bin_covariance",
    "score",
)


@dataclass(frozen=True)
class ForecastBins:
    """Rows in bins of their forecasts.

    Attributes
    ----------
    code : int64 array (n,)
        Bin of each row.
    forecast, outcome : array (n,)
        Forecasts and outcomes of the rows.
    centre : float64 array (bins,)
        Unweighted mean forecast of each bin, from which deviations are taken.
    """

    code: NDArray[np.int64]
    forecast: Array
    outcome: NDArray[np.bool_]
    centre: Array

    @classmethod
    def of(
        cls,
        forecast: Array,
        outcome: NDArray[np.bool_],
        *,
        n_bins: int = 10,
        bin_edges: Sequence[float] | None = None,
        binning: ForecastBinning = "uniform",
    ) -> "ForecastBins":
        """Bins between edges, right-closed, or one for each distinct forecast."""
        require_bins(n_bins, bin_edges, binning)
        rule = Rule(binning, n_bins, bin_edges=bin_edges)
        code = make_bins(Events(forecast, outcome), rule, np.empty(0), False).assigned(np.empty(0))
        present, code = np.unique(code, return_inverse=True)
        code = code.astype(np.int64).ravel()
        counts = np.bincount(code, minlength=len(present))
        centre = np.bincount(code, forecast, len(present)) / counts
        return cls(code, forecast, outcome, centre)

    def moments(self, weights: Array) -> Array:
        """Sums of w, w^2, wy, wd, wd^2 and wdy of each bin. O(n)."""
        return bin_moments(self.code, self.forecast, self.outcome, self.centre, weights)

    def terms(self, weights: Array) -> Array:
        """Values of `TERMS` under the given weights. O(n)."""
        sums = self.moments(weights)
        present = sums[:, 0] > 0
        sums, centre = sums[present], self.centre[present]
        if len(sums) == 0:
            return np.full(len(TERMS), np.nan)
        mass, share, frequency, shift = _bin_means(sums)
        error = centre + shift - frequency
        base = float(sums[:, 2].sum() / mass)
        variance = np.clip(sums[:, 4] - sums[:, 0] * shift**2, 0.0, None).sum() / mass
        covariance = 2.0 * (sums[:, 5] - sums[:, 2] * shift).sum() / mass
        reliability = share @ error**2
        resolution = share @ (frequency - base) ** 2
        uncertainty = base * (1.0 - base)
        score = reliability - resolution + uncertainty + variance - covariance
        return np.array([reliability, resolution, uncertainty, variance, covariance, score])

    def influence(self, weights: Array) -> Array:
        """Derivatives (n, 6) of :meth:`terms` by each row's weight. O(n)."""
        sums = self.moments(weights)
        empty = sums[:, 0] <= 0
        sums[empty, 0] = 1.0
        mass = float(weights.sum())
        frequency, shift = sums[:, 2] / sums[:, 0], sums[:, 3] / sums[:, 0]
        average = self.centre + shift
        value = self.terms(weights)
        y = self.outcome.astype(np.float64)
        base = float(weights @ y / mass)
        bias = (average - frequency)[self.code]
        within_p = self.forecast - average[self.code]
        within_y = y - frequency[self.code]
        out = np.empty((len(y), len(TERMS)))
        out[:, 0] = 2.0 * bias * (self.forecast - y) - bias**2 - value[0]
        # Resolution is sum q y_b^2 - ybar^2.
        seen = frequency[self.code]
        second = value[1] + base**2
        out[:, 1] = 2.0 * seen * y - seen**2 - second - 2.0 * base * (y - base)
        out[:, 2] = (1.0 - 2.0 * base) * (y - base)
        out[:, 3] = within_p**2 - value[3]
        out[:, 4] = 2.0 * within_p * within_y - value[4]
        out[:, 5] = (y - self.forecast) ** 2 - value[5]
        return out / mass


def _bin_means(sums: Array) -> tuple[float, Array, Array, Array]:
    """Total weight, and share, frequency and shift from the centre of each bin."""
    mass = float(sums[:, 0].sum())
    return mass, sums[:, 0] / mass, sums[:, 2] / sums[:, 0], sums[:, 3] / sums[:, 0]


def require_bins(n_bins: int, bin_edges: Sequence[float] | None, binning: ForecastBinning) -> None:
    """Refuse options that name no bins whose edges are fixed."""
    require_option("binning", binning, ("uniform", "unique"))
    require_rule(Rule(binning, n_bins, bin_edges=bin_edges))


def murphy_terms(
    forecast: Array,
    outcome: NDArray[np.bool_],
    weights: Array,
    *,
    n_bins: int = 10,
    bin_edges: Sequence[float] | None = None,
    binning: ForecastBinning = "uniform",
    unbiased: bool = False,
) -> dict[str, float]:
    """Terms of validated rows by name; see :func:`murphy_decomposition`."""
    bins = ForecastBins.of(forecast, outcome, n_bins=n_bins, bin_edges=bin_edges, binning=binning)
    terms = dict(zip(TERMS, bins.terms(weights).tolist(), strict=True))
    if not unbiased:
        return terms
    sums = bins.moments(weights)
    sums = sums[sums[:, 0] > 0]
    mass, share, frequency, _ = _bin_means(sums)
    size = sums[:, 0] ** 2 / sums[:, 1]
    n = mass**2 / sums[:, 1].sum()
    if n <= 1:
        raise InputError("y_true has one row: unbiased terms need at least two")
    variance = frequency * (1.0 - frequency)
    several = size > 1
    noise = float((share * variance)[several] @ (1.0 / (size[several] - 1.0)))
    spread = terms["uncertainty"] / (n - 1.0)
    terms["reliability"] -= noise
    terms["resolution"] += spread - noise
    terms["uncertainty"] += spread
    return terms


@typed_options
def murphy_decomposition(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    *,
    n_bins: int = 10,
    bin_edges: Sequence[float] | None = None,
    binning: ForecastBinning = "uniform",
    unbiased: bool = False,
    sample_weight: ArrayLike | None = None,
    pos_label: Hashable | None = None,
) -> dict[str, float]:
    """Murphy's decomposition of the Brier score, with what happens within bins.

    Parameters
    ----------
    y_true : array-like (n,)
        Labels: 0/1, boolean, or two values with `pos_label`.
    y_prob : array-like (n,)
        Probability of the positive class.
    n_bins : int, default 10
        Bins of equal width, closed on the right.
    bin_edges : sequence of float, optional
        Increasing edges from 0 to 1 instead.
    binning : {"uniform", "unique"}
        Bins between edges, or one for each distinct forecast; the terms within bins are then 0.
    unbiased : bool, default False
        Subtract the bias of finite samples (Ferro and Fricker 2012). A bin with one row
        contributes no correction. With weights, sizes are effective sizes (sum w)^2 / sum w^2.
    sample_weight : array-like (n,), optional
        Non-negative weights.
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.

    Returns
    -------
    dict
        ``reliability``, ``resolution``, ``uncertainty``, ``within_bin_variance``,
        ``within_bin_covariance`` and ``score``, with score = reliability - resolution +
        uncertainty + within_bin_variance - within_bin_covariance.

    Raises
    ------
    InputError
        If the input or the bins cannot be used.

    Notes
    -----
    O(n); O(n log n) with ``binning="unique"``. Murphy (1973); the terms within bins are those of
    Stephenson, Coelho and Jolliffe (2008), the covariance counted twice.

    Examples
    --------
    >>> import evalstats as es
    >>> terms = es.murphy_decomposition([0, 1, 0, 1], [0.2, 0.2, 0.7, 0.7], binning="unique")
    >>> round(terms["reliability"], 4), terms["resolution"], terms["uncertainty"]
    (0.065, 0.0, 0.25)
    """
    rows = binary_rows(y_true, y_prob, sample_weight, pos_label)
    return murphy_terms(
        rows.forecast,
        rows.outcome,
        rows.weights,
        n_bins=n_bins,
        bin_edges=bin_edges,
        binning=binning,
        unbiased=unbiased,
    )
