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
    *forecasts.DESIGNS,
    *preferences.DESIGNS,
    *fairness.DESIGNS,
    *anomaly.DESIGNS,
    *trajectory.DESIGNS,
    *discontinuity.DESIGNS,
    *detection.DESIGNS,
)
