"""Options must have a type that the signature declares; what a value means is checked elsewhere.

Annotations are what readers, type checkers and the command line go by. Checking them in one place
means that no option of a wrong type reaches arithmetic, where it would fail without being named.
"""

import inspect
import types
from collections.abc import Callable, Hashable, Mapping, Sequence, Sized
from functools import cache, wraps
from reprlib import Repr
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np

from evalstats.errors import InputError

P = ParamSpec("P")
R = TypeVar("R")
# More replicates or bins than this are a slip of the keyboard, and would exhaust memory.
MAX_COUNT = 10_000_000

_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_WORDS: Mapping[Any, str] = {
    bool: "True or False",
    int: "an integer",
    float: "a number",
    str: "text",
    type(None): "None",
    Hashable: "a single value",
}


def require_declared_types(function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Refuse options whose type the annotations of `function` do not allow.

    Parameters
    ----------
    function : callable
        Its annotations say what each option may be. Members of a ``Literal`` are not compared:
        the callers do that, with messages of their own.
    options : mapping of str to object
        Names and values of the options.

    Raises
    ------
    InputError
        If a value has another type.
    """
    declared = _declared(function)
    for name, value in options.items():
        if name in declared and not _conforms(value, declared[name]):
            raise InputError(f"{name}={_SHORT.repr(value)}: expected {_described(declared[name])}")


def typed_options(function: Callable[P, R]) -> Callable[P, R]:
    """Check the arguments of every call of `function` by :func:`require_declared_types`.

    Parameters
    ----------
    function : callable
        Function or method.

    Returns
    -------
    callable
        The function, with the same signature.
    """
    names = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]

    @wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        require_declared_types(function, dict(zip(names, args, strict=False)) | kwargs)
        return function(*args, **kwargs)

    return checked


def require_count(name: str, value: object, *, minimum: int = 1, maximum: int = MAX_COUNT) -> int:
    """Return an integer of at least `minimum`, and not absurdly many.

    Parameters
    ----------
    name : str
        Name of the option.
    value : object
        What was given.
    minimum, maximum : int
        Bounds.

    Returns
    -------
    int
        The value.

    Raises
    ------
    InputError
        If the value is no integer, or outside the bounds.
    """
    if not _is_plain(value, int) or not minimum <= value <= maximum:  # type: ignore[operator]
        bound = "a positive integer" if minimum == 1 else f"an integer of at least {minimum}"
        limit = "" if maximum >= MAX_COUNT and not _is_plain(value, int) else f", at most {maximum}"
        raise InputError(f"{name}={_SHORT.repr(value)}: give {bound}{limit}")
    return int(value)  # type: ignore[call-overload, no-any-return]


@cache
def _declared(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function)
    except NameError:
        # Types that are only imported for type checkers cannot be looked up here.
        found = function.__annotations__
        return {name: item for name, item in found.items() if "ForwardRef" not in repr([item])}


def _conforms(value: object, declared: Any) -> bool:
    origin = get_origin(declared)
    if isinstance(declared, str):
        return True
    if origin in (Union, types.UnionType):
        return any(_conforms(value, member) for member in get_args(declared))
    if origin is Literal:
        return any(_conforms(value, type(member)) for member in get_args(declared))
    if origin in (list, Sequence):
        return _is_sequence(value) and all(
            _conforms(item, get_args(declared)[0])
            for item in value  # type: ignore[attr-defined]
        )
    if origin is tuple:
        members = get_args(declared)
        return (
            _is_sequence(value)
            and len(value) == len(members)  # type: ignore[arg-type]
            and all(map(_conforms, value, members))  # type: ignore[call-overload]
        )
    return _is_plain(value, declared if origin is None else origin)


def _is_plain(value: object, declared: Any) -> bool:
    if declared is bool:
        return isinstance(value, bool | np.bool_)
    if declared is int:
        return isinstance(value, int | np.integer) and not isinstance(value, bool)
    if declared is float:
        return _is_number(value)
    if declared is Hashable:
        return _is_hashable(value)
    protocol = getattr(declared, "_is_protocol", False)
    if not isinstance(declared, type) or declared is Any or protocol:
        return True
    return isinstance(value, declared)


def _is_number(value: object) -> bool:
    """A float, or an integer that numpy can compute with."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    # Integers beyond 64 bits are objects to numpy, which has no arithmetic for them.
    return isinstance(value, float | np.floating) or abs(int(value)) < 2**63


def _is_sequence(value: object) -> bool:
    if isinstance(value, np.ndarray):
        return value.ndim == 1
    return (
        isinstance(value, Sized)
        and hasattr(value, "__getitem__")
        and not isinstance(value, str | bytes | Mapping | type)
    )


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _described(declared: Any) -> str:
    origin = get_origin(declared)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_described(member) for member in get_args(declared)))
    if origin is Literal:
        return "one of " + ", ".join(repr(member) for member in get_args(declared))
    if origin in (list, Sequence):
        return f"a list ({_described(get_args(declared)[0])} each)"
    if origin is tuple:
        return f"a tuple of {len(get_args(declared))}"
    if origin is Mapping:
        return "a mapping"
    return _WORDS.get(declared, getattr(origin or declared, "__name__", str(declared)))
