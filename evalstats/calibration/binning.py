"""How probabilities become bins, by our rule or by that of another package."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalstats.calibration.kernels import bin_of_forecast, bin_sums, equal_mass_sums, sweep_sums
from evalstats.calibration.probabilities import Events
from evalstats.errors import InputError
from evalstats.kernels.ranking import rank_descending
from evalstats.options import require_count

Array = NDArray[np.float64]
Binning = Literal["uniform", "quantile", "unique", "sweep"]
Edges = Literal["right", "left"]
Convention = Literal["scikit-learn", "torchmetrics", "netcal", "uncertainty-calibration", "relplot"]
CONVENTIONS = ("scikit-learn", "torchmetrics", "netcal", "uncertainty-calibration", "relplot")


class Rule(NamedTuple):
    """How forecasts are assigned to bins.

    Attributes
    ----------
    binning : {"uniform", "quantile", "unique", "sweep"}
        Equal widths, equal mass, one bin per distinct value, or the finest equal masses whose
        observed frequencies increase.
    n_bins : int
        Number of bins, where the rule does not find it.
    edges : {"right", "left"}
        Which end of a bin belongs to it.
    bin_edges : sequence of float or None
        Increasing edges from 0 to 1, instead of equal widths.
    convention : str or None
        Another package whose bins are reproduced.
    """

    binning: Binning = "uniform"
    n_bins: int = 15
    edges: Edges = "right"
    bin_edges: Sequence[float] | None = None
    convention: Convention | None = None


@dataclass(frozen=True)
class FixedBins:
    """Rows in bins that do not depend on the weights.

    Attributes
    ----------
    code : int32 array (n,)
        Bin of each row.
    error : float64 array (n,)
        Outcome minus forecast.
    base : float64 array (n,) or (0,)
        Sample weight of each row, empty without.
    """

    code: NDArray[np.int32]
    error: Array
    outcome: NDArray[np.bool_]
    base: Array
    n_bins: int
    low: Array
    high: Array

    def sums(self, weights: Array) -> Array:
        """Weight, weighted error, weighted outcome and squared weight of each bin. O(n)."""
        halves = np.zeros((2 * self.n_bins, 4))
        bin_sums(self.code, self.error, self.outcome, weights, self.base, halves)
        return halves[: self.n_bins] + halves[self.n_bins :]

    def with_outcome(self, outcome: NDArray[np.bool_]) -> "FixedBins":
        """The same forecasts with other outcomes."""
        error = self.error + (outcome.astype(np.float64) - self.outcome)
        return FixedBins(self.code, error, outcome, self.base, self.n_bins, self.low, self.high)

    def assigned(self, weights: Array) -> NDArray[np.int64]:  # noqa: ARG002
        """Bin of each row."""
        return self.code.astype(np.int64)

    def limits(self, weights: Array) -> tuple[Array, Array]:  # noqa: ARG002
        """Lower and upper end of each bin."""
        return self.low, self.high


@dataclass(frozen=True)
class OrderedBins:
    """Rows in order of their forecasts, whose bins follow from the weights.

    Attributes
    ----------
    order : int64 array (n,)
        Rows by ascending forecast.
    last_in_block : bool array (n,)
        True at the last row of each block of equal forecasts, in that order.
    sweep : bool
        Whether the number of bins is the largest with increasing frequencies.
    """

    order: NDArray[np.int64]
    last_in_block: NDArray[np.bool_]
    forecast: Array
    error: Array
    outcome: NDArray[np.bool_]
    base: Array
    n_bins: int
    sweep: bool

    def sums(self, weights: Array) -> Array:
        """Weight, weighted error, weighted outcome and squared weight of each bin. O(n)."""
        return self._binned(weights)[0]

    def with_outcome(self, outcome: NDArray[np.bool_]) -> "OrderedBins":
        """The same forecasts with other outcomes."""
        return OrderedBins(
            self.order,
            self.last_in_block,
            self.forecast,
            outcome - self.forecast,
            outcome,
            self.base,
            self.n_bins,
            self.sweep,
        )

    def assigned(self, weights: Array) -> NDArray[np.int64]:
        """Bin of each row."""
        ends = self._binned(weights)[1]
        codes = np.empty(len(self.order), dtype=np.int64)
        codes[self.order] = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
        return codes

    def limits(self, weights: Array) -> tuple[Array, Array]:
        """Smallest and largest forecast of each bin."""
        ends = self._binned(weights)[1]
        starts = np.concatenate([[0], ends[:-1]])
        return self.forecast[self.order[starts]], self.forecast[self.order[ends - 1]]

    def _binned(self, weights: Array) -> tuple[Array, NDArray[np.int64]]:
        rows = (self.order, self.last_in_block, self.error, self.outcome, weights, self.base)
        if self.sweep:
            return sweep_sums(*rows)
        return equal_mass_sums(*rows, self.n_bins)


Bins = FixedBins | OrderedBins


@dataclass(frozen=True)
class Prepared:
    """Bins of every model: one set, or one for each class."""

    n: int
    models: list[list[Bins]]


def require_rule(rule: Rule) -> None:
    """Refuse options that name no bins."""
    if rule.convention is not None and rule.convention not in CONVENTIONS:
        names = ", ".join(repr(name) for name in CONVENTIONS)
        raise InputError(
            f"convention={rule.convention!r} is unknown: choose one of {names} or None"
        )
    if rule.binning not in ("uniform", "quantile", "unique", "sweep"):
        raise InputError(
            f"binning={rule.binning!r} is unknown: choose 'uniform', 'quantile', 'unique' or "
            "'sweep' (own edges: bin_edges=[0, ..., 1])"
        )
    if rule.edges not in ("right", "left"):
        raise InputError(f"edges={rule.edges!r} is unknown: choose 'right' or 'left'")
    require_count("n_bins", rule.n_bins)
    if rule.convention is not None and (
        rule.binning in ("unique", "sweep") or rule.bin_edges is not None or rule.edges != "right"
    ):
        raise InputError(
            f"convention={rule.convention!r} sets the edges itself: leave edges and bin_edges at "
            "their defaults and choose binning='uniform' or 'quantile'"
        )
    if rule.bin_edges is not None:
        _checked_edges(rule.bin_edges)


def make_bins(events: Events, rule: Rule, base: Array, single_precision: bool) -> Bins:
    """Assign the forecasts of one set of events to bins.

    Parameters
    ----------
    events : Events
        Forecasts and outcomes.
    rule : Rule
        How bins are made.
    base : float64 array (n,) or (0,)
        Sample weight of each row, empty without.
    single_precision : bool
        Whether the forecasts came as float32, in which one convention computes its edges.

    Returns
    -------
    FixedBins or OrderedBins
        Rows ready to be summed under any weights. O(n), or O(n log n) where forecasts are sorted.
    """
    if rule.convention is not None:
        return _conventional(events, rule, base, single_precision)
    if rule.bin_edges is not None:
        return _between(events, _checked_edges(rule.bin_edges), rule.edges, base)
    if rule.binning == "uniform":
        edges = np.arange(rule.n_bins + 1) / rule.n_bins
        return _between(events, edges, rule.edges, base)
    if rule.binning == "unique":
        values, codes = np.unique(events.forecast, return_inverse=True)
        return _fixed(events, codes.ravel(), len(values), base, values, values)
    return _ordered(events, rule, base)


def _ordered(events: Events, rule: Rule, base: Array) -> OrderedBins:
    n = len(events.forecast)
    if rule.n_bins > n and rule.binning == "quantile" and rule.convention is None:
        raise InputError(f"n_bins={rule.n_bins} exceeds the number of rows ({n}): use fewer bins")
    # Descending order of what is missing to one is ascending order of the forecasts.
    order, last_in_block = rank_descending(-events.forecast)
    error = events.outcome - events.forecast
    return OrderedBins(
        order,
        last_in_block,
        events.forecast,
        error,
        events.outcome,
        base,
        int(rule.n_bins),
        rule.binning == "sweep",
    )


def _fixed(
    events: Events, codes: NDArray[np.int64], n_bins: int, base: Array, low: Array, high: Array
) -> FixedBins:
    error = events.outcome - events.forecast
    code = np.ascontiguousarray(codes, dtype=np.int32)
    return FixedBins(code, error, events.outcome, base, n_bins, low, high)


def _between(events: Events, edges: Array, side: Edges, base: Array) -> FixedBins:
    code = np.empty(len(events.forecast), dtype=np.int32)
    bin_of_forecast(events.forecast, edges, side == "right", code)
    error = events.outcome - events.forecast
    return FixedBins(code, error, events.outcome, base, len(edges) - 1, edges[:-1], edges[1:])


def _checked_edges(given: Sequence[float]) -> Array:
    edges = np.array(given, dtype=np.float64)
    good = edges.ndim == 1 and len(edges) >= 2 and bool(np.isfinite(edges).all())
    if not good or edges[0] != 0.0 or edges[-1] != 1.0 or not bool((np.diff(edges) > 0).all()):
        raise InputError("bin_edges must increase strictly from 0 to 1, such as [0, 0.2, 0.5, 1]")
    return edges


def _conventional(events: Events, rule: Rule, base: Array, single_precision: bool) -> Bins:
    """Bins as another package makes them, its accidents at the edges included."""
    p, n_bins = events.forecast, int(rule.n_bins)
    quantile = rule.binning == "quantile"
    if rule.convention == "uncertainty-calibration":
        if quantile:
            return _ordered(events, rule, base)
        return _between(events, np.arange(n_bins + 1) / n_bins, "right", base)
    if rule.convention in {"relplot", "torchmetrics"}:
        if quantile:
            raise InputError(f"{rule.convention} has no equal-mass bins: binning='uniform'")
        if rule.convention == "relplot":
            edges = np.arange(n_bins + 2) / n_bins
            codes = (p / (1.0 / n_bins)).astype(np.int64)
        else:
            edges = _torch_linspace(n_bins + 1, np.float32 if single_precision else np.float64)
            codes = np.searchsorted(edges, p, side="right") - 1
            edges = np.append(edges, np.inf)
        # Forecasts of exactly one fall into a bin of their own.
        return _fixed(events, codes, n_bins + 1, base, edges[:-1], edges[1:])
    edges = np.linspace(0.0, 1.0, n_bins + 1)
    if rule.convention == "scikit-learn":
        if quantile:
            edges = np.percentile(p, edges * 100)
        codes = np.searchsorted(edges[1:-1], p)
        return _fixed(events, codes, n_bins, base, edges[:-1], edges[1:])
    epsilon = float(np.finfo(np.float32 if single_precision else np.float64).eps)
    clipped = np.clip(p, epsilon, 1.0 - epsilon)
    if quantile:
        edges = np.quantile(clipped, edges)
        edges[0], edges[-1] = 0.0, 1.0
        if not bool((np.diff(edges) > 0).all()):
            raise InputError(
                "netcal refuses binning='quantile' where ties make edges equal: omit convention"
            )
    codes = np.searchsorted(edges[1:-1], clipped, side="right")
    events = Events(clipped, events.outcome, events.label)
    return _fixed(events, codes, n_bins, base, edges[:-1], edges[1:])


def _torch_linspace(steps: int, dtype: type[np.floating]) -> Array:
    """Equally spaced points as PyTorch computes them: from the nearer end.

    From the upper end its product and difference are rounded once only (fused), which exact
    fractions reproduce.
    """
    step = dtype(1.0) / dtype(steps - 1)
    points = [step * dtype(index) for index in range(steps // 2)]
    points += [
        dtype(float(1 - Fraction(float(step)) * (steps - 1 - index)))
        for index in range(steps // 2, steps)
    ]
    return np.array(points, dtype=np.float64)
