"""Readers give the frames that the estimators take, and name what is malformed."""

import json

import polars as pl
import pytest

import evalstats as es
from evalstats.winrate.readers import (
    read_alpaca_annotations,
    read_arena_battles,
    read_wildbench_pairwise,
    read_wildbench_scores,
)

ALPACA = {
    "instruction": "Name a colour.",
    "output_1": "Blue – a colour.",
    "output_2": "Red",
    "generator_1": "base",
    "generator_2": "mine",
    "annotator": "judge",
    "preference": 1.25,
}
PAIR = {
    "session_id": "s0",
    "model_outputs": {"mine": "long answer", "org/gpt-ref": "short"},
    "winner": "mine",
    "extent": 1,
}
SCORE = {"session_id": "s0", "model_test": "mine", "score": "7", "model_output": "text"}
METADATA = {
    "sum_assistant_a_tokens": 120,
    "sum_assistant_b_tokens": 80,
    "header_count_a": {"h1": 1, "h2": 2},
    "header_count_b": {"h1": 0, "h2": 0},
    "list_count_a": {"ordered": 3, "unordered": None},
    "list_count_b": 2,
    "bold_count_a": {"**": 4, "__": 1},
    "bold_count_b": {"**": 0, "__": 0},
}
BATTLE = {
    "model_a": "x",
    "model_b": "y",
    "winner": "tie (bothbad)",
    "judge": "user7",
    "conv_metadata": METADATA,
}


def written(tmp_path, content, name="file.json"):
    path = tmp_path / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def without(record, name):
    return {key: value for key, value in record.items() if key != name}


def test_alpaca(tmp_path):
    frame = read_alpaca_annotations(written(tmp_path, [ALPACA, {**ALPACA, "preference": None}]))
    assert frame.row(0) == ("Name a colour.", "mine", "base", 1.25, 3, 16)
    assert frame["preference"].to_list() == [1.25, None]
    assert frame.schema["preference"] == pl.Float64


def test_wildbench_pairwise(tmp_path):
    answers = [("mine", 1), ("mine", 2), ("tie", 0), ("org/gpt-ref", 1), ("org/gpt-ref", 2)]
    records = [{**PAIR, "winner": winner, "extent": extent} for winner, extent in answers]
    cut = {**PAIR["model_outputs"], "org/gpt-ref": "begin... (truncated)"}
    empty = {**PAIR["model_outputs"], "mine": "[This model response is empty.]"}
    records += [{**PAIR, "model_outputs": cut}, {**PAIR, "model_outputs": empty}]
    tasks = {"s0": ["Math", "Editing"]}
    frame = read_wildbench_pairwise(written(tmp_path, records), "gpt-ref", tasks)
    assert frame["outcome"].to_list()[:5] == ["win", "win_much", "tie", "lose", "lose_much"]
    assert frame["skipped"].to_list() == [False] * 5 + [True, True]
    first = frame.row(0, named=True)
    assert (first["model"], first["baseline"]) == ("mine", "org/gpt-ref")
    assert (first["length_model"], first["length_baseline"]) == (11, 5)
    assert first["task"] == "Math|Editing"


def test_wildbench_scores(tmp_path):
    records = [SCORE, {**SCORE, "model_output": ""}, {**SCORE, "model_output": "x... (truncated)"}]
    frame = read_wildbench_scores(written(tmp_path, records))
    assert frame["score"].to_list() == [7.0] * 3
    assert frame["skipped"].to_list() == [False, True, True]


@pytest.mark.parametrize("kind", ["json", "jsonl", "parquet"])
def test_arena(tmp_path, kind):
    battles = [BATTLE, {**BATTLE, "winner": "model_a"}, {**BATTLE, "winner": "model_b"}]
    path = tmp_path / f"battles.{kind}"
    if kind == "parquet":
        pl.DataFrame([{**b, "conv_metadata": {**METADATA}} for b in battles]).write_parquet(path)
    elif kind == "jsonl":
        path.write_text("\n".join(json.dumps(battle) for battle in battles), encoding="utf-8")
    else:
        path.write_text(json.dumps(battles), encoding="utf-8")
    frame = read_arena_battles(path)
    assert frame["outcome"].to_list() == [0.5, 1.0, 0.0]
    first = frame.row(0, named=True)
    assert first["tokens_a"] == 120
    assert (first["header_a"], first["header_b"]) == (3, 0)
    assert (first["list_a"], first["list_b"]) == (3, 2)
    assert first["bold_a"] == 5
    assert first["judge"] == "user7"


def test_arena_without_metadata(tmp_path):
    frame = read_arena_battles(written(tmp_path, [without(BATTLE, "conv_metadata")]))
    assert frame.columns == ["model_a", "model_b", "outcome", "judge"]


def _pairs(path):
    return read_wildbench_pairwise(path, "gpt-ref")


def _tagged(path):
    return read_wildbench_scores(path, {"other": ["Math"]})


OUTPUTS = {"a gpt-ref": "x", "b gpt-ref": "y"}
MALFORMED = [
    (read_alpaca_annotations, {"a": 1}, "non-empty JSON list"),
    (read_alpaca_annotations, [], "non-empty JSON list"),
    (read_alpaca_annotations, [ALPACA, 3], "entry 1 is no JSON object"),
    (read_alpaca_annotations, [ALPACA, without(ALPACA, "output_2")], "judgement 1 has no 'output_"),
    (read_alpaca_annotations, [{**ALPACA, "preference": "m"}], "preference 'm': expected a num"),
    (read_alpaca_annotations, [{**ALPACA, "preference": True}], "preference True"),
    (read_alpaca_annotations, [{**ALPACA, "output_1": None}], "output_1 None: expected text"),
    (_pairs, [{**PAIR, "extent": 3}], "winner 'mine' with extent 3"),
    (_pairs, [{**PAIR, "winner": "nobody"}], "winner 'nobody' with extent 1"),
    (_pairs, [{**PAIR, "model_outputs": {"mine": "x"}}], "other than two models"),
    (_pairs, [{**PAIR, "model_outputs": OUTPUTS}], "2 match the baseline"),
    (read_wildbench_scores, [{**SCORE, "score": "good"}], "score 'good': expected a number"),
    (read_wildbench_scores, [without(SCORE, "model_test")], "has no 'model_test'"),
    (_tagged, [SCORE], "no tags for the session 's0'"),
    (read_arena_battles, [{**BATTLE, "winner": "model_c"}], "battle 0 has winner 'model_c'"),
    (read_arena_battles, [BATTLE, without(BATTLE, "conv_metadata")], "battle 1 has no conv_meta"),
    (read_arena_battles, [{**BATTLE, "model_b": 3}], "model_b 3: expected text"),
    (
        read_arena_battles,
        [{**BATTLE, "conv_metadata": without(METADATA, "bold_count_b")}],
        "has no 'bold_count_b'",
    ),
    (
        read_arena_battles,
        [{**BATTLE, "conv_metadata": {**METADATA, "bold_count_b": "many"}}],
        "bold_count_b 'many': expected counts",
    ),
]


@pytest.mark.parametrize(("read", "content", "message"), MALFORMED, ids=[m for *_, m in MALFORMED])
def test_malformed_content_is_named(tmp_path, read, content, message):
    with pytest.raises(es.InputError, match=message):
        read(written(tmp_path, content))


def test_unreadable_files(tmp_path):
    with pytest.raises(es.InputError, match="cannot be read"):
        read_alpaca_annotations(tmp_path / "absent.json")
    broken = tmp_path / "broken.json"
    broken.write_text("[1,", encoding="utf-8")
    with pytest.raises(es.InputError, match="is no valid json"):
        read_alpaca_annotations(broken)
    parquet = tmp_path / "broken.parquet"
    parquet.write_text("no parquet", encoding="utf-8")
    with pytest.raises(es.InputError, match="cannot be read as Parquet"):
        read_arena_battles(parquet)
