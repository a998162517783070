"""Comparisons, multiplicity and bands against closed forms, scipy and statsmodels."""

import numpy as np
import polars as pl
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

import evalstats as es
from evalstats.inference.simultaneous import max_t_p_values, sup_t_critical_value
from evalstats.results.estimate import Estimate
from tests.oracles import inference as oracle

VALUE = np.array([0.80, 0.75, 0.70, 0.69])
LOADING = np.array([[2.0, 1, 0, 0], [1, 2, 0, 0], [1, 0, 2, 0], [0, 1, 0, 1]]) / 100
COVARIANCE = LOADING @ LOADING.T
MODELS = ["a", "b", "c", "d"]


def estimate(value=VALUE, covariance=COVARIANCE, **options):
    k = len(value)
    return Estimate(
        name="score",
        unit="observation",
        n_units=500,
        n_clusters=None,
        inference="analytic",
        level=0.95,
        terms=pl.DataFrame({"metric": ["score"] * k, "model": MODELS[:k]}),
        value=np.array(value, dtype=float),
        standard_error=np.sqrt(np.diag(covariance)),
        covariance=np.array(covariance, dtype=float),
        **options,
    )


def test_all_pairs_in_order():
    table = estimate().compare()
    pairs = list(zip(table["model"], table["reference"], strict=True))
    assert pairs == oracle.all_pairs(MODELS)
    for row in table.iter_rows(named=True):
        i, j = MODELS.index(row["model"]), MODELS.index(row["reference"])
        variance = COVARIANCE[i, i] + COVARIANCE[j, j] - 2 * COVARIANCE[i, j]
        z = (VALUE[i] - VALUE[j]) / np.sqrt(variance)
        assert row["statistic"] == pytest.approx(z, rel=1e-12)
        assert row["p_value"] == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-12)
        half = stats.norm.ppf(0.975) * np.sqrt(variance)
        assert row["ci_low"] == pytest.approx(VALUE[i] - VALUE[j] - half, rel=1e-12)
        assert row["ci_high"] == pytest.approx(VALUE[i] - VALUE[j] + half, rel=1e-12)


def test_many_to_one_subtracts_the_reference():
    table = estimate().compare("c")
    assert table["model"].to_list() == ["a", "b", "d"]
    np.testing.assert_allclose(table["estimate"], VALUE[[0, 1, 3]] - VALUE[2], rtol=1e-12)


@pytest.mark.parametrize(
    ("adjust", "name"), [("holm", "holm"), ("bh", "fdr_bh"), ("by", "fdr_by"), ("bonferroni",) * 2]
)
def test_adjustments_equal_statsmodels(adjust, name):
    table = estimate().compare(adjust=adjust)
    p = table["p_value"].to_numpy()
    np.testing.assert_allclose(table["p_adjusted"], multipletests(p, method=name)[1], rtol=1e-12)
    if adjust in ("holm", "bh"):
        literal = {"holm": oracle.holm, "bh": oracle.benjamini_hochberg}[adjust](p)
        np.testing.assert_allclose(table["p_adjusted"], literal, rtol=1e-12)
    assert table["adjust"].unique().to_list() == [adjust]


def test_no_adjustment_and_an_unknown_one():
    table = estimate().compare(adjust=None)
    assert table["p_adjusted"].equals(table["p_value"].alias("p_adjusted"))
    assert table["adjust"].to_list() == [None] * 6
    with pytest.raises(es.InputError, match="adjust='sidak' is unknown: choose one of 'holm'"):
        estimate().compare(adjust="sidak")
    with pytest.raises(es.InputError, match="adjust='max-t' needs alternative='two-sided'"):
        estimate().compare(adjust="max-t", alternative="less")


def test_max_t_p_values_equal_the_multivariate_normal():
    correlation = np.array([[1, 0.5, 0.2], [0.5, 1, -0.3], [0.2, -0.3, 1]])
    statistic = np.array([2.5, -1.0, 0.4])
    p = max_t_p_values(statistic, correlation * np.outer([1, 5, 0.1], [1, 5, 0.1]))
    normal = stats.multivariate_normal(np.zeros(3), correlation)
    for value, size in zip(p, np.abs(statistic), strict=True):
        inside = normal.cdf(np.full(3, size), lower_limit=np.full(3, -size))
        assert value == pytest.approx(1 - inside, abs=0.004)


def test_max_t_lies_between_plain_and_bonferroni():
    table = estimate().compare(adjust="max-t")
    plain = table["p_value"].to_numpy()
    bonferroni = np.minimum(1, 6 * plain)
    adjusted = table["p_adjusted"].to_numpy()
    assert (adjusted >= plain - 0.004).all()
    assert (adjusted <= bonferroni + 0.004).all()
    assert estimate().compare(adjust="max-t").equals(table)


@pytest.mark.parametrize("k", [1, 2, 5, 20])
def test_sup_t_of_independent_terms_is_sidak(k):
    expected = stats.norm.ppf((1 + 0.95 ** (1 / k)) / 2)
    assert sup_t_critical_value(np.diag(np.arange(1.0, k + 1)), 0.95) == pytest.approx(
        expected, abs=0.01
    )


def test_sup_t_of_equal_terms_is_pointwise():
    assert sup_t_critical_value(np.ones((4, 4)), 0.9) == pytest.approx(
        stats.norm.ppf(0.95), abs=0.01
    )
    assert sup_t_critical_value(np.eye(1), 0.95, df=5) == pytest.approx(
        stats.t.ppf(0.975, 5), abs=0.03
    )


def test_simultaneous_band_is_the_interval_at_the_critical_value():
    band = estimate().confidence_interval(simultaneous=True)
    critical = sup_t_critical_value(COVARIANCE, 0.95)
    np.testing.assert_allclose(band.high - VALUE, critical * np.sqrt(np.diag(COVARIANCE)))
    assert stats.norm.ppf(0.975) < critical < stats.norm.ppf(1 - 0.025 / 4)


def test_bootstrap_band_covers_its_share_of_replicates(rng):
    y = (rng.random(500) < 0.4).astype(int)
    scores = {name: rng.normal(size=500) + y for name in "abc"}
    fitted = es.AUROC(inference=es.Bootstrap(n_resamples=2000, rng=0)).fit(y, scores).estimate_
    band = fitted.confidence_interval(simultaneous=True)
    inside = ((fitted.replicates >= band.low) & (fitted.replicates <= band.high)).all(axis=1)
    assert inside.mean() == pytest.approx(0.95, abs=0.01)


def test_contrast_of_contrast_and_undefined_terms():
    matrix = np.array([[1, -1, 0, 0], [0.5, 0.5, -1, 0]])
    combined = estimate().contrast(matrix, ["x", "y"])
    np.testing.assert_allclose(combined.covariance, matrix @ COVARIANCE @ matrix.T, rtol=1e-12)
    again = combined.contrast([[1, 1]], ["z"])
    assert again.value[0] == pytest.approx((matrix[0] + matrix[1]) @ VALUE, rel=1e-12)
    holed = estimate(np.array([0.8, 0.75, 0.7, np.nan]))
    assert np.isfinite(holed.contrast(matrix, ["x", "y"]).value).all()
    with pytest.raises(es.InputError, match="labels has 1 names but matrix has 2 rows"):
        estimate().contrast(matrix, ["x"])


def test_equivalence_and_non_inferiority_in_closed_form():
    plain = estimate().compare("b", adjust=None).row(0, named=True)
    d, error = plain["estimate"], plain["standard_error"]
    lower = stats.norm.sf((d + 0.1) / error)
    upper = stats.norm.cdf((d - 0.1) / error)
    tost = estimate().compare("b", adjust=None, margin=0.1)["p_value"][0]
    assert tost == pytest.approx(max(lower, upper), rel=1e-12)
    greater = estimate().compare("b", adjust=None, margin=0.1, alternative="greater")
    assert greater["p_value"][0] == pytest.approx(lower, rel=1e-12)
    less = estimate().compare("b", adjust=None, margin=0.1, alternative="less")
    assert less["p_value"][0] == pytest.approx(upper, rel=1e-12)
    for margin in (-0.1, np.nan, np.inf):
        with pytest.raises(es.InputError, match="a margin is a finite number >= 0"):
            estimate().compare(margin=margin)


def test_one_sided_alternatives():
    two = estimate().compare("b", adjust=None)["p_value"].to_numpy()
    greater = estimate().compare("b", adjust=None, alternative="greater")["p_value"].to_numpy()
    less = estimate().compare("b", adjust=None, alternative="less")["p_value"].to_numpy()
    np.testing.assert_allclose(greater + less, 1.0, rtol=1e-12)
    np.testing.assert_allclose(2 * np.minimum(greater, less), two, rtol=1e-12)
    with pytest.raises(es.InputError, match="alternative='both': choose one of two-sided"):
        estimate().compare(alternative="both")


def test_test_against_a_null_value():
    table = estimate().test(0.7, adjust="holm")
    z = (VALUE - 0.7) / np.sqrt(np.diag(COVARIANCE))
    np.testing.assert_allclose(table["statistic"], z, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(table["p_value"], 2 * stats.norm.sf(np.abs(z)), rtol=1e-12)
    np.testing.assert_allclose(table["p_adjusted"], oracle.holm(table["p_value"].to_numpy()))
    assert table["null"].unique().to_list() == [0.7]


def test_t_reference_with_clusters():
    few = estimate(df=np.full(4, 12.0)).compare("b", adjust=None).row(0, named=True)
    assert few["p_value"] == pytest.approx(2 * stats.t.sf(few["statistic"], 12), rel=1e-12)
    half = stats.t.ppf(0.975, 12) * few["standard_error"]
    assert few["ci_high"] - few["estimate"] == pytest.approx(half, rel=1e-12)


def test_welch_satterthwaite_between_independent_samples():
    independent = estimate(
        VALUE[:2],
        np.diag([0.0004, 0.0009]),
        sample=np.array([0, 1]),
        residual_df=np.array([11.0, 24.0]),
        n=np.array([12, 25]),
    )
    row = independent.compare(adjust=None).row(0, named=True)
    df = 0.0013**2 / (0.0004**2 / 11 + 0.0009**2 / 24)
    t = 0.05 / np.sqrt(0.0013)
    assert row["p_value"] == pytest.approx(2 * stats.t.sf(t, df), rel=1e-12)
    assert row["n"] == 37


def test_joint_test_is_wald_with_the_rank_of_the_covariance():
    row = estimate().joint_test().row(0, named=True)
    differences = np.array([[1, -1, 0, 0], [0, 1, -1, 0], [0, 0, 1, -1]])
    d = differences @ VALUE
    statistic = d @ np.linalg.solve(differences @ COVARIANCE @ differences.T, d)
    assert row["statistic"] == pytest.approx(statistic, rel=1e-9)
    assert row["df"] == 3
    assert row["p_value"] == pytest.approx(stats.chi2.sf(statistic, 3), rel=1e-9)
    doubled = np.array([[1.0, 0], [0, 1], [0, 1]])
    twins = estimate(VALUE[[0, 1, 1]], doubled @ np.diag([1e-4, 2e-4]) @ doubled.T)
    assert twins.joint_test()["df"][0] == 1


def test_zero_variance_with_a_difference_is_undefined():
    fixed = estimate(VALUE[:2], np.full((2, 2), 1e-4))
    with pytest.warns(es.EvalstatsWarning, match=r"\[degenerate-variance\]"):
        row = fixed.compare().row(0, named=True)
    assert np.isnan(row["p_value"])
    assert row["estimate"] == pytest.approx(0.05)


def test_bootstrap_p_values_are_centred_and_never_zero(rng):
    replicates = VALUE + rng.normal(size=(999, 4)) @ LOADING.T
    resampled = estimate(replicates=replicates, interval=("percentile",) * 4)
    table = resampled.compare(adjust=None)
    assert table["p_value"].min() >= 1 / 1000
    analytic = estimate().compare(adjust=None)["p_value"]
    np.testing.assert_allclose(table["p_value"], analytic, atol=0.05)


def test_comparison_is_within_the_other_columns():
    terms = pl.DataFrame(
        {"metric": ["m"] * 4, "model": ["a", "b", "a", "b"], "group": ["x", "x", "y", "y"]}
    )
    table = estimate().__class__(**{**vars(estimate()), "terms": terms})
    by_model = table.compare(adjust=None)
    assert list(zip(by_model["model"], by_model["group"], strict=True)) == [("a", "x"), ("a", "y")]
    by_group = table.compare(terms="group", adjust=None)
    assert by_group["estimate"].to_list() == pytest.approx([0.10, 0.06])
    assert by_group["reference"].to_list() == ["y", "y"]
    with pytest.raises(es.InputError, match="terms='site' is no column of the terms"):
        table.compare(terms="site")


def test_nothing_to_compare():
    with pytest.raises(es.InputError, match="only one term per metric: nothing to compare"):
        estimate(VALUE[:1], COVARIANCE[:1, :1]).compare()
    with pytest.raises(es.InputError, match=r"reference='A' is no model: .*'a', 'b', 'c', 'd'"):
        estimate().compare("A")
    near = Estimate(
        **{**vars(estimate()), "terms": pl.DataFrame({"model": ["resnet", "vit", "x", "y"]})}
    )
    with pytest.raises(es.InputError, match="did you mean 'resnet'"):
        near.compare("resnets")


@pytest.mark.parametrize("kind", ["percentile", "basic", "bias_corrected", "bca"])
def test_an_undefined_term_leaves_the_other_comparisons_alone(kind, rng):
    """Average precision of large objects may be undefined where that of all objects is not."""
    drawn = rng.multivariate_normal(VALUE[:3], COVARIANCE[:3, :3], 400)

    def made(k, blank):
        value, replicates = np.append(VALUE[:k], np.full(blank, np.nan)), drawn[:, :k]
        covariance = np.full((k + blank, k + blank), np.nan)
        covariance[:k, :k] = COVARIANCE[:k, :k]
        skewness = np.full((k + blank,) * 3, np.nan)
        skewness[:k, :k, :k] = 1e-7
        support = {
            "bias": value - np.nan_to_num(value) + 0.001,
            "skewness": skewness,
            "influence_covariance": covariance,
        }
        columns = [replicates, np.full((400, blank), np.nan)]
        options = {"replicates": np.hstack(columns), "support": support}
        return estimate(value, covariance, interval=(kind,) * (k + blank), **options)

    expected = made(3, 0).compare("a")
    found = made(3, 1).compare("a")
    numbers = ["estimate", "standard_error", "ci_low", "ci_high", "p_value"]
    np.testing.assert_allclose(found[numbers][:2], expected[numbers], rtol=1e-12)
    assert np.isnan(found[numbers][2].to_numpy()).all()


def test_undefined_replicates_are_no_evidence():
    replicates = np.tile([0.5, 0.5], (99, 1))
    replicates[:50] = np.nan
    options = {"replicates": replicates, "interval": ("percentile",) * 2}
    table = estimate([0.5, 0.5], np.eye(2) / 100, **options).compare()
    assert table["p_value"].to_list() == [1.0]


@pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
def test_a_detector_does_not_differ_from_itself():
    """Two equal result files of images without large objects: no size class may show a test."""
    truth = {
        "images": [{"id": i, "width": 100, "height": 100} for i in range(12)],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {
                "id": i,
                "image_id": i,
                "category_id": 1,
                "bbox": [5, 5, 20, 20],
                "area": 400,
                "iscrowd": 0,
            }
            for i in range(12)
        ],
    }
    found = [
        {"image_id": i, "category_id": 1, "bbox": [5 + i % 4, 5, 20, 20], "score": 0.5 + i / 100}
        for i in range(12)
    ]
    inference = es.Bootstrap(50, rng=0)
    fitted = es.AveragePrecision(inference=inference).fit(truth, {"a": found, "b": found})
    table = fitted.estimate_.compare()
    undefined = table["estimate"].is_nan()
    assert 0 < undefined.sum() < table.height
    assert set(table.filter(~undefined)["p_value"]) == {1.0}
    assert table.filter(undefined)["p_value"].is_nan().all()
