from evalstats.anomaly.aupimo import AUPIMO as AUPIMO
from evalstats.anomaly.aupro import AUPRO as AUPRO
from evalstats.anomaly.aupro import aupro as aupro
from evalstats.anomaly.per_image import aupimo as aupimo
from evalstats.calibration.balance import BalanceScore as BalanceScore
from evalstats.calibration.binned_terms import murphy_decomposition as murphy_decomposition
from evalstats.calibration.brier_score import BrierScore as BrierScore
from evalstats.calibration.brier_score import brier_score as brier_score
from evalstats.calibration.calibration_error import CalibrationError as CalibrationError
from evalstats.calibration.conformal import SplitConformal as SplitConformal
from evalstats.calibration.corp import corp_decomposition as corp_decomposition
from evalstats.calibration.forecast_tests import hosmer_lemeshow_test as hosmer_lemeshow_test
from evalstats.calibration.forecast_tests import spiegelhalter_test as spiegelhalter_test
from evalstats.calibration.functions import ace_netcal as ace_netcal
from evalstats.calibration.functions import ace_nixon as ace_nixon
from evalstats.calibration.functions import balance_score as balance_score
from evalstats.calibration.functions import calibration_error as calibration_error
from evalstats.calibration.functions import calibration_summary as calibration_summary
from evalstats.calibration.functions import ece as ece
from evalstats.calibration.log_loss import LogLoss as LogLoss
from evalstats.calibration.log_loss import log_loss as log_loss
from evalstats.calibration.recalibrators import BetaCalibration as BetaCalibration
from evalstats.calibration.recalibrators import IsotonicRecalibration as IsotonicRecalibration
from evalstats.calibration.recalibrators import PlattScaling as PlattScaling
from evalstats.calibration.recalibrators import TemperatureScaling as TemperatureScaling
from evalstats.calibration.reliability import ReliabilityDiagram as ReliabilityDiagram
from evalstats.calibration.report import recalibration_report as recalibration_report
from evalstats.calibration.slope import CalibrationSlope as CalibrationSlope
from evalstats.calibration.slope import calibration_regression as calibration_regression
from evalstats.calibration.smooth_error import smooth_calibration_error as smooth_calibration_error
from evalstats.calibration.venn_abers import VennABERS as VennABERS
from evalstats.detection.average_precision import AveragePrecision as AveragePrecision
from evalstats.detection.files import read_detections as read_detections
from evalstats.detection.files import read_ground_truth as read_ground_truth
from evalstats.detection.functions import average_precision as average_precision
from evalstats.detection.functions import pooled_average_precision as pooled_average_precision
from evalstats.detection.pooled import PooledAveragePrecision as PooledAveragePrecision
from evalstats.detection.records import Detections as Detections
from evalstats.detection.records import GroundTruth as GroundTruth
from evalstats.detection.score_calibration import calibrate_scores as calibrate_scores
from evalstats.detection.streaming import DetectionStream as DetectionStream
from evalstats.discontinuity.rdd import DistributionRDD as DistributionRDD
from evalstats.discontinuity.scalar import regression_discontinuity as regression_discontinuity
from evalstats.discrimination.auprc import AUPRC as AUPRC
from evalstats.discrimination.auprc import auprc as auprc
from evalstats.discrimination.auroc import AUROC as AUROC
from evalstats.discrimination.auroc import auroc as auroc
from evalstats.discrimination.mistakes import MistakeAnalysis as MistakeAnalysis
from evalstats.discrimination.mistakes import atomic_mistakes as atomic_mistakes
from evalstats.errors import EvalstatsWarning as EvalstatsWarning
from evalstats.errors import InputError as InputError
from evalstats.estimator import Estimator as Estimator
from evalstats.fairness.distance_covariance import DistanceCovariance as DistanceCovariance
from evalstats.fairness.divergence import jensen_shannon_divergence as jensen_shannon_divergence
from evalstats.fairness.divergence import unfairness as unfairness
from evalstats.fairness.functions import (
    concatenated_distance_covariance_squared as concatenated_distance_covariance_squared,
)
from evalstats.fairness.functions import (
    distance_correlation_squared as distance_correlation_squared,
)
from evalstats.fairness.functions import distance_covariance_squared as distance_covariance_squared
from evalstats.fairness.functions import (
    joint_distance_covariance_squared as joint_distance_covariance_squared,
)
from evalstats.fairness.glm import FairGLM as FairGLM
from evalstats.fairness.glm_path import fairness_path as fairness_path
from evalstats.inference.methods import Analytic as Analytic
from evalstats.inference.methods import Bootstrap as Bootstrap
from evalstats.inference.methods import Jackknife as Jackknife
from evalstats.inference.methods import NoInference as NoInference
from evalstats.results.citations import citations as citations
from evalstats.results.estimate import Estimate as Estimate
from evalstats.results.model_ranks import ModelRanks as ModelRanks
from evalstats.results.model_ranks import rank_models as rank_models
from evalstats.study.result import StudyResult as StudyResult
from evalstats.study.study import Study as Study
from evalstats.trajectory.amd import AMD as AMD
from evalstats.trajectory.amd import amd_amv as amd_amv
from evalstats.trajectory.amv import AMV as AMV
from evalstats.trajectory.forecasts import GaussianMixtures as GaussianMixtures
from evalstats.trajectory.forecasts import WeightedSamples as WeightedSamples
from evalstats.trajectory.frames import forecasts_from_frame as forecasts_from_frame
from evalstats.trajectory.scores import TrajectoryScores as TrajectoryScores
from evalstats.trajectory.scores import energy_score as energy_score
from evalstats.trajectory.scores import min_ade_fde as min_ade_fde
from evalstats.winrate.bradley_terry import BradleyTerry as BradleyTerry
from evalstats.winrate.length_controlled import LengthControlledWinRate as LengthControlledWinRate
from evalstats.winrate.wildbench import WildBenchReward as WildBenchReward
from evalstats.winrate.wildbench import WildBenchScore as WildBenchScore
from evalstats.winrate.win_rate import WinRate as WinRate
from evalstats.winrate.win_rate import win_rate as win_rate

__version__: str
__all__: list[str]
