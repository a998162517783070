"""Detectors: differences by category against its size, and average precision by budget."""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from evalstats.results.layout import format_term, require_columns
from evalstats.results.style import (
    COLORS,
    LINE_STYLES,
    MARKERS,
    NEUTRAL,
    column_width,
    drawing_axes,
    write_legend,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ADJUSTED_LEVEL = 0.05


def plot_category_differences(table: pl.DataFrame, *, ax: "Axes | None" = None) -> "Axes":
    """Paired difference of each category against its number of objects.

    Parameters
    ----------
    table : polars.DataFrame
        ``n_objects``, ``difference`` and, optionally, ``model`` (the second one),
        ``difference_low``, ``difference_high`` and ``p_adjusted``: filled points differ from zero
        at 5% after adjustment for the number of categories.
    ax : matplotlib Axes, optional
        Where to draw; a new figure at paper column width by default.

    Returns
    -------
    matplotlib Axes
        The axes drawn on.
    """
    require_columns(table, "n_objects", "difference")
    x, y = table["n_objects"].to_numpy(), table["difference"].to_numpy()
    clear = np.zeros(len(table), dtype=bool)
    if "p_adjusted" in table.columns:
        clear = np.nan_to_num(table["p_adjusted"].to_numpy(), nan=1.0) < _ADJUSTED_LEVEL
    with drawing_axes(ax, width=column_width, height=0.75 * column_width) as axes:
        axes.axhline(0.0, color=NEUTRAL, linewidth=0.6)
        if {"difference_low", "difference_high"} <= set(table.columns):
            low, high = (table[f"difference_{end}"].to_numpy() for end in ("low", "high"))
            axes.vlines(x, low, high, color=COLORS[0], linewidth=0.6, alpha=0.35)
        drawn, labels = [], []
        for chosen, face, label in (
            (clear, COLORS[0], "difference, adjusted p < 0.05"),
            (~clear, "white", "no clear difference"),
        ):
            if bool(chosen.any()):
                drawn += axes.plot(
                    x[chosen],
                    y[chosen],
                    linestyle="none",
                    marker="o",
                    markersize=3.5,
                    markerfacecolor=face,
                    markeredgecolor=COLORS[0],
                    markeredgewidth=0.7,
                )
                labels.append(label)
        _log_axis(axes)
        second = f" of {format_term(table['model'][0])}" if "model" in table.columns else ""
        axes.set(xlabel="Objects of the category", ylabel=f"Difference in AP{second}")
        if len(drawn) > 1:
            write_legend(axes, drawn, labels)
    return axes


def plot_budgets(table: pl.DataFrame, *, ax: "Axes | None" = None) -> "Axes":
    """Average precision against the budget of detections per category.

    Parameters
    ----------
    table : polars.DataFrame
        ``model``, ``budget``, ``estimate`` and, optionally, ``ci_low`` and ``ci_high``.
    ax : matplotlib Axes, optional
        Where to draw; a new figure at paper column width by default.

    Returns
    -------
    matplotlib Axes
        The axes drawn on.
    """
    require_columns(table, "model", "budget", "estimate")
    parts = table.partition_by("model", maintain_order=True)
    with drawing_axes(ax, width=column_width, height=0.75 * column_width) as axes:
        drawn = []
        for number, part in enumerate(parts):
            color = COLORS[number % len(COLORS)]
            x = part["budget"].to_numpy()
            if {"ci_low", "ci_high"} <= set(part.columns):
                low, high = part["ci_low"].to_numpy(), part["ci_high"].to_numpy()
                axes.fill_between(x, low, high, color=color, alpha=0.14, linewidth=0)
            drawn += axes.plot(
                x,
                part["estimate"].to_numpy(),
                color=color,
                linestyle=LINE_STYLES[number % len(LINE_STYLES)],
                marker=MARKERS[number % len(MARKERS)],
                markersize=3,
            )
        _log_axis(axes)
        axes.set(xlabel="Detections per category", ylabel="AP-Fixed")
        if len(parts) > 1:
            write_legend(axes, drawn, [format_term(part["model"][0]) for part in parts])
    return axes


def _log_axis(axes: "Axes") -> None:
    """Counts on a log scale, with labels at 1, 2 and 5 of each decade where these are few."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set_xscale("log")
    low, high = axes.get_xlim()
    subs = (1.0, 2.0, 5.0) if high < 100 * low else (1.0,)
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.xaxis.set_minor_formatter(NullFormatter())
