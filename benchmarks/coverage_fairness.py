"""Coverage of intervals of distance covariances, and levels of the tests of parity.

Run as ``python -m benchmarks.coverage_fairness``; writes ``docs/generated/coverage_fairness.md``.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from evalstats.fairness.encoding import Types, encode, geometry_of
from evalstats.fairness.functions import correlation
from evalstats.fairness.geometry import Geometry, Ranking
from evalstats.fairness.parity import chi_square_p_value, permutation_p_value

Array = NDArray[np.float64]
PAGE = Path(__file__).resolve().parents[1] / "docs" / "generated" / "coverage_fairness.md"
SEED = 20261125
SIZES = (200, 1000)
TEST_SIZES = (50, 200, 1000)
LEVELS = (0.01, 0.05, 0.10)
CRITICAL = 1.959963984540054
REGIONS = np.array(["north", "south", "west"])


@dataclass(frozen=True)
class Coverage:
    """Share of intervals that contain the truth, and mean error over the spread of estimates."""

    what: str
    n: int
    share: float
    error_ratio: float


@dataclass(frozen=True)
class Size:
    """Share of rejections at each level under independence."""

    test: str
    n: int
    shares: tuple[float, ...]


def draw(rng: np.random.Generator, n: int, effect: float) -> tuple[Array, Geometry]:
    """A prediction that depends on sex and region through `effect`, and their geometry."""
    sex = rng.integers(0, 2, n)
    region = rng.integers(0, 3, n)
    y = effect * (sex + (region == 1)) + rng.normal(size=n)
    pairs = [
        encode("sex", sex, Types(), "default", None),
        encode("region", REGIONS[region], Types(), "default", None),
    ]
    attributes, codes = [a for a, _ in pairs], [c for _, c in pairs]
    return y, geometry_of(attributes, codes, joint=False, c=0.0)


def estimate(y: Array, geometry: Geometry) -> tuple[Array, Array]:
    """CCdCov and dCor2 (unbiased) with standard errors of their influence."""
    ranking, ones = Ranking.of(y), np.ones(len(y))
    parts = geometry.parts(ranking, ones, True)
    biased = geometry.parts(ranking, ones, False)
    slopes = geometry.influence(ranking, ones)
    first, second = float(biased.variance_prediction), float(biased.variance_attributes)
    spread = np.sqrt(first * second)
    relative = np.asarray(slopes.variance_prediction) / first
    relative = relative + np.asarray(slopes.variance_attributes) / second
    theta = np.asarray(slopes.dependence)
    by_row = theta / spread - 0.5 * float(biased.dependence) / spread * relative
    value = float(parts.dependence)
    values = np.array(
        [
            value,
            correlation(value, float(parts.variance_prediction), float(parts.variance_attributes)),
        ]
    )
    errors = np.array([theta.std(ddof=1), by_row.std(ddof=1)]) / np.sqrt(len(y))
    return values, errors


def coverage(n: int, replicates: int, effect: float = 0.8) -> list[Coverage]:
    """Coverage of Wald intervals under clear dependence; the truth from 2,000,000 rows."""
    rng = np.random.default_rng([SEED, n])
    truth, _ = estimate(*draw(np.random.default_rng(SEED), 2_000_000, effect))
    drawn = [estimate(*draw(rng, n, effect)) for _ in range(replicates)]
    values, errors = np.array([v for v, _ in drawn]), np.array([e for _, e in drawn])
    inside = np.abs(values - truth) <= CRITICAL * errors
    return [
        Coverage(
            name, n, float(inside[:, k].mean()), float(errors[:, k].mean() / values[:, k].std())
        )
        for k, name in enumerate(("CCdCov²", "dCor²"))
    ]


def sizes(n: int, replicates: int) -> list[Size]:
    """Rejections under independence: chi-square, and permutation with 199 permutations."""
    rng = np.random.default_rng([SEED, n, 1])
    p_values = np.empty((replicates, 2))
    for replicate in range(replicates):
        y, geometry = draw(rng, n, 0.0)
        ranking = Ranking.of(y)
        p_values[replicate, 0] = chi_square_p_value(geometry, ranking, n)[1]
        p_values[replicate, 1] = permutation_p_value(geometry, ranking, True, 199, replicate)[1]
    return [
        Size(name, n, tuple(float((p_values[:, k] <= level).mean()) for level in LEVELS))
        for k, name in enumerate(("chi-square", "permutation"))
    ]


def main(
    replicates: int, page: Path, show: Callable[[str], object]
) -> tuple[list[Coverage], list[Size]]:
    """Run everything and write the page."""
    covered: list[Coverage] = []
    for n in SIZES:
        covered += coverage(n, replicates)
        show(str(covered[-2:]))
    tested: list[Size] = []
    for n in TEST_SIZES:
        tested += sizes(n, replicates)
        show(str(tested[-2:]))
    lines = [
        "# Coverage: distance covariance",
        "",
        "Written by `python -m benchmarks.coverage_fairness`; do not edit. A normal prediction, a",
        "binary and a nominal attribute.",
        "",
        "Intervals (95 %, clear dependence). The last column is the mean standard error over the",
        "standard deviation of the estimates.",
        "",
        "| value | n | coverage | error ratio |",
        "| --- | ---: | ---: | ---: |",
        *(f"| {c.what} | {c.n:,} | {c.share:.3f} | {c.error_ratio:.3f} |" for c in covered),
        "",
        "Tests of parity under independence: share of rejections.",
        "",
        "| test | n | 1 % | 5 % | 10 % |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(
            f"| {s.test} | {s.n:,} | {' | '.join(f'{share:.3f}' for share in s.shares)} |"
            for s in tested
        ),
        "",
        f"{replicates:,} replicates each. Seed {SEED}.",
        "",
    ]
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("\n".join(lines), encoding="utf-8")
    return covered, tested


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000, PAGE, print)
