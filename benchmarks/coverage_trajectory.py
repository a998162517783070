"""Coverage of the clustered intervals of AMD and AMV in repeated simulated recordings.

Usage: python -m benchmarks.coverage_trajectory [REPLICATES]; writes
docs/generated/coverage_trajectory.md when REPLICATES is left out (1,000).
"""

import datetime
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import evalstats as es

PAGE = Path(__file__).resolve().parents[1] / "docs" / "generated" / "coverage_trajectory.md"
REPLICATES = 1000
SEED = 20_260_207
LEVEL = 0.95
SAMPLES = 60
STEPS = 2
WINDOW = 6


@dataclass(frozen=True)
class Population:
    """Forecasts whose error and spread vary from track to track or from frame to frame.

    Parameters
    ----------
    n : int
        Agents of one study.
    windows : int
        Agents of one track, which share 80 % of the variance of the error; 1 for independent
        tracks.
    moving : bool
        The error is a moving average over the frames of a window, so that windows that start
        within `WINDOW` frames of each other depend.
    """

    n: int
    windows: int = 1
    moving: bool = False

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Arguments of ``fit``, and what may be the cluster."""
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
        samples = state[..., :2] + spread * rng.normal(size=(SAMPLES, STEPS, self.n, 2))
        return {
            "trajectory": np.zeros((STEPS, self.n, 2)),
            "samples": samples,
            "track": track,
            "start": np.arange(self.n),
        }


POPULATIONS = {
    "200 independent tracks": Population(200),
    "60 tracks of 5 windows": Population(300, windows=5),
    "400 overlapping windows": Population(400, moving=True),
}
CLUSTERS: dict[str, dict[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "200 independent tracks": {"agents": lambda _: {}},
    "60 tracks of 5 windows": {
        "tracks": lambda given: {"track": given["track"]},
        "agents as if independent": lambda _: {},
    },
    "400 overlapping windows": {
        "blocks by default": lambda given: {"start": given["start"]},
        "blocks of one window": lambda given: {"cluster": given["start"] // WINDOW},
        "agents as if independent": lambda _: {},
    },
}


class Coverage(NamedTuple):
    """Shares of intervals that hold the truth."""

    population: str
    clusters: str
    metric: str
    truth: float
    share: float
    width: float
    replicates: int

    @property
    def error(self) -> float:
        """Monte Carlo standard error of the share."""
        return float(np.sqrt(self.share * (1 - self.share) / self.replicates))


def estimator(metric: str) -> es.AMD | es.AMV:
    """One-component AMD (the cells are Gaussian), or AMV of each cell."""
    if metric == "AMD":
        return es.AMD(aggregate="cell", max_components=1, window_length=WINDOW, level=LEVEL)
    return es.AMV(amv_level="pooled", window_length=WINDOW, level=LEVEL)


@cache
def truth(metric: str) -> float:
    """Value in a population of 200,000 independent agents; all populations share the margins."""
    rng = np.random.default_rng([SEED, 10**6])
    values = []
    for _ in range(20):
        given = Population(10_000).draw(rng)
        fitted = estimator(metric).set_params(inference=es.NoInference())
        values.append(fitted.fit(given["trajectory"], given["samples"]).estimate_.value[0])
    return float(np.mean(values))


def coverage(population: str, replicates: int) -> list[Coverage]:
    """All clusterings and both metrics in one population."""
    held: dict[tuple[str, str], list[tuple[bool, float]]] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", es.EvalstatsWarning)
        targets = {metric: truth(metric) for metric in ("AMD", "AMV")}
        for replicate in range(replicates):
            rng = np.random.default_rng([SEED, replicate])
            given = POPULATIONS[population].draw(rng)
            for name, choose in CLUSTERS[population].items():
                for metric, target in targets.items():
                    fitted = estimator(metric).fit(
                        given["trajectory"], given["samples"], **choose(given)
                    )
                    low, high = fitted.estimate_.confidence_interval()
                    inside = bool(low[0] <= target <= high[0])
                    held.setdefault((name, metric), []).append((inside, high[0] - low[0]))
    return [
        Coverage(
            population,
            name,
            metric,
            targets[metric],
            float(np.mean([inside for inside, _ in found])),
            float(np.mean([width for _, width in found])),
            replicates,
        )
        for (name, metric), found in held.items()
    ]


def report(results: list[Coverage]) -> str:
    """The recorded page."""
    lines = [
        "# Coverage of AMD and AMV",
        "",
        f"Share of {100 * LEVEL:g} % intervals that hold the population value, in "
        f"{results[0].replicates} simulated recordings each (Monte Carlo standard error in "
        f"parentheses). K = {SAMPLES}, {STEPS} steps; error and spread of forecasts vary. Windows "
        f"last {WINDOW} frames. Seed {SEED}, {datetime.datetime.now(datetime.UTC).date()}.",
        "",
        "| agents | clusters | metric | truth | coverage | mean width |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {r.population} | {r.clusters} | {r.metric} | {r.truth:.4f} | {r.share:.3f} "
        f"({r.error:.3f}) | {r.width:.4f} |"
        for r in results
    ]
    lines += [
        "",
        "Agents counted as independent although they share a track, or frames, are the negative "
        "control: their intervals are too short. Blocks of one window still depend on their "
        "neighbours; the default takes whole windows, at least two, and as many as leave about 20 "
        "blocks.",
        "",
    ]
    return "\n".join(lines)


def main(
    replicates: int = REPLICATES, page: Path = PAGE, show: Callable[[str], object] = print
) -> list[Coverage]:
    """Run every study and write the page."""
    results = []
    for population in POPULATIONS:
        found = coverage(population, replicates)
        results += found
        for r in found:
            show(f"{r.population}, {r.clusters}, {r.metric}: {r.share:.3f} ({r.error:.3f})")
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(report(results), encoding="utf-8")
    return results


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else REPLICATES)
