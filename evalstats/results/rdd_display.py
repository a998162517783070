"""Plots of discontinuity designs: effect and limit curves, binned quantiles, sensitivity."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from evalstats.errors import InputError
from evalstats.results.layout import require_columns
from evalstats.results.style import (
    COLORS,
    LINE_STYLES,
    NEUTRAL,
    column_width,
    drawing_axes,
    literal,
    wrapped,
    write_legend,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEGEND_WIDTH = 40


def plot_effect_curve(
    frame: pl.DataFrame, *, ax: "Axes | None" = None, title: str | None = None
) -> "Axes":
    """Effect at each quantile with pointwise intervals (dark) and the uniform band (light).

    Parameters
    ----------
    frame : polars.DataFrame
        As made by :meth:`evalstats.DistributionRDD.uniform_band`.
    ax : matplotlib Axes, optional
        Where to draw; a new figure at paper column width by default.
    title : str, optional
        Title of the axes.

    Returns
    -------
    matplotlib Axes
        The axes drawn on.
    """
    require_columns(frame, "quantile", "estimate", "ci_low", "ci_high")
    with drawing_axes(ax, width=column_width, height=2.6) as axes:
        axes.axhline(0.0, color=NEUTRAL, linewidth=0.8, zorder=0)
        lines, labels = [], []
        for number, (label, curve) in enumerate(_series(frame)):
            color = COLORS[number % len(COLORS)]
            x = curve["quantile"].to_numpy()
            if "band_low" in curve.columns:
                _shade(axes, x, curve["band_low"], curve["band_high"], color, 0.13)
            _shade(axes, x, curve["ci_low"], curve["ci_high"], color, 0.28)
            style = LINE_STYLES[number % len(LINE_STYLES)]
            lines += axes.plot(x, curve["estimate"].to_numpy(), color=color, linestyle=style)
            labels.append(wrapped(label, _LEGEND_WIDTH))
        axes.set_xlabel("Quantile")
        axes.set_ylabel("Effect at the cutoff")
        axes.set_xlim(*_unit_limits(frame))
        _finish(axes, lines, labels, title)
    return axes


def plot_limit_curves(
    frame: pl.DataFrame, *, ax: "Axes | None" = None, title: str | None = None
) -> "Axes":
    """Expected quantile function just below and just above the cutoff, with intervals.

    Parameters
    ----------
    frame : polars.DataFrame
        One outcome of :meth:`evalstats.DistributionRDD.limits`, as a frame.
    ax : matplotlib Axes, optional
        Where to draw; a new figure at paper column width by default.
    title : str, optional
        Title of the axes.

    Returns
    -------
    matplotlib Axes
        The axes drawn on.
    """
    require_columns(frame, "side", "quantile", "estimate", "ci_low", "ci_high")
    frame = _one_series(frame)
    with drawing_axes(ax, width=column_width, height=2.6) as axes:
        lines = []
        for number, side in enumerate(("below", "above")):
            curve = frame.filter(pl.col("side") == side).sort("quantile")
            x = curve["quantile"].to_numpy()
            _shade(axes, x, curve["ci_low"], curve["ci_high"], COLORS[number], 0.2)
            lines += axes.plot(
                x, curve["estimate"].to_numpy(), color=COLORS[number], linestyle=LINE_STYLES[number]
            )
        axes.set_xlabel("Quantile")
        axes.set_ylabel("Outcome at the cutoff")
        axes.set_xlim(*_unit_limits(frame))
        _finish(axes, lines, ["just below the cutoff", "just above the cutoff"], title)
    return axes


def plot_discontinuity(
    binned: pl.DataFrame,
    fitted: pl.DataFrame,
    *,
    cutoff: float = 0.0,
    ax: "Axes | None" = None,
    title: str | None = None,
) -> "Axes":
    """Binned means of selected quantiles on both sides, with the fitted polynomials.

    Parameters
    ----------
    binned : polars.DataFrame
        As made by :meth:`evalstats.DistributionRDD.binned_quantiles`.
    fitted : polars.DataFrame
        As made by :meth:`evalstats.DistributionRDD.fitted_curves`, at the same quantiles.
    cutoff : float, default 0.0
        Where to draw the cutoff.
    ax : matplotlib Axes, optional
        Where to draw; a new figure at paper column width by default.
    title : str, optional
        Title of the axes.

    Returns
    -------
    matplotlib Axes
        The axes drawn on.
    """
    require_columns(binned, "quantile", "running", "mean")
    require_columns(fitted, "side", "quantile", "running", "estimate", "ci_low", "ci_high")
    levels = fitted["quantile"].unique().sort(descending=True).to_list()
    with drawing_axes(ax, width=column_width, height=2.8) as axes:
        axes.axvline(cutoff, color=NEUTRAL, linestyle="--", linewidth=0.8, zorder=0)
        lines, labels = [], []
        for number, level in enumerate(levels):
            color = COLORS[number % len(COLORS)]
            points = binned.filter((pl.col("quantile") - level).abs() < 1e-9)
            axes.plot(
                points["running"].to_numpy(),
                points["mean"].to_numpy(),
                marker="o",
                markersize=2.2,
                color=color,
                alpha=0.65,
                linestyle="none",
            )
            for side in ("below", "above"):
                curve = fitted.filter((pl.col("quantile") == level) & (pl.col("side") == side))
                x = curve["running"].to_numpy()
                _shade(axes, x, curve["ci_low"], curve["ci_high"], color, 0.2)
                line = axes.plot(x, curve["estimate"].to_numpy(), color=color, linestyle="-")
            lines += line
            labels.append(f"quantile {level:g}")
        axes.set_xlabel("Running variable")
        axes.set_ylabel("Outcome")
        _finish(axes, lines, labels, title)
    return axes


def plot_quantile_heatmap(
    binned: pl.DataFrame,
    *,
    cutoff: float = 0.0,
    ax: "Axes | None" = None,
    title: str | None = None,
) -> "Axes":
    """Mean quantiles over the running variable, as colours.

    Parameters
    ----------
    binned : polars.DataFrame
        As made by :meth:`evalstats.DistributionRDD.binned_quantiles`.
    cutoff : float, default 0.0
        Where to draw the cutoff.
    ax : matplotlib Axes, optional
        Where to draw; a new figure at paper column width by default.
    title : str, optional
        Title of the axes.

    Returns
    -------
    matplotlib Axes
        The axes drawn on.
    """
    require_columns(binned, "quantile", "running", "bin_low", "bin_high", "mean")
    edges = binned.select("bin_low", "bin_high").unique().sort("bin_low")
    levels = binned["quantile"].unique().sort().to_numpy()
    with drawing_axes(ax, width=column_width, height=2.6) as axes:
        drawn = None
        means = binned["mean"].to_numpy()
        lowest, highest = float(means.min()), float(means.max())
        heights = _level_edges(levels)
        bounds = _bin_bounds(edges["bin_low"].to_list(), edges["bin_high"].to_list(), cutoff)
        for number, low in enumerate(edges["bin_low"]):
            column = binned.filter(pl.col("bin_low") == low).sort("quantile")["mean"].to_numpy()
            drawn = axes.pcolormesh(
                bounds[number : number + 2],
                heights,
                column[:, np.newaxis],
                cmap="viridis",
                vmin=lowest,
                vmax=highest,
            )
        axes.axvline(cutoff, color="white", linestyle="--", linewidth=1.0)
        axes.set_xlabel("Running variable")
        axes.set_ylabel("Quantile")
        if drawn is not None:
            axes.figure.colorbar(drawn, ax=axes, label="Mean outcome")
        if title is not None:
            axes.set_title(literal(title))
    return axes


def plot_bandwidth_path(
    frame: pl.DataFrame,
    *,
    quantiles: Sequence[float] | None = None,
    ax: "Axes | None" = None,
    title: str | None = None,
) -> "Axes":
    """Effect at selected quantiles against the bandwidth, with pointwise intervals.

    Parameters
    ----------
    frame : polars.DataFrame
        As made by :meth:`evalstats.DistributionRDD.bandwidth_path`, one outcome.
    quantiles : sequence of float, optional
        Quantiles to draw; the lowest, middle and highest by default.
    ax : matplotlib Axes, optional
        Where to draw; a new figure at paper column width by default.
    title : str, optional
        Title of the axes.

    Returns
    -------
    matplotlib Axes
        The axes drawn on.
    """
    require_columns(frame, "bandwidth", "quantile", "estimate", "ci_low", "ci_high")
    frame = _one_series(frame)
    known = frame["quantile"].unique().sort().to_list()
    chosen = [known[0], known[len(known) // 2], known[-1]] if quantiles is None else quantiles
    with drawing_axes(ax, width=column_width, height=2.6) as axes:
        axes.axhline(0.0, color=NEUTRAL, linewidth=0.8, zorder=0)
        lines, labels = [], []
        for number, level in enumerate(dict.fromkeys(chosen)):
            curve = frame.filter((pl.col("quantile") - level).abs() < 1e-9).sort("bandwidth")
            if curve.height == 0:
                raise InputError(f"quantiles has {level:g}, which the frame has not: {known}")
            color, style = COLORS[number], LINE_STYLES[number % len(LINE_STYLES)]
            x = curve["bandwidth"].to_numpy()
            _shade(axes, x, curve["ci_low"], curve["ci_high"], color, 0.15)
            lines += axes.plot(x, curve["estimate"].to_numpy(), color=color, linestyle=style)
            labels.append(f"quantile {level:g}")
        marked = frame.filter(pl.col("selected")) if "selected" in frame.columns else frame.head(0)
        for h in marked["bandwidth"].unique().to_list():
            axes.axvline(h, color=NEUTRAL, linestyle="--", linewidth=0.8, zorder=0)
        axes.set_xlabel("Bandwidth")
        axes.set_ylabel("Effect at the cutoff")
        _finish(axes, lines, labels, title)
    return axes


def _shade(axes: "Axes", x: Any, low: pl.Series, high: pl.Series, color: str, alpha: float) -> None:
    axes.fill_between(x, low.to_numpy(), high.to_numpy(), color=color, alpha=alpha, linewidth=0)


def _unit_limits(frame: pl.DataFrame) -> tuple[float, float]:
    levels = frame["quantile"].drop_nulls().to_numpy()
    pad = 0.02 * max(float(levels.max() - levels.min()), 0.05)
    return float(levels.min()) - pad, float(levels.max()) + pad


def _series(frame: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Curves of a frame with their labels, by outcome and group."""
    keys = [name for name in ("model", "group") if name in frame.columns]
    if not keys:
        yield "", frame.sort("quantile")
        return
    for key, curve in frame.group_by(keys, maintain_order=True):
        yield ", ".join(str(part) for part in key), curve.sort("quantile")


def _one_series(frame: pl.DataFrame) -> pl.DataFrame:
    for name in ("model", "group"):
        if name in frame.columns and frame[name].n_unique() > 1:
            raise InputError(f"the frame has several values of {name!r}: filter one to draw it")
    return frame


def _bin_bounds(lows: list[float], highs: list[float], cutoff: float) -> list[float]:
    """Boundaries that leave no gaps: half way between bins, and the cutoff itself."""
    inner = [
        cutoff if high < cutoff <= low else (high + low) / 2.0
        for high, low in zip(highs[:-1], lows[1:], strict=True)
    ]
    return [lows[0], *inner, highs[-1]]


def _level_edges(levels: Any) -> Any:
    """Boundaries half way between the quantiles, which need not be equally spaced."""
    if len(levels) == 1:
        return np.array([0.0, 1.0])
    inner = (levels[1:] + levels[:-1]) / 2.0
    return np.concatenate([[2 * levels[0] - inner[0]], inner, [2 * levels[-1] - inner[-1]]])


def _finish(axes: "Axes", lines: list[Any], labels: list[str], title: str | None) -> None:
    if len(lines) > 1:
        write_legend(axes, lines, labels)
    if title is not None:
        axes.set_title(literal(title))
