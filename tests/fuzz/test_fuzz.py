"""A short run of the fuzzing harness, and the harness itself."""

import numpy as np
import pytest

import evalstats as es
from evalstats.cli import VERBS
from tests.battery_support import registered
from tests.fuzz.functions import CLASSES, FUNCTIONS, OTHERS
from tests.fuzz.harness import Target, Trial, WrongError, run_case
from tests.fuzz.targets import all_targets

TARGETS = all_targets()
# Covered by other targets: results of every fit, configurations without options, exceptions, the
# readers, and the records that these return.
ELSEWHERE = {
    "Analytic", "Detections", "Estimate", "Estimator", "EvalstatsWarning", "GroundTruth",
    "InputError", "Jackknife", "ModelRanks", "NoInference", "read_detections",
    "read_ground_truth",
    "Study",
    "StudyResult",
}  # fmt: skip


def test_every_public_name_has_a_target():
    estimators = {cls.__name__ for cls in registered()}
    assert set(es.__all__) == {*estimators, *FUNCTIONS, *CLASSES, *OTHERS, *ELSEWHERE}
    names = {target.name for target in TARGETS}
    assert len(names) == len(TARGETS)
    assert {f"fit:{name}" for name in estimators} <= names
    assert {f"oracle:{name}" for name in estimators} <= names
    assert {f"cli:{name}" for name in VERBS} <= names


# The demo computes for seconds, and drawing takes long.
CHEAP = [t for t in TARGETS if not t.name.startswith(("cli:demo", "estimate:plot", "method:"))]


@pytest.mark.parametrize("kind", ["fit", "call", "estimate", "file", "cli", "oracle"])
def test_generated_cases_do_not_fail(kind):
    cases = {"fit": 12, "call": 20, "estimate": 30, "file": 20, "cli": 3, "oracle": 15}[kind]
    for target in CHEAP:
        if target.name.startswith(f"{kind}:"):
            for index in range(cases):
                outcome = run_case(target, 2026, index)
                assert outcome.kind != "failed", outcome.detail


# The harness sees what it should ----------------------------------------------------------------


def outcome_of(call, *, names=(), watched=None, check=lambda result: None):
    return run_case(Target("t", lambda rng: Trial(call, names, watched, check)), 0, 0)


def raising(error):
    def call():
        raise error

    return call


def test_outcomes():
    from evalstats.errors import warn

    assert outcome_of(lambda: 1).kind == "ok"
    assert outcome_of(lambda: warn("few-clusters", "only 3")).kind == "warned"
    assert outcome_of(raising(es.InputError("y_true is empty")), names=["y_true"]).kind == "refused"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (raising(ValueError("broken")), "ValueError: broken"),
        (raising(RuntimeError("broken")), "RuntimeError: broken"),
        (lambda: np.log(np.zeros(1)), "divide by zero"),
        (lambda: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_failures(call, message):
    outcome = outcome_of(call)
    assert outcome.kind == "failed"
    assert message in outcome.detail


def test_a_refusal_must_name_an_argument():
    outcome = outcome_of(raising(es.InputError("something is wrong")), names=["y_true"])
    assert outcome.kind == "failed"
    assert "names no argument" in outcome.detail


def test_changed_input_is_a_failure():
    array = np.zeros(3)
    assert outcome_of(lambda: array.fill(1.0), watched={"a": [array]}).kind == "failed"


def test_a_wrong_result_is_a_failure():
    def check(result):
        raise WrongError("2 + 2 is 4")

    assert "2 + 2" in outcome_of(lambda: 5, check=check).detail


def test_a_hang_is_a_failure(monkeypatch):
    from tests.fuzz import harness

    monkeypatch.setattr(harness, "BUSY_LIMIT", 0.05)

    def spin():
        while True:
            pass

    assert "Hang" in outcome_of(spin).detail


def test_cases_repeat():
    target = next(target for target in TARGETS if target.name == "fit:AUROC")
    first, again = (run_case(target, 5, 11) for _ in range(2))
    assert first == again
