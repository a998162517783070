"""Where the rows of a study come from: files of tables, frames in memory, arrays."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from evalstats.data.files import unreadable
from evalstats.errors import InputError
from evalstats.report.files import scan_table
from evalstats.study.hashing import file_digest, frame_digest, opened


class Source(ABC):
    """One data set of a study.

    Parameters
    ----------
    name : str
        Its name in the study.
    """

    kind: ClassVar[str]
    # Roles of `fit` that the source itself fills.
    fills: ClassVar[tuple[str, ...]] = ()

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def schema(self) -> Mapping[str, pl.DataType] | None:
        """Names and types of the columns that role arguments may name; None without columns."""

    @abstractmethod
    def n_rows(self) -> int | None:
        """Number of rows or images; None where only fitting would tell."""

    @abstractmethod
    def describe(self) -> dict[str, Any] | None:
        """Content by hash, for the key of the cache and the manifest; None if it has no hash."""

    @abstractmethod
    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments of ``fit`` from those that the study names."""

    def models(self) -> list[str] | None:
        """Names of the models that the source brings along."""
        return None


class TableFiles(Source):
    """Rows of one or several files with the same columns.

    Parameters
    ----------
    name : str
        Its name in the study.
    paths : sequence of Path
        The files.
    shown : sequence of str
        The files as the study writes them.
    condition : str, optional
        SQL expression that kept rows fulfil.
    """

    kind = "table"

    def __init__(
        self, name: str, paths: Sequence[Path], shown: Sequence[str], condition: str | None = None
    ) -> None:
        super().__init__(name)
        self.paths = list(paths)
        self.shown = list(shown)
        self.condition = condition

    def frame(self) -> pl.LazyFrame:
        """The rows, not yet read."""
        frames = [scan_table(path) for path in self.paths]
        frame = frames[0] if len(frames) == 1 else pl.concat(frames, how="vertical_relaxed")
        try:
            if self.condition is not None:
                frame = frame.filter(pl.sql_expr(self.condition))
            frame.collect_schema()
        except (pl.exceptions.PolarsError, OSError) as error:
            what = self.shown[0] if self.condition is None else f"filter {self.condition!r}"
            raise InputError(f"cannot use {what}: {str(error).splitlines()[0]}") from error
        return frame

    @cached_property
    def _schema(self) -> Mapping[str, pl.DataType]:
        return dict(self.frame().collect_schema())

    def schema(self) -> Mapping[str, pl.DataType]:
        """Names and types of the columns."""
        return self._schema

    @cached_property
    def _n_rows(self) -> int:
        try:
            return int(self.frame().select(pl.len()).collect().item())
        except (pl.exceptions.PolarsError, OSError) as error:
            raise unreadable(self.paths[0], error) from error

    def n_rows(self) -> int:
        """Number of rows that the filter keeps."""
        return self._n_rows

    @cached_property
    def _description(self) -> dict[str, Any]:
        described: dict[str, Any] = {"kind": self.kind}
        if self.condition is not None:
            described["filter"] = self.condition
        described["files"] = [
            {"path": shown, **file_digest(path)}
            for shown, path in zip(self.shown, self.paths, strict=True)
        ]
        return described

    def describe(self) -> dict[str, Any]:
        """Hash and size of every file."""
        return self._description

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The names of columns, and the frame that has them."""
        return {**given, "data": self.frame()}


class FrameInMemory(Source):
    """A frame of the user's.

    Parameters
    ----------
    name : str
        Its name in the study.
    data : object
        Any frame that ``fit`` takes as ``data=``.
    """

    kind = "frame"

    def __init__(self, name: str, data: Any) -> None:
        super().__init__(name)
        self.data = data

    def schema(self) -> Mapping[str, pl.DataType]:
        """Names and types of the columns."""
        return dict(self._lazy().collect_schema())

    def n_rows(self) -> int:
        """Number of rows."""
        return int(self._lazy().select(pl.len()).collect().item())

    def _lazy(self) -> pl.LazyFrame:
        if isinstance(self.data, pl.LazyFrame):
            return self.data
        return self._table.lazy()

    @cached_property
    def _table(self) -> pl.DataFrame:
        import narwhals as nw

        native = nw.from_native(self.data, pass_through=True)
        if isinstance(native, nw.LazyFrame):
            native = native.collect()
        if isinstance(native, nw.DataFrame):
            return pl.DataFrame(native)
        if not hasattr(self.data, "__arrow_c_stream__"):
            raise InputError(
                f"data is a {type(self.data).__name__}, which is no data frame: pass a polars, "
                "pandas or pyarrow frame"
            )
        return pl.DataFrame(self.data)

    @cached_property
    def _description(self) -> dict[str, Any] | None:
        table = self._lazy().collect()
        try:
            return {"kind": self.kind, "rows": table.height, "sha256": frame_digest(table)}
        except pl.exceptions.PolarsError:
            # Columns of Python objects have no form of bytes.
            return None

    def describe(self) -> dict[str, Any] | None:
        """Hash of the rows in Arrow's format."""
        return self._description

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The names of columns, and the frame that has them."""
        return {**given, "data": self.data}


class Nothing(Source):
    """No data set: the role arguments are arrays themselves."""

    kind = "arrays"

    def schema(self) -> None:
        """There are no columns."""

    def n_rows(self) -> None:
        """Only fitting tells."""

    def describe(self) -> dict[str, Any]:
        """The arguments are hashed on their own."""
        return {"kind": self.kind}

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments as they are."""
        return dict(given)


def expanded(folder: Path, patterns: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Files that paths and globs name, each as written and as found, in a fixed order.

    Raises
    ------
    InputError
        If a pattern finds nothing, or a file is missing.
    """
    for pattern in patterns:
        if not any(sign in pattern for sign in "*?["):
            yield pattern, opened(folder / pattern, pattern)
            continue
        base = Path(pattern)
        root = Path(base.anchor) if base.is_absolute() else folder
        relative = base.relative_to(base.anchor).as_posix() if base.is_absolute() else pattern
        found = sorted(path for path in root.glob(relative) if path.is_file())
        if not found:
            raise InputError(f"no file matches {pattern!r} in {str(root)!r}")
        for path in found:
            shown = str(path) if base.is_absolute() else path.relative_to(folder).as_posix()
            yield shown, path
