"""ROC and precision-recall curves with confidence bands."""

from typing import TYPE_CHECKING

import polars as pl

from evalstats.results.layout import format_number, format_term, is_constant, require_columns
from evalstats.results.style import (
    COLORS,
    LINE_STYLES,
    NEUTRAL,
    column_width,
    drawing_axes,
    wrapped,
    write_legend,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

_LABEL_WIDTH = 38
_FEW_CURVES = 4
_CURVE_COLUMNS = ("x", "y", "low", "high", "area_label")


def plot_roc_curves(curves: pl.DataFrame, *, ax: "Axes | None" = None) -> "Axes":
    """ROC curves, with the diagonal of a score by chance.

    Parameters
    ----------
    curves : polars.DataFrame
        ``x`` (false positive rate), ``y`` (true positive rate), columns such as ``model`` that
        tell the curves apart and, optionally, ``low`` and ``high`` (band) and ``area_label``
        (text of the legend).
    ax : matplotlib Axes, optional
        Where to draw; a new figure at paper column width by default.

    Returns
    -------
    matplotlib Axes
        The axes drawn on.
    """
    return _plot(curves, ax, ("False positive rate", "True positive rate"), (0.0, 1.0))


def plot_pr_curves(
    curves: pl.DataFrame, *, ax: "Axes | None" = None, chance: float | None = None
) -> "Axes":
    """Precision-recall curves, with the precision of a score by chance.

    Parameters
    ----------
    curves : polars.DataFrame
        ``x`` (recall), ``y`` (precision), columns such as ``model`` that tell the curves apart
        and, optionally, ``low`` and ``high`` (band) and ``area_label`` (text of the legend).
    ax : matplotlib Axes, optional
        Where to draw; a new figure at paper column width by default.
    chance : float, optional
        Prevalence of the positives, which is the precision of a score by chance.

    Returns
    -------
    matplotlib Axes
        The axes drawn on.
    """
    level = None if chance is None else (chance, chance)
    return _plot(curves, ax, ("Recall", "Precision"), level)


def _plot(
    curves: pl.DataFrame,
    ax: "Axes | None",
    names: tuple[str, str],
    chance: tuple[float, float] | None,
) -> "Axes":
    require_columns(curves, "x", "y")
    keys = [name for name in curves.columns if name not in _CURVE_COLUMNS]
    parts = curves.partition_by(keys, maintain_order=True) if keys else [curves]
    labels = [wrapped(_label(curves, part, keys), _LABEL_WIDTH) for part in parts]
    lines = sum(label.count("\n") + 1 for label in labels) + (chance is not None)
    with drawing_axes(ax, width=column_width, height=column_width + 0.16 * lines) as axes:
        # Many bands lie on top of each other: each must be paler for the curves to stand out.
        alpha = 0.16 if len(parts) <= _FEW_CURVES else 0.08
        drawn = [_draw(axes, part, number, alpha) for number, part in enumerate(parts)]
        if chance is not None:
            drawn += axes.plot([0, 1], chance, color=NEUTRAL, linestyle=(0, (1, 2)), linewidth=0.9)
            labels.append("chance")
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=names[0], ylabel=names[1])
        axes.set_box_aspect(1)
        write_legend(axes, drawn, labels)
    return axes


def _label(curves: pl.DataFrame, part: pl.DataFrame, keys: list[str]) -> str:
    names = [format_term(part[key][0]) for key in keys if not is_constant(curves[key])]
    if "area_label" not in part.columns or part["area_label"][0] is None:
        return ", ".join(names) or ", ".join(format_term(part[key][0]) for key in keys[:1])
    area = part["area_label"][0]
    text = format_number(area) if isinstance(area, float) else format_term(area)
    return ", ".join([*(name for name in names if name not in text), text])


def _draw(axes: "Axes", part: pl.DataFrame, number: int, alpha: float) -> "Line2D":
    color = COLORS[number % len(COLORS)]
    x = part["x"].to_numpy()
    if {"low", "high"} <= set(part.columns):
        low, high = part["low"].to_numpy(), part["high"].to_numpy()
        axes.fill_between(x, low, high, color=color, alpha=alpha, linewidth=0)
    style = LINE_STYLES[number % len(LINE_STYLES)]
    return axes.plot(x, part["y"].to_numpy(), color=color, linestyle=style)[0]
