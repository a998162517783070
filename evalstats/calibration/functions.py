"""Calibration errors of one model as plain numbers."""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalstats.calibration.balance import BalanceScore
from evalstats.calibration.binned_error import Norm, plugin_error
from evalstats.calibration.binning import Binning, Convention, Edges, Rule, make_bins
from evalstats.calibration.calibration_error import CalibrationError
from evalstats.calibration.point import one_pass, one_pass_of_arrays
from evalstats.calibration.probabilities import Target, model_events
from evalstats.data.intake import to_array
from evalstats.options import typed_options

Array = NDArray[np.float64]


@typed_options
def calibration_error(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    *,
    binning: Binning = "uniform",
    n_bins: int = 15,
    norm: Norm = 1,
    target: Target = "positive",
    debias: bool = False,
    convention: Convention | None = None,
    edges: Edges = "right",
    bin_edges: Sequence[float] | None = None,
    sample_weight: ArrayLike | None = None,
    pos_label: Hashable | None = None,
    labels: list[Hashable] | None = None,
) -> float:
    """Binned calibration error of one model, as a plain number.

    Parameters
    ----------
    y_true : array-like (n,)
        Labels.
    y_prob : array-like (n,) or (n, n_classes)
        Probabilities.
    binning, n_bins, norm, target, debias, convention, edges, bin_edges : object
        As in :class:`CalibrationError`.
    sample_weight : array-like (n,), optional
        Non-negative weights.
    pos_label, labels : object
        As in :class:`CalibrationError`.

    Returns
    -------
    float
        Value in [0, 1].

    Raises
    ------
    InputError
        If the input cannot be used.

    Notes
    -----
    O(n); O(n log n) for ``binning="quantile"``, ``"unique"`` and ``"sweep"``.

    Examples
    --------
    >>> import evalstats as es
    >>> round(es.calibration_error([0, 0, 1, 1], [0.2, 0.4, 0.6, 0.9], n_bins=2), 3)
    0.275
    """
    estimator = CalibrationError(
        binning=binning,
        n_bins=n_bins,
        norm=norm,
        target=target,
        debias=debias,
        convention=convention,
        edges=edges,
        bin_edges=bin_edges,
        pos_label=pos_label,
        labels=labels,
    )
    plain = bin_edges is None and estimator.rule == Rule(n_bins=n_bins) and not debias
    plain = plain and target == "positive" and norm in (1, 2, "max")
    if plain and sample_weight is None and pos_label is None:
        sums = one_pass_of_arrays(y_true, y_prob, n_bins)
        if sums is not None:
            return plugin_error(sums.bins, norm)
    columns = estimator.point_columns({"y_true": y_true, "y_prob": y_prob}, sample_weight)
    if plain:
        return plugin_error(one_pass(columns, int(n_bins)).bins, norm)
    return estimator.point_value(columns)


@typed_options
def ece(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    *,
    n_bins: int = 15,
    target: Target = "positive",
    sample_weight: ArrayLike | None = None,
) -> float:
    """Expected calibration error: :func:`calibration_error` at its defaults.

    Parameters
    ----------
    y_true : array-like (n,)
        Labels.
    y_prob : array-like (n,) or (n, n_classes)
        Probabilities.
    n_bins : int, default 15
        Number of bins of equal width.
    target : {"positive", "top_label", "classwise"}
        What the probability is about.
    sample_weight : array-like (n,), optional
        Non-negative weights.

    Returns
    -------
    float
        Value in [0, 1].

    Examples
    --------
    >>> import evalstats as es
    >>> round(es.ece([0, 0, 1, 1], [0.2, 0.4, 0.6, 0.9]), 3)
    0.275
    """
    return calibration_error(
        y_true, y_prob, n_bins=n_bins, target=target, sample_weight=sample_weight
    )


@typed_options
def ace_nixon(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    *,
    n_bins: int = 15,
    sample_weight: ArrayLike | None = None,
    labels: list[Hashable] | None = None,
) -> float:
    """Adaptive calibration error: plain mean over classes and ranges of equal mass.

    Parameters
    ----------
    y_true : array-like (n,)
        Labels.
    y_prob : array-like (n,) or (n, n_classes)
        Probabilities; one column is that of the positive class, whose ranges alone are averaged.
    n_bins : int, default 15
        Number of ranges. A block of equal forecasts is never split, so there may be fewer.
    sample_weight : array-like (n,), optional
        Non-negative weights.
    labels : list, optional
        Class of each column, needed when a class is absent from `y_true`.

    Returns
    -------
    float
        Value in [0, 1].

    Raises
    ------
    InputError
        If the input cannot be used or there are fewer rows than ranges.

    Notes
    -----
    Nixon et al. (2019), eq. 5. O(n log n) per class.

    Examples
    --------
    >>> import evalstats as es
    >>> round(es.ace_nixon([0, 0, 1, 1], [0.2, 0.4, 0.6, 0.9], n_bins=2), 3)
    0.275
    """
    rule = Rule("quantile", n_bins)
    return _mean_over_bins(y_true, y_prob, "classwise", rule, sample_weight, labels)


@typed_options
def ace_netcal(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    *,
    n_bins: int = 10,
    binning: Binning = "uniform",
    target: Target = "positive",
    sample_weight: ArrayLike | None = None,
    labels: list[Hashable] | None = None,
) -> float:
    """Average calibration error as the package netcal defines it: plain mean over bins with rows.

    Parameters
    ----------
    y_true : array-like (n,)
        Labels.
    y_prob : array-like (n,) or (n, n_classes)
        Probabilities.
    n_bins : int, default 10
        Number of bins.
    binning : {"uniform", "quantile"}
        Equal widths or equal mass, with netcal's edges.
    target : {"positive", "top_label", "classwise"}
        What the probability is about.
    sample_weight : array-like (n,), optional
        Non-negative weights.
    labels : list, optional
        Class of each column, needed when a class is absent from `y_true`.

    Returns
    -------
    float
        Value in [0, 1].

    Raises
    ------
    InputError
        If the input cannot be used.

    Examples
    --------
    >>> import evalstats as es
    >>> round(es.ace_netcal([0, 0, 1, 1], [0.2, 0.25, 0.6, 0.9], n_bins=2), 3)
    0.237
    """
    rule = Rule(binning, n_bins, convention="netcal")
    return _mean_over_bins(y_true, y_prob, target, rule, sample_weight, labels)


def _mean_over_bins(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    target: Target,
    rule: Rule,
    sample_weight: ArrayLike | None,
    labels: list[Hashable] | None,
) -> float:
    estimator = CalibrationError(
        binning=rule.binning,
        n_bins=rule.n_bins,
        convention=rule.convention,
        target=target,
        labels=labels,
    )
    columns = estimator.point_columns({"y_true": y_true, "y_prob": y_prob}, sample_weight)
    weights = np.ones(columns.n) if columns.weight is None else columns.weight
    gaps = []
    for events in model_events(columns, target)["y_prob"]:
        single = columns.extra["single_precision"]["y_prob"]
        sums = make_bins(events, rule, np.empty(0), single).sums(weights)
        used = sums[:, 0] > 0
        gaps.append(float(np.abs(sums[used, 1] / sums[used, 0]).mean()))
    return float(np.mean(gaps))


@typed_options
def calibration_summary(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    *,
    n_bins: int = 15,
    sample_weight: ArrayLike | None = None,
    pos_label: Hashable | None = None,
) -> dict[str, float]:
    """Expected calibration error, Brier score and Balance score in one pass over the rows.

    Parameters
    ----------
    y_true : array-like (n,)
        Labels: 0/1, boolean, or two values with `pos_label`.
    y_prob : array-like (n,)
        Probability of the positive class.
    n_bins : int, default 15
        Number of bins of equal width.
    sample_weight : array-like (n,), optional
        Non-negative weights.
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.

    Returns
    -------
    dict
        ``ece``, ``brier_score``, ``balance_score`` and ``calibration_in_the_large`` (mean label
        minus mean probability).

    Raises
    ------
    InputError
        If the input cannot be used.

    Notes
    -----
    One pass over 9 to 17 bytes per row, O(n): the memory is the bottleneck.

    Examples
    --------
    >>> import evalstats as es
    >>> summary = es.calibration_summary([0, 0, 1, 1], [0.2, 0.4, 0.6, 0.9])
    >>> [round(summary[name], 4) for name in ("ece", "brier_score", "balance_score")]
    [0.275, 0.0925, 0.275]
    """
    sums = None
    if sample_weight is None and pos_label is None:
        sums = one_pass_of_arrays(y_true, y_prob, n_bins)
    if sums is None:
        estimator = CalibrationError(n_bins=n_bins, pos_label=pos_label)
        columns = estimator.point_columns({"y_true": y_true, "y_prob": y_prob}, sample_weight)
        sums = one_pass(columns, int(n_bins))
    return {
        "ece": plugin_error(sums.bins, 1),
        "brier_score": sums.brier_score,
        "balance_score": sums.balance_score,
        "calibration_in_the_large": sums.calibration_in_the_large,
    }


@typed_options
def balance_score(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: Hashable | None = None,
    labels: list[Hashable] | None = None,
) -> float:
    """Balance score of one model: accuracy minus mean confidence, as a plain number.

    Parameters
    ----------
    y_true : array-like (n,)
        Labels.
    y_prob : array-like (n,) or (n, n_classes)
        Probability of the positive class, or of every class.
    sample_weight : array-like (n,), optional
        Non-negative weights.
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.
    labels : list, optional
        Class of each column, needed when a class is absent from `y_true`.

    Returns
    -------
    float
        Value in [-1, 0.5] for two classes: above 0 under-confident, below 0 over-confident.

    Raises
    ------
    InputError
        If the input cannot be used.

    Notes
    -----
    O(n). See :class:`BalanceScore` for what it cannot see.

    Examples
    --------
    >>> import evalstats as es
    >>> round(es.balance_score([0, 0, 1, 1], [0.2, 0.4, 0.6, 0.9]), 3)
    0.275
    """
    shape = to_array("y_prob", y_prob)[0].shape
    target: Target = "top_label" if len(shape) == 2 and shape[1] > 1 else "positive"
    estimator = BalanceScore(target=target, pos_label=pos_label, labels=labels)
    columns = estimator.point_columns({"y_true": y_true, "y_prob": y_prob}, sample_weight)
    if columns.extra["classes"] is None:
        return one_pass(columns, 8).balance_score
    return estimator.point_value(columns)
