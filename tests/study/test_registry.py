"""Every registered estimator is usable from a study file, with the numbers of ``fit``."""

import json

import numpy as np
import polars as pl
import pytest

import evalstats as es
from tests.battery_support import as_columns, example, registered

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
N = 120
IMAGES = ("AUPIMO", "AUPRO")
DETECTORS = ("AveragePrecision", "PooledAveragePrecision")


def toml(value):
    """A value as TOML."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value)


def study_of(cls, data, arguments):
    lines = [f"{name} = {toml(value)}" for name, value in arguments.items()]
    head = ["[data.test]", data, "[[metric]]", f'estimator = "{cls.__name__}"']
    return "\n".join(
        [*head, *lines, "[output]", 'tables = ["tex", "md", "parquet"]', "figures = []"]
    )


def as_named_columns(arguments):
    """A frame of the arguments, in which each role has columns of its own."""
    frames, names = [], {}
    for role, value in arguments.items():
        frame, found = as_columns({role: value})
        if isinstance(value, dict):
            frame = frame.rename(lambda model, role=role: f"{role} of {model}")
            found = {role: {model: f"{role} of {model}" for model in value}}
        frames.append(frame)
        names |= found
    return pl.concat(frames, how="horizontal"), names


def of_table(cls, folder):
    arguments = example(cls, n=N)
    frame, names = as_named_columns(arguments)
    frame.write_parquet(folder / "data.parquet")
    return study_of(cls, 'path = "data.parquet"', names), cls().fit(**arguments).estimate_


def of_maps(cls, folder):
    arguments = example(cls, n=N)
    for model, maps in [("masks", arguments["masks"]), *arguments["anomaly_maps"].items()]:
        (folder / model).mkdir()
        for number, image in enumerate(maps):
            np.save(folder / model / f"{number:04}.npy", np.asarray(image))
    maps = {model: model for model in arguments["anomaly_maps"]}
    data = f'kind = "maps"\nmasks = "masks"\nmaps = {toml(maps)}'
    return study_of(cls, data, {}), cls().fit(**arguments).estimate_


def of_coco(cls, folder):
    rng = np.random.default_rng(3)
    box = lambda: [*rng.uniform(0, 60, 2).round(1), *rng.uniform(10, 40, 2).round(1)]  # noqa: E731
    truth = [
        {"id": 1 + i, "image_id": 1 + i // 2, "category_id": 1 + i % 2, "bbox": box(), "iscrowd": 0}
        for i in range(80)
    ]
    for item in truth:
        item["area"] = item["bbox"][2] * item["bbox"][3]
    document = {
        "images": [{"id": 1 + i, "width": 100, "height": 100} for i in range(40)],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        "annotations": truth,
    }
    (folder / "truth.json").write_text(json.dumps(document))
    for model, noise in (("good", 1.0), ("poor", 6.0)):
        found = [
            {
                "image_id": item["image_id"],
                "category_id": item["category_id"],
                "bbox": (np.abs(item["bbox"] + rng.normal(0, noise, 4))).round(2).tolist(),
                "score": float(rng.random()),
            }
            for item in truth
        ]
        (folder / f"{model}.json").write_text(json.dumps(found))
    files = {model: str(folder / f"{model}.json") for model in ("good", "poor")}
    data = 'kind = "coco"\nground_truth = "truth.json"\ndetections = ["good.json", "poor.json"]'
    return study_of(cls, data, {}), cls().fit(str(folder / "truth.json"), files).estimate_


@pytest.mark.parametrize("cls", registered(), ids=lambda cls: cls.__name__)
def test_estimator_in_a_study_file(cls, tmp_path):
    makers = dict.fromkeys(IMAGES, of_maps) | dict.fromkeys(DETECTORS, of_coco)
    text, expected = makers.get(cls.__name__, of_table)(cls, tmp_path)
    (tmp_path / "study.toml").write_text(text)
    result = es.Study(tmp_path / "study.toml").run(tmp_path / "out")
    (estimate,) = result.estimates.values()
    np.testing.assert_array_equal(estimate.value, expected.value)
    np.testing.assert_array_equal(estimate.standard_error, expected.standard_error)
    assert estimate.methods() == expected.methods()
    if "model" in expected.terms.columns and expected.terms["model"].n_unique() > 1:
        differences = result.comparisons()
        wanted = expected.compare(terms="model")
        np.testing.assert_array_equal(differences["p_value"], wanted["p_value"])
    assert estimate.name in (tmp_path / "out" / "report.html").read_text()
    assert es.Study(tmp_path / "study.toml").plan(tmp_path / "out")["status"].to_list() == [
        "cached"
    ]


@pytest.mark.parametrize("cls", registered(), ids=lambda cls: cls.__name__)
def test_every_option_of_the_constructor_is_understood_as_its_default(cls):
    """What ``repr`` shows as the default may be written into a study file."""
    from evalstats.study.options import constructed

    options = {
        name: [list(item) if isinstance(item, tuple) else item for item in value]
        if isinstance(value, tuple)
        else "none"
        if value is None
        else value
        for name, value in cls().get_params().items()
    }
    problems = []
    made = constructed(cls, options, lambda path, message: problems.append(message))
    assert problems == []
    for name, value in cls().get_params().items():
        found = made.get_params()[name]
        assert found == value or list(found) == list(value)


def test_images_have_groups_clusters_and_weights_by_a_table(tmp_path):
    cls = es.AveragePrecision
    text, _ = of_coco(cls, tmp_path)
    ids = list(range(1, 41))
    images = pl.DataFrame(
        {"image_id": ids[::-1], "video": [i // 4 for i in ids], "w": [1.0 + i % 3 for i in ids]}
    )
    images.write_csv(tmp_path / "images.csv")
    text = text.replace("[[metric]]", 'images = "images.csv"\n[[metric]]')
    text = text.replace("[output]", 'cluster = "video"\nsample_weight = "w"\n[output]')
    (tmp_path / "study.toml").write_text(text)
    (estimate,) = es.Study(tmp_path / "study.toml").run().estimates.values()
    by_id = images.sort("image_id")
    models = {model: str(tmp_path / f"{model}.json") for model in ("good", "poor")}
    expected = cls().fit(
        str(tmp_path / "truth.json"),
        models,
        cluster=by_id["video"].to_list(),
        sample_weight=by_id["w"].to_list(),
    )
    assert estimate == expected.estimate_
    (tmp_path / "study.toml").write_text(text.replace('"video"', '"vidoe"'))
    with pytest.raises(es.InputError, match=r"no column 'vidoe'. Did you mean 'video'\?"):
        es.Study(tmp_path / "study.toml")
