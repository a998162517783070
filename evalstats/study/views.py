"""Figures and tables of a fitted estimator beyond its estimates."""

import io
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from evalstats.errors import InputError
from evalstats.estimator import Estimator
from evalstats.study.stored import StoredDrawing, StoredFigure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Drawing

# What the report and paper exports ask for.
PIXELS = (200, 300)
MOST_HORIZONS = 6
VECTORS = ("pdf", "svg")
CAPTIONS: Mapping[str, str] = {
    "AUROC": "ROC curves with pointwise bands.",
    "AUPRC": "Precision-recall curves with pointwise bands.",
    "MistakeAnalysis": "Share of the loss by threshold, and amplification by subgroups.",
    "ReliabilityDiagram": "Observed frequency by forecast, with bands.",
    "AveragePrecision": "Precision by recall.",
    "PooledAveragePrecision": "Precision by recall, pooled over categories.",
    "AUPIMO": "Overlap by shared false positive rate.",
    "DistributionRDD": "Effect on each quantile, with pointwise intervals and the uniform band.",
    "LengthControlledWinRate": "Raw and controlled win rates.",
    "DistanceCovariance": "Dependence on each protected attribute.",
}
DIAGNOSTICS = ("diagnostics", "calibration_test", "null_test", "leaderboard")
TITLES: Mapping[str, str] = {
    "diagnostics": "Diagnostics",
    "calibration_test": "Test of perfect calibration",
    "null_test": "Test of balance",
    "leaderboard": "Leaderboard with ranks",
}


def _horizons(estimator: Any) -> Iterator[tuple[str, str, "Axes"]]:
    from evalstats.results.displays import plot_horizon

    frame = estimator.horizon().to_frame()
    for number, metric in enumerate(frame["metric"].unique(maintain_order=True)[:MOST_HORIZONS], 1):
        caption = f"{metric} by step of the forecast."
        yield f"horizon-{number}", caption, plot_horizon(frame.filter(metric=metric))


def _image_scores(estimator: Any) -> Iterator[tuple[str, str, "Axes"]]:
    from evalstats.results.displays import plot_image_scores

    yield "images", "Scores of the anomalous images.", plot_image_scores(estimator.image_scores())


def _own_plot(estimator: Estimator) -> Iterator[tuple[str, str, Any]]:
    caption = CAPTIONS.get(type(estimator).__name__, f"{estimator.metric}.")
    yield "plot", caption, estimator.plot()


# Views beside ``plot()``, of estimators that have them.
FURTHER: Mapping[str, Callable[[Any], Iterator[tuple[str, str, Any]]]] = {
    "TrajectoryScores": _horizons,
    "AUPIMO": _image_scores,
}


def figures_of(estimator: Estimator) -> tuple[StoredFigure, ...]:
    """Figures that the method itself offers, drawn in all formats."""
    views: list[Callable[[Any], Iterator[tuple[str, str, Any]]]] = []
    if type(estimator).plot is not Estimator.plot:
        views.append(_own_plot)
    if type(estimator).__name__ in FURTHER:
        views.append(FURTHER[type(estimator).__name__])
    figures = []
    for view in views:
        try:
            for name, caption, axes in view(estimator):
                figures.append(StoredFigure(name, caption, _stored(axes)))
        except InputError:
            # Groups or classes that the method's own plot does not show are in the forest plot.
            continue
    return tuple(figures)


def _stored(axes: Any) -> StoredDrawing:
    from matplotlib import pyplot

    if hasattr(axes, "ravel"):
        axes = axes.ravel()
    drawing = (axes if hasattr(axes, "figure") else axes[0]).figure
    try:
        return _in_all_formats(drawing)
    finally:
        pyplot.close(drawing)


def tables_of(estimator: Estimator) -> dict[str, pl.DataFrame]:
    """Diagnostic tables that the method itself offers, by title."""
    found = {}
    for name in DIAGNOSTICS:
        method = getattr(estimator, name, None)
        if method is None:
            continue
        try:
            table = method()
        except InputError:
            # Not every configuration has every diagnostic.
            continue
        frame = table if isinstance(table, pl.DataFrame) else table.to_frame()
        found[TITLES[name]] = _flat(frame)
    return found


def _flat(frame: pl.DataFrame) -> pl.DataFrame:
    """Only columns that a table can show."""
    kept = [n for n, dtype in frame.schema.items() if not dtype.is_nested() and dtype != pl.Object]
    return frame.select(kept)


class RememberedDrawing:
    """A drawing that is rendered once in each format, however often it is saved.

    Parameters
    ----------
    drawing : matplotlib Figure
        The drawing.
    """

    def __init__(self, drawing: "Drawing") -> None:
        self._drawing = drawing
        self._renditions: dict[tuple[str, float], bytes] = {}

    def get_figwidth(self) -> float:
        """Width in inches."""
        return float(self._drawing.get_figwidth())

    def savefig(self, target: Any, *, format: str, dpi: float = 200, **_: Any) -> None:  # noqa: A002
        """Write the drawing in `format`."""
        # Only pixels depend on the resolution.
        key = format, dpi if format == "png" else 0.0
        if key not in self._renditions:
            self._renditions[key] = _rendered(self._drawing, format, dpi)
        target.write(self._renditions[key])


def _rendered(drawing: "Drawing", form: str, dpi: float) -> bytes:
    from matplotlib import rc_context

    buffer = io.BytesIO()
    # Without dates and random names the same numbers give the same file.
    metadata: Any = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(form)
    with rc_context({"svg.hashsalt": "evalstats"}):
        drawing.savefig(
            buffer,
            format=form,
            dpi=dpi,
            metadata=metadata,
            facecolor="white",
            bbox_inches="tight",
        )
    return buffer.getvalue()


def _in_all_formats(drawing: "Drawing") -> StoredDrawing:
    """A drawing in every format that a report or paper may ask for."""
    renditions = {f"png@{dpi}": _rendered(drawing, "png", dpi) for dpi in PIXELS}
    renditions |= {form: _rendered(drawing, form, PIXELS[-1]) for form in VECTORS}
    return StoredDrawing(renditions, float(drawing.get_figwidth()))
