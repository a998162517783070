"""Files that people have: AlpacaEval annotations, WildBench results, Arena battles."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import polars as pl

from evalstats.data.archives import parse_json, read_content
from evalstats.errors import InputError
from evalstats.winrate.bradley_terry_columns import OUTCOME_LABELS

File = str | PathLike[str]
Record = dict[str, Any]

TRUNCATED = "... (truncated)"
EMPTY = "[This model response is empty.]"
GRADES = {1: ("win", "lose"), 2: ("win_much", "lose_much")}
ARENA_CONTROLS = {
    "tokens": "sum_assistant_{}_tokens",
    "header": "header_count_{}",
    "list": "list_count_{}",
    "bold": "bold_count_{}",
}
ARENA_KEYS = ("judge", "user", "evaluation_session_id", "question_id", "id", "language", "turn")


def read_alpaca_annotations(path: File) -> pl.DataFrame:
    """Read an AlpacaEval ``annotations.json``.

    Parameters
    ----------
    path : str or path-like
        JSON list of judgements with ``instruction``, ``output_1`` (the baseline), ``output_2``
        (the model), ``generator_1``, ``generator_2`` and ``preference``.

    Returns
    -------
    polars.DataFrame
        ``item`` (the instruction), ``model``, ``baseline``, ``preference`` (as in the file; null
        where there is none), ``len_model`` and ``len_baseline`` in Unicode characters.

    Raises
    ------
    InputError
        If the file is no such list, or a judgement lacks a field or has one of a wrong type.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> from evalstats.winrate.readers import read_alpaca_annotations
    >>> path = pathlib.Path(tempfile.mkdtemp(), "annotations.json")
    >>> judgement = {
    ...     "instruction": "Hi?",
    ...     "output_1": "Hello!",
    ...     "output_2": "Hi.",
    ...     "generator_1": "base",
    ...     "generator_2": "mine",
    ...     "preference": 1.25,
    ... }
    >>> _ = path.write_text(json.dumps([judgement]), encoding="utf-8")
    >>> read_alpaca_annotations(path).row(0)
    ('Hi?', 'mine', 'base', 1.25, 3, 6)
    """
    rows = []
    for position, record in enumerate(_records(path)):
        place = f"{path}: judgement {position}"
        preference = _field(record, "preference", place)
        if preference is not None and not _is_number(preference):
            raise InputError(f"{place} has preference {preference!r}: expected a number or null")
        rows.append(
            {
                "item": _text(record, "instruction", place),
                "model": _text(record, "generator_2", place),
                "baseline": _text(record, "generator_1", place),
                "preference": None if preference is None else float(preference),
                "len_model": len(_text(record, "output_2", place)),
                "len_baseline": len(_text(record, "output_1", place)),
            }
        )
    return pl.DataFrame(rows, schema_overrides={"preference": pl.Float64}, infer_schema_length=None)


def read_wildbench_pairwise(
    path: File, baseline: str, tasks: Mapping[str, Sequence[str]] | None = None
) -> pl.DataFrame:
    """Read a WildBench pairwise result file, for :class:`evalstats.WildBenchReward`.

    Parameters
    ----------
    path : str or path-like
        JSON list of judgements with ``session_id``, ``model_outputs`` (model name to text),
        ``winner`` (a model name or ``"tie"``) and ``extent`` (1 slightly, 2 much).
    baseline : str
        Name of the baseline model, or a part of it, as it occurs in ``model_outputs``.
    tasks : mapping of str to sequence of str, optional
        Primary and secondary tags of each session.

    Returns
    -------
    polars.DataFrame
        ``item``, ``model``, ``baseline``, ``outcome``, ``length_model``, ``length_baseline``,
        ``skipped`` (truncated or empty answers) and, with `tasks`, ``task`` (tags joined by ``|``).

    Raises
    ------
    InputError
        If the file is malformed, a winner or extent is unknown, or a session has no tags.
    """
    rows = []
    for position, record in enumerate(_records(path)):
        place = f"{path}: judgement {position}"
        outputs = _field(record, "model_outputs", place)
        if not isinstance(outputs, dict) or len(outputs) != 2:
            raise InputError(f"{place} has model_outputs of other than two models")
        against = [name for name in outputs if baseline in name]
        if len(against) != 1:
            raise InputError(
                f"{place} compares {sorted(outputs)}, of which {len(against)} match the baseline "
                f"{baseline!r}: name it exactly"
            )
        model = next(name for name in outputs if name != against[0])
        answer, other = (_text(outputs, name, place) for name in (model, against[0]))
        row = {
            "item": _text(record, "session_id", place),
            "model": model,
            "baseline": against[0],
            "outcome": _wildbench_outcome(record, model, against[0], place),
            "length_model": len(answer),
            "length_baseline": len(other),
            "skipped": _unusable(answer) or _unusable(other),
        }
        rows.append(row | _tags(tasks, str(row["item"]), place))
    return pl.DataFrame(rows, infer_schema_length=None)


def read_wildbench_scores(
    path: File, tasks: Mapping[str, Sequence[str]] | None = None
) -> pl.DataFrame:
    """Read a WildBench score file, for :class:`evalstats.WildBenchScore`.

    Parameters
    ----------
    path : str or path-like
        JSON list of judgements with ``session_id``, ``model_test``, ``score`` and
        ``model_output``.
    tasks : mapping of str to sequence of str, optional
        Primary and secondary tags of each session.

    Returns
    -------
    polars.DataFrame
        ``item``, ``model``, ``score``, ``length_model``, ``skipped`` and, with `tasks`, ``task``.

    Raises
    ------
    InputError
        If the file is malformed, a score is no number, or a session has no tags.
    """
    rows = []
    for position, record in enumerate(_records(path)):
        place = f"{path}: judgement {position}"
        answer = _text(record, "model_output", place)
        mark = _field(record, "score", place)
        try:
            score = float(mark)
        except (TypeError, ValueError) as error:
            raise InputError(f"{place} has score {mark!r}: expected a number") from error
        row = {
            "item": _text(record, "session_id", place),
            "model": _text(record, "model_test", place),
            "score": score,
            "length_model": len(answer),
            "skipped": answer == "" or _unusable(answer),
        }
        rows.append(row | _tags(tasks, str(row["item"]), place))
    return pl.DataFrame(rows, infer_schema_length=None)


def read_arena_battles(path: File) -> pl.DataFrame:
    """Read Arena battles from JSON, JSON lines or Parquet, for :class:`evalstats.BradleyTerry`.

    Parameters
    ----------
    path : str or path-like
        Battles with ``model_a``, ``model_b``, ``winner`` and, for style control,
        ``conv_metadata``.

    Returns
    -------
    polars.DataFrame
        ``model_a``, ``model_b``, ``outcome`` (1, 0.5, 0); where the file has ``conv_metadata``, the
        controls ``tokens_a`` to ``bold_b`` (counts by level or kind are added up); and the keys
        that may serve as clusters, such as ``judge``.

    Raises
    ------
    InputError
        If the file is malformed, a winner is unknown, or the metadata of a battle is incomplete.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".parquet":
        try:
            records = pl.read_parquet(Path(path)).to_dicts()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise InputError(f"{path} cannot be read as Parquet: {error}") from error
    else:
        records = _records(path, lines=suffix in (".jsonl", ".ndjson"))
    styled = bool(records) and records[0].get("conv_metadata") is not None
    rows = []
    for position, record in enumerate(records):
        place = f"{path}: battle {position}"
        winner = _field(record, "winner", place)
        if not isinstance(winner, str) or winner not in OUTCOME_LABELS:
            raise InputError(
                f"{place} has winner {winner!r}: expected one of {list(OUTCOME_LABELS)}"
            )
        row: Record = {
            "model_a": _text(record, "model_a", place),
            "model_b": _text(record, "model_b", place),
            "outcome": OUTCOME_LABELS[winner],
        }
        if styled:
            row |= _style(record.get("conv_metadata"), place)
        rows.append(row | {key: _code(record, key, place) for key in ARENA_KEYS if key in record})
    if not rows:
        raise InputError(f"{path} holds no battle")
    return pl.DataFrame(rows, infer_schema_length=None, strict=False)


def _records(path: File, *, lines: bool = False) -> list[Record]:
    content = read_content(path)
    found: Any
    if lines:
        found = [parse_json(line, path) for line in content.splitlines() if line.strip()]
    else:
        found = parse_json(content, path)
    if not isinstance(found, list) or not found:
        raise InputError(f"{path} must hold a non-empty JSON list of records")
    for position, record in enumerate(found):
        if not isinstance(record, dict):
            raise InputError(f"{path}: entry {position} is no JSON object")
    return found


def _field(record: Mapping[str, Any], name: str, place: str) -> Any:
    if name not in record:
        raise InputError(f"{place} has no {name!r}; it has {sorted(record)}")
    return record[name]


def _text(record: Mapping[str, Any], name: str, place: str) -> str:
    value = _field(record, name, place)
    if not isinstance(value, str):
        raise InputError(f"{place} has {name} {value!r}: expected text")
    _require_unicode(value, name, place)
    return value


def _require_unicode(value: str, name: str, place: str) -> None:
    if not value.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in value):
        raise InputError(f"{place} has {name} {value!r}, which is no Unicode text")


def _code(record: Mapping[str, Any], name: str, place: str) -> Any:
    value = record[name]
    if value is not None and not isinstance(value, str | int | float | bool):
        raise InputError(f"{place} has {name} {value!r}: expected one value")
    if isinstance(value, str):
        _require_unicode(value, name, place)
    return str(value) if isinstance(value, int) and abs(value) >= 2**63 else value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _unusable(answer: str) -> bool:
    return answer.endswith(TRUNCATED) or answer == EMPTY


def _wildbench_outcome(record: Record, model: str, baseline: str, place: str) -> str:
    winner, extent = _field(record, "winner", place), _field(record, "extent", place)
    if winner == "tie":
        return "tie"
    known = isinstance(extent, int) and extent in GRADES
    if winner not in (model, baseline) or not known:
        raise InputError(
            f"{place} has winner {winner!r} with extent {extent!r}: expected {model!r} or "
            f"{baseline!r} with extent 1 or 2, or 'tie'"
        )
    return GRADES[extent][0 if winner == model else 1]


def _tags(tasks: Mapping[str, Sequence[str]] | None, item: str, place: str) -> dict[str, str]:
    if tasks is None:
        return {}
    if item not in tasks or not tasks[item]:
        raise InputError(f"{place}: tasks has no tags for the session {item!r}")
    return {"task": "|".join(tasks[item])}


def _style(metadata: object, place: str) -> dict[str, int]:
    if not isinstance(metadata, dict):
        raise InputError(f"{place} has no conv_metadata, unlike the first battle")
    counts: dict[str, int] = {}
    for name, key in ARENA_CONTROLS.items():
        for side in ("a", "b"):
            value = _field(metadata, key.format(side), f"{place}, conv_metadata,")
            parts = list(value.values()) if isinstance(value, dict) else [value]
            known = [part for part in parts if part is not None]
            if not known or not all(_is_number(part) for part in known):
                raise InputError(f"{place} has {key.format(side)} {value!r}: expected counts")
            counts[f"{name}_{side}"] = sum(known)
    return counts
