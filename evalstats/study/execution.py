"""Fitting the steps of a study, one after the other or in several processes."""

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec

import polars as pl
from narwhals.exceptions import NarwhalsError

from evalstats.errors import EvalstatsWarning, InputError
from evalstats.estimator import Estimator
from evalstats.inference.methods import automatic_inference_seeded
from evalstats.report.progress import DelayedBar, progress_shown
from evalstats.results.estimate import Estimate
from evalstats.study.cache import Cache
from evalstats.study.specification import Comparison
from evalstats.study.steps import Step
from evalstats.study.stored import StepResult
from evalstats.study.views import figures_of, tables_of

NOTHING_TO_COMPARE = "nothing to compare"


@dataclass(frozen=True)
class Failure:
    """Why a step has no result."""

    message: str


@dataclass(frozen=True)
class Finished:
    """A step and its outcome.

    Attributes
    ----------
    step : Step
        What was asked for.
    result : StepResult or Failure
        What came of it.
    cached : bool
        Whether it was computed by an earlier run.
    """

    step: Step
    result: StepResult | Failure
    cached: bool


def run_steps(
    steps: Sequence[Step], cache: Cache, *, workers: int, resume: bool, draw: bool
) -> list[Finished]:
    """Outcome of every step, in their order.

    Parameters
    ----------
    steps : sequence of Step
        What to compute.
    cache : Cache
        Where finished steps are looked up and kept.
    workers : int
        Number of processes; 1 computes here.
    resume : bool
        Whether to use finished steps.
    draw : bool
        Whether figures are needed.
    """
    cache.prepare()
    outcome: dict[int, Finished] = {}
    waiting = []
    for position, step in enumerate(steps):
        known = cache.load(step, drawn=draw) if resume else None
        if known is None:
            waiting.append(position)
        else:
            outcome[position] = Finished(step, known, cached=True)
    with progress_shown("Study") as bar:
        if workers > 1 and len(waiting) > 1:
            stream = _in_processes(steps, waiting, workers, draw, bar)
        else:
            stream = _here(steps, waiting, draw, bar)
        for done, (position, result) in enumerate(stream, 1):
            if isinstance(result, StepResult):
                cache.save(steps[position], result)
            outcome[position] = Finished(steps[position], result, cached=False)
            if bar is not None and workers > 1:
                bar.report(done, len(waiting))
    return [outcome[position] for position in range(len(steps))]


Stream = Iterator[tuple[int, StepResult | Failure]]


def _here(steps: Sequence[Step], waiting: list[int], draw: bool, bar: DelayedBar | None) -> Stream:
    for number, position in enumerate(waiting, 1):
        if bar is not None:
            bar.describe(f"{steps[position].name} ({number} of {len(waiting)})")
        yield position, perform(steps[position], draw=draw)


def _in_processes(
    steps: Sequence[Step], waiting: list[int], workers: int, draw: bool, bar: DelayedBar | None
) -> Stream:
    import joblib

    if bar is not None:
        bar.describe(f"{len(waiting)} metrics in {min(workers, len(waiting))} processes")
    pool = joblib.Parallel(
        n_jobs=min(workers, len(waiting)), backend="loky", return_as="generator_unordered"
    )
    try:
        yield from pool(
            # The identity of a step serves the cache, which stays here.
            joblib.delayed(_performed)(position, replace(steps[position], identity=None), draw)
            for position in waiting
        )
    except BrokenProcessPool as error:
        raise InputError(
            "a worker process was killed, perhaps for want of memory: run again with fewer "
            "workers; what is finished is kept"
        ) from error


def _performed(position: int, step: Step, draw: bool) -> tuple[int, StepResult | Failure]:
    """`perform` in a process without a screen."""
    if draw and find_spec("matplotlib") is not None:
        import matplotlib

        matplotlib.use("agg")
    return position, perform(step, draw=draw)


def perform(step: Step, *, draw: bool) -> StepResult | Failure:
    """Fit a step, compare its models, draw its figures.

    Parameters
    ----------
    step : Step
        What to compute.
    draw : bool
        Whether to draw.
    """
    started = time.perf_counter()
    try:
        with _warnings_collected() as heard, automatic_inference_seeded(step.seed):
            estimator = _fitted(step)
            differences = _compared(estimator.estimate_, step.comparison)
        # What further views warn about is no warning about the numbers.
        with _warnings_collected():
            tables = tables_of(estimator)
            figures = figures_of(estimator) if draw else ()
    except InputError as error:
        return Failure(str(error))
    except (pl.exceptions.PolarsError, NarwhalsError, OSError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        return Failure(f"cannot read the data {step.source.name!r}: {reason[0]}")
    return StepResult(
        estimator.estimate_,
        differences,
        tuple(heard),
        tables,
        figures,
        draw,
        time.perf_counter() - started,
    )


def _fitted(step: Step) -> Estimator:
    estimator = type(step.estimator)(**step.estimator.get_params())
    fit: Callable[..., Estimator] = estimator.fit  # type: ignore[attr-defined]
    return fit(**step.source.arguments(step.arguments))


def _compared(estimate: Estimate, comparison: Comparison | None) -> pl.DataFrame | None:
    if comparison is None:
        return None
    over = comparison.terms or "model"
    if comparison.terms is None and over not in estimate.terms.columns:
        # Classes, quantiles and pairs of groups are parts of one result, not rivals.
        return None
    try:
        return estimate.compare(
            comparison.reference,
            terms=over,
            alternative=comparison.alternative,
            adjust=comparison.adjust,
            margin=comparison.margin,
        )
    except InputError as error:
        # That a metric has one model only may show in the data alone.
        if comparison.reference is None and NOTHING_TO_COMPARE in str(error):
            return None
        raise


@contextmanager
def _warnings_collected() -> Iterator[list[tuple[str, str]]]:
    """Codes and messages of the warnings of the block, each once; others pass on."""
    heard: list[tuple[str, str]] = []
    with warnings.catch_warnings():
        pass_on = warnings.showwarning
        warnings.simplefilter("always", EvalstatsWarning)

        def show(message: Warning | str, *place: object, **options: object) -> None:
            if not isinstance(message, EvalstatsWarning):
                pass_on(message, *place, **options)  # type: ignore[arg-type]
            elif (message.code, message.message) not in heard:
                heard.append((message.code, message.message))

        warnings.showwarning = show
        yield heard
