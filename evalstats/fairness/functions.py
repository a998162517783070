"""Distance covariances of given numbers, as plain numbers: no encoding, no inference."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalstats.data.columns import dense_codes
from evalstats.data.intake import LARGEST_WEIGHT, SMALLEST_WEIGHT, number_array, to_array
from evalstats.data.validation import computable
from evalstats.errors import InputError
from evalstats.fairness.encoding import FEW_CELLS, MAX_PAIR_ROWS, PROBE, joint_codes
from evalstats.fairness.geometry import (
    CellGeometry,
    Geometry,
    LineGeometry,
    Ranking,
)
from evalstats.fairness.kernels import merged_halves
from evalstats.fairness.pair_geometry import JoinedPoints, all_pairs
from evalstats.options import require_declared_types, typed_options

Array = NDArray[np.float64]
Version = Literal["unbiased", "biased"]
# It is multiplied with itself once for each attribute.
LARGEST_CONSTANT = 1e20


@typed_options
def distance_covariance_squared(
    x: ArrayLike,
    y: ArrayLike,
    *,
    estimator: Version = "unbiased",
    sample_weight: ArrayLike | None = None,
) -> float:
    """Squared distance covariance of two variables of any dimension.

    Parameters
    ----------
    x, y : array-like (n,) or (n, d)
        Numbers, used as they are; distances are Euclidean.
    estimator : {"unbiased", "biased"}
        U-centred (may be negative, needs 4 rows) or the V-statistic (never negative).
    sample_weight : array-like (n,), optional
        Weight 2 is a row twice. The unbiased version takes whole numbers only.

    Returns
    -------
    float
        In units of x times units of y: it is linear in either.

    Raises
    ------
    InputError
        If the input cannot be used or rows are too few.

    Notes
    -----
    O(n log n + nK) when one variable has one column and the other K distinct rows; O(n log n) for
    two columns; else O(n^2) time and O(n) memory.

    References
    ----------
    Szekely, Rizzo and Bakirov (2007), Annals of Statistics 35; Szekely and Rizzo (2014).

    Examples
    --------
    >>> import evalstats as es
    >>> price = [1.0, 2.0, 1.5, 3.0, 2.5, 4.0]
    >>> round(es.distance_covariance_squared(price, [0, 0, 0, 1, 1, 1]), 4)
    0.3333
    """
    first, second = _blocks([x, y], ("x", "y"))
    weights = _weights(sample_weight, len(first), estimator)
    value, _ = _pair(first, second, weights, estimator)
    return value


@typed_options
def distance_correlation_squared(
    x: ArrayLike,
    y: ArrayLike,
    *,
    estimator: Version = "unbiased",
    sample_weight: ArrayLike | None = None,
) -> float:
    """Squared distance correlation of two variables; 0 where one of them is constant.

    Parameters
    ----------
    x, y : array-like (n,) or (n, d)
        Numbers, used as they are.
    estimator : {"unbiased", "biased"}
        The unbiased version is bias-corrected and lives on the squared scale: it may be negative,
        and its root must not be taken.
    sample_weight : array-like (n,), optional
        Weight 2 is a row twice.

    Returns
    -------
    float
        At most 1; free of the units of x and y.

    Examples
    --------
    >>> import evalstats as es
    >>> price = [1.0, 2.0, 1.5, 3.0, 2.5, 4.0]
    >>> round(es.distance_correlation_squared(price, price), 4)
    1.0
    """
    first, second = _blocks([x, y], ("x", "y"))
    weights = _weights(sample_weight, len(first), estimator)
    value, variances = _pair(first, second, weights, estimator)
    return correlation(value, *variances)


@typed_options
def concatenated_distance_covariance_squared(
    prediction: ArrayLike, *attributes: ArrayLike, estimator: Version = "unbiased"
) -> float:
    """Squared distance covariance of a prediction and the concatenated attributes (CCdCov).

    Parameters
    ----------
    prediction : array-like (n,)
        One number per row.
    *attributes : array-like (n,) or (n, d)
        Encoded attributes, used as they are. :class:`DistanceCovariance` encodes.
    estimator : {"unbiased", "biased"}
        See :func:`distance_covariance_squared`.

    Returns
    -------
    float
        0 in the population if and only if the prediction is independent of the attributes jointly.

    References
    ----------
    Lee, Antonio, Avanzi, Marchi and Zhou (2025), arXiv:2509.08163.

    Examples
    --------
    >>> import evalstats as es
    >>> sex, region = [0, 0, 1, 1], [0, 1, 0, 1]
    >>> xor = [0, 1, 1, 0]
    >>> value = es.concatenated_distance_covariance_squared(xor, sex, region, estimator="biased")
    >>> round(value, 4)
    0.0732
    """
    if not attributes:
        raise InputError("attributes: give at least one protected attribute")
    blocks = _blocks([prediction, *attributes], ("prediction", *_names(attributes)))
    weights = _weights(None, len(blocks[0]), estimator)
    return _pair(blocks[0], np.hstack(blocks[1:]), weights, estimator)[0]


@typed_options
def joint_distance_covariance_squared(
    *variables: ArrayLike,
    c: float = 1.0,
    estimator: Version = "unbiased",
    standardise: Literal["scale", "rank"] | None = None,
) -> float:
    """Joint squared distance covariance (JdCov): 0 if and only if all are mutually independent.

    Parameters
    ----------
    *variables : array-like (n,) or (n, d)
        At least two variables, used as they are.
    c : float, default 1.0
        Positive; large values stress pairs, small ones interactions of many variables.
    estimator : {"unbiased", "biased"}
        U-centred or V-statistic.
    standardise : {"scale", "rank"}, optional
        Divide each variable's centred distances by the root of its distance variance, or replace
        each column by its empirical distribution function.

    Returns
    -------
    float
        The statistic. Dependence among protected attributes counts too; the part that involves the
        prediction is what ``DistanceCovariance(kind="joint")`` reports first.

    Notes
    -----
    The constant is c^d n / (n - 3) for every c, so that the value is 0 on average under
    independence. O(nK) with one single-column variable and K distinct rows of the others, else
    O(n^2).

    References
    ----------
    Chakraborty and Zhang (2019), Journal of the American Statistical Association 114, eq. 7.

    Examples
    --------
    >>> import evalstats as es
    >>> sex, region = [0, 0, 1, 1], [0, 1, 0, 1]
    >>> xor = [0, 1, 1, 0]
    >>> es.joint_distance_covariance_squared(xor, sex, region, estimator="biased")
    0.125
    """
    require_constant(c)
    if standardise not in (None, "scale", "rank"):
        raise InputError(f"standardise={standardise!r}: choose 'scale', 'rank' or None")
    if len(variables) < 2:
        raise InputError(f"joint distance covariance needs two variables, not {len(variables)}")
    blocks = _blocks(list(variables), _names(variables))
    weights = _weights(None, len(blocks[0]), estimator)
    if standardise == "rank":
        blocks = [_distribution(block) for block in blocks]
    unbiased = estimator == "unbiased"
    scaled = standardise == "scale"
    line = next((i for i, block in enumerate(blocks) if block.shape[1] == 1), None)
    if line is None:
        joined = _joined(blocks, c, scaled)
        value, among, _ = joined.value(weights, unbiased)
        if not np.isfinite(value + among):
            raise InputError(
                "standardise='scale' divides by the spread of a variable that has none"
            )
        return value + among
    others = [block for i, block in enumerate(blocks) if i != line]
    ranking = Ranking.of(blocks[line][:, 0])
    parts = numeric_geometry(others, c, joint=True, scaled=scaled).parts(ranking, weights, unbiased)
    dependence = float(parts.dependence)
    if scaled and len(others) == 1:
        return correlation(
            dependence, float(parts.variance_prediction), float(parts.variance_attributes)
        )
    if scaled:
        spread = float(parts.variance_prediction)
        dependence = dependence / np.sqrt(spread) if spread > 0 else np.nan
    value = dependence + float(parts.among_attributes)
    if not np.isfinite(value):
        raise InputError("standardise='scale' divides by the spread of a variable that has none")
    return value


def correlation(value: float, first: float, second: float) -> float:
    """Covariance over the root of the product of the variances; 0 for a constant variable."""
    if not (first > 0 and second > 0):
        return 0.0 if np.isfinite(value) else float("nan")
    return float(value / (np.sqrt(first) * np.sqrt(second)))


def require_constant(c: float) -> None:
    """Refuse a constant that is not positive and finite."""
    require_declared_types(require_constant, {"c": c})
    if not 0 < c <= LARGEST_CONSTANT:
        raise InputError(
            f"c={c!r}: the constant of JdCov must be positive, and at most {LARGEST_CONSTANT:g}"
        )


def require_version(estimator: str) -> None:
    """Refuse an unknown version of the statistic."""
    if estimator not in ("unbiased", "biased"):
        raise InputError(f"estimator={estimator!r}: choose 'unbiased' or 'biased'")


def numeric_geometry(
    blocks: Sequence[Array], c: float, *, joint: bool, scaled: bool = False
) -> Geometry:
    """Geometry of blocks of numbers as they stand."""
    points = np.hstack(blocks)
    n = len(points)
    widths = [block.shape[1] for block in blocks] if joint else [points.shape[1]]
    offsets = np.concatenate([[0], np.cumsum(widths)]).astype(np.int64)
    constant = c if joint and len(blocks) > 1 else 0.0
    cells = _numeric_cells(points)
    if cells is not None and (len(cells[1]) <= FEW_CELLS or 4 * len(cells[1]) <= n):
        cell, first = cells
        distances = []
        for start, stop in pairwise(offsets.tolist()):
            square = np.zeros((len(first), len(first)))
            for column in range(start, stop):
                values = points[first, column]
                square += (values[:, np.newaxis] - values) ** 2
            distances.append(np.sqrt(square))
        return CellGeometry(cell, tuple(distances), constant, scaled and len(blocks) > 1)
    if points.shape[1] == 1:
        return LineGeometry(Ranking.of(points[:, 0]))
    if n > MAX_PAIR_ROWS:
        raise InputError(
            f"{n} rows of {points.shape[1]} columns take {n}^2 / 2 distances: round the columns, "
            "or use evalstats.fairness.approximation.block_distance_covariance"
        )
    return all_pairs(points, offsets, constant, scaled and len(blocks) > 1)


def _numeric_cells(points: Array) -> "tuple[NDArray[np.int64], NDArray[np.int64]] | None":
    if len(points) > PROBE and _numeric_cells(points[:PROBE]) is None:
        return None
    coded = [_column_codes(column) for column in points.T]
    return joint_codes([codes for codes, _ in coded], [size for _, size in coded])


def _column_codes(column: Array) -> "tuple[NDArray[np.int64], int]":
    low, high = column.min(), column.max()
    upper = column == high
    if bool((upper | (column == low)).all()):
        # Two values, such as indicators, need no sort.
        return upper.astype(np.int64), 1 if low == high else 2
    codes, levels = dense_codes(column)
    return codes, len(levels)


def _pair(
    first: Array, second: Array, weights: Array, estimator: Version
) -> tuple[float, tuple[float, float]]:
    unbiased = estimator == "unbiased"
    if first.shape[1] > 1 and second.shape[1] > 1:
        value, _, variances = _joined([first, second], 0.0, False).value(weights, unbiased)
        return value, (variances[0], variances[1])
    if first.shape[1] > 1 or (second.shape[1] == 1 and _few(first) and not _few(second)):
        first, second = second, first
    if second.shape[1] == 1 and _two_valued(second[:, 0]) and bool((weights == 1.0).all()):
        geometry, ranking = _halves(first[:, 0], second[:, 0])
    else:
        geometry, ranking = numeric_geometry([second], 0.0, joint=False), Ranking.of(first[:, 0])
    parts = geometry.parts(ranking, weights, unbiased)
    return float(parts.dependence), (
        float(parts.variance_prediction),
        float(parts.variance_attributes),
    )


def _two_valued(column: Array) -> bool:
    low, high = column.min(), column.max()
    return bool(low < high and ((column == high) | (column == low)).all())


def _halves(line: Array, column: Array) -> tuple[Geometry, Ranking]:
    """Rows reordered by value: sorting each half and merging costs less than ranking the rows."""
    upper = column == column.max()
    centred = line - line.mean()
    values, cell = merged_halves(np.sort(centred[~upper]), np.sort(centred[upper]))
    gap = float(column.max() - column.min())
    geometry = CellGeometry(cell, (gap * (1.0 - np.eye(2)),), 0.0)
    return geometry, Ranking(values, np.arange(len(values)))


def _few(block: Array) -> bool:
    return len(np.unique(block[:PROBE])) <= FEW_CELLS


def _joined(blocks: Sequence[Array], c: float, scaled: bool) -> JoinedPoints:
    offsets = np.cumsum([0, *(block.shape[1] for block in blocks)]).astype(np.int64)
    return JoinedPoints(np.ascontiguousarray(np.hstack(blocks)), offsets, c, scaled)


def _distribution(block: Array) -> Array:
    """Share of rows at or below each value, column by column."""
    n = len(block)
    columns = [np.searchsorted(np.sort(column), column, side="right") / n for column in block.T]
    return np.column_stack(columns)


def _names(variables: Sequence[object]) -> tuple[str, ...]:
    return tuple(f"variable {position}" for position in range(1, len(variables) + 1))


def _blocks(variables: Sequence[object], names: Sequence[str]) -> list[Array]:
    blocks: list[Array] = []
    for name, variable in zip(names, variables, strict=True):
        column, missing = to_array(name, variable)
        if missing is not None:
            raise InputError(f"{name} has missing values: remove these rows")
        if column.dtype.kind not in "biuf":
            raise InputError(f"{name} has dtype {column.dtype}: pass numbers")
        block = np.asarray(column, dtype=np.float64)
        block = block[:, np.newaxis] if block.ndim == 1 else block
        if block.ndim != 2 or block.shape[1] == 0:
            raise InputError(f"{name} has shape {column.shape}: pass (n,) or (n, d), d at least 1")
        finite = np.isfinite(block).all(axis=1)
        if not bool(finite.all()):
            raise InputError(f"{name} is not finite in row {int(np.argmin(finite))}")
        computable(name, block)
        if blocks and len(block) != len(blocks[0]):
            raise InputError(f"{name} has {len(block)} rows but {names[0]} has {len(blocks[0])}")
        blocks.append(block)
    if len(blocks[0]) == 0:
        raise InputError(f"{names[0]} is empty: at least one row is needed")
    return blocks


def _weights(sample_weight: object, n: int, estimator: str) -> Array:
    require_version(estimator)
    weights = np.ones(n)
    if sample_weight is not None:
        column, _ = to_array("sample_weight", sample_weight)
        weights = number_array("sample_weight", column)
        if weights.shape != (n,):
            raise InputError(f"sample_weight has shape {weights.shape}, expected ({n},)")
        bad = ~(np.isfinite(weights) & (weights >= 0))
        if bool(bad.any()) or not weights.any():
            raise InputError(
                f"sample_weight is {weights[int(np.argmax(bad))]} in row {int(np.argmax(bad))}: "
                "weights must be finite, at least 0, and not all 0"
            )
        present = weights[weights > 0]
        if present.min() < SMALLEST_WEIGHT or present.max() > LARGEST_WEIGHT:
            raise InputError("sample_weight has positive weights that are too small or too large")
    if estimator == "unbiased":
        require_counts(weights)
        require_rows(float(weights.sum()))
    return weights


def require_counts(weights: Array) -> None:
    """Refuse fractional weights, for which the unbiased version is not defined."""
    fractional = weights != np.round(weights)
    if bool(fractional.any()):
        row = int(np.argmax(fractional))
        raise InputError(
            f"sample_weight is {weights[row]} in row {row}: the unbiased version counts rows, so "
            "weights must be whole numbers; other weights: estimator='biased'"
        )


def require_rows(total: float) -> None:
    """Refuse fewer rows than the unbiased version needs."""
    if total < 4:
        raise InputError(
            f"{total:g} rows: the unbiased version needs at least 4; use estimator='biased'"
        )
