"""Coverage of the mean AUPIMO in repeated simulated studies.

Usage: python -m benchmarks.coverage_anomaly [REPLICATES]; writes
docs/generated/coverage_anomaly.md when REPLICATES is left out (1,500).

Normal pixels are normal variables around the level of their image; a defect lifts its pixels by a
gamma variable. Where levels vary little, many images share the tail; where a few images are lifted,
those few own it, which is what the diagnostics are for.
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
from evalstats.anomaly.diagnostics import FEW_TAIL_IMAGES

Array = NDArray[np.float64]

PAGE = Path(__file__).resolve().parents[1] / "docs" / "generated" / "coverage_anomaly.md"
REPLICATES = 1500
N_RESAMPLES = 1000
SEED = 20_261_125
LEVEL = 0.95
BOUNDS = (1e-3, 1e-2)
SIDE = 32
MASK_SIDE = 8
LIFT = 2.5
METHODS = ("bootstrap", "analytic", "anomalous only")


@dataclass(frozen=True)
class Setting:
    """One kind of study.

    Attributes
    ----------
    n_normal, n_anomalous : int
        Sizes of the two samples.
    spread : float
        Standard deviation of the levels of normal images.
    lifted : float
        Share of normal images whose level is raised by LIFT.
    """

    n_normal: int
    n_anomalous: int
    spread: float = 0.25
    lifted: float = 0.0

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.bool_], Array]:
        """Masks and maps of one study."""
        n = self.n_normal + self.n_anomalous
        masks = np.zeros((n, SIDE, SIDE), dtype=bool)
        masks[self.n_normal :, :MASK_SIDE, :MASK_SIDE] = True
        level = rng.normal(scale=self.spread, size=n)
        level[: self.n_normal] += LIFT * (rng.random(self.n_normal) < self.lifted)
        strength = rng.gamma(3.0, 1.0, n)
        shift = level[:, np.newaxis, np.newaxis] + strength[:, np.newaxis, np.newaxis] * masks
        return masks, rng.normal(size=masks.shape) + shift

    def truth(self) -> float:
        """Population mean, from the population's own false positive rate."""
        rng = np.random.default_rng(SEED)
        spread = np.hypot(1.0, self.spread)
        scores = rng.gamma(3.0, 1.0, 4_000_000) + spread * rng.normal(size=4_000_000)
        rate = (1 - self.lifted) * special.ndtr(-scores / spread)
        rate += self.lifted * special.ndtr((LIFT - scores) / spread)
        lower, upper = BOUNDS
        credit = np.log(upper / np.clip(rate, lower, upper)) / np.log(upper / lower)
        return float(credit.mean())


SETTINGS = {
    "50 normal, 40 anomalous": Setting(50, 40),
    "20 normal, 40 anomalous": Setting(20, 40),
    "100 normal, 60 anomalous": Setting(100, 60),
    "30 normal of which 1 in 15 is lifted, 40 anomalous": Setting(30, 40, lifted=1 / 15),
}


@dataclass(frozen=True)
class Coverage:
    """How often the intervals of one setting hold the truth.

    Attributes
    ----------
    share, error : dict of str to float
        Coverage and mean standard error of each method.
    flagged : float
        Share of studies in which the tail belongs to too few normal images.
    """

    setting: str
    truth: float
    bias: float
    sampling_error: float
    share: dict[str, float]
    error: dict[str, float]
    flagged: float
    replicates: int

    def noise(self, method: str) -> float:
        """Monte Carlo standard error of a coverage."""
        p = self.share[method]
        return float(np.sqrt(p * (1 - p) / self.replicates))


def study(setting: Setting, rng: np.random.Generator) -> tuple[float, Array, Array, bool]:
    """Estimate, standard errors, limits (methods, 2) and the flag of one simulated study."""
    masks, maps = setting.draw(rng)
    seed = int(rng.integers(2**31))
    resampled = es.AUPIMO(
        fpr_bounds=BOUNDS,
        level=LEVEL,
        inference=es.Bootstrap(N_RESAMPLES, "expanded", rng=seed, n_jobs=1),
    ).fit(masks, maps)
    analytic = es.AUPIMO(fpr_bounds=BOUNDS, level=LEVEL, inference=es.Analytic()).fit(masks, maps)
    scores = analytic.image_scores()["score"].drop_nulls().to_numpy()
    naive = float(scores.std(ddof=1) / np.sqrt(len(scores)))
    reach = float(stats.t.ppf(0.5 + LEVEL / 2, len(scores) - 1)) * naive
    value = float(analytic.estimate_.value[0])
    limits = [
        [float(end[0]) for end in fitted.estimate_.confidence_interval()]
        for fitted in (resampled, analytic)
    ]
    limits.append([value - reach, value + reach])
    errors = [fitted.estimate_.standard_error[0] for fitted in (resampled, analytic)]
    flag = any("effective normal images" in note for note in analytic.estimate_.notes)
    return value, np.array([*errors, naive]), np.array(limits), flag


def coverage(name: str, replicates: int) -> Coverage:
    """Simulate one setting."""
    setting = SETTINGS[name]
    truth = setting.truth()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", es.EvalstatsWarning)
        found = [study(setting, np.random.default_rng([SEED, r])) for r in range(replicates)]
    values = np.array([value for value, *_ in found])
    limits = np.array([ends for *_, ends, _ in found])
    held = (limits[..., 0] <= truth) & (truth <= limits[..., 1])
    return Coverage(
        name,
        truth,
        float(values.mean() - truth),
        float(values.std(ddof=1)),
        dict(zip(METHODS, held.mean(axis=0).tolist(), strict=True)),
        dict(zip(METHODS, np.mean([e for _, e, _, _ in found], axis=0).tolist(), strict=True)),
        float(np.mean([flag for *_, flag in found])),
        replicates,
    )


def cell(result: Coverage, method: str) -> str:
    """Coverage in percent with its Monte Carlo error."""
    return f"{100 * result.share[method]:.1f} ± {100 * result.noise(method):.1f}"


def report(results: list[Coverage]) -> str:
    """Page with one table row per setting."""
    lines = [
        "# Coverage of the mean AUPIMO",
        "",
        f"Share of {results[0].replicates:,} simulated studies whose 95% interval holds the "
        f"population value, ± its Monte Carlo standard error, in percent. Images of {SIDE}² "
        f"pixels, false positive rates from {BOUNDS[0]:g} to {BOUNDS[1]:g}. *Bootstrap* is the "
        f"default interval (with {N_RESAMPLES} replicates), *analytic* the logit interval from the "
        "influence of both samples, *anomalous only* the t interval of the scores of the anomalous "
        "images, which takes the normal images as fixed. *Flagged* is the share of studies with "
        f"the warning `few-tail-images` (below {FEW_TAIL_IMAGES} effective normal images).",
        "",
        "| Study | Truth | Bias | SD | Bootstrap: error | Coverage | Analytic: error | Coverage "
        "| Anomalous only: error | Coverage | Flagged |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for result in results:
        cells = " | ".join(f"{result.error[m]:.4f} | {cell(result, m)}" for m in METHODS)
        lines.append(
            f"| {result.setting} | {result.truth:.4f} | {result.bias:+.4f} "
            f"| {result.sampling_error:.4f} | {cells} | {100 * result.flagged:.0f}% |"
        )
    lines += [
        "",
        f"Seed {SEED}; {datetime.datetime.now(tz=datetime.UTC):%Y-%m-%d}; "
        f"evalstats {es.__version__}, numpy {np.__version__}, Python {platform.python_version()}; "
        "made by `python -m benchmarks.coverage_anomaly`.",
        "",
    ]
    return "\n".join(lines)


def main(
    replicates: int = REPLICATES, page: Path | None = PAGE, show: Callable[[str], None] = print
) -> list[Coverage]:
    """Run all settings and write the page, if one is given."""
    results = []
    for name in SETTINGS:
        result = coverage(name, replicates)
        results.append(result)
        cells = ", ".join(f"{method} {cell(result, method)}" for method in METHODS)
        show(f"{name}: SD {result.sampling_error:.4f}, {cells}, flagged {result.flagged:.2f}")
    if page is not None:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(report(results), encoding="utf-8")
    return results


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(int(sys.argv[1]), page=None)
    else:
        main()
