"""What forecasts are refused, and what is warned about."""

import numpy as np
import pytest

import evalstats as es
from evalstats.trajectory.mixture_kernels import NOT_CONVERGED
from evalstats.trajectory.scored import Plan

quiet = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
NONE = es.NoInference()


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
    refused(
        r"samples has 2 missing values \(first in row 1\): remove them or pass nan_policy='omit'",
        samples=holed((60, 2, 5, 2), (7, 1, [4, 1], 0), np.nan),
    )
    refused(
        r"samples has 3 infinite or missing values in one agent \(first in row 2\)",
        samples=holed((60, 2, 5, 2), ([7, 8, 9], 0, 2, 1), -np.inf),
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
    refused("sample_weight", sample_weight=np.zeros(5))
    refused("mask leaves no cell in row 0", mask=np.zeros((2, 5), dtype=bool))
    refused(
        r"samples\['b'\] has 6 rows but trajectory has 5",
        samples={"a": np.zeros((60, 2, 5, 2)), "b": np.zeros((60, 2, 6, 2))},
    )
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
        "negative, not finite, far too large or all zero",
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


def test_fits_that_stop_early_are_warned_about(rng, monkeypatch):
    options = Plan.fit_options
    monkeypatch.setattr(
        Plan, "fit_options", lambda plan: (*options(plan)[:5], 1, *options(plan)[6:])
    )
    samples = rng.normal(size=(60, 1, 5, 2)) + 6 * (np.arange(60) % 2).reshape(-1, 1, 1, 1)
    with pytest.warns(es.EvalstatsWarning, match=r"\[not-converged\] \d of 5 cells of 'samples'"):
        fitted = es.AMD(inference=NONE).fit(np.zeros((1, 5, 2)), samples)
    assert NOT_CONVERGED in fitted.cells()["status"].to_list()


def test_few_clusters_are_warned_about(crowd):
    truth, samples, scene = crowd
    with pytest.warns(es.EvalstatsWarning, match=r"\[few-clusters\].* 5 "):
        es.AMD().fit(truth, samples, scene)


@quiet
def test_holes_in_masked_cells_are_no_matter(crowd):
    """Infinite and missing numbers are refused where they count, and only there."""
    truth, samples, scene = crowd
    mask = np.ones(truth.shape[:2], dtype=bool)
    mask[1, 4] = False
    name = next(iter(samples))
    expected = es.TrajectoryScores(inference=NONE).fit(truth, samples[name], scene, mask=mask)
    for hole in (np.nan, np.inf):
        wrong, drawn = truth.copy(), samples[name].copy()
        wrong[1, 4], drawn[:, 1, 4] = hole, hole
        for policy in ("raise", "omit"):
            estimator = es.TrajectoryScores(inference=NONE, nan_policy=policy)
            found = estimator.fit(wrong, drawn, scene, mask=mask).estimate_
            np.testing.assert_array_equal(found.value, expected.estimate_.value)
            assert found.n_dropped == 0
        with pytest.raises(es.InputError, match="first in row 4"):
            es.AMD().fit(truth, drawn, scene)


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
