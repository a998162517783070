"""Statistical evaluation metrics with standard errors, intervals and paired comparisons."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

_HOME = {
    "AMD": "trajectory.amd",
    "AMV": "trajectory.amv",
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
    "DistanceCovariance": "fairness.distance_covariance",
    "DistributionRDD": "discontinuity.rdd",
    "Estimate": "results.estimate",
    "Estimator": "estimator",
    "EvalstatsWarning": "errors",
    "FairGLM": "fairness.glm",
    "GaussianMixtures": "trajectory.forecasts",
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
    "Study": "study.study",
    "StudyResult": "study.result",
    "TemperatureScaling": "calibration.recalibrators",
    "TrajectoryScores": "trajectory.scores",
    "VennABERS": "calibration.venn_abers",
    "WeightedSamples": "trajectory.forecasts",
    "WildBenchReward": "winrate.wildbench",
    "WildBenchScore": "winrate.wildbench",
    "WinRate": "winrate.win_rate",
    "ace_netcal": "calibration.functions",
    "ace_nixon": "calibration.functions",
    "amd_amv": "trajectory.amd",
    "atomic_mistakes": "discrimination.mistakes",
    "aupimo": "anomaly.per_image",
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
    "concatenated_distance_covariance_squared": "fairness.functions",
    "corp_decomposition": "calibration.corp",
    "distance_correlation_squared": "fairness.functions",
    "distance_covariance_squared": "fairness.functions",
    "ece": "calibration.functions",
    "energy_score": "trajectory.scores",
    "fairness_path": "fairness.glm_path",
    "forecasts_from_frame": "trajectory.frames",
    "hosmer_lemeshow_test": "calibration.forecast_tests",
    "jensen_shannon_divergence": "fairness.divergence",
    "joint_distance_covariance_squared": "fairness.functions",
    "log_loss": "calibration.log_loss",
    "min_ade_fde": "trajectory.scores",
    "murphy_decomposition": "calibration.binned_terms",
    "pooled_average_precision": "detection.functions",
    "rank_models": "results.model_ranks",
    "read_detections": "detection.files",
    "read_ground_truth": "detection.files",
    "recalibration_report": "calibration.report",
    "regression_discontinuity": "discontinuity.scalar",
    "smooth_calibration_error": "calibration.smooth_error",
    "spiegelhalter_test": "calibration.forecast_tests",
    "unfairness": "fairness.divergence",
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
