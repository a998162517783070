"""The estimator: equivariances, forms of input, inference, groups, fuzzy designs."""

import dataclasses

import numpy as np
import polars as pl
import pytest
from scipy import stats

import evalstats as es
from evalstats.discontinuity import bandwidth
from tests.oracles import discontinuity as oracle

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")

N = 240
GRID = [0.1, 0.3, 0.5, 0.7, 0.9]
METHODS = ["frechet", "local_polynomial"]


@pytest.fixture
def sample():
    rng = np.random.default_rng(4)
    x = rng.uniform(-1, 1, N)
    units = [
        rng.normal(a + 2 * (a >= 0) + rng.normal(0, 0.3), 1 + 0.5 * (a >= 0), rng.integers(15, 40))
        for a in x
    ]
    return x, units


def long_frame(x, units, **columns):
    sizes = [len(unit) for unit in units]
    frame = {"unit": np.repeat(np.arange(len(x)), sizes), "x": np.repeat(x, sizes)}
    frame["y"] = np.concatenate(units)
    for name, column in columns.items():
        frame[name] = np.repeat(column, sizes)
    return pl.DataFrame(frame)


def rdd(**options):
    return es.DistributionRDD(**{"quantiles": GRID, **options})


def widths(fitted):
    return fitted.diagnostics()["bandwidth_min"].to_numpy()


# Bandwidths -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("rule", ["mse", "imse", "cer", "mse_two", "imse_two", "cer_two"])
@pytest.mark.parametrize("kernel", ["triangular", "epanechnikov", "uniform"])
def test_bandwidths_are_equivariant(method, rule, kernel, sample):
    x, units = sample
    options = {"method": method, "bandwidth": rule, "kernel": kernel}
    one = rdd(**options).fit(x, units)
    far = rdd(**options, cutoff=30.0).fit(100 * x + 30, units)
    np.testing.assert_allclose(widths(far), 100 * widths(one), rtol=1e-9)
    np.testing.assert_allclose(far.estimate_.value, one.estimate_.value, rtol=1e-7)
    moved = rdd(**options).fit(x, [3.0 * unit - 7.0 for unit in units])
    np.testing.assert_allclose(widths(moved), widths(one), rtol=1e-7)
    np.testing.assert_allclose(moved.estimate_.value, 3 * one.estimate_.value, rtol=1e-7)


def test_the_reference_bandwidth_is_not_equivariant(sample):
    x, units = sample
    one = widths(rdd(bandwidth="r3d").fit(x, units))
    wide = widths(rdd(bandwidth="r3d").fit(4 * x, units))
    np.testing.assert_allclose(wide, 4**0.2 * one, rtol=1e-2)


def test_coverage_error_rate(sample):
    x, units = sample
    mse, cer = (widths(rdd(bandwidth=rule).fit(x, units)) for rule in ("mse", "cer"))
    np.testing.assert_allclose(cer, mse * N ** (-1 / 20), rtol=1e-12)


def test_bandwidths_by_value(sample):
    x, units = sample
    per_quantile = rdd(method="local_polynomial", bandwidth=[0.4, 0.5, 0.6, 0.7, 0.8])
    together = per_quantile.fit(x, units).estimate_.value
    for q, h in enumerate([0.4, 0.5, 0.6, 0.7, 0.8]):
        alone = rdd(method="local_polynomial", rearrange="none", bandwidth=h).fit(x, units)
        assert alone.estimate_.value[q] == pytest.approx(together[q], rel=1e-12)
    sides = rdd(bandwidth={"below": 0.4, "above": 0.7}).fit(x, units)
    assert widths(sides).tolist() == [0.4, 0.7]
    limits = sides.limits()
    lower = rdd(bandwidth=0.4).fit(x, units).limits().select(side="below").value
    upper = rdd(bandwidth=0.7).fit(x, units).limits().select(side="above").value
    np.testing.assert_array_equal(limits.select(side="below").value, lower)
    np.testing.assert_array_equal(limits.select(side="above").value, upper)


def test_two_sided_rules_may_differ(sample):
    x, units = sample
    two = widths(rdd(bandwidth="mse_two").fit(x, units))
    assert two[0] != two[1]
    one = widths(rdd().fit(x, units))
    assert one[0] == one[1]


@pytest.mark.parametrize(
    ("bias", "noise", "regularise", "squared"),
    [(3.0, 4.0, True, 5.0), (0.1, 4.0, True, 2.0), (0.1, 4.0, False, 0.01), (3.0, 4.0, False, 9.0)],
)
def test_noise_is_taken_out_of_the_squared_curvature(bias, noise, regularise, squared):
    rule = bandwidth.Rule("triangular", 1, 2, True, False, False, regularise, 100.0, False)
    part = bandwidth._Curvature(np.array([7.0]), np.array([bias]), np.array([noise]))
    h = bandwidth._minimiser(rule, part, 4.0, 0.2)
    assert h[0] == pytest.approx((7.0 / (4.0 * squared)) ** 0.2, rel=1e-12)


# Forms of input ---------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_forms_of_input_agree(method, sample, rng):
    x, units = sample
    expected = rdd(method=method).fit(x, units).estimate_
    frame = long_frame(x, units)
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=1)
    named = shuffled.with_columns(pl.format("firm {}", "unit").alias("unit"))
    nested = pl.DataFrame({"x": x, "y": [unit.tolist() for unit in units]})
    for data, unit in ((frame, "unit"), (shuffled, "unit"), (named, "unit"), (nested, None)):
        found = rdd(method=method).fit("x", "y", unit, data=data).estimate_
        np.testing.assert_allclose(found.value, expected.value, rtol=1e-12)
        np.testing.assert_allclose(found.standard_error, expected.standard_error, rtol=1e-10)
        assert found.n_units == N
    matrix = np.array([np.quantile(unit, GRID) for unit in units])
    given = rdd(method=method, outcome_form="quantiles")
    for outcome in (matrix, {"outcome": matrix}):
        np.testing.assert_allclose(
            given.fit(x, outcome).estimate_.value, expected.value, rtol=1e-12
        )
    wide = pl.DataFrame(matrix, schema=[f"q{i}" for i in range(5)]).with_columns(x=pl.Series(x))
    found = given.fit("x", [f"q{i}" for i in range(5)], data=wide).estimate_
    np.testing.assert_allclose(found.value, expected.value, rtol=1e-12)


def test_equal_numbers_of_draws_as_a_matrix(sample, rng):
    x, _ = sample
    matrix = rng.normal(size=(N, 20)).astype(np.float32)
    rows = rdd().fit(x, list(matrix)).estimate_
    np.testing.assert_array_equal(rdd().fit(x, matrix).estimate_.value, rows.value)


def test_draw_weights(sample, rng):
    x, units = sample
    weights = [rng.integers(1, 4, len(unit)).astype(float) for unit in units]
    nested = rdd().fit(x, units, draw_weight=weights).estimate_
    frame = long_frame(x, units).with_columns(w=pl.Series(np.concatenate(weights)))
    long = rdd().fit("x", "y", "unit", draw_weight="w", data=frame).estimate_
    np.testing.assert_allclose(long.value, nested.value, rtol=1e-12)
    assert not np.allclose(nested.value, rdd().fit(x, units).estimate_.value)
    equal = rdd().fit(x, units, draw_weight=[np.full(len(u), 2.5) for u in units]).estimate_
    np.testing.assert_allclose(equal.value, rdd().fit(x, units).estimate_.value, rtol=1e-9)


def test_weights_clusters_and_groups_of_a_long_frame(sample, rng):
    x, units = sample
    weight, cluster = rng.uniform(0.5, 2, N), rng.integers(0, 50, N)
    group = np.array(["a", "b"])[cluster % 2]
    frame = long_frame(x, units, w=weight, c=cluster, g=group)
    options = {"sample_weight": "w", "cluster": "c", "by": "g"}
    long = rdd().fit("x", "y", "unit", data=frame, **options).estimate_
    direct = rdd().fit(x, units, sample_weight=weight, cluster=cluster, by=group).estimate_
    np.testing.assert_allclose(long.value, direct.value, rtol=1e-12)
    np.testing.assert_allclose(long.covariance, direct.covariance, rtol=1e-9, atol=1e-15)
    assert long.terms.columns == ["metric", "model", "group", "quantile"]
    assert long.n_clusters == len(np.unique(cluster))


def test_order_of_the_quantiles_is_the_users(sample):
    x, units = sample
    sorted_fit = rdd().fit(x, units)
    order = [3, 0, 4, 1, 2]
    mixed = rdd(quantiles=[GRID[i] for i in order]).fit(x, units)
    np.testing.assert_array_equal(mixed.estimate_.value, sorted_fit.estimate_.value[order])
    covariance = sorted_fit.estimate_.covariance[np.ix_(order, order)]
    np.testing.assert_allclose(mixed.estimate_.covariance, covariance, rtol=1e-12)
    limits = mixed.limits().select(side="below").value
    np.testing.assert_array_equal(limits, sorted_fit.limits().select(side="below").value[order])


def test_missing_draws_and_units(sample):
    x, units = sample
    holed = [unit.copy() for unit in units]
    holed[7][3] = np.nan
    with pytest.raises(es.InputError, match=r"outcome has 1 missing values \(first in unit 7\)"):
        rdd().fit(x, holed)
    omitted = rdd(nan_policy="omit").fit(x, holed).estimate_
    cut = [*units]
    cut[7] = np.delete(units[7], 3)
    np.testing.assert_array_equal(omitted.value, rdd().fit(x, cut).estimate_.value)
    frame = long_frame(x, holed)
    long = rdd(nan_policy="omit").fit("x", "y", "unit", data=frame).estimate_
    np.testing.assert_allclose(long.value, omitted.value, rtol=1e-12)


# Values and inference ---------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", ["triangular", "epanechnikov", "uniform"])
@pytest.mark.parametrize("p", [1, 2, 3])
def test_scalar_outcomes_are_an_ordinary_discontinuity(kernel, p, sample, rng):
    x, _ = sample
    y = x + rng.normal(size=N)
    one = es.DistributionRDD(kernel=kernel, p=p, bandwidth=0.6).fit(x, y).estimate_
    assert one.terms["quantile"].to_list() == [0.5]
    assert one.value[0] == pytest.approx(oracle.jump(x, y, 0.6, kernel, p), rel=1e-9)
    many = rdd(kernel=kernel, p=p, bandwidth=0.6).fit(x, y).estimate_
    np.testing.assert_allclose(many.value, one.value[0], rtol=1e-12)


def test_standard_errors_are_leave_one_out(sample, rng):
    x, _ = sample
    y = x + rng.normal(size=N)
    estimate = es.DistributionRDD(bandwidth=0.6).fit(x, y).estimate_
    changes = oracle.leave_one_out_influence(x, y, 0.6, "triangular", 2)
    centred = changes - changes.mean()
    expected = np.sqrt(N / (N - 1) * centred @ centred)
    assert estimate.standard_error[0] == pytest.approx(expected, rel=1e-7)


def test_derivative_by_the_weights_without_leave_one_out(sample):
    x, units = sample
    fitted = rdd(bandwidth=0.7, method="local_polynomial", rearrange="none").fit(x, units)
    design = fitted._prepare(fitted._columns_seen)
    weight = np.ones(N)
    influence = fitted._influence(design, weight)
    for unit in (0, 5, 40):
        step = 1e-5 * (np.arange(N) == unit)
        up, down = (fitted._evaluate(design, weight + s * step) for s in (1, -1))
        derivative = (up - down) / 2e-5
        _, leverage = (
            next(
                (side, fit.smoother(number, 0, weight)[1][side.rows == unit])
                for fit in design.outcomes.values()
                for number, side in enumerate(fit.sides)
                if (side.rows == unit).any()
            )
            if np.abs(x[unit]) < 0.7
            else (None, np.zeros(1))
        )
        np.testing.assert_allclose(influence[unit] * (1 - leverage), derivative, atol=1e-7)


@pytest.mark.parametrize("method", METHODS)
def test_repeated_units_and_frequency_weights(method, sample, rng):
    x, units = sample
    copies = rng.integers(1, 4, N)
    rows = np.repeat(np.arange(N), copies)
    repeated = rdd(method=method).fit(x[rows], [units[row] for row in rows]).estimate_
    counts = rdd(method=method, inference=es.Analytic(weight_kind="frequency"))
    counted = counts.fit(x, units, sample_weight=copies).estimate_
    np.testing.assert_allclose(counted.value, repeated.value, rtol=1e-9)
    np.testing.assert_allclose(counted.standard_error, repeated.standard_error, rtol=1e-8)
    fixed = rdd(method=method, bandwidth=0.6).fit(x, units, sample_weight=copies).estimate_
    again = rdd(method=method, bandwidth=0.6).fit(x[rows], [units[row] for row in rows]).estimate_
    np.testing.assert_allclose(fixed.value, again.value, rtol=1e-10)


def test_paired_outcomes(sample, rng):
    x, units = sample
    other = [unit + 0.3 * rng.normal(size=len(unit)) for unit in units]
    fitted = rdd(bandwidth=0.6, method="local_polynomial", rearrange="none")
    estimate = fitted.fit(x, {"a": units, "b": other}).estimate_
    table = estimate.compare()
    assert table["quantile"].to_list() == GRID
    a, b = (np.array([np.quantile(u, GRID) for u in outcome]) for outcome in (units, other))
    # The same windows, so the difference is the fit of the differences.
    x = np.asarray(x)
    for q in range(len(GRID)):
        single = es.DistributionRDD(bandwidth=0.6).fit(x, a[:, q] - b[:, q]).estimate_
        assert table["estimate"][q] == pytest.approx(single.value[0], rel=1e-9)
        assert table["standard_error"][q] == pytest.approx(single.standard_error[0], rel=1e-9)


def test_monotone_steps(sample):
    x, units = sample
    few = [unit[:2] for unit in units]
    plain = rdd(method="local_polynomial", rearrange="none", bandwidth=0.15, p=1).fit(x, few)
    for method in METHODS:
        limits = rdd(method=method, bandwidth=0.15, p=1).fit(x, few).limits()
        for side in ("below", "above"):
            curve, raw = (e.select(side=side).value for e in (limits, plain.limits()))
            assert (np.diff(curve) >= 0).all()
            wanted = np.sort(raw) if method == "local_polynomial" else oracle.isotonic(raw)
            np.testing.assert_allclose(curve, wanted, rtol=1e-12)


def test_donut_leaves_out_the_nearest_units(sample):
    x, units = sample
    kept = np.flatnonzero(np.abs(x) >= 0.1)
    hole = rdd(donut=0.1).fit(x, units).estimate_
    without = rdd().fit(x[kept], [units[i] for i in kept]).estimate_
    np.testing.assert_allclose(hole.value, without.value, rtol=1e-12)


def test_covariates_explain_noise_and_shift_nothing(sample, rng):
    x, units = sample
    noise = 3 * rng.normal(size=N)
    noisy = [unit + shift for unit, shift in zip(units, noise, strict=True)]
    plain = rdd(bandwidth=0.7).fit(x, noisy).estimate_
    adjusted = rdd(bandwidth=0.7).fit(x, noisy, covariates={"noise": noise}).estimate_
    clean = rdd(bandwidth=0.7).fit(x, units).estimate_
    assert (adjusted.standard_error < 0.3 * plain.standard_error).all()
    assert np.abs(adjusted.value - clean.value).max() < 0.2
    frame = long_frame(x, noisy, noise=noise)
    long = rdd(bandwidth=0.7).fit("x", "y", "unit", covariates=["noise"], data=frame).estimate_
    np.testing.assert_allclose(long.value, adjusted.value, rtol=1e-10)


def test_kinks_do_not_bias_a_quadratic_fit():
    x = np.linspace(-1, 1, 400) + 1e-3
    y = np.where(x >= 0, 1 + 3 * x + x**2, -2 * x - 4 * x**2)
    value = es.DistributionRDD(bandwidth=0.8).fit(x, y).estimate_.value[0]
    assert value == pytest.approx(1.0, abs=1e-10)


# Bands and tests --------------------------------------------------------------------------------


def test_bands_and_tests(sample):
    x, units = sample
    fitted = rdd().fit(x, units)
    drawn = fitted.multiplier_bootstrap(1999, rng=3)
    covariance = np.cov(drawn.draws, rowvar=False)
    np.testing.assert_allclose(covariance, fitted.estimate_.covariance, rtol=0.15)
    low, high = drawn.band()
    np.testing.assert_allclose(high - low, 2 * drawn.critical_value(), rtol=1e-12)
    narrow_low, narrow_high = drawn.band(kind="studentized")
    ratio = (narrow_high - narrow_low) / fitted.estimate_.standard_error
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-12)
    pointwise = fitted.estimate_.confidence_interval()
    assert (narrow_low < pointwise.low).all()
    table = drawn.tests([[0.1, 0.5, 0.9]])
    assert table.select("test", "low", "high").rows() == [
        ("nullity", 0.1, 0.5),
        ("nullity", 0.5, 0.9),
        ("homogeneity", 0.1, 0.5),
        ("homogeneity", 0.5, 0.9),
    ]
    assert table["p_value"].min() >= 1 / 2000
    same = fitted.multiplier_bootstrap(1999, rng=3)
    np.testing.assert_array_equal(same.draws, drawn.draws)
    largest = np.sort(np.abs(drawn.draws).max(axis=1))
    assert drawn.critical_value(0.95) == largest[1899]


def test_p_values_count_the_estimate(sample):
    x, units = sample
    drawn = rdd().fit(x, units).multiplier_bootstrap(199)
    exact = dataclasses.replace(drawn, effect=drawn.draws[0])
    size = np.abs(drawn.draws).max(axis=1)
    exceeding = (size >= size[0]).sum()
    assert exact.tests()["p_value"][0] == pytest.approx((1 + exceeding) / 200)


def test_given_multipliers_are_sums_of_influence(sample, rng):
    x, units = sample
    fitted = rdd().fit(x, {"a": units, "b": units[::-1]})
    xi = rng.normal(size=(N, 30))
    drawn = fitted.multiplier_bootstrap(multipliers=xi, model="b")
    design = fitted._prepare(fitted._columns_seen)
    influence = fitted._influence(design, np.ones(N))[:, 5:]
    np.testing.assert_allclose(drawn.draws, xi.T @ influence, rtol=1e-10, atol=1e-13)


def test_uniform_band_frame(sample):
    x, units = sample
    frame = rdd().fit(x, {"a": units, "b": units[::-1]}).uniform_band(0.9)
    assert frame.columns[-2:] == ["band_low", "band_high"]
    assert frame["model"].to_list() == ["a"] * 5 + ["b"] * 5
    assert (frame["band_high"] >= frame["ci_high"]).any()


# Functionals and fuzzy designs ------------------------------------------------------------------


def test_functionals(sample):
    x, units = sample
    positive = [np.exp(unit / 3) for unit in units]
    fitted = es.DistributionRDD(bandwidth=0.7).fit(x, positive)
    effects = fitted.functionals(["mean", "iqr", "gini", "wasserstein_2", "ratio_90_10"])
    limits = fitted.limits()
    grid = np.arange(1, 100) / 100
    below, above = (limits.select(side=side).value for side in ("below", "above"))
    means = [np.interp((np.arange(20000) + 0.5) / 20000, grid, c).mean() for c in (below, above)]
    wanted = {
        "mean": means[1] - means[0],
        "iqr": (above[74] - above[24]) - (below[74] - below[24]),
        "gini": oracle.gini(grid, above) - oracle.gini(grid, below),
        "ratio_90_10": above[89] / above[9] - below[89] / below[9],
    }
    for name, value in wanted.items():
        assert effects.select(functional=name).value[0] == pytest.approx(value, abs=1e-3)
    boot = es.DistributionRDD(bandwidth=0.7, inference=es.Bootstrap(n_resamples=400, rng=0)).fit(
        x, positive
    )
    for name in ("mean", "iqr", "gini", "wasserstein_2"):
        ours = effects.select(functional=name).standard_error[0]
        theirs = boot.functionals([name]).standard_error[0]
        assert ours == pytest.approx(theirs, rel=0.25)


def test_mean_effect_is_the_effect_on_the_mean(sample):
    x, units = sample
    matrix = np.array([np.quantile(u, np.arange(1, 100) / 100) for u in units])
    from evalstats.discontinuity.functionals import integration_weights

    area = integration_weights(np.arange(1, 100) / 100)
    direct = es.DistributionRDD(bandwidth=0.7).fit(x, matrix @ area).estimate_
    mean = es.DistributionRDD(bandwidth=0.7).fit(x, units).functionals(["mean"])
    assert mean.value[0] == pytest.approx(direct.value[0], rel=1e-9)
    assert mean.standard_error[0] == pytest.approx(direct.standard_error[0], rel=1e-7)


@pytest.fixture
def fuzzy(sample):
    x, units = sample
    rng = np.random.default_rng(9)
    treated = (rng.random(N) < np.where(x >= 0, 0.85, 0.15)).astype(float)
    return x, [u + 2 * t for u, t in zip(units, treated, strict=True)], treated


def test_fuzzy_is_a_ratio(fuzzy):
    x, units, treated = fuzzy
    fitted = rdd(bandwidth=0.7).fit(x, units, treatment=treated)
    sharp = rdd(bandwidth=0.7).fit(x, units).estimate_.value
    jump = es.DistributionRDD(bandwidth=0.7).fit(x, treated).estimate_
    np.testing.assert_allclose(fitted.estimate_.value, sharp / jump.value[0], rtol=1e-10)
    first = fitted.first_stage()
    assert first["estimate"][0] == pytest.approx(jump.value[0], rel=1e-12)
    assert first["standard_error"][0] == pytest.approx(jump.standard_error[0], rel=1e-9)
    assert first["f_statistic"][0] == pytest.approx((jump.value / jump.standard_error)[0] ** 2)


def test_full_compliance_is_sharp(sample):
    x, units = sample
    sharp = rdd(bandwidth=0.7).fit(x, units).estimate_
    full = rdd(bandwidth=0.7).fit(x, units, treatment=(x >= 0).astype(float)).estimate_
    np.testing.assert_allclose(full.value, sharp.value, rtol=1e-10)
    np.testing.assert_allclose(full.standard_error, sharp.standard_error, rtol=1e-9)


def test_first_stage_uses_no_narrower_window_than_the_outcome(rng):
    # Selected alone, the window of a treatment like this is often narrower.
    narrower = 0
    for _ in range(6):
        x = rng.uniform(-1, 1, 300)
        treated = (rng.random(300) < np.where(x >= 0, 0.8, 0.2)).astype(float)
        draws = (2 * x + treated + rng.normal(0, 0.25, 300))[:, np.newaxis]
        draws = draws + rng.normal(size=(300, 30))
        default = es.DistributionRDD().fit(x, draws, treatment=treated)
        width = default.diagnostics()["bandwidth_min"].to_list()
        alone = es.DistributionRDD().fit(x, treated).diagnostics()["bandwidth_min"][0]
        narrower += alone < width[0]
        h = {"outcome": width[0], "treatment": max(alone, width[0])}
        given = es.DistributionRDD(bandwidth=h).fit(x, draws, treatment=treated)
        np.testing.assert_allclose(
            default.first_stage()["estimate"], given.first_stage()["estimate"], rtol=1e-10
        )
    assert narrower > 0


def test_anderson_rubin_inverts_the_test(fuzzy):
    x, units, treated = fuzzy
    fitted = rdd(bandwidth=0.7, method="local_polynomial", rearrange="none")
    fitted.fit(x, units, treatment=treated)
    table = fitted.anderson_rubin(0.9)
    rows = np.array([np.quantile(unit, GRID) for unit in units])
    for q, row in enumerate(table.iter_rows(named=True)):
        assert row["shape"] == "interval"
        assert row["low"] < row["estimate"] < row["high"]
        for t in (row["low"], row["high"]):
            null = es.DistributionRDD(bandwidth=0.7, level=0.9).fit(x, rows[:, q] - t * treated)
            assert abs(null.estimate_.value[0]) == pytest.approx(
                1.6448536 * null.estimate_.standard_error[0], rel=1e-6
            )
    wide = fitted.anderson_rubin(0.9, simultaneous=True)
    assert (wide["low"] < table["low"]).all()


def test_anderson_rubin_says_when_the_first_stage_is_weak(sample, rng):
    x, units = sample
    coin = rng.integers(0, 2, N).astype(float)
    with pytest.warns(es.EvalstatsWarning, match=r"\[weak-first-stage\]"):
        fitted = rdd().fit(x, units, treatment=coin)
    assert set(fitted.anderson_rubin()["shape"]) <= {"line", "outside"}


def test_fuzzy_bands_end_where_the_test_of_that_curve_rejects(fuzzy):
    x, units, treated = fuzzy
    fitted = rdd(bandwidth=0.7, method="local_polynomial", rearrange="none")
    fitted.fit(x, units, treatment=treated)
    drawn = fitted.multiplier_bootstrap(1999, rng=4)
    relative = drawn.first_stage.draws
    errors = drawn.draws
    direction = np.linalg.svd(errors)[2][0]
    direction /= direction[np.argmax(np.abs(direction))]
    for level in (0.8, 0.95):
        low, high = drawn.band(level)
        rank = int(np.ceil(level * 2000 - 1e-9)) - 1
        for width in (low[0] - drawn.effect[0], high[0] - drawn.effect[0]):
            there = np.abs(errors - width * np.outer(relative, direction)).max(axis=1)
            assert np.sort(there)[rank] == pytest.approx(abs(width), rel=1e-8)
        # An uncertain first stage widens the band, more above than below (the effect is positive).
        assert (high - drawn.effect > drawn.effect - low).all()
        assert (high - low > 2 * drawn.critical_value(level)).all()


def test_studentized_fuzzy_band_is_the_anderson_rubin_set_at_its_level(fuzzy):
    x, units, treated = fuzzy
    fitted = rdd(bandwidth=0.7).fit(x, units, treatment=treated)
    drawn = fitted.multiplier_bootstrap(999)
    critical = drawn.critical_value(0.9, kind="studentized")
    sets = fitted.anderson_rubin(1.0 - 2.0 * float(stats.norm.sf(critical)))
    low, high = drawn.band(0.9, kind="studentized")
    np.testing.assert_allclose(low, sets["low"], rtol=1e-9)
    np.testing.assert_allclose(high, sets["high"], rtol=1e-9)


def test_fuzzy_test_of_nullity_is_that_of_the_reduced_form(fuzzy):
    # A curve of zero is compared with draws of the outcome's jump alone.
    x, units, treated = fuzzy
    effect = rdd(bandwidth=0.7).fit(x, units, treatment=treated).estimate_.value.mean()
    flat = [unit - effect * t for unit, t in zip(units, treated, strict=True)]
    options = {"bandwidth": 0.7, "method": "local_polynomial", "rearrange": "none"}
    multipliers = np.random.default_rng(2).normal(size=(N, 499))
    fitted = rdd(**options).fit(x, flat, treatment=treated)
    ours = fitted.multiplier_bootstrap(multipliers=multipliers).tests()
    reduced = rdd(**options).fit(x, flat).multiplier_bootstrap(multipliers=multipliers).tests()
    assert 0.002 < ours["p_value"][0] < 1.0
    assert ours["p_value"][0] == reduced["p_value"][0]
    jump = fitted.first_stage()["estimate"][0]
    assert ours["critical_value"][0] == pytest.approx(reduced["critical_value"][0] / jump)


def test_bands_are_infinite_without_a_first_stage(sample, rng):
    x, units = sample
    coin = rng.integers(0, 2, N).astype(float)
    with pytest.warns(es.EvalstatsWarning, match=r"\[weak-first-stage\]"):
        fitted = rdd().fit(x, units, treatment=coin)
    assert (fitted.first_stage()["f_statistic"] < 2).all()
    for kind in ("constant", "studentized"):
        band = fitted.uniform_band(kind=kind, n_resamples=499)
        assert band["band_low"].to_list() == [-np.inf] * len(GRID)
        assert band["band_high"].to_list() == [np.inf] * len(GRID)
    axes = fitted.plot()
    assert np.isfinite(axes.get_ylim()).all()


# Exploration ------------------------------------------------------------------------------------


def test_binned_quantiles_and_fitted_curves(sample):
    x, units = sample
    fitted = rdd().fit(x, units)
    bins = fitted.binned_quantiles(5)
    assert bins.height == 10 * len(GRID)
    assert bins.filter(pl.col("quantile") == 0.5)["n"].sum() == N
    assert bins.filter(pl.col("side") == "below")["bin_high"].max() < 0
    curves = fitted.fitted_curves([0.5])
    at_cutoff = curves.filter(pl.col("running") == 0)
    limits = rdd(method="local_polynomial", rearrange="none", bandwidth="imse").fit(x, units)
    wanted = limits.limits()
    middle = [wanted.select(side=s, quantile=0.5).value[0] for s in ("below", "above")]
    np.testing.assert_allclose(at_cutoff["estimate"], middle, rtol=1e-9)


def test_bandwidth_path_and_placebos(sample):
    x, units = sample
    fitted = rdd().fit(x, units)
    path = fitted.bandwidth_path([0.4, 0.8])
    other = rdd(bandwidth=0.8).fit(x, units).estimate_
    np.testing.assert_array_equal(path.filter(pl.col("bandwidth") == 0.8)["estimate"], other.value)
    assert fitted.bandwidth_path()["selected"].sum() == len(GRID)
    placebo = fitted.placebo_cutoffs([-0.5, 0.5])
    below = np.flatnonzero(x < 0)
    own = rdd(cutoff=-0.5).fit(x[below], [units[i] for i in below]).estimate_
    np.testing.assert_allclose(placebo["estimate"][:5], own.value, rtol=1e-12)


def test_density_test(sample):
    pytest.importorskip("rddensity")
    x, units = sample
    table = rdd().fit(x, units).density_test()
    assert 0 <= table["p_value"][0] <= 1


def test_diagnostics(sample):
    x, units = sample
    table = rdd(bandwidth=0.5).fit(x, units).diagnostics()
    assert table["side"].to_list() == ["below", "above"]
    assert table["n"].sum() == N
    assert table["n_window"].to_list() == [
        ((x < 0) & (x >= -0.5)).sum(),
        ((x >= 0) & (x <= 0.5)).sum(),
    ]
    assert (table["effective_n"] < table["n_window"]).all()
