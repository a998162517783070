"""Run one measurement in a process of its own and read its time and peak memory.

``python -m benchmarks.processes MODULE TASK ARGUMENTS`` is what :func:`measured` starts.
"""

import importlib
import json
import os
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

TASKS: dict[str, Callable[..., dict[str, float]]] = {}


def task(function: Callable[..., dict[str, float]]) -> Callable[..., dict[str, float]]:
    """Register a function that :func:`measured` may run; it returns further numbers."""
    TASKS[function.__name__] = function
    return function


def measured(module: str, name: str, *arguments: object) -> dict[str, float]:
    """Results of a task, with ``seconds``, ``processor`` seconds and ``mib`` of peak memory."""
    command = [sys.executable, "-m", "benchmarks.processes", module, name]
    command += [json.dumps(item) for item in arguments]
    found = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    if found.returncode != 0:
        raise RuntimeError(found.stderr)
    result: dict[str, float] = json.loads(found.stdout.splitlines()[-1])
    return result


def main(module: str, name: str, *arguments: str) -> None:
    """Run the task once and print its numbers as JSON."""
    warnings.simplefilter("ignore")
    importlib.import_module(f"benchmarks.{module}")
    given: list[Any] = [json.loads(item) for item in arguments]
    start, processor = time.perf_counter(), time.process_time()
    numbers = TASKS[name](*given)
    times = {
        "seconds": time.perf_counter() - start,
        "processor": time.process_time() - processor,
    }
    print(json.dumps({**times, "mib": peak_memory(), **numbers}))


def peak_memory() -> float:
    """Peak resident memory of this process in MiB.

    ``ru_maxrss`` is inherited from the process that started this one; ``VmHWM`` is not.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


if __name__ == "__main__":
    # Tasks register with the imported module, which this one is not.
    importlib.import_module("benchmarks.processes").main(*sys.argv[1:])
