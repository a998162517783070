"""Agents summed as they come, so that memory does not grow with their number.

What every term and its linearised error need of an agent are a few numbers x: how many cells it has
and sums over them. One row of a state holds the sums of w x and the products of w x over all
agents; further rows hold the sums of each scene, track, start or cluster, where these were given.
"""

from typing import Any, cast

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.data.columns import Columns, dense_codes
from evalstats.data.intake import to_array
from evalstats.errors import InputError
from evalstats.inference.influence import covariance_of_sums
from evalstats.trajectory.diagnosis import Tally
from evalstats.trajectory.scored import Scored, Summed
from evalstats.trajectory.state import LABELS
from evalstats.trajectory.statistic import AmvLevel, Quantity, agent_sums

Array = NDArray[np.float64]


def summed_table(
    columns: Columns,
    quantities: list[Quantity],
    amv_level: AmvLevel,
    tallies: dict[str, Tally],
    cluster: object,
) -> pl.DataFrame:
    """State of some agents: one row of totals, and one for each combination of labels."""
    blocks = [
        agent_sums(cast("Scored", columns.models["samples"][model]), quantity, None, amv_level)
        for model in columns.model_names
        for quantity in quantities
    ]
    x = np.column_stack(blocks)
    present = np.ones(columns.n, dtype=bool)
    if columns.weight is not None:
        present = columns.weight > 0
        x = x * columns.weight[:, np.newaxis]
    labels = _labels(columns, amv_level, cluster)
    steps = columns.models["samples"][columns.model_names[0]].field("status").shape[1]  # type: ignore[attr-defined]
    products = x.T @ x
    total = pl.DataFrame(
        {
            "agents": [int(present.sum())],
            "sums": _lists(x.sum(axis=0)[np.newaxis]),
            "products": _lists(products.reshape(1, -1)),
            "tally": [[count for tally in tallies.values() for count in tally]],
            "models": [list(tallies)],
            "widths": [[block.shape[1] for block in blocks]],
            "steps": [steps],
            "weighted": [columns.weight is not None],
        }
    )
    agents = pl.Series("agents", present.astype(np.int64))
    keys = pl.DataFrame([*labels, agents, _lists(x)])
    return pl.concat([total, _added(keys, labels.columns)], how="diagonal_relaxed")


def merged_sums(tables: list[pl.DataFrame]) -> pl.DataFrame:
    """State of the agents of all parts."""
    totals = pl.concat([table.filter(_TOTAL) for table in tables], how="vertical_relaxed")
    for name in ("models", "widths"):
        if totals[name].n_unique() > 1:
            raise InputError("the states hold other models, scores or dimensions: merge alike")
    products = _matrix(totals["products"]).sum(axis=0)[np.newaxis]
    tallies = [_tallies(row) for row in totals.iter_rows(named=True)]
    merged = tallies[0]
    for other in tallies[1:]:
        merged = {name: tally.merged(other[name]) for name, tally in merged.items()}
    total = totals[:1].with_columns(
        pl.Series("agents", [int(totals["agents"].sum())]),
        _lists(_matrix(totals["sums"]).sum(axis=0)[np.newaxis]),
        _lists(products).rename("products"),
        pl.Series("tally", [[count for tally in merged.values() for count in tally]]),
        pl.Series("steps", [totals["steps"].max()]),
        pl.Series("weighted", [bool(totals["weighted"].any())]),
    )
    labels = [name for name in (*LABELS, "cluster") if name in totals.columns]
    keys = pl.concat([table.filter(~_TOTAL) for table in tables], how="vertical_relaxed")
    added = _added(keys.select(*labels, "agents", "sums"), labels)
    return pl.concat([total, added], how="diagonal_relaxed")


def columns_of_keys(table: pl.DataFrame, quantities: list[Quantity]) -> Columns:
    """Sums of each combination of labels, as if they were agents of weight 1."""
    total = table.row(0, named=True)
    keys = table.filter(~_TOTAL & (pl.col("agents") > 0))
    single = {name: keys[name].to_numpy() for name in LABELS if name in keys.columns}
    cluster = dense_codes(keys["cluster"].to_numpy())[0] if "cluster" in keys.columns else None
    models = _summed(_matrix(keys["sums"], sum(total["widths"])), total, quantities)
    return Columns(
        n=keys.height,
        single=single,
        models=cast("Any", {"samples": models}),
        cluster=cluster,
        extra={"tallies": _tallies(total), "steps": total["steps"]},
    )


def columns_of_units(table: pl.DataFrame, quantities: list[Quantity]) -> Columns:
    """The totals with weight 1, and unit vectors with weight 0.

    The derivatives of the values by the weights of the unit vectors are the coefficients of x in
    an agent's influence, which is linear in x.
    """
    total = table.row(0, named=True)
    sums = np.array(total["sums"])
    rows = np.vstack([sums, np.eye(len(sums))])
    weight = np.zeros(len(rows))
    weight[0] = 1.0
    single = {"scene": np.zeros(len(rows), np.int64)} if "scene" in table.columns else {}
    return Columns(
        n=len(rows),
        single=single,
        models=cast("Any", {"samples": _summed(rows, total, quantities)}),
        weight=weight,
        extra={"tallies": _tallies(total), "steps": total["steps"]},
    )


def covariance_of_products(table: pl.DataFrame, coefficients: Array) -> Array:
    """Covariance of the values over agents, from the products of their sums."""
    size = len(coefficients)
    products = np.array(table["products"][0]).reshape(size, size)
    sums = np.array(table["sums"][0])
    return covariance_of_sums(int(table["agents"][0]), sums, products, coefficients)


_TOTAL = pl.col("models").is_not_null()


def _labels(columns: Columns, amv_level: AmvLevel, cluster: object) -> pl.DataFrame:
    """What separates sums: scenes, and whatever the clusters come from."""
    if amv_level == "track" and "track" not in columns.single:
        raise InputError(
            "amv_level='track' without track= takes every agent as a track of its own, of which "
            "state='sums' keeps nothing: use state='agents' or another level"
        )
    names = [name for name in ("scene",) if name in columns.single]
    if cluster is None and "start" in columns.single:
        names.append("start")
    elif cluster is None and "track" in columns.single:
        names.append("track")
    if amv_level == "track" and "track" in columns.single and "track" not in names:
        names.append("track")
    labels = {name: np.asarray(columns.single[name]).tolist() for name in names}
    if cluster is not None:
        labels["cluster"] = [str(value) for value in to_array("cluster", cluster)[0].tolist()]
    return pl.DataFrame(labels)


def _added(keys: pl.DataFrame, labels: list[str]) -> pl.DataFrame:
    """Rows of equal labels added up; no rows where there are no labels."""
    if not labels:
        return keys[:0]
    numbered = keys.with_row_index("row").group_by(labels, maintain_order=True)
    firsts = numbered.agg(pl.col("row"), pl.col("agents").sum())
    code = np.empty(keys.height, dtype=np.int64)
    code[firsts["row"].explode().to_numpy()] = np.repeat(
        np.arange(firsts.height), firsts["row"].list.len().to_numpy()
    )
    values = _matrix(keys["sums"])
    sums = np.zeros((firsts.height, values.shape[1]))
    np.add.at(sums, code, values)
    return firsts.drop("row").with_columns(_lists(sums))


def _summed(sums: Array, total: dict[str, Any], quantities: list[Quantity]) -> dict[str, Summed]:
    blocks = iter(np.split(sums, np.cumsum(total["widths"])[:-1], axis=1))
    return {
        model: Summed({quantity.metric: next(blocks) for quantity in quantities})
        for model in total["models"]
    }


def _tallies(total: dict[str, Any]) -> dict[str, Tally]:
    size = len(Tally._fields)
    counts = total["tally"]
    return {
        model: Tally(*counts[size * position : size * (position + 1)])
        for position, model in enumerate(total["models"])
    }


def _lists(values: Array) -> pl.Series:
    width = values.shape[1]
    return pl.Series("sums", values, dtype=pl.Array(pl.Float64, width)).arr.to_list()


def _matrix(series: pl.Series, width: int = -1) -> Array:
    values = np.asarray(series.explode().to_numpy(), dtype=np.float64)
    return values.reshape(len(series), width)
