"""Looking at a discontinuity: binned data, fitted curves, bandwidths, placebo cutoffs, density."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from evalstats.data.columns import Columns
from evalstats.data.intake import number_array
from evalstats.discontinuity.design import Design
from evalstats.discontinuity.fitted import FittedDiscontinuity
from evalstats.discontinuity.localfit import LocalFit
from evalstats.discontinuity.sides import KERNEL_CODES
from evalstats.errors import InputError
from evalstats.options import require_count

Array = NDArray[np.float64]
DRAWN_QUANTILES = (0.1, 0.5, 0.9)
PATH = (0.5, 0.625, 0.75, 0.875, 1.0, 1.25, 1.5, 1.75, 2.0)


class Exploration(FittedDiscontinuity):
    """Descriptions and sensitivity checks of :class:`evalstats.DistributionRDD`."""

    cutoff: float
    bandwidth: Any
    kernel: Any
    p: int

    def binned_quantiles(self, n_bins: int = 20) -> pl.DataFrame:
        """Mean quantile functions in bins of the running variable that respect the cutoff.

        Parameters
        ----------
        n_bins : int, default 20
            Bins of equal numbers of units on each side.

        Returns
        -------
        polars.DataFrame
            ``model``, ``side``, ``bin_low``, ``bin_high``, ``running`` (mean), ``quantile``,
            ``mean`` and ``n``.

        Raises
        ------
        InputError
            If `n_bins` is no positive integer, or the fit has groups.
        """
        require_count("n_bins", n_bins)
        columns, design = self._one_design("binned_quantiles")
        rows: list[dict[str, Any]] = []
        for model, outcome in columns.models["outcome"].items():
            for side in design.sides:
                order = np.argsort(side.x, kind="stable")
                for members in np.array_split(order, min(n_bins, len(order))):
                    rows += self._bin(model, side.name, side, members, outcome, design)
        return pl.DataFrame(rows)

    def _bin(
        self,
        model: str,
        name: str,
        side: Any,
        members: NDArray[np.int64],
        outcome: Array,
        design: Design,
    ) -> Iterator[dict[str, Any]]:
        x, units = side.x[members] + self.cutoff, side.rows[members]
        share = design.weights[units] / design.weights[units].sum()
        means = share @ outcome[units]
        for level, mean in zip(design.grid.levels, means, strict=True):
            yield {
                "model": model,
                "side": name,
                "bin_low": float(x.min()),
                "bin_high": float(x.max()),
                "running": float(share @ x),
                "quantile": float(level),
                "mean": float(mean),
                "n": len(units),
            }

    def fitted_curves(
        self, quantiles: ArrayLike = DRAWN_QUANTILES, *, n_points: int = 60
    ) -> pl.DataFrame:
        """Fitted polynomials of selected quantiles within the windows, with pointwise intervals.

        Parameters
        ----------
        quantiles : array-like
            Levels; each is replaced by the nearest one of the grid.
        n_points : int, default 60
            Points on each side.

        Returns
        -------
        polars.DataFrame
            ``model``, ``side``, ``quantile``, ``running``, ``estimate``, ``ci_low``, ``ci_high``.
        """
        from scipy import stats

        _, design = self._one_design("fitted_curves")
        critical = float(stats.norm.ppf(0.5 + self.level / 2))
        levels = design.grid.levels
        wanted = np.atleast_1d(number_array("quantiles", quantiles))
        require_count("n_points", n_points)
        chosen = sorted({int(np.abs(levels - level).argmin()) for level in wanted})
        rows: list[dict[str, Any]] = []
        for model, fit in design.outcomes.items():
            for number, side in enumerate(fit.sides):
                for q in chosen:
                    curve = _polynomial(fit, number, q, design.weights, n_points)
                    rows += [
                        {
                            "model": model,
                            "side": side.name,
                            "quantile": float(levels[q]),
                            "running": x + self.cutoff,
                            "estimate": value,
                            "ci_low": value - critical * error,
                            "ci_high": value + critical * error,
                        }
                        for x, value, error in curve
                    ]
        return pl.DataFrame(rows)

    def bandwidth_path(self, bandwidths: ArrayLike | None = None) -> pl.DataFrame:
        """Effects at other bandwidths.

        Parameters
        ----------
        bandwidths : array-like, optional
            Common bandwidths of all quantiles and both sides; half to twice the mean bandwidth of
            the fit by default.

        Returns
        -------
        polars.DataFrame
            As :meth:`evalstats.Estimate.to_frame` with ``bandwidth`` and ``selected`` (the mean
            bandwidth of the fit); windows that hold too little are left out.
        """
        columns, design = self._one_design("bandwidth_path")
        mean = float(np.mean([fit.h.mean() for fit in design.outcomes.values()]))
        given = mean * np.array(PATH) if bandwidths is None else bandwidths
        steps = np.unique(np.atleast_1d(number_array("bandwidths", given)))
        if not bool((np.isfinite(steps) & (steps > 0)).all()):
            raise InputError("bandwidths has a value that is not > 0")
        frames = []
        for h in steps.tolist():
            other = copy.copy(self)
            other.bandwidth = h
            frame = other._frame_or_none(columns, tolerate=bandwidths is None)
            if frame is not None:
                frames.append(
                    frame.with_columns(
                        pl.lit(h).alias("bandwidth"), pl.lit(h == mean).alias("selected")
                    )
                )
        return pl.concat(frames)

    def placebo_cutoffs(self, cutoffs: ArrayLike) -> pl.DataFrame:
        """Effects at cutoffs where nothing happened, from the units on their side alone.

        Parameters
        ----------
        cutoffs : array-like
            Values of the running variable other than the true cutoff.

        Returns
        -------
        polars.DataFrame
            As :meth:`evalstats.Estimate.to_frame` with ``cutoff``.
        """
        columns, _ = self._one_design("placebo_cutoffs")
        frames = []
        for cutoff in np.atleast_1d(number_array("cutoffs", cutoffs)).ravel().tolist():
            if not np.isfinite(cutoff):
                raise InputError(f"cutoffs has {cutoff}: pass finite numbers")
            if cutoff == self.cutoff:
                raise InputError(f"cutoffs has the true cutoff {cutoff:g}: leave it out")
            x = columns.single["running"]
            own = x < self.cutoff if cutoff < self.cutoff else x >= self.cutoff
            other = copy.copy(self)
            other.cutoff = cutoff
            frame = other._estimate(columns.take(np.flatnonzero(own))).to_frame()
            frames.append(frame.with_columns(pl.lit(cutoff).alias("cutoff")))
        return pl.concat(frames)

    def density_test(self, **options: Any) -> pl.DataFrame:
        """Test that the density of the running variable does not jump at the cutoff.

        Sorting at the cutoff shows as a jump (Cattaneo, Jansson and Ma 2020). An adapter to the
        package ``rddensity``, which must be installed.

        Parameters
        ----------
        **options
            Options of ``rddensity.rddensity``.

        Returns
        -------
        polars.DataFrame
            ``statistic``, ``p_value``, ``bandwidth_below``, ``bandwidth_above``, ``n_below`` and
            ``n_above``.
        """
        try:
            from rddensity import rddensity
        except ImportError as error:
            raise ImportError("density_test needs rddensity: pip install rddensity") from error
        columns, _ = self._one_design("density_test")
        found = rddensity(columns.single["running"], c=float(self.cutoff), **options)
        return pl.DataFrame(
            {
                "statistic": [float(found.test["t_jk"])],
                "p_value": [float(found.test["p_jk"])],
                "bandwidth_below": [float(found.h["left"])],
                "bandwidth_above": [float(found.h["right"])],
                "n_below": [int(found.n["left"])],
                "n_above": [int(found.n["right"])],
            }
        )

    def _one_design(self, method: str) -> tuple[Columns, Design]:
        columns = self._fitted_columns()
        if columns.group is not None:
            raise InputError(f"{method}() describes one sample: fit one group of by= at a time")
        design = self._prepare(columns)
        if not isinstance(design, Design):
            raise AssertionError("what the estimator prepares")
        return columns, design

    def _frame_or_none(self, columns: Columns, *, tolerate: bool) -> pl.DataFrame | None:
        try:
            return self._estimate(columns).to_frame()
        except InputError:
            if tolerate:
                return None
            raise


def _polynomial(
    fit: LocalFit, number: int, q: int, weights: Array, n_points: int
) -> list[tuple[float, float, float]]:
    """Points, fitted values and standard errors (HC3) of one polynomial."""
    side, h = fit.sides[number], float(fit.h[number, q])
    inside = np.abs(side.x) <= h
    x, mass = side.x[inside], weights[side.rows[inside]]
    basis = np.vander(x / h, fit.order + 1, increasing=True)
    coefficients = fit.coefficients(weights)[number][:, q]
    residual = fit.columns[number][q][inside] - basis @ coefficients
    _, leverage, _ = fit.smoother(number, q, weights)
    left = 1.0 - leverage[: len(side.x)][inside]
    kernel = _kernel(fit.kernel, x / h) * mass
    bread = np.linalg.inv(basis.T @ (kernel[:, np.newaxis] * basis))
    scores = (kernel * residual / np.maximum(left, 1e-10))[:, np.newaxis] * basis
    covariance = bread @ (scores.T @ scores) @ bread
    points = np.linspace(0.0, x[np.abs(x).argmax()], n_points)
    rows = np.vander(points / h, fit.order + 1, increasing=True)
    errors = np.sqrt(np.einsum("ij,jk,ik->i", rows, covariance, rows))
    return list(zip(points.tolist(), (rows @ coefficients).tolist(), errors.tolist(), strict=True))


def _kernel(kernel: str, u: Array) -> Array:
    code = KERNEL_CODES[kernel]
    if code == 0:
        return 1.0 - np.abs(u)
    return 0.75 * (1.0 - u * u) if code == 1 else np.full_like(u, 0.5)
