"""``compat="r3d"`` against the recorded results of R3D 0.1.0 (R and Fortran)."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import evalstats as es
from evalstats.discontinuity.monotone import monotone_curve
from evalstats.discontinuity.outcomes import Draws, quantile_rows
from evalstats.discontinuity.r3d import (
    gini,
    reference_residuals,
    reference_weights,
    treatment_influence,
)
from evalstats.discontinuity.reference_bandwidth import (
    ReferenceRule,
    global_pilot,
    reference_bandwidths,
    riemann_constants,
)

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "reference" / "rdd"
CASES = json.loads((FOLDER / "cases.json").read_text())["cases"] if FOLDER.is_dir() else []
BY_NAME = {case["case"]: case for case in CASES}
# An unsorted grid changes what the reference's gridded rearrangement does; ours sorts the grid.
SORTED_ELSEWHERE = {"noisy_unsorted_simple", "noisy_unsorted_frechet"}
RTOL = 1e-8


def named(outcome):
    return [name for name, case in BY_NAME.items() if case["our_outcome"] == outcome]


@pytest.fixture(scope="module")
def expected():
    with np.load(FOLDER / "expected.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def multipliers():
    with np.load(FOLDER / "xi_milli.npz") as stored:
        return {name: stored[name] / 1000.0 for name in stored.files}


def data(name):
    draws = pl.read_parquet(FOLDER / f"data_{name}.parquet").filter(pl.col("y").is_not_nan())
    return draws.join(pl.read_parquet(FOLDER / f"units_{name}.parquet"), on="unit")


def estimator(case):
    arguments = case["args"]
    given = arguments.get("bandwidths", "cer" if case["coverage"] else "mse")
    if isinstance(given, dict):
        given = {"outcome": given["num"], "treatment": given["den"]}
    return es.DistributionRDD(
        cutoff=arguments.get("cutoff", 0.0),
        method={"simple": "local_polynomial"}.get(arguments["method"], arguments["method"]),
        quantiles=np.atleast_1d(np.array(arguments["q_grid"], float)),
        p=arguments["p"],
        s=case["s"],
        kernel=arguments["kernel_fun"],
        bandwidth=given,
        compat="r3d",
    )


def fitted(case, expected=None):
    frame = data(case["data"])
    rdd = estimator(case)
    if case.get("test_ranges"):
        # R's grid has 0.0999... for 0.1, which an inclusive range from 0.1 then leaves out.
        rdd.set_params(quantiles=expected[f"{case['case']}/q_grid"])
    options = {"draw_weight": case["weights"]} if case.get("weights") else {}
    if case["args"].get("fuzzy"):
        options["treatment"] = "t"
    return rdd.fit("x", "y", "unit", data=frame, **options)


def close(actual, wanted, label=""):
    np.testing.assert_allclose(actual, wanted, rtol=RTOL, atol=1e-9, err_msg=label)


@pytest.mark.parametrize("name", [n for n in named("value") if n not in SORTED_ELSEWHERE])
def test_value_cases(name, expected, multipliers):
    case = BY_NAME[name]
    if case.get("weights") == "w":
        pytest.skip("integer draw weights: see test_integer_draw_weights")
    rdd = fitted(case, expected)
    if case.get("reference_outcome") == "error":
        assert np.isfinite(rdd.estimate_.value).all()
        return
    design = rdd._prepare(rdd._columns_seen)
    check_curves(name, rdd, design, expected)
    if f"{name}/boot_supvals" in expected:
        check_bootstrap(case, rdd, expected, multipliers[case["data"]])
    if f"{name}/w_plus" in expected:
        check_influence(case, design, expected)


def check_curves(name, rdd, design, expected):
    fit = design.outcomes["y"]
    below, above = fit.coefficients(design.weights)
    close(fit.h[0], np.broadcast_to(expected[f"{name}/h_num"], len(fit.h[0])), "h_num")
    close(below, expected[f"{name}/alpha_minus"], "alpha_minus")
    close(above, expected[f"{name}/alpha_plus"], "alpha_plus")
    limits = rdd.limits()
    close(limits.select(side="below").value, expected[f"{name}/int_minus"], "int_minus")
    close(limits.select(side="above").value, expected[f"{name}/int_plus"], "int_plus")
    close(rdd.estimate_.value, expected[f"{name}/tau"], "tau")
    if design.treatment is not None:
        close(design.treatment.h[0], expected[f"{name}/h_den"], "h_den")
        low, high = design.treatment.coefficients(design.weights)
        close(low.ravel(), expected[f"{name}/alphaT_minus"].ravel(), "alphaT_minus")
        close(high.ravel(), expected[f"{name}/alphaT_plus"].ravel(), "alphaT_plus")
        close(rdd.first_stage()["estimate"][0], expected[f"{name}/denom"], "denom")


def check_bootstrap(case, rdd, expected, xi):
    name = case["case"]
    drawn = rdd.multiplier_bootstrap(multipliers=xi)
    close(np.abs(drawn.draws).max(axis=1), expected[f"{name}/boot_supvals"], "supvals")
    taus = expected[f"{name}/boot_taus_first5"]
    close(drawn.draws[:5].T.reshape(taus.shape), taus, "taus")
    close(drawn.critical_value(1 - case["alpha"]), expected[f"{name}/boot_crit"], "crit")
    ranges = case.get("test_ranges")
    table = drawn.tests(ranges, 1 - case["alpha"])
    for row, wanted in zip(table.iter_rows(named=True), case["tests"], strict=True):
        assert row["test"] == wanted["test"]
        for ours, theirs in (("statistic", "stat"), ("critical_value", "crit"), ("p_value", "p")):
            if wanted[theirs] in (None, "NA", "NaN"):
                assert not np.isfinite(row[ours])
            else:
                close(row[ours], wanted[theirs], f"{row['test']} {ours}")


def check_influence(case, design, expected):
    name, fit = case["case"], design.outcomes["y"]
    used = reference_weights(fit, design.weights, design.n)
    close(used[0], expected[f"{name}/w_minus"], "w_minus")
    close(used[1], expected[f"{name}/w_plus"], "w_plus")
    isotonic = case["args"]["method"] == "frechet"
    close(reference_residuals(fit, design.weights, used, isotonic), expected[f"{name}/e1"], "e1")
    if f"{name}/e2" in expected:
        first = (expected[f"{name}/w_plus"] - expected[f"{name}/w_minus"])[:, 0]
        influence = treatment_influence(fit, design.treatment, design.weights, design.n)
        close(influence, first * expected[f"{name}/e2"], "e2")


@pytest.mark.parametrize("name", named("refuse"))
def test_refused_cases(name):
    with pytest.raises(es.InputError, match=r"the window (below|above) the cutoff"):
        fitted(BY_NAME[name])


def test_unsorted_grids_are_sorted_and_returned_in_order(expected):
    for method in ("simple", "frechet"):
        case = BY_NAME[f"noisy_unsorted_{method}"]
        rdd = fitted(case)
        ascending = {**case, "args": {**case["args"], "q_grid": sorted(case["args"]["q_grid"])}}
        by_level = dict(
            zip(
                fitted(ascending).estimate_.terms["quantile"],
                fitted(ascending).estimate_.value,
                strict=True,
            )
        )
        wanted = [by_level[q] for q in rdd.estimate_.terms["quantile"]]
        np.testing.assert_array_equal(rdd.estimate_.value, wanted)
    name = "noisy_unsorted_simple"
    design = fitted(BY_NAME[name])._prepare(fitted(BY_NAME[name])._columns_seen)
    below, _ = design.outcomes["y"].coefficients(design.weights)
    close(below[:, design.grid.position], expected[f"{name}/alpha_minus"])


@pytest.mark.parametrize("name", [n for n in named("value") if BY_NAME[n].get("weights") == "w"])
def test_integer_draw_weights(name, expected):
    """The fit from the recorded quantiles; 18 of 1800 differ by R's 80-bit sums."""
    case = BY_NAME[name]
    with np.load(FOLDER / "qmat.npz") as stored:
        recorded = stored["weights_w"]
    rdd = fitted(case)
    rows = rdd._columns_seen.models["outcome"]["y"]
    different = ~np.isclose(rows, recorded, rtol=1e-10, atol=1e-12)
    assert different.sum() <= 18
    x = pl.read_parquet(FOLDER / "units_weights.parquet")["x"].to_numpy()
    exact = estimator(case).set_params(outcome_form="quantiles").fit(x, recorded)
    close(exact.estimate_.value, expected[f"{name}/tau"])


@pytest.mark.parametrize("name", ["sharp", "fuzzy", "noisy", "ties", "weights"])
def test_quantile_matrix_equals_the_draws(name):
    with np.load(FOLDER / "qmat.npz") as stored:
        recorded = stored[name] if name in stored.files else None
    if recorded is None:
        pytest.skip("no matrix of this data set")
    frame = data(name)
    rdd = es.DistributionRDD(quantiles=np.arange(1, 10) / 10, bandwidth=30.0)
    cutoff = float(frame["x"].median())
    rdd.set_params(cutoff=cutoff).fit("x", "y", "unit", data=frame)
    np.testing.assert_allclose(rdd._columns_seen.models["outcome"]["y"], recorded, rtol=1e-12)
    x = pl.read_parquet(FOLDER / f"units_{name}.parquet")["x"].to_numpy()
    again = rdd.set_params(outcome_form="quantiles").fit(x, recorded).estimate_
    np.testing.assert_allclose(again.value, rdd.estimate_.value, rtol=1e-12)


@pytest.fixture(scope="module")
def components():
    return json.loads((FOLDER / "components.json").read_text())


def test_components(components):
    for item in components["quantile_type7"]:
        assert_quantiles(item, None)
    for item in components["quantile_weighted"]:
        assert_quantiles(item, np.array(item["w"], float))
    for item in components["monotone"]:
        q, y = np.array(item["q"]), np.array(item["y"])
        close(monotone_curve(y, q, "r3d"), item["rearranged"])
        close(monotone_curve(y, q, "isotonic"), item["isotonic"])
        close(monotone_curve(y, q, "sort"), item["sorted"])
    for item in components["gini"]:
        value = gini(np.array(item["q"], float), np.array(item["f"], float))
        wanted = item["gini"] if "gini" in item else item["out"]
        # The mean of a symmetric curve is 0; where R's sum rounds to above 0, it returns 1.
        undefined = wanted is None or (wanted == 1 and abs(np.mean(item["f"])) < 1e-14)
        assert np.isnan(value) if undefined else abs(value - wanted) < 1e-12


def assert_quantiles(item, weights):
    y = np.atleast_1d(np.array(item["y"], float))
    draws = Draws.of_units("y", [y])
    grid = np.sort(np.atleast_1d(np.array(item["q"], float)))
    rows, _ = quantile_rows("y", draws, grid, weights, drop_missing=True)
    np.testing.assert_allclose(rows[0], np.atleast_1d(item["out"]), rtol=1e-10, atol=1e-12)


def test_constants_and_pilot(components):
    for item in components["kernel_constants"]:
        for above, name in ((True, "plus"), (False, "minus")):
            gamma, lambda_, psi = riemann_constants(item["kernel"], item["s"], above)
            close(gamma, item[f"Gamma_{name}"])
            close(lambda_, item[f"Lambda_{name}"])
            close(psi, item[f"Psi_{name}"])
    for item in components["global_poly"]:
        derivative, variance = global_pilot(
            np.array(item["x"]), np.array([item["y"]]), item["order"]
        )
        close(derivative[0], item["derivs"][item["order"] - 1])
        close(variance[0], item["resid_var"])


def test_selector_internals(expected):
    for name, case in BY_NAME.items():
        if f"{name}/bw_f_X_hat" not in expected or case["our_outcome"] != "value":
            continue
        rdd = fitted(case, expected)
        columns, sides = rdd._columns_seen, rdd._prepare(rdd._columns_seen).sides
        grid = columns.extra["grid"].levels
        seen = columns.models.get("unweighted", columns.models["outcome"])["y"]
        blocks = tuple(side.columns(seen) for side in sides)
        integrated = case["args"]["method"] == "frechet"
        step = (grid[-1] - grid[0]) / (len(grid) - 1) if integrated else None
        rule = ReferenceRule(case["args"]["kernel_fun"], case["s"], step, case["coverage"])
        found = reference_bandwidths(rule, sides, blocks)
        close(found.density, expected[f"{name}/bw_f_X_hat"])
        for ours, theirs in (
            (found.pilot, "bw_pilot_h_num"),
            (found.bias[0], "bw_B_minus"),
            (found.bias[1], "bw_B_plus"),
            (found.variance[0], "bw_V_minus"),
            (found.variance[1], "bw_V_plus"),
        ):
            wanted = expected[f"{name}/{theirs}"]
            close(ours if wanted.size == ours.size else ours[: wanted.size], wanted.ravel(), theirs)


def test_random_bootstrap_scatters_like_the_reference():
    for item in json.loads((FOLDER / "bootstrap_spread.json").read_text()):
        rdd = es.DistributionRDD(
            method={"simple": "local_polynomial"}.get(item["method"], item["method"]),
            quantiles=item["q_grid"],
            p=item["p"],
            kernel=item["kernel"],
            bandwidth=item["bandwidths"]
            if not isinstance(item["bandwidths"], dict)
            else {"outcome": item["bandwidths"]["num"], "treatment": item["bandwidths"]["den"]},
            cutoff=item["cutoff"],
            compat="r3d",
        )
        frame = data(item["data"])
        treatment = "t" if "t" in frame.columns else None
        rdd.fit("x", "y", "unit", treatment, data=frame)
        close(rdd.estimate_.value, item["tau"])
        critical = np.array(item["crit"])
        xi = np.random.default_rng(7).standard_normal((rdd._columns_seen.n, item["B"]))
        ours = rdd.multiplier_bootstrap(multipliers=xi).critical_value(0.95)
        assert abs(ours - critical.mean()) < 4 * critical.std(ddof=1)
