"""Scored agents as a table, from which parts are merged."""

from typing import Any, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.data.columns import Columns, dense_codes
from evalstats.data.intake import to_array
from evalstats.trajectory.mixture_kernels import MASKED
from evalstats.trajectory.scored import Scored

LABELS = ("scene", "track", "start")


def table_from_columns(columns: Columns, cluster: object) -> pl.DataFrame:
    """One row per model and agent: labels, weight and the scores as lists over steps."""
    labels: dict[str, Any] = {
        name: pl.Series(name, np.asarray(columns.single[name]).tolist())
        for name in LABELS
        if name in columns.single
    }
    labels["weight"] = np.ones(columns.n) if columns.weight is None else columns.weight
    if cluster is not None and columns.cluster is not None:
        given = to_array("cluster", cluster)[0]
        labels["cluster"] = pl.Series("cluster", [str(value) for value in given.tolist()])
    frames = []
    for model in columns.model_names:
        scored = cast("Scored", columns.models["samples"][model])
        fields = {
            f"field:{name}": pl.Series(array.reshape(len(array), -1)).arr.to_list()
            if array.ndim > 1
            else pl.Series(array)
            for name, array in scored.fields.items()
        }
        frames.append(
            pl.DataFrame({**labels, **fields}).select(
                pl.lit(model).alias("model"),
                pl.lit(columns.weight is not None).alias("weighted"),
                pl.all(),
            )
        )
    return pl.concat(frames)


def columns_from_table(table: pl.DataFrame) -> Columns:
    """Columns of all agents of a table, without their samples."""
    models = {}
    parts = table.partition_by("model", maintain_order=True)
    names = [name for name in table.columns if name.startswith("field:")]
    steps = max(int(table["field:status"].list.len().max() or 0), 1)  # type: ignore[arg-type]
    for part in parts:
        fields = {name.removeprefix("field:"): _padded(part[name], steps) for name in names}
        fields["moments"] = fields["moments"].reshape(part.height, steps, -1)
        models[str(part["model"][0])] = Scored(fields)
    first = parts[0]
    single = {name: first[name].to_numpy() for name in LABELS if name in first.columns}
    cluster = dense_codes(first["cluster"].to_numpy())[0] if "cluster" in first.columns else None
    weight = first["weight"].to_numpy().copy() if bool(first["weighted"].any()) else None
    return Columns(
        n=first.height,
        single=single,
        models=cast("Any", {"samples": models}),
        weight=weight,
        cluster=cluster,
    )


def _padded(column: pl.Series, steps: int) -> NDArray[Any]:
    """Array of a column whose lists may be shorter than others'."""
    if not isinstance(column.dtype, pl.List):
        return column.to_numpy()
    width = int(column.list.len().max() or 0)  # type: ignore[arg-type]
    per_step = max(width // steps, 1)
    integer = column.dtype == pl.List(pl.Int64)
    fill = MASKED if column.name == "field:status" else (0 if integer else np.nan)
    out = np.full((len(column), steps * per_step), fill, dtype=np.int64 if integer else np.float64)
    for row, values in enumerate(column):
        out[row, : len(values)] = values.to_numpy()
    return out
