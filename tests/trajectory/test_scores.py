"""Definitions, invariances, weights, masks, inference and refusals of the trajectory scores."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evalstats as es
from evalstats.trajectory import scored
from evalstats.trajectory.distance_kernels import log_erf_difference, path_distance
from evalstats.trajectory.em_kernels import exponentials
from tests.oracles import trajectory as oracle

quiet = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
NONE = es.NoInference()


@pytest.fixture
def crowd(rng):
    """3 steps of 20 agents in 5 scenes, K = 60, and a second model."""
    truth = rng.normal(size=(3, 20, 2)).cumsum(axis=0)
    first = truth + 0.5 * rng.normal(size=truth.shape) + rng.normal(size=(60, *truth.shape))
    second = truth + 0.9 * rng.normal(size=truth.shape) + rng.normal(size=(60, *truth.shape))
    return truth, {"a": first, "b": second}, np.repeat(np.arange(5), [2, 4, 3, 5, 6])


# Definitions ------------------------------------------------------------------------------------


@given(st.integers(0, 10**6), st.booleans())
@settings(max_examples=40)
def test_distance_integrates_along_the_path(seed, density):
    rng = np.random.default_rng(seed)
    k, d = int(rng.integers(1, 4)), int(rng.integers(1, 4))
    weights = rng.dirichlet(np.ones(k))
    means = rng.normal(size=(k, d))
    roots = rng.normal(size=(k, d, d))
    covariances = roots @ roots.swapaxes(1, 2) + 0.1 * np.eye(d)
    truth = rng.normal(size=d)
    ours = path_distance(k, weights, means, covariances, weights @ means, truth, density, False)
    expected = oracle.path_distance(weights, means, covariances, truth, density=density)
    assert ours == pytest.approx(expected, rel=1e-7)


def test_log_erf_difference_far_on_one_side():
    from scipy.special import log_ndtr

    for low, high in ((30.0, 31.0), (-31.0, -30.0), (5.0, 5.0 + 1e-9), (-0.3, 0.4), (200.0, 900.0)):
        a, b = (high, low) if high <= 0 else (-low, -high)
        if low < 0 < high:
            from math import erf, log

            expected = log(erf(high) - erf(low))
        else:
            upper, lower = log_ndtr(np.sqrt(2) * a), log_ndtr(np.sqrt(2) * b)
            expected = np.log(2) + upper + np.log(-np.expm1(lower - upper))
        tolerance = 1e-6 if high - low < 1e-6 else 1e-10
        assert log_erf_difference(high, low) == pytest.approx(expected, rel=tolerance)


def test_exponential_is_exact_to_the_last_digit(rng):
    values = -rng.exponential(100.0, 64)
    values[0], values[1] = 0.0, -699.9
    expected = np.exp(values)
    shift = np.empty(64)
    exponentials(values, shift, shift.view(np.int64))
    np.testing.assert_allclose(values, expected, rtol=4e-16)


@quiet
def test_amd_is_the_mean_of_scene_means(crowd):
    truth, samples, scene = crowd
    amd = es.AMD(max_components=1, inference=NONE).fit(truth, samples, scene)
    for value, drawn in zip(amd.estimate_.value, samples.values(), strict=True):
        assert value == pytest.approx(oracle.amd_of_gaussians(truth, drawn, scene, 1e-6), rel=1e-12)


@quiet
def test_energy_and_variogram_scores(rng):
    truth, samples = rng.normal(size=(2, 1, 2)), rng.normal(size=(70, 2, 1, 2))
    probability = rng.random(70)
    flat, y = samples[:, :, 0].reshape(70, 4), truth[:, 0].ravel()
    for fair in (False, True):
        scores = es.TrajectoryScores(
            scores=["energy score", "path energy score", "variogram score"],
            fair=fair,
            inference=NONE,
        )
        value = scores.fit(truth, samples).estimate_.value
        cell = np.mean(
            [oracle.energy_score(samples[:, t, 0], truth[t, 0], fair=fair) for t in (0, 1)]
        )
        expected = [cell, oracle.energy_score(flat, y, fair=fair), oracle.variogram_score(flat, y)]
        np.testing.assert_allclose(value, expected, rtol=1e-10)
        weighted = scores.fit(truth, es.WeightedSamples(samples, probability)).estimate_.value
        expected = oracle.energy_score(flat, y, fair=fair, weights=probability)
        assert weighted[1] == pytest.approx(expected, rel=1e-10)


def test_energy_score_is_crps_in_one_dimension(rng):
    truth, samples = rng.normal(size=(2, 9, 1)), rng.normal(size=(130, 2, 9, 1))
    scores = es.TrajectoryScores(scores=["energy score", "CRPS"], inference=NONE)
    value = scores.fit(truth, samples).estimate_.value
    assert value[0] == pytest.approx(value[1], rel=1e-12)


def test_calibrated_gaussian_has_its_expected_distance(rng):
    truth, samples = rng.normal(size=(1, 4000, 2)), rng.normal(size=(400, 1, 4000, 2))
    corrected = es.AMD(small_sample=True, max_components=1).fit(truth, samples).estimate_
    low, high = corrected.confidence_interval(0.999)
    assert low[0] < np.sqrt(np.pi / 2) < high[0]


@quiet
def test_small_sample_correction_removes_most_of_the_bias(rng):
    truth = rng.normal(size=(1, 4000, 2)) * 3
    samples = rng.normal(size=(10, 1, 4000, 2))
    exact = np.linalg.norm(truth, axis=2).mean()
    plain = es.AMD(inference=NONE, max_components=1).fit(truth, samples).estimate_.value[0]
    corrected = es.AMD(inference=NONE, max_components=1, small_sample=True).fit(truth, samples)
    assert abs(corrected.estimate_.value[0] - exact) < 0.3 * abs(plain - exact)


# Invariances ------------------------------------------------------------------------------------


@quiet
def test_affine_maps_do_not_change_amd(rng):
    truth = rng.normal(size=(2, 12, 2))
    modes = np.where(rng.random((150, 2, 12, 1)) < 0.4, 3.0, -3.0)
    samples = modes + rng.normal(size=(150, 2, 12, 2))
    root, shift = np.array([[2.0, 0.7], [-0.4, 1.3]]), np.array([5.0, -7.0])
    for fit in ("reference", "robust"):
        still = es.AMD(fit=fit, reg_covar=1e-12, inference=NONE).fit(truth, samples)
        assert (still.cells()["n_components"] > 1).any()
        moved = es.AMD(fit=fit, reg_covar=1e-12, inference=NONE)
        if fit == "robust":
            moved.fit(truth @ root.T + shift, samples @ root.T + shift)
        else:
            moved.fit(truth + shift, samples + shift)
        assert moved.estimate_.value[0] == pytest.approx(still.estimate_.value[0], rel=1e-4)


@quiet
def test_far_origins_cost_no_digits(crowd):
    truth, samples, scene = crowd
    far = {name: drawn + 1e4 for name, drawn in samples.items()}
    for cls in (es.AMD, es.AMV):
        near = cls(inference=NONE).fit(truth, samples, scene).estimate_.value
        np.testing.assert_allclose(
            cls(inference=NONE).fit(truth + 1e4, far, scene).estimate_.value, near, rtol=1e-7
        )


@quiet
def test_same_bits_in_any_chunks_and_order(crowd, monkeypatch, rng):
    truth, samples, scene = crowd
    samples = {"a": samples["a"] + 4 * (rng.random((60, 1, 1, 1)) < 0.5)}
    whole = es.AMD(inference=NONE).fit(truth, samples, scene)
    order = rng.permutation(20)
    mixed = es.AMD(inference=NONE).fit(truth[:, order], {"a": samples["a"][:, :, order]})
    columns = ("distance", "bic", "n_components")
    frame = mixed.cells().with_columns(pl.Series("agent", order[mixed.cells()["agent"].to_numpy()]))
    assert frame.sort("agent", "step").select(columns).equals(whole.cells().select(columns))
    for numbers in (1, 1000):
        monkeypatch.setattr(scored, "CHUNK_NUMBERS", numbers)
        monkeypatch.setattr(scored, "FIT_WORK", 10**6)
        again = es.AMD(inference=NONE).fit(truth, samples, scene)
        assert again.cells().equals(whole.cells())


@quiet
@pytest.mark.parametrize("axes", ["TAKD", "AKTD", "DKTA"])
def test_axes_are_named(crowd, axes):
    truth, samples, scene = crowd
    expected = es.amd_amv(truth, samples["a"], scene=scene)
    drawn = np.einsum(f"KTAD->{axes}", samples["a"])
    moved = np.einsum(f"TAD->{axes.replace('K', '')}", truth)
    assert es.amd_amv(moved, drawn, scene=scene, axes=axes) == expected


@quiet
@pytest.mark.parametrize("layout", ["float32", "big-endian", "Fortran", "read-only", "mapped"])
def test_layouts_of_arrays(crowd, layout, tmp_path):
    truth, samples, scene = crowd
    drawn = samples["a"].astype(np.float32).astype(np.float64)
    expected = es.amd_amv(truth, drawn, scene=scene)
    np.save(tmp_path / "samples.npy", drawn)
    arranged = {
        "float32": drawn.astype(np.float32),
        "big-endian": drawn.astype(">f8"),
        "Fortran": np.asfortranarray(drawn),
        "read-only": drawn.copy(),
        "mapped": np.load(tmp_path / "samples.npy", mmap_mode="r"),
    }[layout]
    if layout == "read-only":
        arranged.flags.writeable = False
    assert es.amd_amv(truth, arranged, scene=scene) == expected


# Weights, masks, groups, ragged input -------------------------------------------------------------


@quiet
def test_scene_weights_count_whole_scenes(crowd):
    """A scene of weight 2 counts twice, whatever its size; within a scene weights average."""
    truth, samples, scene = crowd
    weight = np.where(scene == 3, 2.0, 1.0)
    amd = es.AMD(inference=es.Bootstrap(n_resamples=200, rng=0)).fit(truth, samples, scene)
    values = amd.scenes().filter(model="a")["estimate"].to_numpy()
    assert amd.estimate_.value[0] == pytest.approx(values.mean(), rel=1e-12)
    # Replicates re-weight whole scenes: each is a mean of scene values with counts.
    replicates = amd.estimate_.replicates[:, 0]
    assert replicates.min() >= values.min()
    assert replicates.max() <= values.max()
    reweighted = es.AMD(inference=NONE).fit(truth, samples, scene, sample_weight=weight)
    assert reweighted.estimate_.value[0] == pytest.approx(values.mean(), rel=1e-12)


@quiet
def test_masks_equal_absent_cells(crowd, rng):
    truth, samples, scene = crowd
    mask = rng.random((3, 20)) < 0.7
    mask[0] = True
    holed = truth.copy()
    holed[~mask] = np.nan
    masked = es.AMD(inference=NONE).fit(holed, samples, scene, mask=mask)
    ragged = es.AMD(inference=NONE).fit(
        [truth[mask[:, a], a] for a in range(20)],
        {name: [drawn[:, mask[:, a], a] for a in range(20)] for name, drawn in samples.items()},
        scene,
    )
    np.testing.assert_allclose(masked.estimate_.value, ragged.estimate_.value, rtol=1e-13)
    assert masked.cells().height == 2 * mask.sum()
    assert es.TrajectoryScores().fit(truth, samples, scene, mask=mask).estimate_.n_units == 20


@quiet
def test_ragged_numbers_of_samples(crowd):
    truth, samples, _ = crowd
    drawn = [samples["a"][: 20 + a, :, a] for a in range(20)]
    fitted = es.AMD(inference=NONE).fit([truth[:, a] for a in range(20)], {"a": drawn})
    alone = [es.amd_amv(truth[:, [a]], samples["a"][: 20 + a, :, [a]])[0] for a in range(20)]
    assert fitted.estimate_.value[0] == pytest.approx(np.mean(alone), rel=1e-12)


@quiet
def test_long_and_nested_frames(crowd):
    truth, samples, scene = crowd
    expected = es.AMD().fit(truth, samples, scene).estimate_
    nested = pl.DataFrame(
        {
            "truth": truth.transpose(1, 0, 2),
            **{name: drawn.transpose(2, 0, 1, 3) for name, drawn in samples.items()},
            "scene": scene,
        }
    )
    found = es.AMD().fit("truth", ["a", "b"], "scene", data=nested).estimate_
    np.testing.assert_array_equal(found.value, expected.value)
    t, a = (grid.ravel() for grid in np.indices(truth.shape[:2]))
    true = pl.DataFrame({"scene": scene[a], "agent": a, "step": t})
    true = true.with_columns(x=pl.Series(truth[t, a, 0]), y=pl.Series(truth[t, a, 1]))
    parts = []
    for name, drawn in samples.items():
        k, t, a = (grid.ravel() for grid in np.indices(drawn.shape[:3]))
        part = pl.DataFrame({"scene": scene[a], "agent": a, "step": t, "sample": k})
        parts.append(
            part.with_columns(
                pl.lit(name).alias("model"),
                x=pl.Series(drawn[k, t, a, 0]),
                y=pl.Series(drawn[k, t, a, 1]),
            )
        )
    long = pl.concat(parts).sample(fraction=1.0, shuffle=True, seed=1)
    arguments = es.forecasts_from_frame(long, true, scene="scene", model="model")
    found = es.AMD().fit(**arguments).estimate_
    order = [found.terms["model"].to_list().index(name) for name in samples]
    np.testing.assert_allclose(found.value[order], expected.value, rtol=1e-12)
    with pytest.raises(es.InputError, match="frame has no column 'height'"):
        es.forecasts_from_frame(long, true, position=("x", "height"), model="model")
    with pytest.raises(es.InputError, match="frame has several rows for"):
        es.forecasts_from_frame(pl.concat([long, long[:1]]), true, scene="scene", model="model")
    with pytest.raises(es.InputError, match="do not have the 3 steps"):
        es.forecasts_from_frame(long[1:], true, scene="scene", model="model")
    with pytest.raises(es.InputError, match="'a' has no samples of"):
        es.forecasts_from_frame(
            long.filter((pl.col("agent") != 3) | (pl.col("model") != "a")),
            true,
            scene="scene",
            model="model",
        )


@quiet
def test_states_of_parts_with_clusters(crowd):
    truth, samples, scene = crowd
    whole = es.TrajectoryScores().fit(truth, samples, scene).estimate_
    estimator = es.TrajectoryScores()
    parts = []
    for keep in (scene < 2, scene >= 2):
        drawn = {name: values[:, :, keep] for name, values in samples.items()}
        parts.append(estimator.partial(truth[:, keep], drawn, scene[keep]))
    merged = estimator.finalize(estimator.merge(*parts))
    np.testing.assert_allclose(merged.value, whole.value, rtol=1e-12)
    np.testing.assert_allclose(merged.standard_error, whole.standard_error, rtol=1e-9)
    assert merged.n_clusters == 5


# Inference ----------------------------------------------------------------------------------------


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


# Refusals and warnings ----------------------------------------------------------------------------


def refused(message, estimator=None, **changes):
    rng = np.random.default_rng(0)
    arguments = {
        "trajectory": rng.normal(size=(2, 5, 2)),
        "samples": rng.normal(size=(60, 2, 5, 2)),
        **changes,
    }
    with pytest.raises(es.InputError, match=message):
        (estimator or es.AMD()).fit(**arguments)


def holed(shape, place, value):
    array = np.zeros(shape)
    array[place] = value
    return array


def test_refusals():
    refused(
        r"trajectory has 1 missing value \(first in row 3\)",
        trajectory=holed((2, 5, 2), (1, 3, 0), np.nan),
    )
    refused(
        "trajectory has 1 infinite or missing values in one agent .first in row 3",
        trajectory=holed((2, 5, 2), (1, 3, 0), np.inf),
    )
    refused(
        r"samples has 1 missing value \(first in row 4\)",
        samples=holed((60, 2, 5, 2), (7, 1, 4, 0), np.nan),
    )
    refused("samples has 3 samples in row 0: at least 4", samples=np.zeros((3, 2, 5, 2)))
    refused(
        "samples must have one column per model: 4 axes in the order KTAD",
        samples=np.zeros((60, 2, 5)),
    )
    refused("a single coordinate is an axis of length 1", trajectory=np.zeros((2, 5)))
    refused(
        "samples has 3 steps of 2 coordinates in row 0, the trajectory 2 of 2",
        samples=np.zeros((60, 3, 5, 2)),
    )
    refused("samples has 6 rows but trajectory has 5", samples=np.zeros((60, 2, 6, 2)))
    refused("scene has 4 rows but trajectory has 5", scene=[0, 0, 1, 1])
    refused("trajectory is empty", trajectory=np.zeros((2, 0, 2)))
    refused("sample_weight is -1.0 in row 0", sample_weight=-np.ones(5))
    refused("mask leaves no cell in row 2", mask=np.arange(5) != 2 * np.ones((2, 1)))
    refused("mask has shape", mask=np.ones((3, 5), dtype=bool))
    refused("start is 0.5 in row 1", start=[0, 0.5, 1, 2, 3])
    refused("axes='KTA'", es.AMD(axes="KTA"))
    refused("fit='best': choose 'reference' or 'robust'", es.AMD(fit="best"))
    refused("compat='old'", es.AMD(compat="old"))
    refused("amv_level='scenes'", es.AMV(amv_level="scenes"))
    refused("reg_covar=0", es.AMV(reg_covar=0))
    refused("max_components=0", es.AMD(max_components=0))
    refused("window_length=0", es.AMD(window_length=0))
    refused("scores: 'ADE20' is unknown", es.TrajectoryScores(scores=["ADE20"]))
    refused(
        "'joint minADE' is of whole scenes: pass scene=",
        es.TrajectoryScores(scores=["joint minADE"]),
    )
    refused(
        "samples is a masked array|samples.* is a masked",
        samples=np.ma.MaskedArray(np.zeros((60, 2, 5, 2)), mask=False),
    )


def test_refused_mixtures_and_probabilities():
    weights, means = np.ones((1, 2, 5)), np.zeros((1, 2, 5, 2))
    good = np.tile(np.eye(2), (1, 2, 5, 1, 1))
    refused(
        "a covariance is not positive definite", samples=es.GaussianMixtures(weights, means, -good)
    )
    refused("all mixture weights are 0", samples=es.GaussianMixtures(0 * weights, means, good))
    refused("covariances has shape", samples=es.GaussianMixtures(weights, means, good[:, :1]))
    refused(
        "mixtures have AMD and AMV only",
        es.TrajectoryScores(),
        samples=es.GaussianMixtures(weights, means, good),
    )
    refused(
        "negative, not finite or all zero",
        samples=es.WeightedSamples(np.zeros((60, 2, 5, 2)), -np.ones(60)),
    )
    refused(
        "probability has shape", samples=es.WeightedSamples(np.zeros((60, 2, 5, 2)), np.ones(7))
    )


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("coincident-samples", lambda s: 0 * s + 0.3),
        ("regularised-cells", lambda s: 1e-5 * s),
        ("few-samples", lambda s: s[:20]),
        ("unequal-samples", lambda s: {"a": s, "b": s[:55]}),
        (
            "components-at-cap",
            lambda s: s / 9 + 10 * ((np.arange(60) % 4) ** 2).reshape(-1, 1, 1, 1),
        ),
    ],
)
def test_warnings(code, change, rng):
    samples = change(rng.normal(size=(60, 2, 5, 2)))
    with pytest.warns(es.EvalstatsWarning) as caught:
        es.AMD(inference=NONE).fit(np.zeros((2, 5, 2)), samples)
    assert any(f"[{code}]" in str(item.message) for item in caught)


def test_static_agents_depend_on_the_unit():
    """100 coincident samples 0.1 m from the truth are 100 standard deviations of 1 mm away."""
    samples = np.full((100, 1, 1, 2), 0.1)
    samples[..., 1] = 0.0
    with pytest.warns(es.EvalstatsWarning, match="coincident-samples"):
        fitted = es.AMD(inference=NONE).fit(np.zeros((1, 1, 2)), samples)
    assert fitted.estimate_.value[0] == pytest.approx(100.0, rel=1e-9)


@pytest.mark.filterwarnings("ignore:.covariance-rank")
def test_tied_eigenvalues_and_unit_dependence(crowd):
    truth, samples, _ = crowd
    noise = np.random.default_rng(0).normal(size=(400, 1, 50, 2))
    with pytest.warns(es.EvalstatsWarning, match=r"\[eigenvalue-tie\]"):
        es.AMV(amv_level="pooled").fit(np.zeros((1, 50, 2)), noise)
    with pytest.warns(es.EvalstatsWarning, match=r"\[unit-dependent\].* m\^2"):
        scores = es.TrajectoryScores(length_unit="m", scores=["AMD", "AMV"]).fit(truth, samples)
    value = scores.estimate_.value
    assert value[4] == pytest.approx((value[0] + value[1]) / 2)
    assert scores.estimate_.terms["metric"][4] == "(AMD+AMV)/2"


# Plots --------------------------------------------------------------------------------------------


@quiet
def test_plots_draw_the_numbers(crowd):
    from evalstats.results import displays

    truth, samples, scene = crowd
    scores = es.TrajectoryScores(scores=["AMD", "AMV"]).fit(truth, samples, scene)
    horizon = scores.horizon().to_frame()
    with pytest.raises(es.InputError, match="filter one metric"):
        displays.plot_horizon(horizon)
    axes = displays.plot_horizon(horizon.filter(metric="AMD"), expected=1.25)
    part = horizon.filter(metric="AMD", model="a")
    np.testing.assert_allclose(axes.lines[0].get_ydata(), part["estimate"])
    axes = displays.plot_distance_spread(scores.estimate_)
    value = scores.estimate_.value
    np.testing.assert_allclose(axes.lines[0].get_xydata()[0], [value[1], value[0]])
    with pytest.raises(es.InputError, match="lacks AMD or AMV of 'a'"):
        displays.plot_distance_spread(scores.estimate_.select(metric="AMD"))
    axes = displays.plot_distance_calibration(scores.cells())
    assert len(axes.lines) == 3
    drawn = displays.plot_cells([scores.mixture("a", 0, 1)], ["first"])
    assert len(drawn) == 1
    with pytest.raises(es.InputError, match="mixtures is empty"):
        displays.plot_cells([])


# Command line -------------------------------------------------------------------------------------


def command(capsys, *words):
    from evalstats.cli import app

    with pytest.raises(SystemExit) as left:
        app([str(word) for word in words])
    shown = capsys.readouterr()
    return left.value.code, shown.out + shown.err


@quiet
def test_npz_and_parquet_files(crowd, tmp_path, capsys):
    truth, samples, scene = crowd
    np.savez(tmp_path / "f.npz", gt=truth, a=samples["a"], b=samples["b"], scene=scene)
    options = ("--trajectory", "gt", "--samples", "a", "b", "--scene", "scene", "--format", "csv")
    code, shown = command(capsys, "amd", tmp_path / "f.npz", *options)
    assert code == 0
    expected = es.AMD().fit(truth, samples, scene).estimate_
    values = pl.read_csv(shown.encode(), n_rows=2)["estimate"].to_numpy()
    np.testing.assert_allclose(values, expected.value, rtol=1e-12)
    turned = samples["a"].transpose(2, 0, 1, 3)
    np.savez(tmp_path / "g.npz", gt=truth.transpose(1, 0, 2), a=turned, axes="AKTD")
    code, again = command(
        capsys, "amv", tmp_path / "g.npz", "--trajectory", "gt", "--samples", "a", "--format", "csv"
    )
    assert code == 0
    assert "AMV" in again
    pl.DataFrame({"gt": truth.transpose(1, 0, 2), "a": turned}).write_parquet(
        tmp_path / "h.parquet"
    )
    code, parquet = command(
        capsys,
        "amv",
        tmp_path / "h.parquet",
        "--trajectory",
        "gt",
        "--samples",
        "a",
        "--format",
        "csv",
    )
    assert (code, parquet) == (0, again)
    np.savez(tmp_path / "bad.npz", gt=truth, a=samples["a"][:, :, :7])
    code, shown = command(
        capsys, "amd", tmp_path / "bad.npz", "--trajectory", "gt", "--samples", "a"
    )
    assert code == 2
    assert "differ in their number of agents" in " ".join(shown.split())
