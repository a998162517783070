"""Where the rows of a study come from: tables, COCO files, folders of maps, frames in memory."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from evalstats.data.files import unreadable
from evalstats.errors import InputError
from evalstats.report.files import scan_table
from evalstats.study.hashing import HashingSink, file_digest, opened

BLOCK = ("sample_weight", "cluster", "by")


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
    def _description(self) -> dict[str, Any]:
        table = self._lazy().collect()
        sink = HashingSink()
        table.write_ipc(sink, compression="uncompressed")  # type: ignore[call-overload]
        return {"kind": self.kind, "rows": table.height, "sha256": sink.hexdigest()}

    def describe(self) -> dict[str, Any]:
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


class ImageSource(Source):
    """Base of the sources whose rows are images, with an optional table about them.

    Parameters
    ----------
    name : str
        Its name in the study.
    images : TableFiles, optional
        One row per image, with the columns that ``by``, ``cluster`` and ``sample_weight`` name.
    id_column : str
        Column of `images` that identifies the image.
    """

    def __init__(self, name: str, images: TableFiles | None, id_column: str) -> None:
        super().__init__(name)
        self.images = images
        self.id_column = id_column

    def schema(self) -> Mapping[str, pl.DataType]:
        """Columns of the table of images."""
        return {} if self.images is None else self.images.schema()

    def _by_image(self, argument: str, column: object) -> dict[Any, Any]:
        """Value of `column` of each image."""
        if self.images is None or not isinstance(column, str):
            raise InputError(f"{argument}={column!r}: name one column of the table 'images'")
        table = self.images.frame().select(self.id_column, column).collect()
        keys = table[self.id_column].to_list()
        if len(set(keys)) < len(keys):
            raise InputError(f"{self.id_column!r} of the table 'images' repeats an image")
        return dict(zip(keys, table[column].to_list(), strict=True))

    def _described_images(self) -> dict[str, Any]:
        return {} if self.images is None else {"images": self.images.describe()["files"]}


class CocoFiles(ImageSource):
    """Ground truth and detections in COCO's or LVIS's json.

    Parameters
    ----------
    name : str
        Its name in the study.
    ground_truth : Path
        Annotations.
    detections : mapping of str to Path
        Results of each model.
    shown : mapping of str to str
        Files as the study writes them, by role.
    images : TableFiles, optional
        Table with ``image_id``.
    """

    kind = "coco"
    fills = ("ground_truth", "detections")

    def __init__(
        self,
        name: str,
        ground_truth: Path,
        detections: Mapping[str, Path],
        shown: Mapping[str, str],
        images: TableFiles | None = None,
    ) -> None:
        super().__init__(name, images, "image_id")
        self.ground_truth = ground_truth
        self.detections = dict(detections)
        self.shown = dict(shown)

    def n_rows(self) -> None:
        """Counted by fitting."""

    def models(self) -> list[str]:
        """The detectors."""
        return list(self.detections)

    @cached_property
    def _description(self) -> dict[str, Any]:
        files = {"ground_truth": self.ground_truth}
        files |= {f"detections.{model}": path for model, path in self.detections.items()}
        return {
            "kind": self.kind,
            "files": [
                {"role": role, "path": self.shown[role], **file_digest(path)}
                for role, path in files.items()
            ],
            **self._described_images(),
        }

    def describe(self) -> dict[str, Any]:
        """Hash and size of every file."""
        return self._description

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Paths, and values of each image by its id."""
        with_values = {
            name: self._by_image(name, value) if name in BLOCK else value
            for name, value in given.items()
        }
        files = {model: str(path) for model, path in self.detections.items()}
        return {"ground_truth": str(self.ground_truth), "detections": files, **with_values}


class MapFolders(ImageSource):
    """Folders of masks and of anomaly maps of each model.

    Parameters
    ----------
    name : str
        Its name in the study.
    masks : Path
        Folder of ground truth.
    maps : mapping of str to Path
        Folder of each model.
    shown : mapping of str to str
        Folders as the study writes them, by role.
    unmasked_are_normal : bool
        Whether a map without mask is a normal image.
    images : TableFiles, optional
        Table with ``image``: the path below the folder, without suffix.
    """

    kind = "maps"
    fills = ("masks", "anomaly_maps")

    def __init__(
        self,
        name: str,
        masks: Path,
        maps: Mapping[str, Path],
        shown: Mapping[str, str],
        unmasked_are_normal: bool,
        images: TableFiles | None = None,
    ) -> None:
        super().__init__(name, images, "image")
        self.masks = masks
        self.maps = dict(maps)
        self.shown = dict(shown)
        self.unmasked_are_normal = unmasked_are_normal

    @cached_property
    def _folders(self) -> Any:
        from evalstats.anomaly.files import pair_folders

        return pair_folders(
            self.masks, dict(self.maps), unmasked_are_normal=self.unmasked_are_normal
        )

    def n_rows(self) -> int:
        """Number of images."""
        return len(self._folders.names)

    def models(self) -> list[str]:
        """The models."""
        return list(self.maps)

    @cached_property
    def _description(self) -> dict[str, Any]:
        roles = {"masks": [path for path in self._folders.masks.paths if path is not None]}
        roles |= {f"maps.{m}": list(files.paths) for m, files in self._folders.maps.items()}
        folders = {"masks": self.masks, **{f"maps.{m}": path for m, path in self.maps.items()}}
        return {
            "kind": self.kind,
            "unmasked_are_normal": self.unmasked_are_normal,
            "files": [
                {"role": role, "path": self.shown[role], **_folder_digest(folders[role], paths)}
                for role, paths in roles.items()
            ],
            **self._described_images(),
        }

    def describe(self) -> dict[str, Any]:
        """Hash of the names and contents of every folder."""
        return self._description

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Images that are read one at a time, and values in their order."""
        names = self._folders.names
        values = {}
        for argument, value in given.items():
            if argument not in BLOCK:
                values[argument] = value
                continue
            known = self._by_image(argument, value)
            absent = [name for name in names if name not in known]
            if absent:
                raise InputError(f"{argument}: the table 'images' lacks the image {absent[0]!r}")
            values[argument] = [known[name] for name in names]
        maps = dict(self._folders.maps)
        return {"masks": self._folders.masks, "anomaly_maps": maps, **values}


def _folder_digest(folder: Path, paths: Sequence[Path]) -> dict[str, Any]:
    digest = hashlib.sha256()
    size = 0
    for path in paths:
        found = file_digest(path)
        size += found["bytes"]
        digest.update(f"{path.relative_to(folder).as_posix()}\0{found['sha256']}\n".encode())
    return {"files": len(paths), "bytes": size, "sha256": digest.hexdigest()}


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
