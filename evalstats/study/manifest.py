"""What makes a run reproducible, and, apart from it, how long the run took."""

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evalstats.report.manifest import software_versions
from evalstats.study.hashing import code_digest, file_digest
from evalstats.study.stored import StepResult

if TYPE_CHECKING:
    from evalstats.study.result import StudyResult

# Beyond what every report lists: they read data, fit formulas or draw.
FURTHER = ("narwhals", "joblib", "formulaic", "matplotlib", "jinja2", "pycocotools")


def make_manifest(result: "StudyResult") -> dict[str, Any]:
    """Everything that decides the numbers: equal runs have equal manifests.

    Parameters
    ----------
    result : StudyResult
        What was found.
    """
    specification = result.specification
    return {
        "format": "evalstats.manifest",
        "version": 1,
        "title": specification.title,
        "study": result.record.get("study"),
        "seed": specification.seed,
        "data": {
            name: {"rows": source.n_rows(), **(source.describe() or {})}
            for name, source in specification.sources.items()
        },
        "metrics": [_metric(item) for item in result.finished],
        "families": [
            {"name": family.name, "metrics": list(family.metrics), "adjust": family.adjust}
            for family in specification.families
        ],
        "software": _software(),
    }


def _software() -> dict[str, str]:
    versions = software_versions()
    # Results do not depend on how many processors computed them.
    versions.pop("processors")
    versions |= {name: _version(name) for name in FURTHER}
    return {**versions, "sources of evalstats": f"sha256 {code_digest()}"}


def for_readers(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a page shows of a manifest; the rest is in ``manifest.json``."""
    study = dict(manifest["study"] or {})
    study.pop("text", None)
    names = ("estimator", "data", "units", "clusters", "inference", "seed", "key")
    metrics = {
        metric["name"]: {name: metric[name] for name in names if metric[name] is not None}
        for metric in manifest["metrics"]
    }
    shown = {
        "seed": manifest["seed"],
        "data": {name: _data_shown(data) for name, data in manifest["data"].items()},
        "metrics": metrics,
        "software": manifest["software"],
    }
    return {"study": study, **shown} if study else shown


def _data_shown(data: Mapping[str, Any]) -> dict[str, Any]:
    """One line for each file."""
    shown = {name: value for name, value in data.items() if not isinstance(value, list)}
    for name, value in data.items():
        if isinstance(value, list):
            shown[name] = [
                f"{item['path']}: {item['bytes']:,} bytes, sha256 {item['sha256']}"
                for item in value
            ]
    return shown


def _metric(item: Any) -> dict[str, Any]:
    step, result = item.step, item.result
    if not isinstance(result, StepResult):
        raise AssertionError("a study with failed steps has no manifest")
    estimate, comparison = result.estimate, step.comparison
    return {
        "name": step.name,
        "estimator": repr(step.estimator),
        "data": step.source.name,
        "arguments": {name: _shown(value) for name, value in step.arguments.items()},
        "seed": step.seed,
        "key": step.key,
        "units": f"{estimate.n_units} {estimate.unit}s",
        "clusters": estimate.n_clusters,
        "dropped": estimate.n_dropped,
        "failed_replicates": estimate.n_failed,
        "inference": estimate.inference,
        "comparison": None if comparison is None else vars(comparison),
        "warnings": [{"code": code, "message": message} for code, message in result.warnings],
    }


def _shown(value: Any) -> Any:
    """Names of columns as they are; of arrays only what kind they are."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        return {str(name): _shown(item) for name, item in value.items()}
    if isinstance(value, list | tuple) and all(isinstance(item, str | list) for item in value):
        return [_shown(item) for item in value]
    return f"<{type(value).__name__}>"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def with_files(manifest: Mapping[str, Any], folder: Path, files: list[Path]) -> dict[str, Any]:
    """The manifest with the hash of every file that was written."""
    hashed = {
        path.relative_to(folder).as_posix(): file_digest(path)["sha256"] for path in sorted(files)
    }
    return {**manifest, "files": hashed}


def make_timings(result: "StudyResult") -> dict[str, Any]:
    """How the run went: what differs between equal runs."""
    return {
        "format": "evalstats.timings",
        **{name: result.record.get(name) for name in ("command", "started", "seconds", "workers")},
        "metrics": [
            {
                "name": item.step.name,
                "status": "cached" if item.cached else "computed",
                "seconds": round(getattr(item.result, "seconds", 0.0), 3),
            }
            for item in result.finished
        ],
    }


def as_json(document: Mapping[str, Any]) -> str:
    """Text with fixed order and layout."""
    return json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n"


def text_digest(text: str) -> str:
    """SHA-256 of a text as UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()
