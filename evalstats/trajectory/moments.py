"""Covariances of all cells, read where the samples lie; the first to meet what is not finite."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from evalstats.inference.resampling import parallel_map
from evalstats.trajectory.agents import Agents, Forecast, require_finite
from evalstats.trajectory.forecasts import AgentMixture, AgentSamples
from evalstats.trajectory.moment_kernels import NARROW_TILE, TILE, sample_moments

Array = NDArray[Any]

# Numbers that one task reads: a few milliseconds.
PIECE_NUMBERS = 2_000_000
# Row operations of one number, for the choice between one thread and several.
WORK = 4


@dataclass(frozen=True)
class Stack:
    """Agents whose samples are slices of one array, `step` bytes apart."""

    rows: range
    first: Array
    step: int

    def view(self) -> Array:
        """Samples of all agents (A, K, T, D), without a copy."""
        shape = (len(self.rows), *self.first.shape)
        return as_strided(self.first, shape, (self.step, *self.first.strides), writeable=False)

    def pieces(self) -> list["Stack"]:
        """An even number of parts of about `PIECE_NUMBERS` numbers."""
        total = len(self.rows) * self.first.size
        if total < PIECE_NUMBERS or len(self.rows) == 1:
            return [self]
        n = min(2 * -(-total // (2 * PIECE_NUMBERS)), len(self.rows))
        edges = np.linspace(0, len(self.rows), n + 1).astype(int)
        whole = self.view()
        return [Stack(self.rows[low:high], whole[low], self.step) for low, high in pairwise(edges)]


def stacks(forecasts: list[Forecast]) -> list[Stack]:
    """Runs of agents that lie evenly spaced in one array; others alone. Weighted ones left out."""
    found: list[Stack] = []
    known: tuple[Any, ...] = ()
    start = address = step = 0
    for row, item in enumerate(forecasts):
        if isinstance(item, AgentSamples | AgentMixture):
            if known:
                found.append(_stack(forecasts, start, row, step))
            known = ()
            continue
        before, address = address, item.__array_interface__["data"][0]
        kind = (item.shape, item.strides, item.dtype, id(_owner(item)))
        if kind == known and (row == start + 1 or address - before == step):
            step = address - before
            continue
        if known:
            found.append(_stack(forecasts, start, row, step))
        start, step, known = row, 0, kind
    if known:
        found.append(_stack(forecasts, start, len(forecasts), step))
    return found


def _stack(forecasts: list[Forecast], start: int, stop: int, step: int) -> Stack:
    first = forecasts[start]
    if not isinstance(first, np.ndarray):
        raise AssertionError("only plain samples are stacked")
    return Stack(range(start, stop), first, step)


def _owner(array: Array) -> Array:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def measure_moments(
    agents: Agents, forecasts: list[Forecast], reg_covar: float, moments: NDArray[np.float64]
) -> None:
    """Fill the covariances (A, T, d(d+1)/2) of unweighted samples, unmasked cells only."""
    pieces = [piece for stack in stacks(forecasts) for piece in stack.pieces()]

    def compute(piece: Stack) -> None:
        _measure(agents, piece, reg_covar, moments)

    work = WORK * sum(len(piece.rows) * piece.first.size for piece in pieces)
    parallel_map(compute, pieces, work)


def _measure(agents: Agents, piece: Stack, reg_covar: float, moments: NDArray[np.float64]) -> None:
    array = piece.view()
    size = array.dtype.itemsize
    in_place = array.dtype == np.float64 and array.dtype.isnative
    if not in_place or any(stride < 0 or stride % size for stride in array.strides):
        # Order K keeps the layout, so that the copy streams as well.
        array = array.astype(np.float64, order="K")
        size = array.dtype.itemsize
    n_agents, k, t, d = array.shape
    by_agent, by_sample, by_step, by_coordinate = (stride // size for stride in array.strides)
    agent, step = np.divmod(np.arange(n_agents * t), t)
    if by_agent < by_step:
        step, agent = np.divmod(np.arange(n_agents * t), n_agents)
    extent = sum((n - 1) * stride for n, stride in zip(array.shape, array.strides, strict=True))
    out = np.empty((n_agents * t, d * (d + 1) // 2))
    sample_moments(
        as_strided(array, (extent // size + 1,), (size,), writeable=False),
        agent * by_agent + step * by_step,
        k,
        by_sample,
        by_coordinate,
        NARROW_TILE if by_sample <= min(by_agent, by_step) else TILE,
        float(reg_covar),
        out,
    )
    for position, row in enumerate(piece.rows):
        if len(agents.steps[row]) < t:
            out[(agent == position) & ~np.isin(step, agents.steps[row])] = 0.0
    moments[agent + piece.rows.start, step] = out


def require_finite_samples(
    label: str, agents: Agents, forecasts: list[Forecast], moments: NDArray[np.float64]
) -> None:
    """Refuse samples that are missing or infinite, found by their covariances."""
    suspects = {}
    for row in np.flatnonzero(~np.isfinite(moments).all(axis=(1, 2))):
        item = forecasts[row]
        if not isinstance(item, AgentMixture):
            values = item.values if isinstance(item, AgentSamples) else item
            suspects[int(row)] = values[:, agents.steps[row]]
    require_finite(label, suspects)
