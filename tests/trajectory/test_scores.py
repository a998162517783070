"""Definitions, invariances, layouts, weights, masks and states of the trajectory scores."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evalstats as es
from evalstats.trajectory import chunks, scored
from evalstats.trajectory.distance_kernels import log_erf_difference, path_distance
from evalstats.trajectory.em_kernels import exponentials
from tests.oracles import trajectory as oracle

quiet = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
NONE = es.NoInference()


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
        monkeypatch.setattr(chunks, "CHUNK_NUMBERS", numbers)
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
def test_covariances_have_the_same_bits_in_every_layout(rng, monkeypatch):
    """In place, copied, agent by agent, tile by tile; equal to numpy's."""
    for d in (1, 2, 3):
        truth, samples = np.zeros((3, 9, d)), 1e4 + rng.normal(size=(40, 3, 9, d))

        def moments(given, truth=truth, **options):
            cells = es.AMV(inference=NONE, **options).fit(truth, given).cells()
            return cells.select("^covariance.*$").to_numpy()

        expected = moments(samples)
        plain = [
            np.cov(samples[:, t, a].T, ddof=0).reshape(d, d) for a in range(9) for t in range(3)
        ]
        upper = np.array(plain)[:, *np.triu_indices(d)]
        np.testing.assert_allclose(
            expected - 1e-6 * np.eye(d)[np.triu_indices(d)], upper, atol=1e-10
        )
        truths = [truth[:, a] for a in range(9)]
        separate = [samples[:, :, a].copy() for a in range(9)]
        np.testing.assert_array_equal(moments(separate, truths), expected)
        strided = np.repeat(samples, 2, axis=0)[::2]
        np.testing.assert_array_equal(moments(strided), expected)
        np.testing.assert_array_equal(moments(samples[::-1][::-1]), expected)
        padded = np.zeros((40, 3, 9, d + 1))
        padded[..., 1:] = samples
        np.testing.assert_array_equal(moments(padded[..., 1:]), expected)
        moved = samples.transpose(1, 2, 0, 3).copy()
        np.testing.assert_array_equal(moments(moved, axes="TAKD"), expected)
        moved = samples.transpose(3, 0, 1, 2).copy()
        np.testing.assert_array_equal(
            moments(moved, truth.transpose(2, 0, 1), axes="DKTA"), expected
        )
        with monkeypatch.context() as patched:
            patched.setattr("evalstats.trajectory.moments.TILE", 4)
            patched.setattr("evalstats.trajectory.moments.PIECE_NUMBERS", 200)
            np.testing.assert_array_equal(moments(samples), expected)


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


@pytest.mark.parametrize(("threshold", "rate"), [(50.0, 0), (0.0, 1)])
def test_a_miss_rate_without_variance_is_warned_about(rng, threshold, rate):
    truth, samples = np.zeros((2, 40, 2)), rng.normal(size=(10, 2, 40, 2))
    scores = es.TrajectoryScores(scores=["miss rate"], miss_threshold=threshold)
    with pytest.warns(es.EvalstatsWarning, match=rf"\[degenerate-variance\] miss rate {rate} of"):
        estimate = scores.fit(truth, samples).estimate_
    assert estimate.value[0] == rate
    assert "3 over the number of agents is compatible" in str(estimate)
