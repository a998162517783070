"""Intervals of distance covariances cover, and tests of parity keep their level."""

import pytest

from benchmarks import coverage_fairness as study

pytestmark = pytest.mark.simulation


@pytest.mark.parametrize("n", study.SIZES)
def test_intervals_cover(n):
    for result in study.coverage(n, 1000):
        assert 0.91 < result.share < 0.97
        assert result.error_ratio == pytest.approx(1.0, abs=0.12)


@pytest.mark.parametrize("n", study.TEST_SIZES)
def test_levels_are_kept(n):
    chi, permuted = study.sizes(n, 1000)
    # The 10 % level is where the approximation is known to fail.
    assert chi.shares[0] <= 0.01 + 0.01
    assert chi.shares[1] <= 0.05 + 0.015
    for level, share in zip(study.LEVELS, permuted.shares, strict=True):
        assert share == pytest.approx(level, abs=0.03)


def test_report_has_a_row_per_result(tmp_path):
    page = tmp_path / "generated" / "coverage.md"
    covered, tested = study.main(5, page, lambda _: None)
    text = page.read_text(encoding="utf-8")
    assert len(covered) == 2 * len(study.SIZES)
    assert len(tested) == 2 * len(study.TEST_SIZES)
    assert f"Seed {study.SEED}" in text
