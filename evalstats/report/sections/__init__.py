"""Sections of the demo report, in the order in which they appear."""

from collections.abc import Callable

from evalstats.report.section import Section
from evalstats.report.sections.anomaly import defects_at_few_false_alarms
from evalstats.report.sections.calibration import probabilities_as_frequencies
from evalstats.report.sections.detection import detectors
from evalstats.report.sections.discontinuity import breaks_in_climate_records
from evalstats.report.sections.discrimination import (
    countries_as_clusters,
    digits_by_class,
    malignant_tumours,
    mistakes_by_subgroup,
    results_by_subgroup,
)
from evalstats.report.sections.fairness import fair_motor_tariff
from evalstats.report.sections.trajectory import crowd_forecasts
from evalstats.report.sections.winrate import length_controlled_win_rates

SECTIONS: tuple[Callable[[], Section], ...] = (
    malignant_tumours,
    results_by_subgroup,
    mistakes_by_subgroup,
    countries_as_clusters,
    digits_by_class,
    probabilities_as_frequencies,
    length_controlled_win_rates,
    defects_at_few_false_alarms,
    detectors,
    crowd_forecasts,
    breaks_in_climate_records,
    fair_motor_tariff,
)
