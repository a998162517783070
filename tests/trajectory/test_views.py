"""Plots and files of trajectory forecasts."""

import numpy as np
import polars as pl
import pytest

import evalstats as es

quiet = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
NONE = es.NoInference()


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
