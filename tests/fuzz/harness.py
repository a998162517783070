"""One generated case: draw it, run it under limits, classify what happened.

A case is one call of one public entry point with one generated input, together with the checks
on what came back. Case ``index`` of a target depends on the seed, the name of the target and the
index alone, so that every failure can be repeated by itself.
"""

import contextlib
import faulthandler
import hashlib
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from sklearn.exceptions import DataConversionWarning

import evalstats as es

# Seconds of processor time; those of the wall only catch what waits without computing.
BUSY_LIMIT, WALL_LIMIT = 60.0, 300.0
# A compiled loop cannot be interrupted: the process says where it is, and ends.
LAST_LIMIT = 900.0
OUTCOMES = ("ok", "warned", "refused", "failed")
UNBUILDABLE = (Exception,)  # numpy and pandas have many ways to refuse
PACKAGE_FRAME = re.compile(r'File "[^"]*/(evalstats|tests)/([^"]+)", line (\d+), in (\S+)')


class WrongError(AssertionError):
    """A result that came back without complaint, and should not have."""


class Hang(BaseException):
    """The case used more than its share of time."""


@dataclass
class Trial:
    """What a target has drawn.

    Attributes
    ----------
    call : callable
        Does the work and returns the result.
    names : sequence of str
        A refusal must contain one of these: the arguments, options, columns or files involved.
    watched : object
        Nested containers whose arrays must not change.
    check : callable
        Raises `WrongError` when the result cannot be right.
    text : str
        Short description for a report of a failure.
    """

    call: Callable[[], Any]
    names: Sequence[str] = ()
    watched: Any = None
    check: Callable[[Any], None] = lambda result: None
    text: str = ""


@dataclass(frozen=True)
class Target:
    """A public entry point with its generator and its share of the cases."""

    name: str
    draw: Callable[[np.random.Generator], Trial]
    share: float = 1.0
    inner: Sequence[str] = field(default=())


class Outcome(NamedTuple):
    """How a case ended; `detail` describes a failure, `place` groups failures of one cause."""

    kind: str
    detail: str = ""
    place: str = ""


def run_case(target: Target, seed: int, index: int) -> Outcome:
    """Run case `index` of `target`; a hang is tried once more, for it may have been a compiler."""
    for _ in range(2):
        trial = drawn(target, [seed, crc32(target.name.encode()), index])
        outcome = _attempt(trial)
        if not outcome.detail.startswith("Hang"):
            break
    if outcome.kind == "failed":
        return outcome._replace(detail=f"{target.name} #{index}: {outcome.detail}\n{trial.text}")
    return outcome


def drawn(target: Target, entropy: Sequence[int]) -> Trial:
    """Draw a case; where numpy or pandas refuse to build the hostile data, draw again."""
    for again in range(50):
        rng = np.random.default_rng([*entropy, again])
        with warnings.catch_warnings(), contextlib.suppress(*UNBUILDABLE):
            warnings.simplefilter("ignore")
            return target.draw(rng)
    raise RuntimeError(f"{target.name}: no case could be drawn")


def _attempt(trial: Trial) -> Outcome:
    before = fingerprint(trial.watched)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DataConversionWarning)  # scikit-learn's, of a 2-D y
        warnings.simplefilter("always", es.EvalstatsWarning)
        outcome = _classified(trial)
    if outcome.kind != "failed" and fingerprint(trial.watched) != before:
        return Outcome("failed", "the call changed its input", "input changed")
    if outcome.kind == "ok" and caught:
        return Outcome("warned")
    return outcome


def _classified(trial: Trial) -> Outcome:
    try:
        with time_limit():
            result = trial.call()
            trial.check(result)
    except es.InputError as error:
        message = str(error)
        if trial.names and not any(name in message for name in trial.names):
            return Outcome("failed", f"refusal names no argument: {message}", message[:60])
        return Outcome("refused")
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        text = f"{type(error).__name__}: {str(error)[:400]}"
        frames = PACKAGE_FRAME.findall("".join(traceback.format_tb(error.__traceback__)))
        inside = [f"{file}:{line} {name}" for root, file, line, name in frames if root != "tests"]
        place = inside[-1] if inside and not isinstance(error, WrongError) else text[:60]
        return Outcome("failed", f"{text}\n    at {' < '.join(reversed(inside[-4:]))}", place)
    return Outcome("ok")


@contextlib.contextmanager
def time_limit() -> Iterator[None]:
    """Raise `Hang` in the main thread after a minute of work, which no compilation reaches."""

    def stop(*_: object) -> None:
        raise Hang(f"more than {BUSY_LIMIT:g} s of work")

    previous = {number: signal.signal(number, stop) for number in (signal.SIGPROF, signal.SIGALRM)}
    signal.setitimer(signal.ITIMER_PROF, BUSY_LIMIT)
    signal.setitimer(signal.ITIMER_REAL, WALL_LIMIT)
    faulthandler.dump_traceback_later(LAST_LIMIT, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        for number, handler in previous.items():
            signal.signal(number, handler)


def fingerprint(value: Any) -> str:
    """Digest of every array and list in nested containers, and of the order of the rest."""
    digest = hashlib.blake2b(digest_size=16)
    _feed(digest, value)
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, np.ndarray):
        digest.update(f"{value.dtype}{value.shape}".encode())
        if value.dtype.kind == "O":
            for item in value.ravel():
                _feed(digest, item)
        else:
            digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, Mapping):
        for key, item in value.items():
            digest.update(repr(key).encode(errors="replace"))
            _feed(digest, item)
    elif isinstance(value, list | tuple):
        digest.update(str(len(value)).encode())
        for item in value:
            _feed(digest, item)
    elif isinstance(value, str | int | float | bytes | bool) or value is None:
        digest.update(repr(value).encode(errors="replace"))
    elif hasattr(value, "to_numpy"):
        with contextlib.suppress(Exception):
            _feed(digest, value.to_numpy())
