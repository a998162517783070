"""Design matrices of the controlled fit: mediators, context and the model effect."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalstats.data.intake import number_array
from evalstats.data.validation import LARGEST_NUMBER
from evalstats.errors import InputError
from evalstats.winrate.formula import formula_terms
from evalstats.winrate.gamed import Gamed
from evalstats.winrate.judgements import Block, Judgements

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

LENGTH = "length"
DIFFICULTY = "difficulty"
MODEL = "model"


@dataclass(frozen=True)
class Rows:
    """Rows of all models, one model after another.

    Attributes
    ----------
    design : float64 array (n, p)
        Terms of the fit.
    y, weight : float64 array (n,)
        P(model preferred), NaN where it is missing, and weight within the instruction.
    item, offsets : int64 array
        Instruction of each row; first row of each model and the end of the last.
    """

    design: Array
    y: Array
    weight: Array
    item: Codes
    offsets: Codes

    @classmethod
    def stacked(cls, parts: list[tuple[Array, Array, Array, Codes]]) -> "Rows":
        """Lay the (design, y, weight, item) of each model one after another."""
        design, y, weight, item = (np.concatenate(column) for column in zip(*parts, strict=True))
        sizes = [len(part[1]) for part in parts]
        return cls(
            np.ascontiguousarray(design),
            np.ascontiguousarray(y),
            np.ascontiguousarray(weight),
            np.ascontiguousarray(item, dtype=np.int64),
            np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        )

    def of(self, model: int) -> slice:
        """Rows of one model."""
        return slice(int(self.offsets[model]), int(self.offsets[model + 1]))


@dataclass(frozen=True)
class Design:
    """Everything that the fit needs and that does not depend on the weights of instructions.

    Attributes
    ----------
    models, names : list of str
        Models, and terms of the fit.
    mediator : bool array (p,)
        Terms that are 0 when both sides are alike.
    fit : Rows
        Rows of the likelihood: judgements with a preference, then gamed ones.
    report : Rows
        All judgements with the mediators set to 0, over which the controlled rate averages.
    context : float64 array (items, p)
        Context of each instruction, 0 for mediators; NaN where no model was judged on it.
    fitted : bool array (models,)
        False for a model that is the baseline itself.
    """

    n_items: int
    models: list[str]
    names: list[str]
    mediator: NDArray[np.bool_]
    fit: Rows
    report: Rows
    context: Array
    fitted: NDArray[np.bool_]

    @property
    def known_items(self) -> NDArray[np.bool_]:
        """Instructions on which at least one model was judged."""
        return np.asarray(~np.isnan(self.context).any(axis=1))


Terms = tuple[list[str], Array, NDArray[np.bool_]]


def length_term(block: Block, model: str) -> Array:
    """``tanh((length_baseline - length_model) / sd)``, the sd of this model's rows, not centred."""
    delta = length_difference(block, model)
    if not delta.any():
        return delta
    if len(delta) < 2:
        raise InputError(f"the model {model!r} has 1 judgement: the length scale needs at least 2")
    if np.abs(delta).max() > LARGEST_NUMBER:
        raise InputError(f"a length of the model {model!r} is beyond {LARGEST_NUMBER:g}: rescale")
    scale = delta.std(ddof=1)
    if scale <= 1e-12 * np.abs(delta).max():
        raise InputError(
            f"the length difference of the model {model!r} is {delta[0]:g} in every row: a "
            "constant mediator cannot be told from the model itself"
        )
    return np.asarray(np.tanh(delta / scale))


def length_difference(block: Block, model: str) -> Array:
    """Baseline minus model, after refusing what is no length."""
    sides = {}
    for role in ("length_baseline", "length_model"):
        column = block.values[role]
        length = number_array(role, column)
        bad = ~np.isfinite(length) | (length < 0)
        if bool(bad.any()):
            place = int(np.argmax(bad))
            raise InputError(
                f"{role} of the model {model!r} is {length[place]:g} in row "
                f"{int(block.row[place])}: lengths must be finite and >= 0"
            )
        sides[role] = length
    return np.asarray(sides["length_baseline"] - sides["length_model"])


def is_baseline(block: Block, name: str) -> bool:
    """Whether a model is the baseline itself: by name, or all draws at equal lengths."""
    baseline = block.values.get("baseline")
    if baseline is not None and len(baseline) and str(baseline[0]) == name:
        return True
    if "length_model" not in block.values:
        return False
    lengths = block.values["length_model"], block.values["length_baseline"]
    # A formula without lengths does not look at them, whatever they are.
    equal = all(own.dtype.kind in "biuf" for own in lengths) and np.array_equal(*lengths)
    return bool(equal and (block.y[np.isfinite(block.y)] == 0.5).all())


def preset_terms(block: Block, model: str) -> Terms:
    """Length, and difficulty where it is known."""
    columns = [length_term(block, model)]
    names = [LENGTH]
    if DIFFICULTY in block.values:
        columns.append(block.values[DIFFICULTY].astype(np.float64))
        names.append(DIFFICULTY)
    return names, np.column_stack(columns), np.array([name == LENGTH for name in names])


def model_terms(
    block: Block, model: str, formula: str | None, context: Collection[str], itself: bool
) -> Terms:
    """Terms of one model's rows, from the preset or the formula, then the model effect."""
    if formula is None:
        names, matrix, mediator = preset_terms(block, model)
    else:
        columns = {
            name: column
            for name, column in block.values.items()
            if name in context or name == "position" or name.endswith(("_model", "_baseline"))
        }
        names, matrix, mediator = formula_terms(formula, columns, context)
    for term in np.flatnonzero(mediator):
        if not itself and not matrix[:, term].any():
            raise InputError(
                f"the {names[term]} of the model {model!r} equals the baseline's in every row: "
                "nothing can be controlled (WinRate gives the raw rate)"
            )
    effect = np.ones((len(block.y), 1))
    return (
        [*names, MODEL],
        np.hstack([matrix, effect]),
        np.append(mediator, np.False_),
    )


def build_design(
    columns: Judgements,
    *,
    formula: str | None,
    context: Collection[str],
    gamed: Gamed | None,
    difficulty: Array | None,
) -> Design:
    """Design of all models; see :class:`Design`.

    Parameters
    ----------
    columns : Judgements
        Judgements by instruction.
    formula, context : str or None, collection of str
        Mediators, and variables that describe the instruction.
    gamed : Gamed or None
        Judgements of the gamed baselines; those of unknown instructions are left out.
    difficulty : float64 array (items,) or None
        Difficulty of each instruction, for the gamed judgements.
    """
    shared = None if gamed is None else _gamed_rows(columns, gamed, difficulty)
    fit, report, fitted = [], [], []
    names: list[str] = []
    mediator = np.zeros(0, dtype=bool)
    item_context: Array = np.zeros((0, 0))
    for model, block in columns.blocks.items():
        itself = is_baseline(block, model)
        names, matrix, mediator = model_terms(block, model, formula, context, itself)
        controlled = np.where(mediator, 0.0, matrix)
        if len(item_context) == 0:
            item_context = np.full((columns.n, len(names)), np.nan)
        item_context[block.item] = controlled
        report.append((controlled, block.y, block.weight, block.item))
        used = np.isfinite(block.y)
        part = (matrix[used], block.y[used], block.weight[used], block.item[used])
        if shared is not None and not itself:
            part = _with_gamed(part, shared, names)
        fit.append(part)
        fitted.append(not itself)
    return Design(
        columns.n,
        list(columns.blocks),
        names,
        mediator,
        Rows.stacked(fit),
        Rows.stacked(report),
        item_context,
        np.array(fitted, dtype=bool),
    )


GamedRows = tuple[dict[str, Array], Array, Array, Codes]


def _gamed_rows(columns: Judgements, gamed: Gamed, difficulty: Array | None) -> GamedRows:
    code = {label: position for position, label in enumerate(columns.labels)}
    kept = gamed.among(columns.labels)
    item = np.array([code[label] for label in kept.labels], dtype=np.int64)
    values = {LENGTH: kept.t}
    if difficulty is not None:
        values[DIFFICULTY] = difficulty[item]
        if bool(np.isnan(values[DIFFICULTY]).any()):
            raise AssertionError("instructions without difficulty have no gamed judgement")
    return values, kept.y, kept.weight, item


def _with_gamed(
    part: tuple[Array, Array, Array, Codes], gamed: GamedRows, names: list[str]
) -> tuple[Array, Array, Array, Codes]:
    values, y, weight, item = gamed
    # Without the model effect: both sides come from the baseline.
    columns = [values[name] if name != MODEL else np.zeros(len(y)) for name in names]
    return (
        np.vstack([part[0], np.column_stack(columns)]),
        np.concatenate([part[1], y]),
        np.concatenate([part[2], weight]),
        np.concatenate([part[3], item]),
    )
