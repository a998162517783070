"""Bradley-Terry against a sparse logistic regression; length control against AlpacaEval's path."""

import warnings
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import expit
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import GroupKFold

import evalstats as es
from benchmarks.harness import Contest, benchmark

N_MODELS = 100
CONTROLS = ("tokens", "header", "list", "bold")
BATTLES = 10**6
REPLICATES = 100
INSTRUCTIONS = 805
LC_MODELS = 24
LC_REPLICATES = 10**4

Array = NDArray[np.float64]


class Battles(NamedTuple):
    """Battles of an arena: models, outcome for the first, controls of both sides, users."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    outcome: Array
    sides: tuple[Array, Array]
    user: NDArray[np.int64]


@cache
def arena(size: int) -> Battles:
    """Longer answers win more often; a user contributes about ten battles."""
    rng = np.random.default_rng(3)
    first = rng.integers(0, N_MODELS, size)
    second = (first + rng.integers(1, N_MODELS, size)) % N_MODELS
    strength = rng.normal(0, 0.5, N_MODELS)
    sides = rng.integers(0, 500, (2, size, len(CONTROLS))).astype(np.float64)
    slopes = np.array([0.3, 0.1, 0.05, 0.0])
    eta = strength[first] - strength[second] + contrasts(*sides) @ slopes
    outcome = (rng.random(size) < expit(eta)).astype(np.float64)
    return Battles(first, second, outcome, (sides[0], sides[1]), rng.integers(0, size // 10, size))


def contrasts(a: Array, b: Array) -> Array:
    """Relative differences of the sides, divided by their root mean square."""
    relative = (a - b) / (a + b + 1)
    return np.asarray(relative / np.sqrt((relative**2).mean(axis=0)))


def named(side: Array) -> dict[str, Array]:
    """Controls of one side by name."""
    return dict(zip(CONTROLS, np.ascontiguousarray(side.T), strict=True))


def rated(battles: Battles, cluster: Any = None, **options: Any) -> es.BradleyTerry:
    """Our fit, with standard errors."""
    return es.BradleyTerry(**options).fit(
        battles.first,
        battles.second,
        battles.outcome,
        named(battles.sides[0]),
        named(battles.sides[1]),
        cluster=cluster,
    )


@benchmark(
    "Bradley–Terry, 100 models, 4 controls, sandwich errors (peer: points only)",
    peer="scikit-learn sparse `LogisticRegression`",
    size=BATTLES,
    min_ratio=5,
    max_seconds=0.5,
    runs=5,
    peer_runs=2,
)
def style_control() -> Contest:
    """Both maximise the same likelihood; differences of ratings are compared in log-odds."""
    battles = arena(BATTLES)

    def ours() -> Array:
        estimate = rated(battles, rating_scale="logit").estimate_
        return np.asarray(estimate.value[:N_MODELS] - estimate.value[0])

    def theirs() -> Array:
        rows = np.arange(BATTLES)
        signs = np.ones(BATTLES)
        design = sparse.csr_matrix(
            (
                np.concatenate([signs, -signs]),
                (np.tile(rows, 2), np.concatenate([battles.first, battles.second])),
            ),
            shape=(BATTLES, N_MODELS),
        )
        full = sparse.hstack([design, sparse.csr_matrix(contrasts(*battles.sides))]).tocsr()
        model = LogisticRegression(C=1e8, fit_intercept=False, tol=1e-6, max_iter=300)
        coefficients = model.fit(full, battles.outcome).coef_[0, :N_MODELS]
        return np.asarray(coefficients - coefficients[0])

    return Contest(ours=ours, theirs=theirs)


@benchmark(
    f"Bradley–Terry, 100 models, 4 controls, {REPLICATES} bootstrap refits by user",
    size=BATTLES,
    max_seconds=30.0,
    runs=1,
)
def style_control_bootstrap() -> Contest:
    """Whole clusters of battles are drawn; each replicate starts at the full fit."""
    battles = arena(BATTLES)

    def ours() -> Array:
        inference = es.Bootstrap(n_resamples=REPLICATES, rng=0)
        return rated(battles, inference=inference, cluster=battles.user).estimate_.standard_error

    return Contest(ours=ours)


@benchmark("Bradley–Terry without controls, 100 models", size=BATTLES, runs=5)
def plain_ratings() -> Contest:
    """Battles collapse to one row per pair."""
    battles = arena(BATTLES)
    return Contest(
        ours=lambda: (
            es.BradleyTerry()
            .fit(battles.first, battles.second, battles.outcome)
            .estimate_.standard_error
        )
    )


class Judged(NamedTuple):
    """Judgements of several models on common instructions, difficulty, and gamed judgements."""

    frame: pl.DataFrame
    difficulty: pl.DataFrame
    gamed: pl.DataFrame


@cache
def judged(n_models: int) -> Judged:
    """U-shaped preferences that grow with the relative length of the answer."""
    rng = np.random.default_rng(5)
    difficulty = rng.normal(0, 1, INSTRUCTIONS)
    parts = []
    length_baseline = rng.integers(500, 3000, INSTRUCTIONS)
    for model in range(n_models):
        length_model = rng.integers(300, 3000, INSTRUCTIONS)
        shorter = np.tanh((length_baseline - length_model) / 900)
        eta = -1.0 + 0.05 * model - 0.6 * shorter + 0.5 * difficulty
        preference = np.clip(rng.beta(expit(eta), 1 - expit(eta)), 1e-6, 1 - 1e-6)
        parts.append(
            pl.DataFrame(
                {
                    "item": np.arange(INSTRUCTIONS),
                    "model": f"model{model:02d}",
                    "preference": 1 + preference,
                    "length_model": length_model,
                    "length_baseline": length_baseline,
                }
            )
        )
    items = np.tile(np.arange(INSTRUCTIONS), 2)
    t = np.tanh(rng.normal(np.repeat([1.0, -1.0], INSTRUCTIONS), 0.5))
    gamed = pl.DataFrame(
        {"item": items, "preference": 1 + expit(-0.8 * t + 0.5 * difficulty[items]), "t": t}
    )
    known = pl.DataFrame({"item": np.arange(INSTRUCTIONS), "difficulty": difficulty})
    return Judged(pl.concat(parts), known, gamed)


def length_controlled(data: Judged, **options: Any) -> es.LengthControlledWinRate:
    """The estimator with its known difficulty and gamed judgements."""
    return es.LengthControlledWinRate(difficulty=data.difficulty, gamed=data.gamed, **options)


def fitted(estimator: es.LengthControlledWinRate, data: Judged) -> es.LengthControlledWinRate:
    """The estimator fitted to all models."""
    return estimator.fit(
        "preference", "model", "item", "length_model", "length_baseline", data=data.frame
    )


def controlled(data: Judged, **options: Any) -> Array:
    """Our length-controlled win rates of all models."""
    return fitted(length_controlled(data, **options), data).estimate_.value


def cross_validated(data: Judged) -> float:
    """AlpacaEval's documented path for one model: duplicated rows, L1, liblinear, ten Cs, 5 folds.

    The prediction at equal lengths is in percent.
    """
    difficulty = data.difficulty["difficulty"].to_numpy()
    frame = data.frame
    length = (frame["length_baseline"] - frame["length_model"]).to_numpy().astype(float)
    t = np.tanh(length / length.std(ddof=1))
    items = data.gamed["item"].to_numpy()
    own = np.column_stack([t, difficulty, np.ones(INSTRUCTIONS)])
    gamed = np.column_stack([data.gamed["t"].to_numpy(), difficulty[items], np.zeros(len(items))])
    design = np.concatenate([gamed, own])
    y = np.concatenate([part["preference"].to_numpy() - 1 for part in (data.gamed, frame)])
    weight = np.concatenate([np.full(len(items), 0.1), np.ones(INSTRUCTIONS)])
    rows = np.tile(design, (2, 1))
    labels = np.repeat([1, 0], len(y))
    groups = np.tile(np.arange(len(y)), 2)
    folds = list(GroupKFold(5).split(rows, labels, groups))
    model = LogisticRegressionCV(
        Cs=10,
        penalty="l1",
        solver="liblinear",
        fit_intercept=False,
        cv=folds,
        scoring="neg_log_loss",
        tol=1e-4,
        max_iter=100,
        random_state=123,
    )
    with warnings.catch_warnings():
        # scikit-learn 1.8 renames the options; 1.7 does not know the new names.
        warnings.simplefilter("ignore", FutureWarning)
        model.fit(rows, labels, sample_weight=np.concatenate([weight * y, weight * (1 - y)]))
    theta = model.coef_[0]
    return float(100 * expit(theta[1] * difficulty + theta[2]).mean())


@benchmark(
    "Length-controlled win rate of one model, with standard error (peer: point only)",
    peer="scikit-learn `LogisticRegressionCV`, AlpacaEval's settings",
    size=INSTRUCTIONS,
    runs=15,
)
def length_control() -> Contest:
    """Whole call, from the frame to the standard error; the peer's L1 penalty is almost none."""
    data = judged(1)
    return Contest(ours=lambda: controlled(data), theirs=lambda: cross_validated(data))


@benchmark(
    f"Length-controlled fits of {LC_MODELS} models: design, coefficients, averages",
    peer="the same (one model, scaled)",
    size=LC_MODELS * INSTRUCTIONS,
    min_ratio=200,
)
def length_control_fits() -> Contest:
    """What the reference does for each model, from validated columns and without errors."""
    data, single = judged(LC_MODELS), judged(1)
    estimator = length_controlled(data, inference=es.NoInference())
    columns = fitted(estimator, data)._fitted_columns()
    weights = np.ones(INSTRUCTIONS)
    return Contest(
        ours=lambda: estimator._evaluate(estimator._prepare(columns), weights),
        theirs=lambda: cross_validated(single),
        peer_scale=LC_MODELS,
        same_result=False,
    )


@benchmark(
    f"Length-controlled win rates of {LC_MODELS} models, from the frame to the joint covariance",
    peer="the same (one model, scaled, points only)",
    size=LC_MODELS * INSTRUCTIONS,
)
def length_control_leaderboard() -> Contest:
    """Includes intake, and influence values of every instruction."""
    data, single = judged(LC_MODELS), judged(1)
    return Contest(
        ours=lambda: controlled(data),
        theirs=lambda: cross_validated(single),
        peer_scale=LC_MODELS,
        same_result=False,
    )


@benchmark(
    f"Length-controlled win rates of {LC_MODELS} models, {LC_REPLICATES:,} bootstrap refits",
    size=LC_MODELS * INSTRUCTIONS,
    max_seconds=30.0,
    runs=1,
)
def length_control_bootstrap() -> Contest:
    """Instructions are drawn; all models and the gamed rows see the same draw."""
    data = judged(LC_MODELS)
    inference = es.Bootstrap(n_resamples=LC_REPLICATES, rng=0)
    return Contest(ours=lambda: controlled(data, inference=inference))
