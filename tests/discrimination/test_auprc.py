"""AUPRC beyond the fixtures: edge cases, curves between points, tie policies, standard errors."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

import evalstats as es
from tests.oracles import ranking as oracle

Y = np.array([0, 0, 1, 1, 0, 1, 0, 1])
S = np.array([0.1, 0.4, 0.35, 0.8, 0.2, 0.7, 0.5, 0.6])
TIED = np.round(S, 0)
MONTE_CARLO = (
    Path(__file__).resolve().parents[2] / "../shared/reference/discrimination/monte_carlo.json"
)

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")


def simulated(rng, n=300, prevalence=0.4):
    y = (rng.random(n) < prevalence).astype(int)
    signal = rng.normal(size=n) + y
    return y, {"a": signal, "b": signal + rng.normal(size=n)}


# Edge cases -------------------------------------------------------------------------------------


def test_all_scores_tied_is_the_prevalence():
    y = np.repeat([0, 1], [60, 40])
    with pytest.warns(es.EvalstatsWarning, match=r"\[constant-score\]"):
        estimate = es.AUPRC().fit(y, np.ones(100)).estimate_
    assert estimate.value[0] == pytest.approx(0.4, abs=1e-15)
    # Of a constant score only the prevalence is random: the binomial standard error.
    assert estimate.standard_error[0] == pytest.approx(np.sqrt(0.4 * 0.6 / 99), rel=1e-12)
    fixed = es.AUPRC(sampling="stratified").fit(y, np.ones(100)).estimate_
    assert fixed.standard_error[0] == pytest.approx(0.0, abs=1e-12)


def test_negative_zero_ties_with_zero():
    assert es.auprc([0, 1], [0.0, -0.0]) == 0.5
    assert es.auprc([0, 1], [-0.0, 0.0]) == 0.5


def test_no_positives():
    with pytest.raises(es.InputError, match="y_true has no positives, so AUPRC is undefined"):
        es.auprc([0, 0], [0.1, 0.2])
    with pytest.raises(es.InputError, match="y_true has no positives with positive weight"):
        es.auprc([0, 1], [0.1, 0.2], sample_weight=[1, 0])
    estimate = es.AUPRC(on_undefined="nan").fit([0, 0], [0.1, 0.2]).estimate_
    assert np.isnan(estimate.value[0])


def test_only_positives_rank_nothing():
    with pytest.raises(es.InputError, match="y_true has no negatives, so AUPRC is undefined"):
        es.AUPRC().fit([1, 1, 1, 1], S[:4])
    with pytest.raises(es.InputError, match="y_true has no negatives with positive weight"):
        es.auprc([1, 1, 0], [0.3, 0.2, 0.1], sample_weight=[1, 1, 0])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"interpolation": "linear"}, r"interpolation='linear': choose one of 'step', 'trapezoid'"),
        ({"ties": "average"}, "ties='average': choose one of grouped"),
        ({"ties": "best", "interpolation": "interp11"}, "ties='best' is defined for interpol"),
        ({"multiclass": "ovo"}, "multiclass='ovo' is not defined for AUPRC"),
        ({"multiclass": "micro"}, "multiclass='micro' is unknown"),
        ({"average": "samples"}, "average='samples' is unknown"),
        ({"sampling": "cluster"}, "sampling='cluster': choose 'random' or 'stratified'"),
        ({"interval": "newcombe"}, "interval='newcombe': choose one of 'small_sample', 'logit'"),
        ({"ties": "expected", "inference": es.Bootstrap(kind="bayesian")}, "needs counts"),
        ({"ties": "expected", "inference": es.Analytic()}, "needs influence values"),
        ({"interpolation": "interp101", "inference": es.Analytic()}, "needs influence values"),
    ],
)
def test_unknown_options(params, message):
    with pytest.raises(es.InputError, match=message):
        es.AUPRC(**params).fit(Y, S)


def test_twin_refuses_an_unknown_interpolation():
    with pytest.raises(es.InputError, match="interpolation='nearest': choose one of"):
        es.auprc(Y, S, interpolation="nearest")


def test_tie_policies_need_whole_number_weights():
    with pytest.raises(es.InputError, match=r"sample_weight is 0.5 in row 0, but ties='best'"):
        es.AUPRC(ties="best").fit(Y, S, sample_weight=np.full(8, 0.5))


# Curves and ties --------------------------------------------------------------------------------


@pytest.mark.parametrize("scores", [S, TIED], ids=["untied", "tied"])
@pytest.mark.parametrize(
    ("interpolation", "expected"),
    [
        ("interp11", lambda *data: oracle.interpolated_at_levels(*data, 11)),
        ("interp101", lambda *data: oracle.interpolated_at_levels(*data, 101)),
        ("interp_all", oracle.interp_all),
        ("step", oracle.average_precision),
    ],
)
def test_interpolations_equal_their_definition(interpolation, expected, scores):
    data = Y == 1, scores, np.ones(8)
    value = es.auprc(Y, scores, interpolation=interpolation)
    assert value == pytest.approx(expected(*data), abs=1e-13)
    fitted = es.AUPRC(interpolation=interpolation, inference=es.NoInference()).fit(Y, scores)
    assert fitted.estimate_.value[0] == pytest.approx(value, abs=1e-14)


def test_davis_goadrich_is_the_limit_of_many_copies(rng):
    y, scores = Y, TIED
    copies = 2000
    broken = np.repeat(scores, copies) + rng.uniform(0, 1e-6, 8 * copies)
    limit = es.auprc(np.repeat(y, copies), broken)
    assert es.auprc(y, scores, interpolation="davis_goadrich") == pytest.approx(limit, abs=2e-3)


@pytest.mark.parametrize("scores", [TIED, np.ones(8), S], ids=["tied", "constant", "untied"])
def test_tie_policies_are_orders_of_the_tied_rows(scores):
    rows = slice(0, 7)
    y, scores = Y[rows], scores[rows]
    worst, mean, best = oracle.tie_orders_average_precision(y == 1, scores)
    for ties, expected in (("worst", worst), ("expected", mean), ("best", best)):
        estimate = es.AUPRC(ties=ties, inference=es.NoInference()).fit(y, scores).estimate_
        assert estimate.value[0] == pytest.approx(expected, abs=1e-13)


def test_chance_level_is_the_mean_over_random_orders(rng):
    y = np.repeat([0, 1], [12, 5])
    simulated_mean = np.mean([es.auprc(y, rng.permutation(17)) for _ in range(4000)])
    assert es.AUPRC.chance_level(y) == pytest.approx(simulated_mean, abs=0.006)
    assert es.AUPRC.chance_level(y) > 5 / 17


@given(st.data())
def test_value_equals_the_definition(data):
    n = data.draw(st.integers(2, 12))
    y = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    y[:2] = True, False
    scores = np.array(data.draw(st.lists(st.integers(-3, 3), min_size=n, max_size=n)), dtype=float)
    weight = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), dtype=float)
    weight[:2] = 1.0
    expected = oracle.average_precision(y, scores, weight)
    assert es.auprc(y, scores, sample_weight=weight) == pytest.approx(expected, abs=1e-14)


# Uncertainty ------------------------------------------------------------------------------------


def test_binomial_logit_interval_in_closed_form(rng):
    y, scores = simulated(rng)
    estimate = es.AUPRC(interval="binomial_logit").fit(y, scores["a"]).estimate_
    value = estimate.value[0]
    half = stats.norm.ppf(0.975) / np.sqrt(y.sum() * value * (1 - value))
    low, high = estimate.confidence_interval()
    assert low[0] == pytest.approx(special.expit(special.logit(value) - half), rel=1e-12)
    assert high[0] == pytest.approx(special.expit(special.logit(value) + half), rel=1e-12)


def test_small_sample_interval_in_closed_form(rng):
    y, scores = simulated(rng, n=120, prevalence=0.1)
    estimate = es.AUPRC().fit(y, scores["a"]).estimate_
    assert estimate.interval == ("small_sample",)
    value, n_positive = estimate.value[0], y.sum()
    error = estimate.standard_error[0] / (value * (1 - value))
    half = stats.t.ppf(0.975, n_positive - 1) * max(error, 1 / np.sqrt(n_positive * value))
    low, high = estimate.confidence_interval()
    assert low[0] == pytest.approx(special.expit(special.logit(value) - half), rel=1e-12)
    assert high[0] == pytest.approx(special.expit(special.logit(value) + half), rel=1e-12)


def test_small_sample_interval_is_never_narrower_than_the_logit_interval(rng):
    for n in (60, 500):
        y, scores = simulated(rng, n=n, prevalence=0.2)
        for arguments in ({}, {"cluster": np.arange(n) // 3}):
            plain, wider = (
                es.AUPRC(interval=name).fit(y, scores, **arguments).estimate_.confidence_interval()
                for name in ("logit", "small_sample")
            )
            assert (wider.low <= plain.low).all()
            assert (wider.high >= plain.high).all()


def test_one_positive_has_an_interval():
    estimate = es.AUPRC().fit([0, 1, 0, 0], [0.1, 0.4, 0.5, 0.2]).estimate_
    low, high = estimate.confidence_interval()
    assert 0 < low[0] < 0.5 < high[0] < 1


def test_macro_averages_keep_the_logit_interval(rng):
    y = rng.integers(0, 3, 90)
    scores = rng.dirichlet([1, 1, 1], 90)
    macro = es.AUPRC(multiclass="ovr").fit(y, scores).estimate_
    assert macro.interval == ("logit",)
    single = es.AUPRC(multiclass="ovr", average=None).fit(y, scores).estimate_
    assert set(single.interval) == {"small_sample"}


def test_logit_interval_in_closed_form(rng):
    y, scores = simulated(rng)
    estimate = es.AUPRC(interval="logit").fit(y, scores["a"]).estimate_
    value, error = estimate.value[0], estimate.standard_error[0]
    half = stats.norm.ppf(0.95) * error / (value * (1 - value))
    low, high = estimate.confidence_interval(0.9)
    assert low[0] == pytest.approx(special.expit(special.logit(value) - half), rel=1e-12)
    assert high[0] == pytest.approx(special.expit(special.logit(value) + half), rel=1e-12)


def test_stratified_sampling_has_the_smaller_error(rng):
    y, scores = simulated(rng, n=1000)
    random = es.AUPRC().fit(y, scores).estimate_
    fixed = es.AUPRC(sampling="stratified").fit(y, scores).estimate_
    assert (fixed.standard_error < random.standard_error).all()
    within = es.Bootstrap(n_resamples=4000, stratify="y_true", rng=1)
    resampled = es.AUPRC(inference=within).fit(y, scores).estimate_
    np.testing.assert_allclose(resampled.standard_error, fixed.standard_error, rtol=0.04)


def test_jackknife_finds_the_upward_bias(rng):
    y, scores = simulated(rng, n=120, prevalence=0.15)
    estimate = es.AUPRC(inference=es.Jackknife()).fit(y, scores).estimate_
    assert (estimate.bias > 0).all()
    assert es.AUPRC().fit(y, scores).estimate_.bias is None


@pytest.mark.parametrize("setting", [0, 2, 3], ids=["n=100", "n=500", "n=500 stratified"])
def test_standard_error_equals_the_spread_of_the_simulation(setting, rng):
    """Root mean squared standard errors of 300 data sets against the recorded simulation."""
    if not MONTE_CARLO.is_file():
        pytest.skip(f"no reference fixtures at {MONTE_CARLO}")
    truth = json.loads(MONTE_CARLO.read_text(encoding="utf-8"))[setting]
    n, n_positive = truth["n"], round(truth["n"] * truth["prevalence"])
    roc = es.AUROC()
    pr = es.AUPRC(sampling=truth["sampling"])
    squares = []
    for _ in range(300):
        if truth["sampling"] == "random":
            y = rng.random(n) < truth["prevalence"]
        else:
            y = np.arange(n) < n_positive
        scores = rng.normal(size=n) + truth["d"] * y
        errors = [cls.fit(y, scores).estimate_.standard_error[0] for cls in (roc, pr)]
        squares.append(np.square(errors))
    delong, precision = np.sqrt(np.mean(squares, axis=0))
    assert delong == pytest.approx(truth["rms_delong_se"], rel=0.02)
    assert precision == pytest.approx(truth["rms_if_se_ap"], rel=0.02)
    tolerance = 0.03 if n >= 500 else 0.10
    assert delong == pytest.approx(truth["sd_auroc"], rel=tolerance)
    assert precision == pytest.approx(truth["sd_ap"], rel=tolerance)
