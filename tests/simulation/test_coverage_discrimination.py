"""Intervals cover as often as they claim, or as the recorded simulation of the card found."""

import json
from pathlib import Path

import numpy as np
import pytest

import evalstats as es
from benchmarks import coverage_discrimination as study

pytestmark = pytest.mark.simulation

MONTE_CARLO = (
    Path(__file__).resolve().parents[2] / "../shared/reference/discrimination/monte_carlo.json"
)
REPLICATES = 2000


def recorded(population):
    """Truth and coverage recorded for the same population, labels drawn at random."""
    if not MONTE_CARLO.is_file():
        pytest.skip(f"no reference fixtures at {MONTE_CARLO}")
    for entry in json.loads(MONTE_CARLO.read_text(encoding="utf-8")):
        if (entry["n"], entry["prevalence"]) == (population.n, population.prevalence) and (
            entry["sampling"] == "random"
        ):
            return entry
    raise AssertionError("not a recorded population")


def key(item):
    return "auroc" if item.estimator is es.AUROC else "ap"


def name(item):
    return f"{item.estimator.metric} {item.label}"


@pytest.mark.parametrize("item", study.analytic_studies(), ids=name)
def test_analytic_intervals(item):
    entry = recorded(item.population)
    assert item.population.truth(item.estimator) == pytest.approx(
        entry[f"true_{key(item)}"], abs=1e-6
    )
    result = study.coverage(item, REPLICATES)
    expected = entry[f"cover95_{key(item)}_{item.options['interval']}"]
    error = np.hypot(result.error, np.sqrt(expected * (1 - expected) / entry["replicates"]))
    # As recorded, or nearer to 95%.
    nearer = abs(result.share - 0.95) <= abs(expected - 0.95)
    assert nearer or abs(result.share - expected) < max(0.01, 3 * error)


@pytest.mark.parametrize("item", study.clustered_studies(), ids=name)
def test_clustered_intervals(item):
    result = study.coverage(item, REPLICATES)
    if item.ignore_clusters:
        assert result.share < 0.85
    else:
        assert abs(result.share - 0.95) < 0.015 + 3 * result.error


@pytest.mark.parametrize("item", study.paired_studies(), ids=name)
def test_paired_differences(item):
    result = study.coverage(item, REPLICATES)
    assert abs(result.share - 0.95) < 0.01 + 3 * result.error


@pytest.mark.parametrize("item", study.bootstrap_studies(), ids=name)
def test_bootstrap_intervals(item):
    result = study.coverage(item, 500)
    assert result.share + 3 * result.error > 0.90
    assert result.share - 3 * result.error < 0.98


def test_report_has_a_row_per_study(tmp_path):
    page = tmp_path / "generated" / "coverage.md"
    shown = []
    results = study.main(5, page, shown.append)
    text = page.read_text(encoding="utf-8")
    assert len(shown) == len(results) == len(study.all_studies())
    assert text.count("\n| AU") == len(results)
    assert f"Seed {study.SEED}" in text
    assert study.main(5, None, shown.append) == results
