"""Matching and curves against plain Python in exact fractions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import evalstats as es
from evalstats.detection.curves import curve_set, curve_values
from evalstats.detection.matching import RANGES, MatchSettings, match_detections
from evalstats.detection.protocols import kept
from evalstats.detection.records import aligned
from tests.oracles.detection import average_precision

IMAGES, CATEGORIES = (1, 2, 3), (1, 2)
# Dyadic: a fraction and a double compare alike.
THRESHOLDS = (0.25, 0.5, 0.75)
SIDES = st.sampled_from([0, 8, 16, 32, 96])
BOXES = st.tuples(st.integers(0, 3).map(lambda k: 8 * k), st.just(0), SIDES, SIDES)
PLACES = {"image": st.sampled_from(IMAGES), "category": st.sampled_from(CATEGORIES), "box": BOXES}
OBJECTS = st.lists(
    st.fixed_dictionaries(PLACES | {"crowd": st.booleans(), "flag": st.booleans()}),
    min_size=1,
    max_size=8,
)
FOUND = st.lists(
    st.fixed_dictionaries(PLACES | {"score": st.sampled_from([0.25, 0.5, 0.75, 1.0])}),
    min_size=1,
    max_size=12,
)


def records(objects, found):
    document = {
        "images": [{"id": i} for i in IMAGES],
        "categories": [{"id": c} for c in CATEGORIES],
        "annotations": [
            {
                "id": k,
                "image_id": o["image"],
                "category_id": o["category"],
                "bbox": o["box"],
                "area": o["area"],
                "iscrowd": int(o["crowd"]),
                "ignore": int(o["flag"]),
            }
            for k, o in enumerate(objects)
        ],
    }
    results = [
        {
            "image_id": d["image"],
            "category_id": d["category"],
            "bbox": d["box"],
            "score": d["score"],
        }
        for d in found
    ]
    truth = es.read_ground_truth(document)
    return truth, aligned(es.read_detections(results), truth, "detections")


@given(
    objects=OBJECTS,
    found=FOUND,
    weights=st.tuples(*[st.integers(0, 2)] * 3),
    respect=st.booleans(),
    cap=st.sampled_from([1, 2, 100]),
    ties=st.sampled_from(["reference", "block"]),
    area=st.integers(0, 3),
)
def test_matching_and_curves(objects, found, weights, respect, cap, ties, area):
    for item in objects:
        item["area"] = item["box"][2] * item["box"][3]
        item["ignored"] = item["crowd"] or (respect and item["flag"])
    truth, detections = records(objects, found)
    settings = MatchSettings(False, "bbox", THRESHOLDS, respect_ignore=respect)
    matches = match_detections(truth, detections, settings)
    keep = kept(matches, "coco", cap, 0)
    weight = np.array(weights, dtype=float)
    single, pool = (
        curve_values(curve_set(matches, keep, group, area=area, ties=ties), weight)
        for group in (np.arange(2), np.zeros(2, dtype=np.int64))
    )
    tenths = curve_values(curve_set(matches, keep, np.arange(2), area=area, ties=ties), weight / 10)
    np.testing.assert_allclose(tenths.ap, single.ap, atol=1e-12)
    np.testing.assert_allclose(tenths.n, single.n / 10)
    for t, threshold in enumerate(THRESHOLDS):
        by_category, pooled = average_precision(
            IMAGES,
            CATEGORIES,
            objects,
            found,
            dict(zip(IMAGES, weights, strict=True)),
            threshold,
            cap=cap,
            ties=ties,
            limits=RANGES[area],
        )
        cases = [(single, k, by_category[c]) for k, c in enumerate(CATEGORIES)]
        for values, k, (ap, recall) in [*cases, (pool, 0, pooled)]:
            if ap is None:
                assert np.isnan(values.ap[k, t])
                continue
            assert values.ap[k, t] == pytest.approx(float(ap), abs=1e-12)
            assert values.recall[k, t] == pytest.approx(float(recall), abs=1e-12)
