"""The mistake analysis at a glance: where each metric's loss lies, and whom AUPRC favours."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.errors import InputError
from evalstats.results.layout import (
    MISSING,
    format_interval,
    format_number,
    format_term,
    require_columns,
)
from evalstats.results.style import (
    COLORS,
    DIVERGING_MAP,
    LINE_STYLES,
    NEUTRAL,
    literal,
    page_width,
    paper_style,
    require_pyplot,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

_MAX_POINTS = 1000
_NAME_WIDTH = 14
# A factor of 1.25 either way is the least that fills the colour scale: noise must look pale.
_LEAST_SPAN = math.log(1.25)
_CELL_WIDTH = 0.62
_SIDE_BY_SIDE_GROUPS = 4


def plot_mistakes(
    loss_curve: pl.DataFrame,
    amplification: pl.DataFrame,
    *,
    axes: "Sequence[Axes] | None" = None,
) -> "tuple[Axes, Axes]":
    """Loss of each metric against the firing rate, and the sub-groups that AUPRC favours.

    Parameters
    ----------
    loss_curve : polars.DataFrame
        ``firing_rate``, ``metric``, ``cumulative_share`` of that metric's loss.
    amplification : polars.DataFrame
        ``positive_group``, ``negative_group``, ``estimate`` and, if there are intervals,
        ``ci_low``, ``ci_high``: share of the AUPRC loss over share of the AUROC loss held by the
        pairs of a positive and a negative of these groups. Above 1, improving AUPRC spends more
        effort on these pairs than improving AUROC does.
    axes : sequence of two matplotlib Axes, optional
        Where to draw; a new figure at page width by default.

    Returns
    -------
    tuple of matplotlib Axes
        Axes of the loss curves and of the matrix.
    """
    require_columns(loss_curve, "firing_rate", "metric", "cumulative_share")
    require_columns(amplification, "positive_group", "negative_group", "estimate")
    if axes is not None and len(axes) != 2:
        raise InputError(f"axes has {len(axes)} Axes; plot_mistakes needs two")
    matrix = _Matrix(amplification)
    pyplot = require_pyplot()
    if axes is not None:
        left, right = axes
        _draw_losses(left, loss_curve)
        _draw_matrix(right, matrix)
        return left, right
    with paper_style():
        left, right = _new_axes(pyplot, matrix)
        _draw_losses(left, loss_curve)
        _draw_matrix(right, matrix)
    return left, right


class _Matrix:
    """Amplifications as arrays indexed by (positive's group, negative's group)."""

    def __init__(self, frame: pl.DataFrame) -> None:
        self.rows = list(dict.fromkeys(frame["positive_group"].to_list()))
        self.columns = list(dict.fromkeys(frame["negative_group"].to_list()))
        shape = (len(self.rows), len(self.columns))
        self.estimate, self.low, self.high = (np.full(shape, np.nan) for _ in range(3))
        for cell in frame.iter_rows(named=True):
            place = (
                self.rows.index(cell["positive_group"]),
                self.columns.index(cell["negative_group"]),
            )
            for array, name in (
                (self.estimate, "estimate"),
                (self.low, "ci_low"),
                (self.high, "ci_high"),
            ):
                value = cell.get(name)
                array[place] = np.nan if value is None else value

    @property
    def size(self) -> int:
        return max(len(self.rows), len(self.columns))


def _new_axes(pyplot: Any, matrix: _Matrix) -> "tuple[Axes, Axes]":
    """Two panels side by side, or one above the other when the matrix needs the page's width."""
    if matrix.size <= _SIDE_BY_SIDE_GROUPS:
        _, (left, right) = pyplot.subplots(
            1, 2, figsize=(page_width, 3.1), gridspec_kw={"width_ratios": (1, 1)}
        )
        return left, right
    heights = (2.4, 1.5 + 0.4 * len(matrix.rows))
    _, (left, right) = pyplot.subplots(
        2, 1, figsize=(page_width, sum(heights)), gridspec_kw={"height_ratios": heights}
    )
    return left, right


def _draw_losses(axes: "Axes", loss_curve: pl.DataFrame) -> None:
    lines, labels = [], []
    lowest = 1.0
    for number, part in enumerate(loss_curve.partition_by("metric", maintain_order=True)):
        rate, share = _thinned(part)
        if len(rate) == 0:
            continue
        lowest = min(lowest, float(rate[0]))
        color = COLORS[number % len(COLORS)]
        style = LINE_STYLES[number % len(LINE_STYLES)]
        lines += axes.plot(rate, share, drawstyle="steps-post", color=color, linestyle=style)
        name = format_term(part["metric"][0])
        half = _half(rate, share)
        if half is None:
            labels.append(name)
            continue
        axes.plot([half, half], [0.0, 0.5], color=color, linewidth=0.8, linestyle=":")
        axes.plot([half], [0.5], color=color, marker="o", linestyle="none", clip_on=False)
        labels.append(f"{name}: half by φ = {format_number(half)}")
    axes.axhline(0.5, color=NEUTRAL, linewidth=0.6, zorder=0)
    axes.set_xscale("log")
    axes.set(xlim=(lowest, 1.0), ylim=(0.0, 1.02))
    axes.set_xlabel("Firing rate φ at the missed positive")
    axes.set_ylabel("Cumulative share of loss")
    axes.set_title("Where the loss lies")
    write_legend(axes, lines, [literal(label) for label in labels])
