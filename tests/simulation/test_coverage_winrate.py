"""Coverage of the controlled win rate's interval, and of the reference's standard error."""

import numpy as np
import pytest

import evalstats as es

pytestmark = [
    pytest.mark.simulation,
    pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning"),
]
N = 805
DRAWS = 1000
# Model effects of the pair, and slopes of length and difficulty: a middling and a strong pair.
SETTINGS = {"middling": ((-1.0, -0.7), -1.2, 0.7), "strong": ((0.3, 0.6), -1.8, 1.1)}


def draw(setting, rng, n):
    """Fractional, U-shaped preferences of two models on common instructions."""
    effects, slope, weight = SETTINGS[setting]
    difficulty = rng.normal(size=n)
    baseline = np.exp(rng.normal(7, 0.6, n)).round()
    shared = rng.normal(size=n)
    preference, length = {}, {}
    for name, effect in zip("ab", effects, strict=True):
        length[name] = np.exp(rng.normal(7.1, 0.6, n)).round()
        # The scale is a constant here, so that the sampled sd leaves the model true.
        t = np.tanh((baseline - length[name]) / 1200)
        p = 1 / (1 + np.exp(-(slope * t + weight * difficulty + effect + shared)))
        preference[name] = rng.beta(0.25 * p, 0.25 * (1 - p))
    return difficulty, baseline, length, preference


def fitted(setting, rng, n):
    difficulty, baseline, length, preference = draw(setting, rng, n)
    return es.LengthControlledWinRate(
        coding="unit", difficulty=dict(enumerate(difficulty.tolist()))
    ).fit(preference, item=np.arange(n), length_model=length, length_baseline=baseline)


@pytest.mark.parametrize("setting", SETTINGS)
def test_coverage(setting):
    # What the estimator converges to: the fit of a model need not be the truth (White 1982).
    target = fitted(setting, np.random.default_rng(1), 400_000).estimate_.value
    rng = np.random.default_rng(2)
    covered, paired, naive = np.zeros(2), 0, np.zeros(2)
    for _ in range(DRAWS):
        fit = fitted(setting, rng, N)
        estimate = fit.estimate_
        low, high = estimate.confidence_interval()
        covered += (low <= target) & (target <= high)
        row = estimate.compare(adjust=None).row(0, named=True)
        paired += row["ci_low"] <= target[0] - target[1] <= row["ci_high"]
        naive += np.abs(estimate.value - target) <= 1.96 * reference_error(fit)
    assert (np.abs(covered / DRAWS - 0.95) < 0.02).all()
    assert abs(paired / DRAWS - 0.95) < 0.02
    assert (naive / DRAWS < 0.75).all()


def reference_error(fit):
    """Spread of the predicted preferences alone, as AlpacaEval reports it."""
    design, theta = fit._refitted()
    errors = []
    for model in range(2):
        q = 100 / (1 + np.exp(-design.report.design[design.report.of(model)] @ theta[model]))
        errors.append(q.std(ddof=1) / np.sqrt(len(q)))
    return np.array(errors)
