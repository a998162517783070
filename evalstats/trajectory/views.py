"""Looking behind the averages: cells, fitted mixtures and the sources of error."""

from collections.abc import Hashable
from typing import Any, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.data.columns import Columns
from evalstats.errors import InputError
from evalstats.options import require_count
from evalstats.trajectory.agents import Agents, Forecast
from evalstats.trajectory.chunks import gather, sample_count
from evalstats.trajectory.forecasts import AgentMixture, AgentSamples
from evalstats.trajectory.mixture_kernels import MASKED
from evalstats.trajectory.scored import Plan, Scored, fit_chunk

Array = NDArray[np.float64]
PER_CELL = (
    "distance",
    "n_components",
    "bic",
    "kde_nll",
    "energy_score",
    "energy_score_fair",
    "crps",
    "crps_fair",
)


def cell_frame(columns: Columns) -> pl.DataFrame:
    """One row per model, agent and step that counts."""
    frames = []
    for model in columns.model_names:
        scored = cast("Scored", columns.models["samples"][model])
        status = scored.field("status")
        agent, step = np.nonzero(status != MASKED)
        content: dict[str, Any] = {
            "model": [model] * len(agent),
            "agent": agent,
            "step": step + 1,
            "status": status[agent, step],
        }
        if "scene" in columns.single:
            content["scene"] = np.asarray(columns.single["scene"])[agent].tolist()
        for name in PER_CELL:
            if name in scored:
                content[name] = scored.field(name)[agent, step]
        moments = scored.field("moments")[agent, step]
        d = round((np.sqrt(8 * moments.shape[1] + 1) - 1) / 2)
        for position, (row, column) in enumerate(zip(*np.triu_indices(d), strict=True)):
            content[f"covariance_{row}{column}"] = moments[:, position]
        frames.append(pl.DataFrame(content))
    return pl.concat(frames)


def fitted_mixture(
    columns: Columns, plan: Plan, model: str, agent: int, step: int
) -> dict[str, Any]:
    """Samples, truth and mixture of one cell, fitted again with the same bits."""
    agents = _agents(columns)
    if model not in agents.forecasts:
        raise InputError(f"model={model!r} is no model: choose one of {list(agents.forecasts)}")
    if not 0 <= agent < len(agents.truths):
        raise InputError(f"agent={agent!r}: choose a row from 0 to {len(agents.truths) - 1}")
    used = agents.steps[agent]
    if step - 1 not in used:
        raise InputError(f"step={step!r} of agent {agent} is no step that counts")
    position = int(np.flatnonzero(used == step - 1)[0])
    item = agents.forecasts[model][agent]
    truth = np.asarray(agents.truths[agent][step - 1], dtype=np.float64)
    if isinstance(item, AgentMixture):
        weights, means = item.weights[step - 1], item.means[step - 1]
        covariances = item.covariances[step - 1]
        samples = np.empty((0, len(truth)))
    else:
        chunk = gather(agents, agents.forecasts[model], range(agent, agent + 1))
        fitted, _ = fit_chunk(chunk, plan)
        m = int(fitted["n_components"][position])
        weights = fitted["weights"][position, :m]
        means = fitted["means"][position, :m]
        covariances = fitted["covariances"][position, :m]
        first, last = chunk.offsets[position], chunk.offsets[position + 1]
        samples = chunk.values[first:last]
    return {
        "weights": weights / weights.sum(),
        "means": means,
        "covariances": covariances,
        "samples": samples,
        "truth": truth,
    }


def error_sources(estimator: Any, n_groups: int, n_starts: int) -> pl.DataFrame:
    """Standard errors from finite data, finite K and EM starts, one row per term and source."""
    columns = estimator._fitted_columns()
    if columns.group is not None:
        raise InputError("error_sources describes all agents together: fit without by=")
    agents = _agents(columns)
    require_count("n_starts", n_starts, minimum=2)
    terms = estimator._terms(columns)
    rows = _source_rows(terms, "finite data", estimator.estimate_.standard_error)
    rows += _source_rows(terms, "finite K", _sample_jackknife(estimator, columns, agents, n_groups))
    if "rng" in estimator.get_params():
        values = []
        for start in range(n_starts):
            again = type(estimator)(**{**estimator.get_params(), "rng": start})
            values.append(_value_with(again, columns, agents))
        rows += _source_rows(terms, "EM starts", np.std(values, axis=0, ddof=1))
    return pl.DataFrame(rows)


def _source_rows(
    terms: list[dict[str, Hashable]], source: str, errors: Array
) -> list[dict[str, Any]]:
    return [
        {**term, "source": source, "standard_error": float(error)}
        for term, error in zip(terms, errors, strict=True)
    ]


def _sample_jackknife(estimator: Any, columns: Columns, agents: Agents, n_groups: int) -> Array:
    """Delete-group jackknife over whole sample indices, which cells may share as noise."""
    require_count("n_groups", n_groups, minimum=2)
    for name, items in agents.forecasts.items():
        if any(isinstance(item, AgentMixture) for item in items):
            raise InputError(f"samples[{name!r}] are mixtures, which have no error of finite K")
        smallest = min(sample_count(item) for item in items)
        if smallest - -(-smallest // n_groups) < agents.dimension + 2:
            raise InputError(
                f"samples[{name!r}] has {smallest} samples of an agent: too few to leave out one "
                f"of {n_groups} groups"
            )
    values = []
    for group in range(n_groups):
        forecasts = {
            name: [_without(item, group, n_groups) for item in items]
            for name, items in agents.forecasts.items()
        }
        part = Agents(agents.truths, agents.steps, forecasts)
        values.append(_value_with(estimator, columns, part))
    centred = np.array(values) - np.mean(values, axis=0)
    return np.asarray(np.sqrt((n_groups - 1) / n_groups * np.square(centred).sum(axis=0)))


def _without(item: Forecast, group: int, n_groups: int) -> Forecast:
    keep = np.arange(sample_count(item)) % n_groups != group
    if isinstance(item, AgentSamples):
        return AgentSamples(item.values[keep], item.probability[keep])
    if isinstance(item, AgentMixture):
        raise AssertionError("checked by the caller")
    rest: NDArray[Any] = item[keep]
    return rest


def _value_with(estimator: Any, columns: Columns, agents: Agents) -> Array:
    """Values of an estimator from other samples of the same agents."""
    scored = estimator._score(agents, columns.single, columns.weight)
    changed = columns.with_columns(models=cast("Any", {"samples": scored}))
    value: Array = estimator._value_of(changed)
    return value


def _agents(columns: Columns) -> Agents:
    if "agents" not in columns.extra:
        raise InputError("the samples are gone (the estimate came from a state): call fit")
    agents: Agents = columns.extra["agents"]
    return agents
