"""``python -m tests.fuzz``: run generated cases and say what happened."""

import argparse
import os
import resource
import sys
import time
from collections import Counter
from fnmatch import fnmatch

import numpy as np

os.environ.setdefault("MPLBACKEND", "Agg")

from tests.fuzz.harness import OUTCOMES, Outcome, Target, run_case
from tests.fuzz.record import write_page
from tests.fuzz.targets import all_targets

MEMORY = 12 * 2**30


def main(arguments: list[str] | None = None) -> int:
    """Run as asked; the exit code is 1 when a case failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=5000, help="number of generated cases")
    parser.add_argument("--seed", type=int, default=0, help="seed of the generators")
    parser.add_argument("--only", default="*", help="targets, as in 'fit:*' or 'cli:auroc'")
    parser.add_argument("--case", type=int, help="repeat this one case of the target of --only")
    parser.add_argument("--list", action="store_true", help="list the targets")
    parser.add_argument("--times", action="store_true", help="show the mean time of each target")
    parser.add_argument("--record", action="store_true", help="write docs/generated/fuzz.md")
    options = parser.parse_args(arguments)
    chosen = [target for target in all_targets() if fnmatch(target.name, options.only)]
    if not chosen:
        parser.error(f"no target is called {options.only!r}; see --list")
    if options.list:
        sys.stdout.writelines(f"{target.name}\n" for target in chosen)
        return 0
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    if options.case is not None:
        outcome = run_case(chosen[0], options.seed, options.case)
        sys.stdout.write(f"{outcome.kind}\n{outcome.detail}\n")
        return int(outcome.kind == "failed")
    return run_many(chosen, options)


def counts_of(targets: list[Target], cases: int) -> list[int]:
    """Cases of each target, in proportion to its share; at least one."""
    shares = np.array([target.share for target in targets])
    return [int(count) for count in np.maximum(1, np.ceil(cases * shares / shares.sum()))]


def run_many(targets: list[Target], options: argparse.Namespace) -> int:
    """Run all cases, print failures as they come, and the totals."""
    start = time.time()
    table: dict[str, Counter[str]] = {}
    failures: dict[tuple[str, str], list[Outcome]] = {}
    for target, count in zip(targets, counts_of(targets, options.cases), strict=True):
        outcomes = table.setdefault(target.name, Counter())
        begun = time.process_time()
        for index in range(count):
            outcome = run_case(target, options.seed, index)
            outcomes[outcome.kind] += 1
            if outcome.kind == "failed":
                known = failures.setdefault((target.name, outcome.place), [])
                known.append(outcome)
                if len(known) == 1:
                    sys.stdout.write(f"FAILED {outcome.detail}\n\n")
                    sys.stdout.flush()
        if options.times:
            mean = 1e3 * (time.process_time() - begun) / count
            sys.stdout.write(
                f"{target.name:40s} {count:6d} cases {mean:8.2f} ms {dict(outcomes)}\n"
            )
            sys.stdout.flush()
    total = sum(table.values(), Counter())
    elapsed = time.time() - start
    for (name, place), found in failures.items():
        sys.stdout.write(f"{len(found):6d} x {name}: {place}\n")
    summary = ", ".join(f"{total[kind]} {kind}" for kind in OUTCOMES)
    sys.stdout.write(f"{sum(total.values())} cases in {elapsed:.0f} s: {summary}\n")
    if options.record:
        write_page(table, options, elapsed)
    return int(total["failed"] > 0)


if __name__ == "__main__":
    sys.exit(main())
