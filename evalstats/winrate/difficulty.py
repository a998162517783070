"""Difficulty of instructions: given by the user, or fitted jointly over the models."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalstats.data.frames import Frame
from evalstats.errors import InputError
from evalstats.winrate.judgements import Judgements

Array = NDArray[np.float64]
KEY_NAMES = ("item", "index")
JOINT_RIDGE = 1.0
MAX_ITERATIONS = 100


def given_difficulty(source: object) -> tuple[list[Hashable], Array]:
    """Instructions and their difficulty, in the order given.

    Parameters
    ----------
    source : mapping or data frame
        Instruction to difficulty, or columns ``item`` (or ``index``) and ``difficulty``.

    Returns
    -------
    labels : list
        Instructions.
    values : float64 array
        Their difficulty.

    Raises
    ------
    InputError
        If a value is no finite number or an instruction occurs twice.
    """
    if isinstance(source, Mapping):
        labels: list[Hashable] = list(source)
        column = np.array(list(source.values()), dtype=np.float64)
    else:
        frame = Frame(source, [], "difficulty")
        labels = key_column(frame, "difficulty").tolist()
        column = np.array(frame.column("difficulty", "difficulty")[0], dtype=np.float64)
    if len(set(labels)) < len(labels):
        twice = next(label for label in labels if labels.count(label) > 1)
        raise InputError(f"difficulty has the item {twice!r} twice: remove one")
    bad = ~np.isfinite(column)
    if bool(bad.any()):
        raise InputError(
            f"difficulty of the item {labels[int(np.argmax(bad))]!r} is "
            f"{column[int(np.argmax(bad))]}: difficulties must be finite"
        )
    return labels, column


def key_column(frame: Frame, argument: str) -> NDArray[Any]:
    """Column with the instructions, under either of its usual names."""
    for name in KEY_NAMES:
        if name in frame.names:
            return frame.column(argument, name)[0]
    raise InputError(f"{argument} has no column 'item' or 'index', only {frame.names}")


def by_key(labels: list[Hashable], values: Array, wanted: Sequence[Hashable]) -> Array:
    """Difficulty of each wanted instruction; refuses instructions without one."""
    table = dict(zip(labels, values.tolist(), strict=True))
    missing = [label for label in wanted if label not in table]
    if missing:
        raise InputError(
            f"difficulty has no value for the item {missing[0]!r} ({len(missing)} of {len(wanted)} "
            "items): give one for every item, or leave difficulty=None for the minimal model"
        )
    return np.array([table[label] for label in wanted], dtype=np.float64)


def by_position(values: Array, n: int, model: str) -> Array:
    """Difficulties in the order given, as AlpacaEval's table attaches them to the rows."""
    if n > len(values):
        raise InputError(
            f"alignment='position': the model {model!r} has {n} rows but difficulty only "
            f"{len(values)} values: use alignment='key'"
        )
    return values[:n]


def joint_difficulty(
    y: Array,
    t: Array,
    model: NDArray[np.int64],
    item: NDArray[np.int64],
    weight: Array | None = None,
    *,
    ridge: float = JOINT_RIDGE,
    tolerance: float = 1e-10,
) -> tuple[Array, Array]:
    """Fit ``logit P = a_m + b_m t + d_i`` over all models, with d shared by the models.

    Parameters
    ----------
    y, t : float64 array (n,)
        P(model preferred) and length term of each judgement.
    model, item : int64 array (n,)
        Model and instruction codes.
    weight : float64 array (n,), optional
        Weights of the judgements.
    ridge : float
        Strength of the penalty ``ridge / 2 * sum d^2``. Since the intercepts are free this is the
        penalty on centred difficulties, which then sum to zero.
    tolerance : float
        Largest gradient entry at the solution, relative to the total weight.

    Returns
    -------
    difficulty : float64 array (items,)
        Centred difficulties.
    coefficients : float64 array (models, 2)
        Intercept and slope of each model.

    Raises
    ------
    InputError
        If Newton's method does not converge.

    Notes
    -----
    The instruction block of the Hessian is diagonal and is eliminated (Schur complement), so that
    an iteration costs O(n + K^2 items) for K models.
    """
    w = np.ones(len(y)) if weight is None else weight
    n_models, n_items = int(model.max()) + 1, int(item.max()) + 1
    coefficients = np.zeros((n_models, 2))
    difficulty = np.zeros(n_items)
    total = float(w.sum())
    for _ in range(MAX_ITERATIONS):
        eta = coefficients[model, 0] + coefficients[model, 1] * t + difficulty[item]
        p = 0.5 * (1.0 + np.tanh(0.5 * eta))
        residual, curvature = w * (y - p), w * p * (1.0 - p)
        score_models = np.column_stack(
            [np.bincount(model, residual * x, n_models) for x in (np.ones_like(t), t)]
        ).ravel()
        score_items = np.bincount(item, residual, n_items) - ridge * difficulty
        if max(np.abs(score_models).max(), np.abs(score_items).max()) <= tolerance * total:
            return difficulty - difficulty.mean(), coefficients
        block = np.zeros((2 * n_models, 2 * n_models))
        cross = np.zeros((2 * n_models, n_items))
        for i, x in enumerate((np.ones_like(t), t)):
            np.add.at(cross, (2 * model + i, item), curvature * x)
            for j, z in enumerate((np.ones_like(t), t)):
                diagonal = np.bincount(model, curvature * x * z, n_models)
                block[np.arange(i, 2 * n_models, 2), np.arange(j, 2 * n_models, 2)] = diagonal
        items = np.bincount(item, curvature, n_items) + ridge
        reduced = block - (cross / items) @ cross.T
        step = np.linalg.lstsq(reduced, score_models - cross @ (score_items / items), rcond=1e-12)[
            0
        ]
        coefficients += step.reshape(n_models, 2)
        difficulty += (score_items - cross.T @ step) / items
    raise InputError(
        "difficulty='joint' did not converge: a model is separated from the others; leave it out "
        "or give the difficulty yourself"
    )


def joint_difficulty_of(columns: Judgements, terms: Mapping[str, Array]) -> Array:
    """Joint fit over all models of `columns`, given the length term of each judgement."""
    if len(columns.blocks) < 2:
        raise InputError(
            "difficulty='joint' needs at least 2 models (AlpacaEval used about 120): with one "
            "model give the difficulty yourself or leave difficulty=None"
        )
    pieces = []
    for code, (name, block) in enumerate(columns.blocks.items()):
        weight = (
            block.weight if columns.weight is None else (block.weight * columns.weight[block.item])
        )
        use = np.isfinite(block.y) & (weight > 0)
        use &= ~_is_itself(block.y, terms[name])
        count = int(use.sum())
        pieces.append(
            (block.y[use], terms[name][use], np.full(count, code), block.item[use], weight[use])
        )
    y, t, model, item, weight = (np.concatenate(part) for part in zip(*pieces, strict=True))
    present, codes = np.unique(model, return_inverse=True)
    if len(present) < 2:
        raise InputError("difficulty='joint' needs at least 2 models besides the baseline itself")
    difficulty, _ = joint_difficulty(y, t, codes.astype(np.int64).ravel(), item, weight)
    padded = np.zeros(columns.n)
    padded[: len(difficulty)] = difficulty
    return padded


def _is_itself(y: Array, t: Array) -> NDArray[np.bool_]:
    """All judgements of a model that is the baseline, else none."""
    return np.full(len(y), bool((y[np.isfinite(y)] == 0.5).all() and not t.any()))
