"""Recorded results of lvis-api, large-vocab-devil and pycocotools, reproduced exactly."""

import gzip
import importlib.util
import json

import numpy as np
import pytest

import evalstats as es
from evalstats.detection.curves import curve_set, curve_values
from evalstats.detection.matching import MatchSettings, match_detections
from evalstats.detection.protocols import kept
from evalstats.detection.records import aligned

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
EXACT = 1e-12
THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
LVIS = {
    "lvis100_bbox_A": ("lvis_val_100_gt", "bbox"),
    "lvis100_bbox_B": ("lvis_val_100_gt", "bbox"),
    "lvis100_segm": ("lvis_val_100_gt", "segm"),
    "fed_small": ("fed_small_gt", "bbox"),
}
COCO = {"coco100_fakebbox": "bbox", "coco100_bbox_hard": "bbox", "coco100_fakesegm": "segm"}


def expected(reference, name):
    folder = reference / "detection"
    path = folder / f"{name}_expected.json"
    with np.load(folder / f"{name}_expected.npz") as arrays:
        return json.loads(path.read_text()), dict(arrays)


def records(reference, truth_name, name, iou_type):
    if iou_type == "segm" and importlib.util.find_spec("pycocotools") is None:
        pytest.skip("the polygons of this ground truth need pycocotools")
    folder = reference / "detection"
    truth = es.read_ground_truth(folder / f"{truth_name}.json.gz", iou_type=iou_type)
    found = es.read_detections(folder / f"{name}_dt.json.gz")
    return truth, aligned(found, truth, "detections")


def agree(actual, wanted):
    assert actual.keys() >= wanted.keys()
    for name, value in wanted.items():
        number = -1.0 if np.isnan(actual[name]) else actual[name]
        assert number == pytest.approx(value, abs=EXACT), name


def matched(truth, found, iou_type, federated=True):
    return match_detections(
        truth, found, MatchSettings(federated, iou_type, THRESHOLDS, keep_matches=True)
    )


@pytest.mark.parametrize("name", LVIS)
def test_lvis_summaries(reference, name):
    truth_name, iou_type = LVIS[name]
    summary, _ = expected(reference, name)
    truth, found = records(reference, truth_name, name, iou_type)
    for cap, wanted in summary["lvis_default"].items():
        limit = "none" if cap == "-1" else int(cap)
        numbers = es.average_precision(
            truth, found, protocol="lvis", max_detections=limit, iou_type=iou_type
        )
        agree(numbers, {n.removesuffix("@-1"): v for n, v in wanted.items()})
    for budget, wanted in summary["ap_fixed"].items():
        numbers = es.average_precision(
            truth, found, protocol="fixed", class_budget=int(budget), iou_type=iou_type
        )
        agree(numbers, {n.removesuffix("@-1"): v for n, v in wanted.items()})
    for budget, wanted in summary["ap_pool"].items():
        numbers = es.pooled_average_precision(
            truth, found, class_budget=int(budget), iou_type=iou_type
        )
        names = {"AP-pooled-all": "AP"} | {f"AP-pooled-{f}": f"AP{f}" for f in "rcf"}
        agree(numbers, {names[key]: value for key, value in wanted.items()})


@pytest.mark.parametrize("name", LVIS)
def test_lvis_arrays(reference, name):
    truth_name, iou_type = LVIS[name]
    _, arrays = expected(reference, name)
    truth, found = records(reference, truth_name, name, iou_type)
    matches = matched(truth, found, iou_type)
    every = np.arange(len(truth.categories.ids))
    chosen = np.isin(truth.categories.ids, arrays["cat_ids_with_gt"])
    for prefix, keep in (
        ("default300", kept(matches, "lvis", 300, 0)),
        ("fixed", kept(matches, "fixed", None, 10_000)),
    ):
        for area in range(4):
            curves = curve_set(matches, keep, every, area=area)
            values = curve_values(curves, np.ones(len(truth)), with_curves=True)
            recall = np.nan_to_num(values.recall[chosen], nan=-1.0).T
            np.testing.assert_allclose(recall, arrays[f"{prefix}_recall"][..., area], atol=EXACT)
            ap = np.nan_to_num(values.ap[chosen], nan=-1.0).T
            np.testing.assert_allclose(ap, arrays[f"{prefix}_ap_by_area"][..., area], atol=EXACT)
            if area == 0:
                precision = np.transpose(values.precision[chosen], (1, 2, 0))
                wanted = arrays[f"{prefix}_precision_all"]
                np.testing.assert_allclose(np.nan_to_num(precision, nan=-1.0), wanted, atol=EXACT)


@pytest.mark.parametrize("name", LVIS)
def test_lvis_matches_and_pool(reference, name):
    truth_name, iou_type = LVIS[name]
    _, arrays = expected(reference, name)
    truth, found = records(reference, truth_name, name, iou_type)
    matches = matched(truth, found, iou_type)
    ids, ignored = matches_in_file_order(truth, found, matches)
    np.testing.assert_array_equal(ids, arrays["fixed_match_gt_id"])
    evaluated = arrays["fixed_match_gt_id"] >= 0
    np.testing.assert_array_equal(ignored[evaluated], arrays["fixed_match_ignore"][evaluated])
    for pool, letters in enumerate(("rcf", "r", "c", "f")):
        codes = ["rcf".index(letter) for letter in letters]
        group = np.where(np.isin(truth.categories.frequency, codes), 0, -1)
        curves = curve_set(matches, kept(matches, "pool", None, 10_000), group)
        values = curve_values(curves, np.ones(len(truth)), with_curves=True)
        precision = np.nan_to_num(values.precision[0], nan=-1.0)
        np.testing.assert_allclose(precision, arrays["pool_precision"][..., pool], atol=EXACT)
        recall = np.nan_to_num(values.recall[0], nan=-1.0)
        np.testing.assert_allclose(recall, arrays["pool_recall"][:, pool], atol=EXACT)


def matches_in_file_order(truth, found, matches):
    ids = np.full((len(THRESHOLDS), len(found.score)), -1)
    ignored = np.zeros(ids.shape, dtype=bool)
    row = found.row[matches.detection]
    annotation = truth.annotation_id[matches.truth]
    ids[:, row] = np.where(matches.match >= 0, annotation[np.maximum(matches.match, 0)], 0)
    for t in range(len(THRESHOLDS)):
        ignored[t, row] = (matches.ignored[0] >> t) & 1
    return ids, ignored


@pytest.mark.parametrize(("name", "budget"), [("lvis100_segm", 40), ("coco100_fakesegm", 10)])
def test_masks_in_parts_equal_the_whole(reference, name, budget):
    truth_name = "lvis_val_100_gt" if name.startswith("lvis") else "coco_val2014_100_gt"
    truth, found = records(reference, truth_name, name, "segm")
    stream = es.DetectionStream(truth.categories, class_budget=budget)
    parts = [np.arange(0, 30), np.arange(30, 31), np.arange(31, len(truth))]
    for part in parts:
        stream.count(found[part])
    for part in parts:
        stream.update(truth[part], found[part])
    options = {"protocol": "fixed", "iou_type": "segm", "class_budget": budget}
    whole = es.average_precision(truth, found, **options)
    collected = stream.collect()
    assert len(collected[1].masks.runs) < len(found.masks.runs)
    assert es.average_precision(*collected, **options) == pytest.approx(whole, nan_ok=True)


@pytest.mark.parametrize("name", COCO)
def test_coco(reference, name):
    iou_type = COCO[name]
    summary, arrays = expected(reference, name)
    truth, found = records(reference, "coco_val2014_100_gt", name, iou_type)
    agree(es.average_precision(truth, found, iou_type=iou_type), summary["default"])
    matches = matched(truth, found, iou_type, federated=False)
    every = np.arange(len(truth.categories.ids))
    for m, cap in enumerate((1, 10, 100)):
        for area in range(4):
            curves = curve_set(matches, kept(matches, "coco", cap, 0), every, area=area)
            values = curve_values(curves, np.ones(len(truth)))
            for key, actual in (("recall", values.recall), ("ap_by_area_maxdets", values.ap)):
                defined = np.nan_to_num(actual, nan=-1.0).T
                np.testing.assert_allclose(defined, arrays[key][..., area, m], atol=EXACT)
    curves = curve_set(matches, kept(matches, "coco", 100, 0), every)
    values = curve_values(curves, np.ones(len(truth)), with_curves=True)
    precision = np.nan_to_num(np.transpose(values.precision, (1, 2, 0)), nan=-1.0)
    np.testing.assert_allclose(precision, arrays["precision_all_last"], atol=EXACT)
    ids, ignored = matches_in_file_order(truth, found, matches)
    evaluated = arrays["match_gt_id"] >= 0
    np.testing.assert_array_equal(ids[evaluated], arrays["match_gt_id"][evaluated])
    np.testing.assert_array_equal(ignored[evaluated], arrays["match_ignore"][evaluated])


@pytest.mark.parametrize("name", ["coco100_fakebbox", "coco100_fakesegm"])
def test_one_category_for_all_is_evaluation_without_categories(reference, name):
    """The reference sorts objects and detections of an image by category first."""
    summary, _ = expected(reference, name)
    folder = reference / "detection"
    load = json.loads
    truth = load(gzip.decompress((folder / "coco_val2014_100_gt.json.gz").read_bytes()))
    found = load(gzip.decompress((folder / f"{name}_dt.json.gz").read_bytes()))
    for items in (truth["annotations"], found):
        items.sort(key=lambda item: item["category_id"])
        for item in items:
            item["category_id"] = 1
    truth["categories"] = [{"id": 1}]
    numbers = es.average_precision(truth, found, iou_type=COCO[name])
    agree(numbers, summary["useCats=0"])


def test_other_caps_than_100_keep_the_first_number(reference):
    summary, _ = expected(reference, "coco100_fakebbox")
    truth, found = records(reference, "coco_val2014_100_gt", "coco100_fakebbox", "bbox")
    numbers = es.average_precision(truth, found, max_detections=[1, 3, 10])
    wanted = summary["maxDets=[1,3,10]"]
    # The reference writes -1 for AP unless 100 is among the caps.
    assert wanted["AP"] == -1
    assert numbers["AP"] > 0.5
    agree(numbers, {name: wanted[name] for name in ("AP50", "AP75", "APs", "APm", "APl")})
    assert numbers["AR3"] == pytest.approx(wanted["AR10"], abs=EXACT)


@pytest.mark.parametrize(
    ("name", "truth_name", "models"),
    [
        ("bootstrap", "lvis_val_100_gt", ("det0", "det1")),
        ("bootstrap_fed", "fed_small_gt", ("det0",)),
    ],
)
def test_weights_equal_copied_images(reference, name, truth_name, models):
    recorded = json.loads((reference / "detection" / f"{name}_expected.json").read_text())
    for model in models:
        truth, found = records(reference, truth_name, f"{name}_{model}", "bbox")
        assert truth.image_ids.tolist() == recorded["image_ids"]
        fixed = es.AveragePrecision(protocol="fixed", metrics=["AP", "AP50"])
        pooled = es.PooledAveragePrecision()
        wanted = recorded["expected"][model]
        for estimator, keys in (
            (fixed, ("ap_fixed", "ap50_fixed")),
            (pooled, ("ap_pool_all", "ap_pool_r", "ap_pool_c", "ap_pool_f")),
        ):
            columns = estimator._columns({"ground_truth": truth, "detections": found})
            prepared = estimator._prepare(columns)
            for row, weight in enumerate(recorded["weights"]):
                values = estimator._evaluate(prepared, np.array(weight, dtype=float))
                values = np.nan_to_num(values, nan=-1.0)
                assert values == pytest.approx([wanted[k][row] for k in keys], abs=EXACT)


def edge_cases():
    from tests.conftest import SHARED_REFERENCE

    path = SHARED_REFERENCE / "detection" / "edge_cases.json.gz"
    return json.loads(gzip.decompress(path.read_bytes())) if path.exists() else []


@pytest.mark.parametrize("case", edge_cases(), ids=lambda case: case["name"])
def test_edge_case(case):
    truth, found = case["gt"], case["dt"]
    if case["name"] == "nan_score":
        with pytest.raises(es.InputError, match="score nan in row"):
            es.average_precision(truth, [{**d, "score": float(d["score"])} for d in found])
        return
    if case["name"] == "image_not_in_gt":
        with pytest.raises(es.InputError, match="which the ground truth does not have"):
            es.average_precision(truth, found)
        return
    if not found:
        assert es.average_precision(truth, found)["AP"] == 0.0
        return
    wanted = case["expected"]
    if case["name"] == "gt_id_zero_bug":
        # Ours has no such bug: the object is found.
        assert (
            es.average_precision(truth, found, protocol="lvis")["AP"] > wanted["lvis_default"]["AP"]
        )
        return
    if case["style"] == "coco":
        caps = sorted(set(case["params"]["maxDets"]))
        numbers = es.average_precision(truth, found, max_detections=caps)
        # The reference writes -1 for AP unless 100 is the last cap.
        compared = {k: v for k, v in wanted["coco"].items() if k != "AP" or caps[-1] == 100}
        given = case["params"]["maxDets"]
        renamed = {f"AR{old}": f"AR{new}" for old, new in zip((1, 10, 100), given, strict=True)}
        for key, value in compared.items():
            agree(numbers, {renamed.get(key, key): value})
        coco_arrays(case, wanted)
        return
    cap, budget = case["params"]["max_dets"], case["params"]["dets_per_cat"]
    agree(
        es.average_precision(truth, found, protocol="lvis", max_detections=cap),
        wanted["lvis_default"],
    )
    fixed = es.average_precision(truth, found, protocol="fixed", class_budget=budget)
    agree(fixed, {n.removesuffix("@-1"): v for n, v in wanted["ap_fixed"].items()})
    pooled = es.pooled_average_precision(truth, found, class_budget=budget)
    names = {"AP-pooled-all": "AP"} | {f"AP-pooled-{f}": f"AP{f}" for f in "rcf"}
    agree(pooled, {names[key]: value for key, value in wanted["ap_pool"].items()})
    fixed_arrays(case, wanted, budget)


def parsed(case, federated):
    truth = es.read_ground_truth(case["gt"])
    found = aligned(es.read_detections(case["dt"]), truth, "detections")
    return truth, found, matched(truth, found, "bbox", federated)


def close(actual, wanted):
    np.testing.assert_allclose(np.nan_to_num(actual, nan=-1.0), wanted, atol=EXACT)


def coco_arrays(case, wanted):
    truth, found, matches = parsed(case, False)
    keep = kept(matches, "coco", case["params"]["maxDets"][-1], 0)
    every = np.arange(len(truth.categories.ids))
    for area in range(4):
        values = curve_values(curve_set(matches, keep, every, area=area), np.ones(len(truth)))
        close(values.ap.T, np.array(wanted["ap_by_thr_cat_area"])[..., area])
        close(values.recall.T, np.array(wanted["recall"])[..., area])
    ids, ignored = matches_in_file_order(truth, found, matches)
    evaluated = np.array(wanted["match_gt_id"]) >= 0
    np.testing.assert_array_equal(ids[evaluated], np.array(wanted["match_gt_id"])[evaluated])
    np.testing.assert_array_equal(ignored[evaluated], np.array(wanted["match_ignore"])[evaluated])


def fixed_arrays(case, wanted, budget):
    truth, found, matches = parsed(case, True)
    keep = kept(matches, "fixed", None, budget)
    every = np.arange(len(truth.categories.ids))
    for area in range(4):
        curves = curve_set(matches, keep, every, area=area)
        values = curve_values(curves, np.ones(len(truth)), with_curves=True)
        close(values.ap.T, np.array(wanted["fixed_ap_by_thr_cat_area"])[..., area])
        close(values.recall.T, np.array(wanted["fixed_recall"])[..., area])
        if area == 0:
            close(values.precision[:, 0].T, wanted["fixed_precision_iou50_area_all"])
    pool = curve_set(matches, keep, np.zeros(len(every), dtype=np.int64))
    values = curve_values(pool, np.ones(len(truth)), with_curves=True)
    close(values.precision[0, 0], wanted["pool_precision_iou50_all"])
    ids, ignored = matches_in_file_order(truth, found, matches)
    evaluated = np.array(wanted["fixed_match_gt_id"]) >= 0
    np.testing.assert_array_equal(ids[evaluated], np.array(wanted["fixed_match_gt_id"])[evaluated])
    wanted_ignore = np.array(wanted["fixed_match_ignore"])
    np.testing.assert_array_equal(ignored[evaluated], wanted_ignore[evaluated])


@pytest.mark.parametrize(
    ("method", "label", "grouping", "tolerance"),
    [
        ("histogram", "HistogramBinning__overall", "overall", EXACT),
        ("histogram", "HistogramBinning__frequency", "frequency", EXACT),
        ("histogram", "HistogramBinning__per-class", "category", EXACT),
        ("platt", "LogisticCalibration__overall", "overall", 1e-4),
        ("platt", "LogisticCalibration__frequency", "frequency", 1e-4),
        ("beta", "BetaCalibration__overall", "overall", 1e-4),
        ("beta", "BetaCalibration__frequency", "frequency", 1e-4),
    ],
)
def test_calibrated_scores(reference, method, label, grouping, tolerance):
    folder = reference / "detection"
    truth = es.read_ground_truth(folder / "lvis_val_100_gt.json.gz")
    train, test = (
        es.read_detections(folder / f"calibration_{part}_dt.json.gz") for part in ("train", "test")
    )
    with np.load(folder / "calibration_expected.npz") as arrays:
        wanted = arrays[label]
    mapped = es.calibrate_scores(
        truth,
        test,
        train=(truth, train),
        method=method,
        grouping=grouping,
        shrinkage=0,
        missing="zero",
        include_ignored=True,
    )
    actual = np.empty(len(wanted))
    actual[mapped.row] = mapped.score
    np.testing.assert_allclose(actual, wanted, rtol=0, atol=tolerance)
