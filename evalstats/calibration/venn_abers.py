"""Venn-ABERS predictors: an interval of probabilities for every forecast."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalstats.calibration.cross_fitting import Recalibrator, Sample, normalised
from evalstats.calibration.probabilities import require_option
from evalstats.errors import InputError
from evalstats.inference.methods import RandomSource
from evalstats.kernels.venn_abers import isotonic_with_positive
from evalstats.recalibration.folds import assign_folds, require_folds

Array = NDArray[np.float64]


class ProbabilityInterval(NamedTuple):
    """Probabilities of the positive class (or of each class) under either label of the row.

    Attributes
    ----------
    p0, p1 : float64 array (n,) or (n, K)
        Isotonic value when the row itself is added as a negative, and as a positive.
    """

    p0: Array
    p1: Array

    @property
    def merged(self) -> Array:
        """The one probability p1 / (1 - p0 + p1), which has the least regret in log loss."""
        total = 1.0 - self.p0 + self.p1
        # Folds that contradict each other with certainty leave 0 / 0, which says nothing.
        return np.divide(self.p1, total, out=np.full_like(total, 0.5), where=total > 0)


@dataclass(frozen=True)
class VennTable:
    """Isotonic values under either label at and between the distinct calibration scores."""

    score: Array
    low: Array
    high: Array

    def __call__(self, x: Array) -> tuple[Array, Array]:
        """Values p0 and p1 of each forecast. O(n log k)."""
        place = np.searchsorted(self.score, x, side="left")
        # Equal scores are the only difference between the two sides of a search.
        known = self.score[np.minimum(place, len(self.score) - 1)] == x
        return self.low[place + known], self.high[place]


class VennABERS(Recalibrator):
    """Venn-ABERS predictor: isotonic recalibration under both labels that a row may have.

    For each forecast the isotonic fit is computed with the row itself added as a negative (p0) and
    as a positive (p1). If rows are exchangeable, the one of the two that belongs to the true label
    is perfectly calibrated, whatever the number of rows; how far they are apart shows how
    little the calibration rows say about such forecasts. ``predict_proba`` merges them to
    p1 / (1 - p0 + p1).

    Parameters
    ----------
    method : {"inductive", "cross"}
        One predictor from all rows, or the geometric mean of one for each fold of them. The cross
        form is meant for forecasts that were themselves made out of fold; it is smoother, but the
        guarantee above is proved for the inductive form only.
    n_folds : int, default 5
        Number of folds of the cross form.
    rng : int, SeedSequence, Generator or None
        Source of randomness of the folds.
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.
    labels : list, optional
        Class of each of several columns, needed when a class is absent from `y`.

    Attributes
    ----------
    classes_ : array (K,)
        Labels; the second of two is the positive class.
    learned_ : list of list
        For each class (one for two classes) the tables of each fold.

    Notes
    -----
    O(n log n) to fit and O(m log n) for m forecasts: all places that a row may take are worked out
    in one pass. A row's own weight is 1. Several classes: one against the rest, merged, then
    normalised.

    References
    ----------
    Vovk and Petej (2014), UAI; Vovk, Petej and Fedorova (2015), NeurIPS, algorithms 1 to 6.

    Examples
    --------
    >>> import evalstats as es
    >>> y, p = [0, 0, 1, 0, 1, 1], [0.1, 0.2, 0.3, 0.6, 0.7, 0.9]
    >>> venn = es.VennABERS().fit(p, y)
    >>> p0, p1 = venn.predict_interval([0.15, 0.65])
    >>> p0.round(2).tolist(), p1.round(2).tolist()
    ([0.0, 0.33], [0.5, 1.0])
    >>> venn.predict_proba([0.15, 0.65])[:, 1].round(2).tolist()
    [0.33, 0.6]
    """

    learned_: list[list[VennTable]]

    def __init__(
        self,
        *,
        method: Literal["inductive", "cross"] = "inductive",
        n_folds: int = 5,
        rng: RandomSource = 0,
        pos_label: Hashable | None = None,
        labels: list[Hashable] | None = None,
    ) -> None:
        self.method = method
        self.n_folds = n_folds
        self.rng = rng
        self.pos_label = pos_label
        self.labels = labels

    def predict_interval(self, X: ArrayLike) -> ProbabilityInterval:
        """Probabilities with the row added as a negative (p0) and as a positive (p1).

        Parameters
        ----------
        X : array-like (n,), (n, 1), (n, 2) or (n, K)
            Predicted probabilities, of the same classes as those fitted.

        Returns
        -------
        ProbabilityInterval
            Named tuple ``(p0, p1)`` of arrays (n,), or (n, K) with one column for each class
            against the rest.
        """
        probability = self._forecasts(X)
        if probability.ndim == 1:
            return _interval(self.learned_[0], probability)
        columns = [
            _interval(tables, column)
            for tables, column in zip(self.learned_, probability.T, strict=True)
        ]
        return ProbabilityInterval(*(np.column_stack(ends) for ends in zip(*columns, strict=True)))

    def _check_params(self) -> None:
        super()._check_params()
        require_option("method", self.method, ("inductive", "cross"))

    def _learn(self, sample: Sample) -> list[list[VennTable]]:
        n = len(sample.code)
        weight = np.ones(n) if sample.weight is None else sample.weight
        fold = np.zeros(n, dtype=np.int64)
        if self.method == "cross":
            require_folds(self.n_folds, n, "rows")
            fold = assign_folds(sample.probability, None, self.n_folds, self.rng)
        parts = [np.flatnonzero((fold == f) & (weight > 0.0)) for f in range(fold.max() + 1)]
        if any(len(rows) == 0 for rows in parts):
            raise InputError("sample_weight is 0 in a whole fold: use fewer folds")
        if sample.probability.ndim == 1:
            events = [(sample.probability, sample.code == 1)]
        else:
            events = [(p, sample.code == code) for code, p in enumerate(sample.probability.T)]
        return [
            [venn_table(p[rows], positive[rows], weight[rows]) for rows in parts]
            for p, positive in events
        ]

    def _apply(self, learned: list[list[VennTable]], probability: Array) -> Array:
        if probability.ndim == 1:
            return _interval(learned[0], probability).merged
        return normalised(
            [_interval(t, p).merged for t, p in zip(learned, probability.T, strict=True)]
        )


def venn_table(score: Array, positive: NDArray[np.bool_], weight: Array) -> VennTable:
    """Isotonic values under either label, for every place among the scores. O(n log n)."""
    distinct, place = np.unique(score, return_inverse=True)
    mass = np.bincount(place, weight, len(distinct)).astype(np.float64, copy=False)
    hits = np.bincount(place, weight * positive, len(distinct)).astype(np.float64, copy=False)
    if not 1e-12 < mass.sum() < 1e12:
        raise InputError(
            f"sample_weight sums to {mass.sum():g}: Venn-ABERS adds a row of weight 1, beside "
            "which the rows must not vanish, nor it beside them; rescale the weights"
        )
    # Weights that vanish in the cumulated weight cannot move a slope, but would divide by zero.
    present = mass > 1e-15 * (1.0 + mass.sum())
    distinct, mass, hits = distinct[present], mass[present], hits[present]
    high = isotonic_with_positive(mass, hits)
    # A negative added is a positive added with labels and order turned round.
    misses = np.ascontiguousarray((mass - hits)[::-1])
    low = 1.0 - isotonic_with_positive(np.ascontiguousarray(mass[::-1]), misses)[::-1]
    return VennTable(distinct, np.append(0.0, low), np.append(high, 1.0))


def _interval(tables: list[VennTable], x: Array) -> ProbabilityInterval:
    """Geometric means over the folds, of p1 and of 1 - p0."""
    if len(tables) == 1:
        return ProbabilityInterval(*tables[0](x))
    negative, positive = np.zeros(len(x)), np.zeros(len(x))
    for table in tables:
        p0, p1 = table(x)
        with np.errstate(divide="ignore"):  # probabilities of 1 and 0 stay what they are
            negative += np.log1p(-p0)
            positive += np.log(p1)
    return ProbabilityInterval(-np.expm1(negative / len(tables)), np.exp(positive / len(tables)))
