"""Calibration errors against torchmetrics, netcal and scikit-learn."""

from functools import cache

import numpy as np
import torch
from netcal.metrics import ECE
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss
from torchmetrics.functional.classification import binary_calibration_error

import evalstats as es
from benchmarks.harness import Contest, benchmark

SIZE = 10**6
# Ours is one thread: so is the peer, whose waiting threads would also slow what follows.
torch.set_num_threads(1)
REPLICATES = 1000


@cache
def sample() -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Over-confident probabilities."""
    rng = np.random.default_rng(1)
    q = rng.random(SIZE)
    y_true = (rng.random(SIZE) < q).astype(np.int64)
    return y_true, 1.0 / (1.0 + (1.0 / q - 1.0) ** 1.5)


@benchmark("Calibration error", peer="torchmetrics, one thread", size=SIZE, min_ratio=15)
def error_torchmetrics() -> Contest:
    """Fifteen bins of equal width."""
    y_true, y_prob = sample()
    labels, probabilities = torch.from_numpy(y_true), torch.from_numpy(y_prob)
    return Contest(
        ours=lambda: es.ece(y_true, y_prob),
        theirs=lambda: float(binary_calibration_error(probabilities, labels, n_bins=15)),
    )


@benchmark("Calibration error", peer="netcal", size=SIZE, min_ratio=20)
def error_netcal() -> Contest:
    """Fifteen bins of equal width."""
    y_true, y_prob = sample()
    return Contest(
        ours=lambda: es.ece(y_true, y_prob), theirs=lambda: ECE(15).measure(y_prob, y_true)
    )


@benchmark("Calibration error, equal mass", peer="scikit-learn curve", size=SIZE)
def equal_mass() -> Contest:
    """Fifteen bins of equal mass: both sort."""
    y_true, y_prob = sample()
    return Contest(
        ours=lambda: es.calibration_error(y_true, y_prob, binning="quantile"),
        theirs=lambda: calibration_curve(y_true, y_prob, n_bins=15, strategy="quantile"),
        same_result=False,
    )


@benchmark(
    "ECE, Brier and Balance score in one pass",
    peer="torchmetrics + scikit-learn + numpy accuracy and confidence",
    size=SIZE,
)
def one_pass_peers() -> Contest:
    """The same three numbers from their usual sources."""
    y_true, y_prob = sample()
    labels, probabilities = torch.from_numpy(y_true), torch.from_numpy(y_prob)

    def theirs() -> list[float]:
        ece = binary_calibration_error(probabilities, labels, n_bins=15)
        accuracy = ((y_prob >= 0.5) == y_true).mean()
        balance = accuracy - np.maximum(y_prob, 1.0 - y_prob).mean()
        return [float(ece), brier_score_loss(y_true, y_prob), float(balance)]

    return Contest(ours=lambda: _three(y_true, y_prob), theirs=theirs)


@benchmark(
    "ECE, Brier and Balance score in one pass",
    peer="torchmetrics + netcal + scikit-learn",
    size=SIZE,
    min_ratio=60,
)
def one_pass_packages() -> Contest:
    """Sum of what the three packages take for calibration errors and the Brier score."""
    y_true, y_prob = sample()
    labels, probabilities = torch.from_numpy(y_true), torch.from_numpy(y_prob)

    def theirs() -> float:
        binary_calibration_error(probabilities, labels, n_bins=15)
        ECE(15).measure(y_prob, y_true)
        calibration_curve(y_true, y_prob, n_bins=15)
        return float(brier_score_loss(y_true, y_prob))

    return Contest(ours=lambda: _three(y_true, y_prob)[1], theirs=theirs)


def _three(y_true: NDArray[np.int64], y_prob: NDArray[np.float64]) -> list[float]:
    summary = es.calibration_summary(y_true, y_prob)
    return [summary["ece"], summary["brier_score"], summary["balance_score"]]


@benchmark(
    f"Calibration error, {REPLICATES:,} bootstrap replicates", size=SIZE, max_seconds=6.0, runs=1
)
def replicates() -> Contest:
    """Bins once, then one linear pass per replicate."""
    y_true, y_prob = sample()
    method = es.Bootstrap(n_resamples=REPLICATES, interval="basic", rng=0)
    estimator = es.CalibrationError(inference=method)
    return Contest(ours=lambda: estimator.fit(y_true, y_prob).estimate_.standard_error)
