"""Plots of trajectory forecasts: horizon, distance against spread, calibration, single cells."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.errors import InputError
from evalstats.results.estimate import Estimate
from evalstats.results.layout import require_columns
from evalstats.results.style import (
    COLORS,
    LINE_STYLES,
    MARKERS,
    NEUTRAL,
    column_width,
    drawing_axes,
    literal,
    page_width,
    paper_style,
    require_pyplot,
    wrapped,
    write_legend,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABEL_WIDTH = 38
_DOTTED = (0, (1, 2))


def plot_horizon(
    horizon: pl.DataFrame, *, ax: "Axes | None" = None, expected: float | None = None
) -> "Axes":
    """One score of every model at each step of the forecast, with its intervals.

    Parameters
    ----------
    horizon : polars.DataFrame
        Tidy frame of ``horizon()`` with a single ``metric``: ``model``, ``step``, ``estimate``
        and, optionally, ``ci_low`` and ``ci_high``.
    ax : matplotlib Axes, optional
        Where to draw; a new figure at paper column width by default.
    expected : float, optional
        Value of a calibrated forecast, drawn as a dotted line (1.2533 for AMD in the plane).

    Returns
    -------
    matplotlib Axes
        The axes drawn on.
    """
    require_columns(horizon, "metric", "model", "step", "estimate")
    metrics = horizon["metric"].unique().to_list()
    if len(metrics) > 1:
        raise InputError(f"horizon holds the scores {sorted(metrics)}: filter one metric")
    parts = horizon.partition_by("model", maintain_order=True)
    labels = [wrapped(str(part["model"][0]), _LABEL_WIDTH) for part in parts]
    rows = len(parts) + (expected is not None)
    with drawing_axes(ax, width=column_width, height=2.4 + 0.16 * rows) as axes:
        drawn = []
        for number, part in enumerate(parts):
            color = COLORS[number % len(COLORS)]
            step = part["step"].to_numpy()
            if {"ci_low", "ci_high"} <= set(part.columns):
                low, high = part["ci_low"].to_numpy(), part["ci_high"].to_numpy()
                axes.fill_between(step, low, high, color=color, alpha=0.16, linewidth=0)
            style = LINE_STYLES[number % len(LINE_STYLES)]
            drawn += axes.plot(step, part["estimate"].to_numpy(), color=color, linestyle=style)
        if expected is not None:
            drawn.append(axes.axhline(expected, color=NEUTRAL, linestyle=_DOTTED, linewidth=0.9))
            labels.append("calibrated Gaussian forecast")
        axes.set(xlabel="Step of the forecast", ylabel=literal(str(metrics[0])))
        axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
        axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[call-arg]
        write_legend(axes, drawn, labels)
    return axes


def plot_distance_spread(
    estimate: Estimate, *, ax: "Axes | None" = None, expected: float | None = 1.2533141373155
) -> "Axes":
    """Models in the plane of AMV (spread) and AMD (distance), with confidence ellipses.

    Parameters
    ----------
    estimate : Estimate
        Result of ``TrajectoryScores`` with the scores "AMD" and "AMV" and no groups.
    ax : matplotlib Axes, optional
        Where to draw; a new figure at paper column width by default.
    expected : float or None, default 1.2533
        AMD of a calibrated Gaussian forecast in the plane, drawn as a dotted line.

    Returns
    -------
    matplotlib Axes
        The axes drawn on; both are logarithmic, the ellipses joint at the estimate's level.

    Raises
    ------
    InputError
        If AMD or AMV is missing for a model.
    """
    metric, model = estimate.terms["metric"].to_list(), estimate.terms["model"].to_list()
    places = {pair: row for row, pair in enumerate(zip(metric, model, strict=True))}
    names = list(dict.fromkeys(model))
    for name in names:
        if ("AMD", name) not in places or ("AMV", name) not in places:
            raise InputError(f"the estimate lacks AMD or AMV of {name!r}: fit both")
    radius = np.sqrt(-2.0 * np.log(1.0 - estimate.level))
    angle = np.linspace(0.0, 2.0 * np.pi, 200)
    circle = radius * np.stack([np.cos(angle), np.sin(angle)])
    rows = len(names) + (expected is not None)
    with drawing_axes(ax, width=column_width, height=2.6 + 0.16 * rows) as axes:
        drawn = []
        for number, name in enumerate(names):
            pair = [places["AMV", name], places["AMD", name]]
            centre = np.log(estimate.value[pair])
            scale = 1.0 / estimate.value[pair]
            covariance = estimate.covariance[np.ix_(pair, pair)] * np.outer(scale, scale)
            color = COLORS[number % len(COLORS)]
            if np.isfinite(covariance).all():
                roots, vectors = np.linalg.eigh(covariance)
                edge = centre[:, None] + vectors @ (np.sqrt(roots.clip(0))[:, None] * circle)
                axes.fill(*np.exp(edge), color=color, alpha=0.16, linewidth=0)
            marker = MARKERS[number % len(MARKERS)]
            drawn += axes.plot(*np.exp(centre), marker, color=color)
        labels = [wrapped(name, _LABEL_WIDTH) for name in names]
        axes.set(xscale="log", yscale="log", xlabel="AMV (squared length)", ylabel="AMD")
        if expected is not None:
            drawn.append(axes.axhline(expected, color=NEUTRAL, linestyle=_DOTTED, linewidth=0.9))
            labels.append("calibrated Gaussian forecast")
        _plain_ticks(axes)
        write_legend(axes, drawn, labels)
    return axes


def _plain_ticks(axes: "Axes") -> None:
    """A few plain numbers on logarithmic axes, also where they span less than a decade."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


def plot_distance_calibration(
    cells: pl.DataFrame, *, dimension: int = 2, ax: "Axes | None" = None
) -> "Axes":
    """How often the truth lies within each central region that the forecasts predict.

    Parameters
    ----------
    cells : polars.DataFrame
        Result of ``cells()``: ``model`` and ``distance``; cells with several components are
        taken by the same rule, which is exact for one component.
    dimension : int, default 2
        Number of coordinates: squared distances follow chi-square with as many degrees of freedom
        if the forecasts are calibrated Gaussians.
    ax : matplotlib Axes, optional
        Where to draw; a new figure at paper column width by default.

    Returns
    -------
    matplotlib Axes
        The axes drawn on. A curve above the diagonal means spreads that are too wide.
    """
    from scipy.stats import chi2

    require_columns(cells, "model", "distance")
    parts = cells.partition_by("model", maintain_order=True)
    labels = [wrapped(str(part["model"][0]), _LABEL_WIDTH) for part in parts]
    height = column_width + 0.16 * (len(parts) + 1)
    with drawing_axes(ax, width=column_width, height=height) as axes:
        drawn = []
        for number, part in enumerate(parts):
            level = np.sort(chi2.cdf(part["distance"].to_numpy() ** 2, dimension))
            share = np.arange(1, len(level) + 1) / len(level)
            drawn += axes.step(
                np.concatenate([[0.0], level, [1.0]]),
                np.concatenate([[0.0], share, [1.0]]),
                where="post",
                color=COLORS[number % len(COLORS)],
                linestyle=LINE_STYLES[number % len(LINE_STYLES)],
            )
        drawn += axes.plot([0, 1], [0, 1], color=NEUTRAL, linestyle=_DOTTED, linewidth=0.9)
        labels.append("calibrated Gaussian forecast")
        axes.set(
            xlim=(-0.01, 1.01),
            ylim=(-0.01, 1.01),
            xlabel="Predicted probability of the region",
            ylabel="Share of truths within it",
        )
        axes.set_box_aspect(1)
        write_legend(axes, drawn, labels)
    return axes


def plot_cells(
    mixtures: Sequence[Mapping[str, Any]], titles: Sequence[str] = ()
) -> NDArray[np.object_]:
    """Samples, truth and fitted mixture of single cells in the plane, such as the worst ones.

    Parameters
    ----------
    mixtures : sequence of dict
        Results of ``mixture()``.
    titles : sequence of str, optional
        Heading of each cell.

    Returns
    -------
    array of matplotlib Axes
        One for each cell; ellipses are the components at 1 and 2 standard deviations.

    Raises
    ------
    InputError
        If there is no cell, or it does not lie in the plane.
    """
    if len(mixtures) == 0:
        raise InputError("mixtures is empty: give at least one cell")
    if any(len(cell["truth"]) != 2 for cell in mixtures):
        raise InputError("cells are drawn in the plane only: give cells of two coordinates")
    columns = min(3, len(mixtures))
    lines = -(-len(mixtures) // columns)
    with paper_style():
        _, grid = require_pyplot().subplots(
            lines,
            columns,
            figsize=(page_width * columns / 3, 2.4 * lines + 0.3),
            squeeze=False,
        )
        for spare in grid.ravel()[len(mixtures) :]:
            spare.set_axis_off()
        axes_of = grid.ravel()[: len(mixtures)]
        for number, (axes, cell) in enumerate(zip(axes_of, mixtures, strict=True)):
            _draw_cell(axes, cell)
            if number < len(titles):
                axes.set_title(wrapped(titles[number], 30))
        axes_of[0].legend(loc="best")
    return np.asarray(axes_of)


def _draw_cell(axes: "Axes", cell: Mapping[str, Any]) -> None:
    angle = np.linspace(0.0, 2.0 * np.pi, 100)
    circle = np.stack([np.cos(angle), np.sin(angle)])
    samples = cell["samples"]
    axes.plot(samples[:, 0], samples[:, 1], ".", color=NEUTRAL, markersize=1.5, alpha=0.5)
    for k, (mean, covariance) in enumerate(zip(cell["means"], cell["covariances"], strict=True)):
        root = np.linalg.cholesky(covariance)
        color = COLORS[k % len(COLORS)]
        for size in (1.0, 2.0):
            edge = mean[:, None] + size * root @ circle
            axes.plot(*edge, color=color, linewidth=0.9, linestyle="-")
    axes.plot(*cell["truth"], "x", color=COLORS[1], markersize=6, label="truth")
    axes.set_aspect("equal", adjustable="datalim")
