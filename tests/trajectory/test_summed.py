"""States of sums: the estimate of all agents from memory that does not grow with their number."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evalstats as es
from evalstats.data.state import State

quiet = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
LABELS = {
    "nothing": (),
    "scene": ("scene",),
    "track": ("track",),
    "start": ("start",),
    "scene, track": ("scene", "track"),
    "scene, cluster": ("scene", "cluster"),
    "cluster": ("cluster",),
}
N, K, T = 60, 12, 3


@pytest.fixture(scope="module")
def agents():
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(T, N, 2)).cumsum(axis=0)
    samples = {
        name: truth + spread * rng.normal(size=(K, T, N, 2)) + 0.4 * rng.normal(size=(1, T, N, 2))
        for name, spread in (("a", 0.5), ("b", 0.8))
    }
    labels = {
        "scene": np.repeat([f"scene {code}" for code in range(12)], N // 12),
        "track": np.arange(N) % 25,
        "start": (np.arange(N) // 3) * 4,
        "cluster": np.repeat(np.arange(6), N // 6),
    }
    return truth, samples, labels, rng.integers(0, 4, N).astype(float)


def part_of(agents, rows, labels, weighted):
    truth, samples, columns, weight = agents
    found = {name: columns[name][rows] for name in LABELS[labels]}
    if weighted:
        found["sample_weight"] = weight[rows]
    drawn = {name: values[:, :, rows] for name, values in samples.items()}
    return (truth[:, rows], drawn), found


def assert_same(found, expected):
    assert found.terms.equals(expected.terms)
    np.testing.assert_allclose(found.value, expected.value, rtol=1e-12)
    np.testing.assert_allclose(
        found.covariance, expected.covariance, rtol=1e-9, atol=1e-12 * expected.covariance.max()
    )
    assert (found.n_units, found.n_clusters) == (expected.n_units, expected.n_clusters)
    assert found.notes == expected.notes
    assert found.inference == expected.inference
    np.testing.assert_array_equal(found.df, expected.df)
    np.testing.assert_array_equal(found.residual_df, expected.residual_df)
    for own, other in zip(found.confidence_interval(), expected.confidence_interval(), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-9)


@quiet
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize(
    "estimator",
    [
        es.AMD(),
        es.AMD(aggregate="cell"),
        es.AMV(),
        es.AMV(amv_level="pooled"),
        es.AMV(amv_level="cell"),
        es.AMV(amv_level="track"),
        es.TrajectoryScores(length_unit="m"),
    ],
    ids=repr,
)
def test_sums_give_the_estimate_of_all_agents(agents, estimator, labels, weighted):
    if "track" not in LABELS[labels] and getattr(estimator, "amv_level", "") == "track":
        pytest.skip("every agent is its own track, of which sums keep nothing")
    rows = np.arange(N)
    roles, options = part_of(agents, rows, labels, weighted)
    expected = estimator.fit(*roles, **options).estimate_
    states = []
    for keep in (rows[:25], rows[25:40], rows[40:]):
        roles, options = part_of(agents, keep, labels, weighted)
        state = estimator.partial(*roles, **options, state="sums")
        states.append(State.from_bytes(state.to_bytes()))
    nested = estimator.merge(states[2], estimator.merge(states[0], states[1]))
    assert_same(estimator.finalize(nested), expected)
    assert_same(estimator.finalize(estimator.merge(*states)), expected)


@quiet
@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(1, N - 1), max_size=6, unique=True))
def test_any_cut_gives_the_same(agents, cuts):
    estimator = es.AMV(amv_level="pooled")
    roles, _ = part_of(agents, np.arange(N), "nothing", weighted=False)
    expected = estimator.fit(*roles).estimate_
    states = []
    for keep in np.split(np.arange(N), sorted(cuts)):
        roles, _ = part_of(agents, keep, "nothing", weighted=False)
        states.append(estimator.partial(*roles, state="sums"))
    assert_same(estimator.finalize(estimator.merge(*states)), expected)


@quiet
def test_size_does_not_depend_on_the_number_of_agents(agents):
    estimator = es.TrajectoryScores()
    sizes = []
    for repeats in (1, 4):
        rows = np.tile(np.arange(N), repeats)
        roles, _ = part_of(agents, rows, "nothing", weighted=False)
        state = estimator.partial(*roles, state="sums")
        assert state.table.height == 1
        sizes.append(len(state.to_bytes()))
    assert sizes[0] == sizes[1]
    roles, options = part_of(agents, np.arange(N), "cluster", weighted=False)
    assert estimator.partial(*roles, **options, state="sums").table.height == 1 + 6


@quiet
def test_clusters_of_sums_can_be_resampled(agents):
    estimator = es.AMD(inference=es.Bootstrap(n_resamples=50, rng=1))
    roles, options = part_of(agents, np.arange(N), "cluster", weighted=True)
    expected = estimator.fit(*roles, **options).estimate_
    found = estimator.finalize(estimator.partial(*roles, **options, state="sums"))
    np.testing.assert_allclose(found.replicates, expected.replicates, rtol=1e-12)


@quiet
def test_refusals(agents):
    roles, options = part_of(agents, np.arange(N), "nothing", weighted=True)
    with pytest.raises(es.InputError, match="state='sum': choose 'agents' or 'sums'"):
        es.AMD().partial(*roles, state="sum")
    for method in (es.Bootstrap(), es.Analytic(weight_kind="frequency")):
        estimator = es.AMD(inference=method)
        state = estimator.partial(*roles, **options, state="sums")
        with pytest.raises(es.InputError, match="needs the agents, of which state='sums'"):
            estimator.finalize(state)
    with pytest.raises(es.InputError, match="amv_level='track' without track="):
        es.AMV(amv_level="track").partial(*roles, state="sums")
    one, _ = part_of(agents, np.arange(5), "nothing", weighted=False)
    two = es.AMD().partial(one[0], {"other": one[1]["a"]}, state="sums")
    with pytest.raises(es.InputError, match="other models, scores or dimensions"):
        es.AMD().merge(es.AMD().partial(*one, state="sums"), two)
