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
from evalstats.fairness.functions import (
    distance_covariance_squared as distance_covariance_squared,
)
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
from evalstats.winrate.bradley_terry import BradleyTerry as BradleyTerry
from evalstats.winrate.length_controlled import LengthControlledWinRate as LengthControlledWinRate
from evalstats.winrate.wildbench import WildBenchReward as WildBenchReward
from evalstats.winrate.wildbench import WildBenchScore as WildBenchScore
from evalstats.winrate.win_rate import WinRate as WinRate
from evalstats.winrate.win_rate import win_rate as win_rate

__version__: str
__all__: list[str]
