"""Mergeable states: equal to one pass, and bounds that hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import evalstats as es
from evalstats.discrimination import state
from evalstats.kernels import classes as point
from tests.discrimination.test_kernels import cases
from tests.oracles import ranking as oracle


def binned(scores, y, weight=None):
    """Weight of both classes in the bins that occur, ascending."""
    histogram = state.score_histogram(state.score_bins(scores), y, weight)
    return histogram.positive, histogram.negative


def auroc(histogram):
    return float(state.binned_auroc(histogram.positive, histogram.negative))


@given(cases(), st.integers(1, 5), st.integers(0, 1000))
def test_merged_parts_equal_one_pass(case, n_parts, seed):
    y, scores, weight = case
    weight = np.round(weight * 10)
    estimator = es.AUROC(on_undefined="nan")
    part = np.random.default_rng(seed).integers(0, n_parts, y.size)
    # A part needs a row of weight, as every call does.
    kept = [k for k in range(n_parts) if weight[part == k].sum() > 0]
    if not kept:
        return
    states = [
        estimator.partial(y[part == k], scores[part == k], sample_weight=weight[part == k])
        for k in kept
    ]
    merged = estimator.merge(*states[::-1]).table
    rows = np.isin(part, kept)
    whole = estimator.partial(y[rows], scores[rows], sample_weight=weight[rows]).table
    assert merged.equals(estimator.merge(estimator.merge(*states)).table)
    assert merged.equals(whole)
    assert auroc_of(merged) == pytest.approx(
        oracle.auroc(y[rows], scores[rows], weight[rows]), abs=1e-12, nan_ok=True
    )


def auroc_of(table):
    return float(state.binned_auroc(table["positive"].to_numpy(), table["negative"].to_numpy()))


def test_counts_and_squares():
    y = np.array([True, True, False, False])
    histogram = state.score_histogram(
        np.array([-0.0, 0.0, 0.0, 1.0]), y, np.array([2.0, 3.0, 4.0, 0.0])
    )
    assert histogram.scores.tolist() == [0.0, 1.0]
    assert not np.signbit(histogram.scores).any()
    assert histogram.positive.tolist() == [5.0, 0.0]
    assert histogram.positive_squares.tolist() == [13.0, 0.0]
    assert histogram.negative_squares.tolist() == [16.0, 0.0]
    assert histogram.n_negative.tolist() == [1, 1]


def test_unweighted_histogram_equals_unit_weights(rng):
    y, scores = rng.random(200) < 0.3, np.round(rng.normal(size=200), 1)
    whole = state.score_histogram(scores, y)
    for got, expected in zip(whole, state.score_histogram(scores, y, np.ones(200)), strict=True):
        np.testing.assert_array_equal(got, expected)
    assert auroc(whole) == point.unweighted_auroc(y, scores)


def test_pair_counts_beyond_64_bits():
    billions = np.array([3.0e9, 1.0e9])
    histogram = state.ScoreHistogram(
        np.array([0.0, 1.0]), billions, 2 * billions[::-1], billions, billions, *([billions] * 2)
    )
    won = 1e9 * 2e9 + 0.5 * (3e9 * 2e9 + 1e9 * 6e9)
    assert auroc(histogram) == pytest.approx(won / (4e9 * 8e9), rel=1e-15)


def test_bins_are_monotone(rng):
    tiny = np.finfo(np.float32).tiny
    scores = np.concatenate(
        [[-1e300, -1.0, -tiny, -0.0, 0.0, tiny, 1.0, 1e300], rng.normal(size=1000)]
    )
    bins = state.score_bins(scores).astype(int)
    order = np.argsort(scores, kind="stable")
    assert (np.diff(bins[order]) >= 0).all()
    assert bins[3] == bins[4]


@given(cases(), st.sampled_from([1.0, 1e-3, 1e-5]))
def test_bounds_hold(case, spread):
    y, scores, weight = case
    # Scores so close to 1 that several distinct ones share a bin.
    scores = 1.0 + spread * scores
    low, mid, high, ap_low, ap_high = state.binned_bounds(*binned(scores, y, weight))
    assert low - 1e-12 <= oracle.auroc(y, scores, weight) <= high + 1e-12
    assert low <= mid <= high
    assert ap_low - 1e-12 <= oracle.average_precision(y, scores, weight) <= ap_high + 1e-12


def test_bounds_are_narrow_for_spread_scores(rng):
    y = rng.random(20_000) < 0.2
    scores = rng.normal(size=20_000) + y
    bounds = state.binned_bounds(*binned(scores, y))
    assert bounds.auroc_high - bounds.auroc_low < 0.003
    assert bounds.ap_high - bounds.ap_low < 0.01
    assert bounds.auroc_mid == pytest.approx(point.unweighted_auroc(y, scores), abs=1e-4)


def test_bounds_without_a_class():
    bounds = state.binned_bounds(*binned(np.arange(3.0), np.zeros(3, dtype=bool)))
    assert np.isnan(bounds).all()
    one = state.binned_bounds(*binned(np.arange(3.0), np.ones(3, dtype=bool)))
    assert np.isnan(one.auroc_mid)
    assert one[3:] == (1.0, 1.0)
