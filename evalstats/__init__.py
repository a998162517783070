"""Statistical evaluation metrics with standard errors, intervals and paired comparisons."""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

_HOME = {
    "AMD": "trajectory.amd",
    "AMV": "trajectory.amv",
    "AUPRC": "discrimination.auprc",
    "AUROC": "discrimination.auroc",
    "Analytic": "inference.methods",
    "Bootstrap": "inference.methods",
    "BradleyTerry": "winrate.bradley_terry",
    "Estimate": "results.estimate",
    "Estimator": "estimator",
    "EvalstatsWarning": "errors",
    "GaussianMixtures": "trajectory.forecasts",
    "InputError": "errors",
    "Jackknife": "inference.methods",
    "LengthControlledWinRate": "winrate.length_controlled",
    "MistakeAnalysis": "discrimination.mistakes",
    "NoInference": "inference.methods",
    "TrajectoryScores": "trajectory.scores",
    "WeightedSamples": "trajectory.forecasts",
    "WildBenchReward": "winrate.wildbench",
    "WildBenchScore": "winrate.wildbench",
    "WinRate": "winrate.win_rate",
    "amd_amv": "trajectory.amd",
    "atomic_mistakes": "discrimination.mistakes",
    "auprc": "discrimination.auprc",
    "auroc": "discrimination.auroc",
    "citations": "results.citations",
    "energy_score": "trajectory.scores",
    "forecasts_from_frame": "trajectory.frames",
    "min_ade_fde": "trajectory.scores",
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
