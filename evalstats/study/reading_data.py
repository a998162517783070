"""The tables ``[data.NAME]`` of a study as sources of rows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evalstats.errors import InputError
from evalstats.study.hashing import opened
from evalstats.study.image_sources import CocoFiles, MapFolders
from evalstats.study.messages import Problems
from evalstats.study.sources import FrameInMemory, Source, TableFiles, expanded
from evalstats.study.tables import Table

KINDS = ("table", "coco", "maps")


def read_sources(content: object, folder: Path, problems: Problems) -> dict[str, Source | None]:
    """Sources by name; None stands for one that was reported as unusable.

    Parameters
    ----------
    content : object
        The tables, or frames in memory, by name.
    folder : Path
        Where relative paths begin.
    problems : Problems
        Where to report.
    """
    table = Table(content, ("data",), problems)
    sources: dict[str, Source | None] = {}
    for name, value in table.content.items():
        if isinstance(value, Mapping):
            sources[name] = _read(name, Table(value, ("data", name), problems), folder)
        elif isinstance(value, str | int | float | list):
            table.report(name, f"write [data.NAME] with a path; {name!r} is no table")
            sources[name] = None
        else:
            sources[name] = _checked(
                FrameInMemory(name, value), Table({}, ("data", name), problems)
            )
    return sources


def _read(name: str, table: Table, folder: Path) -> Source | None:
    kind = table.one_of("kind", KINDS, "table")
    readers = {"table": _read_table, "coco": _read_coco, "maps": _read_maps}
    try:
        source = readers[kind](name, table, folder)
    except InputError as error:
        table.report((), str(error))
        return None
    return None if source is None else _checked(source, table)


def _checked(source: Source, table: Table) -> Source | None:
    """The source, if its columns can be read."""
    key: Any = "filter" if isinstance(source, TableFiles) and source.condition else "path"
    try:
        source.schema()
    except InputError as error:
        table.report(key, str(error))
        return None
    return source


def _read_table(name: str, table: Table, folder: Path) -> TableFiles | None:
    table.refuse_unknown(("kind", "path", "filter"))
    patterns = table.texts("path")
    if not patterns:
        if "path" not in table.content or patterns == []:
            table.report(
                "path", "path is needed: a file, a pattern such as 'runs/*.csv', or a list"
            )
        return None
    try:
        found = list(expanded(folder, patterns))
    except InputError as error:
        table.report("path", str(error))
        return None
    condition = table.get("filter", str)
    return TableFiles(name, [path for _, path in found], [shown for shown, _ in found], condition)


def _images(name: str, table: Table, folder: Path, id_column: str) -> TableFiles | None:
    shown = table.get("images", str)
    if shown is None:
        return None
    images = TableFiles(name, [opened(folder / shown, shown)], [shown])
    if id_column not in images.schema():
        table.report("images", f"{shown!r} needs a column {id_column!r} that names the image")
        return None
    return images


def _read_coco(name: str, table: Table, folder: Path) -> CocoFiles | None:
    table.refuse_unknown(("kind", "ground_truth", "detections", "images"))
    truth = table.get("ground_truth", str)
    if truth is None:
        table.report("ground_truth", "ground_truth is needed: the json file of annotations")
    models = table.named_paths("detections")
    if truth is None or models is None:
        return None
    shown = {"ground_truth": truth, **{f"detections.{m}": path for m, path in models.items()}}
    files = {}
    for model, path in models.items():
        try:
            files[model] = opened(folder / path, path)
        except InputError as error:
            table.report("detections", str(error))
    if len(files) < len(models):
        return None
    images = _images(name, table, folder, "image_id")
    return CocoFiles(name, opened(folder / truth, truth), files, shown, images)


def _read_maps(name: str, table: Table, folder: Path) -> MapFolders | None:
    table.refuse_unknown(("kind", "masks", "maps", "unmasked_are_normal", "images"))
    masks = table.get("masks", str)
    if masks is None:
        table.report("masks", "masks is needed: the folder of ground truth")
    models = table.named_paths("maps")
    if masks is None or models is None:
        return None
    shown = {"masks": masks, **{f"maps.{model}": path for model, path in models.items()}}
    source = MapFolders(
        name,
        folder / masks,
        {model: folder / path for model, path in models.items()},
        shown,
        table.get("unmasked_are_normal", bool, False),
        _images(name, table, folder, "image"),
    )
    source.n_rows()
    return source
