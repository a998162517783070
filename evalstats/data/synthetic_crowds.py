"""Invented crowds with invented predictors, for the demo and for tests."""

from typing import Any

import numpy as np

N_SCENES = 60
N_STEPS = 12
N_SAMPLES = 200
# Standard deviations in metres: of the velocity per step, and of each position.
SPREAD = 0.06
JITTER = 0.05


def synthetic_crowds(seed: int = 0) -> dict[str, Any]:
    """Arguments of ``fit``: pedestrians off their straight path, and three predictors.

    Parameters
    ----------
    seed : int, default 0
        Seed of the crowd.

    Returns
    -------
    dict
        ``trajectory`` (T, A, 2) in metres, ``samples`` by model (K, T, A, 2), and ``scene`` (A,):
        "calibrated" knows the spread of the deviations, "too narrow" and "too wide" halve and
        double it.
    """
    rng = np.random.default_rng(seed)
    scene = np.repeat(np.arange(N_SCENES), rng.integers(2, 6, N_SCENES))
    n = len(scene)
    speed, heading = rng.normal(0.5, 0.08, n), rng.uniform(0.0, 2 * np.pi, n)
    step = np.arange(1, N_STEPS + 1)[:, None, None]
    velocity = speed[:, None] * np.column_stack([np.cos(heading), np.sin(heading)])
    straight = rng.uniform(-6.0, 6.0, (n, 2)) + step * velocity
    # Agents of one scene see the same obstacle, so their deviations agree in part.
    shared = SPREAD * np.sqrt(0.3) * rng.normal(size=(N_SCENES, 2))[scene]
    own = SPREAD * np.sqrt(0.7) * rng.normal(size=(n, 2))
    truth = straight + step * (shared + own) + JITTER * rng.normal(size=(N_STEPS, n, 2))
    samples = {}
    for name, factor in (("calibrated", 1.0), ("too narrow", 0.5), ("too wide", 2.0)):
        drift = SPREAD * rng.normal(size=(N_SAMPLES, 1, n, 2))
        jitter = JITTER * rng.normal(size=(N_SAMPLES, N_STEPS, n, 2))
        samples[name] = straight + factor * (step * drift + jitter)
    return {"trajectory": truth, "samples": samples, "scene": scene}
