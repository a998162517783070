"""Recorded results of dcor, jdcov (R), the paper's code and statsmodels."""

import json

import numpy as np
import polars as pl
import pytest

import evalstats as es
from evalstats.fairness.functions import correlation, numeric_geometry
from evalstats.fairness.geometry import (
    CellGeometry,
    LineGeometry,
    PermutedStatistic,
    Ranking,
)
from evalstats.fairness.kernels import signed_sums
from evalstats.fairness.pair_geometry import all_pairs
from evalstats.fairness.parity import chi_square_p_value
from evalstats.fairness.scores import ranked_probability_score
from tests.oracles.fairness import distances, jdcov2

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")


def load(reference, name):
    return json.loads((reference / "fairness" / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def cases(reference):
    found = {}
    for case in load(reference, "dcov_cases.json")["cases"]:
        y = np.array(case["y"], dtype=float)
        blocks = [np.array(b, dtype=float).reshape(len(y), -1) for b in case["z_blocks"]]
        found[case["id"]] = (y, blocks, case["expected"])
    return found


def geometries(blocks):
    """Every geometry that can hold the concatenated blocks."""
    points = np.hstack(blocks)
    _, first, cell = np.unique(points, axis=0, return_index=True, return_inverse=True)
    cell = cell.ravel().astype(np.int64)
    yield CellGeometry(cell, (distances(points[first]),), 0.0)
    yield all_pairs(points, np.array([0, points.shape[1]]), 0.0)
    if points.shape[1] == 1:
        yield LineGeometry(Ranking.of(points[:, 0]))


def joint_cells(blocks, c):
    points = np.hstack(blocks)
    _, first, cell = np.unique(points, axis=0, return_index=True, return_inverse=True)
    parts = tuple(distances(block[first]) for block in blocks)
    return CellGeometry(cell.ravel().astype(np.int64), parts, c if len(blocks) > 1 else 0.0)


def slack(y, blocks):
    return 1e-12 * distances(y).mean() * max(distances(np.hstack(blocks)).mean(), 1e-3) + 1e-15


def test_distance_covariance(cases):
    for name, (y, blocks, expected) in cases.items():
        ranking, ones = Ranking.of(y), np.ones(len(y))
        for geometry in geometries(blocks):
            for version in "VU":
                parts = geometry.parts(ranking, ones, version == "U")
                np.testing.assert_allclose(
                    parts.dependence,
                    expected[f"dcov2_{version}"],
                    rtol=1e-5 if name == "y_outlier" else 1e-9,
                    # Around 1e6 dcor itself carries 16 - 6 - 3 digits of a difference.
                    atol=1e-7 if name == "y_shift_1e6" else slack(y, blocks),
                    err_msg=f"{name} {version} {type(geometry).__name__}",
                )


def test_distance_correlation_and_p_value(cases):
    for name, (y, blocks, expected) in cases.items():
        if name == "y_shift_1e6":
            continue
        for version in "VU":
            value = es.distance_correlation_squared(
                y, np.hstack(blocks), estimator="unbiased" if version == "U" else "biased"
            )
            recorded = expected[f"dcor2_{version}"]
            rel = 1e-5 if name == "y_outlier" else 1e-9
            assert value == pytest.approx(0.0 if recorded is None else recorded, rel=rel, abs=1e-12)
        recorded = expected["paper_chi2_pvalue"]
        geometry = next(geometries(blocks))
        _, p_value = chi_square_p_value(geometry, Ranking.of(y), len(y))
        if recorded is None:
            assert p_value == 1.0
        else:
            rel = 1e-5 if name == "y_outlier" else 1e-9
            assert p_value == pytest.approx(recorded, rel=rel, abs=1e-9)


def test_shift_is_harmless(cases):
    """dcor loses 7 digits of a prediction around 1e6, where ours keeps what the input holds."""
    y, blocks, expected = cases["y_shift_1e6"]
    exact = y.astype(np.longdouble)
    a = np.abs(exact[:, None] - exact)
    a = a - a.mean(axis=0) - a.mean(axis=0)[:, None] + a.mean()
    variance = Ranking.of(y).variance(np.ones(len(y)), False)
    assert variance == pytest.approx(float((a * a).mean()), rel=1e-12)
    assert abs(expected["dvar2_V_y"] / variance - 1) > 1e-3
    assert blocks


@pytest.mark.parametrize("c", [0.5, 1, 2])
def test_joint(cases, reference, c):
    for case in load(reference, "jdcov_cases.json")["cases"]:
        y, blocks, _ = cases[case["id"]]
        expected = case["expected"]
        ranking, ones = Ranking.of(y), np.ones(len(y))
        pairs = all_pairs(
            np.hstack(blocks),
            np.cumsum([0, *(b.shape[1] for b in blocks)]),
            float(c) if len(blocks) > 1 else 0.0,
        )
        tolerance = {"rtol": 1e-9, "atol": 1e-11 * max(1.0, float(np.abs(y - y.mean()).max()))}
        for version, name in (("V", "biased"), ("U", "unbiased")):
            for geometry in (joint_cells(blocks, float(c)), pairs):
                parts = geometry.parts(ranking, ones, version == "U")
                np.testing.assert_allclose(
                    parts.dependence, expected[f"jdcov_ypart_{version}_c{c}"], **tolerance
                )
            value = es.joint_distance_covariance_squared(y, *blocks, c=c, estimator=name)
            np.testing.assert_allclose(value, expected[f"jdcov_{version}_c{c}"], **tolerance)
            ranked = es.joint_distance_covariance_squared(
                y, *blocks, c=c, estimator=name, standardise="rank"
            )
            recorded = expected[f"jdcov_Rank{version}_c{c}"]
            np.testing.assert_allclose(ranked, recorded, rtol=1e-9, atol=1e-11)
        recorded = expected[f"jdcov_US_c{c}"]
        if recorded is not None and case["id"] != "y_outlier":
            scaled = es.joint_distance_covariance_squared(y, *blocks, c=c, standardise="scale")
            np.testing.assert_allclose(scaled, recorded, rtol=1e-9, atol=1e-10)


def test_constant_is_c_to_the_d_where_the_paper_has_one(rng):
    """At c = 2 and three variables the published constant is off by 7 n / (n - 3)."""
    variables = [rng.normal(size=60) for _ in range(3)]
    value = es.joint_distance_covariance_squared(*variables, c=2.0)
    assert value == pytest.approx(jdcov2(variables, 2.0, unbiased=True), abs=1e-12)
    assert abs(value) < 0.5


def test_gradients(cases, reference):
    for case in load(reference, "gradient_cases.json")["cases"]:
        y, blocks, _ = cases[case["id"]]
        ranking, ones = Ranking.of(y), np.ones(len(y))
        for name, geometry in (
            ("grad_ccdcov_U", next(geometries(blocks))),
            ("grad_jdcov_U_c1", joint_cells(blocks, 1.0)),
        ):
            matrix, scale = geometry.centred_similarity(ones, True)
            cell = geometry.cell[ranking.order]
            found = 2 * scale * signed_sums(ranking.y, cell, ranking.order, ones, matrix)
            recorded = np.array(case[name])
            limit = 1e-12 * np.abs(recorded).max()
            np.testing.assert_allclose(found, recorded, rtol=1e-9, atol=limit)
            value = geometry.parts(ranking, ones, True).dependence
            assert found @ ranking.in_rows == pytest.approx(
                value, rel=1e-9, abs=1e-12 + abs(value) * 1e-9
            )


def test_counts_are_repeated_rows(cases, reference):
    for case in load(reference, "weight_cases.json")["cases"]:
        y, blocks, _ = cases[case["id"]]
        counts = np.array(case["counts"], dtype=float)
        for geometry in geometries(blocks):
            for version in "VU":
                parts = geometry.parts(Ranking.of(y), counts, version == "U")
                np.testing.assert_allclose(
                    parts.dependence, case[f"dcov2_{version}"], rtol=1e-9, atol=1e-12
                )
                found = correlation(
                    parts.dependence, parts.variance_prediction, parts.variance_attributes
                )
                np.testing.assert_allclose(found, case[f"dcor2_{version}"], rtol=1e-9, atol=1e-12)
        joint = joint_cells(blocks, 1.0).parts(Ranking.of(y), counts, True)
        np.testing.assert_allclose(
            joint.dependence + joint.among_attributes,
            case["paper_jdcov_U_c1"],
            rtol=1e-9,
            atol=1e-12,
        )


def test_influence_is_near_the_jackknife(cases, reference):
    for case in load(reference, "jackknife_se.json")["cases"]:
        y, blocks, _ = cases[case["id"]]
        prediction = {"a": y}
        attributes = {f"z{i}": block[:, 0] for i, block in enumerate(blocks) if block.shape[1] == 1}
        if len(attributes) < len(blocks):
            continue
        geometry = numeric_geometry(blocks, 0.0, joint=False)
        ranking, ones = Ranking.of(y), np.ones(len(y))
        slopes = np.asarray(geometry.influence(ranking, ones).dependence)
        error = slopes.std() / np.sqrt(len(y))
        assert error == pytest.approx(case["jackknife_se_dcov2_V"], rel=0.15)
        assert prediction


def test_permutations(cases, reference):
    for case in load(reference, "permutation_cases.json")["cases"]:
        y, blocks, _ = cases[case["id"]]
        ranking = Ranking.of(y)
        joint = joint_cells(blocks, 1.0)
        among = float(joint.parts(ranking, np.ones(len(y)), True).among_attributes)
        for name, geometry, constant in (
            ("ccdcov", next(geometries(blocks)), 0.0),
            ("jdcov", joint, among),
        ):
            fast = geometry.permutation_statistics(ranking, True)
            plain = PermutedStatistic(geometry, ranking, True)
            # Moving y by a permutation is moving the rows of z by its inverse.
            inverse = [np.argsort(np.array(p)) for p in case["permutations"]]
            values = np.array([fast(p) for p in inverse]) + constant
            key = f"{name}_U" if name == "ccdcov" else "jdcov_U_c1"
            np.testing.assert_allclose(values, case[f"{key}_perm"], rtol=1e-10, atol=1e-12)
            assert plain(inverse[0]) + constant == pytest.approx(values[0], abs=1e-12)
            observed = fast(np.arange(len(y))) + constant
            p_value = (1 + np.count_nonzero(values >= observed - 1e-12)) / (len(values) + 1)
            assert p_value == case[f"p_{name}"]
            assert np.quantile(values, 0.95) == pytest.approx(case[f"crit95_{name}"], abs=1e-10)


def test_group_metrics(reference):
    content = load(reference, "group_metric_cases.json")
    seen = 0
    for case in content["cases"]:
        expected = case["expected"]
        if None in case["output"]:
            with pytest.raises(es.InputError):
                es.unfairness(case["output"], case["group"])
            continue
        seen += 1
        for weights in ("proportion", "equal"):
            value = es.jensen_shannon_divergence(case["output"], case["group"], weights=weights)
            recorded = expected[f"jsd_{weights}"]
            assert value == pytest.approx(0.0 if recorded is None else recorded, abs=1e-9)
        value = es.unfairness(case["output"], case["group"])
        assert value == pytest.approx(
            np.nan if expected["uf"] is None else expected["uf"], rel=1e-10, nan_ok=True
        )
    assert seen > 8
    binary, counts = content["rps"]["binary"], content["rps"]["poisson"]
    score = ranked_probability_score(binary["label"], binary["prob"], family="binomial")
    assert score == pytest.approx(binary["rps"], abs=1e-12)
    for limit in (10, 30):
        score = ranked_probability_score(
            counts["count"], counts["mu"], family="poisson", max_count=limit
        )
        assert score == pytest.approx(counts[f"rps_max{limit}"], abs=1e-12)


def test_medium(reference):
    data = np.load(reference / "fairness" / "medium.npz")
    expected = load(reference, "medium_expected.json")
    recorded = expected["B_sex_onehotregion_over_sqrt2_age_zscore_ddof1"]
    attributes = {"sex": data["sex"], "region": data["region"], "age": data["age"]}
    audit = es.DistanceCovariance(nominal=["region"], continuous=["age"])
    value = audit.fit(data["pred"], attributes).estimate_.value
    np.testing.assert_allclose(value, [recorded["ccdcov_U"], recorded["dcor2_U"]], rtol=1e-8)
    biased = es.DistanceCovariance(
        nominal=["region"], continuous=["age"], estimator="biased", inference=es.NoInference()
    )
    found = biased.fit(data["pred"], attributes).estimate_.value[0]
    assert found == pytest.approx(recorded["ccdcov_V"], rel=1e-8)
    joint = es.DistanceCovariance(kind="joint", nominal=["region"], continuous=["age"])
    part, whole = joint.fit(data["pred"], attributes).estimate_.value
    assert whole == pytest.approx(recorded["jdcov_U_c1"], rel=1e-8)
    assert whole - part == pytest.approx(recorded["jdcov_protected_U_c1"], rel=1e-8)
    marginal = audit.marginals().estimate_.select(metric="dCov²").value
    np.testing.assert_allclose(marginal, recorded["marginal_dcov2_U"], rtol=1e-8)
    paper = es.DistanceCovariance(nominal=["region"], encoding="paper")
    value = paper.fit(data["pred"], {"sex": data["sex"], "region": data["region"]}).estimate_.value
    plain = expected["A_sex_onehotregion"]
    np.testing.assert_allclose(value, [plain["ccdcov_U"], plain["dcor2_U"]], rtol=1e-8)
    cells = data["sex"] * 10 + data["region"]
    jsd = es.jensen_shannon_divergence(data["pred"], cells)
    assert jsd == pytest.approx(expected["jsd_proportion_sex_x_region"], abs=1e-9)
    uf = es.unfairness(data["pred"], cells)
    assert uf == pytest.approx(expected["uf_sex_x_region"], rel=1e-10)


def test_large(reference):
    content = load(reference, "large_recipe.json")
    rng = np.random.default_rng(20250910)
    z = rng.integers(0, 2, 200000).astype(float)
    y = rng.normal(size=200000) + 0.02 * z
    a = np.round(rng.normal(size=200000), 3)
    if not np.isclose(y.sum(), content["check"]["sum_y"]):
        pytest.skip("another stream of random numbers")
    expected = content["expected"]
    tolerance = {"rel": 1e-6, "abs": 1e-13}
    assert es.distance_covariance_squared(y, z) == pytest.approx(
        expected["dcov2_U_y_z"], **tolerance
    )
    biased = es.distance_covariance_squared(y, z, estimator="biased")
    assert biased == pytest.approx(expected["dcov2_V_y_z"], **tolerance)
    assert es.distance_correlation_squared(y, z) == pytest.approx(
        expected["dcor2_U_y_z"], **tolerance
    )
    if np.isclose(a.sum(), content["check"]["sum_a"]):
        value = es.distance_covariance_squared(y, a)
        assert value == pytest.approx(expected["dcov2_U_y_a"], **tolerance)


def test_compas(reference):
    expected = load(reference, "compas_expected.json")
    frame = pl.read_parquet(reference / "fairness" / "compas.parquet").filter("in_propublica_6172")
    score = frame["decile_score"].to_numpy() / 10
    audit = es.DistanceCovariance(encoding="paper").fit(score, frame.select("sex", "race"))
    recorded = expected["decile_score_over_10__sex_race"]
    assert audit.estimate_.value[0] == pytest.approx(recorded["ccdcov_U"], rel=1e-8)
    marginal = audit.marginals().estimate_.select(metric="dCov²").value
    np.testing.assert_allclose(marginal, recorded["marginal_dcov2_U"], rtol=1e-8)
    table = audit.groups(frame["two_year_recid"]).filter(pl.col("attribute") == "sex & race")
    rows = {row["group"]: row for row in expected["group_table_sex_x_race"] if row["n"] >= 10}
    assert len(rows) >= 8
    for row in table.filter(pl.col("estimate").is_finite()).iter_rows(named=True):
        known = rows[row["level"].replace(" & ", " | ")]
        assert row["n"] == known["n"]
        assert row["estimate"] == pytest.approx(known["mean_decile"] / 10)
        assert row["outcome"] == pytest.approx(known["recid_rate"])
