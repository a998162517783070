"""Where a prediction depends on protected attributes, and what fairness costs."""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from evalstats.errors import InputError
from evalstats.results.layout import format_term, require_columns
from evalstats.results.style import (
    COLORS,
    LINE_STYLES,
    MARKERS,
    NEUTRAL,
    column_width,
    drawing_axes,
    literal,
    page_width,
    wrapped,
    write_legend,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_GROUPS = 7
_LABEL_WIDTH = 28


def plot_distributions(frame: pl.DataFrame, *, ax: "Axes | None" = None) -> "Axes":
    """Distribution functions of the groups over the integrand of the distance covariance.

    Parameters
    ----------
    frame : polars.DataFrame
        ``curve`` ("distribution" or "integrand"), ``group``, ``n``, ``value`` and ``share``.
    ax : matplotlib Axes, optional
        Where to draw; a new figure at paper column width by default.

    Returns
    -------
    matplotlib Axes
        The axes; the seven largest groups have a colour, the others are grey. The shaded area on
        its own scale is the biased distance covariance.
    """
    require_columns(frame, "curve", "group", "value", "share")
    curves = frame.filter(pl.col("curve") == "distribution").partition_by(
        "group", maintain_order=True
    )
    if not curves:
        raise InputError("frame holds no distribution")
    with drawing_axes(ax, width=column_width, height=2.9 + 0.13 * min(len(curves), 8)) as axes:
        lines, labels = [], []
        for number, curve in enumerate(curves):
            named = number < MOST_GROUPS
            lines_of = axes.step(
                curve["value"],
                curve["share"],
                where="post",
                color=COLORS[number] if named else "#BBBBBB",
                linestyle=LINE_STYLES[number // 4] if named else "-",
                linewidth=1.1 if named else 0.6,
                zorder=3 if named else 2,
            )
            if named:
                lines += lines_of
                size = f" (n = {curve['n'][0]:,})" if "n" in curve.columns else ""
                labels.append(literal(f"{curve['group'][0]}{size}"))
        if len(curves) > MOST_GROUPS:
            lines += axes.plot([], [], color="#BBBBBB", linewidth=0.6)
            labels.append(f"{len(curves) - MOST_GROUPS} smaller groups")
        _shade(axes, frame.filter(pl.col("curve") == "integrand"))
        axes.set(ylim=(0.0, 1.0), xlabel="Prediction", ylabel="Share of the group at or below")
        write_legend(axes, lines, labels)
    return axes


def _shade(axes: "Axes", integrand: pl.DataFrame) -> None:
    if integrand.height == 0 or not integrand["share"].max():
        return
    other = axes.twinx()
    top = float(integrand["share"].max())  # type: ignore[arg-type]
    other.fill_between(
        integrand["value"], integrand["share"], step="post", color=NEUTRAL, alpha=0.25, linewidth=0
    )
    other.set_ylim(0.0, 2.2 * top)
    other.set_yticks([])
    other.spines[:].set_visible(False)
    axes.set_zorder(other.get_zorder() + 1)
    axes.patch.set_visible(False)


def plot_interactions(frame: pl.DataFrame, *, ax: "Axes | None" = None) -> "Axes":
    """Distance covariance of the prediction with every subset of attributes.

    Parameters
    ----------
    frame : polars.DataFrame
        ``model``, ``attributes``, ``order`` and ``estimate``, such as
        ``DistanceCovariance.interactions`` gives.
    ax : matplotlib Axes, optional
        Where to draw; a new figure at paper column width by default.

    Returns
    -------
    matplotlib Axes
        The axes, single attributes on top, then pairs, and so on.
    """
    require_columns(frame, "model", "attributes", "order", "estimate")
    subsets = frame.unique("attributes", maintain_order=True).sort("order", maintain_order=True)
    names = subsets["attributes"].to_list()
    models = frame["model"].unique(maintain_order=True).to_list()
    place = {name: row for row, name in enumerate(names)}
    height = 1.0 + 0.24 * len(names) * max(1.0, 0.5 * len(models))
    with drawing_axes(ax, width=column_width, height=height) as axes:
        bar = 0.8 / len(models)
        handles = []
        for number, model in enumerate(models):
            part = frame.filter(pl.col("model") == model)
            rows = np.array([place[name] for name in part["attributes"]])
            drawn = axes.barh(
                rows + (number - (len(models) - 1) / 2) * bar,
                part["estimate"].to_numpy(),
                height=0.9 * bar,
                color=COLORS[number % len(COLORS)],
            )
            handles.append(drawn)
        axes.axvline(0.0, color=NEUTRAL, linewidth=0.6)
        axes.set_yticks(np.arange(len(names)), [wrapped(name, _LABEL_WIDTH) for name in names])
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("dCov² of the prediction with the attributes")
        if len(models) > 1:
            write_legend(axes, handles, [literal(format_term(model)) for model in models])
    return axes


def plot_groups(frame: pl.DataFrame, *, ax: "Axes | None" = None) -> "Axes":
    """Mean prediction of every group, with its interval.

    Parameters
    ----------
    frame : polars.DataFrame
        ``attribute``, ``level``, ``n``, ``estimate``, ``ci_low``, ``ci_high`` of one model, such as
        ``DistanceCovariance.groups`` gives.
    ax : matplotlib Axes, optional
        Where to draw; a new figure at paper column width by default.

    Returns
    -------
    matplotlib Axes
        The axes, with the overall mean as a dotted line.
    """
    require_columns(frame, "attribute", "level", "n", "estimate", "ci_low", "ci_high")
    attributes = frame["attribute"].unique(maintain_order=True).to_list()
    n_lines = frame.height + len(attributes)
    with drawing_axes(ax, width=column_width, height=0.8 + 0.17 * n_lines) as axes:
        ticks: list[int] = []
        labels: list[str] = []
        line = 0
        for number, attribute in enumerate(attributes):
            part = frame.filter(pl.col("attribute") == attribute)
            axes.text(
                0.02,
                line,
                wrapped(attribute, 44),
                transform=axes.get_yaxis_transform(),
                fontweight="bold",
                fontsize="small",
                va="center",
            )
            rows = line + 1 + np.arange(part.height)
            color = COLORS[number % len(COLORS)]
            axes.hlines(rows, part["ci_low"], part["ci_high"], color=color)
            axes.plot(
                part["estimate"], rows, MARKERS[number % len(MARKERS)], color=color, markersize=3
            )
            ticks += rows.tolist()
            labels += [
                wrapped(f"{level} ({n:,})", _LABEL_WIDTH)
                for level, n in zip(part["level"], part["n"], strict=True)
            ]
            line += 1 + part.height
        last = frame.filter(pl.col("attribute") == attributes[-1])
        mean = float(np.average(last["estimate"].to_numpy(), weights=last["n"].to_numpy()))
        axes.axvline(mean, color=NEUTRAL, linewidth=0.6, linestyle=":", zorder=0)
        axes.set_yticks(ticks, labels)
        axes.set_ylim(line - 0.5, -0.7)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel("Mean prediction")
    return axes


def plot_fairness_path(
    frame: pl.DataFrame,
    *,
    fairness: str = "ccdcov",
    loss: str = "deviance",
    chosen: "dict[str, float] | None" = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Loss against unfairness along the strengths of a penalty: the Pareto front.

    Parameters
    ----------
    frame : polars.DataFrame
        One row per strength with ``strength``, the columns named by `fairness` and `loss`, and
        optionally ``pareto``, such as ``fairness_path(...).frame``.
    fairness, loss : str
        Columns of the horizontal and the vertical axis.
    chosen : dict of str to float, optional
        Strengths to mark, by the name of the rule that chose them.
    ax : matplotlib Axes, optional
        Where to draw; a new figure at paper column width by default.

    Returns
    -------
    matplotlib Axes
        The axes; hollow points are beaten in both respects by another strength.
    """
    require_columns(frame, "strength", fairness, loss)
    kept = frame["pareto"].to_numpy() if "pareto" in frame.columns else np.ones(frame.height, bool)
    x, y = frame[fairness].to_numpy(), frame[loss].to_numpy()
    with drawing_axes(ax, width=min(page_width, 1.15 * column_width), height=2.8) as axes:
        axes.plot(x, y, "-", color=NEUTRAL, linewidth=0.7, zorder=1)
        axes.plot(x[kept], y[kept], "o", color=COLORS[0], zorder=2)
        axes.plot(x[~kept], y[~kept], "o", color=COLORS[0], markerfacecolor="white", zorder=2)
        lines, labels = [], []
        for number, (rule, strength) in enumerate((chosen or {}).items()):
            row = int(np.argmin(np.abs(frame["strength"].to_numpy() - strength)))
            lines += axes.plot(
                x[row],
                y[row],
                MARKERS[(number + 1) % len(MARKERS)],
                color=COLORS[number + 1],
                markersize=8 - number,
                markerfacecolor="none",
                markeredgewidth=1.3,
                linestyle="none",
                zorder=3,
            )
            labels.append(literal(f"{rule}: strength {strength:.3g}"))
        for row in {0, frame.height - 1}:
            axes.annotate(
                f"{frame['strength'][row]:.3g}",
                (x[row], y[row]),
                xytext=(4, 4),
                textcoords="offset points",
                fontsize="x-small",
            )
        axes.set_xlabel(_AXIS.get(fairness, fairness))
        axes.set_ylabel(_AXIS.get(loss, loss))
        if lines:
            write_legend(axes, lines, labels)
    return axes


_AXIS = {
    "ccdcov": "CCdCov² of the fitted values",
    "jdcov": "JdCov² of the fitted values",
    "jsd": "Jensen-Shannon divergence (bits)",
    "deviance": "Mean deviance",
    "nll": "Mean negative log-likelihood",
    "rps": "Ranked probability score",
}
