"""The samples of the groups of one analysis, one after the other."""

import numpy as np

from evalstats.data.columns import Columns
from evalstats.errors import InputError


def group_samples(columns: Columns, what: str) -> list[tuple[dict[str, list[str]], Columns]]:
    """Samples of all groups with the frame column that names them; binary targets only."""
    if columns.extra.get("classes") is not None:
        raise InputError(
            f"{what} is of one event: fit one column, the probability of the positive class"
        )
    return [
        ({} if group is None else {"group": [group]}, sample)
        for group, sample in groups_of(columns)
    ]


def groups_of(columns: Columns) -> list[tuple[str | None, Columns]]:
    """Label and rows of each group; None and all rows without groups."""
    if columns.group is None:
        return [(None, columns)]
    return [
        (
            ", ".join(str(label) for label in labels),
            columns.take(np.flatnonzero(columns.group == position)),
        )
        for position, labels in enumerate(columns.group_labels)
    ]
