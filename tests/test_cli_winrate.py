"""``evalstats winrate`` and its siblings on the files that people have."""

import json

import polars as pl
import pytest

import evalstats as es
from evalstats.cli import app
from evalstats.data.synthetic_judgements import synthetic_judgements

COLUMNS = ("--preference", "preference", "--model", "model", "--item", "item")
LENGTHS = ("--length-model", "length_model", "--length-baseline", "length_baseline")


@pytest.fixture(scope="module")
def judgements():
    return synthetic_judgements(80)


@pytest.fixture
def run(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as leaving:
            app([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return leaving.value.code or 0, out, err

    return run


def values(text):
    return pl.read_csv(text.encode())["estimate"].to_list()


def controlled(data):
    names = ("preference", "model", "item", "length_model", "length_baseline")
    return es.LengthControlledWinRate().fit(*names, data=data).estimate_


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_controlled_win_rates_of_a_frame(judgements, tmp_path, run, suffix):
    path = tmp_path / f"judgements.{suffix}"
    getattr(judgements, f"write_{suffix}")(path)
    code, out, err = run("winrate", path, *COLUMNS, *LENGTHS, "--format", "csv")
    assert code == 0, err
    assert values(out) == pytest.approx(controlled(judgements).value.tolist())


def test_annotations_of_alpaca_eval(judgements, tmp_path, run):
    path = tmp_path / "annotations.json"
    records = [
        {
            "instruction": row["item"],
            "output_1": "x" * row["length_baseline"],
            "output_2": "y" * row["length_model"],
            "generator_1": row["baseline"],
            "generator_2": row["model"],
            "preference": row["preference"],
        }
        for row in judgements.iter_rows(named=True)
    ]
    path.write_text(json.dumps(records), encoding="utf-8")
    code, out, err = run(
        "winrate", path, *COLUMNS, *LENGTHS, "--preset", "alpaca_minimal", "--format", "csv"
    )
    assert code == 0, err
    assert values(out) == pytest.approx(controlled(judgements).value.tolist())


def test_another_json_file_is_refused_in_one_line(tmp_path, run):
    path = tmp_path / "config.json"
    path.write_text('{"a": 1}', encoding="utf-8")
    code, _, err = run("winrate", path, *COLUMNS, *LENGTHS)
    assert code == 2
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1


def test_raw_win_rates_and_differences(judgements, tmp_path, run):
    path = tmp_path / "judgements.parquet"
    judgements.write_parquet(path)
    code, out, err = run("raw-win-rate", path, *COLUMNS, "--reference", "small", "--format", "csv")
    assert code == 0, err
    estimate = es.WinRate().fit("preference", "model", "item", data=judgements).estimate_
    assert values(out) == pytest.approx(estimate.compare("small")["estimate"].to_list())


def test_bradley_terry_of_battles(tmp_path, run):
    battles = pl.DataFrame(
        {
            "model_a": ["x", "x", "y", "y", "z", "x", "z", "y"],
            "model_b": ["y", "z", "z", "x", "x", "y", "y", "z"],
            "outcome": [1.0, 1.0, 1.0, 0.5, 0.0, 0.0, 1.0, 0.0],
        }
    )
    path = tmp_path / "battles.csv"
    battles.write_csv(path)
    names = ("--model-a", "model_a", "--model-b", "model_b", "--outcome", "outcome")
    code, out, err = run("bradley-terry", path, *names, "--format", "csv")
    assert code == 0, err
    assert values(out) == pytest.approx([1099.3, 959.0, 941.6], abs=0.05)


def test_arena_battles_are_told_from_annotations(tmp_path, capsys):
    battles = [
        {"model_a": a, "model_b": b, "winner": winner}
        for a, b in (("x", "y"), ("y", "z"), ("z", "x"))
        for winner in ["model_a"] * 20 + ["model_b"] * 15
    ]
    path = tmp_path / "battles.json"
    path.write_text(json.dumps(battles), encoding="utf-8")
    columns = ["--model-a", "model_a", "--model-b", "model_b", "--outcome", "outcome"]
    with pytest.raises(SystemExit) as ended:
        app(["bradley-terry", str(path), *columns, "--format", "json"])
    assert ended.value.code == 0
    rows = json.loads(capsys.readouterr().out)["estimates"]
    # Each model beats the next 20 to 15 in a circle, so that all are equally strong.
    assert [row["estimate"] for row in rows] == pytest.approx([1000.0] * 3, abs=1e-6)
