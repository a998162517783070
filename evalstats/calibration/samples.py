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
    if columns.group is None:
        return [({}, columns)]
    named = []
    for position, labels in enumerate(columns.group_labels):
        name = ", ".join(str(label) for label in labels)
        named.append(({"group": [name]}, columns.take(np.flatnonzero(columns.group == position))))
    return named
