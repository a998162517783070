"""Means by model, baseline and task that WB-Reward and WB-Score share."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from evalstats.data.columns import Column, Columns, dense_codes
from evalstats.errors import InputError
from evalstats.estimator import Estimator
from evalstats.inference.units import Units
from evalstats.kernels.units import centre_within_strata

Array = NDArray[np.float64]

TASK_WEIGHTS: dict[str, float] = {
    "Creative Tasks": 0.5,
    "Planning & Reasoning": 1.25,
    "Math & Data Analysis": 1.0,
    "Information/Advice seeking": 0.75,
    "Coding & Debugging": 1.25,
}
TASK_OF_TAG: dict[str, str] = {
    "Information seeking": "Information/Advice seeking",
    "Advice seeking": "Information/Advice seeking",
    "Creative Writing": "Creative Tasks",
    "Editing": "Creative Tasks",
    "Brainstorming": "Creative Tasks",
    "Role playing": "Creative Tasks",
    "Others": "Creative Tasks",
    "Reasoning": "Planning & Reasoning",
    "Planning": "Planning & Reasoning",
    "Math": "Math & Data Analysis",
    "Data Analysis": "Math & Data Analysis",
    "Coding & Debugging": "Coding & Debugging",
}
TASKS = tuple(TASK_WEIGHTS)
MIXTURE = "mixture"
SEPARATOR = "|"


@dataclass(frozen=True)
class Prepared:
    """Judgements by cell (model and baseline), ready to be averaged.

    Attributes
    ----------
    value : float64 array (n,)
        Reward or adjusted score of each judgement.
    counted : float64 array (n,)
        1 where the judgement enters the tasks' numerators and denominators.
    overall, denominator : float64 array (n,)
        1 where it enters the overall numerator and denominator.
    membership : float64 array (n, t)
        How often the judgement counts in each task.
    """

    cell: NDArray[np.int64]
    value: Array
    counted: Array
    overall: Array
    denominator: Array
    membership: Array
    n_models: int
    n_baselines: int
    empty_is_zero: bool

    @property
    def has_tasks(self) -> bool:
        """Whether tasks were given."""
        return bool(self.membership.shape[1] > 0)


class WildBench(Estimator):
    """What rewards and scores share: weighted means by model, baseline and task."""

    unit: ClassVar[str] = "judgement"
    higher_is_better: ClassVar[bool | None] = True
    citation_keys: ClassVar[tuple[str, ...]] = ("lin2024wildbench",)

    label: ClassVar[str]
    repeated_tags: Literal["once", "count"]

    def _check_params(self) -> None:
        super()._check_params()
        if self.repeated_tags not in ("once", "count"):
            raise InputError(f"repeated_tags={self.repeated_tags!r}: choose 'once' or 'count'")

    def _keyed(self, columns: Columns) -> Columns:
        """Codes of models, baselines and items; items that repeat are the units of sampling."""
        single = columns.single
        model, models = dense_codes(single["model"])
        baseline = np.zeros(columns.n, dtype=np.int64)
        baselines: list[Hashable] = []
        if "baseline" in single:
            baseline, baselines = dense_codes(single["baseline"])
        n_baselines = max(len(baselines), 1)
        cell = model * n_baselines + baseline
        skipped = np.zeros(columns.n, dtype=bool)
        if "skipped" in single:
            skipped = _mask("skipped", single["skipped"])
        item = dense_codes(single["item"])[0]
        _refuse_duplicates(cell, item, single)
        cluster = columns.cluster
        if cluster is None and int(item.max()) + 1 < columns.n:
            cluster = item if int(item.max()) > 0 else None
        membership = np.zeros((columns.n, 0))
        if "task" in single:
            membership = _membership(single["task"], self.repeated_tags)
        keyed = columns.with_columns(
            {"cell": cell, "skipped": skipped, "membership": membership},
            model_labels=[str(name) for name in models],
            baseline_labels=[str(name) for name in baselines],
        )
        return replace(keyed, cluster=cluster)

    def _cells(self, columns: Columns, value: Array, counted: Array, **parts: Any) -> Prepared:
        return Prepared(
            np.ascontiguousarray(columns.single["cell"]),
            value,
            counted,
            parts["overall"],
            parts["denominator"],
            columns.single["membership"],
            len(columns.extra["model_labels"]),
            max(len(columns.extra["baseline_labels"]), 1),
            parts.get("empty_is_zero", False),
        )

    def _terms(self, columns: Columns) -> list[dict[str, Hashable]]:
        baselines: Sequence[Hashable] = columns.extra["baseline_labels"]
        tasks = columns.single["membership"].shape[1] > 0
        shown = [*baselines, MIXTURE] if len(baselines) > 1 else list(baselines) or [None]
        terms: list[dict[str, Hashable]] = []
        for model in columns.extra["model_labels"]:
            for baseline in shown:
                base: dict[str, Hashable] = {"model": model}
                if baselines:
                    base["baseline"] = baseline
                terms.append({"metric": self.label, **base})
                if tasks:
                    terms[-1]["task"] = None
                    terms.append({"metric": f"macro {self.label}", **base, "task": None})
                    terms += [
                        {"metric": f"task {self.label}", **base, "task": task} for task in TASKS
                    ]
        return terms

    def _evaluate(self, prepared: Prepared, weights: Array) -> Array:
        overall, tasks, _ = _ratios(prepared, weights)
        return self._arranged(prepared, overall[:, np.newaxis], tasks)

    def _arranged(self, prepared: Prepared, overall: Array, tasks: Array) -> Array:
        """Values in the order of the terms, from (cells, 1) and (cells, t) blocks."""
        blocks = [overall]
        if prepared.has_tasks:
            blocks += [tasks @ _task_weights()[:, np.newaxis], tasks]
        table = np.concatenate(blocks, axis=1)
        table = table.reshape(prepared.n_models, prepared.n_baselines, -1)
        if prepared.n_baselines > 1:
            table = np.concatenate([table, table.mean(axis=1, keepdims=True)], axis=1)
        return table.ravel()

    def _influence(self, prepared: Prepared, weights: Array) -> Array:
        gradient, columns = self._row_gradients(prepared, weights)
        k = len(self._evaluate(prepared, weights))
        influence = np.zeros((len(weights), k))
        influence[np.arange(len(weights))[:, np.newaxis], columns] = gradient
        return influence

    def _row_gradients(self, prepared: Prepared, weights: Array) -> tuple[Array, NDArray[np.int64]]:
        """Derivatives by each judgement's weight, and the few terms that it enters."""
        overall, tasks, sums = _ratios(prepared, weights)
        cell = prepared.cell
        with np.errstate(divide="ignore", invalid="ignore"):
            first = (
                prepared.overall * prepared.value - prepared.denominator * overall[cell]
            ) / sums[0][cell]
            member = prepared.membership * prepared.counted[:, np.newaxis]
            by_task = member * (prepared.value[:, np.newaxis] - tasks[cell]) / sums[1][cell]
        blocks = [first[:, np.newaxis]]
        if prepared.has_tasks:
            blocks += [(by_task @ _task_weights())[:, np.newaxis], by_task]
        own = np.concatenate(blocks, axis=1)
        width = own.shape[1]
        r = prepared.n_baselines
        stride = r + 1 if r > 1 else 1
        position = (cell // r) * stride + cell % r
        columns = position[:, np.newaxis] * width + np.arange(width)
        if r > 1:
            mixture = ((cell // r) * stride + r)[:, np.newaxis] * width + np.arange(width)
            own = np.concatenate([own, own / r], axis=1)
            columns = np.concatenate([columns, mixture], axis=1)
        return own, columns

    def _covariance(self, prepared: Prepared, units: Units) -> Array:
        """Z'Z from item sums: rows touch few terms, so (n_rows, k) would be nearly empty."""
        gradient, columns = self._row_gradients(prepared, units.row_weight)
        k = len(self._evaluate(prepared, units.row_weight))
        sums = np.zeros((units.n_units, k))
        rows = np.broadcast_to(units.unit_ids[:, np.newaxis], columns.shape)
        np.add.at(sums, (rows, columns), gradient * units.row_weight[:, np.newaxis])
        stratum = units.unit_stratum
        centre_within_strata(sums, stratum, units.active, int(stratum.max()) + 1)
        return np.asarray(sums.T @ sums)

    def _require_defined(self, columns: Columns, prepared: Prepared, value: Array) -> None:
        if np.isfinite(value).all():
            return
        models, baselines = columns.extra["model_labels"], columns.extra["baseline_labels"]
        weights = np.ones(columns.n) if columns.weight is None else columns.weight
        _, _, (total, by_task) = _ratios(prepared, weights)
        for cell in np.flatnonzero(total == 0):
            against = f" against {baselines[cell % len(baselines)]!r}" if baselines else ""
            raise InputError(
                f"model {models[cell // prepared.n_baselines]!r} has no counted judgement"
                f"{against}: leave it out or add its judgements (the leaderboard's 0 instead: "
                "missing_baseline='zero')"
            )
        cell, task = np.argwhere(by_task == 0)[0]
        raise InputError(
            f"model {models[cell // prepared.n_baselines]!r} has no counted judgement in the task "
            f"{TASKS[task]!r}, so its macro average is undefined: leave task= out or add items"
        )


def _ratios(prepared: Prepared, weights: Array) -> tuple[Array, Array, tuple[Array, Array]]:
    """Overall mean (cells,), task means (cells, t) and their denominators. O(n t)."""
    size = prepared.n_models * prepared.n_baselines
    cell = prepared.cell
    total: Array = np.bincount(cell, weights * prepared.denominator, size).astype(np.float64)
    points = np.bincount(cell, weights * prepared.overall * prepared.value, size)
    n_tasks = prepared.membership.shape[1]
    by_task = np.zeros((size, n_tasks))
    task_points = np.zeros((size, n_tasks))
    for task in range(n_tasks):
        used = weights * prepared.counted * prepared.membership[:, task]
        by_task[:, task] = np.bincount(cell, used, size)
        task_points[:, task] = np.bincount(cell, used * prepared.value, size)
    with np.errstate(divide="ignore", invalid="ignore"):
        overall, tasks = points / total, task_points / by_task
    if prepared.empty_is_zero:
        absent = np.bincount(cell, weights, size) == 0
        overall[absent] = 0.0
        tasks[absent] = 0.0
    return overall, tasks, (total, by_task)


def _task_weights() -> Array:
    weights = np.array(list(TASK_WEIGHTS.values()))
    return np.asarray(weights / weights.sum())


def _mask(argument: str, column: Column) -> NDArray[np.bool_]:
    values = column.tolist()
    for row, value in enumerate(values):
        if value not in (0, 1):
            raise InputError(f"{argument} is {value!r} in row {row}: expected true or false")
    return np.array(values, dtype=bool)


def _refuse_duplicates(
    cell: NDArray[np.int64], item: NDArray[np.int64], single: Mapping[str, Column]
) -> None:
    key = cell * (int(item.max()) + 1) + item
    order = np.argsort(key, kind="stable")
    repeated = np.flatnonzero(key[order][1:] == key[order][:-1])
    if len(repeated):
        row = int(order[repeated + 1].min())
        raise InputError(
            f"item {single['item'][row]} of model {single['model'][row]} is judged twice against "
            f"the same baseline (again in row {row}): average or drop the repeats"
        )


def _membership(column: Column, repeated: str) -> Array:
    counts = np.zeros((len(column), len(TASKS)))
    for row, cell in enumerate(column):
        tags = cell.split(SEPARATOR) if isinstance(cell, str) else list(cell)
        if not tags:
            raise InputError(f"task is empty in row {row}: give each item at least one tag")
        for tag in tags:
            task = TASK_OF_TAG.get(tag, tag)
            if task not in TASKS:
                raise InputError(
                    f"task has the unknown tag {tag!r} in row {row}: choose from "
                    f"{[*TASK_OF_TAG]} or {[*TASKS]}"
                )
            counts[row, TASKS.index(task)] += 1
    return np.minimum(counts, 1.0) if repeated == "once" else counts
