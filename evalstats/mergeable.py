"""Estimators whose data are summarised in parts and merged; the states are a commutative monoid."""

import json
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.data.columns import Columns
from evalstats.data.state import State
from evalstats.errors import InputError, warn
from evalstats.estimator import Diagnosis, Estimator
from evalstats.inference.methods import Analytic, Inference, NoInference
from evalstats.results.estimate import Estimate
from evalstats.results.method_text import methods_sentence

Array = NDArray[np.float64]

CONFIDENCE_PARAMETERS = ("inference", "level", "nan_policy")


class MergeableEstimator(Estimator):
    """Adds ``partial``, ``merge`` and ``finalize`` to an estimator.

    Parts may be merged in any order and grouping; the estimate equals that of all rows at once.
    """

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
        if isinstance(method, NoInference):
            covariance = np.full_like(covariance, np.nan)
        residual_df: Array = n.astype(np.float64) - 1.0
        df: Array = residual_df if self.t_reference else np.full(len(n), np.inf)
        notes = [message for _, message in diagnoses]
        for code, message in diagnoses:
            warn(code, message, stacklevel=4)
        if len(value) > 1 and bool(np.isnan(covariance[0, 1:]).all()):
            notes.append("from a merged state: no covariances between models")
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

    def _summary_inference(self) -> Inference:
        """Inference of an estimate from sums: resampling would need the rows."""
        return self.inference if isinstance(self.inference, NoInference) else Analytic()

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
        columns = self._columns(arguments, data=data, sample_weight=sample_weight)
        table = self._summarise(columns, options)
        return State(self._definition(options), table)

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
                raise InputError(
                    f"state {position} was built as {state.definition}, the first one as "
                    f"{states[0].definition}: merge states of one definition only"
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
        self.estimate_ = self._from_summary(
            state.table, {**json.loads(built)["options"], **options}
        )
        return self.estimate_

    def _parameters(self) -> dict[str, str]:
        """What defines the summary: all parameters but those of the inference."""
        return {
            name: repr(value)
            for name, value in self.get_params().items()
            if name not in CONFIDENCE_PARAMETERS
        }

    def _definition(self, options: dict[str, Any]) -> str:
        described = {"parameters": self._parameters(), "options": options}
        return f"{type(self).__name__}:{json.dumps(described, sort_keys=True)}"
