"""Maps against recorded fits of scikit-learn, and their invariances."""

import json
import pickle

import numpy as np
import pytest

from evalstats.errors import InputError
from evalstats.recalibration.maps import (
    expit,
    fit_beta,
    fit_histogram,
    fit_isotonic,
    fit_platt,
    fit_temperature,
    logit,
)

FITS = [fit_platt, fit_beta, fit_temperature, fit_isotonic, fit_histogram]


@pytest.fixture(scope="module")
def cases(reference):
    inputs = np.load(reference / "calibration" / "inputs.npz")
    recorded = json.loads((reference / "calibration" / "expected_other_peers.json").read_text())
    return {
        name: (inputs[f"{name}__p"], inputs[f"{name}__y"] == 1, fits)
        for name, fits in recorded.items()
        if "sk_isotonic" in fits
    }


def sample(rng, n=400):
    score = rng.random(n)
    return score, rng.random(n) < expit(0.6 * logit(score) - 0.4)


def test_isotonic_equals_scikit_learn(cases):
    for name, (p, y, fits) in cases.items():
        if name == "saturated":
            continue  # the peer pools distinct scores closer than 1e-15
        fitted = fit_isotonic(p, y)(np.array(fits["sk_isotonic"]["x"]))
        np.testing.assert_allclose(
            fitted, fits["sk_isotonic"]["fit"], rtol=0, atol=1e-10, err_msg=name
        )


def test_platt_equals_scikit_learn(cases):
    for name, (p, y, fits) in cases.items():
        a, b = fits["sk_platt_ab"]
        fitted = fit_platt(p, y, scale="raw", smooth=True)
        np.testing.assert_allclose(fitted(p), expit(-(a * p + b)), atol=1e-4, err_msg=name)
        if name != "constant":
            np.testing.assert_allclose(
                [-fitted.slope, -fitted.intercept], [a, b], rtol=1e-4, atol=1e-4, err_msg=name
            )


@pytest.mark.parametrize("fit", FITS)
def test_order_weights_monotone_and_pickle(fit, rng):
    score, positive = sample(rng)
    weight = rng.integers(0, 4, len(score))
    grid = np.linspace(0.0, 1.0, 101)
    value = fit(score, positive, weight.astype(float))(grid)
    rows = rng.permutation(np.repeat(np.arange(len(score)), weight))
    repeated = fit(score[rows], positive[rows])
    np.testing.assert_allclose(repeated(grid), value, rtol=0, atol=1e-9)
    assert np.array_equal(pickle.loads(pickle.dumps(repeated))(grid), repeated(grid))
    if fit is not fit_histogram:
        assert np.all(np.diff(value) >= -1e-15)


def test_beta_is_the_constrained_maximum(rng):
    from scipy.optimize import minimize

    for tilt in (1.0, -1.0):
        score = rng.beta(0.5, 0.5, 500)
        positive = rng.random(500) < np.clip(0.5 + tilt * (score - 0.5) ** 3 * 2, 0, 1)
        x = np.column_stack([np.log(score), -np.log1p(-score), np.ones(500)])

        def loss(c, x=x, positive=positive):
            return np.sum(np.logaddexp(0, x @ c) - positive * (x @ c))

        best = minimize(loss, [1, 1, 0], bounds=[(0, None), (0, None), (None, None)], tol=1e-14)
        fitted = fit_beta(score, positive)
        np.testing.assert_allclose(fitted(score), expit(x @ best.x), rtol=0, atol=2e-4)


def test_histogram_bins_are_closed_on_the_right_and_empty_ones_have_their_middle():
    fitted = fit_histogram(np.array([0.0, 0.2, 0.21, 1.0]), np.array([1, 0, 1, 1]) == 1, n_bins=5)
    assert fitted.value.tolist() == pytest.approx([0.5, 1.0, 0.5, 0.7, 1.0])


def test_temperature_of_tempered_classes(rng):
    logits = rng.normal(size=(20000, 3))
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    label = (probability.cumsum(axis=1) < rng.random((20000, 1))).sum(axis=1)
    sharp = probability**2 / (probability**2).sum(axis=1, keepdims=True)
    assert fit_temperature(sharp, label).temperature == pytest.approx(2.0, abs=0.08)


@pytest.mark.parametrize("fit", [fit_platt, fit_beta])
def test_separation_is_refused(fit):
    with pytest.raises(InputError, match="separate the classes"):
        fit(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True]))
    with pytest.raises(InputError, match="one class only"):
        fit(np.array([0.1, 0.2]), np.array([True, True]))
