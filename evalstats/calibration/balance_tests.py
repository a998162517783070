"""Tests of balance: against calibration, against cancelling errors, of one model with another."""

from typing import TYPE_CHECKING, TypedDict

import numpy as np
from numpy.typing import NDArray

from evalstats.calibration.binned_error import corrected_error
from evalstats.calibration.binning import Rule, make_bins
from evalstats.calibration.probabilities import Events
from evalstats.inference.simultaneous import SIMULATION_KEY
from evalstats.options import require_count

if TYPE_CHECKING:
    from evalstats.results.estimate import Estimate

Array = NDArray[np.float64]
MAX_EXACT_ROWS = 5_000
CLEARLY_OFF = 2.0
N_DRAWS = 20_000
HALF = 0.5
SIZE = 0.05


class NullRow(TypedDict):
    """One line of the test against calibration."""

    estimate: float
    statistic: float
    p_value: float
    method: str
    n: int


class CancellationRow(TypedDict):
    """One line on cancelling errors."""

    balance_score: float
    calibration_error: float
    cancellation: float
    p_value: float
    cancels: bool


class Closeness(TypedDict):
    """One line of the comparison of absolute scores."""

    estimate: float
    standard_error: float
    ci_low: float
    ci_high: float
    p_value: float
    method: str


def null_row(events: Events, weights: Array, weighted: bool) -> NullRow:
    """Test the score of confidences and correct predictions against calibration."""
    from scipy import stats

    confidence, correct = events.forecast, events.outcome
    present = weights > 0
    score = float(weights @ (correct - confidence))
    deviation = float(np.sqrt((weights**2) @ (confidence * (1.0 - confidence))))
    statistic = score / deviation if deviation > 0 else np.nan
    exact = not weighted and len(confidence) <= MAX_EXACT_ROWS and deviation > 0
    if exact:
        count = stats.poisson_binom(confidence)
        n_correct = int(correct.sum())
        # Mid-p: half of the observed count's probability, or the test would be conservative.
        own = 0.5 * count.pmf(n_correct)
        tails = min(count.cdf(n_correct - 1), count.sf(n_correct)) + own
        p_value = float(min(1.0, 2.0 * tails))
    elif deviation > 0:
        p_value = float(2.0 * stats.norm.sf(abs(statistic)))
    else:
        # Forecasts of 0 and 1 leave nothing to chance: any mistake refutes them.
        p_value = 1.0 if score == 0.0 else 0.0
    return {
        "estimate": score / float(weights.sum()),
        "statistic": statistic,
        "p_value": p_value,
        "method": "Poisson-binomial, mid-p"
        if exact or deviation == 0
        else "normal, exact variance",
        "n": int(present.sum()),
    }


def cancellation_row(
    events: Events, weights: Array, base: Array, score: float, n_bins: int
) -> CancellationRow:
    """Compare the score with the bias-corrected calibration error of bins."""
    from scipy import stats

    require_count("n_bins", n_bins)
    bins = make_bins(events, Rule(n_bins=n_bins), base, single_precision=False)
    sums = bins.sums(weights)
    error = max(corrected_error(sums, 1), 0.0)
    variance = np.bincount(
        bins.assigned(weights),
        weights**2 * events.forecast * (1.0 - events.forecast),
        len(sums),
    )
    used = variance > 0
    chi2 = float((sums[used, 1] ** 2 / variance[used]).sum())
    p_value = float(stats.chi2.sf(chi2, int(used.sum()))) if used.any() else np.nan
    cancellation = float(np.clip(1.0 - abs(score) / error, 0.0, 1.0)) if error > 0 else np.nan
    return {
        "balance_score": float(score),
        "calibration_error": error,
        "cancellation": cancellation,
        "p_value": p_value,
        "cancels": bool(cancellation > HALF and p_value < SIZE),
    }


def closeness(estimate: "Estimate", first: int, second: int) -> Closeness:
    """Difference of two absolute scores, by the delta method where both signs are clear."""
    rows = [first, second]
    value = estimate.value[rows]
    covariance = estimate.covariance[np.ix_(rows, rows)]
    error = estimate.standard_error[rows]
    if bool((np.abs(value) > CLEARLY_OFF * error).all()):
        matrix = np.zeros((1, len(estimate)))
        matrix[0, rows] = np.sign(value) * [1.0, -1.0]
        contrast = estimate.contrast(matrix, ["difference"])
        low, high = contrast.confidence_interval()
        return {
            "estimate": float(contrast.value[0]),
            "standard_error": float(contrast.standard_error[0]),
            "ci_low": float(low[0]),
            "ci_high": float(high[0]),
            "p_value": float(contrast.test()["p_value"][0]),
            "method": "delta",
        }
    roots, vectors = np.linalg.eigh(covariance)
    generator = np.random.Generator(np.random.Philox(SIMULATION_KEY))
    draws = generator.standard_normal((N_DRAWS, 2)) * np.sqrt(np.clip(roots, 0.0, None))
    moved = np.abs(value + draws @ vectors.T)
    difference = float(abs(value[0]) - abs(value[1]))
    strays = moved[:, 0] - moved[:, 1] - difference
    tail = (1.0 - estimate.level) / 2.0
    low_stray, high_stray = np.quantile(strays, [tail, 1.0 - tail])
    exceed = int((np.abs(strays) >= abs(difference)).sum())
    return {
        "estimate": difference,
        "standard_error": float(strays.std(ddof=1)),
        "ci_low": difference - float(high_stray),
        "ci_high": difference - float(low_stray),
        "p_value": (1.0 + exceed) / (N_DRAWS + 1.0),
        "method": "parametric bootstrap",
    }
