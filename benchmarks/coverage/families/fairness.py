"""Predictions that depend on two protected attributes: distance covariance and its tests."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

import evalstats as es
from benchmarks.coverage.design import (
    Design,
    Procedure,
    Reading,
    Readings,
    bootstrap,
    default,
    make,
    options_of,
    terms,
)

SEED = 20_261_125
REGIONS = np.array(["north", "south", "west"])
POPULATION_ROWS = 500_000


@dataclass(frozen=True)
class Tariff:
    """A normal prediction, a binary and a nominal attribute.

    Attributes
    ----------
    n : int
        Persons of one sample.
    effect : float
        Shift of the prediction by sex, and by one of three regions.
    step : float
        Predictions are rounded to multiples of it; 0 for none.
    cluster_size : int
        Persons of a household, who share region and half of the variance.
    """

    n: int
    effect: float
    step: float = 0.0
    cluster_size: int = 1

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Arguments of ``fit`` for one sample."""
        household = np.arange(self.n) // self.cluster_size
        sex = rng.integers(0, 2, self.n)
        region = rng.integers(0, 3, int(household[-1]) + 1)[household]
        noise = rng.normal(size=self.n)
        if self.cluster_size > 1:
            noise = np.sqrt(0.5) * (noise + rng.normal(size=int(household[-1]) + 1)[household])
        y = self.effect * (sex + (region == 1)) + noise
        if self.step > 0:
            y = self.step * np.round(y / self.step)
        sample: dict[str, Any] = {
            "prediction": y,
            "protected": {"sex": sex, "region": REGIONS[region]},
        }
        if self.cluster_size > 1:
            sample["cluster"] = household
        return sample

    def truths(self) -> dict[str, float]:
        """Values of 500,000 independent persons; 0 without effect, where the hypothesis holds."""
        if self.effect == 0:
            return {"CCdCov²": 0.0, "dCor²": 0.0, "parity": 0.0}
        first, second = _truth(self.effect, self.step)
        return {"CCdCov²": first, "dCor²": second, "parity": np.nan}


@cache
def _truth(effect: float, step: float) -> tuple[float, float]:
    sample = Tariff(POPULATION_ROWS, effect, step).draw(np.random.default_rng(SEED))
    fitted = es.DistanceCovariance(inference=es.NoInference()).fit(**sample)
    first, second = fitted.estimate_.value
    return float(first), float(second)


both = terms(**{"CCdCov²": 0, "dCor²": 1})


def chi_square(fitted: Any) -> Readings:
    """Values, and the default test of parity."""
    return {**both(fitted), "parity": Reading(p_value=float(fitted.test()["p_value"][0]))}


def permuted(fitted: Any) -> Readings:
    """The test of parity by permutation."""
    table = fitted.test("permutation", n_resamples=199)
    return {"parity": Reading(p_value=float(table["p_value"][0]))}


def procedures() -> tuple[Procedure, ...]:
    """The default, the test by permutation and the jackknife."""
    kind = es.DistanceCovariance
    return (
        default(make(kind), chi_square),
        *options_of(kind, {"permutation test": {}}, permuted),
        *options_of(
            kind,
            {"multiplier bootstrap": {"inference": bootstrap(kind="multiplier")}},
            both,
        ),
    )


SAMPLES = {
    "strong-n200": (Tariff(200, 0.8), "200 persons, clear dependence", "", ""),
    "strong-n1000": (Tariff(1000, 0.8), "1,000 persons, clear dependence", "", ""),
    "weak": (Tariff(200, 0.2), "200 persons, near independence", "", ""),
    "null-n50": (Tariff(50, 0.0), "50 persons, independence", "", ""),
    "null-n200": (Tariff(200, 0.0), "200 persons, independence", "", ""),
    "ties": (Tariff(200, 0.8, step=1.0), "200 persons, clear dependence", "whole numbers", ""),
    "households": (
        Tariff(300, 0.8, cluster_size=3),
        "100 households of 3 with one region",
        "",
        "100 of 3",
    ),
}

DESIGNS = tuple(
    Design(
        f"distance-covariance/{name}",
        "Distance covariance",
        about,
        population.n,
        population,
        (default(make(es.DistanceCovariance), both),) if clusters else procedures(),
        ties=ties,
        clusters=clusters,
        truth_source="500,000 persons" if population.effect else "independence",
    )
    for name, (population, about, ties, clusters) in SAMPLES.items()
)
