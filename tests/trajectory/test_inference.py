"""Influence, clusters, paired tests and sources of error of the trajectory scores."""

import numpy as np
import polars as pl
import pytest

import evalstats as es
from evalstats.trajectory.distance_kernels import path_distance

quiet = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
NONE = es.NoInference()


@quiet
def test_influence_of_every_score_is_its_derivative(crowd, rng):
    truth, samples, scene = crowd
    for level in ("scene", "pooled", "cell", "track"):
        estimator = es.TrajectoryScores(amv_level=level, length_unit="m")
        weight = rng.uniform(0.5, 2.0, 20)
        columns = estimator._columns(
            {"trajectory": truth, "samples": samples, "scene": scene}, sample_weight=weight
        )
        prepared = estimator._prepare(columns)
        influence = estimator._influence(prepared, weight)
        for row in range(20):
            step = 1e-5 * (np.arange(20) == row)
            up, down = (estimator._evaluate(prepared, weight + s * step) for s in (1, -1))
            np.testing.assert_allclose(influence[row], (up - down) / 2e-5, atol=1e-7)


@quiet
def test_default_clusters(crowd):
    truth, samples, scene = crowd
    track = np.arange(20) % 7
    start = np.repeat([0, 3, 6, 9, 12], [2, 4, 3, 5, 6])

    def clusters(**options):
        estimate = es.AMD(window_length=6).fit(truth, samples, **options).estimate_
        return estimate.n_clusters, [note for note in estimate.notes if "Clusters are" in note]

    assert clusters() == (None, [])
    assert clusters(scene=scene)[0] == 5
    assert clusters(scene=scene, track=track)[0] == 7
    count, note = clusters(scene=scene, track=track, start=start)
    assert count == 2
    assert note == ["Clusters are blocks of 12 frames (from start=)."]
    # About 20 blocks of whole windows: 400 frames hold 3 windows of 6 frames each 22 times.
    count, note = clusters(start=21 * np.arange(20))
    assert (count, note) == (20, ["Clusters are blocks of 18 frames (from start=)."])
    assert clusters(start=np.arange(20) // 2)[1] == [
        "Clusters are blocks of 6 frames (from start=)."
    ]
    assert clusters(scene=scene, cluster=scene % 2) == (2, [])


@pytest.mark.filterwarnings("ignore:.few-clusters")
def test_overlapping_windows_are_warned_about(crowd):
    truth, samples, scene = crowd
    options = {"scene": scene, "start": 10 + 2 * scene}
    estimator = es.AMD(window_length=6)
    with pytest.warns(es.EvalstatsWarning, match=r"\[overlapping-windows\] 4 of 4 successive"):
        estimator.fit(truth, samples, **options, cluster=scene)
    with pytest.warns(es.EvalstatsWarning) as caught:
        estimator.fit(truth, samples, **options)
    assert not any("overlapping-windows" in str(item.message) for item in caught)


@quiet
def test_paired_tests(crowd):
    truth, samples, scene = crowd
    scores = es.TrajectoryScores(scores=["AMD", "AMV", "energy score"])
    scores.fit(truth, samples, scene, start=10 * scene)
    table = scores.permutation_test("a", "b", n_resamples=199)
    compared = scores.estimate_.compare("a").filter(model="b")
    np.testing.assert_allclose(table["estimate"], compared["estimate"], rtol=1e-12)
    assert table["n_units"].to_list() == [5] * 3
    # With 5 clusters there are 2^5 exchanges, and at least two are as extreme.
    assert (table["p_value"] >= 1 / 32).all()
    with pytest.raises(es.InputError, match="at least 10 windows"):
        scores.diebold_mariano()
    with pytest.raises(es.InputError, match="model='c' is no model"):
        scores.permutation_test(model="c")


@quiet
def test_diebold_mariano_without_lags_is_the_t_test(rng):
    from scipy.stats import ttest_1samp

    truth = rng.normal(size=(2, 40, 2))
    samples = {name: rng.normal(size=(50, 2, 40, 2)) * s for name, s in (("a", 1), ("b", 1.5))}
    amd = es.AMD(max_components=1).fit(truth, samples, start=np.arange(40))
    cells = amd.cells().group_by("model", "agent").agg(pl.col("distance").mean()).sort("agent")
    a, b = (cells.filter(model=name)["distance"].to_numpy() for name in ("a", "b"))
    row = amd.diebold_mariano(reference="b", model="a", lags=0).row(0, named=True)
    expected = ttest_1samp(a - b, 0.0)
    assert row["estimate"] == pytest.approx((a - b).mean(), rel=1e-12)
    assert row["statistic"] == pytest.approx(expected.statistic, rel=1e-10)
    assert row["p_value"] == pytest.approx(expected.pvalue, rel=1e-8)


@quiet
def test_sources_of_error(crowd):
    truth, samples, scene = crowd
    amd = es.AMD().fit(truth, samples, scene)
    table = amd.error_sources(n_groups=5, n_starts=3)
    assert table["source"].to_list() == ["finite data"] * 2 + ["finite K"] * 2 + ["EM starts"] * 2
    assert (table["standard_error"] >= 0).all()
    finite_k = table.filter(source="finite K")["standard_error"]
    assert (finite_k > 0).all()
    with pytest.raises(es.InputError, match="too few to leave out one of 2 groups"):
        es.AMV().fit(truth[:, :4], samples["a"][:7, :, :4]).error_sources(n_groups=2)


@quiet
def test_mixture_is_the_one_that_was_measured(crowd):
    truth, samples, _ = crowd
    amd = es.AMD(fit="robust", inference=NONE).fit(truth, samples)
    row = amd.cells().sort("n_components").row(-1, named=True)
    cell = amd.mixture(row["model"], row["agent"], row["step"])
    centre = cell["weights"] @ cell["means"]
    value = path_distance(
        len(cell["weights"]),
        cell["weights"],
        cell["means"],
        cell["covariances"],
        centre,
        cell["truth"],
        False,
        False,
    )
    assert value == pytest.approx(row["distance"], rel=1e-9)
    np.testing.assert_allclose(centre, cell["samples"].mean(axis=0), rtol=1e-9)
    with pytest.raises(es.InputError, match="step=9 of agent 0 is no step that counts"):
        amd.mixture("a", 0, 9)
