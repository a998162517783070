"""Coverage of length-controlled win rates in repeated simulated studies.

Usage: python -m benchmarks.coverage_winrate [REPLICATES]; writes
docs/generated/coverage_winrate.md when REPLICATES is left out (2,000).

The two populations were chosen by their sampling errors, near 1.0 and 1.5 points with published
standard errors near 0.5 and 0.6: what weak and strong models of the public table show.
"""

import datetime
import platform
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

import evalstats as es

Array = NDArray[np.float64]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "generated" / "coverage_winrate.md"
REPLICATES = 2000
SEED = 20_260_131
LEVEL = 0.95
N_ITEMS = 805
SHAPE = 4.0  # of the gamma distribution of lengths
MEAN_LENGTHS = (1800.0, 2000.0)  # of the models and of the baseline


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
class Population:
    """Two models judged on the same instructions by a judge who is nearly always certain.

    Attributes
    ----------
    first, second : Model
        The model of interest and its rival.
    certainty : float
        Second parameter 1 and this first parameter of the beta distribution of how far a
        preference lies from its mean towards 0 or 1: preferences are U-shaped.
    agreement : float
        Correlation of what decides the preference for either model.
    """

    first: Model
    second: Model
    certainty: float
    agreement: float = 0.6

    def draw(self, rng: np.random.Generator) -> dict[str, object]:
        """Preferences, lengths and difficulties of one study."""
        difficulty = rng.normal(size=N_ITEMS)
        own, other = (mean / SHAPE for mean in MEAN_LENGTHS)
        baseline = rng.gamma(SHAPE, other, N_ITEMS)
        scale = np.sqrt(SHAPE * (own**2 + other**2))
        shared = rng.normal(size=N_ITEMS)
        preference, length = {}, {}
        for name, model in (("first", self.first), ("second", self.second)):
            length[name] = rng.gamma(SHAPE, own, N_ITEMS)
            mean = special.expit(
                model.length * np.tanh((baseline - length[name]) / scale)
                + model.difficulty * difficulty
                + model.own
            )
            latent = np.sqrt(self.agreement) * shared
            latent += np.sqrt(1 - self.agreement) * rng.normal(size=N_ITEMS)
            wins = special.ndtr(latent) < mean
            preference[name] = mean + (wins - mean) * rng.beta(self.certainty, 1.0, N_ITEMS)
        return {
            "preference": preference,
            "length_model": length,
            "length_baseline": baseline,
            "difficulty": difficulty,
        }


class Limits(NamedTuple):
    """Estimate with lower and upper limits of the intervals that are compared."""

    value: float
    influence: tuple[float, float]
    reference: tuple[float, float]


def controlled_limits(population: Population, rng: np.random.Generator) -> dict[str, Limits]:
    """Intervals of the first model and of the difference, from one simulated study."""
    study = population.draw(rng)
    difficulty = np.asarray(study.pop("difficulty"))
    fitted = es.LengthControlledWinRate(
        coding="unit", difficulty=dict(enumerate(difficulty.tolist())), level=LEVEL
    ).fit(item=np.arange(N_ITEMS), **study)  # type: ignore[arg-type]
    estimate = fitted.estimate_
    low, high = estimate.confidence_interval()
    rates = [predicted_rates(fitted, name, difficulty) for name in ("first", "second")]
    errors = [reference_error(rate) for rate in rates]
    difference = estimate.compare(reference="second", adjust=None).row(0, named=True)
    return {
        "first": Limits(
            float(estimate.value[0]),
            (float(low[0]), float(high[0])),
            wald(float(estimate.value[0]), errors[0]),
        ),
        "difference": Limits(
            difference["estimate"],
            (difference["ci_low"], difference["ci_high"]),
            wald(difference["estimate"], float(np.hypot(errors[0], errors[1]))),
        ),
    }


def predicted_rates(fitted: es.LengthControlledWinRate, model: str, difficulty: Array) -> Array:
    """Predicted preference for the model on each instruction at equal lengths."""
    rows = fitted.coefficients_.filter(fitted.coefficients_["model"] == model)
    theta = dict(zip(rows["term"], rows["coefficient"], strict=True))
    return np.asarray(
        special.expit(float(theta["model"]) + float(theta["difficulty"]) * difficulty)
    )


def reference_error(rates: Array) -> float:
    """AlpacaEval's ``lc_standard_error``: spread of the predictions over the instructions."""
    return float(100.0 * rates.std(ddof=1) / np.sqrt(len(rates)))


def wald(value: float, error: float) -> tuple[float, float]:
    """Symmetric limits."""
    reach = float(stats.norm.ppf(0.5 + LEVEL / 2)) * error
    return value - reach, value + reach


@dataclass(frozen=True)
class Coverage:
    """Result for one target: its sampling error, and each interval's coverage and half-width."""

    population: str
    target: str
    truth: float
    sampling_error: float
    share: dict[str, float]
    reach: dict[str, float]
    replicates: int

    def error(self, interval: str) -> float:
        """Monte Carlo standard error of the share."""
        share = self.share[interval]
        return float(np.sqrt(share * (1 - share) / self.replicates))


POPULATIONS = {
    "weak model": Population(Model(-1.0, 1.6, -2.9), Model(-1.0, 1.2, -2.5), certainty=12.0),
    "strong model": Population(Model(-1.2, 0.8, -0.2), Model(-0.8, 0.7, 0.0), certainty=4.0),
}


def coverage(name: str, replicates: int) -> list[Coverage]:
    """Repeat the study with one stream of random numbers per replicate."""
    population = POPULATIONS[name]
    truths = {
        "first": population.first.truth(),
        "difference": population.first.truth() - population.second.truth(),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", es.EvalstatsWarning)
        studies = [
            controlled_limits(population, np.random.default_rng([SEED, replicate]))
            for replicate in range(replicates)
        ]
    results = []
    for target, truth in truths.items():
        limits = {
            interval: np.array([getattr(study[target], interval) for study in studies])
            for interval in ("influence", "reference")
        }
        results.append(
            Coverage(
                name,
                target,
                truth,
                float(np.std([study[target].value for study in studies], ddof=1)),
                {
                    interval: float(((x[:, 0] <= truth) & (truth <= x[:, 1])).mean())
                    for interval, x in limits.items()
                },
                {k: float((x[:, 1] - x[:, 0]).mean() / 2) for k, x in limits.items()},
                replicates,
            )
        )
    return results


def cell(result: Coverage, interval: str) -> str:
    """Coverage in percent with its Monte Carlo error."""
    return f"{100 * result.share[interval]:.1f} ± {100 * result.error(interval):.1f}"


def report(results: list[Coverage]) -> str:
    """Page section with one table row per result."""
    critical = float(stats.norm.ppf(0.5 + LEVEL / 2))
    lines = [
        "# Coverage of length-controlled win rates",
        "",
        f"Share of {results[0].replicates:,} simulated studies of {N_ITEMS} instructions whose 95% "
        "interval holds the population value, ± its Monte Carlo standard error, in percent. "
        "Preferences are U-shaped, as those of a judge who is nearly always certain. *Influence* "
        "is the interval of `LengthControlledWinRate`, *reference* the estimate ± 1.96 of the "
        "standard errors that AlpacaEval publishes (for a difference, added in squares). The two "
        "populations were chosen so that sampling and published errors are about those of weak and "
        "strong models in the public table.",
        "",
        "| Study | Truth | Sampling error | Influence: error | Coverage "
        "| Reference: error | Coverage |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for result in results:
        what = "difference of two models" if result.target == "difference" else "controlled rate"
        lines.append(
            f"| {result.population}: {what} | {result.truth:.2f} | {result.sampling_error:.2f} "
            f"| {result.reach['influence'] / critical:.2f} | {cell(result, 'influence')} "
            f"| {result.reach['reference'] / critical:.2f} | {cell(result, 'reference')} |"
        )
    lines += [
        "",
        f"Seed {SEED}; {datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}; "
        f"evalstats {es.__version__}, numpy {np.__version__}, Python {platform.python_version()}; "
        "made by `python -m benchmarks.coverage_winrate`.",
        "",
    ]
    return "\n".join(lines)


def main(
    replicates: int = REPLICATES, page: Path | None = PAGE, show: Callable[[str], None] = print
) -> list[Coverage]:
    """Run all studies and write the page, if one is given."""
    results = []
    for name in POPULATIONS:
        for result in coverage(name, replicates):
            results.append(result)
            show(
                f"{name:14s} {result.target:12s} SD {result.sampling_error:.2f} influence "
                f"{cell(result, 'influence')} reference {cell(result, 'reference')}"
            )
    if page is not None:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(report(results), encoding="utf-8")
    return results


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(int(sys.argv[1]), page=None)
    else:
        main()
