"""Refusals, closed forms, streaming, calibration and the command line of detection."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import evalstats as es
from evalstats.detection.synthetic import example_detections

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")


def truth_with(**changes):
    document = {
        "images": [{"id": 1}, {"id": 2}],
        "categories": [{"id": 1}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]},
            {"id": 2, "image_id": 2, "category_id": 1, "bbox": [0, 0, 9, 9]},
        ],
    }
    return {**document, **changes}


def found_with(**changes):
    return [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "score": 0.9, **changes}]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"score": np.nan}, "score nan in row 0"),
        ({"score": np.inf}, "score inf in row 0"),
        ({"bbox": [0, 0, -1, 2]}, r"width and height \[-1.0, 2.0\] in row 0"),
        ({"bbox": [0, np.nan, 1, 2]}, "it must be finite"),
        ({"bbox": [0, 0, 1]}, "no box of four numbers in row 0"),
        ({"image_id": 9}, "image_id 9 in row 0, which the ground truth does not have"),
    ],
)
def test_bad_detections(changes, message):
    with pytest.raises(es.InputError, match=message):
        es.average_precision(truth_with(), found_with(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": [{"id": 1}, {"id": 1}]}, "images repeat id 1 in row 1"),
        ({"annotations": 2 * truth_with()["annotations"]}, "annotations repeat id 1 in row 2"),
        ({"categories": [{"id": 1, "frequency": "x"}]}, "frequency 'x'"),
        ({"categories": [{"id": 3}]}, "unknown category_id 1"),
        ({"annotations": []}, "no annotation"),
        (
            {"annotations": [{**truth_with()["annotations"][0], "area": np.nan}]},
            "area nan in row 0: it must be finite",
        ),
    ],
)
def test_bad_ground_truth(changes, message):
    with pytest.raises(es.InputError, match=message):
        es.average_precision(truth_with(**changes), found_with())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"protocol": "voc"}, "protocol='voc'"),
        ({"protocol": "lvis"}, "neg_category_ids"),
        ({"max_detections": 0}, "max_detections=0"),
        ({"max_detections": [10, 1]}, "max_detections"),
        ({"iou_thresholds": [0.7, 0.5]}, "increasing"),
        ({"class_budget": 0}, "class_budget=0"),
        ({"ties": "random"}, "ties='random'"),
        ({"metrics": ["APx"]}, "'APx'"),
        ({"iou_type": "segm"}, "segmentation"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(es.InputError, match=message):
        es.average_precision(truth_with(), found_with(), **options)


def test_forms_of_detections_agree(tmp_path, rng):
    truth, models = example_detections(rng, 40)
    found = models["a"]
    columns = {
        "image_id": found.image_ids[found.image],
        "category_id": found.category_id,
        "score": found.score,
    }
    box = found.box
    records = [
        {"image_id": int(i), "category_id": int(c), "score": float(s), "bbox": b.tolist()}
        for i, c, s, b in zip(*columns.values(), box, strict=True)
    ]
    path = tmp_path / "found.json"
    path.write_text(json.dumps(records))
    wide = pl.DataFrame(columns | dict(zip("xywh", box.T, strict=True)))
    expected = es.average_precision(truth, found, protocol="lvis")
    corners = np.column_stack([box[:, :2], box[:, :2] + box[:, 2:]])
    forms = (path, str(path), records, wide, wide.to_pandas(), columns | {"bbox": box})
    for form in forms:
        assert es.average_precision(truth, form, protocol="lvis") == pytest.approx(
            expected, nan_ok=True
        )
    edges = es.average_precision(
        truth, columns | {"bbox": corners}, protocol="lvis", box_format="xyxy"
    )
    assert edges == pytest.approx(expected, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("dtype", [np.float32, ">f8", np.int16])
def test_dtypes_and_layouts_of_arrays(dtype, rng):
    box = np.round(rng.uniform(0, 50, (30, 4)))
    image = rng.integers(1, 3, 30)
    table = {"image_id": image, "category_id": np.ones(30), "score": rng.permutation(30)}
    expected = es.average_precision(truth_with(), table | {"bbox": box})
    strided = np.zeros((60, 8), dtype=dtype)
    strided[::2, ::2] = box
    given = {
        "image_id": image.astype(np.int8),
        "category_id": np.ones(30, dtype=bool),
        "score": table["score"].astype(dtype)[::-1][::-1],
        "bbox": strided[::2, ::2],
    }
    for array in given.values():
        array.flags.writeable = False
    copies = {name: array.copy() for name, array in given.items()}
    assert es.average_precision(truth_with(), given) == pytest.approx(expected, nan_ok=True)
    for name, array in given.items():
        np.testing.assert_array_equal(array, copies[name])


def test_lvis_drops_objects_without_area_with_a_warning():
    lists = {"neg_category_ids": [], "not_exhaustive_category_ids": []}
    truth = truth_with(images=[{"id": 1, **lists}, {"id": 2, **lists}])
    truth["categories"] = [{"id": 1, "frequency": "f"}]
    truth["annotations"][1]["bbox"] = [0, 0, 0, 9]
    fitted = es.AveragePrecision(protocol="lvis", metrics=["AP"], inference=es.NoInference())
    with pytest.warns(es.EvalstatsWarning, match=r"\[zero-area\] detections: 1 objects"):
        fitted.fit(truth, found_with())
    assert fitted.estimate_.value == pytest.approx(1.0)


def test_results_cut_at_a_cap_warn_under_a_budget(rng):
    n = 300
    found = {
        "image_id": np.repeat([1, 2], n),
        "category_id": np.ones(2 * n, dtype=int),
        "score": rng.random(2 * n),
        "bbox": np.tile([0.0, 0.0, 9.0, 9.0], (2 * n, 1)),
    }
    fitted = es.AveragePrecision(protocol="fixed", inference=es.NoInference())
    with pytest.warns(es.EvalstatsWarning, match=r"\[capped-detections\].* at most 300"):
        fitted.fit(truth_with(), found)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (found_with(category_id=7), r"\[unknown-category\].*1 detections.*first id 7"),
        ([], r"\[no-detections\]"),
    ],
)
def test_odd_detections_warn(found, message):
    with pytest.warns(es.EvalstatsWarning, match=message):
        es.AveragePrecision(inference=es.NoInference()).fit(truth_with(), found)


def test_masks_of_another_size_are_refused():
    square = {"size": [4, 4], "counts": [0, 16]}
    truth = truth_with(images=[{"id": k, "height": 4, "width": 4} for k in (1, 2)])
    for annotation in truth["annotations"]:
        annotation["segmentation"] = square
    found = [{"image_id": 1, "category_id": 1, "score": 0.9, "segmentation": square}]
    assert es.average_precision(truth, found, iou_type="segm")["AP"] == pytest.approx(51 / 101)
    found[0]["segmentation"] = {"size": [4, 5], "counts": [0, 20]}
    with pytest.raises(es.InputError, match=r"mask of size \[4, 5\] in row 0"):
        es.average_precision(truth, found, iou_type="segm")


def test_block_ties_do_not_depend_on_the_order_of_images(rng):
    truth, models = example_detections(rng, 60)
    found = models["a"].with_scores(np.round(models["a"].score, 1))
    order = rng.permutation(60)
    for function in (es.pooled_average_precision, es.average_precision):
        first = function(truth, found, ties="block")["AP"]
        assert function(truth[order], found[order], ties="block")["AP"] == pytest.approx(
            first, abs=1e-12
        )
    assert es.PooledAveragePrecision(inference=es.NoInference()).fit(truth, found).ties_table() == {
        "detections": pytest.approx(1.0, abs=0.01)
    }


@pytest.mark.parametrize("order", [1, -1])
def test_ignored_detections_tied_with_the_last_hit_are_no_false_positives(order):
    annotations = truth_with()["annotations"][:1]
    annotations.append({**annotations[0], "id": 9, "bbox": [50, 50, 40, 40], "iscrowd": 1})
    found = found_with() + found_with(bbox=[60, 60, 9, 9])
    value = es.average_precision(truth_with(annotations=annotations), found[::order], ties="block")
    assert value["AP"] == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("seed", range(20))
def test_all_found_is_a_recall_of_one_under_fractional_weights(seed):
    rng = np.random.default_rng(seed)
    image = np.arange(40)
    boxes = np.tile([0, 0, 9, 9], (40, 1))
    truth = {
        "images": {"id": image},
        "categories": [{"id": 1}],
        "annotations": {"image_id": image, "category_id": np.ones(40, int), "bbox": boxes},
    }
    found = {**truth["annotations"], "score": rng.random(40)}
    perfect = es.AveragePrecision(inference=es.NoInference(), metrics=["AP", "AR100"])
    perfect.fit(truth, found, sample_weight=rng.random(40))
    np.testing.assert_allclose(perfect.estimate_.value, 1.0, atol=1e-12)


def test_identifiers_may_be_any_integers():
    low, high = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    truth = truth_with(
        images=[{"id": low}, {"id": high}],
        categories=[{"id": low}, {"id": high}],
        annotations=[{"id": 0, "image_id": high, "category_id": high, "bbox": [0, 0, 9, 9]}],
    )
    found = found_with(image_id=high, category_id=high) + found_with(image_id=low, category_id=low)
    assert es.average_precision(truth, found)["AP"] == pytest.approx(1.0)
    small = truth_with(categories=[{"id": low}, {"id": low + 1}])
    small["annotations"] = [{**item, "category_id": low} for item in small["annotations"]]
    assert es.average_precision(small, found_with(category_id=low))["AP"] == pytest.approx(51 / 101)


def test_ties_warn_where_they_matter(rng):
    truth, models = example_detections(rng, 60)
    found = models["a"].with_scores(np.round(models["a"].score, 1))
    with pytest.warns(es.EvalstatsWarning, match=r"\[tied-scores\]"):
        es.PooledAveragePrecision(inference=es.NoInference()).fit(truth, found)


def test_weighted_influence_is_a_difference_of_fits(rng):
    truth, models = example_detections(rng, 40)
    pooled = es.PooledAveragePrecision(metrics=["AP"], inference=es.NoInference())
    pooled.fit(truth, models["a"])
    whole = pooled.estimate_.value[0]
    top = pooled.image_influence().row(0, named=True)
    rest = np.flatnonzero(truth.image_ids != top["image_id"])
    without = es.pooled_average_precision(truth[rest], models["a"][rest])["AP"]
    assert top["influence"] == pytest.approx(whole - without, abs=1e-12)
    table = pooled.category_influence()
    assert set(table["category"]) == set(truth.categories.names)


def test_stream_with_a_binding_budget_equals_the_whole(rng):
    truth, models = example_detections(rng, 90)
    found = models["a"].with_scores(np.round(models["a"].score, 2))
    parts = np.array_split(rng.permutation(90), 4)
    streams = []
    for part in parts:
        stream = es.DetectionStream(truth.categories, class_budget=25)
        stream.count(found[part])
        streams.append(stream)
    merged = streams[2].merge(streams[0], streams[3], streams[1])
    for part in parts:
        merged.update(truth[part], found[part])
    collected = merged.collect()
    for function in (es.pooled_average_precision, es.average_precision):
        options = {"class_budget": 25}
        if function is es.average_precision:
            options["protocol"] = "fixed"
        expected = function(truth, found, **options)
        assert function(*collected, **options) == pytest.approx(expected, nan_ok=True)


def test_monotone_calibration_of_all_changes_nothing(rng):
    truth, models = example_detections(rng, 80)
    found = models["b"]
    mapped = es.calibrate_scores(
        truth, found, train=(truth, found), grouping="overall", method="platt"
    )
    assert np.abs(mapped.score - found.score).max() > 0.01
    for function in (es.pooled_average_precision, es.average_precision):
        assert function(truth, mapped) == pytest.approx(
            function(truth, found), abs=1e-12, nan_ok=True
        )


@pytest.mark.parametrize("method", ["platt", "beta", "histogram", "isotonic", "temperature"])
def test_calibration_helps_scores_that_differ_by_category(rng, method):
    from evalstats.detection.synthetic import synthetic_detections, synthetic_ground_truth

    truth = synthetic_ground_truth(rng, 400, 8)
    found = synthetic_detections(rng, truth, shift=2.0)
    mapped = es.calibrate_scores(truth, found, method=method)
    before = es.pooled_average_precision(truth, found)["AP"]
    after = es.pooled_average_precision(truth, mapped)["AP"]
    # One temperature moves the slope of a category, not its intercept.
    assert after > before - (0.05 if method == "temperature" else 0.0)


def test_interval_is_centred_at_the_bias_corrected_value(rng):
    truth, models = example_detections(rng, 60)
    for cls in (es.AveragePrecision, es.PooledAveragePrecision):
        estimate = cls(metrics=["AP"]).fit(truth, models).estimate_
        assert estimate.interval == ("bias_corrected",) * 2
        narrow, wide = (estimate.confidence_interval(level) for level in (0.01, 0.99))
        corrected = estimate.value - estimate.bias
        np.testing.assert_allclose(narrow.low, corrected, atol=0.001)
        assert (wide.low < narrow.low).all()
        assert (wide.low >= 0).all()
        assert (wide.high <= 1).all()


def test_per_category_and_gap(rng):
    truth, models = example_detections(rng, 60)
    fitted = es.AveragePrecision(protocol="lvis", max_detections=3, inference=es.NoInference())
    fitted.fit(truth, models)
    table = fitted.per_category(n_resamples=50)
    for model, part in table.group_by("model"):
        value = fitted.estimate_.select(metric="AP", model=model[0]).value[0]
        assert part["estimate"].mean() == pytest.approx(value, abs=1e-12)
    gap = fitted.gap()
    numbers = es.average_precision(truth, models["a"], protocol="fixed")
    assert gap.filter(model="a")["fixed"].mean() == pytest.approx(numbers["AP"], abs=1e-12)


def test_categories_of_one_name_stay_apart(rng):
    truth, models = example_detections(rng, 60)
    same = replace(
        truth, categories=replace(truth.categories, names=("x",) * len(truth.categories.ids))
    )
    inference = es.NoInference()
    table = es.AveragePrecision(inference=inference).fit(truth, models).per_category(n_resamples=9)
    other = es.AveragePrecision(inference=inference).fit(same, models).per_category(n_resamples=9)
    assert table.drop("category").equals(other.drop("category"))


def test_budgets_are_fits_of_their_own(rng):
    truth, models = example_detections(rng, 60)
    fitted = es.AveragePrecision(protocol="fixed", inference=es.NoInference()).fit(truth, models)
    table = fitted.budgets([5, 20, 10_000], n_resamples=20)
    assert table["budget"].to_list() == 2 * [5, 20, 10_000]
    for model, budget, value in table.select("model", "budget", "estimate").iter_rows():
        wanted = es.average_precision(
            truth, models[model], protocol="fixed", class_budget=budget, metrics=["AP"]
        )
        assert value == pytest.approx(wanted["AP"], abs=1e-12)
    with pytest.raises(es.InputError, match="protocol='fixed', not to 'coco'"):
        es.AveragePrecision(inference=es.NoInference()).fit(truth, models).budgets()


def test_plots(rng):
    truth, models = example_detections(rng, 60)
    fitted = es.AveragePrecision(protocol="fixed", inference=es.NoInference()).fit(truth, models)
    axes = fitted.plot_budgets(n_resamples=10)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    axes = fitted.plot_categories(n_resamples=50)
    points = sum(len(line.get_xdata()) for line in axes.lines[1:])
    assert points == len(truth.categories.names)
    fitted.fit(truth, models["a"])
    with pytest.raises(es.InputError, match="two models"):
        fitted.plot_categories(n_resamples=2)


@pytest.mark.parametrize("cls", [es.AveragePrecision, es.PooledAveragePrecision])
def test_swapping_detectors(cls, rng):
    truth, models = example_detections(rng, 120)
    worse = models["b"].with_scores(np.exp(5 * models["b"].score))
    # Unlike ranks within categories, ranks of all scores leave AP-Pool as it is, too.
    fitted = cls(metrics=["AP"], inference=es.NoInference())
    fitted.fit(truth, {"a": models["a"], "same": models["a"], "b": worse})
    table = fitted.permutation_test(n_resamples=200)
    value = dict(zip("asb", fitted.estimate_.value, strict=True))
    assert table["difference"].to_list() == pytest.approx(
        [0.0, value["b"] - value["a"], value["b"] - value["s"]], abs=1e-12
    )
    assert table["p_value"][0] == 1.0
    assert table["p_value"][1] == table["p_value"][2] < 0.05
    assert table["p_adjusted"][1] == pytest.approx(min(3 * table["p_value"][1], 1))
    clustered = cls(metrics=["AP"], inference=es.NoInference())
    clustered.fit(truth, models, cluster=np.arange(120) // 60)
    assert clustered.permutation_test(n_resamples=99)["p_value"][0] > 0.3


def test_two_way_needs_two_replicates(rng):
    fitted = es.AveragePrecision(inference=es.NoInference()).fit(*example_detections(rng, 40))
    with pytest.raises(es.InputError, match="at least 2"):
        fitted.two_way(n_resamples=1)


def test_two_way_errors_are_larger(rng):
    truth, models = example_detections(rng, 150)
    fitted = es.AveragePrecision(protocol="fixed", metrics=["AP"]).fit(truth, models)
    table = fitted.two_way(n_resamples=300)
    assert (table["standard_error"].to_numpy() > fitted.estimate_.standard_error).all()


def test_command_line(tmp_path, capsys):
    from evalstats.cli import app

    (tmp_path / "gt.json").write_text(json.dumps(truth_with()))
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text(json.dumps(found_with()))
    words = ["detection", *(str(tmp_path / f"{n}.json") for n in ("gt", "a", "b"))]
    with pytest.raises(SystemExit) as left:
        app(
            [
                *words,
                "--protocol",
                "fixed",
                "--protocol",
                "pool",
                "--bootstrap",
                "0",
                "--format",
                "json",
                "--metric",
                "AP",
            ]
        )
    assert left.value.code == 0
    results = json.loads(capsys.readouterr().out)
    assert [result["metric"] for result in results] == [
        "Average precision",
        "Pooled average precision",
    ]
    assert results[0]["estimates"][0]["estimate"] == pytest.approx(51 / 101)
    with pytest.raises(SystemExit) as left:
        app([*words, "--protocol", "lvis"])
    assert left.value.code == 2
    assert "neg_category_ids" in capsys.readouterr().err
