"""Tables of where the dependence sits: means by group, covariances by subset of attributes."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from evalstats.data.columns import Columns
from evalstats.data.intake import number_array
from evalstats.errors import InputError
from evalstats.estimator import Diagnosis
from evalstats.fairness.encoding import joint_codes
from evalstats.fairness.geometry import CellGeometry, Ranking, centring
from evalstats.fairness.kernels import pair_table

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
FOUR_FIFTHS = 0.8
SMALL_CELL = 10


def interaction_table(
    geometry: CellGeometry,
    rankings: Mapping[str, Ranking],
    names: Sequence[str],
    weights: Array,
    unbiased: bool,
) -> pl.DataFrame:
    """dCov2 of the prediction with each subset, all from one table of summed distances.

    One pass of O(nK) per model, then O(2^p K^2).
    """
    mass = geometry.mass(weights)
    total = float(weights.sum())
    factors = []
    for d in geometry.distances:
        sums = d @ mass
        centre, grand = centring(sums, float(mass @ sums), total, unbiased)
        factors.append(centre[:, np.newaxis] + centre - grand - d)
    rows: list[dict[str, Any]] = []
    for model, ranking in rankings.items():
        table = pair_table(
            ranking.y, ranking.sorted_cells(geometry.cell), ranking.order, weights, len(mass)
        )
        for order in range(1, len(names) + 1):
            for chosen in combinations(range(len(names)), order):
                product = np.prod([factors[block] for block in chosen], axis=0)
                parts = geometry.parts_of_table(
                    table, mass, total, product, ranking, weights, unbiased
                )
                rows.append(
                    {
                        "model": model,
                        "attributes": " & ".join(names[block] for block in chosen),
                        "order": order,
                        "estimate": float(parts.dependence),
                    }
                )
    return pl.DataFrame(rows)


def group_table(
    columns: Columns,
    outcome: ArrayLike | None,
    exposure: ArrayLike | None,
    *,
    min_n: int,
    level: float,
) -> pl.DataFrame:
    """Means of every group, of joint levels first; see ``DistanceCovariance.groups``."""
    observed = _column("outcome", outcome, columns.n)
    exposed = _column("exposure", exposure, columns.n)
    if exposed is not None and not bool((exposed > 0).all()):
        row = int(np.argmin(exposed > 0))
        raise InputError(f"exposure is {exposed[row]} in row {row}: it must be finite and > 0")
    weights = np.ones(columns.n) if columns.weight is None else columns.weight
    frames = []
    for model, column in columns.models["prediction"].items():
        values = np.asarray(column, dtype=np.float64)
        for attribute, labels, codes in _groupings(columns):
            frame = _means(values, weights, codes, labels, observed, exposed, min_n, level)
            frames.append(
                frame.select(
                    pl.lit(model).alias("model"), pl.lit(attribute).alias("attribute"), pl.all()
                )
            )
    return pl.concat(frames, how="vertical_relaxed")


def joint_groups(columns: Columns) -> tuple[list[str], Codes]:
    """Labels of the joint levels, and the joint level of each row."""
    attributes = [
        item for item in columns.extra["attributes"].values() if item.kind != "continuous"
    ]
    coded = [columns.models["protected"][item.name] for item in attributes]
    cells = joint_codes(coded, [len(item.levels) for item in attributes]) if coded else None
    if cells is None:
        raise InputError(
            "protected has no attribute with few levels: bin continuous attributes to see groups"
        )
    joint, first = cells
    labels = [
        " & ".join(
            str(item.levels[int(codes[row])]) for item, codes in zip(attributes, coded, strict=True)
        )
        for row in first
    ]
    return labels, joint


def _groupings(columns: Columns) -> list[tuple[str, list[str], Codes]]:
    named = [item for item in columns.extra["attributes"].values() if item.kind != "continuous"]
    labels, joint = joint_groups(columns)
    groupings = []
    if len(named) > 1:
        groupings.append((" & ".join(item.name for item in named), labels, joint))
    for item in named:
        codes = columns.models["protected"][item.name]
        groupings.append((item.name, [str(level) for level in item.levels], codes))
    return groupings


def _column(name: str, values: ArrayLike | None, n: int) -> Array | None:
    if values is None:
        return None
    column = number_array(name, values)
    if column.shape != (n,):
        raise InputError(f"{name} has shape {column.shape}, expected ({n},)")
    if not bool(np.isfinite(column).all()):
        raise InputError(f"{name} is not finite in row {int(np.argmin(np.isfinite(column)))}")
    return column


def _means(
    values: Array,
    weights: Array,
    codes: Codes,
    labels: list[str],
    observed: Array | None,
    exposed: Array | None,
    min_n: int,
    level: float,
) -> pl.DataFrame:
    from scipy.special import ndtri

    size = len(labels)
    rows = np.bincount(codes[weights > 0], minlength=size)
    mass = np.bincount(codes, weights, size)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(codes, weights * values, size) / mass
        squares = np.bincount(codes, weights**2 * (values - mean[codes]) ** 2, size)
        error = np.sqrt(squares * rows / (rows - 1.0)) / mass
    overall = float(weights @ values / weights.sum())
    shown = rows >= min_n
    mean, error = np.where(shown, mean, np.nan), np.where(shown, error, np.nan)
    known = mean[np.isfinite(mean)]
    measured = np.isfinite(error)
    # Empirical Bayes: between-group variance by the method of moments.
    between = (
        max(float(np.var(mean[measured]) - np.mean(error[measured] ** 2)), 0.0)
        if bool(measured.any())
        else 0.0
    )
    pull = between / (between + error**2) if between > 0 else np.zeros(size)
    reach = float(ndtri((1.0 + level) / 2.0)) * error
    frame = pl.DataFrame(
        {
            "level": labels,
            "n": rows.astype(np.int64),
            "estimate": mean,
            "standard_error": error,
            "ci_low": mean - reach,
            "ci_high": mean + reach,
            "ratio": mean / overall if overall != 0 else np.full(size, np.nan),
            "shrunken": overall + pull * (mean - overall),
            "four_fifths": [
                bool(value < FOUR_FIFTHS * known.max()) if np.isfinite(value) else None
                for value in mean
            ],
        }
    )
    extra: dict[str, Array] = {}
    if exposed is not None:
        extra["exposure"] = np.bincount(codes, weights * exposed, size).astype(np.float64)
    if observed is not None:
        with np.errstate(invalid="ignore", divide="ignore"):
            actual = np.bincount(codes, weights * observed, size) / mass
        extra["outcome"] = np.where(shown, actual, np.nan)
        extra["actual_over_expected"] = np.where(shown, actual, np.nan) / mean
    return frame.with_columns(
        **{name: pl.Series(name, item) for name, item in extra.items()}
    ).filter(pl.Series(rows > 0))


def diagnose_cells(columns: Columns) -> list[Diagnosis]:
    """Warnings about one group only, and about joint levels with few rows."""
    attributes = columns.extra["attributes"]
    coded = [
        columns.models["protected"][name]
        for name, item in attributes.items()
        if item.kind != "continuous"
    ]
    if not coded:
        return []
    named = [item for item in attributes.values() if item.kind != "continuous"]
    cells = joint_codes(coded, [len(item.levels) for item in named])
    if cells is None:
        return []
    counts = np.bincount(cells[0], columns.weight)
    if len(counts) == 1:
        return [("one-group", "all rows have the same protected attributes")]
    small = np.flatnonzero(counts < SMALL_CELL)
    if len(small) == 0:
        return []
    shown = [
        " & ".join(
            str(item.levels[int(codes[cells[1][cell]])])
            for item, codes in zip(named, coded, strict=True)
        )
        for cell in small[:5]
    ]
    more = ", ..." if len(small) > 5 else ""
    return [
        (
            "small-groups",
            f"{len(small)} joint levels have fewer than {SMALL_CELL} rows: {', '.join(shown)}"
            f"{more}",
        )
    ]
