"""Clustered intervals of AMD and AMV cover as they claim; those of single agents do not."""

import pytest

from benchmarks import coverage_trajectory as study

pytestmark = pytest.mark.simulation

REPLICATES = 400


@pytest.mark.parametrize("population", study.POPULATIONS)
def test_clusters_cover_and_single_agents_do_not(population):
    for result in study.coverage(population, REPLICATES):
        slack = 3 * result.error
        if result.clusters == "agents as if independent":
            assert result.share < 0.85
        elif result.clusters == "blocks of one window":
            assert 0.84 - slack < result.share < 0.96 + slack
        else:
            assert 0.92 - slack < result.share < 0.97 + slack


def test_report_has_a_row_per_result(tmp_path):
    page = tmp_path / "generated" / "coverage.md"
    shown = []
    results = study.main(3, page, shown.append)
    text = page.read_text(encoding="utf-8")
    assert len(shown) == len(results) == 12
    assert text.count("| AMD |") == text.count("| AMV |") == 6
    assert f"Seed {study.SEED}" in text
