"""All targets in one list."""

from tests.fuzz import cli, estimators, files, functions, oracles, results
from tests.fuzz.harness import Target


def all_targets() -> list[Target]:
    """Every target, in the order in which they run."""
    return [
        *estimators.targets(),
        *functions.targets(),
        *results.targets(),
        *files.targets(),
        *cli.targets(),
        *oracles.targets(),
    ]
