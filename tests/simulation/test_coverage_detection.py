"""Default intervals of average precision nearly cover, where percentiles do not."""

import pytest

from benchmarks import coverage_detection as study

pytestmark = [
    pytest.mark.simulation,
    pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning"),
]

SAMPLES = 150


@pytest.mark.parametrize("setting", study.SETTINGS, ids=lambda setting: setting.name)
def test_pooled_intervals_and_differences_cover(setting):
    for result in study.coverage(setting, "AP-Pool", SAMPLES):
        assert result.share("default") > 0.88


@pytest.mark.parametrize("setting", study.SETTINGS, ids=lambda setting: setting.name)
def test_double_bootstrap_removes_most_of_the_bias_of_macro_averages(setting):
    single, difference = study.coverage(setting, "AP-Fixed", SAMPLES)
    assert single.share("default") > 0.82
    assert single.share("default") > single.share("percentile") + 0.3
    assert difference.share("default") > 0.88


def test_report_has_a_row_per_result(tmp_path):
    page = tmp_path / "generated" / "coverage.md"
    shown = []
    results = study.main(3, page, shown.append)
    text = page.read_text(encoding="utf-8")
    assert len(shown) == len(results) == 2 * len(study.SETTINGS) * len(study.ESTIMATORS)
    assert text.count("difference") == len(results) // 2
    assert f"Seed {study.SEED}" in text
