"""Every input that cannot be used is refused by name; suspicious designs are warned about."""

import warnings

import numpy as np
import polars as pl
import pytest

import evalstats as es

N = 120
GRID = [0.25, 0.5, 0.75]


@pytest.fixture
def sample():
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, N)
    return x, [rng.normal(a, 1, 12) for a in x]


def refused(message, x, units, treatment=None, fit=None, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(es.InputError, match=message):
            es.DistributionRDD(**{"quantiles": GRID, **options}).fit(
                x, units, treatment=treatment, **(fit or {})
            )


OPTIONS = [
    ({"quantiles": [0.0, 0.5]}, r"quantiles has 0 at position 0"),
    ({"quantiles": [0.5, 1.0]}, r"quantiles has 1 at position 1"),
    ({"quantiles": [0.5, float("nan")]}, r"quantiles has nan at position 1"),
    ({"quantiles": [0.5, 0.2, 0.5]}, r"quantiles names 0\.5 twice"),
    ({"quantiles": []}, r"quantiles is empty"),
    ({"p": -1}, r"p=-1: it must be an integer >= 0"),
    ({"p": 1.7}, r"p=1\.7: expected an integer"),
    ({"p": True}, r"p=True: expected an integer"),
    ({"p": 9}, r"p=9: polynomials of order > 8"),
    ({"p": 10}, r"p=10: polynomials of order > 8"),
    ({"s": 0}, r"s=0: it must be an integer >= 1"),
    ({"p": 1, "s": 2}, r"p=1 is below s=2"),
    ({"bandwidth": 0.0}, r"bandwidth is 0\.0: it must be > 0"),
    ({"bandwidth": -0.3}, r"bandwidth is -0\.3"),
    ({"bandwidth": float("nan")}, r"bandwidth is nan"),
    ({"bandwidth": float("inf")}, r"bandwidth is inf"),
    ({"bandwidth": [0.5, 0.6]}, r"bandwidth has shape \(2,\)"),
    ({"bandwidth": "best"}, r"bandwidth='best' is unknown"),
    ({"bandwidth": {"num": 0.5}}, r"bandwidth has the keys \['num'\]"),
    ({"bandwidth": {"below": 0.5}}, r"bandwidth needs 'outcome'"),
    ({"bandwidth": {"treatment": 0.5}}, r"bandwidth names 'treatment' alone"),
    (
        {"bandwidth": {"outcome": 0.5, "treatment": 0.4}},
        r"but the design is sharp: pass treatment=",
    ),
    ({"bandwidth": [0.5, 0.6, 0.7]}, r"one value per quantile, but method='frechet'"),
    ({"bandwidth": object()}, r"expected one of .mse."),
    ({"method": "simple"}, r"method='simple' is unknown"),
    ({"kernel": "gaussian"}, r"kernel='gaussian' is unknown"),
    ({"compat": "R"}, r"compat='R' is unknown"),
    ({"rearrange": "r3d"}, r"rearrange='r3d' is unknown"),
    ({"outcome_form": "rows"}, r"outcome_form='rows' is unknown"),
    ({"donut": -0.1}, r"donut=-0\.1"),
    ({"cutoff": float("nan")}, r"cutoff=nan"),
    ({"cutoff": "0"}, r"cutoff='0'"),
    ({"cutoff": 5.0}, r"running has no unit above the cutoff 5: .*running spans -0\.9"),
    ({"cutoff": -5.0}, r"running has no unit below the cutoff -5"),
    ({"donut": 2.0}, r"no unit below the cutoff 0 \(\|running - cutoff\| >= 2\)"),
    ({"bandwidth": 0.001}, r"the window (below|above) the cutoff \(h = 0\.001, quantile 0\.25\)"),
    ({"level": 1.5}, r"level=1\.5"),
]


@pytest.mark.parametrize(("options", "message"), OPTIONS, ids=[m[:45] for _, m in OPTIONS])
def test_options(options, message, sample):
    refused(message, *sample, **options)


def replaced(values, place, value):
    changed = list(values)
    changed[place] = value
    return changed


def test_data(sample):
    x, units = sample
    refused(r"running has 1 missing value \(first in row 4\)", replaced(x, 4, np.nan), units)
    refused(r"running has 1 infinite values \(first in row 4\)", replaced(x, 4, np.inf), units)
    refused(r"outcome has no draw for unit 3", x, replaced(units, 3, []))
    hole = np.full(12, np.nan)
    refused(r"outcome has 12 missing values \(first in unit 3\)", x, replaced(units, 3, hole))
    refused(r"no draw for unit 3", x, replaced(units, 3, hole), nan_policy="omit")
    wild = replaced(units, 3, np.array([1.0, np.inf]))
    refused(r"outcome has infinite draws \(first is draw 37\)", x, wild)
    refused(r"outcome has shape \(2, 2\) for unit 3", x, replaced(units, 3, np.ones((2, 2))))
    refused(r"outcome has 119 rows but running has 120", x, units[1:])
    refused(r"outcome\['b'\] has 119 rows", x, {"a": units, "b": units[1:]})
    refused(r"outcome has one entry per unit already", x, units, fit={"unit": np.arange(N)})
    refused(r"outcome cannot be read for unit|has dtype", x, replaced(units, 3, ["a", "b"]))


def test_few_distinct_values(sample):
    x, units = sample
    coarse = np.where(x >= 0, 0.5, -0.5)
    refused(r"holds \d+ units with 1 distinct values of running", coarse, units)
    three = np.array([-0.3, -0.2, -0.1, 0.1, 0.2, 0.3])
    refused(r"holds 3 units with 3 distinct values .* needs 4 units", three, units[:6])


def test_near_singular_windows(sample):
    x, units = sample
    close = np.where(x >= 0, 0.5 + 1e-9 * np.arange(N), x)
    refused(r"has a singular fit \(condition number", close, units, bandwidth=0.9)


def test_units_of_a_long_frame(sample):
    x, units = sample
    frame = pl.DataFrame(
        {
            "unit": np.repeat(np.arange(N), 12),
            "x": np.repeat(x, 12),
            "y": np.concatenate(units),
            "t": np.repeat((x > 0).astype(float), 12),
            "c": np.repeat(np.arange(N) % 20, 12),
            "w": np.ones(12 * N),
        }
    )

    def with_change(column, value):
        row = 12 * 7 + 5
        changed = frame[column].to_numpy().copy()
        changed[row] = value
        return frame.with_columns(pl.Series(column, changed))

    def fails(message, data, **options):
        with pytest.raises(es.InputError, match=message):
            es.DistributionRDD(quantiles=GRID).fit("x", "y", "unit", data=data, **options)

    fails(r"running varies within the unit 7 \(first in row 89\)", with_change("x", 0.123))
    fails(r"treatment varies within the unit 7", with_change("t", 0.5), treatment="t")
    fails(r"sample_weight varies within the unit 7", with_change("w", 2.0), sample_weight="w")
    fails(r"cluster varies within the unit 7", with_change("c", 19), cluster="c")
    fails(r"by varies within the unit 7", with_change("c", 19), by="c")
    fails(r"covariates\['w'\] varies within the unit 7", with_change("w", 2.0), covariates=["w"])
    fails(r"outcome has 1 missing value \(first in row 89\)", with_change("y", np.nan))
    fails(r"outcome has 1 infinite values \(first in row 89\)", with_change("y", np.inf))
    fails(r"draw_weight is -1 for draw 89", with_change("w", -1.0), draw_weight="w")
    zero = frame.with_columns(w=pl.when(pl.col("unit") == 7).then(0.0).otherwise(1.0))
    fails(r"no draw of positive weight for unit 7", zero, draw_weight="w")
    fails(
        r"unit has 1 missing value",
        frame.with_columns(unit=pl.when(pl.int_range(pl.len()) != 3).then("unit")),
    )


def test_draw_weights(sample):
    x, units = sample
    ones = [np.ones(12)] * N
    refused(
        r"draw_weight has another number of draws than outcome for unit 3",
        x,
        units,
        fit={"draw_weight": replaced(ones, 3, np.ones(11))},
    )
    refused(
        r"draw_weight is -1 for draw 36",
        x,
        units,
        fit={"draw_weight": replaced(ones, 3, -np.ones(12))},
    )
    refused(
        r"no draw of positive weight for unit 3",
        x,
        units,
        fit={"draw_weight": replaced(ones, 3, np.zeros(12))},
    )
    refused(
        r"draw_weight has 119 rows but running has 120", x, units, fit={"draw_weight": ones[1:]}
    )
    for weight, message in ((-1.0, r"sample_weight is -1\.0 in row 4"), (np.nan, r"sample_weight")):
        bad = replaced(np.ones(N), 4, weight)
        refused(message, x, units, fit={"sample_weight": bad})
    refused(r"sample_weight has 119 rows", x, units, fit={"sample_weight": np.ones(N - 1)})
    refused(r"draw_weight needs unit=", x, units, fit={"draw_weight": np.ones(N)})


def test_quantile_matrices(sample):
    x, _ = sample
    rows = np.sort(np.random.default_rng(0).normal(size=(N, 3)), axis=1)
    form = {"outcome_form": "quantiles"}
    falling = rows.copy()
    falling[5] = [1.0, 3.0, 2.0]
    refused(r"decreases with the quantile in row 5", x, falling, **form)
    refused(r"outcome has 2 columns but quantiles has 3 levels", x, rows[:, :2], **form)
    hole = rows.copy()
    hole[6, 1] = np.nan
    refused(r"outcome has 1 missing values \(first in row 6\)", x, hole, **form)
    refused(r"has 2 quantiles in row 4, not 3", x, replaced(rows, 4, np.ones(2)), **form)
    with pytest.raises(es.InputError, match="one row per unit: leave unit= out"):
        es.DistributionRDD(quantiles=GRID, **form).fit(x, x, unit=np.arange(N))


def test_fuzzy(sample):
    x, units = sample
    refused(r"treatment has 1 missing value", x, units, treatment=replaced(np.ones(N), 2, np.nan))
    wild = replaced(np.ones(N), 2, np.inf)
    refused(r"treatment has 1 infinite values \(first in row 2\)", x, units, treatment=wild)
    refused(r"treatment has 119 rows but running has 120", x, units, treatment=np.ones(N - 1))
    refused(r"the treatment has the same limit .* on both sides", x, units, treatment=np.ones(N))
    far = (np.abs(x) > 0.5).astype(float)
    refused(r"the treatment has the same limit", x, units, treatment=far, bandwidth=0.4)
    fitted = es.DistributionRDD(quantiles=GRID).fit(x, units)
    for method in (fitted.first_stage, fitted.anderson_rubin):
        with pytest.raises(es.InputError, match="the design is sharp"):
            method()
    refused(
        r"the treatment of a fuzzy design needs one",
        x,
        units,
        treatment=(x > 0.1).astype(float),
        method="local_polynomial",
        bandwidth=[0.5, 0.6, 0.7],
    )


def test_covariates(sample):
    x, units = sample
    refused(r"covariates are collinear", x, units, fit={"covariates": {"one": np.ones(N)}})
    twice = {"a": x**3, "b": 2 * x**3}
    refused(r"covariates are collinear", x, units, fit={"covariates": twice})


def test_after_the_fit(sample):
    x, units = sample
    fitted = es.DistributionRDD(quantiles=GRID).fit(x, units)
    drawn = fitted.multiplier_bootstrap(99)
    calls = {
        r"n_resamples=10 is too few for level=0\.95: use at least 19": lambda: (
            fitted.multiplier_bootstrap(10).band()
        ),
        r"n_resamples=0: give a positive integer": lambda: fitted.multiplier_bootstrap(0),
        r"level=1\.2": lambda: drawn.band(1.2),
        r"ranges has \[0\.1, 0\.5\], which leaves the grid": lambda: drawn.tests([[0.1, 0.5]]),
        r"with fewer than 2 quantiles": lambda: drawn.tests([[0.3, 0.6]]),
        r"at least two points in each range": lambda: drawn.tests([[0.3]]),
        r"multipliers has shape \(3, 2\)": lambda: fitted.multiplier_bootstrap(
            multipliers=np.ones((3, 2))
        ),
        r"multipliers holds NaN": lambda: fitted.multiplier_bootstrap(
            multipliers=np.full((N, 2), np.nan)
        ),
        r"kind='wide' is unknown": lambda: fitted.uniform_band(kind="wide"),
        r"names has 'median'": lambda: fitted.functionals(["median"]),
        r"names has 'ratio_x'": lambda: fitted.functionals(["ratio_x"]),
        r"outside of the grid": lambda: fitted.functionals(["ratio_90_10"]),
        r"names is empty": lambda: fitted.functionals([]),
        r"n_bins=0": lambda: fitted.binned_quantiles(0),
        r"bandwidths has a value": lambda: fitted.bandwidth_path([0.5, -1.0]),
        r"cutoffs has the true cutoff 0": lambda: fitted.placebo_cutoffs([0.0]),
        r"no covariance": lambda: (
            es.DistributionRDD(quantiles=GRID, inference=es.NoInference())
            .fit(x, units)
            .multiplier_bootstrap()
        ),
        r"there are several curves": lambda: (
            es.DistributionRDD(quantiles=GRID)
            .fit(x, {"a": units, "b": units[::-1]})
            .multiplier_bootstrap()
        ),
        r"describes one sample": lambda: (
            es.DistributionRDD(quantiles=GRID).fit(x, units, by=np.arange(N) % 2).binned_quantiles()
        ),
        r"compat='r3d' knows no weights": lambda: es.DistributionRDD(
            quantiles=GRID, compat="r3d"
        ).fit(x, units, sample_weight=np.ones(N)),
    }
    for message, call in calls.items():
        with pytest.raises(es.InputError, match=message):
            call()


def test_warnings(sample):
    x, units = sample
    rng = np.random.default_rng(2)
    coin = (rng.random(N) < np.where(x >= 0, 0.9, 0.1)).astype(float)
    several = (
        ("mass-points", {}, (np.round(x, 1), units), {}),
        ("not-bias-corrected", {"p": 1}, (x, units), {}),
        ("few-draws", {"quantiles": [0.01, 0.5]}, (x, units), {}),
        ("constant-outcome", {}, (x, [np.ones(12)] * N), {}),
        (
            "quantile-crossing",
            {"bandwidth": 0.2},
            (x, [3 * abs(a) * rng.normal(size=5) for a in x]),
            {},
        ),
        ("treatment-not-binary", {}, (x, units), {"treatment": 2 * coin}),
        ("weak-first-stage", {}, (x, units), {"treatment": rng.integers(0, 2, N)}),
        ("rows-dropped", {"nan_policy": "omit"}, (x, replaced(units, 3, [1.0, np.nan])), {}),
    )
    for code, options, data, roles in several:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            es.DistributionRDD(**{"quantiles": GRID, **options}).fit(*data, **roles)
        assert code in {item.message.code for item in caught}, code


@pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
def test_a_constant_outcome_has_no_effect_and_no_error(sample):
    x, _ = sample
    estimate = es.DistributionRDD(quantiles=GRID).fit(x, [np.full(5, 3.0)] * N).estimate_
    np.testing.assert_allclose(estimate.value, 0.0, atol=1e-12)
    np.testing.assert_allclose(estimate.standard_error, 0.0, atol=1e-12)


@pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
def test_one_quantile_and_one_draw_per_unit_are_accepted(sample):
    x, units = sample
    single = es.DistributionRDD(quantiles=[0.5], bandwidth=0.6).fit(x, units).estimate_
    medians = np.array([np.median(unit) for unit in units])
    scalar = es.DistributionRDD(bandwidth=0.6).fit(x, medians).estimate_
    np.testing.assert_allclose(single.value, scalar.value, rtol=1e-12)
    np.testing.assert_allclose(single.standard_error, scalar.standard_error, rtol=1e-12)
    assert scalar.terms["quantile"].to_list() == [0.5]


@pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
def test_a_single_unit_that_determines_a_limit(sample):
    x, units = sample
    alone = np.where(x >= 0, 0.5 + 0.4 * x, x)
    alone[0] = 0.001
    with pytest.warns(es.EvalstatsWarning, match=r"\[high-leverage\]"):
        es.DistributionRDD(quantiles=GRID, bandwidth=0.9).fit(alone, units)
