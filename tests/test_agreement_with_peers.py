"""Numbers agree with scikit-learn, scipy and statsmodels, and with recorded results of R."""

import numpy as np
import pytest

from benchmarks.agreement import __main__ as command
from benchmarks.agreement import quick, recorded  # noqa: F401 - registers the checks
from benchmarks.agreement.checks import CHECKS, Check, difference, run

HERE = ("scikit-learn", "scipy", "statsmodels", "recorded")
QUICK = [item for item in CHECKS if item.package in HERE]


@pytest.mark.parametrize("item", QUICK, ids=lambda item: f"{item.metric} {item.package}")
def test_numbers_agree(item):
    outcome = run(item)
    if outcome is None:
        assert item.package == "recorded"
        pytest.skip("no reference fixtures")
    assert outcome.cases >= 5
    assert outcome.numbers >= outcome.cases
    assert outcome.difference <= item.tolerance


def test_there_are_checks_of_every_installed_peer():
    assert {item.package for item in QUICK} == set(HERE)


def test_differences_are_relative_and_see_what_is_undefined():
    assert difference([1.0, 2.0], [1.0, 2.02]) == pytest.approx(0.02 / 2.02)
    assert difference([1e-9], [0.0]) == pytest.approx(1e-3)
    assert difference([np.nan, 1.0], [np.nan, 1.0]) == 0.0
    assert difference([np.nan], [1.0]) == np.inf
    assert difference([1.0, 2.0], [1.0]) == np.inf


def test_a_missing_peer_is_left_out_and_a_difference_is_found(monkeypatch, capsys):
    absent = Check("metric", "peer", "no-such-distribution", lambda: iter([(1.0, 1.0)]))
    assert run(absent) is None
    wrong = Check("wrong metric", "peer", "scipy", lambda: iter([(1.0, 1.1)]))
    monkeypatch.setattr(command, "CHECKS", [absent, wrong])
    assert command.main("metric") == 1
    shown = capsys.readouterr().out
    assert "no-such-distribution is not here" in shown
    assert "EXCEEDS ITS TOLERANCE" in shown
