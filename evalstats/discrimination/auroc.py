"""Area under the ROC curve."""

from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalstats.data.columns import Columns
from evalstats.data.intake import NanPolicy
from evalstats.discrimination.curve_bands import CurveKind
from evalstats.discrimination.kernels import (
    auroc_influence,
    partial_auroc,
)
from evalstats.discrimination.point import standardised_partial_auroc
from evalstats.discrimination.ranked import Average, Component, Multiclass
from evalstats.discrimination.summary import MergeableRanking
from evalstats.errors import InputError
from evalstats.inference.methods import Bootstrap, Inference, InferenceOption
from evalstats.inference.scales import ScaleName
from evalstats.kernels.classes import ranked_auroc, unweighted_auroc
from evalstats.options import typed_options

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


class AUROC(MergeableRanking):
    """Area under the ROC curve: the probability that a positive outranks a negative.

    Estimates ``P(s+ > s-) + P(s+ = s-) / 2`` with DeLong's covariance over all models, clustered
    and weighted generalisations, and intervals on the logit scale.

    Parameters
    ----------
    max_fpr : float in (0, 1] or None
        Standardised partial area up to this false positive rate (McClish 1989); 1 and None give
        the full area. Partial areas have no closed-form influence: the default inference is then
        the bootstrap.
    multiclass : {"raise", "ovr", "ovo"}
        How more than two classes are handled: refused, each class against the rest, or pairs of
        classes (Hand and Till 2001). Scores then have one column per class.
    average : {"macro", "weighted"} or None
        Mean over classes or pairs; None gives one term per class (``"ovr"`` only).
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.
    labels : list, optional
        Class of each score column, needed when a class is absent from `y_true`.
    normalize : bool, default True
        Require rows of class scores to sum to 1.
    direction : {"higher", "lower"}
        Whether higher or lower scores mean positive; never guessed from the data.
    interval : {"logit", "wald"}
        Scale of the analytic interval; ``"wald"`` is pROC's, clipped to [0, 1]. At 0 and 1 it is
        Newcombe's method 5 (2006), never a single point.
    on_undefined : {"raise", "nan"}
        What to do when a class is empty.
    inference : "auto", Analytic, Bootstrap, Jackknife or NoInference
        How the sampling distribution is obtained; "auto" is DeLong's method.
    level : float, default 0.95
        Confidence level.
    nan_policy : {"raise", "omit"}
        Refuse or drop rows with missing values.

    Attributes
    ----------
    estimate_ : Estimate
        One term per model (and class or group).

    Notes
    -----
    Preparing costs one sort, O(n log n) per model; a bootstrap replicate and the influence values
    cost one pass, O(n); the covariance of k models O(k^2 n).

    References
    ----------
    DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44, eq. 5-6; Sun and Xu (2014); Obuchowski
    (1997) for clusters; Newcombe (2006); McClish (1989); Hand and Till (2001).

    Examples
    --------
    >>> import evalstats as es
    >>> y_true = [0, 0, 1, 1, 0, 1, 0, 1]
    >>> scores = {"a": [0.1, 0.4, 0.35, 0.8, 0.2, 0.7, 0.5, 0.6], "b": [1, 2, 2, 3, 3, 1, 2, 3]}
    >>> auc = es.AUROC().fit(y_true, scores)
    >>> auc.estimate_.value.round(4).tolist()
    [0.875, 0.5938]
    """

    metric: ClassVar[str] = "AUROC"
    verb: ClassVar[str] = "auroc"
    curve_kind: ClassVar[CurveKind] = "roc"
    bounds_prefix: ClassVar[str] = "auroc"
    boundary_counts: ClassVar[tuple[str, ...]] = ("n_positive", "n_negative")
    scale: ClassVar[ScaleName] = "logit"
    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    higher_is_better: ClassVar[bool | None] = True
    citation_keys: ClassVar[tuple[str, ...]] = ("delong1988", "sunxu2014")

    def __init__(
        self,
        *,
        max_fpr: float | None = None,
        multiclass: Multiclass = "raise",
        average: Average | None = "macro",
        pos_label: Hashable | None = None,
        labels: list[Hashable] | None = None,
        normalize: bool = True,
        direction: Literal["higher", "lower"] = "higher",
        interval: Literal["logit", "wald"] = "logit",
        on_undefined: Literal["raise", "nan"] = "raise",
        inference: InferenceOption = "auto",
        level: float = 0.95,
        nan_policy: NanPolicy = "raise",
    ) -> None:
        self.max_fpr = max_fpr
        self.multiclass = multiclass
        self.average = average
        self.pos_label = pos_label
        self.labels = labels
        self.normalize = normalize
        self.direction = direction
        self.interval = interval
        self.on_undefined = on_undefined
        self.inference = inference
        self.level = level
        self.nan_policy = nan_policy

    def plot(self, ax: "Axes | None" = None, *, n_resamples: int = 200, **options: Any) -> "Axes":
        """Draw the curve of every model with a pointwise bootstrap band.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure at paper column width by default.
        n_resamples : int, default 200
            Replicates of the band; 0 draws none.
        **options
            As in :func:`evalstats.results.displays.plot_roc_curves`.

        Returns
        -------
        matplotlib Axes
            The axes drawn on. With several classes the estimates are drawn instead.
        """
        from evalstats.results.displays import plot_roc_curves

        if self.multiclass != "raise":
            return super().plot(ax, **options)
        curves = self.curves(n_resamples=n_resamples)
        return plot_roc_curves(curves, ax=ax, **options)

    def _check_params(self) -> None:
        super()._check_params()
        require_max_fpr(self.max_fpr)
        if self._is_partial_area and self.multiclass != "raise":
            raise InputError("max_fpr is defined for two classes only: leave multiclass='raise'")
        if self.interval not in ("logit", "wald"):
            raise InputError(f"interval={self.interval!r}: choose 'logit' or 'wald'")

    @property
    def _is_partial_area(self) -> bool:
        return self.max_fpr is not None and self.max_fpr < 1

    def _has_influence(self, columns: Columns) -> bool:  # noqa: ARG002
        return not self._is_partial_area

    def _default_inference(self, columns: Columns) -> Inference:
        if self._is_partial_area:
            return Bootstrap(stratify=None if columns.cluster is not None else "y_true", rng=0)
        return super()._default_inference(columns)

    def _statistic(self, component: Component, weights: Array) -> float:
        if self.max_fpr is not None and self._is_partial_area:
            area = partial_auroc(*component.ranking, weights, self.max_fpr)
            return standardised_partial_auroc(area, self.max_fpr)
        return ranked_auroc(*component.ranking, weights)

    def _statistic_influence(self, component: Component, weights: Array) -> Array:
        return auroc_influence(*component.ranking, weights)

    @property
    def _strata_are_classes(self) -> bool:
        # DeLong scales by class. With several classes rows, and so class shares, are random.
        return self.multiclass == "raise"

    def _analytic_interval(self, columns: Columns) -> str:  # noqa: ARG002
        return self.interval

    def _analytic_name(self, columns: Columns) -> str:
        if columns.cluster is not None:
            return f"the cluster-robust DeLong method ({self.interval} interval, t reference)"
        return f"DeLong's method ({self.interval} interval)"


@typed_options
def auroc(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    max_fpr: float | None = None,
    pos_label: Hashable | None = None,
) -> float:
    """Area under the ROC curve of one model, as a plain number.

    Parameters
    ----------
    y_true : array-like (n,)
        Labels: 0/1, boolean, or two values with `pos_label`.
    y_score : array-like (n,)
        Scores; higher means positive. Tied pairs count one half.
    sample_weight : array-like (n,), optional
        Non-negative weights.
    max_fpr : float in (0, 1], optional
        Standardised partial area up to this false positive rate (McClish 1989).
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.

    Returns
    -------
    float
        Value in [0, 1].

    Raises
    ------
    InputError
        If the input cannot be used or one class is empty.

    Notes
    -----
    O(n log n) by one sort of each class and a merge; exact in integers without weights.

    Examples
    --------
    >>> import evalstats as es
    >>> es.auroc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    estimator = AUROC(max_fpr=max_fpr, pos_label=pos_label)
    columns = estimator.point_columns({"y_true": y_true, "y_score": y_score}, sample_weight)
    y, scores = columns.single["y_true"], columns.models["y_score"]["y_score"]
    if sample_weight is None and max_fpr in (None, 1):
        value = unweighted_auroc(y, scores)
        if np.isfinite(value):
            return value
    return estimator.point_value(columns)


def require_max_fpr(max_fpr: float | None) -> None:
    """Refuse a false positive rate outside (0, 1]."""
    if max_fpr is not None and not 0 < max_fpr <= 1:
        raise InputError(f"max_fpr={max_fpr!r}: the false positive rate lies in (0, 1]")
