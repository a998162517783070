"""Data files in, result files out."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import polars as pl
from narwhals.exceptions import NarwhalsError

from evalstats.data import files
from evalstats.data.files import BROKEN, unreadable
from evalstats.errors import InputError


def scan_table(path: Path) -> pl.LazyFrame:
    """Open data files lazily, by their extension; only columns that are used will be read.

    Parameters
    ----------
    path : Path
        Parquet, CSV, TSV, NDJSON or Arrow IPC (Feather) file, AlpacaEval's ``annotations.json`` or
        Arena battles as JSON; or a pattern such as ``parts/*.parquet``.

    Returns
    -------
    polars.LazyFrame
        The table, with its schema already checked to be readable.

    Raises
    ------
    InputError
        If the file is missing, of unknown type or not readable.
    """
    return files.scan_table(path, READERS)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Name the file where a lazy frame turns out to be damaged only when its rows are read."""
    try:
        yield
    except (NarwhalsError, *BROKEN) as error:
        raise unreadable(path, error) from error
    except InputError as error:
        if isinstance(error.__cause__, (NarwhalsError, *BROKEN)):
            raise unreadable(path, error.__cause__) from error
        raise


def write_atomically(path: Path, content: str | bytes) -> None:
    """Replace `path` in one step, so that a reader never sees half of it.

    Parameters
    ----------
    path : Path
        Where to write; its folder must exist.
    content : str or bytes
        What to write; text as UTF-8.

    Raises
    ------
    InputError
        If the folder is missing or cannot be written to.
    """
    data = content.encode() if isinstance(content, str) else content
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
            # mkstemp makes files private; a result file has the permissions of any new file.
            mask = os.umask(0)
            os.umask(mask)
            os.chmod(name, 0o666 & ~mask)
            os.replace(name, path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot write {str(path)!r}: {reason}") from error


def _scan_json(path: Path) -> pl.LazyFrame:
    """The JSON documents with a known meaning: Arena battles, else AlpacaEval's judgements."""
    from evalstats.winrate.readers import read_alpaca_annotations, read_arena_battles

    with path.open(encoding="utf-8", errors="replace") as stream:
        start = stream.read(4096)
    if '"model_a"' in start and '"winner"' in start:
        return read_arena_battles(path).lazy()
    judgements = read_alpaca_annotations(path)
    return judgements.rename(
        {"len_model": "length_model", "len_baseline": "length_baseline"}
    ).lazy()


def _scan_npz(path: Path) -> pl.LazyFrame:
    """Arrays of trajectory forecasts, one row per agent."""
    from evalstats.trajectory.frames import frame_from_npz

    return frame_from_npz(path).lazy()


READERS: dict[str, files.Reader] = {**files.READERS, ".json": _scan_json, ".npz": _scan_npz}
