"""Folders of anomaly maps and masks: .npy, PNG and TIFF files, read one at a time."""

import struct
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any, ClassVar
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from evalstats.errors import InputError

SUFFIXES = (".npy", ".png", ".tif", ".tiff")
MASK_ENDINGS = ("", "_mask", "_gt")
SHOWN = 3
# What readers of damaged files raise; SyntaxError comes from pillow's PNG reader.
UNREADABLE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    BadZipFile,
    struct.error,
    OverflowError,
    TokenError,
)


@dataclass(frozen=True)
class ImageFiles:
    """Images in files; each is read when it is looked at, and .npy files are memory-mapped."""

    paths: Sequence[Path]
    reads_images: ClassVar[bool] = True

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, position: int) -> NDArray[Any]:
        return read_image(self.paths[position])


@dataclass(frozen=True)
class MaskFiles:
    """Masks in files; no file stands for an empty mask of the size of the map."""

    paths: Sequence[Path | None]
    maps: ImageFiles
    reads_images: ClassVar[bool] = True

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, position: int) -> NDArray[Any]:
        path = self.paths[position]
        if path is None:
            return np.zeros(self.maps[position].shape, dtype=bool)
        mask = read_image(path)
        values = np.unique(mask)
        if len(values) > 2 or (len(values) == 2 and values[0] != 0):
            raise InputError(
                f"{path} holds the values {values[:4].tolist()}: a mask has 0 and one other value"
            )
        return np.asarray(mask != 0)


@dataclass(frozen=True)
class Folders:
    """Paired files of one study.

    Attributes
    ----------
    names : list of str
        Name of each image: path below the folder, without suffix.
    masks : MaskFiles
        Ground truth.
    maps : dict of str to ImageFiles
        Maps of each model.
    """

    names: list[str]
    masks: MaskFiles
    maps: dict[str, ImageFiles]


def read_image(path: Path) -> NDArray[Any]:
    """One image as a 2-D array.

    Raises
    ------
    InputError
        If the file cannot be read or has several channels.
    """
    try:
        if path.suffix.lower() == ".npy":
            with warnings.catch_warnings():
                # Old headers are slow to read, which is no fault of this file's user.
                warnings.simplefilter("ignore")
                image: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
            if not isinstance(image, np.ndarray):
                raise InputError(f"{path} is an archive: save one array with numpy.save")
        else:
            image = _read_picture(path)
    except UNREADABLE as error:
        raise InputError(f"{path} cannot be read as an image: {error}") from error
    if image.dtype.kind not in "biuf":
        raise InputError(f"{path} holds {image.dtype}: an image holds numbers")
    if image.ndim == 3 and 1 in (image.shape[0], image.shape[2]):
        image = image.squeeze()
    if image.ndim != 2:
        raise InputError(f"{path} has shape {image.shape}: one channel is needed")
    return image


def pair_folders(
    masks: Path, maps: dict[str, Path], *, unmasked_are_normal: bool = False
) -> Folders:
    """Find the files that belong together: the same relative path, masks also with ``_mask``.

    Parameters
    ----------
    masks : Path
        Folder of the masks.
    maps : dict of str to Path
        Folder of each model.
    unmasked_are_normal : bool
        Take a map without a mask file as a normal image, as in the MVTec layout.

    Raises
    ------
    InputError
        If a folder is empty or files have no partner.
    """
    found = {model: _files(folder) for model, folder in maps.items()}
    first = next(iter(found))
    names = sorted(found[first])
    for model, own in found.items():
        different = sorted(set(own) ^ set(names))
        if different:
            raise InputError(
                f"maps of {model!r} and {first!r} differ in {_listed(different)}: every model "
                "needs a map of every image"
            )
    mask_files = _files(masks)
    partner = {name: _mask_of(name, mask_files) for name in names}
    lonely = [name for name in names if partner[name] is None]
    if lonely and not unmasked_are_normal:
        raise InputError(
            f"{masks} has no mask of {_listed(lonely)}: add empty masks, or pass "
            "--unmasked-are-normal if these images are normal"
        )
    unused = sorted(set(mask_files.values()) - {path for path in partner.values() if path})
    if unused:
        raise InputError(f"{masks} holds masks without a map: {_listed([p.name for p in unused])}")
    files = {m: ImageFiles([own[name] for name in names]) for m, own in found.items()}
    return Folders(names, MaskFiles([partner[n] for n in names], files[first]), files)


def _read_picture(path: Path) -> NDArray[Any]:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "PNG and TIFF files need pillow: pip install 'evalstats-metrics[plot]'"
        ) from error
    try:
        with warnings.catch_warnings():
            # Below the size at which pillow refuses, size and metadata are the user's business.
            warnings.simplefilter("ignore")
            with Image.open(path) as picture:
                return np.asarray(picture)
    except Image.DecompressionBombError as error:
        raise InputError(f"{path} is too large: {error}") from error


def _files(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder")
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            name = path.relative_to(folder).with_suffix("").as_posix()
            if name in found:
                raise InputError(f"{folder} holds {found[name].name} and {path.name}: keep one")
            found[name] = path
    if not found:
        raise InputError(f"{folder} holds no {', '.join(SUFFIXES)} file")
    return found


def _mask_of(name: str, masks: dict[str, Path]) -> Path | None:
    return next((masks[name + end] for end in MASK_ENDINGS if name + end in masks), None)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(repr(name) for name in names[:SHOWN]) + more
