"""Average precision against pycocotools, lvis and faster-coco-eval."""

import contextlib
import io
import json
import tempfile
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import evalstats as es
from benchmarks.harness import Contest, benchmark
from evalstats.detection.synthetic import synthetic_detections, synthetic_ground_truth


def plain_document(truth: Any) -> dict[str, Any]:
    """Ground truth as the peers read it."""
    owner = np.repeat(truth.image_ids, np.diff(truth.offsets))
    return {
        "info": {},
        "images": [{"id": i, "width": 640, "height": 640} for i in truth.image_ids.tolist()],
        "categories": [{"id": c, "name": str(c)} for c in truth.categories.ids.tolist()],
        "annotations": [
            {"id": k, "image_id": i, "category_id": c, "bbox": b, "area": a, "iscrowd": 0}
            for k, i, c, b, a in zip(
                truth.annotation_id.tolist(),
                owner.tolist(),
                truth.categories.ids[truth.category].tolist(),
                truth.box.tolist(),
                truth.area.tolist(),
                strict=True,
            )
        ],
    }


@cache
def sample(n_images: int, n_categories: int) -> tuple[Any, Any, dict[str, Any], Any]:
    """Records for us, and the same as dict and array for the peers."""
    rng = np.random.default_rng(0)
    truth = synthetic_ground_truth(rng, n_images, n_categories, objects=12.0, federated=False)
    found = synthetic_detections(rng, truth, noise=290)
    document = plain_document(truth)
    assert found.box is not None
    results = np.column_stack(
        [found.image_ids[found.image], found.box, found.score, found.category_id]
    )
    return truth, found, document, results


def peer(library: Any, evaluator: Any, document: dict[str, Any], results: Any) -> float:
    """AP of a peer with the interface of pycocotools, from arrays."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = library()
        truth.dataset = document
        truth.createIndex()
        evaluation = evaluator(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


def ours(n_images: int, n_categories: int) -> float:
    """AP from arrays, nothing remembered from an earlier run."""
    truth, found, _, _ = sample(n_images, n_categories)
    found.cache.clear()
    return es.average_precision(truth, found)["AP"]


@cache
def federated_sample(n_images: int, n_categories: int) -> tuple[Any, Any, str, Any]:
    """Records for us, and the path of the same ground truth and a list of results for lvis."""
    rng = np.random.default_rng(1)
    truth = synthetic_ground_truth(rng, n_images, n_categories, objects=12.0)
    found = synthetic_detections(rng, truth, noise=290)
    assert found.box is not None
    assert truth.negative is not None
    assert truth.not_exhaustive is not None
    document = plain_document(truth)
    ids = truth.categories.ids
    for k, image in enumerate(document["images"]):
        for key, lists in (
            ("neg_category_ids", truth.negative),
            ("not_exhaustive_category_ids", truth.not_exhaustive),
        ):
            listed = lists.category[lists.offsets[k] : lists.offsets[k + 1]]
            image[key] = ids[listed].tolist()
    for category, code in zip(document["categories"], truth.categories.frequency, strict=True):
        category |= {"frequency": "rcf"[code], "image_count": 1, "instance_count": 1}
    path = Path(tempfile.mkdtemp()) / "truth.json"
    path.write_text(json.dumps(document))
    return truth, found, str(path), result_records(found)


def result_records(found: Any) -> list[dict[str, Any]]:
    """One dict for each detection, as in a result file."""
    columns = (found.image_ids[found.image], found.category_id, found.box, found.score)
    return [
        {"image_id": i, "category_id": c, "bbox": b, "score": s}
        for i, c, b, s in zip(*(column.tolist() for column in columns), strict=True)
    ]


def paired(n_images: int, n_categories: int) -> tuple[Any, dict[str, Any]]:
    """Ground truth and two detectors, matched before the clock starts."""
    truth, found, _, _ = sample(n_images, n_categories)
    other = synthetic_detections(np.random.default_rng(2), truth, noise=290, quality=0.8)
    return truth, {"a": found, "b": other}


def replicates(make: Callable[..., Any]) -> Contest:
    """1,000 paired replicates at full size; the matching is remembered from an earlier fit."""
    truth, models = paired(5000, 1200)
    inference = es.Bootstrap(1000, interval="bias_corrected", rng=0)
    return Contest(
        ours=lambda: make(metrics=["AP"], inference=inference).fit(truth, models).estimate_.value
    )


@benchmark("COCO AP", peer="pycocotools", size=150_000, min_ratio=50, runs=3, peer_runs=1)
def coco_small() -> Contest:
    """500 images, 80 categories, 150,000 detections."""
    from pycocotools.coco import COCO  # type: ignore[import-untyped]
    from pycocotools.cocoeval import COCOeval  # type: ignore[import-untyped]

    _, _, document, results = sample(500, 80)
    return Contest(
        ours=lambda: ours(500, 80), theirs=lambda: peer(COCO, COCOeval, document, results)
    )


@benchmark("LVIS AP", peer="lvis", size=150_000, min_ratio=50, runs=3, peer_runs=1)
def lvis_small() -> Contest:
    """500 images, 1,200 categories, 150,000 detections."""
    import lvis  # type: ignore[import-not-found]

    truth, found, path, results = federated_sample(500, 1200)

    def theirs() -> float:
        # The release uses a name that numpy has removed.
        vars(np)["float"] = float
        given = lvis.LVIS(path)
        evaluation = lvis.LVISEval(given, lvis.LVISResults(given, deepcopy(results)), "bbox")
        evaluation.run()
        return float(evaluation.results["AP"])

    def mine() -> float:
        found.cache.clear()
        return es.average_precision(truth, found, protocol="lvis")["AP"]

    return Contest(ours=mine, theirs=theirs)


@benchmark(
    "COCO AP, many categories",
    peer="faster-coco-eval",
    size=300_000,
    min_ratio=8,
    runs=3,
    peer_runs=1,
)
def coco_large() -> Contest:
    """1,000 images, 1,200 categories, 300,000 detections, from arrays."""
    from faster_coco_eval import (  # type: ignore[import-not-found]
        COCO,
        COCOeval_faster,
    )

    _, _, document, results = sample(1000, 1200)
    return Contest(
        ours=lambda: ours(1000, 1200),
        theirs=lambda: peer(COCO, COCOeval_faster, document, results),
    )


@benchmark(
    "COCO AP, from json", peer="faster-coco-eval", size=300_000, min_ratio=4, runs=3, peer_runs=1
)
def coco_from_json() -> Contest:
    """As before, results read from a file."""
    from faster_coco_eval import COCO, COCOeval_faster

    truth, found, document, _ = sample(1000, 1200)
    path = Path(tempfile.mkdtemp()) / "results.json"
    path.write_text(json.dumps(result_records(found)))
    return Contest(
        ours=lambda: es.average_precision(truth, path)["AP"],
        theirs=lambda: peer(COCO, COCOeval_faster, document, str(path)),
    )


@benchmark("COCO AP, full size", size=1_500_000, max_seconds=6.0, runs=3)
def coco_full() -> Contest:
    """5,000 images, 1,200 categories, 1.5 million detections, from arrays."""
    return Contest(ours=lambda: ours(5000, 1200))


@benchmark("1,000 paired replicates of AP", size=1_500_000, max_seconds=60.0, runs=1)
def replicates_of_macro() -> Contest:
    """Two detectors at full size."""
    return replicates(lambda **options: es.AveragePrecision(protocol="fixed", **options))


@benchmark("1,000 paired replicates of AP-Pool", size=1_500_000, max_seconds=60.0, runs=1)
def replicates_of_pool() -> Contest:
    """Two detectors at full size."""
    return replicates(es.PooledAveragePrecision)
