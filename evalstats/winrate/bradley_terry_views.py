"""What Bradley-Terry ratings imply: a leaderboard with ranks, and predicted win rates."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.inference.intervals import critical_value
from evalstats.inference.ranks import rank_intervals
from evalstats.results.estimate import Estimate

Array = NDArray[np.float64]


def ranked_ratings(ratings: Estimate, level: float) -> pl.DataFrame:
    """Ratings from the best down, with simultaneous intervals of the ranks."""
    low, high = ratings.confidence_interval(level)
    df = float(ratings.df.min())
    ranks = rank_intervals(ratings.value, ratings.covariance, level, df=df)
    return pl.DataFrame(
        {
            "model": ratings.terms["model"],
            "rating": ratings.value,
            "standard_error": ratings.standard_error,
            "ci_low": low,
            "ci_high": high,
            "rank": ranks.rank,
            "rank_low": ranks.low,
            "rank_high": ranks.high,
        }
    ).sort("rating", descending=True)


def predicted_win_rates(
    ratings: Estimate, estimate: Estimate, unit: float, log_tie: float, level: float
) -> pl.DataFrame:
    """Win rate of each model against each other in percent, by the delta method on the log odds.

    Parameters
    ----------
    ratings, estimate : Estimate
        The rating terms, which come first in the whole estimate, and the whole.
    unit : float
        Rating points per unit of log odds.
    log_tie : float
        Davidson's tie parameter, the last term of `estimate`; minus infinity without ties.
    level : float
        Confidence level.
    """
    first, second = np.nonzero(~np.eye(len(ratings), dtype=bool))
    eta = (ratings.value[first] - ratings.value[second]) / unit
    gradient = np.zeros((len(first), len(estimate)))
    rows = np.arange(len(first))
    rate, by_eta, by_tie = _expected_score(eta, log_tie)
    gradient[rows, first] = by_eta / unit
    gradient[rows, second] = -by_eta / unit
    if np.isfinite(log_tie):
        gradient[:, -1] = by_tie
    variance = np.einsum("ij,jk,ik->i", gradient, estimate.covariance, gradient, optimize=True)
    error = np.sqrt(np.clip(variance, 0.0, None))
    critical = critical_value(level, np.full(len(first), float(ratings.df.min())))
    centre = np.log(rate) - np.log1p(-rate)
    reach = critical * error / (rate * (1 - rate))
    names = ratings.terms["model"].to_numpy()
    return pl.DataFrame(
        {
            "model": names[first],
            "reference": names[second],
            "win_rate": 100 * rate,
            "standard_error": 100 * error,
            "ci_low": 100 / (1 + np.exp(reach - centre)),
            "ci_high": 100 / (1 + np.exp(-reach - centre)),
        }
    )


def _expected_score(eta: Array, log_tie: float) -> tuple[Array, Array, Array]:
    """P(win) + P(tie) / 2 and its derivatives by eta and the log tie parameter."""
    win, loss, draw = np.exp(eta / 2), np.exp(-eta / 2), np.exp(log_tie)
    scale = win + loss + draw
    p_win, p_loss, p_draw = win / scale, loss / scale, draw / scale
    lead = p_win - p_loss
    by_eta = (p_win + p_loss - lead**2) / 4
    return (1 + lead) / 2, by_eta, -lead * p_draw / 2
