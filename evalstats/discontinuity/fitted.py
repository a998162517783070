"""What follows from a fitted discontinuity: limits, bands, functionals, weak-design sets."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from evalstats.data.intake import number_array
from evalstats.discontinuity import bands, functionals, weak_first_stage
from evalstats.discontinuity.checks import diagnostics_frame
from evalstats.discontinuity.design import Settings
from evalstats.discontinuity.effect import View
from evalstats.estimator import Estimator
from evalstats.results.estimate import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


class FittedDiscontinuity(Estimator):
    """Results that derive from the fit of :class:`evalstats.DistributionRDD`."""

    compat: str | None
    _view: View = "effect"

    def _settings(self) -> Settings:
        raise AssertionError("defined by the estimator")

    def _joint_view(self) -> Self:
        """The same estimator of both limits (and the jump of the treatment)."""
        other = copy.copy(self)
        other._view = "joint"
        return other

    def _joint(self) -> Estimate:
        return self._joint_view()._estimate(self._fitted_columns())

    def limits(self) -> Estimate:
        """Both limit quantile functions at the cutoff, with their joint distribution.

        Returns
        -------
        Estimate
            Terms have the columns ``side`` ("below", "above") and ``quantile``; in a fuzzy design
            the jump of the treatment is the term of the side "treatment".
        """
        joint = self._joint()
        name = "Limit at the cutoff"
        return replace(joint, name=name, method_text=joint.method_text.replace(self.metric, name))

    def first_stage(self) -> pl.DataFrame:
        """Jump of the treatment at the cutoff, its standard error and F statistic.

        Returns
        -------
        polars.DataFrame
            One row per group; ``estimate``, ``standard_error``, ``f_statistic``.
        """
        return weak_first_stage.first_stage(self._joint())

    def anderson_rubin(
        self, level: float | None = None, *, simultaneous: bool = False
    ) -> pl.DataFrame:
        """Confidence sets of a fuzzy effect that hold however weak the first stage is.

        Parameters
        ----------
        level : float, optional
            Confidence level; the estimator's by default.
        simultaneous : bool, default False
            Bonferroni over the quantiles.

        Returns
        -------
        polars.DataFrame
            The terms, then ``low``, ``high`` and ``shape``: "interval", "line" (everything), or
            "outside" (everything but the open interval from ``low`` to ``high``).
        """
        level = self.level if level is None else level
        return weak_first_stage.anderson_rubin(self._joint(), level, simultaneous=simultaneous)

    def functionals(self, names: Sequence[str] = functionals.NAMES) -> Estimate:
        """Effects on functionals of the distribution, by the delta method.

        Parameters
        ----------
        names : sequence of str
            Some of "mean", "iqr", "gini", "wasserstein_2" and "ratio_HIGH_LOW" with quantiles in
            percent, such as "ratio_90_10".

        Returns
        -------
        Estimate
            One term per outcome and functional (column ``functional``): above minus below, for
            compliers where the functional is linear (mean, iqr) and the design is fuzzy.
        """
        return functionals.functional_effects(
            self._joint(), self._fitted_columns().extra["grid"].levels, names
        )

    def multiplier_bootstrap(
        self,
        n_resamples: int = 999,
        *,
        multipliers: ArrayLike | None = None,
        rng: int = 0,
        **conditions: object,
    ) -> bands.MultiplierBootstrap:
        """Draws of one effect curve about the estimate, for bands and tests.

        Parameters
        ----------
        n_resamples : int, default 999
            Number of draws B.
        multipliers : array-like (n_units, B), optional
            Multipliers of the units instead of random ones.
        rng : int, default 0
            Seed.
        **conditions
            Which curve, where there are several: ``model="a"``, ``group="b"``.

        Returns
        -------
        MultiplierBootstrap
            With ``band``, ``critical_value`` and ``tests``.
        """
        if multipliers is not None:
            return bands.given_multipliers(
                self, number_array("multipliers", multipliers), conditions
            )
        return bands.gaussian_multipliers(self, n_resamples, rng, conditions)

    def uniform_band(
        self,
        level: float | None = None,
        *,
        kind: bands.BandKind = "constant",
        n_resamples: int = 9999,
        rng: int = 0,
    ) -> pl.DataFrame:
        """Effect curves with pointwise intervals and bands that hold for all quantiles at once.

        Parameters
        ----------
        level : float, optional
            Confidence level; the estimator's by default.
        kind : {"constant", "studentized"}
            Equal width at every quantile, which covers in small samples, or proportional to the
            standard error, which needs large ones.
        n_resamples, rng : int
            Draws and their seed.

        Returns
        -------
        polars.DataFrame
            As :meth:`evalstats.Estimate.to_frame`, with ``band_low`` and ``band_high``.
        """
        level = self.level if level is None else level
        return bands.banded_frame(self, level, kind, n_resamples, rng)

    def diagnostics(self) -> pl.DataFrame:
        """What each side of the cutoff rests on.

        Returns
        -------
        polars.DataFrame
            For each outcome (and group) and side: ``n``, ``n_window``, ``n_distinct``,
            ``bandwidth_min`` and ``bandwidth_max``, ``effective_n``, ``max_leverage``,
            ``condition``, ``crossing_share``, ``draws_min`` and ``draws_max``.
        """
        columns = self._fitted_columns()
        return diagnostics_frame(columns, self._prepare)

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Effect curve with pointwise intervals and the uniform band.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure at paper column width by default.
        **options
            As in :func:`evalstats.results.displays.plot_effect_curve`.

        Returns
        -------
        matplotlib Axes
            The axes drawn on; a forest plot if there is one quantile only.
        """
        from evalstats.results.displays import plot_effect_curve

        if self.estimate_.terms["quantile"].n_unique() == 1:
            return super().plot(ax, **options)
        return plot_effect_curve(self.uniform_band(), ax=ax, **options)
