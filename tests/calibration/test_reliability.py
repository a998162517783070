"""Reliability diagrams: terms with their errors, bands, the test, and plots."""

import numpy as np
import polars as pl
import pytest
from matplotlib import pyplot

import evalstats as es
from evalstats.calibration.corp import SortedForecasts
from evalstats.results.displays import plot_reliability
from tests.oracles import scores as oracle

POINTS = es.NoInference()


def draw(rng, n=400, slope=1.0):
    signal = rng.normal(scale=1.5, size=n)
    y = rng.random(n) < 1 / (1 + np.exp(-signal))
    return y.astype(int), 1 / (1 + np.exp(-slope * signal))


def test_terms_are_those_of_the_functions(rng):
    y, p = draw(rng)
    weight = rng.uniform(0.5, 2.0, 400)
    for score in ("brier", "log"):
        diagram = es.ReliabilityDiagram(score=score, inference=POINTS)
        estimate = diagram.fit(y, p, sample_weight=weight).estimate_
        expected = es.corp_decomposition(y, p, score=score, sample_weight=weight)
        assert estimate.terms["component"].to_list() == list(expected)
        np.testing.assert_allclose(estimate.value, list(expected.values()), rtol=1e-12)
    binned = es.ReliabilityDiagram(method="binned", n_bins=7, inference=POINTS)
    estimate = binned.fit(y, p, sample_weight=weight).estimate_
    expected = es.murphy_decomposition(y, p, n_bins=7, sample_weight=weight)
    assert dict(zip(estimate.terms["component"], estimate.value, strict=True)) == pytest.approx(
        expected, rel=1e-12
    )


def test_influence_of_bins_is_the_derivative(rng):
    y, p = draw(rng, 60)
    diagram = es.ReliabilityDiagram(method="binned", n_bins=4)
    columns = diagram._columns({"y_true": y, "y_prob": p})
    prepared = diagram._prepare(columns)
    weight = rng.uniform(0.5, 2.0, 60)
    influence = diagram._influence(prepared, weight)
    step = 1e-5
    for row in range(0, 60, 7):
        change = step * (np.arange(60) == row)
        up, down = (diagram._evaluate(prepared, weight + s * change) for s in (1, -1))
        np.testing.assert_allclose(influence[row], (up - down) / (2 * step), atol=1e-9)


def test_analytic_and_bootstrap_errors_agree_away_from_calibration(rng):
    y, p = draw(rng, 4000, slope=2.5)
    analytic = es.ReliabilityDiagram(inference=es.Analytic()).fit(y, p).estimate_
    bootstrap = es.ReliabilityDiagram().fit(y, p).estimate_
    # At a base rate of one half the uncertainty has no first derivative.
    kept = [0, 1, 3]
    np.testing.assert_allclose(
        bootstrap.standard_error[kept], analytic.standard_error[kept], rtol=0.15
    )
    assert "bias_corrected" in bootstrap.inference
    assert bootstrap.bias[0] > 0


def test_curve_is_the_isotonic_fit(rng):
    y, p = draw(rng, 60)
    p = np.round(p, 2)
    diagram = es.ReliabilityDiagram(inference=POINTS).fit(y, p)
    curve = diagram.curves(n_resamples=0)
    assert curve.columns == ["model", "x", "y"]
    fitted = dict(zip(p, oracle.isotonic(p.tolist(), y.tolist(), [1] * 60), strict=True))
    for x, value in curve.select("x", "y").iter_rows():
        assert value == pytest.approx(fitted[x], abs=1e-14)
    assert curve["x"].is_sorted(descending=False)
    rows = SortedForecasts.of(p, y.astype(bool))
    np.testing.assert_allclose(rows.recalibrated(np.ones(60)), [fitted[x] for x in p], atol=1e-14)


@pytest.mark.parametrize("method", ["corp", "binned"])
def test_bands_hold_curve_and_diagonal(rng, method):
    y, p = draw(rng, 1500)
    diagram = es.ReliabilityDiagram(method=method, inference=POINTS).fit(y, {"a": p, "b": p**2})
    curves = diagram.curves(n_resamples=200)
    assert curves.equals(diagram.curves(n_resamples=200))
    good = curves.filter(model="a")
    bad = curves.filter(model="b")
    for frame in (good, bad):
        assert (frame["low"] <= frame["y"] + 1e-12).mean() > 0.97
        assert (frame["y"] <= frame["high"] + 1e-12).mean() > 0.97
        diagonal = frame["x"].is_between(frame["consistency_low"], frame["consistency_high"])
        assert diagonal.mean() > 0.9
    inside = good["y"].is_between(good["consistency_low"], good["consistency_high"]).mean()
    outside = bad["y"].is_between(bad["consistency_low"], bad["consistency_high"]).mean()
    assert inside > 0.9
    assert outside < 0.5


def test_confidence_band_resamples_clusters(rng):
    y, p = draw(rng, 300)
    cluster = np.repeat(np.arange(300), 5)
    diagram = es.ReliabilityDiagram(inference=POINTS)
    once = diagram.fit(y, p).curves(n_resamples=300)
    clustered = diagram.fit(np.repeat(y, 5), np.repeat(p, 5), cluster=cluster)
    assert any("independent within clusters" in note for note in clustered.estimate_.notes)
    repeated = clustered.curves(n_resamples=300)

    def width(frame):
        return (frame["high"] - frame["low"]).mean()

    assert width(repeated) == pytest.approx(width(once), rel=0.1)


@pytest.mark.parametrize("method", ["corp", "binned"])
def test_calibration_test(rng, method):
    y, p = draw(rng, 2000)
    diagram = es.ReliabilityDiagram(method=method, inference=POINTS)
    diagram.fit(y, {"right": p, "bold": p**2 / (p**2 + (1 - p) ** 2)})
    table = diagram.calibration_test(n_resamples=199)
    assert table.equals(diagram.calibration_test(n_resamples=199))
    assert table["component"].unique().to_list() == [diagram._components[0]]
    assert table["p_value"][0] > 0.05
    assert table["p_value"][1] == 1 / 200
    assert table["estimate"][0] == diagram.estimate_.value[0]
    np.testing.assert_allclose(table["null_mean"][0], table["estimate"][0], rtol=1.0)


def test_groups_and_histograms(rng):
    y, p = draw(rng)
    group = np.array(["n", "s"])[rng.integers(0, 2, 400)]
    diagram = es.ReliabilityDiagram(inference=POINTS).fit(y, {"m": p}, by=group)
    assert diagram.curves(n_resamples=0)["group"].unique().sort().to_list() == ["n", "s"]
    shares = diagram.histogram(10).group_by("group").agg(pl.col("share").sum())
    assert shares["share"].to_list() == pytest.approx([1, 1])
    assert diagram.calibration_test(n_resamples=9).height == 2


@pytest.mark.filterwarnings(r"ignore:\[few-rows\]")
def test_infinite_log_score_is_reported_as_such():
    y, p = [0, 1, 0, 1, 1], [0.0, 0.0, 0.4, 0.6, 1.0]
    inference = es.Bootstrap(n_resamples=40, interval="bias_corrected", rng=0)
    estimate = es.ReliabilityDiagram(score="log", inference=inference).fit(y, p).estimate_
    assert np.isinf(estimate.value[[0, 3]]).all()
    assert np.isfinite(estimate.value[[1, 2]]).all()
    assert np.isfinite(estimate.standard_error[[1, 2]]).all()


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"method": "spline"}, "method='spline' is unknown"),
        ({"score": "quadratic"}, "score='quadratic' is unknown"),
        ({"n_bins": 0}, "n_bins=0"),
        ({"binning": "quantile"}, "binning='quantile' is unknown"),
        ({"method": "binned", "score": "log"}, "decomposes the Brier score only"),
    ],
)
def test_refusals(params, message, rng):
    with pytest.raises(es.InputError, match=message):
        es.ReliabilityDiagram(**params).fit(*draw(rng, 50))


# Plots ------------------------------------------------------------------------------------------


def test_panels_overlay_and_own_axes(rng):
    y, p = draw(rng, 200)
    models = {"a": p, "under_$core": p**2, "c": np.round(p, 1), "d": p}
    diagram = es.ReliabilityDiagram(inference=POINTS).fit(y, models)
    panels = diagram.plot(n_resamples=20)
    assert panels.shape == (2, 4)
    assert panels[0, 0].get_title(loc="left") == "a"
    assert "MCB" in panels[0, 0].texts[0].get_text()
    heights = [bar.get_height() for bar in panels[1, 0].patches]
    assert sum(heights) == pytest.approx(1)
    overlaid = diagram.plot(n_resamples=0, overlay=True)
    assert overlaid.shape == (2, 1)
    legend = [text.get_text() for text in overlaid[1, 0].get_legend().get_texts()]
    assert len(legend) == 5
    assert legend[-1] == "perfect calibration"
    own = pyplot.figure().gca()
    assert diagram.plot(own, n_resamples=0) is own
    assert len(own.lines) == 5


def test_display_refuses_frames_that_do_not_belong_together(rng):
    diagram = es.ReliabilityDiagram(inference=POINTS).fit(*draw(rng, 50))
    curves, histogram = diagram.curves(n_resamples=0), diagram.histogram()
    with pytest.raises(es.InputError, match="different models"):
        plot_reliability(curves, pl.concat([histogram, histogram.with_columns(model=pl.lit("b"))]))
    with pytest.raises(es.InputError, match="y"):
        plot_reliability(curves.drop("y"), histogram)


def test_bias_of_corp_terms_is_what_calibrated_outcomes_show(rng):
    p = rng.random(400)
    y = rng.random(400) < p**1.3
    inference = es.Bootstrap(200, interval="bias_corrected", rng=0)
    diagram = es.ReliabilityDiagram(inference=inference).fit(y, {"a": p, "b": np.sqrt(p)})
    bias = diagram.estimate_.bias.reshape(2, 4)
    null = diagram.calibration_test(n_resamples=200, rng=0)["null_mean"].to_numpy()
    np.testing.assert_allclose(bias[:, 0], null, rtol=1e-12)
    np.testing.assert_allclose(bias[:, 1], null, rtol=1e-12)
    # The score itself is an average: what remains there is noise of the replicates.
    assert np.abs(bias[:, 3]).max() < 0.2 * null.min()
    resampled = diagram.estimate_.replicates.mean(axis=0) - diagram.estimate_.value
    assert (resampled.reshape(2, 4)[:, 0] < 0.75 * null).all()


@pytest.mark.filterwarnings(r"ignore:\[few-rows\]")
def test_bias_of_corp_terms_follows_groups(rng):
    p = rng.random(300)
    y = rng.random(300) < p
    group = np.repeat([0, 1], 150)
    inference = es.Bootstrap(100, interval="bias_corrected", rng=0)
    together = es.ReliabilityDiagram(inference=inference).fit(y, p, by=group)
    null = together.calibration_test(n_resamples=200, rng=0)["null_mean"].to_numpy()
    np.testing.assert_allclose(together.estimate_.bias.reshape(2, 4)[:, 0], null, rtol=1e-12)


def test_few_rows_and_clustered_outcomes_are_named(rng):
    y, p = draw(rng, 120)
    with pytest.warns(es.EvalstatsWarning, match=r"\[few-rows\] 120 rows"):
        es.ReliabilityDiagram(inference=es.Bootstrap(9)).fit(y, p)
    diagram = es.ReliabilityDiagram(inference=POINTS).fit(y, p, cluster=np.arange(120) // 3)
    with pytest.warns(es.EvalstatsWarning, match=r"\[clustered-outcomes\].*CalibrationSlope"):
        diagram.calibration_test(n_resamples=19)
