"""Average precision of detectors on resampled images of a generated population."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

import evalstats as es
from benchmarks.coverage.design import (
    DEAR,
    Design,
    Fit,
    Procedure,
    bootstrap,
    difference,
    make,
)
from evalstats.detection.synthetic import synthetic_detections, synthetic_ground_truth

SEED = 20_261_126
IMAGES = 2000
DOUBLE = {"n_resamples": 120, "double": True}


@dataclass(frozen=True)
class Images:
    """Samples with replacement from generated images that two detectors have seen.

    Attributes
    ----------
    n, n_categories : int
        Images of a sample and categories.
    pooled : bool
        Whether AP-Pool is wanted, else the macro average with fixed budgets.
    objects, noise : float
        Objects and false alarms in an image.
    """

    n: int
    n_categories: int
    pooled: bool = False
    objects: float = 4.0
    noise: float = 8.0

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Arguments of ``fit`` for one sample."""
        truth, models = generated(self.n_categories, self.objects, self.noise)
        chosen = np.sort(rng.choice(IMAGES, self.n))
        detections = {name: found[chosen] for name, found in models.items()}
        return {"ground_truth": truth[chosen], "detections": detections}

    def truths(self) -> dict[str, float]:
        """AP on all generated images, and the difference of the detectors."""
        truth, models = generated(self.n_categories, self.objects, self.noise)
        whole = kind(self.pooled)(metrics=["AP"], inference=es.NoInference())
        first, second = whole.fit(truth, models).estimate_.value
        return {"value": float(first), "difference": float(first - second)}


@cache
def generated(n_categories: int, objects: float, noise: float) -> tuple[Any, dict[str, Any]]:
    """Ground truth of the population and what two detectors found in it."""
    rng = np.random.default_rng(SEED)
    truth = synthetic_ground_truth(rng, IMAGES, n_categories, objects=objects)
    models = {
        name: synthetic_detections(rng, truth, quality=quality, shift=0.5, noise=noise)
        for name, quality in (("a", 1.0), ("b", 0.8))
    }
    return truth, models


def fixed(**options: Any) -> es.AveragePrecision:
    """Macro average with fixed budgets."""
    return es.AveragePrecision(protocol="fixed", **options)


def kind(pooled: bool) -> Any:
    """Estimator of either protocol."""
    return es.PooledAveragePrecision if pooled else fixed


def procedures(pooled: bool) -> tuple[Procedure, ...]:
    """The default interval and two others."""

    def fit(inference: Any) -> Fit:
        return Fit(make(kind(pooled), metrics=["AP"], inference=inference), difference)

    double = fit(bootstrap("bias_corrected", **DOUBLE))
    return (
        Procedure("default (double bootstrap, 120 replicates)", double, default=True),
        Procedure("bootstrap, bias_corrected", fit(bootstrap("bias_corrected", n_resamples=120))),
        Procedure("bootstrap, percentile", fit(bootstrap(n_resamples=120)), control=not pooled),
    )


POPULATIONS = {
    "100-images": (Images(100, 5), "100 images of 5 categories", ""),
    "5-images-per-category": (
        Images(60, 20, objects=2.0),
        "60 images of 20 categories with 2 objects in an image",
        "half of the categories have 5 images or fewer",
    ),
}

DESIGNS = tuple(
    Design(
        f"{'pooled-ap' if pooled else 'macro-ap'}/{name}",
        "AP-Pool" if pooled else "AP-Fixed",
        about,
        population.n,
        Images(population.n, population.n_categories, pooled, population.objects, population.noise),
        procedures(pooled),
        imbalance=imbalance,
        truth_source=f"all {IMAGES} generated images",
        replicates=DEAR,
    )
    for name, (population, about, imbalance) in POPULATIONS.items()
    for pooled in (False, True)
)
