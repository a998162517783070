"""All ways to a standard error agree, and none depends on how the work is cut up."""

import numpy as np
import pytest
from scipy import stats

import evalstats as es
from evalstats.inference import resampling
from evalstats.inference.engine import infer
from evalstats.inference.influence import acceleration, influence_factor
from evalstats.inference.intervals import bca_interval, expanded_interval
from evalstats.inference.methods import Analytic, Bootstrap, Jackknife, NoInference
from evalstats.inference.problem import Part, Problem
from evalstats.inference.units import Units
from tests.oracles.inference import jackknife_covariance, repetitions

N = 2000


@pytest.fixture(scope="module")
def sample():
    rng = np.random.default_rng(8)
    y = (rng.random(N) < 0.3).astype(int)
    signal = rng.normal(size=N) + y
    return y, {"a": signal, "b": signal + rng.normal(size=N)}


def mean_problem(values, units=None, influence=True):
    """The weighted mean of each column, whose theory is elementary."""
    n, _ = values.shape
    units = units or Units(n, n, None, None)

    def evaluate(weights):
        return weights @ values / weights.sum()

    def derivative(weights):
        return (values - evaluate(weights)) / weights.sum()

    part = Part(None, units, None, evaluate, derivative if influence else None)
    return Problem(units, [part], evaluate(units.row_weight), True)


@pytest.mark.parametrize("cls", [es.AUROC, es.AUPRC])
@pytest.mark.parametrize(
    "inference",
    [
        Bootstrap(n_resamples=3000, rng=1),
        Bootstrap(n_resamples=3000, kind="poisson", rng=1),
        Bootstrap(n_resamples=3000, kind="bayesian", rng=1),
        Bootstrap(n_resamples=3000, kind="multiplier", rng=1),
        Jackknife(),
    ],
    ids=["multinomial", "poisson", "bayesian", "multiplier", "jackknife"],
)
def test_standard_errors_agree(cls, inference, sample):
    analytic = cls().fit(*sample).estimate_
    other = cls(inference=inference).fit(*sample).estimate_
    tolerance = 0.015 if isinstance(inference, Jackknife) else 0.04
    np.testing.assert_allclose(other.standard_error, analytic.standard_error, rtol=tolerance)
    correlation = [e.covariance[0, 1] / e.standard_error.prod() for e in (analytic, other)]
    assert correlation[0] == pytest.approx(correlation[1], abs=0.04)


@pytest.mark.parametrize("cls", [es.AUROC, es.AUPRC])
def test_clustered_standard_errors_agree(cls, rng):
    cluster = np.arange(N) // 4
    shift = rng.normal(size=N // 4)[cluster]
    y = (rng.random(N // 4) < 0.4).astype(int)[cluster]
    s = shift + y + 0.5 * rng.normal(size=N)
    analytic = cls().fit(y, s, cluster=cluster).estimate_
    for inference in (Bootstrap(n_resamples=3000, rng=1), Jackknife()):
        other = cls(inference=inference).fit(y, s, cluster=cluster).estimate_
        np.testing.assert_allclose(other.standard_error, analytic.standard_error, rtol=0.05)
    assert (analytic.standard_error > 1.5 * cls().fit(y, s).estimate_.standard_error).all()


@pytest.mark.parametrize("interval", ["percentile", "basic", "bca", "studentized"])
def test_bootstrap_intervals_agree_with_the_analytic_one(interval, sample):
    expected = es.AUROC().fit(*sample).estimate_.confidence_interval()
    method = Bootstrap(n_resamples=3000, interval=interval, rng=2)
    actual = es.AUROC(inference=method).fit(*sample).estimate_.confidence_interval()
    width = expected.high - expected.low
    assert (np.abs(actual.low - expected.low) < 0.08 * width).all()
    assert (np.abs(actual.high - expected.high) < 0.08 * width).all()


@pytest.mark.parametrize("chunk", [7, 50, 1000])
@pytest.mark.parametrize("interval", ["percentile", "studentized"])
def test_replicates_do_not_depend_on_the_chunks(chunk, interval, sample, monkeypatch):
    y, scores = (sample[0][:200], {m: s[:200] for m, s in sample[1].items()})
    method = Bootstrap(n_resamples=110, interval=interval, rng=4)
    expected = es.AUROC(inference=method).fit(y, scores).estimate_
    jackknife = es.AUROC(inference=Jackknife()).fit(y, scores).estimate_
    monkeypatch.setattr(resampling, "CHUNK", chunk)
    assert es.AUROC(inference=method).fit(y, scores).estimate_ == expected
    assert es.AUROC(inference=Jackknife()).fit(y, scores).estimate_ == jackknife


def test_replicate_is_the_statistic_of_the_drawn_rows(sample):
    """Literally repeat the rows that one replicate drew."""
    y, scores = sample
    method = Bootstrap(n_resamples=3, rng=9)
    estimate = es.AUROC(inference=method).fit(y, scores["b"]).estimate_
    counts = np.empty(N)
    for replicate in range(3):
        units = Units(N, N, None, None)
        resampling.draw_weights(units, method, resampling.random_key(9), replicate, counts)
        rows = repetitions(np.arange(N), counts)
        assert len(rows) == N
        expected = es.auroc(y[rows], scores["b"][rows])
        assert estimate.replicates[replicate, 0] == pytest.approx(expected, rel=1e-13)


def test_clusters_are_drawn_whole(rng):
    """A statistic that sees whether two rows of one cluster ever get different weights."""
    cluster = rng.integers(0, 40, 200)
    cluster[:40] = np.arange(40)
    seen = []

    def evaluate(weights):
        seen.append(weights.copy())
        return np.array([weights.mean()])

    units = Units(200, 40, cluster, rng.uniform(0.5, 2.0, 200))
    part = Part(None, units, None, evaluate, None)
    infer(Problem(units, [part], np.array([1.0]), True), Bootstrap(n_resamples=30, rng=0, n_jobs=1))
    assert len(seen) == 30
    for weights in seen:
        copies = weights / units.weight
        per_cluster = np.bincount(cluster, copies) / np.bincount(cluster)
        np.testing.assert_allclose(copies, per_cluster[cluster], rtol=1e-12, atol=1e-12)
        assert per_cluster.sum() == pytest.approx(40)


def test_progress_is_reported(sample):
    calls = []
    with resampling.progress_reported_to(lambda done, total: calls.append((done, total))):
        es.AUROC(inference=Bootstrap(n_resamples=60, rng=0)).fit(*sample)
    assert calls == [(1, 3), (2, 3), (3, 3)]


# Theory of the mean -----------------------------------------------------------------------------


def test_analytic_covariance_of_a_mean_is_the_textbook_one(rng):
    values = rng.normal(size=(50, 3))
    distribution = infer(mean_problem(values), Analytic())
    np.testing.assert_allclose(distribution.covariance, np.cov(values.T) / 50, rtol=1e-12)


def test_jackknife_of_a_mean_is_exact(rng):
    values = rng.exponential(size=(40, 2))
    distribution = infer(mean_problem(values), Jackknife())
    np.testing.assert_allclose(distribution.covariance, np.cov(values.T) / 40, rtol=1e-10)
    np.testing.assert_allclose(distribution.support["bias"], 0.0, atol=1e-12)
    left_out = np.array([np.delete(values, row, axis=0).mean(axis=0) for row in range(40)])
    np.testing.assert_allclose(distribution.covariance, jackknife_covariance(left_out), rtol=1e-10)


def test_cluster_robust_variance_of_a_mean(rng):
    cluster = np.repeat(np.arange(20), 3)
    values = rng.normal(size=(60, 1)) + rng.normal(size=20)[cluster][:, np.newaxis]
    distribution = infer(mean_problem(values, Units(60, 20, cluster, None)), Analytic())
    means = values.reshape(20, 3).mean(axis=1)
    assert distribution.covariance[0, 0] == pytest.approx(means.var(ddof=1) / 20, rel=1e-12)


def test_stratified_variance_of_a_mean(rng):
    stratum = np.repeat([0, 1], [30, 70])
    values = rng.normal(size=(100, 1)) + 10 * stratum[:, np.newaxis]
    units = Units(100, 100, None, None, stratum)
    variance = infer(mean_problem(values, units), Analytic()).covariance[0, 0]
    within = [values[stratum == s].var(ddof=1) * np.sum(stratum == s) for s in (0, 1)]
    assert variance == pytest.approx(sum(within) / 100**2, rel=1e-12)
    resampled = infer(mean_problem(values, units), Bootstrap(n_resamples=4000, rng=0))
    assert resampled.covariance[0, 0] == pytest.approx(variance, rel=0.08)


def test_acceleration_from_influence_equals_the_jackknife(rng):
    values = rng.exponential(size=(80, 2))
    by_influence = infer(mean_problem(values), Bootstrap(interval="bca", n_resamples=20, rng=0))
    by_jackknife = infer(
        mean_problem(values, influence=False), Bootstrap(interval="bca", n_resamples=20, rng=0)
    )
    expected = by_jackknife.support["acceleration"]
    np.testing.assert_allclose(by_influence.support["acceleration"], expected, rtol=1e-6)
    centred = values - values.mean(axis=0)
    closed = (centred**3).sum(axis=0) / (6 * (centred**2).sum(axis=0) ** 1.5)
    np.testing.assert_allclose(expected, closed, rtol=1e-6)


def test_acceleration_of_constant_influence_is_zero():
    assert acceleration(np.zeros((5, 2))).tolist() == [0.0, 0.0]


def test_bca_without_bias_or_acceleration_is_the_percentile_interval(rng):
    replicates = rng.normal(size=(999, 1))
    replicates -= np.median(replicates)
    low, high = bca_interval(np.zeros(1), replicates, np.zeros(1), 0.9)
    expected = np.quantile(replicates, [0.05, 0.95])
    assert [low[0], high[0]] == pytest.approx(expected.tolist(), abs=1e-12)


@pytest.mark.parametrize("n", [5, 20, 1000])
def test_expanded_percentiles_of_a_normal_mean_are_the_t_interval(n):
    # Resamples of a normal mean whose sample has standard deviation 1, without Monte Carlo error.
    spread = np.sqrt((n - 1) / n) / np.sqrt(n)
    replicates = spread * stats.norm.ppf((np.arange(200_000) + 0.5) / 200_000)
    low, high = expanded_interval(replicates[:, np.newaxis], 0.95, np.array([float(n)]))
    reach = stats.t.ppf(0.975, n - 1) / np.sqrt(n)
    assert [low[0], high[0]] == pytest.approx([-reach, reach], rel=5e-4)


@pytest.mark.filterwarnings("ignore:.*few-positives")
def test_expanded_percentiles_count_the_class_that_is_averaged():
    y_true = np.repeat([0, 1], [80, 10])
    scores = {name: np.arange(90) % k + 0.4 * y_true for name, k in (("a", 7), ("b", 5))}
    bootstrap = es.Bootstrap(800, "expanded", stratify="y_true", rng=0)
    estimate = es.AUROC(inference=bootstrap).fit(y_true, scores).estimate_
    low, high = expanded_interval(estimate.replicates, 0.95, np.full(2, 10.0))
    np.testing.assert_array_equal(estimate.confidence_interval(), (low, high))
    gap = (estimate.replicates[:, 0] - estimate.replicates[:, 1])[:, np.newaxis]
    low, high = expanded_interval(gap, 0.95, np.full(1, 10.0))
    difference = estimate.compare("b")
    assert difference["ci_low"][0] == pytest.approx(low[0], abs=1e-12)
    assert difference["ci_high"][0] == pytest.approx(high[0], abs=1e-12)


def test_probability_weights_are_scale_free_and_frequency_weights_are_counts(rng):
    values = rng.normal(size=(30, 1))
    copies = rng.integers(1, 5, 30).astype(float)
    units = Units(30, 30, None, copies)
    problem = mean_problem(values, units)
    repeated = np.repeat(values, copies.astype(int), axis=0)
    expected = repeated.var(ddof=1) / len(repeated)
    counted = infer(problem, Analytic(weight_kind="frequency")).covariance[0, 0]
    assert counted == pytest.approx(expected, rel=1e-12)
    share = copies / copies.sum()
    sandwich = 30 / 29 * (share**2 * (values[:, 0] - problem.value[0]) ** 2).sum()
    assert infer(problem, Analytic()).covariance[0, 0] == pytest.approx(sandwich, rel=1e-12)


def test_single_unit_of_a_stratum_has_no_variance():
    units = Units(4, 4, None, None, np.array([0, 0, 0, 1]))
    factor = influence_factor(np.ones((4, 1)), units)
    assert np.isnan(factor[3, 0])


# Undefined replicates and refusals --------------------------------------------------------------


def fragile_problem(n_undefined, n_total, k=1):
    """Undefined in the given share of the replicates, in an order that never changes."""
    calls = iter(range(10**6))

    def evaluate(weights):
        return np.full(k, np.nan if next(calls) % n_total < n_undefined else weights[0])

    units = Units(10, 10, None, None)
    return Problem(units, [Part(None, units, None, evaluate, None)], np.ones(k), True)


def test_undefined_replicates_are_counted():
    single = Bootstrap(n_resamples=1000, rng=0, n_jobs=1)
    distribution = infer(fragile_problem(1, 100), single)
    assert distribution.n_failed == 10
    assert distribution.replicates.shape == (990, 1)
    with pytest.warns(es.EvalstatsWarning, match=r"\[failed-replicates\] .*in 20 of 1000"):
        assert infer(fragile_problem(2, 100), single).n_failed == 20
    with pytest.warns(es.EvalstatsWarning, match="in 100 of 1000"):
        infer(fragile_problem(10, 100), single)
    with pytest.raises(es.InputError, match="undefined in 110 of 1000 bootstrap replicates"):
        infer(fragile_problem(11, 100), single)


def test_lost_classes_are_counted_and_stratifying_keeps_them():
    y = np.repeat([1, 0], [4, 40])
    s = np.arange(44.0)[::-1] * np.where(np.arange(44) % 3, 1, 0.5)
    with pytest.warns(es.EvalstatsWarning) as caught:
        estimate = es.AUROC(inference=Bootstrap(rng=0)).fit(y, s).estimate_
    assert {warning.message.code for warning in caught} == {"failed-replicates", "few-positives"}
    assert 0.01 * 2000 < estimate.n_failed < 0.03 * 2000
    assert len(estimate.replicates) == 2000 - estimate.n_failed
    assert f"{estimate.n_failed} undefined replicates left out" in str(estimate)
    with pytest.warns(es.EvalstatsWarning, match=r"\[few-positives\]"):
        kept = es.AUROC(inference=Bootstrap(stratify="y_true", rng=0)).fit(y, s).estimate_
    assert kept.n_failed == 0
    few = np.repeat([1, 0], [1, 40])
    with pytest.raises(es.InputError, match="stratify the bootstrap"):
        es.AUROC(inference=Bootstrap(rng=0)).fit(few, s[:41])


def test_stratum_must_not_split_a_cluster(sample):
    y, scores = sample
    method = Bootstrap(n_resamples=10, stratify="y_true", rng=0)
    with pytest.raises(es.InputError, match="stratify varies within a cluster"):
        es.AUROC(inference=method).fit(y, scores, cluster=np.arange(N) // 2)


def test_strata_given_as_an_array(sample):
    y, scores = sample
    by_name = Bootstrap(n_resamples=50, stratify="y_true", rng=0)
    by_array = Bootstrap(n_resamples=50, stratify=y, rng=0)
    named = es.AUROC(inference=by_name).fit(y, scores).estimate_
    given = es.AUROC(inference=by_array).fit(y, scores).estimate_
    np.testing.assert_array_equal(named.replicates, given.replicates)


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda: Bootstrap(n_resamples=0), "n_resamples=0: give an integer of at least 2"),
        (lambda: Bootstrap(n_resamples=2.5), "n_resamples=2.5: give an integer"),
        (lambda: Bootstrap(interval="normal"), "interval='normal' is unknown: choose one of"),
        (lambda: Bootstrap(kind="wild"), "kind='wild' is unknown"),
        (lambda: Bootstrap(rng=np.random.RandomState(0)), "rng is a RandomState"),
        (lambda: Analytic(weight_kind="survey"), "weight_kind='survey' is unknown"),
    ],
)
def test_configuration_is_checked(create, message):
    with pytest.raises(es.InputError, match=message):
        create()


@pytest.mark.parametrize("interval", ["bca", "studentized"])
def test_multipliers_have_normal_intervals_only(interval, sample):
    method = Bootstrap(kind="multiplier", interval=interval, rng=0)
    with pytest.raises(es.InputError, match=f"kind='multiplier' has no {interval} interval"):
        es.AUROC(inference=method).fit(*sample)


def test_methods_that_need_what_a_metric_lacks(rng):
    problem = mean_problem(rng.normal(size=(10, 1)), influence=False)
    for method in (Analytic(), Bootstrap(kind="multiplier"), Bootstrap(interval="studentized")):
        with pytest.raises(es.InputError, match="needs influence values"):
            infer(problem, method)
    assert np.isnan(infer(problem, NoInference()).covariance).all()


def test_jackknife_refuses_to_run_for_hours(rng):
    y = rng.integers(0, 2, 20_001)
    with pytest.raises(es.InputError, match=r"re-evaluate the metric 20001 times"):
        es.AUROC(inference=Jackknife()).fit(y, rng.normal(size=20_001))


def test_few_clusters_are_warned_of(sample):
    y, scores = sample
    with pytest.warns(es.EvalstatsWarning, match=r"\[few-clusters\] only 29 clusters"):
        estimate = es.AUROC().fit(y, scores, cluster=np.arange(N) % 29).estimate_
    assert estimate.df.tolist() == [28.0, 28.0]
    with pytest.raises(es.InputError, match="at least 2 clusters"):
        es.AUROC().fit(y, scores, cluster=np.zeros(N))
