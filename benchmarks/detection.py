"""COCO average precision against pycocotools and faster-coco-eval."""

import contextlib
import io
from functools import cache
from typing import Any

import numpy as np

import evalstats as es
from benchmarks.harness import Contest, benchmark
from evalstats.detection.synthetic import synthetic_detections, synthetic_ground_truth


@cache
def sample(n_images: int, n_categories: int) -> tuple[Any, Any, dict[str, Any], Any]:
    """Records for us, and the same as dict and array for the peers."""
    rng = np.random.default_rng(0)
    truth = synthetic_ground_truth(rng, n_images, n_categories, objects=12.0, federated=False)
    found = synthetic_detections(rng, truth, noise=290)
    owner = np.repeat(truth.image_ids, np.diff(truth.offsets))
    document = {
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


@benchmark("COCO AP", peer="pycocotools", size=150_000, min_ratio=50, runs=3, peer_runs=1)
def coco_small() -> Contest:
    """500 images, 80 categories, 150,000 detections."""
    from pycocotools.coco import COCO  # type: ignore[import-untyped]
    from pycocotools.cocoeval import COCOeval  # type: ignore[import-untyped]

    _, _, document, results = sample(500, 80)
    return Contest(
        ours=lambda: ours(500, 80), theirs=lambda: peer(COCO, COCOeval, document, results)
    )


@benchmark(
    "COCO AP, large", peer="faster-coco-eval", size=1_500_000, min_ratio=8, runs=3, peer_runs=1
)
def coco_large() -> Contest:
    """5,000 images, 1,200 categories, 1.5 million detections."""
    from faster_coco_eval import (  # type: ignore[import-not-found]
        COCO,
        COCOeval_faster,
    )

    _, _, document, results = sample(5000, 1200)
    return Contest(
        ours=lambda: ours(5000, 1200),
        theirs=lambda: peer(COCO, COCOeval_faster, document, results),
    )
