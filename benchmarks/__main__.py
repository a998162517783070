"""Run all benchmarks and write docs/benchmarks.md.

Usage: python -m benchmarks [WORD]; with a word only the benchmarks whose names or files contain it
are run, and the table is printed but not written.
"""

import importlib
import pkgutil
import sys
from pathlib import Path

import benchmarks
from benchmarks.harness import REGISTRY, report, row, run

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"


def main(word: str = "") -> None:
    """Time what is registered; see the module's docstring."""
    for module in pkgutil.iter_modules(benchmarks.__path__):
        if module.name != "__main__":
            importlib.import_module(f"benchmarks.{module.name}")
    results = []
    for registered in REGISTRY:
        if word.lower() in f"{registered.build.__module__} {registered.name}".lower():
            results.append(run(registered))
            print(row(results[-1]), flush=True)
    if not word:
        PAGE.write_text(report(results), encoding="utf-8")
        print(f"Wrote {PAGE}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
