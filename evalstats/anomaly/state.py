"""Mergeable summaries of images: the highest normal pixels, and the mask pixels among them.

One row per image and model. All scores from a floor up are kept; below it they are only counted.
Merging keeps the higher floor, so the parts may come in any order.
"""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.anomaly.images import ImageStack
from evalstats.anomaly.pixels import Pixels, Tail
from evalstats.data.columns import Columns, Records
from evalstats.errors import InputError

Array = NDArray[np.float64]
CAPACITY = 1_000_000


def recorded_images(columns: Columns, sources: list[Pixels], capacity: int) -> pl.DataFrame:
    """Rows of validated images; the weights are kept, images without weight are not."""
    weight = np.ones(columns.n) if columns.weight is None else columns.weight
    masks = columns.single["masks"]
    anomalous = masks.anomalous if isinstance(masks, ImageStack) else None
    floats = pl.List(pl.Float64)
    tables = []
    for model, pixels in zip(columns.model_names, sources, strict=True):
        total = float(pixels.normal_size.sum())
        tail = pixels.tail(min(1.0, capacity / total) if total else 1.0)
        if tail is None:
            raise AssertionError("images at hand give a tail of any depth")
        normal: list[Array] = [np.zeros(0) for _ in range(columns.n)]
        normal_size = np.zeros(columns.n)
        normal_size[pixels.normal_unit] = pixels.normal_size
        order = np.argsort(tail.owner, kind="stable")
        stops = np.cumsum(np.bincount(tail.owner, minlength=len(pixels.normal_unit)))[:-1]
        for unit, own in zip(pixels.normal_unit, np.split(tail.scores[order], stops), strict=False):
            normal[unit] = own
        sets: list[list[list[float]]] = [[] for _ in range(columns.n)]
        sizes: list[list[float]] = [[] for _ in range(columns.n)]
        for unit, size, own in zip(pixels.set_unit, pixels.set_size, tail.sets, strict=True):
            sets[unit].append(np.sort(own)[::-1].tolist())
            sizes[unit].append(float(size))
        tables.append(
            pl.DataFrame(
                {
                    "model": [model] * columns.n,
                    "image": np.arange(columns.n),
                    "anomalous": anomalous,
                    "weight": weight,
                    "weighted": [columns.weight is not None] * columns.n,
                    "floor": [tail.floor] * columns.n,
                    "capacity": [capacity] * columns.n,
                    "normal_size": normal_size,
                    "normal": pl.Series([pl.Series(own) for own in normal], dtype=floats),
                    "set_sizes": pl.Series(sizes, dtype=floats),
                    "sets": pl.Series(sets, dtype=pl.List(floats)),
                },
                schema_overrides={"image": pl.Int64, "capacity": pl.Int64},
            ).filter(pl.col("weight") > 0)
        )
    return pl.concat(tables)


def merged_images(tables: list[pl.DataFrame]) -> pl.DataFrame:
    """Rows of all tables, cut at the highest floor and at the capacity."""
    models = [table["model"].unique(maintain_order=True).to_list() for table in tables]
    if any(names != models[0] for names in models):
        raise InputError(f"the states hold different models: {models}")
    shifted, offset = [], 0
    for table in tables:
        shifted.append(table.with_columns(pl.col("image") + offset))
        offset += int(table["image"].to_numpy().max(initial=-1)) + 1
    whole = pl.concat(shifted)
    return pl.concat([_cut(whole.filter(pl.col("model") == name)) for name in models[0]])


def _cut(table: pl.DataFrame) -> pl.DataFrame:
    """Drop what lies below the highest floor, or beyond the capacity."""
    floor = float(np.max(table["floor"].to_numpy()))
    capacity = int(table["capacity"][0])
    scores = table["normal"].explode().drop_nulls().to_numpy()
    scores = scores[scores >= floor]
    if len(scores) > capacity:
        floor = float(np.partition(scores, len(scores) - capacity)[len(scores) - capacity])
        if np.count_nonzero(scores >= floor) > 2 * capacity:
            floor = float(np.nextafter(floor, np.inf))
    if floor == -np.inf or bool((table["floor"] == floor).all()):
        return table.with_columns(pl.lit(floor).alias("floor"))
    kept = pl.element().filter(pl.element() >= floor)
    return table.with_columns(
        pl.lit(floor).alias("floor"),
        pl.col("normal").list.eval(kept),
        pl.col("sets").list.eval(pl.element().list.eval(kept)),
    )


@dataclass(frozen=True)
class RecordedPixels:
    """The tail that a state holds."""

    normal_unit: NDArray[np.int64]
    normal_size: Array
    set_unit: NDArray[np.int64]
    set_size: Array
    stored: Tail
    fixed: bool = True

    def tail(self, depth: float) -> Tail | None:  # noqa: ARG002
        """Everything there is; `depth` cannot change it."""
        return self.stored


@dataclass(frozen=True, eq=False)
class Recorded(Records):
    """Images of one model as a state keeps them."""

    table: pl.DataFrame
    floor: float

    @staticmethod
    def columns(table: pl.DataFrame) -> Columns:
        """Columns as from ``fit`` on the images themselves."""
        models = {
            str(name): Recorded(part, float(part["floor"][0]))
            for (name,), part in table.partition_by(
                "model", maintain_order=True, as_dict=True
            ).items()
        }
        first = next(iter(models.values())).table
        n = first.height
        areas = first["set_sizes"].list.sum().cast(pl.Int64).to_numpy()
        masks = ImageStack([], np.arange(n), areas=areas)
        weighted = bool(first["weighted"].any())
        return Columns(
            n=n,
            single={"masks": masks},  # type: ignore[dict-item]
            models={"anomaly_maps": models},  # type: ignore[dict-item]
            weight=first["weight"].to_numpy().copy() if weighted else None,
        )

    def __len__(self) -> int:
        return self.table.height

    def __getitem__(self, units: NDArray[np.int64]) -> "Recorded":
        return replace(self, table=self.table[units])

    def pixels(self) -> RecordedPixels:
        """Normal pixels and sets, in the order of the images."""
        size = self.table["normal_size"].to_numpy()
        normal_unit = np.flatnonzero(size > 0)
        normal = [self.table["normal"][int(unit)].to_numpy() for unit in normal_unit]
        owner = np.repeat(np.arange(len(normal), dtype=np.int32), [len(own) for own in normal])
        sizes = [found.to_numpy() for found in self.table["set_sizes"]]
        sets = [np.array(own) for image in self.table["sets"].to_list() for own in image]
        tail = Tail(
            np.concatenate([np.zeros(0), *normal]),
            owner,
            [own.astype(np.float64) for own in sets],
            self.floor,
            self.floor == -np.inf,
        )
        return RecordedPixels(
            normal_unit,
            size[normal_unit],
            np.repeat(np.arange(len(sizes)), [len(found) for found in sizes]),
            np.concatenate([np.zeros(0), *sizes]),
            tail,
        )
