"""Labelled scores with a chosen expected AUROC and prevalence."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray


def sample_at_auroc(
    n: int,
    auroc: float,
    prevalence: float,
    *,
    rng: np.random.Generator | int,
    scale_to_prevalence: bool = False,
    calibration: Literal["platt", "isotonic"] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores and labels whose expected AUROC is `auroc` (McDermott et al. 2024).

    The positives have uniform scores; each negative has above it a number of positives that is
    binomial with probability `auroc`, and a uniform score between its two neighbours.

    Parameters
    ----------
    n : int
        Number of rows, of which ``round(prevalence * n)`` are positive and come first.
    auroc, prevalence : float
        Targets.
    rng : numpy.random.Generator or int
        With a seed, the draws are those of the paper's notebook.
    scale_to_prevalence : bool
        Multiply the scores so that their mean is `prevalence`.
    calibration : {"platt", "isotonic"}, optional
        Recalibrate the scores on their own labels.

    Returns
    -------
    scores : ndarray of float64, shape (n,)
    y : ndarray of bool, shape (n,)
    """
    from scipy.stats import binom

    rng = np.random.default_rng(rng)
    n_positive = round(prevalence * n)
    positives = np.sort(rng.uniform(size=n_positive))
    bounds = np.concatenate(([0.0], positives, [1.0]))
    cumulative = np.cumsum(binom.pmf(np.arange(n_positive + 1), n_positive, 1.0 - auroc))
    draws = rng.random((n - n_positive, 2))
    window = np.searchsorted(cumulative / cumulative[-1], draws[:, 0], side="right")
    negatives = bounds[window] + (bounds[window + 1] - bounds[window]) * draws[:, 1]
    scores = np.concatenate((positives, negatives))
    y = np.arange(n) < n_positive
    if scale_to_prevalence:
        scores = scores / scores.mean() * prevalence
    if calibration == "platt":
        scores = _platt(scores, y)
    elif calibration == "isotonic":
        from sklearn.isotonic import IsotonicRegression

        scores = IsotonicRegression().fit(scores, y).predict(scores)
    return scores, y


def _platt(scores: NDArray[np.float64], y: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Logistic fit to labels that are shrunk towards one half, as Platt (1999) proposed."""
    from sklearn.linear_model import LogisticRegression

    n_positive = int(y.sum())
    shrunk = np.where(y, (n_positive + 1) / (n_positive + 2), 1 / (y.size - n_positive + 2))
    model = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000)
    # A fractional label is a positive and a negative copy of the row that share its weight.
    model.fit(
        np.concatenate((scores, scores))[:, None],
        np.repeat([True, False], y.size),
        sample_weight=np.concatenate((shrunk, 1.0 - shrunk)),
    )
    calibrated: NDArray[np.float64] = model.predict_proba(scores[:, None])[:, 1]
    return calibrated
