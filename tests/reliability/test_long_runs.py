"""Interrupts, kills, caches, workers and memory: what happens to long runs.

That a bootstrap has the same bits on any number of threads is in tests/test_battery.py, that
kernels work without any cache in tests/test_kernels_policy.py.
"""

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import evalstats as es
from tests.battery_support import registered

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
LIMIT = 300


def started(code, *arguments, **environment):
    """A Python process that runs `code`."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        env={**ENVIRONMENT, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finished(process):
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, err[-3000:]
    return json.loads(out.splitlines()[-1])


# Ctrl-C -----------------------------------------------------------------------------------------

ENDLESS = """
import json, threading, time, warnings
import numpy as np
import evalstats as es
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
y, s = rng.integers(0, 2, 20_000), rng.random(20_000)
es.AUROC(inference=es.Bootstrap(4, rng=0)).fit(y, s)
before = threading.active_count()
print("ready", flush=True)
try:
    es.AUROC(inference=es.Bootstrap(5_000_000, rng=0, n_jobs=2)).fit(y, s)
except KeyboardInterrupt:
    deadline = time.time() + 60
    while threading.active_count() > before and time.time() < deadline:
        time.sleep(0.05)
    threads = threading.active_count() - before
    again = es.AUROC(inference=es.Bootstrap(50, rng=0, n_jobs=2)).fit(y, s).estimate_
    print(json.dumps({"threads": threads, "n": len(again.replicates)}))
"""


def test_an_interrupted_bootstrap_leaves_no_threads():
    process = started(ENDLESS)
    assert process.stdout.readline() == "ready\n"
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    report = finished(process)
    assert report["threads"] <= 0
    assert report["n"] == 50


COMMAND = "import sys; from evalstats.cli import app; app(sys.argv[1:])"


def test_an_interrupted_command_leaves_no_file(tmp_path):
    rng = np.random.default_rng(0)
    table, out = tmp_path / "rows.parquet", tmp_path / "result.csv"
    pl.DataFrame({"y": rng.integers(0, 2, 20_000), "s": rng.random(20_000)}).write_parquet(table)
    out.write_text("old")
    words = ["auroc", table, "--y-true", "y", "--y-score", "s", "--out", out]
    process = started(COMMAND, *words, "--bootstrap", 5_000_000)
    deadline = time.time() + 120
    # Two threads more than the main one: the bootstrap is running.
    while process.poll() is None and time.time() < deadline:
        if len(list(Path(f"/proc/{process.pid}/task").iterdir())) > 2:
            break
        time.sleep(0.1)
    time.sleep(5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert out.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["result.csv", "rows.parquet"]


# Kills during a write ---------------------------------------------------------------------------

HALFWAY = """
import os, sys, time
from pathlib import Path
import evalstats as es
from evalstats.report.files import write_atomically
path, how = Path(sys.argv[1]), sys.argv[2]
def never(source, target):
    print("written", flush=True)
    time.sleep(600)
os.replace = never
if how == "save":
    fitted = es.AUROC(inference=es.NoInference()).fit([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.9])
    fitted.estimate_.save(path)
else:
    write_atomically(path, "new " * 100_000)
"""


@pytest.mark.parametrize("how", ["save", "text"])
def test_a_kill_during_a_write_leaves_the_old_file(tmp_path, how):
    path = tmp_path / "result"
    path.write_text("old")
    process = started("import warnings; warnings.simplefilter('ignore')\n" + HALFWAY, path, how)
    assert process.stdout.readline() == "written\n", process.stderr.read()
    process.kill()
    process.communicate()
    assert path.read_text() == "old"


def test_a_failed_write_leaves_nothing_behind(tmp_path, monkeypatch):
    path = tmp_path / "saved"
    estimate = es.BrierScore().fit([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.9]).estimate_
    estimate.save(path)
    before = path.read_bytes()

    def fails(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="no space"):
        estimate.save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


# Caches -----------------------------------------------------------------------------------------

CACHED = """
import json, warnings
import numpy as np
import evalstats as es
from numba.core.dispatcher import Dispatcher
import evalstats.discrimination.kernels as kernels
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
fitted = es.AUROC(inference=es.Bootstrap(50, rng=0)).fit(rng.integers(0, 2, 300), rng.random(300))
found = [item for item in vars(kernels).values() if isinstance(item, Dispatcher)]
print(json.dumps({
    "value": fitted.estimate_.value.tolist(),
    "error": fitted.estimate_.standard_error.tolist(),
    "hits": sum(sum(item.stats.cache_hits.values()) for item in found),
    "misses": sum(sum(item.stats.cache_misses.values()) for item in found),
}))
"""


def test_two_processes_that_compile_at_once_share_a_cache(tmp_path):
    both = [started(CACHED, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2)]
    first, second = (finished(process) for process in both)
    third = finished(started(CACHED, NUMBA_CACHE_DIR=str(tmp_path)))
    assert third["hits"] > 0
    assert third["misses"] == 0
    for report in (second, third):
        assert report["value"] == first["value"]
        assert report["error"] == first["error"]


def test_a_cache_folder_that_cannot_be_written_is_no_obstacle(tmp_path):
    taken = tmp_path / "taken"
    taken.write_text("a file where a folder should be")
    reports = [
        finished(started(CACHED, NUMBA_CACHE_DIR=folder))
        for folder in (str(taken / "below"), "/proc/evalstats")
    ]
    assert reports[0]["value"] == reports[1]["value"]
    assert reports[0]["error"] == reports[1]["error"]


# Workers ----------------------------------------------------------------------------------------


def bootstrapped(seed):
    """Standard error of a bootstrap on two threads."""
    rng = np.random.default_rng(seed)
    method = es.Bootstrap(200, rng=1, n_jobs=2)
    estimate = es.AUROC(inference=method).fit(rng.integers(0, 2, 2000), rng.random(2000)).estimate_
    return estimate.standard_error[0]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork in a process with threads
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_after_kernels_have_run_in_the_parent(method):
    expected = [bootstrapped(seed) for seed in (1, 2)]
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map_async(bootstrapped, (1, 2)).get(LIMIT) == expected


def test_runs_repeat_bit_for_bit():
    reports = [
        finished(started(CACHED, PYTHONHASHSEED=str(seed), LOKY_MAX_CPU_COUNT=str(seed)))
        for seed in (1, 2)
    ]
    assert reports[0]["value"] == reports[1]["value"]
    assert reports[0]["error"] == reports[1]["error"]


# Memory -----------------------------------------------------------------------------------------


def resident():
    """Resident memory of this process in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def growth(cls, fits):
    """MiB that so many fits add once everything is warm."""
    arguments = cls._example_arguments(np.random.default_rng(0), 40)
    model = cls(inference=es.NoInference())
    for _ in range(fits // 5):
        model.fit(**arguments)
    before = resident()
    for _ in range(fits):
        model.fit(**arguments)
    return resident() - before


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's /proc")
@pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
@pytest.mark.parametrize("name", ["AUROC", "CalibrationError", "WinRate"])
def test_memory_does_not_grow(name):
    assert growth(getattr(es, name), 300) < 4


@pytest.mark.simulation
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's /proc")
@pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
@pytest.mark.parametrize("cls", registered(), ids=lambda cls: cls.__name__)
def test_memory_does_not_grow_over_a_thousand_fits(cls):
    assert growth(cls, 1000) < 8
