"""Covariances between models of binned rankings: influence by bin, multiplied row by row.

A binned state knows the influence of a row of each class in each bin of one model, but not which
bins of two models meet in one row. A second pass over the rows does.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from evalstats.data.columns import Columns
from evalstats.discrimination.state import score_bins
from evalstats.discrimination.tables import N_BINS

Array = NDArray[np.float64]


def influence_by_bin(bins: Array, influence: Array) -> Array:
    """Influence (2, 65536) of a negative and of a positive row in each bin that occurs."""
    out = np.zeros((2, N_BINS))
    codes = bins.astype(np.int64)
    out[1, codes], out[0, codes] = np.split(influence, [len(codes)])
    return out


def row_products(columns: Columns, influence: Mapping[str, Array]) -> Array:
    """Number of rows, sums of w z and of w^2 z z' of each class, (2, 1 + k + k k). O(n k^2)."""
    rows = slice(None) if columns.weight is None else columns.weight > 0
    y_true = columns.single["y_true"][rows]
    z = np.column_stack(
        [
            influence[model][y_true.astype(np.int64), score_bins(scores[rows])]
            for model, scores in columns.models["y_score"].items()
        ]
    )
    if columns.weight is not None:
        z *= columns.weight[rows][:, np.newaxis]
    classes = [z[~y_true], z[y_true]]
    return np.stack(
        [np.concatenate([[len(own)], own.sum(axis=0), (own.T @ own).ravel()]) for own in classes]
    )


def joint_covariance(products: Array, by_class: bool) -> Array:
    """Covariance of the values, with the class sizes fixed or random."""
    strata = products if by_class else products.sum(axis=0, keepdims=True)
    k = round((-1 + np.sqrt(4 * products.shape[1] - 3)) / 2)
    covariance = np.zeros((k, k))
    for own in strata:
        n, sums, squares = own[0], own[1 : 1 + k], own[1 + k :].reshape(k, k)
        centred = squares - np.outer(sums, sums) / n
        covariance += n / (n - 1.0) * centred if n > 1 else np.nan
    return covariance
