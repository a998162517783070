"""The ``evalstats`` command: one verb per estimator, and the demo.

Only the verb that was asked for is imported, so that ``evalstats --help`` stays fast.
"""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer

INTERRUPTED = 130


class Verb(NamedTuple):
    """Where a verb lives and what it does.

    Attributes
    ----------
    home : str
        ``"module:name"`` below ``evalstats`` of an Estimator, whose options are generated, or of
        a function with typer annotations, for a verb that wants its own.
    summary : str
        One line for ``evalstats --help``.
    fits : tuple of str
        Names of the estimators that a function of its own fits.
    several : tuple of str
        Options of a function of its own that take one or more values.
    """

    home: str
    summary: str
    fits: tuple[str, ...] = ()
    several: tuple[str, ...] = ()


VERBS: dict[str, Verb] = {
    "demo": Verb(
        "report.demo:demo", "Evaluate every method on real or generated data and write a report."
    ),
    "run": Verb("study.command:run", "Run a study file: tables, figures and report of a paper."),
    "init": Verb("study.command:init", "Write a commented study file to start from."),
    "auroc": Verb("discrimination.auroc:AUROC", "Area under the ROC curve."),
    "auprc": Verb("discrimination.auprc:AUPRC", "Area under the precision-recall curve."),
    "mistakes": Verb(
        "discrimination.mistakes:MistakeAnalysis",
        "Which ranking mistakes AUROC and AUPRC punish, by subgroup.",
    ),
    "amd": Verb("trajectory.amd:AMD", "Average Mahalanobis distance of truths from forecasts."),
    "amv": Verb("trajectory.amv:AMV", "Average maximum eigenvalue: the spread of forecasts."),
    "trajectory": Verb(
        "trajectory.scores:TrajectoryScores",
        "AMD, AMV, displacement errors and proper scores of forecasts.",
    ),
    "brier-score": Verb(
        "calibration.brier_score:BrierScore", "Mean squared error of probabilities."
    ),
    "log-loss": Verb("calibration.log_loss:LogLoss", "Logarithmic score of probabilities."),
    "reliability": Verb(
        "calibration.reliability:ReliabilityDiagram",
        "Miscalibration and discrimination of probabilities.",
    ),
    "calibration-slope": Verb(
        "calibration.slope:CalibrationSlope", "Slope and intercept of a logistic recalibration."
    ),
    "balance-score": Verb(
        "calibration.balance:BalanceScore", "Accuracy minus mean confidence of probabilities."
    ),
    "calibration-error": Verb(
        "calibration.calibration_error:CalibrationError", "Binned calibration error (ECE)."
    ),
    "detection": Verb(
        "report.detection_command:detection",
        "AP of object detectors: COCO, LVIS, AP-Fixed and AP-Pool.",
        ("AveragePrecision", "PooledAveragePrecision"),
    ),
    "aupimo": Verb(
        "report.localisation:aupimo", "Overlap with each defect at few false alarms.", ("AUPIMO",)
    ),
    "aupro": Verb("report.localisation:aupro", "Overlap with each region of a mask.", ("AUPRO",)),
    "recalibrate": Verb(
        "report.recalibrate:recalibrate",
        "Calibration before and after recalibration.",
        several=("--y-prob", "--method"),
    ),
    "winrate": Verb(
        "winrate.length_controlled:LengthControlledWinRate",
        "Win rate against a baseline, controlled for length.",
    ),
    "raw-win-rate": Verb("winrate.win_rate:WinRate", "Win rate against a baseline."),
    "wildbench-reward": Verb("winrate.wildbench:WildBenchReward", "WildBench's pairwise reward."),
    "wildbench-score": Verb("winrate.wildbench:WildBenchScore", "WildBench's score."),
    "fairness": Verb(
        "fairness.distance_covariance:DistanceCovariance",
        "Dependence of predictions on protected attributes.",
    ),
    "bradley-terry": Verb(
        "winrate.bradley_terry:BradleyTerry", "Ratings of models from pairwise battles."
    ),
    "rdd": Verb(
        "discontinuity.rdd:DistributionRDD",
        "Jump of the quantiles of units at a cutoff (regression discontinuity).",
    ),
}


def app(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave with its exit code.

    Exit codes are 0 for success, 2 for input or options that cannot be used, 130 after Ctrl-C.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the program name; those of the process by default.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        command, given = _build(given)
        command(args=given, prog_name="evalstats")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _build(given: list[str]) -> tuple[typer.Typer, list[str]]:
    """Build the command with the requested verb loaded, and the arguments it can parse."""
    requested = next((word for word in given if not word.startswith("-")), None)
    command = typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    command.callback()(_main)
    for name, verb in VERBS.items():
        function: Callable[..., Any] = _not_loaded
        if name == requested:
            function, given = _load(verb, given)
        command.command(name, help=_summary(verb, name == requested, function))(function)
    return command, given


def _load(verb: Verb, given: list[str]) -> tuple[Callable[..., Any], list[str]]:
    """Import a verb; an estimator becomes a command with options from its signature."""
    module, name = verb.home.split(":")
    target = getattr(import_module(f"evalstats.{module}"), name)
    position = given.index(next(word for word in given if not word.startswith("-")))
    before, rest = given[: position + 1], given[position + 1 :]
    if not isinstance(target, type):
        from evalstats.report.words import repeat_names

        return target, [*before, *repeat_names(set(verb.several), rest)]
    from evalstats.report.command import estimator_command, repeat_option_names

    return estimator_command(target), [*before, *repeat_option_names(target, rest)]


def _summary(verb: Verb, loaded: bool, function: Callable[..., Any]) -> str:
    return (function.__doc__ or verb.summary) if loaded else verb.summary


def _not_loaded() -> None:
    raise AssertionError("the requested verb is always loaded")


def _print_version(wanted: bool) -> None:
    if wanted:
        from evalstats import __version__

        sys.stdout.write(f"evalstats {__version__}\n")
        raise typer.Exit


def _main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Evaluation metrics with standard errors, intervals and paired comparisons."""
