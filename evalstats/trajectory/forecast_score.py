"""What AMD, AMV and TrajectoryScores share: intake of forecasts, clusters, states."""

from abc import abstractmethod
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self, cast

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from evalstats.data.columns import Columns, Role, dense_codes
from evalstats.data.frames import Frame
from evalstats.data.state import State
from evalstats.errors import InputError
from evalstats.estimator import Diagnosis
from evalstats.inference.methods import Analytic, Bootstrap, Jackknife
from evalstats.inference.scales import ScaleName
from evalstats.results.estimate import Estimate
from evalstats.trajectory.agents import Agents, collect_agents, drop_unusable, sample_label
from evalstats.trajectory.diagnosis import (
    Tally,
    block_length,
    cluster_remark,
    diagnose,
    overlap_message,
)
from evalstats.trajectory.forecast_views import ForecastViews
from evalstats.trajectory.forecasts import read_mask, read_models, read_trajectory, require_axes
from evalstats.trajectory.scored import Scored, joint_scores, score_model
from evalstats.trajectory.state import columns_from_table, table_from_columns
from evalstats.trajectory.statistic import Layout, Prepared, Quantity, prepared_from
from evalstats.trajectory.summed import (
    columns_of_keys,
    columns_of_units,
    covariance_of_products,
    merged_sums,
    summed_table,
)

Array = NDArray[np.float64]


class ForecastScore(ForecastViews):
    """Base of the trajectory estimators: units are agents with all their steps."""

    unit: ClassVar[str] = "agent"
    roles: ClassVar[tuple[Role, ...]] = (
        Role("trajectory", "records", help="column with the true positions (T, D) of each agent"),
        Role(
            "samples",
            "records",
            per_model=True,
            help="column with the sampled positions (K, T, D) of each agent",
        ),
        Role("scene", "code", required=False, help="column with the scene of each agent"),
        Role("track", "code", required=False, help="column with the identity of each agent"),
        Role("start", "score", required=False, help="column with the first frame of each agent"),
        Role("mask", "records", required=False, help="column with the steps (T) that count"),
    )
    scale: ClassVar[ScaleName] = "log"
    value_range: ClassVar[tuple[float, float]] = (0.0, np.inf)
    exceptions: ClassVar[Mapping[str, str]] = {
        "layouts_are_read_and_left_alone": "rows hold arrays, which cannot be mapped from a file "
        "as objects; layouts of the arrays themselves have own tests",
        "masked_rows_are_missing": "the check replaces rows by a masked array of objects, which "
        "holds no masked number; mask= has own tests",
    }

    axes: str
    window_length: int | None
    states: ClassVar[tuple[str, ...]] = ("agents", "sums")
    _keeps_clusters: ClassVar[bool] = True

    # What the three estimators define --------------------------------------------------------

    @abstractmethod
    def _layout(self, columns: Columns) -> Layout:
        """How agents are weighted and grouped."""

    @abstractmethod
    def _quantities(self, columns: Columns) -> list[Quantity]:
        """Scores of each model, in the order of the terms."""

    _mixtures_allowed: ClassVar[bool] = True
    _joint: ClassVar[bool] = False

    # Intake ---------------------------------------------------------------------------------

    def fit(
        self,
        trajectory: Any,
        samples: Any,
        scene: ArrayLike | str | None = None,
        track: ArrayLike | str | None = None,
        start: ArrayLike | str | None = None,
        mask: Any = None,
        *,
        data: Any = None,
        sample_weight: ArrayLike | str | None = None,
        cluster: ArrayLike | str | None = None,
        by: ArrayLike | str | list[str] | None = None,
    ) -> Self:
        """Estimate every score of every model on the same agents.

        Parameters
        ----------
        trajectory : array-like, sequence of arrays, or column name
            True positions: one array in the order of `axes` without K, or one (T, D) array per
            agent (T may differ).
        samples : array-like, sequence, WeightedSamples, GaussianMixtures, mapping, or names
            Forecasts of one model, or a mapping of model name to forecasts: one array in the
            order of `axes`, or one (K, T, D) array per agent (K may differ).
        scene : array-like (A,) or column name, optional
            Scene (window) of each agent: the batch of the published code.
        track : array-like (A,) or column name, optional
            Identity of each agent across windows.
        start : array-like (A,) or column name, optional
            First frame of the window of each agent, counted on across recordings.
        mask : array-like or column name, optional
            True for the cells that count: in the order of `axes` without K and D, or one (T,)
            array per agent.
        data : data frame, optional
            Frame with one row per agent and nested columns; role arguments are then names.
        sample_weight : array-like (A,) or column name, optional
            Non-negative weights of the agents.
        cluster : array-like (A,) or column name, optional
            What is sampled together, such as recordings. By default blocks of frames (see
            `window_length`) where `start` is given, else tracks, scenes or single agents.
        by : array-like (A,) or column names, optional
            Fit separately in each group of agents (static, slow, fast) and stack the terms; joint
            scores stay those of whole scenes.

        Returns
        -------
        Self
            The fitted estimator.

        Raises
        ------
        InputError
            If positions are not finite, shapes disagree, there are fewer than D + 2 samples, or
            keys and weights cannot be used.
        """
        return self._fit(
            {
                "trajectory": trajectory,
                "samples": samples,
                "scene": scene,
                "track": track,
                "start": start,
                "mask": mask,
            },
            data=data,
            sample_weight=sample_weight,
            cluster=cluster,
            by=by,
        )

    def _check_params(self) -> None:
        super()._check_params()
        require_axes(self.axes)
        length = self.window_length
        if length is not None and not (int(length) == length and length >= 1):
            raise InputError(f"window_length={length!r}: give the frames of a window, at least 1")

    def _read(self, arguments: Mapping[str, object]) -> Mapping[str, object]:
        read = dict(arguments)
        mask = read_mask(arguments.get("mask"), self.axes)
        read["mask"] = mask
        trajectory = read_trajectory(arguments.get("trajectory"), self.axes)
        models = read_models(arguments.get("samples"), self.axes)
        # Without omission, what is missing is found where the numbers are read anyway.
        if self.nan_policy == "omit":
            trajectory = drop_unusable(trajectory, mask)
            models = _mapped(models, lambda column: drop_unusable(column, mask))
        read["trajectory"] = trajectory
        read["samples"] = models
        return read

    def _validate(self, columns: Columns) -> Columns:
        agents = collect_agents(columns, mixtures_allowed=self._mixtures_allowed)
        single = dict(columns.single)
        if "start" in single:
            single["start"] = _whole_frames(single["start"])
        scored = self._score(agents, single, columns.weight)
        columns = columns.with_columns(
            single=single, models=cast("Any", {"samples": scored}), agents=agents
        )
        return self._with_default_cluster(columns)

    def _score(
        self, agents: Agents, single: Mapping[str, NDArray[Any]], weight: Array | None
    ) -> dict[str, Scored]:
        """Compute every quantity of every model, before any weights or groups."""
        plan = self._plan()
        scored = {
            name: score_model(sample_label(name, agents.forecasts), agents, forecasts, plan)
            for name, forecasts in agents.forecasts.items()
        }
        if self._joint and "scene" in single:
            self._add_joint_scores(agents, single, weight, scored)
        return scored

    def _add_joint_scores(
        self,
        agents: Agents,
        single: Mapping[str, NDArray[Any]],
        weight: Array | None,
        scored: dict[str, Scored],
    ) -> None:
        scene = dense_codes(single["scene"])[0]
        energy = self._plan().path_energy
        for name, forecasts in agents.forecasts.items():
            k = scored[name].field("n_samples")
            steps = np.array([len(used) for used in agents.steps])
            for label, sizes in (("samples", k), ("steps", steps)):
                first = sizes[np.unique(scene, return_index=True)[1]]
                uneven = np.flatnonzero(sizes != first[scene])
                if len(uneven) and label == "samples":
                    raise InputError(
                        f"samples[{name!r}] has {sizes[uneven[0]]} samples in row {uneven[0]}, "
                        f"others of its scene {first[scene[uneven[0]]]}: joint scores need the "
                        "same samples for all agents of a scene; leave scene= out or out of scores="
                    )
            scored[name].fields.update(joint_scores(agents, forecasts, scene, weight, energy))

    def _with_default_cluster(self, columns: Columns) -> Columns:
        """Clusters from blocks of frames, tracks or scenes where none were given."""
        if columns.cluster is not None:
            return columns.with_columns(cluster_of="cluster")
        for name in ("start", "track", "scene"):
            if name not in columns.single:
                continue
            column = columns.single[name]
            frames = 0
            if name == "start":
                frames = block_length(column, self._window(columns))
                column = (column - column.min()) // frames
            codes, labels = dense_codes(column)
            if len(labels) > 1:
                clustered = replace(columns, cluster=codes)
                return clustered.with_columns(cluster_of=name, block_frames=frames)
        return columns.with_columns(cluster_of=None)

    def _window(self, columns: Columns) -> int:
        if self.window_length is not None:
            return int(self.window_length)
        if "steps" in columns.extra:
            return int(columns.extra["steps"])
        return int(columns.models["samples"][columns.model_names[0]].field("status").shape[1])  # type: ignore[attr-defined]

    # Statistic ------------------------------------------------------------------------------

    def _prepare(self, columns: Columns) -> Prepared:
        layout = self._layout(columns)
        terms = [
            layout.term(_scored(columns, model), quantity, step)
            for model in columns.model_names
            for quantity in self._quantities(columns)
            for step in self._steps(columns)
        ]
        return prepared_from(terms)

    def _steps(self, columns: Columns) -> list[int | None]:
        if not columns.extra.get("by_step", False):
            return [None]
        return list(range(_scored(columns, columns.model_names[0]).field("status").shape[1]))

    def _terms(self, columns: Columns) -> list[dict[str, Hashable]]:
        rows: list[dict[str, Hashable]] = []
        for model in columns.model_names:
            for quantity in self._quantities(columns):
                for step in self._steps(columns):
                    row: dict[str, Hashable] = {"metric": quantity.metric, "model": model}
                    rows.append(row if step is None else {**row, "step": step + 1})
        return rows

    def _evaluate(self, prepared: Prepared, weights: Array) -> Array:
        return prepared.evaluate(weights)

    def _influence(self, prepared: Prepared, weights: Array) -> Array:
        return prepared.influence(weights)

    def _grouping(self, columns: Columns) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Codes of scenes (one without scene=) and of tracks (agents without track=)."""
        n = columns.n
        scene, track = np.zeros(n, dtype=np.int64), np.arange(n)
        if "scene" in columns.single:
            scene = dense_codes(columns.single["scene"])[0]
        if "track" in columns.single:
            track = dense_codes(columns.single["track"])[0]
        return scene, track

    def _diagnose(self, columns: Columns, prepared: Prepared) -> list[Diagnosis]:  # noqa: ARG002
        found = diagnose(self._tallies(columns), self._plan())
        found += overlap_message(columns, self._window(columns))
        return found

    def _tallies(self, columns: Columns) -> dict[str, Tally]:
        if "tallies" in columns.extra:
            return cast("dict[str, Tally]", columns.extra["tallies"])
        plan = self._plan()
        return {name: Tally.of(_scored(columns, name), plan) for name in columns.model_names}

    def _remarks(self, columns: Columns) -> list[str]:
        return cluster_remark(columns)

    def _analytic_name(self, columns: Columns) -> str:
        if columns.cluster is not None:
            return "linearisation with cluster-robust variance (t reference)"
        return "linearisation over agents"

    def _value_of(self, columns: Columns) -> Array:
        """Values of all terms without inference."""
        prepared = self._prepare(columns)
        return self._evaluate(prepared, self._weight(columns))

    # States ---------------------------------------------------------------------------------

    def partial(
        self,
        *roles: object,
        data: object = None,
        sample_weight: object = None,
        cluster: object = None,
        **options: Any,
    ) -> State:
        """Score some of the agents; samples are not kept.

        Parameters
        ----------
        *roles : array-like or str
            The role arguments of ``fit``, positional or by keyword. Scenes must be whole.
        data : data frame, optional
            Frame whose columns the roles name.
        sample_weight, cluster : array-like or str, optional
            Weights and clusters of these agents; clusters may span parts.
        **options
            Role arguments by keyword, and ``state="agents"`` (default: a few numbers for each step
            of each agent, from which every inference and view follows) or ``state="sums"``: sums
            and products over all agents, whose size does not depend on their number. With
            ``scene``, ``start``, ``track`` or `cluster` it holds one row of sums for each of them
            that occurs: what `cluster` says, else ``start``, else ``track``, in each scene.

        Returns
        -------
        State
            Mergeable, serialisable summary.
        """
        require_state(options.get("state", "agents"))
        names = [role.name for role in self.roles]
        arguments: dict[str, object] = dict(zip(names, roles, strict=False))
        arguments.update({name: options.pop(name) for name in names if name in options})
        if isinstance(cluster, str) and data is not None:
            cluster = Frame(data, [cluster]).column("cluster", cluster)[0]
        columns = self._columns(arguments, data=data, sample_weight=sample_weight, cluster=cluster)
        if cluster is not None and columns.n_dropped:
            raise InputError("cluster= in partial() needs complete rows: drop the others first")
        # Labels are kept, since codes of one part mean nothing in another.
        table = self._summarise(columns, {**options, "cluster": cluster})
        return State(self._definition({**options, "clustered": cluster is not None}), table)

    def _summarise(self, columns: Columns, options: dict[str, Any]) -> pl.DataFrame:
        if options.get("state", "agents") == "agents":
            return table_from_columns(columns, options.get("cluster"))
        level = self._layout(columns).amv_level
        tallies = self._tallies(columns)
        quantities = self._quantities(columns)
        return summed_table(columns, quantities, level, tallies, options.get("cluster"))

    def _fit_state(self) -> dict[str, Any] | None:
        whole_scenes = self._joint and self._plan().displacement
        return {"state": "sums"} if self._is_analytic and not whole_scenes else None

    def _require_summarised_inference(self) -> None:
        """Clusters can be resampled; single agents are refused when the state is known."""

    def _merge(self, tables: list[pl.DataFrame]) -> pl.DataFrame:
        if "sums" in tables[0].columns:
            return merged_sums(tables)
        return pl.concat(tables, how="vertical_relaxed")

    def _from_summary(self, table: pl.DataFrame, options: dict[str, Any]) -> Estimate:
        if options.get("state", "agents") == "agents":
            columns = columns_from_table(table)
            return self._estimate(self._with_default_cluster(columns))
        labelled = Columns(0, {name: np.empty(0) for name in table.columns}, {})
        quantities = self._quantities(labelled)
        columns = columns_of_keys(table, quantities)
        if columns.n > 0:
            columns = self._with_default_cluster(columns)
        if columns.cluster is None:
            return self._estimate_of_products(table, columns_of_units(table, quantities))
        agents = int(table["agents"][0])
        estimate = self._estimate(columns)
        return replace(estimate, n_units=agents, n=np.full(len(estimate.value), agents))

    def _estimate_of_products(self, table: pl.DataFrame, columns: Columns) -> Estimate:
        """Estimate whose units are agents, of which only sums and products were kept."""
        frequency = isinstance(self.inference, Analytic) and (
            self.inference.weight_kind == "frequency" and bool(table["weighted"][0])
        )
        if frequency or isinstance(self.inference, Bootstrap | Jackknife):
            raise InputError(
                f"{self.inference!r} needs the agents, of which state='sums' keeps sums only: use "
                "state='agents' or inference=Analytic()"
            )
        prepared = self._prepare(columns)
        weight = self._weight(columns)
        value = prepared.evaluate(weight)
        covariance = covariance_of_products(table, prepared.influence(weight)[1:])
        n = np.full(len(value), int(table["agents"][0]))
        terms = pl.DataFrame(self._terms(columns))
        diagnoses = self._diagnose(columns, prepared)
        return self._merged_estimate(columns, terms, value, covariance, n, diagnoses)

    @classmethod
    def _example_arguments(cls, rng: np.random.Generator, n: int) -> dict[str, Any]:
        steps, k, d = 2, 24, 2
        truth = rng.normal(size=(n, steps, d)).cumsum(axis=1)
        models = {}
        for name, spread in (("narrow", 0.6), ("wide", 1.2)):
            centre = truth + 0.7 * rng.normal(size=truth.shape)
            samples = centre[:, None] + spread * rng.normal(size=(n, k, steps, d))
            models[name] = _objects(samples)
        return {"trajectory": _objects(truth), "samples": models}


def _objects(array: Array) -> NDArray[Any]:
    column = np.empty(len(array), dtype=object)
    column[:] = list(array)
    return column


def require_state(state: object) -> None:
    """Refuse an unknown kind of state."""
    if state not in ("agents", "sums"):
        raise InputError(f"state={state!r}: choose 'agents' or 'sums'")


def _mapped(models: object, change: Callable[[object], object]) -> object:
    if isinstance(models, Mapping):
        return {name: change(column) for name, column in models.items()}
    return change(models)


def _scored(columns: Columns, model: str) -> Scored:
    return cast("Scored", columns.models["samples"][model])


def _whole_frames(column: NDArray[Any]) -> NDArray[np.int64]:
    try:
        numbers = np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"start has dtype {column.dtype}: pass the number of the first frame of each agent"
        ) from error
    if bool((numbers != np.round(numbers)).any()):
        row = int(np.argmax(numbers != np.round(numbers)))
        raise InputError(f"start is {numbers[row]} in row {row}: pass whole frame numbers")
    return numbers.astype(np.int64)
