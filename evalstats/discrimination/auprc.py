"""Area under the precision-recall curve (average precision)."""

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalstats.data.columns import Columns
from evalstats.data.intake import NanPolicy
from evalstats.discrimination.curve_bands import CurveKind
from evalstats.discrimination.curve_kernels import (
    best_tied_average_precision,
    chance_average_precision,
    davis_goadrich,
    expected_tied_average_precision,
    interp11,
    interp101,
    interp_all,
    trapezoid,
    worst_tied_average_precision,
)
from evalstats.discrimination.kernels import (
    average_precision_influence,
)
from evalstats.discrimination.ranked import (
    Average,
    Component,
    Multiclass,
)
from evalstats.discrimination.summary import MergeableRanking
from evalstats.errors import InputError
from evalstats.inference.methods import Bootstrap, InferenceOption
from evalstats.inference.scales import ScaleName
from evalstats.kernels.classes import ranked_average_precision, unweighted_average_precision
from evalstats.options import typed_options

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
Kernel = Callable[[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64], Array], float]
Interpolation = Literal[
    "step", "trapezoid", "davis_goadrich", "interp11", "interp101", "interp_all"
]
Ties = Literal["grouped", "expected", "best", "worst"]
Interval = Literal["small_sample", "logit", "wald", "binomial_logit"]

INTERPOLATIONS: dict[str, Kernel] = {
    "step": ranked_average_precision,
    "trapezoid": trapezoid,
    "davis_goadrich": davis_goadrich,
    "interp11": interp11,
    "interp101": interp101,
    "interp_all": interp_all,
}
TIE_POLICIES: dict[str, Kernel] = {
    "grouped": ranked_average_precision,
    "expected": expected_tied_average_precision,
    "best": best_tied_average_precision,
    "worst": worst_tied_average_precision,
}


class AUPRC(MergeableRanking):
    """Area under the precision-recall curve, by default the step integral (average precision).

    Estimates the mean precision at the scores of the positives, with a standard error, covariance
    and paired tests in closed form from influence values.

    Parameters
    ----------
    interpolation : {"step", "trapezoid", "davis_goadrich", "interp11", "interp101", "interp_all"}
        Curve between points: ``"step"`` is average precision; ``"trapezoid"`` is optimistic and
        for compatibility only; ``"davis_goadrich"`` is the limit of many copies with random tie
        breaks; the others are those of VOC 2007, COCO and VOC 2010.
    ties : {"grouped", "expected", "best", "worst"}
        Value of a block of tied scores: one threshold (default), the mean over random orders, or
        the best or worst order. The last three need whole-number weights.
    multiclass : {"raise", "ovr"}
        Each class against the rest; scores then have one column per class.
    average : {"macro", "weighted"} or None
        Mean over classes; None gives one term per class.
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.
    labels : list, optional
        Class of each score column, needed when a class is absent from `y_true`.
    normalize : bool, default True
        Require rows of class scores to sum to 1.
    direction : {"higher", "lower"}
        Whether higher or lower scores mean positive.
    sampling : {"random", "stratified"}
        Whether the prevalence is random (rows were sampled) or fixed by design (classes were
        sampled separately): the standard errors differ.
    interval : {"small_sample", "logit", "wald", "binomial_logit"}
        Analytic interval. ``"small_sample"`` is ``"logit"`` with a t reference of as many degrees
        of freedom as there are positives less one, and with the Poisson error of n AP positives as
        the least relative error; an average over classes gets ``"logit"``. ``"binomial_logit"`` is
        that of Boyd, Eng and Page (2013).
    on_undefined : {"raise", "nan"}
        What to do without positives.
    inference : "auto", Analytic, Bootstrap, Jackknife or NoInference
        How the sampling distribution is obtained; "auto" is analytic where influence values are
        known (step interpolation, grouped ties), else the bootstrap.
    level : float, default 0.95
        Confidence level.
    nan_policy : {"raise", "omit"}
        Refuse or drop rows with missing values.

    Attributes
    ----------
    estimate_ : Estimate
        One term per model (and class or group). ``estimate_.bias`` holds the bias estimate of the
        bootstrap or the jackknife: average precision is biased upwards in small samples.

    Notes
    -----
    Preparing costs O(n log n) per model, a replicate or the influence values O(n).

    References
    ----------
    Boyd, Eng and Page (2013); Davis and Goadrich (2006); McSherry and Najork (2008) for ties;
    McDermott et al. (2024), theorem 1. The influence function is derived in the documentation.

    Examples
    --------
    >>> import evalstats as es
    >>> ap = es.AUPRC().fit([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> round(float(ap.estimate_.value[0]), 4)
    0.8333
    """

    metric: ClassVar[str] = "AUPRC"
    verb: ClassVar[str] = "auprc"
    curve_kind: ClassVar[CurveKind] = "precision_recall"
    bounds_prefix: ClassVar[str] = "ap"
    # Average precision 0 or 1 concerns the positives alone, unlike AUROC.
    boundary_counts: ClassVar[tuple[str, ...]] = ("n_positive",)
    scale: ClassVar[ScaleName] = "logit"
    value_range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    higher_is_better: ClassVar[bool | None] = True
    citation_keys: ClassVar[tuple[str, ...]] = ("boyd2013", "mcdermott2024")

    def __init__(
        self,
        *,
        interpolation: Interpolation = "step",
        ties: Ties = "grouped",
        multiclass: Multiclass = "raise",
        average: Average | None = "macro",
        pos_label: Hashable | None = None,
        labels: list[Hashable] | None = None,
        normalize: bool = True,
        direction: Literal["higher", "lower"] = "higher",
        sampling: Literal["random", "stratified"] = "random",
        interval: Interval = "small_sample",
        on_undefined: Literal["raise", "nan"] = "raise",
        inference: InferenceOption = "auto",
        level: float = 0.95,
        nan_policy: NanPolicy = "raise",
    ) -> None:
        self.interpolation = interpolation
        self.ties = ties
        self.multiclass = multiclass
        self.average = average
        self.pos_label = pos_label
        self.labels = labels
        self.normalize = normalize
        self.direction = direction
        self.sampling = sampling
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
            As in :func:`evalstats.results.displays.plot_pr_curves`.

        Returns
        -------
        matplotlib Axes
            The axes drawn on. With several classes the estimates are drawn instead.
        """
        from evalstats.results.displays import plot_pr_curves

        if self.multiclass != "raise":
            return super().plot(ax, **options)
        curves = self.curves(n_resamples=n_resamples)
        columns = self._fitted_columns()
        chance = float(np.average(columns.single["y_true"], weights=columns.weight))
        return plot_pr_curves(curves, ax=ax, chance=chance, **options)

    def _check_params(self) -> None:
        super()._check_params()
        require_interpolation(self.interpolation)
        if self.ties not in TIE_POLICIES:
            raise InputError(f"ties={self.ties!r}: choose one of {', '.join(TIE_POLICIES)}")
        if self.ties != "grouped" and self.interpolation != "step":
            raise InputError(f"ties={self.ties!r} is defined for interpolation='step' only")
        if self.multiclass == "ovo":
            raise InputError("multiclass='ovo' is not defined for AUPRC: choose 'ovr'")
        if self.sampling not in ("random", "stratified"):
            raise InputError(f"sampling={self.sampling!r}: choose 'random' or 'stratified'")
        if self.interval not in get_args(Interval):
            options = ", ".join(repr(name) for name in get_args(Interval))
            raise InputError(f"interval={self.interval!r}: choose one of {options}")
        bayesian = isinstance(self.inference, Bootstrap) and self.inference.kind == "bayesian"
        if self.ties != "grouped" and bayesian:
            raise InputError(f"ties={self.ties!r} needs counts: choose kind='multinomial'")

    def _validate(self, columns: Columns) -> Columns:
        weight = columns.weight
        if self.ties != "grouped" and weight is not None:
            fractional = weight != np.round(weight)
            if bool(fractional.any()):
                row = int(np.argmax(fractional))
                raise InputError(
                    f"sample_weight is {weight[row]} in row {row}, but ties={self.ties!r} breaks "
                    "ties between copies: use whole-number weights or ties='grouped'"
                )
        return super()._validate(columns)

    @property
    def _kernel(self) -> Kernel:
        if self.ties != "grouped":
            return TIE_POLICIES[self.ties]
        return INTERPOLATIONS[self.interpolation]

    def _has_influence(self, columns: Columns) -> bool:  # noqa: ARG002
        return self.interpolation == "step" and self.ties == "grouped"

    def _statistic(self, component: Component, weights: Array) -> float:
        if bool(component.positive.all()):
            return np.nan
        return self._kernel(*component.ranking, weights)

    def _statistic_influence(self, component: Component, weights: Array) -> Array:
        return average_precision_influence(*component.ranking, weights)

    @property
    def _strata_are_classes(self) -> bool:
        return self.sampling == "stratified"

    def _analytic_interval(self, columns: Columns) -> str:  # noqa: ARG002
        # What holds for the rarest class says little about an average of classes.
        return "logit" if self._averages and self.interval == "small_sample" else self.interval

    def _analytic_name(self, columns: Columns) -> str:
        robust = "cluster-robust " if columns.cluster is not None else ""
        name = self._analytic_interval(columns).replace("small_sample", "small-sample logit")
        return f"{robust}influence-function standard errors ({name} interval)"

    def _remarks(self, columns: Columns) -> list[str]:
        remarks = [f"prevalence taken as {'random' if self.sampling == 'random' else 'fixed'}"]
        if self.multiclass == "raise" and columns.weight is None:
            chance = chance_average_precision(*self._sample_size(columns))
            remarks.append(f"a random ranking has {chance:.3g} on average")
        return remarks

    @staticmethod
    def chance_level(y_true: ArrayLike) -> float:
        """Mean average precision of a random ranking, slightly above the prevalence.

        Parameters
        ----------
        y_true : array-like (n,)
            Labels 0/1 or boolean.

        Returns
        -------
        float
            Exact expectation over all orders.

        Examples
        --------
        >>> import evalstats as es
        >>> round(es.AUPRC.chance_level([0, 1, 0, 1]), 4)
        0.6806
        """
        positive = np.asarray(y_true) == 1
        return chance_average_precision(len(positive), int(positive.sum()))


@typed_options
def auprc(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    interpolation: Interpolation = "step",
    pos_label: Hashable | None = None,
) -> float:
    """Area under the precision-recall curve of one model, as a plain number.

    Parameters
    ----------
    y_true : array-like (n,)
        Labels: 0/1, boolean, or two values with `pos_label`.
    y_score : array-like (n,)
        Scores; higher means positive. Tied scores form one threshold.
    sample_weight : array-like (n,), optional
        Non-negative weights.
    interpolation : str, default "step"
        As in :class:`AUPRC`; ``"step"`` is average precision.
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.

    Returns
    -------
    float
        Value in [0, 1].

    Raises
    ------
    InputError
        If the input cannot be used or there is no positive.

    Notes
    -----
    O(n log n) by one sort of each class and a merge.

    Examples
    --------
    >>> import evalstats as es
    >>> round(es.auprc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    estimator = AUPRC(interpolation=interpolation, pos_label=pos_label)
    columns = estimator.point_columns({"y_true": y_true, "y_score": y_score}, sample_weight)
    y, scores = columns.single["y_true"], columns.models["y_score"]["y_score"]
    if sample_weight is None and interpolation == "step":
        value = unweighted_average_precision(y, scores)
        if np.isfinite(value):
            return value
    return estimator.point_value(columns)


def require_interpolation(interpolation: str) -> None:
    """Refuse an unknown interpolation."""
    if interpolation not in INTERPOLATIONS:
        options = ", ".join(repr(name) for name in INTERPOLATIONS)
        raise InputError(f"interpolation={interpolation!r}: choose one of {options}")
