"""The labels of the values of an estimate as a frame."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import polars as pl

from evalstats.data.columns import Columns
from evalstats.errors import InputError


def _storable(label: Hashable) -> Hashable:
    """Labels as tables can hold them, which know no numbers of more than 64 bits."""
    return float(label) if isinstance(label, np.longdouble) else label


def term_frame(columns: Columns, terms: Sequence[Sequence[Mapping[str, Hashable]]]) -> pl.DataFrame:
    """Frame of the labels of all values, group by group.

    Raises
    ------
    InputError
        If a name of the user's is no Unicode text.
    """
    rows: list[dict[str, Hashable]] = []
    for position, part in enumerate(terms):
        for term in part:
            row = dict(term)
            if columns.group is not None:
                labels = columns.group_labels[position]
                row["group"] = (
                    labels[0] if len(labels) == 1 else ", ".join(str(label) for label in labels)
                )
            rows.append(row)
    names = list(dict.fromkeys(name for row in rows for name in row))
    order: list[str] = [name for name in ("metric", "model", "group", "class") if name in names]
    order += [name for name in names if name not in order]
    try:
        content = {name: [_storable(row.get(name)) for row in rows] for name in order}
        return pl.DataFrame(content, strict=False)
    except UnicodeEncodeError as error:
        raise InputError(f"the name of a model or group is no Unicode text: {error}") from error
