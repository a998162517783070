"""Rank tests against published results, scipy, and what must hold for any data."""

import warnings

import numpy as np
import polars as pl
import pytest
from scipy import stats

import evalstats as es
from evalstats.inference import block_tests, rank_tests


@pytest.fixture(scope="module")
def published(reference):
    frame = pl.read_parquet(reference / "aupimo" / "published_per_image.parquet")
    named = frame.with_columns(pl.col("model", "collection", "dataset").cast(pl.String))
    return es.rank_models(_blocks(named), unit="image_index", score="aupimo", block="block")


def _blocks(frame):
    return frame.with_columns(block=pl.concat_str("collection", "dataset", separator="/"))


def _published(reference, name):
    return _blocks(pl.read_parquet(reference / "aupimo" / f"{name}.parquet"))


def test_published_average_ranks(reference, published):
    recorded = _published(reference, "published_average_ranks").filter(group="all13")
    joined = published.average_ranks().join(recorded, on=["block", "model"], suffix="_recorded")
    assert joined.height == 351
    np.testing.assert_allclose(
        joined["average_rank"], joined["average_rank_recorded"], rtol=0, atol=1e-12
    )


@pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
@pytest.mark.parametrize("test", ["wilcoxon", "t"])
def test_published_confidences(reference, published, test):
    recorded = _published(reference, "published_pairwise_tests")
    ours = published.pairwise(test, protocol="aupimo-paper")
    joined = ours.join(
        recorded,
        left_on=["block", "model", "reference"],
        right_on=["block", "model_a", "model_b"],
    )
    assert joined.height == 2106
    column = {"wilcoxon": "wilcoxon_greater_confidence", "t": "ttest_greater_confidence"}[test]
    np.testing.assert_allclose(joined["confidence"], joined[column], rtol=0, atol=1e-12)
    if test == "wilcoxon":
        # 1866 in the published order: one pair of exactly tied ranks is taken the other way there.
        assert (ours["confidence"] >= 0.95).sum() == 1865


def test_holm_within_data_sets(published):
    assert (published.pairwise(zero=1e-3)["p_adjusted"] < 0.05).sum() == 1676
    assert (published.pairwise()["p_adjusted"] < 0.05).sum() == 1688


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 50, 121])
def test_hodges_lehmann_is_the_median_of_all_pairs(rng, n):
    first, second = np.triu_indices(n)
    for values in (
        rng.normal(size=n),
        rng.integers(-2, 3, n).astype(np.float64),
        np.zeros(n),
        rng.normal(size=n) ** 3 * 1e-300,
        np.where(rng.random(n) < 0.7, 0.0, rng.normal(size=n)),
    ):
        naive = np.median((values[first] + values[second]) / 2)
        assert rank_tests.hodges_lehmann(values) == naive


def test_hodges_lehmann_of_many_units(rng):
    half = np.abs(rng.normal(size=50_000))
    # Symmetric about 3 by construction, and 5e9 pairs would take 40 GB.
    shift = rank_tests.hodges_lehmann(np.concatenate([3 + half, 3 - half]))
    assert shift == pytest.approx(3, abs=1e-9)


def test_published_friedman(published):
    result = published.friedman()
    assert (result.n_blocks, result.n_models) == (27, 13)
    assert result.statistic == pytest.approx(161.69, abs=0.005)
    values = np.stack([scores.mean(axis=0) for scores in published.scores])
    assert result.statistic == pytest.approx(stats.friedmanchisquare(*values.T).statistic)
    # Demsar 2006, table 5a: q = 2.343 for 3 models.
    assert block_tests.critical_difference(1, 3) == pytest.approx(2.343 * np.sqrt(2), abs=2e-3)


def test_scipy_wilcoxon_and_t(rng):
    a, b = rng.normal(size=(2, 30))
    ranks = es.rank_models({"a": a, "b": b})
    for method in ("exact", "asymptotic"):
        row = ranks.pairwise(method=method).row(0, named=True)
        assert row["p_value"] == pytest.approx(stats.wilcoxon(a, b, method=method).pvalue)
        assert row["method"] == method
    t = ranks.pairwise("t").row(0, named=True)
    assert t["p_value"] == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert ranks.pairwise("sign-flip")["p_value"][0] == pytest.approx(t["p_value"], abs=0.03)


def test_shift_counts_and_estimands():
    row = es.rank_models({"a": [3.0, 1.0, 2.0], "b": [1.0, 1.0, 3.0]}).pairwise().row(0, named=True)
    assert (row["wins"], row["ties"], row["losses"]) == (1, 1, 1)
    assert row["estimate"] == pytest.approx(1 / 3)
    assert row["shift"] == pytest.approx(0.25)  # median of 2, 0, -1, 1, 0.5, -0.5
    assert row["rank_difference"] == 0.0


def test_size_under_the_null(rng):
    test = rank_tests.PairedTest()
    rejected = sum(test(rng.normal(size=25))[1] < 0.05 for _ in range(2000))
    assert 0.05 - 0.015 < rejected / 2000 < 0.05 + 0.015
    values = rng.normal(size=(1000, 20, 4))
    rejected = sum(block_tests.friedman_test(block).f_p_value < 0.05 for block in values[:300])
    assert rejected / 300 < 0.095


def test_all_zero_has_p_one():
    for test in rank_tests.TESTS:
        assert es.rank_models({"a": [1, 2, 3], "b": [1, 2, 3]}).pairwise(test)["p_value"][0] == 1.0


def test_direction_and_row_order(rng):
    scores = rng.random((20, 3)).round(1)
    ranks = rank_tests.average_ranks(scores)
    assert ranks.sum() == pytest.approx(6)
    flipped = rank_tests.average_ranks(-scores, higher_is_better=False)
    np.testing.assert_array_equal(ranks, flipped)
    np.testing.assert_allclose(ranks, rank_tests.average_ranks(scores[::-1]), atol=1e-14)


def test_hierarchical_bootstrap(rng):
    blocks = [rng.normal(i, 1, (30, 2)) for i in range(4)]
    drawn = block_tests.hierarchical_means(blocks, 2000, 7)
    np.testing.assert_array_equal(drawn, block_tests.hierarchical_means(blocks, 2000, 7))
    means = np.stack([block.mean(axis=0) for block in blocks])
    within = np.mean([block.var(axis=0) / 30 for block in blocks], axis=0)
    expected = np.sqrt((means.var(axis=0) + within) / 4)
    np.testing.assert_allclose(drawn.std(axis=0), expected, rtol=0.06)


def test_refusals():
    with pytest.raises(es.InputError, match="row 1 has NaN for 1 of 2 models"):
        es.rank_models({"a": [1.0, np.nan, 2.0], "b": [1.0, 2.0, 3.0]})
    assert es.rank_models({"a": [1, np.nan, 2], "b": [1, np.nan, 3]}).scores[0].shape == (2, 2)
    frame = pl.DataFrame({"unit": [1, 1], "model": ["a", "a"], "score": [1.0, 2.0]})
    with pytest.raises(es.InputError, match="row 1 repeats a unit"):
        es.rank_models(frame)
    two = es.rank_models({"a": [1, 2, 3], "b": [2, 2, 5]})
    with pytest.raises(es.InputError, match="at least 2 blocks and 3 models"):
        two.friedman()
    with pytest.raises(es.InputError, match="test='wilcox'"):
        two.pairwise("wilcox")
    with pytest.raises(es.InputError, match="needs block="):
        two.overall()
    with pytest.raises(es.InputError, match="fixes method"):
        two.pairwise(protocol="aupimo-paper", adjust="bh")


def test_diagram_joins_what_does_not_differ():
    from evalstats.results.rank_display import _groups

    assert _groups(np.array([1.0, 1.5, 2.4, 4.0]), 1.0) == [(0, 1), (1, 2)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        es.rank_models({"a": [1, 2, 3], "b": [2, 2, 5]}).plot()


def test_conover_by_rank_sums(rng):
    values = rng.random((12, 3)).round(1)
    ranks = stats.rankdata(values, axis=1)
    total = ranks.sum(axis=0)
    error = np.sqrt(2 * (12 * (ranks**2).sum() - (total**2).sum()) / (11 * 2))
    models = ["a", "b", "c"]
    frame = block_tests.post_hoc_tests(values, models, "conover", higher_is_better=False)
    assert frame["statistic"][0] == pytest.approx((total[0] - total[1]) / error)
