"""One call for calibration before and after, as a function and on the command line."""

import json

import numpy as np
import polars as pl
import pytest

import evalstats as es
from evalstats.cli import app
from evalstats.recalibration.maps import softmax

METHODS = ["platt", "isotonic", "beta", "temperature", "venn_abers"]
METRICS = ["Balance score", "Calibration error", "Brier score", "Log loss"]
pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")


@pytest.fixture(scope="module")
def games():
    rng = np.random.default_rng(0)
    n = 600
    signal = rng.normal(size=60)[np.arange(n) // 10] + rng.normal(size=n)
    y = rng.random(n) < 1 / (1 + np.exp(-signal))
    return pl.DataFrame(
        {
            "win": y.astype(int),
            "word": np.where(y, "yes", "no"),
            "p": 1 / (1 + np.exp(-2.2 * signal)),
            "match": np.arange(n) // 10,
            "weight": rng.integers(1, 3, n),
        }
    )


@pytest.fixture(scope="module")
def report(games):
    return es.recalibration_report("win", "p", data=games, cluster="match")


@pytest.fixture
def run(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as leaving:
            app([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return leaving.value.code or 0, out, err

    return run


@pytest.fixture
def path(games, tmp_path):
    games.write_parquet(tmp_path / "games.parquet")
    return tmp_path / "games.parquet"


def test_probabilities_are_cross_fitted(report, games):
    p, y, match = (games[name].to_numpy() for name in ("p", "win", "match"))
    assert list(report.probabilities) == ["uncalibrated", *METHODS]
    assert np.array_equal(report.probabilities["uncalibrated"], p)
    expected = es.BetaCalibration().cross_fit(p, y, cluster=match)
    assert np.array_equal(report.probabilities["beta"], expected)


def test_estimates_and_differences_are_those_of_the_metrics(report, games):
    frame = report.to_frame()
    assert frame.columns[:3] == ["metric", "method", "estimate"]
    assert frame["metric"].unique(maintain_order=True).to_list() == METRICS
    assert frame.height == len(METRICS) * (1 + len(METHODS))
    brier = es.BrierScore().fit(games["win"], report.probabilities, cluster=games["match"])
    shown = frame.filter(metric="Brier score")
    assert np.array_equal(shown["estimate"], brier.estimate_.value)
    assert np.array_equal(shown["standard_error"], brier.estimate_.standard_error)
    changes = report.differences()
    assert changes.height == len(METRICS) * len(METHODS)
    found = changes.filter(metric="Brier score")["estimate"].to_numpy()
    np.testing.assert_allclose(found, brier.estimate_.value[1:] - brier.estimate_.value[0])
    assert (changes.filter(metric="Calibration error")["estimate"] < 0).all()
    text = str(report)
    assert "Log loss" in text
    assert "venn_abers" in text


def test_plot_has_a_panel_for_every_method(report):
    axes = report.plot(n_resamples=0)
    assert axes.shape[-1] == 1 + len(METHODS)


def test_own_recalibrators_weights_and_folds(games):
    options = {"data": games, "sample_weight": "weight", "inference": es.NoInference()}
    own = {"raw": es.PlattScaling(scale="raw"), "cross": es.VennABERS(method="cross")}
    report = es.recalibration_report("win", "p", own, n_folds=3, rng=5, **options)
    expected = own["raw"].cross_fit(
        games["p"], games["win"], n_folds=3, rng=5, sample_weight=games["weight"]
    )
    assert np.array_equal(report.probabilities["raw"], expected)
    loss = report.to_frame().filter(metric="Log loss", method="raw")["estimate"][0]
    y, w = games["win"].to_numpy(), games["weight"].to_numpy()
    by_hand = np.average(-np.log(np.where(y == 1, expected, 1 - expected)), weights=w)
    assert loss == pytest.approx(by_hand, rel=1e-12)


def test_several_classes(rng):
    logits = rng.normal(size=(500, 3))
    y = np.minimum((softmax(logits).cumsum(axis=1) < rng.random((500, 1))).sum(axis=1), 2)
    names = np.array(["x", "y", "z"])[y]
    report = es.recalibration_report(
        names, softmax(3 * logits), ["platt", "temperature"], inference=es.Bootstrap(50, rng=0)
    )
    assert report.probabilities["platt"].shape == (500, 3)
    assert (report.differences().filter(metric="Log loss")["estimate"] < 0).all()
    with pytest.raises(es.InputError, match="reliability diagrams are for two classes"):
        report.plot()


@pytest.mark.parametrize(
    ("methods", "y_prob", "message"),
    [
        (["plat"], [0.1, 0.9, 0.4, 0.5], "methods has 'plat': choose from platt, isotonic"),
        ([], [0.1, 0.9, 0.4, 0.5], "must name at least one method"),
        (["beta", "beta"], [0.1, 0.9, 0.4, 0.5], "each once"),
        (["platt"], {"a": [0.1, 0.9, 0.4, 0.5]}, "y_prob is a mapping"),
        (["platt"], [0.1, 9.0, 0.4, -0.5], "y_prob is 9 in row 1"),
        (["platt"], [[0.1, 0.8], [0.5, 0.5]] * 2, "y_prob sums to 0.9 in row 0"),
    ],
)
def test_refusals(methods, y_prob, message):
    with pytest.raises(es.InputError, match=message):
        es.recalibration_report([0, 1, 0, 1], y_prob, methods, n_folds=2)


def test_verb_gives_the_numbers_of_the_library(report, path, run):
    task = ("recalibrate", path, "--y-true", "win", "--y-prob", "p", "--cluster", "match")
    code, out, _ = run(*task, "--format", "csv")
    assert code == 0
    found = pl.read_csv(out.encode())
    np.testing.assert_allclose(found["estimate"], report.to_frame()["estimate"], rtol=1e-12)
    code, out, _ = run(*task, "--method", "platt", "venn-abers", "--compare", "--format", "json")
    assert code == 0
    result = json.loads(out)
    assert [row["method"] for row in result["comparisons"][:2]] == ["platt", "venn_abers"]
    assert len(result["estimates"]) == 12


def test_verb_writes_files(path, tmp_path, run):
    rows, table = tmp_path / "rows.parquet", tmp_path / "table.md"
    task = ("recalibrate", path, "--y-true", "word", "--pos-label", "yes", "--y-prob", "p")
    task = (*task, "--method", "platt", "--seed", "3")
    code, out, _ = run(*task, "--out", table, "--probabilities", rows)
    assert (code, out) == (0, "")
    assert table.read_text().startswith("| Metric")
    written = pl.read_parquet(rows)
    expected = es.PlattScaling().cross_fit(written["p"], written["win"], rng=3)
    np.testing.assert_allclose(written["platt"], expected, rtol=1e-12)
    assert {"word", "match"} < set(written.columns)
    for format_ in ("table", "latex", "markdown"):
        code, out, _ = run(*task, "--compare", "--format", format_)
        assert code == 0
        assert "Log loss" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--y-true", "word", "--y-prob", "p"), "pos_label|pos-label"),
        (("--y-true", "wins", "--y-prob", "p"), "no column 'wins'"),
        (("--y-true", "win", "--y-prob", "match"), "y_prob is 2 in row 20"),
        (("--y-true", "win", "--y-prob", "p", "--n-folds", "1"), "is not possible with 600 rows"),
        (("--y-true", "win", "--y-prob", "p", "--probabilities", "x.txt"), "end it in .csv"),
    ],
)
def test_verb_refuses_in_one_line(path, run, words, message):
    import re

    code, out, err = run("recalibrate", path, *words)
    assert (code, out) == (2, "")
    assert re.search(message, err)
    assert err.count("error:") == 1
