"""Slopes cover, tests of calibration keep their level, bootstrapped CORP terms nearly cover."""

import pytest

from benchmarks import coverage_scores as study

pytestmark = pytest.mark.simulation

REPLICATES = 1000


@pytest.mark.parametrize("case", study.STUDIES, ids=lambda case: case.name)
def test_slopes_cover(case):
    result = study.simulate(case, REPLICATES)
    for name in ("intercept", "slope", "calibration-in-the-large"):
        assert 0.925 < result.covered[name] < 0.975, name
    for name in ("discrimination", "score"):
        assert result.covered[name] > 0.88, name


def test_p_values_are_uniform_under_calibration():
    result = study.simulate(study.STUDIES[0], REPLICATES)
    for name, (low, half) in result.rejected.items():
        assert low == pytest.approx(0.05, abs=0.025), name
        assert half == pytest.approx(0.5, abs=0.06), name
        assert result.uniformity[name] > 1e-3, name


def test_report_has_a_row_per_result(tmp_path):
    page = tmp_path / "generated" / "coverage.md"
    shown = []
    results = study.main(5, page, shown.append)
    text = page.read_text(encoding="utf-8")
    assert len(shown) == len(results) == len(study.STUDIES)
    assert text.count("| over-confident |") == 4
    assert f"Seed {study.SEED}" in text
