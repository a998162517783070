"""What evalstats raises and what it warns about."""

import inspect
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType


class InputError(ValueError):
    """The input cannot be used; the message names the argument, the place and the remedy.

    Examples
    --------
    >>> import evalstats as es
    >>> es.auroc([0, 1], [0.2, float("nan")])
    Traceback (most recent call last):
    evalstats.errors.InputError: y_score has 1 missing value (first in row 1): ...
    """


class EvalstatsWarning(UserWarning):
    r"""Usable but suspicious input or result, with a stable short code.

    Parameters
    ----------
    code : str
        One of :data:`WARNING_CODES`; it is printed in brackets before the message, so that
        ``warnings.filterwarnings("ignore", r"\[few-clusters\\]")`` silences one kind only.
    message : str
        What was seen and what to do about it.

    Examples
    --------
    >>> import evalstats as es
    >>> str(es.EvalstatsWarning("few-clusters", "only 4 clusters"))
    '[few-clusters] only 4 clusters'
    """

    def __init__(self, code: str, message: str) -> None:
        if code not in WARNING_CODES:
            raise ValueError(f"unknown warning code {code!r}")
        super().__init__(f"[{code}] {message}")
        self.code = code
        self.message = message

    def __reduce__(self) -> tuple[type["EvalstatsWarning"], tuple[str, str]]:
        return type(self), (self.code, self.message)


WARNING_CODES: Mapping[str, str] = MappingProxyType(
    {
        "constant-score": "all scores of a model are equal, so it ranks nothing",
        "few-positives": "too few positives for the large-sample standard error",
        "near-perfect": "a handful of misranked rows decides the standard error",
        "skewed-losses": "too few rows for the t interval of losses as skewed as these",
        "few-rows": "too few rows for the intervals of a decomposition",
        "clustered-outcomes": "a test that takes outcomes as independent was asked of clusters",
        "few-images": "too few images for the intervals of average precision",
        "few-clusters": "too few clusters for the cluster-robust standard error",
        "degenerate-variance": "a variance is zero although the statistic could vary",
        "failed-replicates": "the statistic was undefined in some bootstrap replicates",
        "class-absent": "a class has no observation and was left out of the average",
        "rows-dropped": "rows with missing values were left out (nan_policy='omit')",
        "few-wins": "too few wins, or losses, for the interval of a controlled rate",
        "few-items": "too few judgements for the number of coefficients",
        "no-overlap": "all values of a mediator lie on one side of the baseline's",
        "covariance-rank": "fewer units than terms: the joint covariance is singular",
        "near-null": "independence is not rejected: the standard errors are not valid there",
        "one-group": "all rows have the same protected attributes",
        "small-groups": "joint levels of protected attributes have too few rows",
        "protected-in-features": "a column of the design equals a protected attribute",
        "not-converged": "an optimiser stopped before its tolerance was reached",
        "coincident-samples": "cells with at most two distinct samples have no spread of their own",
        "regularised-cells": "the added variance exceeds that of the samples in some cells",
        "underflow": "cells count as distance 0 by the rule of the published code",
        "components-at-cap": "cells use all components that were allowed",
        "few-samples": "too few samples of a forecast: the distance is biased upwards",
        "unequal-samples": "models with unlike numbers of samples are not comparable",
        "overlapping-windows": "windows that share frames lie in different clusters",
        "eigenvalue-tie": "the two largest eigenvalues nearly tie: the linearisation is loose",
        "unit-dependent": "the value depends on the unit of length",
        "hosmer-lemeshow": "a test whose result depends on an arbitrary grouping",
        "impossible-events": "events happened that had probability zero, which costs infinity",
        "cancelling-errors": "errors of both signs cancel in a signed score",
        "fixed-base-rate": "resampling within classes fixes the base rate of calibration",
        "near-calibrated": "bins near calibration, where an analytic standard error fails",
        "no-detections": "a detector found nothing at all",
        "unknown-category": "detections of categories that the ground truth does not list",
        "zero-area": "objects or detections without area were dropped",
        "tied-scores": "tied scores make average precision depend on the order of images",
        "few-objects": "too few objects of a category for an unbiased average precision",
        "capped-detections": "detections seem cut at a number per image that the metric forbids",
        "low-resolution": "too few normal pixels lie above the false positive rates of interest",
        "few-tail-images": "few normal images own the tail that sets the false positive rate",
        "few-thresholds": "too few thresholds of the grid lie between the bounds",
        "bound-not-on-grid": "the threshold grid does not meet a bound of the false positive rate",
        "trivial-sets": "too few calibration rows: prediction sets hold classes in every row",
        "mass-points": "the running variable of a discontinuity design has few distinct values",
        "not-bias-corrected": "the order of the local polynomial leaves the bias of the bandwidth",
        "few-draws": "a unit has too few draws for its outer quantiles",
        "quantile-crossing": "fitted limit quantile curves decreased before the monotone step",
        "constant-outcome": "an outcome does not vary within the window",
        "high-leverage": "a single unit determines a limit at the cutoff",
        "treatment-not-binary": "the treatment of a fuzzy design has values other than 0 and 1",
        "weak-first-stage": "the treatment of a fuzzy design hardly jumps at the cutoff",
        "tied-mistakes": "tied scores are not counted as atomic mistakes",
    }
)


_COLLECTED: ContextVar[list[tuple[str, str]] | None] = ContextVar("collected", default=None)


@contextmanager
def collected_warnings() -> Iterator[list[tuple[str, str]]]:
    """Code and message of what :func:`warn` issues meanwhile, whatever the user's filters hide."""
    collected: list[tuple[str, str]] = []
    token = _COLLECTED.set(collected)
    try:
        yield collected
    finally:
        _COLLECTED.reset(token)


def warn(code: str, message: str, *, stacklevel: int = 3) -> None:
    """Issue an :class:`EvalstatsWarning` under its stable `code`."""
    collected = _COLLECTED.get()
    if collected is not None:
        collected.append((code, message))
    # The frame that checks the options of a call is not the line that a user wants to see.
    frame = inspect.currentframe()
    for _ in range(stacklevel - 1):
        frame = None if frame is None else frame.f_back
    if frame is not None and frame.f_globals.get("__name__") == "evalstats.options":
        stacklevel += 1
    warnings.warn(EvalstatsWarning(code, message), stacklevel=stacklevel)
