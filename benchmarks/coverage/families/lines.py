"""Forecasts on a logistic line: designs of calibration slopes and CORP decompositions."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

import evalstats as es
from benchmarks.coverage.design import (
    DEAR,
    Design,
    Fit,
    Procedure,
    Reading,
    Readings,
    bootstrap,
    default,
    labelled,
    make,
    options_of,
    resampled_choices,
)

Array = NDArray[np.float64]
SPREAD = 1.5


@dataclass(frozen=True)
class Line:
    """True line that turns normal logits of forecasts into logits of events.

    Attributes
    ----------
    intercept, slope : float
        Coefficients of the line; (0, 1) is calibration.
    n : int
        Rows; in clusters of `cluster_size` that share half of the variance of the logits and, by a
        Gaussian copula that keeps the frequencies, of the outcomes.
    """

    intercept: float
    slope: float
    n: int = 500
    cluster_size: int = 1
    nodes: int = field(default=200, repr=False)

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Arguments of ``fit`` for one sample."""
        if self.cluster_size == 1:
            logits = SPREAD * rng.normal(size=self.n)
            chance = special.expit(self.intercept + self.slope * logits)
            return {"y_true": rng.random(self.n) < chance, "y_prob": special.expit(logits)}
        cluster = np.arange(self.n) // self.cluster_size

        def correlated() -> Array:
            common = rng.normal(size=int(cluster[-1]) + 1)[cluster]
            return np.asarray(np.sqrt(0.5) * (common + rng.normal(size=self.n)))

        logits = SPREAD * correlated()
        chance = special.expit(self.intercept + self.slope * logits)
        events = special.ndtr(correlated()) < chance
        return {"y_true": events, "y_prob": special.expit(logits), "cluster": cluster}

    def truths(self) -> dict[str, float]:
        """Population values of the line and of the terms of the Brier score."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(self.nodes)
        weights = weights / weights.sum()
        forecast = special.expit(SPREAD * nodes)
        chance = special.expit(self.intercept + self.slope * SPREAD * nodes)
        base = float(weights @ chance)
        shift = 0.0
        for _ in range(50):
            moved = special.expit(SPREAD * nodes + shift)
            shift += (base - float(weights @ moved)) / float(weights @ (moved * (1 - moved)))
        calibrated = (self.intercept, self.slope) == (0.0, 1.0)
        miscalibration = 0.0 if calibrated else float(weights @ (forecast - chance) ** 2)
        discrimination = float(weights @ (chance - base) ** 2)
        uncertainty = base * (1 - base)
        holds = 0.0 if calibrated else np.nan
        return {
            "intercept": self.intercept,
            "slope": self.slope,
            "calibration-in-the-large": shift,
            "miscalibration": miscalibration,
            "discrimination": discrimination,
            "uncertainty": uncertainty,
            "score": miscalibration - discrimination + uncertainty,
            **dict.fromkeys(("calibration", "calibration (Spiegelhalter)"), holds),
        }


def slopes(fitted: Any) -> Readings:
    """Coefficients and the Wald test of calibration."""
    p_value = float(fitted.calibration_test()["p_value"][0])
    return {**labelled("parameter")(fitted), "calibration": Reading(p_value=p_value)}


def decomposition(fitted: Any) -> Readings:
    """Terms of the score and the consistency test of calibration."""
    test = fitted.calibration_test(n_resamples=199, rng=1)
    return {
        **labelled("component")(fitted),
        "calibration": Reading(p_value=float(test["p_value"][0])),
    }


def spiegelhalter(arguments: dict[str, Any], seed: int) -> Readings:  # noqa: ARG001
    """Spiegelhalter's z test, which takes rows as independent."""
    found = es.spiegelhalter_test(arguments["y_true"], arguments["y_prob"])
    return {"calibration (Spiegelhalter)": Reading(p_value=float(found.p_value))}


LINES = {
    "calibrated": ("calibrated", Line(0.0, 1.0)),
    "over-confident": ("slope 0.6", Line(0.0, 0.6)),
    "shifted": ("intercept −0.5", Line(-0.5, 1.0)),
    "clusters": ("calibrated", Line(0.0, 1.0, 480, 8)),
    "8-clusters": ("calibrated", Line(0.0, 1.0, 200, 25)),
    "n100": ("calibrated", Line(0.0, 1.0, 100)),
}


def line_designs() -> list[Design]:
    """Slopes and CORP decompositions."""
    diagram = Fit(
        make(es.ReliabilityDiagram, inference=bootstrap("bias_corrected", n_resamples=200)),
        decomposition,
    )
    slope_designs, term_designs = [], []
    for name, (about, line) in LINES.items():
        clusters = f"{line.n // line.cluster_size} of {line.cluster_size}"
        clusters = clusters if line.cluster_size > 1 else ""
        text = f"{line.n} rows, {about}"
        tests = () if clusters else (Procedure("Spiegelhalter's test", spiegelhalter),)
        slope_designs.append(
            Design(
                f"slope/{name}",
                "Calibration slope",
                text,
                line.n,
                line,
                (default(make(es.CalibrationSlope), slopes), *tests),
                truth_source="quadrature",
                clusters=clusters,
            )
        )
        term_designs.append(
            Design(
                f"corp/{name}",
                "CORP decomposition",
                text,
                line.n,
                line,
                (Procedure("default (200 replicates)", diagram, default=True),),
                truth_source="quadrature",
                clusters=clusters,
            )
        )
    return [*slope_designs, *term_designs]


DESIGNS = (
    *line_designs(),
    Design(
        "slope/resampling",
        "Calibration slope",
        "100 rows, calibrated",
        100,
        LINES["n100"][1],
        options_of(es.CalibrationSlope, resampled_choices(), labelled("parameter")),
        truth_source="quadrature",
        replicates=DEAR,
    ),
)
