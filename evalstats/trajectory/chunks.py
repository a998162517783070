"""Samples of some agents at a time, copied cell after cell for the kernels that fit and score."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalstats.data.validation import LARGEST_NUMBER
from evalstats.errors import InputError
from evalstats.trajectory.agents import Agents, Forecast
from evalstats.trajectory.forecasts import AgentMixture, AgentSamples

Array = NDArray[np.float64]

# Numbers that one chunk copies: small enough for the cache, large enough to hide the call.
CHUNK_NUMBERS = 400_000


@dataclass(frozen=True)
class Chunk:
    """Samples of some agents, copied cell after cell."""

    values: Array
    weights: Array
    offsets: NDArray[np.int64]
    truth: Array
    agent_cells: NDArray[np.int64]


def gather(agents: Agents, forecasts: list[Forecast], rows: range) -> Chunk:
    """Copy the unmasked samples of some agents into one contiguous block."""
    blocks, weights, counts, cells = [], [], [], [0]
    for row in rows:
        item = forecasts[row]
        if isinstance(item, AgentMixture):
            raise AssertionError("mixtures are not gathered")
        values = item.values if isinstance(item, AgentSamples) else item
        steps = agents.steps[row]
        used = values if len(steps) == values.shape[1] else values[:, steps]
        block = np.ascontiguousarray(used.transpose(1, 0, 2), dtype=np.float64)
        blocks.append(block.reshape(-1, block.shape[2]))
        weight = item.probability if isinstance(item, AgentSamples) else np.ones(len(values))
        weights.append(np.tile(np.asarray(weight, dtype=np.float64), len(steps)))
        counts.extend([len(values)] * len(steps))
        cells.append(cells[-1] + len(steps))
    truth = np.concatenate([agents.truths[row][agents.steps[row]] for row in rows])
    samples = np.concatenate(blocks)
    for name, numbers in (("samples", samples), ("trajectory", truth)):
        size = float(np.abs(np.asarray(numbers)).max(initial=0.0))
        if size > LARGEST_NUMBER:
            raise InputError(
                f"{name} holds a coordinate of size {size:g}: beyond {LARGEST_NUMBER:g} there are "
                "no finite squares; choose another unit of length"
            )
    return Chunk(
        samples,
        np.concatenate(weights),
        np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        np.ascontiguousarray(truth, dtype=np.float64),
        np.array(cells, dtype=np.int64),
    )


def forecast_size(item: Forecast) -> int:
    """Numbers that one forecast holds."""
    if isinstance(item, AgentMixture):
        return int(item.covariances.size)
    return int(item.values.size if isinstance(item, AgentSamples) else item.size)


def chunked(forecasts: list[Forecast]) -> list[range]:
    """Runs of agents of about `CHUNK_NUMBERS` numbers."""
    chunks = []
    start = total = 0
    for row, item in enumerate(forecasts):
        total += forecast_size(item)
        if total >= CHUNK_NUMBERS or row == len(forecasts) - 1:
            chunks.append(range(start, row + 1))
            start, total = row + 1, 0
    return chunks


def sample_count(item: Forecast) -> int:
    """Number of samples of one agent."""
    if isinstance(item, AgentMixture):
        raise AssertionError("only called for samples")
    return len(item.values if isinstance(item, AgentSamples) else item)
