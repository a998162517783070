"""From a long table of sampled positions to the arguments of ``fit``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.data.archives import read_arrays
from evalstats.errors import InputError
from evalstats.options import typed_options
from evalstats.trajectory.forecasts import require_axes


@typed_options
def forecasts_from_frame(
    frame: Any,
    truth: Any,
    *,
    position: Sequence[str] = ("x", "y"),
    agent: str = "agent",
    step: str = "step",
    sample: str = "sample",
    scene: str | None = None,
    model: str | None = None,
) -> dict[str, Any]:
    """Arguments of ``fit`` from long tables: one row per sample, and one per true position.

    Parameters
    ----------
    frame : data frame
        Sampled positions: `agent`, `step`, `sample`, the `position` columns and, where given,
        `scene` and `model`. Agents may differ in their steps and samples.
    truth : data frame
        True positions: `agent`, `step`, the `position` columns and, where given, `scene`.
    position : sequence of str, default ("x", "y")
        Columns of the coordinates.
    agent, step, sample : str
        Columns that name the agent (within its scene), the step and the sample.
    scene, model : str, optional
        Columns that name the scene and the model.

    Returns
    -------
    dict
        ``trajectory``, ``samples`` (a mapping of models) and, where given, ``scene``: pass it on
        by ``**``.

    Raises
    ------
    InputError
        If a column is missing, a position occurs twice, or a model lacks agents, steps or samples
        that the truth has.

    Examples
    --------
    >>> import polars as pl
    >>> import evalstats as es
    >>> truth = pl.DataFrame({"agent": [7, 7], "step": [1, 2], "x": [0.0, 1.0], "y": [0.0, 0.0]})
    >>> drawn = truth.join(pl.DataFrame({"sample": range(6)}), how="cross")
    >>> arguments = es.forecasts_from_frame(drawn, truth)
    >>> arguments["samples"]["samples"][0].shape
    (6, 2, 2)
    """
    keys = [agent] if scene is None else [scene, agent]
    coordinates = list(position)
    extra = [] if model is None else [model]
    drawn = _selected("frame", frame, [*extra, *keys, step, sample, *coordinates])
    true = _selected("truth", truth, [*keys, step, *coordinates])
    _require_unique("frame", drawn, [*extra, *keys, step, sample])
    _require_unique("truth", true, [*keys, step])
    true = true.sort([*keys, step])
    agents = true.select(keys).unique(maintain_order=True)
    trajectory = _column([part.select(coordinates).to_numpy() for part in _parts(true, keys)])
    steps = [part[step].to_list() for part in _parts(true, keys)]
    groups = {"samples": drawn}
    if model is not None:
        groups = {
            str(name[0]): part
            for name, part in drawn.partition_by(model, as_dict=True, maintain_order=True).items()
        }
    samples = {
        name: _column(_samples(name, part, agents, steps, keys, step, sample, coordinates))
        for name, part in groups.items()
    }
    arguments: dict[str, Any] = {"trajectory": trajectory, "samples": samples}
    if scene is not None:
        arguments["scene"] = agents[scene].to_numpy()
    return arguments


def _selected(argument: str, frame: Any, names: list[str]) -> pl.DataFrame:
    table = nw.from_native(frame, pass_through=True)
    if isinstance(table, nw.LazyFrame):
        table = table.collect()
    if not isinstance(table, nw.DataFrame):
        raise InputError(f"{argument} is a {type(frame).__name__}, which is no data frame")
    missing = [name for name in names if name not in table.columns]
    if missing:
        raise InputError(
            f"{argument} has no column {missing[0]!r}: it has {', '.join(table.columns)}"
        )
    return table.select(names).to_polars()


def _require_unique(argument: str, frame: pl.DataFrame, keys: list[str]) -> None:
    twice = frame.select(keys).is_duplicated()
    if bool(twice.any()):
        row = int(twice.arg_max() or 0)
        shown = ", ".join(f"{key}={frame[key][row]!r}" for key in keys)
        raise InputError(f"{argument} has several rows for {shown} (first in row {row})")


def _parts(frame: pl.DataFrame, keys: list[str]) -> list[pl.DataFrame]:
    return frame.partition_by(keys, maintain_order=True)


def _samples(
    model: str,
    drawn: pl.DataFrame,
    agents: pl.DataFrame,
    steps: list[list[Any]],
    keys: list[str],
    step: str,
    sample: str,
    coordinates: list[str],
) -> list[NDArray[Any]]:
    parts = drawn.sort([*keys, sample, step]).partition_by(keys, as_dict=True)
    wanted = agents.rows()
    unknown = [key for key in parts if key not in set(wanted)]
    if unknown:
        raise InputError(f"frame: {model!r} has samples of {unknown[0]!r}, which truth lacks")
    arrays = []
    for key, times in zip(wanted, steps, strict=True):
        if key not in parts:
            raise InputError(f"frame: {model!r} has no samples of {key!r}, which truth has")
        part = parts[key]
        k = part[sample].n_unique()
        complete = part.height == k * len(times) and part[step].to_list() == times * k
        if not complete:
            raise InputError(
                f"frame: the samples of {model!r} for {key!r} do not have the {len(times)} steps "
                "of truth each"
            )
        arrays.append(part.select(coordinates).to_numpy().reshape(k, len(times), -1))
    return arrays


def _column(items: list[NDArray[Any]]) -> NDArray[Any]:
    column = np.empty(len(items), dtype=object)
    for row, item in enumerate(items):
        column[row] = item
    return column


def frame_from_npz(path: Path) -> pl.DataFrame:
    """One row per agent from the arrays of an ``.npz`` file.

    Parameters
    ----------
    path : Path
        File with arrays of true positions (three axes), samples (four axes) and codes of the
        agents (one axis). The entry ``axes`` names their order; "KTAD" by default.

    Returns
    -------
    polars.DataFrame
        Nested columns under the names of the arrays.

    Raises
    ------
    InputError
        If the file cannot be read, or arrays disagree on the number of agents.
    """
    arrays = read_arrays(path)
    axes = str(arrays.pop("axes", "KTAD"))
    require_axes(axes)
    if not arrays:
        raise InputError(f"{path.name} holds no array")
    orders = {4: axes, 3: axes.replace("K", ""), 1: "A"}
    columns = {}
    for name, array in arrays.items():
        order = orders.get(array.ndim)
        if order is None:
            raise InputError(
                f"{path.name}: {name!r} has {array.ndim} axes: expected 4 (samples), 3 (truth) or "
                "1 (codes of agents)"
            )
        columns[name] = np.ascontiguousarray(
            array.transpose([order.index(axis) for axis in "AKTD" if axis in order])
        )
    sizes = {name: len(array) for name, array in columns.items()}
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{name!r} {size}" for name, size in sizes.items())
        raise InputError(
            f"{path.name}: arrays differ in their number of agents ({shown}): store their order "
            "as the entry 'axes'"
        )
    return pl.DataFrame(columns)
