"""Friedman's test over blocks, its post-hoc tests, and a bootstrap of blocks and units."""

from itertools import combinations
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.errors import InputError
from evalstats.inference.methods import RandomSource, random_key
from evalstats.inference.multiplicity import adjusted_p_values
from evalstats.inference.rank_tests import average_ranks
from evalstats.kernels.random import multinomial_counts
from evalstats.options import require_count

Array = NDArray[np.float64]


class Friedman(NamedTuple):
    """Friedman's chi-square, Iman and Davenport's F, and Nemenyi's critical difference."""

    n_blocks: int
    n_models: int
    statistic: float
    df: int
    p_value: float
    f_statistic: float
    f_df: tuple[int, int]
    f_p_value: float
    critical_difference: float
    level: float


def friedman_test(values: Array, *, level: float = 0.95) -> Friedman:
    """Test that no model is ranked better than another over blocks (Demsar 2006, section 3.2).

    Chi-square is corrected for ties. The critical difference is that of Nemenyi.

    Parameters
    ----------
    values : float64 array (b, m)
        One value per block and model; at least 2 blocks and 3 models.
    level : float, default 0.95
        Confidence level of the critical difference.

    Raises
    ------
    InputError
        If there are too few blocks or models, or all models tie in all blocks.
    """
    from scipy.stats import chi2, f, friedmanchisquare

    blocks, models = values.shape
    if blocks < 2 or models < 3:
        raise InputError(
            f"Friedman's test needs at least 2 blocks and 3 models, not {blocks} and {models}: "
            "for two models use pairwise()"
        )
    if not bool(np.ptp(values, axis=1).any()):
        raise InputError("all models tie in every block, so there are no ranks to test")
    statistic = float(friedmanchisquare(*values.T).statistic)
    rest = blocks * (models - 1) - statistic
    dfs = (models - 1, (models - 1) * (blocks - 1))
    ratio = (blocks - 1) * statistic / rest if rest > 1e-9 * statistic else np.inf
    return Friedman(
        blocks,
        models,
        statistic,
        models - 1,
        float(chi2.sf(statistic, models - 1)),
        float(ratio),
        dfs,
        float(f.sf(ratio, *dfs)),
        critical_difference(blocks, models, level=level),
        level,
    )


def critical_difference(n_blocks: int, n_models: int, *, level: float = 0.95) -> float:
    """Difference of average ranks that Nemenyi's test calls significant."""
    from scipy.stats import studentized_range

    if not 0 < level < 1:
        raise InputError(f"level={level!r}: must lie between 0 and 1")
    quantile = float(studentized_range.ppf(level, n_models, np.inf)) / np.sqrt(2)
    return float(quantile * np.sqrt(n_models * (n_models + 1) / (6 * n_blocks)))


def post_hoc_tests(
    values: Array,
    models: list[str],
    test: str = "nemenyi",
    *,
    adjust: str | None = "holm",
    higher_is_better: bool = True,
) -> pl.DataFrame:
    """Differences of average ranks of all pairs, by Nemenyi's or Conover's test.

    Nemenyi's p-values hold for all pairs together; Conover's are adjusted by `adjust`.

    Returns
    -------
    polars.DataFrame
        ``model``, ``reference``, ``n`` (blocks), ``estimate`` (difference of average ranks),
        ``test``, ``statistic``, ``p_value``, ``p_adjusted``, ``adjust``.
    """
    from scipy.stats import rankdata, studentized_range, t

    if test not in ("nemenyi", "conover"):
        raise InputError(f"test={test!r}: choose 'nemenyi' or 'conover'")
    chi_square = friedman_test(values).statistic
    blocks, m = values.shape
    ranks = average_ranks(values, higher_is_better=higher_is_better)
    pairs = list(combinations(range(m), 2))
    difference = np.array([ranks[i] - ranks[j] for i, j in pairs])
    if test == "nemenyi":
        statistic = difference / np.sqrt(m * (m + 1) / (6 * blocks))
        p_value = studentized_range.sf(np.abs(statistic) * np.sqrt(2), m, np.inf)
        adjusted, name = p_value, "nemenyi"
    else:
        squares = float((rankdata(values, axis=1) ** 2).sum())
        spread = squares - blocks * m * (m + 1) ** 2 / 4
        share = max(0.0, 1 - chi_square / (blocks * (m - 1)))
        df = (blocks - 1) * (m - 1)
        error = np.sqrt(2 * spread * share / (blocks * df))
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = np.where(difference == 0, 0.0, difference / error)
        p_value = 2 * t.sf(np.abs(statistic), df)
        adjusted = adjusted_p_values(
            p_value,
            adjust,
            statistic=statistic,
            covariance=np.empty((0, 0)),
            df=df,
            two_sided=True,
        )
        name = "none" if adjust is None else adjust
    return pl.DataFrame(
        {
            "model": [models[i] for i, _ in pairs],
            "reference": [models[j] for _, j in pairs],
            "n": [blocks] * len(pairs),
            "estimate": difference,
            "test": [test] * len(pairs),
            "statistic": statistic,
            "p_value": p_value,
            "p_adjusted": adjusted,
            "adjust": [name] * len(pairs),
        }
    )


def hierarchical_means(blocks: list[Array], n_resamples: int, rng: RandomSource) -> Array:
    """Replicates of the mean of block means: blocks are drawn, then units within each draw.

    Each draw of a block resamples its units anew from a counter-based stream of its own.
    Complexity O(n_resamples n m).

    Parameters
    ----------
    blocks : list of float64 array (n_b, m)
        Scores of each block.
    n_resamples : int
        Number of replicates.
    rng : int, SeedSequence, Generator or None
        Source of randomness.

    Returns
    -------
    float64 array (n_resamples, m)
        Replicates of the overall mean of each model.
    """
    require_count("n_resamples", n_resamples)
    key0, key1 = (np.uint64(word) for word in random_key(rng))
    k = len(blocks)
    everyone = [np.arange(len(block), dtype=np.int64) for block in blocks]
    edges = [np.array([0, len(block)], dtype=np.int64) for block in blocks]
    block_counts = np.empty(k)
    unit_counts = [np.empty(len(block)) for block in blocks]
    members, offsets = np.arange(k, dtype=np.int64), np.array([0, k], dtype=np.int64)
    means = np.zeros((int(n_resamples), blocks[0].shape[1]))
    for replicate in range(int(n_resamples)):
        stream = replicate * (k + 1)
        multinomial_counts(members, offsets, key0, key1, np.uint64(stream), block_counts)
        for chosen in np.repeat(members, block_counts.astype(np.int64)):
            stream += 1
            counts = unit_counts[chosen]
            multinomial_counts(
                everyone[chosen], edges[chosen], key0, key1, np.uint64(stream), counts
            )
            means[replicate] += counts @ blocks[chosen] / (len(counts) * k)
    return means
