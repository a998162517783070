"""Running designs: in parallel, resumable, with results that do not depend on the workers."""

import math
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import joblib
import polars as pl

import evalstats as es
from benchmarks.coverage.design import Design, Observed, observe
from benchmarks.coverage.summary import SCHEMA, summarise

SEED = 20_261_125
BLOCK = 50


def run(
    designs: Sequence[Design],
    work: Path,
    *,
    replicates: int | None = None,
    workers: int = 1,
    seed: int = SEED,
    show: Callable[[str], object] = print,
) -> pl.DataFrame:
    """Run the designs that have no finished part in `work`, and collect all parts.

    Parameters
    ----------
    designs : sequence of Design
        In the order in which they are run.
    work : Path
        Directory of the parts: one parquet file per finished design, which appears whole or not
        at all, so that an interrupted run continues where it stopped.
    replicates : int, optional
        Samples per design instead of those that the design asks for.
    workers : int
        Processes. Every replicate has its own stream of random numbers.
    seed : int
        Seed of all streams.
    show : callable
        Receives a line of progress per design.

    Returns
    -------
    polars.DataFrame
        One row per design, procedure and target.
    """
    work.mkdir(parents=True, exist_ok=True)
    parts = []
    with _processes(workers) as apply:
        for design in designs:
            wanted = replicates or design.replicates
            path = _part(design, work)
            part = _finished(path, wanted, seed)
            if part is None:
                start = time.perf_counter()
                part = run_design(design, wanted, seed, apply)
                _write(part, path)
                show(f"{design.name}: {wanted} samples in {time.perf_counter() - start:.1f} s")
            parts.append(part)
    return pl.concat(parts)


def collected(designs: Sequence[Design], work: Path) -> tuple[pl.DataFrame, list[str]]:
    """Rows of designs that are finished with all their samples, and the names of the others."""
    parts, missing = [], []
    for design in designs:
        part = _finished(_part(design, work), design.replicates, SEED)
        if part is None:
            missing.append(design.name)
        else:
            parts.append(part)
    return pl.concat(parts), missing


def _part(design: Design, work: Path) -> Path:
    return work / f"{design.name.replace('/', '--')}.parquet"


Apply = Callable[[Design, int, int], Iterator[list[Observed]]]


def run_design(design: Design, replicates: int, seed: int, apply: Apply) -> pl.DataFrame:
    """All replicates of one design, summarised."""
    observed = [item for block in apply(design, replicates, seed) for item in block]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", es.EvalstatsWarning)
        truths = design.population.truths()
    return summarise(design, observed, truths, seed, es.__version__)


def observe_block(design: Design, replicates: int, seed: int, block: int) -> list[Observed]:
    """Consecutive replicates, in one thread."""
    stop = min((block + 1) * BLOCK, replicates)
    with joblib.parallel_config(backend="threading", n_jobs=1):
        return [observe(design, replicate, seed) for replicate in range(block * BLOCK, stop)]


def in_process(design: Design, replicates: int, seed: int) -> Iterator[list[Observed]]:
    """Blocks of replicates one after the other."""
    for block in range(math.ceil(replicates / BLOCK)):
        yield observe_block(design, replicates, seed, block)


def _block_by_name(name: str, replicates: int, seed: int, block: int) -> list[Observed]:
    """In a worker, which finds the design in its own list: procedures need not be pickled."""
    from benchmarks.coverage.designs import DESIGNS

    (design,) = (item for item in DESIGNS if item.name == name)
    return observe_block(design, replicates, seed, block)


@contextmanager
def _processes(workers: int) -> Iterator[Apply]:
    if workers <= 1:
        yield in_process
        return
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:

        def apply(design: Design, replicates: int, seed: int) -> Iterator[list[Observed]]:
            blocks = range(math.ceil(replicates / BLOCK))
            yield from pool.map(partial(_block_by_name, design.name, replicates, seed), blocks)

        yield apply


def _finished(path: Path, replicates: int, seed: int) -> pl.DataFrame | None:
    """A part of an earlier run with the same samples."""
    if not path.is_file():
        return None
    part = pl.read_parquet(path)
    if part.schema != SCHEMA:
        return None
    same = part["replicates"][0] == replicates and part["seed"][0] == seed
    return part if same and part["version"][0] == es.__version__ else None


def _write(part: pl.DataFrame, path: Path) -> None:
    temporary = path.with_suffix(".partial")
    part.write_parquet(temporary)
    os.replace(temporary, path)
