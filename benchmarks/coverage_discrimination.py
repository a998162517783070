"""Coverage of the intervals of AUROC and AUPRC in repeated simulated studies.

Usage: python -m benchmarks.coverage_discrimination [REPLICATES]; writes
docs/generated/coverage_discrimination.md when REPLICATES is left out (2,000).
"""

import datetime
import platform
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, stats

import evalstats as es

PAGE = Path(__file__).resolve().parents[1] / "docs" / "generated" / "coverage_discrimination.md"
REPLICATES = 2000
SEED = 20_260_131
LEVEL = 0.95


@dataclass(frozen=True)
class Population:
    """Binormal scores: negatives N(0, 1), positives N(shift, 1).

    Parameters
    ----------
    n : int
        Rows of one study.
    prevalence : float
        Probability of a positive; each label is drawn.
    shift : float
        Distance between the means of the classes.
    cluster_size : int
        Rows of one patient, who has one label and contributes `cluster_share` of the variance.
    cluster_share : float
        Intraclass correlation of the scores.
    rival_shift : float or None
        Distance of a second model, whose scores correlate 0.5 with the first within a class.
    """

    n: int
    prevalence: float
    shift: float
    cluster_size: int = 1
    cluster_share: float = 0.0
    rival_shift: float | None = None

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Arguments of ``fit`` for one study."""
        n_patients = self.n // self.cluster_size
        cluster = np.repeat(np.arange(n_patients), self.cluster_size)
        y = (rng.random(n_patients) < self.prevalence)[cluster]
        patient = rng.normal(size=n_patients)[cluster]
        noise = rng.normal(size=(2, self.n))
        own = np.sqrt(self.cluster_share) * patient + np.sqrt(1 - self.cluster_share) * noise[0]
        study: dict[str, Any] = {"y_true": y, "y_score": {"first": own + self.shift * y}}
        if self.rival_shift is not None:
            rival = 0.5 * own + np.sqrt(0.75) * noise[1]
            study["y_score"]["second"] = rival + self.rival_shift * y
        if self.cluster_size > 1:
            study["cluster"] = cluster
        return study

    def auroc(self, shift: float) -> float:
        """Area of the population with that distance of the means."""
        return float(stats.norm.cdf(shift / np.sqrt(2)))

    def average_precision(self, shift: float) -> float:
        """Integral of the precision over the recall of the population."""

        def density(score: float) -> float:
            recall = stats.norm.sf(score, shift)
            fired = self.prevalence * recall + (1 - self.prevalence) * stats.norm.sf(score)
            return float(self.prevalence * recall / fired * stats.norm.pdf(score, shift))

        return float(integrate.quad(density, -9.0, 9.0 + shift, limit=200)[0])

    def truth(self, estimator: type[es.Estimator]) -> float:
        """Population value of the metric, or of the difference of the two models."""
        value = self.auroc if estimator is es.AUROC else self.average_precision
        if self.rival_shift is None:
            return value(self.shift)
        return value(self.shift) - value(self.rival_shift)


@dataclass(frozen=True)
class Study:
    """One row of the report: an interval in a population."""

    population: Population
    estimator: type[es.AUROC] | type[es.AUPRC]
    options: Mapping[str, Any]
    label: str
    ignore_clusters: bool = False

    def interval(self, rng: np.random.Generator) -> tuple[float, float]:
        """Limits from one simulated study."""
        arguments = self.population.draw(rng)
        if self.ignore_clusters:
            del arguments["cluster"]
        estimate = self.estimator(level=LEVEL, **self.options).fit(**arguments).estimate_
        if self.population.rival_shift is not None:
            row = estimate.compare(adjust=None).row(0, named=True)
            return row["ci_low"], row["ci_high"]
        low, high = estimate.confidence_interval()
        return float(low[0]), float(high[0])


class Coverage(NamedTuple):
    """Result of one study: share of intervals that hold the truth, and their mean width."""

    study: Study
    truth: float
    share: float
    width: float
    replicates: int

    @property
    def error(self) -> float:
        """Monte Carlo standard error of the share."""
        return float(np.sqrt(self.share * (1 - self.share) / self.replicates))


SETTINGS = {
    "n = 100, prevalence 0.3": Population(100, 0.3, 1.0),
    "n = 500, prevalence 0.1": Population(500, 0.1, 1.0),
    "n = 2000, prevalence 0.01": Population(2000, 0.01, 1.5),
}
CLUSTERED = Population(750, 0.3, 1.0, cluster_size=5, cluster_share=0.8)
PAIRED = Population(500, 0.3, 1.0, rival_shift=0.8)


def analytic_studies() -> list[Study]:
    """Closed-form intervals of one model on independent rows."""
    kinds: list[tuple[type[es.AUROC] | type[es.AUPRC], tuple[str, ...]]] = [
        (es.AUROC, ("logit", "wald")),
        (es.AUPRC, ("logit", "wald", "binomial_logit")),
    ]
    return [
        Study(population, estimator, {"interval": interval}, f"{name}: {interval}")
        for name, population in SETTINGS.items()
        for estimator, intervals in kinds
        for interval in intervals
    ]


def bootstrap_studies() -> list[Study]:
    """Bootstrap intervals of one model; a fixed key per study is enough, the data vary."""
    population = SETTINGS["n = 500, prevalence 0.1"]
    return [
        Study(
            population,
            estimator,
            {"inference": es.Bootstrap(n_resamples=500, interval=interval, rng=1, n_jobs=1)},
            f"n = 500, prevalence 0.1: bootstrap {interval}",
        )
        for estimator in (es.AUROC, es.AUPRC)
        for interval in ("percentile", "bca", "studentized")
    ]


def clustered_studies() -> list[Study]:
    """Five rows of one patient with correlated scores, with and without naming the patient."""
    name = "150 patients of 5 rows"
    return [
        Study(CLUSTERED, estimator, {}, f"{name}: {label}", ignore_clusters)
        for estimator in (es.AUROC, es.AUPRC)
        for label, ignore_clusters in (("clustered", False), ("rows as if independent", True))
    ]


def paired_studies() -> list[Study]:
    """Difference of two models on the same rows."""
    return [
        Study(PAIRED, estimator, {}, "n = 500, prevalence 0.3: paired difference")
        for estimator in (es.AUROC, es.AUPRC)
    ]


def all_studies() -> list[Study]:
    """Every row of the report."""
    return analytic_studies() + paired_studies() + clustered_studies() + bootstrap_studies()


def coverage(study: Study, replicates: int) -> Coverage:
    """Repeat `study` with one stream of random numbers per replicate."""
    truth = study.population.truth(study.estimator)
    limits: NDArray[np.float64] = np.empty((replicates, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", es.EvalstatsWarning)
        for replicate in range(replicates):
            limits[replicate] = study.interval(np.random.default_rng([SEED, replicate]))
    held = (limits[:, 0] <= truth) & (truth <= limits[:, 1])
    width = float((limits[:, 1] - limits[:, 0]).mean())
    return Coverage(study, truth, float(held.mean()), width, replicates)


def report(results: list[Coverage]) -> str:
    """Page section with one table row per result."""
    replicates = results[0].replicates
    lines = [
        "# Coverage of AUROC and AUPRC intervals",
        "",
        f"Share of {replicates:,} simulated studies whose 95% interval holds the population value, "
        "± its Monte Carlo standard error, in percent. Scores are normal with the same variance "
        "in both classes; labels are drawn, so the number of positives varies.",
        "",
        "| Metric | Study and interval | Truth | Coverage | Mean width |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {result.study.estimator.metric} | {result.study.label} | {result.truth:.4f} "
        f"| {100 * result.share:.1f} ± {100 * result.error:.1f} | {result.width:.3f} |"
        for result in results
    ]
    lines += [
        "",
        f"Seed {SEED}; {datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}; "
        f"evalstats {es.__version__}, numpy {np.__version__}, Python {platform.python_version()}; "
        "made by `python -m benchmarks.coverage_discrimination`.",
        "",
    ]
    return "\n".join(lines)


def main(
    replicates: int = REPLICATES, page: Path | None = PAGE, show: Callable[[str], None] = print
) -> list[Coverage]:
    """Run all studies and write the page, if one is given."""
    results = []
    for study in all_studies():
        results.append(coverage(study, replicates))
        show(f"{study.estimator.metric:6s} {study.label:55s} {100 * results[-1].share:5.1f}")
    if page is not None:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(report(results), encoding="utf-8")
    return results


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(int(sys.argv[1]), page=None)
    else:
        main()
