"""Intervals by name against scipy and their defining equations."""

import numpy as np
import pytest
from scipy import stats

import evalstats as es
from evalstats.inference import intervals


def newcombe_variance(theta, m, n):
    spread = (1 - theta) / (2 - theta) + theta / (1 + theta)
    return theta * (1 - theta) / (m * n) * (1 + ((m + n) / 2 - 1) * spread)


@pytest.mark.parametrize("value", [0.0, 0.03, 0.5, 0.83, 0.999, 1.0])
@pytest.mark.parametrize(("m", "n"), [(1, 1), (5, 200), (1000, 10**6)])
@pytest.mark.parametrize("critical", [0.5, 1.959964, 4.0])
def test_newcombe_limits_solve_their_equation(value, m, n, critical):
    low, high = intervals.newcombe_interval(value, m, n, critical)
    assert 0 <= low <= value <= high <= 1
    assert high > low
    for limit in {low, high} - {0.0, 1.0}:
        reached = critical * np.sqrt(newcombe_variance(limit, m, n))
        assert abs(value - limit) == pytest.approx(reached, rel=1e-5, abs=1e-9)


def test_newcombe_is_symmetric():
    low, high = intervals.newcombe_interval(0.8, 12, 30, 1.96)
    mirrored = intervals.newcombe_interval(0.2, 12, 30, 1.96)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-12)


def test_critical_values_are_students_where_df_is_finite():
    critical = intervals.critical_value(0.9, np.array([np.inf, 5.0, 1.0]))
    expected = [stats.norm.ppf(0.95), stats.t.ppf(0.95, 5), stats.t.ppf(0.95, 1)]
    np.testing.assert_allclose(critical, expected, rtol=1e-12)


def test_bca_equals_scipy(rng):
    """On a common set of replicates of a skewed mean."""
    sample = rng.exponential(size=60)
    result = stats.bootstrap(
        (sample,), np.mean, n_resamples=4000, method="BCa", rng=np.random.default_rng(1)
    )
    replicates = result.bootstrap_distribution[:, np.newaxis]
    centred = sample - sample.mean()
    acceleration = (centred**3).sum() / (6 * (centred**2).sum() ** 1.5)
    low, high = intervals.bca_interval(
        np.array([sample.mean()]), replicates, np.array([acceleration]), 0.95
    )
    assert low[0] == pytest.approx(result.confidence_interval.low, rel=1e-4)
    assert high[0] == pytest.approx(result.confidence_interval.high, rel=1e-4)


def test_bca_outside_all_replicates_is_undefined(rng):
    replicates = rng.normal(size=(100, 1))
    low, high = intervals.bca_interval(np.array([50.0]), replicates, np.zeros(1), 0.95)
    assert np.isnan([low[0], high[0]]).all()


def test_basic_interval_reflects_the_quantiles(rng):
    replicates = rng.normal(size=(2001, 2))
    value = np.array([0.5, -1.0])
    low, high = intervals.basic_interval(value, replicates, 0.9, "identity", value)
    quantiles = np.quantile(replicates, [0.05, 0.95], axis=0)
    np.testing.assert_allclose(low, 2 * value - quantiles[1], rtol=1e-12)
    np.testing.assert_allclose(high, 2 * value - quantiles[0], rtol=1e-12)


@pytest.mark.parametrize("interval", ["percentile", "basic", "bca", "studentized"])
def test_bootstrap_intervals_stay_in_the_unit_interval(interval, rng):
    y = np.repeat([0, 1], 40)
    scores = y + 0.5 * rng.normal(size=80)
    method = es.Bootstrap(n_resamples=500, interval=interval, rng=0)
    for cls in (es.AUROC, es.AUPRC):
        low, high = cls(inference=method).fit(y, scores).estimate_.confidence_interval(0.999)
        assert 0 <= low[0] < high[0] <= 1


@pytest.mark.parametrize("interval", ["percentile", "basic", "bca", "studentized"])
@pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
def test_bootstrap_at_the_boundary_is_not_a_point(interval):
    y = np.repeat([0, 1], [12, 9])
    method = es.Bootstrap(n_resamples=200, interval=interval, stratify="y_true", rng=0)
    for cls in (es.AUROC, es.AUPRC):
        for scores, inside in ((y, "low"), (-y, "high")):
            if cls is es.AUPRC and inside == "high":
                continue
            estimate = cls(inference=method).fit(y, scores).estimate_
            for simultaneous in (False, True):
                limits = estimate.confidence_interval(simultaneous=simultaneous)
                assert 0.05 < getattr(limits, inside)[0] < 0.95


def test_contrast_of_a_bca_estimate_uses_the_joint_skewness(rng):
    y = (rng.random(300) < 0.4).astype(int)
    scores = {name: rng.normal(size=300) + y for name in "ab"}
    method = es.Bootstrap(n_resamples=1000, interval="bca", rng=0)
    estimate = es.AUROC(inference=method).fit(y, scores).estimate_
    single = estimate.contrast([[1.0, 0.0]], ["a"])
    direct = estimate.confidence_interval()
    lifted = single.confidence_interval()
    assert lifted.low[0] == pytest.approx(direct.low[0], rel=1e-12)
    assert lifted.high[0] == pytest.approx(direct.high[0], rel=1e-12)
    assert single.interval == ("bca",)
    row = estimate.compare(adjust=None).row(0, named=True)
    assert row["ci_low"] < row["estimate"] < row["ci_high"]


def test_contrast_of_a_studentized_estimate(rng):
    y = (rng.random(300) < 0.4).astype(int)
    scores = {name: rng.normal(size=300) + y for name in "ab"}
    method = es.Bootstrap(n_resamples=1000, interval="studentized", rng=0)
    row = es.AUROC(inference=method).fit(y, scores).estimate_.compare().row(0, named=True)
    plain = es.AUROC().fit(y, scores).estimate_.compare().row(0, named=True)
    assert row["ci_low"] == pytest.approx(plain["ci_low"], abs=0.01)
    assert row["ci_high"] == pytest.approx(plain["ci_high"], abs=0.01)


def test_basic_interval_of_a_corrected_estimate_moves_by_the_error_of_the_replicates():
    replicates = np.linspace(0.1, 0.3, 1001)[:, np.newaxis]
    value, truth = np.array([0.15]), np.array([0.18])
    low, high = intervals.basic_interval(value, replicates, 0.9, "unit", truth)
    assert low[0] == pytest.approx(0.15 + 0.18 - 0.29)
    assert high[0] == pytest.approx(0.15 + 0.18 - 0.11)
    low, _ = intervals.basic_interval(np.array([0.01]), replicates, 0.9, "unit", truth)
    assert low[0] == 0.0


def test_bias_corrected_interval_is_centred_on_the_estimate_minus_its_bias():
    value, error, bias = np.array([0.30, 0.01]), np.array([0.02, 0.02]), np.array([0.05, 0.03])
    low, high = intervals.bias_corrected_interval(value, error, bias, np.array([2.0]), "unit")
    np.testing.assert_allclose(low, [0.21, 0.0], atol=1e-15)
    np.testing.assert_allclose(high, [0.29, 0.02], atol=1e-15)
    low, high = intervals.bias_corrected_interval(value, error, bias, np.array([2.0]), "logit")
    # Symmetric where that fits into (0, 1), on the logit scale where it does not.
    np.testing.assert_allclose([low[0], high[0]], [0.21, 0.29], rtol=1e-12)
    np.testing.assert_allclose([low[1], high[1]], [0.0, 0.02], atol=1e-15)
    near = np.array([0.05])
    low, high = intervals.bias_corrected_interval(
        near, np.array([0.02]), np.array([0.02]), np.array([2.0]), "logit"
    )
    centre, spread = np.log(0.03 / 0.97), 0.02 / (0.03 * 0.97)
    expected = 1 / (1 + np.exp(-(centre + np.array([-2.0, 2.0]) * spread)))
    np.testing.assert_allclose([low[0], high[0]], expected, rtol=1e-12)
