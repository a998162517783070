"""The verb ``detection``: several detectors, several protocols, one matching pass."""

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from evalstats.detection.average_precision import AveragePrecision
from evalstats.detection.base import DetectionEstimator, read_models
from evalstats.detection.files import read_ground_truth
from evalstats.detection.matching import IouType
from evalstats.detection.pooled import PooledAveragePrecision
from evalstats.detection.protocols import Ties
from evalstats.detection.records import aligned
from evalstats.errors import InputError
from evalstats.inference.methods import Bootstrap, Inference, NoInference
from evalstats.report.files import write_atomically
from evalstats.report.output import FORMAT_OF_SUFFIX, Format, render
from evalstats.report.progress import progress_shown
from evalstats.report.run import exit_codes


class ProtocolName(Enum):
    """Protocols by name; typer lists enumerations, not literals."""

    coco = "coco"
    lvis = "lvis"
    fixed = "fixed"
    pool = "pool"


def detection(
    ground_truth: Annotated[Path, typer.Argument(metavar="GT.json", help="COCO or LVIS json.")],
    detections: Annotated[
        list[Path], typer.Argument(metavar="DT.json...", help="Result json of each detector.")
    ],
    protocol: Annotated[
        list[ProtocolName] | None,
        typer.Option(
            help="Protocol; several share one matching pass. By default coco, or fixed "
            "and pool for LVIS data."
        ),
    ] = None,
    iou_type: Annotated[IouType, typer.Option(help="Overlap of boxes or masks.")] = "bbox",
    ties: Annotated[Ties, typer.Option(help="Rule for equal scores.")] = "reference",
    class_budget: Annotated[int, typer.Option(help="Detections of each category.")] = 10_000,
    metric: Annotated[
        list[str] | None, typer.Option(help="Only these numbers, such as AP or APr.")
    ] = None,
    bootstrap: Annotated[int, typer.Option(help="Replicates; 0 gives points only.")] = 1000,
    seed: Annotated[int, typer.Option(help="Seed of the bootstrap.")] = 0,
    level: Annotated[float, typer.Option(help="Confidence level.")] = 0.95,
    compare: Annotated[bool, typer.Option("--compare", help="Test paired differences.")] = False,
    output: Annotated[
        Format | None, typer.Option("--format", help="Output format; by --out, else a table.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write to this file instead.")] = None,
) -> None:
    """AP of object detectors with intervals: COCO, LVIS, AP-Fixed and AP-Pool."""
    with exit_codes():
        form: Format = "table"
        if output is not None:
            form = output
        elif out is not None:
            form = FORMAT_OF_SUFFIX.get(out.suffix.lower(), "table")
        inference = (
            Bootstrap(bootstrap, interval="bias_corrected", double=True, rng=seed)
            if bootstrap > 0
            else NoInference()
        )
        truth = read_ground_truth(ground_truth, iou_type=iou_type)
        models = {
            name: aligned(found, truth, f"detections[{name!r}]")
            for name, found in read_models(detections, "xywh").items()
        }
        names = [item.value for item in protocol or []]
        names = names or (["fixed", "pool"] if truth.federated else ["coco"])
        if form == "csv" and len(names) > 1:
            raise InputError("csv holds one table: give one --protocol, or another --format")
        texts = []
        for name in names:
            estimator = configured(name, iou_type, ties, class_budget, metric, inference, level)
            with progress_shown(f"{estimator.metric} ({name})"):
                estimate = estimator.fit(truth, models).estimate_
                differences = estimate.compare() if compare and len(models) > 1 else None
            title = f"protocol {name}\n" if form == "table" else ""
            texts.append(title + render(estimate, differences, form))
        text = _joined(texts, form)
        if out is None:
            sys.stdout.write(text)
            sys.stdout.flush()
        else:
            write_atomically(out, text)


def configured(
    protocol: str,
    iou_type: IouType,
    ties: Ties,
    class_budget: int,
    metrics: list[str] | None,
    inference: Inference,
    level: float,
) -> DetectionEstimator:
    """Estimator of one protocol."""
    if protocol == "pool":
        return PooledAveragePrecision(
            iou_type=iou_type,
            ties=ties,
            class_budget=class_budget,
            metrics=metrics,
            inference=inference,
            level=level,
        )
    return AveragePrecision(
        protocol=protocol,  # type: ignore[arg-type]
        iou_type=iou_type,
        ties=ties,
        class_budget=class_budget,
        metrics=metrics,
        inference=inference,
        level=level,
    )


def _joined(texts: list[str], form: Format) -> str:
    if form == "json" and len(texts) > 1:
        return "[\n" + ",\n".join(text.rstrip("\n") for text in texts) + "\n]\n"
    return "\n".join(texts)
