"""Recorded results of scikit-learn, model-diagnostics, rms, R's glm, statsmodels and relplot."""

import json
import math

import numpy as np
import pytest

import evalstats as es
from tests.calibration.test_fixtures import BINARY, MULTICLASS, rows
from tests.oracles import scores as oracle

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")

# Forecasts of exactly or nearly 0 and 1.
ON_THE_BOUNDARY = {
    "rounded1", "rounded2", "edges", "edges_lin", "edges15", "zeros_ones_half", "hard", "saturated",
}  # fmt: skip
NO_LINE = {"tiny3", "zeros_ones_half", "constant", "all_one_class", "all_zero_class", "hard"}


@pytest.fixture(scope="module")
def inputs(reference):
    with np.load(reference / "calibration" / "inputs.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="module")
def recorded(reference):
    files = ("python_peers", "other_peers", "R")
    return {
        name: json.loads((reference / "calibration" / f"expected_{name}.json").read_text())
        for name in files
    }


@pytest.mark.parametrize("case", BINARY)
def test_brier_score_and_log_loss(case, inputs, recorded):
    y, p = rows(inputs, case)
    peer = recorded["python_peers"][case]
    assert es.brier_score(y, p) == pytest.approx(peer["sk_brier"], rel=1e-12, abs=1e-12)
    assert es.log_loss(y, p) == pytest.approx(peer["sk_log_loss"], rel=1e-12, abs=1e-12)
    for estimator, name in ((es.BrierScore(), "sk_brier"), (es.LogLoss(), "sk_log_loss")):
        value = estimator.fit(y, p).estimate_.value[0]
        assert value == pytest.approx(peer[name], rel=1e-12, abs=1e-12)
    in_columns = np.column_stack([1 - p, p])
    assert es.brier_score(y, in_columns, labels=[0, 1]) == pytest.approx(
        peer["sk_brier"], abs=1e-12
    )
    # A difference 1 - p rounds before the logarithm does, as in scikit-learn.
    assert es.log_loss(y, in_columns, labels=[0, 1]) == pytest.approx(peer["sk_log_loss"], abs=1e-9)


@pytest.mark.parametrize("case", MULTICLASS)
def test_multiclass_scores(case, inputs, recorded):
    y, p = rows(inputs, case)
    peer = recorded["python_peers"][case]
    found = {
        "sk_brier_raw": es.brier_score(y, p),
        "sk_brier_half": es.brier_score(y, p, scale_by_half=True),
        "sk_log_loss": es.log_loss(y, p),
    }
    for name, value in found.items():
        assert value == pytest.approx(peer[name], rel=1e-12), name


def test_clipping_of_single_precision_is_scikit_learns():
    from sklearn.metrics import log_loss

    y = np.array([0, 1, 1, 0])
    p = np.array([1.0, 0.3, 0.0, 0.2], dtype=np.float32)
    assert es.log_loss(y, p) == pytest.approx(log_loss(y, p), rel=1e-6)
    assert es.log_loss(y, p) < es.log_loss(y, p.astype(float)) / 2


@pytest.mark.parametrize("case", BINARY)
@pytest.mark.parametrize(
    ("score", "name"), [("brier", "md_corp_brier"), ("log", "md_corp_logloss")]
)
def test_corp(case, score, name, inputs, recorded):
    y, p = rows(inputs, case)
    terms = es.corp_decomposition(y, p, score=score)
    for term, expected in recorded["other_peers"][case][name].items():
        if expected == "nan":
            # The peer's isotonic fit breaks down; ours is the recorded fit of scikit-learn's.
            assert case == "saturated" or math.isinf(terms[term])
        else:
            assert terms[term] == pytest.approx(float(expected), rel=1e-12, abs=1e-12), term
    finite = {key: value for key, value in terms.items() if np.isfinite(value)}
    assert {"discrimination", "uncertainty"} <= set(finite)
    if len(finite) == 4:
        rebuilt = terms["miscalibration"] - terms["discrimination"] + terms["uncertainty"]
        assert rebuilt == pytest.approx(terms["score"], abs=1e-14)


@pytest.mark.parametrize("case", [case for case in BINARY if case != "hard"])
def test_isotonic_fit(case, inputs, recorded):
    from evalstats.calibration.corp import SortedForecasts

    y, p = rows(inputs, case)
    fitted = SortedForecasts.of(p.astype(float), y.astype(bool)).recalibrated(np.ones(len(p)))
    expected = recorded["other_peers"][case].get("sk_isotonic")
    if expected is None:
        pytest.skip("not recorded")
    found = dict(zip(p.tolist(), fitted.tolist(), strict=True))
    key = next(name for name in expected if name != "x")
    for x, value in zip(expected["x"], expected[key], strict=True):
        # scikit-learn pools forecasts that are nearly equal.
        nearest = found.get(x, found[min(found, key=lambda p, x=x: abs(p - x))])
        if case != "saturated":
            assert nearest == pytest.approx(value, abs=1e-10)


@pytest.mark.parametrize("case", BINARY)
def test_spiegelhalter_and_brier_of_rms(case, inputs, recorded):
    expected = recorded["R"][case].get("val_prob")
    if not isinstance(expected, dict) or case == "constant":
        pytest.skip("rms has no result, or a mis-ordered one")
    y, p = rows(inputs, case)
    test = es.spiegelhalter_test(y, p)
    if isinstance(expected.get("S:z"), float):
        assert test.statistic == pytest.approx(expected["S:z"], rel=1e-10)
        assert test.p_value == pytest.approx(expected["S:p"], rel=1e-8)
    if isinstance(expected.get("Brier"), float) and len(p) == recorded["R"][case]["n_used_glm"]:
        assert es.brier_score(y, p) == pytest.approx(expected["Brier"], rel=1e-10)


@pytest.mark.parametrize("case", [case for case in BINARY if case not in NO_LINE])
def test_slope_and_intercept(case, inputs, recorded):
    y, p = rows(inputs, case)
    inside = (p > 0) & (p < 1)
    line = es.calibration_regression(y[inside], p[inside], covariance="model")
    logit, offset = recorded["R"][case]["glm_logit"], recorded["R"][case]["glm_offset"]
    assert inside.sum() == recorded["R"][case]["n_used_glm"]
    assert line["intercept"] == pytest.approx(logit["intercept"], rel=1e-6, abs=1e-7)
    assert line["slope"] == pytest.approx(logit["slope"], rel=1e-6)
    # R stops at a relative change of the deviance of 1e-8, ours where steps vanish.
    large = line["calibration_in_the_large"]
    assert large == pytest.approx(offset["intercept"], rel=3e-6, abs=1e-8)
    # R's standard errors are those of the weights one step before.
    assert line["slope_se"] == pytest.approx(logit["slope_se"], rel=2e-4)
    assert line["intercept_se"] == pytest.approx(logit["intercept_se"], rel=2e-4)
    assert line["calibration_in_the_large_se"] == pytest.approx(offset["se"], rel=3e-5)
    expected = recorded["R"][case].get("val_prob")
    if isinstance(expected, dict) and inside.all():
        # rms stops earlier than glm does, which shows in ten rows.
        relative = 2e-5 if case == "small" else 1e-6
        assert line["slope"] == pytest.approx(expected["Slope"], rel=relative)
        assert line["intercept"] == pytest.approx(expected["Intercept"], rel=relative, abs=1e-7)


@pytest.mark.parametrize("case", sorted(NO_LINE - {"hard"}))
def test_no_line(case, inputs):
    y, p = rows(inputs, case)
    inside = (p > 0) & (p < 1)
    with pytest.raises(es.InputError, match=r"one class only|all forecasts are equal|separate"):
        es.calibration_regression(y[inside], p[inside])


@pytest.mark.parametrize("case", BINARY)
def test_hosmer_lemeshow_of_statsmodels(case, inputs, recorded):
    expected = recorded["python_peers"][case].get("statsmodels_HL_10")
    if expected is None:
        pytest.skip("no result of statsmodels")
    y, p = rows(inputs, case)
    test = es.hosmer_lemeshow_test(y, p, fitted=True, split_ties=True)
    assert test.df == expected["df"] == 8
    statistic = float(expected["chi2"])
    if statistic > 1e10:
        # The peer divides by the rounding error of an expectation that is zero.
        assert test.statistic > 1e10
    else:
        assert test.statistic == pytest.approx(statistic, rel=1e-10)
        assert test.p_value == pytest.approx(float(expected["p"]), rel=1e-8)


@pytest.mark.parametrize("case", BINARY)
def test_relplot(case, inputs, recorded):
    y, p = rows(inputs, case)
    peer = recorded["other_peers"][case]
    value, width = peer["relplot_smECE_width"]
    fixed = peer["relplot_smECE_sigma0.05"]
    if case not in ON_THE_BOUNDARY:
        error = es.smooth_calibration_error(y, p)
        assert error.value == pytest.approx(value, abs=2e-3)
        assert error.width == pytest.approx(width, abs=1e-3 + 1e-6)
        assert es.smooth_calibration_error(y, p, width=0.05).value == pytest.approx(fixed, abs=2e-3)
        return
    # The peer reflects its mesh without repeating the points at 0 and 1: forecasts within one step
    # of them, 0.001, lose up to half of their weight. It sums at 200 points, ends included.
    to_end = np.minimum(p, 1 - p)
    weight = 1 - 0.5 * np.clip(1 - to_end / 0.001, 0, 1)
    halved = es.smooth_calibration_error(y, p, width=0.05, sample_weight=weight).value
    assert halved == pytest.approx(fixed, abs=6e-3)


@pytest.mark.parametrize("case", ["zeros_ones_half", "hard", "edges", "small", "tiny3"])
def test_smooth_error_is_its_definition(case, inputs):
    y, p = rows(inputs, case)
    for width in (0.05, 0.3):
        expected = oracle.smooth_error(p.tolist(), y.tolist(), width, n_points=1000)
        assert es.smooth_calibration_error(y, p, width=width).value == pytest.approx(
            expected, abs=1e-4
        )
