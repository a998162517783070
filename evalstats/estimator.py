"""The contract: an estimator is configuration plus ``fit``; everything else derives from it.

The author of a metric writes ``_prepare``, ``_evaluate`` and, where a closed form is known,
``_influence``; intake, weights, resampling, intervals, comparison and tables are shared.
"""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import replace
from functools import partial
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from evalstats.configuration import Configured
from evalstats.data.columns import Columns, Role, dense_codes
from evalstats.data.groups import group_rows, groups_independent, is_nested
from evalstats.data.intake import NanPolicy, collect_columns
from evalstats.errors import InputError, collected_warnings, warn
from evalstats.inference.engine import infer
from evalstats.inference.methods import (
    Analytic,
    Bootstrap,
    Inference,
    InferenceOption,
    NoInference,
    automatically_seeded,
    require_inference,
)
from evalstats.inference.problem import Part, Problem, SamplingDistribution
from evalstats.inference.scales import ScaleName
from evalstats.inference.units import FEW_CLUSTERS, Units
from evalstats.options import require_declared_types, typed_options
from evalstats.results.estimate import Estimate
from evalstats.results.method_text import methods_sentence
from evalstats.results.ranges import require_level
from evalstats.results.terms import term_frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
Diagnosis = tuple[str, str]

REGISTRY: dict[str, type["Estimator"]] = {}


class Estimator(Configured, ABC):
    """Base of all estimators: keyword-only configuration, ``fit``, and an ``estimate_``.

    Subclasses are registered by being defined, and being registered puts them under the test
    battery, on the command line and into the documentation check.

    Attributes
    ----------
    estimate_ : Estimate
        The labelled vector with its joint sampling distribution; set by ``fit``.

    Examples
    --------
    >>> import evalstats as es
    >>> es.AUROC(level=0.9).get_params()["level"]
    0.9
    """

    metric: ClassVar[str]
    unit: ClassVar[str] = "observation"
    roles: ClassVar[tuple[Role, ...]]
    scale: ClassVar[ScaleName] = "identity"
    value_range: ClassVar[tuple[float, float]] = (-np.inf, np.inf)
    higher_is_better: ClassVar[bool | None] = None
    t_reference: ClassVar[bool] = False
    verb: ClassVar[str]
    citation_keys: ClassVar[tuple[str, ...]] = ()
    undefined_terms: ClassVar[Literal["refuse", "blank"]] = "refuse"
    exceptions: ClassVar[Mapping[str, str]] = {}
    # Whether sample_weight counts rows, so that fractions are refused by the default configuration.
    weights_are_counts: ClassVar[bool] = False

    inference: InferenceOption
    level: float
    nan_policy: NanPolicy
    estimate_: Estimate
    _columns_seen: Columns

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "metric" in cls.__dict__:
            REGISTRY[cls.__name__] = cls
        for name, method in list(vars(cls).items()):
            if isinstance(method, FunctionType) and not name.startswith("_") and name != "fit":
                setattr(cls, name, typed_options(method))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimate_")

    # What the author of a metric writes -----------------------------------------------------

    @abstractmethod
    def _validate(self, columns: Columns) -> Columns:
        """Check the content of the columns and bring it into canonical form."""

    @abstractmethod
    def _prepare(self, columns: Columns) -> Any:
        """Do everything that does not depend on the weights: sort, match, bin; once."""

    @abstractmethod
    def _evaluate(self, prepared: Any, weights: Array) -> Array:
        """Values of all terms under the given row weights; NaN where undefined."""

    def _population_value(self, prepared: Any, weights: Array) -> Array | None:  # noqa: ARG002
        """Values of the data seen as a population, where `_evaluate` corrects a bias; else None."""
        return None

    def _influence(self, prepared: Any, weights: Array) -> Array:  # noqa: ARG002
        """Derivative (n_rows, k) of the values by each row's weight, where a form is known."""
        raise AssertionError("only called where _has_influence says so")

    def _covariance(self, prepared: Any, units: Units) -> Array:  # noqa: ARG002
        """Z'Z of the units' influence sums Z; only where (n_rows, k) influence is too large."""
        raise AssertionError("only called where it is overridden")

    def _has_influence(self, columns: Columns) -> bool:  # noqa: ARG002
        return type(self)._influence is not Estimator._influence

    def _terms(self, columns: Columns) -> list[dict[str, Hashable]]:
        """Labels of the values, in the order of ``_evaluate``."""
        return [{"metric": self.metric, "model": model} for model in columns.model_names]

    def _read(self, arguments: Mapping[str, object]) -> Mapping[str, object]:
        """Bring role arguments that are no columns of numbers into the form of `Records`."""
        return arguments

    def _populations(self, columns: Columns) -> NDArray[np.int64] | None:  # noqa: ARG002
        """Code of the population that each row was drawn from, where there are several.

        Samples from several populations (normal and anomalous images) are independent and of
        fixed size, in the analytic standard error and in the bootstrap alike.
        """
        return None

    def _design_strata(self, columns: Columns) -> NDArray[np.int64] | None:
        """Strata of the analytic standard error, such as the classes in DeLong's method."""
        return self._populations(columns)

    def _default_inference(self, columns: Columns) -> Inference:
        return Analytic() if self._has_influence(columns) else Bootstrap(rng=0)

    def _analytic_interval(self, columns: Columns) -> str:  # noqa: ARG002
        """Name of the interval that goes with a standard error alone."""
        return "wald" if self.scale == "identity" else self.scale

    def _support(self, columns: Columns, prepared: Any) -> dict[str, Array]:  # noqa: ARG002
        """What boundary intervals need per term, such as the number of positives."""
        return {}

    def _diagnose(self, columns: Columns, prepared: Any) -> list[Diagnosis]:  # noqa: ARG002
        """Warning codes and messages for usable but suspicious data."""
        return []

    def _remarks(self, columns: Columns) -> list[str]:  # noqa: ARG002
        """Facts that belong under a table without being a reason to warn."""
        return []

    def _require_defined(self, columns: Columns, prepared: Any, value: Array) -> None:
        """Refuse data in which the statistic is undefined, unless that was asked for."""

    def _inference_name(self, method: Inference) -> str:
        """Short name of the inference that tables show."""
        return method.describe()

    def _interval_phrase(self) -> str | None:
        """How intervals are obtained, for the methods sentence, where not by the inference."""
        return None

    def _analytic_name(self, columns: Columns) -> str:  # noqa: ARG002
        return "influence-function standard errors"

    @classmethod
    @abstractmethod
    def _example_arguments(cls, rng: np.random.Generator, n: int) -> dict[str, Any]:
        """Valid ``fit`` arguments for two models, for the test battery and the docs."""

    # What every estimator shares ------------------------------------------------------------

    def _fit(
        self,
        arguments: Mapping[str, object],
        *,
        data: object,
        sample_weight: object,
        cluster: object,
        by: object,
    ) -> Self:
        with collected_warnings() as collected:
            columns = self._columns(
                arguments, data=data, sample_weight=sample_weight, cluster=cluster, by=by
            )
            estimate = self._estimate(columns)
        self.estimate_ = replace(estimate, warnings=tuple(dict.fromkeys(collected)))
        self._columns_seen = columns
        return self

    def __getstate__(self) -> dict[str, Any]:
        # The data are the user's; a pickled estimator carries its configuration and result only.
        return {name: item for name, item in self.__dict__.items() if name != "_columns_seen"}

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Draw the fitted estimates with their intervals.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure at paper column width by default.
        **options
            As in :func:`evalstats.results.displays.plot_estimates`.

        Returns
        -------
        matplotlib Axes
            The axes drawn on.
        """
        return self.estimate_.plot(ax, **options)

    def _fitted_columns(self) -> Columns:
        """Columns of the last ``fit``, which pickling does not keep."""
        if not hasattr(self, "_columns_seen"):
            raise InputError(
                f"this {type(self).__name__} holds no data (not fitted, or unpickled): call fit"
            )
        return self._columns_seen

    def _columns(
        self,
        arguments: Mapping[str, object],
        *,
        data: object = None,
        sample_weight: object = None,
        cluster: object = None,
        by: object = None,
    ) -> Columns:
        self._check_params()
        roles = self._active_roles()
        arguments = self._read(arguments)
        stratify = self.inference.stratify if isinstance(self.inference, Bootstrap) else None
        names = [role.name for role in roles]
        if stratify is not None and not (isinstance(stratify, str) and stratify in names):
            roles = (*roles, Role("stratify", "code"))
            arguments = {**arguments, "stratify": stratify}
        columns = collect_columns(
            roles,
            arguments,
            data=data,
            sample_weight=sample_weight,
            cluster=cluster,
            by=by,
            nan_policy=self.nan_policy,
            may_be_missing=self._may_be_missing(),
        )
        return self._validate(columns)

    def point_columns(
        self, arguments: Mapping[str, object], sample_weight: object = None
    ) -> Columns:
        """Validated columns for a function twin, which returns numbers only.

        Parameters
        ----------
        arguments : mapping of str to object
            Role arguments.
        sample_weight : array-like, optional
            Weights of the rows.

        Returns
        -------
        Columns
            Canonical columns.
        """
        columns = self._columns(arguments, sample_weight=sample_weight)
        for role, models in columns.models.items():
            if list(models) != [role]:
                raise InputError(f"{role} has several models: use {type(self).__name__}().fit")
        return columns

    def point_value(self, columns: Columns) -> float:
        """First value of validated columns, without inference.

        Parameters
        ----------
        columns : Columns
            What :meth:`point_columns` returned.

        Returns
        -------
        float
            The point estimate.
        """
        prepared = self._prepare(columns)
        weights = np.ones(columns.n) if columns.weight is None else columns.weight
        value = self._evaluate(prepared, weights)
        self._require_defined(columns, prepared, value)
        return float(value[0])

    def _active_roles(self) -> tuple[Role, ...]:
        return self.roles

    def _may_be_missing(self) -> tuple[str, ...]:
        """Per-model roles whose missing values the estimator itself handles."""
        return ()

    def _check_params(self) -> None:
        require_inference(self.inference)
        require_level(self.level)
        require_declared_types(type(self).__init__, self.get_params())
        if self.nan_policy not in ("raise", "omit"):
            raise InputError(f"nan_policy={self.nan_policy!r}: choose 'raise' or 'omit'")

    def _estimate(self, columns: Columns) -> Estimate:
        groups = group_rows(columns)
        samples = [columns if rows is None else columns.take(rows) for rows in groups]
        prepared = [self._prepare(sample) for sample in samples]
        method = self.inference
        if method == "auto":
            method = automatically_seeded(self._default_inference(columns))
        problem = self._problem(columns, groups, samples, prepared, method)
        values = np.split(problem.value, len(problem.parts))
        for sample, item, value in zip(samples, prepared, values, strict=True):
            self._require_defined(sample, item, value)
        distribution = infer(problem, method)
        return self._assemble(columns, samples, prepared, problem, method, distribution)

    def _problem(
        self,
        columns: Columns,
        groups: list[NDArray[np.int64] | None],
        samples: list[Columns],
        prepared: list[Any],
        method: Inference,
    ) -> Problem:
        """Bind prepared samples to their units and weights."""
        independent = groups_independent(columns)
        units = Units(
            columns.n,
            columns.n if columns.cluster is None else int(columns.cluster.max()) + 1,
            columns.cluster,
            columns.weight,
            self._resampling_strata(columns, method, independent),
        )
        influential = self._has_influence(columns)
        compact = type(self)._covariance is not Estimator._covariance
        parts = []
        for rows, sample, item in zip(groups, samples, prepared, strict=True):
            part_units, unit_ids = self._part_units(sample, rows, units)
            parts.append(
                Part(
                    rows,
                    part_units,
                    unit_ids,
                    partial(self._evaluate, item),
                    partial(self._influence, item) if influential else None,
                    partial(self._covariance, item) if influential and compact else None,
                )
            )
        value = np.concatenate([part.evaluate(part.units.row_weight) for part in parts])
        truths = [
            self._population_value(item, part.units.row_weight)
            for item, part in zip(prepared, parts, strict=True)
        ]
        known = [truth for truth in truths if truth is not None]
        truth = np.concatenate(known) if known else None
        blank = self.undefined_terms == "blank"
        return Problem(units, parts, value, independent, truth, blank_undefined=blank)

    def _part_units(
        self, sample: Columns, rows: NDArray[np.int64] | None, units: Units
    ) -> tuple[Units, NDArray[np.int64] | None]:
        clustered = sample.cluster is not None
        strata = self._sampled_populations(sample) if clustered else self._design_strata(sample)
        if rows is None:
            return replace(units, stratum=strata), None
        if sample.cluster is None:
            return Units(sample.n, sample.n, None, sample.weight, strata), rows
        unit_ids, local = np.unique(sample.cluster, return_inverse=True)
        codes = local.astype(np.int64, copy=False).ravel()
        return Units(sample.n, len(unit_ids), codes, sample.weight, strata), unit_ids

    def _sampled_populations(self, columns: Columns) -> NDArray[np.int64] | None:
        """Populations, unless a cluster spans two of them and so their samples depend."""
        populations = self._populations(columns)
        if populations is None or columns.cluster is None:
            return populations
        return populations if is_nested(columns.cluster, populations) else None

    def _resampling_strata(
        self, columns: Columns, method: Inference, independent: bool
    ) -> NDArray[np.int64] | None:
        strata = columns.group if independent and columns.group is not None else None
        layers = [self._sampled_populations(columns)]
        if isinstance(method, Bootstrap) and method.stratify is not None:
            named = isinstance(method.stratify, str) and method.stratify in columns.single
            layers.append(columns.single[str(method.stratify) if named else "stratify"])
        for layer in layers:
            if layer is not None:
                codes, labels = dense_codes(layer)
                strata = codes if strata is None else strata * len(labels) + codes
        return strata

    def _assemble(
        self,
        columns: Columns,
        samples: list[Columns],
        prepared: list[Any],
        problem: Problem,
        method: Inference,
        distribution: SamplingDistribution,
    ) -> Estimate:
        k = len(problem.value) // len(problem.parts)
        n_active = [int(part.units.active.sum()) for part in problem.parts]
        clustered = problem.units.clustered
        df = [float(n - 1) if clustered or self.t_reference else np.inf for n in n_active]
        support = self._stacked_support(samples, prepared)
        notes = self._notes(samples, prepared, problem, method)
        n_rows = [int((part.units.row_weight > 0).sum()) for part in problem.parts]
        variance = np.diag(distribution.covariance).copy()
        return Estimate(
            name=self.metric,
            unit=self.unit,
            n_units=sum(n_rows),
            n_clusters=int(problem.units.active.sum()) if clustered else None,
            inference=self._inference_name(method),
            level=float(self.level),
            terms=term_frame(columns, [self._terms(sample) for sample in samples]),
            value=problem.value,
            standard_error=np.sqrt(np.clip(variance, 0.0, None)),
            covariance=distribution.covariance,
            replicates=distribution.replicates,
            scale=self.scale,
            interval=tuple(self._interval_names(columns, method, len(problem.value))),
            df=np.repeat(df, k),
            residual_df=np.repeat([n - 1.0 for n in n_active], k),
            sample=np.repeat(np.arange(len(samples)) * problem.independent_parts, k),
            n=np.repeat(n_rows, k),
            support={**support, **distribution.support},
            higher_is_better=self.higher_is_better,
            n_failed=distribution.n_failed,
            n_dropped=columns.n_dropped,
            notes=tuple(notes),
            method_text=methods_sentence(
                f"{self.metric} with {100 * self.level:g}% confidence intervals",
                self.unit,
                self.citation_keys,
                columns,
                method,
                self._analytic_name(columns),
                self._interval_phrase(),
            ),
            citation_keys=self.citation_keys,
        )

    def _interval_names(self, columns: Columns, method: Inference, k: int) -> list[str]:
        if isinstance(method, NoInference):
            return ["none"] * k
        name = (
            method.interval if isinstance(method, Bootstrap) else self._analytic_interval(columns)
        )
        return [name] * k

    def _stacked_support(self, samples: list[Columns], prepared: list[Any]) -> dict[str, Array]:
        blocks = [self._support(s, item) for s, item in zip(samples, prepared, strict=True)]
        return {
            name: np.concatenate([block[name] for block in blocks], axis=-1) for name in blocks[0]
        }

    def _notes(
        self, samples: list[Columns], prepared: list[Any], problem: Problem, method: Inference
    ) -> list[str]:
        diagnoses: dict[Diagnosis, None] = {}
        for sample, item in zip(samples, prepared, strict=True):
            diagnoses.update(dict.fromkeys(self._diagnose(sample, item)))
        units = problem.units
        n_active = int(units.active.sum())
        if units.clustered and n_active < FEW_CLUSTERS and not isinstance(method, NoInference):
            message = (
                f"only {n_active} clusters carry weight: cluster-robust standard errors are "
                f"unreliable below about {FEW_CLUSTERS}"
            )
            diagnoses[("few-clusters", message)] = None
        if n_active < len(problem.value):
            message = f"{n_active} units but {len(problem.value)} terms: the covariance is singular"
            diagnoses[("covariance-rank", message)] = None
        for code, message in diagnoses:
            warn(code, message, stacklevel=6)
        remarks = [remark for sample in samples for remark in self._remarks(sample)]
        return [*(message for _, message in diagnoses), *dict.fromkeys(remarks)]
