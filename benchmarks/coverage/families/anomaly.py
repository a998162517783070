"""Images with normal levels and one defect: designs of AUPIMO and AUPRO."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

import evalstats as es
from benchmarks.coverage.design import (
    DEAR,
    LEVEL,
    Design,
    Fit,
    Procedure,
    Reading,
    Readings,
    bootstrap,
    default,
    make,
    value,
)

Array = NDArray[np.float64]
SEED = 20_260_131
BOUNDS = (1e-3, 1e-2)
MAX_FPR = 0.3
SIDE = 32
MASK_SIDE = 8
LIFT = 2.5
MARGIN = 4_000_000


@dataclass(frozen=True)
class Textures:
    """Normal pixels around the level of their image; a defect lifts its pixels.

    Attributes
    ----------
    n_normal, n_anomalous : int
        Sizes of the two samples.
    spread : float
        Standard deviation of the levels of normal images.
    lifted : float
        Share of normal images whose level is raised by LIFT, so that they own the tail.
    overlap : bool
        Whether the AUPRO is wanted instead of the mean AUPIMO.
    """

    n_normal: int
    n_anomalous: int
    spread: float = 0.25
    lifted: float = 0.0
    overlap: bool = False

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Arguments of ``fit`` for one sample."""
        n = self.n_normal + self.n_anomalous
        masks = np.zeros((n, SIDE, SIDE), dtype=bool)
        masks[self.n_normal :, :MASK_SIDE, :MASK_SIDE] = True
        level = rng.normal(scale=self.spread, size=n)
        level[: self.n_normal] += LIFT * (rng.random(self.n_normal) < self.lifted)
        strength = rng.gamma(3.0, 1.0, n)
        shift = level[:, np.newaxis, np.newaxis] + strength[:, np.newaxis, np.newaxis] * masks
        return {"masks": masks, "anomaly_maps": rng.normal(size=masks.shape) + shift}

    def truths(self) -> dict[str, float]:
        """Population mean, from the population's own false positive rate."""
        return {"value": _overlap(self) if self.overlap else _truth(self.spread, self.lifted)}


def _rate(scores: Array, spread: float, lifted: float) -> Array:
    rate = (1 - lifted) * special.ndtr(-scores / spread)
    return np.asarray(rate + lifted * special.ndtr((LIFT - scores) / spread))


@cache
def _truth(levels: float, lifted: float) -> float:
    rng = np.random.default_rng(SEED)
    spread = float(np.hypot(1.0, levels))
    scores = rng.gamma(3.0, 1.0, MARGIN) + spread * rng.normal(size=MARGIN)
    lower, upper = BOUNDS
    credit = np.log(upper / np.clip(_rate(scores, spread, lifted), lower, upper))
    return float(credit.mean() / np.log(upper / lower))


def _overlap(population: Textures) -> float:
    """Mean overlap over false positive rates up to MAX_FPR, pixels outside defects counted.

    Defects have one size, so the mean overlap of regions is the share of defect pixels found.
    """
    rng = np.random.default_rng(SEED)
    spread = float(np.hypot(1.0, population.spread))
    scores = rng.gamma(3.0, 1.0, MARGIN) + spread * rng.normal(size=MARGIN)
    rate = _rate(scores, spread, 0.0)
    return float(np.clip(MAX_FPR - rate, 0.0, None).mean() / MAX_FPR)


def anomalous_only(arguments: dict[str, Any], seed: int) -> Readings:  # noqa: ARG001
    """The t interval of the scores of anomalous images, which takes the normal ones as fixed."""
    fitted = es.AUPIMO(fpr_bounds=BOUNDS, inference=es.NoInference()).fit(**arguments)
    scores = fitted.image_scores()["score"].drop_nulls().to_numpy()
    error = float(scores.std(ddof=1) / np.sqrt(len(scores)))
    reach = float(stats.t.ppf(0.5 + LEVEL / 2, len(scores) - 1)) * error
    mean = float(scores.mean())
    return {"value": Reading(mean, error, mean - reach, mean + reach)}


RESAMPLED = bootstrap("expanded", n_resamples=300)
PROCEDURES = (
    Procedure(
        "default (300 replicates)",
        Fit(make(es.AUPIMO, fpr_bounds=BOUNDS, inference=RESAMPLED), value),
        default=True,
    ),
    Procedure("analytic", Fit(make(es.AUPIMO, fpr_bounds=BOUNDS, inference=es.Analytic()), value)),
    Procedure("anomalous images only", anomalous_only, control=True),
)

SAMPLES = {
    "50-normal": (Textures(50, 40), "50 normal and 40 anomalous images", ""),
    "20-normal": (Textures(20, 40), "20 normal and 40 anomalous images", ""),
    "owned-tail": (
        Textures(30, 40, lifted=1 / 30),
        "30 normal and 40 anomalous images",
        "1 normal image on average owns the tail",
    ),
}

DESIGNS = (
    *(
        Design(
            f"aupimo/{name}",
            "AUPIMO",
            about,
            population.n_normal + population.n_anomalous,
            population,
            PROCEDURES,
            imbalance=imbalance,
            truth_source="4,000,000 defect pixels, false positive rate in closed form",
            replicates=DEAR,
        )
        for name, (population, about, imbalance) in SAMPLES.items()
    ),
    *(
        Design(
            f"aupro/{name}",
            "AUPRO",
            about,
            population.n_normal + population.n_anomalous,
            replace(population, overlap=True),
            (
                default(make(es.AUPRO)),
                Procedure(
                    "bootstrap, percentile",
                    Fit(make(es.AUPRO, inference=bootstrap(n_resamples=200)), value),
                ),
            ),
            truth_source="4,000,000 defect pixels, false positive rate in closed form",
            replicates=DEAR,
        )
        for name, (population, about, _) in list(SAMPLES.items())[1:2]
    ),
)
