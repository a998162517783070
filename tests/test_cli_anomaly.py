"""``evalstats aupimo`` and ``evalstats aupro`` on folders of images."""

import json

import numpy as np
import polars as pl
import pytest

import evalstats as es
from evalstats.cli import app
from tests.anomaly.support import stack


@pytest.fixture
def run(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as leaving:
            app([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return leaving.value.code or 0, out, err

    return run


@pytest.fixture
def study(tmp_path, rng):
    maps, masks = stack(rng, 30, 12)
    models = {"good": maps, "bad": maps - 1.5 * masks}
    for name, images in {**models, "masks": masks}.items():
        (tmp_path / name).mkdir()
        for i, image in enumerate(images):
            np.save(tmp_path / name / f"{i:03d}.npy", image)
    return tmp_path, models, masks


def folders(path):
    return ("--maps", path / "good", "--maps", path / "bad", "--masks", path / "masks")


BOUNDS = ("--lower", "0.01", "--upper", "0.3")


def test_aupimo(study, run):
    path, models, masks = study
    scores = path / "scores.csv"
    code, out, err = run("aupimo", *folders(path), *BOUNDS, "--format", "csv", "--scores", scores)
    assert code == 0, err
    pimo = es.AUPIMO(fpr_bounds=(0.01, 0.3), inference=es.NoInference()).fit(masks, models)
    table = pl.read_csv(out.encode())
    assert table["model"].to_list() == ["good", "bad"]
    assert table["estimate"].to_list() == pytest.approx(pimo.estimate_.value.tolist())
    frame = pl.read_csv(scores)
    assert frame["name"][:2].to_list() == [0, 1] or frame["name"][:2].to_list() == ["000", "001"]
    expected = pimo.image_scores()["score"].to_list()
    assert frame["score"].to_list() == pytest.approx(expected, nan_ok=True)


def test_comparison_and_bootstrap(study, run):
    path, _, _ = study
    options = ("--compare", "--bootstrap", "50", "--seed", "3", "--format", "json")
    code, out, err = run("aupimo", *folders(path), *BOUNDS, *options)
    assert code == 0, err
    result = json.loads(out)
    assert any("comparison" in key or "difference" in key for key in result)


def test_grid_mode(study, run):
    path, models, masks = study
    code, out, err = run("aupimo", *folders(path), *BOUNDS, "--mode", "grid", "--format", "csv")
    assert code == 0, err
    expected = es.aupimo(masks, models["good"], fpr_bounds=(0.01, 0.3), mode="grid")
    assert pl.read_csv(out.encode())["estimate"][0] == pytest.approx(np.nanmean(expected))


def test_aupro(study, run):
    path, models, masks = study
    code, out, err = run("aupro", *folders(path), "--max-fpr", "0.2", "--out", path / "pro.csv")
    assert code == 0, err
    assert not out
    table = pl.read_csv(path / "pro.csv")
    assert table["estimate"][1] == pytest.approx(es.aupro(masks, models["bad"], max_fpr=0.2))


def test_what_is_missing_is_named(study, run):
    path, _, _ = study
    (path / "masks" / "004.npy").unlink()
    code, _, err = run("aupimo", *folders(path), *BOUNDS)
    assert code == 2
    assert err.startswith("error: ")
    assert "has no mask of '004'" in err
    assert "--unmasked-are-normal" in err
    assert run("aupimo", *folders(path), *BOUNDS, "--unmasked-are-normal")[0] == 0
    (path / "bad" / "005.npy").unlink()
    code, _, err = run("aupro", *folders(path))
    assert code == 2
    assert "maps of 'bad' and 'good' differ in '005'" in err
