"""Peak memory of trajectory scores that come in parts, at 10^5 and at 10^6 cells."""

import numpy as np

import evalstats as es
from benchmarks.processes import task

STEPS, SAMPLES, AGENTS = 10, 20, 1_000


@task
def trajectory(cells: int, state: str, labels: str) -> dict[str, float]:
    """AMD and AMV of two models, 10 steps, 20 samples; states merged as they come."""
    estimator = es.TrajectoryScores(scores=["AMD", "AMV", "minADE", "CRPS"])
    rng = np.random.default_rng(0)
    merged = None
    for part in range(cells // (STEPS * AGENTS)):
        truth = rng.normal(size=(STEPS, AGENTS, 2)).cumsum(axis=0)
        samples = {
            name: truth + spread * rng.normal(size=(SAMPLES, STEPS, AGENTS, 2))
            for name, spread in (("narrow", 0.7), ("wide", 1.2))
        }
        options = {}
        if labels == "scene":
            options["scene"] = part * 100 + np.arange(AGENTS) // 10
        if labels == "cluster":
            options["cluster"] = (part + np.arange(AGENTS)) % 50
        own = estimator.partial(truth, samples, state=state, **options)
        merged = own if merged is None else estimator.merge(merged, own)
    if merged is None:
        raise ValueError(f"{cells} cells make no part: ask for at least {STEPS * AGENTS}")
    estimate = estimator.finalize(merged)
    return {"bytes": len(merged.to_bytes()), "value": float(estimate.value[0])}
