"""Run all checks and write docs/generated/agreement.md.

Usage: python -m benchmarks.agreement [WORD]; with a word only the checks whose metric or peer
contains it are run, and the table is printed but not written.
"""

import platform
import sys
from datetime import UTC, datetime
from pathlib import Path

import evalstats as es
from benchmarks.agreement import peers, quick, recorded
from benchmarks.agreement.checks import CHECKS, ROUND_OFF, Outcome, run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "generated" / "agreement.md"
MODULES = (quick, peers, recorded)


def line(outcome: Outcome) -> str:
    """Row of the table."""
    item = outcome.check
    source = item.package if item.package != "recorded" else "recorded"
    version = "" if item.package == "recorded" else f" {outcome.peer_version}"
    why = item.explanation if outcome.difference > ROUND_OFF else "round-off"
    return (
        f"| {item.metric} | {source}{version}: {item.peer} | {outcome.cases} | {outcome.numbers} "
        f"| {outcome.difference:.1e} | {why or 'none found'} |"
    )


def table(outcomes: list[Outcome]) -> str:
    """The whole page."""
    head = [
        "# Agreement with other software",
        "",
        "Largest difference, relative to the number of the other software, on shared inputs: "
        "random data sets of this package's generators with fixed seeds, and inputs of recorded "
        "results of R. Numbers below 1e-6 are compared absolutely, on that scale. *Cases* are data "
        "sets and options, *numbers* what was compared in them.",
        "",
        "| Metric | Peer | Cases | Numbers | Largest difference | Explanation |",
        "| --- | --- | ---: | ---: | ---: | --- |",
    ]
    foot = [
        "",
        f"{datetime.now(tz=UTC):%Y-%m-%d}; evalstats {es.__version__}, Python "
        f"{platform.python_version()}; made by `make agreement`.",
        "",
    ]
    return "\n".join([*head, *map(line, outcomes), *foot])


def main(word: str = "") -> int:
    """Compare; returns 1 where a difference exceeds its tolerance."""
    outcomes = []
    for item in CHECKS:
        if word.lower() not in f"{item.metric} {item.peer} {item.package}".lower():
            continue
        outcome = run(item)
        if outcome is None:
            print(f"{item.metric}: {item.package} is not here, left out")
            continue
        outcomes.append(outcome)
        print(line(outcome), "" if outcome.agrees else "  <-- EXCEEDS ITS TOLERANCE", flush=True)
    if not word:
        PAGE.write_text(table(outcomes), encoding="utf-8")
        print(f"Wrote {PAGE}")
    return int(not all(outcome.agrees for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
