"""Split conformal prediction sets."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalstats.calibration.cross_fitting import CrossFitted, Sample
from evalstats.calibration.probabilities import require_option
from evalstats.errors import warn
from evalstats.inference.methods import RandomSource, random_key
from evalstats.kernels.random import uniform_draws
from evalstats.results.ranges import require_level

Array = NDArray[np.float64]
Score = Literal["lac", "aps"]

# (n + 1) * level may miss the integer that it stands for by rounding.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Thresholds:
    """Largest nonconformity that a set admits: one for each class."""

    value: Array


class SplitConformal(CrossFitted):
    """Split conformal prediction sets: sets of classes that hold the true one at a given level.

    If the rows that were fitted on and the new row are exchangeable, the set of the new row holds
    its class with probability of at least `level`, and of less than ``level + 1 / (n + 1)`` where
    scores have no ties. This is an average over rows and calibration samples (marginal): it
    does not hold for every kind of row, nor, given the calibration rows at hand, exactly. With
    ``class_conditional=True`` it holds within each class.

    Parameters
    ----------
    level : float, default 0.9
        Probability that the set holds the true class.
    score : {"lac", "aps"}
        Nonconformity: one minus the probability of the class (the smallest sets), or the
        probability of all classes that are at least as probable (sets that grow with the
        difficulty of the row).
    class_conditional : bool, default False
        One threshold for each class, from the rows of that class (Mondrian).
    randomized : bool, default False
        With ``score="aps"``, take a random share of the class's own probability off, as in the
        original method, so that rows with one near-certain class get small sets. The level holds
        either way.
    rng : int, SeedSequence, Generator or None
        Source of randomness of the random shares.
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.
    labels : list, optional
        Class of each of several columns, needed when a class is absent from `y`.

    Attributes
    ----------
    classes_ : array (K,)
        Labels; the second of two is the positive class.
    learned_ : Thresholds
        ``learned_.value`` is the largest admitted nonconformity of each class: the
        ``ceil((n + 1) level)``-th smallest, infinite where there are too few rows.

    Notes
    -----
    O(n K log K + n log n) to fit, O(m K log K) for m rows. A weight counts a row several times.
    Sets may be empty: the row is then unlike all others.

    References
    ----------
    Vovk, Gammerman and Shafer (2005), Algorithmic Learning in a Random World; Romano, Sesia and
    Candes (2020), NeurIPS, eq. 5 to 7.

    Examples
    --------
    >>> import evalstats as es
    >>> y, p = [0, 0, 1, 0, 1, 1, 0, 1, 1], [0.1, 0.2, 0.4, 0.6, 0.7, 0.9, 0.3, 0.8, 0.6]
    >>> es.SplitConformal(level=0.8).fit(p, y).predict_set([0.05, 0.5, 0.95]).tolist()
    [[True, False], [True, True], [False, True]]
    """

    learned_: Thresholds

    def __init__(
        self,
        *,
        level: float = 0.9,
        score: Score = "lac",
        class_conditional: bool = False,
        randomized: bool = False,
        rng: RandomSource = 0,
        pos_label: Hashable | None = None,
        labels: list[Hashable] | None = None,
    ) -> None:
        self.level = level
        self.score = score
        self.class_conditional = class_conditional
        self.randomized = randomized
        self.rng = rng
        self.pos_label = pos_label
        self.labels = labels

    def predict_set(self, X: ArrayLike) -> NDArray[np.bool_]:
        """Classes in the prediction set of each row.

        Parameters
        ----------
        X : array-like (n,), (n, 1), (n, 2) or (n, K)
            Predicted probabilities, of the same classes as those fitted.

        Returns
        -------
        bool array (n, 2) or (n, K)
            One column for each of ``classes_``.
        """
        given = self._forecasts(X)
        return self._apply(self.learned_, given)

    def _check_params(self) -> None:
        super()._check_params()
        require_level(self.level)
        require_option("score", self.score, ("lac", "aps"))

    def _learn(self, sample: Sample) -> Thresholds:
        matrix = _matrix(sample.probability)
        n, n_classes = matrix.shape
        own = self._nonconformity(matrix, 0)[np.arange(n), sample.code]
        weight = np.ones(n) if sample.weight is None else sample.weight
        if self.class_conditional:
            value = np.array(
                [
                    conformal_quantile(own[rows], weight[rows], self.level)
                    for rows in (sample.code == code for code in range(n_classes))
                ]
            )
        else:
            value = np.full(n_classes, conformal_quantile(own, weight, self.level))
        if not bool(np.isfinite(value).all()):
            trivial = sample.classes[~np.isfinite(value)].tolist()
            warn(
                "trivial-sets",
                f"too few rows for level={self.level:g}: every set holds the classes {trivial}",
            )
        return Thresholds(value)

    def _apply(self, learned: Thresholds, probability: Array) -> NDArray[np.bool_]:
        return self._nonconformity(_matrix(probability), 1) <= learned.value

    def _nonconformity(self, matrix: Array, stream: int) -> Array:
        if self.score == "lac":
            return 1.0 - matrix
        order = np.argsort(-matrix, axis=1, kind="stable")
        mass = np.take_along_axis(matrix, order, axis=1).cumsum(axis=1)
        score = np.empty_like(matrix)
        np.put_along_axis(score, order, mass, axis=1)
        if self.randomized:
            score -= _uniforms(len(matrix), self.rng, stream)[:, None] * matrix
        return score


def conformal_quantile(score: Array, weight: Array, level: float) -> float:
    """The ceil((n + 1) level)-th smallest score, infinite if n is too small. O(n log n)."""
    order = np.argsort(score, kind="stable")
    counted = weight[order].cumsum()
    total = counted[-1] if len(counted) else 0.0
    wanted = (total + 1.0) * level * (1.0 - ROUNDING)
    position = int(np.searchsorted(counted, wanted, side="left"))
    return float(score[order[position]]) if position < len(order) else float("inf")


def _matrix(probability: Array) -> Array:
    if probability.ndim == 1:
        return np.column_stack([1.0 - probability, probability])
    return probability


def _uniforms(n: int, rng: RandomSource, stream: int) -> Array:
    """Uniform numbers, one for each row; one stream for fitting and one for new rows."""
    key = random_key(rng)
    drawn = np.empty(n)
    uniform_draws(np.uint64(key[0]), np.uint64(key[1]), np.uint64(stream), drawn)
    return drawn
