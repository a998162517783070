"""WildBench: rewards of pairwise judgements and adjusted scores, by task (Lin et al. 2024)."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from evalstats.data.columns import Column, Columns, Role
from evalstats.data.intake import NanPolicy
from evalstats.data.validation import computable
from evalstats.errors import InputError
from evalstats.inference.methods import InferenceOption
from evalstats.winrate.wildbench_tasks import TASKS, Prepared, WildBench

Array = NDArray[np.float64]

OUTCOMES: dict[str, float] = {
    "win_much": 1.0,
    "win": 0.5,
    "tie": 0.0,
    "lose": -0.5,
    "lose_much": -1.0,
}
PERCENT = 100.0


class WildBenchReward(WildBench):
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
    missing_baseline : {"raise", "zero"}
        Refuse a model without judgements against one of the baselines, or give it 0 there as the
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
        Per model (and baseline, and their mean as ``"mixture"``) the ``reward``, and with tasks
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
    ...     outcome, ["m"] * 5, list("abcde"), length_model=lengths, length_baseline=others
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
        Role("baseline", "code", required=False, help="column with the baseline model"),
        Role("length_model", "score", required=False, help="column with characters of the model"),
        Role("length_baseline", "score", required=False, help="characters of the baseline"),
        Role("task", "code", required=False, help="column with the tags of the item"),
        Role("skipped", "code", required=False, help="column: truncated or empty answer"),
    )
    exceptions: ClassVar[Mapping[str, str]] = {
        "models_do_not_influence_each_other": "models are rows here; see tests/winrate instead",
        "merge": "not offered: a fit costs one pass over the judgements",
        "dtypes_of_labels": "outcomes are five grades, not booleans",
        "integer_weight_is_repetition": "a repeated (model, item) is refused as a duplicate",
    }

    def __init__(
        self,
        *,
        margin: int = 500,
        denominator: Literal["counted", "all"] = "counted",
        missing_baseline: Literal["raise", "zero"] = "raise",
        repeated_tags: Literal["once", "count"] = "once",
        inference: InferenceOption = "auto",
        level: float = 0.95,
        nan_policy: NanPolicy = "raise",
    ) -> None:
        self.margin = margin
        self.denominator = denominator
        self.missing_baseline = missing_baseline
        self.repeated_tags = repeated_tags
        self.inference = inference
        self.level = level
        self.nan_policy = nan_policy

    def fit(
        self,
        outcome: ArrayLike | str,
        model: ArrayLike | str,
        item: ArrayLike | str,
        baseline: ArrayLike | str | None = None,
        length_model: ArrayLike | str | None = None,
        length_baseline: ArrayLike | str | None = None,
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
        baseline : array-like (n,) or column name, optional
            Model it was compared with.
        length_model, length_baseline : array-like (n,) or column name, optional
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
            "baseline": baseline,
            "length_model": length_model,
            "length_baseline": length_baseline,
            "task": task,
            "skipped": skipped,
        }
        return self._fit(roles, data=data, sample_weight=sample_weight, cluster=cluster, by=by)

    def outcome_counts(self) -> pl.DataFrame:
        """Counts of the five outcomes after the length rule, overall and by task.

        Returns
        -------
        polars.DataFrame
            ``model``, ``baseline`` (if given), ``task`` (null overall), ``win_much``, ``win``,
            ``tie``, ``lose``, ``lose_much`` and ``total``, which includes skipped judgements.
        """
        columns = self._fitted_columns()
        prepared = self._prepare(columns)
        baselines = columns.extra["baseline_labels"]
        grades = np.array(list(OUTCOMES.values())) * PERCENT
        rows: list[dict[str, Any]] = []
        for cell in range(prepared.n_models * prepared.n_baselines):
            inside = prepared.cell == cell
            labels: dict[str, Any] = {
                "model": columns.extra["model_labels"][cell // prepared.n_baselines]
            }
            if baselines:
                labels["baseline"] = baselines[cell % len(baselines)]
            shares: list[tuple[str | None, Array]] = [(None, np.ones(int(inside.sum())))]
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
        if self.margin < -1:
            raise InputError(f"margin={self.margin!r}: pass characters >= 0, or -1 for no rule")
        if self.denominator not in ("counted", "all"):
            raise InputError(f"denominator={self.denominator!r}: choose 'counted' or 'all'")
        if self.missing_baseline not in ("raise", "zero"):
            raise InputError(
                f"missing_baseline={self.missing_baseline!r}: choose 'raise' or 'zero'"
            )

    def _validate(self, columns: Columns) -> Columns:
        reward = _rewards(columns.single["outcome"])
        if self.margin >= 0:
            lengths = [_length(columns, name) for name in ("length_model", "length_baseline")]
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
            empty_is_zero=self.missing_baseline == "zero",
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
            "baseline": np.repeat("baseline", n),
            "length_model": rng.integers(200, 3000, n),
            "length_baseline": rng.integers(200, 3000, n),
        }


class WildBenchScore(WildBench):
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
        Role("skipped", "code", required=False, help="column: truncated or empty answer"),
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
        score = computable("score", columns.single["score"]).astype(np.float64)
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


def _rewards(column: Column) -> Array:
    if column.dtype.kind in "biuf":
        reward = computable("outcome", column).astype(np.float64)
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
    length = computable(name, columns.single[name]).astype(np.float64)
    if bool((length < 0).any()):
        row = int(np.argmax(length < 0))
        raise InputError(f"{name} is {length[row]:g} in row {row}: lengths are >= 0")
    return length
