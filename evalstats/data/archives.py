"""Files that may be damaged or hostile: bounded, without pickle, refused in one way."""

import json
import zipfile
import zlib
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalstats.errors import InputError

# A compressed file may claim any size; more than this is refused before it fills the memory.
MAX_UNPACKED = 4 * 2**30
_CHUNK = 2**24
_GZIP = b"\x1f\x8b"


def read_content(path: "str | PathLike[str]") -> bytes:
    """Bytes of a file, unpacked if it is gzip, and at most `MAX_UNPACKED` of them.

    Raises
    ------
    InputError
        If the file cannot be read, or unpacks to too much.
    """
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if data[:2] != _GZIP:
        return data
    unpacker = zlib.decompressobj(wbits=31)
    parts, size = [], 0
    try:
        while data and not unpacker.eof:
            part = unpacker.decompress(data, _CHUNK)
            data = unpacker.unconsumed_tail
            size += len(part)
            parts.append(part)
            if size > MAX_UNPACKED:
                raise InputError(f"{path} unpacks to more than {MAX_UNPACKED} bytes")
    except zlib.error as error:
        raise InputError(f"{path} cannot be unpacked: {error}") from error
    if not unpacker.eof:
        raise InputError(f"{path} cannot be unpacked: it is cut off")
    return b"".join(parts)


def parse_json(content: bytes | str, label: object) -> Any:
    """Parse a JSON document.

    Raises
    ------
    InputError
        If it is no JSON, no UTF-8, or nested deeper than Python can follow.
    """
    try:
        return json.loads(content)
    except RecursionError:
        raise InputError(f"{label} is nested too deeply") from None
    except ValueError as error:
        raise InputError(f"{label} is no valid json: {error}") from error


def read_arrays(path: "str | PathLike[str]") -> dict[str, NDArray[Any]]:
    """All arrays of an ``.npz`` file, without pickled objects.

    Raises
    ------
    InputError
        If the file is missing, damaged, holds objects, or unpacks to more than `MAX_UNPACKED`.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(item.file_size for item in archive.infolist())
        if size > MAX_UNPACKED:
            raise InputError(f"{path} unpacks to more than {MAX_UNPACKED} bytes")
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as content:
            return {name: content[name] for name in content.files}
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"there is no file {str(path)!r}: check the path") from None
    except (
        *(OSError, ValueError, KeyError, EOFError, NotImplementedError, MemoryError),
        *(RuntimeError, SyntaxError, TypeError, zipfile.BadZipFile, zlib.error),
    ) as error:
        raise InputError(f"cannot read {str(path)!r}: {error}") from error
