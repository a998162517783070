"""The plain function: equal to the estimator, to the record of rdrobust and to closed forms."""

import json

import numpy as np
import polars as pl
import pytest

import evalstats as es

NAMES = {"tri": "triangular", "epa": "epanechnikov", "uni": "uniform"}
pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")


def test_equals_rdrobust_on_senate_elections(reference):
    frame = pl.read_parquet(reference / "rdd" / "real_senate.parquet").drop_nulls()
    recorded = json.loads((reference / "rdd" / "real.json").read_text())["rdrobust_2.1.1_senate"]
    for key, wanted in recorded.items():
        if key == "default":
            continue
        h, kernel, p = key.split("|")
        options = {"bandwidth": float(h), "kernel": NAMES[kernel]}
        x, y = frame["margin"], frame["vote"]
        value, _ = es.regression_discontinuity(x, y, p=int(p), **options)
        assert value == pytest.approx(wanted["conv"], rel=1e-10)
        corrected, _ = es.regression_discontinuity(x, y, p=int(p) + 1, **options)
        assert corrected == pytest.approx(wanted["bc"], rel=1e-9)


@pytest.mark.parametrize("kernel", NAMES.values())
@pytest.mark.parametrize("p", [1, 2, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ties", [False, True])
def test_equals_the_estimator(rng, kernel, p, weighted, ties):
    x = rng.uniform(-1, 2, 400)
    x = np.round(x, 1) if ties else x
    y = np.sin(x) + (x >= 0.5) + rng.normal(size=400)
    weight = rng.uniform(0, 2, 400) if weighted else None
    options = {"bandwidth": 0.8, "cutoff": 0.5, "kernel": kernel, "p": p}
    value, error = es.regression_discontinuity(x, y, sample_weight=weight, **options)
    estimate = es.DistributionRDD(**options).fit(x, y, sample_weight=weight).estimate_
    assert value == pytest.approx(estimate.value[0], rel=1e-9)
    assert error == pytest.approx(estimate.standard_error[0], rel=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_order_zero_is_a_difference_of_weighted_means(rng, weighted):
    x, y = rng.uniform(-1, 1, 100), rng.normal(size=100)
    weight = rng.uniform(0, 2, 100) if weighted else np.ones(100)
    share = np.clip(1 - np.abs(x) / 0.7, 0, None) * weight
    means = [np.average(y[side], weights=share[side]) for side in (x < 0, x >= 0)]
    value, _ = es.regression_discontinuity(x, y, bandwidth=0.7, p=0, sample_weight=weight)
    assert value == pytest.approx(means[1] - means[0], rel=1e-10)


def test_integer_weights_are_repeated_rows(rng):
    x, y = rng.uniform(-1, 1, 200), rng.normal(size=200)
    weight = rng.integers(0, 4, 200)
    rows = np.repeat(np.arange(200), weight)
    value, _ = es.regression_discontinuity(x, y, bandwidth=0.6, sample_weight=weight)
    repeated, _ = es.regression_discontinuity(x[rows], y[rows], bandwidth=0.6)
    assert value == pytest.approx(repeated, rel=1e-10)


def test_order_of_rows_and_kind_of_array(rng):
    x, y = rng.uniform(-1, 1, 300), rng.normal(size=300)
    expected = es.regression_discontinuity(x, y, bandwidth=0.5)
    order = rng.permutation(300)
    assert es.regression_discontinuity(x[order], y[order], bandwidth=0.5) == pytest.approx(
        expected, rel=1e-10
    )
    x.flags.writeable = False
    for convert in (pl.Series, np.ndarray.tolist, lambda a: np.repeat(a, 2)[::2]):
        found = es.regression_discontinuity(convert(x), convert(y), bandwidth=0.5)
        assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bandwidth": 0.0}, "bandwidth=0.0"),
        ({"bandwidth": np.nan}, "bandwidth=nan"),
        ({"bandwidth": 1e-9}, r"below the cutoff .* holds 0 rows"),
        ({"cutoff": 2.5}, r"above the cutoff .* holds 0 rows"),
        ({"p": 9}, "p=9"),
        ({"kernel": "gaussian"}, "kernel='gaussian'"),
        ({"outcome": np.ones(3)}, "outcome has 3 rows but running has 50"),
        ({"outcome": np.full(50, np.nan)}, "outcome is NaN in row 0"),
        ({"outcome": np.full(50, np.inf)}, "outcome has 50 infinite"),
        ({"running": np.ones((5, 10))}, "running must be one-dimensional"),
        ({"running": np.repeat([-0.5, 0.5], 25)}, "too alike"),
        ({"sample_weight": np.full(50, -1.0)}, "sample_weight is -1 in row 0"),
    ],
)
def test_refusals(change, message):
    x = np.linspace(-1, 1, 50)
    given = {"running": x, "outcome": x**2, "bandwidth": 2.0, **change}
    with pytest.raises(es.InputError, match=message):
        es.regression_discontinuity(**given)
