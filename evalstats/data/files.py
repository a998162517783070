"""Tables in files, opened lazily by their extension: one file, or all that a glob matches."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from glob import has_magic
from os import PathLike, fspath
from pathlib import Path

import polars as pl

from evalstats.errors import InputError

# Columns that look like integers for hundreds of rows and then hold a fraction are common.
SCHEMA_ROWS = 10_000
# What a damaged file raises, also when a lazy frame reads it later.
BROKEN = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError)

Source = str | PathLike[str]
Reader = Callable[[Path], pl.LazyFrame]


def scan_table(source: Source, readers: Mapping[str, Reader] | None = None) -> pl.LazyFrame:
    """Open data files lazily, by their extension; only columns that are used will be read.

    Parameters
    ----------
    source : str or path
        A file, or a pattern with ``*``, ``?``, ``[...]`` or ``**``, whose files are read one after
        another in the order of their names.
    readers : mapping of str to callable, optional
        Readers by extension; by default Parquet, CSV, TSV, NDJSON and Arrow IPC (Feather).

    Returns
    -------
    polars.LazyFrame
        The table, with its schema already checked to be readable.

    Raises
    ------
    InputError
        If a file is missing, of unknown type or not readable, or files have unlike columns.
    """
    known = READERS if readers is None else readers
    paths = matching_files(source)
    frames = [_scan_file(path, known) for path in paths]
    if len(frames) == 1:
        return frames[0]
    first = frames[0].collect_schema()
    for path, frame in zip(paths[1:], frames[1:], strict=True):
        schema = frame.collect_schema()
        unlike = [name for name in schema if schema[name] != first.get(name)]
        unlike += [name for name in first if name not in schema]
        if unlike:
            raise InputError(
                f"{str(path)!r} and {str(paths[0])!r} differ in the column {unlike[0]!r}: files "
                "of one table need the same columns and types"
            )
    return pl.concat([frame.select(first.names()) for frame in frames])


def matching_files(source: Source) -> list[Path]:
    """Files of a name or pattern, sorted.

    Raises
    ------
    InputError
        If there is none, or the name is that of a directory.
    """
    name = fspath(source)
    path = Path(name)
    try:
        exists = path.exists()
    except (OSError, ValueError) as error:
        raise InputError(f"cannot open {name!r}: {error}") from error
    if not exists and has_magic(name):
        anchor = Path(path.anchor) if path.is_absolute() else Path()
        pattern = str(path.relative_to(path.anchor)) if path.is_absolute() else name
        found = sorted(item for item in anchor.glob(pattern) if item.is_file())
        if not found:
            raise InputError(f"no file matches {name!r}: check the pattern")
        return found
    if not exists:
        raise InputError(f"there is no file {name!r}: check the path")
    if path.is_dir():
        raise InputError(f"{name!r} is a directory: name one data file, or a pattern such as *.csv")
    return [path]


@contextmanager
def table_read(argument: str = "data") -> Iterator[None]:
    """Refuse a table that turns out to be damaged when its rows are read."""
    try:
        yield
    except BROKEN as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"{argument} cannot be read: {reason[0]}") from error


def unreadable(path: Path, error: BaseException) -> InputError:
    """Say in one line why a file cannot be read."""
    reason = str(error).strip().splitlines() or [type(error).__name__]
    return InputError(f"cannot read {str(path)!r}: {reason[0]}")


def _scan_file(path: Path, readers: Mapping[str, Reader]) -> pl.LazyFrame:
    scan = readers.get(path.suffix.lower())
    if scan is None:
        raise InputError(f"{path.name!r} has no known extension: use one of {', '.join(readers)}")
    try:
        frame = scan(path)
        frame.collect_schema()
    except BROKEN as error:
        raise unreadable(path, error) from error
    return frame


def _scan_csv(path: Path) -> pl.LazyFrame:
    return pl.scan_csv(path, infer_schema_length=SCHEMA_ROWS, null_values=["NA"])


def _scan_tsv(path: Path) -> pl.LazyFrame:
    return pl.scan_csv(path, separator="\t", infer_schema_length=SCHEMA_ROWS, null_values=["NA"])


def _scan_ndjson(path: Path) -> pl.LazyFrame:
    return pl.scan_ndjson(path, infer_schema_length=SCHEMA_ROWS)


def _scan_arrow(path: Path) -> pl.LazyFrame:
    """IPC files lazily; the streaming form, which many tools give the same name, as a whole."""
    try:
        frame = pl.scan_ipc(path)
        frame.collect_schema()
    except pl.exceptions.PolarsError:
        return pl.read_ipc_stream(path).lazy()
    return frame


READERS: dict[str, Reader] = {
    ".parquet": pl.scan_parquet,
    ".csv": _scan_csv,
    ".tsv": _scan_tsv,
    ".ndjson": _scan_ndjson,
    ".jsonl": _scan_ndjson,
    ".arrow": _scan_arrow,
    ".feather": _scan_arrow,
    ".ipc": _scan_arrow,
}
