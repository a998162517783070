"""Forest plots: one row per estimate or difference, with its interval."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from evalstats.errors import InputError
from evalstats.results.layout import (
    format_p,
    format_term,
    heading,
    is_constant,
    require_columns,
    term_columns,
)
from evalstats.results.style import (
    COLORS,
    MARKERS,
    NEUTRAL,
    column_width,
    drawing_axes,
    literal,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LABEL_WIDTH = 24
_HEADING_WIDTH = 44
_LINE_HEIGHT = 0.12
_ROW_GAP = 0.6


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the plot; `position` counts lines of text from the top."""

    values: dict[str, Any]
    label: str
    position: float
    series: int


@dataclass(frozen=True, slots=True)
class Forest:
    """Where each row and each block heading goes."""

    rows: tuple[Row, ...]
    headings: tuple[tuple[float, str], ...]
    n_lines: float


def plot_estimates(
    frame: pl.DataFrame,
    *,
    ax: "Axes | None" = None,
    null: float | None = None,
    title: str | None = None,
) -> "Axes":
    """Forest plot of estimates with their intervals.

    Parameters
    ----------
    frame : polars.DataFrame
        Term columns, then ``estimate`` and, if there are intervals, ``ci_low``, ``ci_high``.
        Rows are labelled by model and gathered under headings of the other terms.
    ax : matplotlib Axes, optional
        Where to draw; a new figure at paper column width by default.
    null : float, optional
        Value to mark, such as 0.5 for an AUROC by chance.
    title : str, optional
        Title of the axes, as plain text.

    Returns
    -------
    matplotlib Axes
        The axes drawn on.
    """
    require_columns(frame, "estimate")
    terms = term_columns(frame)
    forest = _forest(frame, terms, _label_columns(frame, terms))
    with _forest_axes(forest, ax) as axes:
        _draw(axes, forest, () if null is None else (null,))
        if null is not None:
            axes.axvline(null, color=NEUTRAL, linestyle="--", linewidth=0.8, zorder=0)
        axes.set_xlabel(_metric_name(frame) or "Estimate")
        if title is not None:
            axes.set_title(literal(title))
    return axes


def plot_differences(
    frame: pl.DataFrame, *, ax: "Axes | None" = None, margin: float | None = None
) -> "Axes":
    """Forest plot of differences, with p-values at the right.

    Parameters
    ----------
    frame : polars.DataFrame
        Comparisons, as made by :meth:`evalstats.Estimate.compare`.
    ax : matplotlib Axes, optional
        Where to draw; a new figure at paper column width by default.
    margin : float, optional
        Margin of equivalence or non-inferiority, shaded on both sides of zero.

    Returns
    -------
    matplotlib Axes
        The axes drawn on.
    """
    require_columns(frame, "estimate", "reference")
    if margin is not None and not (math.isfinite(margin) and margin > 0):
        raise InputError(f"margin={margin!r}: a margin to draw is a finite number > 0")
    terms = term_columns(frame)
    compared = terms[terms.index("reference") - 1 : terms.index("reference") + 1]
    one_reference = frame.height > 1 and is_constant(frame["reference"])
    forest = _forest(frame, terms, compared[:1] if one_reference else compared)
    label = f"Difference in {_metric_name(frame)}" if _metric_name(frame) else "Difference"
    if one_reference:
        label += "\n" + wrapped(f"from {format_term(frame['reference'][0])}", _HEADING_WIDTH)
    with _forest_axes(forest, ax, header=True) as axes:
        if margin is not None:
            axes.axvspan(-margin, margin, color=NEUTRAL, alpha=0.15, linewidth=0, zorder=0)
        axes.axvline(0.0, color=NEUTRAL, linewidth=0.8, zorder=0)
        _draw(axes, forest, (0.0,) if margin is None else (-margin, 0.0, margin))
        _write_p_values(axes, forest)
        axes.set_xlabel(label)
    return axes


def _label_columns(frame: pl.DataFrame, terms: Sequence[str]) -> list[str]:
    """Column that names the rows: the model, else the term that varies and stands last."""
    varying = [name for name in terms if not is_constant(frame[name])]
    if "model" in varying:
        return ["model"]
    return varying[-1:] or list(terms[-1:])


def _forest(frame: pl.DataFrame, terms: Sequence[str], labels: Sequence[str]) -> Forest:
    blocks = [name for name in terms if name not in labels and not is_constant(frame[name])]
    gathered: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in frame.iter_rows(named=True):
        gathered.setdefault(tuple(_described(name, row[name]) for name in blocks), []).append(row)
    series: dict[str, int] = {}
    rows, headings, line = [], [], 0.0
    for key, members in gathered.items():
        if blocks:
            text = wrapped(", ".join(key), _HEADING_WIDTH)
            height = text.count("\n") + 1
            headings.append((line + height / 2, text))
            line += height + _ROW_GAP / 2
        for values in members:
            name = " − ".join(format_term(values[column]) for column in labels)
            label = wrapped(name, _LABEL_WIDTH)
            height = label.count("\n") + 1
            number = series.setdefault(name, len(series)) if labels == ["model"] else 0
            rows.append(Row(values, label, line + height / 2, number))
            line += height + _ROW_GAP
    return Forest(tuple(rows), tuple(headings), line)


def _described(name: str, value: Any) -> str:
    """Metrics speak for themselves; a bare value of another term needs its name."""
    return format_term(value) if name == "metric" else f"{heading(name)} {format_term(value)}"


def _metric_name(frame: pl.DataFrame) -> str:
    if "metric" in frame.columns and frame.height and is_constant(frame["metric"]):
        return literal(format_term(frame["metric"][0]))
    return ""


@contextmanager
def _forest_axes(forest: Forest, ax: "Axes | None", *, header: bool = False) -> Iterator["Axes"]:
    height = 0.75 + _LINE_HEIGHT * max(forest.n_lines + header, 2)
    with drawing_axes(ax, width=column_width, height=height) as axes:
        yield axes
        axes.set_yticks([row.position for row in forest.rows], [row.label for row in forest.rows])
        axes.set_ylim(forest.n_lines, -1.0 if header else -_ROW_GAP)
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        for position, text in forest.headings:
            axes.text(
                0.0,
                position,
                text,
                transform=axes.get_yaxis_transform(),
                va="center",
                fontsize="small",
                fontweight="bold",
                bbox={"facecolor": axes.get_facecolor(), "edgecolor": "none", "pad": 1.5},
            )


def _draw(axes: "Axes", forest: Forest, marks: Sequence[float]) -> None:
    _set_x_limits(axes, forest, marks)
    left, right = axes.get_xlim()
    for row in forest.rows:
        color = COLORS[row.series % len(COLORS)]
        marker = MARKERS[row.series % len(MARKERS)]
        estimate, low, high = _numbers(row)
        if math.isnan(estimate):
            axes.text(
                0.5,
                row.position,
                "not estimable",
                transform=axes.get_yaxis_transform(),
                color=NEUTRAL,
                fontsize="small",
                ha="center",
                va="center",
            )
            continue
        if not (math.isnan(low) or math.isnan(high)):
            ends = (max(low, left), min(high, right))
            axes.plot(ends, [row.position] * 2, color=color, linestyle="-", solid_capstyle="butt")
            # An unbounded side runs to the edge and ends in an arrow.
            for end, arrow in ((low, "<"), (high, ">")):
                if math.isinf(end):
                    edge = left if end < 0 else right
                    axes.plot([edge], [row.position], marker=arrow, color=color, clip_on=False)
        axes.plot([estimate], [row.position], marker=marker, color=color, linestyle="none")


def _set_x_limits(axes: "Axes", forest: Forest, marks: Sequence[float]) -> None:
    """Limits around everything finite, so that an unbounded interval has an edge to run to."""
    values = [value for row in forest.rows for value in _numbers(row) if math.isfinite(value)]
    values += marks
    if not values:
        return
    low, high = min(values), max(values)
    pad = 0.05 * (high - low) or 0.05 * max(abs(high), 1e-3)
    axes.set_xlim(low - pad, high + pad)


def _numbers(row: Row) -> tuple[float, float, float]:
    numbers = (row.values.get(name) for name in ("estimate", "ci_low", "ci_high"))
    estimate, low, high = (math.nan if number is None else float(number) for number in numbers)
    return estimate, low, high


def _write_p_values(axes: "Axes", forest: Forest) -> None:
    first = forest.rows[0].values if forest.rows else {}
    adjusted = first.get("adjust") is not None
    name = "p_adjusted" if adjusted else "p_value"
    if name not in first:
        return
    cells = [(-0.5, heading(name))]
    cells += [(row.position, format_p(row.values[name])) for row in forest.rows]
    for position, text in cells:
        axes.text(
            1.03,
            position,
            text,
            transform=axes.get_yaxis_transform(),
            fontsize="small",
            va="center_baseline",
        )
