"""Register, time and report benchmarks; knows nothing about any metric.

A benchmark is a function decorated with :func:`benchmark` that builds its data and returns a
:class:`Contest`: our callable and the peer's on the same data. Both are timed alternately, so that
a busy machine slows both alike, and the ratio of the medians is what the report is about.
"""

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

VERSIONED = ("evalstats-metrics", "numpy", "scipy", "numba", "scikit-learn", "MLstatkit")


@dataclass(frozen=True, kw_only=True)
class Contest:
    """Two ways to the same result.

    Attributes
    ----------
    ours, theirs : callable
        No arguments; the returned numbers are compared where `same_result` says that they must
        agree. `theirs` is None for a limit that has no peer.
    measured_inside : bool
        `ours` returns its own time in seconds (a fresh process times itself).
    peer_scale : float
        Factor from what `theirs` does to what `ours` does, for peers too slow to run in full.
    same_result : bool
        Report the largest absolute difference between the two results.
    """

    ours: Callable[[], ArrayLike]
    theirs: Callable[[], ArrayLike] | None = None
    measured_inside: bool = False
    peer_scale: float = 1.0
    same_result: bool = True


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A registered contest and the promise it checks.

    Attributes
    ----------
    name, peer : str
        What is computed, and by whom else (with remarks such as scaling).
    size : int or None
        Number of units.
    build : callable
        Makes the data and returns the contest.
    min_ratio : float or None
        Promised ratio of the peer's time to ours.
    max_seconds : float or None
        Promised upper limit of our time.
    runs, peer_runs : int
        Timed runs of each side after one warm-up of ours.
    """

    name: str
    peer: str
    size: int | None
    build: Callable[[], Contest]
    min_ratio: float | None
    max_seconds: float | None
    runs: int
    peer_runs: int


@dataclass(frozen=True, kw_only=True)
class Result:
    """Medians in seconds; `difference` is the largest absolute disagreement of the results."""

    benchmark: Benchmark
    ours: float
    theirs: float | None
    difference: float | None

    @property
    def ratio(self) -> float | None:
        """Peer's time over ours."""
        return None if self.theirs is None else self.theirs / self.ours

    @property
    def kept(self) -> bool:
        """Whether the promise holds in this run."""
        promised = self.benchmark
        fast = promised.max_seconds is None or self.ours <= promised.max_seconds
        ahead = promised.min_ratio is None or (self.ratio or 0.0) >= promised.min_ratio
        return fast and ahead


REGISTRY: list[Benchmark] = []


def benchmark(
    name: str,
    *,
    peer: str = "",
    size: int | None = None,
    min_ratio: float | None = None,
    max_seconds: float | None = None,
    runs: int = 7,
    peer_runs: int = 3,
) -> Callable[[Callable[[], Contest]], Callable[[], Contest]]:
    """Register the decorated builder; the arguments are the fields of :class:`Benchmark`."""

    def register(build: Callable[[], Contest]) -> Callable[[], Contest]:
        REGISTRY.append(
            Benchmark(
                name=name,
                peer=peer,
                size=size,
                build=build,
                min_ratio=min_ratio,
                max_seconds=max_seconds,
                runs=runs,
                peer_runs=peer_runs,
            )
        )
        return build

    return register


def timed(call: Callable[[], ArrayLike]) -> tuple[float, ArrayLike]:
    """Wall time of one call, and what it returned."""
    start = time.perf_counter()
    value = call()
    return time.perf_counter() - start, value


def run(registered: Benchmark) -> Result:
    """Warm up, time both sides alternately, take medians."""
    contest = registered.build()
    contest.ours()
    ours: list[float] = []
    theirs: list[float] = []
    difference = None
    for k in range(registered.runs):
        seconds, value = timed(contest.ours)
        ours.append(float(np.asarray(value)) if contest.measured_inside else seconds)
        if contest.theirs is not None and k < registered.peer_runs:
            seconds, peer_value = timed(contest.theirs)
            theirs.append(seconds * contest.peer_scale)
            if contest.same_result:
                difference = float(np.max(np.abs(np.subtract(value, peer_value))))
    return Result(
        benchmark=registered,
        ours=statistics.median(ours),
        theirs=statistics.median(theirs) if theirs else None,
        difference=difference,
    )


def milliseconds(seconds: float | None) -> str:
    """Three significant digits, or a dash."""
    return (
        "–"
        if seconds is None
        else f"{1e3 * seconds:,.3g}"
        if seconds < 1
        else f"{1e3 * seconds:,.0f}"
    )


def promise(registered: Benchmark) -> str:
    """The promise in words."""
    parts = []
    if registered.min_ratio is not None:
        parts.append(f"≥ {registered.min_ratio:g}×")
    if registered.max_seconds is not None:
        parts.append(f"≤ {1e3 * registered.max_seconds:,.0f} ms")
    return ", ".join(parts) or "–"


def row(result: Result) -> str:
    """One line of the Markdown table."""
    registered = result.benchmark
    cells = [
        registered.name,
        registered.peer or "–",
        "–" if registered.size is None else f"{registered.size:,}",
        milliseconds(result.ours),
        milliseconds(result.theirs),
        "–" if result.ratio is None else f"{result.ratio:,.1f}×",
        promise(registered) + ("" if result.kept else " (missed)"),
        "–" if result.difference is None else f"{result.difference:.0e}",
    ]
    return f"| {' | '.join(cells)} |"


def cpu_model() -> str:
    """The processor's name where the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def report(results: Iterable[Result]) -> str:
    """The whole page."""
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in VERSIONED)
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`; do not edit. Each line times evalstats and a peer on the same",
        "data, alternately in one process, after a warm-up; times are medians. The ratio is the",
        "peer's time over ours; the last column is the largest absolute difference between the two",
        "results, where both compute the same number.",
        "",
        "| what | peer | n | evalstats (ms) | peer (ms) | ratio | promise | difference |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- | ---: |",
        *(row(result) for result in results),
        "",
        f"{datetime.now(UTC):%Y-%m-%d}; {cpu_model()}, {os.cpu_count()} cores;",
        f"Python {platform.python_version()}; {versions}.",
        "",
    ]
    return "\n".join(lines)
