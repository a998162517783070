"""What single categories and images do to the pooled average precision."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from evalstats.data.columns import Columns
from evalstats.detection.curves import CurveSet, curve_values
from evalstats.detection.records import Array, truth_of
from evalstats.inference.resampling import parallel_map


def category_influence(curves: Mapping[str, CurveSet], columns: Columns) -> pl.DataFrame:
    """Leave-one-category-out differences, by category weights of 0. O(categories x D)."""
    truth = truth_of(columns)
    weight = np.ones(columns.n) if columns.weight is None else columns.weight
    n_categories = len(truth.categories.ids)
    tables = []
    for name, item in curves.items():
        whole = float(curve_values(item, weight).ap.mean())
        objects = np.bincount(item.truth_category, weight[item.truth_image], n_categories)
        present = np.flatnonzero(
            (objects > 0) | (np.bincount(item.category, minlength=n_categories) > 0)
        )

        def without(category: int, item: CurveSet = item) -> float:
            kept = np.ones(n_categories)
            kept[category] = 0.0
            return float(curve_values(item, weight, kept).ap.mean())

        rest = parallel_map(without, present.tolist(), len(present) * len(item.image))
        tables.append(
            pl.DataFrame(
                {
                    "model": np.repeat(name, len(present)),
                    "category": [truth.categories.names[c] for c in present],
                    "n_objects": objects[present],
                    "influence": whole - np.array(rest),
                }
            ).sort(pl.col("influence").abs(), descending=True, nulls_last=True)
        )
    return pl.concat(tables)


def image_influence(curves: Mapping[str, CurveSet], columns: Columns) -> pl.DataFrame:
    """Leave-one-image-out differences, by image weights of 0. O(images x D)."""
    truth = truth_of(columns)
    weight = np.ones(columns.n) if columns.weight is None else columns.weight
    tables = []
    for name, item in curves.items():
        whole = float(curve_values(item, weight).ap.mean())

        def without(image: int, item: CurveSet = item) -> float:
            kept: Array = weight.copy()
            kept[image] = 0.0
            return float(curve_values(item, kept).ap.mean())

        rest = parallel_map(without, list(range(columns.n)), columns.n * len(item.image))
        tables.append(
            pl.DataFrame(
                {
                    "model": np.repeat(name, columns.n),
                    "image_id": truth.image_ids,
                    "influence": whole - np.array(rest),
                }
            ).sort(pl.col("influence").abs(), descending=True, nulls_last=True)
        )
    return pl.concat(tables)
