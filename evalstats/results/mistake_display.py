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
    page_width,
    paper_style,
    require_pyplot,
    wrapped,
    write_legend,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

_MAX_POINTS = 1000
_NAME_WIDTH = 14
# A factor of 2 either way is the least that fills the colour scale: noise must look pale.
_LEAST_SPAN = math.log(2.0)
_SIDE_BY_SIDE_GROUPS = 4
_LEGEND_WIDTH = 44
_LINE_HEIGHT = 0.12
_TITLE_WIDTH = 32
# Axis labels take about this share of the axes' first, unadjusted width.
_LAYOUT_LOSS = 0.85
_CHARACTER_POINTS = 4.4
_CHARACTER_EM = 0.58
_LEAST_FONT = 4.5
_KEY = (
    "Group of the negative ranked above it\n"
    "(share of AUPRC loss / share of AUROC loss;\n"
    "bold: interval excludes 1)"
)


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
        _, (left, right) = pyplot.subplots(1, 2, figsize=(page_width, 3.2))
        return left, right
    names = [wrapped(format_term(name), _NAME_WIDTH) for name in (*matrix.rows, *matrix.columns)]
    lines = max(name.count("\n") + 1 for name in names)
    heights = (2.6, 1.3 + _LINE_HEIGHT * lines + max(0.4, _LINE_HEIGHT * lines) * len(matrix.rows))
    _, (left, right) = pyplot.subplots(
        2, 1, figsize=(page_width, sum(heights)), gridspec_kw={"height_ratios": heights}
    )
    return left, right


def _draw_losses(axes: "Axes", loss_curve: pl.DataFrame) -> None:
    lines, labels = [], []
    lowest = 1.0
    for number, part in enumerate(loss_curve.partition_by("metric", maintain_order=True)):
        rate, share = _points(part)
        if len(rate) == 0:
            continue
        lowest = min(lowest, float(rate[0]))
        color = COLORS[number % len(COLORS)]
        style = LINE_STYLES[number % len(LINE_STYLES)]
        shown = _thinned(rate, share)
        lines += axes.plot(*shown, drawstyle="steps-post", color=color, linestyle=style)
        name = format_term(part["metric"][0])
        half = _half(rate, share)
        if half is None:
            labels.append(name)
            continue
        axes.plot([half, half], [0.0, 0.5], color=color, linewidth=0.8, linestyle=":")
        axes.plot([half], [0.5], color=color, marker="o", linestyle="none", clip_on=False)
        labels.append(f"{name}: half by firing rate {format_number(half)}")
    axes.axhline(0.5, color=NEUTRAL, linewidth=0.6, zorder=0)
    axes.set_xscale("log")
    axes.set(xlim=(min(lowest, 0.1), 1.0), ylim=(0.0, 1.02))
    axes.set_xlabel("Firing rate at the missed positive")
    axes.set_ylabel("Cumulative share of loss")
    axes.set_title("Where the loss lies")
    write_legend(axes, lines, [wrapped(label, _LEGEND_WIDTH) for label in labels])


def _points(part: pl.DataFrame) -> tuple[Array, Array]:
    """Firing rates in rising order and the share of loss up to each."""
    part = part.filter(pl.col("firing_rate") > 0, pl.col("cumulative_share").is_not_nan())
    part = part.drop_nulls(["firing_rate", "cumulative_share"]).sort("firing_rate")
    return part["firing_rate"].to_numpy(), part["cumulative_share"].to_numpy()


def _thinned(rate: Array, share: Array) -> tuple[Array, Array]:
    """Of millions of points, those that a page can show."""
    if len(rate) <= _MAX_POINTS:
        return rate, share
    targets = np.geomspace(rate[0], rate[-1], _MAX_POINTS)
    # Rounding may put the last target beyond the last rate.
    kept = np.unique(np.minimum(np.searchsorted(rate, targets), len(rate) - 1))
    return rate[kept], share[kept]


def _half(rate: Array, share: Array) -> float | None:
    """Firing rate phi50 by which half of the loss has occurred."""
    reached = np.flatnonzero(share >= 0.5)
    return float(rate[reached[0]]) if len(reached) else None


def _draw_matrix(axes: "Axes", matrix: _Matrix) -> None:
    n_rows, n_columns = matrix.estimate.shape
    with np.errstate(divide="ignore"):
        tone = np.log(matrix.estimate)
    finite = np.abs(tone[np.isfinite(tone)])
    span = max(_LEAST_SPAN, float(finite.max(initial=0.0)))
    axes.set_facecolor("#E8E8E8")
    axes.pcolormesh(
        np.ma.masked_invalid(np.clip(tone, -span, span)),
        cmap=DIVERGING_MAP,
        vmin=-span,
        vmax=span,
        edgecolors="white",
        linewidth=1.0,
    )
    cell_width = _LAYOUT_LOSS * axes.get_window_extent().width / max(n_columns, 1)
    points = cell_width * 72 / axes.figure.dpi
    for row in range(n_rows):
        for column in range(n_columns):
            _write_cell(axes, matrix, (row, column), points, abs(tone[row, column]) > 0.6 * span)
    favoured = _favoured(matrix)
    if favoured is not None:
        axes.add_patch(_frame_of(favoured))
    wide = max(5, int(points / _CHARACTER_POINTS))
    columns = [wrapped(format_term(name), wide) for name in matrix.columns]
    axes.set_xticks(np.arange(n_columns) + 0.5, columns)
    rows = [wrapped(format_term(name), _NAME_WIDTH) for name in matrix.rows]
    axes.set_yticks(np.arange(n_rows) + 0.5, rows)
    axes.set(xlim=(0, n_columns), ylim=(n_rows, 0))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_ylabel("Group of the missed positive")
    axes.set_xlabel(_KEY)
    axes.set_title(_headline(matrix, favoured))


def _write_cell(
    axes: "Axes", matrix: _Matrix, place: tuple[int, int], points: float, dark: bool
) -> None:
    row, column = place
    estimate, low, high = (array[place] for array in (matrix.estimate, matrix.low, matrix.high))
    interval = format_interval(low, high, 2)
    small = min(6.0, points / (_CHARACTER_EM * len(interval)))
    has_room = interval != MISSING and small >= _LEAST_FONT
    style: dict[str, Any] = {"ha": "center", "color": "white" if dark else "black"}
    axes.text(
        column + 0.5,
        row + (0.46 if has_room else 0.5),
        format_number(estimate, 2),
        va="bottom" if has_room else "center",
        fontsize="medium",
        fontweight="bold" if low > 1 or high < 1 else "normal",
        **style,
    )
    if has_room:
        axes.text(column + 0.5, row + 0.54, interval, va="top", fontsize=small, **style)


def _favoured(matrix: _Matrix) -> tuple[int, int] | None:
    """Cell with the largest amplification among those clearly above 1."""
    known = not bool(np.isnan(matrix.low).all())
    clear = np.where((matrix.low if known else matrix.estimate) > 1, matrix.estimate, -np.inf)
    if not clear.size or float(clear.max()) == -np.inf:
        return None
    row, column = np.unravel_index(int(clear.argmax()), clear.shape)
    return int(row), int(column)


def _frame_of(place: tuple[int, int]) -> Any:
    from matplotlib.patches import Rectangle

    row, column = place
    return Rectangle(
        (column, row), 1, 1, fill=False, edgecolor="black", linewidth=1.4, clip_on=False, zorder=3
    )


def _headline(matrix: _Matrix, favoured: tuple[int, int] | None) -> str:
    if favoured is None:
        return "AUPRC favours no sub-group clearly"
    positive = format_term(matrix.rows[favoured[0]])
    negative = format_term(matrix.columns[favoured[1]])
    pair = f"pairs within {positive}" if positive == negative else f"{positive} over {negative}"
    return wrapped(f"AUPRC favours {pair}", _TITLE_WIDTH)
