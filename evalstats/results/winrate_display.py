"""Win rates at a glance: what length control changes, and who beats whom."""

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
    NEUTRAL,
    drawing_axes,
    page_width,
    wrapped,
    write_legend,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

EVEN = 50.0
_NAME_WIDTH = 22
_RAW, _CONTROLLED = COLORS[1], COLORS[0]
# Raw and controlled intervals lie on two lines of a row, so that neither hides the other.
_OFFSET = 0.14
_LEAST_ARROW = 0.5
# Ten points either way are the least that fills the colour scale: noise must look pale.
_LEAST_SPAN = 10.0
_LAYOUT_LOSS = 0.85
_CHARACTER_EM = 0.58
_CHARACTER_POINTS = 4.4
_LEAST_FONT = 4.5


def plot_leaderboard(
    raw_frame: pl.DataFrame, controlled_frame: pl.DataFrame, *, ax: "Axes | None" = None
) -> "Axes":
    """Raw and controlled win rate of each model, with an arrow from the one to the other.

    Parameters
    ----------
    raw_frame, controlled_frame : polars.DataFrame
        ``model``, ``estimate`` and, if there are intervals, ``ci_low`` and ``ci_high``; one row for
        each model, in percent, such as ``Estimate.to_frame()`` gives.
    ax : matplotlib Axes, optional
        Where to draw; a new figure at page width by default.

    Returns
    -------
    matplotlib Axes
        The axes, best controlled win rate on top.

    Raises
    ------
    InputError
        If a column is missing, a model has several rows, or the frames hold different models.
    """
    raw, controlled = (_by_model(frame) for frame in (raw_frame, controlled_frame))
    different = set(raw) ^ set(controlled)
    if different:
        raise InputError(
            f"raw_frame and controlled_frame hold different models: {sorted(map(str, different))} "
            "are in one of them only"
        )
    order = sorted(controlled, key=lambda model: _descending(controlled[model][0]))
    with drawing_axes(ax, width=page_width, height=1.0 + 0.32 * len(order)) as axes:
        _draw_leaderboard(axes, [raw[name] for name in order], [controlled[n] for n in order])
        names = [wrapped(format_term(name), _NAME_WIDTH) for name in order]
        axes.set_yticks(np.arange(len(order)), names)
    return axes


def plot_win_matrix(frame: pl.DataFrame, *, ax: "Axes | None" = None) -> "Axes":
    """Heat map of the predicted win rate of each model (row) against each opponent (column).

    Parameters
    ----------
    frame : polars.DataFrame
        ``model``, ``opponent``, ``estimate`` and, if there are intervals, ``ci_low`` and
        ``ci_high``, in percent, such as ``LengthControlledWinRate.matrix().to_frame()`` gives.
    ax : matplotlib Axes, optional
        Where to draw; a new figure at page width by default.

    Returns
    -------
    matplotlib Axes
        The axes, with the models from the strongest to the weakest. An interval that excludes 50 is
        marked by a bold win rate.

    Raises
    ------
    InputError
        If a column is missing or a pair has several rows.
    """
    require_columns(frame, "model", "opponent", "estimate")
    repeated = frame.select("model", "opponent").is_duplicated().arg_true()
    if len(repeated):
        model, opponent = frame.select("model", "opponent").row(repeated[0])
        raise InputError(
            f"frame has several rows of {model!r} against {opponent!r}: select one metric and group"
        )
    names = _strongest_first(frame)
    estimate, low, high = _matrices(frame, names)
    height = 1.0 + 0.44 * len(names)
    with drawing_axes(ax, width=page_width, height=height) as axes:
        _draw_cells(axes, estimate, low, high)
        points = _cell_points(axes, len(names))
        wide = max(5, int(points / _CHARACTER_POINTS))
        middle = np.arange(len(names)) + 0.5
        axes.set_xticks(middle, [wrapped(format_term(name), wide) for name in names])
        axes.set_yticks(middle, [wrapped(format_term(name), _NAME_WIDTH) for name in names])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_ylabel("Model")
        axes.set_xlabel("Opponent (win rate of the model in %; bold: interval excludes 50)")
    return axes


def _by_model(frame: pl.DataFrame) -> dict[Any, tuple[float, float, float]]:
    """Estimate and interval bounds of each model; NaN where there is none."""
    require_columns(frame, "model", "estimate")
    found: dict[Any, tuple[float, float, float]] = {}
    for row in frame.iter_rows(named=True):
        if row["model"] in found:
            raise InputError(
                f"frame has several rows of the model {row['model']!r}: select one metric and group"
            )
        estimate, low, high = (_number(row.get(n)) for n in ("estimate", "ci_low", "ci_high"))
        found[row["model"]] = (estimate, low, high)
    return found


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _descending(value: float) -> float:
    return np.inf if np.isnan(value) else -value


def _draw_leaderboard(
    axes: "Axes",
    raw: list[tuple[float, float, float]],
    controlled: list[tuple[float, float, float]],
) -> None:
    lines = []
    rows = np.arange(len(raw))
    for cells, shift, color, marker in (
        (raw, -_OFFSET, _RAW, "o"),
        (controlled, _OFFSET, _CONTROLLED, "s"),
    ):
        estimate, low, high = np.array(cells, dtype=np.float64).reshape(-1, 3).T
        axes.hlines(rows + shift, low, high, color=color, linewidth=1.2)
        face = "white" if cells is raw else color
        lines += axes.plot(
            estimate, rows + shift, marker, color=color, markerfacecolor=face, zorder=3
        )
    for row, (before, after) in enumerate(zip(raw, controlled, strict=True)):
        if abs(after[0] - before[0]) >= _LEAST_ARROW:
            axes.annotate(
                "",
                xy=(after[0], row + _OFFSET),
                xytext=(before[0], row - _OFFSET),
                arrowprops={
                    "arrowstyle": "-|>",
                    "color": NEUTRAL,
                    "linewidth": 0.9,
                    "shrinkA": 3,
                    "shrinkB": 3,
                    "mutation_scale": 7,
                },
            )
    axes.axvline(EVEN, color=NEUTRAL, linewidth=0.6, linestyle=":", zorder=0)
    axes.set_ylim(len(raw) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("Win rate against the baseline in %")
    write_legend(axes, lines, ["raw", "controlled"])


def _strongest_first(frame: pl.DataFrame) -> list[Any]:
    """Models by their mean win rate over their opponents; who is only an opponent has the rest."""
    names = list(dict.fromkeys([*frame["model"].to_list(), *frame["opponent"].to_list()]))
    rates: dict[Any, list[float]] = {name: [] for name in names}
    for row in frame.iter_rows(named=True):
        value = _number(row["estimate"])
        if row["model"] != row["opponent"] and not np.isnan(value):
            rates[row["model"]].append(value)
            rates[row["opponent"]].append(100.0 - value)
    return sorted(names, key=lambda name: -float(np.mean(rates[name])) if rates[name] else np.inf)


def _matrices(frame: pl.DataFrame, names: list[Any]) -> tuple[Array, Array, Array]:
    estimate, low, high = (np.full((len(names), len(names)), np.nan) for _ in range(3))
    place = {name: number for number, name in enumerate(names)}
    for row in frame.iter_rows(named=True):
        cell = place[row["model"]], place[row["opponent"]]
        estimate[cell] = _number(row["estimate"])
        low[cell], high[cell] = _number(row.get("ci_low")), _number(row.get("ci_high"))
    return estimate, low, high


def _draw_cells(axes: "Axes", estimate: Array, low: Array, high: Array) -> None:
    n = len(estimate)
    tone = estimate - EVEN
    known = np.abs(tone[np.isfinite(tone)])
    span = max(_LEAST_SPAN, float(known.max(initial=0.0)))
    axes.set_facecolor("#E8E8E8")
    axes.pcolormesh(
        np.ma.masked_invalid(tone),
        cmap=DIVERGING_MAP,
        vmin=-span,
        vmax=span,
        edgecolors="white",
        linewidth=1.0,
    )
    axes.set(xlim=(0, n), ylim=(n, 0))
    points = _cell_points(axes, n)
    for row, column in np.argwhere(np.isfinite(estimate)):
        cell = int(row), int(column)
        dark = bool(abs(tone[cell]) > 0.6 * span)
        _write_cell(axes, cell, (estimate[cell], low[cell], high[cell]), points, dark)


def _cell_points(axes: "Axes", n: int) -> float:
    """Width of a cell in points, once the labels have taken their share."""
    width = _LAYOUT_LOSS * axes.get_window_extent().width / max(n, 1)
    return float(width * 72 / axes.figure.dpi)


def _write_cell(
    axes: "Axes",
    cell: tuple[int, int],
    values: tuple[float, float, float],
    points: float,
    dark: bool,
) -> None:
    (row, column), (estimate, low, high) = cell, values
    interval = format_interval(low, high, 1)
    small = min(6.0, points / (_CHARACTER_EM * len(interval)))
    has_room = interval != MISSING and small >= _LEAST_FONT
    style: dict[str, Any] = {"ha": "center", "color": "white" if dark else "black"}
    axes.text(
        column + 0.5,
        row + (0.5 if has_room else 0.53),
        format_number(estimate, 1),
        va="bottom" if has_room else "center",
        fontsize="medium",
        fontweight="bold" if low > EVEN or high < EVEN else "normal",
        **style,
    )
    if has_room:
        axes.text(column + 0.5, row + 0.58, interval, va="top", fontsize=small, **style)
