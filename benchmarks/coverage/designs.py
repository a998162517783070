"""The declarative list of all designs, the most informative families first."""

from benchmarks.coverage.design import Design
from benchmarks.coverage.families import discrimination, forecasts

DESIGNS: tuple[Design, ...] = (*discrimination.DESIGNS, *forecasts.DESIGNS)
