"""The bias of a double bootstrap, against its closed form."""

import numpy as np
import pytest

import evalstats as es
from evalstats.inference.engine import infer
from evalstats.inference.problem import Part, Problem
from evalstats.inference.units import Units


def variance_problem(x):
    """Variance with the divisor n: each level of resampling multiplies it by (n - 1) / n."""
    units = Units(len(x), len(x), None, None)

    def variance(weight):
        mean = weight @ x / weight.sum()
        return np.array([weight @ (x - mean) ** 2 / weight.sum()])

    part = Part(None, units, None, variance, None)
    return Problem(units, [part], variance(np.ones(len(x))), False)


def test_bias_of_a_variance():
    x = np.arange(8.0)
    problem = variance_problem(x)
    n, value = len(x), float(problem.value[0])
    single, double = (
        infer(problem, es.Bootstrap(40_000, interval="bias_corrected", double=d, rng=0))
        for d in (False, True)
    )
    assert single.support["bias"][0] == pytest.approx(-value / n, abs=0.03)
    assert double.support["bias"][0] == pytest.approx(-value / n * (1 + 1 / n), abs=0.05)
    np.testing.assert_array_equal(single.replicates, double.replicates)


@pytest.mark.parametrize("rng", [None, np.random.default_rng(3), np.random.SeedSequence(3)])
def test_both_levels_share_one_key(rng):
    """Resamples of other resamples would move as far as the estimate does: bias near 0."""
    problem = variance_problem(np.array([0.0] * 7 + [8.0]))
    method = es.Bootstrap(4000, interval="bias_corrected", double=True, rng=rng)
    first = infer(problem, method)
    assert first.support["bias"][0] == pytest.approx(-7 / 8 * 9 / 8, abs=0.25)


def test_other_weights_are_refused():
    with pytest.raises(es.InputError, match="kind='multinomial', not 'poisson'"):
        es.Bootstrap(kind="poisson", double=True)
