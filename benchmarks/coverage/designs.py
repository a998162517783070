"""The declarative list of all designs, the most informative families first."""

from benchmarks.coverage.design import Design
from benchmarks.coverage.families import (
    anomaly,
    detection,
    discontinuity,
    discrimination,
    fairness,
    forecasts,
    lines,
    preferences,
    trajectory,
)

DESIGNS: tuple[Design, ...] = (
    *discrimination.DESIGNS,
    *lines.DESIGNS,
    *preferences.DESIGNS,
    *fairness.DESIGNS,
    *discontinuity.DESIGNS,
    *forecasts.DESIGNS,
    *trajectory.DESIGNS,
    *anomaly.DESIGNS,
    *detection.DESIGNS,
)
