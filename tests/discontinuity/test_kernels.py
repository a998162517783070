"""Kernels against plain Python."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalstats.discontinuity.functionals import gini_with_gradient, integration_weights
from evalstats.discontinuity.kernels import isotonic_rows, local_coefficients
from evalstats.discontinuity.localfit import LocalFit
from evalstats.discontinuity.outcomes import Draws, quantile_rows
from evalstats.discontinuity.sides import KERNEL_CODES, bias_constant, split_sides
from tests.oracles import discontinuity as oracle


@pytest.mark.parametrize("name", list(KERNEL_CODES))
@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_local_fits(name, order, rng):
    x, weight = rng.uniform(-1, 1, 80), rng.uniform(0.2, 3, 80)
    outcome = rng.normal(size=(80, 4))
    h = np.array([[0.5, 0.5, 0.7, 2.0], [0.6, 0.9, 0.9, 0.6]])
    fit = LocalFit.of(split_sides(x), outcome, h, name, order)
    limits = fit.limits(weight)
    for side, mask in enumerate((x < 0, x >= 0)):
        for q in range(4):
            args = (x[mask], outcome[mask, q], h[side, q], name, order, weight[mask])
            assert limits[side, q] == pytest.approx(oracle.limit(*args), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", list(KERNEL_CODES))
def test_influence_is_the_change_without_a_unit(name, rng):
    x = rng.uniform(-1, 1, 60)
    y = x + rng.normal(size=60)
    h = np.full((2, 1), 0.8)
    fit = LocalFit.of(split_sides(x), y[:, None], h, name, 2)
    influence = np.zeros(60)
    for sign, side, block in zip(
        (-1, 1), fit.sides, fit.influence(np.ones(60), copies=False), strict=True
    ):
        influence[side.rows] += sign * block[0]
    expected = oracle.leave_one_out_influence(x, y, 0.8, name, 2)
    np.testing.assert_allclose(influence, expected, rtol=1e-7, atol=1e-9)


def test_singular_windows_give_nan(rng):
    x = np.array([0.1, 0.1, 0.1])
    coefficients, conditions, _ = local_coefficients(
        x, np.ones(3), np.ones(2), rng.normal(size=(2, 3)), 0, 1
    )
    assert np.isnan(coefficients).all()
    assert not (conditions < 1e12).any()


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=12))
def test_isotonic(row):
    rows = np.array([row])
    isotonic_rows(rows)
    np.testing.assert_allclose(rows[0], oracle.isotonic(row), rtol=1e-9, atol=1e-9)


@given(
    st.lists(st.tuples(st.integers(-5, 5), st.integers(0, 4)), min_size=1, max_size=15).filter(
        lambda pairs: any(w for _, w in pairs)
    ),
    st.floats(0.001, 0.999),
)
def test_weighted_quantiles(pairs, q):
    y, w = (np.array(column, dtype=float) for column in zip(*pairs, strict=True))
    rows, sizes = quantile_rows("y", Draws.of_units("y", [y]), np.array([q]), w, drop_missing=False)
    assert sizes[0] == (w > 0).sum()
    assert rows[0, 0] == pytest.approx(oracle.weighted_quantile(y, w, q), rel=1e-9, abs=1e-9)


def test_equal_weights_are_type_7(rng):
    units = [rng.normal(size=m) for m in (1, 2, 3, 40, 41)]
    grid = np.array([0.013, 0.25, 0.5, 0.75, 0.99])
    draws = Draws.of_units("y", units)
    plain, _ = quantile_rows("y", draws, grid, None, drop_missing=False)
    weighted, _ = quantile_rows("y", draws, grid, np.full(87, 0.7), drop_missing=False)
    expected = [np.quantile(unit, grid) for unit in units]
    np.testing.assert_allclose(plain, expected, rtol=1e-13)
    np.testing.assert_allclose(weighted, expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "order", "constant"),
    [("triangular", 1, -0.1), ("epanechnikov", 1, -11 / 95), ("uniform", 1, -1 / 6)],
)
def test_bias_constants_of_boundary_fits(name, order, constant):
    assert bias_constant(name, order, 0) == pytest.approx(constant, rel=1e-12)


def test_gini_and_its_gradient():
    grid = np.array([0.05, 0.2, 0.5, 0.7, 0.95])
    curve = np.array([1.0, 1.5, 2.5, 4.0, 9.0])
    value, gradient = gini_with_gradient(grid, curve)
    assert value == pytest.approx(oracle.gini(grid, curve), abs=3e-2)
    for q in range(5):
        step = 1e-6 * (np.arange(5) == q)
        up, down = (
            gini_with_gradient(grid, curve + step)[0],
            gini_with_gradient(grid, curve - step)[0],
        )
        assert gradient[q] == pytest.approx((up - down) / 2e-6, abs=1e-8)
    assert integration_weights(grid).sum() == pytest.approx(1.0, rel=1e-14)
