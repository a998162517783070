"""The Brier score."""

from collections.abc import Hashable, Sequence
from typing import ClassVar, Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from evalstats.calibration.binned_terms import ForecastBinning, murphy_terms
from evalstats.calibration.corp import CorpScore
from evalstats.calibration.probabilities import require_option
from evalstats.calibration.proper_scores import ProperScore, ScoreTarget, target_of
from evalstats.calibration.rows import binary_rows
from evalstats.calibration.samples import group_samples
from evalstats.calibration.score_kernels import mean_squared_error, squared_errors
from evalstats.data.columns import Columns
from evalstats.data.intake import NanPolicy
from evalstats.inference.methods import InferenceOption
from evalstats.options import typed_options

Array = NDArray[np.float64]
HALVES: tuple[object, ...] = ("auto", True, False)


class BrierScore(ProperScore):
    """Brier score: the mean squared error of probabilities.

    Estimates ``E (y - p)^2``, a proper score: only the true probability minimises it. With
    ``target="multiclass"`` squared errors are summed over classes.

    Parameters
    ----------
    target : {"positive", "multiclass"}
        One column for each model, the probability of the positive class, or one column for each
        class.
    scale_by_half : {"auto"} or bool, default "auto"
        Halve the sum over classes. ``"auto"`` halves it for two classes, so that both ways to
        write a binary forecast agree, and leaves it for more, as scikit-learn does.
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
        One term per model (and group).

    Notes
    -----
    O(n) to prepare and O(n) per replicate. States of parts merge exactly.

    References
    ----------
    Brier (1950); Murphy (1973), Journal of Applied Meteorology 12; Dimitriadis, Gneiting and
    Jordan (2021), PNAS 118.

    Examples
    --------
    >>> import evalstats as es
    >>> y_true = [0, 1, 1, 0, 1, 0, 1, 1]
    >>> y_prob = {
    ...     "a": [0.1, 0.8, 0.7, 0.3, 0.9, 0.4, 0.6, 0.5],
    ...     "b": [0.2, 0.6, 0.6, 0.4, 0.7, 0.5, 0.5, 0.4],
    ... }
    >>> es.BrierScore().fit(y_true, y_prob).estimate_.value.round(4).tolist()
    [0.1013, 0.1838]
    """

    metric: ClassVar[str] = "Brier score"
    verb: ClassVar[str] = "brier-score"
    value_range: ClassVar[tuple[float, float]] = (0.0, 2.0)
    corp_score: ClassVar[CorpScore] = "brier"
    citation_keys: ClassVar[tuple[str, ...]] = ("brier1950",)

    def __init__(
        self,
        *,
        target: ScoreTarget = "positive",
        scale_by_half: Literal["auto"] | bool = "auto",
        pos_label: Hashable | None = None,
        labels: list[Hashable] | None = None,
        inference: InferenceOption = "auto",
        level: float = 0.95,
        nan_policy: NanPolicy = "raise",
    ) -> None:
        self.target = target
        self.scale_by_half = scale_by_half
        self.pos_label = pos_label
        self.labels = labels
        self.inference = inference
        self.level = level
        self.nan_policy = nan_policy

    def decompose_by_bins(
        self,
        *,
        n_bins: int = 10,
        bin_edges: Sequence[float] | None = None,
        binning: ForecastBinning = "uniform",
        unbiased: bool = False,
    ) -> pl.DataFrame:
        """Murphy's decomposition of the fitted score over bins of the forecasts.

        Parameters
        ----------
        n_bins, bin_edges, binning, unbiased
            As in :func:`evalstats.murphy_decomposition`.

        Returns
        -------
        polars.DataFrame
            ``model``, ``group`` (if grouped) and the terms of the decomposition.

        Raises
        ------
        InputError
            If the estimator is not fitted, or was fitted to a matrix of class probabilities.
        """
        frames = []
        for labels, sample in group_samples(self._fitted_columns(), "a decomposition"):
            weights = np.ones(sample.n) if sample.weight is None else sample.weight
            for model, forecast in sample.models["y_prob"].items():
                terms = murphy_terms(
                    forecast,
                    sample.single["y_true"],
                    weights,
                    n_bins=n_bins,
                    bin_edges=bin_edges,
                    binning=binning,
                    unbiased=unbiased,
                )
                frames.append(pl.DataFrame({"model": [model], **labels, **terms}))
        return pl.concat(frames)

    def _check_params(self) -> None:
        super()._check_params()
        require_option("scale_by_half", self.scale_by_half, HALVES)

    def _losses(self, columns: Columns, forecast: Array, model: str) -> Array:  # noqa: ARG002
        y_true = columns.single["y_true"]
        if forecast.ndim == 1:
            out = np.empty(len(forecast))
            squared_errors(forecast, y_true, 2.0 if self.scale_by_half is False else 1.0, out)
            return out
        # sum (e_k - p_k)^2 = 1 - 2 p_y + sum p_k^2, without a matrix of indicators.
        given = forecast[np.arange(len(forecast)), y_true]
        total = np.einsum("ij,ij->i", forecast, forecast) - 2.0 * given + 1.0
        halved = self.scale_by_half is True or (
            self.scale_by_half == "auto" and forecast.shape[1] <= 2
        )
        return np.asarray(0.5 * total if halved else total)


@typed_options
def brier_score(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    scale_by_half: Literal["auto"] | bool = "auto",
    pos_label: Hashable | None = None,
    labels: list[Hashable] | None = None,
) -> float:
    """Brier score of one model, as a plain number.

    Parameters
    ----------
    y_true : array-like (n,)
        Labels: 0/1, boolean, or two values with `pos_label`; classes with a matrix.
    y_prob : array-like (n,) or (n, k)
        Probability of the positive class, or of each class.
    sample_weight : array-like (n,), optional
        Non-negative weights.
    scale_by_half : {"auto"} or bool, default "auto"
        Halve the sum over classes; ``"auto"`` does so for two classes.
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.
    labels : list, optional
        Class of each column, needed when a class is absent from `y_true`.

    Returns
    -------
    float
        Mean squared error; 0 is perfect.

    Raises
    ------
    InputError
        If the input cannot be used.

    Notes
    -----
    One pass, O(n).

    Examples
    --------
    >>> import evalstats as es
    >>> round(es.brier_score([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.3]), 4)
    0.0375
    """
    require_option("scale_by_half", scale_by_half, HALVES)
    target = target_of(y_prob)
    if target == "positive" and np.ndim(y_prob) == 1:
        rows = binary_rows(y_true, y_prob, sample_weight, pos_label)
        value = float(mean_squared_error(rows.forecast, rows.outcome, rows.given_weights))
        return 2.0 * value if scale_by_half is False else value
    estimator = BrierScore(
        target=target, scale_by_half=scale_by_half, pos_label=pos_label, labels=labels
    )
    columns = estimator.point_columns({"y_true": y_true, "y_prob": y_prob}, sample_weight)
    return estimator.point_value(columns)
