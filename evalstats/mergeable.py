"""Estimators whose data are summarised in parts and merged; the states are a commutative monoid."""

import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.data.batches import UnlikePartsError, lazy_table, read_batches
from evalstats.data.columns import Columns
from evalstats.data.frames import named_columns
from evalstats.data.merge_tree import MergeTree
from evalstats.data.state import State
from evalstats.errors import InputError, collected_warnings, warn
from evalstats.estimator import Diagnosis, Estimator
from evalstats.inference.methods import Analytic, Bootstrap, Inference, Jackknife, NoInference
from evalstats.results.estimate import Estimate
from evalstats.results.method_text import methods_sentence

Array = NDArray[np.float64]

NOT_JOINT = "from a merged state: no covariances between models"
CONFIDENCE_PARAMETERS = ("inference", "level", "nan_policy")


class MergeableEstimator(Estimator):
    """Adds ``partial``, ``merge`` and ``finalize`` to an estimator.

    Parts may be merged in any order and grouping; the estimate equals that of all rows at once.
    """

    _rows_of_fit: Callable[[], Columns]
    # Kinds of state among which ``partial(..., state=)`` chooses, the default one first.
    states: ClassVar[tuple[str, ...]] = ()
    _analytic_by_default: ClassVar[bool] = True
    _keeps_clusters: ClassVar[bool] = False

    @abstractmethod
    def _summarise(self, columns: Columns, options: dict[str, Any]) -> pl.DataFrame:
        """Summary of validated rows."""

    @abstractmethod
    def _merge(self, tables: list[pl.DataFrame]) -> pl.DataFrame:
        """Summary of all rows of the given summaries."""

    @abstractmethod
    def _from_summary(self, table: pl.DataFrame, options: dict[str, Any]) -> Estimate:
        """Estimate from a summary."""

    def _merged_estimate(
        self,
        columns: Columns,
        terms: pl.DataFrame,
        value: Array,
        covariance: Array,
        n: NDArray[np.int64],
        diagnoses: Sequence[Diagnosis] = (),
    ) -> Estimate:
        """Analytic estimate from a summary.

        Parameters
        ----------
        columns : Columns
            What the rows of the summary had in common; their content is not looked at.
        terms : polars.DataFrame
            Labels of the values.
        value : float64 array (k,)
            Values.
        covariance : float64 array (k, k)
            Joint covariance, NaN where the summary does not hold it.
        n : int64 array (k,)
            Number of units of each value.
        diagnoses : sequence of (str, str)
            Warnings.
        """
        method = self._summary_inference()
        frequency = isinstance(method, Analytic) and method.weight_kind == "frequency"
        if frequency and columns.weight is not None:
            raise InputError(
                "frequency weights count identical rows, which a merged state does not tell "
                "apart: fit all rows at once, or pass Analytic()"
            )
        if isinstance(method, NoInference):
            covariance = np.full_like(covariance, np.nan)
        residual_df: Array = n.astype(np.float64) - 1.0
        df: Array = residual_df if self.t_reference else np.full(len(n), np.inf)
        notes = [*(message for _, message in diagnoses), *self._remarks(columns)]
        for code, message in diagnoses:
            warn(code, message, stacklevel=4)
        joint = isinstance(method, NoInference) or not bool(np.isnan(covariance[0, 1:]).any())
        if not joint:
            notes.append(NOT_JOINT)
        return Estimate(
            name=self.metric,
            unit=self.unit,
            n_units=int(n[0]),
            n_clusters=None,
            inference=method.describe(),
            level=float(self.level),
            terms=terms,
            value=value,
            standard_error=np.sqrt(np.clip(np.diag(covariance), 0.0, None)),
            covariance=covariance,
            scale=self.scale,
            interval=tuple(self._interval_names(columns, method, len(value))),
            df=df,
            residual_df=residual_df,
            n=n,
            higher_is_better=self.higher_is_better,
            notes=tuple(notes),
            method_text=methods_sentence(
                f"{self.metric} with {100 * self.level:g}% confidence intervals",
                self.unit,
                self.citation_keys,
                columns,
                method,
                self._analytic_name(columns),
            ),
            citation_keys=self.citation_keys,
        )

    @property
    def _is_analytic(self) -> bool:
        """Whether the errors of ``fit`` rest on influence values and probability weights."""
        method = self.inference
        if method == "auto":
            return self._analytic_by_default
        probability = isinstance(method, Analytic) and method.weight_kind == "probability"
        return probability or isinstance(method, NoInference)

    def _fit_state(self) -> dict[str, Any] | None:
        """Options of the state from which the estimate of ``fit`` follows; None without one."""
        return None

    def _state_pays(self, state: State, n: int) -> bool:  # noqa: ARG002
        """Whether the state of `n` rows is so much smaller than they that it is worth keeping."""
        return True

    def _state_columns(
        self, arguments: Mapping[str, object], data: object, sample_weight: object
    ) -> Columns:
        """Columns that are summarised: validated ones, where parts can be validated alone."""
        return self._columns(arguments, data=data, sample_weight=sample_weight)

    def _second_pass(self, state: State) -> Callable[[Columns], Array] | None:  # noqa: ARG002
        """Sums over the rows of a batch that complete what a state lacks; None if nothing does."""
        return None

    def _with_second_pass(self, estimate: Estimate, total: Array) -> Estimate:  # noqa: ARG002
        """Estimate completed by the sums of a second pass."""
        return estimate

    def _state_serves(self, arguments: Mapping[str, object]) -> bool:  # noqa: ARG002
        """Whether the state gives the estimate of ``fit`` for role arguments like these."""
        return True

    def _whole_column(self, arguments: Mapping[str, object]) -> str | None:  # noqa: ARG002
        """Column whose runs of equal values must lie in one part."""
        return None

    def _summary_key(self, options: dict[str, Any]) -> str:
        """Equal for estimators whose states of the same rows are equal."""
        return self._definition(options)

    def _require_summarised_inference(self) -> None:
        """Refuse resampling, for which a summary has no rows."""
        if isinstance(self.inference, Bootstrap | Jackknife):
            raise InputError(
                f"inference={self.inference!r} needs the rows, of which a state keeps sums only: "
                "pass inference=Analytic(), or call fit"
            )

    def _fit(
        self,
        arguments: Mapping[str, object],
        *,
        data: object,
        sample_weight: object,
        cluster: object,
        by: object,
    ) -> Self:
        """Fit in one pass over a large table where the state gives the same estimate.

        A table is large if it has several batches. Rows are not kept: views that need them read
        the table again.
        """
        shared = {"data": data, "sample_weight": sample_weight, "cluster": cluster, "by": by}
        options = None
        if data is not None and by is None and self.nan_policy == "raise":
            self._check_params()
            options = self._fit_state() if self._state_serves(arguments) else None
        table = None if options is None else lazy_table(data)
        if table is None or options is None or (cluster is not None and not self._keeps_clusters):
            return super()._fit(arguments, **shared)
        wanted = named_columns([*arguments.values(), sample_weight, cluster])
        if not set(wanted) <= set(table.collect_schema().names()):
            # The message says which argument names a column that is not there.
            return super()._fit(arguments, **shared)
        whole = self._whole_column(arguments)
        batches = read_batches(table, wanted, whole=whole)
        first, second = next(batches, None), next(batches, None)
        if first is None or second is None:
            return super()._fit(arguments, **{**shared, "data": data if first is None else first})
        given = {name: value for name, value in arguments.items() if value is not None}
        given |= {} if sample_weight is None else {"sample_weight": sample_weight}
        given |= {} if cluster is None else {"cluster": cluster}
        try:
            state = self._streamed(chain([first, second], batches), given, options)
        except UnlikePartsError:
            return super()._fit(arguments, **shared)
        self.finalize(state)
        self._rows_of_fit = partial(self._columns, arguments, **shared)
        return self

    def _streamed(
        self, batches: Iterator[Any], given: Mapping[str, Any], options: Mapping[str, Any]
    ) -> State:
        """State of all batches.

        Raises
        ------
        UnlikePartsError
            If all rows are needed at once, or the state is hardly shorter than they.
        InputError
            If a batch cannot be used; the message says where it starts.
        """
        tree = MergeTree(self.merge)
        start = 0
        for batch in batches:
            try:
                state = self.partial(data=batch, **given, **options)
            except InputError as error:
                if self._labels_are_chosen:
                    raise UnlikePartsError("a part may lack a label") from error
                raise InputError(f"in the batch from row {start} on: {error}") from error
            if not self._state_pays(state, batch.height):
                raise UnlikePartsError("nearly all rows are distinct")
            tree.push(state)
            start += batch.height
        return tree.result()

    @property
    def _labels_are_chosen(self) -> bool:
        """Whether the meaning of a label depends on which others there are."""
        several = getattr(self, "target", "positive") != "positive"
        return several or getattr(self, "pos_label", None) is not None

    def _fitted_columns(self) -> Columns:
        if not hasattr(self, "_columns_seen") and hasattr(self, "_rows_of_fit"):
            self._columns_seen = self._rows_of_fit()
        return super()._fitted_columns()

    def __getstate__(self) -> dict[str, Any]:
        kept = super().__getstate__()
        return {name: item for name, item in kept.items() if name != "_rows_of_fit"}

    def _summary_inference(self) -> Inference:
        """Inference of an estimate from sums: resampling would need the rows."""
        return self.inference if isinstance(self.inference, NoInference | Analytic) else Analytic()

    def partial(
        self, *roles: object, data: object = None, sample_weight: object = None, **options: Any
    ) -> State:
        """Summarise some of the rows.

        Parameters
        ----------
        *roles : array-like or str
            The role arguments of ``fit``, positional or by keyword.
        data : data frame, optional
            Frame whose columns the roles name.
        sample_weight : array-like or str, optional
            Weights of these rows.
        **options
            Role arguments by keyword, and options of the state such as ``state="binned"``.

        Returns
        -------
        State
            Mergeable, serialisable summary.
        """
        names = [role.name for role in self.roles]
        arguments: dict[str, object] = dict(zip(names, roles, strict=False))
        arguments.update({name: options.pop(name) for name in names if name in options})
        columns = self._state_columns(arguments, data, sample_weight)
        table = self._summarise(columns, options)
        return State(self._definition(options, columns), table)

    def merge(self, *states: State) -> State:
        """Combine the summaries of several parts.

        Parameters
        ----------
        *states : State
            Results of :meth:`partial` or :meth:`merge`, of the same definition.

        Returns
        -------
        State
            Summary of all their rows.

        Raises
        ------
        InputError
            If the states were built by different estimators or options.
        """
        if not states:
            raise InputError("merge needs at least one state")
        for position, state in enumerate(states):
            if state.definition != states[0].definition:
                raise UnlikePartsError(
                    f"state {position} was built as {state.definition}, the first one as "
                    f"{states[0].definition}: merge states of one definition only (classes that "
                    "differ because a part lacks one: pass labels=)"
                )
        return State(states[0].definition, self._merge([state.table for state in states]))

    def finalize(self, state: State, **options: Any) -> Estimate:
        """Estimate from a summary; also sets ``estimate_``.

        Parameters
        ----------
        state : State
            Result of :meth:`partial` or :meth:`merge`.
        **options
            Options of the estimator's state, such as ``tolerance=``.

        Returns
        -------
        Estimate
            As from ``fit`` on all rows, but without covariances between models, which a summary
            per model does not hold.

        Raises
        ------
        InputError
            If the state was built by another estimator.
        """
        self._check_params()
        owner, _, built = state.definition.partition(":")
        if owner != type(self).__name__ or json.loads(built)["parameters"] != self._parameters():
            raise InputError(f"this state was built as {state.definition}, not by {self!r}")
        with collected_warnings() as collected:
            estimate = self._from_summary(state.table, {**json.loads(built)["options"], **options})
        self.estimate_ = replace(estimate, warnings=tuple(dict.fromkeys(collected)))
        return self.estimate_

    def _parameters(self) -> dict[str, str]:
        """What defines the summary: all parameters but those of the inference."""
        return {
            name: repr(value)
            for name, value in self.get_params().items()
            if name not in CONFIDENCE_PARAMETERS
        }

    def _definition(self, options: dict[str, Any], columns: Columns | None = None) -> str:
        described: dict[str, Any] = {"parameters": self._parameters(), "options": options}
        classes = None if columns is None else columns.extra.get("classes")
        if classes is not None:
            described["classes"] = [repr(label) for label in classes]
        return f"{type(self).__name__}:{json.dumps(described, sort_keys=True)}"
