"""Distance covariances: agreement of the algorithms, properties, influence, refusals."""

import joblib
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import evalstats as es
from evalstats.fairness.approximation import (
    block_distance_covariance,
    projected_distance_covariance,
)
from evalstats.fairness.divergence import binned_divergence, explained_variance
from evalstats.fairness.encoding import MAX_PAIR_ROWS
from evalstats.fairness.functions import numeric_geometry
from evalstats.fairness.geometry import CellGeometry, LineGeometry, Parts, Ranking
from evalstats.fairness.kernels import signed_sums
from evalstats.fairness.pair_geometry import all_pairs
from evalstats.fairness.point_geometry import TILE, PointGeometry
from tests.battery_support import assert_same_numbers
from tests.oracles.fairness import dcov2, distances, jdcov2_prediction

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
XOR = np.array([0, 1, 1, 0])
SEX, REGION = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])


def three_ways(blocks, c, joint):
    points = np.hstack(blocks)
    _, first, cell = np.unique(points, axis=0, return_index=True, return_inverse=True)
    parts = [block[first] for block in blocks] if joint else [points[first]]
    widths = [block.shape[1] for block in blocks] if joint else [points.shape[1]]
    offsets = np.cumsum([0, *widths])
    constant = c if joint and len(blocks) > 1 else 0.0
    cell = cell.ravel().astype(np.int64)
    found = [
        CellGeometry(cell, tuple(distances(part) for part in parts), constant),
        all_pairs(points, offsets, constant),
    ]
    if points.shape[1] == 1:
        found.append(LineGeometry(Ranking.of(points[:, 0])))
    return found


@given(st.integers(0, 10_000), st.integers(1, 3), st.booleans(), st.booleans())
def test_algorithms_agree_with_the_definition(seed, n_blocks, joint, unbiased):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(5, 35))
    y = np.round(rng.normal(size=n), int(rng.integers(0, 3)))
    blocks = [
        np.round(rng.normal(size=(n, int(rng.integers(1, 3)))), int(rng.integers(0, 2)))
        for _ in range(n_blocks)
    ]
    c = float(rng.choice([0.5, 1.0, 3.0]))
    if joint and n_blocks > 1:
        expected = jdcov2_prediction(y, blocks, c, unbiased)
    else:
        expected = dcov2(y, np.hstack(blocks), unbiased)
    for geometry in three_ways(blocks, c, joint):
        parts = geometry.parts(Ranking.of(y), np.ones(n), unbiased)
        np.testing.assert_allclose(parts.dependence, expected, rtol=1e-10, atol=1e-11)


@given(st.integers(0, 10_000), st.booleans())
def test_influence_is_the_derivative(seed, joint):
    rng = np.random.default_rng(seed)
    n = 24
    blocks = [rng.integers(0, 3, (n, 1)).astype(float) for _ in range(2 if joint else 1)]
    ranking = Ranking.of(np.round(rng.normal(size=n), 1))
    weights = rng.uniform(0.5, 2.0, n)
    step = 1e-5
    for geometry in three_ways(blocks, 1.3, joint):
        slopes = geometry.influence(ranking, weights)
        for row in (0, 7):
            move = step * (np.arange(n) == row)
            up = geometry.parts(ranking, weights + move, False)
            down = geometry.parts(ranking, weights - move, False)
            for name, high, low in zip(Parts._fields, up, down, strict=True):
                slope = np.asarray(getattr(slopes, name))
                if slope.ndim and np.isfinite(high):
                    numeric = (high - low) / (2 * step)
                    assert slope[row] / weights.sum() == pytest.approx(numeric, abs=1e-8)


def test_gradient_equals_finite_differences(rng):
    y = rng.normal(size=40)
    geometry = three_ways([rng.integers(0, 3, (40, 1)).astype(float)], 0.0, False)[0]
    ranking, ones = Ranking.of(y), np.ones(40)
    matrix, scale = geometry.centred_similarity(ones, False)
    cell = geometry.cell[ranking.order]
    slope = 2 * scale * signed_sums(ranking.y, cell, ranking.order, ones, matrix)
    for row in range(0, 40, 7):
        move = 1e-7 * (np.arange(40) == row)
        up = geometry.parts(Ranking.of(y + move), ones, False).dependence
        down = geometry.parts(Ranking.of(y - move), ones, False).dependence
        assert slope[row] == pytest.approx((up - down) / 2e-7, abs=1e-7)


def test_gerrymandering():
    """Each attribute alone is independent of the prediction, their combination decides it."""
    assert es.distance_covariance_squared(XOR, SEX, estimator="biased") == pytest.approx(
        0, abs=1e-15
    )
    both = es.concatenated_distance_covariance_squared(XOR, SEX, REGION, estimator="biased")
    assert both == pytest.approx((2 - np.sqrt(2)) / 8, abs=1e-14)
    joint = es.joint_distance_covariance_squared(XOR, SEX, REGION, estimator="biased")
    assert joint == pytest.approx(1 / 8, abs=1e-14)
    rows = np.tile(np.arange(4), 50)
    audit = es.DistanceCovariance(estimator="biased").fit(
        XOR[rows], {"sex": SEX[rows], "region": REGION[rows]}
    )
    table = audit.interactions()
    assert table["attributes"].to_list() == ["sex", "region", "sex & region"]
    np.testing.assert_allclose(table["estimate"], [0, 0, 1 / 8], atol=1e-14)
    assert audit.marginals().test()["p_value"].min() > 0.5
    assert audit.test("permutation", n_resamples=99)["p_value"][0] == 0.01


@pytest.mark.parametrize("unbiased", [False, True])
def test_interactions_add_up_to_the_part_of_the_prediction(rng, unbiased):
    attributes = {"a": rng.integers(0, 2, 90), "b": rng.choice(list("xyz"), 90)}
    y = rng.normal(size=90) + attributes["a"]
    version = "unbiased" if unbiased else "biased"
    audit = es.DistanceCovariance(kind="joint", c=2.0, estimator=version).fit(y, attributes)
    table = audit.interactions()
    total = sum(row["estimate"] * 2.0 ** (2 - row["order"]) for row in table.to_dicts())
    if unbiased:
        assert total == pytest.approx(audit.estimate_.value[0], abs=0.02)
    else:
        assert total == pytest.approx(audit.estimate_.value[0], rel=1e-12)


def test_renaming_levels_and_units(rng):
    region = rng.integers(0, 4, 200)
    y = rng.normal(size=200) + (region == 2)
    names = np.array(["north", "east", "south", "west"])
    first = es.DistanceCovariance(nominal=["r"]).fit(y, {"r": region}).estimate_
    second = es.DistanceCovariance().fit(y, {"r": names[region]}).estimate_
    assert_same_numbers(first, second)
    tiny = es.DistanceCovariance().fit(1e-9 * y + 5, {"r": names[region]}).estimate_
    np.testing.assert_allclose(tiny.value, first.value * [1e-9, 1.0], rtol=1e-6)


def test_biased_takes_any_scale_of_weights(rng):
    arguments = es.DistanceCovariance._example_arguments(rng, 200)
    weight = rng.uniform(0.1, 3.0, 200)
    audit = es.DistanceCovariance(estimator="biased")
    first = audit.fit(**arguments, sample_weight=weight).estimate_
    second = audit.fit(**arguments, sample_weight=1e6 * weight).estimate_
    assert_same_numbers(first, second)
    columns = audit._columns(arguments, sample_weight=weight)
    prepared = audit._prepare(columns)
    influence = audit._influence(prepared, weight)
    step = 1e-5
    for row in range(0, 200, 37):
        move = step * (np.arange(200) == row)
        up, down = (audit._evaluate(prepared, weight + s * move) for s in (1, -1))
        np.testing.assert_allclose(influence[row], (up - down) / (2 * step), atol=1e-8)


@pytest.mark.parametrize("kind", ["concatenated", "joint", "marginal"])
def test_continuous_attributes(kind, rng):
    """Continuous attributes need lines or pairs; values equal the definition."""
    age, sex = rng.normal(50, 10, 150), rng.integers(0, 2, 150)
    y = np.abs(age - 50) / 10 + rng.normal(size=150)
    audit = es.DistanceCovariance(kind=kind).fit(y, {"age": age, "sex": sex})
    z = age / age.std(ddof=1)
    value = audit.estimate_.value
    if kind == "marginal":
        np.testing.assert_allclose(value[::2], [dcov2(y, z, True), dcov2(y, sex, True)], rtol=1e-10)
    elif kind == "joint":
        assert value[0] == pytest.approx(jdcov2_prediction(y, [z, sex], 1.0, True), rel=1e-9)
    else:
        expected = dcov2(y, np.column_stack([z, sex]), True)
        assert value[0] == pytest.approx(expected, rel=1e-10)
    assert (audit.estimate_.standard_error > 0).all()


@pytest.mark.parametrize("estimator", ["biased", "unbiased"])
@pytest.mark.parametrize("weighted", [False, True])
def test_balanced_attributes_have_mean_distance_one(estimator, weighted, rng):
    n = 40
    weight = rng.integers(0, 3, n) if weighted else np.ones(n, int)
    region, steps, age = rng.integers(0, 4, n), rng.integers(0, 3, n), rng.normal(size=n)
    y = region + age + rng.normal(size=n)
    protected = {"r": np.array(list("abcd"))[region], "o": steps, "a": age, "k": ["x"] * n}
    audit = es.DistanceCovariance(
        estimator=estimator, balance="mean-distance", ordinal=["o"], inference=es.NoInference()
    ).fit(y, protected, sample_weight=weight)
    rows = np.repeat(np.arange(n), weight)
    blocks = [np.eye(4)[region[rows]], steps[rows], age[rows]]
    scaled = [np.reshape(b / distances(b).mean(), (len(rows), -1)) for b in blocks]
    wanted = dcov2(y[rows], np.hstack(scaled), unbiased=estimator == "unbiased")
    assert audit.estimate_.value[0] == pytest.approx(wanted, rel=1e-10)
    assert "balanced by mean distance" in str(audit.estimate_)


def test_ordinal_levels(rng):
    edu = rng.choice(["low", "mid", "high"], 100)
    y = rng.normal(size=100) + (edu == "high")
    audit = es.DistanceCovariance(levels={"edu": ["low", "mid", "high"]}).fit(y, {"edu": edu})
    scores = np.select([edu == "low", edu == "mid"], [0.0, 0.5], 1.0)
    assert audit.estimate_.value[0] == pytest.approx(dcov2(y, scores, True), rel=1e-10)
    assert "edu: ordinal" in str(audit.estimate_)


def test_constant_prediction(rng):
    sex = rng.integers(0, 2, 50)
    with pytest.warns(es.EvalstatsWarning, match=r"\[constant-score\]"):
        audit = es.DistanceCovariance().fit(np.full(50, 0.3), {"sex": sex})
    np.testing.assert_array_equal(audit.estimate_.value, [0, 0])
    assert audit.test()["p_value"][0] == 1.0
    assert audit.test("permutation", n_resamples=19)["p_value"][0] == 1.0


def test_near_independence(rng):
    y, sex = rng.normal(size=300), rng.integers(0, 2, 300)
    with pytest.warns(es.EvalstatsWarning, match=r"\[near-null\]"):
        es.DistanceCovariance().fit(y, {"sex": sex})
    bootstrap = es.Bootstrap(n_resamples=20, rng=0)
    with pytest.raises(es.InputError, match="bootstrap of a distance covariance fails near"):
        es.DistanceCovariance(inference=bootstrap).fit(y, {"sex": sex})


def test_small_groups_are_named(rng):
    region = np.array(["north"] * 95 + ["isle"] * 5)
    y = rng.normal(size=100)
    with pytest.warns(es.EvalstatsWarning, match=r"\[small-groups\].*isle"):
        audit = es.DistanceCovariance().fit(y, {"region": region})
    table = audit.groups()
    assert table.filter(pl.col("level") == "isle")["estimate"].is_nan().all()
    with pytest.warns(es.EvalstatsWarning, match=r"\[one-group\]"):
        es.DistanceCovariance().fit(y, {"region": ["north"] * 100})


def test_group_table(rng):
    sex = np.repeat(["f", "m"], 50)
    y = np.where(sex == "f", 1.0, 2.0) + 0.1 * rng.normal(size=100)
    audit = es.DistanceCovariance().fit(y, {"sex": sex})
    table = audit.groups(2 * y, exposure=np.full(100, 0.5))
    first = table.row(0, named=True)
    assert first["level"] == "f"
    assert first["exposure"] == 25.0
    assert first["actual_over_expected"] == pytest.approx(2.0)
    own = y[sex == "f"]
    assert first["standard_error"] == pytest.approx(own.std(ddof=1) / np.sqrt(50))
    assert first["four_fifths"]
    assert not table.row(1, named=True)["four_fifths"]


def test_group_table_with_a_group_of_one_row_still_shrinks(rng):
    sex = np.append(np.repeat(["f", "m"], 50), "x")
    y = np.where(sex == "f", 1.0, 2.0) + 0.5 * rng.normal(size=101)
    audit = es.DistanceCovariance().fit(y, {"sex": sex})
    table = audit.groups(min_n=1)
    means, shrunken = table["estimate"].to_numpy(), table["shrunken"].to_numpy()
    between = np.var(means[:2]) - np.mean(table["standard_error"].to_numpy()[:2] ** 2)
    pull = between / (between + table["standard_error"].to_numpy()[:2] ** 2)
    np.testing.assert_allclose(shrunken[:2], y.mean() + pull * (means[:2] - y.mean()))
    with pytest.raises(es.InputError, match=r"exposure is 0\.0 in row 3"):
        audit.groups(exposure=np.where(np.arange(101) == 3, 0.0, 1.0))


def test_independence_of_a_constant_is_plus_zero(rng):
    values = es.DistanceCovariance().fit(rng.normal(size=20), {"s": ["a"] * 20}).estimate_.value
    assert not np.signbit(values).any()
    assert es.jensen_shannon_divergence([0, 1.0], [0, 1], bandwidth=np.float32(0.5)) > 0


@pytest.mark.parametrize("seed", range(40))
def test_weights_and_edge_cases_against_the_definition(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(4, 16))
    kinds = (
        rng.normal(size=n).astype(np.float32),
        rng.integers(0, 3, n),
        np.full(n, 0.1),
        rng.normal(size=(n, 2)),
        np.round(rng.normal(size=n), 1) + 1e6,
    )
    x, y = (kinds[place] for place in rng.integers(0, len(kinds), 2))
    count = rng.integers(0, 3, n)
    rows = np.repeat(np.arange(n), count)
    for estimator in ("biased", "unbiased"):
        unbiased = estimator == "unbiased"
        found = es.distance_covariance_squared(x, y, estimator=estimator)
        assert found == pytest.approx(dcov2(x, y, unbiased), rel=1e-8, abs=1e-9)
        if len(rows) < 4:
            continue
        found = es.distance_covariance_squared(x, y, estimator=estimator, sample_weight=count)
        wanted = dcov2(x[rows], y[rows], unbiased)
        assert found == pytest.approx(wanted, rel=1e-8, abs=1e-9)


def test_chi_square_and_permutation_agree(rng):
    sex = rng.integers(0, 2, 150)
    y = rng.normal(size=150) + 0.4 * sex
    audit = es.DistanceCovariance().fit({"a": y, "b": rng.normal(size=150)}, {"sex": sex})
    chi, permuted = audit.test(), audit.test("permutation", n_resamples=499)
    assert abs(chi["p_value"][0] - permuted["p_value"][0]) < 0.03
    assert permuted["p_value"][1] > 0.05
    assert audit.test("permutation", n_resamples=99, rng=1).equals(
        audit.test("permutation", n_resamples=99, rng=1)
    )


def test_divergence_shortcuts(rng):
    values, codes = rng.normal(size=4000), rng.integers(0, 3, 4000)
    values += 0.3 * codes
    exact = es.jensen_shannon_divergence(values, codes)
    assert binned_divergence(values, codes) == pytest.approx(exact, rel=1e-5)
    shifted = es.jensen_shannon_divergence(values, codes, normalise=True)
    assert 0 < shifted < 1
    assert es.jensen_shannon_divergence(values, codes, bandwidth="silverman") > 0
    assert explained_variance(values, codes) > explained_variance(values, codes, corrected=True)
    labels = np.array(["a", "b"])[(values > 0).astype(int)]
    between = explained_variance(values, labels)
    means = np.array([values[labels == g].mean() for g in labels])
    assert between == pytest.approx(means.var() / values.var())


def test_approximations_are_unbiased(rng):
    z = rng.normal(size=(3000, 2))
    y = z[:, 0] * z[:, 1] + rng.normal(size=3000)
    exact = es.distance_covariance_squared(y, z)
    blocks = block_distance_covariance(y, z, block_size=200)
    assert abs(blocks.value - exact) < 3 * blocks.standard_error
    projected = projected_distance_covariance(y, z, n_projections=40)
    assert abs(projected.value - exact) < 3 * projected.standard_error
    with pytest.raises(es.InputError, match="block_size=3000"):
        block_distance_covariance(y, z, block_size=3000)


def test_two_variables_of_several_dimensions(rng):
    x, y = rng.normal(size=(40, 2)), rng.normal(size=(40, 3))
    assert es.distance_covariance_squared(x, y) == pytest.approx(dcov2(x, y, True), rel=1e-10)


N = 60
Y = np.linspace(0, 1, N)
S = np.arange(N) % 2
REFUSALS = [
    ({"prediction": Y, "protected": {"r": np.arange(N) % 3}}, {}, "declare 'r' as nominal"),
    ({"prediction": Y, "protected": {"r": Y}}, {"nominal": ["q"]}, "nominal names 'q'"),
    ({"prediction": Y, "protected": {"r": Y}}, {"nominal": "r"}, "expected a list"),
    (
        {"prediction": Y, "protected": {"r": S}},
        {"nominal": ["r"], "continuous": ["r"]},
        "'r' is declared nominal and continuous",
    ),
    (
        {"prediction": Y, "protected": {"r": np.array(["a", "b"])[S]}},
        {"levels": {"r": ["a"]}},
        r"protected\['r'\] is 'b' in row 1, which levels does not name",
    ),
    (
        {"prediction": Y, "protected": {"r": np.array(["a", "b", "c"])[np.arange(N) % 3]}},
        {"ordinal": ["r"]},
        "give their order",
    ),
    ({"prediction": Y, "protected": {"s": S}}, {"c": 0.0}, "c=0.0"),
    ({"prediction": Y, "protected": {"s": S}}, {"kind": "pairs"}, "kind='pairs'"),
    ({"prediction": Y, "protected": {"s": S}}, {"balance": "sd"}, "balance='sd'"),
    ({"prediction": Y, "protected": {"s": S}}, {"estimator": "u"}, "estimator='u'"),
    ({"prediction": Y, "protected": {"s": S}}, {"encoding": "none"}, "encoding='none'"),
    ({"prediction": Y[:3], "protected": {"s": S[:3]}}, {}, "needs at least 4"),
    ({"prediction": Y[1:], "protected": {"s": S}}, {}, f"has {N} rows but prediction has {N - 1}"),
    (
        {"prediction": Y, "protected": {"s": np.where(np.arange(N) == 4, np.inf, Y)}},
        {},
        "infinite in row 4",
    ),
    ({"prediction": np.where(Y == 0, np.nan, Y), "protected": {"s": S}}, {}, "missing value"),
    ({"prediction": Y + 0j, "protected": {"s": S}}, {}, "prediction is complex"),
    (
        {"prediction": Y, "protected": {"s": S}, "sample_weight": np.full(N, 0.5)},
        {},
        "weights must be whole numbers",
    ),
    ({"prediction": Y, "protected": {}}, {}, "protected is an empty mapping"),
    ({"prediction": Y, "protected": None}, {}, "protected is required"),
]


@pytest.mark.parametrize(("arguments", "options", "message"), REFUSALS, ids=lambda x: str(x)[:30])
def test_refusals(arguments, options, message):
    with pytest.raises(es.InputError, match=message):
        es.DistanceCovariance(**options).fit(**arguments)


def test_refusals_of_functions(rng):
    y = rng.normal(size=20)
    with pytest.raises(es.InputError, match="at least 4"):
        es.distance_covariance_squared(y[:3], y[:3])
    with pytest.raises(es.InputError, match="not finite in row 2"):
        es.distance_covariance_squared(np.where(np.arange(20) == 2, np.nan, y), y)
    with pytest.raises(es.InputError, match="has 19 rows"):
        es.distance_covariance_squared(y, y[1:])
    with pytest.raises(es.InputError, match="d at least 1"):
        es.distance_covariance_squared(y, np.empty((20, 0)))
    with pytest.raises(es.InputError, match="c=-1"):
        es.joint_distance_covariance_squared(y, y, c=-1)
    with pytest.raises(es.InputError, match="at least one protected"):
        es.concatenated_distance_covariance_squared(y)
    with pytest.raises(es.InputError, match="bandwidth=0"):
        es.jensen_shannon_divergence(y, y > 0, bandwidth=0)
    with pytest.raises(es.InputError, match="is too narrow for the range"):
        es.jensen_shannon_divergence(1000 * y, np.arange(20) % 10, bandwidth=1e-6)
    for function in (block_distance_covariance, projected_distance_covariance):
        with pytest.raises(es.InputError, match="prediction has 2 columns"):
            function(np.column_stack([y, y]), y)
    with pytest.raises(es.InputError, match="c=-1"):
        block_distance_covariance(y, y, block_size=10, c=-1)
    big = MAX_PAIR_ROWS + 1
    with pytest.raises(es.InputError, match="block_distance_covariance"):
        es.distance_covariance_squared(rng.normal(size=big), rng.normal(size=(big, 2)))
    assert isinstance(
        numeric_geometry([rng.normal(size=(300, 2))], 0.0, joint=False), PointGeometry
    )


def test_tiles_and_threads_change_nothing(rng):
    n = 2 * TILE + 77
    y, points = np.round(rng.normal(size=n), 1), rng.normal(size=(n, 3))
    weights = rng.integers(0, 3, n).astype(float)
    ranking, geometry = Ranking.of(y), PointGeometry.of(points)
    alone, together = [], []
    for jobs, found in ((1, alone), (2, together)):
        with joblib.parallel_config(n_jobs=jobs):
            found += [geometry.parts(ranking, weights, unbiased) for unbiased in (True, False)]
            slopes = geometry.influence(ranking, weights)
    assert alone == together
    rows = np.repeat(np.arange(n), weights.astype(int))
    for unbiased, parts in zip((True, False), alone, strict=True):
        expected = dcov2(y[rows], points[rows], unbiased)
        assert parts.dependence == pytest.approx(expected, rel=1e-10, abs=1e-14)
        spread = dcov2(points[rows], points[rows], unbiased)
        assert parts.variance_attributes == pytest.approx(spread, rel=1e-12)
    cells = CellGeometry(np.arange(n), (distances(points),), 0.0).influence(ranking, weights)
    for value, expected in zip(slopes, cells, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-12)


def test_tests_need_independent_rows(rng):
    y, sex = rng.normal(size=60), np.arange(60) % 2
    audit = es.DistanceCovariance().fit(y + sex, {"sex": sex}, cluster=np.arange(60) // 2)
    with pytest.raises(es.InputError, match="independent rows"):
        audit.test()
    joint = es.DistanceCovariance(kind="joint").fit(y + sex, {"sex": sex})
    with pytest.raises(es.InputError, match="no chi-square test"):
        joint.test()
    with pytest.raises(es.InputError, match="method='t'"):
        joint.test("t")


@pytest.mark.parametrize("what", ["distributions", "interactions", "groups", "estimates"])
def test_plots(what, rng):
    arguments = es.DistanceCovariance._example_arguments(rng, 200)
    axes = es.DistanceCovariance().fit(**arguments).plot(what=what)
    assert axes.get_xlabel()
