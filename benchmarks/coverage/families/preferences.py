"""Preferences of judges: win rates, controlled win rates, ratings from battles, WildBench."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

import evalstats as es
from benchmarks.coverage.design import (
    DEAR,
    LEVEL,
    Design,
    Fit,
    Procedure,
    Reading,
    Readings,
    default,
    difference,
    make,
    options_of,
    resampled_choices,
)

Array = NDArray[np.float64]
SHAPE = 4.0  # of the gamma distribution of lengths
MEAN_LENGTHS = (1800.0, 2000.0)  # of the models and of the baseline
ELO = 400.0 / np.log(10.0)


@dataclass(frozen=True)
class Model:
    """Coefficients of length, difficulty and the model itself."""

    length: float
    difficulty: float
    own: float

    def truth(self) -> float:
        """Controlled win rate over all instructions, whose difficulty is N(0, 1)."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(80)
        rates = special.expit(self.own + self.difficulty * nodes)
        return float(100.0 * weights @ rates / weights.sum())


@dataclass(frozen=True)
class Judged:
    """Two models judged on the same instructions by a judge who is nearly always certain.

    Attributes
    ----------
    first, second : Model
        The model of interest and its rival.
    certainty : float
        Second parameter 1 and this first parameter of the beta distribution of how far a
        preference lies from its mean towards 0 or 1: preferences are U-shaped.
    n : int
        Instructions.
    agreement : float
        Correlation of what decides the preference for either model.
    """

    first: Model
    second: Model
    certainty: float
    n: int = 805
    agreement: float = 0.6

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Preferences, lengths and difficulties of one sample."""
        difficulty = rng.normal(size=self.n)
        own, other = (mean / SHAPE for mean in MEAN_LENGTHS)
        baseline = rng.gamma(SHAPE, other, self.n)
        scale = np.sqrt(SHAPE * (own**2 + other**2))
        shared = rng.normal(size=self.n)
        preference, length = {}, {}
        for name, model in (("first", self.first), ("second", self.second)):
            length[name] = rng.gamma(SHAPE, own, self.n)
            mean = special.expit(
                model.length * np.tanh((baseline - length[name]) / scale)
                + model.difficulty * difficulty
                + model.own
            )
            latent = np.sqrt(self.agreement) * shared
            latent += np.sqrt(1 - self.agreement) * rng.normal(size=self.n)
            wins = special.ndtr(latent) < mean
            preference[name] = mean + (wins - mean) * rng.beta(self.certainty, 1.0, self.n)
        return {
            "preference": preference,
            "length_model": length,
            "length_baseline": baseline,
            "difficulty": difficulty,
        }

    def truths(self) -> dict[str, float]:
        """Controlled rate of the first model, that of the second subtracted."""
        first, second = self.first.truth(), self.second.truth()
        return {"value": first, "difference": first - second}


def controlled(inference: Any = "auto") -> Any:
    """Procedure body: the length-controlled rate with known difficulties."""

    def run(arguments: dict[str, Any], seed: int) -> Readings:
        given = dict(arguments)
        difficulty = given.pop("difficulty")
        chosen = inference(seed) if callable(inference) else inference
        estimator = es.LengthControlledWinRate(
            coding="unit",
            difficulty=dict(enumerate(difficulty.tolist())),
            inference=chosen,
            level=LEVEL,
        )
        return difference(estimator.fit(item=np.arange(len(difficulty)), **given))

    return run


def published(arguments: dict[str, Any], seed: int) -> Readings:  # noqa: ARG001
    """The estimate ± 1.96 of AlpacaEval's ``lc_standard_error``, in squares for a difference."""
    given = dict(arguments)
    difficulty = given.pop("difficulty")
    estimator = es.LengthControlledWinRate(
        coding="unit", difficulty=dict(enumerate(difficulty.tolist())), inference=es.NoInference()
    )
    fitted = estimator.fit(item=np.arange(len(difficulty)), **given)
    errors: list[float] = []
    for name in ("first", "second"):
        rows = fitted.coefficients_.filter(fitted.coefficients_["model"] == name)
        theta = dict(zip(rows["term"], rows["coefficient"], strict=True))
        rates = special.expit(float(theta["model"]) + float(theta["difficulty"]) * difficulty)
        errors.append(float(100.0 * rates.std(ddof=1) / np.sqrt(len(rates))))
    first, second = fitted.estimate_.value
    return {
        "value": _wald(float(first), errors[0]),
        "difference": _wald(float(first - second), float(np.hypot(errors[0], errors[1]))),
    }


def _wald(estimate: float, error: float) -> Reading:
    reach = float(stats.norm.ppf(0.5 + LEVEL / 2)) * error
    return Reading(estimate, error, estimate - reach, estimate + reach)


JUDGED = {
    "weak": (Judged(Model(-1.0, 1.6, -2.9), Model(-1.0, 1.2, -2.5), 12.0), "weak models"),
    "strong": (Judged(Model(-1.2, 0.8, -0.2), Model(-0.8, 0.7, 0.0), 4.0), "strong models"),
    "near-separated": (
        Judged(Model(-1.0, 1.0, -4.0), Model(-1.0, 1.0, -3.5), 30.0, n=200),
        "very weak models, preferences nearly separated",
    ),
}


@dataclass(frozen=True)
class Wins:
    """Preferences for two models: wins of probability `rate`, in clusters of instructions.

    Attributes
    ----------
    rate, rival : float
        Probabilities that the models beat the baseline.
    cluster_size : int
        Instructions of one topic, half of whose latent variance is common.
    """

    n: int
    rate: float
    rival: float
    cluster_size: int = 1

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Arguments of ``fit`` for one sample."""
        topic = np.arange(self.n) // self.cluster_size
        shared = rng.normal(size=self.n)
        if self.cluster_size > 1:
            shared = rng.normal(size=int(topic[-1]) + 1)[topic]
        preference = {}
        for name, rate in (("first", self.rate), ("second", self.rival)):
            latent = np.sqrt(0.5) * (shared + rng.normal(size=self.n))
            preference[name] = 1.0 + (special.ndtr(latent) < rate)
        sample: dict[str, Any] = {"preference": preference}
        if self.cluster_size > 1:
            sample["cluster"] = topic
        return sample

    def truths(self) -> dict[str, float]:
        """Win rates in percent."""
        return {"value": 100 * self.rate, "difference": 100 * (self.rate - self.rival)}


@dataclass(frozen=True)
class Battles:
    """Battles of models of given log-odds, by users who have a taste of their own.

    Attributes
    ----------
    strengths : tuple of float
        Log-odds of the models.
    users, per_user : int
        Clusters and their sizes.
    taste : float
        Standard deviation of a user's liking of each model.
    """

    strengths: tuple[float, ...]
    users: int
    per_user: int
    taste: float = 0.0

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Arguments of ``fit`` for one sample."""
        n, k = self.users * self.per_user, len(self.strengths)
        names = np.array([f"model {number}" for number in range(k)])
        user = np.repeat(np.arange(self.users), self.per_user)
        first = rng.integers(0, k, n)
        second = (first + rng.integers(1, k, n)) % k
        liking = np.array(self.strengths) + self.taste * rng.normal(size=(self.users, k))
        eta = liking[user, first] - liking[user, second]
        sample: dict[str, Any] = {
            "model_a": names[first],
            "model_b": names[second],
            "outcome": (rng.random(n) < special.expit(eta)).astype(np.int64),
        }
        if self.taste > 0:
            sample["cluster"] = user
        return sample

    def truths(self) -> dict[str, float]:
        """Difference of the first two ratings: exact without taste, 0 for equal models."""
        gap = self.strengths[0] - self.strengths[1]
        return {"difference": gap * ELO}


def ratings(fitted: Any) -> Readings:
    """Difference of the ratings of the first two models."""
    table = fitted.estimate_.compare(adjust=None)
    (row,) = (
        row
        for row in table.iter_rows(named=True)
        if {"model 0", "model 1"} == {row["model"], row["reference"]}
    )
    sign = 1.0 if row["model"] == "model 0" else -1.0
    low, high = sorted((sign * row["ci_low"], sign * row["ci_high"]))
    reading = Reading(sign * row["estimate"], row["standard_error"], low, high, row["p_value"])
    return {"difference": reading}


@dataclass(frozen=True)
class Checklist:
    """WildBench scores of two models on the same tasks; grades of 1 to 10 or five outcomes."""

    n: int
    outcomes: bool = False
    gap: float = 1.0

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Arguments of ``fit`` for one sample."""
        item = np.tile(np.arange(self.n), 2)
        model = np.repeat(["first", "second"], self.n)
        task = rng.normal(size=self.n)[item % self.n]
        latent = 0.6 * task + 0.8 * rng.normal(size=2 * self.n) + self.gap * (model == "first")
        if not self.outcomes:
            score = np.clip(np.round(6 + 1.5 * latent), 1, 10).astype(np.int64)
            return {"score": score, "model": model, "item": item}
        grades = np.array(["lose_much", "lose", "tie", "win", "win_much"])
        return {
            "outcome": grades[np.searchsorted([-1.5, -0.5, 0.5, 1.5], latent)],
            "model": model,
            "item": item,
            "baseline": np.repeat("baseline", 2 * self.n),
            "length_model": np.full(2 * self.n, 1000),
            "length_baseline": np.full(2 * self.n, 1000),
        }

    def truths(self) -> dict[str, float]:
        """Expected scores, from the normal distribution of what is rounded."""
        first, second = (self._mean(shift) for shift in (self.gap, 0.0))
        return {"value": first, "difference": first - second}

    def _mean(self, shift: float) -> float:
        if self.outcomes:
            cuts = np.array([-1.5, -0.5, 0.5, 1.5])
            grades = np.array([-100.0, -50.0, 0.0, 50.0, 100.0])
        else:
            cuts = (np.arange(1.5, 10.0) - 6) / 1.5
            grades = 2.0 * (np.arange(1.0, 11.0) - 5)
        below = np.concatenate([[0.0], stats.norm.cdf(cuts - shift), [1.0]])
        return float(grades @ np.diff(below))


def controlled_designs() -> list[Design]:
    """Length-controlled win rates."""
    return [
        Design(
            f"controlled-win-rate/{name}",
            "Length-controlled win rate",
            f"{population.n} instructions, {about}",
            population.n,
            population,
            (
                Procedure("default", controlled(), default=True),
                Procedure("published standard error", published, control=True),
            ),
            imbalance="2% wins" if name == "near-separated" else "",
            truth_source="quadrature",
        )
        for name, (population, about) in JUDGED.items()
    ]


def win_rate_designs() -> list[Design]:
    """Plain win rates with paired differences."""
    resampled = options_of(es.WinRate, resampled_choices(), difference)
    rows = (
        ("n805", Wins(805, 0.3, 0.35), "", "", ()),
        ("n100", Wins(100, 0.5, 0.5), "", "", resampled),
        ("near-separated", Wins(100, 0.03, 0.05), "3% wins", "", ()),
        ("8-topics", Wins(160, 0.4, 0.4, 20), "", "8 of 20", ()),
        ("50-topics", Wins(500, 0.4, 0.4, 10), "", "50 of 10", ()),
    )
    return [
        Design(
            f"win-rate/{name}",
            "Win rate",
            f"{population.n} instructions, rates {population.rate:g} and {population.rival:g}",
            population.n,
            population,
            (default(make(es.WinRate), difference), *more),
            imbalance=imbalance,
            clusters=clusters,
        )
        for name, population, imbalance, clusters, more in rows
    ]


def battle_designs() -> list[Design]:
    """Bradley-Terry ratings."""
    equal = (0.0, 0.0, 0.0, 0.0)
    control = Procedure(
        "battles as if independent",
        Fit(make(es.BradleyTerry), ratings, without=("cluster",)),
        control=True,
    )
    rows = (
        ("equal", Battles(equal, 1200, 1), "equal models", "", ()),
        ("users", Battles(equal, 120, 10, 0.8), "users with a taste", "120 of 10", (control,)),
        ("8-users", Battles(equal, 8, 60, 0.8), "users with a taste", "8 of 60", ()),
        ("unequal", Battles((1.0, 0.0, 0.0, -1.0), 300, 1), "unequal models", "", ()),
        ("near-separated", Battles((3.5, 0.0, 0.0), 200, 1), "one model wins 97%", "", ()),
    )
    return [
        Design(
            f"bradley-terry/{name}",
            "Bradley-Terry rating",
            f"{population.users * population.per_user} battles, {about}",
            population.users * population.per_user,
            population,
            (default(make(es.BradleyTerry), ratings), *more),
            imbalance="97% wins" if name == "near-separated" else "",
            clusters=clusters,
        )
        for name, population, about, clusters, more in rows
    ]


def resampled_designs() -> list[Design]:
    """Resampling of regressions, which are fitted anew or linearised."""
    battles = Battles((1.0, 0.0, 0.0, -1.0), 300, 1)
    judged = JUDGED["strong"][0]
    intervals = ("percentile", "bca", "studentized")
    choices = resampled_choices(intervals)
    return [
        Design(
            "bradley-terry/resampling",
            "Bradley-Terry rating",
            "300 battles, unequal models",
            300,
            battles,
            options_of(es.BradleyTerry, resampled_choices(("percentile", "basic")), ratings),
            replicates=DEAR,
        ),
        Design(
            "controlled-win-rate/resampling",
            "Length-controlled win rate",
            f"{judged.n} instructions, strong models",
            judged.n,
            judged,
            tuple(
                Procedure(label, controlled(options["inference"]))
                for label, options in choices.items()
            ),
            truth_source="quadrature",
            replicates=DEAR,
        ),
    ]


DESIGNS = (
    *win_rate_designs(),
    *battle_designs(),
    *controlled_designs(),
    *resampled_designs(),
    Design(
        "wildbench/score",
        "WildBench score",
        "two models on 100 tasks",
        100,
        Checklist(100),
        (default(make(es.WildBenchScore), difference),),
    ),
    Design(
        "wildbench/reward",
        "WildBench reward",
        "two models against a baseline on 100 tasks",
        100,
        Checklist(100, outcomes=True),
        (default(make(es.WildBenchReward), difference),),
    ),
)
