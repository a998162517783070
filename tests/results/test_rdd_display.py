"""Plots of discontinuity designs: what is drawn where, and refusals."""

import numpy as np
import polars as pl
import pytest

from evalstats.errors import InputError
from evalstats.results.displays import (
    plot_bandwidth_path,
    plot_discontinuity,
    plot_effect_curve,
    plot_limit_curves,
    plot_quantile_heatmap,
)

pytest.importorskip("matplotlib.pyplot")

EFFECT = pl.DataFrame(
    {
        "model": ["a"] * 3 + ["b"] * 3,
        "quantile": [0.9, 0.1, 0.5] * 2,
        "estimate": [3.0, 1.0, 2.0, 0.0, 0.0, 0.0],
        "ci_low": [2.0, 0.0, 1.0, -1.0, -1.0, -1.0],
        "ci_high": [4.0, 2.0, 3.0, 1.0, 1.0, 1.0],
        "band_low": [1.0, -1.0, 0.0, -2.0, -2.0, -2.0],
        "band_high": [5.0, 3.0, 4.0, 2.0, 2.0, 2.0],
    }
)
BINS = pl.DataFrame(
    {
        "quantile": [0.25, 0.75] * 4,
        "running": np.repeat([-0.75, -0.25, 0.25, 0.75], 2),
        "bin_low": np.repeat([-1.0, -0.45, 0.05, 0.6], 2),
        "bin_high": np.repeat([-0.55, -0.05, 0.4, 1.0], 2),
        "mean": np.arange(8.0),
    }
)


def texts(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_effect_curves_are_drawn_by_quantile_with_both_bands():
    axes = plot_effect_curve(EFFECT, title="Effect of $x")
    curves = [line for line in axes.lines if len(line.get_xdata()) == 3]
    np.testing.assert_array_equal(curves[0].get_xdata(), [0.1, 0.5, 0.9])
    np.testing.assert_array_equal(curves[0].get_ydata(), [1.0, 2.0, 3.0])
    assert len(axes.collections) == 4
    assert texts(axes) == ["a", "b"]
    assert axes.get_title(loc="left") == r"Effect of \$x"
    alone = plot_effect_curve(EFFECT.filter(pl.col("model") == "a").drop("band_low", "band_high"))
    assert alone.get_legend() is None
    assert len(alone.collections) == 1


def test_limit_curves():
    frame = EFFECT.with_columns(side=pl.Series(["below"] * 3 + ["above"] * 3), model=pl.lit("a"))
    axes = plot_limit_curves(frame)
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [1.0, 2.0, 3.0])
    assert texts(axes) == ["just below the cutoff", "just above the cutoff"]
    with pytest.raises(InputError, match="several values of 'model'"):
        plot_limit_curves(EFFECT.with_columns(side=pl.lit("below")))


def test_binned_means_and_fits():
    fitted = pl.DataFrame(
        {
            "side": ["below", "below", "above", "above"],
            "quantile": [0.25] * 4,
            "running": [-1.0, 0.0, 0.0, 1.0],
            "estimate": [0.0, 1.0, 2.0, 3.0],
            "ci_low": [-1.0, 0.0, 1.0, 2.0],
            "ci_high": [1.0, 2.0, 3.0, 4.0],
        }
    )
    axes = plot_discontinuity(BINS, fitted, cutoff=0.0)
    points = next(line for line in axes.lines if line.get_marker() == "o")
    np.testing.assert_array_equal(points.get_ydata(), [0.0, 2.0, 4.0, 6.0])
    assert len([line for line in axes.lines if line.get_linestyle() == "-"]) == 2


def test_heat_map_has_no_gaps_and_respects_the_cutoff():
    axes = plot_quantile_heatmap(BINS, cutoff=0.0)
    edges = [mesh.get_coordinates()[0, :, 0].tolist() for mesh in axes.collections]
    np.testing.assert_allclose(edges, [[-1.0, -0.5], [-0.5, 0.0], [0.0, 0.5], [0.5, 1.0]])
    values = np.concatenate([np.ravel(mesh.get_array()) for mesh in axes.collections])
    np.testing.assert_array_equal(values, np.arange(8.0))


def test_bandwidth_path():
    path = pl.concat(
        [
            EFFECT.filter(pl.col("model") == "a").with_columns(
                bandwidth=pl.lit(h), selected=pl.lit(h == 0.5)
            )
            for h in (0.5, 1.0)
        ]
    )
    axes = plot_bandwidth_path(path)
    assert texts(axes) == ["quantile 0.1", "quantile 0.5", "quantile 0.9"]
    one = plot_bandwidth_path(path, quantiles=[0.9])
    assert one.get_legend() is None
    np.testing.assert_array_equal(one.lines[1].get_xdata(), [0.5, 1.0])
    with pytest.raises(InputError, match=r"quantiles has 0\.3"):
        plot_bandwidth_path(path, quantiles=[0.3])
