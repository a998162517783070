"""Tests, differences and contrasts of an estimate."""

import difflib
from collections.abc import Hashable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import TYPE_CHECKING, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.data.validation import LARGEST_NUMBER
from evalstats.errors import InputError, warn
from evalstats.inference.methods import BootstrapInterval
from evalstats.inference.multiplicity import adjusted_p_values
from evalstats.results.ranges import require_level

if TYPE_CHECKING:
    from evalstats.results.estimate import Estimate

Array = NDArray[np.float64]
ALTERNATIVES = ("two-sided", "greater", "less")

# A variance of a difference below this share of the variances themselves is round-off.
ZERO_VARIANCE_SHARE = 1e-14
ZERO_DIFFERENCE = 1e-13


def contrast(estimate: "Estimate", matrix: Array, labels: Sequence[str]) -> "Estimate":
    """Linear combinations of the terms as a new estimate on the identity scale."""
    matrix = np.atleast_2d(matrix)
    if matrix.ndim != 2 or not len(matrix) or not bool((np.abs(matrix) <= LARGEST_NUMBER).all()):
        raise InputError("matrix must be one finite row of coefficients per combination")
    if matrix.shape[1] != len(estimate):
        raise InputError(
            f"matrix has {matrix.shape[1]} columns but the estimate has {len(estimate)} terms"
        )
    given: object = labels
    listed = isinstance(given, Sequence | np.ndarray) and not isinstance(given, str)
    if not listed or not all(isinstance(label, str) for label in labels):
        raise InputError(f"labels={labels!r}: pass a list with the name of each combination")
    if len(labels) != len(matrix):
        raise InputError(f"labels has {len(labels)} names but matrix has {len(matrix)} rows")
    used = matrix != 0
    # A term that does not enter must not spread its NaN through 0 * NaN.
    value = np.where(used, matrix * estimate.value, 0.0).sum(axis=1)
    covariance = _contrast_covariance(estimate.covariance, matrix, used)
    variance = np.diag(covariance).copy()
    scale = (matrix**2 * np.where(used, np.diag(estimate.covariance), 0.0)).sum(axis=1)
    variance[variance <= ZERO_VARIANCE_SHARE * scale] = 0.0
    replicates = None if estimate.replicates is None else _combined(estimate.replicates, matrix)
    resampled = set(get_args(BootstrapInterval))
    kind = estimate.interval[0] if estimate.interval[0] in resampled else "wald"
    if estimate.interval[0] == "confidence_curve" and replicates is not None:
        kind = "basic"
    support, kind = _contrast_support(estimate, matrix, kind)
    return replace(
        estimate,
        terms=pl.DataFrame({"metric": [estimate.name] * len(labels), "contrast": list(labels)}),
        value=value,
        standard_error=np.sqrt(variance),
        covariance=covariance,
        replicates=replicates,
        scale="identity",
        interval=(kind,) * len(labels),
        df=np.array([_contrast_df(estimate, row) for row in matrix]),
        residual_df=np.array(
            [estimate.residual_df[row != 0].min(initial=np.inf) for row in matrix]
        ),
        sample=np.zeros(len(labels), dtype=np.int64),
        n=np.array([_contrast_n(estimate, row) for row in matrix], dtype=np.int64),
        support=support,
        higher_is_better=None,
    )


def _combined(values: Array, matrix: Array) -> Array:
    """Rows of `values` combined by `matrix`, undefined exactly where an undefined one enters."""
    defined = np.isfinite(values)
    if bool(defined.all()):
        return values @ matrix.T
    # A term that does not enter must not spread its NaN through 0 * NaN.
    combined = np.where(defined, values, 0.0) @ matrix.T
    enters = (matrix != 0).astype(np.float64)
    return np.where((~defined).astype(np.float64) @ enters.T > 0, np.nan, combined)


def _contrast_covariance(covariance: Array, matrix: Array, used: NDArray[np.bool_]) -> Array:
    """L C L', undefined exactly where an undefined covariance enters."""
    defined = np.isfinite(covariance)
    result = matrix @ np.where(defined, covariance, 0.0) @ matrix.T
    enters = used.astype(np.float64)
    undefined = enters @ (~defined).astype(np.float64) @ enters.T > 0
    return np.where(undefined, np.nan, result)


def _contrast_n(estimate: "Estimate", row: Array) -> int:
    used = row != 0
    samples = estimate.sample[used]
    sizes = estimate.n[used]
    return int(sum(sizes[samples == sample].max() for sample in np.unique(samples)))


def _contrast_df(estimate: "Estimate", row: Array) -> float:
    """Welch-Satterthwaite across independent samples, else the smallest df that enters."""
    used = row != 0
    samples = np.unique(estimate.sample[used])
    if len(samples) < 2:
        return float(estimate.df[used].min(initial=np.inf))
    numerator = denominator = 0.0
    for sample in samples:
        mask = used & (estimate.sample == sample)
        variance = float(row[mask] @ estimate.covariance[np.ix_(mask, mask)] @ row[mask])
        numerator += variance
        denominator += variance**2 / float(estimate.residual_df[mask].min())
    return numerator**2 / denominator if denominator > 0 else float("inf")


def _contrast_support(
    estimate: "Estimate", matrix: Array, kind: str
) -> tuple[dict[str, Array], str]:
    support: dict[str, Array] = {}
    for name in ("bias", "replicate_truth"):
        if name in estimate.support:
            support[name] = _combined(estimate.support[name][np.newaxis], matrix)[0]
    if kind == "expanded" and "n_positive" in estimate.support:
        units = np.where(matrix != 0, estimate.support["n_positive"], np.inf)
        support["n_positive"] = units.min(axis=1)
    if kind == "studentized":
        blocks = np.nan_to_num(estimate.support["replicate_covariance"])
        support["replicate_covariance"] = np.einsum("ia,bac,jc->bij", matrix, blocks, matrix)
    if kind == "bca":
        if "skewness" not in estimate.support:
            return support, "basic"
        # Of terms that do not enter; those that do make the replicates undefined as well.
        skewness = np.nan_to_num(estimate.support["skewness"])
        third = np.einsum("abc,ia,ib,ic->i", skewness, matrix, matrix, matrix, optimize=True)
        moments = np.nan_to_num(_second_moments(estimate))
        spread = np.einsum("ab,ia,ib->i", moments, matrix, matrix)
        with np.errstate(divide="ignore", invalid="ignore"):
            speed = third / (6.0 * spread**1.5)
        support["acceleration"] = np.where(spread > 0, speed, 0.0)
    return support, kind


def _second_moments(estimate: "Estimate") -> Array:
    return estimate.support.get("influence_covariance", estimate.covariance)


def compare(
    estimate: "Estimate",
    reference: object,
    *,
    over: str | None,
    alternative: str,
    adjust: str | None,
    level: float,
    margin: float | None,
) -> pl.DataFrame:
    """Table of differences; see :meth:`evalstats.Estimate.compare`."""
    require_level(level)
    _require_alternative(alternative)
    if margin is not None and not (np.isfinite(margin) and margin >= 0):
        raise InputError(f"margin={margin!r}: a margin is a finite number >= 0")
    column = _comparison_column(estimate, over)
    pairs = _pairs(estimate, column, reference)
    matrix = np.zeros((len(pairs), len(estimate)))
    for row, (first, second) in enumerate(pairs):
        matrix[row, first] = 1.0
        matrix[row, second] = -1.0
    differences = contrast(estimate, matrix, [str(row) for row in range(len(pairs))])
    statistic, p_value = _difference_tests(differences, alternative, margin)
    low, high = differences.confidence_interval(level)
    exact_tie = (differences.standard_error == 0) & (np.abs(differences.value) <= ZERO_DIFFERENCE)
    low, high = np.where(exact_tie, 0.0, low), np.where(exact_tie, 0.0, high)
    p_adjusted = adjusted_p_values(
        p_value,
        adjust,
        statistic=statistic,
        covariance=differences.covariance,
        df=float(np.min(differences.df)),
        two_sided=alternative == "two-sided" and margin is None,
    )
    labels = estimate.terms[[first for first, _ in pairs]]
    others = estimate.terms[column].gather([second for _, second in pairs])
    position = labels.columns.index(column) + 1
    return labels.insert_column(position, others.alias("reference")).with_columns(
        pl.Series("estimate", differences.value),
        pl.Series("standard_error", differences.standard_error),
        pl.Series("ci_low", low),
        pl.Series("ci_high", high),
        pl.Series("statistic", statistic),
        pl.Series("p_value", p_value),
        pl.Series("p_adjusted", p_adjusted),
        pl.lit(adjust, dtype=pl.String).alias("adjust"),
        pl.Series("n", differences.n),
    )


def _comparison_column(estimate: "Estimate", over: str | None) -> str:
    terms = estimate.terms
    if over is not None:
        if over not in terms.columns:
            raise InputError(f"terms={over!r} is no column of the terms: {terms.columns}")
        candidates = [over]
    else:
        names = ["model", *(name for name in terms.columns if name not in ("model", "metric"))]
        candidates = [name for name in names if name in terms.columns]
    for name in candidates:
        if terms[name].n_unique() > 1:
            return name
    raise InputError("there is only one term per metric: nothing to compare")


def _pairs(estimate: "Estimate", column: str, reference: object) -> list[tuple[int, int]]:
    labels = estimate.terms[column].to_list()
    if reference is not None and reference not in labels:
        near = difflib.get_close_matches(str(reference), [str(label) for label in labels], n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        known = ", ".join(repr(label) for label in dict.fromkeys(labels))
        raise InputError(f"reference={reference!r} is no {column}: {hint}choose one of {known}")
    blocks: dict[tuple[Hashable, ...], list[int]] = {}
    for row, key in enumerate(estimate.terms.drop(column).rows()):
        blocks.setdefault(key, []).append(row)
    pairs: list[tuple[int, int]] = []
    for rows in blocks.values():
        if reference is None:
            pairs.extend(combinations(rows, 2))
        else:
            base = [row for row in rows if labels[row] == reference]
            pairs.extend((row, base[0]) for row in rows if base and row != base[0])
    if not pairs:
        raise InputError(f"no two terms differ in {column!r} alone: nothing to compare")
    return pairs


def _require_alternative(alternative: str) -> None:
    if alternative not in ALTERNATIVES:
        raise InputError(f"alternative={alternative!r}: choose one of {', '.join(ALTERNATIVES)}")


def _difference_tests(
    differences: "Estimate", alternative: str, margin: float | None
) -> tuple[Array, Array]:
    value, error = differences.value, differences.standard_error
    if margin is not None:
        return _margin_tests(differences, alternative, margin)
    statistic = _ratio(value, error)
    undefined = np.isnan(statistic) & np.isfinite(error) & (error == 0)
    if bool(undefined.any()):
        warn(
            "degenerate-variance",
            "a difference has zero estimated variance but is not zero: its p-value is undefined; "
            "use a permutation test",
        )
    if differences.replicates is not None:
        return statistic, _replicate_p_values(differences, alternative)
    return statistic, tail_probability(statistic, differences.df, alternative)


def _margin_tests(differences: "Estimate", alternative: str, margin: float) -> tuple[Array, Array]:
    value, error, df = differences.value, differences.standard_error, differences.df
    above = _ratio(value + margin, error)
    below = _ratio(value - margin, error)
    p_above = tail_probability(above, df, "greater")
    p_below = tail_probability(below, df, "less")
    if alternative == "greater":
        return above, p_above
    if alternative == "less":
        return below, p_below
    weaker = p_above >= p_below
    return np.where(weaker, above, below), np.where(weaker, p_above, p_below)


def _ratio(value: Array, error: Array) -> Array:
    """Value / error; 0 where both are exactly zero, NaN where only the error is."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = np.where(error > 0, value / error, np.nan)
    tie = (error == 0) & (np.abs(value) <= ZERO_DIFFERENCE)
    return np.where(tie, 0.0, ratio)


def tail_probability(statistic: Array, df: Array, alternative: str) -> Array:
    """P-value of t (or normal) statistics."""
    from scipy import stats

    finite = np.isfinite(df)
    t_df = np.where(finite, df, 1.0)
    if alternative == "two-sided":
        size = np.abs(statistic)
        return np.asarray(np.where(finite, 2 * stats.t.sf(size, t_df), 2 * stats.norm.sf(size)))
    signed = statistic if alternative == "greater" else -statistic
    return np.asarray(np.where(finite, stats.t.sf(signed, t_df), stats.norm.sf(signed)))


def _replicate_p_values(differences: "Estimate", alternative: str) -> Array:
    """Centred bootstrap test: how often the replicates stray as far as the estimate does."""
    if differences.replicates is None:
        raise AssertionError("only called with replicates")
    truth = differences.support.get("replicate_truth", differences.value)
    strays = differences.replicates - truth
    slack = ZERO_DIFFERENCE
    if alternative == "two-sided":
        exceed = np.abs(strays) >= np.abs(differences.value) - slack
    elif alternative == "greater":
        exceed = strays >= differences.value - slack
    else:
        exceed = strays <= differences.value + slack
    # Comparisons with NaN are false: an undefined replicate is no evidence of a difference.
    n_defined = np.isfinite(strays).sum(axis=0)
    p_value = (1.0 + exceed.sum(axis=0)) / (n_defined + 1.0)
    return np.where((n_defined > 0) & np.isfinite(differences.value), p_value, np.nan)


def test_against(
    estimate: "Estimate", null: float, alternative: str, adjust: str | None
) -> pl.DataFrame:
    """Wald tests of each term; see :meth:`evalstats.Estimate.test`."""
    _require_alternative(alternative)
    statistic = _ratio(estimate.value - null, estimate.standard_error)
    p_value = tail_probability(statistic, estimate.df, alternative)
    p_adjusted = adjusted_p_values(
        p_value,
        adjust,
        statistic=statistic,
        covariance=estimate.covariance,
        df=float(np.min(estimate.df)),
        two_sided=alternative == "two-sided",
    )
    return estimate.terms.with_columns(
        pl.Series("estimate", estimate.value),
        pl.Series("standard_error", estimate.standard_error),
        pl.lit(float(null)).alias("null"),
        pl.Series("statistic", statistic),
        pl.Series("p_value", p_value),
        pl.Series("p_adjusted", p_adjusted),
        pl.lit(adjust, dtype=pl.String).alias("adjust"),
        pl.Series("n", estimate.n),
    )


def joint_test(estimate: "Estimate", over: str | None) -> pl.DataFrame:
    """Wald chi-square tests of equality; see :meth:`evalstats.Estimate.joint_test`."""
    from scipy import stats

    column = _comparison_column(estimate, over)
    rows = []
    for key, frame in estimate.terms.with_row_index("__row").group_by(
        [name for name in estimate.terms.columns if name != column], maintain_order=True
    ):
        index = frame["__row"].to_numpy()
        if len(index) < 2:
            continue
        differences = np.eye(len(index))[1:] - np.eye(len(index))[0]
        d = differences @ estimate.value[index]
        v = differences @ estimate.covariance[np.ix_(index, index)] @ differences.T
        rank = int(np.linalg.matrix_rank(v, hermitian=True)) if np.isfinite(v).all() else 0
        statistic = float(d @ np.linalg.pinv(v, hermitian=True) @ d) if rank else np.nan
        others = dict(zip([n for n in estimate.terms.columns if n != column], key, strict=True))
        rows.append(
            {
                **others,
                "statistic": statistic,
                "df": rank,
                "p_value": float(stats.chi2.sf(statistic, rank)) if rank else np.nan,
            }
        )
    return pl.DataFrame(rows)
