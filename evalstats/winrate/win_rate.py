"""Raw win rates against a baseline."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from evalstats.data.columns import Columns, Role
from evalstats.data.intake import NanPolicy, number_array, to_array
from evalstats.errors import InputError
from evalstats.inference.methods import InferenceOption
from evalstats.inference.scales import ScaleName
from evalstats.mergeable import MergeableEstimator
from evalstats.options import typed_options
from evalstats.results.estimate import Estimate
from evalstats.winrate.coding import Coding, require_coding, unit_preference
from evalstats.winrate.glm_kernels import weighted_means
from evalstats.winrate.judgements import Judgements, gather
from evalstats.winrate.summed_rates import merged_rates, rates_of, summed_rates

Array = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Prepared:
    """Percentages of all judgements, model after model, and who owns them."""

    n: int
    values: Array
    weight: Array
    item: Codes
    offsets: Codes


class WinRate(MergeableEstimator):
    """Raw win rate: the mean preference for a model over the baseline, in percent.

    Parameters
    ----------
    coding : {"alpaca", "unit", "pm1", "labels"}
        ``"alpaca"``: 1 (baseline wins) to 2 (model wins), 0 or 1.5 for a draw; ``"unit"``: 0 to 1;
        ``"pm1"``: -1 to 1; ``"labels"``: ``"model"``, ``"baseline"`` or ``"draw"``.
    discrete : bool, default False
        Round each preference to a win, a draw or a loss first.
    draw_within : float, default 0.0
        Preferences this close to one half are draws.
    repeats : bool, default False
        Allow several judgements of one instruction for one model.
    inference : "auto", Analytic, Bootstrap, Jackknife or NoInference
        How the sampling distribution is obtained; "auto" is analytic.
    level : float, default 0.95
        Confidence level.
    nan_policy : {"raise", "omit"}
        Refuse or drop rows with missing values.

    Attributes
    ----------
    estimate_ : Estimate
        One term per model, in percent, with the joint covariance over instructions.

    Notes
    -----
    The unit of sampling is the instruction. With one judgement of each instruction the standard
    error is ``100 sd(y) / sqrt(n)``; intervals are on the logit scale. O(n) per replicate.

    References
    ----------
    Dubois, Galambosi, Liang and Hashimoto (2024), arXiv:2404.04475.

    Examples
    --------
    >>> import evalstats as es
    >>> rate = es.WinRate().fit([1.0, 2.0, 1.5, 1.9, 1.2, 2.0])
    >>> rate.estimate_.value.round(2).tolist()
    [60.0]
    """

    metric: ClassVar[str] = "Win rate"
    unit: ClassVar[str] = "instruction"
    verb: ClassVar[str] = "raw-win-rate"
    roles: ClassVar[tuple[Role, ...]] = (
        Role("preference", "score", per_model=True, help="column with the preference"),
        Role("model", "code", required=False, help="column with the model of each row"),
        Role("item", "code", required=False, help="column with the instruction of each row"),
    )
    scale: ClassVar[ScaleName] = "logit_percent"
    value_range: ClassVar[tuple[float, float]] = (0.0, 100.0)
    higher_is_better: ClassVar[bool | None] = True

    def __init__(
        self,
        *,
        coding: Coding = "alpaca",
        discrete: bool = False,
        draw_within: float = 0.0,
        repeats: bool = False,
        inference: InferenceOption = "auto",
        level: float = 0.95,
        nan_policy: NanPolicy = "raise",
    ) -> None:
        self.coding = coding
        self.discrete = discrete
        self.draw_within = draw_within
        self.repeats = repeats
        self.inference = inference
        self.level = level
        self.nan_policy = nan_policy

    def fit(
        self,
        preference: ArrayLike | Mapping[str, ArrayLike] | str | list[str],
        model: ArrayLike | str | None = None,
        item: ArrayLike | str | None = None,
        *,
        data: Any = None,
        sample_weight: ArrayLike | str | None = None,
        cluster: ArrayLike | str | None = None,
        by: ArrayLike | str | list[str] | None = None,
    ) -> Self:
        """Estimate the win rate of every model.

        Parameters
        ----------
        preference : array-like, mapping of model name to array, or column names
            Preferences in the given coding. Long: one row per judgement, with `model` and `item`.
            Wide: one row per instruction and one column per model.
        model, item : array-like or column name, optional
            Model and instruction of each row.
        data : data frame, optional
            polars, pandas, pyarrow or any Arrow-capable frame; role arguments are then names.
        sample_weight : array-like or column name, optional
            Non-negative weights.
        cluster : array-like or column name, optional
            Instructions of one cluster (topic, conversation) are sampled together.
        by : array-like or column names, optional
            Fit separately in each group of instructions.

        Returns
        -------
        WinRate
            The fitted estimator.

        Raises
        ------
        InputError
            If a preference lies outside the coding or a judgement is repeated.
        """
        return self._fit(
            {"preference": preference, "model": model, "item": item},
            data=data,
            sample_weight=sample_weight,
            cluster=cluster,
            by=by,
        )

    def _check_params(self) -> None:
        super()._check_params()
        require_coding(self.coding)
        if not 0 <= self.draw_within < 0.5:
            raise InputError(f"draw_within={self.draw_within!r}: choose a number in [0, 0.5)")

    def _validate(self, columns: Columns) -> Judgements:
        return gather(
            columns, self.roles, self.coding, repeats=self.repeats, draw_within=self.draw_within
        )

    def _prepare(self, columns: Columns) -> Prepared:
        blocks = require_judgements(columns)
        y = np.concatenate([block.y for block in blocks.blocks.values()])
        if self.discrete:
            y = 0.5 + 0.5 * np.sign(y - 0.5)
        return Prepared(
            columns.n,
            100.0 * y,
            np.concatenate([block.weight for block in blocks.blocks.values()]),
            np.concatenate([block.item for block in blocks.blocks.values()]),
            model_offsets(blocks),
        )

    def _evaluate(self, prepared: Prepared, weights: Array) -> Array:
        out = np.empty(len(prepared.offsets) - 1)
        weighted_means(
            prepared.values, prepared.weight, prepared.item, prepared.offsets, weights, out
        )
        return out

    def _influence(self, prepared: Prepared, weights: Array) -> Array:
        value = self._evaluate(prepared, weights)
        influence = np.zeros((prepared.n, len(value)))
        for model, rate in enumerate(value):
            rows = slice(prepared.offsets[model], prepared.offsets[model + 1])
            item, weight = prepared.item[rows], prepared.weight[rows]
            mass = float(weight @ weights[item])
            deviations = weight * (prepared.values[rows] - rate) / mass
            influence[:, model] = np.bincount(item, deviations, prepared.n)
        return influence

    def _summarise(self, columns: Columns, options: dict[str, Any]) -> pl.DataFrame:
        if options:
            raise InputError(f"{', '.join(options)}: a state of win rates has no options")
        if "item" in columns.single:
            raise InputError(
                "item= may name an instruction in several parts, which sums do not tell apart: "
                "pass one row per instruction and one column per model, or call fit"
            )
        prepared = self._prepare(columns)
        sizes = np.diff(prepared.offsets)
        model = np.repeat(np.arange(len(sizes)), sizes)
        masses = np.zeros((columns.n, len(sizes)))
        values = np.zeros((columns.n, len(sizes)))
        np.add.at(masses, (prepared.item, model), prepared.weight)
        np.add.at(values, (prepared.item, model), prepared.weight * prepared.values)
        weight = np.ones(columns.n) if columns.weight is None else columns.weight
        return summed_rates(columns.model_names, masses, values, sizes.tolist(), weight)

    def _merge(self, tables: list[pl.DataFrame]) -> pl.DataFrame:
        return merged_rates(tables)

    def _fit_state(self) -> dict[str, Any] | None:
        return {} if self._is_analytic else None

    def _state_serves(self, arguments: Mapping[str, object]) -> bool:
        return arguments.get("model") is None and arguments.get("item") is None

    def _from_summary(self, table: pl.DataFrame, options: dict[str, Any]) -> Estimate:  # noqa: ARG002
        value, covariance = rates_of(table)
        first = table[: len(value)]
        n, weight = int(first["instructions"][0]), float(first["weight"][0])
        columns = Columns(n, {}, {}, None if weight == n else np.ones(1))
        models = first["model"].to_list()
        terms = pl.DataFrame({"metric": [self.metric] * len(models), "model": models})
        counts = np.full(len(value), n)
        estimate = self._merged_estimate(columns, terms, value, covariance, counts)
        return replace(estimate, support={"n_positive": first["judgements"].to_numpy() * 1.0})

    def _support(self, columns: Columns, prepared: Prepared) -> dict[str, Array]:  # noqa: ARG002
        return {"n_positive": np.diff(prepared.offsets).astype(np.float64)}

    def _analytic_name(self, columns: Columns) -> str:  # noqa: ARG002
        return "the variance over instructions (logit interval)"

    @classmethod
    def _example_arguments(cls, rng: np.random.Generator, n: int) -> dict[str, Any]:
        shared = rng.normal(size=n)
        return {
            "preference": {
                name: 1.0 + 1.0 / (1.0 + np.exp(-shift - shared - rng.normal(size=n)))
                for name, shift in (("small", -0.5), ("large", 0.3))
            }
        }


def require_judgements(columns: Columns) -> Judgements:
    """Narrow the type of columns that :func:`gather` made."""
    if not isinstance(columns, Judgements):
        raise AssertionError("_validate returns Judgements")
    for name, block in columns.blocks.items():
        if len(block.item) == 0:
            raise InputError(f"the model {name!r} has no judgement here: leave it out")
    return columns


def model_offsets(columns: Judgements) -> Codes:
    """Where the rows of each model start and end, when laid one after another."""
    sizes = [len(block.item) for block in columns.blocks.values()]
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


@typed_options
def win_rate(preference: ArrayLike, *, coding: Coding = "alpaca") -> dict[str, float]:
    """Win rate of one model with the counts of AlpacaEval's table, as plain numbers.

    Parameters
    ----------
    preference : array-like (n,)
        Preferences; missing ones and, in the coding "alpaca", those outside [1, 2] are left out,
        as AlpacaEval does. :class:`WinRate` refuses them.
    coding : {"alpaca", "unit", "pm1", "labels"}
        See :class:`WinRate`.

    Returns
    -------
    dict
        ``win_rate``, ``standard_error`` and ``discrete_win_rate`` in percent (NaN where
        undefined), ``n_wins``, ``n_wins_base``, ``n_draws`` and ``n_total``.

    Raises
    ------
    InputError
        If a preference lies outside a coding other than "alpaca".

    Notes
    -----
    The discrete rate rounds half to even and so turns 0.5 into a draw and keeps 2.0000001, which
    the other rate drops: the two can have different denominators.

    Examples
    --------
    >>> import evalstats as es
    >>> es.win_rate([1, 2, 1.5, 2])["win_rate"]
    62.5
    """
    require_coding(coding)
    if coding == "alpaca":
        raw = number_array("preference", preference).ravel()
    else:
        column, missing = to_array("preference", preference)
        if column.ndim != 1:
            raise InputError(f"preference has shape {column.shape}: pass one value per row")
        raw = unit_preference(column, coding) + 1.0
        if missing is not None:
            raw[missing] = np.nan
    coded = np.where(raw == 0.0, 1.5, raw)
    y = coded[(coded >= 1.0) & (coded <= 2.0)] - 1.0
    rounded = np.rint(np.where(raw == 1.5, 0.0, raw))
    rounded = rounded[np.isin(rounded, (0.0, 1.0, 2.0))]
    n, n_discrete = len(y), len(rounded)
    points = float((rounded == 2.0).sum()) + 0.5 * float((rounded == 0.0).sum())
    return {
        "win_rate": 100.0 * float(y.mean()) if n else np.nan,
        "standard_error": 100.0 * float(y.std(ddof=1)) / n**0.5 if n > 1 else np.nan,
        "n_wins": int((y > 0.5).sum()),
        "n_wins_base": int((y < 0.5).sum()),
        "n_draws": int(((raw == 0.0) | (raw == 1.5)).sum()),
        "n_total": n,
        "discrete_win_rate": 100.0 * points / n_discrete if n_discrete else np.nan,
    }
