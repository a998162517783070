"""Figures and tables of a fitted estimator beyond its estimates."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import polars as pl

from evalstats.errors import InputError
from evalstats.estimator import Estimator
from evalstats.report.section import Figure
from evalstats.study.stored import FORMS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_HORIZONS = 6
MOST_BANDED = 500_000
CAPTIONS: Mapping[str, str] = {
    "AUROC": "ROC curves with pointwise bands.",
    "AUPRC": "Precision-recall curves with pointwise bands.",
    "MistakeAnalysis": "Share of the loss by threshold, and amplification by subgroups.",
    "ReliabilityDiagram": "Observed frequency by forecast, with bands.",
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
    resampled = "n_resamples" in inspect.signature(estimator.plot).parameters
    if resampled and estimator.estimate_.n_units > MOST_BANDED:
        # The bands of so many units are as thin as the curves, and take longer than the estimates.
        yield "plot", caption.replace(" with pointwise bands", ""), _unbanded(estimator)
        return
    yield "plot", caption, estimator.plot()


def _unbanded(estimator: Any) -> Any:
    return estimator.plot(n_resamples=0)


# Their plot is the forest of the estimates, which a report has anyway.
FORESTS = ("AveragePrecision",)
# Views beside ``plot()``, of estimators that have them.
FURTHER: Mapping[str, Callable[[Any], Iterator[tuple[str, str, Any]]]] = {
    "TrajectoryScores": _horizons,
    "AUPIMO": _image_scores,
}


def figures_of(estimator: Estimator) -> tuple[Figure, ...]:
    """Figures that the method itself offers, drawn in all formats."""
    views: list[Callable[[Any], Iterator[tuple[str, str, Any]]]] = []
    if type(estimator).plot is not Estimator.plot and type(estimator).__name__ not in FORESTS:
        views.append(_own_plot)
    if type(estimator).__name__ in FURTHER:
        views.append(FURTHER[type(estimator).__name__])
    figures = []
    for view in views:
        try:
            for name, caption, axes in view(estimator):
                figure = Figure.of_axes(name, caption, axes)
                figures.append(replace(figure, drawing=figure.drawn(FORMS)))
        except InputError:
            # Groups or classes that the method's own plot does not show are in the forest plot.
            continue
    return tuple(figures)


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
