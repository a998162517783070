"""Contents as SHA-256: files, arrays, frames, and configurations in a canonical form."""

import dataclasses
import hashlib
import io
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from evalstats.errors import InputError

PIECE = 1 << 20


class NotHashableError(Exception):
    """A value whose content cannot be told from outside, such as a random generator."""


class HashingSink(io.RawIOBase):
    """A file that keeps only the hash of what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self._digest = hashlib.sha256()

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Take in `data`."""
        self._digest.update(data)
        return len(data)

    def hexdigest(self) -> str:
        """Hash of everything written."""
        return self._digest.hexdigest()


def opened(path: Path, shown: str) -> Path:
    """`path`, if it is a file.

    Raises
    ------
    InputError
        If it is not.
    """
    if path.is_dir():
        raise InputError(f"{shown!r} is a directory: name a file, or a pattern such as '*.csv'")
    if not path.is_file():
        raise InputError(f"there is no file {shown!r} ({path}): check the path")
    return path


def file_digest(path: Path) -> dict[str, Any]:
    """Size and SHA-256 of a file, read in pieces. O(bytes)."""
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        return {"bytes": path.stat().st_size, "sha256": digest}
    except OSError as error:
        raise InputError(f"cannot read {str(path)!r}: {error.strerror or error}") from error


def canonical(value: Any) -> Any:
    """A JSON value that is equal exactly where `value` is.

    Raises
    ------
    NotHashableError
        If the content of `value` cannot be told.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"float": repr(value)}
    if isinstance(value, np.generic):
        return {"scalar": [str(value.dtype), repr(value.item())]}
    if isinstance(value, Path):
        return {"path": str(value)}
    if isinstance(value, Mapping):
        return {"items": [[canonical(key), canonical(item)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        return [type(value).__name__, *map(canonical, value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: canonical(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {type(value).__name__: fields}
    if isinstance(value, np.ndarray):
        return _array(value)
    if isinstance(value, pl.Series):
        return {"frame": frame_digest(value.to_frame())}
    if hasattr(value, "__arrow_c_stream__"):
        return {"frame": frame_digest(pl.DataFrame(value))}
    if hasattr(value, "__array__"):
        return _array(np.asarray(value))
    raise NotHashableError(type(value).__name__)


def _array(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    if array.dtype.hasobject:
        return {"objects": [list(array.shape), canonical(array.ravel().tolist())]}
    digest = hashlib.sha256(np.ascontiguousarray(array).view(np.uint8).data)
    return {"array": [str(array.dtype), list(array.shape), digest.hexdigest()]}


def frame_digest(frame: pl.DataFrame) -> str:
    """SHA-256 of a frame in Arrow's format."""
    sink = HashingSink()
    # In one chunk, so that equal rows are equal bytes however they came together.
    frame.rechunk().write_ipc(sink, compression="uncompressed")  # type: ignore[call-overload]
    return sink.hexdigest()


@cache
def code_digest() -> str:
    """Hash of the sources of evalstats: other code may give other numbers."""
    digest = hashlib.sha256()
    for name, content in sorted(_sources(files("evalstats"), "")):
        digest.update(f"{name}\0{len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def _sources(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found = []
    for item in folder.iterdir():
        if item.is_dir():
            found += _sources(item, f"{prefix}{item.name}/")
        elif item.name.endswith(".py"):
            found.append((f"{prefix}{item.name}", item.read_bytes()))
    return found
