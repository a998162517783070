"""The recorded run as a page of the documentation."""

import argparse
import platform
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.fuzz.harness import OUTCOMES

PAGE = Path(__file__).resolve().parents[2] / "docs" / "generated" / "fuzz.md"
PACKAGES = ("numpy", "numba", "polars", "scipy", "pandas", "pyarrow", "narwhals", "formulaic")


def write_page(table: dict[str, Counter[str]], options: argparse.Namespace, elapsed: float) -> None:
    """Write date, versions, seed and the counts of each target and outcome."""
    total = sum(table.values(), Counter())
    cases = sum(total.values())
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    lines = [
        "# Recorded fuzzing run",
        "",
        f"Written by `python -m tests.fuzz --cases {options.cases} --seed {options.seed} --record` "
        f"on {datetime.now(tz=UTC):%Y-%m-%d}, Python {platform.python_version()}, {versions}; "
        f"{elapsed / 60:.0f} minutes in one process.",
        "",
        f"**{cases:,} cases: " + ", ".join(f"{total[kind]:,} {kind}" for kind in OUTCOMES) + ".**",
        "",
        *_unfinished(cases, options.cases),
        "A case is one call of one entry point with one generated input, together with the checks "
        "on its result; what counts as a failure is described on the page on reliability.",
        "",
        "| target | " + " | ".join(OUTCOMES) + " |",
        "| :--- | " + " | ".join("---:" for _ in OUTCOMES) + " |",
    ]
    for name, outcomes in table.items():
        cells = " | ".join(f"{outcomes[kind]:,}" for kind in OUTCOMES)
        lines.append(f"| `{name}` | {cells} |")
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _unfinished(cases: int, wanted: int) -> list[str]:
    if cases >= wanted:
        return []
    return [f"The run was stopped early: {wanted:,} cases were asked for.", ""]
