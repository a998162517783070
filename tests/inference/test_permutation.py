"""The paired swap test: exact on tiny samples, valid under the null, blind to names."""

from itertools import product

import numpy as np
import pytest

import evalstats as es

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
Y = np.array([0, 1, 0, 1, 1, 0, 1, 0])
FIRST = np.array([1.0, 7, 3, 8, 6, 4, 5, 2])
SECOND = np.array([2.0, 3, 7, 8, 1, 6, 5, 4])


def test_p_value_of_a_tiny_sample_is_that_of_all_swaps():
    observed = es.auroc(Y, FIRST) - es.auroc(Y, SECOND)
    extreme = 0
    for bits in product([False, True], repeat=8):
        swap = np.array(bits)
        mixed = np.where(swap, SECOND, FIRST), np.where(swap, FIRST, SECOND)
        difference = es.auroc(Y, mixed[0]) - es.auroc(Y, mixed[1])
        extreme += abs(difference) >= abs(observed) - 1e-12
    fitted = es.AUROC().fit(Y, {"a": FIRST, "b": SECOND})
    table = fitted.permutation_test("a", "b", n_resamples=4000, rng=0)
    assert table["estimate"][0] == pytest.approx(observed, rel=1e-12)
    assert table["p_value"][0] == pytest.approx(extreme / 256, abs=0.025)
    one_sided = [
        fitted.permutation_test("a", "b", n_resamples=2000, alternative=side, rng=0)["p_value"][0]
        for side in ("greater", "less")
    ]
    assert sum(one_sided) >= 1.0
    assert one_sided[0] < one_sided[1]


def test_identical_models_have_p_one():
    fitted = es.AUROC().fit(Y, {"a": FIRST, "b": FIRST**3})
    assert fitted.permutation_test("a", "b", n_resamples=50, rng=0)["p_value"][0] == 1.0


def test_agrees_with_delong_on_a_large_sample(rng):
    y = rng.integers(0, 2, 400)
    signal = rng.normal(size=400) + y
    scores = {"a": signal + rng.normal(size=400), "b": signal + 1.2 * rng.normal(size=400)}
    for cls in (es.AUROC, es.AUPRC):
        fitted = cls().fit(y, scores)
        wald = fitted.estimate_.compare(adjust=None)["p_value"][0]
        exact = fitted.permutation_test("a", "b", n_resamples=1500, rng=1)["p_value"][0]
        assert exact == pytest.approx(wald, abs=0.06)


def test_clusters_swap_together_whatever_their_names(rng):
    cluster = np.arange(120) // 3
    y = rng.integers(0, 2, 40)[cluster]
    shift = rng.normal(size=(2, 40))[:, cluster]
    scores = {"a": y + shift[0], "b": 0.5 * y + shift[1]}
    estimator = es.AUROC()

    def p_value(names):
        fitted = estimator.fit(y, scores, cluster=names)
        return fitted.permutation_test("a", "b", n_resamples=1500, rng=2)["p_value"][0]

    by_number = p_value(cluster)
    relabelled = p_value(np.array([f"site {c}" for c in rng.permutation(40)])[cluster])
    assert relabelled == pytest.approx(by_number, abs=0.04)
    rows = estimator.fit(y, scores).permutation_test("a", "b", n_resamples=1500, rng=2)["p_value"][
        0
    ]
    assert rows < by_number
    singles = p_value(np.arange(120))
    assert singles == rows


def test_swaps_exchange_ranks_not_scores():
    """A monotone change of scale of one model leaves the test as it is."""
    fitted = es.AUROC().fit(Y, {"a": FIRST, "b": SECOND})
    scaled = es.AUROC().fit(Y, {"a": FIRST, "b": np.exp(100 + SECOND)})
    tables = [item.permutation_test("a", "b", n_resamples=99, rng=3) for item in (fitted, scaled)]
    assert tables[0].equals(tables[1])


def test_seeds():
    fitted = es.AUROC().fit(Y, {"a": FIRST, "b": SECOND})
    first = fitted.permutation_test("a", "b", n_resamples=99, rng=3)
    assert first.equals(fitted.permutation_test("a", "b", n_resamples=99, rng=3))
    assert first["n_resamples"][0] == 99


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("a", "c"), {}, r"'c' is no model: choose from \['a', 'b'\]"),
        (("a", "b"), {"n_resamples": 0}, "n_resamples=0: give a positive integer"),
        (("a", "b"), {"n_resamples": 1.5}, "n_resamples=1.5: expected an integer"),
        (("a", "b"), {"alternative": "both"}, "alternative='both': choose two-sided"),
    ],
)
def test_refusals(arguments, options, message):
    fitted = es.AUROC().fit(Y, {"a": FIRST, "b": SECOND})
    with pytest.raises(es.InputError, match=message):
        fitted.permutation_test(*arguments, **options)


def test_groups_and_classes_are_refused():
    fitted = es.AUROC().fit(Y, {"a": FIRST, "b": SECOND}, by=[0, 0, 0, 0, 1, 1, 1, 1])
    with pytest.raises(es.InputError, match="two models on one binary sample"):
        fitted.permutation_test("a", "b")
