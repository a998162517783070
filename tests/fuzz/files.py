"""Targets ``file:<reader>``: malformed, truncated and hostile files."""

import copy
import gzip
import io
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import evalstats as es
from tests.fuzz.functions import coco
from tests.fuzz.harness import Target, Trial
from tests.fuzz.results import any_fitted
from tests.fuzz.values import NAMES, Rng, pick

HOSTILE_JSON: tuple[Any, ...] = (
    None, True, "", "text", "<script>", -1, 0, 2**31, 2**63, 10**40, 1e308, float("nan"),
    float("inf"), [], {}, [[]], [None], {"a": 1}, [1] * 50, "\ud800", 0.5, [1, 2, 3, 4], "1",
    [2**40, 2**40], [10**9, 10**9],
)  # fmt: skip


@cache
def folder() -> Path:
    """One folder for all files of this process."""
    return Path(tempfile.mkdtemp(prefix="evalstats-fuzz-"))


def targets() -> list[Target]:
    """One target for each reader."""
    return [Target(f"file:{name}", _drawer(name), 1.2) for name in READERS]


def mutated_json(rng: Rng, document: Any) -> Any:
    """Replace, delete or repeat nodes anywhere in a document."""
    document = copy.deepcopy(document)
    for _ in range(int(pick(rng, (0, 1, 1, 2)))):
        path, node = [document], document
        while isinstance(node, dict | list) and node and rng.random() < 0.85:
            key = pick(rng, list(node)) if isinstance(node, dict) else int(rng.integers(len(node)))
            node = node[key]
            path.append((key, node))
        if len(path) < 2:
            continue
        parent = path[-2] if len(path) == 2 else path[-2][1]
        key = path[-1][0]
        kind = int(rng.integers(4))
        if kind == 0:
            del parent[key]
        elif kind == 1 and isinstance(parent, list):
            parent.append(parent[key])
        elif kind == 1 and isinstance(key, str):
            parent[pick(rng, [n for n in NAMES if isinstance(n, str)])] = parent.pop(key)
        else:
            parent[key] = copy.deepcopy(pick(rng, HOSTILE_JSON))
    return document


def mutated_bytes(rng: Rng, content: bytes) -> bytes:
    """Truncate, flip, insert, repeat or compress; half of the files stay as they are."""
    kind = int(rng.integers(12))
    size = len(content)
    if kind == 0:
        return content[: int(rng.integers(size + 1))]
    if kind == 1 and size:
        changed = bytearray(content)
        for _ in range(int(pick(rng, (1, 1, 4, 20)))):
            changed[int(rng.integers(size))] = int(rng.integers(256))
        return bytes(changed)
    if kind == 2:
        at = int(rng.integers(size + 1))
        extra = pick(
            rng, (b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b'"', b"{", b"]", b"\n\n", b"," * 99)
        )
        return content[:at] + extra + content[at:]
    if kind == 3:
        return pick(
            rng, (b"", b"\x00" * 100, b"PK\x03\x04", b"[" * 100_000, b"PAR1", b"null", b"{}")
        )
    if kind == 4:
        return content + content
    if kind == 5:
        return gzip.compress(content)
    return content


def written(rng: Rng, name: str, content: bytes) -> Path:
    """Write a file, sometimes as what is no file at all."""
    path = folder() / name
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.is_dir():
        path.rmdir()
    kind = int(rng.integers(60))
    if name == "saved" and kind in (1, 3):  # Estimate.load raises FileNotFoundError, as documented
        kind = 60
    if kind == 0:
        path.symlink_to(path)
    elif kind == 1:
        path.symlink_to(folder() / "nowhere")
    elif kind == 2:
        path.mkdir()
    elif kind == 3:
        return folder() / "missing" / name
    elif kind == 4:
        target = folder() / f"target-{name}"
        target.write_bytes(content)
        path.symlink_to(target)
    else:
        path.write_bytes(content)
    return path


def _dumped(rng: Rng, document: Any) -> bytes:
    return mutated_bytes(rng, json.dumps(mutated_json(rng, document)).encode(errors="replace"))


# Readers ----------------------------------------------------------------------------------------

Case = tuple[Path, Callable[[], Any]]


def _ground_truth(rng: Rng) -> Case:
    path = written(rng, "gt.json", _dumped(rng, coco(rng, int(pick(rng, (1, 2, 3))))[0]))
    kind = pick(rng, ("bbox", "bbox", "segm"))
    return path, lambda: es.read_ground_truth(str(path), iou_type=kind)


def _federated(rng: Rng) -> Case:
    document = coco(rng, 2)[0]
    for image in document["images"]:
        image |= {"neg_category_ids": [5], "not_exhaustive_category_ids": [1]}
    for category in document["categories"]:
        category["frequency"] = pick(rng, ("r", "c", "f"))
    path = written(rng, "lvis.json", _dumped(rng, document))
    return path, lambda: es.read_ground_truth(path)


def _detections(rng: Rng) -> Case:
    _, results = coco(rng, int(pick(rng, (1, 2, 3))))
    drop = pick(rng, (None, "bbox", "segmentation", "segmentation"))
    results = [{k: v for k, v in row.items() if k != drop} for row in results]
    suffix = pick(rng, (".json", ".json", ".json", ".jsonl", ".csv", ".parquet", ".arrow", ".txt"))
    if suffix == ".jsonl":
        content = b"\n".join(json.dumps(mutated_json(rng, row)).encode() for row in results)
    elif suffix in (".csv", ".parquet", ".arrow"):
        content = mutated_bytes(rng, _table_bytes(suffix, _flat(results)))
    else:
        content = _dumped(rng, results)
    path = written(rng, "dt" + suffix, content)
    return path, lambda: es.read_detections(str(path))


def _flat(results: list[dict[str, Any]]) -> pl.DataFrame:
    rows = [
        {"image_id": r["image_id"], "category_id": r["category_id"], "score": r["score"]}
        | dict(zip("xywh", r.get("bbox", [0.0, 0.0, 1.0, 1.0]), strict=True))
        for r in results
    ]
    return pl.DataFrame(rows)


def _masks(rng: Rng) -> Case:
    """Run-length masks whose runs do not fill the image, or whose image is absurdly large."""
    size = pick(rng, ([20, 20], [10**9, 10**9], [2**31, 2**31], [0, 0], [-1, 5], [1, 400], [20]))
    counts = pick(
        rng,
        (
            [5, 3, 392], [400], [2**32, 1], [2**31] * 8, [-5, 405], [0] * 1000, [], [1.5, 398.5],
            [10**18], "51", "P" * 50, "o" * 60, "\x7f", "~~~", "", "e" * 14, None, ["5", "3"],
        ),
    )  # fmt: skip
    row = {
        "image_id": 1,
        "category_id": 1,
        "score": 0.5,
        "segmentation": {"size": size, "counts": counts},
    }
    path = written(rng, "rle.json", json.dumps([row]).encode())
    if rng.random() < 0.5:
        return path, lambda: es.read_detections(str(path))
    document = coco(rng, 1)[0]
    document["images"][0] |= {"height": pick(rng, (20, 10**9)), "width": pick(rng, (20, 10**9))}
    document["annotations"][0]["segmentation"] = pick(
        rng, (row["segmentation"], [[1, 1, 5, 1, 5, 5]], [[1, 2]], [[]], [[1e300] * 6], counts)
    )
    path = written(rng, "masks.json", json.dumps(document).encode())
    return path, lambda: es.read_ground_truth(path, iou_type="segm")


def _alpaca(rng: Rng) -> Case:
    from evalstats.winrate.readers import read_alpaca_annotations

    row = {"instruction": "Hi?", "output_1": "a", "output_2": "bb", "generator_1": "base"}
    rows = [row | {"generator_2": pick(rng, NAMES), "preference": 1.5} for _ in range(3)]
    path = written(rng, "annotations.json", _dumped(rng, rows))
    return path, lambda: read_alpaca_annotations(path)


def _arena(rng: Rng) -> Case:
    from evalstats.winrate.readers import read_arena_battles

    row: dict[str, Any] = {"model_a": "a", "model_b": "b", "winner": "tie", "judge": "j"}
    if rng.random() < 0.5:
        keys = ("sum_assistant_{}_tokens", "header_count_{}", "list_count_{}", "bold_count_{}")
        row["conv_metadata"] = {key.format(side): 3 for key in keys for side in "ab"}
    suffix = pick(rng, (".json", ".jsonl", ".parquet"))
    if suffix == ".parquet":
        content = mutated_bytes(rng, _table_bytes(suffix, pl.DataFrame([row] * 3)))
    elif suffix == ".jsonl":
        content = b"\n".join(json.dumps(mutated_json(rng, row)).encode() for _ in range(3))
    else:
        content = _dumped(rng, [row] * 3)
    path = written(rng, "battles" + suffix, content)
    return path, lambda: read_arena_battles(path)


def _wildbench(rng: Rng) -> Case:
    from evalstats.winrate.readers import read_wildbench_pairwise, read_wildbench_scores

    if rng.random() < 0.5:
        pair = {"session_id": "s", "model_outputs": {"gpt": "a", "mine": "b"}, "winner": "mine"}
        path = written(rng, "pairs.json", _dumped(rng, [pair | {"extent": 1}] * 2))
        return path, lambda: read_wildbench_pairwise(path, "gpt")
    row = {"session_id": "s", "model_test": "m", "score": pick(rng, (7, "8")), "model_output": "x"}
    path = written(rng, "scores.json", _dumped(rng, [row] * 2))
    return path, lambda: read_wildbench_scores(path)


def _table_bytes(suffix: str, frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    writer = {
        ".csv": frame.write_csv,
        ".tsv": lambda b: frame.write_csv(b, separator="\t"),
        ".parquet": frame.write_parquet,
        ".arrow": frame.write_ipc,
        ".feather": frame.write_ipc_stream,
        ".ndjson": frame.write_ndjson,
    }[suffix]
    writer(buffer)
    return buffer.getvalue()


def _table(suffix: str) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        from evalstats.report.files import scan_table

        frame = pl.DataFrame({"y": [0, 1, 0, 1], "p": [0.1, 0.6, 0.4, 0.9]})
        path = written(rng, "table" + suffix, mutated_bytes(rng, _table_bytes(suffix, frame)))
        return path, lambda: es.AUROC().fit("y", "p", data=scan_table(path)).estimate_

    return draw


def _npz(rng: Rng) -> Case:
    from evalstats.report.files import scan_table

    arrays: dict[str, Any] = {
        "truth": rng.normal(size=(2, 3, 2)),
        "samples": rng.normal(size=(5, 2, 3, 2)),
        "scene": np.array([0, 0, 1]),
    }
    if rng.random() < 0.5:
        key = pick(rng, list(arrays))
        arrays[key] = pick(
            rng, (np.array(3.0), np.zeros((2, 2)), np.array(["a"]), np.zeros(0), arrays[key][:1],
                  np.array([1 + 2j]), np.array([(1, 2)], dtype="i4,i4"))
        )  # fmt: skip
    if rng.random() < 0.3:
        arrays["axes"] = pick(rng, ("KTAD", "XXXX", "", "TAKD", 5, ["K", "T"]))
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    path = written(rng, "agents.npz", mutated_bytes(rng, buffer.getvalue()))
    return path, lambda: scan_table(path).collect()


def _estimate(rng: Rng) -> Case:
    target = folder() / "whole.npz"
    any_fitted(rng).estimate_.save(target)
    content = target.read_bytes()
    if rng.random() < 0.6:
        with np.load(target) as archive:
            arrays = {name: archive[name] for name in archive.files}
        content = _spoiled_archive(rng, arrays)
    path = written(rng, "saved", mutated_bytes(rng, content))

    def call() -> Any:
        estimate = es.Estimate.load(path)
        str(estimate), estimate.to_html(), estimate.confidence_interval()
        return estimate

    return path, call


def _spoiled_archive(rng: Rng, arrays: dict[str, Any]) -> bytes:
    """Change the document, or the shape or type of an array."""
    if rng.random() < 0.5:
        document = mutated_json(rng, json.loads(arrays["meta"].tobytes()))
        arrays["meta"] = np.frombuffer(json.dumps(document).encode(), dtype=np.uint8)
    else:
        key = pick(rng, list(arrays))
        changes: tuple[Any, ...] = (
            arrays[key][:0],
            np.zeros((2, 2, 2)),
            np.array("x"),
            arrays[key][:-1],
        )
        if key == "meta" or rng.random() < 0.3:
            arrays.pop(key)
        else:
            arrays[key] = pick(rng, changes)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def _image(rng: Rng) -> Case:
    from evalstats.anomaly.files import read_image

    picture = rng.integers(0, 255, pick(rng, ((5, 6), (5, 6, 3), (1, 5, 6), (0, 0), (5,))))
    suffix = pick(rng, (".npy", ".png", ".tif"))
    buffer = io.BytesIO()
    if suffix == ".npy":
        kinds = (
            picture,
            picture.astype("f4"),
            picture.astype("O"),
            picture.astype("U"),
            picture > 9,
        )
        np.save(buffer, pick(rng, kinds), allow_pickle=True)
    else:
        from PIL import Image

        shown = picture if picture.ndim == 2 and picture.size else np.zeros((3, 3))
        Image.fromarray(shown.astype(np.uint8)).save(buffer, "PNG" if suffix == ".png" else "TIFF")
    content = buffer.getvalue()
    if suffix == ".png" and rng.random() < 0.1:
        content = png_bomb()
    path = written(rng, "image" + suffix, mutated_bytes(rng, content))
    return path, lambda: np.array(read_image(path))


def png_bomb() -> bytes:
    """A few bytes that claim to be an image of a million times a million pixels."""
    import struct
    import zlib

    header = struct.pack(">IIBBBBB", 10**6, 10**6, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\x00" * 100)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def _folders(rng: Rng) -> Case:
    from evalstats.anomaly.files import pair_folders

    root = Path(tempfile.mkdtemp(dir=folder()))
    maps, masks = root / "maps", root / "masks"
    for place in (maps, masks):
        place.mkdir()
    for i in range(3):
        np.save(maps / f"{i}.npy", rng.random((4, 4)))
        np.save(masks / f"{i}{pick(rng, ('', '_mask', '_gt', '_x'))}.npy", np.eye(4) * (i == 2))
    trick = pick(rng, (0, 0, 1, 2, 3, 4))
    if trick == 1:
        os.symlink(maps, maps / "loop")
    elif trick == 2:
        os.symlink(maps / "nowhere.npy", maps / "3.npy")
    elif trick == 3:
        (maps / "dir.npy").mkdir()
    elif trick == 4:
        np.save(maps / "1.npy", rng.random((3, 5)))

    def call() -> Any:
        found = pair_folders(masks, {"m": maps}, unmasked_are_normal=bool(trick % 2))
        model = es.AUPRO(max_fpr=0.5, inference=es.NoInference())
        return model.fit(found.masks, dict(found.maps)).estimate_

    return root, call


READERS: Mapping[str, Callable[[Rng], Case]] = {
    "ground_truth": _ground_truth,
    "federated": _federated,
    "detections": _detections,
    "run_length_masks": _masks,
    "alpaca": _alpaca,
    "arena": _arena,
    "wildbench": _wildbench,
    **{f"table{suffix}": _table(suffix) for suffix in (".csv", ".tsv", ".parquet", ".arrow")},
    "table.feather": _table(".feather"),
    "table.ndjson": _table(".ndjson"),
    "trajectory.npz": _npz,
    "estimate": _estimate,
    "image": _image,
    "image_folders": _folders,
}
FILE_WORDS = (
    "y_true",
    "y_score",
    "ground_truth",
    "detections",
    "masks",
    "maps",
    "judgement",
    "data",
    "axes=",
)


def _drawer(name: str) -> Callable[[Rng], Trial]:
    def draw(rng: Rng) -> Trial:
        path, call = READERS[name](rng)
        content = path.read_bytes()[:1500] if path.is_file() else b""
        words = (path.name, str(path.parent), *FILE_WORDS)
        return Trial(call, words, text=f"{name} {path} {content!r}")

    return draw
