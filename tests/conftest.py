"""Settings that every test shares: no display, fixed seeds, one hypothesis profile."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

os.environ["MPLBACKEND"] = "Agg"

# Derandomised, so that a failure here is a failure everywhere; compiling a kernel in the first
# example makes every deadline meaningless.
settings.register_profile(
    "evalstats",
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", parent=settings.get_profile("evalstats"), max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "evalstats"))

SHARED_REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "reference"


def pytest_collection_modifyitems(items):
    """Doctests show small data, about which the estimators rightly warn."""
    for item in items:
        if isinstance(item, pytest.DoctestItem):
            item.add_marker(pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning"))


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with the same stream in every run."""
    return np.random.default_rng(20260131)


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of the recorded peer results; the tests that need it are skipped without it."""
    if not SHARED_REFERENCE.is_dir():
        pytest.skip(f"no reference fixtures at {SHARED_REFERENCE}")
    return SHARED_REFERENCE


@pytest.fixture(autouse=True)
def close_figures():
    """Figures left open warn, and warnings are errors."""
    yield
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.close("all")
