"""Win rates controlled for length and other mediators."""

import copy
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from evalstats.data.columns import Columns, Role
from evalstats.data.intake import NanPolicy
from evalstats.errors import InputError
from evalstats.estimator import Diagnosis, Estimator
from evalstats.inference.methods import Inference, InferenceOption, NoInference
from evalstats.inference.problem import Problem, SamplingDistribution
from evalstats.inference.scales import ScaleName
from evalstats.results.estimate import Estimate
from evalstats.winrate import glm_kernels
from evalstats.winrate.coding import Coding, require_coding
from evalstats.winrate.design import (
    DIFFICULTY,
    LENGTH,
    Design,
    build_design,
    is_baseline,
    length_term,
)
from evalstats.winrate.diagnostics import calibration_table, overlap_table, simultaneous_ranks
from evalstats.winrate.difficulty import (
    by_key,
    by_position,
    given_difficulty,
    joint_difficulty_of,
)
from evalstats.winrate.formula import POSITION, formula_variables, mediator_of, side_names
from evalstats.winrate.gamed import Gamed, gamed_judgements
from evalstats.winrate.judgements import Judgements, gather
from evalstats.winrate.separation import separating_terms
from evalstats.winrate.views import ControlledRates, MediatorEffects, PairRates, View
from evalstats.winrate.win_rate import require_judgements

Array = NDArray[np.float64]
Preset = Literal["alpaca_v1", "alpaca_noreg", "alpaca_minimal", "balanced"]
Alignment = Literal["key", "position"]
Penalty = Literal["firth", "ridge", "lasso"]
Target = Literal["items", "these_items"]

PENALTIES: dict[str | None, int] = {
    None: glm_kernels.NO_PENALTY,
    "ridge": glm_kernels.RIDGE,
    "lasso": glm_kernels.LASSO,
    "firth": glm_kernels.FIRTH,
}
# Newton's error squares in every step: after one of 1e-8 nothing is left of it.
TOLERANCE = 1e-8
# Firth's step and the lasso's contract linearly or stop exactly.
LINEAR_TOLERANCE = 1e-12
MAX_ITERATIONS = 60
MAX_LINEAR_ITERATIONS = 2000
MAX_GRADIENT = 1e-8
ITEMS_PER_PARAMETER = 20
EXTREME = 0.95


@dataclass(frozen=True)
class Prepared:
    """Design, the fit to the full data, and how values follow from the coefficients."""

    design: Design
    theta: Array
    penalty: int
    strength: float
    base_weights: Array
    fixed_items: bool
    view: View


class LengthControlledWinRate(Estimator):
    """Win rate that a model would have if its answers were as long as the baseline's.

    A fractional logistic regression of the preference on the length difference, the difficulty of
    the instruction and the model itself is fitted to each model, and its prediction at equal
    lengths is averaged over the instructions. All values are in percent.

    Parameters
    ----------
    preset : {"alpaca_v1", "alpaca_noreg", "alpaca_minimal", "balanced"}
        AlpacaEval's model with difficulty and gamed judgements, without the latter, with the
        length alone; or the mean of the win rates among longer and among shorter answers. What is
        not given (`difficulty`, `gamed`) is left out, and a note under the table says so.
    formula : str, optional
        Mediators in place of the preset, such as ``"tanh(std(length)) + std(lists) + position"``.
        A name stands for the baseline's value minus the model's; ``length_model`` and
        ``length_baseline`` are the two sides. Terms must change sign when the sides change places.
    coding : {"alpaca", "unit", "pm1", "labels"}
        Coding of the preferences, see :class:`WinRate`.
    alignment : {"key", "position"}
        How difficulties find their instruction. ``"position"`` repeats a defect of the published
        table, in which models with missing rows get the difficulty of other instructions.
    difficulty : mapping, data frame, column name, "joint" or None
        Difficulty of each instruction, kept fixed; ``"joint"`` fits it over all models.
    gamed : data frame, optional
        Judgements of the baseline prompted to be concise or verbose, with columns ``item``,
        ``preference`` and ``t``, ``std_delta_len`` or both lengths; they weigh 0.2 per instruction.
    target : {"items", "these_items"}
        Whether the instructions are a sample or the whole population of interest.
    penalty : {None, "firth", "ridge", "lasso"}
        None is maximum likelihood. Firth's and the ridge penalty give finite coefficients where
        wins and losses are separated; the lasso with strength ``1 / C`` is AlpacaEval's objective.
    strength : float, default 1.0
        Of the ridge (``strength / 2 * sum theta^2``) or the lasso (``strength * sum |theta|``).
    context : sequence of str
        Names in `formula` that describe the instruction and so may enter symmetrically.
    repeats : bool, default False
        Allow several judgements of one instruction for one model.
    inference : "auto", Analytic, Bootstrap, Jackknife or NoInference
        How the sampling distribution is obtained; "auto" is analytic.
    level : float, default 0.95
        Confidence level.
    nan_policy : {"raise", "omit", "predict"}
        Refuse or drop rows with missing values; ``"predict"`` leaves a row with a missing
        preference out of the fit but keeps its instruction in the average, as AlpacaEval does.

    Attributes
    ----------
    estimate_ : Estimate
        One term per model, with the joint covariance over instructions.
    coefficients_ : polars.DataFrame
        ``model``, ``term`` and ``coefficient`` of the fit.

    Notes
    -----
    With ``t = tanh((length_baseline - length_model) / sd)``, difficulty d and g = 1 (0 for gamed
    judgements), ``logit P(model preferred) = theta_t t + theta_d d + theta_0 g`` and the value is
    ``LC = 100 / n sum_i expit(theta_d d_i + theta_0)``. The influence of instruction i is ``(q_i -
    LC) + n G' A^-1 psi_i`` with the score psi, the information A and the mean slope G; the standard
    error thus has the noise of the judge and of the fit, which AlpacaEval's lacks. The length scale
    and the difficulties are held fixed. Newton's method costs O(n p^2) per step, about five steps;
    a bootstrap replicate starts at the full fit.

    References
    ----------
    Dubois, Galambosi, Liang and Hashimoto (2024), arXiv:2404.04475; Papke and Wooldridge (1996);
    Liang and Zeger (1986); Stefanski and Boos (2002); Firth (1993).

    Examples
    --------
    >>> import numpy as np
    >>> import evalstats as es
    >>> rng = np.random.default_rng(0)
    >>> lengths = rng.integers(200, 3000, (2, 300))
    >>> wins = rng.random(300) < 1 / (1 + np.exp(0.5 - (lengths[1] - lengths[0]) / 2000))
    >>> controlled = es.LengthControlledWinRate(coding="unit").fit(
    ...     wins, length_model=lengths[1], length_baseline=lengths[0]
    ... )
    >>> controlled.coefficients_["term"].to_list()
    ['length', 'model']
    """

    metric: ClassVar[str] = "Length-controlled win rate"
    unit: ClassVar[str] = "instruction"
    verb: ClassVar[str] = "winrate"
    roles: ClassVar[tuple[Role, ...]] = (
        Role("preference", "score", per_model=True, help="column with the preference"),
        Role("model", "code", required=False, help="column with the model of each row"),
        Role("item", "code", required=False, help="column with the instruction of each row"),
        Role("length_model", "score", per_model=True, help="column with the model's lengths"),
        Role("length_baseline", "score", help="column with the baseline's lengths"),
    )
    scale: ClassVar[ScaleName] = "logit_percent"
    value_range: ClassVar[tuple[float, float]] = (0.0, 100.0)
    higher_is_better: ClassVar[bool | None] = True
    citation_keys: ClassVar[tuple[str, ...]] = ("dubois2024",)

    coefficients_: pl.DataFrame
    _view: View | None = None

    def __init__(
        self,
        *,
        preset: Preset = "alpaca_v1",
        formula: str | None = None,
        coding: Coding = "alpaca",
        alignment: Alignment = "key",
        difficulty: object = None,
        gamed: object = None,
        target: Target = "items",
        penalty: Penalty | None = None,
        strength: float = 1.0,
        context: Sequence[str] = (),
        repeats: bool = False,
        inference: InferenceOption = "auto",
        level: float = 0.95,
        nan_policy: NanPolicy | Literal["predict"] = "raise",
    ) -> None:
        self.preset = preset
        self.formula = formula
        self.coding = coding
        self.alignment = alignment
        self.difficulty = difficulty
        self.gamed = gamed
        self.target = target
        self.penalty = penalty
        self.strength = strength
        self.context = context
        self.repeats = repeats
        self.inference = inference
        self.level = level
        self.nan_policy = nan_policy  # type: ignore[assignment]

    def fit(
        self,
        preference: ArrayLike | Mapping[str, ArrayLike] | str | list[str],
        model: ArrayLike | str | None = None,
        item: ArrayLike | str | None = None,
        length_model: ArrayLike | Mapping[str, ArrayLike] | str | list[str] | None = None,
        length_baseline: ArrayLike | str | None = None,
        *,
        baseline: ArrayLike | str | None = None,
        position: ArrayLike | str | None = None,
        mediators: Mapping[str, tuple[Any, Any]] | None = None,
        context: Mapping[str, Any] | None = None,
        data: Any = None,
        sample_weight: ArrayLike | str | None = None,
        cluster: ArrayLike | str | None = None,
        by: ArrayLike | str | list[str] | None = None,
    ) -> Self:
        """Estimate the controlled win rate of every model.

        Parameters
        ----------
        preference : array-like, mapping of model name to array, or column names
            Preferences in the given coding. Long: one row per judgement, with `model` and `item`.
            Wide: one row per instruction and one column per model.
        model, item : array-like or column name, optional
            Model and instruction of each row.
        length_model, length_baseline : array-like, mapping or column name
            Lengths of the answers of both sides, in characters.
        baseline : array-like or column name, optional
            Name of the baseline in each row, which must be one; a model of that name gets 50.
        position : array-like or column name, optional
            Order of presentation, +1 or -1, where `formula` names it.
        mediators : mapping of str to pair, optional
            For each further mediator in `formula` the columns of the model and of the baseline;
            with `data` the columns ``<name>_model`` and ``<name>_baseline`` by default.
        context : mapping of str to column, optional
            Columns of the names in the parameter `context`; of the same name by default.
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
        LengthControlledWinRate
            The fitted estimator.

        Raises
        ------
        InputError
            If preferences, lengths or difficulties cannot be used, a term cannot be told from
            another, or wins and losses are separated.
        """
        arguments: dict[str, object] = {
            "preference": preference,
            "model": model,
            "item": item,
            "length_model": length_model,
            "length_baseline": length_baseline,
            "baseline": baseline,
        }
        if isinstance(self.difficulty, str) and self.difficulty != "joint":
            arguments[DIFFICULTY] = self.difficulty
        arguments.update(self._formula_arguments(position, mediators, context, data is not None))
        self._fit(arguments, data=data, sample_weight=sample_weight, cluster=cluster, by=by)
        if self.preset != "balanced":
            self.coefficients_ = self._coefficient_table()
        return self

    def mediator_effects(self) -> Estimate:
        """How much was length: each mediator's coefficient, and raw minus controlled rate.

        Returns
        -------
        Estimate
            For each model the coefficients of the mediators (logits, baseline minus model) and the
            difference in percentage points, with their joint distribution.
        """
        return self._viewed(MediatorEffects(), "Mediator effect", bounded=False)

    def matrix(self, *, baseline: str = "baseline") -> Estimate:
        """Predicted win rate of every model against every other one and the baseline.

        Parameters
        ----------
        baseline : str, default "baseline"
            Name of the baseline in the table, where it is not among the models.

        Returns
        -------
        Estimate
            One term for each ordered pair (columns ``model`` and ``opponent``), in percent.
        """
        return self._viewed(PairRates(baseline), "Predicted win rate", bounded=True)

    def ranks(self, level: float | None = None) -> pl.DataFrame:
        """Rank of each model with intervals that hold for all models together.

        Parameters
        ----------
        level : float, optional
            Simultaneous confidence level; the estimator's by default.

        Returns
        -------
        polars.DataFrame
            ``model``, ``estimate``, ``rank``, ``rank_low`` and ``rank_high``.
        """
        return simultaneous_ranks(self.estimate_, self.level if level is None else level)

    def diagnostics(self) -> pl.DataFrame:
        """Overlap and extrapolation of each model.

        Returns
        -------
        polars.DataFrame
            Per model: judgements, share of longer and shorter answers, mean and extreme ``|t|``,
            length coefficient, raw and controlled rate.
        """
        design, theta = self._refitted()
        return overlap_table(design, theta, EXTREME)

    def calibration(self, n_bins: int = 10) -> pl.DataFrame:
        """Observed and predicted preference in quantile bins of the first mediator.

        Parameters
        ----------
        n_bins : int, default 10
            Number of bins.

        Returns
        -------
        polars.DataFrame
            Per model and bin: mean of the mediator, observed and predicted rate, count.
        """
        design, theta = self._refitted()
        return calibration_table(design, theta, n_bins)

    # Intake ---------------------------------------------------------------------------------

    def _formula_arguments(
        self,
        position: object,
        mediators: Mapping[str, tuple[Any, Any]] | None,
        context: Mapping[str, Any] | None,
        named: bool,
    ) -> dict[str, object]:
        arguments: dict[str, object] = {}
        for variable in self._variables():
            if variable == POSITION:
                arguments[POSITION] = position
            elif variable in self.context:
                default = variable if named else None
                arguments[variable] = (context or {}).get(variable, default)
            elif variable not in (LENGTH, DIFFICULTY):
                names = side_names(variable)
                pair = (mediators or {}).get(variable, names if named else (None, None))
                arguments.update(zip(names, pair, strict=True))
        return arguments

    def _variables(self) -> list[str]:
        """Mediators and context that the formula names."""
        if self.formula is None:
            return []
        known = formula_variables(self.formula)
        found = [name if name in self.context else mediator_of(name) for name in known]
        return list(dict.fromkeys(found))

    def _active_roles(self) -> tuple[Role, ...]:
        roles = list(self.roles)
        variables = self._variables()
        if self.formula is not None and LENGTH not in variables:
            roles = [
                replace(role, required=False) if role.name.startswith(LENGTH) else role
                for role in roles
            ]
        roles.append(Role("baseline", "code", required=False))
        if isinstance(self.difficulty, str) and self.difficulty != "joint":
            roles.append(Role(DIFFICULTY, "score"))
        for variable in variables:
            if variable == POSITION:
                roles.append(Role(POSITION, "score"))
            elif variable in self.context and variable != DIFFICULTY:
                roles.append(Role(variable, "code"))
            elif variable not in (LENGTH, DIFFICULTY):
                model, baseline = side_names(variable)
                roles += [Role(model, "score", per_model=True), Role(baseline, "score")]
        return tuple(roles)

    def _may_be_missing(self) -> tuple[str, ...]:
        return ("preference",) if str(self.nan_policy) == "predict" else ()

    def _check_params(self) -> None:
        policy = self.nan_policy
        if str(policy) == "predict":
            probe = copy.copy(self)
            probe.nan_policy = "raise"
            Estimator._check_params(probe)
        else:
            super()._check_params()
        require_coding(self.coding)
        _require_choice("preset", self.preset, get_args(Preset))
        _require_choice("alignment", self.alignment, get_args(Alignment))
        _require_choice("target", self.target, get_args(Target))
        _require_choice("penalty", self.penalty, (None, *get_args(Penalty)))
        if not (np.isfinite(self.strength) and self.strength >= 0):
            raise InputError(f"strength={self.strength!r}: a penalty is a finite number >= 0")
        if self.formula is not None and self.gamed is not None:
            raise InputError("gamed rows carry lengths only: use them with a preset, not a formula")

    def _validate(self, columns: Columns) -> Judgements:
        if str(self.nan_policy) == "predict":
            self._require_some_preference(columns)
        judged = gather(columns, self._active_roles(), self.coding, repeats=self.repeats)
        _require_one_baseline(columns)
        if self.preset == "balanced" and self.formula is None:
            return judged
        gamed = self._gamed()
        if gamed is not None and judged.group is None and "stratify" not in judged.single:
            known = set(judged.labels)
            extra = [label for label in dict.fromkeys(gamed.labels) if label not in known]
            if isinstance(self.difficulty, Mapping) or not isinstance(self.difficulty, str):
                judged = judged.with_items(extra)
        return self._with_difficulty(judged)

    def _require_some_preference(self, columns: Columns) -> None:
        for name, column in columns.models["preference"].items():
            if column.dtype.kind == "f" and bool(np.isnan(column).all()):
                raise InputError(f"every preference of {name!r} is missing: nothing can be fitted")

    def _gamed(self) -> Gamed | None:
        if self.gamed is None or self.preset != "alpaca_v1":
            return None
        return gamed_judgements(self.gamed, self.coding)

    def _with_difficulty(self, columns: Judgements) -> Judgements:
        """Attach the difficulty to every judgement, by key unless the old table is wanted."""
        wanted = self.preset != "alpaca_minimal" or self.formula is not None
        if self.difficulty is None or not wanted:
            blocks = {
                name: replace(block, values=_without(block.values, DIFFICULTY))
                for name, block in columns.blocks.items()
            }
            return replace(columns, blocks=blocks)
        of_item = np.full(columns.n, np.nan)
        blocks = {}
        if isinstance(self.difficulty, str) and self.difficulty == "joint":
            terms = {name: length_term(b, name) for name, b in columns.blocks.items()}
            of_item = joint_difficulty_of(columns, terms)
        elif isinstance(self.difficulty, str):
            for block in columns.blocks.values():
                of_item[block.item] = block.values[DIFFICULTY].astype(np.float64)
        else:
            labels, values = given_difficulty(self.difficulty)
            of_item = by_key(labels, values, columns.labels)
        for name, block in columns.blocks.items():
            own = of_item[block.item]
            if self.alignment == "position":
                if isinstance(self.difficulty, str):
                    raise InputError("alignment='position' needs a table of difficulties")
                own = by_position(values, len(block.item), name)
            blocks[name] = replace(block, values={**block.values, DIFFICULTY: own})
        return replace(columns, blocks=blocks, extra={**columns.extra, DIFFICULTY: of_item})

    # The statistic --------------------------------------------------------------------------

    def _prepare(self, columns: Columns) -> Prepared:
        judged = require_judgements(columns)
        design = build_design(
            judged,
            formula=self.formula,
            context=[*self.context, DIFFICULTY],
            gamed=self._gamed(),
            difficulty=judged.extra.get(DIFFICULTY),
        )
        theta = np.zeros((len(design.models), len(design.names)))
        weights = np.ones(columns.n) if columns.weight is None else columns.weight
        prepared = Prepared(
            design,
            theta,
            PENALTIES[self.penalty],
            float(self.strength),
            weights,
            self.target == "these_items",
            ControlledRates() if self._view is None else self._view,
        )
        fitted = _fit(prepared, weights)
        # A failed model starts at zero again and fails again, which is then explained.
        return replace(prepared, theta=np.where(np.isfinite(fitted), fitted, 0.0))

    def _evaluate(self, prepared: Prepared, weights: Array) -> Array:
        theta = _fit(prepared, weights)
        averaging = prepared.base_weights if prepared.fixed_items else weights
        return prepared.view.values(prepared.design, theta, averaging)

    def _influence(self, prepared: Prepared, weights: Array) -> Array:
        design = prepared.design
        theta = _fit(prepared, weights)
        averaging = prepared.base_weights if prepared.fixed_items else weights
        derivatives = prepared.view.derivatives(design, theta, averaging)
        influence = np.zeros_like(derivatives.by_weight)
        if not prepared.fixed_items:
            influence += derivatives.by_weight
        for model in np.flatnonzero(design.fitted):
            on_theta = coefficient_influence(prepared, int(model), theta[model], weights)
            influence += on_theta @ derivatives.by_theta[:, model].T
        return influence

    def _require_defined(self, columns: Columns, prepared: Prepared, value: Array) -> None:  # noqa: ARG002
        design = prepared.design
        weights = prepared.base_weights
        theta = _fit(prepared, weights)
        for model, name in enumerate(design.models):
            if not design.fitted[model]:
                continue
            rows = design.fit.of(model)
            weight = design.fit.weight[rows] * weights[design.fit.item[rows]]
            if not bool(np.isfinite(theta[model]).all()):
                self._explain_failure(name, design, rows, weight)
            if prepared.penalty == glm_kernels.NO_PENALTY:
                eta = design.fit.design[rows] @ theta[model]
                residual = weight * (design.fit.y[rows] - 0.5 * (1.0 + np.tanh(0.5 * eta)))
                gradient = np.abs(residual @ design.fit.design[rows]).max()
                if gradient > MAX_GRADIENT * weight.sum():
                    self._explain_failure(name, design, rows, weight)

    def _explain_failure(self, name: str, design: Design, rows: slice, weight: Array) -> None:
        matrix = design.fit.design[rows]
        rank = int(np.linalg.matrix_rank(matrix[weight > 0]))
        if rank < matrix.shape[1]:
            raise InputError(
                f"the terms {design.names} of the model {name!r} are collinear (rank {rank}): a "
                "constant or repeated mediator cannot be told from the rest; leave it out"
            )
        terms = separating_terms(matrix, design.fit.y[rows], weight, design.names)
        if terms:
            raise InputError(
                f"the preferences of the model {name!r} are perfectly separated by {terms}: the "
                "maximum likelihood estimate is infinite; use penalty='firth' or penalty='ridge'"
            )
        raise InputError(
            f"the fit of the model {name!r} did not converge: use penalty='firth' or 'ridge'"
        )

    # What is reported -----------------------------------------------------------------------

    def _assemble(
        self,
        columns: Columns,
        samples: list[Columns],
        prepared: list[Any],
        problem: Problem,
        method: Inference,
        distribution: SamplingDistribution,
    ) -> Estimate:
        estimate = super()._assemble(columns, samples, prepared, problem, method, distribution)
        judged = [np.zeros(0, dtype=np.int64)]
        for sample in samples:
            blocks = require_judgements(sample).blocks
            counts = [len(np.unique(block.item)) for block in blocks.values()]
            terms = len(estimate) // len(samples) // len(counts)
            if terms * len(counts) * len(samples) != len(estimate):
                return estimate
            judged.append(np.repeat(counts, terms).astype(np.int64))
        return replace(estimate, n=np.concatenate(judged))

    def _terms(self, columns: Columns) -> list[dict[str, Hashable]]:
        if self._view is None:
            return [{"metric": self.metric, "model": model} for model in columns.model_names]
        return self._view.terms(self._prepare(columns).design)

    def _diagnose(self, columns: Columns, prepared: Prepared) -> list[Diagnosis]:
        if self._view is not None:
            return []
        design = prepared.design
        found: list[Diagnosis] = []
        for model, (name, block) in enumerate(require_judgements(columns).blocks.items()):
            if not design.fitted[model]:
                continue
            need = ITEMS_PER_PARAMETER * len(design.names)
            if len(block.item) < need:
                found.append(
                    (
                        "few-items",
                        f"the model {name!r} has {len(block.item)} judgements for "
                        f"{len(design.names)} coefficients: fewer than {ITEMS_PER_PARAMETER} each "
                        "make the large-sample standard error doubtful",
                    )
                )
            rows = design.fit.design[design.fit.of(model)][: int(np.isfinite(block.y).sum())]
            for term in np.flatnonzero(design.mediator):
                sides = rows[:, term]
                if not (bool((sides > 0).any()) and bool((sides < 0).any())):
                    found.append(
                        (
                            "no-overlap",
                            f"the {design.names[term]} of the model {name!r} always lies on one "
                            "side of the baseline's: the controlled rate is an extrapolation",
                        )
                    )
        return found

    def _remarks(self, columns: Columns) -> list[str]:
        remarks = []
        if self.formula is None:
            if self.preset == "alpaca_v1" and self.gamed is None:
                remarks.append("no gamed judgements were given")
            if self.preset in ("alpaca_v1", "alpaca_noreg") and self.difficulty is None:
                remarks.append("no difficulty was given, so the model is the minimal one")
        if self.difficulty is not None and self.preset != "alpaca_minimal":
            remarks.append("conditional on the difficulties of the instructions")
        blocks = require_judgements(columns).blocks
        remarks += [
            f"{name} is the baseline itself: 50 by definition"
            for name, block in blocks.items()
            if is_baseline(block, name)
        ]
        if len({tuple(np.unique(block.item)) for block in blocks.values()}) > 1:
            remarks.append("models were judged on different instructions")
        return remarks

    def _analytic_name(self, columns: Columns) -> str:  # noqa: ARG002
        population = "" if self.target == "items" else ", for these instructions"
        return f"stacked influence functions of the fit{population} (logit interval)"

    def _viewed(self, view: View, name: str, *, bounded: bool) -> Estimate:
        columns = self._fitted_columns()
        other = copy.copy(self)
        other._view = view
        estimate = other._estimate(columns)
        changes: dict[str, Any] = {
            "name": name,
            "higher_is_better": None,
            "method_text": estimate.method_text.replace(self.metric, name, 1),
        }
        if not bounded:
            kinds = tuple("wald" if kind == self.scale else kind for kind in estimate.interval)
            changes.update(scale="identity", interval=kinds)
        return replace(estimate, **changes)

    def _refitted(self) -> tuple[Design, Array]:
        columns = self._fitted_columns()
        if columns.group is not None:
            raise InputError("diagnostics of a fit with by= are not defined: fit one group")
        prepared = self._prepare(columns)
        return prepared.design, prepared.theta

    def _coefficient_table(self) -> pl.DataFrame:
        columns = self._fitted_columns()
        if columns.group is not None:
            return pl.DataFrame()
        design, theta = self._refitted()
        return pl.DataFrame(
            {
                "model": np.repeat(design.models, len(design.names)),
                "term": design.names * len(design.models),
                "coefficient": theta.ravel(),
            }
        )

    def _default_inference(self, columns: Columns) -> Inference:
        if not any(
            len(block.item) > 1 for block in require_judgements(columns).blocks.values()
        ):
            return NoInference()
        return super()._default_inference(columns)

    @classmethod
    def _example_arguments(cls, rng: np.random.Generator, n: int) -> dict[str, Any]:
        baseline = rng.integers(300, 3000, n).astype(np.float64)
        preference, lengths = {}, {}
        for name, shift in (("small", -0.6), ("large", 0.4)):
            length = rng.integers(200, 3500, n).astype(np.float64)
            eta = shift + 0.9 * np.tanh((length - baseline) / 1000.0) + rng.normal(size=n)
            preference[name] = 1.0 + 1.0 / (1.0 + np.exp(-2.0 * eta))
            lengths[name] = length
        return {
            "preference": preference,
            "length_model": lengths,
            "length_baseline": baseline,
        }


def coefficient_influence(prepared: Prepared, model: int, theta: Array, weights: Array) -> Array:
    """Derivative of one model's coefficients by the weight of each instruction. O(rows p^2)."""
    rows = prepared.design.fit
    p = len(theta)
    own = rows.of(model)
    scores = np.zeros((prepared.design.n_items, p))
    glm_kernels.item_scores(
        rows.design, rows.y, rows.weight, rows.item, own.start, own.stop, theta, scores
    )
    score, information = np.empty(p), np.empty((p, p))
    glm_kernels.accumulate(
        rows.design,
        rows.y,
        rows.weight,
        rows.item,
        own.start,
        own.stop,
        weights,
        theta,
        score,
        information,
    )
    information = np.tril(information) + np.tril(information, -1).T
    active = np.ones(p, dtype=bool)
    if prepared.penalty == glm_kernels.RIDGE:
        information += prepared.strength * np.eye(p)
    if prepared.penalty == glm_kernels.LASSO:
        active = theta != 0
    influence = np.zeros_like(scores)
    block = information[np.ix_(active, active)]
    influence[:, active] = np.linalg.solve(block, scores[:, active].T).T
    return influence


def _fit(prepared: Prepared, weights: Array) -> Array:
    """Coefficients of every model at the given weights; NaN where the fit fails."""
    theta = prepared.theta.copy()
    rows = prepared.design.fit
    quadratic = prepared.penalty in (glm_kernels.NO_PENALTY, glm_kernels.RIDGE)
    glm_kernels.fit_models(
        rows.design,
        rows.y,
        rows.weight,
        rows.item,
        rows.offsets,
        prepared.design.fitted,
        np.ascontiguousarray(weights, dtype=np.float64),
        prepared.penalty,
        prepared.strength,
        TOLERANCE if quadratic else LINEAR_TOLERANCE,
        MAX_ITERATIONS if quadratic else MAX_LINEAR_ITERATIONS,
        theta,
    )
    return theta


def _require_choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        options = ", ".join(repr(option) for option in allowed)
        raise InputError(f"{name}={value!r} is unknown: choose one of {options}")


def _require_one_baseline(columns: Columns) -> None:
    if "baseline" not in columns.single:
        return
    names = list(dict.fromkeys(columns.single["baseline"].tolist()))
    if len(names) > 1:
        raise InputError(
            f"baseline has {len(names)} values ({names[0]!r}, {names[1]!r}, ...): compare with one "
            "baseline at a time, or use BradleyTerry for all pairs"
        )


def _without(values: dict[str, NDArray[Any]], name: str) -> dict[str, NDArray[Any]]:
    return {key: column for key, column in values.items() if key != name}
