"""Regression discontinuity with distribution-valued outcomes."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from evalstats.data.columns import Columns, Role
from evalstats.data.intake import NanPolicy
from evalstats.data.stored_columns import columns_of_table
from evalstats.discontinuity.checks import diagnoses
from evalstats.discontinuity.design import Design, Settings, prepare_design
from evalstats.discontinuity.effect import curve_influence, curve_values, view_terms
from evalstats.discontinuity.exploration import Exploration
from evalstats.discontinuity.monotone import Step
from evalstats.discontinuity.options import (
    KERNELS,
    RULES,
    Bandwidth,
    Compat,
    Grid,
    Kernel,
    Method,
    OutcomeForm,
    Rearrangement,
    given_bandwidths,
    monotone_step,
    require_choice,
    require_number,
    require_orders,
)
from evalstats.discontinuity.outcomes import Draws, nested_outcomes
from evalstats.discontinuity.reading import holds_single_numbers, unit_columns
from evalstats.discontinuity.unit_state import merged_units, summarised_units
from evalstats.errors import InputError
from evalstats.estimator import Diagnosis
from evalstats.inference.methods import Analytic, InferenceOption
from evalstats.mergeable import MergeableEstimator
from evalstats.results.estimate import Estimate

Array = NDArray[np.float64]


class DistributionRDD(Exploration, MergeableEstimator):
    """Jump of the mean quantile function of aggregate units at a cutoff.

    Each unit (a firm, a school, a day) has a running variable and a whole distribution of
    outcomes. The estimate is a curve, one term per quantile: how far the unit's expected quantile
    function jumps where the running variable crosses the cutoff.

    Parameters
    ----------
    cutoff : float, default 0.0
        Threshold of the running variable; a unit exactly at it counts as above.
    method : {"frechet", "local_polynomial"}
        Local Frechet regression (one bandwidth, limit curves projected onto quantile functions) or
        a local polynomial for each quantile (own bandwidths, limit curves sorted).
    quantiles : array-like, optional
        Levels in (0, 1); 0.01, ..., 0.99 by default, or 0.5 alone if every unit has one draw.
    p : int, default 2
        Order of the local polynomial. With ``p = s + 1`` it removes the bias that the bandwidth
        leaves (robust bias correction).
    s : int, default 1
        Order for which the bandwidth is optimal.
    kernel : {"triangular", "epanechnikov", "uniform"}
        Weights within the window.
    bandwidth : {"mse", "imse", "cer", "mse_two", "imse_two", "cer_two", "r3d"}, float or mapping
        Rule (``_two``: a bandwidth for each side), one value, one value per quantile, or a mapping
        with ``"outcome"`` (or ``"below"`` and ``"above"``) and ``"treatment"``.
    compat : {"r3d"} or None
        Reproduce the R package R3D 0.1.0 with its defects.
    donut : float, default 0.0
        Leave out units closer to the cutoff than this.
    rearrange : {"sort", "none"}
        Whether ``"local_polynomial"`` makes its limit curves monotone by sorting.
    regularize : bool, default True
        Keep a curvature that looks small by chance from widening the window.
    outcome_form : {"draws", "quantiles"}
        What the columns of a 2-D outcome are: draws, or quantile functions on `quantiles`.
    inference : "auto", Analytic, Bootstrap, Jackknife or NoInference
        How the sampling distribution is obtained; "auto" is analytic.
    level : float, default 0.95
        Confidence level.
    nan_policy : {"raise", "omit"}
        Refuse missing values or drop them (draws, or units).

    Attributes
    ----------
    estimate_ : Estimate
        One term per outcome and quantile.

    Notes
    -----
    With x = running - cutoff and Q_i(q) the type-7 quantiles of unit i, each side's limit m(q) is
    the intercept of a weighted polynomial in x / h; tau(q) = m_above(q) - m_below(q), divided by
    the jump of the treatment in a fuzzy design. The influence of unit i is k_i (G^-1 b_i)_0 e_i /
    (1 - leverage_i): residuals are leave-one-out (HC3), inference is based on the fit before the
    monotone step, bandwidths and covariate slopes are held fixed, in resampling as well. Sampling
    units are the units, never their draws. O(M log M) for M draws and O(n Q p) for the fit.

    References
    ----------
    Van Dijcke (2025), arXiv:2504.03992; Calonico, Cattaneo and Titiunik (2014), Econometrica 82;
    Chernozhukov, Fernandez-Val and Galichon (2010), Econometrica 78; Petersen and Mueller (2019),
    Annals of Statistics 47.

    Examples
    --------
    >>> import numpy as np
    >>> import evalstats as es
    >>> rng = np.random.default_rng(0)
    >>> x = rng.uniform(-1, 1, 400)
    >>> scores = [rng.normal(a + 2 * (a >= 0), 1 + (a >= 0), 30) for a in x]
    >>> rdd = es.DistributionRDD(quantiles=[0.1, 0.5, 0.9]).fit(x, scores)
    >>> rdd.estimate_.terms["quantile"].to_list()
    [0.1, 0.5, 0.9]
    """

    metric: ClassVar[str] = "Quantile treatment effect"
    unit: ClassVar[str] = "unit"
    verb: ClassVar[str] = "rdd"
    roles: ClassVar[tuple[Role, ...]] = (
        Role("running", "score", help="column with the running variable"),
        Role("outcome", "score", per_model=True, help="column with the outcome, one draw per row"),
        Role("unit", "code", required=False, help="column with the unit that each draw belongs to"),
        Role("treatment", "score", required=False, help="column with the treatment (fuzzy design)"),
        Role("draw_weight", "score", required=False, help="column with weights of the draws"),
        Role("covariates", "score", per_model=True, required=False, help="covariates of the units"),
    )
    exceptions: ClassVar[Mapping[str, str]] = {
        "integer_weight_is_repetition": "repetition narrows a selected bandwidth, which a scale of "
        "the weights must not; own tests cover fixed bandwidths and frequency weights",
        "analytic": "leave-one-out residuals make the influence larger than the derivative; own "
        "test compares the derivative without them",
    }
    citation_keys: ClassVar[tuple[str, ...]] = ("vandijcke2025", "calonico2014")

    def __init__(
        self,
        *,
        cutoff: float = 0.0,
        method: Method = "frechet",
        quantiles: Sequence[float] | NDArray[np.float64] | None = None,
        p: int = 2,
        s: int = 1,
        kernel: Kernel = "triangular",
        bandwidth: Bandwidth = "mse",
        compat: Compat | None = None,
        donut: float = 0.0,
        rearrange: Rearrangement = "sort",
        regularize: bool = True,
        outcome_form: OutcomeForm = "draws",
        inference: InferenceOption = "auto",
        level: float = 0.95,
        nan_policy: NanPolicy = "raise",
    ) -> None:
        self.cutoff = cutoff
        self.method = method
        self.quantiles = quantiles
        self.p = p
        self.s = s
        self.kernel = kernel
        self.bandwidth = bandwidth
        self.compat = compat
        self.donut = donut
        self.rearrange = rearrange
        self.regularize = regularize
        self.outcome_form = outcome_form
        self.inference = inference
        self.level = level
        self.nan_policy = nan_policy

    def fit(
        self,
        running: ArrayLike | str,
        outcome: ArrayLike | Sequence[ArrayLike] | Mapping[str, Any] | str | list[str],
        unit: ArrayLike | str | None = None,
        treatment: ArrayLike | str | None = None,
        *,
        draw_weight: ArrayLike | Sequence[ArrayLike] | str | None = None,
        covariates: Mapping[str, ArrayLike] | str | list[str] | None = None,
        data: Any = None,
        sample_weight: ArrayLike | str | None = None,
        cluster: ArrayLike | str | None = None,
        by: ArrayLike | str | list[str] | None = None,
    ) -> Self:
        """Estimate the effect curve of every outcome.

        Parameters
        ----------
        running : array-like or column name
            Running variable; with `unit` repeated in every row of the unit.
        outcome : array-like, mapping of name to outcome, or column names
            Long form: one draw per row, with `unit`. Else one entry per unit: a list of arrays of
            draws, a 2-D array (units, draws), or one number each. Several outcomes by name.
        unit : array-like or column name, optional
            Unit of each row.
        treatment : array-like or column name, optional
            Treatment of the unit, for a fuzzy design.
        draw_weight : array-like or column name, optional
            Weights of the draws within their unit, in the shape of the outcome.
        covariates : mapping of name to array, or column names, optional
            Covariates of the units, adjusted for with slopes common to both sides.
        data : data frame, optional
            polars, pandas, pyarrow or any Arrow-capable frame; role arguments are then names.
        sample_weight, cluster, by : array-like or column name, optional
            Weight of each unit, cluster in which it was sampled, group in which to fit separately;
            constant within a unit.

        Returns
        -------
        DistributionRDD
            The fitted estimator.

        Raises
        ------
        InputError
            If a side of the cutoff or a window holds too little, values are missing, infinite or
            vary within a unit, or an option cannot be used.
        """
        roles = {
            "running": running,
            "outcome": outcome,
            "unit": unit,
            "treatment": treatment,
            "draw_weight": draw_weight,
            "covariates": covariates,
        }
        return self._fit(roles, data=data, sample_weight=sample_weight, cluster=cluster, by=by)

    # What the contract asks for -----------------------------------------------------------------

    def _check_params(self) -> None:
        super()._check_params()
        require_number("cutoff", self.cutoff, -np.inf)
        require_number("donut", self.donut, 0.0)
        require_choice("method", self.method, ("frechet", "local_polynomial"))
        require_choice("kernel", self.kernel, KERNELS)
        require_choice("compat", self.compat, (None, "r3d"))
        require_choice("rearrange", self.rearrange, ("sort", "none"))
        require_choice("outcome_form", self.outcome_form, ("draws", "quantiles"))
        require_orders(self.p, self.s)
        grid = Grid.of(self.quantiles)
        if isinstance(self.bandwidth, str):
            require_choice("bandwidth", self.bandwidth, RULES)
            if self.p < self.s:
                raise InputError(f"p={self.p} is below s={self.s}: the fit needs at least order s")
        elif self.quantiles is not None:
            given_bandwidths(self.bandwidth, grid)

    def _read(self, arguments: Mapping[str, object]) -> Mapping[str, object]:
        given = dict(arguments)
        for role in ("outcome", "draw_weight"):
            given[role] = nested_outcomes(role, given.get(role))
        nested = given["outcome"]
        parts = nested.values() if isinstance(nested, Mapping) else [nested]
        if given.get("unit") is not None and any(isinstance(part, Draws) for part in parts):
            raise InputError("outcome has one entry per unit already: leave unit= out")
        return given

    def _validate(self, columns: Columns) -> Columns:
        scalar = self.quantiles is None and holds_single_numbers(columns)
        grid = Grid.of([0.5] if scalar else self.quantiles)
        found = unit_columns(
            columns,
            grid,
            self.outcome_form,
            drop_missing=self.nan_policy == "omit",
            # R3D selects its bandwidths from unweighted quantiles.
            keep_unweighted=self.compat == "r3d",
        )
        if self.compat == "r3d" and found.weight is not None:
            raise InputError("compat='r3d' knows no weights of units: leave sample_weight out")
        return found.with_columns(grid=grid)

    # Bandwidth, fit and residuals are three passes over all units: a state keeps the quantiles of
    # each, but not its draws.

    def _fit_state(self) -> dict[str, Any]:
        return {}

    def _require_summarised_inference(self) -> None:
        """Units can be resampled: a state keeps each of them."""

    def _whole_column(self, arguments: Mapping[str, object]) -> str | None:
        unit = arguments.get("unit")
        return unit if isinstance(unit, str) else None

    def _summarise(self, columns: Columns, options: dict[str, Any]) -> pl.DataFrame:
        return summarised_units(columns, options)

    def _merge(self, tables: list[pl.DataFrame]) -> pl.DataFrame:
        return merged_units(tables)

    def _from_summary(self, table: pl.DataFrame, options: dict[str, Any]) -> Estimate:  # noqa: ARG002
        columns = columns_of_table(table)
        levels = next(iter(columns.models["outcome"].values())).shape[1]
        scalar = self.quantiles is None and levels == 1
        columns = columns.with_columns(grid=Grid.of([0.5] if scalar else self.quantiles))
        estimate = self._estimate(columns)
        self._columns_seen = columns
        return estimate

    def _prepare(self, columns: Columns) -> Design:
        return prepare_design(columns, self._settings(), columns.extra["grid"])

    def _settings(self) -> Settings:
        analytic = isinstance(self.inference, Analytic)
        return Settings(
            cutoff=float(self.cutoff),
            donut=float(self.donut),
            method=self.method,
            p=int(self.p),
            s=int(self.s),
            kernel=self.kernel,
            bandwidth=self.bandwidth,
            regularize=self.regularize,
            compat=self.compat,
            copies=analytic and self.inference.weight_kind == "frequency",  # type: ignore[union-attr]
        )

    @property
    def _step(self) -> Step:
        return monotone_step(self.method, self.rearrange, self.compat)

    def _evaluate(self, prepared: Design, weights: Array) -> Array:
        return curve_values(prepared, weights, self._step, self._view)

    def _influence(self, prepared: Design, weights: Array) -> Array:
        settings = self._settings()
        return curve_influence(prepared, weights, self._step, self._view, settings)

    def _terms(self, columns: Columns) -> list[dict[str, Hashable]]:
        return view_terms(self.metric, columns, self._view)

    def _diagnose(self, columns: Columns, prepared: Design) -> list[Diagnosis]:
        return [] if self._view != "effect" else diagnoses(columns, prepared, self._settings())

    def _remarks(self, columns: Columns) -> list[str]:  # noqa: ARG002
        fixed = "bandwidths are held fixed in all inference"
        return [f"{fixed}; R3D 0.1.0 reproduced with its defects" if self.compat else fixed]

    def _analytic_name(self, columns: Columns) -> str:  # noqa: ARG002
        return "leave-one-out influence values of a local polynomial fit"

    @classmethod
    def _example_arguments(cls, rng: np.random.Generator, n: int) -> dict[str, Any]:
        running = np.round(rng.uniform(-1, 1, n), 4)
        running[:2] = [-0.5, 0.5]
        level = running + 0.4 * running**2 + 0.3 * rng.normal(size=n)
        return {
            "running": running,
            "outcome": {"sales": level + (running >= 0), "costs": np.round(2 * level**2, 2)},
        }
