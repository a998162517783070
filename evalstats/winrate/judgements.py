"""Judgements of several models, gathered by instruction: the unit of sampling."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalstats.data.columns import Columns, Role, dense_codes
from evalstats.errors import InputError
from evalstats.winrate.coding import Coding, unit_preference

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """The judgements of one model.

    Attributes
    ----------
    item, row : int64 array
        Instruction of each judgement, and its row in the data as given.
    y, weight : float64 array
        P(model preferred), NaN where it is missing, and the weight within the instruction.
    values : dict of str to array
        Further columns, such as lengths.
    """

    item: Codes
    row: Codes
    y: Array
    weight: Array
    values: dict[str, NDArray[Any]]

    def take(self, kept: NDArray[np.bool_], item: Codes) -> "Block":
        """Return the rows under the mask, with new instruction codes."""
        values = {name: column[kept] for name, column in self.values.items()}
        return Block(item[kept], self.row[kept], self.y[kept], self.weight[kept], values)


@dataclass(frozen=True)
class Judgements(Columns):
    """Columns whose rows are instructions; the judgements themselves are in `blocks`.

    Attributes
    ----------
    blocks : dict of str to Block
        Model name to its judgements, in the order given.
    labels : sequence
        Name of each instruction.
    """

    blocks: dict[str, Block] = field(default_factory=dict)
    labels: Sequence[Hashable] = ()

    @property
    def model_names(self) -> list[str]:
        """Names of the models, in the order given."""
        return list(self.blocks)

    def take(self, rows: Codes) -> "Judgements":
        """Return the given instructions, in that order."""
        code = np.full(self.n, -1, dtype=np.int64)
        code[rows] = np.arange(len(rows))
        blocks = {}
        for name, block in self.blocks.items():
            item = code[block.item]
            blocks[name] = block.take(item >= 0, item)
        taken = super().take(rows)
        if not isinstance(taken, Judgements):
            raise AssertionError("dataclasses.replace keeps the class")
        return replace(taken, blocks=blocks, labels=[self.labels[row] for row in rows])

    def with_items(self, labels: Sequence[Hashable]) -> "Judgements":
        """Append instructions on which no model was judged, as units of their own."""
        n = len(labels)
        if n == 0:
            return self
        weight = None
        if self.weight is not None:
            weight = np.concatenate([self.weight, np.full(n, self.weight.mean())])
        cluster = None
        if self.cluster is not None:
            cluster = np.concatenate([self.cluster, self.cluster.max() + 1 + np.arange(n)])
        if self.group is not None or "stratify" in self.single:
            raise AssertionError("instructions without judgements have no group")
        return replace(
            self,
            n=self.n + n,
            single={},
            weight=weight,
            cluster=cluster,
            labels=[*self.labels, *labels],
        )


def gather(
    columns: Columns,
    roles: Sequence[Role],
    coding: Coding,
    *,
    repeats: bool = False,
    draw_within: float = 0.0,
) -> Judgements:
    """Group judgements by model and instruction.

    Parameters
    ----------
    columns : Columns
        Either long (a ``model`` column, one row per judgement) or wide (one row per instruction,
        the preferences of each model in a column of its own).
    roles : sequence of Role
        The roles that `columns` was collected for.
    coding : str
        Coding of the preferences.
    repeats : bool
        Whether a model may have several judgements of one instruction.
    draw_within : float
        Preferences this close to one half are draws.

    Returns
    -------
    Judgements
        One row per instruction.

    Raises
    ------
    InputError
        If keys are repeated, models do not match, or an instruction lies in two clusters.
    """
    long = "model" in columns.single
    blocks = _long_blocks(columns, coding) if long else _wide_blocks(columns, roles, coding)
    if draw_within > 0.0:
        for block in blocks.values():
            block.y[np.abs(block.y - 0.5) <= draw_within] = 0.5
    item, labels = _items(columns, long)
    order = _row_weights(columns, item, len(labels))
    coded = {name: _coded(block, item, order[1]) for name, block in blocks.items()}
    for name, block in coded.items():
        _require_unique(name, block, labels, repeats)
    first = np.full(len(labels), -1, dtype=np.int64)
    first[item[::-1]] = np.arange(columns.n)[::-1]
    for what, values in (("cluster", columns.cluster), ("by", columns.group)):
        _require_constant(what, values, item, first, labels)
    if "stratify" in columns.single:
        codes, _ = dense_codes(columns.single["stratify"])
        _require_constant("stratify", codes, item, first, labels)
    return Judgements(
        n=len(labels),
        single={name: column[first] for name, column in columns.single.items()},
        models={},
        weight=order[0],
        cluster=None if columns.cluster is None else columns.cluster[first],
        group=None if columns.group is None else columns.group[first],
        group_labels=columns.group_labels,
        group_names=columns.group_names,
        n_dropped=columns.n_dropped,
        blocks=coded,
        labels=labels,
    )


def _long_blocks(columns: Columns, coding: Coding) -> dict[str, Block]:
    for role, models in columns.models.items():
        if len(models) > 1:
            raise InputError(
                f"{role} has {len(models)} columns although model= names the model of each row: "
                "pass one column per role, or leave model= out"
            )
    if "item" not in columns.single:
        raise InputError(
            "item is required with model=: several models share the instructions, so pass the "
            "instruction of each row"
        )
    values = {role: next(iter(models.values())) for role, models in columns.models.items()}
    names = columns.single["model"]
    y = unit_preference(values["preference"], coding)
    shared = {**columns.single, **values}
    blocks = {}
    for name in dict.fromkeys(names.tolist()):
        rows = np.flatnonzero(names == name)
        own = {role: column[rows] for role, column in shared.items()}
        blocks[str(name)] = Block(rows, rows, y[rows], np.ones(len(rows)), own)
    return blocks


def _wide_blocks(columns: Columns, roles: Sequence[Role], coding: Coding) -> dict[str, Block]:
    preferences = columns.models["preference"]
    rows = np.arange(columns.n)
    several = len(preferences) > 1
    per_model = [role.name for role in roles if role.per_model and role.name in columns.models]
    blocks = {}
    for position, (name, preference) in enumerate(preferences.items()):
        argument = f"preference[{name!r}]" if several else "preference"
        own = dict(columns.single)
        for role in per_model[1:]:
            own[role] = _matching(columns.models[role], role, name, position, len(preferences))
        y = unit_preference(preference, coding, argument=argument)
        blocks[name] = Block(rows, rows, y, np.ones(columns.n), own)
    return blocks


def _matching(
    models: dict[str, NDArray[Any]], role: str, name: str, position: int, n_models: int
) -> NDArray[Any]:
    """Column of the model of that name, or at that place where the columns are named otherwise."""
    if name in models:
        return models[name]
    if len(models) == n_models:
        return list(models.values())[position]
    raise InputError(
        f"{role} has no column for the model {name!r}: it has {list(models)}, so name each model "
        "as in preference"
    )


def _items(columns: Columns, long: bool) -> tuple[Codes, Sequence[Hashable]]:
    if "item" in columns.single:
        return dense_codes(columns.single["item"])
    if long:
        raise AssertionError("refused before")
    return np.arange(columns.n), range(columns.n)


def _row_weights(columns: Columns, item: Codes, n: int) -> tuple[Array | None, Array]:
    """Weights as those of instructions where they are constant there, else of judgements."""
    if columns.weight is None:
        return None, np.ones(columns.n)
    of_item = np.zeros(n)
    of_item[item] = columns.weight
    if bool((of_item[item] == columns.weight).all()):
        return of_item, np.ones(columns.n)
    return None, columns.weight


def _coded(block: Block, item: Codes, weight: Array) -> Block:
    coded = replace(block, item=item[block.row], weight=weight[block.row])
    return coded.take(coded.weight > 0, coded.item)


def _require_unique(name: str, block: Block, labels: Sequence[Hashable], repeats: bool) -> None:
    if repeats or len(block.item) == 0:
        return
    order = np.argsort(block.item, kind="stable")
    again = np.flatnonzero(np.diff(block.item[order]) == 0)
    if len(again):
        row = int(block.row[order[again[0] + 1]])
        raise InputError(
            f"item {labels[int(block.item[order[again[0]]])]!r} is judged more than once for the "
            f"model {name!r} (again in row {row}): remove the repetition, or pass repeats=True if "
            "these are repeated judgements"
        )


def _require_constant(
    what: str,
    values: NDArray[Any] | None,
    item: Codes,
    first: Codes,
    labels: Sequence[Hashable],
) -> None:
    if values is None:
        return
    differs = values != values[first][item]
    if bool(differs.any()):
        row = int(np.argmax(differs))
        raise InputError(
            f"{what} varies within the item {labels[int(item[row])]!r} (first in row {row}): all "
            f"judgements of an instruction must have the same {what}"
        )
