"""AUROC and AUPRC against scikit-learn and MLstatkit, and the cost of starting up."""

import subprocess
import sys
from functools import cache

import numpy as np
from MLstatkit import Delong_test
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score

import evalstats as es
from benchmarks.harness import Contest, benchmark

REPLICATES = 1000
PEER_REPLICATES = 20

IMPORT = """
import time
start = time.perf_counter()
import evalstats
print(time.perf_counter() - start)
"""
FIRST_CALL = """
import time
import evalstats as es
start = time.perf_counter()
es.auroc([0, 1, 0, 1], [0.1, 0.4, 0.35, 0.8])
print(time.perf_counter() - start)
"""


@cache
def sample(size: int) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """One positive in ten, and two correlated scores of different quality."""
    rng = np.random.default_rng(1)
    y_true = (rng.random(size) < 0.1).astype(np.int64)
    common = rng.normal(size=size)
    first = 1.5 * y_true + common + 0.5 * rng.normal(size=size)
    second = 1.2 * y_true + common + 0.5 * rng.normal(size=size)
    return y_true, first, second


def fresh_process(program: str) -> float:
    """Seconds that the program measured and printed in a new interpreter."""
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return float(finished.stdout)


@benchmark("AUROC", peer="scikit-learn `roc_auc_score`", size=10**6, min_ratio=10)
def auroc_point() -> Contest:
    """Point estimate."""
    y_true, y_score, _ = sample(10**6)
    return Contest(
        ours=lambda: es.auroc(y_true, y_score), theirs=lambda: roc_auc_score(y_true, y_score)
    )


@benchmark("AUPRC", peer="scikit-learn `average_precision_score`", size=10**6, min_ratio=10)
def auprc_point() -> Contest:
    """Point estimate."""
    y_true, y_score, _ = sample(10**6)
    return Contest(
        ours=lambda: es.auprc(y_true, y_score),
        theirs=lambda: average_precision_score(y_true, y_score),
    )


@benchmark(
    "DeLong test, two models",
    peer="MLstatkit `Delong_test`",
    size=10**6,
    min_ratio=25,
    runs=5,
    peer_runs=2,
)
def delong_two_models() -> Contest:
    """Absolute z of the paired difference, because the peer subtracts the other way round."""
    y_true, first, second = sample(10**6)

    def ours() -> float:
        estimate = es.AUROC().fit(y_true, {"first": first, "second": second}).estimate_
        difference = np.array([1.0, -1.0])
        variance = difference @ estimate.covariance @ difference
        return float(abs(difference @ estimate.value) / np.sqrt(variance))

    return Contest(
        ours=ours,
        theirs=lambda: float(
            abs(Delong_test(y_true, first, second, return_ci=False, return_auc=False)[0])
        ),
    )


@benchmark(
    f"Bootstrap of AUROC, {REPLICATES:,} replicates",
    peer=f"scikit-learn `roc_auc_score` on resamples drawn beforehand ({PEER_REPLICATES} calls "
    f"timed, scaled to {REPLICATES:,})",
    size=10**5,
    min_ratio=50,
    runs=5,
    peer_runs=2,
)
def bootstrap() -> Contest:
    """Ours draws, evaluates and summarises; the peer only evaluates."""
    y_true, y_score, _ = sample(10**5)

    def ours() -> NDArray[np.float64]:
        inference = es.Bootstrap(n_resamples=REPLICATES, rng=0)
        return es.AUROC(inference=inference).fit(y_true, y_score).estimate_.standard_error

    rng = np.random.default_rng(0)
    rows = rng.integers(0, y_true.size, (PEER_REPLICATES, y_true.size))
    resamples = [(y_true[drawn], y_score[drawn]) for drawn in rows]

    def theirs() -> list[float]:
        return [float(roc_auc_score(labels, scores)) for labels, scores in resamples]

    return Contest(
        ours=ours, theirs=theirs, peer_scale=REPLICATES / PEER_REPLICATES, same_result=False
    )


@benchmark("`import evalstats`, fresh process", max_seconds=0.5)
def import_time() -> Contest:
    """Nothing heavy may be loaded and nothing compiled."""
    return Contest(ours=lambda: fresh_process(IMPORT), measured_inside=True)


@benchmark("First `es.auroc` call, fresh process, warm cache", max_seconds=1.0)
def first_call() -> Contest:
    """Includes the imports that the call triggers; the warm-up run fills the cache."""
    return Contest(ours=lambda: fresh_process(FIRST_CALL), measured_inside=True)
