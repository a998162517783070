"""Anomaly localisation at a glance: PIMO curves, scores of all images, one image with its mask."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from evalstats.errors import InputError
from evalstats.results.layout import format_term, require_columns
from evalstats.results.style import (
    COLORS,
    LINE_STYLES,
    NEUTRAL,
    OKABE_ITO,
    column_width,
    drawing_axes,
    literal,
    wrapped,
    write_legend,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABEL_WIDTH = 38
_NAME_WIDTH = 18
_FEW_CURVES = 4
_STRIP = 0.26


def plot_pimo_curves(
    curves: pl.DataFrame,
    bounds: Sequence[tuple[float, float]] = (),
    *,
    images: bool = False,
    ax: "Axes | None" = None,
) -> "Axes":
    """Overlap by shared false positive rate: median image and middle half of each model.

    Parameters
    ----------
    curves : polars.DataFrame
        ``model``, ``image``, ``fpr``, ``overlap``, and ``group`` if there is one, as
        ``AUPIMO.curves()`` gives.
    bounds : sequence of (float, float)
        Ranges of integration, shaded.
    images : bool, default False
        Draw the curve of every image, thinly, instead of the middle half.
    ax : matplotlib Axes, optional
        Where to draw; a new figure at paper column width by default.

    Returns
    -------
    matplotlib Axes
        The axes, with a logarithmic rate.

    Raises
    ------
    InputError
        If a column is missing.
    """
    require_columns(curves, "model", "image", "fpr", "overlap")
    keys = [name for name in ("model", "group") if name in curves.columns]
    parts = curves.partition_by(keys, maintain_order=True)
    terms = [", ".join(format_term(part[key][0]) for key in keys) for part in parts]
    labels = [wrapped(term, _LABEL_WIDTH) for term in terms]
    lines = sum(label.count("\n") + 1 for label in labels)
    with drawing_axes(ax, width=column_width, height=2.5 + 0.16 * lines) as axes:
        axes.set_xscale("log")
        for lower, upper in bounds:
            axes.axvspan(lower, upper, color=NEUTRAL, alpha=0.14, linewidth=0)
        alpha = 0.18 if len(parts) <= _FEW_CURVES else 0.08
        drawn = []
        for number, part in enumerate(parts):
            color = COLORS[number % len(COLORS)]
            style = LINE_STYLES[number % len(LINE_STYLES)]
            rate, overlap = _matrix(part)
            if images:
                axes.plot(rate, overlap.T, color=color, linewidth=0.4, alpha=0.35, linestyle="-")
            else:
                low, high = np.quantile(overlap, [0.25, 0.75], axis=0)
                axes.fill_between(rate, low, high, color=color, alpha=alpha, linewidth=0)
            middle = np.median(overlap, axis=0)
            drawn += axes.plot(rate, middle, color=color, linestyle=style)
        axes.set(
            ylim=(-0.02, 1.02),
            xlim=(float(curves["fpr"].min()), float(curves["fpr"].max())),  # type: ignore[arg-type]
            xlabel="Shared false positive rate (normal images)",
            ylabel="Overlap with the mask",
        )
        write_legend(axes, drawn, labels)
    return axes


def plot_image_scores(
    scores: pl.DataFrame, *, by: str = "model", ax: "Axes | None" = None
) -> "Axes":
    """Box and strip of the scores of all anomalous images.

    Parameters
    ----------
    scores : polars.DataFrame
        ``score`` and the column `by`; rows without a score (normal images) are left out.
    by : str, default "model"
        Column that tells the boxes apart, such as a defect type joined by the caller.
    ax : matplotlib Axes, optional
        Where to draw; a new figure at paper column width by default.

    Returns
    -------
    matplotlib Axes
        The axes, boxes in order of appearance from the top; a diamond marks the mean.

    Raises
    ------
    InputError
        If a column is missing or no image has a score.
    """
    require_columns(scores, "score", by)
    extra = [n for n in ("fpr_bounds", "group") if n in scores.columns and n != by]
    keys = [by, *(name for name in extra if scores[name].n_unique() > 1)]
    parts = scores.drop_nulls("score").partition_by(keys, maintain_order=True)
    if not parts:
        raise InputError("scores holds no score of an anomalous image")
    names = [wrapped(", ".join(format_term(p[k][0]) for k in keys), _NAME_WIDTH) for p in parts]
    lines = sum(max(2, name.count("\n") + 1) for name in names)
    with drawing_axes(ax, width=column_width, height=0.7 + 0.22 * lines) as axes:
        values = [part["score"].to_numpy() for part in parts]
        places = np.arange(len(parts))
        for place, own in zip(places, values, strict=True):
            color = COLORS[int(place) % len(COLORS)]
            # A fixed pattern of offsets: the same data give the same picture.
            offset = _STRIP * (2.0 * ((np.arange(len(own)) * 0.618034) % 1.0) - 1.0)
            axes.plot(own, place + offset, "o", color=color, markersize=2, alpha=0.45, mew=0)
        axes.boxplot(
            values,
            positions=places,
            orientation="horizontal",
            widths=0.62,
            showfliers=False,
            showmeans=True,
            manage_ticks=False,
            meanprops={"marker": "D", "markersize": 3.5, "mfc": "white", "mec": "black"},
            medianprops={"color": "black", "linewidth": 1.2},
            boxprops={"linewidth": 0.7},
            whiskerprops={"linewidth": 0.7},
            capprops={"linewidth": 0.7},
        )
        axes.set_yticks(places, names)
        axes.set(ylim=(len(parts) - 0.5, -0.5), xlim=(-0.02, 1.02), xlabel="AUPIMO of an image")
        axes.tick_params(axis="y", length=0)
    return axes


def plot_localisation(
    anomaly_map: ArrayLike,
    mask: ArrayLike,
    thresholds: Sequence[float] = (),
    *,
    labels: Sequence[str] = (),
    image: ArrayLike | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Anomaly map with the outline of the mask and of what thresholds would predict.

    Parameters
    ----------
    anomaly_map : array-like (H, W)
        Scores of one image.
    mask : array-like (H, W)
        Ground truth.
    thresholds : sequence of float
        Such as ``AUPIMO.thresholds_at()`` gives.
    labels : sequence of str
        Names of the thresholds in the legend; the numbers by default.
    image : array-like (H, W) or (H, W, 3), optional
        The picture itself, drawn under a paler map.
    ax : matplotlib Axes, optional
        Where to draw; a new figure at paper column width by default.

    Returns
    -------
    matplotlib Axes
        The axes drawn on.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    scores, truth = np.asarray(anomaly_map), np.asarray(mask).astype(bool)
    if scores.ndim != 2 or scores.shape != truth.shape:
        raise InputError(f"anomaly_map has shape {scores.shape}, mask {truth.shape}: pass (H, W)")
    if labels and len(labels) != len(thresholds):
        raise InputError(f"labels has {len(labels)} entries for {len(thresholds)} thresholds")
    names = ["mask", *(labels or [f"score ≥ {level:.4g}" for level in thresholds])]
    height = column_width * scores.shape[0] / scores.shape[1] + 0.2 + 0.16 * len(names)
    with drawing_axes(ax, width=column_width, height=height) as axes:
        if image is not None:
            axes.imshow(np.asarray(image), cmap="gray")
        axes.imshow(scores, cmap="gray_r", alpha=0.55 if image is not None else 1.0)
        lines = [_outline(axes, truth, OKABE_ITO["vermillion"], "-")]
        shades = [OKABE_ITO["blue"], OKABE_ITO["sky blue"], OKABE_ITO["bluish green"]]
        for number, level in enumerate(thresholds):
            style = LINE_STYLES[(number + 1) % len(LINE_STYLES)]
            lines.append(_outline(axes, scores >= level, shades[number % len(shades)], style))
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
        axes.legend(
            lines,
            [literal(name) for name in names],
            loc="upper left",
            bbox_to_anchor=(0.0, -0.01),
            borderaxespad=0.0,
            frameon=False,
        )
    return axes


def _matrix(part: pl.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rates, and one row of overlaps per image."""
    rate = np.unique(part["fpr"].to_numpy())
    ordered = part.sort("image", "fpr", maintain_order=True)
    return rate, ordered["overlap"].to_numpy().reshape(-1, len(rate))


def _outline(axes: "Axes", region: NDArray[np.bool_], color: str, style: str) -> Any:
    from matplotlib.lines import Line2D

    if bool(region.any()):
        # Padded, so that a region at the border has a closed outline.
        padded = np.pad(region, 1).astype(np.float64)
        rows, columns = np.arange(-1, region.shape[0] + 1), np.arange(-1, region.shape[1] + 1)
        axes.contour(
            columns, rows, padded, levels=[0.5], colors=[color], linestyles=style, linewidths=1.1
        )
    return Line2D([], [], color=color, linestyle=style)  # type: ignore[arg-type]
