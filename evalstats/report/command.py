"""One command per estimator, generated from its roles, its constructor and its ``fit``."""

import inspect
import re
import types
from collections.abc import Callable, Hashable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import typer

from evalstats.estimator import Estimator
from evalstats.report.run import Request, run
from evalstats.report.words import repeat_names

Parameter = inspect.Parameter
KEYWORD = Parameter.KEYWORD_ONLY

# Handled by options of their own (--bootstrap, --seed).
NOT_GENERATED = ("inference",)


class Choice(NamedTuple):
    """How a constructor parameter appears on the command line."""

    annotation: Any
    default: Any
    is_label: bool = False
    parse: Callable[[Any], Any] | None = None


def estimator_command(estimator: type[Estimator]) -> Callable[..., None]:
    """Build the function whose signature typer turns into a command.

    Parameters
    ----------
    estimator : type of Estimator
        Registered estimator.

    Returns
    -------
    callable
        Takes the parsed options as keywords, prints the result and raises ``typer.Exit`` with
        status 2 for input that cannot be used.
    """
    parameters = [
        Parameter(
            "file",
            Parameter.POSITIONAL_OR_KEYWORD,
            annotation=Annotated[
                Path,
                typer.Argument(
                    help="Parquet, CSV, TSV, NDJSON/JSONL or Arrow/Feather file, or AlpacaEval's "
                    "annotations.json; or a pattern in quotes, such as 'parts/*.parquet'.",
                    metavar="FILE",
                ),
            ],
        ),
        *_role_options(estimator),
        *_shared_role_options(estimator),
        *_constructor_options(estimator),
        *_inference_options(),
        *_comparison_options(),
        *_output_options(),
    ]
    choices = constructor_choices(estimator)

    def command(**given: Any) -> None:
        run(estimator, Request.of(estimator, given, choices))

    command.__name__ = estimator.verb
    command.__doc__ = _described(estimator)
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {item.name: item.annotation for item in parameters}
    return command


def repeat_option_names(estimator: type[Estimator], words: list[str]) -> list[str]:
    """Turn ``--y-score a b`` into ``--y-score a --y-score b``, which option parsers understand.

    A value that is an existing file is taken as FILE when none came before.
    """
    return repeat_names(_several_valued(estimator), words)


def constructor_choices(estimator: type[Estimator]) -> dict[str, Choice]:
    """Constructor parameters that a command line can express."""
    hints = get_type_hints(estimator.__init__)
    choices = {}
    for name, parameter in inspect.signature(estimator.__init__).parameters.items():
        if name == "self" or name in NOT_GENERATED:
            continue
        choice = _choice(name, hints[name], parameter.default)
        if choice is not None:
            choices[name] = choice
    return choices


def _choice(name: str, hint: Any, default: Any) -> Choice | None:
    members = _union_members(hint)
    optional = types.NoneType in members
    plain = [member for member in members if member is not types.NoneType]
    if all(get_origin(member) is Literal for member in plain):
        words = [word for member in plain for word in get_args(member)]
        if optional and default is not None:
            words.append("none")
        options = Enum(name, {str(word): str(word) for word in words})  # type: ignore[misc]
        return Choice(
            options | None if default is None else options,
            None if default is None else options(str(default)),
            parse=None if all(isinstance(word, str) for word in words) else _one_of(words),
        )
    if float in plain and any(get_origin(member) is Literal for member in plain):
        return Choice(str, default, parse=_word_or_number)
    if Sequence[float] in plain and optional:
        return Choice(list[float] | None, default)
    if len(plain) != 1:
        return None
    kind = plain[0]
    if kind is Hashable:
        return Choice(str | None, None, is_label=True)
    if kind == list[Hashable]:
        return Choice(list[str] | None, None, is_label=True)
    if kind in (bool, int, float, str):
        return Choice(kind | None if optional else kind, default)
    return None


def _one_of(words: list[Any]) -> Callable[[str], Any]:
    """Turn the text of an option back into the member of a Literal that it stands for."""
    meant = {str(word): word for word in words}
    return lambda text: meant[text]


def _word_or_number(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _union_members(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _role_options(estimator: type[Estimator]) -> list[Parameter]:
    options = []
    for role in estimator.roles:
        kind: Any = list[str] if role.per_model else str
        several = "; several for several models" if role.per_model else ""
        options.append(
            _option(
                role.name,
                kind if role.required else kind | None,
                Parameter.empty if role.required else None,
                f"{role.help[:1].upper()}{role.help[1:]}{several}.",
                metavar="COL [COL…]" if role.per_model else "COL",
                panel="Columns",
            )
        )
    return options


def _shared_role_options(estimator: type[Estimator]) -> list[Parameter]:
    accepted = inspect.signature(estimator.fit).parameters  # type: ignore[attr-defined]
    shared = {
        "by": ("by", list[str] | None, "COL [COL…]", "Estimate separately in each group."),
        "cluster": ("cluster", str | None, "COL", "Rows of one cluster are sampled together."),
        "weight": ("sample_weight", str | None, "COL", "Non-negative weight of each row."),
    }
    return [
        _option(name, kind, None, text, metavar=metavar, panel="Columns")
        for name, (argument, kind, metavar, text) in shared.items()
        if argument in accepted
    ]


def _constructor_options(estimator: type[Estimator]) -> list[Parameter]:
    descriptions = parameter_descriptions(estimator)
    return [
        _option(
            name,
            choice.annotation,
            choice.default,
            descriptions.get(name, ""),
            panel=f"{estimator.metric} options",
        )
        for name, choice in constructor_choices(estimator).items()
    ]


def _inference_options() -> list[Parameter]:
    return [
        _option(
            "bootstrap",
            int | None,
            None,
            "Number of bootstrap replicates; the method's own inference by default.",
            metavar="N",
            panel="Uncertainty",
        ),
        _option(
            "seed", int | None, None, "Seed of the bootstrap (0).", metavar="S", panel="Uncertainty"
        ),
    ]


def _comparison_options() -> list[Parameter]:
    adjustments = Enum(  # type: ignore[misc]
        "adjust", {name: name for name in ("holm", "bonferroni", "bh", "by", "max-t", "none")}
    )
    return [
        _option("compare", bool, False, "Also test paired differences.", panel="Comparison"),
        _option(
            "reference",
            str | None,
            None,
            "Compare all models with this one instead of all pairs; implies --compare.",
            metavar="MODEL",
            panel="Comparison",
        ),
        _option(
            "adjust",
            adjustments,
            adjustments("holm"),
            "Adjustment of p-values.",
            panel="Comparison",
        ),
    ]


def _output_options() -> list[Parameter]:
    formats = Enum(  # type: ignore[misc]
        "format", {name: name for name in ("table", "csv", "json", "latex", "markdown")}
    )
    return [
        _option(
            "format",
            formats | None,
            None,
            "Output format; by the extension of --out, else a table. CSV holds one table: with "
            "--compare, the differences.",
            panel="Output",
        ),
        _option(
            "out", Path | None, None, "Write to this file instead.", metavar="FILE", panel="Output"
        ),
    ]


def _option(
    name: str, kind: Any, default: Any, text: str, *, panel: str, metavar: str | None = None
) -> Parameter:
    flag = name.replace("_", "-")
    # One negative form only where true is the default: --compare needs none.
    names = f"--{flag}/--no-{flag}" if kind is bool and default is True else f"--{flag}"
    option = typer.Option(
        names, help=text.replace("[", r"\["), metavar=metavar, rich_help_panel=panel
    )
    return Parameter(name, KEYWORD, default=default, annotation=Annotated[kind, option])


def _several_valued(estimator: type[Estimator]) -> set[str]:
    names = [role.name for role in estimator.roles if role.per_model]
    names += [
        name
        for name, choice in constructor_choices(estimator).items()
        if choice.annotation in (list[str] | None, list[float] | None)
    ]
    return {f"--{name.replace('_', '-')}" for name in [*names, "by"]}


def _described(estimator: type[Estimator]) -> str:
    summary = inspect.getdoc(estimator) or estimator.metric
    return summary.split("\n\n")[0].replace("\n", " ").replace("[", r"\[")


def parameter_descriptions(estimator: type[Estimator]) -> Mapping[str, str]:
    """First sentence on each parameter in the docstring of the class."""
    text = inspect.getdoc(estimator) or ""
    section = re.search(r"^Parameters\n-+\n(.*?)(?=^\w[^\n]*\n-+\n|\Z)", text, re.M | re.S)
    if section is None:
        return {}
    entries = re.findall(r"^(\w+) : [^\n]*\n((?:[ ]+[^\n]*\n|\n)*)", section[1] + "\n", re.M)
    descriptions = {}
    for name, body in entries:
        words = " ".join(body.split()).replace("``", "").replace("`", "")
        descriptions[name] = (
            re.split(r"(?<=\w\w[.;])\s|(?<=[)\]][.;])\s", words)[0].rstrip(";.") + "."
        )
    return descriptions
