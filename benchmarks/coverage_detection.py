"""Coverage of intervals for AP-Fixed and AP-Pool, for one detector and for a paired difference.

Usage: python -m benchmarks.coverage_detection [SAMPLES]; without SAMPLES (150) it writes
docs/generated/coverage_detection.md.
"""

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

import evalstats as es
from evalstats.detection.synthetic import synthetic_detections, synthetic_ground_truth

PAGE = Path(__file__).resolve().parents[1] / "docs" / "generated" / "coverage_detection.md"
SAMPLES = 150
REPLICATES = 400
POPULATION, N_IMAGES, N_CATEGORIES = 2000, 200, 20
Z = float(stats.norm.ppf(0.975))
METHODS = ("percentile", "normal", "basic", "bias_corrected", "twice corrected", "m = n / 2")

Array = NDArray[np.float64]


def intervals(
    value: float, first: Array, second: Array, half: Array
) -> dict[str, tuple[float, float]]:
    """Intervals of a number from replicates of first and second level and of half the size."""
    low, high = np.quantile(first, [0.025, 0.975])
    error = float(first.std(ddof=1))
    bias = float(first.mean() - value)
    again = float(second.mean() - first.mean())
    centres = {
        "normal": value,
        "bias_corrected": value - bias,
        # The bias of the bias estimate is seen one level deeper.
        "twice corrected": value - 2 * bias + again,
        # A bias of order 1 / n is twice as large in samples of half the size.
        "m = n / 2": value - 0.5 * float(half.mean() - value),
    }
    result = {name: (c - Z * error, c + Z * error) for name, c in centres.items()}
    return {
        "percentile": (float(low), float(high)),
        "basic": (2 * value - float(high), 2 * value - float(low)),
        **result,
    }


def replicate_values(
    estimator: Any, truth: object, models: object, rng: np.random.Generator
) -> tuple[Array, Array, Array, Array]:
    """Value and replicates of both detectors and of their difference."""
    columns = estimator._columns({"ground_truth": truth, "detections": models})
    prepared = estimator._prepare(columns)

    def numbers(weight: Array) -> list[float]:
        a, b = estimator._evaluate(prepared, weight)
        return [a, a - b]

    n = columns.n
    levels: tuple[list[list[float]], ...] = ([], [], [])
    for _ in range(REPLICATES):
        counts = rng.multinomial(n, np.full(n, 1 / n))
        levels[0].append(numbers(counts.astype(float)))
        levels[1].append(numbers(rng.multinomial(n, counts / n).astype(float)))
        levels[2].append(numbers(rng.multinomial(n // 2, np.full(n, 1 / n)).astype(float)))
    first, second, half = (np.array(level) for level in levels)
    return np.array(numbers(np.ones(n))), first, second, half


def main(samples: int = SAMPLES, write: bool = True) -> str:
    """Run the study and write its page."""
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(20_261_125)
    truth = synthetic_ground_truth(rng, POPULATION, N_CATEGORIES)
    models = {
        "a": synthetic_detections(rng, truth, quality=0.5, shift=0.5, noise=15),
        "b": synthetic_detections(rng, truth, quality=0.4, shift=0.5, noise=15),
    }
    rows = []
    estimators: tuple[tuple[str, Any], ...] = (
        ("AP-Fixed", es.AveragePrecision(protocol="fixed", metrics=["AP"])),
        ("AP-Pool", es.PooledAveragePrecision(metrics=["AP"])),
    )
    for name, estimator in estimators:
        columns = estimator._columns({"ground_truth": truth, "detections": models})
        whole = estimator._evaluate(estimator._prepare(columns), np.ones(POPULATION))
        target = np.array([whole[0], whole[0] - whole[1]])
        covered = {key: np.zeros(2) for key in METHODS}
        values, errors, biases = [], [], []
        for _ in range(samples):
            chosen = np.sort(rng.choice(POPULATION, N_IMAGES))
            part = {key: item[chosen] for key, item in models.items()}
            value, *levels = replicate_values(estimator, truth[chosen], part, rng)
            values.append(value)
            errors.append(levels[0].std(axis=0, ddof=1))
            biases.append(levels[0].mean(axis=0) - value)
            for which in range(2):
                found = intervals(value[which], *(level[:, which] for level in levels))
                for key, (low, high) in found.items():
                    covered[key][which] += low <= target[which] <= high
        for which, label in enumerate(("one detector", "difference")):
            drawn = np.array(values)[:, which]
            share = " | ".join(f"{100 * covered[key][which] / samples:.0f}" for key in METHODS)
            rows.append(
                f"| {name}, {label} | {target[which]:.4f} | {drawn.mean():.4f} | "
                f"{np.array(biases)[:, which].mean():.4f} | {drawn.std(ddof=1):.4f} | "
                f"{np.array(errors)[:, which].mean():.4f} | {share} |"
            )
    text = page(samples, rows)
    if write:
        PAGE.write_text(text, encoding="utf-8")
    return text


def page(samples: int, rows: list[str]) -> str:
    """The study as Markdown."""
    margin = 100 * np.sqrt(0.95 * 0.05 / samples)
    header = "| | population | mean estimate | bootstrap bias | sd | mean bootstrap SE | "
    return "\n".join(
        [
            "# Coverage of intervals of average precision",
            "",
            f"{samples} samples of {N_IMAGES} images, drawn with replacement from a generated "
            f"population of {POPULATION} images with {N_CATEGORIES} categories; {REPLICATES} "
            "replicates; nominal coverage 95%. Columns on the right are coverage in percent, with "
            f"a Monte Carlo standard error of about {margin:.1f} at 95%. `bias_corrected` is the "
            "default (here without the logit scale); `twice corrected` estimates the bias of the "
            "bias by a double bootstrap; `m = n / 2` estimates the bias from resamples of half "
            "the size.",
            "",
            header + " | ".join(METHODS) + " |",
            "| --- |" + " ---: |" * (5 + len(METHODS)),
            *rows,
            "",
        ]
    )


if __name__ == "__main__":
    given = sys.argv[1:2]
    print(main(int(given[0]) if given else SAMPLES, write=not given))
