"""Expected calibration error and its relatives: binned differences of forecast and frequency."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.calibration.binned_error import (
    Norm,
    combined_error,
    corrected_error,
    error_influence,
    plugin_error,
    share_of_unclear_signs,
    singleton_share,
)
from evalstats.calibration.binned_state import (
    merged_bins,
    sample_size,
    set_sums,
    summarised_curves,
    summarised_errors,
    summarised_models,
)
from evalstats.calibration.binning import (
    Binning,
    Convention,
    Edges,
    Prepared,
    Rule,
    make_bins,
    require_rule,
)
from evalstats.calibration.consistency import consistency_test
from evalstats.calibration.gaps import error_curve
from evalstats.calibration.probabilities import (
    ProbabilityEstimator,
    Target,
    model_events,
    require_option,
)
from evalstats.calibration.samples import groups_of
from evalstats.calibration.tables import bin_table
from evalstats.data.columns import Columns
from evalstats.data.intake import NanPolicy
from evalstats.errors import InputError
from evalstats.estimator import Diagnosis
from evalstats.inference.confidence_curve import ConfidenceCurve
from evalstats.inference.methods import (
    Analytic,
    Bootstrap,
    Inference,
    InferenceOption,
    RandomSource,
)
from evalstats.inference.scales import ScaleName
from evalstats.mergeable import MergeableEstimator
from evalstats.results.estimate import Estimate

Array = NDArray[np.float64]
MAX_SINGLETONS = 0.5
N_RESAMPLES = 1000
SUMMARISED = "test inversion, and influence-function standard errors of differences"


class CalibrationError(ProbabilityEstimator, MergeableEstimator):
    """Binned calibration error (ECE): distance between forecast and observed frequencies.

    Rows are put into bins by their forecast; the error is the norm of the differences between
    observed frequency and mean forecast over bins, weighted by the share of rows.

    Parameters
    ----------
    binning : {"uniform", "quantile", "unique", "sweep"}
        Equal widths; equal mass, where a block of equal forecasts is never split; one bin per
        distinct forecast; or the finest equal masses whose observed frequencies do not decrease
        (Roelofs et al. 2022).
    n_bins : int, default 15
        Number of bins of the first two.
    norm : {1, 2, "max"}
        Mean absolute difference (ECE), root mean square, or largest difference (MCE).
    target : {"positive", "top_label", "classwise"}
        What the probability is about: the positive class; the predicted class and whether it is
        right (several classes); or each class in turn, averaged.
    debias : bool, default False
        Subtract the bias that finite bins cause (norms 1 and 2), and clip at 0; see
        :meth:`unclipped`.
    convention : {"scikit-learn", "torchmetrics", "netcal", "uncertainty-calibration", "relplot"}
        Reproduce the bins of another package, its treatment of edges included. None: bins are
        closed at the right, the first one at both ends, and edges are the exact fractions i / B.
    edges : {"right", "left"}
        Which end belongs to a bin of equal width or of given edges.
    bin_edges : sequence of float, optional
        Increasing edges from 0 to 1, instead of equal widths.
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.
    labels : list, optional
        Class of each column, needed when a class is absent from `y_true`.
    inference : "auto", Analytic, Bootstrap, Jackknife or NoInference
        How the sampling distribution is obtained; "auto" is the bootstrap, with
        intervals by test inversion.
    level : float, default 0.95
        Confidence level.
    nan_policy : {"raise", "omit"}
        Refuse or drop rows with missing values.

    Attributes
    ----------
    estimate_ : Estimate
        One term per model.

    Notes
    -----
    The plug-in error is biased upwards and not normal near 0. The default interval holds the
    errors that a test along a path of bins through the observed ones does not reject
    (``inference/confidence_curve.py``), so it contains 0 exactly where calibration is not rejected,
    and it may lie below the plug-in value; standard errors and comparisons are those of the
    bootstrap. The basic bootstrap interval and analytic standard errors (``sign(d) (y - p)`` per
    row) hold where every bin is clearly off; other cases are warned about. O(n) per replicate;
    quantile bins sort once.

    References
    ----------
    Naeini, Cooper and Hauskrecht (2015); Guo et al. (2017); Nixon et al. (2019); Kumar, Liang and
    Ma (2019), eq. 4 for norm 2; Roelofs et al. (2022); Broecker and Smith (2007).

    Examples
    --------
    >>> import evalstats as es
    >>> y_true = [0, 0, 1, 0, 1, 1]
    >>> y_prob = [0.1, 0.3, 0.4, 0.6, 0.7, 0.9]
    >>> ece = es.CalibrationError(n_bins=2).fit(y_true, y_prob)
    >>> round(float(ece.estimate_.value[0]), 4)
    0.0667
    """

    metric: ClassVar[str] = "Calibration error"
    verb: ClassVar[str] = "calibration-error"
    scale: ClassVar[ScaleName] = "unit"
    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    higher_is_better: ClassVar[bool | None] = False
    citation_keys: ClassVar[tuple[str, ...]] = ("naeini2015", "kumar2019")
    _analytic_by_default: ClassVar[bool] = False
    exceptions: ClassVar[Mapping[str, str]] = {
        "intervals_nest_and_stay_in_range": "the plug-in error is biased upwards: an interval for "
        "the true error may lie below it; coverage is simulated instead",
    }

    def __init__(
        self,
        *,
        binning: Binning = "uniform",
        n_bins: int = 15,
        norm: Norm = 1,
        target: Target = "positive",
        debias: bool = False,
        convention: Convention | None = None,
        edges: Edges = "right",
        bin_edges: Sequence[float] | None = None,
        pos_label: Hashable | None = None,
        labels: list[Hashable] | None = None,
        inference: InferenceOption = "auto",
        level: float = 0.95,
        nan_policy: NanPolicy = "raise",
    ) -> None:
        self.binning = binning
        self.n_bins = n_bins
        self.norm = norm
        self.target = target
        self.debias = debias
        self.convention = convention
        self.edges = edges
        self.bin_edges = bin_edges
        self.pos_label = pos_label
        self.labels = labels
        self.inference = inference
        self.level = level
        self.nan_policy = nan_policy

    def unclipped(self) -> pl.DataFrame:
        """Bias-corrected error of the fitted rows without clipping at 0.

        Returns
        -------
        polars.DataFrame
            ``metric``, ``model``, (``group``), and ``estimate``: for norm 1 the error, for norm 2
            its *square*, which is unbiased and may be averaged over data sets.

        Raises
        ------
        InputError
            If the norm is "max", for which there is no correction.
        """
        if self.norm == "max":
            raise InputError("norm='max' has no bias correction: choose norm 1 or 2")
        power = "" if self.norm == 1 else ", squared"

        def value(columns: Columns, prepared: Prepared) -> Array:
            weights = _row_weights(columns)
            return np.array(
                [
                    np.mean([corrected_error(bins.sums(weights), self.norm) for bins in models])
                    for models in prepared.models
                ]
            )

        return self._by_group(f"{self.metric}, unclipped{power}", value)

    def bins(self) -> pl.DataFrame:
        """Bins of the fitted rows, the numbers behind a reliability diagram.

        Returns
        -------
        polars.DataFrame
            One row per model (class, group) and bin that holds rows: its ends, number of rows,
            weight share, mean forecast, observed frequency, their difference and its standard
            error.
        """
        columns = self._fitted_columns()
        return bin_table(columns, self._samples(columns), self.target)

    def calibration_test(self, n_resamples: int = 999, *, rng: RandomSource = 0) -> pl.DataFrame:
        """Test of perfect calibration by consistency resampling.

        Outcomes are drawn anew with the probabilities forecast for them, independently given the
        forecasts; the p-value is the share of draws with an error at least as large.

        Parameters
        ----------
        n_resamples : int, default 999
            Number of draws. O(n) each.
        rng : int, SeedSequence, Generator or None, default 0
            Source of randomness.

        Returns
        -------
        polars.DataFrame
            The terms, then ``estimate``, ``null_mean`` (what a calibrated model would show),
            ``p_value`` and ``n``.

        Raises
        ------
        InputError
            If the rows are clustered, or the target is "classwise".
        """
        columns = self._fitted_columns()
        if columns.cluster is not None:
            raise InputError(
                "outcomes within a cluster depend on each other, which drawing them from the "
                "forecasts ignores: fit without cluster= to test"
            )
        if self.target == "classwise":
            raise InputError("target='classwise': classes are drawn together; test 'top_label'")
        return consistency_test(
            columns, self._samples(columns), self._error_of_sums, n_resamples, rng
        )

    def _check_params(self) -> None:
        super()._check_params()
        require_option("norm", self.norm, (1, 2, "max"))
        require_rule(self.rule)
        if self.debias and self.norm == "max":
            raise InputError("norm='max' has no bias correction: pass debias=False")

    @property
    def rule(self) -> Rule:
        """How forecasts are put into bins."""
        return Rule(self.binning, self.n_bins, self.edges, self.bin_edges, self.convention)

    def _validate(self, columns: Columns) -> Columns:
        single = {
            model: column.dtype == np.float32 for model, column in columns.models["y_prob"].items()
        }
        return super()._validate(columns).with_columns(single_precision=single)

    def _prepare(self, columns: Columns) -> Prepared:
        base = np.empty(0)
        if columns.weight is not None and not self._counts_rows:
            base = columns.weight
        models = []
        for model, events in model_events(columns, self.target).items():
            single = columns.extra["single_precision"][model]
            models.append([make_bins(item, self.rule, base, single) for item in events])
        prepared = Prepared(columns.n, models)
        if self.debias:
            self._refuse_singletons(columns, prepared)
        return prepared

    @property
    def _counts_rows(self) -> bool:
        """Whether weights are counts of rows."""
        method = self.inference
        return isinstance(method, Analytic) and method.weight_kind == "frequency"

    def _refuse_singletons(self, columns: Columns, prepared: Prepared) -> None:
        weights = _row_weights(columns)
        for model, sets in zip(columns.model_names, prepared.models, strict=True):
            share = max(singleton_share(bins.sums(weights)) for bins in sets)
            if share > MAX_SINGLETONS:
                raise InputError(
                    f"{100 * share:.0f}% of the weight of {model!r} lies in bins of fewer than two "
                    "rows, whose error cannot be corrected for bias: use fewer bins or "
                    "debias=False"
                )

    def _error_of_sums(self, sums: Array) -> float:
        if not self.debias:
            return plugin_error(sums, self.norm)
        corrected = corrected_error(sums, self.norm)
        clipped = float(np.clip(corrected, 0.0, None))
        return float(np.sqrt(clipped)) if self.norm == 2 else clipped

    def _evaluate(self, prepared: Prepared, weights: Array) -> Array:
        return self._values(prepared, weights, self._error_of_sums)

    def _population_value(self, prepared: Prepared, weights: Array) -> Array | None:
        if not self.debias:
            return None
        return self._values(prepared, weights, lambda sums: plugin_error(sums, self.norm))

    def _values(self, prepared: Prepared, weights: Array, error: Any) -> Array:
        return np.array(
            [
                combined_error([error(bins.sums(weights)) for bins in sets], self.norm)
                for sets in prepared.models
            ]
        )

    def _has_influence(self, columns: Columns) -> bool:  # noqa: ARG002
        return self.norm != "max"

    def _influence(self, prepared: Prepared, weights: Array) -> Array:
        influence = np.empty((prepared.n, len(prepared.models)))
        for column, sets in enumerate(prepared.models):
            parts = [error_influence(bins, weights, self.norm) for bins in sets]
            influence[:, column] = np.mean(parts, axis=0)
        if self.norm == 2:
            with np.errstate(divide="ignore", invalid="ignore"):
                influence /= 2.0 * self._evaluate(prepared, weights)
            influence[~np.isfinite(influence)] = np.nan
        return influence

    def _default_inference(self, columns: Columns) -> Inference:  # noqa: ARG002
        return Bootstrap(N_RESAMPLES, interval="basic", rng=0)

    @property
    def _inverts(self) -> bool:
        """Whether intervals come from confidence curves instead of the replicates."""
        return self.inference == "auto" and self.target != "classwise"

    def _inference_name(self, method: Inference) -> str:
        if self._inverts and not isinstance(method, Analytic):
            return f"test inversion; differences: {method.describe()}"
        return super()._inference_name(method)

    def _interval_phrase(self) -> str | None:
        if not self._inverts:
            return None
        return f"by test inversion and differences by {N_RESAMPLES} bootstrap replicates"

    def _interval_names(self, columns: Columns, method: Inference, k: int) -> list[str]:
        # An estimate from sums is analytic, whatever `inference` would choose with rows.
        if self._inverts and not isinstance(method, Analytic):
            return ["confidence_curve"] * k
        return super()._interval_names(columns, method, k)

    def _support(self, columns: Columns, prepared: Prepared) -> dict[str, Array]:
        if not self._inverts:
            return {}
        weights = _row_weights(columns)
        return _curve_support(
            [error_curve(sets[0], weights, columns.cluster, self.norm) for sets in prepared.models]
        )

    def _diagnose(self, columns: Columns, prepared: Prepared) -> list[Diagnosis]:
        weights = _row_weights(columns)
        return self._unclear([bins.sums(weights) for sets in prepared.models for bins in sets])

    def _unclear(self, sums: list[Array]) -> list[Diagnosis]:
        """Warning where bins lie so near to calibration that the analytic error fails."""
        if not isinstance(self.inference, Analytic):
            return []
        share = max(share_of_unclear_signs(own) for own in sums)
        if share == 0:
            return []
        message = (
            f"bins with {100 * share:.0f}% of the weight are within two standard errors of "
            "calibration: the analytic standard error of the calibration error is unreliable there"
        )
        return [("near-calibrated", message)]

    def _remarks(self, columns: Columns) -> list[str]:  # noqa: ARG002
        about = {"positive": "positive class", "top_label": "top label", "classwise": "each class"}
        rule = f"{self.n_bins} {self.binning} bins"
        if self.bin_edges is not None:
            rule = f"{len(self.bin_edges) - 1} given bins"
        elif self.binning in ("unique", "sweep"):
            rule = f"{self.binning} bins"
        convention = f" as in {self.convention}" if self.convention else ""
        corrected = ", bias corrected" if self.debias else ""
        return [f"{about[self.target]}; {rule}{convention}; norm {self.norm}{corrected}"]

    def _analytic_name(self, columns: Columns) -> str:  # noqa: ARG002
        return "influence-function standard errors with the sign of each bin held fixed"

    # Mergeable states -----------------------------------------------------------------------

    def _summarise(self, columns: Columns, options: dict[str, Any]) -> pl.DataFrame:
        if options:
            raise InputError(f"{', '.join(options)}: a state of bins has no options")
        models = zip(columns.model_names, self._prepare(columns).models, strict=True)
        fixed = self.binning != "unique"
        paired = self.norm != "max"
        return summarised_models(dict(models), _row_weights(columns), fixed, paired)

    def _fit_state(self) -> dict[str, Any] | None:
        quantile = self.binning != "uniform" and self.bin_edges is None
        return None if quantile or self.debias or not self._is_analytic else {}

    def _merge(self, tables: list[pl.DataFrame]) -> pl.DataFrame:
        return merged_bins(tables)

    def _from_summary(self, table: pl.DataFrame, options: dict[str, Any]) -> Estimate:
        if options:
            raise InputError(f"{', '.join(options)}: a state of bins has no options")
        sums = set_sums(table, self._counts_rows)
        models, values, covariance = summarised_errors(
            table, [self._error_of_sums(own) for own in sums], self.norm
        )
        size = sample_size(table)
        terms = pl.DataFrame({"metric": [self.metric] * len(models), "model": models})
        counts = np.full(len(values), size.n, dtype=np.int64)
        unclear = self._unclear(sums)
        estimate = self._merged_estimate(size, terms, values, covariance, counts, unclear)
        if not self._inverts:
            return estimate
        # Intervals need no more than the sums; errors and differences are analytic.
        return replace(
            estimate,
            inference=f"test inversion; differences: {estimate.inference}",
            interval=("confidence_curve",) * len(models),
            support=_curve_support(summarised_curves(table, self.norm)),
            method_text=estimate.method_text.replace(self._analytic_name(size), SUMMARISED),
        )

    # What methods of the fitted estimator share ---------------------------------------------

    def _samples(self, columns: Columns) -> list[tuple[str | None, Columns, Prepared]]:
        """Label, columns and bins of each group, or of all rows."""
        return [(group, sample, self._prepare(sample)) for group, sample in groups_of(columns)]

    def _by_group(self, metric: str, value: Any) -> pl.DataFrame:
        columns = self._fitted_columns()
        rows: list[dict[str, object]] = []
        for group, sample, prepared in self._samples(columns):
            label = {} if group is None else {"group": group}
            rows += [
                {"metric": metric, "model": model, **label, "estimate": float(item)}
                for model, item in zip(sample.model_names, value(sample, prepared), strict=True)
            ]
        return pl.DataFrame(rows)


def _curve_support(curves: list[ConfidenceCurve]) -> dict[str, Array]:
    return {
        f"curve_{name}": np.stack([getattr(curve, name) for curve in curves], axis=1)
        for name in ("value", "above", "below")
    }


def _row_weights(columns: Columns) -> Array:
    return np.ones(columns.n) if columns.weight is None else columns.weight
