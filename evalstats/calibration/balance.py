"""Balance score: signed distance between how often a model is right and how sure it is."""

from collections.abc import Hashable
from itertools import combinations
from typing import ClassVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.calibration.balance_tests import Closeness, cancellation_row, closeness, null_row
from evalstats.calibration.kernels import signed_errors
from evalstats.calibration.means import MeanScore, RowValues, model_terms
from evalstats.calibration.probabilities import Target, model_events, require_option
from evalstats.calibration.samples import groups_of
from evalstats.data.columns import Columns
from evalstats.data.intake import NanPolicy
from evalstats.errors import InputError
from evalstats.estimator import Diagnosis
from evalstats.inference.methods import InferenceOption
from evalstats.results.estimate import Estimate

Array = NDArray[np.float64]
PARTS = (
    "Balance score",
    "Balance, confident half",
    "Balance, other half",
    "Calibration-in-the-large",
    "Accuracy",
    "Mean confidence",
)


class BalanceScore(MeanScore):
    """Balance score: accuracy minus mean confidence, above 0 if under-confident.

    Each row contributes ``y - p`` where ``p >= 1/2`` and ``p - y`` elsewhere, so the mean is the
    accuracy of the rule ``p >= 1/2`` minus the mean of ``max(p, 1 - p)``. It needs no bins and has
    no bias in small samples, but errors that cancel are invisible to it: look at
    :meth:`components` and :meth:`cancellation`, and never rank models by it alone.

    Parameters
    ----------
    target : {"positive", "top_label"}
        Whether a model brings the probability of the positive class or of every class. With
        several classes the predicted class is the first one of largest probability.
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.
    labels : list, optional
        Class of each column, needed when a class is absent from `y_true`.
    inference : "auto", Analytic, Bootstrap, Jackknife or NoInference
        How the sampling distribution is obtained; "auto" is the t interval of a mean.
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
    Its absolute value is at most the true calibration error, and equals it where the model is
    over-confident everywhere or under-confident everywhere. The score is not proper: a constant
    forecast at the base rate has 0. O(n).

    References
    ----------
    Choi, Kim and Lee (2023), arXiv:2309.06248.

    Examples
    --------
    >>> import evalstats as es
    >>> y_true, y_prob = [0, 0, 1, 1, 0, 1], [0.1, 0.4, 0.35, 0.8, 0.2, 0.7]
    >>> balance = es.BalanceScore().fit(y_true, y_prob)
    >>> balance.estimate_.value.round(4).tolist()
    [0.0917]
    """

    metric: ClassVar[str] = "Balance score"
    verb: ClassVar[str] = "balance-score"
    value_range: ClassVar[tuple[float, float]] = (-1.0, 0.5)
    citation_keys: ClassVar[tuple[str, ...]] = ("choi2023",)

    def __init__(
        self,
        *,
        target: Target = "positive",
        pos_label: Hashable | None = None,
        labels: list[Hashable] | None = None,
        inference: InferenceOption = "auto",
        level: float = 0.95,
        nan_policy: NanPolicy = "raise",
    ) -> None:
        self.target = target
        self.pos_label = pos_label
        self.labels = labels
        self.inference = inference
        self.level = level
        self.nan_policy = nan_policy

    def components(self) -> Estimate:
        """What the score is made of, jointly estimated on the fitted rows.

        Returns
        -------
        Estimate
            Per model the score; its parts from rows with ``p >= 1/2`` and from the others, which
            add up to it; calibration-in-the-large, their difference (mean label minus mean
            probability); accuracy and mean confidence. With several classes only score, accuracy
            and mean confidence.
        """
        parts = _BalanceComponents(**self.get_params())
        return parts._estimate(self._fitted_columns())

    def null_test(self) -> pl.DataFrame:
        """Exact test of whether the score is further from 0 than that of a calibrated model.

        Given calibrated forecasts and independent rows, the number of correct predictions is a sum
        of Bernoulli variables with the stated confidences. Without weights and up to 5,000 rows
        the p-value is the mid-p of this Poisson-binomial law; with weights or more rows it is
        normal with the exact variance. Clustered rows are not independent: they get the t test of
        a mean over clusters.

        Returns
        -------
        polars.DataFrame
            ``metric``, ``model`` (``group``), ``estimate``, ``statistic`` (standardised score),
            ``p_value`` (two-sided), ``method`` and ``n``.
        """
        columns = self._fitted_columns()
        if columns.cluster is not None:
            tested = self.estimate_.test(0.0).drop("standard_error", "null", "p_adjusted", "adjust")
            method = pl.lit("t over clusters").alias("method")
            return tested.select(pl.exclude("n"), method, pl.col("n"))
        rows = []
        for group, sample in groups_of(columns):
            weights = np.ones(sample.n) if sample.weight is None else sample.weight
            for model, events in model_events(sample, "top_label").items():
                label = {"metric": self.metric, "model": model}
                label |= {} if group is None else {"group": group}
                rows.append(label | null_row(events[0], weights, sample.weight is not None))
        return pl.DataFrame(rows)

    def cancellation(self, n_bins: int = 15) -> pl.DataFrame:
        """How much miscalibration the score cannot see because errors of both signs cancel.

        Parameters
        ----------
        n_bins : int, default 15
            Bins of equal width for the comparison with the calibration error.

        Returns
        -------
        polars.DataFrame
            ``model`` (``group``), the score, ``calibration_error`` (bias corrected),
            ``cancellation`` (1 minus their ratio; NaN where the error is 0), ``p_value`` of the
            chi-square test that all bins are calibrated, and ``cancels``: whether that test
            rejects at the 5% level although more than half of the error cancels.
        """
        columns = self._fitted_columns()
        rows = []
        for group, sample in groups_of(columns):
            weights = np.ones(sample.n) if sample.weight is None else sample.weight
            base = np.empty(0) if sample.weight is None else sample.weight
            scores = self._evaluate(self._prepare(sample), weights)
            for (model, events), score in zip(
                model_events(sample, self.target).items(), scores, strict=True
            ):
                label = {"model": model} | ({} if group is None else {"group": group})
                rows.append(label | cancellation_row(events[0], weights, base, score, n_bins))
        return pl.DataFrame(rows)

    def closer_to_zero(self, reference: str | None = None) -> pl.DataFrame:
        """Differences of absolute scores: which model is closer to balance.

        Parameters
        ----------
        reference : str, optional
            Compare every other model with this one; None compares all pairs.

        Returns
        -------
        polars.DataFrame
            ``model``, ``reference``, (``group``), ``estimate`` (absolute score less
            that of the reference),
            its standard error, interval and p-value, and ``method``: "delta" where both scores
            are clearly off 0, else "parametric bootstrap" from their joint normal distribution.
        """
        estimate = self.estimate_
        rows = []
        groups = estimate.terms["group"].unique(maintain_order=True) if self._grouped else [None]
        for group in groups:
            part = estimate if group is None else estimate.select(group=group)
            names = part.terms["model"].to_list()
            pairs = list(combinations(range(len(names)), 2))
            if reference is not None:
                if reference not in names:
                    raise InputError(f"reference={reference!r} is no model: choose from {names}")
                base = names.index(reference)
                pairs = [(row, base) for row in range(len(names)) if row != base]
            for first, second in pairs:
                found: Closeness = closeness(part, first, second)
                label = {"model": names[first], "reference": names[second]}
                rows.append(label | ({} if group is None else {"group": group}) | found)
        return pl.DataFrame(rows)

    @property
    def _grouped(self) -> bool:
        return "group" in self.estimate_.terms.columns

    def _check_params(self) -> None:
        super()._check_params()
        require_option("target", self.target, ("positive", "top_label"))

    def _row_values(self, columns: Columns) -> Array:
        values = np.empty((len(columns.model_names), columns.n))
        for row, events in zip(values, model_events(columns, self.target).values(), strict=True):
            # A confidence is the probability of the predicted class, so it always predicts itself.
            if columns.extra["classes"] is None:
                signed_errors(events[0].forecast, events[0].outcome, row)
            else:
                np.subtract(events[0].outcome, events[0].forecast, out=row)
        return values

    def _diagnose(self, columns: Columns, prepared: RowValues) -> list[Diagnosis]:
        found = super()._diagnose(columns, prepared)
        weights = np.ones(columns.n) if columns.weight is None else columns.weight
        base = np.empty(0) if columns.weight is None else columns.weight
        scores = self._evaluate(prepared, weights)
        events = model_events(columns, self.target)
        for (model, items), score in zip(events.items(), scores, strict=True):
            row = cancellation_row(items[0], weights, base, float(score), 15)
            if row["cancels"]:
                message = (
                    f"{100 * row['cancellation']:.0f}% of the calibration error of {model!r} "
                    "cancels in its Balance score: see components() and CalibrationError"
                )
                found.append(("cancelling-errors", message))
        return found


class _BalanceComponents(BalanceScore):
    """The parts of the score as terms of one estimate; not a metric of its own."""

    def _terms(self, columns: Columns) -> list[dict[str, Hashable]]:
        parts = PARTS if columns.extra["classes"] is None else (PARTS[0], *PARTS[4:])
        return [term for part in parts for term in model_terms(part, columns)]

    def _row_values(self, columns: Columns) -> Array:
        balance = super()._row_values(columns)
        top = [events[0] for events in model_events(columns, "top_label").values()]
        correct = np.stack([events.outcome for events in top]).astype(np.float64)
        confidence = np.stack([events.forecast for events in top])
        if columns.extra["classes"] is not None:
            return np.concatenate([balance, correct, confidence])
        positive = np.stack([column >= 0.5 for column in columns.models["y_prob"].values()])
        high, low = np.where(positive, balance, 0.0), np.where(positive, 0.0, balance)
        return np.concatenate([balance, high, low, high - low, correct, confidence])

    def _diagnose(self, columns: Columns, prepared: RowValues) -> list[Diagnosis]:  # noqa: ARG002
        return []
