"""Coverage of slopes and of CORP terms, and levels of the tests of calibration.

Usage: python -m benchmarks.coverage_scores [REPLICATES]; writes
docs/generated/coverage_scores.md when REPLICATES is left out (2,000).
"""

import datetime
import platform
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

import evalstats as es

Array = NDArray[np.float64]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "generated" / "coverage_scores.md"
REPLICATES = 2000
SEED = 20_260_131
LEVEL = 0.95
N = 500
N_CLUSTERS = 60
ROWS_PER_CLUSTER = 8
NULL_REPLICATES = 199
BOOTSTRAP_REPLICATES = 200
SPREAD = 1.5  # of the logits of the forecasts


@dataclass(frozen=True)
class Study:
    """True line that turns logits of forecasts into logits of events.

    Attributes
    ----------
    intercept, slope : float
        Coefficients of the line; (0, 1) is calibration.
    cluster_share : float
        Share of the logits' variance that rows of a cluster have in common; 0 for single rows.
    """

    name: str
    intercept: float
    slope: float
    cluster_share: float = 0.0

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.bool_], Array, Array | None]:
        """Outcomes, forecasts and clusters of one study.

        In clusters the outcomes depend through common uniform numbers (a Gaussian copula), which
        leaves the frequency at each forecast as it is.
        """
        if not self.cluster_share:
            logits = SPREAD * rng.normal(size=N)
            chance = special.expit(self.intercept + self.slope * logits)
            return rng.random(N) < chance, special.expit(logits), None
        cluster = np.repeat(np.arange(N_CLUSTERS), ROWS_PER_CLUSTER)
        rows = len(cluster)
        share = self.cluster_share

        def correlated() -> Array:
            common = rng.normal(size=N_CLUSTERS)[cluster]
            return np.asarray(np.sqrt(share) * common + np.sqrt(1 - share) * rng.normal(size=rows))

        logits = SPREAD * correlated()
        chance = special.expit(self.intercept + self.slope * logits)
        return special.ndtr(correlated()) < chance, special.expit(logits), cluster.astype(float)

    def truths(self) -> dict[str, float]:
        """Population values of the line and of the terms of the Brier score."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(200)
        weights = weights / weights.sum()
        forecast = special.expit(SPREAD * nodes)
        chance = special.expit(self.intercept + self.slope * SPREAD * nodes)
        base = float(weights @ chance)
        shift = 0.0
        for _ in range(50):
            moved = special.expit(SPREAD * nodes + shift)
            shift += (base - float(weights @ moved)) / float(weights @ (moved * (1 - moved)))
        miscalibration = float(weights @ (forecast - chance) ** 2)
        discrimination = float(weights @ (chance - base) ** 2)
        uncertainty = base * (1 - base)
        return {
            "intercept": self.intercept,
            "slope": self.slope,
            "calibration-in-the-large": shift,
            "miscalibration": miscalibration,
            "discrimination": discrimination,
            "uncertainty": uncertainty,
            "score": miscalibration - discrimination + uncertainty,
        }


STUDIES = (
    Study("calibrated", 0.0, 1.0),
    Study("over-confident", 0.0, 0.6),
    Study("shifted", -0.5, 1.0),
    Study("calibrated, clusters", 0.0, 1.0, cluster_share=0.5),
)


@dataclass(frozen=True)
class Result:
    """Coverage of each interval, and shares of p-values below two levels, for one study."""

    study: str
    replicates: int
    covered: dict[str, float]
    width: dict[str, float]
    rejected: dict[str, tuple[float, float]]
    uniformity: dict[str, float]

    def error(self, share: float) -> float:
        """Monte Carlo standard error of a share."""
        return float(np.sqrt(share * (1 - share) / self.replicates))


def simulate(study: Study, replicates: int) -> Result:
    """Repeat one study with one stream of random numbers per replicate."""
    truths = study.truths()
    covered: dict[str, list[bool]] = {name: [] for name in truths}
    width: dict[str, list[float]] = {name: [] for name in truths}
    p_values: dict[str, list[float]] = {}
    for replicate in range(replicates):
        y, p, cluster = study.draw(np.random.default_rng([SEED, replicate]))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", es.EvalstatsWarning)
            line = es.CalibrationSlope(level=LEVEL).fit(y, p, cluster=cluster)
            bootstrap = es.Bootstrap(BOOTSTRAP_REPLICATES, interval="bias_corrected", rng=replicate)
            diagram = es.ReliabilityDiagram(level=LEVEL, inference=bootstrap)
            diagram.fit(y, p, cluster=cluster)
        for fitted, column in ((line, "parameter"), (diagram, "component")):
            low, high = fitted.estimate_.confidence_interval()
            for position, name in enumerate(fitted.estimate_.terms[column]):
                covered[name].append(bool(low[position] <= truths[name] <= high[position]))
                width[name].append(float(high[position] - low[position]))
        null = diagram.calibration_test(n_resamples=NULL_REPLICATES, rng=replicate)
        found = {
            "slope and intercept (Wald)": line.calibration_test()["p_value"][0],
            "miscalibration (consistency)": null["p_value"][0],
            "Spiegelhalter": es.spiegelhalter_test(y, p).p_value,
        }
        for name, p_value in found.items():
            p_values.setdefault(name, []).append(float(p_value))
    return Result(
        study.name,
        replicates,
        {name: float(np.mean(hits)) for name, hits in covered.items()},
        {name: float(np.mean(widths)) for name, widths in width.items()},
        {
            name: (float(np.mean(np.array(p) <= 0.05)), float(np.mean(np.array(p) <= 0.5)))
            for name, p in p_values.items()
        },
        {name: float(stats.kstest(p, "uniform").pvalue) for name, p in p_values.items()},
    )


def percent(result: Result, share: float) -> str:
    """Share with its Monte Carlo error, in percent."""
    return f"{100 * share:.1f} ± {100 * result.error(share):.1f}"


def report(results: list[Result]) -> str:
    """The whole page."""
    names = list(results[0].covered)
    tests = list(results[0].rejected)
    lines = [
        "# Coverage of slopes and decompositions, levels of tests",
        "",
        f"{results[0].replicates:,} simulated studies of {N} rows; those with clusters have "
        f"{N_CLUSTERS} clusters of {ROWS_PER_CLUSTER} rows whose forecasts and outcomes are "
        "correlated. Logits of forecasts are normal with standard deviation "
        f"{SPREAD}; the events follow the line *intercept + slope × logit*: (0, 1) when "
        "calibrated, (0, 0.6) over-confident, (−0.5, 1) shifted.",
        "",
        "Share of 95% intervals that hold the population value, ± Monte Carlo standard error, in "
        "percent. Slopes: sandwich, or cluster sandwich. Terms of the Brier score: bias-corrected "
        f"bootstrap with {BOOTSTRAP_REPLICATES} replicates. Under calibration the population "
        "miscalibration is 0, the end of its range.",
        "",
        f"| Study | {' | '.join(names)} |",
        f"| --- |{' ---: |' * len(names)}",
    ]
    for result in results:
        cells = [percent(result, result.covered[name]) for name in names]
        lines.append(f"| {result.study} | {' | '.join(cells)} |")
    lines += [
        "",
        "Share of p-values at most 0.05 and 0.5, in percent, and the p-value of a "
        "Kolmogorov-Smirnov test that they are uniform. Under calibration the shares should be 5 "
        "and 50; otherwise they are the power. The consistency test and Spiegelhalter's take rows "
        "as independent, which clusters break: only the Wald test has their level.",
        "",
        "| Study | Test | ≤ 0.05 | ≤ 0.5 | uniform? |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for result in results:
        for name in tests:
            low, half = result.rejected[name]
            lines.append(
                f"| {result.study} | {name} | {percent(result, low)} | {percent(result, half)} "
                f"| {result.uniformity[name]:.2g} |"
            )
    lines += [
        "",
        f"Seed {SEED}; {datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}; "
        f"evalstats {es.__version__}, numpy {np.__version__}, Python {platform.python_version()}; "
        "made by `python -m benchmarks.coverage_scores`.",
        "",
    ]
    return "\n".join(lines)


def main(
    replicates: int = REPLICATES, page: Path | None = PAGE, show: Callable[[str], None] = print
) -> list[Result]:
    """Run all studies and write the page, if one is given."""
    results = []
    for study in STUDIES:
        results.append(simulate(study, replicates))
        show(f"{study.name}: {results[-1]}")
    if page is not None:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(report(results), encoding="utf-8")
    return results


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(int(sys.argv[1]), None)
    else:
        main()
