"""Recorded results: two reference implementations, brute force, and published scores."""

import json

import numpy as np
import polars as pl
import pytest

import evalstats as es
from evalstats.anomaly.diagnostics import random_score
from evalstats.anomaly.grid import threshold_index
from evalstats.anomaly.representative import representative_images

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
CASES = (
    "default_bounds",
    "wide_nonsquare",
    "ties_quantised",
    "float64",
    "float16",
    "special_images",
    "outlier_forced",
    "toy",
)
WEIGHTED = ("wide_nonsquare", "ties_quantised")


@pytest.fixture
def case(reference, request):
    folder = reference / "aupimo"
    options = json.loads((folder / "cases.json").read_text())[request.param]
    with np.load(folder / f"{request.param}.npz") as arrays:
        return request.param, options, dict(arrays)


@pytest.mark.parametrize("case", CASES, indirect=True)
@pytest.mark.parametrize("ties", ["half", "conservative", "optimistic"])
def test_exact_scores(case, ties):
    _, options, arrays = case
    bounds = tuple(options["fpr_bounds"])
    scores = es.aupimo(arrays["masks"], arrays["maps"], fpr_bounds=bounds, ties=ties)
    np.testing.assert_allclose(scores, arrays[f"exact_{ties}"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", CASES, indirect=True)
def test_grid_equals_the_reference(case):
    name, options, arrays = case
    scores = es.aupimo(
        arrays["masks"],
        arrays["maps"],
        fpr_bounds=tuple(options["fpr_bounds"]),
        mode="grid",
        n_thresholds=options["num_thresholds"],
        force=options["force"],
    )
    np.testing.assert_allclose(scores, arrays["aupimo_ref"], rtol=0, atol=1e-12)
    # The other project computes its grid in the precision of the maps.
    slack = 1.5e-3 if name == "float16" else 1e-12
    np.testing.assert_allclose(scores, arrays["aupimo_anomalib"], rtol=0, atol=slack)


@pytest.mark.parametrize("case", CASES, indirect=True)
def test_half_equals_the_trapezoid_on_the_full_curve(case):
    name, options, arrays = case
    scores = es.aupimo(arrays["masks"], arrays["maps"], fpr_bounds=tuple(options["fpr_bounds"]))
    # They differ where a bound cuts a tied segment.
    slack = 3e-4 if name in ("ties_quantised", "float16", "toy") else 1e-12
    expected = arrays["exact_full_curve_trapezoid"]
    np.testing.assert_allclose(scores, expected, rtol=0, atol=slack)


@pytest.mark.parametrize("case", ["nonfinite_in_anomalous"], indirect=True)
def test_missing_values_in_a_mask_are_refused(case):
    _, options, arrays = case
    bounds = tuple(options["fpr_bounds"])
    broken = np.flatnonzero(~np.isfinite(arrays["maps"]).all(axis=(1, 2)))
    with pytest.raises(es.InputError, match=rf"1 missing value \(first in row {broken[0]}\)"):
        es.aupimo(arrays["masks"], arrays["maps"], fpr_bounds=bounds)
    kept = np.setdiff1d(np.arange(len(arrays["maps"])), broken)
    K = options["num_thresholds"]
    masks, maps = arrays["masks"][kept], arrays["maps"][kept]
    scores = es.aupimo(masks, maps, fpr_bounds=bounds, mode="grid", n_thresholds=K)
    np.testing.assert_allclose(scores, arrays["aupimo_ref"][kept], rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", WEIGHTED, indirect=True)
@pytest.mark.parametrize("ties", ["half", "conservative", "optimistic"])
def test_weights_equal_duplicated_images(case, ties, reference):
    name, options, arrays = case
    with np.load(reference / "aupimo" / f"weights_{name}.npz") as recorded:
        for weights, expected in zip(recorded["weights"], recorded[f"exact_{ties}"], strict=True):
            every = np.ones(len(arrays["maps"]))
            every[recorded["normal_index"]] = weights
            pimo = es.AUPIMO(
                fpr_bounds=tuple(options["fpr_bounds"]), ties=ties, inference=es.NoInference()
            ).fit(arrays["masks"], arrays["maps"], sample_weight=every)
            scores = pimo.image_scores()["score"].to_numpy()
            found = scores[recorded["anomalous_index"]]
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", WEIGHTED, indirect=True)
def test_influence_and_standard_error(case, reference):
    name, options, arrays = case
    pimo = es.AUPIMO(fpr_bounds=tuple(options["fpr_bounds"]), inference=es.Analytic())
    estimate = pimo.fit(arrays["masks"], arrays["maps"]).estimate_
    columns = pimo._fitted_columns()
    influence = pimo._influence(pimo._prepare(columns), np.ones(columns.n))[:, 0]
    with np.load(reference / "aupimo" / f"weights_{name}.npz") as recorded:
        assert estimate.value[0] == pytest.approx(float(recorded["mean_half"]), abs=1e-13)
        normal = recorded["normal_index"]
        found = len(normal) * influence[normal]
        np.testing.assert_allclose(found, recorded["influence_normal_half"], rtol=1e-4)
        # The recorded error comes from numerical derivatives.
        assert estimate.standard_error[0] == pytest.approx(float(recorded["se_total"]), rel=1e-6)


# What the reference refuses, and what we make of it: a value, or a message.
VALUES = ("constant_normals", "constant_anomalous", "mask_uint8_01", "mask_int64_01", "map_int")
VALUES += ("bounds_upper1", "bounds_upper1_int", "saturated_max_above_lower", "float64_same")
VALUES += ("float32_grid_not_increasing", "same_threshold_both_bounds", "bounds_list")
MESSAGES = {
    "no_normal": "masks hold no normal image",
    "no_anomalous": "masks hold no anomalous image",
    "nan_in_normal": r"anomaly_maps has 1 missing value \(first in row 0\)",
    "posinf_in_normal": r"anomaly_maps has 1 infinite map \(first in row 0\)",
    "neginf_in_normal": r"anomaly_maps has 1 infinite map \(first in row 0\)",
    "mask_0_255": r"masks holds the values \[0, 255\] in image 3: pass bool or 0/1",
    "mask_float": "masks has dtype float32 in image 0: pass bool or 0/1",
    "mask_minus1_ignore": r"masks holds the values \[-1, 0.*ignore=",
    "shape_mismatch": r"anomaly_maps has shape \(24, 20\) in image 0, but the mask has \(23, 20\)",
    "ndim4": r"masks has shape \(5, 1, 24, 20\): pass images as \(N, H, W\)",
    "ndim2": r"masks has shape \(24, 20\): pass images as \(N, H, W\)",
    "zero_images": "masks is empty",
    "empty_area": r"masks has shape \(0, 20\) in image 0",
    "bounds_zero": r"fpr_bounds holds \(0, 0.3\): bounds must satisfy 0 < lower < upper <= 1",
    "bounds_equal": "0 < lower < upper <= 1",
    "bounds_reversed": "0 < lower < upper <= 1",
    "bounds_gt1": "0 < lower < upper <= 1",
    "too_few_pixels": r"lie below the rate of a single one of the 1440 normal pixels",
}


def edge_case(name, maps, masks):  # noqa: PLR0912, PLR0915 - one branch per recorded case
    """Rebuild a recorded edge case: maps, masks, bounds."""
    bounds, normal = (0.01, 0.3), ~masks.any(axis=(1, 2))
    maps, masks = maps.copy(), masks.copy()
    changes = {
        "nan_in_normal": np.nan,
        "posinf_in_normal": np.inf,
        "neginf_in_normal": -np.inf,
    }
    if name in changes:
        maps[0, 0, 0] = changes[name]
    elif name == "no_normal":
        masks[:, 0, 0] = True
    elif name == "no_anomalous":
        masks[:] = False
    elif name == "constant_normals":
        maps[normal] = 1.5
    elif name == "constant_anomalous":
        maps[~normal] = 1.5
    elif name.startswith("mask_"):
        factor = {"mask_0_255": 255}.get(name, 1)
        kind = {"mask_float": np.float32, "mask_int64_01": np.int64}.get(name, np.uint8)
        if name == "mask_minus1_ignore":
            kind = np.int64
        masks = masks.astype(kind) * kind(factor)
        if name == "mask_minus1_ignore":
            masks[3, 0, 0] = -1
    elif name == "map_int":
        maps = np.round(10 * maps).astype(np.int32)
    elif name == "shape_mismatch":
        masks = masks[:, 1:]
    elif name == "ndim4":
        maps, masks = maps[:, np.newaxis], masks[:, np.newaxis]
    elif name == "ndim2":
        maps, masks = maps[0], masks[0]
    elif name == "zero_images":
        maps, masks = maps[:0], masks[:0]
    elif name == "empty_area":
        maps, masks = maps[:, :0], masks[:, :0]
    elif name == "saturated_max_above_lower":
        maps = np.minimum(maps, 1.0)
    elif name == "float32_grid_not_increasing":
        maps = (1e4 + 1e-3 * maps).astype(np.float32)
    elif name == "float64_same":
        maps = 1e4 + 1e-3 * maps.astype(np.float64)
    elif name == "same_threshold_both_bounds":
        maps, bounds = np.round(maps), (0.02, 0.03)
    elif name == "too_few_pixels":
        bounds = (1e-5, 1e-4)
    bounds = {
        "bounds_zero": (0.0, 0.3),
        "bounds_equal": (0.1, 0.1),
        "bounds_reversed": (0.3, 0.01),
        "bounds_gt1": (0.1, 1.5),
        "bounds_upper1": (0.1, 1.0),
        "bounds_upper1_int": (0.1, 1),
        "bounds_list": [0.01, 0.3],
    }.get(name, bounds)
    return maps, masks, bounds


@pytest.fixture
def base(reference):
    with np.load(reference / "aupimo" / "errors_base.npz") as arrays:
        return arrays["maps"], arrays["masks"].astype(bool)


@pytest.mark.parametrize("name", MESSAGES)
def test_refused_with_a_message(name, base):
    maps, masks, bounds = edge_case(name, *base)
    with pytest.raises(es.InputError, match=MESSAGES[name]):
        es.aupimo(masks, maps, fpr_bounds=bounds)


@pytest.mark.parametrize("name", VALUES)
def test_exact_values_where_a_grid_has_none(name, base):
    maps, masks, bounds = edge_case(name, *base)
    scores = es.aupimo(masks, maps, fpr_bounds=bounds)
    assert np.isnan(scores[:3]).all()
    assert ((scores[3:] >= 0) & (scores[3:] <= 1)).all()


def test_recorded_values_of_edge_cases(base, reference):
    recorded = json.loads((reference / "aupimo" / "errors.json").read_text())
    checked = 0
    for entry in recorded:
        known = entry["aupimo_pkg"].get("aupimo")
        if known is None:
            continue
        maps, masks, bounds = edge_case(entry["case"], *base)
        scores = es.aupimo(
            masks,
            maps,
            fpr_bounds=bounds,
            mode="grid",
            n_thresholds=entry["num_thresholds"],
            force=entry["force"],
        )
        expected = np.array([np.nan if v is None else v for v in known])
        np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-12, err_msg=entry["case"])
        checked += 1
    assert checked >= 7


GRID_MESSAGES = {
    "constant_normals": "all normal pixels score 1.5.*mode='exact'",
    "too_few_pixels": "1440 normal pixels|smallest positive false positive rate",
    "saturated_max_above_lower": "smallest positive false positive rate of the grid is 0.16",
    "float32_grid_not_increasing": "thresholds between .* coincide in float32",
    "same_threshold_both_bounds": "fall on one threshold of the grid",
}


@pytest.mark.parametrize("name", GRID_MESSAGES)
def test_grid_says_what_is_wrong(name, base):
    maps, masks, bounds = edge_case(name, *base)
    options = {"fpr_bounds": bounds, "mode": "grid", "n_thresholds": 2000, "force": True}
    with pytest.raises(es.InputError, match=GRID_MESSAGES[name]):
        es.aupimo(masks, maps, **options)


@pytest.mark.parametrize("K", [1, 2000.0, "2000"])
def test_thresholds_are_a_whole_number(base, K):
    maps, masks = base
    with pytest.raises(
        es.InputError, match=r"n_thresholds=.*(whole number of at least 2|expected an integer)"
    ):
        es.aupimo(masks, maps, mode="grid", n_thresholds=K)


def test_lookup_of_thresholds(reference):
    recorded = json.loads((reference / "aupimo" / "threshold_lookup.json").read_text())
    rates = np.array(recorded["shared_fpr"])
    for lookup in recorded["lookups"]:
        expected = lookup["index"]
        # Rates of 0 and 1 are special there: they never bound a logarithmic axis.
        if 0 < lookup["level"] < 1:
            assert threshold_index(rates, lookup["level"]) == expected
    for label, expected in recorded["random_model_score"].items():
        bounds = tuple(float(part) for part in label.strip("()").split(","))
        assert random_score(bounds) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("case", [c for c in CASES if c not in ("float16",)], indirect=True)
def test_companions(case, reference):
    name, options, arrays = case
    recorded = json.loads((reference / "aupimo" / "comparison_metrics.json").read_text())[name]
    masks, maps = arrays["masks"], arrays["maps"]
    pimo = es.AUPIMO(fpr_bounds=tuple(options["fpr_bounds"]), inference=es.NoInference())
    found = dict(pimo.fit(masks, maps).companions().select("metric", "estimate").iter_rows())
    assert found["pixel AUROC"] == pytest.approx(recorded["pixel_auroc_sklearn"], abs=1e-12)
    assert found["pixel AP"] == pytest.approx(recorded["pixel_ap_sklearn"], abs=1e-12)
    for limit in (0.3, 0.05):
        expected = recorded[f"aupro_exact_{limit}"]
        assert found[f"AUPRO up to {limit}"] == pytest.approx(expected, abs=1e-12)
        assert es.aupro(masks, maps, max_fpr=limit) == pytest.approx(expected, abs=1e-12)


STATISTICS = {
    "whislo": "lower whisker",
    "q1": "lower quartile",
    "mean": "mean",
    "med": "median",
    "q3": "upper quartile",
    "whishi": "upper whisker",
}


def test_representative_images(reference):
    folder = reference / "aupimo"
    published = pl.read_parquet(folder / "published_per_image.parquet")
    recorded = json.loads((folder / "representative_images.json").read_text())
    assert len(recorded) == 32
    for entry in recorded:
        own = published.filter(model=entry["model"], dataset=entry["dataset"])
        found = representative_images(
            own.select(image="image_index", score="aupimo"),
            outliers=entry["outliers_policy"],
            avoid_repeats=entry["repeated_policy"] == "avoid",
        )
        # The reference breaks ties, also of the distance, at random: compare distances.
        missed = [abs(item["score"] - item["stat_value"]) for item in entry["stats"]]
        own_missed = (found["score"] - found["value"]).abs().to_numpy()
        np.testing.assert_allclose(np.sort(own_missed), np.sort(missed), atol=1e-12)
        for item in entry["stats"]:
            name = STATISTICS.get(item["stat_name"])
            if name is not None:
                value = found.filter(statistic=name)["value"].item()
                assert value == pytest.approx(item["stat_value"], abs=1e-12)
