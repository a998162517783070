"""Scores, CORP and smooth calibration error against scikit-learn and relplot."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss, log_loss

import evalstats as es
from benchmarks.harness import Contest, benchmark

SIZE = 10**6
REPLICATES = 1000


@cache
def sample(size: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Outcomes and over-confident forecasts."""
    rng = np.random.default_rng(4)
    signal = rng.normal(scale=1.5, size=size)
    y_true = (rng.random(size) < 1 / (1 + np.exp(-signal))).astype(np.int64)
    return y_true, 1 / (1 + np.exp(-1.5 * signal))


@benchmark("Brier score", peer="scikit-learn `brier_score_loss`", size=SIZE, min_ratio=10)
def brier() -> Contest:
    """Point value."""
    y_true, y_prob = sample(SIZE)
    return Contest(
        ours=lambda: es.brier_score(y_true, y_prob),
        theirs=lambda: brier_score_loss(y_true, y_prob),
    )


@benchmark("Log loss", peer="scikit-learn `log_loss`", size=SIZE, min_ratio=10)
def logarithmic() -> Contest:
    """Point value."""
    y_true, y_prob = sample(SIZE)
    return Contest(
        ours=lambda: es.log_loss(y_true, y_prob), theirs=lambda: log_loss(y_true, y_prob)
    )


@benchmark(
    "CORP decomposition of the Brier score",
    peer="scikit-learn `IsotonicRegression` and three `brier_score_loss`",
    size=SIZE,
    min_ratio=2,
    runs=5,
    peer_runs=2,
)
def corp() -> Contest:
    """Both sort a million forecasts, which is most of our time."""
    y_true, y_prob = sample(SIZE)

    def theirs() -> list[float]:
        isotonic = IsotonicRegression(y_min=0.0, y_max=1.0).fit_transform(y_prob, y_true)
        score = brier_score_loss(y_true, y_prob)
        recalibrated = brier_score_loss(y_true, isotonic)
        constant = brier_score_loss(y_true, np.full(SIZE, y_true.mean()))
        return [score - recalibrated, constant - recalibrated, constant, score]

    return Contest(ours=lambda: list(es.corp_decomposition(y_true, y_prob).values()), theirs=theirs)


@benchmark("Smooth calibration error", peer="relplot `smECE`", size=SIZE, min_ratio=20, peer_runs=2)
def smooth() -> Contest:
    """Value and width; the peer's mesh is coarser, hence the difference."""
    from relplot.metrics import smECE

    y_true, y_prob = sample(SIZE)
    outcome = y_true.astype(np.float64)
    return Contest(
        ours=lambda: es.smooth_calibration_error(y_true, y_prob),
        theirs=lambda: smECE(y_prob, outcome, return_width=True),
    )


@benchmark(
    f"Bootstrap of the CORP decomposition, {REPLICATES:,} replicates", size=10**5, max_seconds=6.0
)
def corp_bootstrap() -> Contest:
    """One isotonic regression per replicate; no peer resamples it."""
    y_true, y_prob = sample(10**5)
    inference = es.Bootstrap(n_resamples=REPLICATES, interval="bias_corrected", rng=0)
    diagram = es.ReliabilityDiagram(inference=inference)
    return Contest(ours=lambda: diagram.fit(y_true, y_prob).estimate_.standard_error)


@benchmark(
    "Calibration slope with sandwich errors", peer="statsmodels `GLM`", size=10**5, min_ratio=1.5
)
def slope() -> Contest:
    """Intercept and slope with their standard errors."""
    import statsmodels.api as sm

    y_true, y_prob = sample(10**5)

    def ours() -> NDArray[np.float64]:
        estimate = es.CalibrationSlope().fit(y_true, y_prob).estimate_
        return np.concatenate([estimate.value[:2], estimate.standard_error[:2]])

    def theirs() -> NDArray[np.float64]:
        design = sm.add_constant(np.log(y_prob) - np.log1p(-y_prob))
        fitted = sm.GLM(y_true, design, family=sm.families.Binomial()).fit(cov_type="HC0")
        return np.concatenate([fitted.params, fitted.bse])

    return Contest(ours=ours, theirs=theirs)
