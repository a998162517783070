"""The laboratory itself, and a short version of what `make coverage` records."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import evalstats as es
from benchmarks.coverage import __main__ as command
from benchmarks.coverage import laboratory
from benchmarks.coverage.design import LEVEL
from benchmarks.coverage.designs import DESIGNS
from benchmarks.coverage.families.discrimination import Binormal
from benchmarks.coverage.families.forecasts import Forecasts
from benchmarks.coverage.page import page
from evalstats.estimator import REGISTRY

BY_NAME = {design.name: design for design in DESIGNS}
# Cheap designs of several families; every default interval and every size of a test is checked.
SHORT = (
    "auroc/n500",
    "auroc/ties",
    "auprc/n100",
    "auprc/10-positives",
    "balance/8-clusters",
    "brier/n500",
    "slope/calibrated",
    "win-rate/n805",
    "bradley-terry/equal",
    "bradley-terry/users",
    "distance-covariance/households",
)
REPLICATES = 200


def short_run(tmp_path, names, replicates=REPLICATES, **options):
    designs = [BY_NAME[name] for name in names]
    return laboratory.run(designs, tmp_path, replicates=replicates, show=lambda _: None, **options)


def test_the_list_is_long_and_names_are_unique():
    assert len(BY_NAME) == len(DESIGNS) >= 60
    for design in DESIGNS:
        assert design.replicates >= 500, design.name
        labels = [procedure.label for procedure in design.procedures]
        assert len(set(labels)) == len(labels), design.name


def test_hard_designs_are_in_the_list():
    for name in (
        "auroc/10-positives",
        "auprc/rare",
        "auroc/8-clusters",
        "auroc/near-perfect",
        "calibration-error/nearly-n300-norm1",
        "macro-ap/5-images-per-category",
        "win-rate/near-separated",
        "bradley-terry/near-separated",
        "aupimo/owned-tail",
        "distance-covariance/weak",
        "discontinuity/constant-discrete-n500-frechet",
    ):
        assert name in BY_NAME


def test_every_registered_estimator_has_a_design():
    for name in es.__all__:
        getattr(es, name)
    sources = {
        path.read_text(encoding="utf-8")
        for path in (command.ROOT / "benchmarks/coverage/families").glob("*.py")
    }
    whole = "\n".join(sources)
    for name in REGISTRY:
        assert f"es.{name}" in whole, name


@pytest.mark.parametrize("name", ["auroc/n500", "slope/calibrated"])
def test_replicates_do_not_depend_on_blocks(name, monkeypatch):
    design = BY_NAME[name]
    parts = []
    for block in (50, 7):
        monkeypatch.setattr(laboratory, "BLOCK", block)
        parts.append(laboratory.run_design(design, 30, 1, laboratory.in_process))
    assert parts[0].equals(parts[1])


def test_interrupted_run_continues(tmp_path, monkeypatch):
    names = ("brier/n50", "win-rate/n805")
    short_run(tmp_path, names[:1], 20)
    (tmp_path / "win-rate--n805.partial").write_bytes(b"cut")
    shown = []
    designs = [BY_NAME[name] for name in names]
    rows = laboratory.run(designs, tmp_path, replicates=20, show=shown.append)
    assert [line.split(":")[0] for line in shown] == ["win-rate/n805"]
    assert rows["design"].unique(maintain_order=True).to_list() == list(names)
    # Another number of samples is another run.
    laboratory.run(designs[:1], tmp_path, replicates=21, show=shown.append)
    assert len(shown) == 2


def test_short_run_covers_within_binomial_limits(tmp_path):
    rows = short_run(tmp_path, SHORT)
    covered = rows.filter(pl.col("default") & pl.col("coverage").is_not_null())
    assert len(covered) >= len(SHORT)
    slack = 3.5 * np.sqrt(LEVEL * (1 - LEVEL) / REPLICATES)
    for row in covered.iter_rows(named=True):
        assert LEVEL - 0.01 - slack < row["coverage"], row
        assert row["se_ratio"] == pytest.approx(1.0, abs=0.25), row
    sizes = rows.filter(pl.col("default") & pl.col("null"))
    assert len(sizes) >= 2
    assert (sizes["rejected"] < 0.05 + 0.01 + slack).all()
    text = page(rows)
    for name in SHORT:
        assert f"`{name.split('/')[1]}`" in text


def test_negative_controls_fail(tmp_path):
    rows = short_run(tmp_path, ("auroc/clusters",), 100).filter(target="value")
    shares = dict(zip(rows["procedure"], rows["coverage"], strict=True))
    assert shares["rows as if independent"] < 0.85 < shares["default"]


def test_a_refusal_is_counted_and_not_taken_for_a_miss(tmp_path):
    rows = short_run(tmp_path, ("bradley-terry/near-separated",), 100)
    refused, coverage = rows.row(0, named=True)["refused"], rows["coverage"][0]
    assert 0 < refused < 50
    assert coverage > 0.85


def test_command_lists_and_runs_and_refuses(tmp_path, capsys):
    assert command.main(["--list", "--only", "auroc/*"]) == 0
    assert "auroc/near-perfect" in capsys.readouterr().out
    assert command.main(["--only", "nothing"]) == 2
    chosen = ["--only", "log-loss/rare", "--replicates", "5", "--work", str(tmp_path / "parts")]
    assert command.main(chosen) == 0
    assert "log-loss/rare" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "parts").iterdir()] == ["log-loss--rare.parquet"]


# Population values against recorded ones -----------------------------------------------------


def test_binormal_truths_are_the_recorded_ones(reference):
    entries = json.loads((reference / "discrimination" / "monte_carlo.json").read_text())
    for entry in entries:
        for curve, name in (("auroc", "true_auroc"), ("auprc", "true_ap")):
            population = Binormal(entry["n"], entry["prevalence"], entry["d"], curve)
            assert population.truths()["value"] == pytest.approx(entry[name], abs=1e-6)


def test_truths_of_tied_scores_are_those_of_a_large_sample():
    for curve, function in (("auroc", es.auroc), ("auprc", es.auprc)):
        population = Binormal(400_000, 0.3, 1.0, curve, step=1.0)
        sample = population.draw(np.random.default_rng(3))
        value = function(sample["y_true"], sample["y_score"]["first"])
        assert population.truths()["value"] == pytest.approx(value, abs=0.004)


def test_balance_of_the_recorded_populations(reference):
    kinds = {
        "calibrated": ("calibrated", 1.0),
        "over T=1.5": ("sharpened", 1.5),
        "under T=.6": ("sharpened", 0.6),
        "shift +.5": ("shifted", 0.5),
    }
    seen = 0
    path = reference / "calibration" / "balance_simulation.json"
    for entry in json.loads(path.read_text(encoding="utf-8")):
        if entry["model"] in kinds:
            seen += 1
            population = Forecasts(1000, *kinds[entry["model"]], tuple(entry["beta"]))
            error = entry["sd_balance"] / np.sqrt(4_000_000 / 1000)
            expected = entry["balance_population"]
            assert population.truth() == pytest.approx(expected, abs=6 * error + 2e-4)
    assert seen >= 4


@pytest.mark.simulation
@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.name)
def test_defaults_cover_or_warn(design, tmp_path):
    """A default that covers badly is one that says so."""
    only = replace(design, procedures=tuple(item for item in design.procedures if item.default))
    if not only.procedures:
        pytest.skip("no default among the procedures")
    rows = laboratory.run([only], tmp_path, replicates=400, show=lambda _: None)
    low = rows.filter(pl.col("coverage") + 3 * pl.col("coverage_error") < 0.92)
    assert (low["warned"] > 0.5).all(), low
