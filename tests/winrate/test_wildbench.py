"""WB-Reward and WB-Score equal the recorded outputs of the leaderboard scripts."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import evalstats as es
from evalstats.winrate.wildbench import OUTCOMES
from evalstats.winrate.wildbench_tasks import TASK_OF_TAG, TASK_WEIGHTS

FOLDER = Path(__file__).resolve().parents[2] / "../shared/reference/winrate"
if not FOLDER.is_dir():
    FOLDER = Path("/work/shared/reference/winrate")
needs_fixtures = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no fixtures at {FOLDER}")
WEIGHTS = np.array(list(TASK_WEIGHTS.values())) / 4.75
GRADE = {("T", 2): "win_much", ("T", 1): "win", ("R", 1): "lose", ("R", 2): "lose_much"}
KEYS = ("outcome", "model", "item")


def synthetic():
    recorded = json.loads((FOLDER / "wildbench_synthetic.json").read_text(encoding="utf-8"))
    rows = []
    for model, items in recorded["items"].items():
        names = list(items)
        for values in zip(*items.values(), strict=True):
            item = dict(zip(names, values, strict=True))
            state = item["state"]
            won = "tie" if item["winner"] == "tie" else GRADE[item["winner"], item["extent"]]
            rows.append(
                {
                    "model": model,
                    "item": item["session_id"],
                    "outcome": won,
                    "length_model": _shown(item["len_test"], state, "test"),
                    "length_baseline": _shown(item["len_ref"], state, "ref"),
                    "task": "|".join(recorded["tasks"][item["session_id"]]),
                    "skipped": state != "ok",
                    "cut": state in ("trunc_test", "empty_test"),
                    "score": float(item["score"]),
                }
            )
    return pl.DataFrame(rows), recorded["expected"]


def _shown(length, state, side):
    return {f"trunc_{side}": length + 15, f"empty_{side}": 31}.get(state, length)


def fit(frame, *, tasks=True, skipped=True, baseline=None, by=None, **options):
    roles = {name: name for name in (*KEYS, "length_model", "length_baseline")}
    if tasks:
        roles["task"] = "task"
    if skipped:
        roles["skipped"] = "skipped"
    if baseline:
        roles["baseline"] = baseline
    return es.WildBenchReward(**options).fit(**roles, data=frame, by=by)


@needs_fixtures
@pytest.mark.parametrize("margin", [-1, 0, 500, 1000])
def test_leaderboard_rewards(margin):
    frame, expected = synthetic()
    fitted = fit(frame, margin=margin, denominator="all")
    counts = fitted.outcome_counts()
    for model, recorded in expected[f"create_tables:pairwise:K={margin}"].items():
        terms = fitted.estimate_.select(model=model)
        reward, macro, *tasks = terms.value / 100
        assert reward == pytest.approx(recorded["reward"], abs=1e-14)
        assert macro == pytest.approx(recorded["task_macro_reward"], abs=1e-14)
        of_task = dict(zip(terms.terms["task"].to_list()[2:], tasks, strict=True))
        assert of_task == pytest.approx(recorded["task_categorized_rewards"], abs=1e-14)
        overall = counts.filter(pl.col("model") == model, pl.col("task").is_null()).row(
            0, named=True
        )
        assert {name: overall[name] for name in (*OUTCOMES, "total")} == {
            name: recorded[name] for name in (*OUTCOMES, "total")
        }
        for task, numbers in recorded["task_categorized_results"].items():
            row = counts.filter(pl.col("model") == model, pl.col("task") == task)
            assert row.select(list(OUTCOMES)).row(0, named=True) == numbers


@needs_fixtures
@pytest.mark.parametrize("margin", [-1, 500])
def test_viewer_rewards_drop_nothing(margin):
    frame, expected = synthetic()
    fitted = fit(frame, margin=margin, tasks=False, skipped=False)
    for model, recorded in expected[f"view_wb_eval:pairwise:K={margin}"].items():
        value = fitted.estimate_.select(model=model).value[0] / 100
        assert value == pytest.approx(recorded["reward"], abs=1e-14)


@needs_fixtures
def test_counted_denominator_is_larger_by_the_skipped_share():
    frame, _ = synthetic()
    counted, everything = fit(frame, tasks=False), fit(frame, tasks=False, denominator="all")
    share = frame.group_by("model").agg(1 - pl.col("skipped").mean()).sort("model")["literal"]
    np.testing.assert_allclose(
        counted.estimate_.value * share.to_numpy(), everything.estimate_.value, rtol=1e-12
    )


@needs_fixtures
def test_leaderboard_scores():
    frame, expected = synthetic()
    fitted = es.WildBenchScore().fit("score", "model", "item", "task", "cut", data=frame)
    for model, recorded in expected["create_tables:score"].items():
        score, macro, *tasks = fitted.estimate_.select(model=model).value
        assert score == pytest.approx(recorded["adjusted_score"], abs=1e-13)
        assert macro == pytest.approx(recorded["task_macro_score"], abs=1e-13)
        assert dict(zip(TASK_WEIGHTS, tasks, strict=True)) == pytest.approx(
            recorded["task_categorized_scores"], abs=1e-13
        )


@needs_fixtures
def test_viewer_scores_count_repeated_tags():
    frame, expected = synthetic()
    fitted = es.WildBenchScore(repeated_tags="count").fit(
        "score", "model", "item", "task", data=frame
    )
    for model, recorded in expected["view_wb_eval:score"].items():
        terms = fitted.estimate_.select(model=model, metric="task score")
        for task, value in zip(terms.terms["task"].to_list(), terms.value, strict=True):
            assert 10 * value == pytest.approx(recorded[task], abs=1e-12)
        assert 10 * terms.value.mean() == pytest.approx(recorded["task_macro_score"], abs=1e-12)


@needs_fixtures
def test_published_counts():
    table = pl.read_csv(FOLDER / "wildbench_published_counts.csv")
    shorts = dict(
        zip(("creative", "planning", "math", "info", "coding"), TASK_WEIGHTS, strict=True)
    )
    overall, by_task = [], []
    for key, row in enumerate(table.iter_rows(named=True)):
        for grade in OUTCOMES:
            overall += [(key, grade, False)] * row[grade]
            for short, task in shorts.items():
                by_task += [(key, grade, task)] * row[f"{short}:{grade}"]
        skipped = row["total"] - sum(row[grade] for grade in OUTCOMES)
        overall += [(key, "tie", True)] * skipped
    estimator = es.WildBenchReward(margin=-1, denominator="all", inference=es.NoInference())
    model, outcome, skipped = (np.array(column) for column in zip(*overall, strict=True))
    fitted = estimator.fit(outcome, model, np.arange(len(model)), skipped=skipped)
    order = np.argsort(fitted.estimate_.terms["model"].cast(pl.Int64).to_numpy())
    np.testing.assert_allclose(fitted.estimate_.value[order] / 100, table["reward"], atol=1e-12)
    model, outcome, task = (np.array(column) for column in zip(*by_task, strict=True))
    fitted = estimator.fit(outcome, model, np.arange(len(model)), task=task)
    macro = fitted.estimate_.select(metric="macro reward")
    order = np.argsort(macro.terms["model"].cast(pl.Int64).to_numpy())
    np.testing.assert_allclose(macro.value[order] / 100, table["task_macro_reward"], atol=1e-12)


# The length rule ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("margin", "excess", "rewards"),
    [
        (500, 500, [100, 50, 0, -50, -100]),
        (500, 501, [100, 0, 0, 0, -100]),
        (0, 0, [100, 50, 0, -50, -100]),
        (0, 1, [100, 0, 0, 0, -100]),
        (-1, 9999, [100, 50, 0, -50, -100]),
        (0, -700, [100, 50, 0, -50, -100]),
    ],
)
def test_length_rule_is_strict_and_spares_clear_preferences(margin, excess, rewards):
    winner, loser = 1000 + excess, 1000
    outcome = np.array(list(OUTCOMES))
    model = np.array(list("abcde"))
    length_model = np.array([winner, winner, winner, loser, loser])
    length_baseline = np.array([loser, loser, loser, winner, winner])
    fitted = es.WildBenchReward(margin=margin, inference=es.NoInference()).fit(
        outcome, model, model, length_model=length_model, length_baseline=length_baseline
    )
    assert fitted.estimate_.value.tolist() == rewards


# References, tasks and uncertainty ---------------------------------------------------------------


def random_judgements(n_items=150, seed=3):
    rng = np.random.default_rng(seed)
    tags = list(TASK_OF_TAG)
    rows = [
        {
            "model": model,
            "baseline": baseline,
            "item": item,
            "outcome": list(OUTCOMES)[rng.integers(0, 5)],
            "length_model": int(rng.integers(1, 2000)),
            "length_baseline": int(rng.integers(1, 2000)),
            "skipped": bool(rng.random() < 0.05),
        }
        for item in range(n_items)
        for model in ("m1", "m2")
        for baseline in ("r1", "r2", "r3")
    ]
    task = {i: list(rng.choice(tags, rng.integers(1, 4), replace=False)) for i in range(n_items)}
    return pl.DataFrame(rows).with_columns(
        pl.Series("task", [task[row["item"]] for row in rows], dtype=pl.List(pl.String))
    )


def test_mixture_is_the_mean_over_references():
    estimate = fit(random_judgements(), baseline="baseline").estimate_
    for model in ("m1", "m2"):
        parts = [estimate.select(model=model, baseline=name).value for name in ("r1", "r2", "r3")]
        mixture = estimate.select(model=model, baseline="mixture").value
        np.testing.assert_allclose(mixture, np.mean(parts, axis=0), rtol=1e-12)
        macro = estimate.select(model=model, baseline="r2", metric="macro reward").value[0]
        tasks = estimate.select(model=model, baseline="r2", metric="task reward").value
        assert macro == pytest.approx(tasks @ WEIGHTS, abs=1e-12)


def test_standard_error_of_a_plain_reward_is_that_of_a_mean():
    frame = random_judgements().filter(pl.col("baseline") == "r1", pl.col("model") == "m1")
    estimate = fit(frame, tasks=False, skipped=False, margin=-1).estimate_
    rewards = 100 * frame["outcome"].replace_strict(OUTCOMES).to_numpy()
    assert estimate.value[0] == pytest.approx(rewards.mean(), abs=1e-12)
    error = rewards.std(ddof=1) / np.sqrt(len(rewards))
    assert estimate.standard_error[0] == pytest.approx(error, rel=1e-10)


@pytest.mark.parametrize("denominator", ["counted", "all"])
def test_covariance_is_that_of_the_influence_summed_by_item(denominator):
    frame = random_judgements()
    fitted = fit(frame, baseline="baseline", denominator=denominator)
    columns = fitted._fitted_columns()
    prepared = fitted._prepare(columns)
    influence = fitted._influence(prepared, np.ones(columns.n))
    sums = np.zeros((150, influence.shape[1]))
    np.add.at(sums, frame["item"].to_numpy(), influence)
    sums -= sums.mean(axis=0)
    expected = 150 / 149 * sums.T @ sums
    np.testing.assert_allclose(fitted.estimate_.covariance, expected, rtol=1e-9, atol=1e-9)
    step = 1e-6
    for row in (0, 7, 333):
        change = step * (np.arange(columns.n) == row)
        up, down = (fitted._evaluate(prepared, 1 + sign * change) for sign in (1, -1))
        np.testing.assert_allclose(influence[row], (up - down) / (2 * step), atol=1e-6)


def test_analytic_agrees_with_the_bootstrap_by_item():
    frame = random_judgements()
    analytic = fit(frame, baseline="baseline").estimate_
    bootstrap = fit(
        frame, baseline="baseline", inference=es.Bootstrap(n_resamples=800, rng=1)
    ).estimate_
    assert analytic.n_clusters == bootstrap.n_clusters == 150
    ratio = bootstrap.standard_error / analytic.standard_error
    assert abs(np.median(ratio) - 1) < 0.04
    assert np.abs(ratio - 1).max() < 0.15


def test_models_are_compared_on_common_items():
    frame = random_judgements().filter(pl.col("baseline") == "r1")
    table = fit(frame, tasks=False).estimate_.compare("m1")
    assert table["model"].to_list() == ["m2"]
    assert table["standard_error"][0] > 0


def test_a_missing_baseline_is_refused_or_zero_on_request():
    frame = random_judgements().filter(~((pl.col("model") == "m2") & (pl.col("baseline") == "r3")))
    with pytest.raises(es.InputError, match="model 'm2' has no counted judgement against 'r3'"):
        fit(frame, baseline="baseline")
    estimate = fit(frame, baseline="baseline", missing_baseline="zero").estimate_
    assert estimate.select(model="m2", baseline="r3", metric="reward").value[0] == 0.0
    parts = [
        estimate.select(model="m2", baseline=name, metric="reward").value[0]
        for name in ("r1", "r2")
    ]
    mixture = estimate.select(model="m2", baseline="mixture", metric="reward").value[0]
    assert mixture == pytest.approx(sum(parts) / 3, abs=1e-12)
    assert np.isfinite(estimate.standard_error).all()


# Refusals ----------------------------------------------------------------------------------------


def edited(name, value):
    frame = random_judgements().filter(pl.col("baseline") == "r1", pl.col("model") == "m1")
    column = frame[name].to_list()
    column[4] = value
    return frame.with_columns(pl.Series(name, column, strict=False))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (lambda: edited("outcome", "better"), "outcome is 'better' in row 4: choose from"),
        (lambda: edited("length_model", -3), "length_model is -3 in row 4"),
        (lambda: edited("length_baseline", None), "length_baseline has 1 missing value"),
        (lambda: edited("length_baseline", float("inf")), "length_baseline has 1 infinite"),
        (lambda: edited("item", 0), "item 0 of model m1 is judged twice .*row 4"),
        (lambda: edited("task", ["Maths"]), "unknown tag 'Maths' in row 4"),
        (lambda: edited("task", []), "task is empty in row 4"),
    ],
)
def test_bad_columns_are_named(frame, message):
    with pytest.raises(es.InputError, match=message):
        fit(frame())


def test_a_missing_task_is_refused():
    frame = random_judgements().filter(pl.col("baseline") == "r1", pl.col("model") == "m1")
    frame = frame.with_columns(task=pl.lit("Math"))
    with pytest.raises(es.InputError, match="no counted judgement in the task 'Creative Tasks'"):
        fit(frame)


def test_bad_scores_and_masks():
    with pytest.raises(es.InputError, match="score is 11 in row 1"):
        es.WildBenchScore().fit([5, 11], ["m", "m"], [1, 2])
    with pytest.raises(es.InputError, match="skipped is 'no' in row 0"):
        es.WildBenchScore().fit([5, 10], ["m", "m"], [1, 2], skipped=["no", "yes"])


def test_lengths_are_required_by_the_rule():
    with pytest.raises(es.InputError, match="length_model is required by the length rule"):
        es.WildBenchReward().fit(["win", "tie"], ["m", "m"], [1, 2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"margin": -2}, "margin=-2"),
        ({"denominator": "some"}, "denominator='some'"),
        ({"missing_baseline": "nan"}, "missing_baseline='nan'"),
        ({"repeated_tags": "twice"}, "repeated_tags='twice'"),
    ],
)
def test_unknown_options(options, message):
    with pytest.raises(es.InputError, match=message):
        es.WildBenchReward(**options).fit(["win", "tie"], ["m", "m"], [1, 2])
