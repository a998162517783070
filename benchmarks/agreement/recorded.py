"""Results of R that were recorded once, with the inputs, in the reference fixtures."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import evalstats as es
from benchmarks.agreement.checks import Pair, check

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "reference"


def available(*parts: str) -> bool:
    """Whether the fixtures are there; the checks yield nothing without them."""
    return FOLDER.joinpath(*parts).is_file()


@cache
def loaded(folder: str, name: str) -> Any:
    """A recorded file, as JSON or as arrays."""
    path = FOLDER / folder / name
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return {key: arrays[key] for key in arrays.files}
    return json.loads(path.read_text(encoding="utf-8"))


def proc_cases() -> Iterator[tuple[Any, Any, Any]]:
    """Labels, scores and pROC's results, where it gives a variance."""
    if not available("discrimination", "delong.json"):
        return
    recorded, arrays = (loaded("discrimination", f"delong.{kind}") for kind in ("json", "npz"))
    for case, found in recorded.items():
        if not case.startswith("_") and f"{case}__y" in arrays and case != "one_pos":
            yield arrays[f"{case}__y"], arrays[f"{case}__S"], found["pROC"]


@check("AUROC with DeLong's variances and covariances", "R, pROC `roc`, `cov`", "recorded")
def proc_covariance() -> Iterator[Pair]:
    """All models of a case together."""
    for y, scores, found in proc_cases():
        estimate = es.AUROC().fit(y, scores).estimate_
        yield estimate.value, found["auc"]
        variances = np.diag(estimate.covariance)
        yield variances, found["var"]
        pairs = [(i, j) for i, j, _ in found["cov"]]
        ours = [estimate.covariance[i, j] for i, j in pairs]
        yield ours, [covariance for _, _, covariance in found["cov"]]


@check("Paired test of two AUROCs: z and p", "R, pROC `roc.test`", "recorded", 1e-7)
def proc_test() -> Iterator[Pair]:
    """Every pair of models."""
    for y, scores, found in proc_cases():
        table = es.AUROC().fit(y, scores).estimate_.compare(adjust=None)
        defined = [row for row in found["paired"] if isinstance(row[2], float)]
        if len(defined) == table.height == len(found["paired"]):
            yield table["statistic"].to_numpy(), [row[2] for row in defined]
            yield table["p_value"].to_numpy(), [row[3] for row in defined]


@check('Interval of AUROC (`interval="wald"`)', "R, pROC `ci.auc`", "recorded")
def proc_interval() -> Iterator[Pair]:
    """Except at 0 and 1, where pROC returns one point and evalstats Newcombe's interval."""
    for y, scores, found in proc_cases():
        interval = es.AUROC(interval="wald").fit(y, scores).estimate_.confidence_interval(0.95)
        inside = [k for k, (_, value, _) in enumerate(found["ci95"]) if 0 < value < 1]
        theirs = np.array(found["ci95"], dtype=float)[inside]
        yield np.column_stack([*interval])[inside], theirs[:, [0, 2]]


def line_cases() -> Iterator[tuple[Any, Any, dict[str, Any]]]:
    """Binary cases in which R's logistic regression converges."""
    if not available("calibration", "expected_R.json"):
        return
    inputs = loaded("calibration", "inputs.npz")
    for case, found in loaded("calibration", "expected_R.json").items():
        line = found.get("glm_logit")
        if line is None or abs(line["slope"]) > 5 or line["slope_se"] > 10:
            continue
        y, p = inputs[f"{case}__y"], inputs[f"{case}__p"]
        inside = (p > 0) & (p < 1)
        yield y[inside], p[inside], found


@check(
    "Calibration intercept, slope, in the large",
    "R, `glm`",
    "recorded",
    5e-6,
    "R stops at a relative change of the deviance of 1e-8",
)
def r_lines() -> Iterator[Pair]:
    """Coefficients only."""
    for y, p, found in line_cases():
        line = es.calibration_regression(y, p, covariance="model")
        ours = [line["intercept"], line["slope"], line["calibration_in_the_large"]]
        logit, offset = found["glm_logit"], found["glm_offset"]
        yield ours, [logit["intercept"], logit["slope"], offset["intercept"]]


@check(
    "Standard errors of these",
    "R, `glm`",
    "recorded",
    2e-4,
    "R reports errors of the weights one step before the last",
)
def r_errors() -> Iterator[Pair]:
    """Model-based errors."""
    for y, p, found in line_cases():
        line = es.calibration_regression(y, p, covariance="model")
        ours = [line[f"{name}_se"] for name in ("intercept", "slope", "calibration_in_the_large")]
        logit, offset = found["glm_logit"], found["glm_offset"]
        yield ours, [logit["intercept_se"], logit["slope_se"], offset["se"]]


@check("Spiegelhalter's z and p", "R, rms `val.prob`", "recorded")
def spiegelhalter() -> Iterator[Pair]:
    """Where rms gives a number."""
    if not available("calibration", "expected_R.json"):
        return
    inputs = loaded("calibration", "inputs.npz")
    for case, found in loaded("calibration", "expected_R.json").items():
        expected = found.get("val_prob")
        if isinstance(expected, dict) and isinstance(expected.get("S:z"), float):
            y, p = inputs[f"{case}__y"], inputs[f"{case}__p"]
            if case != "constant":
                test = es.spiegelhalter_test(y, p)
                yield [test.statistic, test.p_value], [expected["S:z"], expected["S:p"]]
