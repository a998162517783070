"""Sorting by leading bytes against NumPy's sort."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalstats.kernels import radix
from evalstats.kernels.ranking import rank_descending

SIZES = (1, radix.FEW - 1, radix.FEW, 20_000)
KINDS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "tied": lambda rng, n: rng.integers(-3, 4, n).astype(np.float64),
    "constant": lambda rng, n: np.full(n, -2.5),
    # The leading bytes of these are equal, so that insertion gives up.
    "narrow": lambda rng, n: 1.0 + 1e-12 * rng.random(n),
    "descending and narrow": lambda rng, n: 1.0 - 1e-12 * np.arange(n),
    "every size": lambda rng, n: np.ldexp(rng.normal(size=n), rng.integers(-1070, 1020, n)),
    "infinite": lambda rng, n: rng.choice([-np.inf, np.inf, 0.0, 5e-324, -5e-324], n),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", SIZES)
def test_orders_are_those_of_a_stable_sort(kind, n, rng):
    values = KINDS[kind](rng, n) + 0.0
    given_values = values.copy()
    np.testing.assert_array_equal(radix.ascending(values), np.sort(values))
    order = radix.stable_order(values)
    np.testing.assert_array_equal(order, np.argsort(values, kind="stable"))
    order = radix.stable_order(values, descending=True)
    np.testing.assert_array_equal(order, np.argsort(-values, kind="stable"))
    np.testing.assert_array_equal(values, given_values)


@pytest.mark.parametrize("n_bytes", [1, 3, 5, 8])
def test_any_number_of_leading_bytes_gives_the_order_or_gives_up(n_bytes, rng):
    for values in (rng.normal(size=3000), np.round(rng.normal(size=3000), 1) + 0.0):
        bits = values.view(np.uint64)
        keys, moved = radix.sorted_keys(bits, False, n_bytes)
        rows, moved_rows = radix.sorted_rows(bits, False, n_bytes)
        assert (moved < 0) == (moved_rows < 0) == (n_bytes == 1)
        if moved >= 0:
            np.testing.assert_array_equal(
                radix.numbers_of_keys(keys).view(np.float64), np.sort(values)
            )
            np.testing.assert_array_equal(rows, np.argsort(values, kind="stable"))


@given(st.lists(st.floats(allow_nan=False), max_size=30))
def test_keys_have_the_order_of_the_numbers(numbers):
    values = np.array(numbers, dtype=np.float64) + 0.0
    if len(values):
        rows, _ = radix.sorted_rows(values.view(np.uint64), False, 8)
        np.testing.assert_array_equal(rows, np.argsort(values, kind="stable"))


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "bool", "uint64", "longdouble"])
@pytest.mark.parametrize("n", [50, 5000])
def test_ranking_of_any_dtype(dtype, n, rng):
    scores = rng.integers(0, 2 if dtype == "bool" else 100, n).astype(dtype)
    if dtype == "uint64":
        scores += np.uint64(2**63)
    order, last_in_block = rank_descending(scores)
    ranked = scores[order]
    assert (ranked[:-1] >= ranked[1:]).all()
    assert sorted(order.tolist()) == list(range(n))
    np.testing.assert_array_equal(last_in_block[:-1], ranked[:-1] != ranked[1:])
