"""Section on calibration: can the probabilities be read as frequencies, before and after."""

from typing import Any

import polars as pl

from evalstats.calibration.balance import BalanceScore
from evalstats.calibration.brier_score import BrierScore
from evalstats.calibration.calibration_error import CalibrationError
from evalstats.calibration.recalibrators import BetaCalibration
from evalstats.calibration.reliability import ReliabilityDiagram
from evalstats.inference.methods import NoInference
from evalstats.report.predictions import marriages
from evalstats.report.section import Figure, Section, Table

AFTER = "recalibrated"


def probabilities_as_frequencies() -> Section:
    """Calibration of the classifiers on the survey, and what beta calibration changes."""
    data = marriages()
    y_true = data.frame[data.label].to_numpy()
    before = {model: data.frame[model].to_numpy() for model in data.models}
    after = {model: BetaCalibration().cross_fit(p, y_true) for model, p in before.items()}
    balance = BalanceScore().fit(y_true, before)
    error = CalibrationError(debias=True).fit(y_true, before)
    tests = error.calibration_test().join(
        balance.null_test().select("model", pl.col("p_value").alias("p_balance")), on="model"
    )
    brier = BrierScore().fit(y_true, before).estimate_
    changes = _changes(y_true, before, after)
    worst = str(error.estimate_.terms["model"][int(error.estimate_.value.argmax())])
    return Section(
        title="Probabilities as frequencies",
        intro=(
            f"{len(y_true):,} women, and the probability that each classifier gives to an affair. "
            "The Balance score is accuracy minus mean confidence: below 0 the classifier promises "
            "too much. The calibration error (ECE, 15 bins, corrected for its bias) sees errors "
            "that cancel in it. Its interval holds all errors that a test does not reject, so it "
            "begins at 0 exactly where calibration is not rejected.\n\n"
            f"{worst.capitalize()} is calibrated worst. Beta calibration learns a curve from four "
            "fifths of the rows and is judged on the rest; the differences below are paired. The "
            "reliability diagrams show the observed frequency at each forecast, with confidence "
            "bands (around the curve) and consistency bands (around the diagonal)."
        ),
        tables=(
            Table(
                "calibration",
                "Balance score, calibration error and Brier score",
                pl.concat(
                    [balance.estimate_.to_frame(), error.estimate_.to_frame(), brier.to_frame()]
                ),
            ),
            Table(
                "calibration-tests",
                "P-values of perfect calibration: by redrawn outcomes, and by the Balance score",
                tests.select("model", "estimate", "p_value", "p_balance", "n"),
            ),
            Table(
                "calibration-changes",
                "Recalibrated minus original forecasts: negative differences are gains",
                changes,
            ),
        ),
        figures=(
            Figure.of_axes(
                "reliability",
                "Reliability of the original forecasts.",
                ReliabilityDiagram(inference=NoInference()).fit(y_true, before).plot(),
            ),
            Figure.of_axes(
                "reliability-recalibrated",
                "Reliability after cross-fitted beta calibration.",
                ReliabilityDiagram(inference=NoInference()).fit(y_true, after).plot(),
            ),
        ),
        estimates=(balance.estimate_, error.estimate_, brier),
    )


def _changes(y_true: Any, before: dict[str, Any], after: dict[str, Any]) -> pl.DataFrame:
    """Paired differences of Brier score and calibration error of each classifier."""
    rows = []
    for model, forecast in before.items():
        pair = {"original": forecast, AFTER: after[model]}
        for estimator in (BrierScore(), CalibrationError(debias=True)):
            difference = estimator.fit(y_true, pair).estimate_.compare("original")
            rows.append(difference.with_columns(pl.lit(model).alias("model")))
    return pl.concat(rows).with_columns(pl.lit("original").alias("reference"))
