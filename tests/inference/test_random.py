"""Random weights: published streams, exact uniformity, strata and clusters kept whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evalstats.inference.methods import Bootstrap, random_key
from evalstats.inference.resampling import draw_weights
from evalstats.inference.units import Units
from evalstats.kernels.random import LANES, philox, philox_blocks
from tests.oracles.inference import philox4x32

# Known answers of Random123 (kat_vectors, "philox4x32 10"): counter, key, output.
KNOWN_ANSWERS = [
    ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    (
        [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
        [0xA4093822, 0x299F31D0],
        [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
    ),
]


def compiled(counter, key):
    """The four words of `counter` from the block kernel; its lane is the place in the block."""
    block = counter[0] | counter[1] << 32
    replicate = counter[2] | counter[3] << 32
    scalar = philox(*(np.uint64(number) for number in (block, replicate, *key)))
    lane = min(block, LANES - 1)
    words = np.empty((4, LANES), dtype=np.uint64)
    philox_blocks(*(np.uint64(number) for number in (block - lane, replicate, *key)), words)
    assert words[:2, lane].tolist() == [int(word) for word in scalar]
    return words[:, lane].tolist()


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_gives_the_published_answers(counter, key, expected):
    assert philox4x32(counter, key) == expected
    assert compiled(counter, key) == expected


@given(st.lists(st.integers(0, 2**32 - 1), min_size=6, max_size=6))
def test_philox_equals_its_definition(numbers):
    assert compiled(numbers[:4], numbers[4:]) == philox4x32(numbers[:4], numbers[4:])


def draws(kind, units, n_replicates, seed=5):
    method, key = Bootstrap(kind=kind), random_key(seed)
    counts = np.empty((n_replicates, units.n_units))
    for replicate in range(n_replicates):
        draw_weights(units, method, key, replicate, counts[replicate])
    return counts


def rows(n, weight=None, stratum=None):
    return Units(n, n, None, weight, stratum)


def test_multinomial_counts_are_uniform():
    n, n_replicates = 37, 4000
    counts = draws("multinomial", rows(n), n_replicates)
    assert (counts.sum(axis=1) == n).all()
    totals = counts.sum(axis=0)
    assert stats.chisquare(totals).pvalue > 1e-3
    # Single counts are Binomial(n, 1/n), and two units are correlated by -1 / (n - 1).
    observed = np.bincount(counts.ravel().astype(int), minlength=5)
    expected = stats.binom.pmf(np.arange(5), n, 1 / n) * counts.size
    np.testing.assert_allclose(observed[:5], expected, rtol=0.05)
    correlation = np.corrcoef(counts.T)[np.triu_indices(n, 1)]
    assert correlation.mean() == pytest.approx(-1 / (n - 1), abs=2e-3)


def test_poisson_counts_follow_their_distribution():
    counts = draws("poisson", rows(50), 4000)
    observed = np.bincount(counts.ravel().astype(int), minlength=8)
    expected = stats.poisson.pmf(np.arange(7), 1) * counts.size
    statistic = ((observed[:7] - expected) ** 2 / expected).sum()
    assert stats.chi2.sf(statistic, 6) > 1e-3
    assert abs(np.corrcoef(counts.T)[np.triu_indices(50, 1)].mean()) < 2e-3


def test_bayesian_weights_are_scaled_exponentials():
    weights = draws("bayesian", rows(50), 2000)
    np.testing.assert_allclose(weights.sum(axis=1), 50, rtol=1e-12)
    assert (weights > 0).all()
    share = weights[:, 0] / 50
    assert stats.kstest(share, stats.beta(1, 49).cdf).pvalue > 1e-3


@pytest.mark.parametrize("kind", ["multinomial", "bayesian"])
def test_strata_keep_their_size(kind):
    stratum = np.array([0] * 7 + [1] * 20 + [2] * 3 + [0] * 5)
    counts = draws(kind, rows(35, stratum=stratum), 200)
    for code, size in ((0, 12), (1, 20), (2, 3)):
        np.testing.assert_allclose(counts[:, stratum == code].sum(axis=1), size, rtol=1e-12)
    assert len(np.unique(counts, axis=0)) > 150


@pytest.mark.parametrize("kind", ["multinomial", "poisson", "bayesian"])
def test_units_without_weight_are_never_drawn(kind):
    weight = np.array([1.0, 0.0, 2.0, 0.5, 0.0, 1.0])
    counts = draws(kind, rows(6, weight=weight), 100)
    assert (counts[:, weight == 0] == 0).all()
    if kind == "multinomial":
        assert (counts.sum(axis=1) == 4).all()


@pytest.mark.parametrize("kind", ["poisson", "bayesian"])
def test_weights_belong_to_the_unit_not_to_its_place(kind):
    """What lets parts of the data on several machines draw the same replicate."""
    few, many = draws(kind, rows(5), 20), draws(kind, rows(9), 20)
    if kind == "bayesian":
        few, many = few / few[:, :1], many / many[:, :1]
    np.testing.assert_allclose(few, many[:, :5], rtol=1e-12)


def test_key_of_a_seed():
    assert random_key(3) == random_key(3) == random_key(np.random.SeedSequence(3))
    assert random_key(3) != random_key(4)
    assert random_key(None) != random_key(None)
    generator = np.random.default_rng(3)
    assert random_key(generator) != random_key(generator)
    assert random_key(np.random.default_rng(3)) == random_key(np.random.default_rng(3))
