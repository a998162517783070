"""Coverage of the bands of discontinuity designs in repeated simulated studies.

Usage: python -m benchmarks.coverage_discontinuity [REPLICATES]; writes
docs/generated/coverage_discontinuity.md when REPLICATES is left out (1,000).

Units have 50 draws each; the running variable is uniform on [-1, 1]. The kernel is Epanechnikov
and the grid are the deciles, as in the Monte Carlo study of the method's reference.
"""

import datetime
import platform
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

import evalstats as es

Array = NDArray[np.float64]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "generated" / "coverage_discontinuity.md"
REPLICATES = 1000
SEED = 20_261_126
LEVEL = 0.95
N_DRAWS = 50
B = 999
GRID = np.arange(1, 10) / 10.0
NORMAL = stats.norm.ppf(GRID)
Kind = Literal["constant", "heterogeneous", "fuzzy", "clustered"]
Method = Literal["frechet", "local_polynomial"]

DESCRIPTIONS = {
    "constant": "location and scale vary between units, the effect is the same at every quantile",
    "heterogeneous": "curved random location and scale, the effect grows with the quantile",
    "fuzzy": "constant effect of a treatment whose probability jumps from 0.2 to 0.8",
    "clustered": "constant effect; half of the variance of the location is shared by five units",
}


@dataclass(frozen=True)
class Study:
    """One simulated sample and the effect curve that generated it."""

    x: Array
    draws: Array
    truth: Array
    treatment: Array | None = None
    cluster: NDArray[np.int64] | None = None


def draw_study(kind: Kind, n: int, rng: np.random.Generator, effect: float = 1.0) -> Study:
    """Draw one sample of n units."""
    x = rng.uniform(-1, 1, n)
    above = x >= 0
    treatment = cluster = None
    if kind == "heterogeneous":
        slope = np.where(above, 1.5, -0.5)
        location = 2 * x + slope * x**2 + np.sin(2 * x) + effect * above + rng.normal(0, 0.8, n)
        scale = np.exp(0.3 * x + rng.normal(0, 0.25, n)) * (1 + 0.5 * effect * above)
        truth = effect + 0.5 * effect * np.exp(0.25**2 / 2) * NORMAL
    else:
        location = 2 * x + rng.normal(0, 0.25, n)
        treated: Any = above
        if kind == "fuzzy":
            treatment = (rng.random(n) < np.where(above, 0.8, 0.2)).astype(float)
            treated = treatment
        if kind == "clustered":
            cluster = np.repeat(np.arange(n // 5), 5)
            location += 0.25 * rng.normal(size=n // 5)[cluster]
        location = location + effect * treated
        scale = np.abs(1 + 0.1 * rng.normal(size=n))
        truth = np.full(len(GRID), effect)
    draws = location[:, np.newaxis] + scale[:, np.newaxis] * rng.normal(size=(n, N_DRAWS))
    return Study(x, draws, truth, treatment, cluster)


def fit_study(study: Study, method: Method, compat: Any = None) -> es.DistributionRDD:
    """Fit one sample."""
    rdd = es.DistributionRDD(
        method=method, quantiles=GRID, kernel="epanechnikov", compat=compat, level=LEVEL
    )
    cluster = None if compat else study.cluster
    return rdd.fit(study.x, study.draws, treatment=study.treatment, cluster=cluster)


def one_replicate(kind: Kind, n: int, method: Method, rng: np.random.Generator) -> list[float]:
    """Whether each band covers, whether nullity is rejected under the null, and squared errors."""
    study = draw_study(kind, n, rng)
    rdd = fit_study(study, method)
    estimate, drawn = rdd.estimate_, rdd.multiplier_bootstrap(B, rng=int(rng.integers(2**31)))
    error = np.abs(estimate.value - study.truth)
    wide = error.max() <= drawn.critical_value(LEVEL)
    ratio = (error / estimate.standard_error).max()
    narrow = ratio <= drawn.critical_value(LEVEL, kind="studentized")
    low, high = estimate.confidence_interval()
    pointwise = ((low <= study.truth) & (study.truth <= high)).mean()
    null = fit_study(draw_study(kind, n, rng, effect=0.0), method)
    test = null.multiplier_bootstrap(B, rng=int(rng.integers(2**31))).tests()
    p_null, p_same = test["p_value"].to_list()
    theirs = fit_study(study, method, "r3d").estimate_.value
    squared = (error**2).mean()
    reference = ((theirs - study.truth) ** 2).mean()
    bandwidth = rdd.diagnostics()["bandwidth_max"].max()
    return [
        *map(float, (wide, narrow, pointwise, p_null <= 1 - LEVEL, p_same <= 1 - LEVEL)),
        float(squared),
        float(reference),
        float(bandwidth),  # type: ignore[arg-type]
    ]


CELLS: tuple[tuple[Kind, int, Method], ...] = (
    ("constant", 200, "frechet"),
    ("constant", 200, "local_polynomial"),
    ("constant", 500, "frechet"),
    ("constant", 500, "local_polynomial"),
    ("heterogeneous", 200, "frechet"),
    ("heterogeneous", 200, "local_polynomial"),
    ("heterogeneous", 500, "frechet"),
    ("heterogeneous", 500, "local_polynomial"),
    ("fuzzy", 500, "frechet"),
    ("clustered", 500, "frechet"),
)


def run_cell(kind: Kind, n: int, method: Method, replicates: int) -> Array:
    """Means over the replicates of what `one_replicate` returns, squared errors as roots."""
    number = CELLS.index((kind, n, method))
    rows = np.array(
        [
            one_replicate(kind, n, method, np.random.default_rng((SEED, number, replicate)))
            for replicate in range(replicates)
        ]
    )
    means = rows.mean(axis=0)
    # R3D's windows are now and then nearly singular: medians would hide what that costs.
    means[5:7] = np.sqrt(means[5:7])
    # Ratios have no moments, so a fuzzy design also needs what outliers do not decide.
    typical = np.sqrt(np.median(rows[:, 5:7], axis=0))
    return np.concatenate([means, typical])


def _table(results: dict[tuple[Kind, int, Method], Array]) -> str:
    lines = [
        "| design | n | method | constant-width band | studentised band | pointwise | "
        "nullity rejected | homogeneity rejected | RMSE | RMSE of R3D | ratio | "
        "ratio of typical errors |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (kind, n, method), row in results.items():
        wide, narrow, pointwise, null, same, ours, theirs, _, typical, usual = row
        lines.append(
            f"| {kind} | {n} | {method} | {wide:.3f} | {narrow:.3f} | {pointwise:.3f} | "
            f"{null:.3f} | {same:.3f} | {ours:.3f} | {theirs:.3f} | {ours / theirs:.2f} | "
            f"{typical / usual:.2f} |"
        )
    return "\n".join(lines)


def main(replicates: int) -> str:
    """Run all cells; the page as text."""
    warnings.simplefilter("ignore")
    results = {}
    for cell in CELLS:
        results[cell] = run_cell(*cell, replicates)
        sys.stderr.write(f"{cell}: {np.round(results[cell], 3)}\n")
    designs = "\n".join(f"- **{name}**: {text}." for name, text in DESCRIPTIONS.items())
    error = 100 * np.sqrt(LEVEL * (1 - LEVEL) / replicates)
    return f"""# Coverage of discontinuity bands

Share of {replicates} simulated studies in which a nominal {100 * LEVEL:g}% band holds the whole
true curve (standard error {error:.1f} points), and in which a test at 5% rejects a true hypothesis.
Units have {N_DRAWS} draws, quantiles are the deciles, the kernel is Epanechnikov, p = 2 and s = 1;
bandwidths are selected anew in every study. RMSE is taken over all quantiles. Seed {SEED}; made by
`python -m benchmarks.coverage_discontinuity` on {datetime.date.today()}, Python
{platform.python_version()}, evalstats {es.__version__}.

{designs}

{_table(results)}

The homogeneity test is also run under no effect at all. "RMSE of R3D" is that of
`compat="r3d"` on the same samples, whose bandwidth suits running variables in [-1, 1] only. The
typical error is the median over the studies of the root mean squared error of one curve: a fuzzy
effect is a ratio, so its RMSE rests on the few studies in which the first stage is near zero.
"""


if __name__ == "__main__":
    given = int(sys.argv[1]) if len(sys.argv) > 1 else None
    page = main(given or REPLICATES)
    if given is None:
        PAGE.write_text(page, encoding="utf-8")
    else:
        sys.stdout.write(page)
