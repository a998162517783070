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

from tests.fuzz.harness import OUTCOMES, Target, run_case
from tests.fuzz.record import write_page
from tests.fuzz.targets import all_targets

MEMORY = 12 * 2**30
ROUND = 5000


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
    """Run all cases in rounds over the targets, print failures as they come, and the totals.

    A run that is stopped after some rounds has seen all targets in the same proportions.
    """
    counts = counts_of(targets, options.cases)
    run = Run({target.name: Counter() for target in targets}, options)
    rounds = max(1, options.cases // ROUND)
    try:
        for number in range(rounds):
            for target, count in zip(targets, counts, strict=True):
                for index in range(number * count // rounds, (number + 1) * count // rounds):
                    run.add(target, index)
            if options.record:
                write_page(run.table, options, time.time() - run.start)
    except KeyboardInterrupt:
        sys.stdout.write("stopped\n")
    run.report()
    return int(run.total["failed"] > 0)


class Run:
    """Outcomes so far."""

    def __init__(self, table: dict[str, Counter[str]], options: argparse.Namespace) -> None:
        self.table = table
        self.options = options
        self.start = time.time()
        self.failures: Counter[tuple[str, str]] = Counter()
        self.seconds: Counter[str] = Counter()

    @property
    def total(self) -> Counter[str]:
        """Counts of the outcomes over all targets."""
        return sum(self.table.values(), Counter())

    def add(self, target: Target, index: int) -> None:
        """Run one case; the first failure of each kind is printed in full."""
        begun = time.process_time()
        outcome = run_case(target, self.options.seed, index)
        self.seconds[target.name] += time.process_time() - begun
        self.table[target.name][outcome.kind] += 1
        if outcome.kind == "failed":
            key = (target.name, outcome.place)
            self.failures[key] += 1
            if self.failures[key] == 1:
                sys.stdout.write(f"FAILED {outcome.detail}\n\n")
                sys.stdout.flush()

    def report(self) -> None:
        """Print times, failures by cause, and the totals."""
        for name, outcomes in self.table.items() if self.options.times else ():
            count = sum(outcomes.values())
            mean = 1e3 * self.seconds[name] / max(count, 1)
            sys.stdout.write(f"{name:40s} {count:6d} cases {mean:8.2f} ms {dict(outcomes)}\n")
        for (name, place), count in self.failures.items():
            sys.stdout.write(f"{count:6d} x {name}: {place}\n")
        total, elapsed = self.total, time.time() - self.start
        summary = ", ".join(f"{total[kind]} {kind}" for kind in OUTCOMES)
        sys.stdout.write(f"{sum(total.values())} cases in {elapsed:.0f} s: {summary}\n")


if __name__ == "__main__":
    sys.exit(main())
