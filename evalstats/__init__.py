"""Statistical evaluation metrics with standard errors, intervals and paired comparisons."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

_HOME = {
    "AUPIMO": "anomaly.aupimo",
    "AUPRC": "discrimination.auprc",
    "AUPRO": "anomaly.aupro",
    "AUROC": "discrimination.auroc",
    "Analytic": "inference.methods",
    "AveragePrecision": "detection.average_precision",
    "BalanceScore": "calibration.balance",
    "BetaCalibration": "calibration.recalibrators",
    "Bootstrap": "inference.methods",
    "BradleyTerry": "winrate.bradley_terry",
    "BrierScore": "calibration.brier_score",
    "CalibrationError": "calibration.calibration_error",
    "CalibrationSlope": "calibration.slope",
    "DetectionStream": "detection.streaming",
    "Detections": "detection.records",
    "Estimate": "results.estimate",
    "Estimator": "estimator",
    "EvalstatsWarning": "errors",
    "GroundTruth": "detection.records",
    "InputError": "errors",
    "IsotonicRecalibration": "calibration.recalibrators",
    "Jackknife": "inference.methods",
    "LengthControlledWinRate": "winrate.length_controlled",
    "LogLoss": "calibration.log_loss",
    "MistakeAnalysis": "discrimination.mistakes",
    "ModelRanks": "results.model_ranks",
    "NoInference": "inference.methods",
    "PlattScaling": "calibration.recalibrators",
    "PooledAveragePrecision": "detection.pooled",
    "ReliabilityDiagram": "calibration.reliability",
    "SplitConformal": "calibration.conformal",
    "TemperatureScaling": "calibration.recalibrators",
    "VennABERS": "calibration.venn_abers",
    "WildBenchReward": "winrate.wildbench",
    "WildBenchScore": "winrate.wildbench",
    "WinRate": "winrate.win_rate",
    "ace_netcal": "calibration.functions",
    "ace_nixon": "calibration.functions",
    "atomic_mistakes": "discrimination.mistakes",
    "aupimo": "anomaly.aupimo",
    "auprc": "discrimination.auprc",
    "aupro": "anomaly.aupro",
    "auroc": "discrimination.auroc",
    "average_precision": "detection.functions",
    "balance_score": "calibration.functions",
    "brier_score": "calibration.brier_score",
    "calibrate_scores": "detection.score_calibration",
    "calibration_error": "calibration.functions",
    "calibration_regression": "calibration.slope",
    "calibration_summary": "calibration.functions",
    "citations": "results.citations",
    "corp_decomposition": "calibration.corp",
    "ece": "calibration.functions",
    "hosmer_lemeshow_test": "calibration.forecast_tests",
    "log_loss": "calibration.log_loss",
    "murphy_decomposition": "calibration.binned_terms",
    "pooled_average_precision": "detection.functions",
    "rank_models": "results.model_ranks",
    "read_detections": "detection.files",
    "read_ground_truth": "detection.files",
    "recalibration_report": "calibration.report",
    "smooth_calibration_error": "calibration.smooth_error",
    "spiegelhalter_test": "calibration.forecast_tests",
    "win_rate": "winrate.win_rate",
}

__all__ = sorted(_HOME)  # noqa: PLE0605 - the names live in one place

try:
    __version__ = version("evalstats-metrics")
except PackageNotFoundError:
    __version__ = "unknown"


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(import_module(f"evalstats.{_HOME[name]}"), name)
    raise AttributeError(f"module 'evalstats' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
