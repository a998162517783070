"""Uniform bands of discontinuity designs cover, tests keep their size."""

import numpy as np
import pytest

from benchmarks.coverage_discontinuity import CELLS, run_cell

pytestmark = [
    pytest.mark.simulation,
    pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning"),
]

REPLICATES = 400


@pytest.mark.parametrize("cell", CELLS, ids=["-".join(map(str, cell)) for cell in CELLS])
def test_bands_cover_and_tests_keep_their_size(cell):
    wide, _, pointwise, null, same, ours, theirs, _, typical, usual = run_cell(*cell, REPLICATES)
    margin = 3 * np.sqrt(0.95 * 0.05 / REPLICATES)
    assert wide > 0.95 - margin
    assert pointwise > 0.95 - margin
    assert max(null, same) < 0.05 + margin
    # A fuzzy effect is a ratio without moments: its typical error is what can be compared.
    better = typical / usual if cell[0] == "fuzzy" else ours / theirs
    assert better < 1.12
