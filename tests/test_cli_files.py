"""Patterns of files on the command line."""

import json

import polars as pl
import pytest

import evalstats as es
from evalstats.cli import app
from evalstats.data import batches


@pytest.fixture
def pattern(tmp_path):
    frame = pl.DataFrame({"y": [0, 1, 1, 0, 1, 0] * 80, "p": [0.1, 0.4, 0.8, 0.3, 0.9, 0.5] * 80})
    for number in range(3):
        frame[number * 160 : (number + 1) * 160].write_parquet(tmp_path / f"{number}.parquet")
    return frame, str(tmp_path / "*.parquet")


@pytest.mark.parametrize("rows", [100, 1000])
@pytest.mark.parametrize("verb", ["auroc", "brier-score"])
def test_files_of_a_pattern_are_one_table(pattern, verb, rows, capsys, monkeypatch):
    monkeypatch.setattr(batches, "MOST_ROWS", rows)
    frame, files = pattern
    role = "--y-score" if verb == "auroc" else "--y-prob"
    with pytest.raises(SystemExit) as left:
        app([verb, files, "--y-true", "y", role, "p", "--format", "json"])
    assert left.value.code == 0
    shown = json.loads(capsys.readouterr().out)
    estimator = es.AUROC() if verb == "auroc" else es.BrierScore()
    row = estimator.fit("y", "p", data=frame).estimate_.to_frame().row(0, named=True)
    text = json.dumps(shown)
    assert f'"n": {row["n"]}' in text
    assert repr(row["estimate"])[:10] in text


def test_a_pattern_without_files(tmp_path, capsys):
    with pytest.raises(SystemExit) as left:
        app(["auroc", str(tmp_path / "*.csv"), "--y-true", "y", "--y-score", "p"])
    assert left.value.code == 2
    assert "no file matches" in capsys.readouterr().err
