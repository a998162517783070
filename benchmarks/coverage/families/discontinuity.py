"""Samples of draws on both sides of a cutoff: bands and tests of discontinuity designs.

Units have 50 draws each; the running variable is uniform on [-1, 1]. The kernel is Epanechnikov
and the grid are the deciles, as in the Monte Carlo study of the method's reference.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

import evalstats as es
from benchmarks.coverage.design import (
    DEAR,
    LEVEL,
    Design,
    Procedure,
    Reading,
    Readings,
    resampled_choices,
    terms,
)

Array = NDArray[np.float64]
N_DRAWS = 50
N_RESAMPLES = 499
STUDIES = 4000
ERROR = "root mean square error of the curve"
GRID = np.arange(1, 10) / 10.0
NORMAL = stats.norm.ppf(GRID)
Kind = Literal["constant", "heterogeneous", "fuzzy", "endogenous", "clustered"]
Method = Literal["frechet", "local_polynomial"]
MEDIAN = 4

DESCRIPTIONS = {
    "constant": "same effect at every quantile",
    "heterogeneous": "curved random location and scale, the effect grows with the quantile",
    "fuzzy": "constant effect of a treatment whose probability jumps from 0.2 to 0.8",
    "endogenous": "as fuzzy, but units with a high location take the treatment more often",
    "clustered": "constant effect, half of the variance of the location shared by five units",
}


@dataclass(frozen=True)
class Cutoff:
    """Distributions of units whose running variable decides about the treatment.

    Attributes
    ----------
    kind : str
        One of DESCRIPTIONS.
    n : int
        Units.
    effect : float
        Effect at the median.
    step : float
        Running variable rounded to cells of this width; 0 for none.
    """

    kind: Kind
    n: int
    effect: float = 1.0
    step: float = 0.0

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Arguments of ``fit`` for one sample."""
        x = rng.uniform(-1, 1, self.n)
        if self.step > 0:
            x = (np.floor(x / self.step) + 0.5) * self.step
        above = x >= 0
        sample: dict[str, Any] = {"running": x}
        if self.kind == "heterogeneous":
            slope = np.where(above, 1.5, -0.5)
            location = 2 * x + slope * x**2 + np.sin(2 * x) + self.effect * above
            location = location + rng.normal(0, 0.8, self.n)
            scale = np.exp(0.3 * x + rng.normal(0, 0.25, self.n)) * (1 + 0.5 * self.effect * above)
        else:
            own = rng.normal(size=self.n)
            location = 2 * x + 0.25 * own
            treated: Any = above
            if self.kind in ("fuzzy", "endogenous"):
                share = 0.6 if self.kind == "endogenous" else 0.0
                leaning = share * own + np.sqrt(1.0 - share**2) * rng.normal(size=self.n)
                treated = (stats.norm.sf(leaning) < np.where(above, 0.8, 0.2)).astype(float)
                sample["treatment"] = treated
            if self.kind == "clustered":
                cluster = np.repeat(np.arange(self.n // 5), 5)
                location += 0.25 * rng.normal(size=self.n // 5)[cluster]
                sample["cluster"] = cluster
            location = location + self.effect * treated
            scale = np.abs(1 + 0.1 * rng.normal(size=self.n))
        noise = rng.normal(size=(self.n, N_DRAWS))
        sample["outcome"] = location[:, np.newaxis] + scale[:, np.newaxis] * noise
        return sample

    def curve(self) -> Array:
        """Effect at each quantile."""
        if self.kind == "heterogeneous":
            return np.asarray(self.effect + 0.5 * self.effect * np.exp(0.25**2 / 2) * NORMAL)
        return np.full(len(GRID), self.effect)

    def truths(self) -> dict[str, float]:
        """Effect at the median, and which hypotheses hold."""
        constant = self.effect == 0 or self.kind != "heterogeneous"
        return {
            "median": float(self.curve()[MEDIAN]),
            ERROR: 0.0,
            "no effect": 0.0 if self.effect == 0 else np.nan,
            "equal effects": 0.0 if constant else np.nan,
        }


def bands(population: Cutoff, method: Method, compat: Any = None) -> Any:
    """Procedure body: the pointwise interval at the median, whole bands and both tests."""

    def run(arguments: dict[str, Any], seed: int) -> Readings:
        given = {
            name: item for name, item in arguments.items() if not (compat and name == "cluster")
        }
        rdd = es.DistributionRDD(
            method=method, quantiles=GRID, kernel="epanechnikov", compat=compat, level=LEVEL
        ).fit(**given)
        estimate = rdd.estimate_
        low, high = estimate.confidence_interval()
        errors = estimate.standard_error
        median = Reading(*(float(item[MEDIAN]) for item in (estimate.value, errors, low, high)))
        truth = population.curve()
        error = estimate.value - truth
        # Its bias is its mean; root of bias squared plus SD squared is the RMSE of the rule.
        whole = Reading(value=float(np.sqrt(np.mean(error**2))))
        if compat:
            return {"median": median, ERROR: whole}
        drawn = rdd.multiplier_bootstrap(N_RESAMPLES, rng=seed)
        wide, narrow = (
            bool(((low <= truth) & (truth <= high)).all())
            for low, high in (drawn.band(LEVEL, kind=kind) for kind in ("constant", "studentized"))
        )
        none, equal = drawn.tests()["p_value"].to_list()
        return {
            "median": median,
            ERROR: whole,
            "band of constant width": Reading(covered=float(wide)),
            "studentised band": Reading(covered=float(narrow)),
            "no effect": Reading(p_value=none),
            "equal effects": Reading(p_value=equal),
        }

    return run


CELLS: tuple[tuple[Cutoff, Method], ...] = (
    (Cutoff("constant", 200), "frechet"),
    (Cutoff("constant", 200), "local_polynomial"),
    (Cutoff("constant", 200, effect=0.0), "frechet"),
    (Cutoff("constant", 500), "frechet"),
    (Cutoff("constant", 500), "local_polynomial"),
    (Cutoff("constant", 500, step=0.05), "frechet"),
    (Cutoff("heterogeneous", 200), "frechet"),
    (Cutoff("heterogeneous", 200), "local_polynomial"),
    (Cutoff("heterogeneous", 500), "frechet"),
    (Cutoff("heterogeneous", 500), "local_polynomial"),
    (Cutoff("fuzzy", 500), "frechet"),
    (Cutoff("fuzzy", 500, effect=0.0), "frechet"),
    (Cutoff("endogenous", 500), "frechet"),
    (Cutoff("clustered", 500), "frechet"),
    (Cutoff("clustered", 500, effect=0.0), "frechet"),
)


def design(population: Cutoff, method: Method) -> Design:
    """One cell of the study."""
    null = "-null" if population.effect == 0 else ""
    discrete = "-discrete" if population.step else ""
    default = Procedure("default", bands(population, method), default=True)
    theirs = Procedure('compat="r3d"', bands(population, method, "r3d"), control=True)
    return Design(
        f"discontinuity/{population.kind}{null}{discrete}-n{population.n}-{method}",
        "Quantile treatment effect",
        f"{population.n} units, {DESCRIPTIONS[population.kind]}" + (", no effect" if null else ""),
        population.n,
        population,
        (default,) if discrete or null else (default, theirs),
        clusters=f"{population.n // 5} of 5" if population.kind == "clustered" else "",
        ties="running variable in steps of 0.05" if discrete else "",
        replicates=STUDIES,
    )


def resampled(choice: Any) -> Any:
    """Procedure body: the interval at the median from resampled units."""

    def run(arguments: dict[str, Any], seed: int) -> Readings:
        inference = choice(seed) if callable(choice) else choice
        fitted = es.DistributionRDD(
            quantiles=GRID, kernel="epanechnikov", inference=inference, level=LEVEL
        ).fit(**arguments)
        return terms(median=MEDIAN)(fitted)

    return run


DESIGNS = (
    *(design(population, method) for population, method in CELLS),
    Design(
        "discontinuity/resampling",
        "Quantile treatment effect",
        f"200 units, {DESCRIPTIONS['constant']}",
        200,
        Cutoff("constant", 200),
        tuple(
            Procedure(label, resampled(options["inference"]))
            for label, options in resampled_choices().items()
        ),
        replicates=DEAR,
    ),
)
