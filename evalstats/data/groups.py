"""Which rows form a group, and whether clusters respect groups."""

import numpy as np
from numpy.typing import NDArray

from evalstats.data.columns import Columns


def group_rows(columns: Columns) -> list[NDArray[np.int64] | None]:
    """Rows of each group, in their order; None for all of them where there are no groups."""
    if columns.group is None:
        return [None]
    order = np.argsort(columns.group, kind="stable")
    counts = np.bincount(columns.group)
    return list(np.split(order, np.cumsum(counts)[:-1]))


def groups_independent(columns: Columns) -> bool:
    """Whether no cluster spans two groups."""
    if columns.group is None or columns.cluster is None:
        return True
    return is_nested(columns.cluster, columns.group)


def is_nested(cluster: NDArray[np.int64], codes: NDArray[np.int64]) -> bool:
    """Whether `codes` are constant within every cluster."""
    pairs = cluster * (int(codes.max()) + 1) + codes
    return len(np.unique(pairs)) == len(np.unique(cluster))
