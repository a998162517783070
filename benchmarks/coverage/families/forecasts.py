"""Probability forecasts: designs of calibration errors, scores, slopes and decompositions."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

import evalstats as es
from benchmarks.coverage.design import (
    DEAR,
    MEDIUM,
    Design,
    Fit,
    Procedure,
    Reading,
    Readings,
    bootstrap,
    default,
    difference,
    make,
    options_of,
    resampled_choices,
    value,
)
from evalstats.calibration.binned_error import Norm, plugin_error
from evalstats.data.columns import Columns
from evalstats.inference.methods import Inference

Array = NDArray[np.float64]
SEED = 20_261_125
N_BINS = 15
POPULATION_ROWS = 4_000_000
LARGE = "mean of 4,000,000 rows without noise of the outcomes"


class CurveOnly(es.CalibrationError):
    """The default interval without the thousand replicates that only comparisons need."""

    def _default_inference(self, columns: Columns) -> Inference:  # noqa: ARG002
        return es.Bootstrap(2, interval="basic", rng=0, n_jobs=1)


@dataclass(frozen=True)
class Forecasts:
    """True probabilities from Beta(a, b), and what a model makes of them.

    Attributes
    ----------
    n : int
        Rows of one sample.
    kind : str
        ``"calibrated"``, ``"sharpened"`` (slope of the logit), ``"shifted"`` (its intercept) or
        ``"bump"`` (0.12 too high between 0.8 and 0.87, right elsewhere).
    amount : float
        Slope or intercept.
    beta : tuple of float
        Parameters of the true probabilities.
    cluster_size : int
        Rows of one cluster, which have similar true probabilities and share a normal effect on
        their logits that the model does not know.
    norm : {1, 2} or None
        Norm of the binned error; None for the signed Balance score.
    """

    n: int
    kind: str = "calibrated"
    amount: float = 1.0
    beta: tuple[float, float] = (1.0, 1.0)
    cluster_size: int = 1
    norm: Norm | None = None

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Arguments of ``fit`` for one sample."""
        cluster = np.arange(self.n) // self.cluster_size
        n_clusters = -(-self.n // self.cluster_size)
        q = rng.beta(*self.beta, n_clusters)[cluster]
        sample: dict[str, Any] = {}
        truth = q
        if self.cluster_size > 1:
            # Rows of one cluster resemble each other, as the snapshots of one match do.
            q = special.expit(special.logit(q) + rng.normal(scale=0.3, size=self.n))
            effect = rng.normal(scale=1.5, size=n_clusters)[cluster]
            truth = special.expit(special.logit(q) + effect)
            sample["cluster"] = cluster
        return {"y_true": rng.random(self.n) < truth, "y_prob": self.forecast(q), **sample}

    def forecast(self, q: Array) -> Array:
        """Probabilities that the model states where q is true."""
        if self.kind == "sharpened":
            return np.asarray(special.expit(self.amount * special.logit(q)))
        if self.kind == "shifted":
            return np.asarray(special.expit(special.logit(q) + self.amount))
        if self.kind == "bump":
            return np.where((q > 0.8) & (q < 0.87), np.clip(q + 0.12, 0.0, 1.0), q)
        return q

    def population(self) -> tuple[Array, Array]:
        """Forecasts of many rows and the true probabilities of their events."""
        rng = np.random.default_rng([SEED, 1])
        q = rng.beta(*self.beta, POPULATION_ROWS)
        expected = q
        if self.cluster_size > 1:
            q = special.expit(special.logit(q) + rng.normal(scale=0.3, size=POPULATION_ROWS))
            effect = rng.normal(scale=1.5, size=POPULATION_ROWS)
            expected = special.expit(special.logit(q) + effect)
        return self.forecast(q), expected

    def truth(self) -> float:
        """Binned calibration error, or without a norm the Balance score, of the population."""
        return _truth(replace(self, n=0))

    def truths(self) -> dict[str, float]:
        """The error, and whether the hypothesis of calibration holds."""
        calibrated = self.kind == "calibrated" and self.cluster_size == 1
        return {"value": self.truth(), "calibration": 0.0 if calibrated else np.nan}


@cache
def _truth(population: Forecasts) -> float:
    if population.kind == "calibrated" and population.cluster_size == 1:
        return 0.0
    p, expected = population.population()
    if population.norm is None:
        return float((np.where(p >= 0.5, 1.0, -1.0) * (expected - p)).mean())
    code = np.clip(np.ceil(p * N_BINS).astype(np.int64) - 1, 0, N_BINS - 1)
    mass = np.bincount(code, minlength=N_BINS).astype(np.float64)
    error = np.bincount(code, expected - p, N_BINS)
    return plugin_error(np.column_stack([mass, error]), population.norm)


SHAPES = {
    "calibrated": Forecasts(0),
    "nearly": Forecasts(0, "sharpened", 1.1),
    "sharpened": Forecasts(0, "sharpened", 1.5),
    "shifted": Forecasts(0, "shifted", 0.5),
    "bump": Forecasts(0, "bump"),
}
WORDS = {
    "calibrated": "calibrated",
    "nearly": "nearly calibrated (logits × 1.1)",
    "sharpened": "over-confident (logits × 1.5)",
    "shifted": "too high (logits + 0.5)",
    "bump": "wrong between 0.8 and 0.87 only",
}


def balance(fitted: Any) -> Readings:
    """Balance score and its exact test."""
    p_value = float(fitted.null_test()["p_value"][0])
    return {**value(fitted), "calibration": Reading(p_value=p_value)}


def error_and_test(fitted: Any) -> Readings:
    """Calibration error and the test by consistency resampling."""
    p_value = float(fitted.calibration_test(199, rng=int(fitted.bins()["n"][0]))["p_value"][0])
    return {**value(fitted), "calibration": Reading(p_value=p_value)}


def balance_designs() -> list[Design]:
    """Balance score: t intervals, and the exact test of calibration."""
    kind = es.BalanceScore
    whole = (
        default(make(kind), balance),
        *options_of(
            kind,
            {
                "bootstrap, percentile": {"inference": bootstrap()},
                "bootstrap, bca": {"inference": bootstrap("bca")},
                "jackknife": {"inference": es.Jackknife()},
            },
        ),
    )
    designs = [
        Design(
            f"balance/{name}-n{n}",
            "Balance score",
            f"{n} rows, {WORDS[name]}",
            n,
            replace(SHAPES[name], n=n),
            whole if n < 1000 else whole[:1],
            truth_source=LARGE,
        )
        for name, n in (
            ("calibrated", 50),
            ("sharpened", 50),
            ("calibrated", 1000),
            ("shifted", 1000),
        )
    ]
    return [*designs, *clustered_balance()]


def clustered_balance() -> list[Design]:
    """Rows of one cluster share an effect that the model does not know."""
    kind = es.BalanceScore
    control = Procedure(
        "rows as if independent", Fit(make(kind), value, without=("cluster",)), control=True
    )
    return [
        Design(
            f"balance/{n_clusters}-clusters",
            "Balance score",
            f"{n_clusters} clusters of 10 rows, over-confident",
            10 * n_clusters,
            Forecasts(10 * n_clusters, "sharpened", 1.5, cluster_size=10),
            (default(make(kind)), control),
            clusters=f"{n_clusters} of 10",
            truth_source=LARGE,
        )
        for n_clusters in (60, 8)
    ]


# Test inversion is dear: the large samples are those in which other intervals are in question.
ERROR_SIZES: dict[tuple[int, str], tuple[int, ...]] = {
    (norm, name): (300,) if norm == 1 else () for norm in (1, 2) for name in SHAPES
}
ERROR_SIZES[1, "sharpened"] = ERROR_SIZES[1, "shifted"] = (300, 1000)
ERROR_SIZES[2, "nearly"] = ERROR_SIZES[2, "shifted"] = (300,)


def error_designs() -> list[Design]:
    """Binned calibration error: test inversion by default, and resampling."""
    designs = []
    for norm in (1, 2):
        for name, shape in SHAPES.items():
            for n in ERROR_SIZES[norm, name]:
                read = error_and_test if name in ("calibrated", "nearly") and norm == 1 else value
                designs.append(
                    Design(
                        f"calibration-error/{name}-n{n}-norm{norm}",
                        f"Calibration error, norm {norm}",
                        f"{n} rows, {WORDS[name]}",
                        n,
                        replace(shape, n=n, norm=norm),
                        (default(make(CurveOnly, norm=norm), read),),
                        truth_source=LARGE,
                        replicates=MEDIUM,
                    )
                )
    return [*designs, clustered_error(), *resampled_errors()]


def clustered_error() -> Design:
    """Clusters in the calibration error."""
    return Design(
        "calibration-error/60-clusters",
        "Calibration error, norm 1",
        "60 clusters of 10 rows, over-confident",
        600,
        Forecasts(600, "sharpened", 1.5, cluster_size=10, norm=1),
        (default(make(CurveOnly)),),
        clusters="60 of 10",
        truth_source=LARGE,
        replicates=MEDIUM,
    )


def resampled_errors() -> list[Design]:
    """What other intervals of the calibration error do, near calibration and away from it."""
    choices: dict[str, dict[str, Any]] = {
        "analytic": {"inference": es.Analytic()},
        "jackknife": {"inference": es.Jackknife()},
    }
    for name in ("percentile", "basic", "bias_corrected", "bca"):
        choices[f"bootstrap, {name}"] = {"inference": bootstrap(name, n_resamples=200)}
    choices["bias subtracted, bootstrap, basic"] = {
        "debias": True,
        "inference": bootstrap("basic", n_resamples=200),
    }
    return [
        Design(
            f"calibration-error/resampling-{name}",
            "Calibration error, norm 1",
            f"1000 rows, {WORDS[name]}",
            1000,
            replace(SHAPES[name], n=1000, norm=1),
            options_of(es.CalibrationError, choices),
            truth_source=LARGE,
            replicates=DEAR,
        )
        for name in ("nearly", "sharpened")
    ]


@dataclass(frozen=True)
class Scored(Forecasts):
    """Forecasts whose mean score is wanted, of one model and of a rival with shrunken logits."""

    log: bool = False
    rival: float = 0.8

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Arguments of ``fit`` for one sample."""
        sample = super().draw(rng)
        p = sample["y_prob"]
        shrunk = special.expit(self.rival * special.logit(p))
        return {**sample, "y_prob": {"first": p, "second": shrunk}}

    def truths(self) -> dict[str, float]:
        """Expected score of the first, and its difference to the second."""
        p, expected = self.population()
        second = special.expit(self.rival * special.logit(p))
        scores = [
            float(-(special.xlogy(expected, f) + special.xlog1py(1 - expected, -f)).mean())
            if self.log
            else float((expected * (1 - f) ** 2 + (1 - expected) * f**2).mean())
            for f in (p, second)
        ]
        return {"value": scores[0], "difference": scores[0] - scores[1]}


def score_designs() -> list[Design]:
    """Proper scores and paired differences."""
    designs = []
    for kind, log in ((es.BrierScore, False), (es.LogLoss, True)):
        for name, population, clusters in (
            ("n50", Scored(50, "sharpened", 1.5, log=log), ""),
            ("n500", Scored(500, "sharpened", 1.5, log=log), ""),
            ("rare", Scored(2000, "sharpened", 1.1, (0.5, 50.0), log=log), ""),
            ("8-clusters", Scored(80, "sharpened", 1.5, cluster_size=10, log=log), "8 of 10"),
        ):
            designs.append(
                Design(
                    f"{'log-loss' if log else 'brier'}/{name}",
                    kind.metric,
                    f"{population.n} rows, over-confident, and a rival with logits × 0.8",
                    population.n,
                    population,
                    (default(make(kind), difference),),
                    clusters=clusters,
                    imbalance="prevalence 1%" if name == "rare" else "",
                    truth_source=LARGE,
                )
            )
        small = designs[-4]
        designs.append(
            replace(
                small,
                name=small.name.replace("n50", "resampling"),
                procedures=options_of(kind, resampled_choices(), difference),
                replicates=DEAR,
            )
        )
    return designs


DESIGNS = (
    *balance_designs(),
    *error_designs(),
    *score_designs(),
)
