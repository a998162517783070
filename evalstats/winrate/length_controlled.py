"""Win rates controlled for length and other mediators."""

import copy
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from evalstats.data.columns import Columns, Role
from evalstats.data.intake import NanPolicy
from evalstats.errors import InputError
from evalstats.estimator import Diagnosis
from evalstats.inference.methods import Inference, InferenceOption
from evalstats.inference.problem import Problem, SamplingDistribution
from evalstats.inference.scales import ScaleName
from evalstats.results.estimate import Estimate
from evalstats.winrate.balanced import BalancedRates
from evalstats.winrate.coding import Coding
from evalstats.winrate.design import DIFFICULTY, Design, build_design, is_baseline
from evalstats.winrate.diagnostics import calibration_table, overlap_table, rank_table
from evalstats.winrate.fit import ControlledFit, Penalty, Target
from evalstats.winrate.mediated import Alignment, MediatedEstimator, Preset
from evalstats.winrate.views import ControlledRates, MediatorEffects, PairRates, View
from evalstats.winrate.win_rate import require_judgements

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

ITEMS_PER_PARAMETER = 20
FEW_WINS = 10
EXTREME = 0.95


class LengthControlledWinRate(MediatedEstimator):
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
    exceptions: ClassVar[Mapping[str, str]] = {
        "merge": "the fit needs all judgements of a model at once to scale its lengths",
        "positional_roles": "in the wide layout model and item, which come second, are left out",
        "frames_equal_arrays": "preferences and lengths of a model share its name as their column",
        "integer_weight_is_repetition": "the length scale is the unweighted sd of the judgements",
        "analytic": "in percent the check's finite differences lose two digits; own test instead",
    }
    citation_keys: ClassVar[tuple[str, ...]] = ("dubois2024",)

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
        return self._fit(arguments, data=data, sample_weight=sample_weight, cluster=cluster, by=by)

    @property
    def coefficients_(self) -> pl.DataFrame:
        """Coefficients of the fit: ``model``, ``term`` and ``coefficient``."""
        design, theta = self._refitted()
        return pl.DataFrame(
            {
                "model": np.repeat(design.models, len(design.names)),
                "term": design.names * len(design.models),
                "coefficient": theta.ravel(),
            }
        )

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

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Raw and controlled rate of each model, with an arrow from the one to the other.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.
        **options
            As in :func:`evalstats.results.displays.plot_leaderboard`.

        Returns
        -------
        matplotlib Axes
            The axes drawn on. Groups and the balanced preset are drawn as a forest plot.
        """
        from evalstats.results.displays import plot_leaderboard

        if self._balanced or "group" in self.estimate_.terms.columns:
            return super().plot(ax, **options)
        raw = self.diagnostics().select("model", pl.col("raw").alias("estimate")).unique("model")
        return plot_leaderboard(raw, self.estimate_.to_frame(), ax=ax, **options)

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
        return rank_table(self.estimate_, self.level if level is None else level)

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

    # The statistic --------------------------------------------------------------------------

    def _prepare(self, columns: Columns) -> ControlledFit | BalancedRates:
        judged = require_judgements(columns)
        if self._balanced:
            return BalancedRates.of(judged)
        design = build_design(
            judged,
            formula=self.formula,
            context=[*self.context, DIFFICULTY],
            gamed=judged.extra.get("gamed"),
            difficulty=judged.extra.get(DIFFICULTY),
        )
        return ControlledFit.to(
            design,
            np.ones(columns.n) if columns.weight is None else columns.weight,
            penalty=self.penalty,
            strength=self.strength,
            fixed_items=self.target == "these_items",
            view=ControlledRates() if self._view is None else self._view,
        )

    def _evaluate(self, prepared: ControlledFit | BalancedRates, weights: Array) -> Array:
        return prepared.values(weights)

    def _influence(self, prepared: ControlledFit | BalancedRates, weights: Array) -> Array:
        return prepared.influence(weights)

    def _require_defined(
        self,
        columns: Columns,  # noqa: ARG002
        prepared: ControlledFit | BalancedRates,
        value: Array,  # noqa: ARG002
    ) -> None:
        prepared.require_defined()

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
        prepared = self._prepare(columns)
        if isinstance(prepared, BalancedRates):
            raise AssertionError("views of a fit only")
        return self._view.terms(prepared.design)

    def _diagnose(
        self, columns: Columns, prepared: ControlledFit | BalancedRates
    ) -> list[Diagnosis]:
        if self._view is not None or not isinstance(prepared, ControlledFit):
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
            rare = min(np.nansum(block.y), np.nansum(1.0 - block.y))
            if rare < FEW_WINS:
                found.append(
                    (
                        "few-wins",
                        f"the model {name!r} has {rare:.1f} wins or losses on its rarer side: "
                        f"intervals cover too rarely below about {FEW_WINS}",
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
        self._require_model()
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

    def _require_model(self) -> None:
        if self._balanced:
            raise InputError("preset='balanced' fits no model: choose another preset")

    def _refitted(self) -> tuple[Design, Array]:
        columns = self._fitted_columns()
        self._require_model()
        if columns.group is not None:
            raise InputError("a fit with by= has one model per group: fit one group to see it")
        prepared = self._prepare(columns)
        if isinstance(prepared, BalancedRates):
            raise AssertionError("refused above")
        return prepared.design, prepared.theta

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
