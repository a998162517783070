"""Log loss, the logarithmic score."""

from collections.abc import Hashable, Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalstats.calibration.corp import CorpScore
from evalstats.calibration.kernels import weighted_row_means
from evalstats.calibration.means import RowValues
from evalstats.calibration.probabilities import require_option
from evalstats.calibration.proper_scores import ProperScore, ScoreTarget, target_of
from evalstats.calibration.rows import binary_rows
from evalstats.calibration.score_kernels import log_losses, mean_log_loss
from evalstats.data.columns import Column, Columns
from evalstats.data.intake import NanPolicy
from evalstats.estimator import Diagnosis
from evalstats.inference.methods import InferenceOption
from evalstats.options import typed_options

Array = NDArray[np.float64]
Clip = Literal["eps"]


class LogLoss(ProperScore):
    """Log loss: the mean of minus the log of the probability given to what happened.

    Estimates ``-E log p(y)``, a proper score. One event of probability zero that happens costs
    infinity: by default forecasts are clipped as scikit-learn clips them, and the result says how
    many rows that concerns.

    Parameters
    ----------
    target : {"positive", "multiclass"}
        One column for each model, the probability of the positive class, or one column for each
        class.
    clip : "eps" or None, default "eps"
        Clip forecasts to [eps, 1 - eps], eps being the spacing of the numbers at 1 in the type in
        which the forecasts came; None leaves them, and the loss may be infinite.
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
        One term per model (and group), in nats.

    Notes
    -----
    O(n) to prepare and O(n) per replicate. States of parts merge exactly.

    References
    ----------
    Good (1952), Journal of the Royal Statistical Society B 14; Dimitriadis, Gneiting and Jordan
    (2021), PNAS 118.

    Examples
    --------
    >>> import evalstats as es
    >>> y_true = [0, 1, 1, 0, 1, 0, 1, 1]
    >>> y_prob = {
    ...     "a": [0.1, 0.8, 0.7, 0.3, 0.9, 0.4, 0.6, 0.5],
    ...     "b": [0.2, 0.6, 0.6, 0.4, 0.7, 0.5, 0.5, 0.4],
    ... }
    >>> es.LogLoss().fit(y_true, y_prob).estimate_.value.round(4).tolist()
    [0.3578, 0.5519]
    """

    metric: ClassVar[str] = "Log loss"
    verb: ClassVar[str] = "log-loss"
    value_range: ClassVar[tuple[float, float]] = (0.0, np.inf)
    corp_score: ClassVar[CorpScore] = "log"
    citation_keys: ClassVar[tuple[str, ...]] = ("good1952",)
    exceptions: ClassVar[Mapping[str, str]] = {
        "dtypes_of_numbers": "clipping follows the type of the forecasts, as in scikit-learn",
    }

    def __init__(
        self,
        *,
        target: ScoreTarget = "positive",
        clip: Clip | None = "eps",
        pos_label: Hashable | None = None,
        labels: list[Hashable] | None = None,
        inference: InferenceOption = "auto",
        level: float = 0.95,
        nan_policy: NanPolicy = "raise",
    ) -> None:
        self.target = target
        self.clip = clip
        self.pos_label = pos_label
        self.labels = labels
        self.inference = inference
        self.level = level
        self.nan_policy = nan_policy

    def _check_params(self) -> None:
        super()._check_params()
        require_option("clip", self.clip, ("eps", None))

    def _validate(self, columns: Columns) -> Columns:
        # The type in which forecasts came sets what scikit-learn clips to.
        spacing = {
            model: spacing_at_one(given) for model, given in columns.models["y_prob"].items()
        }
        return super()._validate(columns).with_columns(spacing=spacing)

    def _losses(self, columns: Columns, forecast: Array, model: str) -> Array:
        clip = columns.extra["spacing"][model] if self.clip == "eps" else 0.0
        y_true = columns.single["y_true"]
        out = np.empty(len(forecast))
        if forecast.ndim == 1:
            log_losses(forecast, y_true, clip, out)
            return out
        given = np.ascontiguousarray(forecast[np.arange(len(forecast)), y_true])
        log_losses(given, np.ones(len(given), dtype=np.bool_), clip, out)
        return out

    def _evaluate(self, prepared: RowValues, weights: Array) -> Array:
        if self.clip is None and not bool(np.isfinite(prepared.values).all()):
            present = np.where(weights > 0, prepared.values, 0.0)
            return weighted_row_means(present, weights)
        return super()._evaluate(prepared, weights)

    def _influence(self, prepared: RowValues, weights: Array) -> Array:
        with np.errstate(invalid="ignore"):
            return super()._influence(prepared, weights)

    def _diagnose(self, columns: Columns, prepared: RowValues) -> list[Diagnosis]:
        found = self._impossible(columns.model_names, self._event_tallies(columns, prepared))
        if not np.isfinite(prepared.values).all():
            return found
        return [*found, *super()._diagnose(columns, prepared)]

    def _remarks(self, columns: Columns) -> list[str]:
        if self.clip is None:
            return []
        clipped = columns.extra.get("rows:clipped")
        models = columns.extra.get("terms", columns.model_names)
        if clipped is None:
            clipped = self._clipped(columns)
        return [
            f"{model}: {count} rows clipped"
            for model, count in zip(models, clipped, strict=True)
            if count
        ]

    def _clipped(self, columns: Columns) -> list[int]:
        """Rows of each model that clipping changes."""
        return [
            int(_outside(forecast, columns.extra["spacing"][model]).sum())
            for model, forecast in columns.models["y_prob"].items()
        ]

    def _tallies(self, columns: Columns, prepared: RowValues) -> dict[str, list[Any]]:
        return {**super()._tallies(columns, prepared), **self._event_tallies(columns, prepared)}

    def _event_tallies(self, columns: Columns, prepared: RowValues) -> dict[str, list[Any]]:
        spacing = columns.extra["spacing"]
        worst = [-np.log(spacing[model]) * (1 - 1e-9) for model in columns.model_names]
        impossible = [
            int((values >= limit).sum())
            for values, limit in zip(prepared.values, worst, strict=True)
        ]
        return {
            "rows:impossible": impossible,
            "rows:clipped": self._clipped(columns),
            "same:spacing": [spacing[model] for model in columns.model_names],
        }

    def _summary_diagnoses(self, columns: Columns) -> list[Diagnosis]:
        found = self._impossible(list(columns.extra["terms"]), columns.extra)
        return [*found, *super()._summary_diagnoses(columns)]

    def _impossible(self, models: list[Any], tallies: Mapping[str, Any]) -> list[Diagnosis]:
        found = []
        counts = (tallies[name] for name in ("rows:impossible", "rows:clipped", "same:spacing"))
        for model, impossible, changed, spacing in zip(models, *counts, strict=True):
            if impossible and self.clip is None:
                message = f"{model}: {impossible} rows had probability 0: the log loss is infinite"
                found.append(("impossible-events", message))
            elif impossible:
                message = (
                    f"{model}: {impossible} rows had probability 0 (or less than {spacing:.2g}): "
                    f"their infinite loss counts as {-np.log(spacing):.1f}, because clip='eps' "
                    f"clipped {changed} rows"
                )
                found.append(("impossible-events", message))
        return found


def _outside(forecast: Array, spacing: float) -> NDArray[np.bool_]:
    """Rows that clipping changes."""
    changed = (forecast < spacing) | (forecast > 1.0 - spacing)
    return np.asarray(changed if changed.ndim == 1 else changed.any(axis=1))


def spacing_at_one(given: Column) -> float:
    """Machine epsilon of float columns; that of float64 for all other types."""
    half_or_single = given.dtype in (np.float16, np.float32)
    return float(np.finfo(given.dtype if half_or_single else np.float64).eps)


@typed_options
def log_loss(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    clip: Clip | None = "eps",
    pos_label: Hashable | None = None,
    labels: list[Hashable] | None = None,
) -> float:
    """Log loss of one model, as a plain number.

    Parameters
    ----------
    y_true : array-like (n,)
        Labels: 0/1, boolean, or two values with `pos_label`; classes with a matrix.
    y_prob : array-like (n,) or (n, k)
        Probability of the positive class, or of each class.
    sample_weight : array-like (n,), optional
        Non-negative weights.
    clip : "eps" or None, default "eps"
        Clip forecasts to [eps, 1 - eps] of their type, as scikit-learn does; None may return
        infinity.
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.
    labels : list, optional
        Class of each column, needed when a class is absent from `y_true`.

    Returns
    -------
    float
        Mean loss in nats; 0 is perfect.

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
    >>> round(es.log_loss([0, 1, 1, 0], [0.1, 0.9, 0.8, 0.3]), 4)
    0.1976
    >>> es.log_loss([0, 1], [0.5, 0.0], clip=None)
    inf
    """
    require_option("clip", clip, ("eps", None))
    target = target_of(y_prob)
    if target == "positive" and np.ndim(y_prob) == 1 and clip == "eps":
        rows = binary_rows(y_true, y_prob, sample_weight, pos_label)
        return float(
            mean_log_loss(
                rows.forecast, rows.outcome, spacing_at_one(np.asarray(y_prob)), rows.given_weights
            )
        )
    estimator = LogLoss(target=target, clip=clip, pos_label=pos_label, labels=labels)
    columns = estimator.point_columns({"y_true": y_true, "y_prob": y_prob}, sample_weight)
    return estimator.point_value(columns)
