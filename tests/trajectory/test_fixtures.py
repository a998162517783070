"""Recorded results of the published code and of other implementations."""

import numpy as np
import pytest
from scipy import stats

import evalstats as es
from evalstats.trajectory.distance_kernels import path_distance

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
NONE = es.NoInference()


def load(reference, name):
    return np.load(reference / "trajectory" / f"{name}.npz")


def given(data):
    scene = np.repeat(np.arange(len(data["scene_ptr"]) - 1), np.diff(data["scene_ptr"]))
    return {
        "trajectory": data["gt"].astype(float),
        "samples": {"m": data["pred"].astype(float)},
        "scene": scene,
    }


def grid(frame, name, shape):
    """Values of cells() as (T, A)."""
    values = frame.sort("agent", "step")[name].to_numpy()
    return values.reshape(shape[1], shape[0]).T


REAL = ["real_eth_K100", "real_eth_K1000", "real_hotel_K1000", "real_zara1_K1000"]


@pytest.mark.parametrize("name", [*REAL, "ens_zara1_K300"])
def test_cells_with_one_component(reference, name):
    data = load(reference, name)
    frame = es.AMD(inference=NONE).fit(**given(data)).cells()
    shape = data["gt"].shape[:2]
    ours, m = grid(frame, "distance", shape), grid(frame, "n_components", shape)
    one = (data["n_components"] == 1).all(axis=0) & (m == 1)
    assert one.sum() > 0
    np.testing.assert_allclose(ours[one], data["amd_cell"][0][one], rtol=1e-12)
    np.testing.assert_allclose(grid(frame, "bic", shape)[one], data["bic"][0][one], rtol=1e-9)


@pytest.mark.parametrize("name", [*REAL, "ens_zara1_K300"])
def test_spread_of_every_scene(reference, name):
    data = load(reference, name)
    fitted = es.AMV(inference=NONE).fit(**given(data))
    table = data["scene_table"][0]
    np.testing.assert_allclose(fitted.scenes()["estimate"].to_numpy(), table[:, 3], rtol=1e-10)
    np.testing.assert_allclose(fitted.estimate_.value[0], table[:, 3].mean(), rtol=1e-10)


def test_published_numbers_of_eth(reference):
    """The mean over scenes is 3.048 and 0.1274 at K = 1000; at K = 100 AMD is biased upwards."""
    data = load(reference, "real_eth_K100")
    scores = es.TrajectoryScores(
        inference=NONE, scores=["AMD", "AMV", "KDE-NLL", "minADE", "minFDE"], fair=False
    ).fit(**given(data))
    table = data["scene_table"][0]
    agents = table[:, 1]
    expected = [
        *table[:, 2:5].mean(axis=0),
        *(table[:, 5:7] * agents[:, None]).sum(axis=0) / agents.sum(),
    ]
    np.testing.assert_allclose(scores.estimate_.value, expected, rtol=1e-9)
    ours = scores.scenes().filter(metric="KDE-NLL")["estimate"].to_numpy()
    np.testing.assert_allclose(ours, table[:, 4], rtol=1e-9, atol=1e-9)


def test_levels_of_the_spread_on_eth(reference):
    data = load(reference, "real_eth_K100")
    value = {
        level: es.AMV(amv_level=level, inference=NONE).fit(**given(data)).estimate_.value[0]
        for level in ("cell", "track", "scene", "pooled")
    }
    assert value["cell"] > value["track"] > value["pooled"]
    assert value["scene"] > value["pooled"]
    moments = es.AMV(inference=NONE).fit(**given(data)).cells().select("^covariance.*$").to_numpy()
    matrices = moments[:, [0, 1, 1, 2]].reshape(-1, 2, 2)
    roots = np.linalg.eigvalsh(matrices)[:, -1]
    assert value["cell"] == pytest.approx(roots.mean(), rel=1e-12)
    pooled = np.linalg.eigvalsh(matrices.mean(axis=0))[-1]
    assert value["pooled"] == pytest.approx(pooled, rel=1e-12)


def test_aggregates_of_eth(reference):
    data = load(reference, "real_eth_K100")
    by_cell = es.AMD(aggregate="cell", inference=NONE).fit(**given(data)).estimate_.value[0]
    assert by_cell == pytest.approx(data["amd_cell"][0].mean(), rel=1e-12)
    by_scene = es.AMD(inference=NONE).fit(**given(data)).estimate_.value[0]
    assert by_scene == pytest.approx(data["scene_table"][0][:, 2].mean(), rel=1e-12)
    assert by_scene - by_cell == pytest.approx(0.0055, abs=1e-4)


def test_reference_fit_within_the_spread_of_the_published_code(reference):
    data, more = load(reference, "ens_zara1_K300"), load(reference, "ens_zara1_K300_seeds")
    theirs = np.concatenate([data["amd_cell"], more["amd_cell"]])
    runs = []
    for rng in range(24):
        fitted = es.AMD(aggregate="cell", inference=NONE, rng=rng).fit(**given(data))
        runs.append(grid(fitted.cells(), "distance", data["gt"].shape[:2]))
    means, published = np.mean(runs, axis=(1, 2)), theirs.mean(axis=(1, 2))
    centre, spread = published.mean(), published.std(ddof=1)
    assert abs(means.mean() - centre) < 3 * spread * np.sqrt(1 / 24 + 1 / 5)
    # Starts move the mean as much as they move the published one: the 0.1 % points of the ratio
    # of variances with 23 and 4 degrees of freedom; and each run lies where a sixth one would.
    ratio = means.var(ddof=1) / spread**2
    assert stats.f.ppf(0.001, 23, 4) < ratio < stats.f.ppf(0.999, 23, 4)
    far = np.abs(means - centre) / (spread * np.sqrt(1 + 1 / 5))
    assert far.max() < stats.t.ppf(1 - 0.0005 / 24, 4)
    assert abs(means[0] - centre) < stats.t.ppf(0.975, 4) * spread * np.sqrt(1 + 1 / 5)
    deviation = np.abs(np.array(runs)[0] / theirs.mean(axis=0) - 1)
    assert np.median(deviation) < 0.01
    assert np.quantile(deviation, 0.9) < 0.06


def test_robust_fit_is_no_worse_than_the_best_run(reference):
    data, more = load(reference, "ens_zara1_K300"), load(reference, "ens_zara1_K300_seeds")
    best = np.concatenate([data["bic"], more["bic"]]).min(axis=0)
    fitted = es.AMD(fit="robust", aggregate="cell", inference=NONE).fit(**given(data))
    ours = grid(fitted.cells(), "bic", data["gt"].shape[:2])
    assert np.mean(ours <= best + 0.5) >= 0.99
    assert fitted.estimate_.value[0] == pytest.approx(2.241, abs=0.003)


def test_shifted_samples(reference):
    """AMV does not move at all, AMD as the published code's."""
    data = load(reference, "real_eth_K100")
    scenes = np.arange(0, 70, 7)
    arguments = given(data)
    kept = np.isin(arguments["scene"], scenes)
    truth, samples = arguments["trajectory"][:, kept], arguments["samples"]["m"][:, :, kept]
    scene = arguments["scene"][kept]
    still = es.AMV(inference=NONE).fit(truth, samples, scene).estimate_.value[0]
    for shift in ("-0.10", "-0.01", "+0.01", "+0.10"):
        moved = samples + float(shift)
        recorded = load(reference, f"shift_eth_K100_{shift}")["scene_table"][0]
        amd, amv = es.amd_amv(truth, moved, scene=scene)
        assert amd == pytest.approx(recorded[:, 2].mean(), rel=1e-10)
        assert amv == pytest.approx(still, rel=1e-12)


def test_given_mixtures(reference):
    data = load(reference, "ens_zara1_K300")
    truth = data["gt"].astype(float)
    t, a = truth.shape[:2]
    weights = np.zeros((t, a, 4))
    means, covariances = np.zeros((t, a, 4, 2)), np.tile(np.eye(2), (t, a, 4, 1, 1))
    start = data["scene_ptr"]
    for cell, (scene, step, agent) in enumerate(data["gmm_cell_index"]):
        k = int((data["gmm_weights"][cell] > 0).sum())
        place = int(step), int(start[scene] + agent)
        weights[place][:k] = data["gmm_weights"][cell][:k]
        means[place][:k] = data["gmm_means"][cell][:k]
        covariances[place][:k] = data["gmm_covs"][cell][:k]
    mixtures = es.GaussianMixtures(weights, means, covariances)
    fitted = es.AMD(axes="TAKD", compat="reference", inference=NONE).fit(truth, {"m": mixtures})
    ours = grid(fitted.cells(), "distance", (t, a))
    np.testing.assert_allclose(ours, data["amd_cell"][0], rtol=1e-8)


FAITHFUL = 1e-8


def formula(data, case, *, with_determinant=False, naive=False):
    d, k = int(data["dim"][case]), int(data["k"][case])
    weights = np.array(data["weights"][case, :k])
    means = np.ascontiguousarray(data["means"][case, :k, :d])
    covariances = np.ascontiguousarray(data["covs"][case, :k, :d, :d])
    truth = np.array(data["truth"][case, :d])
    centre = weights @ means
    return path_distance(
        k, weights, means, covariances, centre, truth, with_determinant, naive
    ), np.abs(centre - truth).sum()


def test_formula_in_exact_arithmetic(reference):
    data = load(reference, "formula_cases")
    for case in range(len(data["k"])):
        value, gap = formula(data, case)
        heavy, _ = formula(data, case, with_determinant=True)
        if gap < 1e-12:  # truth is the centre but for round-off
            assert value < 1e-10
            continue
        assert value == pytest.approx(data["exact_distance"][case], rel=1e-8)
        assert heavy == pytest.approx(data["exact_distance_with_det"][case], rel=1e-8)


def test_formula_of_the_published_code(reference):
    """Equal but where its differences of error functions cancel; 0 where its shares underflow."""
    data = load(reference, "formula_cases")
    n_zero = n_close = 0
    for case in range(len(data["k"])):
        value, gap = formula(data, case, naive=True)
        theirs, exact = data["ref_distance"][case], data["exact_distance"][case]
        if gap < 1e-12:
            continue
        if theirs == 0:
            assert np.isnan(value)
            n_zero += 1
        elif abs(theirs / exact - 1) < FAITHFUL:
            assert value == pytest.approx(theirs, rel=FAITHFUL)
            n_close += 1
    assert (n_zero, n_close) == (21, 130)


def test_worst_cells_are_not_perfect(reference):
    """Two tight modes with the truth off between them: 75.8, not 0."""
    data = load(reference, "synthetic_2d_n200")
    case = list(data["names"]).index("bimodal_tight_truth_perp")
    samples = data["samples"][slice(*data["ptr"][case : case + 2])].astype(float)
    arguments = (data["truth"][case].astype(float).reshape(1, 1, 2), samples[:, None, None, :])
    assert es.amd_amv(*arguments)[0] == pytest.approx(75.8, abs=0.5)
    with pytest.warns(es.EvalstatsWarning, match=r"\[underflow\] 1 of 1 cells of 'samples'"):
        compat = es.AMD(compat="reference", inference=NONE).fit(*arguments)
    assert compat.estimate_.value[0] == 0.0
    assert compat.cells()["status"].to_list() == [3]


@pytest.mark.parametrize("name", ["synthetic_2d_n200", "synthetic_2d_n1000"])
def test_single_cells(reference, name):
    data = load(reference, name)
    compared = 0
    for case in range(len(data["names"])):
        samples = data["samples"][slice(*data["ptr"][case : case + 2])].astype(float)
        if len(samples) < 4 or not np.isfinite(data["amv"][0, case]):
            continue
        truth = data["truth"][case].astype(float).reshape(1, 1, 2)
        scores = es.TrajectoryScores(inference=NONE, scores=["AMD", "AMV", "KDE-NLL"])
        scores.fit(truth, samples[:, None, None, :])
        amd, amv, density = scores.estimate_.value
        np.testing.assert_allclose(amv, data["amv"][0, case], rtol=1e-10)
        if np.isfinite(data["kde_nll"][0, case]):
            np.testing.assert_allclose(density, data["kde_nll"][0, case], rtol=1e-9, atol=1e-9)
        if (data["n_components"][:, case] == 1).all() and scores.cells()["n_components"][0] == 1:
            np.testing.assert_allclose(amd, data["amd"][0, case], rtol=1e-9)
            compared += 1
    assert compared >= 10


def test_scenes_and_proper_scores(reference):
    data = load(reference, "synthetic_scenes")
    arguments = given(data)
    names = ["minADE", "minFDE", "path energy score", "energy score", "CRPS"]
    for fair, suffix in ((False, "nrg"), (True, "fair")):
        fitted = es.TrajectoryScores(inference=NONE, scores=names, fair=fair).fit(**arguments)
        shape = data["gt"].shape[:2]
        ours = grid(fitted.cells(), "energy_score_fair" if fair else "energy_score", shape)
        np.testing.assert_allclose(ours, data[f"energy_{suffix}"], rtol=1e-9)
        crps = data["crps_xy_fair" if fair else "crps_xy"].mean(axis=2)
        ours = grid(fitted.cells(), "crps_fair" if fair else "crps", shape)
        np.testing.assert_allclose(ours, crps, rtol=1e-9)
        if not fair:
            value = fitted.estimate_.select(metric="path energy score").value[0]
            assert value == pytest.approx(data["energy_joint_time"].mean(), rel=1e-9)
    assert fitted.estimate_.value[0] == pytest.approx(float(data["min_ade"]), rel=1e-9)
    assert fitted.estimate_.value[1] == pytest.approx(float(data["min_fde"]), rel=1e-9)
    ade, fde = data["ade_sample_agent"], data["fde_sample_agent"]
    scene = arguments["scene"]
    joint = [
        np.mean([table[:, scene == s].mean(axis=1).min() for s in scene]) for table in (ade, fde)
    ]
    found = es.min_ade_fde(data["gt"], data["pred"], scene=scene, joint=True)
    np.testing.assert_allclose(found, joint, rtol=1e-9)
    values = es.AMV(inference=NONE).fit(**arguments).scenes()["estimate"].to_numpy()
    np.testing.assert_allclose(values, data["amv_scene"][0], rtol=1e-10)


def test_other_dimensions(reference):
    data = load(reference, "synthetic_nd")
    names = sorted({key.removesuffix("_samples") for key in data if key.endswith("_samples")})
    assert len(names) >= 5
    for name in names:
        samples, truth = data[f"{name}_samples"].astype(float), data[f"{name}_truth"].astype(float)
        d = samples.shape[1]
        recorded = data[f"{name}_ref"]
        amd, amv = es.amd_amv(truth.reshape(1, 1, d), samples[:, None, None, :])
        assert amv == pytest.approx(recorded[0, 1], rel=1e-10)
        if (data[f"{name}_ncomp"] == 1).all():
            assert amd == pytest.approx(recorded[0, 0], rel=1e-9)
        else:
            assert amd == pytest.approx(recorded[:, 0].mean(), rel=0.06)
