"""Rows of one model for the functions that return plain numbers."""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalstats.calibration.probabilities import ProbabilityEstimator, probabilities
from evalstats.data.intake import collect_columns
from evalstats.data.validation import binary_labels
from evalstats.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class BinaryRows:
    """Validated rows of one model.

    Attributes
    ----------
    outcome : bool array (n,)
        Whether the event happened.
    forecast : float64 array (n,)
        Its probability.
    weight : float64 array (n,) or None
        Weight of each row.
    """

    outcome: NDArray[np.bool_]
    forecast: Array
    weight: Array | None

    @property
    def given_weights(self) -> Array:
        """Weights of the rows, empty where there are none."""
        return np.empty(0) if self.weight is None else self.weight

    @property
    def weights(self) -> Array:
        """Weights of the rows, ones where there are none."""
        return np.ones(len(self.forecast)) if self.weight is None else self.weight


def binary_rows(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    sample_weight: ArrayLike | None,
    pos_label: Hashable | None = None,
) -> BinaryRows:
    """Validate labels, probabilities of the positive class and weights of one model.

    Raises
    ------
    InputError
        If a column cannot be used or `y_prob` has several columns.
    """
    columns = collect_columns(
        ProbabilityEstimator.roles,
        {"y_true": y_true, "y_prob": y_prob},
        data=None,
        sample_weight=sample_weight,
        cluster=None,
        by=None,
        nan_policy="raise",
        may_be_missing=(),
    )
    models = columns.models["y_prob"]
    if list(models) != ["y_prob"]:
        raise InputError(
            "y_prob has several columns: pass the probability of the positive class of one model"
        )
    outcome = binary_labels("y_true", columns.single["y_true"], pos_label)
    return BinaryRows(outcome, probabilities("y_prob", models["y_prob"]), columns.weight)
