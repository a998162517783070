"""Coverage of the intervals of Balance score and calibration error, and size of their tests.

Usage: python -m benchmarks.coverage_calibration [REPLICATES]; writes
docs/generated/coverage_calibration.md when REPLICATES is left out (500).
"""

import datetime
import platform
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

import evalstats as es
from evalstats.calibration.binned_error import Norm, plugin_error
from evalstats.data.columns import Columns
from evalstats.inference.methods import Inference

PAGE = Path(__file__).resolve().parents[1] / "docs" / "generated" / "coverage_calibration.md"
REPLICATES = 500
SEED = 20_261_125
N_BINS = 15
POPULATION_ROWS = 4_000_000

Array = NDArray[np.float64]


class CurveOnly(es.CalibrationError):
    """The default interval without the thousand replicates that only comparisons need."""

    def _default_inference(self, columns: Columns) -> Inference:  # noqa: ARG002
        return es.Bootstrap(2, interval="basic", rng=0, n_jobs=1)


@dataclass(frozen=True)
class Population:
    """True probabilities from Beta(a, b), and what a model makes of them.

    Parameters
    ----------
    n : int
        Rows of one study.
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
    """

    n: int
    kind: str = "calibrated"
    amount: float = 1.0
    beta: tuple[float, float] = (1.0, 1.0)
    cluster_size: int = 1

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Arguments of ``fit`` for one study."""
        cluster = np.arange(self.n) // self.cluster_size
        q = rng.beta(*self.beta, self.n // self.cluster_size)[cluster]
        study: dict[str, Any] = {}
        truth = q
        if self.cluster_size > 1:
            # Rows of one cluster resemble each other, as the snapshots of one match do.
            q = special.expit(special.logit(q) + rng.normal(scale=0.3, size=self.n))
            effect = rng.normal(scale=1.5, size=self.n // self.cluster_size)[cluster]
            truth = special.expit(special.logit(q) + effect)
            study["cluster"] = cluster
        return {"y_true": rng.random(self.n) < truth, "y_prob": self.forecast(q), **study}

    def forecast(self, q: Array) -> Array:
        """Probabilities that the model states where q is true."""
        if self.kind == "sharpened":
            return np.asarray(special.expit(self.amount * special.logit(q)))
        if self.kind == "shifted":
            return np.asarray(special.expit(special.logit(q) + self.amount))
        if self.kind == "bump":
            return np.where((q > 0.8) & (q < 0.87), np.clip(q + 0.12, 0.0, 1.0), q)
        return q

    def truth(self, norm: Norm | None) -> float:
        """Binned calibration error, or without a norm the Balance score, of the population."""
        rng = np.random.default_rng([SEED, 1])
        q = rng.beta(*self.beta, POPULATION_ROWS)
        expected = q
        if self.cluster_size > 1:
            q = special.expit(special.logit(q) + rng.normal(scale=0.3, size=POPULATION_ROWS))
            effect = rng.normal(scale=1.5, size=POPULATION_ROWS)
            expected = special.expit(special.logit(q) + effect)
        p = self.forecast(q)
        if norm is None:
            return float((np.where(p >= 0.5, 1.0, -1.0) * (expected - p)).mean())
        code = np.clip(np.ceil(p * N_BINS).astype(np.int64) - 1, 0, N_BINS - 1)
        mass = np.bincount(code, minlength=N_BINS).astype(np.float64)
        error = np.bincount(code, expected - p, N_BINS)
        return plugin_error(np.column_stack([mass, error]), norm)

    @property
    def label(self) -> str:
        """Description for the report."""
        kind = self.kind if self.kind in ("calibrated", "bump") else f"{self.kind} {self.amount:g}"
        clusters = f", clusters of {self.cluster_size}" if self.cluster_size > 1 else ""
        return f"Beta{self.beta}, {kind}, n = {self.n}{clusters}"


@dataclass(frozen=True)
class Study:
    """One row of the report."""

    population: Population
    norm: Norm | None
    label: str
    estimator: Callable[[], es.Estimator]
    ignore_clusters: bool = False

    def interval(self, rng: np.random.Generator) -> tuple[float, float]:
        """Limits from one simulated study."""
        arguments = self.population.draw(rng)
        if self.ignore_clusters:
            arguments.pop("cluster", None)
        estimator = self.estimator()
        estimator.fit(**arguments)  # type: ignore[attr-defined]
        low, high = estimator.estimate_.confidence_interval(0.95)
        return float(low[0]), float(high[0])


class Coverage(NamedTuple):
    """Share of intervals that hold the truth, and their mean width."""

    study: Study
    truth: float
    share: float
    width: float
    replicates: int

    @property
    def error(self) -> float:
        """Monte Carlo standard error of the share."""
        return float(np.sqrt(self.share * (1 - self.share) / self.replicates))


def balance_studies() -> list[Study]:
    """The t interval of the mean, on independent and on clustered rows."""
    settings = [
        Population(1000),
        Population(1000, "sharpened", 1.5),
        Population(1000, "sharpened", 0.6),
        Population(1000, "shifted", 0.5),
        Population(1000, "shifted", 0.5, beta=(2.0, 5.0)),
        Population(50, "sharpened", 1.5),
    ]
    studies = [Study(item, None, "t interval", es.BalanceScore) for item in settings]
    clustered = Population(600, "sharpened", 1.5, cluster_size=10)
    studies.append(Study(clustered, None, "t over clusters", es.BalanceScore))
    studies.append(Study(clustered, None, "rows as if independent", es.BalanceScore, True))
    return studies


def error_studies() -> list[Study]:
    """The default interval of the calibration error, and bootstrap intervals for comparison."""
    kinds = [
        Population(0),
        Population(0, "sharpened", 1.1),
        Population(0, "sharpened", 1.5),
        Population(0, "shifted", 0.5),
        Population(0, "bump"),
    ]
    norms: tuple[Norm, ...] = (1, 2)
    studies = [
        Study(
            Population(n, kind.kind, kind.amount),
            norm,
            "test inversion (default)",
            lambda norm=norm: CurveOnly(norm=norm),  # type: ignore[misc]
        )
        for norm in norms
        for kind in kinds
        for n in (300, 1000, 4000)
    ]
    clustered = Population(600, "sharpened", 1.5, cluster_size=10)
    studies += [
        Study(clustered, 1, "test inversion, clusters", CurveOnly),
        Study(clustered, 1, "rows as if independent", CurveOnly, True),
    ]
    studies += [
        Study(
            Population(1000, kind.kind, kind.amount),
            1,
            f"bias corrected, {interval} bootstrap",
            lambda interval=interval: es.CalibrationError(  # type: ignore[misc]
                debias=True, inference=es.Bootstrap(200, interval=interval, rng=0, n_jobs=1)
            ),
        )
        for kind in (kinds[0], kinds[2])
        for interval in ("basic", "percentile")
    ]
    return studies


def coverage(study: Study, replicates: int) -> Coverage:
    """Repeat `study` with one stream of random numbers per replicate."""
    truth = study.population.truth(study.norm)
    limits: Array = np.empty((replicates, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", es.EvalstatsWarning)
        for replicate in range(replicates):
            limits[replicate] = study.interval(np.random.default_rng([SEED, replicate, 2]))
    # The truth of the population itself is known to about 1e-4 only; 0 is exact.
    slack = 0.0 if truth == 0 else 1e-12
    held = (limits[:, 0] <= truth + slack) & (truth <= limits[:, 1] + slack)
    width = float((limits[:, 1] - limits[:, 0]).mean())
    return Coverage(study, truth, float(held.mean()), width, replicates)


def null_p_values(replicates: int) -> dict[str, Array]:
    """P-values of the tests of calibration where it holds."""
    found: dict[str, list[float]] = {"Balance, exact": [], "Calibration error, redrawn": []}
    population = Population(500)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", es.EvalstatsWarning)
        for replicate in range(replicates):
            arguments = population.draw(np.random.default_rng([SEED, replicate, 3]))
            balance = es.BalanceScore().fit(**arguments)
            found["Balance, exact"].append(balance.null_test()["p_value"][0])
            error = CurveOnly().fit(**arguments).calibration_test(199, rng=replicate)
            found["Calibration error, redrawn"].append(error["p_value"][0])
    return {name: np.array(values) for name, values in found.items()}


def report(results: list[Coverage], p_values: dict[str, Array]) -> str:
    """Page section with one table row per result."""
    lines = [
        "# Coverage of Balance score and calibration error",
        "",
        f"Share of {results[0].replicates:,} simulated studies whose 95% interval holds the "
        "population value, ± its Monte Carlo standard error, in percent. True probabilities are "
        "drawn from a beta distribution; the model sharpens or shifts their logits, or is off in "
        f"one place only. The calibration error is that of {N_BINS} bins of equal width.",
        "",
        "| Metric | Population | Interval | Truth | Coverage | Mean width |",
        "| --- | --- | --- | ---: | ---: | ---: |",
    ]
    for result in results:
        norm = result.study.norm
        metric = "Balance score" if norm is None else f"Calibration error, norm {norm}"
        lines.append(
            f"| {metric} | {result.study.population.label} | {result.study.label} "
            f"| {result.truth:.4f} | {100 * result.share:.1f} ± {100 * result.error:.1f} "
            f"| {result.width:.4f} |"
        )
    lines += [
        "",
        "Under calibration (500 rows) p-values should be uniform:",
        "",
        "| Test | Share below 0.05 | below 0.5 | Kolmogorov-Smirnov p |",
        "| --- | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {name} | {(values <= 0.05).mean():.3f} | {(values <= 0.5).mean():.3f} "
        f"| {stats.kstest(values, 'uniform').pvalue:.2f} |"
        for name, values in p_values.items()
    ]
    lines += [
        "",
        f"Seed {SEED}; {datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}; "
        f"evalstats {es.__version__}, numpy {np.__version__}, Python {platform.python_version()}; "
        "made by `python -m benchmarks.coverage_calibration`.",
        "",
    ]
    return "\n".join(lines)


def main(
    replicates: int = REPLICATES, page: Path | None = PAGE, show: Callable[[str], None] = print
) -> list[Coverage]:
    """Run all studies and write the page, if one is given."""
    results = []
    for study in balance_studies() + error_studies():
        results.append(coverage(study, replicates))
        show(
            f"{study.norm!s:5} {study.population.label:50s} {study.label:35s} "
            f"{100 * results[-1].share:5.1f}"
        )
    if page is not None:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(report(results, null_p_values(replicates)), encoding="utf-8")
    return results


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(int(sys.argv[1]), page=None)
    else:
        main()
