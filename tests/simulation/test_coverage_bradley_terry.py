"""Coverage of Bradley-Terry intervals when users disagree: cluster sandwich and plain one."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

import evalstats as es

pytestmark = pytest.mark.simulation

N_REPETITIONS = 1000
N_USERS, PER_USER, N_MODELS = 120, 10, 4


def draw(rng, taste):
    """Battles in which each user has a taste for some models, and the log-odds at no taste."""
    n = N_USERS * PER_USER
    user = np.repeat(np.arange(N_USERS), PER_USER)
    first = rng.integers(0, N_MODELS, n)
    second = (first + rng.integers(1, N_MODELS, n)) % N_MODELS
    liking = taste * rng.normal(size=(N_USERS, N_MODELS))
    eta = liking[user, first] - liking[user, second]
    return first, second, (rng.random(n) < expit(eta)).astype(float), user


@pytest.mark.parametrize(("taste", "clustered"), [(0.0, False), (0.8, True)])
def test_intervals_of_a_difference_cover(taste, clustered):
    # Models are exchangeable, so every difference of ratings is zero by symmetry.
    rng = np.random.default_rng(12)
    covered = 0
    for _ in range(N_REPETITIONS):
        first, second, outcome, user = draw(rng, taste)
        cluster = user if clustered else None
        estimate = es.BradleyTerry().fit(first, second, outcome, cluster=cluster).estimate_
        contrast = np.array([1.0, -1.0, 0.0, 0.0])
        error = np.sqrt(contrast @ estimate.covariance @ contrast)
        covered += abs(contrast @ estimate.value) <= stats.t.ppf(0.975, estimate.df[0]) * error
    assert 0.93 < covered / N_REPETITIONS < 0.97


def test_ignoring_users_is_too_narrow():
    rng = np.random.default_rng(13)
    ratios = []
    for _ in range(50):
        first, second, outcome, user = draw(rng, 0.8)
        errors = [
            es.BradleyTerry().fit(first, second, outcome, cluster=cluster).estimate_.standard_error
            for cluster in (None, user)
        ]
        ratios.append((errors[0] / errors[1]).mean())
    assert np.mean(ratios) < 0.9
