"""Every quantity of every cell, computed once in chunks of agents; weights come later."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from evalstats.data.columns import Records
from evalstats.inference.methods import RandomSource, random_key
from evalstats.inference.resampling import parallel_map
from evalstats.trajectory.agents import Agents, Forecast
from evalstats.trajectory.cell_kernels import fit_cells, mixture_distances
from evalstats.trajectory.chunks import Chunk, chunked, forecast_size, gather, sample_count
from evalstats.trajectory.forecasts import AgentMixture, AgentSamples
from evalstats.trajectory.mixture_kernels import MASKED, OK
from evalstats.trajectory.moment_kernels import cell_moments
from evalstats.trajectory.moments import measure_moments, require_finite_samples
from evalstats.trajectory.score_kernels import (
    displacements,
    joint_energy,
    score_cells,
    variogram_score,
)

Array = NDArray[np.float64]

# Cost of an EM fit per sample, in row operations, so that small fits use threads too.
FIT_WORK = 200
REFERENCE_COMPONENTS = 4
ROBUST_COMPONENTS = 5
ROBUST_STARTS = 5


@dataclass(frozen=True)
class Plan:
    """What to compute of each cell and agent, and how mixtures are fitted."""

    distance: bool = False
    density: bool = False
    energy: bool = False
    crps: bool = False
    displacement: bool = False
    path_energy: bool = False
    variogram: bool = False
    robust: bool = False
    max_components: int | None = None
    reg_covar: float = 1e-6
    density_weights: bool = False
    naive: bool = False
    small_sample: bool = False
    miss_threshold: float = 2.0
    miss_rule: str = "final"
    rng: RandomSource = 0

    def beyond_moments(self) -> bool:
        """Whether anything but the covariances is wanted."""
        per_cell = self.distance or self.density or self.energy or self.crps
        return per_cell or self.displacement or self.path_energy or self.variogram

    def fit_options(self) -> tuple[Any, ...]:
        """Arguments of the fitting kernel, from the kind of fit to the random key."""
        limit = ROBUST_COMPONENTS if self.robust else REFERENCE_COMPONENTS
        key0, key1 = random_key(self.rng)
        return (
            self.robust,
            int(limit if self.max_components is None else self.max_components),
            ROBUST_STARTS if self.robust else 1,
            float(self.reg_covar),
            1e-6 if self.robust else 1e-3,
            1000 if self.robust else 100,
            np.uint64(key0),
            np.uint64(key1),
            self.density_weights,
            self.naive,
            self.small_sample,
        )


class Scored(Records):
    """Quantities of one model: arrays whose first axis is the agent.

    Parameters
    ----------
    fields : mapping of str to array
        ``distance``, ``moments``, ``status`` and so on, by agent and step; ``min_ade`` and so
        on, by agent.
    refused : int
        EM fits that were refused.
    """

    def __init__(self, fields: Mapping[str, NDArray[Any]], refused: int = 0) -> None:
        self.fields = dict(fields)
        self.refused = refused

    def __len__(self) -> int:
        return len(next(iter(self.fields.values())))

    def __getitem__(self, units: NDArray[np.int64]) -> Self:
        return type(self)({name: array[units] for name, array in self.fields.items()}, self.refused)

    def __contains__(self, name: object) -> bool:
        return name in self.fields

    def field(self, name: str) -> NDArray[Any]:
        """One quantity of all agents."""
        return self.fields[name]


def score_model(label: str, agents: Agents, forecasts: list[Forecast], plan: Plan) -> Scored:
    """Compute everything that `plan` names for one model, in parallel chunks of agents.

    Covariances come first: they tell where samples are not finite, at no cost of their own.
    """
    fields = _empty_fields(agents, plan)
    measure_moments(agents, forecasts, plan.reg_covar, fields["moments"])
    chunks = chunked(forecasts)
    mixed = False
    for rows in chunks:
        mixed = mixed or any(isinstance(forecasts[row], AgentMixture) for row in rows)
        if any(isinstance(forecasts[row], AgentSamples) for row in rows):
            _measure_weighted(agents, forecasts, plan, rows, fields)
    for row, item in enumerate(forecasts):
        if not isinstance(item, AgentMixture):
            fields["n_samples"][row] = sample_count(item)
            fields["status"][row, agents.steps[row]] = OK
    require_finite_samples(label, agents, forecasts, fields["moments"])
    if not (mixed or plan.beyond_moments()):
        return Scored(fields)
    work = sum(forecast_size(item) for item in forecasts) * (FIT_WORK if plan.distance else 4)
    if plan.energy or plan.path_energy:
        work *= 10

    def compute(rows: range) -> int:
        return _score_agents(agents, forecasts, plan, rows, fields)

    refused = parallel_map(compute, chunks, work)
    return Scored(fields, sum(refused))


def _measure_weighted(
    agents: Agents,
    forecasts: list[Forecast],
    plan: Plan,
    rows: range,
    fields: dict[str, NDArray[Any]],
) -> None:
    chunk = gather(agents, forecasts, rows)
    moments = np.empty((len(chunk.truth), fields["moments"].shape[2]))
    cell_moments(chunk.values, chunk.weights, chunk.offsets, float(plan.reg_covar), moments)
    owner = np.repeat(np.arange(rows.start, rows.stop), np.diff(chunk.agent_cells))
    step = np.concatenate([agents.steps[row] for row in rows])
    fields["moments"][owner, step] = moments


def _empty_fields(agents: Agents, plan: Plan) -> dict[str, NDArray[Any]]:
    n, t, d = len(agents.truths), agents.n_steps, agents.dimension
    fields: dict[str, NDArray[Any]] = {
        "moments": np.zeros((n, t, d * (d + 1) // 2)),
        "status": np.full((n, t), MASKED, dtype=np.int64),
        "n_samples": np.zeros(n, dtype=np.int64),
    }
    per_cell = {
        "distance": plan.distance,
        "bic": plan.distance,
        "kde_nll": plan.density,
        "energy_score": plan.energy,
        "energy_score_fair": plan.energy,
        "crps": plan.crps,
        "crps_fair": plan.crps,
    }
    fields.update({name: np.full((n, t), np.nan) for name, wanted in per_cell.items() if wanted})
    if plan.distance:
        fields["n_components"] = np.zeros((n, t), dtype=np.int64)
    per_agent = {
        "path_energy": plan.path_energy,
        "path_energy_fair": plan.path_energy,
        "variogram_score": plan.variogram,
        **dict.fromkeys(("min_ade", "min_fde", "ade", "fde", "miss"), plan.displacement),
    }
    fields.update({name: np.full(n, np.nan) for name, wanted in per_agent.items() if wanted})
    return fields


def _score_agents(
    agents: Agents,
    forecasts: list[Forecast],
    plan: Plan,
    rows: range,
    fields: dict[str, NDArray[Any]],
) -> int:
    given = [row for row in rows if isinstance(forecasts[row], AgentMixture)]
    for row in given:
        _score_mixture(agents, row, forecasts[row], plan, fields)
    if given:
        return 0
    chunk = gather(agents, forecasts, rows)
    owner = np.repeat(np.arange(rows.start, rows.stop), np.diff(chunk.agent_cells))
    step = np.concatenate([agents.steps[row] for row in rows])
    n_cells, d = chunk.truth.shape
    refused = 0
    if plan.distance:
        fitted, refused = fit_chunk(chunk, plan)
        for name in ("distance", "bic", "n_components", "status"):
            fields[name][owner, step] = fitted[name]
    if plan.density or plan.energy or plan.crps:
        density = np.full(n_cells, np.nan)
        energy, crps = np.full((n_cells, 2), np.nan), np.full((n_cells, d, 2), np.nan)
        score_cells(
            chunk.values,
            chunk.weights,
            chunk.offsets,
            chunk.truth,
            float(plan.reg_covar),
            plan.density,
            plan.energy,
            plan.crps,
            density,
            energy,
            crps,
        )
        mean_crps = crps.mean(axis=1)
        columns = {
            # A cell of one or two points has no density; it adds 0, as in the published code.
            "kde_nll": np.nan_to_num(density, nan=0.0),
            "energy_score": energy[:, 0],
            "energy_score_fair": energy[:, 1],
            "crps": mean_crps[:, 0],
            "crps_fair": mean_crps[:, 1],
        }
        for name, values in columns.items():
            if name in fields:
                fields[name][owner, step] = values
    _score_paths(chunk, plan, rows, fields)
    return refused


def fit_chunk(chunk: Chunk, plan: Plan) -> tuple[dict[str, NDArray[Any]], int]:
    """Fitted mixtures of a chunk, their distances and status, and the number of refused fits."""
    n, d = chunk.truth.shape
    options = plan.fit_options()
    m = options[1]
    result: dict[str, NDArray[Any]] = {
        "distance": np.empty(n),
        "bic": np.empty(n),
        "n_components": np.empty(n, dtype=np.int64),
        "status": np.empty(n, dtype=np.int64),
        "weights": np.zeros((n, m)),
        "means": np.zeros((n, m, d)),
        "covariances": np.zeros((n, m, d, d)),
    }
    refused = fit_cells(
        chunk.values, chunk.weights, chunk.offsets, chunk.truth, *options, *result.values()
    )
    return result, int(refused)


def _score_mixture(
    agents: Agents, row: int, item: Forecast, plan: Plan, fields: dict[str, NDArray[Any]]
) -> None:
    if not isinstance(item, AgentMixture):
        raise AssertionError("only called for mixtures")
    steps = agents.steps[row]
    n, d = len(steps), agents.dimension
    weights = np.ascontiguousarray(item.weights[steps])
    distance, status = np.empty(n), np.zeros(n, dtype=np.int64)
    moments = np.empty((n, d * (d + 1) // 2))
    # Components of weight 0 come last, where the kernel does not look at them.
    order = np.argsort(-weights, axis=1, kind="stable")
    components = (weights > 0).sum(axis=1).astype(np.int64)
    mixture_distances(
        np.take_along_axis(weights, order, axis=1),
        np.take_along_axis(np.ascontiguousarray(item.means[steps]), order[..., None], axis=1),
        np.take_along_axis(
            np.ascontiguousarray(item.covariances[steps]), order[..., None, None], axis=1
        ),
        components,
        np.ascontiguousarray(agents.truths[row][steps], dtype=np.float64),
        plan.density_weights,
        plan.naive,
        distance,
        moments,
        status,
    )
    fields["moments"][row, steps] = moments
    fields["status"][row, steps] = status
    if plan.distance:
        fields["distance"][row, steps] = distance
        fields["n_components"][row, steps] = components


def _score_paths(chunk: Chunk, plan: Plan, rows: range, fields: dict[str, NDArray[Any]]) -> None:
    data = (chunk.values, chunk.weights, chunk.offsets, chunk.truth)
    for position, row in enumerate(rows):
        first, last = chunk.agent_cells[position], chunk.agent_cells[position + 1]
        if plan.displacement:
            average, final, highest = displacement_table(chunk, position)
            weight = chunk.weights[chunk.offsets[first] : chunk.offsets[first + 1]]
            # A sample of probability 0 is no candidate for the best.
            possible = weight > 0
            fields["min_ade"][row] = average[possible].min()
            fields["min_fde"][row] = final[possible].min()
            fields["ade"][row] = weight @ average / weight.sum()
            fields["fde"][row] = weight @ final / weight.sum()
            nearest = (final if plan.miss_rule == "final" else highest)[possible].min()
            fields["miss"][row] = float(nearest > plan.miss_threshold)
        if plan.path_energy:
            pair = joint_energy(*data, np.arange(first, last))
            fields["path_energy"][row], fields["path_energy_fair"][row] = pair
        if plan.variogram:
            fields["variogram_score"][row] = variogram_score(*data, int(first), int(last))


def displacement_table(chunk: Chunk, position: int) -> tuple[Array, Array, Array]:
    """Mean, final and largest displacement of every sample of one agent of a chunk."""
    first, last = int(chunk.agent_cells[position]), int(chunk.agent_cells[position + 1])
    k = int(chunk.offsets[first + 1] - chunk.offsets[first])
    table = np.empty(k), np.empty(k), np.empty(k)
    displacements(chunk.values, chunk.offsets, chunk.truth, first, last, *table)
    return table


def joint_scores(
    agents: Agents,
    forecasts: list[Forecast],
    scene: NDArray[np.int64],
    weight: Array | None,
    energy: bool,
) -> dict[str, Array]:
    """Best of K over whole scenes, and the energy score of a scene as one vector, by agent.

    The mean over the agents of a scene is taken before the minimum over its samples; every agent
    of the scene carries the value of the scene.
    """
    names = ["joint_min_ade", "joint_min_fde"]
    names += ["scene_energy", "scene_energy_fair"] if energy else []
    fields = {name: np.full(len(scene), np.nan) for name in names}

    def compute(members: NDArray[np.int64]) -> int:
        active = members if weight is None else members[weight[members] > 0]
        if len(active) == 0:
            return 0
        shares = np.ones(len(active)) if weight is None else weight[active]
        items = [forecasts[row] for row in active]
        chunk = gather(
            Agents(
                [agents.truths[row] for row in active], [agents.steps[row] for row in active], {}
            ),
            items,
            range(len(active)),
        )
        tables = [displacement_table(chunk, position) for position in range(len(active))]
        average = shares @ np.stack([table[0] for table in tables]) / shares.sum()
        final = shares @ np.stack([table[1] for table in tables]) / shares.sum()
        fields["joint_min_ade"][members] = average.min()
        fields["joint_min_fde"][members] = final.min()
        if energy:
            cells = np.arange(len(chunk.truth))
            pair = joint_energy(chunk.values, chunk.weights, chunk.offsets, chunk.truth, cells)
            fields["scene_energy"][members], fields["scene_energy_fair"][members] = pair
        return 0

    order = np.argsort(scene, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(scene))[:-1])
    work = sum(forecast_size(item) for item in forecasts) * (10 if energy else 2)
    parallel_map(compute, groups, work)
    return fields
