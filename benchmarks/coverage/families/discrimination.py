"""Binormal scores: designs of AUROC, AUPRC and the losses by kinds of mistakes."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, stats

import evalstats as es
from benchmarks.coverage.design import (
    CHEAP,
    DEAR,
    MEDIUM,
    Design,
    Fit,
    Procedure,
    Readings,
    against,
    bootstrap,
    default,
    difference,
    make,
    options_of,
    resampled_choices,
    terms,
    value,
)

Array = NDArray[np.float64]
Curve = Literal["auroc", "auprc"]
KINDS = {"auroc": es.AUROC, "auprc": es.AUPRC}
INTERVALS = {"auroc": ("logit", "wald"), "auprc": ("logit", "wald", "binomial_logit")}


@dataclass(frozen=True)
class Binormal:
    """Scores of negatives N(0, 1), of positives N(shift, 1).

    Attributes
    ----------
    n : int
        Rows of one sample.
    prevalence : float
        Probability of a positive; each label is drawn.
    shift : float
        Distance between the means of the classes.
    curve : {"auroc", "auprc"}
        Metric whose population value is wanted.
    cluster_size : int
        Rows of one patient.
    cluster_share : float
        Intraclass correlation of the scores.
    mixed : bool
        Rows of one patient have labels of their own; else the patient has one label.
    rival_shift : float or None
        Distance of a second model, whose scores correlate 0.5 with the first within a class.
    step : float
        Scores are rounded down to multiples of it, which ties them; 0 for none.
    """

    n: int
    prevalence: float
    shift: float
    curve: Curve = "auroc"
    cluster_size: int = 1
    cluster_share: float = 0.0
    mixed: bool = False
    rival_shift: float | None = None
    step: float = 0.0

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Arguments of ``fit`` for one sample."""
        n_patients = self.n // self.cluster_size
        cluster = np.repeat(np.arange(n_patients), self.cluster_size)
        y = (rng.random(n_patients) < self.prevalence)[cluster]
        if self.mixed:
            y = rng.random(self.n) < self.prevalence
        patient = rng.normal(size=n_patients)[cluster]
        noise = rng.normal(size=(2, self.n))
        own = np.sqrt(self.cluster_share) * patient + np.sqrt(1 - self.cluster_share) * noise[0]
        scores = {"first": self._rounded(own + self.shift * y)}
        if self.rival_shift is not None:
            rival = 0.5 * own + np.sqrt(0.75) * noise[1]
            scores["second"] = self._rounded(rival + self.rival_shift * y)
        sample: dict[str, Any] = {"y_true": y, "y_score": scores}
        if self.cluster_size > 1:
            sample["cluster"] = cluster
        return sample

    def _rounded(self, scores: Array) -> Array:
        return scores if self.step == 0 else self.step * np.floor(scores / self.step)

    def truths(self) -> dict[str, float]:
        """Population area, that of the rival subtracted, and whether ranking is at chance."""
        area = self._auroc if self.curve == "auroc" else self._average_precision
        truths = {"value": area(self.shift)}
        if self.rival_shift is not None:
            truths["difference"] = truths["value"] - area(self.rival_shift)
        if self.shift == 0 and self.curve == "auroc":
            truths["test of 0.5"] = 0.0
        return truths

    def _blocks(self, shift: float) -> tuple[Array, Array]:
        """Probabilities of each rounded score, best first, in negatives and positives."""
        edges = self.step * np.arange(np.floor(-9 / self.step), np.ceil((9 + shift) / self.step))
        masses = (-np.diff(stats.norm.sf(edges, centre)) for centre in (0.0, shift))
        negative, positive = (mass[::-1] for mass in masses)
        return negative, positive

    def _auroc(self, shift: float) -> float:
        if self.step == 0:
            return float(stats.norm.cdf(shift / np.sqrt(2)))
        negative, positive = self._blocks(shift)
        above = np.cumsum(positive) - 0.5 * positive
        return float(negative @ above)

    def _average_precision(self, shift: float) -> float:
        p = self.prevalence
        if self.step > 0:
            negative, positive = self._blocks(shift)
            hits, alarms = p * np.cumsum(positive), (1 - p) * np.cumsum(negative)
            used = hits > 0
            return float(positive[used] @ (hits / (hits + alarms))[used])

        def density(score: float) -> float:
            recall = stats.norm.sf(score, shift)
            fired = p * recall + (1 - p) * stats.norm.sf(score)
            return float(p * recall / fired * stats.norm.pdf(score, shift))

        return float(integrate.quad(density, -9.0, 9.0 + shift, limit=200)[0])


def analytic(curve: Curve) -> tuple[Procedure, ...]:
    """The default and each analytic interval."""
    kind = KINDS[curve]
    named = {name: {"interval": name} for name in INTERVALS[curve]}
    return (default(make(kind)), *options_of(kind, named))


def resampled(curve: Curve) -> tuple[Procedure, ...]:
    """Every interval and every kind of the bootstrap, and the jackknife."""
    kind = KINDS[curve]
    choices = resampled_choices()
    for name in ("poisson", "bayesian", "multiplier"):
        choices[f"bootstrap, percentile, {name}"] = {"inference": bootstrap(kind=name)}
    choices["bootstrap, percentile, stratified"] = {"inference": bootstrap(stratify="y_true")}
    return options_of(kind, choices)


def clustered(curve: Curve) -> tuple[Procedure, ...]:
    """With clusters, and the negative control that ignores them."""
    kind = KINDS[curve]
    by_patient = Fit(make(kind, inference=bootstrap()), value)
    ignoring = Fit(make(kind), value, without=("cluster",))
    return (
        default(make(kind)),
        Procedure("bootstrap, percentile", by_patient),
        Procedure("rows as if independent", ignoring, control=True),
    )


# Name, description, what is hard (imbalance, ties), population.
SAMPLES: tuple[tuple[str, str, str, str, Binormal], ...] = (
    ("n100", "100 rows, prevalence 0.3", "", "", Binormal(100, 0.3, 1.0)),
    ("n500", "500 rows, prevalence 0.1", "", "", Binormal(500, 0.1, 1.0)),
    ("10-positives", "200 rows, prevalence 0.05", "10 positives", "", Binormal(200, 0.05, 1.0)),
    ("20-positives", "2,000 rows, prevalence 0.01", "20 positives", "", Binormal(2000, 0.01, 1.5)),
    ("rare", "40,000 rows, prevalence 0.001", "prevalence 0.1%", "", Binormal(40000, 0.001, 1.5)),
    ("near-perfect", "400 rows, AUROC 0.999", "", "", Binormal(400, 0.3, 4.3703)),
    (
        "ties",
        "300 rows, scores in steps of 1",
        "",
        "whole numbers",
        Binormal(300, 0.3, 1.0, step=1.0),
    ),
)


def single_designs(curve: Curve) -> list[Design]:
    """One model on independent rows."""
    designs = [
        Design(
            f"{curve}/{name}",
            curve.upper(),
            about,
            population.n,
            replace(population, curve=curve),
            analytic(curve),
            imbalance=imbalance,
            ties=ties,
            replicates=MEDIUM if population.n > 10_000 else CHEAP,
        )
        for name, about, imbalance, ties, population in SAMPLES
    ]
    again = replace(designs[0], name=f"{curve}/resampling", procedures=resampled(curve))
    small = replace(
        designs[2], name=f"{curve}/resampling-10-positives", procedures=resampled(curve)
    )
    return [*designs, replace(again, replicates=DEAR), replace(small, replicates=DEAR)]


def clustered_designs(curve: Curve) -> list[Design]:
    """Correlated rows of one patient."""
    many = Binormal(750, 0.3, 1.0, curve, cluster_size=5, cluster_share=0.8)
    few = Binormal(200, 0.3, 1.0, curve, cluster_size=25, cluster_share=0.3, mixed=True)
    kind, run = curve.upper(), clustered(curve)
    return [
        Design(
            f"{curve}/clusters",
            kind,
            "150 patients of 5 rows, one label and correlation 0.8 within a patient",
            750,
            many,
            run,
            clusters="150 of 5",
        ),
        Design(
            f"{curve}/8-clusters",
            kind,
            "8 patients of 25 rows, own labels, correlation 0.3 within a patient",
            200,
            few,
            run,
            clusters="8 of 25",
        ),
    ]


def paired_designs(curve: Curve) -> list[Design]:
    """Two models on the same rows: intervals of the difference, size and power of its test."""
    kind = KINDS[curve]
    pair = (default(make(kind), difference),)
    return [
        Design(
            f"{curve}/paired-{name}",
            curve.upper(),
            f"two models on 500 rows, prevalence 0.3, {about}",
            500,
            Binormal(500, 0.3, 1.0, curve, rival_shift=rival),
            pair,
        )
        for name, about, rival in (("equal", "equally good", 1.0), ("unequal", "unequal", 0.8))
    ]


@dataclass(frozen=True)
class TwoGroups:
    """Positives and negatives of two groups, with shifts of the scores of each group."""

    n: int = 400
    shift: float = 1.0
    bias: float = 0.5

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Arguments of ``fit`` for one sample."""
        y = rng.random(self.n) < 0.4
        group = rng.integers(0, 2, self.n)
        return {
            "y_true": y,
            "y_score": self.shift * y + self.bias * group + rng.normal(size=self.n),
            "group": group,
        }

    def truths(self) -> dict[str, float]:
        """Share of pairs of a positive and a negative that are of given groups and misranked."""
        truths = {}
        for positive in (0, 1):
            for negative in (0, 1):
                gap = self.shift + self.bias * (positive - negative)
                truths[f"loss {positive}{negative}"] = float(stats.norm.sf(gap / np.sqrt(2)) / 4)
        return truths


def losses(fitted: Any) -> Readings:
    """The four AUROC losses by groups of the positive and the negative."""
    rows = fitted.estimate_.terms.with_row_index("position").filter(metric="AUROC loss")
    positions = {
        f"loss {row['positive_group']}{row['negative_group']}": row["position"]
        for row in rows.iter_rows(named=True)
    }
    return terms(**positions)(fitted)


def mistake_designs() -> list[Design]:
    """Losses by the groups of the pair."""
    kind = es.MistakeAnalysis
    return [
        Design(
            "mistakes/groups",
            "AUROC loss",
            "400 rows of two groups whose scores differ by 0.5",
            400,
            TwoGroups(),
            (
                Procedure(
                    "default (300 replicates)",
                    Fit(make(kind, inference=bootstrap()), losses),
                    default=True,
                ),
            ),
        )
    ]


CHANCE = Design(
    "auroc/chance",
    "AUROC",
    "200 rows, prevalence 0.3, scores without information",
    200,
    Binormal(200, 0.3, 0.0),
    (default(make(es.AUROC), against(0.5)),),
)

DESIGNS = (
    *single_designs("auroc"),
    *single_designs("auprc"),
    *clustered_designs("auroc"),
    *clustered_designs("auprc"),
    CHANCE,
    *paired_designs("auroc"),
    *paired_designs("auprc"),
    *mistake_designs(),
)
