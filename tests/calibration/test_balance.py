"""Balance score: definition, null distribution, cancellation, comparison of absolute values."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import evalstats as es
from tests.oracles import calibration as oracle

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")

rows = st.lists(
    st.tuples(
        st.booleans(),
        st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0])),
        st.floats(0.125, 8),
    ),
    min_size=1,
    max_size=40,
)


@given(rows)
def test_equals_the_four_cases_and_accuracy_minus_confidence(sample):
    y, p, w = (np.array(column) for column in zip(*sample, strict=True))
    assert es.balance_score(y, p) == pytest.approx(oracle.balance(y, p), abs=1e-12)
    found = es.balance_score(y, p, sample_weight=w)
    assert found == pytest.approx(oracle.balance(y, p, w), abs=1e-12)
    accuracy = np.average((p >= 0.5) == y, weights=w)
    assert found == pytest.approx(accuracy - np.average(np.maximum(p, 1 - p), weights=w), abs=1e-12)
    # The signed error of one bin cannot exceed that of many.
    top = es.calibration_error(y, p, target="top_label", sample_weight=w)
    assert abs(found) <= top + 1e-12


def test_one_half_predicts_the_positive_class():
    assert es.balance_score([1], [0.5]) == 0.5
    assert es.balance_score([0], [0.5]) == -0.5
    # With one column per class the first of tied classes is predicted.
    assert es.balance_score([1, 0, 0], [[0.5, 0.5], [0.9, 0.1], [0.9, 0.1]]) == pytest.approx(-0.1)


def test_standard_error_is_that_of_a_mean(rng):
    p = rng.random(80)
    y = rng.random(80) < p
    f = np.where(p >= 0.5, 1, -1) * (y - p)
    estimate = es.BalanceScore().fit(y, p).estimate_
    assert estimate.standard_error[0] == pytest.approx(f.std(ddof=1) / np.sqrt(80), rel=1e-12)
    low, high = estimate.confidence_interval()
    half = 1.9904502102 * f.std(ddof=1) / np.sqrt(80)  # t(79)
    assert [low[0], high[0]] == pytest.approx([f.mean() - half, f.mean() + half], rel=1e-9)
    cluster = np.arange(80) // 4
    clustered = es.BalanceScore().fit(y, p, cluster=cluster).estimate_
    sums = np.bincount(cluster, f - f.mean())
    expected = np.sqrt(20 / 19 * (sums**2).sum()) / 80
    assert clustered.standard_error[0] == pytest.approx(expected, rel=1e-12)


def test_components_add_up(rng):
    p = rng.random(200)
    y = rng.random(200) < p**2
    fitted = es.BalanceScore().fit(y, {"a": p, "b": p**2})
    parts = fitted.components()
    for model in ("a", "b"):
        values = dict(
            zip(
                parts.select(model=model).terms["metric"],
                parts.select(model=model).value,
                strict=True,
            )
        )
        high, low = values["Balance, confident half"], values["Balance, other half"]
        score = fitted.estimate_.select(model=model).value[0]
        assert values["Balance score"] == score
        assert high + low == pytest.approx(score, abs=1e-14)
        assert values["Calibration-in-the-large"] == pytest.approx(high - low, abs=1e-14)
        assert values["Accuracy"] - values["Mean confidence"] == pytest.approx(score, abs=1e-14)
    q = p if model == "a" else p**2
    assert values["Calibration-in-the-large"] == pytest.approx((y - q).mean(), abs=1e-14)


def test_null_distribution_is_exact(rng):
    p = np.array([0.9, 0.2, 0.6, 0.75, 0.5, 0.1])
    y = np.array([1, 0, 0, 1, 1, 1])
    confidence = np.maximum(p, 1 - p)
    observed = ((p >= 0.5) == y).sum()
    weight = {}
    for outcome in itertools.product([0, 1], repeat=6):
        chance = np.prod(np.where(outcome, confidence, 1 - confidence))
        weight[sum(outcome)] = weight.get(sum(outcome), 0.0) + chance
    below = sum(w for k, w in weight.items() if k < observed) + weight[observed] / 2
    above = sum(w for k, w in weight.items() if k > observed) + weight[observed] / 2
    table = es.BalanceScore().fit(y, p).null_test()
    assert table["p_value"][0] == pytest.approx(min(1.0, 2 * min(below, above)), rel=1e-10)
    assert table["method"][0] == "Poisson-binomial, mid-p"
    z = (observed - confidence.sum()) / np.sqrt((confidence * (1 - confidence)).sum())
    assert table["statistic"][0] == pytest.approx(z, rel=1e-12)


def test_null_test_of_certain_forecasts_and_of_clusters(rng):
    certain = es.BalanceScore().fit([1, 0, 1], [1.0, 0.0, 1.0]).null_test()
    assert certain["p_value"][0] == 1.0
    assert np.isnan(certain["statistic"][0])
    refuted = es.BalanceScore().fit([1, 0, 0], [1.0, 0.0, 1.0]).null_test()
    assert refuted["p_value"][0] == 0.0
    p = rng.random(120)
    y = rng.random(120) < p
    fitted = es.BalanceScore().fit(y, p, cluster=np.arange(120) // 3)
    table = fitted.null_test()
    assert table["method"][0] == "t over clusters"
    assert table["p_value"][0] == pytest.approx(fitted.estimate_.test()["p_value"][0])
    weighted = es.BalanceScore().fit(y, p, sample_weight=rng.uniform(1, 2, 120)).null_test()
    assert weighted["method"][0] == "normal, exact variance"


def test_p_values_are_uniform_under_calibration():
    rng = np.random.default_rng(8)
    p_values = []
    for _ in range(400):
        p = rng.beta(2, 2, 6000)
        p_values.append(es.BalanceScore().fit(rng.random(6000) < p, p).null_test()["p_value"][0])
    from scipy import stats

    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_a_shift_cancels_and_says_so(rng):
    q = rng.random(5000)
    y = rng.random(5000) < q
    shifted = 1 / (1 + (1 / q - 1) * np.exp(-0.5))
    with pytest.warns(es.EvalstatsWarning, match=r"\[cancelling-errors\] .* of the calibration"):
        fitted = es.BalanceScore().fit(y, shifted)
    row = fitted.cancellation().row(0, named=True)
    assert row["cancels"]
    assert 0.5 < row["cancellation"] < 1
    # Halves of opposite sign whose sum is small.
    parts = fitted.components().value
    assert parts[1] < -0.02 < 0.02 < parts[2] or parts[2] < -0.02 < 0.02 < parts[1]
    bold = 1 / (1 + (1 / q - 1) ** 1.5)
    row = es.BalanceScore().fit(y, bold).cancellation().row(0, named=True)
    assert not row["cancels"]
    assert row["cancellation"] < 0.2


def test_closeness_to_zero_uses_the_delta_method_where_signs_are_clear(rng):
    q = rng.random(4000)
    y = rng.random(4000) < q

    def sharpened(power):
        return 1 / (1 + (1 / q - 1) ** power)

    fitted = es.BalanceScore().fit(y, {"bold": sharpened(2), "timid": sharpened(0.6), "true": q})
    table = fitted.closer_to_zero()
    clear = table.filter(model="bold", reference="timid").row(0, named=True)
    value = fitted.estimate_.value
    assert value[0] < 0 < value[1]
    assert clear["method"] == "delta"
    assert clear["estimate"] == pytest.approx(-value[0] - value[1])
    covariance = fitted.estimate_.covariance
    expected = np.sqrt(covariance[0, 0] + covariance[1, 1] + 2 * covariance[0, 1])
    assert clear["standard_error"] == pytest.approx(expected, rel=1e-12)
    unclear = table.filter(model="bold", reference="true").row(0, named=True)
    assert unclear["method"] == "parametric bootstrap"
    assert unclear["p_value"] < 0.01
    assert fitted.closer_to_zero("true")["reference"].to_list() == ["true", "true"]
    with pytest.raises(es.InputError, match="reference='x' is no model"):
        fitted.closer_to_zero("x")


def test_several_classes_and_groups(rng):
    matrix = rng.dirichlet(np.ones(3), 400)
    y = np.array([rng.choice(3, p=row) for row in matrix])
    fitted = es.BalanceScore(target="top_label").fit(y, {"m": matrix}, by=np.arange(400) % 2)
    right = matrix.argmax(axis=1) == y
    f = right - matrix.max(axis=1)
    np.testing.assert_allclose(fitted.estimate_.value, [f[::2].mean(), f[1::2].mean()])
    assert fitted.null_test()["group"].to_list() == ["0", "1"]
    assert fitted.cancellation().height == 2
    assert fitted.components().terms["metric"].n_unique() == 3
    assert fitted.estimate_.value[0] == pytest.approx(es.balance_score(y[::2], matrix[::2]))
    with pytest.raises(es.InputError, match="target='classwise' is unknown"):
        es.BalanceScore(target="classwise").fit(y, {"m": matrix})


def test_constant_contributions_warn():
    with pytest.warns(es.EvalstatsWarning, match=r"\[degenerate-variance\]"):
        es.BalanceScore().fit([1, 0, 1], [1.0, 0.0, 1.0])


def test_resampling_within_classes_warns(rng):
    p = rng.random(60)
    method = es.Bootstrap(20, stratify="y_true", rng=0)
    with pytest.warns(es.EvalstatsWarning, match=r"\[fixed-base-rate\]"):
        es.BalanceScore(inference=method).fit(rng.random(60) < p, p)
