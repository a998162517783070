"""What the engine sees of a metric: values and influence as functions of weights."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evalstats.inference.units import Units

Evaluate = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Part:
    """One prepared sample, a group of ``by=`` or the whole data.

    Attributes
    ----------
    rows : int64 array or None
        Rows of the whole data that belong to the part; None for all.
    units : Units
        The part's own units, weights and design strata.
    unit_ids : int64 array or None
        Unit of the whole data that each unit of the part is; None when they are the same.
    evaluate : callable
        Weights of the part's rows to its k values; NaN where undefined.
    influence : callable or None
        Weights of the part's rows to the (n_rows, k) derivatives at these weights.
    covariance : callable or None
        The part's units to the (k, k) covariance Z'Z of the influence values, for metrics whose
        (n_rows, k) influence values would be too large to write down.
    """

    rows: NDArray[np.int64] | None
    units: Units
    unit_ids: NDArray[np.int64] | None
    evaluate: Evaluate
    influence: Evaluate | None
    covariance: Callable[[Units], NDArray[np.float64]] | None = None


@dataclass(frozen=True)
class Problem:
    """All parts of one analysis over common units.

    Attributes
    ----------
    truth : float64 array (k,) or None
        The statistic of the data seen as a population, where that is not the estimate because the
        estimator corrects a bias of finite samples; replicates scatter around it.
    work : int
        Operations of one evaluation, where they are more than one per row.
    blank_undefined : bool
        Terms that are undefined in more than a few replicates get no standard error, instead of
        being refused or of costing the other terms their replicates.
    """

    units: Units
    parts: Sequence[Part]
    value: NDArray[np.float64]
    independent_parts: bool
    truth: NDArray[np.float64] | None = None
    work: int = 0
    blank_undefined: bool = False

    @property
    def replicate_truth(self) -> NDArray[np.float64]:
        """What the replicates estimate: the statistic of the data, seen as a population."""
        return self.value if self.truth is None else self.truth

    def evaluate(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values of all terms under the weights of all rows."""
        if len(self.parts) == 1 and self.parts[0].rows is None:
            return self.parts[0].evaluate(weights)
        return np.concatenate([part.evaluate(weights[part.rows]) for part in self.parts])


@dataclass(frozen=True)
class SamplingDistribution:
    """What inference returns: the joint distribution of the estimates.

    Attributes
    ----------
    covariance : float64 array (k, k)
        Joint covariance of the estimates.
    replicates : float64 array (B, k) or None
        Defined replicates.
    support : dict of str to array
        What intervals need later: ``bias``, ``acceleration``, ``skewness`` (k, k, k),
        ``replicate_covariance`` (B, k, k).
    n_failed : int
        Replicates in which a statistic was undefined.
    """

    covariance: NDArray[np.float64]
    replicates: NDArray[np.float64] | None = None
    support: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    n_failed: int = 0
