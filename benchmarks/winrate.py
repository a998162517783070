"""Length-controlled win rates and Bradley-Terry ratings against scikit-learn."""

import warnings
from collections.abc import Callable
from functools import cache

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy import sparse, special
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV
from sklearn.model_selection import GroupKFold

import evalstats as es
from benchmarks.harness import Contest, benchmark
from evalstats.winrate.fit import ControlledFit
from evalstats.winrate.views import ControlledRates

Array = NDArray[np.float64]

ITEMS = 805
MODELS = 24
PEER_MODELS = 3
ROLES = ("preference", "model", "item", "length_model", "length_baseline")
REFITS = 10_000
BATTLES = 10**6
PLAYERS = 100
CONTROLS = ("tokens", "headers", "lists", "bold")


@cache
def judgements() -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Judgements of 24 models on 805 instructions, difficulties, and gamed judgements."""
    rng = np.random.default_rng(1)
    difficulty = rng.normal(size=ITEMS)
    baseline = rng.gamma(4.0, 500.0, ITEMS)
    frames = []
    for model, own in enumerate(np.linspace(-2.5, 0.5, MODELS)):
        length = rng.gamma(4.0, 400.0, ITEMS)
        eta = own + difficulty - 1.2 * np.tanh((baseline - length) / 1300.0)
        wins = rng.random(ITEMS) < special.expit(eta)
        frames.append(
            pl.DataFrame(
                {
                    "model": [f"model {model:02d}"] * ITEMS,
                    "item": np.arange(ITEMS),
                    "preference": 1.0 + np.abs(wins - 0.1 * rng.random(ITEMS)),
                    "length_model": np.rint(length),
                    "length_baseline": np.rint(baseline),
                }
            )
        )
    gamed_t = np.concatenate([rng.normal(0.8, 0.6, ITEMS), rng.normal(-0.8, 0.6, ITEMS)])
    gamed = pl.DataFrame(
        {
            "item": np.tile(np.arange(ITEMS), 2),
            "std_delta_len": gamed_t,
            "preference": 1.0 + special.expit(-np.tanh(gamed_t)),
        }
    )
    return (
        pl.concat(frames),
        pl.DataFrame({"item": np.arange(ITEMS), "difficulty": difficulty}),
        gamed,
    )


def controlled(inference: es.NoInference | es.Bootstrap | str, n_models: int) -> Array:
    """Controlled win rates of the first models."""
    frame, difficulty, gamed = judgements()
    estimator = es.LengthControlledWinRate(
        difficulty=difficulty,
        gamed=gamed,
        inference=inference,  # type: ignore[arg-type]
    ).fit(*ROLES, data=frame.head(n_models * ITEMS))
    return estimator.estimate_.value


def peer_designs() -> list[tuple[Array, Array, Array]]:
    """Design matrix, preferences and weights of the first models, gamed rows first."""
    frame, difficulty, gamed = judgements()
    d = difficulty["difficulty"].to_numpy()
    gamed_rows = np.column_stack(
        [np.tanh(gamed["std_delta_len"]), np.tile(d, 2), np.zeros(2 * ITEMS)]
    )
    designs = []
    for model in range(PEER_MODELS):
        own = frame.slice(model * ITEMS, ITEMS)
        delta = (own["length_baseline"] - own["length_model"]).to_numpy()
        rows = np.column_stack([np.tanh(delta / delta.std(ddof=1)), d, np.ones(ITEMS)])
        y = np.concatenate([gamed["preference"], own["preference"]]) - 1.0
        weight = np.repeat([0.1, 1.0], [2 * ITEMS, ITEMS])
        designs.append((np.vstack([gamed_rows, rows]), y, weight))
    return designs


PEER = (
    "scikit-learn `LogisticRegressionCV` with AlpacaEval's settings, from the design matrix "
    f"({PEER_MODELS} models timed, scaled to {MODELS}; its L1 penalty moves the result)"
)


def cross_validated_contest(ours: Callable[[], Array]) -> Contest:
    """Contest of `ours`, for all models, with the peer."""
    d = judgements()[1]["difficulty"].to_numpy()
    designs = peer_designs()
    return Contest(
        ours=ours,
        theirs=lambda: np.array([cross_validated(*design, d) for design in designs]),
        peer_scale=MODELS / PEER_MODELS,
        same_result=False,
    )


@benchmark(
    f"Length-controlled fits of {MODELS} models, from the design matrix",
    peer=PEER,
    size=MODELS * ITEMS,
    min_ratio=200,
)
def length_controlled_fit() -> Contest:
    """Both sides get the design; ours starts at zero and solves to a gradient of 1e-8."""
    frame, difficulty, gamed = judgements()
    everyone = np.ones(ITEMS)
    estimator = es.LengthControlledWinRate(
        difficulty=difficulty, gamed=gamed, inference=es.NoInference()
    ).fit(*ROLES, data=frame)
    design = estimator._refitted()[0]
    view = ControlledRates()

    def ours() -> Array:
        fit = ControlledFit.to(
            design, everyone, penalty=None, strength=1.0, fixed_items=False, view=view
        )
        return view.values(design, fit.theta, everyone)

    return cross_validated_contest(ours)


@benchmark(
    f"Length-controlled win rates of {MODELS} models, whole call on a frame",
    peer=PEER,
    size=MODELS * ITEMS,
)
def length_controlled_call() -> Contest:
    """Ours also reads, checks and aligns the frame, which the peer is spared."""
    return cross_validated_contest(lambda: controlled(es.NoInference(), MODELS))


def cross_validated(x: Array, y: Array, weight: Array, difficulty: Array) -> float:
    """Fit duplicated rows, fold by row, as AlpacaEval does."""
    labels = np.repeat([1, 0], len(y))
    weights = np.concatenate([weight * y, weight * (1.0 - y)])
    rows = np.tile(np.arange(len(y)), 2)
    folds = list(GroupKFold(5).split(np.tile(x, (2, 1)), labels, rows))
    model = LogisticRegressionCV(
        Cs=10,
        cv=folds,
        penalty="l1",
        solver="liblinear",
        fit_intercept=False,
        random_state=123,
        tol=1e-4,
        max_iter=100,
        scoring="neg_log_loss",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of the names of its options
        fitted = model.fit(np.tile(x, (2, 1)), labels, sample_weight=weights)
    theta = fitted.coef_[0]
    return float(100.0 * special.expit(theta[1] * difficulty + theta[2]).mean())


@benchmark(
    f"Bootstrap of 24 length-controlled win rates, {REFITS:,} replicates, every model refitted",
    size=MODELS * ITEMS,
    max_seconds=30.0,
    runs=2,
)
def length_controlled_bootstrap() -> Contest:
    """A replicate is 24 fits."""
    return Contest(ours=lambda: controlled(es.Bootstrap(n_resamples=REFITS, rng=0), MODELS))


@cache
def battles() -> pl.DataFrame:
    """Battles of 100 models by 10^5 users; four controls matter."""
    rng = np.random.default_rng(2)
    a = rng.integers(0, PLAYERS, BATTLES)
    b = (a + rng.integers(1, PLAYERS, BATTLES)) % PLAYERS
    rating = np.linspace(-1.5, 1.5, PLAYERS)
    columns: dict[str, NDArray[np.generic]] = {}
    eta = rating[a] - rating[b]
    for slope, name in zip((0.6, 0.1, 0.2, 0.1), CONTROLS, strict=True):
        left, right = rng.poisson(rng.gamma(2.0, 50.0, (2, BATTLES))).astype(np.float64)
        columns[f"{name}_a"], columns[f"{name}_b"] = left, right
        eta += slope * (left - right) / (left + right + 1.0)
    return pl.DataFrame(
        {
            "model_a": a,
            "model_b": b,
            "outcome": (rng.random(BATTLES) < special.expit(eta)).astype(np.float64),
            "user": rng.integers(0, BATTLES // 10, BATTLES),
            **columns,
        }
    )


def rated(inference: es.NoInference | es.Bootstrap, cluster: str | None = None) -> es.Estimate:
    """Ratings in log-odds with four controls."""
    ratings = es.BradleyTerry(controls=CONTROLS, rating_scale="logit", inference=inference)
    return ratings.fit("model_a", "model_b", "outcome", data=battles(), cluster=cluster).estimate_


def peer_matrix() -> sparse.csr_matrix:
    """One column per model with +1 and -1, then the scaled contrasts of the controls."""
    frame = battles()
    contrasts = []
    for name in CONTROLS:
        left, right = frame[f"{name}_a"].to_numpy(), frame[f"{name}_b"].to_numpy()
        contrast = (left - right) / (left + right + 1.0)
        contrasts.append(contrast / np.sqrt(np.mean(contrast**2)))
    rows = np.tile(np.arange(BATTLES), 2)
    signs = np.repeat([1.0, -1.0], BATTLES)
    players = np.concatenate([frame["model_a"], frame["model_b"]])
    incidence = sparse.csr_matrix((signs, (rows, players)), shape=(BATTLES, PLAYERS))
    return sparse.hstack([incidence, np.column_stack(contrasts)], format="csr")


@benchmark(
    f"Bradley-Terry ratings, {PLAYERS} models with integer codes, 4 controls",
    peer="scikit-learn `LogisticRegression` on a ready sparse matrix (lbfgs, no penalty, tol 1e-6)",
    size=BATTLES,
    min_ratio=5,
    runs=5,
)
def bradley_terry() -> Contest:
    """Ours makes its contrasts from the frame and solves to a gradient of 1e-8."""
    x = peer_matrix()
    wins = battles()["outcome"].to_numpy() > 0.5

    def theirs() -> Array:
        fitted = LogisticRegression(
            C=np.inf, fit_intercept=False, solver="lbfgs", tol=1e-6, max_iter=1000
        ).fit(x, wins)
        theta = np.array(fitted.coef_[0])
        theta[:PLAYERS] -= theta[:PLAYERS].mean()
        return theta

    return Contest(ours=lambda: rated(es.NoInference()).value, theirs=theirs)


@benchmark(
    "Bradley-Terry ratings, 100 bootstrap replicates clustered by 100,000 users",
    size=BATTLES,
    max_seconds=30.0,
    runs=2,
)
def bradley_terry_bootstrap() -> Contest:
    """A replicate is a refit of 104 parameters."""
    inference = es.Bootstrap(n_resamples=100, rng=0)
    return Contest(ours=lambda: rated(inference, cluster="user").standard_error)
