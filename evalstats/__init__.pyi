from evalstats.calibration.balance import BalanceScore as BalanceScore
from evalstats.calibration.calibration_error import CalibrationError as CalibrationError
from evalstats.calibration.functions import ace_netcal as ace_netcal
from evalstats.calibration.functions import ace_nixon as ace_nixon
from evalstats.calibration.functions import balance_score as balance_score
from evalstats.calibration.functions import calibration_error as calibration_error
from evalstats.calibration.functions import calibration_summary as calibration_summary
from evalstats.calibration.functions import ece as ece
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
from evalstats.results.model_ranks import ModelRanks as ModelRanks
from evalstats.results.model_ranks import rank_models as rank_models
from evalstats.winrate.bradley_terry import BradleyTerry as BradleyTerry
from evalstats.winrate.length_controlled import LengthControlledWinRate as LengthControlledWinRate
from evalstats.winrate.wildbench import WildBenchReward as WildBenchReward
from evalstats.winrate.wildbench import WildBenchScore as WildBenchScore
from evalstats.winrate.win_rate import WinRate as WinRate
from evalstats.winrate.win_rate import win_rate as win_rate

__version__: str
__all__: list[str]
