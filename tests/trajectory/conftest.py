"""Simulated crowds."""

import numpy as np
import pytest


@pytest.fixture
def crowd(rng):
    """3 steps of 20 agents in 5 scenes, K = 60, and a second model."""
    truth = rng.normal(size=(3, 20, 2)).cumsum(axis=0)
    first = truth + 0.5 * rng.normal(size=truth.shape) + rng.normal(size=(60, *truth.shape))
    second = truth + 0.9 * rng.normal(size=truth.shape) + rng.normal(size=(60, *truth.shape))
    return truth, {"a": first, "b": second}, np.repeat(np.arange(5), [2, 4, 3, 5, 6])
