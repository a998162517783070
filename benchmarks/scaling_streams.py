"""Tasks on a table of labels and two models' probabilities that does not fit into memory."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import polars as pl

import evalstats as es
from benchmarks.processes import task
from evalstats import streaming
from evalstats.data.batches import read_batches
from evalstats.estimator import Estimator

ROWS_PER_FILE = 10_000_000
ROWS_PER_GROUP = 1_000_000
MODELS = ["bold", "timid"]
ESTIMATORS: dict[str, type[Estimator]] = {
    "AUROC": es.AUROC,
    "AUPRC": es.AUPRC,
    "ECE": es.CalibrationError,
    "Balance": es.BalanceScore,
}


@contextmanager
def files_of(rows: int) -> Iterator[str]:
    """Write parquet files (int8 labels, float32 probabilities), and remove them afterwards."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        for number, start in enumerate(range(0, rows, ROWS_PER_FILE)):
            n = min(ROWS_PER_FILE, rows - start)
            logit = 1.5 * rng.standard_normal(n, dtype=np.float32)
            y = rng.random(n, dtype=np.float32) < 1.0 / (1.0 + np.exp(-logit))
            columns = {"label": y.astype(np.int8)}
            for name, slope, noise in (("bold", 1.2, 0.2), ("timid", 0.8, 0.5)):
                seen = slope * logit + noise * rng.standard_normal(n, dtype=np.float32)
                columns[name] = (1.0 / (1.0 + np.exp(-seen))).astype(np.float32)
            pl.DataFrame(columns).write_parquet(
                Path(folder) / f"part-{number:03}.parquet",
                row_group_size=ROWS_PER_GROUP,
                compression="uncompressed",
            )
        yield str(Path(folder) / "part-*.parquet")


@task
def scan(pattern: str) -> dict[str, float]:
    """Polars reads the columns and adds them up."""
    pl.scan_parquet(pattern).select(pl.all().sum()).collect(engine="streaming")
    return {}


@task
def batches(pattern: str) -> dict[str, float]:
    """Polars hands over the columns in batches, with which nothing is done."""
    table = pl.scan_parquet(pattern).select("label", *MODELS)
    rows = sum(batch.height for batch in read_batches(table, ["label", *MODELS]))
    return {"rows": float(rows)}


@task
def streamed(pattern: str, names: list[str], threads: int) -> dict[str, float]:
    """One pass for the named metrics, after the kernels were loaded."""
    chosen = [ESTIMATORS[name]() for name in names]
    state = "binned" if {"AUROC", "AUPRC"} & set(names) else None
    few = pl.DataFrame({"label": [0, 1, 1, 0], "bold": [0.2, 0.7, 0.4, 0.1], "timid": [0.5] * 4})
    streaming.fit(chosen, "label", MODELS, data=few, state=state)
    start, processor = time.perf_counter(), time.process_time()
    streaming.fit(chosen, "label", MODELS, data=pattern, state=state, n_jobs=threads)
    return {
        "fit_seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - processor,
        "n": float(chosen[0].estimate_.n_units),
        **{name: float(own.estimate_.value[0]) for name, own in zip(names, chosen, strict=True)},
    }
