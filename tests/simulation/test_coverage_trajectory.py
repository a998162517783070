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
            # Neighbouring blocks depend, which costs a third of the variance.
            assert 0.86 - slack < result.share < 0.94 + slack
        elif result.clusters == "blocks by default":
            # Blocks of three windows still lack a tenth of the variance.
            assert 0.92 - slack < result.share < 0.95 + slack
        else:
            assert 0.94 - slack < result.share < 0.96 + slack


def test_report_has_a_row_per_result(tmp_path):
    page = tmp_path / "generated" / "coverage.md"
    shown = []
    results = study.main(3, page, shown.append)
    text = page.read_text(encoding="utf-8")
    assert len(shown) == len(results) == 12
    assert text.count("| AMD |") == text.count("| AMV |") == 6
    assert f"Seed {study.SEED}" in text
