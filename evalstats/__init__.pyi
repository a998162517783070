from evalstats.calibration.balance import BalanceScore as BalanceScore
from evalstats.calibration.binned_terms import murphy_decomposition as murphy_decomposition
from evalstats.calibration.brier_score import BrierScore as BrierScore
from evalstats.calibration.brier_score import brier_score as brier_score
from evalstats.calibration.calibration_error import CalibrationError as CalibrationError
from evalstats.calibration.corp import corp_decomposition as corp_decomposition
from evalstats.calibration.forecast_tests import hosmer_lemeshow_test as hosmer_lemeshow_test
from evalstats.calibration.forecast_tests import spiegelhalter_test as spiegelhalter_test
from evalstats.calibration.functions import ace_netcal as ace_netcal
from evalstats.calibration.functions import ace_nixon as ace_nixon
from evalstats.calibration.functions import balance_score as balance_score
from evalstats.calibration.functions import calibration_error as calibration_error
from evalstats.calibration.functions import calibration_summary as calibration_summary
from evalstats.calibration.functions import ece as ece
<<<<<<< HEAD
from evalstats.detection.average_precision import AveragePrecision as AveragePrecision
from evalstats.detection.average_precision import average_precision as average_precision
from evalstats.detection.files import read_detections as read_detections
from evalstats.detection.files import read_ground_truth as read_ground_truth
from evalstats.detection.pooled import PooledAveragePrecision as PooledAveragePrecision
from evalstats.detection.pooled import pooled_average_precision as pooled_average_precision
from evalstats.detection.records import Detections as Detections
from evalstats.detection.streaming import DetectionStream as DetectionStream
from evalstats.detection.score_calibration import calibrate_scores as calibrate_scores
from evalstats.detection.records import GroundTruth as GroundTruth
=======
from evalstats.calibration.log_loss import LogLoss as LogLoss
from evalstats.calibration.log_loss import log_loss as log_loss
from evalstats.calibration.reliability import ReliabilityDiagram as ReliabilityDiagram
from evalstats.calibration.slope import CalibrationSlope as CalibrationSlope
from evalstats.calibration.slope import calibration_regression as calibration_regression
from evalstats.calibration.smooth_error import smooth_calibration_error as smooth_calibration_error
>>>>>>> recal
from evalstats.discrimination.auprc import AUPRC as AUPRC
from evalstats.discrimination.auprc import auprc as auprc
from evalstats.discrimination.auroc import AUROC as AUROC
from evalstats.discrimination.auroc import auroc as auroc
from evalstats.discrimination.mistakes import MistakeAnalysis as MistakeAnalysis
from evalstats.discrimination.mistakes import atomic_mistakes as atomic_mistakes
from evalstats.errors import EvalstatsWarning as EvalstatsWarning
from evalstats.errors import InputError as InputError
from evalstats.estimator import Estimator as Estimator
from evalstats.inference.methods import Analytic as Analytic
from evalstats.inference.methods import Bootstrap as Bootstrap
from evalstats.inference.methods import Jackknife as Jackknife
from evalstats.inference.methods import NoInference as NoInference
from evalstats.results.citations import citations as citations
from evalstats.results.estimate import Estimate as Estimate
from evalstats.winrate.bradley_terry import BradleyTerry as BradleyTerry
from evalstats.winrate.length_controlled import LengthControlledWinRate as LengthControlledWinRate
from evalstats.winrate.wildbench import WildBenchReward as WildBenchReward
from evalstats.winrate.wildbench import WildBenchScore as WildBenchScore
from evalstats.winrate.win_rate import WinRate as WinRate
from evalstats.winrate.win_rate import win_rate as win_rate

__version__: str
__all__: list[str]
