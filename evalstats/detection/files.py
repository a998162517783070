"""COCO and LVIS files, mappings, frames and arrays into structures of arrays."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.data.archives import parse_json, read_content
from evalstats.detection.masks import Masks, mask_sizes, masks_from_segmentations, masks_from_text
from evalstats.detection.records import (
    FREQUENCIES,
    Array,
    Categories,
    Codes,
    Detections,
    GroundTruth,
    Ragged,
)
from evalstats.errors import InputError
from evalstats.options import typed_options

BoxFormat = Literal["xywh", "xyxy"]
CORNERS = {"xywh": ("x", "y", "w", "h"), "xyxy": ("x1", "y1", "x2", "y2")}
FRAME_READERS = {
    ".parquet": "read_parquet",
    ".csv": "read_csv",
    ".arrow": "read_ipc",
    ".feather": "read_ipc",
    ".ndjson": "read_ndjson",
    ".jsonl": "read_ndjson",
}
RESULT_SCHEMA: dict[str, Any] = {
    "image_id": pl.Int64,
    "category_id": pl.Int64,
    "bbox": pl.List(pl.Float64),
    "score": pl.Float64,
    "segmentation": pl.Struct({"size": pl.List(pl.Int64), "counts": pl.String}),
}


@typed_options
def read_ground_truth(
    source: object, *, box_format: BoxFormat = "xywh", iou_type: str = "bbox"
) -> GroundTruth:
    """Read annotated images from COCO or LVIS json.

    Parameters
    ----------
    source : path, mapping or GroundTruth
        A ``.json`` or ``.json.gz`` file, or a mapping with ``images``, ``annotations`` and
        ``categories``, each a list of records, a data frame or a mapping of arrays. Images with
        ``neg_category_ids`` and ``not_exhaustive_category_ids`` make it federated (LVIS).
    box_format : {"xywh", "xyxy"}
        What ``bbox`` holds; never guessed.
    iou_type : {"bbox", "segm"}
        ``"segm"`` also reads ``segmentation``; polygons need pycocotools.

    Returns
    -------
    GroundTruth
        Images sorted by id.

    Raises
    ------
    InputError
        If a key is missing, an id repeated or unknown, or a box not finite or negative.

    Notes
    -----
    O(n log n) in the number of annotations.

    Examples
    --------
    >>> import evalstats as es
    >>> truth = es.read_ground_truth(
    ...     {
    ...         "images": [{"id": 7}, {"id": 3}],
    ...         "categories": [{"id": 1}],
    ...         "annotations": [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [0, 0, 9, 9]}],
    ...     }
    ... )
    >>> truth.image_ids.tolist()
    [3, 7]
    """
    if isinstance(source, GroundTruth):
        return source
    document = _document(source)
    for key in ("images", "annotations", "categories"):
        if key not in document:
            raise InputError(f"ground_truth has no {key!r}: pass COCO or LVIS json")
    images, annotations = (
        _Table(f"ground_truth {key}", document[key]) for key in ("images", "annotations")
    )
    categories = _categories(_Table("ground_truth categories", document["categories"]))
    image_id = images.integers("id")
    _require_unique(image_id, "ground_truth images")
    order = np.argsort(image_id, kind="stable")
    image_ids = image_id[order]
    annotation_id = annotations.integers("id", np.arange(len(annotations)))
    _require_unique(annotation_id, "ground_truth annotations")
    owner = annotations.integers("image_id")
    image = np.minimum(np.searchsorted(image_ids, owner), max(len(image_ids) - 1, 0))
    _refuse_unknown(len(image_ids) == 0 or image_ids[image] != owner, owner, "image_id")
    category = categories.positions(annotations.integers("category_id"))
    _refuse_unknown(category < 0, annotations.integers("category_id"), "category_id")
    rows = np.argsort(image, kind="stable")
    box = _boxes(annotations, box_format, "ground_truth annotations", required=iou_type == "bbox")
    size = np.column_stack(
        [images.integers(side, np.zeros(len(images), int)) for side in ("height", "width")]
    )
    masks = None
    if iou_type == "segm":
        segmentations = annotations.values("segmentation")
        masks = masks_from_segmentations(
            segmentations, size[order][image], "ground_truth annotations"
        )[rows]
    negative, incomplete = _federated(images, order, categories)
    plain = np.zeros((len(annotations), 4)) if box is None else box
    area = annotations.floats("area", plain[:, 2] * plain[:, 3])
    if not bool(np.isfinite(area).all()):
        row = int(np.argmin(np.isfinite(area)))
        raise InputError(
            f"ground_truth annotations has area {area[row]} in row {row}: it must be finite"
        )
    zeros = np.zeros(len(annotations), dtype=np.int64)
    return GroundTruth(
        image_ids=image_ids,
        offsets=np.searchsorted(image[rows], np.arange(len(image_ids) + 1)).astype(np.int64),
        category=category[rows],
        box=plain[rows],
        area=area[rows],
        ignore=(annotations.integers("ignore", zeros) != 0).astype(np.uint8)[rows],
        crowd=(annotations.integers("iscrowd", zeros) != 0).astype(np.uint8)[rows],
        annotation_id=annotation_id[rows],
        categories=categories,
        size=size[order],
        negative=negative,
        not_exhaustive=incomplete,
        masks=masks,
    )


@typed_options
def read_detections(
    source: object, *, box_format: BoxFormat = "xywh", label: str = "detections"
) -> Detections:
    """Read scored detections of one model from COCO result json, a frame or arrays.

    Parameters
    ----------
    source : path, list of records, data frame, mapping of arrays or Detections
        ``image_id``, ``category_id``, ``score`` and boxes, as ``bbox`` (D, 4) or as four columns
        (``x, y, w, h``, or ``x1, y1, x2, y2`` with ``box_format="xyxy"``), or masks, as
        ``segmentation`` or as ``rle_counts`` and ``rle_size``.
    box_format : {"xywh", "xyxy"}
        What boxes hold; never guessed.
    label : str
        What error messages call it.

    Returns
    -------
    Detections
        Sorted by image, in file order within an image.

    Raises
    ------
    InputError
        If a column is missing, or a score or box is not finite or negative.

    Notes
    -----
    Files are parsed into columns at once, without an object for each detection. O(n log n).

    Examples
    --------
    >>> import evalstats as es
    >>> found = es.read_detections(
    ...     {
    ...         "image_id": [1, 1],
    ...         "category_id": [3, 3],
    ...         "score": [0.2, 0.9],
    ...         "bbox": [[0, 0, 5, 5], [1, 1, 5, 5]],
    ...     }
    ... )
    >>> len(found), len(found.score)
    (1, 2)
    """
    if isinstance(source, Detections):
        return source
    table = _Table(label, _results(source, label))
    image_id, category_id = table.integers("image_id"), table.integers("category_id")
    score = table.floats("score")
    bad = ~np.isfinite(score)
    if bool(bad.any()):
        row = int(np.argmax(bad))
        raise InputError(f"{label} has score {score[row]} in row {row}: remove or repair it")
    box = _boxes(table, box_format, label, required=False)
    masks = _result_masks(table, label)
    if box is None and masks is None and len(table):
        raise InputError(f"{label} has neither boxes ('bbox') nor masks ('segmentation')")
    if box is None and not len(table):
        box = np.zeros((0, 4))
    order = np.argsort(image_id, kind="stable")
    image_ids, starts = np.unique(image_id[order], return_index=True)
    return Detections(
        image_ids=image_ids,
        offsets=np.append(starts, len(order)).astype(np.int64),
        category_id=category_id[order],
        score=score[order],
        row=order,
        box=None if box is None else box[order],
        masks=None if masks is None else masks[order],
        boxes_first=box is not None,
    )


def _document(source: object) -> Mapping[str, Any]:
    if isinstance(source, Mapping):
        return source
    if isinstance(source, str | Path):
        document = parse_json(read_content(source), source)
        if isinstance(document, dict):
            return document
    raise InputError("ground_truth must be a json file or a mapping with images and annotations")


def _results(source: object, label: str) -> object:
    if not isinstance(source, str | Path):
        return source
    reader = FRAME_READERS.get(Path(source).suffix)
    if reader is not None:
        try:
            return getattr(pl, reader)(Path(source))
        except (OSError, pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise InputError(f"{label}: {source} cannot be read: {error}") from error
    content = read_content(source)
    if not content.lstrip()[:1] == b"[":
        raise InputError(f"{label}: {source} is no list of results: pass COCO result json")
    return _parse_results(content, label)


def _parse_results(content: bytes, label: str) -> object:
    head = content[:4000]
    names = ["image_id", "category_id", "score"]
    names += [name for name in ("bbox", "segmentation") if f'"{name}"'.encode() in head]
    try:
        frame = pl.read_json(content, schema={name: RESULT_SCHEMA[name] for name in names})
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        frame = None
    if frame is not None and not any(frame[name].null_count() for name in names):
        return frame
    # Uncompressed RLE, polygons, NaN or missing keys: the general parser finds the row.
    return parse_json(content, label)


class _Table:
    """Columns of records, frames or mappings alike."""

    def __init__(self, label: str, source: object) -> None:
        self.label = label
        self.records: Sequence[Mapping[str, Any]] | None = None
        self.frame: Any = None
        if isinstance(source, Mapping):
            self.columns: Mapping[str, Any] = {
                name: _listed_column(label, name, column) for name, column in source.items()
            }
            self.length = len(next(iter(self.columns.values()))) if source else 0
        elif isinstance(source, Sequence) and not isinstance(source, str):
            for row, record in enumerate(source):
                if not isinstance(record, Mapping):
                    raise InputError(f"{label} row {row} is no record with named values")
            self.records = source
            self.length = len(source)
        else:
            import narwhals as nw

            frame = nw.from_native(source, pass_through=True)
            if isinstance(frame, nw.LazyFrame):
                frame = frame.collect()
            if not isinstance(frame, nw.DataFrame):
                raise InputError(
                    f"{label} is a {type(source).__name__}: pass json, records, a frame or arrays"
                )
            self.frame = frame
            self.length = len(frame)

    def __len__(self) -> int:
        return self.length

    def has(self, name: str) -> bool:
        if self.records is not None:
            return self.length > 0 and name in self.records[0]
        return name in (self.frame.columns if self.frame is not None else self.columns)

    def values(self, name: str) -> Any:
        """Whatever the column holds, as a sequence of `length`."""
        if self.records is not None:
            try:
                return [record[name] for record in self.records]
            except KeyError:
                row = next(i for i, item in enumerate(self.records) if name not in item)
                raise InputError(f"{self.label} row {row} has no {name!r}") from None
        if not self.has(name):
            raise InputError(f"{self.label} has no {name!r}")
        column = self.frame.get_column(name) if self.frame is not None else self.columns[name]
        if len(column) != self.length:
            raise InputError(f"{self.label}: {name} has {len(column)} rows, not {self.length}")
        return column

    def floats(self, name: str, default: Array | None = None) -> Array:
        if default is not None and not self.anywhere(name):
            return default
        return np.asarray(self._numbers(name, np.float64, default))

    def integers(self, name: str, default: Codes | None = None) -> Codes:
        if default is not None and not self.anywhere(name):
            return default
        return np.asarray(self._numbers(name, np.int64, default))

    def anywhere(self, name: str) -> bool:
        if self.records is not None:
            return any(name in record for record in self.records)
        return self.has(name)

    def _numbers(self, name: str, dtype: Any, default: Any) -> Any:
        if default is not None and self.records is not None:
            values: Any = [record.get(name, default[i]) for i, record in enumerate(self.records)]
        else:
            values = self.values(name)
        try:
            numbers = np.asarray(values.to_numpy() if hasattr(values, "to_numpy") else values)
            if numbers.dtype.kind == "c":
                raise TypeError("they are complex")
            if dtype is np.int64 and numbers.dtype.kind == "f":
                numbers = numbers.astype(np.float64)  # float16 cannot be compared with 2^63
                whole = (np.abs(numbers) < 2.0**63) & (numbers == np.floor(numbers))
                if not bool(whole.all()):
                    row = int(np.argmin(whole))
                    raise InputError(f"{self.label} has {name} {numbers[row]} in row {row}")
            return np.ascontiguousarray(numbers.astype(dtype)).reshape(self.length)
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{self.label}: {name} cannot be read as numbers: {error}") from error


def _boxes(table: _Table, box_format: BoxFormat, label: str, *, required: bool) -> Array | None:
    if box_format not in CORNERS:
        raise InputError(f"box_format={box_format!r}: choose 'xywh' or 'xyxy'")
    names = CORNERS[box_format]
    if table.has("bbox"):
        box = _box_column(table, label)
    elif all(table.has(name) for name in names):
        box = np.column_stack([table.floats(name) for name in names])
    elif required and len(table):
        raise InputError(f"{label} has no 'bbox' and no columns {', '.join(names)}")
    else:
        return None
    bad = ~np.isfinite(box).all(axis=1)
    if bool(bad.any()):
        row = int(np.argmax(bad))
        raise InputError(f"{label} has bbox {box[row].tolist()} in row {row}: it must be finite")
    if box_format == "xyxy":
        box = np.column_stack([box[:, :2], box[:, 2:] - box[:, :2]])
    bad = (box[:, 2:] < 0).any(axis=1)
    if bool(bad.any()):
        row = int(np.argmax(bad))
        raise InputError(
            f"{label} has width and height {box[row, 2:].tolist()} in row {row}: they must be "
            f">= 0; is box_format={box_format!r} right?"
        )
    return np.ascontiguousarray(box)


def _box_column(table: _Table, label: str) -> Array:
    values = table.values("bbox")
    if table.frame is not None:
        series = pl.Series(
            values.to_list() if not hasattr(values, "to_polars") else values.to_polars()
        )
        if isinstance(series.dtype, pl.List | pl.Array):
            lengths = series.list.len() if isinstance(series.dtype, pl.List) else None
            if lengths is None or bool((lengths == 4).all()):
                try:
                    flat = series.explode().cast(pl.Float64).to_numpy()
                except pl.exceptions.PolarsError as error:
                    raise InputError(f"{label} has a bbox that is no numbers: {error}") from error
                return np.ascontiguousarray(flat.reshape(len(series), 4))
            row = int((lengths != 4).arg_max() or 0)
            raise InputError(f"{label} has a bbox of {lengths[row]} numbers in row {row}")
    try:
        numbers = np.array(values)
        if numbers.dtype.kind == "c":
            raise TypeError("complex numbers")
        box = numbers.astype(np.float64)
        return box.reshape(len(table), 4)
    except (TypeError, ValueError) as error:
        row = next((i for i, item in enumerate(values) if not _is_box(item)), 0)
        raise InputError(f"{label} has no box of four numbers in row {row}") from error


def _is_box(item: object) -> bool:
    return isinstance(item, Sequence | np.ndarray) and len(item) == 4


def _listed_column(label: str, name: object, column: Any) -> Any:
    """A column of a mapping, which must have a length."""
    if isinstance(column, str | bytes | Mapping) or not hasattr(column, "__len__"):
        raise InputError(f"{label}: {name} is a {type(column).__name__}: pass one value per row")
    if isinstance(column, np.ndarray) and column.ndim == 0:
        raise InputError(f"{label}: {name} is a single value: pass one value per row")
    return column


def _result_masks(table: _Table, label: str) -> Masks | None:
    if table.has("rle_counts"):
        size = mask_sizes(list(table.values("rle_size")), label)
        return masks_from_text(list(table.values("rle_counts")), size, label)
    if not table.has("segmentation"):
        return None
    values = table.values("segmentation")
    if table.frame is not None and hasattr(values, "to_polars"):
        series = values.to_polars()
        size = mask_sizes(series.struct.field("size").to_list(), label)
        return masks_from_text(series.struct.field("counts").to_list(), size, label)
    values = list(values)
    for row, item in enumerate(values):
        if not isinstance(item, Mapping):
            raise InputError(f"{label} has no RLE mask in row {row}: encode masks as RLE")
    size = mask_sizes([item.get("size") for item in values], label)
    return masks_from_segmentations([dict(item) for item in values], size, label)


def _categories(table: _Table) -> Categories:
    ids = table.integers("id")
    _require_unique(ids, "ground_truth categories")
    order = np.argsort(ids)
    names = (
        [str(name) for name in table.values("name")]
        if table.has("name")
        else [str(number) for number in ids.tolist()]
    )
    frequency = np.full(len(ids), -1, dtype=np.int64)
    if table.has("frequency"):
        for row, letter in enumerate(table.values("frequency")):
            if letter not in FREQUENCIES:
                raise InputError(
                    f"ground_truth categories row {row} has frequency {letter!r}: use 'r', 'c', 'f'"
                )
            frequency[row] = FREQUENCIES.index(letter)
    return Categories(ids[order], tuple(names[i] for i in order), frequency[order])


def _federated(
    images: _Table, order: Codes, categories: Categories
) -> tuple[Ragged | None, Ragged | None]:
    keys = ("neg_category_ids", "not_exhaustive_category_ids")
    if not any(images.anywhere(key) for key in keys):
        return None, None
    lists = [list(images.values(key)) for key in keys]
    for key, column in zip(keys, lists, strict=True):
        for row, item in enumerate(column):
            listed = isinstance(item, Sequence | np.ndarray | pl.Series) and not isinstance(
                item, str
            )
            if not listed or not all(isinstance(number, int | np.integer) for number in item):
                raise InputError(f"ground_truth images row {row}: {key} is no list of integers")
    negative, incomplete = (_listed(column, order, categories) for column in lists)
    return negative, incomplete


def _listed(lists: Sequence[Sequence[int]], order: Codes, categories: Categories) -> Ragged:
    chosen = [lists[row] for row in order.tolist()]
    offsets = np.concatenate([[0], np.cumsum([len(item) for item in chosen])]).astype(np.int64)
    numbers = [int(number) for item in chosen for number in item]
    flat = np.array([n if abs(n) < 2**63 else -1 for n in numbers], dtype=np.int64)
    position = categories.positions(flat)
    kept = position >= 0
    ends = np.concatenate([[0], np.cumsum(kept)]).astype(np.int64)
    return Ragged(ends[offsets], np.ascontiguousarray(position[kept]))


def _require_unique(ids: Codes, label: str) -> None:
    unique, first = np.unique(ids, return_index=True)
    if len(unique) < len(ids):
        again = np.setdiff1d(np.arange(len(ids)), first)
        row = int(again[0])
        raise InputError(f"{label} repeat id {ids[row]} in row {row}: ids must be unique")


def _refuse_unknown(unknown: NDArray[np.bool_] | bool, ids: Codes, what: str) -> None:
    if np.any(unknown) and len(ids):
        row = int(np.argmax(np.broadcast_to(unknown, ids.shape)))
        raise InputError(f"ground_truth annotations row {row}: unknown {what} {ids[row]}")
