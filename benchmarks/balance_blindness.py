"""What the Balance score sees and what it cannot: figure and table of a simulation.

Usage: python -m benchmarks.balance_blindness; writes docs/generated/balance.png and
docs/generated/balance_table.md.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import evalstats as es
from benchmarks.coverage.families.forecasts import Forecasts
from evalstats.results.style import COLORS, MARKERS, NEUTRAL, column_width, drawing_axes

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "generated"
STUDIES = 300
ROWS = 1000
FINE_BINS = 400
SEED = 20_261_125
AMOUNTS = np.linspace(0.0, 1.0, 9)
# What is done to the logits, and by how much at the beginning of the scale and at its end.
KINDS = {
    "over-confident (logits stretched)": ("sharpened", 1.0, 2.0),
    "under-confident (logits shrunk)": ("sharpened", 1.0, 0.5),
    "shifted (constant added to logits)": ("shifted", 0.0, 1.0),
}


class Row(NamedTuple):
    """Mean of what simulated studies report, beside the truth."""

    kind: str
    true_error: float
    balance: float
    plain: float
    corrected: float


def simulated(kind: str, amount: float) -> Row:
    """Mean results of studies of a model of the given kind."""
    change, start, end = KINDS[kind]
    population = Forecasts(ROWS, change, start + amount * (end - start))
    rng = np.random.default_rng([SEED, int(1000 * amount)])
    found: NDArray[np.float64] = np.empty((STUDIES, 3))
    for study in range(STUDIES):
        rows = population.draw(rng)
        found[study] = (
            abs(es.balance_score(**rows)),
            es.ece(**rows),
            es.calibration_error(**rows, debias=True),
        )
    fine = np.linspace(0.0, 1.0, FINE_BINS + 1)
    q = (fine[1:] + fine[:-1]) / 2
    true_error = float(np.abs(population.forecast(q) - q).mean())
    return Row(kind, true_error, *found.mean(axis=0).tolist())


def draw(rows: list[Row]) -> None:
    """Figure: reported against true error, in one plot."""
    with drawing_axes(None, width=column_width, height=column_width) as axes:
        limit = 1.05 * max(max(row[1:]) for row in rows)
        axes.plot([0, limit], [0, limit], color=NEUTRAL, linewidth=0.8, linestyle="--")
        for number, kind in enumerate(KINDS):
            own = [row for row in rows if row.kind == kind]
            axes.plot(
                [row.true_error for row in own],
                [row.balance for row in own],
                color=COLORS[number],
                marker=MARKERS[number],
                label=f"|Balance|, {kind.split(' (')[0]}",
            )
        plain = sorted((row.true_error, row.plain) for row in rows)
        axes.plot(*zip(*plain, strict=True), color=NEUTRAL, linewidth=0, marker="x", label="ECE")
        axes.set(
            xlabel="True calibration error", ylabel="Mean reported value", xlim=(0, limit),
            ylim=(0, limit),
        )  # fmt: skip
        axes.legend(loc="upper left")
        figure = axes.get_figure(root=True)
        if figure is not None:
            figure.savefig(FOLDER / "balance.png", dpi=200)


def table(rows: list[Row]) -> str:
    """Markdown table of the ends and the middle of each kind."""
    lines = [
        "| Model | True error | mean of \\|Balance\\| | mean ECE | mean ECE, bias corrected |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    shown = {AMOUNTS[0], AMOUNTS[4], AMOUNTS[8]}
    for place, row in enumerate(rows):
        if AMOUNTS[place % len(AMOUNTS)] in shown:
            numbers = " | ".join(f"{value:.4f}" for value in row[1:])
            lines.append(f"| {row.kind} | {numbers} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Simulate, draw and write."""
    rows = [simulated(kind, float(amount)) for kind in KINDS for amount in AMOUNTS]
    draw(rows)
    (FOLDER / "balance_table.md").write_text(table(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
