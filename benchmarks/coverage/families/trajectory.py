"""Sampled forecasts of agents that depend within tracks or across overlapping windows."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

import evalstats as es
from benchmarks.coverage.design import (
    MEDIUM,
    Design,
    Fit,
    Procedure,
    bootstrap,
    default,
    labelled,
    make,
    options_of,
    value,
)

SEED = 20_260_207
SAMPLES = 60
STEPS = 2
WINDOW = 6


@dataclass(frozen=True)
class Recording:
    """Forecasts whose error and spread vary from track to track or from frame to frame.

    Attributes
    ----------
    n : int
        Agents of one sample.
    windows : int
        Agents of one track, which share 80% of the variance of the error; 1 for independent
        tracks.
    moving : bool
        The error is a moving average over the frames of a window, so that windows that start
        within `WINDOW` frames of each other depend.
    metric : str
        ``"AMD"`` or ``"AMV"``; empty for all scores.
    samples : int
        Samples of a forecast.
    """

    n: int
    windows: int = 1
    moving: bool = False
    metric: str = "AMD"
    samples: int = SAMPLES

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Arguments of ``fit`` for one sample."""
        track = np.arange(self.n) // self.windows
        if self.moving:
            steps = rng.normal(size=(self.n + WINDOW - 1, 3))
            cumulated = np.vstack([np.zeros(3), steps.cumsum(axis=0)])
            common = (cumulated[WINDOW:] - cumulated[:-WINDOW]) / np.sqrt(WINDOW)
        else:
            common = rng.normal(size=(self.n, 3))[track]
        own = rng.normal(size=(STEPS, self.n, 3))
        state = np.sqrt(0.8) * common + np.sqrt(0.2) * own
        spread = np.exp(0.3 * state[..., 2:])
        noise = rng.normal(size=(self.samples, STEPS, self.n, 2))
        sample: dict[str, Any] = {
            "trajectory": np.zeros((STEPS, self.n, 2)),
            "samples": state[..., :2] + spread * noise,
        }
        if self.moving:
            sample["start"] = np.arange(self.n)
        elif self.windows > 1:
            sample["track"] = track
        return sample

    def truths(self) -> dict[str, float]:
        """Values of 100,000 independent agents; all recordings share the margins."""
        found = _truth(self.metric, self.samples)
        return {"value": found[self.metric]} if self.metric else found


def estimator(metric: str) -> Any:
    """Factory of a one-component AMD (the cells are Gaussian), or AMV of each cell."""
    if metric == "AMD":
        return make(es.AMD, aggregate="cell", max_components=1, window_length=WINDOW)
    if metric == "AMV":
        return make(es.AMV, amv_level="pooled", window_length=WINDOW)
    return make(es.TrajectoryScores, scores=SCORES)


SCORES = ("energy score", "CRPS", "minADE", "minFDE", "miss rate")


@cache
def _truth(metric: str, samples: int) -> dict[str, float]:
    rng = np.random.default_rng([SEED, 10**6])
    values = []
    for _ in range(20):
        given = Recording(5_000, samples=samples).draw(rng)
        fitted = estimator(metric)(0).set_params(inference=es.NoInference()).fit(**given)
        values.append(fitted.estimate_.value)
    names = fitted.estimate_.terms["metric"].to_list()
    return dict(zip(names, np.mean(values, axis=0).tolist(), strict=True))


def without(metric: str, *names: str) -> Fit:
    """Fit that is not told what depends."""
    return Fit(estimator(metric), value, without=names)


def blocks_of_one(metric: str) -> Any:
    """Fit with blocks of one window only."""

    def run(arguments: dict[str, Any], seed: int) -> Any:
        given = {**arguments, "cluster": np.asarray(arguments["start"]) // WINDOW}
        return Fit(estimator(metric), value, without=("start",))(given, seed)

    return run


def designs_of(metric: str) -> list[Design]:
    """Independent tracks, tracks of several windows, overlapping windows, and few tracks."""
    kind = es.AMD if metric == "AMD" else es.AMV
    options: dict[str, Any] = {"aggregate": "cell", "max_components": 1}
    if metric == "AMV":
        options = {"amv_level": "pooled"}
    resampled = options_of(
        kind,
        {"bootstrap, percentile": {"inference": bootstrap()}},
        window_length=WINDOW,
        **options,
    )
    main = default(estimator(metric))
    single = Procedure("agents as if independent", without(metric, "track", "start"), control=True)
    block = Procedure("blocks of one window", blocks_of_one(metric), control=True)
    rows: list[tuple[str, str, str, Recording, tuple[Procedure, ...]]] = [
        ("independent", "200 independent tracks", "", Recording(200), (main, *resampled)),
        (
            "tracks",
            "60 tracks of 5 windows",
            "60 of 5",
            Recording(300, windows=5),
            (main, single),
        ),
        ("8-tracks", "8 tracks of 5 windows", "8 of 5", Recording(40, windows=5), (main,)),
        (
            "overlap",
            "400 overlapping windows",
            "moving windows",
            Recording(400, moving=True),
            (main, block, single),
        ),
    ]
    return [
        Design(
            f"{metric.lower()}/{name}",
            metric,
            about,
            population.n,
            Recording(population.n, population.windows, population.moving, metric),
            procedures,
            clusters=clusters,
            truth_source="100,000 agents",
            replicates=MEDIUM,
        )
        for name, about, clusters, population, procedures in rows
    ]


DESIGNS = (
    *designs_of("AMD"),
    *designs_of("AMV"),
    Design(
        "trajectory-scores/independent",
        "Trajectory scores",
        "100 independent tracks, 20 samples of a forecast",
        100,
        Recording(100, metric="", samples=20),
        (default(estimator(""), labelled("metric")),),
        truth_source="100,000 agents",
        replicates=MEDIUM,
    ),
)
