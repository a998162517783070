"""Curve points against scikit-learn: same values, same number of points."""

import json

import numpy as np
import pytest

from evalstats.discrimination import curves


def numbers(values):
    """Array from a fixture list, in which non-finite numbers are strings."""
    return np.array([float(value) for value in values])


def test_fixtures(reference):
    folder = reference / "discrimination"
    arrays = np.load(folder / "binary.npz")
    expected = json.loads((folder / "binary.json").read_text())
    checked = 0
    for case, peer in expected.items():
        if case.startswith("_"):
            continue
        y, scores = arrays[f"{case}__y"].astype(bool), arrays[f"{case}__s"]
        weight = arrays.get(f"{case}__w")
        for name, drop in (("sk_roc_curve_all", False), ("sk_roc_curve_dropped", True)):
            if name in peer:
                got = curves.roc_curve(y, scores, weight, drop_intermediate=drop)
                for mine, key in zip(got, ("fpr", "tpr", "thr"), strict=True):
                    np.testing.assert_allclose(mine, numbers(peer[name][key]), atol=1e-12)
                checked += 1
        if "sk_pr_curve" in peer:
            got = curves.precision_recall_curve(y, scores, weight)
            for mine, key in zip(got, ("precision", "recall", "thr"), strict=True):
                np.testing.assert_allclose(mine, numbers(peer["sk_pr_curve"][key]), atol=1e-12)
            checked += 1
    assert checked > 15


@pytest.mark.parametrize("drop_intermediate", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_with_ties_and_zero_weights(rng, drop_intermediate):
    from sklearn import metrics

    for n in (2, 3, 10, 100):
        y = rng.random(n) < 0.4
        y[:2] = True, False
        scores = np.round(rng.normal(size=n), 1)
        weight = rng.integers(0, 3, n).astype(float)
        weight[:2] = 1.0
        for mine, peer in (
            (curves.roc_curve, metrics.roc_curve),
            (curves.precision_recall_curve, metrics.precision_recall_curve),
        ):
            got = mine(y, scores, weight, drop_intermediate=drop_intermediate)
            expected = peer(y, scores, sample_weight=weight, drop_intermediate=drop_intermediate)
            for a, b in zip(got, expected, strict=True):
                np.testing.assert_allclose(a, b, atol=1e-12)


def test_float32_thresholds_stay_float32():
    y = np.array([True, False])
    scores = np.array([0.7, 0.1], dtype=np.float32)
    assert curves.roc_curve(y, scores).thresholds.dtype == np.float32
