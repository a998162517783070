"""Win rates from sums over instructions: what a state of judgements in columns keeps.

Each instruction has two numbers per model: the weight of its judgement, and that times the
preference. Their sums give the rates, their products the joint covariance.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.errors import InputError
from evalstats.inference.influence import covariance_of_sums

Array = NDArray[np.float64]
ADDED = ("instructions", "weight", "judgements", "sum")


def summed_rates(
    models: list[str], masses: Array, values: Array, judgements: list[int], weight: Array
) -> pl.DataFrame:
    """One row per model and number.

    Parameters
    ----------
    masses, values : float64 array (n, k)
        Weight of the judgement of each instruction, 0 without one, and that times the preference.
    judgements : list of int
        Judgements of each model.
    weight : float64 array (n,)
        Weight of each instruction.
    """
    x = np.hstack([masses, values]) * weight[:, np.newaxis]
    size = 2 * len(models)
    return pl.DataFrame(
        {
            "model": models * 2,
            "instructions": [int((weight > 0).sum())] * size,
            "weight": [float(weight.sum())] * size,
            "judgements": judgements * 2,
            "sum": x.sum(axis=0),
            "products": pl.Series((x.T @ x).tolist(), dtype=pl.List(pl.Float64)),
        }
    )


def merged_rates(tables: list[pl.DataFrame]) -> pl.DataFrame:
    """Sums of all parts."""
    if any(not table["model"].equals(tables[0]["model"]) for table in tables):
        raise InputError("the states hold different models: merge states of the same columns")
    total = tables[0]
    for table in tables[1:]:
        products = _products(total) + _products(table)
        total = total.with_columns(
            *(pl.Series(name, total[name] + table[name]) for name in ADDED),
            pl.Series("products", products.tolist(), dtype=pl.List(pl.Float64)),
        )
    return total


def rates_of(table: pl.DataFrame) -> tuple[Array, Array]:
    """Rates and their joint covariance."""
    mass, value = table["sum"].to_numpy().reshape(2, -1)
    rate = value / mass
    slopes = np.vstack([np.diag(-rate / mass), np.diag(1.0 / mass)])
    n = int(table["instructions"][0])
    sums = np.concatenate([mass, value])
    return rate, covariance_of_sums(n, sums, _products(table), slopes)


def _products(table: pl.DataFrame) -> Array:
    return np.array(table["products"].to_list(), dtype=np.float64)
