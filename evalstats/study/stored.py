"""The result of a step, and its file: one archive of plain data, written whole or not at all."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from evalstats.errors import InputError
from evalstats.report.drawings import Images
from evalstats.report.files import write_atomically
from evalstats.report.section import Figure
from evalstats.results.estimate import Estimate

FORMAT = "evalstats.Step"
FORMAT_VERSION = 1
RECORD = "record.json"
ESTIMATE = "estimate.npz"
DIFFERENCES = "differences.parquet"
# What reports and papers may ask for.
FORMS = ("png", "pdf", "svg")
# The date of all members, so that equal results are equal files.
NO_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class StepResult:
    """What a step found.

    Attributes
    ----------
    estimate : Estimate
        The estimates.
    differences : polars.DataFrame or None
        Comparisons, adjusted within the metric.
    warnings : tuple of (code, message)
        What was warned about.
    tables : mapping of str to polars.DataFrame
        Diagnostics by title.
    figures : tuple of Figure
        Figures of the method itself, drawn.
    drawn : bool
        Whether figures were asked for.
    seconds : float
        Time it took to compute.
    """

    estimate: Estimate
    differences: pl.DataFrame | None
    warnings: tuple[tuple[str, str], ...] = ()
    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    figures: tuple[Figure, ...] = ()
    drawn: bool = False
    seconds: float = 0.0


def estimate_bytes(estimate: Estimate) -> bytes:
    """The file that :meth:`evalstats.Estimate.save` writes."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ESTIMATE
        estimate.save(path)
        return path.read_bytes()


def save_result(result: StepResult, identity: Mapping[str, Any], path: Path) -> None:
    """Write a result and what it was computed from.

    Raises
    ------
    InputError
        If the folder cannot be written to.
    """
    members = {ESTIMATE: estimate_bytes(result.estimate)}
    if result.differences is not None:
        members[DIFFERENCES] = _parquet(result.differences)
    for position, table in enumerate(result.tables.values()):
        members[f"table-{position}.parquet"] = _parquet(table)
    for position, figure in enumerate(result.figures):
        for form, content in figure.drawn(FORMS).forms.items():
            members[f"figure-{position}.{form}"] = content
    record = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "identity": identity,
        "warnings": result.warnings,
        "tables": list(result.tables),
        "figures": [[f.name, f.caption, f.drawn(FORMS).width] for f in result.figures],
        "drawn": result.drawn,
        "seconds": result.seconds,
        "sha256": {name: hashlib.sha256(item).hexdigest() for name, item in members.items()},
    }
    members[RECORD] = json.dumps(record, ensure_ascii=False).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, NO_DATE), content)
    write_atomically(path, buffer.getvalue())


def load_result(path: Path, identity: Mapping[str, Any]) -> StepResult:
    """Read what :func:`save_result` wrote.

    Raises
    ------
    InputError
        If the file is damaged, or holds the result of something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        record = json.loads(members.pop(RECORD))
        if (record["format"], record["version"]) != (FORMAT, FORMAT_VERSION):
            raise InputError(f"{path.name} has another format")
        found = {name: hashlib.sha256(item).hexdigest() for name, item in members.items()}
        if found != record["sha256"]:
            raise InputError(f"{path.name} is damaged")
        if record["identity"] != json.loads(json.dumps(identity)):
            raise InputError(f"{path.name} belongs to something else")
        return _result(record, members)
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, OSError, EOFError) as error:
        raise InputError(f"{path.name} is damaged: {error}") from error
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{path.name} is damaged: {error}") from error


def _result(record: Mapping[str, Any], members: Mapping[str, bytes]) -> StepResult:
    tables = {
        title: pl.read_parquet(members[f"table-{position}.parquet"])
        for position, title in enumerate(record["tables"])
    }
    figures = []
    for position, (name, caption, width) in enumerate(record["figures"]):
        start = f"figure-{position}."
        forms = {
            member.removeprefix(start): content
            for member, content in members.items()
            if member.startswith(start)
        }
        figures.append(Figure(name, caption, Images(forms, float(width))))
    differences = members.get(DIFFERENCES)
    return StepResult(
        _estimate(members[ESTIMATE]),
        None if differences is None else pl.read_parquet(differences),
        tuple((code, message) for code, message in record["warnings"]),
        tables,
        tuple(figures),
        bool(record["drawn"]),
        float(record["seconds"]),
    )


def _estimate(content: bytes) -> Estimate:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ESTIMATE
        path.write_bytes(content)
        return Estimate.load(path)


def _parquet(frame: pl.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()
