"""Bradley-Terry ratings against FastChat, arena-rank and dense oracles."""

import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import optimize
from scipy.special import expit

import evalstats as es
from evalstats.inference.ranks import rank_intervals
from evalstats.kernels import pairs
from evalstats.winrate import bradley_terry_kernels
from evalstats.winrate.bradley_terry_fit import Battles, Restriction, maximise

FOLDER = Path(__file__).resolve().parents[2] / "../shared/reference/winrate"
if not FOLDER.is_dir():
    FOLDER = Path("/work/shared/reference/winrate")
needs_fixtures = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no fixtures at {FOLDER}")
ELO = 400 / np.log(10)
CONTROLS = ["tokens", "header", "list", "bold"]


def recorded(case=0):
    arrays = np.load(FOLDER / "bt_style_battles.npz")
    expected = json.loads((FOLDER / "bt_style_expected.json").read_text(encoding="utf-8"))
    first, second = (
        np.array([f"m{code:02d}" for code in arrays[f"case{case}_{side}"]]) for side in "ab"
    )
    style = [arrays[f"case{case}_style_{side}"].astype(float) for side in "ab"]
    return first, second, arrays[f"case{case}_outcome"].astype(float), style, expected[case]


def battles(n=400, m=5, seed=0, ties=0.2, controls=1):
    """Random battles with names, a control of both sides and clusters."""
    rng = np.random.default_rng(seed)
    first = rng.integers(0, m, n)
    second = (first + rng.integers(1, m, n)) % m
    strength = np.linspace(-0.7, 0.7, m)
    lengths = rng.integers(10, 1000, (2, n, controls))
    contrast = (lengths[0] - lengths[1]) / (lengths[0] + lengths[1] + 1)
    eta = strength[first] - strength[second] + 0.8 * contrast.sum(axis=1)
    outcome = (rng.random(n) < expit(eta)).astype(float)
    outcome[rng.random(n) < ties] = 0.5
    columns = {
        "model_a": [f"model{code}" for code in first],
        "model_b": [f"model{code}" for code in second],
        "outcome": outcome,
        "user": rng.integers(0, n // 6, n),
        "weight": rng.uniform(0.5, 2.0, n),
    }
    for c in range(controls):
        columns[f"c{c}_a"], columns[f"c{c}_b"] = lengths[0, :, c], lengths[1, :, c]
    return pl.DataFrame(columns)


def fit(frame, *, controls=("c0",), weight=None, cluster=None, by=None, **options):
    names = list(controls) or None
    return es.BradleyTerry(controls=names, **options).fit(
        "model_a", "model_b", "outcome", data=frame, sample_weight=weight, cluster=cluster, by=by
    )


def dense(frame, controls=("c0",)):
    """Design with one column per model, and the outcome."""
    names = sorted(set(frame["model_a"]) | set(frame["model_b"]))
    design = np.zeros((frame.height, len(names)))
    rows = np.arange(frame.height)
    design[rows, [names.index(name) for name in frame["model_a"]]] = 1
    design[rows, [names.index(name) for name in frame["model_b"]]] -= 1
    extra = []
    for name in controls:
        a, b = frame[f"{name}_a"].to_numpy(), frame[f"{name}_b"].to_numpy()
        contrast = (a - b) / (a + b + 1)
        extra.append(contrast / np.sqrt(np.mean(contrast**2)))
    return np.column_stack([design, *extra]), frame["outcome"].to_numpy(), len(names)


# Recorded results --------------------------------------------------------------------------------


@needs_fixtures
def test_fastchat_ratings():
    first, second, outcome, _, expected = recorded()
    estimate = es.BradleyTerry().fit(first, second, outcome).estimate_
    values = dict(zip(estimate.terms["model"], estimate.value, strict=True))
    assert values == pytest.approx(expected["fastchat_compute_bt"], abs=1e-3)


@needs_fixtures
def test_arena_rank_ratings_and_sandwich():
    first, second, outcome, style, expected = recorded()
    plain = expected["arena_rank_bt_unweighted"]
    estimate = es.BradleyTerry().fit(first, second, outcome).estimate_
    np.testing.assert_allclose(estimate.value, plain["ratings"], atol=1e-3)
    np.testing.assert_allclose(estimate.standard_error**2, plain["variances"], rtol=1e-3)
    np.testing.assert_allclose(estimate.confidence_interval().low, plain["rating_lower"], atol=1e-2)
    # arena-rank centres the style features, which we never do; a user may bring such columns.
    contrast = (style[0] - style[1]) / (style[0] + style[1] + 1)
    centred = (contrast - contrast.mean(axis=0)) / contrast.std(axis=0)
    columns = dict(zip(CONTROLS, centred.T, strict=True))
    controlled = expected["arena_rank_contextual_unweighted_reg0"]
    estimate = es.BradleyTerry().fit(first, second, outcome, contrasts=columns).estimate_
    ratings = estimate.select(metric="rating")
    np.testing.assert_allclose(ratings.value, controlled["ratings"], atol=1e-3)
    np.testing.assert_allclose(ratings.standard_error**2, controlled["variances"], rtol=1e-3)
    coefficients = estimate.select(metric="control")
    assert coefficients.terms["control"].to_list() == CONTROLS
    np.testing.assert_allclose(coefficients.value, controlled["coeffs"], atol=1e-5)


@needs_fixtures
def test_fastchat_style_control():
    first, second, outcome, style, expected = recorded()
    contrast = (style[0] - style[1]) / (style[0] + style[1] + 1)
    centred = (contrast - contrast.mean(axis=0)) / contrast.std(axis=0)
    codes = [np.unique(side, return_inverse=True)[1] for side in (first, second)]
    rows = Battles(*codes, outcome, np.empty(0), np.ascontiguousarray(centred), 6)
    # Its ridge of one half is on ratings in units of log 10.
    penalty = np.r_[np.full(6, 0.5 / np.log(10) ** 2), np.full(4, 0.5)]
    restriction = Restriction(np.zeros(10, dtype=bool), penalty)
    theta = maximise(rows, np.ones(len(outcome)), np.zeros(10), restriction)
    reference = expected["fastchat_compute_style_control"]
    ratings = list(reference["ratings"].values())
    np.testing.assert_allclose(1000 + ELO * theta[:6], ratings, atol=1e-2)
    np.testing.assert_allclose(theta[6:], list(reference["coef"].values()), atol=1e-4)
    # Without a ridge and without centring the numbers move by less than the 0.1 Elo tolerance.
    sides = [dict(zip(CONTROLS, side.T, strict=True)) for side in style]
    ours = es.BradleyTerry().fit(first, second, outcome, *sides).estimate_
    np.testing.assert_allclose(ours.value[:6], ratings, atol=0.1)


@needs_fixtures
def test_constant_header_column_is_refused():
    first, second, outcome, style, expected = recorded()
    defect = expected["fastchat_compute_style_control_constant_header_column"]
    assert set(defect["ratings"].values()) == {1000.0}
    sides = [dict(zip(CONTROLS, side.T, strict=True)) for side in style]
    for side in sides:
        side["header"] = np.full(len(outcome), 3)
    with pytest.raises(es.InputError, match=r"control 'header' has the same contrast \(0\)"):
        es.BradleyTerry().fit(first, second, outcome, *sides)


@needs_fixtures
def test_only_wins_is_refused_where_fastchat_gives_3131():
    first, second, outcome, _, expected = recorded(1)
    assert expected["fastchat_compute_bt"]["m05"] > 3000
    with pytest.raises(es.InputError, match="'m05' has only wins: its rating is infinite"):
        es.BradleyTerry().fit(first, second, outcome)
    ridged = es.BradleyTerry(ridge=0.1).fit(first, second, outcome).estimate_
    assert ridged.terms["model"][int(np.argmax(ridged.value))] == "m05"


# Oracles -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ridge", [0.0, 0.7])
@pytest.mark.parametrize("clustered", [False, True])
def test_dense_logistic_regression_and_sandwich(ridge, clustered):
    frame = battles(controls=2)
    controls = ("c0", "c1")
    design, outcome, m = dense(frame, controls)
    theta = np.zeros(design.shape[1])
    penalty = ridge * np.eye(len(theta))
    for _ in range(20):
        p = expit(design @ theta)
        bread = np.linalg.pinv((design.T * (p * (1 - p))) @ design + penalty)
        theta += bread @ (design.T @ (outcome - p) - ridge * theta)
    p = expit(design @ theta)
    scores = design * (outcome - p)[:, np.newaxis]
    if clustered:
        user = frame["user"].to_numpy()
        scores = np.stack([scores[user == name].sum(axis=0) for name in np.unique(user)])
    centred = scores - scores.mean(axis=0)
    meat = len(scores) / (len(scores) - 1) * centred.T @ centred
    scale = np.eye(m + 2)
    scale[:m] *= ELO
    scale[:m, :m] -= ELO / m
    estimate = fit(
        frame, controls=controls, ridge=ridge, cluster="user" if clustered else None
    ).estimate_
    np.testing.assert_allclose(
        estimate.value, scale @ theta + np.r_[np.full(m, 1000), 0, 0], rtol=1e-10
    )
    expected = scale @ bread @ meat @ bread @ scale.T
    np.testing.assert_allclose(estimate.covariance, expected, rtol=1e-8, atol=1e-10)


def test_statsmodels_clustered_sandwich():
    statsmodels = pytest.importorskip("statsmodels.api")
    frame = battles(ties=0.0)
    design, outcome, _ = dense(frame)
    user = frame["user"].to_numpy()
    oracle = statsmodels.GLM(outcome, design[:, 1:], family=statsmodels.families.Binomial()).fit(
        tol=1e-14, cov_type="cluster", cov_kwds={"groups": user, "use_correction": False}
    )
    n_users = len(np.unique(user))
    estimate = fit(frame, cluster="user", anchor="model0", rating_scale="logit").estimate_
    np.testing.assert_allclose(estimate.value[1:], oracle.params, rtol=1e-9)
    covariance = estimate.covariance[1:, 1:] * (n_users - 1) / n_users
    np.testing.assert_allclose(covariance, oracle.cov_params(), rtol=1e-7, atol=1e-12)
    assert estimate.value[0] == estimate.standard_error[0] == 0.0


def test_davidson_maximises_its_likelihood():
    frame = battles(ties=0.3)
    design, outcome, m = dense(frame)

    def loss(theta):
        eta = design @ np.r_[0.0, theta[:-1]]
        total = np.exp(eta / 2) + np.exp(-eta / 2) + np.exp(theta[-1])
        return -np.sum((outcome - 0.5) * eta + (outcome == 0.5) * theta[-1] - np.log(total))

    found = optimize.minimize(loss, np.zeros(m + 1), method="BFGS", options={"gtol": 1e-7})
    estimate = fit(frame, ties="davidson", anchor="model0", rating_scale="logit").estimate_
    np.testing.assert_allclose(estimate.value[1:], found.x, atol=1e-5)
    collapsed = fit(frame, controls=(), ties="davidson").estimate_
    assert collapsed.terms["metric"].to_list() == ["rating"] * m + ["log tie"]


@pytest.mark.parametrize("ties", ["half", "davidson"])
@pytest.mark.parametrize("controls", [(), ("c0",)], ids=["plain", "controlled"])
def test_influence_is_the_derivative_and_sums_to_the_covariance(ties, controls):
    frame = battles(n=240, m=3, ties=0.25)
    fitted = fit(frame, ties=ties, controls=controls, weight="weight", cluster="user")
    columns = fitted._fitted_columns()
    prepared = fitted._prepare(columns)
    influence = fitted._influence(prepared, columns.weight)
    step = 1e-5
    for row in range(0, 240, 29):
        change = step * (np.arange(240) == row)
        up, down = (fitted._evaluate(prepared, columns.weight + sign * change) for sign in (1, -1))
        np.testing.assert_allclose(influence[row], (up - down) / (2 * step), atol=2e-6)
    weighted = influence * columns.weight[:, np.newaxis]
    user = columns.cluster
    sums = np.stack([weighted[user == code].sum(axis=0) for code in range(user.max() + 1)])
    sums -= sums.mean(axis=0)
    expected = len(sums) / (len(sums) - 1) * sums.T @ sums
    np.testing.assert_allclose(fitted.estimate_.covariance, expected, rtol=1e-7, atol=1e-9)


def test_analytic_agrees_with_the_clustered_bootstrap():
    frame = battles(n=1500, seed=4)
    analytic = fit(frame, cluster="user").estimate_
    bootstrap = fit(frame, cluster="user", inference=es.Bootstrap(n_resamples=600, rng=2)).estimate_
    assert bootstrap.n_failed == 0
    ratio = bootstrap.standard_error / analytic.standard_error
    np.testing.assert_allclose(ratio, 1.0, atol=0.12)


# Invariances -------------------------------------------------------------------------------------


def swapped(frame):
    """The same battles with the sides exchanged."""
    names = {
        name: name[:-1] + ("b" if name.endswith("a") else "a")
        for name in frame.columns
        if name.endswith(("_a", "_b"))
    }
    return frame.rename(names).with_columns(outcome=1 - pl.col("outcome"))


@pytest.mark.parametrize("ties", ["half", "davidson"])
def test_exchanging_sides_changes_nothing(ties):
    frame = battles()
    here, there = fit(frame, ties=ties).estimate_, fit(swapped(frame), ties=ties).estimate_
    np.testing.assert_allclose(there.value, here.value, rtol=1e-11)
    np.testing.assert_allclose(there.covariance, here.covariance, rtol=1e-8, atol=1e-9)
    # Even if only some rows are turned: nothing is centred.
    mixed = pl.concat([frame[:100], swapped(frame[100:]).select(frame.columns)])
    np.testing.assert_allclose(fit(mixed, ties=ties).estimate_.value, here.value, rtol=1e-11)


def test_half_weights_of_doubled_rows_in_clusters():
    frame = battles()
    doubled = pl.concat([frame, frame]).with_columns(weight=pl.lit(0.5))
    here, there = (
        fit(frame, cluster="user").estimate_,
        fit(doubled, cluster="user", weight="weight").estimate_,
    )
    np.testing.assert_allclose(there.value, here.value, rtol=1e-11)
    np.testing.assert_allclose(there.standard_error, here.standard_error, rtol=1e-9)


@pytest.mark.parametrize("controls", [(), ("c0",)])
def test_anchors_shift_ratings_but_no_difference(controls):
    frame = battles()
    free = fit(frame, controls=controls).estimate_
    named = fit(frame, controls=controls, anchor="model2").estimate_
    valued = fit(frame, controls=controls, anchor={"model2": 1114.0}).estimate_
    m = 5
    assert free.value[:m].mean() == pytest.approx(1000, abs=1e-9)
    assert named.value[2] == 1000
    assert named.standard_error[2] == 0
    np.testing.assert_allclose(valued.value[:m], named.value[:m] + 114, rtol=1e-12)
    for anchored in (named, valued):
        for column in ("estimate", "standard_error"):
            np.testing.assert_allclose(
                anchored.select(metric="rating").compare()[column],
                free.select(metric="rating").compare()[column],
                rtol=1e-8,
            )


def test_several_anchors_are_held_fixed():
    frame = battles()
    free = fit(frame, rating_scale="logit").estimate_
    held = {name: float(free.value[code]) for code, name in enumerate(["model0", "model3"])}
    held["model3"] = float(free.value[3])
    anchored = fit(frame, rating_scale="logit", anchor=held).estimate_
    assert anchored.value[0] == pytest.approx(held["model0"], abs=1e-14)
    np.testing.assert_allclose(anchored.value, free.value, atol=1e-9)
    assert anchored.standard_error[[0, 3]].tolist() == [0.0, 0.0]
    assert (anchored.standard_error[[1, 2, 4]] > 0).all()


def test_position_as_a_contrast_of_ones():
    frame = battles()
    estimate = (
        es.BradleyTerry()
        .fit(
            "model_a",
            "model_b",
            "outcome",
            contrasts={"first": np.ones(frame.height)},
            data=frame,
        )
        .estimate_
    )
    turned = (
        es.BradleyTerry()
        .fit(
            "model_a",
            "model_b",
            "outcome",
            contrasts={"first": -np.ones(frame.height)},
            data=swapped(frame),
        )
        .estimate_
    )
    assert estimate.value[-1] != 0
    np.testing.assert_allclose(turned.value, estimate.value, rtol=1e-10, atol=1e-12)


def test_labels_of_the_arena():
    frame = battles()
    labels = {1.0: "model_a", 0.0: "model_b", 0.5: "tie (bothbad)"}
    named = frame.with_columns(pl.col("outcome").replace_strict(labels))
    assert fit(named).estimate_ == fit(frame).estimate_


# What follows from the joint distribution --------------------------------------------------------


@pytest.mark.parametrize("ties", ["half", "davidson"])
def test_win_rates_are_complementary(ties):
    fitted = fit(battles(), ties=ties)
    table = fitted.win_rates()
    assert table.height == 20
    matched = table.join(
        table, left_on=["model", "reference"], right_on=["reference", "model"], suffix="_back"
    )
    np.testing.assert_allclose(matched["win_rate"] + matched["win_rate_back"], 100, rtol=1e-12)
    np.testing.assert_allclose(matched["ci_low"] + matched["ci_high_back"], 100, rtol=1e-10)
    np.testing.assert_allclose(matched["standard_error"], matched["standard_error_back"], rtol=1e-9)
    assert (table["ci_low"] < table["win_rate"]).all()
    assert (table["ci_low"] > 0).all()
    if ties == "half":
        ratings = fitted.estimate_.value
        expected = 100 * expit((ratings[0] - ratings[1]) / ELO)
        assert table["win_rate"][0] == pytest.approx(expected, abs=1e-10)
        difference = fitted.estimate_.compare("model1").filter(pl.col("model") == "model0")
        limits = 100 * expit(np.array(difference.select("ci_low", "ci_high").row(0)) / ELO)
        np.testing.assert_allclose(table.select("ci_low", "ci_high").row(0), limits, rtol=1e-10)


def test_leaderboard_ranks():
    frame = battles(n=4000, seed=1)
    table = fit(frame).leaderboard()
    assert table["rating"].is_sorted(descending=True)
    assert table["rank"].to_list() == [1, 2, 3, 4, 5]
    assert (table["rank_low"] <= table["rank"]).all()
    assert (table["rank"] <= table["rank_high"]).all()


def test_rank_intervals_of_known_cases():
    value, identity = np.array([3.0, 2.9, 0.0]), np.eye(3)
    sharp = rank_intervals(value, 1e-6 * identity, 0.95)
    assert (sharp.low.tolist(), sharp.high.tolist()) == ([1, 2, 3], [1, 2, 3])
    blurred = rank_intervals(value, 0.05 * identity, 0.95)
    assert (blurred.low.tolist(), blurred.high.tolist()) == ([1, 1, 3], [2, 2, 3])
    lower = rank_intervals(value, 1e-6 * identity, 0.95, higher_is_better=False)
    assert lower.rank.tolist() == [3, 2, 1]


# Refusals ----------------------------------------------------------------------------------------

WIN_CYCLE = [("x", "y", 1), ("y", "z", 1), ("z", "x", 1)]


def rows(*more):
    first, second, outcome = zip(*WIN_CYCLE, *more, strict=True)
    return list(first), list(second), list(outcome)


@pytest.mark.parametrize(
    ("battles_", "message"),
    [
        (rows(("v", "x", 1)), "'v' has only wins: its rating is infinite"),
        (rows(("v", "x", 0)), "'v' has only losses: its rating is minus infinity"),
        (rows(("u", "v", 1), ("v", "u", 1)), r"has 2 parts .*one is 'u', 'v'"),
        (
            rows(("u", "v", 1), ("v", "u", 1), ("u", "x", 1)),
            "the group 'u', 'v' always or never beats the other models",
        ),
        (rows(("x", "x", 1)), "model_a and model_b are both 'x' in row 3"),
        (rows(("x", "y", 2)), "outcome is 2 in row 3: expected 1"),
        (rows(("x", "y", -1)), "outcome is -1 in row 3"),
        (rows(("x", "y", np.nan)), "outcome has 1 missing value"),
    ],
)
def test_battles_without_finite_ratings_or_meaning(battles_, message):
    with pytest.raises(es.InputError, match=message):
        es.BradleyTerry().fit(*battles_)


def test_unknown_labels():
    first, second, _ = rows()
    with pytest.raises(es.InputError, match="outcome is 'nobody' in row 1"):
        es.BradleyTerry().fit(first, second, ["model_a", "nobody", "tie"])


def test_weight_zero_makes_a_model_absent():
    battles_ = rows(("v", "x", 0.5))
    with pytest.raises(es.InputError, match="'v' has no battle with positive weight"):
        es.BradleyTerry().fit(*battles_, sample_weight=[1, 1, 1, 0])


def test_anchors_connect_what_battles_do_not():
    battles_ = rows(("u", "v", 1), ("v", "u", 1))
    with pytest.warns(es.EvalstatsWarning, match=r"\[few-items\] 5 battles for 5 ratings"):
        estimate = es.BradleyTerry(anchor={"x": 1000, "u": 1200}).fit(*battles_).estimate_
    assert estimate.value.tolist() == pytest.approx([1200, 1200, 1000, 1000, 1000])


def test_separating_control_is_named():
    frame = battles(ties=0.0, controls=2)
    won = frame["outcome"].to_numpy()
    frame = frame.with_columns(
        pl.Series("c1_a", np.where(won == 1, 100, 5)), pl.Series("c1_b", np.where(won == 1, 5, 100))
    )
    with pytest.raises(es.InputError, match="control 'c1' separates wins from losses"):
        fit(frame, controls=("c0", "c1"))
    assert np.isfinite(fit(frame, controls=("c0", "c1"), ridge=1.0).estimate_.value).all()


def test_dependent_controls_are_named():
    frame = battles(controls=2).with_columns(pl.col("c0_a").alias("c1_a"), c1_b=pl.col("c0_b"))
    with pytest.raises(es.InputError, match=r"controls \['c0', 'c1'\] are linearly dependent"):
        fit(frame, controls=("c0", "c1"))


def test_davidson_needs_ties_and_nothing_between():
    with pytest.raises(es.InputError, match="no battle is a tie"):
        fit(battles(ties=0.0), ties="davidson")
    frame = battles().with_columns(outcome=pl.lit(0.3))
    with pytest.raises(es.InputError, match=r"outcome is 0\.3 in row 0: ties='davidson'"):
        fit(frame, ties="davidson")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ties": "third"}, "ties='third'"),
        ({"rating_scale": "glicko"}, "rating_scale='glicko'"),
        ({"ridge": -1.0}, r"ridge=-1\.0"),
        ({"anchor": "nobody"}, "anchor='nobody' has no battle"),
        ({"anchor": {}}, "anchor is an empty mapping"),
        ({"anchor": {"x": np.nan}}, r"anchor\['x'\] is nan"),
        ({"anchor": {"x": 1, "y": 2}, "ridge": 1.0}, "ridge and several anchors"),
        ({"controls": "tokens"}, "controls='tokens': expected a list"),
        ({"controls": ["tokens"]}, "need data= with columns"),
    ],
)
def test_unknown_options(options, message):
    with pytest.raises(es.InputError, match=message):
        es.BradleyTerry(**options).fit(*rows())


def test_bad_controls():
    first, second, outcome = rows()
    fit_ = es.BradleyTerry().fit
    with pytest.raises(es.InputError, match=r"controls_b\['c'\] is -2 in row 1"):
        fit_(first, second, outcome, {"c": [1, 2, 3]}, {"c": [1, -2, 3]})
    with pytest.raises(es.InputError, match="belong together"):
        fit_(first, second, outcome, {"c": [1, 2, 3]})
    with pytest.raises(es.InputError, match=r"controls_b has \['d'\], expected \['c'\]"):
        fit_(first, second, outcome, {"c": [1, 2, 3]}, {"d": [1, 2, 3]})
    with pytest.raises(es.InputError, match="controls_a is a list"):
        fit_(first, second, outcome, [1, 2, 3], [1, 2, 3])
    with pytest.raises(es.InputError, match="'c' is both a control and a contrast"):
        fit_(first, second, outcome, {"c": [1, 2, 3]}, {"c": [3, 2, 2]}, {"c": [1, -1, 1]})


def test_ratings_by_group_have_no_common_leaderboard():
    frame = battles().with_columns(half=pl.int_range(pl.len()) % 2)
    fitted = fit(frame, by="half")
    assert len(fitted.estimate_) == 12
    with pytest.raises(es.InputError, match="fit one group at a time"):
        fitted.leaderboard()


def test_rank_intervals_widen_with_few_clusters():
    rng = np.random.default_rng(8)
    value = np.sort(rng.normal(size=12))
    normal = rank_intervals(value, 0.02 * np.eye(12), 0.9)
    student = rank_intervals(value, 0.02 * np.eye(12), 0.9, df=4)
    assert (student.high - student.low).sum() > (normal.high - normal.low).sum()


def test_rank_intervals_cover_all_true_ranks_together():
    rng = np.random.default_rng(9)
    truth = np.array([0.0, 0.3, 0.5, 0.9, 1.6])
    spread = rng.normal(size=(5, 5)) / 6
    covariance = spread @ spread.T + 0.01 * np.eye(5)
    true_rank = np.array([5, 4, 3, 2, 1])
    covered = 0
    for value in rng.multivariate_normal(truth, covariance, 300):
        ranks = rank_intervals(value, covariance, 0.9)
        covered += bool(((ranks.low <= true_rank) & (true_rank <= ranks.high)).all())
    assert covered >= 262


@pytest.mark.skipif(os.environ.get("NUMBA_DISABLE_JIT") == "1", reason="nothing is compiled")
def test_each_kernel_has_one_signature():
    frame = battles()
    for options in ({}, {"weight": "weight", "cluster": "user"}, {"by": "half"}):
        data = frame.with_columns(half=pl.int_range(pl.len()) % 2)
        for ties in ("half", "davidson"):
            for controls in ((), ("c0",)):
                fit(data, ties=ties, controls=controls, **options)
    fit(frame, inference=es.Bootstrap(n_resamples=3, rng=0), cluster="user")
    fit(frame).leaderboard()
    compiled = [
        item
        for module in (bradley_terry_kernels, pairs)
        for item in vars(module).values()
        if hasattr(item, "signatures")
    ]
    assert len(compiled) > 8
    assert {item.__name__: len(item.signatures) for item in compiled if item.signatures} == {
        item.__name__: 1 for item in compiled if item.signatures
    }
