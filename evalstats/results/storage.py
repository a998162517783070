"""Lossless, versioned files of estimates: a numpy archive without pickled objects."""

import dataclasses
import io
import json
import os
import tempfile
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.data.archives import read_arrays
from evalstats.data.files import BROKEN
from evalstats.errors import InputError
from evalstats.inference.scales import SCALES

if TYPE_CHECKING:
    from evalstats.results.estimate import Estimate

FORMAT = "evalstats.Estimate"
FORMAT_VERSION = 2
ARRAYS = (
    "value",
    "standard_error",
    "covariance",
    "replicates",
    "df",
    "residual_df",
    "sample",
    "n",
)
TERM_AXES = {"skewness": (0, 1, 2), "replicate_covariance": (1, 2), "influence_covariance": (0, 1)}
# What an interval of each kind is computed from.
SUPPORT_OF: dict[str, frozenset[str]] = {
    "binomial_logit": frozenset({"n_positive"}),
    "small_sample": frozenset({"n_positive"}),
    "newcombe": frozenset({"n_positive", "n_negative"}),
    "confidence_curve": frozenset({"curve_value", "curve_above", "curve_below"}),
    "bias_corrected": frozenset({"bias"}),
    "bca": frozenset({"acceleration"}),
    "studentized": frozenset({"replicate_covariance"}),
}
_FIELDS: dict[str, Any] = {
    "name": str,
    "unit": str,
    "n_units": int,
    "n_clusters": int | None,
    "inference": str,
    "level": float,
    "scale": str,
    "interval": list,
    "higher_is_better": bool | None,
    "n_failed": int,
    "n_dropped": int,
    "notes": list,
    "warnings": list,
    "method_text": str,
    "citation_keys": list,
}


def take_support(name: str, array: NDArray[Any], rows: NDArray[np.int64]) -> NDArray[Any]:
    """Restrict a support array to the given terms along each of its term axes."""
    for axis in TERM_AXES.get(name, (array.ndim - 1,)):
        array = np.take(array, rows, axis=axis)
    return array


def save(estimate: "Estimate", path: "str | PathLike[str]") -> None:
    """Write `estimate` to `path`; the file appears whole or not at all."""
    arrays: dict[str, NDArray[Any]] = {
        name: getattr(estimate, name) for name in ARRAYS if getattr(estimate, name) is not None
    }
    arrays.update({f"support.{name}": array for name, array in estimate.support.items()})
    terms = io.BytesIO()
    estimate.terms.write_ipc(terms)
    arrays["terms"] = np.frombuffer(terms.getvalue(), dtype=np.uint8)
    meta = {
        field.name: getattr(estimate, field.name)
        for field in dataclasses.fields(estimate)
        if field.name not in {*ARRAYS, "support", "terms"}
    }
    document = {"format": FORMAT, "version": FORMAT_VERSION, "fields": meta}
    arrays["meta"] = np.frombuffer(json.dumps(document).encode(), dtype=np.uint8)
    target = Path(path)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type] # numpy 2.1 has no allow_pickle
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load(path: "str | PathLike[str]") -> dict[str, Any]:
    """Read the fields of an estimate from a file that :func:`save` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no file.
    InputError
        If the file is damaged, holds something else or comes from a newer format.
    """
    if not Path(path).is_symlink():
        Path(path).stat()
    try:
        arrays = read_arrays(path)
        document = json.loads(arrays.pop("meta").tobytes())
        terms = pl.read_ipc(io.BytesIO(arrays.pop("terms").tobytes()))
        known = document["format"] == FORMAT and document["version"] <= FORMAT_VERSION
        name, version = document["format"], document["version"]
        fields = dict(document["fields"])
    except (ValueError, KeyError, TypeError, RecursionError, *BROKEN) as error:
        raise InputError(f"{path} is no saved Estimate: {error}") from error
    if not known:
        raise InputError(
            f"{path} has format {name!r} version {version!r}, "
            f"which this version of evalstats does not read: upgrade evalstats"
        )
    # Files of version 1 hold no warnings.
    fields.setdefault("warnings", [])
    support = {
        name.removeprefix("support."): arrays.pop(name)
        for name in list(arrays)
        if name.startswith("support.")
    }
    fault = _fault(fields, arrays, support, terms.height)
    if fault is not None:
        raise InputError(f"{path} is no saved Estimate: {fault}")
    for name in ("interval", "notes", "citation_keys"):
        fields[name] = tuple(fields[name])
    fields["warnings"] = tuple((code, message) for code, message in fields["warnings"])
    return {**fields, **arrays, "terms": terms, "support": support}


def _fault(
    fields: dict[str, Any],
    arrays: dict[str, NDArray[Any]],
    support: dict[str, NDArray[Any]],
    k: int,
) -> str | None:
    """What makes the content of a file unlike that of any estimate; None if nothing does."""
    for name, kind in _FIELDS.items():
        if name not in fields or not isinstance(fields[name], kind):
            return f"{name} is missing or of a wrong type"
    if unknown := (fields.keys() - _FIELDS.keys()) | (arrays.keys() - set(ARRAYS)):
        return f"it holds {sorted(unknown)}"
    if not 0 < fields["level"] < 1 or fields["scale"] not in SCALES:
        return "its level or scale is unknown"
    words = [item for name in ("interval", "notes", "citation_keys") for item in fields[name]]
    if not all(isinstance(word, str) for word in words) or len(fields["interval"]) != k:
        return "interval, notes or citations are malformed"
    pairs = [isinstance(pair, list) and len(pair) == 2 for pair in fields["warnings"]]
    if not all(pairs) or not all(isinstance(w, str) for pair in fields["warnings"] for w in pair):
        return "warnings are malformed"
    for name in ARRAYS:
        if name not in arrays and name != "replicates":
            return f"{name} is missing"
        drawn = np.shape(arrays.get("replicates", ()))[:1]
        shape = {"covariance": (k, k), "replicates": (*drawn, k)}
        if name in arrays and (
            arrays[name].shape != shape.get(name, (k,)) or arrays[name].dtype.kind not in "if"
        ):
            return f"{name} has dtype {arrays[name].dtype} and shape {arrays[name].shape}"
    return _support_fault(fields["interval"], support, k)


def _support_fault(intervals: list[str], support: dict[str, NDArray[Any]], k: int) -> str | None:
    for interval, names in SUPPORT_OF.items():
        if interval in intervals and not support.keys() >= names:
            return f"intervals of the kind {interval} need {sorted(names)}"
    for name, array in support.items():
        axes = TERM_AXES.get(name, (array.ndim - 1,))
        if array.ndim == 0 or any(axis >= array.ndim or array.shape[axis] != k for axis in axes):
            return f"{name} has shape {array.shape}"
    return None


def equal(first: "Estimate", second: "Estimate") -> bool:
    """Whether two estimates hold the same numbers, terms and description."""
    for field in dataclasses.fields(first):
        a, b = getattr(first, field.name), getattr(second, field.name)
        if field.name == "terms":
            same = bool(a.equals(b))
        elif field.name == "support":
            same = a.keys() == b.keys() and all(
                np.array_equal(a[name], b[name], equal_nan=True) for name in a
            )
        elif isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
            same = np.array_equal(a, b, equal_nan=True)
        elif isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
            same = False
        else:
            same = a == b
        if not same:
            return False
    return True
