"""WildBench: rewards of pairwise judgements and adjusted scores, by task (Lin et al. 2024)."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from evalstats.data.columns import Column, Columns, Role, dense_codes
from evalstats.data.intake import NanPolicy
from evalstats.data.validation import finite_scores
from evalstats.errors import InputError
from evalstats.estimator import Estimator
from evalstats.inference.methods import InferenceOption
from evalstats.inference.units import Units
from evalstats.kernels.units import centre_within_strata

Array = NDArray[np.float64]

OUTCOMES: dict[str, float] = {
    "win_much": 1.0,
    "win": 0.5,
    "tie": 0.0,
    "lose": -0.5,
    "lose_much": -1.0,
}
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
PERCENT = 100.0
SEPARATOR = "|"


@dataclass(frozen=True)
class Prepared:
    """Judgements by cell (model and reference), ready to be averaged.

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
    n_references: int
    empty_is_zero: bool

    @property
    def has_tasks(self) -> bool:
        """Whether tasks were given."""
        return self.membership.shape[1] > 0


class _WildBench(Estimator):
    """What rewards and scores share: weighted means by model, reference and task."""

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
        """Codes of models, references and items; items that repeat are the units of sampling."""
        single = columns.single
        model, models = dense_codes(single["model"])
        reference = np.zeros(columns.n, dtype=np.int64)
        references: list[Hashable] = []
        if "reference" in single:
            reference, references = dense_codes(single["reference"])
        n_references = max(len(references), 1)
        cell = model * n_references + reference
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
            reference_labels=[str(name) for name in references],
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
            max(len(columns.extra["reference_labels"]), 1),
            parts.get("empty_is_zero", False),
        )

    def _terms(self, columns: Columns) -> list[dict[str, Hashable]]:
        references: Sequence[Hashable] = columns.extra["reference_labels"]
        tasks = columns.single["membership"].shape[1] > 0
        shown = [*references, MIXTURE] if len(references) > 1 else list(references) or [None]
        terms: list[dict[str, Hashable]] = []
        for model in columns.extra["model_labels"]:
            for reference in shown:
                base: dict[str, Hashable] = {"model": model}
                if references:
                    base["reference"] = reference
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
        table = table.reshape(prepared.n_models, prepared.n_references, -1)
        if prepared.n_references > 1:
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
        r = prepared.n_references
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
        models, references = columns.extra["model_labels"], columns.extra["reference_labels"]
        weights = np.ones(columns.n) if columns.weight is None else columns.weight
        _, _, (total, by_task) = _ratios(prepared, weights)
        for cell in np.flatnonzero(total == 0):
            against = f" against {references[cell % len(references)]!r}" if references else ""
            raise InputError(
                f"model {models[cell // prepared.n_references]!r} has no counted judgement"
                f"{against}: leave it out or add its judgements (the leaderboard's 0 instead: "
                "missing_reference='zero')"
            )
        cell, task = np.argwhere(by_task == 0)[0]
        raise InputError(
            f"model {models[cell // prepared.n_references]!r} has no counted judgement in the task "
            f"{TASKS[task]!r}, so its macro average is undefined: leave task= out or add items"
        )


class WildBenchReward(_WildBench):
    r"""WB-Reward: mean reward of pairwise judgements, overall and by task.

    "Much better", "slightly better", "tie", "slightly worse" and "much worse" are rewarded with
    100, 50, 0, -50 and -100; slight preferences for a much longer answer count as ties.

    Parameters
    ----------
    margin : int, default 500
        Length rule K: "slightly better" becomes a tie if the winner is strictly more than K
        characters longer than the loser; -1 switches the rule off.
    denominator : {"counted", "all"}
        Divide the overall reward by the judgements counted, or, as the public leaderboard does, by
        all judgements, which treats skipped ones as ties. Task rewards divide by those counted.
    missing_reference : {"raise", "zero"}
        Refuse a model without judgements against one of the references, or give it 0 there as the
        public leaderboard does.
    repeated_tags : {"once", "count"}
        Whether an item whose tags name a task twice counts once or twice in that task.
    inference : "auto", Analytic, Bootstrap, Jackknife or NoInference
        "auto" is the influence function by item.
    level : float, default 0.95
        Confidence level.
    nan_policy : {"raise", "omit"}
        Refuse or drop rows with missing values.

    Attributes
    ----------
    estimate_ : Estimate
        Per model (and reference, and their mean as ``"mixture"``) the ``reward``, and with tasks
        the ``macro reward`` and five ``task reward``; in percent of the largest reward.

    Notes
    -----
    The macro reward weights the tasks creative .5, planning and reasoning 1.25, mathematics and
    data 1, information and advice .75 and coding 1.25, divided by their sum 4.75. An item with
    several tags counts in each of its tasks, so the standard error of the macro reward comes from
    the influence of items, not from independent tasks. Complexity O(n) per replicate.

    References
    ----------
    Lin et al. (2024), WildBench, arXiv 2406.04770.

    Examples
    --------
    >>> import evalstats as es
    >>> outcome = ["win_much", "win", "tie", "lose", "win"]
    >>> lengths, others = [900, 2000, 800, 700, 900], [1000, 1000, 900, 1500, 800]
    >>> reward = es.WildBenchReward().fit(
    ...     outcome, ["m"] * 5, list("abcde"), length_model=lengths, length_reference=others
    ... )
    >>> reward.estimate_.value.tolist()
    [30.0]
    """

    metric: ClassVar[str] = "WB-Reward"
    label: ClassVar[str] = "reward"
    verb: ClassVar[str] = "wildbench-reward"
    roles: ClassVar[tuple[Role, ...]] = (
        Role("outcome", "label", help="column with win_much, win, tie, lose or lose_much"),
        Role("model", "code", help="column with the model of each judgement"),
        Role("item", "code", help="column with the item of each judgement"),
        Role("reference", "code", required=False, help="column with the reference model"),
        Role("length_model", "score", required=False, help="column with characters of the model"),
        Role("length_reference", "score", required=False, help="characters of the reference"),
        Role("task", "code", required=False, help="column with the tags of the item"),
        Role("skipped", "label", required=False, help="column: truncated or empty answer"),
    )
    exceptions: ClassVar[Mapping[str, str]] = {
        "models_do_not_influence_each_other": "models are rows here; see tests/winrate instead",
        "merge": "not offered: a fit costs one pass over the judgements",
        "bad_columns": "models are rows of the frame here, not columns of their own",
        "nan_policy_omit": "models are rows of the frame here, not columns of their own",
        "dtypes_of_labels": "outcomes are five grades, not booleans",
        "integer_weight_is_repetition": "a repeated (model, item) is refused as a duplicate",
    }

    def __init__(
        self,
        *,
        margin: int = 500,
        denominator: Literal["counted", "all"] = "counted",
        missing_reference: Literal["raise", "zero"] = "raise",
        repeated_tags: Literal["once", "count"] = "once",
        inference: InferenceOption = "auto",
        level: float = 0.95,
        nan_policy: NanPolicy = "raise",
    ) -> None:
        self.margin = margin
        self.denominator = denominator
        self.missing_reference = missing_reference
        self.repeated_tags = repeated_tags
        self.inference = inference
        self.level = level
        self.nan_policy = nan_policy

    def fit(
        self,
        outcome: ArrayLike | str,
        model: ArrayLike | str,
        item: ArrayLike | str,
        reference: ArrayLike | str | None = None,
        length_model: ArrayLike | str | None = None,
        length_reference: ArrayLike | str | None = None,
        task: ArrayLike | str | None = None,
        skipped: ArrayLike | str | None = None,
        *,
        data: Any = None,
        sample_weight: ArrayLike | str | None = None,
        cluster: ArrayLike | str | None = None,
        by: ArrayLike | str | list[str] | None = None,
    ) -> Self:
        """Average the rewards of every model.

        Parameters
        ----------
        outcome : array-like (n,) or column name
            ``win_much``, ``win``, ``tie``, ``lose``, ``lose_much`` (of the model), or 1, .5, 0,
            -.5, -1.
        model, item : array-like (n,) or column name
            Keys of each judgement.
        reference : array-like (n,) or column name, optional
            Model it was compared with.
        length_model, length_reference : array-like (n,) or column name, optional
            Characters of the two answers; needed unless ``margin=-1``.
        task : array-like (n,) or column name, optional
            Tags of the item: one string, several joined by ``|``, or a list of strings.
        skipped : array-like (n,) or column name, optional
            True where an answer is truncated or empty.
        data : data frame, optional
            Frame whose columns the arguments name.
        sample_weight : array-like (n,) or column name, optional
            Non-negative weights.
        cluster : array-like (n,) or column name, optional
            Items of one cluster are sampled together; the item by default.
        by : array-like (n,) or column names, optional
            Analyse separately in each group and stack the terms.

        Returns
        -------
        WildBenchReward
            The fitted estimator.

        Raises
        ------
        InputError
            If an outcome, tag or length cannot be used, a key repeats, or a mean is undefined.
        """
        roles = {
            "outcome": outcome,
            "model": model,
            "item": item,
            "reference": reference,
            "length_model": length_model,
            "length_reference": length_reference,
            "task": task,
            "skipped": skipped,
        }
        return self._fit(roles, data=data, sample_weight=sample_weight, cluster=cluster, by=by)

    def outcome_counts(self) -> pl.DataFrame:
        """Counts of the five outcomes after the length rule, overall and by task.

        Returns
        -------
        polars.DataFrame
            ``model``, ``reference`` (if given), ``task`` (null overall), ``win_much``, ``win``,
            ``tie``, ``lose``, ``lose_much`` and ``total``, which includes skipped judgements.
        """
        columns = self._fitted_columns()
        prepared = self._prepare(columns)
        references = columns.extra["reference_labels"]
        grades = np.array(list(OUTCOMES.values())) * PERCENT
        rows: list[dict[str, Any]] = []
        for cell in range(prepared.n_models * prepared.n_references):
            inside = prepared.cell == cell
            labels: dict[str, Any] = {
                "model": columns.extra["model_labels"][cell // prepared.n_references]
            }
            if references:
                labels["reference"] = references[cell % len(references)]
            shares = [(None, np.ones(int(inside.sum())))]
            shares += [
                (task, prepared.membership[inside, t])
                for t, task in enumerate(TASKS[: prepared.membership.shape[1]])
            ]
            for task, member in shares:
                used = member * prepared.counted[inside]
                graded = prepared.value[inside][:, np.newaxis] == grades
                counts = (used[:, np.newaxis] * graded).sum(axis=0).astype(int)
                named = dict(zip(OUTCOMES, counts.tolist(), strict=True))
                rows.append({**labels, "task": task, **named, "total": int(member.sum())})
        return pl.DataFrame(rows, schema_overrides={"task": pl.String})

    def _check_params(self) -> None:
        super()._check_params()
        if self.margin != -1 and not (np.isfinite(self.margin) and self.margin >= 0):
            raise InputError(f"margin={self.margin!r}: pass characters >= 0, or -1 for no rule")
        if self.denominator not in ("counted", "all"):
            raise InputError(f"denominator={self.denominator!r}: choose 'counted' or 'all'")
        if self.missing_reference not in ("raise", "zero"):
            raise InputError(
                f"missing_reference={self.missing_reference!r}: choose 'raise' or 'zero'"
            )

    def _validate(self, columns: Columns) -> Columns:
        reward = _rewards(columns.single["outcome"])
        if self.margin >= 0:
            lengths = [_length(columns, name) for name in ("length_model", "length_reference")]
            # Only slight preferences are touched, and only where the winner is longer by more
            # than the margin.
            excess = np.where(reward > 0, lengths[0] - lengths[1], lengths[1] - lengths[0])
            reward = np.where((np.abs(reward) == 0.5) & (excess > self.margin), 0.0, reward)
        return self._keyed(columns.with_columns({"reward": reward}))

    def _prepare(self, columns: Columns) -> Prepared:
        counted = (~columns.single["skipped"]).astype(np.float64)
        return self._cells(
            columns,
            PERCENT * columns.single["reward"],
            counted,
            overall=counted,
            denominator=counted if self.denominator == "counted" else np.ones(columns.n),
            empty_is_zero=self.missing_reference == "zero",
        )

    @classmethod
    def _example_arguments(cls, rng: np.random.Generator, n: int) -> dict[str, Any]:
        grades = np.array(list(OUTCOMES))
        model = np.array(["strong", "weak"])[np.arange(n) % 2]
        chances = {"strong": [0.25, 0.3, 0.2, 0.15, 0.1], "weak": [0.1, 0.2, 0.2, 0.3, 0.2]}
        return {
            "outcome": np.array([grades[rng.choice(5, p=chances[name])] for name in model]),
            "model": model,
            "item": np.arange(n),
            "reference": np.repeat("baseline", n),
            "length_model": rng.integers(200, 3000, n),
            "length_reference": rng.integers(200, 3000, n),
        }


class WildBenchScore(_WildBench):
    """WB-Score: mean of 2 (Y - 5) over the judge's marks Y from 1 to 10, overall and by task.

    Parameters
    ----------
    repeated_tags : {"once", "count"}
        Whether an item whose tags name a task twice counts once or twice in that task.
    inference : "auto", Analytic, Bootstrap, Jackknife or NoInference
        "auto" is the influence function by item.
    level : float, default 0.95
        Confidence level.
    nan_policy : {"raise", "omit"}
        Refuse or drop rows with missing values.

    Attributes
    ----------
    estimate_ : Estimate
        Per model the ``score``, and with tasks the ``macro score`` and five ``task score``.

    Notes
    -----
    As on the public leaderboard the overall score includes truncated and empty answers, the task
    scores leave them out. Marks range from -8 to 10; some scripts show ten times this number.

    References
    ----------
    Lin et al. (2024), WildBench, arXiv 2406.04770.

    Examples
    --------
    >>> import evalstats as es
    >>> es.WildBenchScore().fit([8, 6, 5], ["m"] * 3, [1, 2, 3]).estimate_.value.round(3).tolist()
    [2.667]
    """

    metric: ClassVar[str] = "WB-Score"
    label: ClassVar[str] = "score"
    verb: ClassVar[str] = "wildbench-score"
    roles: ClassVar[tuple[Role, ...]] = (
        Role("score", "score", help="column with the judge's marks from 1 to 10"),
        Role("model", "code", help="column with the model of each judgement"),
        Role("item", "code", help="column with the item of each judgement"),
        Role("task", "code", required=False, help="column with the tags of the item"),
        Role("skipped", "label", required=False, help="column: truncated or empty answer"),
    )
    exceptions: ClassVar[Mapping[str, str]] = {
        name: reason
        for name, reason in WildBenchReward.exceptions.items()
        if name != "dtypes_of_labels"
    } | {"dtypes_of_numbers": "marks outside 1 to 10 are refused"}

    def __init__(
        self,
        *,
        repeated_tags: Literal["once", "count"] = "once",
        inference: InferenceOption = "auto",
        level: float = 0.95,
        nan_policy: NanPolicy = "raise",
    ) -> None:
        self.repeated_tags = repeated_tags
        self.inference = inference
        self.level = level
        self.nan_policy = nan_policy

    def fit(
        self,
        score: ArrayLike | str,
        model: ArrayLike | str,
        item: ArrayLike | str,
        task: ArrayLike | str | None = None,
        skipped: ArrayLike | str | None = None,
        *,
        data: Any = None,
        sample_weight: ArrayLike | str | None = None,
        cluster: ArrayLike | str | None = None,
        by: ArrayLike | str | list[str] | None = None,
    ) -> Self:
        """Average the adjusted scores of every model.

        Parameters
        ----------
        score : array-like (n,) or column name
            Marks from 1 to 10.
        model, item : array-like (n,) or column name
            Keys of each judgement.
        task : array-like (n,) or column name, optional
            Tags of the item, as in :meth:`WildBenchReward.fit`.
        skipped : array-like (n,) or column name, optional
            True where the answer is truncated or empty.
        data : data frame, optional
            Frame whose columns the arguments name.
        sample_weight : array-like (n,) or column name, optional
            Non-negative weights.
        cluster : array-like (n,) or column name, optional
            Items of one cluster are sampled together; the item by default.
        by : array-like (n,) or column names, optional
            Analyse separately in each group and stack the terms.

        Returns
        -------
        WildBenchScore
            The fitted estimator.

        Raises
        ------
        InputError
            If a mark or tag cannot be used, a key repeats, or a mean is undefined.
        """
        roles = {"score": score, "model": model, "item": item, "task": task, "skipped": skipped}
        return self._fit(roles, data=data, sample_weight=sample_weight, cluster=cluster, by=by)

    def _validate(self, columns: Columns) -> Columns:
        score = finite_scores("score", columns.single["score"]).astype(np.float64)
        outside = (score < 1) | (score > 10)
        if bool(outside.any()):
            row = int(np.argmax(outside))
            raise InputError(f"score is {score[row]:g} in row {row}: marks go from 1 to 10")
        return self._keyed(columns.with_columns({"adjusted": 2.0 * (score - 5.0)}))

    def _prepare(self, columns: Columns) -> Prepared:
        everything = np.ones(columns.n)
        return self._cells(
            columns,
            np.ascontiguousarray(columns.single["adjusted"]),
            (~columns.single["skipped"]).astype(np.float64),
            overall=everything,
            denominator=everything,
        )

    @classmethod
    def _example_arguments(cls, rng: np.random.Generator, n: int) -> dict[str, Any]:
        model = np.array(["strong", "weak"])[np.arange(n) % 2]
        score = rng.integers(3, 11, n) - 2 * (model == "weak")
        return {"score": score, "model": model, "item": np.arange(n)}


def _ratios(prepared: Prepared, weights: Array) -> tuple[Array, Array, tuple[Array, Array]]:
    """Overall mean (cells,), task means (cells, t) and their denominators. O(n t)."""
    size = prepared.n_models * prepared.n_references
    cell = prepared.cell
    total = np.bincount(cell, weights * prepared.denominator, size)
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


def _rewards(column: Column) -> Array:
    if column.dtype.kind in "biuf":
        reward = finite_scores("outcome", column).astype(np.float64)
        unknown = ~np.isin(reward, list(OUTCOMES.values()))
    else:
        reward = np.array([OUTCOMES.get(str(value), np.nan) for value in column])
        unknown = np.isnan(reward)
    if bool(unknown.any()):
        row = int(np.argmax(unknown))
        raise InputError(
            f"outcome is {column[row].item() if hasattr(column[row], 'item') else column[row]!r} "
            f"in row {row}: choose from {list(OUTCOMES)} or {list(OUTCOMES.values())}"
        )
    return reward


def _length(columns: Columns, name: str) -> Array:
    if name not in columns.single:
        raise InputError(f"{name} is required by the length rule: pass it, or use margin=-1")
    length = finite_scores(name, columns.single[name]).astype(np.float64)
    if bool((length < 0).any()):
        row = int(np.argmax(length < 0))
        raise InputError(f"{name} is {length[row]:g} in row {row}: lengths are >= 0")
    return length


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
            f"the same reference (again in row {row}): average or drop the repeats"
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
