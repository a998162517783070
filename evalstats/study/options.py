"""Options of a study file as constructor parameters, checked against the estimator's signature."""

import collections.abc
import dataclasses
import inspect
import types
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from evalstats.errors import InputError
from evalstats.estimator import REGISTRY, Estimator
from evalstats.inference.methods import Analytic, Bootstrap, Inference, Jackknife, NoInference
from evalstats.study.messages import suggestion

# TOML has no null.
NONE = "none"
INFERENCES: Mapping[str, type] = {
    "analytic": Analytic,
    "bootstrap": Bootstrap,
    "jackknife": Jackknife,
    "none": NoInference,
}
Report = Callable[[tuple[str | int, ...], str], None]


@cache
def registered() -> Mapping[str, type[Estimator]]:
    """All estimators by name; reading the public names registers those of the package."""
    import evalstats

    for name in evalstats.__all__:
        getattr(evalstats, name)
    return REGISTRY


def find_estimator(name: object) -> type[Estimator]:
    """Estimator of a class name such as ``"AUROC"`` or a verb such as ``"auroc"``.

    Raises
    ------
    InputError
        If there is none, or the verb has several.
    """
    known = registered()
    if isinstance(name, str) and name in known:
        return known[name]
    of_verb = [cls for cls in known.values() if cls.verb == name]
    if len(of_verb) == 1:
        return of_verb[0]
    if of_verb:
        raise InputError(
            f"estimator = {name!r} is ambiguous: choose "
            f"{' or '.join(sorted(cls.__name__ for cls in of_verb))}"
        )
    hint = suggestion(name, [*sorted(known), *sorted({cls.verb for cls in known.values()})])
    raise InputError(f"there is no estimator {name!r}.{hint}")


def fit_arguments(estimator: type[Estimator]) -> list[str]:
    """Arguments of ``fit`` that name columns."""
    parameters = inspect.signature(estimator.fit).parameters  # type: ignore[attr-defined]
    return [name for name in parameters if name not in ("self", "data")]


def required_arguments(estimator: type[Estimator]) -> list[str]:
    """Arguments of ``fit`` without a default."""
    parameters = inspect.signature(estimator.fit).parameters  # type: ignore[attr-defined]
    return [
        name
        for name, parameter in parameters.items()
        if name != "self" and parameter.default is inspect.Parameter.empty
    ]


def constructed(
    estimator: type[Estimator], options: Mapping[str, Any], report: Report
) -> Estimator | None:
    """The estimator with its options, or None after what is wrong was reported.

    Parameters
    ----------
    estimator : type of Estimator
        What to construct.
    options : mapping of str to object
        Values as TOML has them.
    report : callable
        Takes the path below the options and a message.
    """
    parameters = inspect.signature(estimator.__init__).parameters
    hints = get_type_hints(estimator.__init__)
    values: dict[str, Any] = {}
    sound = True
    for name, value in options.items():
        if name not in parameters or name == "self":
            known = [item for item in parameters if item != "self"]
            report(
                (name,), f"{estimator.__name__} has no option {name!r}.{suggestion(name, known)}"
            )
            sound = False
            continue
        try:
            if value == NONE and parameters[name].default is None:
                values[name] = None
                continue
            values[name] = (
                inference_of(value) if name == "inference" else _checked(hints[name], value)
            )
        except InputError as error:
            given = name if isinstance(value, Mapping) else f"{name} = {_shown(value)}"
            report((name,), f"{given}: {error}")
            sound = False
    if not sound:
        return None
    made = estimator(**values)
    try:
        made._check_params()
    except InputError as error:
        report((), str(error))
        return None
    return made


def inference_of(value: object) -> Inference | Literal["auto"]:
    """Inference from a word, or a table with ``method`` and the options of that method.

    Raises
    ------
    InputError
        If the method or an option is unknown.
    """
    if isinstance(value, Analytic | Bootstrap | Jackknife | NoInference):
        return value
    table = {"method": value} if isinstance(value, str) else value
    if not isinstance(table, Mapping):
        raise InputError("write 'auto', or a table such as {method = 'bootstrap'}")
    method = table.get("method")
    if method == "auto" and len(table) == 1:
        return "auto"
    if not isinstance(method, str) or method not in INFERENCES:
        raise InputError(
            f"method {method!r} is unknown.{suggestion(method, ['auto', *INFERENCES])}"
        )
    cls = INFERENCES[method]
    known = [field.name for field in dataclasses.fields(cls)]
    hints = get_type_hints(cls)
    options = {}
    for name, item in table.items():
        if name == "method":
            continue
        if name not in known:
            raise InputError(f"{method} has no option {name!r}.{suggestion(name, known)}")
        if name == "rng" and not (isinstance(item, int) and item >= 0):
            raise InputError(f"rng = {_shown(item)}: write an integer >= 0")
        options[name] = item if name in ("rng", "stratify") else _checked(hints[name], item)
    made: Inference = cls(**options)
    return made


def _checked(hint: Any, value: Any) -> Any:
    """`value` in the type that `hint` asks for.

    Raises
    ------
    InputError
        If it has another type, or is none of the words.
    """
    members = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if value == NONE and types.NoneType in members:
        return None
    words = [word for item in members if get_origin(item) is Literal for word in get_args(item)]
    # True equals 1, but is not what an option with the words 1 and 2 means.
    chosen = [word for word in words if word == value and type(word) is type(value)]
    if chosen:
        return chosen[0]
    if value == NONE and None in words:
        return None
    for member in members:
        if get_origin(member) is not Literal and _is_a(member, value):
            return _converted(member, value)
    others = [item for item in members if item is not types.NoneType]
    if words and all(get_origin(item) is Literal for item in others):
        shown = [NONE if word is None else word for word in words]
        if types.NoneType in members and NONE not in shown:
            shown.append(NONE)
        raise InputError(f"unknown choice.{suggestion(value, shown)}")
    wanted = " or ".join(dict.fromkeys([*map(repr, words), *map(_worded, others)]))
    raise InputError(f"write {wanted}")


def _is_a(kind: Any, value: Any) -> bool:
    origin = get_origin(kind) or kind
    if origin is bool:
        return isinstance(value, bool)
    if origin is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if origin is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if origin is str:
        return isinstance(value, str)
    if origin is collections.abc.Hashable:
        return isinstance(value, str | int | float)
    if origin in (list, collections.abc.Sequence):
        inner = get_args(kind)
        return isinstance(value, list) and (
            not inner or all(_fits(inner[0], item) for item in value)
        )
    if origin is tuple:
        inner = get_args(kind)
        if len(inner) == 2 and inner[1] is Ellipsis:
            return isinstance(value, list) and all(_fits(inner[0], item) for item in value)
        return (
            isinstance(value, list)
            and len(value) == len(inner)
            and all(_fits(one, item) for one, item in zip(inner, value, strict=True))
        )
    if origin in (dict, collections.abc.Mapping):
        return isinstance(value, dict)
    return origin is Any or origin is object


def _fits(hint: Any, value: Any) -> bool:
    try:
        _checked(hint, value)
    except InputError:
        return False
    return True


def _converted(kind: Any, value: Any) -> Any:
    origin = get_origin(kind) or kind
    if origin is float:
        return float(value)
    inner = get_args(kind)
    if origin is tuple:
        kinds = [inner[0]] * len(value) if inner[-1:] == (Ellipsis,) else inner
        return tuple(_checked(one, item) for one, item in zip(kinds, value, strict=True))
    if origin in (list, collections.abc.Sequence) and inner:
        return [_checked(inner[0], item) for item in value]
    return value


def _worded(kind: Any) -> str:
    origin = get_origin(kind) or kind
    words = {bool: "true or false", int: "an integer", float: "a number", str: "a text"}
    if origin in words:
        return words[origin]
    if origin in (list, tuple, collections.abc.Sequence):
        return "a list"
    return "a table" if origin in (dict, collections.abc.Mapping) else "a value"


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, str | int | float) else str(value)
