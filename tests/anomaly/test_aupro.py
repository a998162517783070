"""AUPRO against the definition, its influence and its peculiarities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import evalstats as es
from tests.anomaly.support import stack
from tests.oracles import anomaly as oracle

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")


@given(st.integers(0, 10**6), st.sampled_from([None, 1, 0]), st.sampled_from([0.05, 0.3, 1.0]))
def test_equals_the_definition(seed, decimals, limit):
    maps, masks = stack(np.random.default_rng(seed), 6, 7, decimals=decimals)
    expected = oracle.aupro(maps, masks, limit)
    assert es.aupro(masks, maps, max_fpr=limit) == pytest.approx(expected, abs=1e-12)


def test_weighted_images(rng):
    maps, masks = stack(rng, 9, 8, decimals=1, ragged=True)
    weight = rng.uniform(0.5, 2.0, 9)
    pro = es.AUPRO(inference=es.NoInference()).fit(masks, maps, sample_weight=weight)
    expected = oracle.aupro(maps, masks, 0.3, weight)
    assert pro.estimate_.value[0] == pytest.approx(expected, abs=1e-12)


def test_influence_is_the_derivative(rng):
    maps, masks = stack(rng, 12, 8, decimals=1)
    pro = es.AUPRO(max_fpr=0.2).fit(masks, maps)
    prepared = pro._prepare(pro._fitted_columns())
    weight = rng.uniform(0.5, 2.0, 12)
    influence = prepared.influence(weight)
    for row in range(12):
        step = 1e-6 * (np.arange(12) == row)
        change = prepared.means(weight + step) - prepared.means(weight - step)
        np.testing.assert_allclose(influence[row], change / 2e-6, atol=1e-7)


def test_analytic_error_is_the_bootstrap_error(rng):
    maps, masks = stack(rng, 150, 12)
    analytic = es.AUPRO().fit(masks, maps).estimate_
    resampled = es.AUPRO(inference=es.Bootstrap(1000, rng=1)).fit(masks, maps).estimate_
    ratio = resampled.standard_error[0] / analytic.standard_error[0]
    assert ratio == pytest.approx(1.0, abs=0.08)


def test_regions_count_alike_and_touch_at_corners():
    masks = np.zeros((2, 6, 6), dtype=bool)
    masks[1, 0, 0] = masks[1, 1, 1] = True
    masks[1, 4:, 4:] = True
    maps = np.zeros((2, 6, 6))
    maps[1, 4:, 4:] = 1.0
    # Two regions: one found at once, the diagonal one tied with all of the background.
    assert es.aupro(masks, maps, max_fpr=1.0) == pytest.approx(0.5 * (1.0 + 0.5))


def test_needs_no_normal_image(rng):
    maps, masks = stack(rng)
    anomalous = masks.any(axis=(1, 2))
    estimate = es.AUPRO().fit(masks[anomalous], maps[anomalous]).estimate_
    assert estimate.standard_error[0] > 0


@pytest.mark.parametrize("limit", [0.0, 1.5, True, -1])
def test_limit_is_a_rate(rng, limit):
    maps, masks = stack(rng)
    with pytest.raises(es.InputError, match="max_fpr="):
        es.aupro(masks, maps, max_fpr=limit)
