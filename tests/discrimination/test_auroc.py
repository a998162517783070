"""AUROC beyond the fixtures: edge cases, refusals, standard errors under every design."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import evalstats as es
from tests.oracles import ranking as oracle

Y = np.array([0, 0, 1, 1, 0, 1, 0, 1])
S = np.array([0.1, 0.4, 0.35, 0.8, 0.2, 0.7, 0.5, 0.6])


def quiet(estimator, *roles, **options):
    """Estimate of small data, without the warnings that small data deserve."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", es.EvalstatsWarning)
        return estimator.fit(*roles, **options).estimate_


def simulated(rng, n=300, prevalence=0.4):
    y = (rng.random(n) < prevalence).astype(int)
    signal = rng.normal(size=n) + y
    return y, {"a": signal, "b": signal + rng.normal(size=n)}


def multiclass(rng, n=150, k=3):
    codes = rng.integers(0, k, n)
    odds = np.exp(rng.normal(size=(n, k)) + np.eye(k)[codes])
    return codes, odds / odds.sum(axis=1, keepdims=True)


# Edge cases of the card, section 5 --------------------------------------------------------------


def test_all_scores_tied_is_one_half_with_a_status():
    with pytest.warns(es.EvalstatsWarning, match=r"\[constant-score\] constant score: 'y_score'"):
        estimate = es.AUROC().fit(np.tile([0, 1], 40), np.zeros(80)).estimate_
    assert estimate.value[0] == 0.5
    assert estimate.standard_error[0] == 0.0
    assert estimate.notes == ("constant score: 'y_score' ranks nothing",)


def test_negative_zero_ties_with_zero():
    assert es.auroc([0, 1], [0.0, -0.0]) == 0.5
    assert es.auroc([0, 1], np.array([0.0, -0.0], dtype=np.float32)) == 0.5
    assert es.auroc([0, 1, 1], [0.0, -0.0, -0.0], sample_weight=[1.0, 2.0, 0.5]) == 0.5


def test_scores_outside_zero_one_are_not_transformed():
    """torchmetrics passes such scores through a sigmoid, which ties the large ones."""
    large = np.array([1e300, 2e300, 3e300, 4e300])
    assert es.auroc([0, 1, 0, 1], large) == 0.75
    assert es.auroc([0, 1, 0, 1], large - 1e300) == 0.75
    tiny = np.array([0.0, 5e-324, 1e-323, 1.5e-323])
    assert es.auroc([0, 1, 0, 1], tiny) == 0.75


def test_integers_beyond_float64_are_compared_exactly():
    base = 2**60
    scores = np.array([base, base + 1, base + 2, base + 3])
    assert es.auroc([0, 1, 0, 1], scores) == 0.75
    assert quiet(es.AUROC(), [0, 1, 0, 1], scores).value[0] == 0.75
    assert es.auroc([0, 1], np.array([2**64 - 2, 2**64 - 1], dtype=np.uint64)) == 1.0


@pytest.mark.parametrize(
    ("labels", "pos_label"),
    [
        ([-1, -1, 1, 1], 1),
        (["neg", "neg", "pos", "pos"], "pos"),
        ([2, 2, 1, 1], 1),
        (np.array(["n", "n", "p", "p"], dtype=object), "p"),
        (pl.Series(["n", "n", "p", "p"], dtype=pl.Categorical), "p"),
        ([True, True, False, False], False),
        ([1, 1, 0, 0], 0),
    ],
)
def test_positive_label_is_explicit(labels, pos_label):
    scores = [0.1, 0.4, 0.35, 0.8]
    assert es.auroc(labels, scores, pos_label=pos_label) == 0.75
    if pos_label not in (False, 0):
        with pytest.raises(es.InputError, match="pos_label="):
            es.auroc(labels, scores)


def test_unknown_pos_label_lists_the_labels():
    with pytest.raises(es.InputError, match=r"pos_label='Yes' does not occur .*'no', 'yes'"):
        es.auroc(["no", "yes"], [0.1, 0.2], pos_label="Yes")


def test_more_than_two_labels_with_pos_label():
    with pytest.raises(es.InputError, match=r"y_true has 3 labels .*expected two"):
        es.auroc(["a", "b", "c"], [0.1, 0.2, 0.3], pos_label="a")


def test_direction_is_explicit_and_never_guessed(rng):
    y, scores = simulated(rng)
    below = quiet(es.AUROC(), y, -scores["a"])
    assert below.value[0] < 0.5
    flipped = quiet(es.AUROC(direction="lower"), y, -scores["a"])
    assert flipped.value[0] == pytest.approx(1 - below.value[0], rel=1e-14)
    for dtype in (np.uint8, np.int8, np.int64):
        codes = np.clip(np.round(20 * scores["a"]) + 60, 0, 127).astype(dtype)
        lower = quiet(es.AUROC(direction="lower"), y, codes).value[0]
        assert lower == pytest.approx(1 - es.auroc(y, codes), rel=1e-14)


@pytest.mark.parametrize("weight", [[0, 0, 1, 1], [1, 1, 0, 0]])
def test_class_without_weight_counts_as_absent(weight):
    missing = "negatives" if weight[0] == 0 else "positives"
    message = f"y_true has no {missing} with positive weight"
    y, s = [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]
    with pytest.raises(es.InputError, match=message):
        es.auroc(y, s, sample_weight=weight)
    with pytest.raises(es.InputError, match=message):
        es.AUROC().fit(y, s, sample_weight=weight)
    assert np.isnan(quiet(es.AUROC(on_undefined="nan"), y, s, sample_weight=weight).value[0])


def test_group_with_one_class_only():
    by = np.repeat(["x", "y"], 4)
    y = np.array([0, 1, 0, 1, 1, 1, 1, 1])
    with pytest.raises(es.InputError, match="y_true has no negatives"):
        quiet(es.AUROC(), y, S, by=by)
    estimate = quiet(es.AUROC(on_undefined="nan"), y, S, by=by)
    assert np.isfinite(estimate.value[0])
    assert np.isnan(estimate.value[1])
    assert np.isfinite(estimate.confidence_interval().low[0])


def test_pairs_beyond_32_bits():
    """pROC once overflowed when positives x negatives exceed 2**31."""
    n = 60_000
    y = np.repeat([0, 1], n)
    scores = np.concatenate([np.arange(n), np.arange(n) + n // 2])
    expected = 1 - (n / 2) * (n / 2 + 0.0) / 2 / n**2
    assert n * n > 2**31
    assert es.auroc(y, scores) == pytest.approx(expected, abs=1e-5)
    estimate = es.AUROC().fit(y, scores).estimate_
    assert estimate.value[0] == pytest.approx(es.auroc(y, scores), rel=1e-13)
    low, high = estimate.confidence_interval()
    assert 0 < high[0] - low[0] < 0.01


# Refusals of the card, section 9 ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "s", "options", "message"),
    [
        (Y, S[:-1], {}, "y_score has 7 rows but y_true has 8"),
        (Y, np.where(Y == 1, np.nan, S), {}, "y_score has 4 missing values"),
        (Y, np.where(Y == 1, -np.inf, S), {}, r"y_score has 4 infinite values \(first in row 2\)"),
        (np.where(np.arange(8) == 3, 2, Y), S, {}, "y_true is 2 in row 3: labels must be 0/1"),
        (np.where(np.arange(8) == 3, np.nan, Y), S, {}, r"y_true has 1 missing .*row 3"),
        ([None, *Y[1:]], S, {}, r"y_true has 1 missing value \(first in row 0\)"),
        (Y, S, {"sample_weight": np.where(Y, -1.0, 1)}, r"sample_weight is -1.0 in row 2"),
        (Y, S, {"sample_weight": Y * 0}, "sample_weight is 0 in every row"),
        (Y, S, {"sample_weight": Y}, "no negatives with positive weight"),
        (Y, S, {"cluster": [None, *"aabbccd"]}, r"cluster has 1 missing value \(first in row 0\)"),
        (Y, S, {"by": [None, *"aabbccd"]}, r"by\['group'\] has 1 missing value"),
        (Y, S + 1j, {}, "y_score is complex: pass real numbers"),
        (Y + 1j, S, {}, "y_true is complex: pass real numbers"),
        (Y, [object()] * 8, {}, "y_score has dtype object with values that are no numbers"),
        (Y, ["0.1"] * 8, {}, "y_score has dtype <U3: scores must be real numbers"),
        (Y, np.array(S, dtype="M8[s]"), {}, r"y_score has dtype datetime64\[s\]"),
        (np.column_stack([Y, Y]), S, {}, r"y_true must be one-dimensional, .*\(8, 2\)"),
        ({"y": Y}, S, {}, "y_true is a dict: pass an array or a list"),
        (Y, {"a": S, "b": S[:-1]}, {}, r"y_score\['b'\] has 7 rows but y_true has 8"),
    ],
)
def test_refusals(y, s, options, message):
    with pytest.raises(es.InputError, match=message):
        es.AUROC().fit(y, s, **options)


@pytest.mark.parametrize("max_fpr", [0, -0.1, 1.0001, 5, float("nan")])
def test_max_fpr_outside_its_range(max_fpr):
    with pytest.raises(es.InputError, match="the false positive rate lies in"):
        es.AUROC(max_fpr=max_fpr).fit(Y, S)
    with pytest.raises(es.InputError, match="max_fpr="):
        es.auroc(Y, S, max_fpr=max_fpr)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"multiclass": "all"}, "multiclass='all' is unknown: choose one of 'raise', 'ovr', 'ovo'"),
        ({"average": "micro"}, "average='micro' is unknown"),
        ({"direction": "auto"}, "direction='auto' is unknown"),
        ({"interval": "exact"}, "interval='exact': choose 'logit' or 'wald'"),
        ({"on_undefined": "zero"}, "on_undefined='zero' is unknown"),
        (
            {"multiclass": "ovo", "average": None},
            "average=None is not defined for multiclass='ovo'",
        ),
        ({"multiclass": "ovr", "max_fpr": 0.2}, "max_fpr is defined for two classes only"),
    ],
)
def test_unknown_options(params, message):
    with pytest.raises(es.InputError, match=message):
        es.AUROC(**params).fit(Y, S)


def test_duplicated_model_names():
    frame = pl.DataFrame({"y": Y, "s": S})
    with pytest.raises(es.InputError, match="y_score names the column 's' twice"):
        es.AUROC().fit("y", ["s", "s"], data=frame)
    with pytest.raises(es.InputError, match="y_score names the model '0' twice"):
        es.AUROC().fit(Y, {0: S, "0": S})


def test_models_on_different_rows_cannot_be_paired():
    with pytest.raises(es.InputError, match=r"y_score\['b'\] has 6 rows but y_true has 8"):
        es.AUROC().fit(Y, {"a": S, "b": S[2:]})


@pytest.mark.parametrize("multiclass_option", ["ovr", "ovo"])
def test_class_probabilities_must_sum_to_one(rng, multiclass_option):
    y, probability = multiclass(rng)
    broken = probability.copy()
    broken[7] *= 1.01
    with pytest.raises(es.InputError, match=r"y_score sums to 1\.01 in row 7"):
        es.AUROC(multiclass=multiclass_option).fit(y, broken)
    free = es.AUROC(multiclass="ovr", normalize=False).fit(y, np.log(probability)).estimate_
    assert free.value[0] == pytest.approx(
        es.AUROC(multiclass="ovr").fit(y, probability).estimate_.value[0]
    )


def test_multiclass_refusals(rng):
    y, probability = multiclass(rng)
    with pytest.raises(es.InputError, match="y_true is 2 in row"):
        es.AUROC().fit(y, probability[:, 0])
    with pytest.raises(es.InputError, match="y_score must have one column per class"):
        es.AUROC(multiclass="ovr").fit(y, probability[:, 0])
    with pytest.raises(es.InputError, match=r"labels must name the 3 columns"):
        es.AUROC(multiclass="ovr", labels=["a", "b"]).fit(y, probability)
    with pytest.raises(es.InputError, match=r"y_true is 0 in row .*, which labels= does not name"):
        es.AUROC(multiclass="ovr", labels=[1, 2, 3]).fit(y, probability)
    names = np.array(["a", "b", "c"])[y]
    with pytest.raises(es.InputError, match=r"y_true has 2 classes but the scores have 3 columns"):
        es.AUROC(multiclass="ovr").fit(np.where(names == "c", "a", names), probability)
    with pytest.raises(es.InputError, match="y_true has one class only"):
        quiet(es.AUROC(multiclass="ovr"), np.zeros(150, dtype=int), probability)


# Standard errors --------------------------------------------------------------------------------


def test_few_positives_are_warned_of(rng):
    y = np.repeat([1, 0], [29, 100])
    with pytest.warns(es.EvalstatsWarning, match=r"\[few-positives\] only 29 positives"):
        es.AUROC().fit(y, rng.normal(size=129))


def test_frequency_weights_equal_repetition(rng):
    y, scores = simulated(rng)
    copies = rng.integers(0, 4, len(y))
    rows = np.repeat(np.arange(len(y)), copies)
    repeated = es.AUROC().fit(y[rows], {m: s[rows] for m, s in scores.items()}).estimate_
    counts = es.AUROC(inference=es.Analytic(weight_kind="frequency"))
    estimate = counts.fit(y, scores, sample_weight=copies).estimate_
    np.testing.assert_allclose(estimate.covariance, repeated.covariance, rtol=1e-10)
    with pytest.raises(es.InputError, match="frequency weights must be whole numbers"):
        counts.fit(y, scores, sample_weight=copies + 0.5)


def test_clusters_of_one_row_differ_from_delong_by_the_scaling_alone(rng):
    y, scores = simulated(rng)
    n, m = len(y), y.sum()
    plain = es.AUROC().fit(y, scores).estimate_
    clustered = es.AUROC().fit(y, scores, cluster=np.arange(n)).estimate_
    ratio = clustered.covariance / plain.covariance
    bounds = sorted([n / (n - 1) * (size - 1) / size for size in (m, n - m)])
    assert (ratio >= bounds[0] - 1e-12).all()
    assert (ratio <= bounds[1] + 1e-12).all()
    assert clustered.n_clusters == n
    assert clustered.df.tolist() == [n - 1.0] * 2


def test_repeated_patients_do_not_shrink_the_standard_error(rng):
    y, scores = simulated(rng, n=200)
    five = np.repeat(np.arange(200), 5)
    repeated = {m: s[five] for m, s in scores.items()}
    single = es.AUROC().fit(y, scores, cluster=np.arange(200)).estimate_
    clustered = es.AUROC().fit(y[five], repeated, cluster=five).estimate_
    np.testing.assert_allclose(clustered.covariance, single.covariance, rtol=1e-10)
    naive = es.AUROC().fit(y[five], repeated).estimate_
    assert (naive.standard_error < 0.5 * clustered.standard_error).all()


def test_groups_crossed_by_clusters_are_correlated(rng):
    y, scores = simulated(rng, n=400)
    patient = np.arange(400) // 2
    eye = np.where(np.arange(400) % 2 == 0, "left", "right")
    twin_scores = scores["a"][2 * patient]
    y_pair = y[2 * patient]
    estimate = es.AUROC().fit(y_pair, twin_scores, by=eye, cluster=patient).estimate_
    assert estimate.covariance[0, 1] == pytest.approx(estimate.covariance[0, 0], rel=1e-10)
    independent = es.AUROC().fit(y_pair, twin_scores, by=eye).estimate_
    assert independent.covariance[0, 1] == 0.0


@pytest.mark.parametrize(
    ("option", "average"),
    [("ovr", "macro"), ("ovr", "weighted"), ("ovo", "macro"), ("ovo", "weighted")],
)
def test_influence_of_averages_is_the_derivative(rng, option, average):
    y, probability = multiclass(rng)
    for cls in (es.AUROC, es.AUPRC):
        if cls is es.AUPRC and option == "ovo":
            continue
        estimator = cls(multiclass=option, average=average)
        weight = rng.integers(1, 4, len(y)).astype(float)
        columns = estimator._columns({"y_true": y, "y_score": probability}, sample_weight=weight)
        prepared = estimator._prepare(columns)
        influence = estimator._influence(prepared, weight)
        step = 1e-5
        for row in range(0, len(y), 7):
            change = step * (np.arange(len(y)) == row)
            up = estimator._evaluate(prepared, weight + change)
            down = estimator._evaluate(prepared, weight - change)
            np.testing.assert_allclose(influence[row], (up - down) / (2 * step), atol=1e-9)


def test_two_classes_one_versus_rest_is_the_binary_problem(rng):
    y, scores = simulated(rng)
    probability = 1 / (1 + np.exp(-scores["a"]))
    both = np.column_stack([1 - probability, probability])
    macro = es.AUROC(multiclass="ovr").fit(y, both).estimate_
    binary = es.AUROC().fit(y, probability).estimate_
    assert macro.value[0] == pytest.approx(binary.value[0], rel=1e-12)
    assert macro.standard_error[0] == pytest.approx(binary.standard_error[0], rel=0.01)


def test_partial_area_is_bootstrapped_within_classes(rng):
    y, scores = simulated(rng)
    estimate = es.AUROC(max_fpr=0.2).fit(y, scores).estimate_
    assert estimate.inference == "bootstrap (percentile, multinomial, stratified, B=2000)"
    assert estimate.n_failed == 0
    assert np.isfinite(estimate.standard_error).all()
    with pytest.raises(es.InputError, match="needs influence values"):
        es.AUROC(max_fpr=0.2, inference=es.Analytic()).fit(y, scores)
    full = es.AUROC(max_fpr=1.0).fit(y, scores).estimate_
    assert full.inference == "analytic"


def test_several_models_of_class_probabilities(rng):
    y, first = multiclass(rng, n=300)
    _, second = multiclass(rng, n=300)
    estimate = es.AUROC(multiclass="ovr").fit(y, {"a": first, "b": second}).estimate_
    assert estimate.terms["model"].to_list() == ["a", "b"]
    assert estimate.compare()["p_value"][0] < 1e-6
    frame = pl.DataFrame(
        np.column_stack([first, second]), schema=["a0", "a1", "a2", "b0", "b1", "b2"]
    )
    named = es.AUROC(multiclass="ovr").fit(
        "y",
        {"a": ["a0", "a1", "a2"], "b": ["b0", "b1", "b2"]},
        data=frame.with_columns(y=pl.Series(y)),
    )
    np.testing.assert_array_equal(named.estimate_.covariance, estimate.covariance)


@given(st.data())
def test_value_equals_the_definition(data):
    n = data.draw(st.integers(2, 12))
    y = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    y[:2] = [True, False]
    scores = np.array(data.draw(st.lists(st.integers(-3, 3), min_size=n, max_size=n)), dtype=float)
    weight = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), dtype=float)
    weight[:2] = 1.0
    expected = oracle.auroc(y, scores, weight)
    assert es.auroc(y, scores, sample_weight=weight) == pytest.approx(expected, abs=1e-14)
    assert es.auroc(y, -scores, sample_weight=weight) == pytest.approx(1 - expected, abs=1e-14)


def test_scikit_learn_scorer(rng):
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import make_scorer, roc_auc_score
    from sklearn.model_selection import cross_val_score

    y, scores = simulated(rng)
    features = np.column_stack(list(scores.values()))
    scorer = make_scorer(es.auroc, response_method="decision_function")
    ours = cross_val_score(LogisticRegression(), features, y, scoring=scorer, error_score="raise")
    theirs = cross_val_score(
        LogisticRegression(),
        features,
        y,
        scoring=make_scorer(roc_auc_score, response_method="decision_function"),
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-13)


@pytest.mark.parametrize("estimator", [es.AUROC, es.AUPRC])
def test_a_near_perfect_area_that_few_rows_decide_is_warned_about(estimator):
    y = np.repeat([0, 1], 200)
    scores = np.arange(400.0)
    scores[[198, 199]] = [203.5, 201.5]
    with pytest.warns(es.EvalstatsWarning, match=r"\[near-perfect\] .* rows decide"):
        estimate = estimator().fit(y, scores).estimate_
    assert [code for code, _ in estimate.warnings] == ["near-perfect"]
    assert 0.995 < estimate.value[0] < 1
    # Many misranked rows, or none at all, are no reason.
    assert estimator().fit(y, np.arange(400.0)).estimate_.warnings == ()
    scores[170:230] = np.random.default_rng(0).permutation(scores[170:230])
    many = estimator().fit(y, scores).estimate_
    assert many.warnings == ()
