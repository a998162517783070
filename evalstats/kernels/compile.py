"""The one compile policy of the package.

Every compiled function goes through :func:`kernel`: it releases the GIL, is cached on disk, keeps
Python's error model and strict floating point, and is never compiled with ``parallel=True`` (which
aborts or hangs under threads and fork): parallelism belongs to the inference engine.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def kernel(function: Function) -> Function:
    """Compile `function` lazily at its first call and cache the machine code on disk.

    Where no cache location is writable (a read-only installation without a home folder) numba
    refuses to cache at decoration time; the function is then compiled once per process instead.
    """
    compiled: Callable[..., object]
    try:
        compiled = numba.njit(cache=True, nogil=True, error_model="python")(function)
    except RuntimeError:
        compiled = numba.njit(nogil=True, error_model="python")(function)
    return cast("Function", compiled)
