"""Platt scaling, isotonic, beta and temperature recalibration."""

from abc import abstractmethod
from collections.abc import Callable, Hashable

import numpy as np
from numpy.typing import NDArray

from evalstats.calibration.cross_fitting import Recalibrator, Sample, normalised
from evalstats.calibration.probabilities import require_option
from evalstats.recalibration.maps import (
    BetaMap,
    IsotonicMap,
    LogisticMap,
    Scale,
    TemperatureMap,
    fit_beta,
    fit_isotonic,
    fit_platt,
    fit_temperature,
)

Array = NDArray[np.float64]
Map = Callable[[Array], Array]


class OneVsRest(Recalibrator):
    """Base of the recalibrators with one map for two classes, and one for each of several."""

    learned_: list[Map]

    @abstractmethod
    def _fit_map(self, score: Array, positive: NDArray[np.bool_], weight: Array | None) -> Map: ...

    def _learn(self, sample: Sample) -> list[Map]:
        if sample.probability.ndim == 1:
            return [self._fit_map(sample.probability, sample.code == 1, sample.weight)]
        return [
            self._fit_map(np.ascontiguousarray(column), sample.code == code, sample.weight)
            for code, column in enumerate(sample.probability.T)
        ]

    def _apply(self, learned: list[Map], probability: Array) -> Array:
        if probability.ndim == 1:
            return learned[0](probability)
        return normalised([one(column) for one, column in zip(learned, probability.T, strict=True)])


class PlattScaling(OneVsRest):
    """Platt scaling: a logistic regression of the label on the forecast.

    Corrects forecasts that are too bold or too timid (slope) and too high or too low (intercept).
    Several classes are recalibrated one against the rest, and then normalised.

    Parameters
    ----------
    scale : {"logit", "raw"}
        Whether the regression is on the logit of the probability, so that calibrated forecasts can
        be left as they are, or on the probability, as the method is often applied.
    smooth : bool, default True
        Use Platt's targets (N+ + 1) / (N+ + 2) and 1 / (N- + 2) for the labels, which keep the fit
        finite where the forecast separates the classes.
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.
    labels : list, optional
        Class of each of several columns, needed when a class is absent from `y`.

    Attributes
    ----------
    classes_ : array (K,)
        Labels; the second of two is the positive class.
    learned_ : list
        The map of each class; one for two classes.

    Notes
    -----
    O(n) for each Newton step to fit, O(n) to apply. Probabilities of 0 and 1 are moved inside by
    the float64 epsilon before their logit is taken.

    References
    ----------
    Platt (1999), Advances in Large Margin Classifiers, 61-74.

    Examples
    --------
    >>> import evalstats as es
    >>> y, p = [0, 0, 1, 0, 1, 1, 0, 1], [0.02, 0.1, 0.2, 0.6, 0.7, 0.9, 0.95, 0.99]
    >>> es.PlattScaling().fit(p, y).predict_proba([0.02, 0.5, 0.98])[:, 1].round(2).tolist()
    [0.27, 0.47, 0.69]
    """

    def __init__(
        self,
        *,
        scale: Scale = "logit",
        smooth: bool = True,
        pos_label: Hashable | None = None,
        labels: list[Hashable] | None = None,
    ) -> None:
        self.scale = scale
        self.smooth = smooth
        self.pos_label = pos_label
        self.labels = labels

    def _check_params(self) -> None:
        super()._check_params()
        require_option("scale", self.scale, ("logit", "raw"))

    def _fit_map(
        self, score: Array, positive: NDArray[np.bool_], weight: Array | None
    ) -> LogisticMap:
        return fit_platt(score, positive, weight, scale=self.scale, smooth=self.smooth)


class IsotonicRecalibration(OneVsRest):
    """Isotonic recalibration: the non-decreasing function of least squared error.

    Assumes nothing but that a higher forecast means a more frequent event, and needs more rows than
    the parametric maps. Between the corners of the fit it is linear, beyond them constant. It may
    return exactly 0 and 1, which costs infinite log loss when wrong.

    Parameters
    ----------
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.
    labels : list, optional
        Class of each of several columns, needed when a class is absent from `y`.

    Attributes
    ----------
    classes_ : array (K,)
        Labels; the second of two is the positive class.
    learned_ : list
        The map of each class; one for two classes.

    Notes
    -----
    O(n log n) to fit, O(n log k) to apply to n forecasts with k corners. Several classes are
    recalibrated one against the rest and normalised; a row whose classes all get 0 becomes uniform.

    References
    ----------
    Zadrozny and Elkan (2002), KDD.

    Examples
    --------
    >>> import evalstats as es
    >>> y, p = [0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.6, 0.7, 0.9]
    >>> es.IsotonicRecalibration().fit(p, y).predict_proba([0.1, 0.4, 0.9])[:, 1].tolist()
    [0.0, 0.5, 1.0]
    """

    def __init__(
        self, *, pos_label: Hashable | None = None, labels: list[Hashable] | None = None
    ) -> None:
        self.pos_label = pos_label
        self.labels = labels

    def _fit_map(
        self, score: Array, positive: NDArray[np.bool_], weight: Array | None
    ) -> IsotonicMap:
        return fit_isotonic(score, positive, weight)


class BetaCalibration(OneVsRest):
    """Beta calibration: a logistic regression on log(p) and -log(1 - p) with slopes of at least 0.

    Has one parameter more than Platt scaling, so that low and high forecasts can be wrong in
    different ways; the identity is one of its maps.

    Parameters
    ----------
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.
    labels : list, optional
        Class of each of several columns, needed when a class is absent from `y`.

    Attributes
    ----------
    classes_ : array (K,)
        Labels; the second of two is the positive class.
    learned_ : list
        The map of each class; one for two classes.

    Notes
    -----
    O(n) for each Newton step to fit, O(n) to apply. Forecasts that separate the classes are
    refused, since the likelihood then has no maximum.

    References
    ----------
    Kull, Silva Filho and Flach (2017), AISTATS.

    Examples
    --------
    >>> import evalstats as es
    >>> y, p = [0, 0, 1, 0, 1, 1, 0, 1], [0.02, 0.1, 0.2, 0.6, 0.7, 0.9, 0.95, 0.99]
    >>> es.BetaCalibration().fit(p, y).predict_proba([0.02, 0.5, 0.98])[:, 1].round(2).tolist()
    [0.07, 0.56, 0.7]
    """

    def __init__(
        self, *, pos_label: Hashable | None = None, labels: list[Hashable] | None = None
    ) -> None:
        self.pos_label = pos_label
        self.labels = labels

    def _fit_map(self, score: Array, positive: NDArray[np.bool_], weight: Array | None) -> BetaMap:
        return fit_beta(score, positive, weight)


class TemperatureScaling(Recalibrator):
    """Temperature scaling: all logits are divided by one number.

    Corrects forecasts that are too bold (temperature above 1) or too timid (below 1) and never
    changes which class is the most probable. With several classes it works on all of them at once.

    Parameters
    ----------
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.
    labels : list, optional
        Class of each of several columns, needed when a class is absent from `y`.

    Attributes
    ----------
    classes_ : array (K,)
        Labels; the second of two is the positive class.
    learned_ : TemperatureMap
        The map; ``learned_.temperature`` is what was estimated.

    Notes
    -----
    The temperature minimises the log loss, O(n K) for each step of a bracketed root search.
    Forecasts that are no better than uniform ones, or always right, have no finite temperature and
    are refused.

    References
    ----------
    Guo, Pleiss, Sun and Weinberger (2017), ICML.

    Examples
    --------
    >>> import evalstats as es
    >>> y, p = [0, 0, 1, 0, 1, 1, 0, 1], [0.02, 0.1, 0.2, 0.6, 0.7, 0.9, 0.95, 0.99]
    >>> scaling = es.TemperatureScaling().fit(p, y)
    >>> round(scaling.learned_.temperature, 2)
    2.8
    >>> scaling.predict_proba([0.02, 0.5, 0.98])[:, 1].round(2).tolist()
    [0.2, 0.5, 0.8]
    """

    learned_: TemperatureMap

    def __init__(
        self, *, pos_label: Hashable | None = None, labels: list[Hashable] | None = None
    ) -> None:
        self.pos_label = pos_label
        self.labels = labels

    def _learn(self, sample: Sample) -> TemperatureMap:
        return fit_temperature(sample.probability, sample.code, sample.weight)

    def _apply(self, learned: TemperatureMap, probability: Array) -> Array:
        return learned(probability)
