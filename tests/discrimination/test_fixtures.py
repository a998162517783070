"""AUROC and AUPRC equal the recorded results of scikit-learn, torchmetrics and pROC.

The tolerances are those of ``../shared/reference/discrimination/README.md``.
"""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

import evalstats as es
from evalstats.discrimination.curves import precision_recall_curve, roc_curve

FOLDER = Path(__file__).resolve().parents[2] / "../shared/reference/discrimination"
if not FOLDER.is_dir():
    pytest.skip(f"no reference fixtures at {FOLDER}", allow_module_level=True)

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")


def _numbers(value):
    """Recorded values with "nan" and "inf" as numbers."""
    if isinstance(value, list):
        return [_numbers(item) for item in value]
    if isinstance(value, dict):
        return {key: _numbers(item) for key, item in value.items()}
    return float(value) if value in ("nan", "inf", "-inf") else value


def _load(name):
    arrays = np.load(FOLDER / f"{name}.npz")
    return _numbers(json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))), arrays


BINARY, BINARY_ARRAYS = _load("binary")
DELONG, DELONG_ARRAYS = _load("delong")
MULTICLASS, MULTICLASS_ARRAYS = _load("multiclass")
ONE_CLASS = ("all_pos", "all_neg")
CASES = [name for name in BINARY if not name.startswith("_") and name not in ONE_CLASS]
MAX_FPRS = ("0.05", "0.1", "0.3", "1.0")


def binary(case):
    """Labels, scores and keyword arguments of a binary case."""
    weighted = f"{case}__w" in BINARY_ARRAYS
    weight = {"sample_weight": BINARY_ARRAYS[f"{case}__w"]} if weighted else {}
    return BINARY_ARRAYS[f"{case}__y"], BINARY_ARRAYS[f"{case}__s"], weight


# Binary values ----------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_auroc_equals_scikit_learn(case):
    y, s, weight = binary(case)
    expected = BINARY[case]["sk_roc_auc"]
    assert es.auroc(y, s, **weight) == pytest.approx(expected, abs=1e-12)
    fitted = es.AUROC(inference=es.NoInference()).fit(y, s, **weight).estimate_
    assert fitted.value[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_average_precision_equals_scikit_learn(case):
    y, s, weight = binary(case)
    expected = BINARY[case]["sk_average_precision"]
    assert es.auprc(y, s, **weight) == pytest.approx(expected, abs=1e-12)
    fitted = es.AUPRC(inference=es.NoInference()).fit(y, s, **weight).estimate_
    assert fitted.value[0] == pytest.approx(expected, abs=1e-12)
    assert fitted.value[0] <= 1.0


@pytest.mark.parametrize("max_fpr", MAX_FPRS)
@pytest.mark.parametrize("case", CASES)
def test_partial_auroc_equals_scikit_learn(case, max_fpr):
    y, s, weight = binary(case)
    expected = BINARY[case][f"sk_roc_auc_max_fpr_{max_fpr}"]
    limit = float(max_fpr)
    assert es.auroc(y, s, max_fpr=limit, **weight) == pytest.approx(expected, abs=1e-12)
    estimator = es.AUROC(max_fpr=limit, inference=es.NoInference())
    assert estimator.fit(y, s, **weight).estimate_.value[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("case", CASES)
def test_trapezoid_equals_scikit_learn(case):
    y, s, weight = binary(case)
    expected = BINARY[case]["sk_pr_trapezoid"]
    value = es.auprc(y, s, interpolation="trapezoid", **weight)
    assert value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("case", [name for name in CASES if f"{name}__prob" in BINARY_ARRAYS])
def test_values_equal_torchmetrics(case):
    """Exact modes only: those with 200 thresholds have no error bound."""
    y, prob = BINARY_ARRAYS[f"{case}__y"], BINARY_ARRAYS[f"{case}__prob"]
    recorded = BINARY[case]
    assert es.auroc(y, prob) == pytest.approx(recorded["tm_auroc_exact"], abs=2e-6)
    assert es.auprc(y, prob) == pytest.approx(recorded["tm_ap_exact"], abs=2e-6)
    partial = es.auroc(y, prob, max_fpr=0.1)
    assert partial == pytest.approx(recorded["tm_auroc_exact_max_fpr_0.1"], abs=2e-6)


@pytest.mark.parametrize("dropped", [False, True], ids=["all points", "dropped"])
@pytest.mark.parametrize("case", [c for c in CASES if "sk_roc_curve_all" in BINARY[c]])
def test_roc_curve_equals_scikit_learn(case, dropped):
    y, s, weight = binary(case)
    expected = BINARY[case]["sk_roc_curve_dropped" if dropped else "sk_roc_curve_all"]
    curve = roc_curve(y == 1, s, weight.get("sample_weight"), drop_intermediate=dropped)
    np.testing.assert_allclose(curve.fpr, expected["fpr"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(curve.tpr, expected["tpr"], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(curve.thresholds, expected["thr"])


@pytest.mark.parametrize("case", [c for c in CASES if "sk_pr_curve" in BINARY[c]])
def test_precision_recall_curve_equals_scikit_learn(case):
    y, s, weight = binary(case)
    expected = BINARY[case]["sk_pr_curve"]
    curve = precision_recall_curve(y == 1, s, weight.get("sample_weight"))
    np.testing.assert_allclose(curve.precision, expected["precision"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(curve.recall, expected["recall"], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(curve.thresholds, expected["thr"])


@pytest.mark.parametrize("case", ONE_CLASS)
def test_one_class_is_refused_or_nan(case):
    y, s, _ = binary(case)
    missing = "negatives" if case == "all_pos" else "positives"
    with pytest.raises(es.InputError, match=f"y_true has no {missing}, so AUROC is undefined"):
        es.auroc(y, s)
    with pytest.raises(es.InputError, match="on_undefined='nan'"):
        es.AUROC().fit(y, s)
    estimate = es.AUROC(on_undefined="nan").fit(y, s).estimate_
    assert np.isnan(estimate.value[0])
    assert np.isnan(estimate.standard_error[0])
    assert np.isnan(estimate.confidence_interval()).all()


def test_average_precision_without_negatives_or_positives():
    y, s, _ = binary("all_pos")
    with pytest.raises(es.InputError, match="y_true has no negatives, so AUPRC is undefined"):
        es.auprc(y, s)
    assert np.isnan(es.AUPRC(on_undefined="nan").fit(y, s).estimate_.value[0])
    y, s, _ = binary("all_neg")
    with pytest.raises(es.InputError, match="y_true has no positives, so AUPRC is undefined"):
        es.auprc(y, s)
    assert np.isnan(es.AUPRC(on_undefined="nan").fit(y, s).estimate_.value[0])


Y, S = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
BAD_INPUTS = {
    "nan_score": (Y, [0.1, np.nan, 0.3, 0.4], None, "y_score has 1 missing value .*row 1"),
    "inf_score": (Y, [0.1, 0.2, np.inf, 0.4], None, "y_score has 1 infinite .*row 2"),
    "len_mismatch": (Y, S[:3], None, "y_score has 3 rows but y_true has 4"),
    "neg_weight": (Y, S, [1.0, -1.0, 1.0, 1.0], r"sample_weight is -1.0 in row 1"),
    "nan_weight": (Y, S, [1.0, 1.0, np.nan, 1.0], "sample_weight has 1 missing value .*row 2"),
    "three_labels": ([0, 1, 2, 1], S, None, "y_true is 2 in row 2"),
    "float_labels": ([0.0, 0.5, 1.0, 1.0], S, None, r"y_true is 0.5 in row 1"),
    "empty": ([], [], None, "y_true is empty"),
    "score_2col": (Y, np.column_stack([S, S, S])[:3], None, "y_score.* has 3 rows but"),
    "label_nan": ([0.0, np.nan, 1.0, 1.0], S, None, "y_true has 1 missing value .*row 1"),
    "str_labels": (["no", "no", "yes", "yes"], S, None, "'no', 'yes': say which is positive"),
}


@pytest.mark.parametrize("function", [es.auroc, es.auprc], ids=["auroc", "auprc"])
@pytest.mark.parametrize("case", BINARY["_bad_inputs"])
def test_every_recorded_bad_input_is_refused(case, function):
    y, s, weight, message = BAD_INPUTS[case]
    with pytest.raises(es.InputError, match=message):
        function(y, s, sample_weight=weight)


def test_twin_refuses_scores_of_several_models():
    with pytest.raises(es.InputError, match=r"y_score has several models: use AUROC\(\)"):
        es.auroc(Y, np.column_stack([S, S]))
    with pytest.raises(es.InputError, match=r"y_score has several models: use AUPRC\(\)"):
        es.auprc(Y, {"a": S, "b": S})


def test_string_labels_with_pos_label():
    assert es.auroc(["no", "no", "yes", "yes"], S, pos_label="yes") == 0.75
    assert es.auroc(["no", "no", "yes", "yes"], S, pos_label="no") == 0.25


# DeLong -----------------------------------------------------------------------------------------


def delong(case):
    if case == "aSAH":
        frame = pl.read_csv(FOLDER / "aSAH.csv")
        models = [name for name in frame.columns if name != "outcome"]
        return frame["outcome"].to_numpy(), frame.select(models).to_numpy().astype(float)
    return DELONG_ARRAYS[f"{case}__y"], DELONG_ARRAYS[f"{case}__S"]


DELONG_CASES = [name for name in DELONG if not name.startswith("_")]
REGULAR = [name for name in DELONG_CASES if name != "one_pos"]


@pytest.mark.parametrize("case", DELONG_CASES)
def test_values_equal_proc(case):
    y, scores = delong(case)
    estimate = es.AUROC(inference=es.NoInference()).fit(y, scores).estimate_
    np.testing.assert_allclose(estimate.value, DELONG[case]["pROC"]["auc"], rtol=0, atol=1e-13)


@pytest.mark.parametrize("case", REGULAR)
def test_covariance_equals_proc(case):
    y, scores = delong(case)
    estimate = es.AUROC().fit(y, scores).estimate_
    recorded = DELONG[case]["pROC"]
    variance = np.diag(estimate.covariance)
    np.testing.assert_allclose(variance, recorded["var"], rtol=1e-10, atol=1e-14)
    assert len(recorded["cov"]) == len(variance) * (len(variance) - 1) // 2
    for i, j, covariance in recorded["cov"]:
        assert estimate.covariance[i, j] == pytest.approx(covariance, rel=1e-10, abs=1e-14)


@pytest.mark.parametrize("percent", [95, 90])
@pytest.mark.parametrize("case", REGULAR)
def test_wald_interval_equals_proc(case, percent):
    y, scores = delong(case)
    estimate = es.AUROC(interval="wald").fit(y, scores).estimate_
    interval = estimate.confidence_interval(percent / 100)
    for model, (low, value, high) in enumerate(DELONG[case]["pROC"][f"ci{percent}"]):
        if value in (0, 1):  # pROC returns [1, 1]; ours is Newcombe's, checked below
            continue
        assert interval.low[model] == pytest.approx(low, abs=1e-12)
        assert interval.high[model] == pytest.approx(high, abs=1e-12)


@pytest.mark.parametrize("case", REGULAR)
def test_paired_test_equals_proc(case):
    y, scores = delong(case)
    table = es.AUROC().fit(y, scores).estimate_.compare(adjust=None)
    recorded = DELONG[case]["pROC"]["paired"]
    tolerance = 1e-7 if case == "n20000" else 1e-9
    assert table.height == len(recorded)
    for row, (i, j, z, p) in zip(table.iter_rows(named=True), recorded, strict=True):
        assert (row["model"], row["reference"]) == (f"model_{i}", f"model_{j}")
        assert row["statistic"] == pytest.approx(z, rel=tolerance, abs=1e-12)
        assert row["p_value"] == pytest.approx(p, rel=tolerance)


def test_large_tied_case_of_scikit_learn_values():
    y, scores = delong("n20000")
    for model, expected in enumerate(DELONG["n20000"]["sk_auc"]):
        assert es.auroc(y, scores[:, model]) == pytest.approx(expected, abs=1e-13)


@pytest.mark.parametrize(
    ("case", "entry"),
    [
        pytest.param(case, entry, id=f"{case}-{position}")
        for case in DELONG_CASES
        for position, entry in enumerate(DELONG[case]["pROC"]["partial"])
        if entry["focus"] == "specificity"
    ],
)
def test_partial_area_equals_proc(case, entry):
    y, scores = delong(case)
    limit = 1 - entry["range"][0]
    standardised = es.auroc(y, scores[:, entry["model"]], max_fpr=limit)
    chance = limit**2 / 2
    raw = chance + (2 * standardised - 1) * (limit - chance)
    if not entry["correct"]:
        assert raw == pytest.approx(entry["auc"], abs=1e-12)
    elif np.isfinite(entry["auc"]):
        assert standardised == pytest.approx(entry["auc"], abs=1e-12)
    else:
        assert standardised < 0.5  # pROC leaves areas below the diagonal undefined


def test_unpaired_test_equals_proc():
    recorded = DELONG["_unpaired"]["pROC"]
    first, second = (delong(case) for case in recorded["cases"])
    y = np.concatenate([first[0], second[0]])
    s = np.concatenate([data[1][:, recorded["model"]] for data in (first, second)])
    study = np.repeat(["first", "second"], [len(first[0]), len(second[0])])
    estimate = es.AUROC().fit(y, s, by=study).estimate_
    assert estimate.covariance[0, 1] == 0.0
    row = estimate.compare(terms="group", adjust=None).row(0, named=True)
    assert row["statistic"] == pytest.approx(recorded["t"], rel=1e-9)
    assert row["p_value"] == pytest.approx(recorded["p"], rel=1e-9)
    assert (row["group"], row["reference"]) == ("first", "second")
    assert estimate.contrast([[1, -1]], ["d"]).df[0] == pytest.approx(recorded["df"], rel=1e-9)
    half_width = stats.t.ppf(0.975, recorded["df"]) * row["standard_error"]
    assert row["ci_high"] - row["estimate"] == pytest.approx(half_width, rel=1e-9)


def test_asah_as_published():
    """Turck et al. (2010): areas, intervals and the test of s100b against wfns."""
    frame = pl.read_csv(FOLDER / "aSAH.csv")
    models = ["s100b", "wfns", "ndka"]
    estimate = es.AUROC(interval="wald").fit("outcome", models, data=frame).estimate_
    assert estimate.n_units == 113
    assert estimate.value.round(4).tolist() == [0.7314, 0.8237, 0.6120]
    low, high = estimate.confidence_interval()
    assert low.round(4).tolist() == [0.6301, 0.7485, 0.5012]
    assert high.round(4).tolist() == [0.8326, 0.8988, 0.7227]
    row = estimate.compare("wfns", adjust=None).row(0, named=True)
    assert round(row["statistic"], 3) == -2.209
    assert round(row["p_value"], 5) == 0.02718


# Degenerate pairs -------------------------------------------------------------------------------


def newcombe_excess(theta, value, *, m, n):
    """Zero where theta is a limit of Newcombe's (2006) method 5 at 95%."""
    spread = (1 - theta) / (2 - theta) + theta / (1 + theta)
    variance = theta * (1 - theta) / (m * n) * (1 + ((m + n) / 2 - 1) * spread)
    return abs(value - theta) - stats.norm.ppf(0.975) * np.sqrt(variance)


@pytest.mark.parametrize("case", ["identical", "monotone_copy"])
def test_identical_rankings_have_difference_zero(case):
    """MLstatkit reports p = 0 here."""
    y, scores = delong(case)
    for estimator in (es.AUROC(), es.AUPRC()):
        row = estimator.fit(y, scores).estimate_.compare().row(0, named=True)
        numbers = [row[name] for name in ("estimate", "standard_error", "ci_low", "ci_high")]
        assert numbers == [0.0, 0.0, 0.0, 0.0]
        assert row["statistic"] == 0.0
        assert row["p_value"] == 1.0


def test_one_positive_gives_no_variance_but_an_interval():
    y, scores = delong("one_pos")
    estimate = es.AUROC().fit(y, scores).estimate_
    assert np.isnan(estimate.standard_error).all()
    row = estimate.compare().row(0, named=True)
    assert row["estimate"] == pytest.approx(1 - 0.9333333333333333, abs=1e-13)
    assert np.isnan(row["p_value"])
    low, high = estimate.confidence_interval()
    assert newcombe_excess(low[0], 1.0, m=1, n=30) == pytest.approx(0.0, abs=1e-10)
    assert high[0] == 1.0
    assert np.isnan(low[1])


def test_perfect_model_has_newcombe_interval():
    y, scores = delong("perfect_vs_imperfect")
    estimate = es.AUROC().fit(y, scores).estimate_
    assert estimate.value[1] == 1.0
    assert estimate.standard_error[1] == 0.0
    low, high = estimate.confidence_interval()
    m, n = y.sum(), (1 - y).sum()
    assert newcombe_excess(low[1], 1.0, m=m, n=n) == pytest.approx(0.0, abs=1e-10)
    assert 0.8 < low[1] < 0.99
    assert high[1] == 1.0
    row = estimate.compare(adjust=None).row(0, named=True)
    assert row["p_value"] == pytest.approx(7.812015225875623e-06, rel=1e-9)


def test_constant_score_against_a_good_one():
    y, scores = delong("constant_vs_good")
    with pytest.warns(es.EvalstatsWarning, match=r"\[constant-score\] constant score: 'model_1'"):
        estimate = es.AUROC().fit(y, scores).estimate_
    assert estimate.value[1] == 0.5
    assert estimate.standard_error[1] == 0.0
    assert any("constant score" in note for note in estimate.notes)
    assert "constant score" in str(estimate)
    p_value = estimate.compare(adjust=None)["p_value"][0]
    assert p_value == pytest.approx(0.006023569771665284, rel=1e-9)


def test_two_by_two_interval_stays_inside():
    y, scores = delong("two_by_two")
    low, high = es.AUROC().fit(y, scores).estimate_.confidence_interval()
    assert (low > 0).all()
    assert (high < 1).all()
    wald = es.AUROC(interval="wald").fit(y, scores).estimate_.confidence_interval()
    assert wald.high.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("case", ["perfect", "n2"])
def test_perfect_separation_is_never_a_point(case):
    y, s, _ = binary(case)
    for estimator in (es.AUROC(), es.AUPRC(), es.AUPRC(interval="binomial_logit")):
        estimate = estimator.fit(y, s).estimate_
        assert estimate.value[0] == 1.0
        low, high = estimate.confidence_interval()
        assert 0 < low[0] < 0.96
        assert high[0] == 1.0
        low99, _ = estimate.confidence_interval(0.99)
        assert low99[0] < low[0]


# Several classes --------------------------------------------------------------------------------


def multiclass(case, weighted=False):
    weight = {"sample_weight": MULTICLASS_ARRAYS[f"{case}__w"]} if weighted else {}
    return MULTICLASS_ARRAYS[f"{case}__y"], MULTICLASS_ARRAYS[f"{case}__P"], weight


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("average", ["macro", "weighted", None])
@pytest.mark.parametrize("case", MULTICLASS)
def test_one_versus_rest_equals_scikit_learn(case, average, weighted):
    y, probability, weight = multiclass(case, weighted)
    suffix = f"{average}_w" if weighted else f"{average}"
    for cls, key in ((es.AUROC, "sk_ovr"), (es.AUPRC, "sk_ap")):
        estimator = cls(multiclass="ovr", average=average)
        estimate = estimator.fit(y, probability, **weight).estimate_
        expected = np.atleast_1d(MULTICLASS[case][f"{key}_{suffix}"])
        np.testing.assert_allclose(estimate.value, expected, rtol=0, atol=1e-12)
        assert np.isfinite(estimate.standard_error).all()
    if average is None:
        assert estimate.terms["class"].to_list() == [str(label) for label in np.unique(y)]


@pytest.mark.parametrize("case", MULTICLASS)
def test_one_versus_rest_equals_torchmetrics(case):
    y, probability, _ = multiclass(case)
    for cls, key in ((es.AUROC, "tm_auroc_none"), (es.AUPRC, "tm_ap_none")):
        values = cls(multiclass="ovr", average=None).fit(y, probability).estimate_.value
        np.testing.assert_allclose(values, MULTICLASS[case][key], rtol=0, atol=2e-6)


@pytest.mark.parametrize("average", ["macro", "weighted"])
@pytest.mark.parametrize("case", MULTICLASS)
def test_one_versus_one_equals_scikit_learn_and_proc(case, average):
    y, probability, _ = multiclass(case)
    estimate = es.AUROC(multiclass="ovo", average=average).fit(y, probability).estimate_
    expected = MULTICLASS[case][f"sk_ovo_{average}"]
    assert estimate.value[0] == pytest.approx(expected, abs=1e-12)
    if average == "macro":
        hand_till = MULTICLASS[case]["pROC_multiclass_roc"]
        assert estimate.value[0] == pytest.approx(hand_till, abs=1e-13)


@pytest.mark.parametrize("case", MULTICLASS)
def test_class_absent_from_the_labels(case):
    """torchmetrics counts it as 0 in the mean; here it is left out, with a note."""
    _, probability, _ = multiclass(case)
    y = MULTICLASS_ARRAYS[f"{case}_absent__y"]
    n_classes = probability.shape[1]
    recorded = MULTICLASS[case]["absent_last_class"]
    per_class = es.AUROC(multiclass="ovr", average=None).fit(y, probability).estimate_
    np.testing.assert_allclose(per_class.value[:-1], recorded["tm_none"][:-1], atol=2e-6)
    assert np.isnan(per_class.value[-1])
    with pytest.warns(es.EvalstatsWarning, match=r"\[class-absent\]"):
        macro = es.AUROC(multiclass="ovr").fit(y, probability).estimate_
    assert macro.value[0] == pytest.approx(per_class.value[:-1].mean(), rel=1e-12)
    biased = recorded["tm_macro"]
    assert macro.value[0] == pytest.approx(biased * n_classes / (n_classes - 1), abs=2e-6)
    assert any("left out" in note for note in macro.notes)
    pairs = es.AUROC(multiclass="ovo").fit(y, probability).estimate_
    assert np.isfinite(pairs.value[0])
