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
