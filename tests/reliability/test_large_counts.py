"""Counts whose products do not fit into 32 bits, and weights near the end of integers."""

import numpy as np
import pytest
from scipy.stats import rankdata

import evalstats as es

N = 60_000  # 3.6 * 10^9 pairs of a positive and a negative


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(5)
    y_true = np.repeat([0, 1], N)
    return y_true, np.round(rng.normal(size=2 * N) + 0.7 * y_true, 3)


def test_auroc_of_more_pairs_than_32_bits_count(rows):
    y_true, y_score = rows
    ranks = rankdata(y_score)[y_true == 1].sum()
    expected = (ranks - N * (N + 1) / 2) / (float(N) * N)
    assert es.auroc(y_true, y_score) == pytest.approx(expected, rel=1e-12)
    estimate = es.AUROC().fit(y_true, y_score).estimate_
    assert estimate.value[0] == pytest.approx(expected, rel=1e-12)
    low, high = np.sort(y_score[y_true == 0]), np.sort(y_score[y_true == 1])
    above = (np.searchsorted(low, high, "left") + np.searchsorted(low, high, "right")) / (2 * N)
    below = 1 - (np.searchsorted(high, low, "left") + np.searchsorted(high, low, "right")) / (2 * N)
    delong = np.sqrt((above.var(ddof=1) + below.var(ddof=1)) / N)
    assert estimate.standard_error[0] == pytest.approx(delong, rel=1e-9)


@pytest.mark.parametrize("weight", [2**31 - 1, 2**32, 2**40])
def test_integer_weights_whose_sums_exceed_32_bits(rows, weight):
    y_true, y_score = rows
    heavy = np.full(len(y_true), weight, dtype=np.int64)
    for metric in (es.auroc, es.auprc):
        plain = metric(y_true, y_score)
        assert metric(y_true, y_score, sample_weight=heavy) == pytest.approx(plain, rel=1e-12)


def test_distance_covariance_of_more_pairs_than_32_bits_count(rows):
    y_true, y_score = rows
    x, y = y_score[::2], y_true[::2].astype(float)
    half = len(x)
    found = es.distance_covariance_squared(x, y, estimator="biased")
    # Of a binary variable it is twice the squared share product times the energy distance.
    low, high = np.sort(x[y == 0]), np.sort(x[y == 1])
    energy = 2 * _mean_distance(low, high) - _mean_distance(low, low) - _mean_distance(high, high)
    share = y.mean()
    expected = 2 * (share * (1 - share)) ** 2 * energy
    assert half * half > 2**31
    assert found == pytest.approx(expected, rel=1e-9)


def _mean_distance(a, b):
    """Mean |a - b| over all pairs of two sorted samples, by ranks."""
    below = np.searchsorted(b, a)
    sums = np.concatenate([[0.0], np.cumsum(b)])
    total = a * below - sums[below] + (sums[-1] - sums[below]) - a * (len(b) - below)
    return total.sum() / (len(a) * len(b))
