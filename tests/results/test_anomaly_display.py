"""PIMO curves, scores of images and overlays: what is drawn, and refusals."""

import numpy as np
import polars as pl
import pytest

from evalstats.errors import InputError
from evalstats.results.displays import plot_image_scores, plot_localisation, plot_pimo_curves

pyplot = pytest.importorskip("matplotlib.pyplot")

CURVES = pl.DataFrame(
    {
        "model": ["a"] * 6 + ["b"] * 6,
        "image": [0, 0, 0, 1, 1, 1] * 2,
        "fpr": [1e-4, 1e-3, 1e-2] * 4,
        "overlap": [0.0, 0.5, 1.0, 0.2, 0.7, 1.0, 0.0, 0.0, 0.2, 0.0, 0.1, 0.4],
    }
)
SCORES = pl.DataFrame({"model": list("aaabbb"), "score": [0.1, 0.9, None, 0.3, 0.5, 1]})


def test_median_curve_on_a_logarithmic_axis():
    axes = plot_pimo_curves(CURVES, [(1e-3, 1e-2)])
    assert axes.get_xscale() == "log"
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [0.1, 0.6, 1.0])
    np.testing.assert_allclose(axes.lines[1].get_ydata(), [0.0, 0.05, 0.3])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    shaded = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    np.testing.assert_allclose(shaded.intervalx, [1e-3, 1e-2], rtol=1e-6)


def test_curve_of_every_image():
    axes = plot_pimo_curves(CURVES, images=True)
    assert len(axes.lines) == 2 * (2 + 1)
    assert not axes.patches


def test_scores_of_anomalous_images_only():
    axes = plot_image_scores(SCORES)
    points = [line.get_xdata() for line in axes.lines if line.get_marker() == "o"]
    assert [len(own) for own in points] == [2, 3]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a", "b"]
    means = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "D"]
    np.testing.assert_allclose(means, [0.5, 0.6])


def test_overlay_outlines_the_mask_and_the_predictions():
    scores = np.arange(20.0).reshape(4, 5)
    axes = plot_localisation(scores, scores > 12, [10.0, 99.0], image=scores)
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["mask", "score ≥ 10", "score ≥ 99"]
    # Nothing reaches 99.
    assert len(axes.collections) == 2
    assert len(axes.images) == 2


def test_refusals():
    with pytest.raises(InputError, match="fpr"):
        plot_pimo_curves(CURVES.drop("fpr"))
    with pytest.raises(InputError, match="no score"):
        plot_image_scores(SCORES.filter(pl.col("score").is_null()))
    with pytest.raises(InputError, match="pass \\(H, W\\)"):
        plot_localisation(np.ones((3, 3)), np.ones((3, 4)))
    with pytest.raises(InputError, match="labels has 1 entries for 2"):
        plot_localisation(np.ones((3, 3)), np.ones((3, 3)), [1.0, 2.0], labels=["x"])
