"""Parts, streams and merges: the same bits for any order and batching."""

import numpy as np
import pytest

import evalstats as es
from evalstats.data.state import State
from tests.anomaly.support import BOUNDS, stack

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")


def estimator(**options):
    return es.AUPIMO(**{"fpr_bounds": BOUNDS, "inference": es.Analytic(), **options})


@pytest.mark.parametrize("cls", [es.AUPIMO, es.AUPRO])
@pytest.mark.parametrize("ragged", [False, True])
def test_any_partition_gives_the_same_bits(rng, cls, ragged):
    maps, masks = stack(rng, 20, 10, decimals=1, ragged=ragged)
    estimate = cls(inference=es.NoInference())
    if cls is es.AUPIMO:
        estimate.set_params(fpr_bounds=BOUNDS)
    whole = estimate.fit(masks, maps).estimate_.value[0]
    for _ in range(5):
        order = rng.permutation(20)
        cuts = np.sort(rng.integers(1, 20, 3))
        parts = [p for p in np.split(order, cuts) if len(p)]
        states = [estimate.partial([masks[i] for i in p], [maps[i] for i in p]) for p in parts]
        assert estimate.finalize(estimate.merge(*states)).value[0] == whole
        left = states[0]
        for state in states[1:]:
            left = State.from_bytes(estimate.merge(state, left).to_bytes())
        assert estimate.finalize(left).value[0] == whole


def test_small_capacity_is_exact_while_it_reaches_the_bound(rng):
    maps, masks = stack(rng, 30, 30)
    bounds = (1e-3, 1e-2)
    pimo = estimator(fpr_bounds=bounds)
    expected = pimo.fit(masks, maps).estimate_
    normal_pixels = 20 * 900
    state = pimo.stream(zip(masks, maps, strict=True), capacity=int(0.02 * normal_pixels))
    held = sum(len(own) for own in state.table["normal"])
    assert held <= 0.025 * normal_pixels
    estimate = pimo.finalize(state)
    assert estimate.value[0] == expected.value[0]
    assert estimate.standard_error[0] == pytest.approx(expected.standard_error[0], rel=1e-12)
    scores = pimo.image_scores()["score"].to_numpy()
    np.testing.assert_array_equal(scores, es.aupimo(masks, maps, fpr_bounds=bounds))


def test_capacity_that_does_not_reach_the_bound_is_refused(rng):
    maps, masks = stack(rng, 30, 30)
    state = estimator().stream(zip(masks, maps, strict=True), capacity=50)
    with pytest.raises(es.InputError, match=r"too few of the 18000 normal pixels were kept.*capac"):
        estimator().finalize(state)


def test_shallow_replicates_are_counted(rng):
    """A stored tail cannot be deepened: what it does not hold is missing, never guessed."""
    maps, masks = stack(rng, 30, 30)
    bootstrap = es.Bootstrap(200, rng=0)
    pimo = estimator(fpr_bounds=(1e-3, 1e-2), inference=bootstrap)
    whole = pimo.fit(masks, maps).estimate_
    assert whole.n_failed == 0
    state = pimo.stream(zip(masks, maps, strict=True), capacity=200)
    estimate = pimo.finalize(state)
    assert 0 < estimate.n_failed <= 20
    assert np.isin(estimate.replicates, whole.replicates).all()


def test_stream_of_several_models(rng):
    maps, masks = stack(rng, 20, 10)
    pairs = ((mask, {"a": own, "b": -own}) for mask, own in zip(masks, maps, strict=True))
    pimo = estimator()
    estimate = pimo.finalize(pimo.stream(pairs))
    expected = estimator().fit(masks, {"a": maps, "b": -maps}).estimate_
    np.testing.assert_array_equal(estimate.value, expected.value)
    np.testing.assert_allclose(estimate.covariance, expected.covariance, rtol=1e-12)


def test_many_ties_do_not_exceed_the_capacity(rng):
    maps, masks = stack(rng, 20, 20)
    coarse = np.where(maps > 2.2, maps, 0.0)
    pimo = estimator(fpr_bounds=(1e-3, 5e-3), inference=es.NoInference())
    state = pimo.stream(zip(masks, coarse, strict=True), capacity=100)
    held = sum(len(own) for own in state.table["normal"])
    assert held <= 200
    expected = pimo.fit(masks, coarse).estimate_.value[0]
    assert pimo.finalize(state).value[0] == expected


def test_refusals(rng):
    maps, masks = stack(rng)
    pimo = estimator()
    with pytest.raises(es.InputError, match="images is empty"):
        pimo.stream([])
    with pytest.raises(es.InputError, match="capacity=0: pass the number"):
        pimo.partial(masks, maps, capacity=0)
    with pytest.raises(es.InputError, match=r"partial has no option \['size'\]"):
        pimo.partial(masks, maps, size=3)
    state = pimo.partial(masks, maps)
    with pytest.raises(es.InputError, match="finalize has no option"):
        pimo.finalize(state, size=3)
    with pytest.raises(es.InputError, match="hold different models"):
        pimo.merge(state, pimo.partial(masks, {"other": maps}))
    pimo.finalize(state)
    with pytest.raises(es.InputError, match="companions need the images"):
        pimo.companions()
