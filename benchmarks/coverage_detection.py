"""Coverage of the intervals of AP-Fixed and AP-Pool, of one detector and of a paired difference.

Usage: python -m benchmarks.coverage_detection [SAMPLES]
"""

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

import evalstats as es
from evalstats.detection.synthetic import synthetic_detections, synthetic_ground_truth

PAGE = Path(__file__).resolve().parents[1] / "docs" / "generated" / "coverage_detection.md"
SEED = 20_261_126
SAMPLES = 200
RESAMPLES = 300
POPULATION, N_IMAGES, N_CATEGORIES = 2000, 200, 20
Z = float(stats.norm.ppf(0.975))
METHODS = ("percentile", "normal", "basic", "bias_corrected", "default")
ESTIMATORS: dict[str, Callable[..., Any]] = {
    "AP-Fixed": lambda **options: es.AveragePrecision(protocol="fixed", **options),
    "AP-Pool": es.PooledAveragePrecision,
}

Array = NDArray[np.float64]
Limits = tuple[float, float]


@dataclass(frozen=True)
class Setting:
    """Two detectors: separation of hits from false alarms, and false alarms in an image."""

    name: str
    quality: tuple[float, float]
    noise: float


SETTINGS = (Setting("many false alarms", (0.5, 0.4), 15.0), Setting("few", (1.0, 0.8), 6.0))


@dataclass
class Result:
    """What happened over the samples, for one number."""

    label: str
    target: float
    values: list[float] = field(default_factory=list)
    corrected: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)
    covered: dict[str, int] = field(default_factory=lambda: dict.fromkeys(METHODS, 0))

    def add(self, value: float, drawn: Array, default: Limits, bias: float) -> None:
        """Count one sample: its value, replicates, default interval and estimated bias."""
        error = float(drawn.std(ddof=1))
        low, high = np.quantile(drawn, [0.025, 0.975])
        centre = 2 * value - drawn.mean()
        limits = {
            "percentile": (low, high),
            "normal": (value - Z * error, value + Z * error),
            "basic": (2 * value - high, 2 * value - low),
            "bias_corrected": (centre - Z * error, centre + Z * error),
            "default": default,
        }
        for name, (start, stop) in limits.items():
            self.covered[name] += start <= self.target <= stop
        self.values.append(value)
        self.errors.append(error)
        self.corrected.append(value - bias)

    def share(self, method: str) -> float:
        """Coverage of a method."""
        return self.covered[method] / len(self.values)

    def row(self) -> str:
        """Line of the table."""
        shares = " | ".join(f"{100 * self.share(name):.0f}" for name in METHODS)
        numbers = (
            self.target,
            np.mean(self.values),
            np.mean(self.corrected),
            np.std(self.values, ddof=1),
            np.mean(self.errors),
        )
        shown = " | ".join(f"{number:.4f}" for number in numbers)
        return f"| {self.label} | {shown} | {shares} |"


def coverage(
    setting: Setting, metric: str, samples: int = SAMPLES, seed: int = SEED
) -> list[Result]:
    """Results for one detector and for the difference of two."""
    rng = np.random.default_rng(seed)
    truth = synthetic_ground_truth(rng, POPULATION, N_CATEGORIES)
    models = {
        name: synthetic_detections(rng, truth, quality=quality, shift=0.5, noise=setting.noise)
        for name, quality in zip("ab", setting.quality, strict=True)
    }
    make = ESTIMATORS[metric]
    whole = make(metrics=["AP"], inference=es.NoInference()).fit(truth, models).estimate_.value
    results = [
        Result(f"{setting.name}, {metric}", float(whole[0])),
        Result(f"{setting.name}, {metric}, difference", float(whole[1] - whole[0])),
    ]
    for number in range(samples):
        chosen = np.sort(rng.choice(POPULATION, N_IMAGES))
        inference = es.Bootstrap(RESAMPLES, interval="bias_corrected", double=True, rng=number)
        fitted = make(metrics=["AP"], inference=inference)
        estimate = fitted.fit(truth[chosen], {k: v[chosen] for k, v in models.items()}).estimate_
        single = estimate.confidence_interval()
        paired = estimate.compare("a")
        drawn = estimate.replicates
        results[0].add(
            float(estimate.value[0]),
            drawn[:, 0],
            (float(single.low[0]), float(single.high[0])),
            float(estimate.bias[0]),
        )
        limits = (float(paired["ci_low"][0]), float(paired["ci_high"][0]))
        results[1].add(
            float(estimate.value[1] - estimate.value[0]),
            drawn[:, 1] - drawn[:, 0],
            limits,
            float(estimate.bias[1] - estimate.bias[0]),
        )
    return results


def main(
    samples: int = SAMPLES, page: Path = PAGE, show: Callable[[str], object] = print
) -> list[Result]:
    """Run the study and write its page."""
    results = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for setting in SETTINGS:
            for metric in ESTIMATORS:
                for result in coverage(setting, metric, samples):
                    show(result.row())
                    results.append(result)
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text(samples, results), encoding="utf-8")
    return results


def text(samples: int, results: list[Result]) -> str:
    """The study as Markdown."""
    margin = 100 * np.sqrt(0.95 * 0.05 / samples)
    head = "| | population | mean estimate | mean corrected | sd | mean bootstrap SE | "
    return "\n".join(
        [
            "# Coverage of intervals of average precision",
            "",
            f"{samples} samples of {N_IMAGES} images, drawn with replacement from generated "
            f"populations of {POPULATION} images with {N_CATEGORIES} categories; {RESAMPLES} "
            "replicates; nominal coverage 95%. Columns on the right are coverage in percent, with "
            f"a Monte Carlo standard error of about {margin:.1f} at 95%. `default` is what "
            "`fit` reports: the interval around the estimate minus its bias by a double bootstrap "
            "(`mean corrected`). `bias_corrected` uses the bias of a single bootstrap. Seed "
            f"{SEED}.",
            "",
            head + " | ".join(METHODS) + " |",
            "| --- |" + " ---: |" * (5 + len(METHODS)),
            *(result.row() for result in results),
            "",
        ]
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else SAMPLES)
