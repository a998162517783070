"""Properties of length-controlled win rates: symmetry, sandwich, bootstrap, views, refusals."""

import numpy as np
import polars as pl
import pytest

import evalstats as es

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
ROLES = ("preference", "model", "item", "length_model", "length_baseline")


def judgements(rng, n=300, models=("a", "b", "c")):
    """Long frame of several models over the same instructions, and the true difficulty."""
    difficulty = rng.normal(size=n)
    baseline = rng.integers(300, 3000, n)
    frames = []
    for position, model in enumerate(models):
        length = np.maximum(0, baseline + rng.normal(200 * position, 900, n)).astype(int)
        t = np.tanh((baseline - length) / 900)
        eta = -0.8 + 0.5 * position - 1.2 * t + 0.7 * difficulty
        y = 1 / (1 + np.exp(-3 * (eta + rng.logistic(size=n))))
        frames.append(
            pl.DataFrame(
                {
                    "model": [model] * n,
                    "item": np.arange(n),
                    "preference": 1 + y,
                    "length_model": length,
                    "length_baseline": baseline,
                }
            )
        )
    return pl.concat(frames), dict(enumerate(difficulty.tolist()))


def gamed_rows(rng, n=300):
    t = rng.uniform(-1, 1, 2 * n)
    return pl.DataFrame(
        {
            "item": [*range(n), *range(n)],
            "t": t,
            "preference": 1 + 1 / (1 + np.exp(1.5 * t + rng.normal(size=2 * n))),
        }
    )


def fit(frame, **options):
    return es.LengthControlledWinRate(**options).fit(*ROLES, data=frame)


def test_swapping_sides(rng):
    frame, difficulty = judgements(rng)
    swapped = frame.with_columns(
        preference=3 - pl.col("preference"),
        length_model=pl.col("length_baseline"),
        length_baseline=pl.col("length_model"),
    )
    for options in ({}, {"difficulty": difficulty}, {"preset": "balanced"}, {"penalty": "firth"}):
        one, other = fit(frame, **options).estimate_, fit(swapped, **options).estimate_
        np.testing.assert_allclose(other.value, 100 - one.value, atol=1e-9)
        np.testing.assert_allclose(other.standard_error, one.standard_error, rtol=1e-9)


def test_model_against_itself(rng):
    frame, _ = judgements(rng, models=("a",))
    itself = frame.with_columns(
        preference=pl.lit(1.5), length_model=pl.col("length_baseline"), model=pl.lit("base")
    )
    estimate = fit(pl.concat([frame, itself])).estimate_
    assert estimate.select(model="base").value.tolist() == [50.0]
    assert estimate.select(model="base").standard_error.tolist() == [0.0]
    assert estimate.select(model="a").value[0] == pytest.approx(fit(frame).estimate_.value[0])


def test_rows_may_come_in_any_order(rng):
    frame, difficulty = judgements(rng)
    gamed = gamed_rows(rng)
    one = fit(frame, difficulty=difficulty, gamed=gamed).estimate_
    shuffled = frame.sample(fraction=1.0, shuffle=True, seed=1)
    other = fit(shuffled, difficulty=difficulty, gamed=gamed.sample(fraction=1.0, shuffle=True))
    for model in "abc":
        first, second = one.select(model=model), other.estimate_.select(model=model)
        assert second.value[0] == pytest.approx(first.value[0], abs=1e-9)
        assert second.standard_error[0] == pytest.approx(first.standard_error[0], rel=1e-9)


def test_affine_change_of_difficulty_changes_nothing(rng):
    frame, difficulty = judgements(rng)
    moved = {item: 3 - 2 * value for item, value in difficulty.items()}
    one = fit(frame, difficulty=difficulty).estimate_
    other = fit(frame, difficulty=moved).estimate_
    np.testing.assert_allclose(other.value, one.value, rtol=1e-10)
    np.testing.assert_allclose(other.standard_error, one.standard_error, rtol=1e-8)


@pytest.mark.filterwarnings("ignore")
def test_sandwich_equals_that_of_statsmodels(rng):
    import statsmodels.api as sm

    frame, difficulty = judgements(rng, models=("a",))
    gamed = gamed_rows(rng)
    fitted = fit(frame, difficulty=difficulty, gamed=gamed)
    delta = (frame["length_baseline"] - frame["length_model"]).to_numpy().astype(float)
    own = np.column_stack([np.tanh(delta / delta.std(ddof=1)), list(difficulty.values())])
    n = len(own)
    own = np.column_stack([own, np.ones(n)])
    other = np.column_stack(
        [gamed["t"], [difficulty[item] for item in gamed["item"]], np.zeros(2 * n)]
    )
    y = np.concatenate([frame["preference"], gamed["preference"]]) - 1
    weight = np.repeat([1.0, 0.1], [n, 2 * n])
    groups = np.concatenate([np.arange(n), gamed["item"]])
    model = sm.GLM(y, np.vstack([own, other]), sm.families.Binomial(), var_weights=weight)
    peer = model.fit(
        tol=1e-14,
        tol_criterion="params",
        cov_type="cluster",
        cov_kwds={"groups": groups, "use_correction": False},
    )
    theta = fitted.coefficients_["coefficient"].to_numpy()
    np.testing.assert_allclose(theta, peer.params, rtol=1e-10)
    slope = fitted.mediator_effects().select(effect="length").standard_error[0]
    expected = np.sqrt(peer.cov_params()[0, 0] * n / (n - 1))
    assert slope == pytest.approx(expected, rel=1e-10)
    fixed = fit(frame, difficulty=difficulty, gamed=gamed, target="these_items").estimate_
    q = 1 / (1 + np.exp(-(own[:, 1:] @ peer.params[1:])))
    gradient = 100 * (q * (1 - q)) @ np.column_stack([np.zeros(n), own[:, 1:]]) / n
    variance = gradient @ peer.cov_params() @ gradient * n / (n - 1)
    assert fixed.standard_error[0] == pytest.approx(np.sqrt(variance), rel=1e-10)


@pytest.mark.parametrize("options", [{}, {"penalty": "ridge"}, {"preset": "balanced"}], ids=str)
def test_influence_is_the_derivative(rng, options):
    frame, difficulty = judgements(rng, n=60, models=("a", "b"))
    if "preset" not in options:
        options = {**options, "difficulty": difficulty, "gamed": gamed_rows(rng, 60)}
    estimator = es.LengthControlledWinRate(**options)
    columns = estimator._columns(dict(zip(ROLES, ROLES, strict=True)), data=frame)
    prepared = estimator._prepare(columns)
    weights = rng.integers(1, 4, 60).astype(float)
    influence = estimator._influence(prepared, weights)
    step = 1e-4
    for item in range(0, 60, 7):
        change = step * (np.arange(60) == item)
        up, down = (estimator._evaluate(prepared, weights + s * change) for s in (1, -1))
        np.testing.assert_allclose(influence[item], (up - down) / (2 * step), atol=1e-6)


def test_bootstrap_agrees_with_the_influence(rng):
    frame, difficulty = judgements(rng, n=400)
    options = {"difficulty": difficulty, "gamed": gamed_rows(rng, 400)}
    analytic = fit(frame, **options).estimate_
    resampled = fit(frame, **options, inference=es.Bootstrap(n_resamples=2000, rng=1)).estimate_
    np.testing.assert_allclose(resampled.standard_error, analytic.standard_error, rtol=0.08)
    correlation = [np.corrcoef(e.covariance)[0, 1] for e in (analytic, resampled)]
    assert correlation[0] == pytest.approx(correlation[1], abs=0.15)
    fixed = fit(frame, **options, target="these_items").estimate_
    assert (fixed.standard_error < analytic.standard_error).all()


def test_refits_are_full_fits(rng):
    frame, difficulty = judgements(rng, n=120, models=("a",))
    estimator = es.LengthControlledWinRate(difficulty=difficulty)
    columns = estimator._columns(dict(zip(ROLES, ROLES, strict=True)), data=frame)
    prepared = estimator._prepare(columns)
    weights = rng.multinomial(120, np.full(120, 1 / 120)).astype(float)
    from scipy.optimize import root

    rows = prepared.design.fit
    w = weights[rows.item]

    def score(theta):
        return rows.design.T @ (w * (rows.y - 1 / (1 + np.exp(-rows.design @ theta))))

    oracle = root(score, np.zeros(3), tol=1e-13).x
    np.testing.assert_allclose(prepared.coefficients(weights)[0], oracle, atol=1e-9)


def test_wide_equals_long(rng):
    frame, _ = judgements(rng)
    wide = {
        role: {model: frame.filter(pl.col("model") == model)[role].to_numpy() for model in "abc"}
        for role in ("preference", "length_model")
    }
    baseline = frame.filter(pl.col("model") == "a")["length_baseline"].to_numpy()
    one = fit(frame).estimate_
    other = es.LengthControlledWinRate().fit(**wide, length_baseline=baseline).estimate_
    np.testing.assert_array_equal(other.value, one.value)
    np.testing.assert_array_equal(other.covariance, one.covariance)


def test_missing_judgements_keep_the_other_models(rng):
    frame, difficulty = judgements(rng)
    partial = frame.filter((pl.col("model") != "b") | (pl.col("item") >= 40))
    whole, joint = fit(frame, difficulty=difficulty), fit(partial, difficulty=difficulty)
    alone = fit(partial.filter(pl.col("model") == "b"), difficulty=difficulty).estimate_
    for model in "ac":
        assert joint.estimate_.select(model=model).standard_error == pytest.approx(
            whole.estimate_.select(model=model).standard_error
        )
    assert joint.estimate_.n.tolist() == [300, 260, 300]
    assert joint.estimate_.select(model="b").value == pytest.approx(alone.value)
    assert joint.estimate_.select(model="b").standard_error == pytest.approx(
        alone.standard_error, rel=1e-3
    )
    assert "different instructions" in str(joint.estimate_)


def test_missing_preferences(rng):
    frame, _ = judgements(rng, models=("a",))
    holed = frame.with_columns(
        preference=pl.when(pl.col("item") % 10 == 0).then(None).otherwise(pl.col("preference"))
    )
    with pytest.raises(es.InputError, match="30 missing values"):
        fit(holed)
    dropped = fit(holed, nan_policy="omit").estimate_
    kept = fit(holed, nan_policy="predict").estimate_
    assert dropped.n.tolist() == [270]
    assert kept.n.tolist() == [300]
    # Without difficulty the prediction is the same for every instruction.
    assert kept.value[0] == pytest.approx(dropped.value[0], abs=1.0)


def test_mediator_effects(rng):
    frame, difficulty = judgements(rng)
    fitted = fit(frame, difficulty=difficulty)
    effects = fitted.mediator_effects()
    assert effects.terms["effect"].to_list() == ["length", "raw - controlled"] * 3
    raw = es.WinRate().fit(*ROLES[:3], data=frame).estimate_
    gap = effects.select(effect="raw - controlled")
    np.testing.assert_allclose(gap.value, raw.value - fitted.estimate_.value, atol=1e-10)
    _, high = effects.select(effect="length").confidence_interval()
    assert (high < 0).all()
    assert effects.name in effects.methods()
    resampled = fit(frame, difficulty=difficulty, inference=es.Bootstrap(500, rng=0))
    np.testing.assert_allclose(
        resampled.mediator_effects().standard_error, effects.standard_error, rtol=0.15
    )


def test_matrix(rng):
    frame, difficulty = judgements(rng)
    fitted = fit(frame, difficulty=difficulty)
    matrix = fitted.matrix(baseline="base")
    assert len(matrix) == 4 * 3
    for model in "abc":
        against = matrix.select(model=model, opponent="base")
        own = fitted.estimate_.select(model=model)
        assert against.value[0] == pytest.approx(own.value[0], abs=1e-9)
        assert against.standard_error[0] == pytest.approx(own.standard_error[0], rel=1e-9)
    one, other = (matrix.select(model=i, opponent=j) for i, j in ("ab", "ba"))
    assert one.value[0] + other.value[0] == pytest.approx(100)
    assert one.standard_error[0] == pytest.approx(other.standard_error[0])
    resampled = fit(frame, difficulty=difficulty, inference=es.Bootstrap(500, rng=0)).matrix()
    np.testing.assert_allclose(resampled.standard_error, matrix.standard_error, rtol=0.15)


def test_ranks(rng):
    frame, difficulty = judgements(rng)
    fitted = fit(frame, difficulty=difficulty)
    ranks = fitted.ranks()
    assert ranks["rank"].to_list() == [3, 2, 1]
    assert (ranks["rank_low"] <= ranks["rank"]).all()
    assert (ranks["rank"] <= ranks["rank_high"]).all()
    wider = fitted.ranks(0.9999999)
    assert (wider["rank_high"] - wider["rank_low"]).sum() >= (
        ranks["rank_high"] - ranks["rank_low"]
    ).sum()
    assert fit(frame.filter(pl.col("model") == "a")).ranks()["rank_high"].to_list() == [1]
    half = pl.when(pl.col("item") < 150).then(pl.lit("n")).otherwise(pl.lit("s"))
    grouped = es.LengthControlledWinRate().fit(*ROLES, data=frame.with_columns(h=half), by="h")
    assert grouped.ranks()["rank_high"].max() <= 3


def test_diagnostics_and_calibration(rng):
    frame, difficulty = judgements(rng)
    fitted = fit(frame, difficulty=difficulty, gamed=gamed_rows(rng))
    table = fitted.diagnostics()
    assert table["model"].to_list() == ["a", "b", "c"]
    np.testing.assert_allclose(table["controlled"], fitted.estimate_.value)
    longer = (frame["length_model"] > frame["length_baseline"]).to_numpy().reshape(3, -1)
    np.testing.assert_allclose(table["share_above_baseline"], longer.mean(axis=1))
    bins = fitted.calibration()
    assert bins.height == 30
    assert bins["n"].sum() == 900
    # The score equations: observed and predicted agree over each model.
    plain = fit(frame).calibration(5)
    for _, part in plain.group_by("model"):
        gap = ((part["observed"] - part["predicted"]) * part["n"]).sum()
        assert gap == pytest.approx(0.0, abs=1e-6)


def test_formula_reproduces_the_preset(rng):
    frame, difficulty = judgements(rng)
    known = frame.with_columns(d=pl.col("item").replace_strict(difficulty))
    preset = fit(frame, difficulty=difficulty).estimate_
    formula = es.LengthControlledWinRate(
        formula="tanh(std(length)) + difficulty", difficulty=difficulty
    ).fit(*ROLES, data=frame)
    np.testing.assert_allclose(formula.estimate_.value, preset.value, rtol=1e-10)
    column = es.LengthControlledWinRate(difficulty="d").fit(*ROLES, data=known).estimate_
    np.testing.assert_allclose(column.covariance, preset.covariance, rtol=1e-10)


def test_formula_with_further_mediators(rng):
    frame, _ = judgements(rng)
    n = frame.height
    frame = frame.with_columns(
        lists_model=rng.poisson(3, n),
        lists_baseline=rng.poisson(3, n),
        position=rng.choice([-1, 1], n),
        task=pl.Series(np.array(["code", "chat", "math"])[frame["item"].to_numpy() % 3]),
    )
    fitted = es.LengthControlledWinRate(
        formula="tanh(std(length)) + std(log1p(lists_baseline) - log1p(lists_model))"
        " + position + C(task)",
        context=("task",),
    ).fit(*ROLES, position="position", data=frame)
    effects = fitted.mediator_effects()
    assert effects.select(model="a").terms.height == 4
    assert fitted.coefficients_.filter(pl.col("model") == "a").height == 6
    for bad in ("abs_length", "lists_model", "length:position", "C(task)"):
        with pytest.raises(es.InputError):
            es.LengthControlledWinRate(formula=bad).fit(*ROLES, position="position", data=frame)


def test_joint_difficulty_equals_the_dense_fit(rng):
    from scipy.optimize import root

    from evalstats.winrate.difficulty import joint_difficulty

    n_models, n_items = 4, 15
    model, item = (grid.ravel().astype(np.int64) for grid in np.indices((n_models, n_items)))
    t, y = rng.uniform(-1, 1, len(model)), rng.random(len(model))
    found, coefficients = joint_difficulty(y, t, model, item, tolerance=1e-14)
    one_hot = np.eye(n_models)[model]
    design = np.hstack([one_hot, one_hot * t[:, None], np.eye(n_items)[item]])
    ridge = np.repeat([0.0, 1.0], [2 * n_models, n_items])

    def score(theta):
        p = 1 / (1 + np.exp(-design @ theta))
        return design.T @ (y - p) - ridge * theta

    dense = root(score, np.zeros(design.shape[1]), tol=1e-14).x
    np.testing.assert_allclose(found, dense[2 * n_models :], atol=1e-10)
    np.testing.assert_allclose(coefficients.T.ravel(), dense[: 2 * n_models], atol=1e-10)
    assert found.sum() == pytest.approx(0, abs=1e-10)


def test_firth_equals_its_definition(rng):
    from scipy.optimize import minimize

    n = 40
    baseline, length = rng.integers(100, 2000, (2, n)).astype(float)
    y = (length > baseline).astype(float)
    fitted = es.LengthControlledWinRate(coding="unit", penalty="firth").fit(
        y, length_model=length, length_baseline=baseline
    )
    delta = baseline - length
    design = np.column_stack([np.tanh(delta / delta.std(ddof=1)), np.ones(n)])

    def objective(theta):
        eta = design @ theta
        p = 1 / (1 + np.exp(-eta))
        information = design.T @ (design * (p * (1 - p))[:, None])
        return -(y @ eta - np.logaddexp(0, eta).sum() + 0.5 * np.linalg.slogdet(information)[1])

    oracle = minimize(objective, np.zeros(2), method="Nelder-Mead", tol=1e-10).x
    np.testing.assert_allclose(fitted.coefficients_["coefficient"], oracle, atol=1e-4)


def test_groups_and_weights_per_judgement(rng):
    frame, _ = judgements(rng)
    frame = frame.with_columns(
        site=pl.when(pl.col("item") < 150).then(pl.lit("n")).otherwise(pl.lit("s")),
        w=rng.uniform(0.5, 2, frame.height),
    )
    grouped = es.LengthControlledWinRate().fit(*ROLES, data=frame, by="site").estimate_
    alone = fit(frame.filter(pl.col("site") == "s")).estimate_
    np.testing.assert_allclose(grouped.select(group="s").value, alone.value, rtol=1e-12)
    weighted = es.LengthControlledWinRate().fit(*ROLES, data=frame, sample_weight="w").estimate_
    assert not np.allclose(weighted.value, fit(frame).estimate_.value, atol=1e-3)


def test_repeated_judgements_at_half_weight_change_nothing(rng):
    frame, difficulty = judgements(rng)
    twice = pl.concat([frame, frame]).with_columns(half=pl.lit(0.5))
    estimator = es.LengthControlledWinRate(difficulty=difficulty, repeats=True)
    with pytest.raises(es.InputError, match="judged more than once"):
        fit(twice)
    doubled = estimator.fit(*ROLES, data=twice, sample_weight="half").estimate_
    once = fit(frame, difficulty=difficulty).estimate_
    # The length scale alone knows the number of rows, through its n - 1.
    np.testing.assert_allclose(doubled.value, once.value, rtol=1e-4)
    np.testing.assert_allclose(doubled.standard_error, once.standard_error, rtol=1e-3)


def test_warnings(rng):
    frame, _ = judgements(rng, models=("a",))
    shorter = frame.with_columns(length_model=pl.col("length_baseline") // 2)
    with pytest.warns(es.EvalstatsWarning, match=r"\[no-overlap\].*extrapolation"):
        fit(shorter)
    with pytest.warns(es.EvalstatsWarning, match=r"\[few-items\].*30 judgements"):
        fit(frame.head(30))
    preference = pl.when(pl.int_range(pl.len()) < 6).then(1.9).otherwise(1.001)
    lost = frame.with_columns(preference.alias("preference"))
    wins = 0.9 * 6 + 0.001 * (len(frame) - 6)
    with pytest.warns(es.EvalstatsWarning, match=rf"\[few-wins\].* has {wins:.1f} wins"):
        fit(lost)


def refused():
    """Changes of the frame or the options, and what must be said about them."""
    lengths = pl.col("length_model")
    return [
        (lambda f: f.with_columns(length_model=-lengths - 1), {}, "must be finite and >= 0"),
        (
            lambda f: f.with_columns(
                length_model=pl.when(pl.col("item") == 3).then(float("inf")).otherwise(lengths)
            ),
            {},
            "is inf in row 3",
        ),
        (lambda f: f.with_columns(length_model=lengths.cast(pl.String)), {}, "dtype"),
        (
            lambda f: f.with_columns(length_model=pl.col("length_baseline")),
            {},
            "nothing can be controlled",
        ),
        (
            lambda f: f.with_columns(length_model=pl.col("length_baseline") + 7),
            {},
            "constant mediator",
        ),
        (lambda f: f.head(1), {}, "needs at least 2"),
        (lambda f: f.with_columns(preference=pl.lit(2.0)), {}, r"separated by \['model'\]"),
        (lambda f: f.with_columns(preference=pl.lit(0.4)), {}, "outside|coding='alpaca'"),
        (lambda f: pl.concat([f, f]), {}, "judged more than once"),
        (lambda f: f, {"difficulty": {0: 1.0}}, r"no value for the item 1 \(299 of 300"),
        (lambda f: f, {"difficulty": {0: float("nan")}}, "must be finite"),
        (lambda f: f, {"difficulty": dict.fromkeys(range(300), 2.0)}, "collinear"),
        (lambda f: f, {"difficulty": "joint"}, "at least 2 models"),
        (lambda f: f, {"difficulty": pl.DataFrame({"x": [1]})}, "no column 'item'"),
        (lambda f: f, {"gamed": pl.DataFrame({"item": [1], "preference": [1.0]})}, "column 't'"),
        (
            lambda f: f,
            {"difficulty": {0: 1.0, 1: 2.0}, "alignment": "position"},
            "no value|has 300 rows",
        ),
        (lambda f: f, {"preset": "alpaca"}, "preset='alpaca' is unknown"),
        (lambda f: f, {"penalty": "l2"}, "penalty='l2' is unknown"),
        (lambda f: f, {"strength": -1.0}, "strength=-1.0"),
        (lambda f: f, {"target": "all"}, "target='all' is unknown"),
        (lambda f: f, {"nan_policy": "drop"}, "nan_policy='drop'"),
        (lambda f: f, {"formula": "length +"}, "cannot be read"),
        (lambda f: f, {"formula": "y ~ length"}, "left-hand side"),
        (lambda f: f, {"formula": "length", "gamed": 1}, "use them with a preset"),
    ]


@pytest.mark.parametrize(("change", "options", "message"), refused())
def test_refusals(rng, change, options, message):
    frame, _ = judgements(rng, models=("a",))
    with pytest.raises(es.InputError, match=message):
        fit(change(frame), **options)


def test_several_baselines_are_refused(rng):
    frame, _ = judgements(rng, models=("a",))
    mixed = frame.with_columns(base=pl.Series(["x", "y"] * 150))
    with pytest.raises(es.InputError, match="one baseline at a time"):
        es.LengthControlledWinRate().fit(*ROLES, baseline="base", data=mixed)


def test_balanced_has_no_model(rng):
    frame, _ = judgements(rng, models=("a",))
    balanced = fit(frame, preset="balanced")
    y = 100 * (frame["preference"].to_numpy() - 1)
    delta = (frame["length_model"] - frame["length_baseline"]).to_numpy()
    expected = (y[delta > 0].mean() + y[delta < 0].mean()) / 2
    assert balanced.estimate_.value[0] == pytest.approx(expected, rel=1e-12)
    for method in (balanced.mediator_effects, balanced.matrix, balanced.diagnostics):
        with pytest.raises(es.InputError, match="fits no model"):
            method()
