"""What follows from fitted forecasts: steps, cells, scenes, mixtures and sources of error."""

from abc import abstractmethod
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.data.columns import Columns, dense_codes
from evalstats.errors import InputError
from evalstats.mergeable import MergeableEstimator
from evalstats.results.estimate import Estimate
from evalstats.trajectory.scored import Plan
from evalstats.trajectory.views import cell_frame, error_sources, fitted_mixture

Array = NDArray[np.float64]


class ForecastViews(MergeableEstimator):
    """Views of the trajectory estimators."""

    @abstractmethod
    def _plan(self) -> Plan:
        """What to compute of each cell."""

    def _weight(self, columns: Columns) -> Array:
        return np.ones(columns.n) if columns.weight is None else columns.weight

    def horizon(self) -> Estimate:
        """Estimate at each step of the forecast, with the joint distribution over steps.

        Returns
        -------
        Estimate
            As ``estimate_``, with a column ``step`` (1 is the first predicted one); scores of
            whole trajectories are left out.

        Raises
        ------
        InputError
            Before ``fit``, and after unpickling.
        """
        return self._estimate(self._fitted_columns().with_columns(by_step=True))

    def cells(self) -> pl.DataFrame:
        """All cells: one row per model, agent and step that counts.

        Returns
        -------
        polars.DataFrame
            ``model``, ``agent``, ``step``, ``scene`` where given, ``status`` (0 fitted, 1 the
            added variance dominates, 2 at most two distinct samples, 3 underflow under
            ``compat="reference"``, 4 EM not converged) and the scores of each cell.
        """
        return cell_frame(self._fitted_columns())

    def scenes(self) -> pl.DataFrame:
        """Values of each scene on its own, without inference.

        Returns
        -------
        polars.DataFrame
            ``scene``, ``n_agents``, the terms and ``estimate``.

        Raises
        ------
        InputError
            If ``fit`` was given no ``scene=``.
        """
        columns = self._fitted_columns()
        if "scene" not in columns.single:
            raise InputError("scenes() needs scene= in fit: one code per agent")
        codes, labels = dense_codes(columns.single["scene"])
        frames = []
        for code, label in enumerate(labels):
            part = columns.take(np.flatnonzero(codes == code))
            value = self._evaluate(self._prepare(part), self._weight(part))
            frame = pl.DataFrame(self._terms(part)).with_columns(
                pl.lit(label).alias("scene"),
                pl.lit(part.n).alias("n_agents"),
                pl.Series("estimate", value),
            )
            frames.append(frame.select("scene", "n_agents", pl.exclude("scene", "n_agents")))
        return pl.concat(frames)

    def error_sources(self, *, n_groups: int = 10, n_starts: int = 5) -> pl.DataFrame:
        """Standard errors from finite data, from finite K and from the starts of EM, apart.

        Parameters
        ----------
        n_groups : int, default 10
            Groups of the jackknife that leaves out whole sample indices.
        n_starts : int, default 5
            Seeds of the starts; their standard deviation is reported.

        Returns
        -------
        polars.DataFrame
            The terms, ``source`` and ``standard_error``. The errors are of different kinds and
            not to be added: intervals of ``estimate_`` describe finite data.
        """
        return error_sources(self, n_groups, n_starts)

    def mixture(self, model: str, agent: int, step: int) -> dict[str, Any]:
        """Fitted mixture of one cell, with its samples and truth.

        Parameters
        ----------
        model : str
            Name of the model.
        agent : int
            Row of the agent.
        step : int
            Step, counted from 1.

        Returns
        -------
        dict
            ``weights`` (m,), ``means`` (m, D), ``covariances`` (m, D, D), ``samples`` (K, D) and
            ``truth`` (D,).
        """
        return fitted_mixture(self._fitted_columns(), self._plan(), model, agent, step)
