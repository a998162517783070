"""Binned calibration errors: oracles, properties, corrections, inference."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

import evalstats as es
from evalstats.calibration.binned_error import corrected_error, plugin_error
from evalstats.inference.confidence_curve import curve_interval, norm_confidence_curve
from tests.oracles import calibration as oracle

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")

probability = st.one_of(
    st.integers(0, 20).map(lambda i: i / 20), st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0])
)
rows = st.lists(st.tuples(st.booleans(), probability, st.integers(0, 3)), min_size=1, max_size=40)


def columns(sample):
    y, p, w = (list(column) for column in zip(*sample, strict=True))
    if not any(w):
        w[0] = 1
    return y, p, w


@given(rows, st.integers(1, 12), st.sampled_from([1, 2, "max"]))
def test_uniform_bins_equal_the_definition(sample, n_bins, norm):
    y, p, w = columns(sample)
    expected = oracle.uniform_error(y, p, n_bins, norm)
    assert es.calibration_error(y, p, n_bins=n_bins, norm=norm) == pytest.approx(
        expected, abs=1e-12
    )
    expected = oracle.uniform_error(y, p, n_bins, norm, w)
    found = es.calibration_error(y, p, n_bins=n_bins, norm=norm, sample_weight=w)
    assert found == pytest.approx(expected, abs=1e-12)
    edges = np.arange(n_bins + 1) / n_bins
    found = es.calibration_error(y, p, bin_edges=edges, norm=norm, sample_weight=w)
    assert found == pytest.approx(expected, abs=1e-12)


@given(rows, st.integers(1, 12), st.sampled_from([1, 2, "max"]))
def test_equal_mass_bins_equal_the_definition_and_weights_are_repetitions(sample, n_bins, norm):
    y, p, w = columns(sample)
    n_bins = min(n_bins, len(y))
    options = {"binning": "quantile", "n_bins": n_bins, "norm": norm}
    expected = oracle.norm_of_bins(oracle.equal_mass_bins(p, n_bins), y, p, norm)
    assert es.calibration_error(y, p, **options) == pytest.approx(expected, abs=1e-12)
    y2, p2 = np.repeat(y, w), np.repeat(p, w)
    if len(y2) >= n_bins:
        repeated = es.calibration_error(y2, p2, **options)
        weighted = es.calibration_error(y, p, sample_weight=w, **options)
        assert weighted == pytest.approx(repeated, abs=1e-12)


@given(rows)
def test_sweep_equals_the_definition(sample):
    y, p, _ = columns(sample)
    found = es.calibration_error(y, p, binning="sweep")
    assert found == pytest.approx(oracle.sweep_error(y, p), abs=1e-12)


@given(rows)
def test_unique_bins_are_the_finest(sample):
    y, p, _ = columns(sample)
    bins = [[r for r in range(len(p)) if p[r] == value] for value in sorted(set(p))]
    expected = oracle.norm_of_bins(bins, y, p, 1)
    assert es.calibration_error(y, p, binning="unique") == pytest.approx(expected, abs=1e-12)
    # Merging bins can only let errors cancel.
    assert es.ece(y, p) <= expected + 1e-12


@given(rows)
def test_left_closed_bins_mirror_right_closed_ones(sample):
    y, p, _ = columns(sample)
    p = np.round(np.array(p) * 8) / 8
    mirrored = es.calibration_error(~np.array(y), 1 - p, n_bins=8, edges="left")
    assert es.calibration_error(y, p, n_bins=8) == pytest.approx(mirrored, abs=1e-12)


def test_forecasts_on_decimal_edges_belong_to_the_bin_below():
    fitted = es.CalibrationError(n_bins=10, inference=es.NoInference()).fit(
        [0, 1, 0, 1, 1], [0.0, 0.3, 0.6, 0.7, 1.0]
    )
    assert fitted.bins()["high"].to_list() == [0.1, 0.3, 0.6, 0.7, 1.0]
    single = es.CalibrationError(n_bins=10, inference=es.NoInference()).fit(
        [0, 1], np.array([0.25, 0.75], dtype=np.float32)
    )
    assert single.bins()["low"].to_list() == [0.2, 0.7]


def test_equal_forecasts_form_one_bin_with_their_error():
    y, p = [1, 0, 0, 0], [0.7] * 4
    for binning in ("uniform", "quantile", "unique", "sweep"):
        found = es.calibration_error(y, p, binning=binning, n_bins=4)
        assert found == pytest.approx(0.45, abs=1e-15)


# Correction of bias -----------------------------------------------------------------------------


def test_correction_of_the_mean_absolute_difference_is_its_closed_form(rng):
    p = rng.random(300)
    y = rng.random(300) < p**1.3
    fitted = es.CalibrationError(n_bins=5, debias=True, inference=es.NoInference()).fit(y, p)
    expected = 0.0
    for row in fitted.bins().iter_rows(named=True):
        sd = row["standard_error"]
        mean = integrate.quad(
            lambda x: abs(x) * stats.norm.pdf(x, row["difference"], sd),  # noqa: B023
            row["difference"] - 12 * sd,
            row["difference"] + 12 * sd,
            points=[0.0],
        )[0]
        expected += row["share"] * (2 * abs(row["difference"]) - mean)
    assert fitted.estimate_.value[0] == pytest.approx(expected, abs=1e-9)
    assert fitted.unclipped()["estimate"][0] == pytest.approx(expected, abs=1e-9)


def test_squared_error_is_unbiased_under_calibration():
    rng = np.random.default_rng(5)
    squares, corrected = [], []
    estimator = es.CalibrationError(binning="quantile", norm=2, inference=es.NoInference())
    for _ in range(300):
        p = rng.random(200)
        fitted = estimator.fit(rng.random(200) < p, p)
        corrected.append(fitted.unclipped()["estimate"][0])
        squares.append(fitted.estimate_.value[0] ** 2)
    error = np.std(corrected) / np.sqrt(300)
    # The forecasts differ within a bin, which makes the binomial variance slightly too large.
    assert abs(np.mean(corrected)) < 4 * error + 1e-4
    assert np.mean(squares) > 20 * error


@pytest.mark.parametrize("norm", [1, 2])
def test_corrected_errors_count_rows_or_their_worth(norm, rng):
    p, y = rng.random(400), rng.random(400) < 0.5
    options = {"norm": norm, "debias": True, "n_bins": 5}
    unweighted = es.calibration_error(y, p, **options)
    assert es.calibration_error(y, p, sample_weight=np.full(400, 7.0), **options) == pytest.approx(
        unweighted, rel=1e-12
    )
    copies = rng.integers(1, 4, 400)
    counted = es.CalibrationError(inference=es.Analytic(weight_kind="frequency"), **options)
    repeated = es.calibration_error(np.repeat(y, copies), np.repeat(p, copies), **options)
    counted.fit(y, p, sample_weight=copies)
    assert counted.estimate_.value[0] == pytest.approx(repeated, rel=1e-12)
    # As sampling weights the same numbers tell less than so many rows, so more is subtracted.
    assert es.calibration_error(y, p, sample_weight=copies, **options) < repeated


def test_corrected_error_of_certain_bins_is_the_plain_one():
    sums = np.array([[10.0, -3.0, 0.0, 10.0], [5.0, 2.0, 5.0, 5.0]])
    assert corrected_error(sums, 1) == pytest.approx(plugin_error(sums, 1), abs=1e-15)
    assert corrected_error(sums, 2) == pytest.approx(plugin_error(sums, 2) ** 2, abs=1e-15)


# Inference --------------------------------------------------------------------------------------


def test_interval_contains_zero_where_calibration_holds_and_excludes_it_where_not(rng):
    p = rng.random(2000)
    y = rng.random(2000) < p
    bold = 1 / (1 + (1 / p - 1) ** 2)
    estimate = es.CalibrationError().fit(y, {"calibrated": p, "bold": bold}).estimate_
    low, high = estimate.confidence_interval()
    assert low[0] == 0.0
    assert 0 < low[1] < high[1] < 1
    table = es.CalibrationError().fit(y, {"calibrated": p, "bold": bold}).calibration_test(199)
    assert table["p_value"][0] > 0.05
    assert table["p_value"][1] == pytest.approx(1 / 200)
    assert table["null_mean"][1] < 0.03 < table["estimate"][1]


def test_confidence_curve_of_one_mean_is_the_normal_interval():
    curve = norm_confidence_curve(
        np.array([0.8]), lambda _: np.array([[0.01]]), lambda mean: np.abs(mean).sum(axis=-1)
    )
    stacked = type(curve)(*(part[:, np.newaxis] for part in curve))
    low, high = curve_interval(stacked, 0.95)
    # 4,000 draws know a 2.5% quantile to about 0.03 standard deviations.
    assert low[0] == pytest.approx(0.8 - 0.196, abs=0.008)
    assert high[0] == pytest.approx(0.8 + 0.196, abs=0.008)


def test_upper_limit_of_evenly_spread_means_is_the_larger_one():
    # One mean in five is clear, four are noise: multiples of these look more biased.
    mean = np.array([0.3, 0.05, -0.06, 0.04, -0.05])
    limits = []
    for even in (False, True):
        curve = norm_confidence_curve(
            mean, lambda _: 0.01 * np.eye(5), lambda means: np.abs(means).sum(axis=-1), even=even
        )
        assert (np.diff(curve.value) >= 0).all()
        stacked = type(curve)(*(part[:, np.newaxis] for part in curve))
        low, high = curve_interval(stacked, 0.95)
        limits.append((float(low[0]), float(high[0])))
    assert limits[1][0] == pytest.approx(limits[0][0], abs=1e-12)
    assert limits[1][1] > limits[0][1] + 0.01


def test_confidence_curve_without_variance_is_a_point():
    curve = norm_confidence_curve(
        np.zeros(3), lambda _: np.zeros((3, 3)), lambda mean: np.abs(mean).sum(axis=-1)
    )
    stacked = type(curve)(*(part[:, np.newaxis] for part in curve))
    assert [float(end[0]) for end in curve_interval(stacked, 0.95)] == [0.0, 0.0]


def test_clusters_widen_the_interval_as_repeated_rows_should(rng):
    p = rng.random(300)
    y = rng.random(300) < p**1.6
    options = {"n_bins": 5}
    alone = es.CalibrationError(**options).fit(y, p).estimate_
    repeated = (np.repeat(y, 4), np.repeat(p, 4))
    cluster = np.repeat(np.arange(300), 4)
    clustered = es.CalibrationError(**options).fit(*repeated, cluster=cluster).estimate_
    naive = es.CalibrationError(**options).fit(*repeated).estimate_
    # Clusters of equal rows have the same means; their scatter is the observed one.
    np.testing.assert_allclose(
        clustered.confidence_interval(), alone.confidence_interval(), atol=0.004
    )
    assert np.ptp(naive.confidence_interval()) < 0.65 * np.ptp(alone.confidence_interval())
    np.testing.assert_allclose(clustered.standard_error, alone.standard_error, rtol=1e-10)


def test_analytic_error_agrees_with_the_bootstrap_far_from_calibration(rng):
    p = np.concatenate([np.full(800, 0.2), np.full(800, 0.8)])
    y = rng.random(1600) < np.repeat([0.4, 0.6], 800)
    models = {"a": p, "b": 0.9 * p}
    analytic = es.CalibrationError(inference=es.Analytic()).fit(y, models).estimate_
    resampled = es.CalibrationError(inference=es.Bootstrap(4000, rng=0)).fit(y, models).estimate_
    np.testing.assert_allclose(analytic.standard_error, resampled.standard_error, rtol=0.05)
    np.testing.assert_allclose(
        analytic.compare()["standard_error"], resampled.compare()["standard_error"], rtol=0.05
    )


def test_analytic_error_warns_near_calibration(rng):
    p = rng.random(500)
    with pytest.warns(es.EvalstatsWarning, match=r"\[near-calibrated\]"):
        es.CalibrationError(inference=es.Analytic()).fit(rng.random(500) < p, p)


def test_replicates_of_the_corrected_error_scatter_around_the_plain_one(rng):
    p = rng.random(400)
    y = rng.random(400) < p**1.4
    bootstrap = es.Bootstrap(500, interval="basic", rng=0)
    estimate = es.CalibrationError(debias=True, inference=bootstrap).fit(y, p).estimate_
    plain = es.ece(y, p)
    assert estimate.support["replicate_truth"][0] == pytest.approx(plain, abs=1e-14)
    low, high = estimate.confidence_interval()
    ends = estimate.value + plain - np.quantile(estimate.replicates, [0.975, 0.025], axis=0)[:, 0]
    np.testing.assert_allclose([low[0], high[0]], np.clip(ends, 0, 1), atol=1e-12)


def test_consistency_resampling_is_the_same_for_every_call_and_needs_independent_rows(rng):
    p = rng.random(300)
    y = rng.random(300) < p
    fitted = es.CalibrationError().fit(y, p)
    assert fitted.calibration_test(50, rng=3).equals(fitted.calibration_test(50, rng=3))
    assert not fitted.calibration_test(50, rng=3).equals(fitted.calibration_test(50, rng=4))
    clustered = es.CalibrationError().fit(y, p, cluster=np.arange(300) // 3)
    with pytest.raises(es.InputError, match="fit without cluster="):
        clustered.calibration_test()
    with pytest.raises(es.InputError, match="n_resamples=0: give a positive integer"):
        fitted.calibration_test(0)


def test_tests_and_tables_per_group(rng):
    p = rng.random(600)
    y = rng.random(600) < p
    group = np.array(["a", "b"])[np.arange(600) % 2]
    fitted = es.CalibrationError(n_bins=4).fit(y, p, by=group)
    assert fitted.bins().group_by("group").len().sort("group")["len"].to_list() == [4, 4]
    assert fitted.bins()["n"].sum() == 600
    assert fitted.calibration_test(20)["group"].to_list() == ["a", "b"]
    alone = es.CalibrationError(n_bins=4).fit(y[::2], p[::2])
    part = fitted.estimate_.select(group="a")
    np.testing.assert_allclose(
        part.confidence_interval(), alone.estimate_.confidence_interval(), atol=1e-12
    )


def test_classes_are_averaged_and_binary_top_label_follows_the_prediction(rng):
    matrix = rng.dirichlet(np.ones(4), 300)
    y = np.array([rng.choice(4, p=row) for row in matrix])
    classwise = es.calibration_error(y, matrix, target="classwise", n_bins=6)
    parts = [es.calibration_error(y == k, matrix[:, k], n_bins=6) for k in range(4)]
    assert classwise == pytest.approx(np.mean(parts), abs=1e-12)
    top = es.calibration_error(y, matrix, target="top_label", n_bins=6)
    right = matrix.argmax(axis=1) == y
    assert top == pytest.approx(es.calibration_error(right, matrix.max(axis=1), n_bins=6))
    p = rng.random(200)
    y = rng.random(200) < p
    binary = es.calibration_error(y, p, target="top_label", n_bins=6)
    right = (p >= 0.5) == y
    assert binary == pytest.approx(
        es.calibration_error(right, np.maximum(p, 1 - p), n_bins=6), abs=1e-12
    )


def test_states_of_data_chosen_bins_are_refused(rng):
    p = rng.random(50)
    y = rng.random(50) < p
    for binning in ("quantile", "unique", "sweep"):
        with pytest.raises(es.InputError, match="chooses its bins from all rows"):
            es.CalibrationError(binning=binning, n_bins=5).partial(y, p)
    five, six = (es.CalibrationError(n_bins=n).partial(y, p) for n in (5, 6))
    with pytest.raises(es.InputError, match="merge states of one definition"):
        es.CalibrationError(n_bins=5).merge(five, six)


@pytest.mark.parametrize("norm", [1, 2, "max"])
@pytest.mark.parametrize("debias", [False, True])
def test_merged_states_equal_the_whole(norm, debias, rng):
    if norm == "max" and debias:
        pytest.skip("the largest difference has no correction")
    p = rng.random(300)
    y = rng.random(300) < p**1.5
    w = rng.uniform(0.5, 2, 300)
    options = {"norm": norm, "debias": debias, "n_bins": 6}
    estimator = es.CalibrationError(inference=es.NoInference(), **options)
    states = [
        estimator.partial(y[part], p[part], sample_weight=w[part])
        for part in (slice(0, 20), slice(20, 170), slice(170, 300))
    ]
    merged = estimator.finalize(estimator.merge(*states))
    whole = es.calibration_error(y, p, sample_weight=w, **options)
    assert merged.value[0] == pytest.approx(whole, rel=1e-12)


def test_one_pass_summary_equals_the_single_scores(rng):
    p = np.concatenate([rng.random(200), [0.0, 0.5, 1.0, 0.3, 0.7]])
    y = rng.random(205) < p
    for w in (None, rng.uniform(0, 2, 205)):
        summary = es.calibration_summary(y, p, sample_weight=w)
        weight = np.ones(205) if w is None else w
        assert summary["ece"] == pytest.approx(es.ece(y, p, sample_weight=w), rel=1e-14)
        assert summary["balance_score"] == pytest.approx(
            oracle.balance(y, p, weight), rel=1e-12, abs=1e-14
        )
        assert summary["brier_score"] == pytest.approx(np.average((y - p) ** 2, weights=weight))
        assert summary["calibration_in_the_large"] == pytest.approx(
            np.average(y - p, weights=weight), abs=1e-15
        )
