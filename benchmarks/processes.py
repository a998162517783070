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
from typing import Any

TASKS: dict[str, Callable[..., dict[str, float]]] = {}


def task(function: Callable[..., dict[str, float]]) -> Callable[..., dict[str, float]]:
    """Register a function that :func:`measured` may run; it returns further numbers."""
    TASKS[function.__name__] = function
    return function


def measured(module: str, name: str, *arguments: object) -> dict[str, float]:
    """Results of a task, with ``seconds`` and ``mib`` (peak resident memory)."""
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
    start = time.perf_counter()
    numbers = TASKS[name](*given)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    print(json.dumps({"seconds": seconds, "mib": peak, **numbers}))


if __name__ == "__main__":
    # Tasks register with the imported module, which this one is not.
    importlib.import_module("benchmarks.processes").main(*sys.argv[1:])
