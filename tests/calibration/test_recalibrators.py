"""Recalibrators against recorded peers, naive refits, guarantees, and scikit-learn's protocol."""

import json
import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import betabinom
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import evalstats as es
from evalstats.calibration.conformal import conformal_quantile
from evalstats.recalibration.folds import assign_folds
from evalstats.recalibration.maps import expit, logit, softmax
from tests.oracles import venn_abers as oracle

MAPS = [
    es.PlattScaling(),
    es.PlattScaling(scale="raw", smooth=False),
    es.IsotonicRecalibration(),
    es.BetaCalibration(),
    es.TemperatureScaling(),
    es.VennABERS(),
    es.VennABERS(method="cross", n_folds=3, rng=4),
]
EVERY = [*MAPS, es.SplitConformal(), es.SplitConformal(score="aps", class_conditional=True)]


def named(estimators):
    return pytest.mark.parametrize("recalibrator", estimators, ids=repr)


@pytest.fixture(scope="module")
def recorded(reference):
    inputs = np.load(reference / "calibration" / "inputs.npz")
    expected = json.loads((reference / "calibration" / "expected_other_peers.json").read_text())
    return {
        name: (inputs[f"{name}__p"], inputs[f"{name}__y"], fits)
        for name, fits in expected.items()
        if "sk_isotonic" in fits
    }


@pytest.fixture
def binary(rng):
    p = rng.random(300)
    return p, (rng.random(300) < expit(0.6 * logit(p) - 0.4)).astype(int)


@pytest.fixture
def multiclass(rng):
    logits = rng.normal(size=(400, 4))
    cumulative = softmax(logits).cumsum(axis=1)
    y = np.minimum((cumulative < rng.random((400, 1))).sum(axis=1), 3)
    return softmax(2.0 * logits), y


# Values ------------------------------------------------------------------------------------------


def test_venn_abers_equals_the_recorded_package(recorded):
    checked = 0
    for name, (p, y, fits) in recorded.items():
        if "venn_abers" not in fits:
            continue
        expected = fits["venn_abers"]
        n = int(expected["cal"].split()[1])
        venn = es.VennABERS().fit(p[:n], y[:n])
        p0, p1 = venn.predict_interval(expected["x"])
        merged = venn.predict_proba(expected["x"])[:, 1]
        for found, key in ((p0, "p0"), (p1, "p1"), (merged, "p")):
            np.testing.assert_allclose(found, expected[key], rtol=0, atol=1e-9, err_msg=name)
        checked += 1
    assert checked == 10


def test_platt_and_isotonic_equal_scikit_learn(recorded):
    for name, (p, y, fits) in recorded.items():
        a, b = fits["sk_platt_ab"]
        found = es.PlattScaling(scale="raw").fit(p, y).predict_proba(p)[:, 1]
        np.testing.assert_allclose(found, expit(-(a * p + b)), rtol=0, atol=1e-4, err_msg=name)
        if name == "saturated":
            continue  # the peer pools distinct scores closer than 1e-15
        x = fits["sk_isotonic"]["x"]
        found = es.IsotonicRecalibration().fit(p, y).predict_proba(x)[:, 1]
        expected = fits["sk_isotonic"]["fit"]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10, err_msg=name)


@given(
    st.lists(st.tuples(st.integers(0, 8), st.booleans(), st.integers(0, 3)), min_size=1),
    st.lists(st.integers(0, 16), min_size=1, max_size=4),
)
def test_venn_abers_equals_naive_refits(rows, places):
    rows = [*rows, (8, True, 1), (0, False, 1)]
    scores = [score / 8 for score, _, _ in rows]
    labels = [int(label) for _, label, _ in rows]
    weights = [weight for *_, weight in rows]
    x = [place / 16 for place in places]
    p0, p1 = es.VennABERS().fit(scores, labels, weights).predict_interval(x)
    repeated = [i for i, weight in enumerate(weights) for _ in range(weight)]
    expected = [
        oracle.interval([scores[i] for i in repeated], [labels[i] for i in repeated], place)
        for place in x
    ]
    np.testing.assert_allclose(np.column_stack([p0, p1]), expected, rtol=0, atol=1e-12)
    assert np.all(p0 <= p1)


def test_cross_venn_abers_is_a_geometric_mean_of_naive_refits(binary):
    p, y = binary
    x = np.array([0.0, 0.13, 0.5, 0.77, 1.0])
    fold = assign_folds(p, None, 3, 7)
    pairs = np.array(
        [[oracle.interval(p[fold == f], y[fold == f], at) for at in x] for f in range(3)]
    )
    one = np.prod(pairs[:, :, 1], axis=0) ** (1 / 3)
    zero = np.prod(1 - pairs[:, :, 0], axis=0) ** (1 / 3)
    venn = es.VennABERS(method="cross", n_folds=3, rng=7).fit(p, y)
    np.testing.assert_allclose(venn.predict_proba(x)[:, 1], one / (one + zero), atol=1e-12)
    np.testing.assert_allclose(venn.predict_interval(x), [1 - zero, one], atol=1e-12)


def test_temperature_undoes_a_power(multiclass):
    p, y = multiclass
    scaled = es.TemperatureScaling().fit(p, y)
    sharper = p**3 / (p**3).sum(axis=1, keepdims=True)
    again = es.TemperatureScaling().fit(sharper, y)
    assert again.learned_.temperature == pytest.approx(3 * scaled.learned_.temperature, rel=1e-6)
    np.testing.assert_allclose(again.predict_proba(sharper), scaled.predict_proba(p), atol=1e-9)


def test_one_against_the_rest_and_rows_without_support():
    p = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]] * 2)
    isotonic = es.IsotonicRecalibration().fit(p, [0, 1, 2, 0, 1, 2])
    assert isotonic.predict_proba(p[:3]).tolist() == np.eye(3).tolist()
    # Every class is forecast so low that it was never seen: nothing is known.
    nowhere = isotonic.learned_[0](np.array([0.1]))
    assert nowhere.tolist() == [0.0]
    low = es.IsotonicRecalibration().fit(
        [[0.6, 0.2, 0.2], [0.2, 0.6, 0.2], [0.2, 0.2, 0.6], [0.34, 0.33, 0.33]] * 1, [0, 1, 2, 0]
    )
    assert low.predict_proba([[0.2, 0.4, 0.4]])[0].sum() == pytest.approx(1.0)


# scikit-learn's protocol -------------------------------------------------------------------------


@named(MAPS)
def test_shapes_of_two_classes_agree(recalibrator, binary):
    p, y = binary
    shapes = [p, p[:, None], np.column_stack([1 - p, p]), p.tolist(), pl.Series(p), pd.Series(p)]
    found = [clone(recalibrator).fit(x, y).predict_proba(x) for x in shapes]
    assert found[0].shape == (300, 2)
    for other in found[1:]:
        np.testing.assert_allclose(other, found[0], rtol=0, atol=1e-12)
    fitted = clone(recalibrator).fit(p, y)
    assert fitted.classes_.tolist() == [0, 1]
    assert np.array_equal(fitted.predict(p), (found[0][:, 1] >= 0.5).astype(int))
    assert np.array_equal(fitted.transform(p), found[0])


# Folds of the cross form are dealt to rows, repeated or not.
@named(MAPS[:-1])
def test_weights_repeat_rows_and_order_does_not_matter(recalibrator, binary, rng):
    p, y = binary
    weight = rng.integers(0, 3, len(p))
    rows = rng.permutation(np.repeat(np.arange(len(p)), weight))
    weighted = clone(recalibrator).fit(p, y, sample_weight=weight).predict_proba(p)
    repeated = clone(recalibrator).fit(p[rows], y[rows]).predict_proba(p)
    np.testing.assert_allclose(weighted, repeated, rtol=0, atol=1e-8)


@named(EVERY)
def test_clone_pickle_and_parameters(recalibrator, binary):
    p, y = binary
    fitted = clone(recalibrator).fit(p, y)
    result = "predict_set" if isinstance(recalibrator, es.SplitConformal) else "predict_proba"
    again = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(getattr(again, result)(p), getattr(fitted, result)(p))
    assert clone(fitted).get_params() == recalibrator.get_params()
    assert not hasattr(clone(fitted), "classes_")
    assert clone(recalibrator).set_params(pos_label=0).fit(1 - p, y).classes_.tolist() == [1, 0]
    with pytest.raises(NotFittedError):
        getattr(clone(recalibrator), result)(p)


@named(MAPS)
def test_pipeline_and_cross_validation(recalibrator, binary):
    p, y = binary
    pipeline = make_pipeline(FunctionTransformer(expit), clone(recalibrator))
    expected = clone(recalibrator).fit(p, y).predict_proba(p)
    found = pipeline.fit(logit(p)[:, None], y).predict_proba(logit(p)[:, None])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)
    out = cross_val_predict(clone(recalibrator), p[:, None], y, cv=3, method="predict_proba")
    assert out.shape == (300, 2)
    np.testing.assert_allclose(out.sum(axis=1), 1.0)
    assert clone(recalibrator).fit(p, y).score(p, y) > 0.5


@named(MAPS)
def test_several_classes(recalibrator, multiclass):
    p, y = multiclass
    names = np.array(["a", "b", "c", "d"])
    fitted = clone(recalibrator).fit(p, names[y])
    found = fitted.predict_proba(p)
    assert found.shape == p.shape
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    assert fitted.classes_.tolist() == names.tolist()
    assert set(fitted.predict(p)) <= set(names)
    rows = np.arange(len(y))
    assert np.log(found[rows, y]).mean() > np.log(p[rows, y]).mean()
    if isinstance(recalibrator, es.VennABERS):
        p0, p1 = fitted.predict_interval(p)
        assert p0.shape == p1.shape == p.shape


def test_labels_of_any_kind(binary):
    p, y = binary
    expected = es.PlattScaling().fit(p, y).predict_proba(p)
    words = np.where(y == 1, "alive", "dead")
    fitted = es.PlattScaling(pos_label="alive").fit(p, words)
    assert np.array_equal(fitted.predict_proba(p), expected)
    assert fitted.classes_.tolist() == ["dead", "alive"]
    assert set(fitted.predict(p)) == {"dead", "alive"}
    assert es.PlattScaling().fit(p, y == 1).classes_.tolist() == [False, True]
    assert es.PlattScaling().fit(p, y.astype(float)).predict(p).dtype == float


def test_number_types_and_layouts(binary):
    p, y = binary
    p = np.round(p, 2).astype(np.float32)
    expected = es.VennABERS().fit(p.astype(float), y).predict_proba(p.astype(float))
    frozen = p.copy()
    frozen.flags.writeable = False
    strided = np.repeat(p, 2)[::2]
    for x in (p, frozen, strided, p.astype(">f4")):
        found = es.VennABERS().fit(x, y.astype(np.int8)).predict_proba(x)
        np.testing.assert_array_equal(found, expected)


# Cross-fitting -----------------------------------------------------------------------------------


@named(EVERY)
def test_cross_fit_does_not_see_the_rows_own_label(recalibrator, binary):
    p, y = binary
    before = recalibrator.cross_fit(p, y, n_folds=4, rng=3)
    for row in (0, 17, 299):
        other = y.copy()
        other[row] = 1 - other[row]
        after = recalibrator.cross_fit(p, other, n_folds=4, rng=3)
        assert np.array_equal(after[row], before[row])
        if not isinstance(recalibrator, es.SplitConformal):
            assert not np.array_equal(after, before)
    assert not hasattr(recalibrator, "learned_")


@named(MAPS)
def test_cross_fit_is_the_fit_without_the_fold(recalibrator, binary):
    p, y = binary
    fold = assign_folds(p, None, 5, 11)
    found = recalibrator.cross_fit(p, y, rng=11)
    for number in range(5):
        inside = fold == number
        fitted = clone(recalibrator).fit(p[~inside], y[~inside])
        np.testing.assert_array_equal(found[inside], fitted.predict_proba(p[inside])[:, 1])
    assert np.array_equal(found, recalibrator.cross_fit(p, y, rng=11))
    assert not np.array_equal(found, recalibrator.cross_fit(p, y, rng=12))


@named(EVERY)
def test_cross_fit_keeps_clusters_together(recalibrator, binary):
    p, y = binary
    cluster = np.arange(300) % 30
    before = recalibrator.cross_fit(p, y, cluster=cluster)
    other = np.where(cluster == 7, 1 - y, y)
    after = recalibrator.cross_fit(p, other, cluster=cluster)
    assert np.array_equal(after[cluster == 7], before[cluster == 7])


def test_cross_fit_of_several_classes_and_weights(multiclass):
    p, y = multiclass
    weight = np.ones(len(y))
    weight[:50] = 0.0
    found = es.PlattScaling().cross_fit(p, y, sample_weight=weight)
    assert found.shape == p.shape
    np.testing.assert_allclose(found.sum(axis=1), 1.0)
    other = y.copy()
    other[:50] = 0
    again = es.PlattScaling().cross_fit(p, other, sample_weight=weight)
    np.testing.assert_allclose(again, found, atol=1e-9)


@given(st.integers(2, 60), st.integers(2, 7), st.integers(0, 5))
def test_folds_are_balanced_over_forecasts(n, n_folds, seed):
    n_folds = min(n, n_folds)
    p = np.random.default_rng(seed).random(n).round(1)
    fold = assign_folds(p, None, n_folds, seed)
    counts = np.bincount(fold, minlength=n_folds)
    assert counts.min() > 0
    assert counts.max() - counts.min() <= 1
    runs = fold[np.argsort(p, kind="stable")][: n // n_folds * n_folds].reshape(-1, n_folds)
    assert np.array_equal(np.sort(runs, axis=1), np.tile(np.arange(n_folds), (len(runs), 1)))


@given(st.lists(st.integers(0, 9), min_size=12, max_size=60), st.integers(0, 5))
def test_folds_of_clusters(codes, seed):
    cluster = np.unique([*codes, *range(4)], return_inverse=True)[1]
    fold = assign_folds(np.linspace(0, 1, len(cluster)), cluster, 4, seed)
    assert all(len(set(fold[cluster == one])) == 1 for one in set(cluster))
    sizes = np.bincount(fold, minlength=4)
    assert sizes.min() > 0
    assert sizes.max() - sizes.min() <= np.bincount(cluster).max()


def test_cross_fitting_removes_the_optimism_of_isotonic(rng):
    p = rng.random(400)
    y = rng.random(400) < p
    inside = es.IsotonicRecalibration().fit(p, y).predict_proba(p)[:, 1]
    out = es.IsotonicRecalibration().cross_fit(p, y)
    assert es.brier_score(y, inside) < es.brier_score(y, p) < es.brier_score(y, out)


# Conformal sets ----------------------------------------------------------------------------------


def test_conformal_quantile():
    score, one = np.arange(1.0, 10.0), np.ones(9)
    assert conformal_quantile(score, one, 0.9) == 9.0
    assert conformal_quantile(score, one, 0.7) == 7.0
    assert conformal_quantile(score, one, 0.71) == 8.0
    assert conformal_quantile(score, one, 0.91) == np.inf
    assert conformal_quantile(score[::-1], 2 * one, 0.5) == 5.0
    assert conformal_quantile(np.empty(0), np.empty(0), 0.5) == np.inf


@pytest.mark.parametrize(
    "options",
    [
        {"score": "lac"},
        {"score": "aps"},
        {"score": "aps", "randomized": True},
        {"score": "lac", "class_conditional": True},
    ],
    ids=str,
)
def test_conformal_coverage_is_beta_binomial(options):
    """Given the calibration rows, coverage is Beta(k, n + 1 - k), whatever the forecasts."""
    rng = np.random.default_rng(5)
    n, n_new, level, n_repeats = 99, 200, 0.8, 400
    counts = []
    for repeat in range(n_repeats):
        logits = rng.normal(size=(n + n_new, 3))
        y = np.minimum((softmax(logits).cumsum(axis=1) < rng.random((n + n_new, 1))).sum(axis=1), 2)
        if "class_conditional" in options:
            y[:n] = np.arange(n) % 3
            y[n:] = 1
            logits = rng.normal(size=(n + n_new, 3)) + 1.5 * np.eye(3)[y]
        wrong = softmax(3.0 * logits - [1.0, 0.0, 0.0])
        sets = es.SplitConformal(level=level, rng=repeat, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            sets.fit(wrong[:n], y[:n])
        counts.append(sets.predict_set(wrong[n:])[np.arange(n_new), y[n:]].sum())
    used = n // 3 if "class_conditional" in options else n
    k = int(np.ceil((used + 1) * level))
    exact = betabinom(n_new, k, used + 1 - k)
    assert np.mean(counts) == pytest.approx(exact.mean(), abs=4 * exact.std() / np.sqrt(n_repeats))
    for q in (0.1, 0.5, 0.9):
        cut = exact.ppf(q)
        share = np.mean(np.array(counts) <= cut)
        wanted = exact.cdf(cut)
        assert share == pytest.approx(wanted, abs=4 * np.sqrt(wanted * (1 - wanted) / n_repeats))


def test_aps_score_is_the_mass_of_classes_at_least_as_probable():
    p = np.array([[0.5, 0.2, 0.3], [0.2, 0.2, 0.6]])
    sets = es.SplitConformal(level=0.5, score="aps").fit(p, [2, 0])
    assert sets.learned_.value.tolist() == [0.8, 0.8, 0.8]
    assert sets.predict_set(p).tolist() == [[True, False, True], [True, False, True]]


def test_too_few_rows_for_a_threshold():
    sets = es.SplitConformal(level=0.95, labels=["a", "b", "c"])
    p = np.full((10, 3), 1 / 3)
    with pytest.warns(es.EvalstatsWarning, match=r"\[trivial-sets\].*\['a', 'b', 'c'\]"):
        sets.fit(p, ["a", "b"] * 5)
    assert sets.predict_set(p).all()


# Refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([-2.0, 3.0, 1.0], [0, 1, 0], "X is -2 in row 0 .*look like logits"),
        ([20.0, 93.0, 50.0], [0, 1, 0], "look like percentages"),
        ([0.1, np.nan, 0.3], [0, 1, 0], "X has 1 missing value .first in row 1"),
        ([0.1, np.inf, 0.3], [0, 1, 0], "X has 1 infinite"),
        ([0.1, 0.2], [0, 1, 0], "X has 2 rows but y has 3"),
        ([0.1, 0.2, 0.3], [1, 2, 1], "y is 2 in row 1: labels must be 0/1"),
        ([0.1, 0.2, 0.3], ["a", "b", "a"], "say which is positive by pos_label="),
        ([[0.1, 0.8], [0.5, 0.5]], [0, 1], "X sums to 0.9 in row 0"),
        ([[0.1, 0.1, 0.8]] * 2, ["a", "b"], "y has 2 classes but the scores have 3 columns"),
        ({"a": [0.1, 0.2]}, [0, 1], "X is a mapping"),
        (np.zeros((2, 2, 2)), [0, 1], "X has shape|X must"),
        ([], [], "is empty"),
    ],
)
def test_bad_input_is_refused(x, y, message):
    for recalibrator in (es.PlattScaling(), es.SplitConformal()):
        with pytest.raises(es.InputError, match=message):
            recalibrator.fit(x, y)
        with pytest.raises(es.InputError, match=message):
            recalibrator.cross_fit(x, y, n_folds=2)


def test_bad_parameters_are_refused(binary):
    p, y = binary
    for bad, message in (
        (es.PlattScaling(scale="log"), "scale='log' is unknown"),
        (es.VennABERS(method="both"), "method='both' is unknown"),
        (es.VennABERS(method="cross", n_folds=1), "n_folds=1 is not possible with 300 rows"),
        (es.SplitConformal(level=1.0), "level"),
        (es.SplitConformal(score="raps"), "score='raps' is unknown"),
        (es.BetaCalibration(pos_label=1, labels=[0, 1]), "give one"),
    ):
        with pytest.raises(es.InputError, match=message):
            bad.fit(p, y)


@pytest.mark.parametrize("n_folds", [0, 1, 301, 2.5, True, "5"])
def test_impossible_folds_are_refused(binary, n_folds):
    with pytest.raises(es.InputError, match=r"n_folds=.* is not possible with 300 rows"):
        es.PlattScaling().cross_fit(*binary, n_folds=n_folds)


def test_other_refusals(binary, multiclass):
    p, y = binary
    fitted = es.PlattScaling().fit(p, y)
    with pytest.raises(es.InputError, match="probabilities of 4 classes but the fit had 2"):
        fitted.predict_proba(multiclass[0])
    with pytest.raises(es.InputError, match="with 3 clusters"):
        fitted.cross_fit(p, y, cluster=np.arange(300) % 3)
    with pytest.raises(es.InputError, match="sample_weight is -1"):
        es.PlattScaling().fit(p, y, sample_weight=np.full(300, -1))
    with pytest.raises(es.InputError, match="y is 'b' in every row"):
        es.PlattScaling(pos_label="b").fit([0.1, 0.2], ["b", "b"])
    with pytest.raises(es.InputError, match="separate the classes perfectly"):
        es.BetaCalibration().fit([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1])
    with pytest.raises(es.InputError, match="no better than uniform"):
        es.TemperatureScaling().fit(1 - p, p > 0.5)
    with pytest.raises(es.InputError, match="every row's own class"):
        es.TemperatureScaling().fit(p, p > 0.5)
    few = np.zeros(300, dtype=int)
    few[:2] = 1
    with pytest.raises(es.InputError, match=r"without fold . of 2 the rows cannot be fitted"):
        es.BetaCalibration().cross_fit(p, few, n_folds=2, cluster=np.arange(300) // 2)


def test_leave_one_out_as_in_small_clinical_samples(rng):
    p = rng.random(40)
    y = rng.random(40) < p
    out = es.PlattScaling().cross_fit(p, y, n_folds=40)
    for row in (0, 20, 39):
        rest = np.delete(np.arange(40), row)
        alone = es.PlattScaling().fit(p[rest], y[rest]).predict_proba(p[row : row + 1])
        assert out[row] == alone[0, 1]
