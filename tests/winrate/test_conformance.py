"""Length-controlled win rates against the recorded results of the reference."""

import json
import time

import numpy as np
import polars as pl
import pytest
from scipy import stats

import evalstats as es
from evalstats.winrate.difficulty import joint_difficulty
from evalstats.winrate.glm_kernels import pair_rates
from tests.winrate.support import FIT_ROLES, VARIANTS, alpaca, number, synthetic, synthetic_cases

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")


@pytest.fixture(scope="module")
def recorded(reference):
    return json.loads((reference / "winrate" / "alpaca_reference_24.json").read_text())["results"]


@pytest.fixture(scope="module")
def published(reference):
    return pl.read_csv(reference / "winrate" / "alpaca_published_24.csv")


def by_model(estimate):
    return dict(zip(estimate.terms["model"], estimate.value.tolist(), strict=True))


def test_published_table(reference, published):
    annotations, difficulty, gamed = alpaca(reference)
    fitted = es.LengthControlledWinRate(difficulty=difficulty, gamed=gamed, alignment="position")
    rates = by_model(fitted.fit(*FIT_ROLES, baseline="baseline", data=annotations).estimate_)
    wanted = dict(zip(published["model"], published["length_controlled_winrate"], strict=True))
    gaps = np.array([abs(rates[model] - wanted[model]) for model in wanted])
    assert gaps.max() < 0.12
    assert gaps.mean() < 0.05
    assert stats.spearmanr([rates[m] for m in wanted], list(wanted.values()))[0] > 0.999


def test_coefficients_of_the_published_table_reproduce_its_rates(reference, published):
    annotations, difficulty, _ = alpaca(reference)
    names = [name for name in published.columns if name.startswith("weight:")]
    d = difficulty["difficulty"].to_numpy()
    for row in published.iter_rows(named=True):
        weights = [row[name] or 0.0 for name in names]
        probability = 1 / (1 + np.exp(-(weights[1] * d + weights[2])))
        # NullModel is the one outlier among the shared models (README, section 6 of the card).
        within = 0.14 if row["model"] == "NullModel" else 0.02
        if annotations.filter(pl.col("model") == row["model"]).height == 805:
            assert 100 * probability.mean() == pytest.approx(
                row["length_controlled_winrate"], abs=within
            ), row["model"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_exact_fit_agrees_with_the_early_stopped_reference(reference, recorded, variant):
    annotations, difficulty, gamed = alpaca(reference)
    fitted = es.LengthControlledWinRate(
        preset=VARIANTS[variant], difficulty=difficulty, gamed=gamed, alignment="position"
    ).fit(*FIT_ROLES, baseline="baseline", data=annotations)
    # The reference shrinks (L1), most where a model is nearly separated.
    within = {"alpaca_v1": 0.11, "alpaca_noreg": 0.75, "alpaca_minimal": 0.30}[VARIANTS[variant]]
    for model, rate in by_model(fitted.estimate_).items():
        assert rate == pytest.approx(
            recorded[model][variant]["length_controlled_winrate"], abs=within
        ), model


@pytest.mark.parametrize("variant", VARIANTS)
def test_lasso_at_the_recorded_strength(reference, recorded, variant):
    annotations, difficulty, gamed = alpaca(reference)
    for model, variants in recorded.items():
        expected = variants[variant]
        if "tight" not in expected:
            continue
        fitted = es.LengthControlledWinRate(
            preset=VARIANTS[variant],
            difficulty=difficulty,
            gamed=gamed,
            alignment="position",
            penalty="lasso",
            strength=1.0 / expected["C"],
        ).fit(*FIT_ROLES, data=annotations.filter(pl.col("model") == model))
        tight = expected["tight"]
        assert fitted.estimate_.value[0] == pytest.approx(
            tight["length_controlled_winrate"], abs=1e-3
        )
        np.testing.assert_allclose(
            fitted.coefficients_["coefficient"], tight["coef"], rtol=1e-3, atol=1e-4
        )
        early = 0.2 if model == "gpt4_gamed" else 0.065
        assert fitted.estimate_.value[0] == pytest.approx(
            expected["length_controlled_winrate"], abs=early
        )


@pytest.mark.parametrize("variant", VARIANTS)
def test_synthetic_cases(reference, variant):
    checked = 0
    for name, case in synthetic_cases(reference).items():
        expected = case["expected"][variant]
        if "tight" not in expected:
            continue
        frame, difficulty, gamed = synthetic(case)
        fitted = es.LengthControlledWinRate(
            preset=VARIANTS[variant],
            difficulty=difficulty,
            gamed=gamed,
            alignment="position",
            penalty="lasso",
            strength=1.0 / expected["C"],
            nan_policy="predict",
        ).fit(*FIT_ROLES, data=frame)
        tight = expected["tight"]
        assert fitted.estimate_.value[0] == pytest.approx(
            tight["length_controlled_winrate"], abs=1e-3
        ), name
        np.testing.assert_allclose(
            fitted.coefficients_["coefficient"], tight["coef"], rtol=2e-4, atol=1e-3, err_msg=name
        )
        checked += 1
    assert checked >= 12


def test_model_that_is_the_baseline_gets_fifty(reference):
    frame, difficulty, gamed = synthetic(synthetic_cases(reference)["model_is_baseline_n60"])
    fitted = es.LengthControlledWinRate(difficulty=difficulty, gamed=gamed)
    named = frame.with_columns(baseline=pl.lit("m"))
    estimate = fitted.fit(*FIT_ROLES, baseline="baseline", data=named).estimate_
    assert estimate.value.tolist() == [50.0]
    assert estimate.standard_error.tolist() == [0.0]
    assert "baseline itself" in str(estimate)


def test_equal_lengths_are_refused(reference):
    frame, difficulty, gamed = synthetic(synthetic_cases(reference)["equal_lengths_n80"])
    fitted = es.LengthControlledWinRate(difficulty=difficulty, gamed=gamed)
    with pytest.raises(es.InputError, match="nothing can be controlled"):
        fitted.fit(*FIT_ROLES, data=frame)


def test_separation_is_refused_and_named(reference):
    frame, difficulty, gamed = synthetic(synthetic_cases(reference)["perfect_separation_n40"])
    minimal = es.LengthControlledWinRate(preset="alpaca_minimal")
    with pytest.raises(es.InputError, match=r"separated by \['length'"):
        minimal.fit(*FIT_ROLES, data=frame)
    for penalty in ("firth", "ridge"):
        estimator = es.LengthControlledWinRate(preset="alpaca_minimal", penalty=penalty)
        assert 20 < estimator.fit(*FIT_ROLES, data=frame).estimate_.value[0] < 80
    frame, difficulty, gamed = synthetic(synthetic_cases(reference)["constant_preference_n60"])
    v1 = es.LengthControlledWinRate(difficulty=difficulty, gamed=gamed)
    with pytest.raises(es.InputError, match=r"separated by \['model'\]"):
        v1.fit(*FIT_ROLES, data=frame)


def test_alignment_by_key_is_the_default_and_differs(reference):
    frame, difficulty, gamed = synthetic(synthetic_cases(reference)["subset_of_rows_n120"])
    options = {"difficulty": difficulty, "gamed": gamed}
    by_key = es.LengthControlledWinRate(**options).fit(*FIT_ROLES, data=frame).estimate_
    by_position = es.LengthControlledWinRate(alignment="position", **options)
    assert abs(by_key.value[0] - by_position.fit(*FIT_ROLES, data=frame).estimate_.value[0]) > 0.2


@pytest.mark.parametrize("variant", ["noreg", "v1"])
def test_unpenalised_fit_and_sandwich(reference, variant):
    cases = synthetic_cases(reference)
    path = reference / "winrate" / "glm_sandwich_statsmodels.json"
    for case in json.loads(path.read_text()):
        expected = case[variant]
        frame, difficulty, gamed = synthetic(cases[case["name"]])
        if case["difficulty_alignment"] != "index":
            # Recorded with the clusters, too, by position.
            frame = frame.with_columns(index=pl.int_range(pl.len()))
        options = {
            "preset": f"alpaca_{variant}",
            "difficulty": difficulty,
            "gamed": gamed,
            "alignment": "key" if case["difficulty_alignment"] == "index" else "position",
        }
        fitted = es.LengthControlledWinRate(**options).fit(*FIT_ROLES, data=frame)
        np.testing.assert_allclose(
            fitted.coefficients_["coefficient"], expected["params"], rtol=1e-8, atol=1e-8
        )
        assert fitted.estimate_.value[0] == pytest.approx(
            expected["lc_winrate_unpenalised"], abs=1e-7
        )
        n = fitted._fitted_columns().n
        sandwich = np.sqrt(n / (n - 1.0))
        effects = fitted.mediator_effects()
        assert effects.standard_error[0] == pytest.approx(
            sandwich * np.sqrt(expected["cov_cluster"][0][0]), rel=1e-10
        )
        fixed = es.LengthControlledWinRate(target="these_items", **options)
        fixed.fit(*FIT_ROLES, data=frame)
        assert fixed.estimate_.standard_error[0] == pytest.approx(
            sandwich * expected["delta_se_fixed_instructions_cluster"], rel=1e-9
        )
        if "influence_se" in expected:
            assert fitted.estimate_.standard_error[0] == pytest.approx(
                expected["influence_se"], rel=1e-10
            )
            assert fitted.estimate_.standard_error[0] == pytest.approx(
                expected["bootstrap_sd_over_instructions_2000"], rel=0.08
            )


def test_joint_difficulty_of_the_shared_models(reference):
    annotations, _, _ = alpaca(reference)
    recorded = pl.read_csv(reference / "winrate" / "alpaca_joint_difficulty_24.csv")
    wanted = recorded["difficulty"].to_numpy()
    joint = es.LengthControlledWinRate(preset="alpaca_noreg", difficulty="joint")
    started = time.perf_counter()
    joint.fit(*FIT_ROLES, baseline="baseline", data=annotations)
    assert time.perf_counter() - started < 10
    found = joint._fitted_columns().extra["difficulty"]
    assert stats.spearmanr(found[recorded["index"].to_numpy()], wanted)[0] > 0.99


def test_joint_difficulty_of_the_synthetic_models(reference):
    case = json.loads((reference / "winrate" / "joint_difficulty_synthetic.json").read_text())
    rows = case["rows"]
    _, model = np.unique(rows["model"], return_inverse=True)
    y = np.array([number(value) for value in rows["preference"]])
    assert y.max() <= 1
    t = np.tanh(rows["std_delta_len"])
    found, _ = joint_difficulty(y, t, model.astype(np.int64), np.array(rows["index"]))
    wanted = np.array([case["difficulty"][str(index)] for index in range(len(found))])
    assert stats.spearmanr(found, wanted)[0] > 0.97


def test_predicted_matrix(reference):
    case = json.loads((reference / "winrate" / "predicted_matrix.json").read_text())
    d = np.array(case["difficulty"])
    names = list(case["weights"])
    theta = np.array([case["weights"][name] for name in names])
    context = np.column_stack([np.zeros_like(d), d, np.ones_like(d)])
    first, second = (grid.ravel() for grid in np.indices((len(names), len(names))))
    out = np.empty(len(first))
    pair_rates(context, np.ones_like(d), theta, first.copy(), second.copy(), out)
    expected = case["matrix_percent_rows_are_model_columns_are_baseline"]
    for i, j, rate in zip(first, second, out, strict=True):
        # The outer key is the baseline, the inner one the model.
        assert 100 * rate == pytest.approx(expected[names[j]][names[i]], abs=1e-10)
    pair = names.index("m0") * len(names) + names.index("m1")
    assert out[pair] == pytest.approx(case["predict_winrate_m0_vs_m1"], abs=1e-12)


def test_correlation_with_the_arena(reference):
    frame = pl.read_csv(reference / "winrate" / "arena_correlation_37.csv")
    elo = frame["arena_elo_2024_02_02"]
    spearman = [
        stats.spearmanr(elo, frame[name])[0] for name in ("win_rate", "length_controlled_winrate")
    ]
    assert spearman == pytest.approx([0.9305275702618514, 0.9746295267069284], abs=1e-10)


def test_gameability(reference):
    frame = pl.read_csv(reference / "winrate" / "gameability_18.csv")
    base = frame.filter(~pl.col("model").str.contains("_concise|_verbose"))["model"].to_list()
    raw_sd, controlled_sd = 19.573117646115335, 19.28321729554352
    wanted = {
        ("win_rate", "verbose"): 21.35,
        ("win_rate", "concise"): 29.76,
        ("length_controlled_winrate", "verbose"): 7.48,
        ("length_controlled_winrate", "concise"): 16.00,
    }
    for (metric, variant), percent in wanted.items():
        rates = dict(zip(frame["model"], frame[metric], strict=True))
        pairs = np.array([[rates[name], rates[f"{name}_{variant}"]] for name in base])
        spread = (pairs.std(axis=1, ddof=1) / pairs.mean(axis=1)).mean()
        scale = 1.0 if metric == "win_rate" else raw_sd / controlled_sd
        assert 100 * spread * scale == pytest.approx(percent, abs=0.006), (metric, variant)
