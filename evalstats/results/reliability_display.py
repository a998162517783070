"""Reliability diagrams: curve, bands, diagonal, and the histogram of the forecasts below."""

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from evalstats.errors import InputError
from evalstats.results.layout import format_number, format_term, require_columns
from evalstats.results.style import (
    COLORS,
    LINE_STYLES,
    NEUTRAL,
    column_width,
    page_width,
    paper_style,
    require_pyplot,
    wrapped,
    write_legend,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANELS_PER_ROW = 3
_LABEL_WIDTH = 26
_SHORT = {
    "miscalibration": "MCB",
    "discrimination": "DSC",
    "reliability": "REL",
    "resolution": "RES",
    "uncertainty": "UNC",
}
_X_LABEL = "Forecast probability"
_Y_LABEL = "Observed frequency"


def plot_reliability(
    curves: pl.DataFrame,
    histogram: pl.DataFrame,
    terms: pl.DataFrame | None = None,
    *,
    ax: "Axes | None" = None,
    overlay: bool = False,
) -> Any:
    """Reliability diagrams of one or several models.

    Parameters
    ----------
    curves : polars.DataFrame
        ``model``, ``group`` (optional), ``x`` (forecast), ``y`` (frequency) and, optionally,
        ``low``, ``high`` (confidence band), ``consistency_low``, ``consistency_high``.
    histogram : polars.DataFrame
        ``model``, ``group`` (optional), ``low``, ``high`` and ``share`` of each bin of forecasts.
    terms : polars.DataFrame, optional
        ``model``, ``group`` (optional), ``component`` and ``estimate``: terms printed in the panel.
    ax : matplotlib Axes, optional
        Draw all curves over each other here, without consistency bands and histograms.
    overlay : bool, default False
        All models in one panel, with the outlines of their histograms below.

    Returns
    -------
    matplotlib Axes or array of them
        `ax`; else an array of shape (2, panels): curves in the first row, histograms in the second.
    """
    require_columns(curves, "model", "x", "y")
    keys: list[str] = [name for name in ("model", "group") if name in curves.columns]
    parts = curves.partition_by(keys, maintain_order=True)
    labels = [_label(part, keys) for part in parts]
    if ax is not None:
        _overlay(ax, parts, labels)
        ax.set(xlabel=_X_LABEL)
        return ax
    shares = histogram.partition_by(keys, maintain_order=True)
    if len(shares) != len(parts):
        raise InputError("curves and histogram hold different models: pass those of one diagram")
    with paper_style():
        if overlay:
            return _overlay_figure(parts, shares, labels)
        notes = [_note(part, terms, keys) for part in parts]
        return _panels(parts, shares, labels, notes)


def _panels(
    parts: list[pl.DataFrame], shares: list[pl.DataFrame], labels: list[str], notes: list[str]
) -> Any:
    """One panel for each model, each with its histogram."""
    pyplot = require_pyplot()
    n = len(parts)
    # Four panels read better in a square.
    n_columns = 2 if n == 4 else min(n, _PANELS_PER_ROW)
    n_rows = -(-n // n_columns)
    width = column_width if n_columns == 1 else page_width * (n_columns / _PANELS_PER_ROW)
    panel = width / n_columns
    figure = pyplot.figure(figsize=(width, n_rows * (panel * 1.22 + 0.35)))
    grid = figure.add_gridspec(2 * n_rows, n_columns, height_ratios=[4, 1] * n_rows)
    drawn = np.empty((2, n), dtype=object)
    top = max(float(share["share"].max()) for share in shares)  # type: ignore[arg-type]
    for number, (part, share) in enumerate(zip(parts, shares, strict=True)):
        row, column = divmod(number, n_columns)
        axes = figure.add_subplot(grid[2 * row, column])
        strip = figure.add_subplot(grid[2 * row + 1, column], sharex=axes)
        _diagonal(axes)
        if "consistency_low" in part.columns:
            _band(axes, part, "consistency_", NEUTRAL, 0.22)
        _draw(axes, part, 0, 0.25)
        _frame(axes)
        axes.tick_params(labelbottom=False)
        axes.set_title(wrapped(labels[number], _LABEL_WIDTH))
        # The upper left corner is empty unless a model is far too timid at low forecasts.
        axes.text(0.03, 0.97, notes[number], transform=axes.transAxes, va="top", fontsize=6.5)
        _bars(strip, share)
        strip.set(xlabel=_X_LABEL, ylim=(0, 1.05 * top))
        axes.set_ylabel(_Y_LABEL if column == 0 else "")
        strip.set_ylabel("Share" if column == 0 else "")
        drawn[0, number], drawn[1, number] = axes, strip
    return drawn


def _overlay_figure(
    parts: list[pl.DataFrame], shares: list[pl.DataFrame], labels: list[str]
) -> Any:
    """All models in one panel over the outlines of their histograms."""
    pyplot = require_pyplot()
    lines = len(labels) + sum(label.count("\n") for label in labels) + 1
    _, (axes, strip) = pyplot.subplots(
        2,
        1,
        sharex=True,
        height_ratios=[4, 1],
        figsize=(column_width, column_width * 1.25 + 0.16 * lines),
    )
    handles = _curves(axes, parts)
    _frame(axes)
    axes.set_ylabel(_Y_LABEL)
    for number, share in enumerate(shares):
        edges = np.append(share["low"].to_numpy(), share["high"][-1])
        strip.stairs(
            share["share"].to_numpy(),
            edges,
            color=COLORS[number % len(COLORS)],
            linestyle=LINE_STYLES[number % len(LINE_STYLES)],
        )
    strip.set(xlabel=_X_LABEL, ylabel="Share")
    strip.set_ylim(bottom=0)
    write_legend(strip, handles, [*(wrapped(label, 38) for label in labels), "perfect calibration"])
    return np.array([[axes], [strip]], dtype=object)


def _overlay(axes: "Axes", parts: list[pl.DataFrame], labels: list[str]) -> None:
    handles = _curves(axes, parts)
    _frame(axes)
    axes.set_ylabel(_Y_LABEL)
    write_legend(axes, handles, [*(wrapped(label, 38) for label in labels), "perfect calibration"])


def _curves(axes: "Axes", parts: list[pl.DataFrame]) -> list[Any]:
    diagonal = _diagonal(axes)
    alpha = 0.18 if len(parts) <= 3 else 0.08
    return [*(_draw(axes, part, number, alpha) for number, part in enumerate(parts)), diagonal]


def _diagonal(axes: "Axes") -> Any:
    return axes.plot([0, 1], [0, 1], color=NEUTRAL, linestyle=(0, (1, 2)), linewidth=0.9)[0]


def _draw(axes: "Axes", part: pl.DataFrame, number: int, alpha: float) -> Any:
    color = COLORS[number % len(COLORS)]
    if "low" in part.columns:
        _band(axes, part, "", color, alpha)
    # Few places are bins or distinct forecasts, which a reader wants to see one by one.
    marker = "o" if len(part) <= 25 else ""
    return axes.plot(
        part["x"],
        part["y"],
        color=color,
        linestyle=LINE_STYLES[number % len(LINE_STYLES)],
        marker=marker,
        markersize=2.5,
    )[0]


def _band(axes: "Axes", part: pl.DataFrame, prefix: str, color: str, alpha: float) -> None:
    low, high = part[f"{prefix}low"].to_numpy(), part[f"{prefix}high"].to_numpy()
    axes.fill_between(part["x"].to_numpy(), low, high, color=color, alpha=alpha, linewidth=0)


def _bars(axes: "Axes", share: pl.DataFrame) -> None:
    low, high = share["low"].to_numpy(), share["high"].to_numpy()
    axes.bar(
        low,
        share["share"].to_numpy(),
        width=high - low,
        align="edge",
        color=COLORS[0],
        alpha=0.55,
        edgecolor="white",
        linewidth=0.4,
    )


def _frame(axes: "Axes") -> None:
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])


def _label(part: pl.DataFrame, keys: list[str]) -> str:
    return ", ".join(format_term(part[key][0]) for key in keys)


def _note(part: pl.DataFrame, terms: pl.DataFrame | None, keys: list[str]) -> str:
    """Terms of the decomposition, one on each line."""
    if terms is None:
        return ""
    own = terms
    for key in keys:
        own = own.filter(pl.col(key) == part[key][0])
    return "\n".join(
        f"{_SHORT[component]} {format_number(estimate)}"
        for component, estimate in own.select("component", "estimate").iter_rows()
        if component in _SHORT
    )
