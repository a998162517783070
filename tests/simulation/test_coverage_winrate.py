"""Intervals of controlled win rates cover as they claim; the published error does not."""

import pytest

from benchmarks import coverage_winrate as study

pytestmark = pytest.mark.simulation

REPLICATES = 1000


@pytest.mark.parametrize("population", study.POPULATIONS)
def test_influence_covers_and_the_published_error_does_not(population):
    rate, difference = study.coverage(population, REPLICATES)
    for result in (rate, difference):
        slack = 2 * result.error("influence")
        assert 0.93 - slack < result.share["influence"] < 0.97 + slack
    slack = 2 * rate.error("reference")
    assert 0.56 - slack < rate.share["reference"] < 0.66 + slack
    assert difference.share["reference"] < 0.80


def test_error_of_the_influence_is_the_sampling_error():
    for result in study.coverage("strong model", 400):
        assert result.reach["influence"] / 1.96 == pytest.approx(result.sampling_error, rel=0.1)
        assert result.reach["reference"] / 1.96 < 0.6 * result.sampling_error


def test_report_has_a_row_per_result(tmp_path):
    page = tmp_path / "generated" / "coverage.md"
    shown = []
    results = study.main(5, page, shown.append)
    text = page.read_text(encoding="utf-8")
    assert len(shown) == len(results) == 2 * len(study.POPULATIONS)
    assert text.count("model: ") == len(results)
    assert f"Seed {study.SEED}" in text
