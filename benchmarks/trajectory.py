"""Trajectory scores against scikit-learn's mixtures and scoringrules."""

import warnings
from functools import cache

import numpy as np
from numpy.typing import NDArray
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits  # type: ignore[import-not-found,import-untyped,unused-ignore]

import evalstats as es
from benchmarks.harness import Contest, benchmark

Array = NDArray[np.float64]

SAMPLES = 1000
STEPS = 12
AGENTS = 100
PEER_CELLS = 60
ENERGY_CELLS = 20


@cache
def forecasts() -> tuple[Array, Array]:
    """Truths (T, A, 2) and samples (K, T, A, 2), one cell in five with two modes."""
    rng = np.random.default_rng(1)
    truth = rng.normal(size=(STEPS, AGENTS, 2)).cumsum(axis=0)
    modes = np.where(rng.random((SAMPLES, 1, AGENTS, 1)) < 0.4, 4.0, 0.0)
    modes[:, :, np.arange(AGENTS) % 5 > 0] = 0.0
    error = 0.5 * rng.normal(size=truth.shape)
    return truth, truth + error + modes + rng.normal(size=(SAMPLES, STEPS, AGENTS, 2))


def peer_mixtures() -> Array:
    """The published search: components are added until the BIC stops to fall."""
    _, samples = forecasts()
    cells = samples.transpose(2, 1, 0, 3).reshape(-1, SAMPLES, 2)
    step = len(cells) // PEER_CELLS
    best = []
    # On small cells its own threads only wait for each other.
    with threadpool_limits(1):
        for cell in cells[::step][:PEER_CELLS]:
            lowest = np.inf
            for m in range(1, 5):
                bic = GaussianMixture(m).fit(cell).bic(cell)
                if not bic < lowest:
                    break
                lowest = bic
            best.append(lowest)
    return np.array(best)


@benchmark(
    "AMD, K = 1000, 1,200 cells",
    peer=f"scikit-learn GaussianMixture, {PEER_CELLS} cells, scaled",
    size=AGENTS * STEPS,
    min_ratio=60,
    runs=3,
    peer_runs=3,
)
def amd() -> Contest:
    """Mixture fits with the settings of the published code."""
    truth, samples = forecasts()
    estimator = es.AMD(inference=es.NoInference())
    scale = AGENTS * STEPS / PEER_CELLS
    return Contest(
        ours=lambda: estimator.fit(truth, samples).estimate_.value,
        theirs=peer_mixtures,
        peer_scale=scale,
        same_result=False,
    )


@benchmark(
    "AMV, K = 1000, 1,200 cells",
    peer=f"scikit-learn GaussianMixture, {PEER_CELLS} cells, scaled",
    size=AGENTS * STEPS,
    min_ratio=1000,
    runs=3,
    peer_runs=3,
)
def amv() -> Contest:
    """Moments alone against the fits of the published code."""
    truth, samples = forecasts()
    estimator = es.AMV(inference=es.NoInference())
    scale = AGENTS * STEPS / PEER_CELLS
    return Contest(
        ours=lambda: estimator.fit(truth, samples).estimate_.value,
        theirs=peer_mixtures,
        peer_scale=scale,
        same_result=False,
    )


@benchmark(
    "energy score, K = 1000, 20 cells",
    peer="scoringrules es_ensemble",
    size=ENERGY_CELLS,
    min_ratio=1.5,
    runs=5,
    peer_runs=3,
)
def energy() -> Contest:
    """V-statistic of the energy score in the plane."""
    from scoringrules import es_ensemble

    truth, samples = forecasts()
    truth, samples = truth[:1, :ENERGY_CELLS], samples[:, :1, :ENERGY_CELLS]

    def theirs() -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scores = es_ensemble(truth[0], samples[:, 0], m_axis=0, v_axis=-1, backend="numpy")
        return float(np.mean(scores))

    return Contest(ours=lambda: es.energy_score(truth, samples, fair=False), theirs=theirs)
