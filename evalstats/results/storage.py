"""Lossless, versioned files of estimates: a numpy archive without pickled objects."""

import dataclasses
import io
import json
import os
import tempfile
import zipfile
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.errors import InputError

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
    """Read the fields of an estimate from a file that :func:`save` wrote."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        document = json.loads(arrays.pop("meta").tobytes())
        terms = pl.read_ipc(io.BytesIO(arrays.pop("terms").tobytes()))
    except FileNotFoundError:
        raise
    except (ValueError, KeyError, OSError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(f"{path} is no saved Estimate: {error}") from error
    if document.get("format") != FORMAT or document["version"] > FORMAT_VERSION:
        raise InputError(
            f"{path} has format {document.get('format')!r} version {document.get('version')!r}, "
            f"which this version of evalstats does not read: upgrade evalstats"
        )
    fields = document["fields"]
    for name in ("interval", "notes", "citation_keys"):
        fields[name] = tuple(fields[name])
    fields["warnings"] = tuple((code, message) for code, message in fields.get("warnings", ()))
    support = {
        name.removeprefix("support."): arrays.pop(name)
        for name in list(arrays)
        if name.startswith("support.")
    }
    return {**fields, **arrays, "terms": terms, "support": support}


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
