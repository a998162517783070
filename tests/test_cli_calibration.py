"""``evalstats calibration-error`` and ``balance-score`` on files."""

import numpy as np
import polars as pl
import pytest

import evalstats as es
from evalstats.cli import app

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")


@pytest.fixture
def forecasts(tmp_path, rng):
    q = rng.random(200)
    frame = pl.DataFrame(
        {
            "label": (rng.random(200) < q).astype(int),
            "bold": 1 / (1 + (1 / q - 1) ** 2),
            "true": q,
            "logit": np.log(q / (1 - q)),
        }
    )
    path = tmp_path / "forecasts.csv"
    frame.write_csv(path)
    return frame, path


@pytest.fixture
def run(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as leaving:
            app([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return leaving.value.code or 0, out, err

    return run


def columns(path, *names):
    return (path, "--y-true", "label", "--y-prob", *names)


@pytest.mark.parametrize("norm", [1, 2, "max"])
def test_norms_that_are_numbers_and_words(norm, forecasts, run):
    frame, path = forecasts
    options = ("--norm", norm, "--n-bins", 5, "--bootstrap", 20, "--format", "csv")
    code, out, err = run("calibration-error", *columns(path, "bold", "true"), *options)
    assert code == 0, err
    expected = [
        es.calibration_error(frame["label"], frame[model], norm=norm, n_bins=5)
        for model in ("bold", "true")
    ]
    assert pl.read_csv(out.encode())["estimate"].to_list() == pytest.approx(expected)


def test_other_conventions_and_edges(forecasts, run):
    frame, path = forecasts
    code, out, err = run(
        "calibration-error", *columns(path, "bold"), "--convention", "netcal", "--format", "csv"
    )
    assert code == 0, err
    expected = es.calibration_error(frame["label"], frame["bold"], convention="netcal")
    assert pl.read_csv(out.encode())["estimate"][0] == pytest.approx(expected)
    edges = [word for edge in (0, 0.5, 1) for word in ("--bin-edges", edge)]
    code, out, err = run("calibration-error", *columns(path, "bold"), *edges, "--format", "csv")
    assert code == 0, err
    expected = es.calibration_error(frame["label"], frame["bold"], n_bins=2)
    assert pl.read_csv(out.encode())["estimate"][0] == pytest.approx(expected)


def test_logits_are_refused_in_shell_terms(forecasts, run):
    _, path = forecasts
    code, out, err = run("balance-score", *columns(path, "logit"))
    assert (code, out) == (2, "")
    assert "error: --y-prob is" in err
    assert "these look like logits" in err
