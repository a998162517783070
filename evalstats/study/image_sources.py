"""Sources whose rows are images: COCO files, and folders of masks and maps."""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from evalstats.errors import InputError
from evalstats.study.hashing import file_digest
from evalstats.study.sources import Source, TableFiles

# Arguments with one value per image.
PER_IMAGE = ("sample_weight", "cluster", "by")


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
            name: self._by_image(name, value) if name in PER_IMAGE else value
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
            if argument not in PER_IMAGE:
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
