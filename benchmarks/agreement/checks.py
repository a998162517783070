"""What a check is, and how differences are measured."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Pair = tuple[ArrayLike, ArrayLike]
# Below this size a difference is taken as it is: a relative one would be that of two round-offs.
SMALLEST = 1e-6
ROUND_OFF = 1e-9


@dataclass(frozen=True)
class Check:
    """One line of the table.

    Attributes
    ----------
    metric, peer : str
        What is computed, and by which function of the other software.
    package : str
        Distribution that must be installed; "recorded" for results in the fixtures.
    pairs : callable
        Yields our numbers and theirs, one pair per case.
    tolerance : float
        Largest relative difference that is accepted.
    explanation : str
        Why the difference is more than round-off, where it is.
    """

    metric: str
    peer: str
    package: str
    pairs: Callable[[], Iterator[Pair]]
    tolerance: float = ROUND_OFF
    explanation: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a check found."""

    check: Check
    cases: int
    numbers: int
    difference: float
    peer_version: str

    @property
    def agrees(self) -> bool:
        """Whether the difference is within the tolerance of the check."""
        return self.cases > 0 and self.difference <= self.check.tolerance


CHECKS: list[Check] = []


def check(
    metric: str, peer: str, package: str, tolerance: float = ROUND_OFF, explanation: str = ""
) -> Callable[[Callable[[], Iterator[Pair]]], Callable[[], Iterator[Pair]]]:
    """Register a generator of pairs as a check."""

    def register(pairs: Callable[[], Iterator[Pair]]) -> Callable[[], Iterator[Pair]]:
        CHECKS.append(Check(metric, peer, package, pairs, tolerance, explanation))
        return pairs

    return register


def difference(ours: ArrayLike, theirs: ArrayLike) -> float:
    """Largest difference relative to the peer's number; infinite where only one is defined."""
    a = np.asarray(ours, dtype=np.float64).ravel()
    b = np.asarray(theirs, dtype=np.float64).ravel()
    if a.shape != b.shape:
        return float("inf")
    if not np.array_equal(np.isnan(a), np.isnan(b)):
        return float("inf")
    known = ~np.isnan(a)
    if not known.any():
        return 0.0
    gap = np.abs(a[known] - b[known]) / np.maximum(np.abs(b[known]), SMALLEST)
    return float(gap.max())


def run(item: Check) -> Outcome | None:
    """Compare all cases; None where the peer is not installed or nothing was recorded."""
    label = "recorded"
    if item.package != "recorded":
        try:
            label = version(item.package)
        except PackageNotFoundError:
            return None
    worst, cases, numbers = 0.0, 0, 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for ours, theirs in item.pairs():
            worst = max(worst, difference(ours, theirs))
            numbers += int(np.size(np.asarray(ours)))
            cases += 1
    return Outcome(item, cases, numbers, worst, label) if cases else None


def studies(n_cases: int = 8, n: int = 300) -> Iterator[dict[str, NDArray[Any]]]:
    """Labels, scores with and without ties, probabilities and weights of random data sets."""
    for case in range(n_cases):
        rng = np.random.default_rng([2026, case])
        y = (rng.random(n) < (0.5, 0.2, 0.05)[case % 3]).astype(np.int64)
        y[:2] = [0, 1]
        score = rng.normal(size=n) + y
        if case % 2:
            score = np.round(score, 1)
        logit = score - 0.8
        yield {
            "y": y,
            "score": score,
            "prob": 1 / (1 + np.exp(-logit)),
            "weight": rng.integers(1, 4, n).astype(np.float64) / (1 + case % 2),
        }
