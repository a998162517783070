"""CORP: miscalibration, discrimination and uncertainty by isotonic recalibration."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalstats.calibration.probabilities import require_option
from evalstats.calibration.rows import binary_rows
from evalstats.calibration.score_kernels import weighted_mean_of_present
from evalstats.kernels.isotonic import pool_adjacent_violators
from evalstats.kernels.ranking import rank_descending
from evalstats.options import typed_options

Array = NDArray[np.float64]
CorpScore = Literal["brier", "log"]
TERMS = ("miscalibration", "discrimination", "uncertainty", "score")


@dataclass(frozen=True)
class SortedForecasts:
    """Rows of one model in ascending order of the forecasts.

    Attributes
    ----------
    order : int64 array (n,)
        Row at each position.
    last_in_tie : bool array (n,)
        True at the last of each run of equal forecasts.
    outcome : float64 array (n,)
        Outcomes in that order.
    forecast : float64 array (n,)
        Forecasts in that order.
    loss : float64 array (n,)
        Score of each forecast, by row.
    score : {"brier", "log"}
        Which score is decomposed.
    """

    order: NDArray[np.int64]
    last_in_tie: NDArray[np.bool_]
    outcome: Array
    forecast: Array
    loss: Array
    score: CorpScore

    @classmethod
    def of(
        cls, forecast: Array, outcome: NDArray[np.bool_], score: CorpScore = "brier"
    ) -> "SortedForecasts":
        """Sort the rows. O(n log n)."""
        order, last = rank_descending(-forecast)
        return cls(
            order,
            last,
            outcome[order].astype(np.float64),
            forecast[order],
            losses(forecast, outcome, score),
            score,
        )

    def blocks(self, weights: Array) -> tuple[Array, Array, NDArray[np.int64]]:
        """Weight, weight of events and end position of each block of equal fit. O(n)."""
        return pool_adjacent_violators(self.outcome, self.last_in_tie, self.order, weights)

    def blocks_of(self, outcome: Array, weights: Array) -> tuple[Array, Array, NDArray[np.int64]]:
        """Blocks for other outcomes, given in ascending order of the forecasts. O(n)."""
        return pool_adjacent_violators(outcome, self.last_in_tie, self.order, weights)

    def terms(self, weights: Array) -> Array:
        """Values of `TERMS` under the given row weights. O(n)."""
        mean = weighted_mean(self.loss, weights)
        return self.terms_of(self.blocks(weights), mean)

    def terms_of(self, blocks: tuple[Array, Array, NDArray[np.int64]], mean: float) -> Array:
        """Values of `TERMS` from the blocks of the fit and the mean score of the forecasts."""
        weight, events, _ = blocks
        mass = float(weight.sum())
        if not mass > 0:
            return np.full(len(TERMS), np.nan)
        recalibrated = float(entropy(weight, events, self.score).sum()) / mass
        totals = np.array([mass]), np.array([events.sum()])
        uncertainty = float(entropy(*totals, self.score)[0]) / mass
        # Zero but for rounding, where isotonic regression changes nothing.
        miscalibration = max(mean - recalibrated, 0.0)
        discrimination = max(uncertainty - recalibrated, 0.0)
        return np.array([miscalibration, discrimination, uncertainty, mean])

    def recalibrated(self, weights: Array) -> Array:
        """Isotonic fit of each row. O(n)."""
        fitted = np.empty(len(self.order))
        fitted[self.order] = self.fitted_positions(self.blocks(weights))
        return fitted

    def fitted_positions(self, blocks: tuple[Array, Array, NDArray[np.int64]]) -> Array:
        """Isotonic fit at each position; positions without weight belong to the block after."""
        weight, events, end = blocks
        sizes = np.diff(end, prepend=0)
        sizes[-1] += len(self.order) - end[-1]
        return np.repeat(events / weight, sizes)

    def influence(self, weights: Array) -> Array:
        """Derivatives (n, 4) of :meth:`terms` by each row's weight. O(n).

        The fits minimise their scores, so moving them has no first-order effect.
        """
        mass = float(weights.sum())
        if mass <= 0:
            return np.full((len(self.order), len(TERMS)), np.nan)
        value = self.terms(weights)
        outcome = np.empty(len(self.order), dtype=np.bool_)
        outcome[self.order] = self.outcome > 0.5
        base = weighted_mean(outcome.astype(np.float64), weights)
        fitted = losses(self.recalibrated(weights), outcome, self.score)
        constant = losses(np.full(len(outcome), base), outcome, self.score)
        out = np.empty((len(outcome), len(TERMS)))
        with np.errstate(invalid="ignore"):
            out[:, 0] = self.loss - fitted - value[0]
            out[:, 1] = constant - fitted - value[1]
            out[:, 2] = constant - value[2]
            out[:, 3] = self.loss - value[3]
        return out / mass


def losses(forecast: Array, outcome: NDArray[np.bool_], score: CorpScore) -> Array:
    """Brier score or unclipped log score of each row. O(n)."""
    if score == "brier":
        return np.asarray((outcome - forecast) ** 2)
    with np.errstate(divide="ignore"):
        return np.where(outcome, -np.log(forecast), -np.log1p(-forecast))


def entropy(weight: Array, events: Array, score: CorpScore) -> Array:
    """Summed score within blocks when each block is given its own frequency."""
    from scipy.special import xlogy

    others = weight - events
    # Blocks without weight contribute nothing.
    share = np.divide(events, weight, out=np.zeros_like(weight), where=weight > 0)
    if score == "brier":
        return np.asarray(share * others)
    return np.asarray(-xlogy(events, share) - xlogy(others, 1.0 - share))


def weighted_mean(values: Array, weights: Array) -> float:
    """Mean over rows that carry weight; infinite values of others do not matter."""
    return float(weighted_mean_of_present(values, weights))


def corp_terms(
    forecast: Array, outcome: NDArray[np.bool_], weights: Array, score: CorpScore
) -> dict[str, float]:
    """Terms of validated rows by name; see :func:`corp_decomposition`."""
    values = SortedForecasts.of(forecast, outcome, score).terms(weights)
    return dict(zip(TERMS, values.tolist(), strict=True))


@typed_options
def corp_decomposition(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    *,
    score: CorpScore = "brier",
    sample_weight: ArrayLike | None = None,
    pos_label: Hashable | None = None,
) -> dict[str, float]:
    """CORP decomposition of the Brier or log score of one model.

    Parameters
    ----------
    y_true : array-like (n,)
        Labels: 0/1, boolean, or two values with `pos_label`.
    y_prob : array-like (n,)
        Probability of the positive class.
    score : {"brier", "log"}
        The score; log scores are not clipped.
    sample_weight : array-like (n,), optional
        Non-negative weights.
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.

    Returns
    -------
    dict
        ``miscalibration`` S(p) - S(c), ``discrimination`` S(ybar) - S(c), ``uncertainty`` S(ybar)
        and ``score`` S(p), where c is the isotonic fit of y on p and ybar the base rate. All are
        non-negative, and score = miscalibration - discrimination + uncertainty. With the log score
        an event of probability zero makes miscalibration and score infinite; the others stay
        finite.

    Raises
    ------
    InputError
        If the input cannot be used.

    Notes
    -----
    One sort and one pass, O(n log n); tied forecasts share one fitted value (Dimitriadis, Gneiting
    and Jordan 2021, eq. 4).

    Examples
    --------
    >>> import evalstats as es
    >>> terms = es.corp_decomposition([0, 1, 0, 1], [0.1, 0.4, 0.6, 0.9])
    >>> {name: round(value, 4) for name, value in terms.items()}
    {'miscalibration': 0.06, 'discrimination': 0.125, 'uncertainty': 0.25, 'score': 0.185}
    """
    require_option("score", score, ("brier", "log"))
    rows = binary_rows(y_true, y_prob, sample_weight, pos_label)
    return corp_terms(rows.forecast, rows.outcome, rows.weights, score)
