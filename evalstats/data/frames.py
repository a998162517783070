"""One way to take named columns out of any data frame."""

import difflib
from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
from narwhals.exceptions import NarwhalsError
from numpy.typing import NDArray

from evalstats.data.files import BROKEN, scan_table
from evalstats.errors import InputError

# What columns of types that numpy does not have raise when they are converted.
UNREADABLE = (NarwhalsError, *BROKEN, TypeError, ValueError, NotImplementedError)


class Frame:
    """Named columns of a polars, pandas, pyarrow or other Arrow-capable frame.

    Parameters
    ----------
    data : object
        polars DataFrame or LazyFrame, pandas DataFrame, pyarrow Table, anything that narwhals
        reads eagerly or lazily, any object with the Arrow PyCapsule interface, or the name or
        pattern of data files.
    wanted : iterable of object
        The role arguments; of a lazy frame only the columns that they name are collected.
    argument : str
        What messages call the frame.
    """

    def __init__(self, data: object, wanted: Iterable[object], argument: str = "data") -> None:
        if isinstance(data, str | PathLike):
            try:
                data = scan_table(data)
            except InputError as error:
                raise InputError(f"{argument}={str(data)!r}: {error}") from error
        try:
            native = nw.from_native(data, pass_through=True)
        except NarwhalsError as error:
            raise InputError(f"{argument} cannot be read as a frame: {_one_line(error)}") from error
        if not isinstance(native, nw.DataFrame | nw.LazyFrame):
            if not hasattr(data, "__arrow_c_stream__"):
                raise InputError(
                    f"{argument} is a {type(data).__name__}, which is no data frame: pass a "
                    "polars, pandas or pyarrow frame or a file name, or leave data= out and pass "
                    "arrays"
                )
            try:
                native = nw.from_native(pl.DataFrame(data))
            except (*BROKEN, TypeError, ValueError) as error:
                raise InputError(
                    f"{argument} cannot be read as a frame: {_one_line(error)}"
                ) from error
        self.names: list[str] = list(native.collect_schema().names())
        if isinstance(native, nw.LazyFrame):
            names = [name for name in dict.fromkeys(_flatten(wanted)) if name in self.names]
            try:
                native = native.select(names).collect()
            except (NarwhalsError, *BROKEN) as error:
                raise InputError(f"{argument} cannot be read: {_one_line(error)}") from error
        self._frame: nw.DataFrame[Any] = native

    def column(self, argument: str, name: object) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
        """Values of the column `name` and its null mask (None when nothing is missing)."""
        if not isinstance(name, str):
            raise InputError(
                f"{argument}: with data= the argument is the name of a column, "
                f"not a {type(name).__name__}"
            )
        if name not in self.names:
            raise InputError(f"{argument}: {unknown_column(name, self.names)}")
        if self.names.count(name) > 1:
            raise InputError(
                f"{argument}: {self.names.count(name)} columns are called {name!r}: rename them"
            )
        try:
            return series_to_numpy(self._frame.get_column(name))
        except UNREADABLE as error:
            raise InputError(
                f"{argument}: column {name!r} cannot be read: {_one_line(error)}"
            ) from error


def unknown_column(name: str, names: Sequence[str]) -> str:
    """Say that there is no such column, and which ones there are."""
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    shown = ", ".join(repr(known) for known in names[:20])
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return f"there is no column {name!r}. {hint}Available columns: {shown}{more}"


def series_to_numpy(series: "nw.Series[Any]") -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Turn a column into an array and the mask of its nulls (None when nothing is missing)."""
    missing = series.is_null()
    if isinstance(series.dtype, nw.Categorical | nw.Enum):
        series = series.cast(nw.String)
    if not bool(missing.any()):
        return np.asarray(series.to_numpy()), None
    mask = np.asarray(missing.to_numpy(), dtype=bool)
    if series.dtype.is_integer():
        # As floats, identifiers beyond 2**53 would fall together.
        return np.asarray(series.fill_null(0).to_numpy()), mask
    if series.dtype.is_numeric():
        return np.asarray(series.cast(nw.Float64).to_numpy(), dtype=np.float64), mask
    return np.asarray(series.to_list(), dtype=object), mask


def named_columns(wanted: Iterable[object]) -> list[str]:
    """Names in role arguments, each once."""
    return list(dict.fromkeys(_flatten(wanted)))


def _one_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _flatten(arguments: Iterable[object]) -> list[str]:
    names: list[str] = []
    for argument in arguments:
        if isinstance(argument, str):
            names.append(argument)
        elif isinstance(argument, dict):
            names.extend(_flatten(argument.values()))
        elif isinstance(argument, Sequence):
            names.extend(_flatten(argument))
    return names
