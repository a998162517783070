"""Average ranks of models and paired tests on a matrix of per-unit scores."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.errors import InputError, warn
from evalstats.inference.methods import RandomSource
from evalstats.inference.multiplicity import adjusted_p_values
from evalstats.inference.permutation import paired_swap_test
from evalstats.inference.units import Units
from evalstats.kernels.pairs import pair_sums_within

Array = NDArray[np.float64]

TESTS = ("wilcoxon", "t", "sign-flip")
WILCOXON_METHODS = ("auto", "exact", "asymptotic")
PROTOCOLS = ("evalstats", "aupimo-paper")
PAPER_ZERO = 1e-3
# Beyond this many differences the exact null distribution gains nothing over the normal one.
LARGEST_EXACT = 50


@dataclass(frozen=True)
class PairedTest:
    """How each pair of models is tested.

    Parameters
    ----------
    test : {"wilcoxon", "t", "sign-flip"}
        Signed-rank test, paired t test, or permutation of the signs of the differences.
    method : {"auto", "exact", "asymptotic"}
        Null distribution of the signed-rank statistic; "auto" is exact for at most 50 differences
        of different sizes without zeros, and asymptotic otherwise.
    alternative : {"two-sided", "greater", "less"}
        Direction, for the difference first minus second.
    zero : float
        Differences of at most this size count as zero for the signed-rank test.
    n_resamples : int
        Sign flips of the permutation test.
    rng : int, SeedSequence, Generator or None
        Their source of randomness.
    """

    test: str = "wilcoxon"
    method: str = "auto"
    alternative: str = "two-sided"
    zero: float = 0.0
    n_resamples: int = 9999
    rng: RandomSource = 0

    def __post_init__(self) -> None:
        _choice("test", self.test, TESTS)
        _choice("method", self.method, WILCOXON_METHODS)
        _choice("alternative", self.alternative, ("two-sided", "greater", "less"))
        if not self.zero >= 0:
            raise InputError(f"zero={self.zero!r}: must be a number of at least 0")

    def __call__(self, difference: Array) -> tuple[float, float, str]:
        """Statistic, p-value and the null distribution that gave it."""
        if self.test == "wilcoxon":
            return self._signed_rank(difference)
        if not bool(difference.any()):
            return 0.0, 1.0, "all zero"
        if self.test == "t":
            return self._t(difference)
        statistic, p_value = paired_swap_test(
            lambda swap: float(np.where(swap, -difference, difference).mean()),
            Units(len(difference), len(difference), None, None),
            self.n_resamples,
            self.alternative,
            self.rng,
        )
        return statistic, p_value, "permutation"

    def _t(self, difference: Array) -> tuple[float, float, str]:
        from scipy.stats import ttest_1samp

        if np.ptp(difference) == 0:
            # The limit of a variance that goes to zero.
            warn(
                "degenerate-variance",
                "the difference of two models is the same in every unit: the t statistic is "
                "infinite; use test='wilcoxon' or test='sign-flip'",
            )
            sign = float(np.sign(difference[0]))
            wrong = {"two-sided": False, "greater": sign < 0, "less": sign > 0}[self.alternative]
            return sign * np.inf, float(wrong), "t"
        result = ttest_1samp(difference, 0.0, alternative=self.alternative)
        return float(result.statistic), float(result.pvalue), "t"

    def _signed_rank(self, difference: Array) -> tuple[float, float, str]:
        from scipy.stats import rankdata, wilcoxon

        kept = difference[np.abs(difference) > self.zero]
        if len(kept) == 0:
            return 0.0, 1.0, "all zero"
        method = self.method
        size = np.abs(kept)
        distinct = len(np.unique(size)) == len(size)
        if method == "exact" and not distinct:
            raise InputError(
                "method='exact' needs differences of different sizes, but some are tied: "
                "use method='asymptotic'"
            )
        if method == "auto":
            exact = len(difference) <= LARGEST_EXACT and distinct and len(kept) == len(difference)
            method = "exact" if exact else "asymptotic"
        result = wilcoxon(kept, alternative=self.alternative, method=method, correction=False)
        ranks = rankdata(size)
        return float(ranks[kept > 0].sum()), float(result.pvalue), method


def average_ranks(scores: Array, *, higher_is_better: bool = True) -> Array:
    """Mean over units of the rank of each model, 1 being the best; ties share their mean rank.

    Complexity O(n m log m).

    Parameters
    ----------
    scores : float64 array (n, m)
        One row per unit, one column per model, without NaN.
    higher_is_better : bool, default True
        Direction of the scores.

    Returns
    -------
    float64 array (m,)
        Average ranks, whose sum is m (m + 1) / 2.
    """
    from scipy.stats import rankdata

    ranks = rankdata(-scores if higher_is_better else scores, axis=1)
    return np.asarray(ranks.mean(axis=0), dtype=np.float64)


def complete_units(scores: Array) -> Array:
    """Rows with a score of every model; rows with none are left out.

    Raises
    ------
    InputError
        If a row has scores of some models only, an infinite score, or fewer than 2 rows remain.
    """
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise InputError("scores: need one column for each of at least 2 models")
    missing = np.isnan(scores)
    partly = missing.any(axis=1) & ~missing.all(axis=1)
    if bool(partly.any()):
        row = int(np.flatnonzero(partly)[0])
        raise InputError(
            f"scores: row {row} has NaN for {int(missing[row].sum())} of {scores.shape[1]} models: "
            "a unit needs a score of every model, or of none to be left out"
        )
    infinite = np.isinf(scores).any(axis=1)
    if bool(infinite.any()):
        raise InputError(f"scores: row {int(np.flatnonzero(infinite)[0])} has an infinite value")
    kept = scores[~missing.all(axis=1)]
    if len(kept) < 2:
        raise InputError(f"scores: {len(kept)} units have scores, but tests need at least 2")
    return np.ascontiguousarray(kept)


def pairwise_tests(
    scores: Array,
    models: list[str],
    test: PairedTest,
    *,
    adjust: str | None = "holm",
    higher_is_better: bool = True,
) -> pl.DataFrame:
    """Paired test of every pair of models, in the order of the columns.

    Differences are first minus second. Complexity O(m^2 n log n).

    Returns
    -------
    polars.DataFrame
        ``model``, ``reference``, ``n``, ``estimate`` (mean difference), ``rank_difference``
        (average rank of the model minus that of the reference), ``shift`` (Hodges-Lehmann),
        ``wins``, ``ties``, ``losses``, ``n_nonzero``, ``test``, ``method``, ``alternative``,
        ``statistic``, ``p_value``, ``p_adjusted`` and ``adjust``.
    """
    if adjust == "max-t":
        raise InputError("adjust='max-t' is not defined for these tests: choose 'holm'")
    ranks = average_ranks(scores, higher_is_better=higher_is_better)
    rows = []
    for first, second in combinations(range(len(models)), 2):
        difference = scores[:, first] - scores[:, second]
        statistic, p_value, method = test(difference)
        better = difference if higher_is_better else -difference
        rows.append(
            {
                "model": models[first],
                "reference": models[second],
                "n": len(difference),
                "estimate": float(difference.mean()),
                "rank_difference": float(ranks[first] - ranks[second]),
                "shift": hodges_lehmann(difference),
                "wins": int((better > 0).sum()),
                "ties": int((difference == 0).sum()),
                "losses": int((better < 0).sum()),
                "n_nonzero": int((np.abs(difference) > test.zero).sum()),
                "test": test.test,
                "method": method,
                "alternative": test.alternative,
                "statistic": statistic,
                "p_value": p_value,
            }
        )
    frame = pl.DataFrame(rows)
    adjusted = adjusted_p_values(
        frame["p_value"].to_numpy(),
        adjust,
        statistic=frame["statistic"].to_numpy(),
        covariance=np.empty((0, 0)),
        df=np.inf,
        two_sided=test.alternative == "two-sided",
    )
    return frame.with_columns(
        p_adjusted=pl.Series(adjusted, dtype=pl.Float64),
        adjust=pl.lit("none" if adjust is None else adjust),
    )


def paper_tests(
    scores: Array, models: list[str], test: str = "wilcoxon", *, higher_is_better: bool = True
) -> pl.DataFrame:
    """Tests of the AUPIMO paper: better model first, one-sided, without adjustment.

    The mean rank (for ``test="t"`` the mean score) orders the models, and differences of at most
    1e-3 count as zero in the signed-rank test. The direction comes from the tested data, so the
    error rate is about twice the nominal one; it is offered to reproduce published tables.

    Returns
    -------
    polars.DataFrame
        Columns of :func:`pairwise_tests` and ``confidence``, which is 1 - p.
    """
    if test == "t":
        mean = scores.mean(axis=0)
        key = -mean if higher_is_better else mean
    else:
        key = average_ranks(scores, higher_is_better=higher_is_better)
    order = np.argsort(key, kind="stable")
    paired = PairedTest(
        test=test,
        alternative="greater" if higher_is_better else "less",
        zero=PAPER_ZERO if test == "wilcoxon" else 0.0,
    )
    frame = pairwise_tests(
        np.ascontiguousarray(scores[:, order]),
        [models[position] for position in order],
        paired,
        adjust=None,
        higher_is_better=higher_is_better,
    )
    return frame.with_columns(confidence=1 - pl.col("p_value"))


def hodges_lehmann(difference: Array) -> float:
    """Median of the means of all pairs of differences, a unit with itself included.

    Exact without writing the pairs down: a search over the floating-point numbers by counts of
    pairs, O(n log n) time and O(n) memory.
    """
    values = np.sort(difference)
    pairs = len(values) * (len(values) + 1) // 2
    lower = _pair_sum(values, (pairs + 1) // 2)
    upper = lower
    if pairs % 2 == 0 and pair_sums_within(values, lower) == pairs // 2:
        upper = _pair_sum(values, pairs // 2 + 1)
    return float(lower / 2 + upper / 2) / 2


def _pair_sum(values: Array, rank: int) -> float:
    """The `rank`-th smallest sum of a pair of ascending values."""
    low, high = _number(float(2 * values[0])), _number(float(2 * values[-1]))
    while low < high:
        middle = (low + high) // 2
        if pair_sums_within(values, _float(middle)) >= rank:
            high = middle
        else:
            low = middle + 1
    return _float(low)


def _number(value: float) -> int:
    """Position of a float among all floats, zero being 0."""
    size = int(np.float64(abs(value)).view(np.int64))
    return size if value >= 0 else -size


def _float(number: int) -> float:
    size = float(np.int64(abs(number)).view(np.float64))
    return size if number >= 0 else -size


def _choice(argument: str, value: object, options: tuple[str, ...]) -> None:
    if value not in options:
        raise InputError(f"{argument}={value!r}: choose one of {', '.join(map(repr, options))}")
