"""Summaries of parts of the data: merging, files, bounds, refusals."""

import numpy as np
import polars as pl
import pytest

import evalstats as es
from evalstats.data.state import State

N = 500


@pytest.fixture
def sample(rng):
    y = (rng.random(N) < 0.4).astype(int)
    return y, rng.normal(size=N) + y


@pytest.mark.parametrize("cls", [es.AUROC, es.AUPRC])
def test_rows_without_weight_are_absent(cls, sample, rng):
    y, s = sample
    weight = np.where(rng.random(N) < 0.3, 0.0, rng.uniform(0.5, 2.0, N))
    fitted = cls().fit(y, s, sample_weight=weight).estimate_
    state = cls().partial(y, s, sample_weight=weight)
    merged = cls().finalize(state)
    np.testing.assert_allclose(merged.value, fitted.value, rtol=1e-12)
    np.testing.assert_allclose(merged.standard_error, fitted.standard_error, rtol=1e-10)
    assert merged.n_units == fitted.n_units


@pytest.mark.parametrize("sampling", ["random", "stratified"])
def test_sampling_design_is_kept(sampling, sample):
    estimator = es.AUPRC(sampling=sampling)
    whole = estimator.fit(*sample).estimate_
    merged = estimator.finalize(estimator.partial(*sample))
    np.testing.assert_allclose(merged.standard_error, whole.standard_error, rtol=1e-10)


def test_interval_of_a_merged_state_is_that_of_the_fit(sample):
    for estimator in (es.AUROC(), es.AUROC(interval="wald"), es.AUPRC(interval="binomial_logit")):
        expected = estimator.fit(*sample).estimate_.confidence_interval(0.9)
        actual = estimator.finalize(estimator.partial(*sample)).confidence_interval(0.9)
        np.testing.assert_allclose(actual, expected, rtol=1e-9)


def test_integer_weights_merge_to_the_same_bits(sample, rng):
    y, s = sample
    weight = rng.integers(1, 5, N)
    estimator = es.AUROC()
    whole = estimator.finalize(estimator.partial(y, s, sample_weight=weight))
    parts = [
        estimator.partial(y[rows], s[rows], sample_weight=weight[rows])
        for rows in np.array_split(rng.permutation(N), 7)
    ]
    assert estimator.finalize(estimator.merge(*parts)).value[0] == whole.value[0]
    assert estimator.finalize(estimator.merge(*parts[::-1])).value[0] == whole.value[0]


def test_part_without_one_class(sample):
    y, s = sample
    estimator = es.AUROC()
    parts = [estimator.partial(y[y == k], s[y == k]) for k in (0, 1)]
    merged = estimator.finalize(estimator.merge(*parts))
    assert merged.value[0] == pytest.approx(es.auroc(y, s), rel=1e-13)
    with pytest.raises(es.InputError, match="a class is empty in the merged states"):
        estimator.finalize(parts[0])


def test_binned_state_bounds_the_exact_value(sample, rng):
    y, s = sample
    for cls, exact in ((es.AUROC, es.auroc(y, s)), (es.AUPRC, es.auprc(y, s))):
        estimator = cls()
        parts = [
            estimator.partial(y[rows], s[rows], state="binned")
            for rows in np.array_split(rng.permutation(N), 3)
        ]
        merged = estimator.finalize(estimator.merge(*parts))
        low, high = merged.bounds
        assert low[0] <= exact <= high[0]
        assert high[0] - low[0] < 0.01
        assert merged.value[0] == pytest.approx(exact, abs=0.01)
        assert estimator.fit(y, s).estimate_.bounds is None


def test_tolerance_of_the_binned_state(sample):
    y, s = sample
    estimator = es.AUROC()
    close = 1000 + 1e-6 * s
    state = estimator.partial(y, close, state="binned")
    assert estimator.finalize(state, tolerance=1.0).bounds.high[0] == 1.0
    with pytest.raises(es.InputError, match=r"wider than tolerance=0\.001: use state='exact'"):
        estimator.finalize(state, tolerance=0.001)


def test_serialised_state_is_lossless(sample):
    estimator = es.AUROC()
    state = estimator.partial(*sample)
    again = State.from_bytes(state.to_bytes())
    assert again.definition == state.definition
    assert again.table.equals(state.table)
    assert pl.DataFrame(state).equals(state.table)
    assert estimator.finalize(again) == estimator.finalize(state)


@pytest.mark.parametrize("content", [b"", b"no state", b"ARROW1" + bytes(40)])
def test_foreign_bytes_are_refused(content):
    with pytest.raises(es.InputError, match="content is no serialised state"):
        State.from_bytes(content)


def test_state_of_a_newer_version_is_refused(sample, monkeypatch):
    from evalstats.data import state as module

    content = es.AUROC().partial(*sample).to_bytes()
    monkeypatch.setattr(module, "STATE_VERSION", 0)
    with pytest.raises(es.InputError, match="upgrade evalstats"):
        State.from_bytes(content)


def test_only_states_of_one_definition_merge(sample):
    y, s = sample
    roc = es.AUROC()
    state = roc.partial(y, s)
    with pytest.raises(es.InputError, match="merge states of one definition only"):
        roc.merge(state, es.AUPRC().partial(y, s))
    with pytest.raises(es.InputError, match="state 1 was built as"):
        roc.merge(state, roc.partial(y, s, state="binned"))
    with pytest.raises(es.InputError, match="the states hold different models"):
        roc.merge(state, roc.partial(y, {"other": s}))
    with pytest.raises(es.InputError, match="merge needs at least one state"):
        roc.merge()
    with pytest.raises(es.InputError, match="this state was built as AUROC"):
        es.AUPRC().finalize(state)
    with pytest.raises(es.InputError, match="this state was built as AUROC"):
        es.AUROC(direction="lower").finalize(state)
    assert es.AUROC(level=0.5).finalize(state).level == 0.5


def test_what_has_no_state(sample):
    y, s = sample
    with pytest.raises(es.InputError, match="has no mergeable state"):
        es.AUROC(max_fpr=0.2).partial(y, s)
    with pytest.raises(es.InputError, match="state='sketch': choose 'exact' or 'binned'"):
        es.AUROC().partial(y, s, state="sketch")
    with pytest.raises(es.InputError, match=r"2\*\*53"):
        es.AUROC().partial(y, np.arange(N) + 2**60)
    with pytest.raises((es.InputError, TypeError), match="tolerence"):
        es.AUROC().finalize(es.AUROC().partial(y, s), tolerence=1)
