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
        infer(problem, es.Bootstrap(20_000, interval="bias_corrected", double=d, rng=0))
        for d in (False, True)
    )
    assert single.support["bias"][0] == pytest.approx(-value / n, abs=0.05)
    assert double.support["bias"][0] == pytest.approx(-value / n * (1 + 1 / n), abs=0.12)
    np.testing.assert_array_equal(single.replicates, double.replicates)


def test_generators_are_consumed_once():
    problem = variance_problem(np.arange(8.0))
    first, second = (
        infer(problem, es.Bootstrap(50, double=True, rng=np.random.default_rng(3)))
        for _ in range(2)
    )
    assert first.support["bias"] == second.support["bias"]


def test_other_weights_are_refused():
    with pytest.raises(es.InputError, match="kind='multinomial', not 'poisson'"):
        es.Bootstrap(kind="poisson", double=True)
