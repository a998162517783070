"""Calibration before and after recalibration, in one call."""

import warnings
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from evalstats.calibration.balance import BalanceScore
from evalstats.calibration.brier_score import BrierScore
from evalstats.calibration.calibration_error import CalibrationError
from evalstats.calibration.cross_fitting import Recalibrator, validated_forecasts
from evalstats.calibration.log_loss import LogLoss
from evalstats.calibration.recalibrators import (
    BetaCalibration,
    IsotonicRecalibration,
    PlattScaling,
    TemperatureScaling,
)
from evalstats.calibration.reliability import ReliabilityDiagram
from evalstats.calibration.venn_abers import VennABERS
from evalstats.data.columns import Columns, Role
from evalstats.data.intake import collect_columns
from evalstats.data.validation import binary_labels, class_labels
from evalstats.errors import InputError
from evalstats.estimator import Estimator
from evalstats.inference.methods import InferenceOption, NoInference, RandomSource
from evalstats.options import typed_options
from evalstats.results.estimate import Estimate
from evalstats.results.tables import format_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
METHODS: dict[str, type[Recalibrator]] = {
    "platt": PlattScaling,
    "isotonic": IsotonicRecalibration,
    "beta": BetaCalibration,
    "temperature": TemperatureScaling,
    "venn_abers": VennABERS,
}
BEFORE = "uncalibrated"
ROLES = (Role("y_true", "label"), Role("y_prob", "score", per_model=True, matrix=True))


@dataclass(frozen=True, eq=False)
class RecalibrationReport:
    """What recalibration changes, each row judged with a map that was fitted without its fold.

    Attributes
    ----------
    probabilities : dict of str to float64 array (n,) or (n, K)
        The forecasts as given (``"uncalibrated"``), and cross-fitted by each method.
    estimates : dict of str to Estimate
        Each metric with its joint distribution over the methods.
    outcome : bool array (n,) or int64 array (n,)
        Whether each row is positive, or its class's column.
    sample_weight, cluster : array (n,) or None
        As given.
    """

    probabilities: dict[str, Array]
    estimates: dict[str, Estimate]
    outcome: NDArray[Any]
    sample_weight: Array | None
    cluster: NDArray[np.int64] | None

    def to_frame(self) -> pl.DataFrame:
        """Every metric before and after, with its interval.

        Returns
        -------
        polars.DataFrame
            ``metric``, ``method``, ``estimate``, ``standard_error``, ``ci_low``, ``ci_high``, ``n``
            and ``inference``.
        """
        frames = [estimate.to_frame() for estimate in self.estimates.values()]
        return pl.concat(frames).rename({"model": "method"})

    def differences(self, *, adjust: str | None = "holm") -> pl.DataFrame:
        """Paired differences of every metric, after minus before.

        A difference in the Balance score is a shift, not a gain: zero is its best value.

        Parameters
        ----------
        adjust : {"holm", "bonferroni", "bh", "by", "max-t"} or None
            Adjustment of the p-values over the methods, for each metric.

        Returns
        -------
        polars.DataFrame
            As :meth:`evalstats.Estimate.compare`, with ``metric`` and ``method``.
        """
        frames = [estimate.compare(BEFORE, adjust=adjust) for estimate in self.estimates.values()]
        return pl.concat(frames).rename({"model": "method"})

    def plot(self, ax: "Axes | None" = None, **options: Any) -> Any:
        """Draw reliability diagrams of the forecasts before and after.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Draw all curves over each other here.
        **options
            As in :meth:`evalstats.ReliabilityDiagram.plot`.

        Returns
        -------
        matplotlib Axes or array of them
            What was drawn on.

        Raises
        ------
        InputError
            With more than two classes.
        """
        if self.probabilities[BEFORE].ndim > 1:
            raise InputError(
                "reliability diagrams are for two classes: plot one class against the rest with "
                "ReliabilityDiagram"
            )
        diagram = ReliabilityDiagram(inference=NoInference())
        diagram.fit(
            self.outcome,
            self.probabilities,
            sample_weight=self.sample_weight,
            cluster=self.cluster,
        )
        return diagram.plot(ax, **options)

    def __str__(self) -> str:
        first = next(iter(self.estimates.values()))
        frame = self.to_frame().drop("n", "inference")
        note = f"n = {len(self.outcome):,}; each row was recalibrated without its own fold"
        return format_text(frame, title="Recalibration", note=note, level=first.level)


@typed_options
def recalibration_report(
    y_true: ArrayLike | str,
    y_prob: ArrayLike | str | list[str],
    methods: Sequence[str] | Mapping[str, Recalibrator] = tuple(METHODS),
    *,
    data: Any = None,
    sample_weight: ArrayLike | str | None = None,
    cluster: ArrayLike | str | None = None,
    n_folds: int = 5,
    rng: RandomSource = 0,
    n_bins: int = 15,
    pos_label: Hashable | None = None,
    labels: list[Hashable] | None = None,
    inference: InferenceOption = "auto",
    level: float = 0.95,
) -> RecalibrationReport:
    """Compare forecasts before and after recalibration, cross-fitted on the same rows.

    The metrics are the Balance score, the debiased calibration error, the Brier score and log loss;
    for several classes the first two are about the predicted class.

    Parameters
    ----------
    y_true : array-like (n,) or column name
        Labels: 0/1, boolean, two values with `pos_label`, or classes with a matrix.
    y_prob : array-like (n,) or (n, K), or column names
        Probabilities of one model: of the positive class, or of each class.
    methods : sequence of {"platt", "isotonic", "beta", "temperature", "venn_abers"}, or mapping
        Methods to try; or recalibrators by the name that they shall have.
    data : data frame, optional
        polars, pandas, pyarrow or any Arrow-capable frame; the other arguments are then names.
    sample_weight : array-like (n,) or column name, optional
        Non-negative weights, for fitting and for judging.
    cluster : array-like (n,) or column name, optional
        Rows of one cluster stay in one fold and are sampled together.
    n_folds : int, default 5
        Number of folds.
    rng : int, SeedSequence, Generator or None
        Source of randomness of the folds.
    n_bins : int, default 15
        Bins of equal width of the calibration error.
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.
    labels : list, optional
        Class of each of several columns, needed when a class is absent from `y_true`.
    inference : "auto", Analytic, Bootstrap, Jackknife or NoInference
        How sampling distributions are obtained, as in each metric.
    level : float, default 0.95
        Confidence level.

    Returns
    -------
    RecalibrationReport
        With ``to_frame()``, ``differences()``, ``plot()`` and ``probabilities``.

    Raises
    ------
    InputError
        If the input cannot be used, a method is unknown, or a map cannot be fitted.

    Notes
    -----
    Intervals hold for the recalibrated forecasts as they are; that the maps would come out
    differently in another sample is not part of them.

    Examples
    --------
    >>> import numpy as np
    >>> import evalstats as es
    >>> signal = np.random.default_rng(1).normal(size=400)
    >>> y_true = np.random.default_rng(2).random(400) < 1 / (1 + np.exp(-signal))
    >>> bold = 1 / (1 + np.exp(-3 * signal))
    >>> report = es.recalibration_report(y_true, bold, ["platt"], inference=es.NoInference())
    >>> report.to_frame().filter(metric="Log loss")["estimate"].round(2).to_list()
    [0.7, 0.59]
    """
    columns = collect_columns(
        ROLES,
        {"y_true": y_true, "y_prob": _one_model(y_prob)},
        data=data,
        sample_weight=sample_weight,
        cluster=cluster,
    )
    if pos_label is not None and labels is not None:
        raise InputError("pos_label is for two classes and labels for several: give one")
    chosen = _recalibrators(methods)
    outcome, forecast = _outcome(columns, pos_label, labels)
    weight, clusters = columns.weight, columns.cluster
    given: dict[str, Array] = {BEFORE: forecast}
    for name, recalibrator in chosen.items():
        given[name] = recalibrator.cross_fit(
            forecast,
            outcome,
            cluster=clusters,
            n_folds=n_folds,
            sample_weight=weight,
            rng=rng,
        )
    estimates = {}
    with warnings.catch_warnings():
        # The calibration error, at which this warning points, stands beside the score.
        warnings.filterwarnings("ignore", r"\[cancelling-errors\]")
        for metric in _metrics(forecast, n_bins, inference, level):
            metric.fit(outcome, given, sample_weight=weight, cluster=clusters)  # type: ignore[attr-defined]
            estimates[metric.metric] = metric.estimate_
    return RecalibrationReport(given, estimates, outcome, weight, clusters)


def _one_model(y_prob: Any) -> Any:
    if isinstance(y_prob, Mapping):
        raise InputError("y_prob is a mapping: recalibrate one model at a time, as an array")
    return y_prob


def _recalibrators(
    methods: Sequence[str] | Mapping[str, Recalibrator],
) -> dict[str, Recalibrator]:
    """Recalibrators by name; labels are coded before they see them."""
    names = [methods] if isinstance(methods, str) else list(methods)
    if not names or BEFORE in names or len(set(names)) < len(names):
        raise InputError(f"methods={names} must name at least one method, each once")
    if isinstance(methods, Mapping):
        return dict(methods)
    for name in names:
        if name not in METHODS:
            raise InputError(f"methods has {name!r}: choose from {', '.join(METHODS)}")
    return {name: METHODS[name]() for name in names}


def _outcome(
    columns: Columns, pos_label: Hashable | None, labels: list[Hashable] | None
) -> tuple[NDArray[Any], Array]:
    """Positives or codes of classes, and the forecasts, validated."""
    forecast = validated_forecasts("y_prob", next(iter(columns.models["y_prob"].values())))
    y_true = columns.single["y_true"]
    if forecast.ndim == 1:
        return binary_labels("y_true", y_true, pos_label), forecast
    return class_labels("y_true", y_true, forecast.shape[1], labels)[0], forecast


def _metrics(
    forecast: Array, n_bins: int, inference: InferenceOption, level: float
) -> list[Estimator]:
    shared: dict[str, Any] = {"inference": inference, "level": level}
    if forecast.ndim == 1:
        return [
            BalanceScore(**shared),
            CalibrationError(n_bins=n_bins, debias=True, **shared),
            BrierScore(**shared),
            LogLoss(**shared),
        ]
    shared["labels"] = list(range(forecast.shape[1]))
    return [
        BalanceScore(target="top_label", **shared),
        CalibrationError(target="top_label", n_bins=n_bins, debias=True, **shared),
        BrierScore(target="multiclass", **shared),
        LogLoss(target="multiclass", **shared),
    ]
