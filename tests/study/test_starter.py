"""The file to start from: runs as it is written, never replaces what is there."""

import tomllib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import evalstats as es
from evalstats.report.predictions import tumours
from evalstats.study.command import init
from evalstats.study.starter import write_starter

DOCS = Path(__file__).resolve().parents[2] / "docs" / "study.md"


def written(folder, data, **options):
    write_starter(folder / "start.toml", data, force=False, **options)
    return tomllib.loads((folder / "start.toml").read_text())


def test_columns_are_recognised(folder):
    document = written(folder, folder / "scores.parquet")
    assert document["data"]["test"]["path"] == "scores.parquet"
    assert document["defaults"]["y_true"] == "label"
    assert document["defaults"]["y_score"] == ["strong", "weak"]
    estimators = [metric["estimator"] for metric in document["metric"]]
    assert estimators == ["AUROC", "AUPRC", "BrierScore", "CalibrationError", "AUROC"]
    assert document["metric"][-1]["by"] == "site"
    assert '# cluster = "patient"' in (folder / "start.toml").read_text()
    study = es.Study(folder / "start.toml")
    assert len(study.run().estimates) == 5


def test_scores_beyond_one_are_no_probabilities(folder, scores):
    scores.with_columns(strong=pl.col("strong") * 7 - 3).write_csv(folder / "raw.csv")
    document = written(folder, folder / "raw.csv")
    assert "y_prob" not in document["defaults"]
    assert {metric["estimator"] for metric in document["metric"]} == {"AUROC", "AUPRC"}


def test_labels_of_text_and_hostile_names(folder, scores):
    odd = 'a "quoted" \\ name\x7f'
    frame = scores.select(
        pl.col("site").alias("truth"),
        pl.col("strong").alias(odd),
        "weak",
        pl.lit(2.0).alias("weight"),
    )
    frame.write_parquet(folder / "odd.parquet")
    document = written(folder, folder / "odd.parquet")
    assert document["defaults"] == {
        "y_true": "truth",
        "y_score": [odd, "weak"],
        "y_prob": [odd, "weak"],
    }
    assert '# sample_weight = "weight"' in (folder / "start.toml").read_text()


def test_starter_of_the_demo_runs_on_its_data(folder):
    document = written(folder, None)
    data = folder / document["data"]["test"]["path"]
    data.parent.mkdir(parents=True)
    tumours().frame.write_csv(data)
    assert es.Study(folder / "start.toml").plan().height == 4


@pytest.mark.parametrize(
    ("columns", "estimator"),
    [
        ({"model_a": ["a", "b"], "model_b": ["b", "a"], "outcome": ["a", "b"]}, "BradleyTerry"),
        ({"preference": [1.0, 2.0], "model": ["a", "b"], "item": [1, 2]}, "WinRate"),
        ({"trajectory": [[[0.0, 0.0]]], "samples": [[[[0.0, 0.0]]]]}, "TrajectoryScores"),
    ],
)
def test_known_forms_of_data(columns, estimator, folder):
    pl.DataFrame(columns).write_parquet(folder / "form.parquet")
    document = written(folder, folder / "form.parquet")
    assert document["metric"][0]["estimator"] == estimator


def test_nothing_recognised_still_gives_a_valid_file(folder):
    pl.DataFrame({"x": ["a", "b", "c"]}).write_csv(folder / "x.csv")
    document = written(folder, folder / "x.csv")
    assert document["defaults"]["y_true"] == "label"
    with pytest.raises(es.InputError, match="there is no column 'label'"):
        es.Study(folder / "start.toml")


def test_existing_file_is_never_replaced_without_force(folder, capsys):
    target = Path("mine.toml")
    target.write_text("precious")
    with pytest.raises(es.InputError, match="exists: pass --force"):
        write_starter(target, None, force=False)
    assert target.read_text() == "precious"
    init(target, None, force=True)
    assert "[[metric]]" in target.read_text()
    assert "evalstats run mine.toml --dry-run" in capsys.readouterr().out


def test_example_of_the_documentation_is_a_valid_study(folder, scores):
    blocks = [block.split("```")[0] for block in DOCS.read_text().split("```toml\n")[1:]]
    (folder / "predictions").mkdir()
    frame = scores.rename({"strong": "resnet", "weak": "vit"}).with_columns(
        split=pl.Series(np.where(np.arange(400) % 4 == 0, "train", "test"))
    )
    frame.head(200).write_parquet("predictions/a.parquet")
    frame.tail(200).write_parquet("predictions/b.parquet")
    Path("study.toml").write_text(blocks[0])
    plan = es.Study("study.toml").plan()
    assert plan["rows"].to_list() == [300] * 4
    assert plan["name"].to_list() == ["AUROC", "AUROC by site", "AUPRC", "ECE"]
    wrong = blocks[0].replace('"label"', '"lable"').replace("n_resamples", "n_resample")
    Path("study.toml").write_text(wrong)
    with pytest.raises(es.InputError) as caught:
        es.Study("study.toml")
    documented = DOCS.read_text().split("```text\n")[1].split("```")[0]
    assert documented.splitlines() == str(caught.value).splitlines()
