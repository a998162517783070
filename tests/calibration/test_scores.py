"""Scores, their decompositions and tests of single models: definitions, identities, refusals."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

import evalstats as es
from tests.oracles import scores as oracle

Y = np.array([0, 1, 1, 0, 1, 0, 1, 1])
P = np.array([0.1, 0.8, 0.7, 0.3, 0.9, 0.4, 0.6, 0.5])


def draw(rng, n=400, slope=1.0):
    signal = rng.normal(scale=1.5, size=n)
    y = rng.random(n) < 1 / (1 + np.exp(-signal))
    return y.astype(int), 1 / (1 + np.exp(-slope * signal))


@st.composite
def forecasts(draw_from):
    n = draw_from(st.integers(2, 25))
    p = draw_from(st.lists(st.integers(0, 10), min_size=n, max_size=n))
    y = draw_from(st.lists(st.booleans(), min_size=n, max_size=n))
    w = draw_from(st.lists(st.integers(0, 3), min_size=n, max_size=n).filter(any))
    return np.array(p) / 10, np.array(y), np.array(w, dtype=float)


# Brier score and log loss -----------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
@given(forecasts())
def test_weight_is_repetition_and_twins_agree(sample):
    p, y, w = sample
    copies = np.repeat(np.arange(len(p)), w.astype(int))
    for twin, estimator in (
        (es.brier_score, es.BrierScore(inference=es.NoInference())),
        (es.log_loss, es.LogLoss(inference=es.NoInference())),
    ):
        value = twin(y, p, sample_weight=w)
        assert value == pytest.approx(twin(y[copies], p[copies]), rel=1e-12, abs=1e-15)
        fitted = estimator.fit(y, p, sample_weight=w).estimate_.value[0]
        assert fitted == pytest.approx(value, rel=1e-12, abs=1e-15)


def test_t_interval_is_that_of_a_mean(rng):
    from scipy import stats

    y, p = draw(rng, 40)
    low, high = es.BrierScore().fit(y, p).estimate_.confidence_interval()
    values = (y - p) ** 2
    expected = stats.t.interval(0.95, 39, values.mean(), stats.sem(values))
    assert (low[0], high[0]) == pytest.approx(expected, rel=1e-12)


def test_cluster_error_of_doubled_rows(rng):
    y, p = draw(rng, 60)
    once = es.LogLoss().fit(y, p).estimate_
    twice = es.LogLoss().fit(np.tile(y, 2), np.tile(p, 2), cluster=np.tile(np.arange(60), 2))
    np.testing.assert_allclose(twice.estimate_.standard_error, once.standard_error, rtol=1e-12)


def test_multiclass_scores_from_their_definition(rng):
    p = rng.dirichlet(np.ones(3), 50)
    y = rng.integers(0, 3, 50)
    indicator = np.eye(3)[y]
    raw = ((indicator - p) ** 2).sum(axis=1).mean()
    assert es.brier_score(y, p) == pytest.approx(raw, rel=1e-13)
    fitted = es.BrierScore(target="multiclass", scale_by_half=True).fit(y, {"m": p})
    assert fitted.estimate_.value[0] == pytest.approx(raw / 2, rel=1e-13)
    loss = -np.log(p[np.arange(50), y]).mean()
    assert es.log_loss(y, p) == pytest.approx(loss, rel=1e-13)
    names = np.array(["a", "b", "c"])[y]
    assert es.log_loss(names, p, labels=["a", "b", "c"]) == pytest.approx(loss, rel=1e-13)
    with pytest.raises(es.InputError, match="a decomposition is of one event"):
        fitted.decompose()


def test_two_columns_are_one():
    two = np.column_stack([1 - P, P])
    assert es.brier_score(Y, two) == pytest.approx(es.brier_score(Y, P), rel=1e-14)
    assert es.brier_score(Y, P, scale_by_half=False) == 2 * es.brier_score(Y, P)


@pytest.mark.filterwarnings(r"ignore:\[skewed-losses\]")
def test_impossible_events_are_counted():
    p = np.array([0.0, 0.8, 0.0, 1.0, 0.9, 0.4, 0.6, 0.5])
    with pytest.warns(
        es.EvalstatsWarning, match=r"\[impossible-events\].*2 rows had probability 0"
    ):
        estimate = es.LogLoss().fit(Y, p).estimate_
    assert any("clipped 3 rows" in note for note in estimate.notes)
    assert any("3 rows clipped" in note for note in estimate.notes)
    assert estimate.value[0] > 36 * 2 / 8
    with pytest.warns(es.EvalstatsWarning, match="the log loss is infinite"):
        unclipped = es.LogLoss(clip=None).fit(Y, {"a": p, "b": P}).estimate_
    assert unclipped.value[0] == np.inf
    assert np.isfinite(unclipped.value[1])
    assert np.isfinite(unclipped.standard_error[1])
    assert es.log_loss(Y, p, clip=None) == np.inf
    # A row of weight zero is absent, however badly it was forecast.
    weight = ((p > 0) | (Y == 0)) & ((p < 1) | (Y == 1))
    assert np.isfinite(es.log_loss(Y, p, clip=None, sample_weight=weight))
    bootstrap = es.Bootstrap(n_resamples=50, rng=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", es.EvalstatsWarning)
        drawn = es.LogLoss(clip=None, inference=bootstrap).fit(Y, {"a": p, "b": P}).estimate_
    assert np.isfinite(drawn.standard_error[1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: es.brier_score(Y, 3 * P), "these look like logits|percentages"),
        (lambda: es.brier_score(Y, P - 0.6), "these look like logits"),
        (lambda: es.log_loss(Y + 1, P), "labels must be 0/1"),
        (lambda: es.log_loss(Y, np.where(P > 0.8, np.nan, P)), "y_prob has 1 missing value"),
        (lambda: es.log_loss(Y, P, clip=0.1), "clip=0.1: expected one of"),
        (lambda: es.LogLoss(clip="yes").fit(Y, P), "clip='yes' is unknown"),
        (lambda: es.BrierScore(target="top_label").fit(Y, P), "target='top_label' is unknown"),
        (lambda: es.brier_score(Y, P, scale_by_half="no"), "scale_by_half='no' is unknown"),
        (lambda: es.brier_score(Y, np.column_stack([P, P])), "sums to 0.2 in row 0"),
        (lambda: es.corp_decomposition(Y, np.column_stack([1 - P, P])), "several columns"),
        (lambda: es.corp_decomposition(Y, P, score="spherical"), "score='spherical' is unknown"),
        (lambda: es.murphy_decomposition(Y, P, n_bins=0), "n_bins=0"),
        (
            lambda: es.murphy_decomposition(Y, P, bin_edges=[0, 0.5]),
            "increase strictly from 0 to 1",
        ),
        (lambda: es.murphy_decomposition(Y, P, binning="quantile"), "binning='quantile'"),
        (lambda: es.murphy_decomposition([1], [0.5], unbiased=True), "at least two"),
        (lambda: es.spiegelhalter_test(Y, P[:-1]), "y_prob has 7 rows"),
        (lambda: es.hosmer_lemeshow_test(Y, P, n_groups=9), "from 1 to 8"),
        (lambda: es.smooth_calibration_error(Y, P, width=0.0), "width=0.0"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(es.InputError, match=message):
        call()


# Decompositions ---------------------------------------------------------------------------------


@given(forecasts(), st.sampled_from(["brier", "log"]))
def test_corp_is_its_definition(sample, score):
    p, y, w = sample
    terms = es.corp_decomposition(y, p, score=score, sample_weight=w)
    expected = oracle.corp(p.tolist(), y.astype(int).tolist(), w.tolist(), score)
    for name, value in expected.items():
        assert terms[name] == pytest.approx(value, abs=1e-12), name
        assert terms[name] >= 0


@given(forecasts(), st.integers(1, 7))
def test_murphy_is_its_definition(sample, n_bins):
    p, y, _ = sample
    terms = es.murphy_decomposition(y, p, n_bins=n_bins)
    expected = oracle.murphy(p.tolist(), y.astype(int).tolist(), n_bins)
    assert terms == pytest.approx(expected, abs=1e-13)


@given(forecasts())
def test_unique_bins_leave_nothing_within(sample):
    p, y, w = sample
    terms = es.murphy_decomposition(y, p, binning="unique", sample_weight=w)
    assert terms["within_bin_variance"] == terms["within_bin_covariance"] == 0.0
    whole = terms["reliability"] - terms["resolution"] + terms["uncertainty"]
    assert whole == pytest.approx(es.brier_score(y, p, sample_weight=w), abs=1e-13)


def test_unbiased_terms_by_the_formula_and_on_average(rng):
    p = np.repeat([0.2, 0.5, 0.8], 6)
    truth = np.repeat([0.3, 0.5, 0.7], 6)
    y = rng.random(18) < truth
    plain = es.murphy_decomposition(y, p, binning="unique")
    unbiased = es.murphy_decomposition(y, p, binning="unique", unbiased=True)
    rates = y.reshape(3, 6).mean(axis=1)
    noise = (rates * (1 - rates) / 5).mean()
    spread = y.mean() * (1 - y.mean()) / 17
    assert unbiased["reliability"] == pytest.approx(plain["reliability"] - noise, abs=1e-14)
    assert unbiased["resolution"] == pytest.approx(plain["resolution"] - noise + spread, abs=1e-14)
    assert unbiased["uncertainty"] == pytest.approx(plain["uncertainty"] + spread, abs=1e-14)
    means = np.zeros(2)
    for _ in range(2000):
        y = rng.random(18) < truth
        options = {"binning": "unique"}
        means[0] += es.murphy_decomposition(y, p, **options)["reliability"] / 2000
        means[1] += es.murphy_decomposition(y, p, unbiased=True, **options)["reliability"] / 2000
    true_reliability = (0.1**2 + 0 + 0.1**2) / 3
    assert means[0] > true_reliability + 0.03
    assert means[1] == pytest.approx(true_reliability, abs=0.003)


def test_decompose_of_groups_and_models(rng):
    y, p = draw(rng)
    group = np.array(["a", "b"])[rng.integers(0, 2, 400)]
    fitted = es.BrierScore().fit(y, {"m": p, "k": p**2}, by=group)
    frame = fitted.decompose()
    assert frame.columns[:2] == ["model", "group"]
    assert frame.height == 4
    part = frame.filter(model="k", group="b").row(0, named=True)
    alone = es.corp_decomposition(y[group == "b"], p[group == "b"] ** 2)
    assert {name: part[name] for name in alone} == pytest.approx(alone, rel=1e-12)
    bins = fitted.decompose_by_bins(n_bins=5, unbiased=True)
    part = bins.filter(model="m", group="a").row(0, named=True)
    alone = es.murphy_decomposition(y[group == "a"], p[group == "a"], n_bins=5, unbiased=True)
    assert {name: part[name] for name in alone} == pytest.approx(alone, rel=1e-12)
    logs = es.LogLoss().fit(y, p).decompose()
    assert logs["score"][0] == pytest.approx(es.log_loss(y, p), rel=1e-12)


# Tests and smooth error -------------------------------------------------------------------------


def test_spiegelhalter_is_undefined_without_variance():
    test = es.spiegelhalter_test([0, 1, 1], [0.0, 0.5, 1.0])
    assert np.isnan(test.statistic)
    assert np.isnan(test.p_value)
    assert "no variance" in test.reason


def test_spiegelhalter_is_standard_normal_under_calibration(rng):
    z = []
    for _ in range(1500):
        p = rng.random(80)
        z.append(es.spiegelhalter_test(rng.random(80) < p, p).statistic)
    assert np.mean(z) == pytest.approx(0, abs=0.1)
    assert np.std(z) == pytest.approx(1, abs=0.07)


def test_hosmer_lemeshow_warns_and_keeps_ties_together(rng):
    y, p = draw(rng)
    p = np.round(p, 1).clip(0.1, 0.9)
    with pytest.warns(es.EvalstatsWarning, match=r"\[hosmer-lemeshow\]"):
        test = es.hosmer_lemeshow_test(y, p)
    assert test.df == test.n_groups <= 9
    order = rng.permutation(400)
    with pytest.warns(es.EvalstatsWarning):
        assert es.hosmer_lemeshow_test(y[order], p[order]) == pytest.approx(test, rel=1e-12)


def test_smooth_error_is_its_definition(rng):
    y, p = draw(rng, 30, slope=2.0)
    for width in (0.02, 0.1, 0.7):
        expected = oracle.smooth_error(p.tolist(), y.tolist(), width, n_points=2000)
        found = es.smooth_calibration_error(y, p, width=width)
        assert found.value == pytest.approx(expected, abs=2e-5)
        assert found.width == width


def test_smooth_error_chooses_the_fixed_point(rng):
    y, p = draw(rng, 2000, slope=2.0)
    error = es.smooth_calibration_error(y, p)
    assert error.value <= error.width
    narrower = es.smooth_calibration_error(y, p, width=error.width - 1 / 1024)
    assert narrower.value > narrower.width
    weights = rng.integers(0, 3, 2000)
    copies = np.repeat(np.arange(2000), weights)
    repeated = es.smooth_calibration_error(y[copies], p[copies])
    weighted = es.smooth_calibration_error(y, p, sample_weight=weights)
    assert weighted == pytest.approx(repeated, rel=1e-9)


def losses_of(skewed):
    # A few rows are much worse than all others.
    p = np.full(60, 0.8)
    p[:5] = 0.001 if skewed else 0.7
    return np.ones(60, dtype=int) - (np.arange(60) % 4 == 1), p


def test_skewed_losses_are_named():
    y, p = losses_of(skewed=True)
    rival = np.full(60, 0.7)
    with pytest.warns(es.EvalstatsWarning, match=r"\[skewed-losses\]") as caught:
        estimate = es.LogLoss().fit(y, {"a": p, "b": rival}).estimate_
    losses = -np.log(np.where(y == 1, [p, rival], [1 - p, 1 - rival]))
    candidates = {"the losses of 'a'": losses[0], "the losses of 'b'": losses[1]}
    candidates["the differences of losses of 'a' and 'b'"] = losses[0] - losses[1]
    skewness = {name: abs(stats.skew(row)) / np.sqrt(60) for name, row in candidates.items()}
    worst = max(skewness, key=skewness.get)
    assert f"{worst}, whose mean has skewness {skewness[worst]:.2f}" in str(caught[0].message)
    assert estimate.warnings[0][0] == "skewed-losses"


def test_skewness_is_not_asked_of_resamples_clusters_and_even_losses():
    y, p = losses_of(skewed=True)
    es.LogLoss(inference=es.Bootstrap(9)).fit(y, p)
    es.LogLoss().fit(y, p, cluster=np.arange(60) // 2)
    es.LogLoss().fit(*losses_of(skewed=False))
    # Rows that count twice are as good as twice the rows, if they are rows.
    y, p = np.tile(losses_of(skewed=True), 100)
    es.LogLoss().fit(y.astype(int), p)
