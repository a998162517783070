"""Reliability diagrams with the decomposition of a score, its errors and a test."""

from collections.abc import Hashable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.calibration import binned_terms, corp
from evalstats.calibration.binned_terms import ForecastBinning, ForecastBins, require_bins
from evalstats.calibration.corp import CorpScore, SortedForecasts
from evalstats.calibration.probabilities import ProbabilityEstimator, Target, require_option
from evalstats.calibration.reliability_curves import (
    BinnedCurve,
    Curve,
    IsotonicCurve,
    curve_frame,
    forecast_histogram,
)
from evalstats.calibration.reliability_null import MiscalibrationNull
from evalstats.calibration.samples import group_samples, groups_of
from evalstats.data.columns import Columns
from evalstats.data.intake import NanPolicy
from evalstats.errors import InputError, warn
from evalstats.estimator import Diagnosis
from evalstats.inference.methods import (
    Bootstrap,
    Inference,
    InferenceOption,
    NoInference,
    RandomSource,
)
from evalstats.inference.scales import ScaleName
from evalstats.inference.units import sample_units
from evalstats.results.estimate import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
Method = Literal["corp", "binned"]
Item = SortedForecasts | ForecastBins
HISTOGRAM_BINS = 20
OVERFIT_DRAWS = 200
FEW_ROWS = 200
BIASED = (
    "the plug-in miscalibration is biased upwards by the fit; intervals are corrected for that and "
    "need not hold the plug-in value itself at low levels"
)


class ReliabilityDiagram(ProbabilityEstimator):
    """Reliability diagram: how often events happen at each forecast, and what that costs.

    With ``method="corp"`` the frequencies are the isotonic fit of the outcomes to the forecasts,
    which needs no bins; the mean score then splits into miscalibration - discrimination +
    uncertainty. With ``method="binned"`` they are frequencies in bins, and the Brier score splits
    into Murphy's terms with those within bins.

    Parameters
    ----------
    method : {"corp", "binned"}
        Isotonic regression, or bins.
    score : {"brier", "log"}
        Score that is decomposed; bins allow the Brier score only. The log score is not clipped: an
        event of probability zero makes the miscalibration infinite.
    n_bins : int, default 10
        Bins of equal width, for ``method="binned"``.
    binning : {"uniform", "unique"}
        Bins of equal width, or one for each distinct forecast.
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.
    inference : "auto", Analytic, Bootstrap, Jackknife or NoInference
        How the sampling distribution is obtained; "auto" is the bootstrap with intervals corrected
        for bias. ``Analytic()`` is right for all terms but a miscalibration near zero, which is not
        normal.
    level : float, default 0.95
        Confidence level.
    nan_policy : {"raise", "omit"}
        Refuse or drop rows with missing values.

    Attributes
    ----------
    estimate_ : Estimate
        The terms of the decomposition for each model (and group), named in the column
        ``component``.

    Notes
    -----
    One sort, O(n log n); each replicate is one pass, O(n). Isotonic regression overfits, which
    inflates miscalibration and discrimination by the same amount; the bias that bootstrap intervals
    correct is what outcomes drawn from the forecasts show on average.

    References
    ----------
    Dimitriadis, Gneiting and Jordan (2021), PNAS 118; Broecker and Smith (2007), Weather and
    Forecasting 22; Murphy (1973); Stephenson, Coelho and Jolliffe (2008).

    Examples
    --------
    >>> import evalstats as es
    >>> y_true, y_prob = [0, 1, 0, 1, 1, 0], [0.2, 0.3, 0.4, 0.6, 0.9, 0.7]
    >>> diagram = es.ReliabilityDiagram(inference=es.NoInference()).fit(y_true, y_prob)
    >>> diagram.estimate_.value.round(4).tolist()
    [0.0583, 0.0833, 0.25, 0.225]
    """

    metric: ClassVar[str] = "Reliability diagram"
    verb: ClassVar[str] = "reliability"
    scale: ClassVar[ScaleName] = "non_negative"
    value_range: ClassVar[tuple[float, float]] = (0.0, np.inf)
    citation_keys: ClassVar[tuple[str, ...]] = ("dimitriadis2021",)
    exceptions: ClassVar[Mapping[str, str]] = {
        "merge": "isotonic regression needs the joint order of all rows",
        "intervals_nest_and_stay_in_range": BIASED,
    }
    target: Target = "positive"

    def __init__(
        self,
        *,
        method: Method = "corp",
        score: CorpScore = "brier",
        n_bins: int = 10,
        binning: ForecastBinning = "uniform",
        pos_label: Hashable | None = None,
        inference: InferenceOption = "auto",
        level: float = 0.95,
        nan_policy: NanPolicy = "raise",
    ) -> None:
        self.method = method
        self.score = score
        self.n_bins = n_bins
        self.binning = binning
        self.pos_label = pos_label
        self.inference = inference
        self.level = level
        self.nan_policy = nan_policy

    def curves(self, *, n_resamples: int = 500, rng: RandomSource = 0) -> pl.DataFrame:
        """Reliability curve of every model with pointwise bands at the estimator's level.

        Parameters
        ----------
        n_resamples : int, default 500
            Replicates of each band; 0 draws none.
        rng : int, SeedSequence, Generator or None
            Source of randomness.

        Returns
        -------
        polars.DataFrame
            ``model``, ``group`` (if grouped), ``x`` (forecast), ``y`` (frequency); ``low`` and
            ``high`` of the confidence band, over resampled rows or clusters; ``consistency_low``
            and ``consistency_high``, within which the curve of a calibrated model would lie.
        """
        frames = []
        for labels, sample in group_samples(self._fitted_columns(), "a reliability diagram"):
            units = sample_units(sample)
            for model, item in zip(sample.model_names, self._prepare(sample), strict=True):
                frame = curve_frame(
                    _curve(item, units.row_weight),
                    units,
                    level=self.level,
                    n_resamples=n_resamples,
                    rng=rng,
                )
                frames.append(_labelled(frame, model, labels))
        return pl.concat(frames)

    def histogram(self, n_bins: int = HISTOGRAM_BINS) -> pl.DataFrame:
        """Distribution of the forecasts of every model.

        Parameters
        ----------
        n_bins : int, default 20
            Bins of equal width.

        Returns
        -------
        polars.DataFrame
            ``model``, ``group`` (if grouped), ``low``, ``high`` and ``share``.
        """
        require_bins(n_bins, None, "uniform")
        frames = []
        for labels, sample in group_samples(self._fitted_columns(), "a reliability diagram"):
            weights = sample_units(sample).row_weight
            for model, forecast in sample.models["y_prob"].items():
                frame = forecast_histogram(forecast, weights, n_bins)
                frames.append(_labelled(frame, model, labels))
        return pl.concat(frames)

    def calibration_test(self, *, n_resamples: int = 1000, rng: RandomSource = 0) -> pl.DataFrame:
        """Test of calibration: outcomes are drawn anew from the forecasts.

        Parameters
        ----------
        n_resamples : int, default 1000
            Replicates under calibration.
        rng : int, SeedSequence, Generator or None
            Source of randomness.

        Returns
        -------
        polars.DataFrame
            ``model``, ``group`` (if grouped), ``component`` (miscalibration, or reliability of
            bins), its ``estimate``, ``null_mean`` (what a calibrated model would show) and
            ``p_value`` by the rule (1 + count) / (B + 1). Outcomes are independent given the
            forecasts, so that rows of one cluster must be too; with clusters there is a warning.
        """
        frames = []
        if self._fitted_columns().cluster is not None:
            warn(
                "clustered-outcomes",
                "the test takes outcomes as independent given the forecasts and rejects too often "
                "if those of a cluster are not: CalibrationSlope tests calibration by clusters",
            )
        for labels, sample in group_samples(self._fitted_columns(), "a reliability diagram"):
            weights = sample_units(sample).row_weight
            for model, item in zip(sample.model_names, self._prepare(sample), strict=True):
                null = MiscalibrationNull.of(item, weights)
                value, mean, p_value = null.test(n_resamples, rng)
                frame = pl.DataFrame(
                    {
                        "component": [self._components[0]],
                        "estimate": [value],
                        "null_mean": [mean],
                        "p_value": [p_value],
                    }
                )
                frames.append(_labelled(frame, model, labels))
        return pl.concat(frames)

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        n_resamples: int = 500,
        rng: RandomSource = 0,
        **options: Any,
    ) -> Any:
        """Draw the diagram of every model with its bands and the histogram of its forecasts.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Draw all curves over each other here, without histograms; new figures with one panel
            for each model by default.
        n_resamples : int, default 500
            Replicates of each band; 0 draws none.
        rng : int, SeedSequence, Generator or None
            Source of randomness.
        **options
            As in :func:`evalstats.results.displays.plot_reliability`.

        Returns
        -------
        matplotlib Axes or array of them
            What was drawn on: for panels an array with a row for the curves and one for the
            histograms.
        """
        from evalstats.results.displays import plot_reliability

        curves = self.curves(n_resamples=n_resamples, rng=rng)
        terms = self.estimate_.to_frame()
        return plot_reliability(curves, self.histogram(), terms, ax=ax, **options)

    @property
    def _components(self) -> tuple[str, ...]:
        return corp.TERMS if self.method == "corp" else binned_terms.TERMS

    def _check_params(self) -> None:
        super()._check_params()
        require_option("method", self.method, ("corp", "binned"))
        require_option("score", self.score, ("brier", "log"))
        require_bins(self.n_bins, None, self.binning)
        if self.method == "binned" and self.score != "brier":
            raise InputError("method='binned' decomposes the Brier score only: use method='corp'")

    def _prepare(self, columns: Columns) -> list[Item]:
        outcome = columns.single["y_true"]
        models = columns.models["y_prob"].values()
        if self.method == "corp":
            return [SortedForecasts.of(forecast, outcome, self.score) for forecast in models]
        return [
            ForecastBins.of(forecast, outcome, n_bins=self.n_bins, binning=self.binning)
            for forecast in models
        ]

    def _evaluate(self, prepared: list[Item], weights: Array) -> Array:
        return np.concatenate([item.terms(weights) for item in prepared])

    def _influence(self, prepared: list[Item], weights: Array) -> Array:
        return np.hstack([item.influence(weights) for item in prepared])

    def _default_inference(self, columns: Columns) -> Inference:  # noqa: ARG002
        return Bootstrap(n_resamples=1000, interval="bias_corrected", rng=0)

    def _estimate(self, columns: Columns) -> Estimate:
        estimate = super()._estimate(columns)
        if self.method != "corp" or estimate.bias is None:
            return estimate
        # Resampled rows tie, so that a replicate overfits by half of what the data do; outcomes
        # drawn from the forecasts show the whole. Clustered rows may overfit by more than that.
        overfit = np.zeros(len(estimate))
        place = 0
        for _, sample in groups_of(columns):
            weights = sample_units(sample).row_weight
            for item in self._prepare(sample):
                with np.errstate(invalid="ignore"):
                    _, mean, _ = MiscalibrationNull.of(item, weights).test(OVERFIT_DRAWS, 0)
                # Both gain alike, because the score does not depend on the fit.
                overfit[place : place + 2] = mean if np.isfinite(mean) else 0.0
                place += len(self._components)
        bias = np.where(overfit > 0, np.fmax(estimate.bias, overfit), estimate.bias)
        return replace(estimate, support={**estimate.support, "bias": bias})

    def _terms(self, columns: Columns) -> list[dict[str, Hashable]]:
        return [
            {"metric": self.metric, "model": model, "component": component}
            for model in columns.model_names
            for component in self._components
        ]

    def _diagnose(self, columns: Columns, prepared: list[Item]) -> list[Diagnosis]:  # noqa: ARG002
        asked = self.method == "corp" and not isinstance(self.inference, NoInference)
        if not asked or columns.n >= FEW_ROWS or columns.cluster is not None:
            return []
        message = (
            f"{columns.n} rows: intervals of the discrimination and of the score cover too rarely "
            f"below about {FEW_ROWS}"
        )
        return [("few-rows", message)]

    def _remarks(self, columns: Columns) -> list[str]:
        if columns.cluster is None:
            return []
        return ["consistency bands and the test take outcomes as independent within clusters too"]


def _curve(item: Item, weights: Array) -> Curve:
    if isinstance(item, SortedForecasts):
        return IsotonicCurve(item, weights)
    return BinnedCurve(item, weights)


def _labelled(frame: pl.DataFrame, model: str, labels: dict[str, list[str]]) -> pl.DataFrame:
    names = {"model": model, **{name: values[0] for name, values in labels.items()}}
    return frame.select(*(pl.lit(value).alias(name) for name, value in names.items()), pl.all())
