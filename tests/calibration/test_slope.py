"""Calibration slope and intercept: against statsmodels, the joint test, refusals."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit

import evalstats as es


@pytest.fixture
def sample(rng):
    x = rng.normal(scale=1.5, size=500)
    y = (rng.random(500) < expit(0.3 + 0.7 * x)).astype(int)
    return y, expit(x), rng.uniform(0.5, 2.0, 500), rng.integers(0, 60, 500)


def peer(y, p, weight=None, **options):
    import statsmodels.api as sm

    design = sm.add_constant(logit(p))
    family = sm.families.Binomial()
    model = sm.GLM(y, design, family=family, freq_weights=weight)
    return model.fit(tol=1e-14, maxiter=100, **options)


def offset_peer(y, p):
    import statsmodels.api as sm

    model = sm.GLM(y, np.ones((len(y), 1)), family=sm.families.Binomial(), offset=logit(p))
    return model.fit(tol=1e-14, cov_type="HC0")


def test_sandwich_is_that_of_statsmodels(sample):
    y, p, _, _ = sample
    line = es.calibration_regression(y, p)
    robust = peer(y, p, cov_type="HC0")
    # The sandwich of a mean-like statistic is scaled by n / (n - 1).
    scale = (500 / 499) ** 0.5
    assert [line["intercept"], line["slope"]] == pytest.approx(robust.params, rel=1e-9)
    errors = [line["intercept_se"], line["slope_se"]]
    assert errors == pytest.approx(scale * robust.bse, rel=1e-9)
    large = offset_peer(y, p)
    assert line["calibration_in_the_large"] == pytest.approx(large.params[0], rel=1e-9)
    assert line["calibration_in_the_large_se"] == pytest.approx(scale * large.bse[0], rel=1e-9)
    plain = es.calibration_regression(y, p, covariance="model")
    model = peer(y, p)
    assert [plain["intercept_se"], plain["slope_se"]] == pytest.approx(model.bse, rel=1e-9)


def test_cluster_sandwich_is_that_of_statsmodels(sample):
    y, p, _, cluster = sample
    line = es.calibration_regression(y, p, cluster=cluster)
    robust = peer(y, p, cov_type="cluster", cov_kwds={"groups": cluster, "use_correction": False})
    n = len(np.unique(cluster))
    scale = (n / (n - 1)) ** 0.5
    errors = [line["intercept_se"], line["slope_se"]]
    assert errors == pytest.approx(scale * robust.bse, rel=1e-9)


def test_weights_are_those_of_statsmodels(sample):
    y, p, weight, _ = sample
    line = es.calibration_regression(y, p, sample_weight=weight)
    assert [line["intercept"], line["slope"]] == pytest.approx(peer(y, p, weight).params, rel=1e-9)


def test_joint_test(sample):
    y, p, _, cluster = sample
    fitted = es.CalibrationSlope().fit(y, {"a": p, "b": p**2}, by=np.repeat(["s", "t"], 250))
    table = fitted.calibration_test()
    assert table.columns == ["model", "group", "statistic", "df", "p_value"]
    estimate = fitted.estimate_
    gap = estimate.value[:2] - [0, 1]
    wald = gap @ np.linalg.inv(estimate.covariance[:2, :2]) @ gap
    assert table["statistic"][0] == pytest.approx(wald, rel=1e-9)
    assert table["p_value"][0] == pytest.approx(stats.chi2.sf(wald, 2), rel=1e-9)
    clustered = es.CalibrationSlope().fit(y, p, cluster=cluster).calibration_test()
    statistic = clustered["statistic"][0]
    n = len(np.unique(cluster))
    expected = stats.f.sf(statistic / 2, 2, n - 1)
    assert clustered["p_value"][0] == pytest.approx(expected, rel=1e-9)


def test_recalibrated_forecasts_are_calibrated(sample):
    y, p, _, _ = sample
    line = es.calibration_regression(y, p)
    again = es.calibration_regression(y, expit(line["intercept"] + line["slope"] * logit(p)))
    assert again["intercept"] == pytest.approx(0, abs=1e-10)
    assert again["slope"] == pytest.approx(1, abs=1e-10)
    assert again["calibration_in_the_large"] == pytest.approx(0, abs=1e-10)


def test_bootstrap_agrees_with_the_sandwich(sample):
    y, p, _, _ = sample
    bootstrap = es.Bootstrap(n_resamples=500, rng=0)
    drawn = es.CalibrationSlope(inference=bootstrap).fit(y, p).estimate_.standard_error
    robust = es.CalibrationSlope().fit(y, p).estimate_.standard_error
    np.testing.assert_allclose(drawn, robust, rtol=0.12)


@pytest.mark.parametrize(
    ("y", "p", "message"),
    [
        ([0, 1, 0, 1], [0.0, 0.5, 0.4, 1.0], r"y_prob is 0 in row 0 \(2 rows are 0 or 1\).*clip"),
        ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9], "separate the two classes"),
        ([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9], "separate the two classes"),
        ([0, 0, 1, 1], [0.1, 0.5, 0.5, 0.9], "separate the two classes"),
        ([1, 1, 1], [0.1, 0.5, 0.9], "y_true has one class only"),
        ([0, 1, 0], [0.4, 0.4, 0.4], "all forecasts are equal"),
    ],
)
def test_refusals(y, p, message):
    with pytest.raises(es.InputError, match=message):
        es.CalibrationSlope().fit(y, p)
    with pytest.raises(es.InputError, match=message):
        es.calibration_regression(y, p, covariance="model")


def test_clipping_on_request(sample):
    y, p, _, _ = sample
    p = np.where(np.arange(500) == 3, 0.0, p)
    line = es.calibration_regression(y, p, clip="eps")
    assert np.isfinite(line["slope"])
    with pytest.raises(es.InputError, match="clip='all' is unknown"):
        es.CalibrationSlope(clip="all").fit(y, p)


def test_other_refusals(sample):
    y, p, _, cluster = sample
    with pytest.raises(es.InputError, match="covariance='model' has no clusters"):
        es.calibration_regression(y, p, cluster=cluster, covariance="model")
    with pytest.raises(es.InputError, match="covariance='robust' is unknown"):
        es.calibration_regression(y, p, covariance="robust")
    with pytest.raises(es.InputError, match="not fitted"):
        es.CalibrationSlope().calibration_test()
    points = es.CalibrationSlope(inference=es.NoInference()).fit(y, p)
    with pytest.raises(es.InputError, match="no covariance to test with"):
        points.calibration_test()
