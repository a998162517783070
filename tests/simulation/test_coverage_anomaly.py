"""Intervals of the mean AUPIMO cover where many images share the tail; elsewhere the flag fires."""

import pytest

from benchmarks import coverage_anomaly as study

pytestmark = pytest.mark.simulation

REPLICATES = 500
HEALTHY = [name for name, setting in study.SETTINGS.items() if setting.lifted == 0]


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_tails_cover(name):
    result = study.coverage(name, REPLICATES)
    for method in ("bootstrap", "analytic"):
        slack = 2 * result.noise(method)
        assert 0.93 - slack < result.share[method] < 0.97 + slack
    assert result.flagged < 0.2


def test_flag_fires_where_few_images_own_the_tail():
    (name,) = set(study.SETTINGS) - set(HEALTHY)
    result = study.coverage(name, REPLICATES)
    assert result.flagged > 0.7
    assert result.share["anomalous only"] < result.share["bootstrap"]


def test_report_has_a_row_per_setting(tmp_path):
    page = tmp_path / "generated" / "coverage.md"
    shown = []
    results = study.main(3, page, shown.append)
    text = page.read_text(encoding="utf-8")
    assert len(shown) == len(results) == len(study.SETTINGS)
    assert text.count(" normal") >= len(results)
    assert f"Seed {study.SEED}" in text
