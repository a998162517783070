"""Replicates: weights drawn in fixed chunks, evaluated on threads.

Each replicate draws from its own counter-based stream, so the numbers depend neither on the number
of workers nor on the size of the chunks.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import pairwise
from typing import TypeVar

import joblib
import numpy as np
from numpy.typing import NDArray

from evalstats.inference.methods import Bootstrap, random_key
from evalstats.inference.problem import Part, Problem
from evalstats.inference.units import Units
from evalstats.kernels.random import (
    POISSON_CDF,
    exponential_weights,
    multinomial_counts,
    poisson_counts,
)
from evalstats.kernels.units import spread_weights, weighted_unit_sums

CHUNK = 25
MIN_PARALLEL_WORK = 2_000_000

Progress = Callable[[int, int], None]
Result = TypeVar("Result")
Item = TypeVar("Item")
_progress: ContextVar[Progress | None] = ContextVar("evalstats_progress", default=None)


@contextmanager
def progress_reported_to(callback: Progress) -> Iterator[None]:
    """Call ``callback(done, total)`` after each chunk of replicates inside the block."""
    token = _progress.set(callback)
    try:
        yield
    finally:
        _progress.reset(token)


def bootstrap_replicates(
    problem: Problem, method: Bootstrap, studentized: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Evaluate every replicate of `method`; NaN where the statistic is undefined.

    Returns
    -------
    replicates : float64 array (B, k)
        Values of each replicate.
    covariances : float64 array (B, k, k) or None
        Covariance estimated inside each replicate, for the studentized interval.
    """
    key = random_key(method.rng)
    total = int(method.n_resamples)

    def chunk(start: int) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        return _evaluate_chunk(
            problem, method, key, range(start, min(start + CHUNK, total)), studentized
        )

    work = max(problem.units.n_rows, problem.work) * total
    results = _run(chunk, list(range(0, total, CHUNK)), work, method.n_jobs)
    replicates = np.concatenate([values for values, _ in results])
    covariances = [block for _, block in results if block is not None]
    return replicates, np.concatenate(covariances) if covariances else None


def second_level_replicates(problem: Problem, method: Bootstrap) -> NDArray[np.float64]:
    """One resample of each resample of :func:`bootstrap_replicates`, evaluated; (B, k)."""
    key = random_key(method.rng)
    total = int(method.n_resamples)
    units = problem.units

    def chunk(start: int) -> NDArray[np.float64]:
        counts, weights = np.empty(units.n_units), np.empty(units.n_rows)
        values = np.empty((min(CHUNK, total - start), len(problem.value)))
        for position in range(len(values)):
            draw_weights(units, method, key, start + position, counts)
            _resample_counts(units, (*key, start + position), counts)
            spread_weights(counts, units.unit_ids, units.row_weight, weights)
            values[position] = problem.evaluate(weights)
        return values

    starts = list(range(0, total, CHUNK))
    return np.concatenate(_run(chunk, starts, units.n_rows * total, method.n_jobs))


def _resample_counts(
    units: Units, words: tuple[int, int, int], counts: NDArray[np.float64]
) -> None:
    """Replace counts of a resample by those of a resample of it, within strata."""
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(words)))
    members, offsets = units.strata
    for start, stop in pairwise(offsets):
        chosen = members[start:stop]
        size = counts[chosen].sum()
        counts[chosen] = generator.multinomial(int(size), counts[chosen] / size)


def jackknife_values(problem: Problem, members: NDArray[np.int64]) -> NDArray[np.float64]:
    """Values without each of the given units in turn. O(units x rows)."""
    units = problem.units

    def chunk(start: int) -> NDArray[np.float64]:
        unit_weight = np.ones(units.n_units)
        weights = np.empty(units.n_rows)
        values = []
        for unit in members[start : start + CHUNK]:
            unit_weight[unit] = 0.0
            spread_weights(unit_weight, units.unit_ids, units.row_weight, weights)
            values.append(problem.evaluate(weights))
            unit_weight[unit] = 1.0
        return np.stack(values)

    work = len(members) * max(units.n_rows, problem.work)
    return np.concatenate(_run(chunk, list(range(0, len(members), CHUNK)), work, None))


def parallel_map(task: Callable[[Item], Result], items: list[Item], work: int) -> list[Result]:
    """Apply `task` to each item on threads where `work` (row operations) makes that pay."""
    workers = min(_workers(work, None), len(items))
    if workers <= 1:
        return [task(item) for item in items]
    # A few tasks of some milliseconds: joblib's polling would cost more than the work.
    with ThreadPoolExecutor(workers) as pool:
        return list(pool.map(task, items))


def _run(
    task: Callable[[int], Result], starts: list[int], work: int, n_jobs: int | None
) -> list[Result]:
    report = _progress.get()
    workers = _workers(work, n_jobs)
    if workers == 1:
        stream: Iterator[Result] = (task(start) for start in starts)
    else:
        parallel = joblib.Parallel(
            n_jobs=workers, prefer="threads", return_as="generator", pre_dispatch="2*n_jobs"
        )
        stream = parallel(joblib.delayed(task)(start) for start in starts)
    results = []
    for done, result in enumerate(stream, start=1):
        results.append(result)
        if report is not None:
            report(done, len(starts))
    return results


def _workers(work: int, n_jobs: int | None) -> int:
    if n_jobs is not None:
        # In a worker process joblib warns that processes cannot start processes; these are threads.
        with joblib.parallel_config(backend="threading"):
            return int(joblib.effective_n_jobs(n_jobs))
    configured = joblib.Parallel(n_jobs=None, prefer="threads")
    if configured.n_jobs not in (None, 1):
        return int(configured.n_jobs)
    return int(joblib.cpu_count()) if work >= MIN_PARALLEL_WORK else 1


def _evaluate_chunk(
    problem: Problem, method: Bootstrap, key: tuple[int, int], replicates: range, studentized: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    units = problem.units
    counts = np.empty(units.n_units)
    weights = np.empty(units.n_rows)
    k = len(problem.value)
    values = np.empty((len(replicates), k))
    covariances = np.empty((len(replicates), k, k)) if studentized else None
    plain = units.weight is None and units.unit_of_row is None
    for position, replicate in enumerate(replicates):
        draw_weights(units, method, key, replicate, counts)
        if plain:
            weights = counts
        else:
            spread_weights(counts, units.unit_ids, units.row_weight, weights)
        values[position] = problem.evaluate(weights)
        if covariances is not None:
            covariances[position] = _replicate_covariance(problem, weights, counts)
    return values, covariances


def draw_weights(
    units: Units,
    method: Bootstrap,
    key: tuple[int, int],
    replicate: int,
    counts: NDArray[np.float64],
) -> None:
    """Fill `counts` with the weight of each unit in one replicate."""
    members, offsets = units.strata
    words = np.uint64(key[0]), np.uint64(key[1])
    number = np.uint64(replicate)
    if method.kind == "multinomial":
        multinomial_counts(members, offsets, *words, number, counts)
    elif method.kind == "poisson":
        poisson_counts(members, POISSON_CDF, *words, number, counts)
    else:
        exponential_weights(members, offsets, *words, number, counts)


def _replicate_covariance(
    problem: Problem, weights: NDArray[np.float64], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Covariance estimated from the drawn units, each copy counting as a unit of its own."""
    k = len(problem.value)
    joint = np.zeros((problem.units.n_units, k))
    column = 0
    for part in problem.parts:
        block = _unit_sums(part, weights if part.rows is None else weights[part.rows])
        target = slice(None) if part.unit_ids is None else part.unit_ids
        joint[target, column : column + block.shape[1]] = block
        column += block.shape[1]
    covariance = np.zeros((k, k))
    members, offsets = problem.units.strata
    for start, stop in pairwise(offsets):
        chosen = members[start:stop]
        copies = counts[chosen][:, np.newaxis]
        m = float(copies.sum())
        if m <= 1:
            continue
        # Terms that are infinite in the data have no covariance: NaN, not a warning.
        with np.errstate(invalid="ignore"):
            centred = joint[chosen] - (copies * joint[chosen]).sum(axis=0) / m
            covariance += m / (m - 1) * (copies * centred).T @ centred
    return covariance


def _unit_sums(part: Part, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    if part.influence is None:
        raise AssertionError("checked by the engine before the first replicate")
    units = part.units
    return weighted_unit_sums(
        part.influence(weights), units.row_weight, units.unit_ids, units.n_units
    )
