"""Average-rank diagram: who is better, and which differences could be chance."""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.errors import InputError
from evalstats.results.layout import require_columns
from evalstats.results.style import COLORS, NEUTRAL, drawing_axes, page_width, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAME_WIDTH = 30
_BAR_STEP = 0.32
_ROW_STEP = 0.62


def plot_average_ranks(
    frame: pl.DataFrame, *, critical_difference: float, ax: "Axes | None" = None
) -> "Axes":
    """Average ranks on one line, with bars over models that do not differ significantly.

    Parameters
    ----------
    frame : polars.DataFrame
        ``model`` and ``average_rank``, one row per model.
    critical_difference : float
        Ranks that differ by less than this are joined by a bar.
    ax : matplotlib Axes, optional
        Where to draw; a new figure at page width by default.

    Returns
    -------
    matplotlib Axes
        Best models on the left.

    Raises
    ------
    InputError
        If a column is missing, or there are fewer than 2 models.

    Examples
    --------
    >>> import polars as pl
    >>> from evalstats.results.displays import plot_average_ranks
    >>> frame = pl.DataFrame({"model": ["a", "b", "c"], "average_rank": [1.2, 1.9, 2.9]})
    >>> ax = plot_average_ranks(frame, critical_difference=0.8)
    """
    require_columns(frame, "model", "average_rank")
    if frame.height < 2:
        raise InputError("an average-rank diagram needs at least 2 models")
    ordered = frame.sort("average_rank", maintain_order=True)
    rank = ordered["average_rank"].to_numpy().astype(np.float64)
    if not bool(np.isfinite(rank).all()):
        raise InputError("average_rank has a missing value")
    m = len(rank)
    groups = _groups(rank, critical_difference)
    left = (m + 1) // 2
    depth = (len(groups) + 1) * _BAR_STEP
    bottom = depth + left * _ROW_STEP
    with drawing_axes(ax, width=page_width, height=1.0 + 0.32 * (bottom + 1.2)) as axes:
        span = m - 1
        axes.set_xlim(1 - 0.62 * span, m + 0.62 * span)
        axes.set_ylim(bottom + 0.3, -1.5)
        axes.set_axis_off()
        _draw_scale(axes, m, critical_difference)
        for position, (value, name) in enumerate(zip(rank, ordered["model"], strict=True)):
            on_left = position < left
            row = position if on_left else m - 1 - position
            height = depth + (row + 0.5) * _ROW_STEP
            edge = 1 - 0.06 * span if on_left else m + 0.06 * span
            axes.plot([value, value, edge], [0, height, height], color=NEUTRAL, lw=0.7, ls="-")
            axes.plot([value], [0], marker="o", color=COLORS[0], ms=3.5, clip_on=False)
            side = -1 if on_left else 1
            axes.text(
                edge + side * 0.01 * span,
                height,
                wrapped(f"{name}  {value:.2f}" if on_left else f"{value:.2f}  {name}", _NAME_WIDTH),
                ha="right" if on_left else "left",
                va="center",
                fontsize=7,
            )
        for level, (first, last) in enumerate(groups, start=1):
            pad = 0.008 * span
            axes.plot(
                [rank[first] - pad, rank[last] + pad],
                [level * _BAR_STEP] * 2,
                color=COLORS[1],
                lw=2.6,
                ls="-",
                solid_capstyle="butt",
            )
    return axes


def _groups(rank: NDArray[np.float64], critical: float) -> list[tuple[int, int]]:
    """Largest runs of models within the critical difference, as first and last position."""
    groups: list[tuple[int, int]] = []
    for first in range(len(rank)):
        last = int(np.searchsorted(rank, rank[first] + critical, side="left")) - 1
        if last > first and (not groups or last > groups[-1][1]):
            groups.append((first, last))
    return groups


def _draw_scale(axes: "Axes", m: int, critical: float) -> None:
    axes.plot([1, m], [0, 0], color="black", lw=0.8, ls="-")
    for tick in range(1, m + 1):
        axes.plot([tick, tick], [0, -0.12], color="black", lw=0.6, ls="-")
        axes.text(tick, -0.2, str(tick), ha="center", va="bottom", fontsize=7)
    low = 1 + min(critical, m - 1)
    axes.plot([1, low], [-0.95, -0.95], color="black", lw=1.0, ls="-", marker="|", ms=5)
    label = f"critical difference {critical:.2f}"
    axes.text(low + 0.02 * (m - 1), -0.95, label, ha="left", va="center", fontsize=7)
