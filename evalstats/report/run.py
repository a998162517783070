"""Run one estimator on one file, as the command line asks."""

import contextlib
import os
import re
import shlex
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import typer

from evalstats.errors import EvalstatsWarning, InputError
from evalstats.estimator import Estimator
from evalstats.inference.methods import Bootstrap
from evalstats.report.files import reading, scan_table, write_atomically
from evalstats.report.output import FORMAT_OF_SUFFIX, Format, render
from evalstats.report.progress import progress_shown

if TYPE_CHECKING:
    from evalstats.report.command import Choice

UNUSABLE_INPUT = 2
INTERRUPTED = 130
# What a shell reports for a program that SIGPIPE ended.
BROKEN_PIPE = 141


@dataclass(frozen=True)
class Request:
    """The parsed command line.

    Attributes
    ----------
    parameters : mapping of str to object
        Constructor parameters; values of labels are still text.
    label_parameters : tuple of str
        Those parameters that hold values of the label column.
    arguments : mapping of str to object
        Arguments of ``fit``: names of columns.
    """

    file: Path
    parameters: Mapping[str, Any]
    label_parameters: tuple[str, ...]
    arguments: Mapping[str, Any]
    bootstrap: int | None
    seed: int | None
    compare: bool
    reference: str | None
    adjust: str | None
    output: Format
    out: Path | None

    @classmethod
    def of(
        cls, estimator: type[Estimator], given: Mapping[str, Any], choices: "Mapping[str, Choice]"
    ) -> "Request":
        """Sort the parsed options by what they are for."""
        values = {name: _plain(value) for name, value in given.items()}
        names = {role.name: role.name for role in estimator.roles}
        names |= {"by": "by", "cluster": "cluster", "weight": "sample_weight"}
        arguments = {
            argument: values[option]
            for option, argument in names.items()
            if values.get(option) not in (None, [])
        }
        out = values["out"]
        suffix = "" if out is None else out.suffix.lower()
        return cls(
            file=values["file"],
            parameters={
                name: _constructor_value(values[name])
                if choice.parse is None
                else choice.parse(values[name])
                for name, choice in choices.items()
            },
            label_parameters=tuple(name for name, choice in choices.items() if choice.is_label),
            arguments=arguments,
            bootstrap=values["bootstrap"],
            seed=values["seed"],
            compare=values["compare"] or values["reference"] is not None,
            reference=values["reference"],
            adjust=_constructor_value(values["adjust"]),
            output=values["format"] or FORMAT_OF_SUFFIX.get(suffix, "table"),
            out=out,
        )


def run(estimator: type[Estimator], request: Request) -> None:
    """Fit, compare, print; leave with status 2 when the input cannot be used.

    Parameters
    ----------
    estimator : type of Estimator
        What to fit.
    request : Request
        What was asked for.
    """
    with exit_codes(estimator):
        text = _result(estimator, request)
        if request.out is None:
            sys.stdout.write(text)
            sys.stdout.flush()
        else:
            write_atomically(request.out, text)


@contextlib.contextmanager
def exit_codes(estimator: type[Estimator] | None = None) -> Iterator[None]:
    """Turn what can go wrong into one line on standard error and an exit code."""
    try:
        with _warnings_on_stderr(estimator):
            yield
    except InputError as error:
        sys.stderr.write(f"error: {in_shell_terms(str(error), estimator)}\n")
        raise typer.Exit(UNUSABLE_INPUT) from None
    except BrokenPipeError:
        # Python would complain about the pipe once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(BROKEN_PIPE) from None
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None


def in_shell_terms(message: str, estimator: type[Estimator] | None) -> str:
    """Name options as they are typed: ``nan_policy='omit'`` becomes ``--nan-policy omit``."""
    if estimator is None:
        return message
    roles = [role.name for role in estimator.roles]
    names = [*estimator._parameter_names(), *roles, "sample_weight", "by", "cluster"]
    # Words such as "level" are also plain English: only an assignment shows that one is an option.
    unmistakable = "|".join(name for name in names if "_" in name)
    pattern = (
        rf"(?<![\w-])(?P<assigned>{'|'.join(names)})=(?:'(?P<quoted>[^']*)'|(?P<plain>[^'\s,:;]*))"
        rf"|'[^']*'|(?<![\w-])(?P<bare>{unmistakable})(?!\w)"
    )
    return re.sub(pattern, _option_of, message)


def _option_of(match: re.Match[str]) -> str:
    """The option that an argument has become; names of columns, in quotes, stay as they are."""
    name = match["assigned"] or match["bare"]
    if name is None:
        return match[0]
    option = {"sample_weight": "--weight"}.get(name, f"--{name.replace('_', '-')}")
    value = match["quoted"] or match["plain"]
    return f"{option} {shlex.quote(value)}" if value else option


def _result(estimator: type[Estimator], request: Request) -> str:
    frame = scan_table(request.file)
    configured = _configured(estimator, request, frame)
    with progress_shown(f"{estimator.metric} of {request.file.name}"):
        with reading(request.file):
            configured.fit(**request.arguments, data=frame)  # type: ignore[attr-defined]
        estimate = configured.estimate_
        differences = None
        if request.compare:
            differences = estimate.compare(request.reference, adjust=request.adjust)
    return render(estimate, differences, request.output)


def _configured(estimator: type[Estimator], request: Request, frame: pl.LazyFrame) -> Estimator:
    parameters = dict(request.parameters)
    label = next((role.name for role in estimator.roles if role.kind == "label"), None)
    schema = frame.collect_schema()
    column = None if label is None else request.arguments.get(label)
    if isinstance(column, str) and column in schema:
        for name in request.label_parameters:
            parameters[name] = as_labels(name, parameters[name], schema[column])
    if request.bootstrap is not None:
        parameters["inference"] = Bootstrap(request.bootstrap, rng=request.seed or 0)
    elif request.seed is not None:
        raise InputError("--seed needs --bootstrap: the default inference draws no new numbers")
    return estimator(**parameters)


def as_labels(name: str, value: Any, dtype: pl.DataType) -> Any:
    """Text from the command line as values of the label column."""
    if value is None:
        return None
    if isinstance(value, list):
        return [as_labels(name, item, dtype) for item in value]
    try:
        if dtype == pl.Boolean:
            return {"true": True, "1": True, "false": False, "0": False}[value.lower()]
        if dtype.is_integer():
            return int(value)
        if dtype.is_numeric():
            return float(value)
    except (KeyError, ValueError):
        raise InputError(
            f"{name}={value!r} is no value of a label column of type {dtype}"
        ) from None
    return value


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


def _constructor_value(value: Any) -> Any:
    return None if value in ("none", []) else value


@contextlib.contextmanager
def _warnings_on_stderr(estimator: type[Estimator] | None) -> Iterator[None]:
    """Print each warning once, in one line."""
    seen = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        line = " ".join(in_shell_terms(str(message), estimator).split())
        if line not in seen:
            seen.add(line)
            sys.stderr.write(f"warning: {line}\n")

    with warnings.catch_warnings():
        warnings.simplefilter("always", EvalstatsWarning)
        warnings.showwarning = show
        yield
