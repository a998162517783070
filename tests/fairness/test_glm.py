"""FairGLM: optimum of the fixtures, statsmodels without penalty, balance, errors, refusals."""

import json
import pickle

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone, is_classifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import evalstats as es
from evalstats.fairness.geometry import Ranking

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
NAMES = np.array(["a", "b", "c"])


@pytest.fixture(scope="module")
def fixtures(reference):
    folder = reference / "fairness"
    cases = json.loads((folder / "fairglm_cases.json").read_text(encoding="utf-8"))["cases"]
    data = np.load(folder / "fairglm_data.npz")

    def arguments(case):
        prefix = case["data"]
        return {
            "X": data[f"{prefix}_X"][:, 1:],
            "y": data[f"{prefix}_y"].astype(float),
            "protected": {
                "sex": data[f"{prefix}_sex"].ravel().astype(int),
                "nom": NAMES[data[f"{prefix}_nom3_over_sqrt2"].argmax(axis=1)],
            },
            "exposure": data[f"{prefix}_exposure"] if case["family"] == "poisson" else None,
        }

    return cases, arguments


def fitted(case, arguments, **options):
    kind, version = case["penalty"].split("_")
    model = es.FairGLM(
        family=case["family"],
        penalty="joint" if kind == "jd" else "concatenated",
        estimator="unbiased" if version == "u" else "biased",
        strength=case["lam"],
        scale=case["scale"],
        c=case["c"],
        **{"rebalance": False, **options},
    )
    return model.fit(**arguments(case))


def test_optimum_of_every_fixture(fixtures):
    cases, arguments = fixtures
    for case in cases:
        model = fitted(case, arguments)
        penalty = model._objective_seen.penalty
        y = model._objective_seen.y
        unbiased = case["penalty"].endswith("u")
        # The fixtures include what the prediction cannot change.
        parts = penalty.geometries[0].parts(Ranking.of(y), np.ones(len(y)), unbiased)
        constant = float(parts.among_attributes)
        objective = model.objective_ + case["lam"] * constant
        assert objective <= case["objective"] + 1e-8 * abs(case["objective"]), case["id"]
        limit = 1e-5 if case["grad_inf_norm"] < 1e-7 else 1e-4
        coefficients = [model.intercept_, *model.coef_]
        np.testing.assert_allclose(coefficients, case["coef"], atol=limit, err_msg=case["id"])
        assert model.penalty_ + constant == pytest.approx(case["penalty_value"], abs=1e-6)
        rate = model.predict_mean(arguments(case)["X"])
        np.testing.assert_allclose(rate, case["fitted_rate"], atol=1e-4)


def test_without_penalty_it_is_statsmodels(fixtures):
    import statsmodels.api as sm

    families = {
        "gaussian": sm.families.Gaussian(),
        "binomial": sm.families.Binomial(),
        "poisson": sm.families.Poisson(),
    }
    cases, arguments = fixtures
    plain = [case for case in cases if case["lam"] == 0]
    assert len(plain) == 3
    for case in plain:
        given = arguments(case)
        model = fitted(case, arguments)
        offset = None if given["exposure"] is None else np.log(given["exposure"])
        peer = sm.GLM(
            given["y"], sm.add_constant(given["X"]), families[case["family"]], offset=offset
        )
        classic, robust = peer.fit(tol=1e-14), peer.fit(cov_type="HC0", tol=1e-14)
        np.testing.assert_allclose([model.intercept_, *model.coef_], classic.params, atol=1e-8)
        error = model.coefficient_table("model")["standard_error"]
        np.testing.assert_allclose(error, classic.bse, rtol=1e-8)
        error = model.coefficient_table()["standard_error"]
        np.testing.assert_allclose(error, robust.bse, rtol=1e-8)


def test_balance(fixtures):
    """A log link under-predicts by strength times penalty; rebalancing repairs the mean."""
    cases, arguments = fixtures
    case = next(c for c in cases if c["id"] == "poisson_ccd_v_lam2.0_rate")
    given = arguments(case)
    model = fitted(case, arguments)
    share = given["exposure"] / len(given["y"])
    gap = given["y"].mean() - share @ model.predict_mean(given["X"])
    assert gap == pytest.approx(2.0 * model.penalty_, abs=1e-7)
    balanced = fitted(case, arguments, rebalance=True)
    mean = balanced.predict_mean(given["X"], given["exposure"]).mean()
    assert mean == pytest.approx(given["y"].mean(), rel=1e-12)
    assert balanced.balance_factor_ == pytest.approx(given["y"].mean() / (given["y"].mean() - gap))
    case = next(c for c in cases if c["id"] == "binomial_ccd_v_lam2.0_rate")
    given = arguments(case)
    probability = fitted(case, arguments, rebalance=True).predict_proba(given["X"])[:, 1]
    assert probability.mean() == pytest.approx(given["y"].mean(), abs=1e-10)


def test_strong_penalty_collapses(fixtures):
    cases, arguments = fixtures
    case = next(c for c in cases if c["id"] == "poisson_ccd_v_strong")
    model = fitted(case, arguments)
    assert np.abs(model.coef_).max() < 1e-6
    assert model.kink_


def test_compas_path(reference):
    folder = reference / "fairness"
    expected = json.loads((folder / "compas_expected.json").read_text(encoding="utf-8"))
    frame = pl.read_parquet(folder / "compas.parquet").filter("in_propublica_6172")
    features = frame.select(
        pl.col("age") / 10,
        pl.col("priors_count") / 5,
        "juv_fel_count",
        "juv_misd_count",
        "juv_other_count",
        (pl.col("c_charge_degree") == "F").cast(pl.Int64),
    ).to_numpy()
    y = frame["two_year_recid"].to_numpy()
    for step in expected["fairglm_logit_path"]["path"]:
        if step["lam"] not in (0.0, 5.0, 20.0, 50.0):
            continue
        model = es.FairGLM(family="binomial", strength=step["lam"], rebalance=False)
        model.fit(features, y, protected=frame.select("sex", "race"))
        assert model.objective_ <= step["objective"] + 1e-6


def simulated(rng, n=300):
    sex = rng.integers(0, 2, n)
    X = np.column_stack([sex + rng.normal(size=n), rng.normal(size=n)])
    return X, sex


@pytest.mark.parametrize("family", ["gaussian", "binomial", "poisson"])
def test_sandwich_is_near_the_bootstrap(family, rng):
    X, sex = simulated(rng)
    link = 0.5 * X[:, 0] - 0.3 * X[:, 1]
    y = {
        "gaussian": lambda: link + rng.normal(size=300),
        "binomial": lambda: (rng.random(300) < 1 / (1 + np.exp(-link))).astype(int),
        "poisson": lambda: rng.poisson(np.exp(0.5 * link)),
    }[family]()
    model = es.FairGLM(family=family, strength=0.5).fit(X, y, protected={"sex": sex})
    sandwich = np.sqrt(np.diag(model.covariance("sandwich")))
    bootstrap = np.sqrt(np.diag(model.covariance("bootstrap", n_resamples=100)))
    np.testing.assert_allclose(sandwich, bootstrap, rtol=0.3)
    table = model.coefficient_table()
    assert table.columns == ["term", "estimate", "standard_error", "ci_low", "ci_high"]


@pytest.mark.parametrize("penalty", ["concatenated", "joint", "marginal"])
@pytest.mark.parametrize("estimator", ["biased", "positive"])
def test_penalties_lower_dependence(penalty, estimator, rng):
    X, sex = simulated(rng)
    y = X.sum(axis=1) + rng.normal(size=300)
    protected = {"sex": sex, "region": NAMES[rng.integers(0, 3, 300)]}
    options = {"penalty": penalty, "estimator": estimator}
    plain, fair = (
        es.FairGLM(strength=strength, **options).fit(X, y, protected=protected)
        for strength in (0.0, 15.0)
    )
    assert 0 <= fair.penalty_ < 0.5 * plain.penalty_
    assert fair.loss_ > plain.loss_


def test_weights_are_repeated_rows(rng):
    X, sex = simulated(rng, 80)
    y = X.sum(axis=1) + rng.normal(size=80)
    counts = rng.integers(1, 4, 80)
    rows = np.repeat(np.arange(80), counts)
    weighted = es.FairGLM(strength=1.0).fit(X, y, protected={"s": sex}, sample_weight=counts)
    repeated = es.FairGLM(strength=1.0).fit(X[rows], y[rows], protected={"s": sex[rows]})
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-6)
    assert weighted.objective_ == pytest.approx(repeated.objective_, rel=1e-10)


def test_scikit_learn(rng):
    X, sex = simulated(rng)
    y = (X[:, 0] + rng.normal(size=300) > 0).astype(int)
    model = es.FairGLM(family="binomial")
    assert is_classifier(model)
    assert not is_classifier(es.FairGLM())
    search = GridSearchCV(model, {"strength": [0.0, 2.0]}, cv=3)
    search.fit(X, y, protected=sex)
    assert search.best_params_["strength"] in (0.0, 2.0)
    pipe = make_pipeline(StandardScaler(), clone(model).set_params(strength=1.0))
    pipe.fit(X, y, fairglm__protected={"sex": sex})
    assert pipe.score(X, y) > 0.5
    copy = pickle.loads(pickle.dumps(pipe[-1]))
    np.testing.assert_array_equal(copy.predict(X), pipe[-1].predict(X))
    with pytest.raises(es.InputError, match="holds no data"):
        copy.covariance()


UNDETERMINED = {
    "check_sample_weight_equivalence_on_dense_data": "as many coefficients as rows: the fit "
    "without penalty is not unique, and which one is found depends on the scale of the columns"
}


@parametrize_with_checks(
    [es.FairGLM(), es.FairGLM(family="poisson"), es.FairGLM(family="binomial")],
    expected_failed_checks=lambda model: {} if model.family == "binomial" else UNDETERMINED,
)
def test_estimator_checks(estimator, check):
    check(estimator)


X4, Y4 = np.arange(40.0).reshape(20, 2) % 7, np.arange(20) % 2
S4 = {"s": np.arange(20) % 2}
REFUSALS = [
    ({"strength": -1.0}, {}, "strength=-1.0"),
    ({"strength": 1.0}, {"protected": None}, "needs protected="),
    ({"family": "gamma"}, {}, "family='gamma'"),
    ({"scale": "odds"}, {}, "scale='odds'"),
    ({"c": -1.0}, {}, "c=-1.0"),
    (
        {"family": "poisson"},
        {"exposure": np.where(np.arange(20) == 3, 0, 1)},
        "exposure is 0.0 in row 3",
    ),
    ({"family": "poisson"}, {"y": Y4 - 0.5}, "y is -0.5 in row 0"),
    ({"family": "binomial"}, {"y": 2.0 * Y4 + np.arange(20) % 3}, "two"),
    ({}, {"exposure": np.ones(20)}, "exposure is for family='poisson'"),
    ({"strength": 1.0}, {"protected": {"s": np.arange(19) % 2}}, "protected has 19 rows"),
    ({"strength": 1.0}, {"protected": {"s": np.arange(20)}}, "declare 's'"),
    ({}, {"sample_weight": -np.ones(20)}, "sample_weight is -1.0 in row 0"),
    (
        {"strength": 1.0, "estimator": "unbiased"},
        {"sample_weight": np.full(20, 0.5)},
        "whole numbers",
    ),
]


REFUSALS += [
    ({"family": "poisson"}, {"sample_weight": 1.0 - Y4}, "y is 0 in every row with a weight"),
    ({"family": "binomial"}, {"sample_weight": 1.0 - Y4}, "one class only among the rows"),
    ({"family": "binomial"}, {"y": np.full(20, 2.0)}, r"one class only \(2.0\)"),
    (
        {"strength": 1.0, "estimator": "unbiased"},
        {"sample_weight": (np.arange(20) < 3).astype(float)},
        "3 rows: the unbiased version needs at least 4",
    ),
]


@pytest.mark.parametrize("family", ["gaussian", "poisson", "binomial"])
@pytest.mark.parametrize("strength", [0.0, 0.5])
def test_a_constant_column_has_no_effect(family, strength, rng):
    # 0.1 has a rounded mean, so that its spread is not exactly 0.
    X, y = rng.normal(size=(80, 1)), rng.integers(0, 2, 80)
    protected = {"s": rng.integers(0, 2, 80)}
    model = es.FairGLM(family=family, strength=strength)
    alone = clone(model).fit(X, y, protected=protected)
    beside = clone(model).fit(np.column_stack([X, np.full(80, 0.1)]), y, protected=protected)
    np.testing.assert_allclose(beside.coef_, [alone.coef_[0], 0.0], rtol=1e-5, atol=1e-9)
    with pytest.raises(es.InputError, match="constant or combinations of others"):
        beside.covariance("sandwich")


def test_path_refuses_folds_without_events(rng):
    y = np.zeros(60)
    y[7] = 1.0
    X, protected = rng.normal(size=(60, 1)), {"s": np.arange(60) % 2}
    with pytest.raises(es.InputError, match="needs an event"):
        es.fairness_path(X, y, protected, model=es.FairGLM(family="poisson"), cv=3)


@pytest.mark.parametrize(("options", "arguments", "message"), REFUSALS, ids=lambda x: str(x)[:30])
def test_refusals(options, arguments, message):
    given = {"X": X4, "y": Y4, "protected": S4, **arguments}
    with pytest.raises(ValueError, match=message):
        es.FairGLM(**options).fit(**given)


def test_protected_attribute_among_the_features():
    X = np.column_stack([np.arange(20) % 2, X4[:, 0]])
    with pytest.warns(es.EvalstatsWarning, match=r"\[protected-in-features\] column 0"):
        es.FairGLM().fit(X, Y4, protected=S4)


def test_path(rng):
    X, sex = simulated(rng)
    y = X.sum(axis=1) + rng.normal(size=300)
    path = es.fairness_path(X, y, {"sex": sex}, strengths=[0, 0.5, 2, 8, 32], cv=3)
    frame = path.frame
    assert frame["strength"].to_list() == [0, 0.5, 2, 8, 32]
    assert frame["ccdcov"][4] < 0.1 * frame["ccdcov"][0]
    assert frame["pareto"].any()
    assert path.select("budget", budget=10.0) == 32
    assert path.select("budget", budget=0.0) >= 0
    assert path.select("one-se") in frame["strength"]
    assert path.select("jsd-elbow") in frame["strength"]
    if (frame["p_value"] > 0.05).any():
        chosen = path.select("test")
        assert frame.filter(pl.col("strength") == chosen)["p_value"][0] > 0.05
    alone = es.FairGLM(strength=2.0).fit(X, y, protected={"sex": sex})
    assert path.model(2.0).objective_ <= alone.objective_ + 1e-7
    np.testing.assert_allclose(path.model(2.0).predict(X), alone.predict(X), atol=1e-3)
    assert path.plot().get_xlabel()
    again = es.fairness_path(X, y, {"sex": sex}, strengths=[0, 0.5, 2, 8, 32], cv=3)
    assert again.frame.equals(frame)
    fitted_rows = es.fairness_path(X, y, {"sex": sex}, strengths=[0, 1], cv=0)
    with pytest.raises(es.InputError, match="no left-out rows"):
        fitted_rows.select()
    with pytest.raises(es.InputError, match="rule='best'"):
        path.select("best")
    with pytest.raises(es.InputError, match="not on the path"):
        path.model(3.0)
    with pytest.raises(es.InputError, match="must be at least 0 and increase"):
        es.fairness_path(X, y, {"sex": sex}, strengths=[1, 0])
    with pytest.raises(es.InputError, match="cv=1"):
        es.fairness_path(X, y, {"sex": sex}, cv=1)
    assert len(es.fairness_path(X, y, {"sex": sex}, cv=0).models) == 20
