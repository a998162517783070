"""The commands on folders of images: ``evalstats aupimo`` and ``evalstats aupro``."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from evalstats.anomaly.aupimo import AUPIMO
from evalstats.anomaly.aupro import AUPRO
from evalstats.anomaly.files import Folders, pair_folders
from evalstats.errors import InputError
from evalstats.inference.methods import Bootstrap, NoInference
from evalstats.report.files import write_atomically
from evalstats.report.output import FORMAT_OF_SUFFIX, render
from evalstats.report.progress import progress_shown
from evalstats.report.run import exit_codes


class OutputFormat(StrEnum):
    """Formats of the printed table."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    LATEX = "latex"
    MARKDOWN = "markdown"


class Adjustment(StrEnum):
    """Adjustments of p-values."""

    HOLM = "holm"
    BONFERRONI = "bonferroni"
    BH = "bh"
    BY = "by"
    MAX_T = "max-t"
    NONE = "none"


class Ties(StrEnum):
    """Credit of mask pixels that tie with normal pixels."""

    HALF = "half"
    CONSERVATIVE = "conservative"
    OPTIMISTIC = "optimistic"


class Mode(StrEnum):
    """Exact values, or the reference's grid."""

    EXACT = "exact"
    GRID = "grid"


Maps = Annotated[
    list[Path],
    typer.Option("--maps", help="Folder of anomaly maps; repeat the option for several models."),
]
Masks = Annotated[Path, typer.Option("--masks", help="Folder of masks: 0 and one other value.")]
Unmasked = Annotated[
    bool,
    typer.Option("--unmasked-are-normal", help="A map without a mask file is a normal image."),
]
Low = Annotated[bool, typer.Option("--low-is-anomalous", help="Low scores mean anomalous.")]
Level = Annotated[float, typer.Option("--level", help="Confidence level.")]
Resamples = Annotated[
    int | None, typer.Option("--bootstrap", metavar="N", help="Number of bootstrap replicates.")
]
Seed = Annotated[int, typer.Option("--seed", metavar="S", help="Seed of the bootstrap.")]
Compare = Annotated[bool, typer.Option("--compare", help="Also test paired differences.")]
Adjust = Annotated[Adjustment, typer.Option("--adjust", help="Adjustment of p-values.")]
Format = Annotated[OutputFormat | None, typer.Option("--format", help="Output format.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write to this file.")]


def aupimo(
    maps: Maps,
    masks: Masks,
    lower: Annotated[float, typer.Option(help="Lower bound of the false positive rate.")] = 1e-5,
    upper: Annotated[float, typer.Option(help="Upper bound of the false positive rate.")] = 1e-4,
    mode: Annotated[Mode, typer.Option(help="Exact, or the reference's grid.")] = Mode.EXACT,
    ties: Annotated[Ties, typer.Option(help="Credit of tied pixels.")] = Ties.HALF,
    scores: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Also write the score of every image.")
    ] = None,
    unmasked_are_normal: Unmasked = False,
    low_is_anomalous: Low = False,
    level: Level = 0.95,
    bootstrap: Resamples = None,
    seed: Seed = 0,
    compare: Compare = False,
    adjust: Adjust = Adjustment.HOLM,
    output: Format = None,
    out: Out = None,
) -> None:
    """Mean area under the per-image overlap curve of anomaly maps in folders."""
    with exit_codes(AUPIMO):
        folders = _folders(masks, maps, unmasked_are_normal)
        inference: Any = "auto" if bootstrap is None else Bootstrap(bootstrap, rng=seed)
        if mode is Mode.GRID:
            inference = NoInference()
        estimator = AUPIMO(
            fpr_bounds=(lower, upper),
            mode=mode.value,
            ties=ties.value,
            higher_is_anomalous=not low_is_anomalous,
            level=level,
            inference=inference,
        )
        with progress_shown(f"AUPIMO of {len(folders.names)} images"):
            estimator.fit(folders.masks, dict(folders.maps))
        if scores is not None:
            names = pl.Series("name", folders.names)
            frame = estimator.image_scores()
            named = frame.with_columns(names.gather(frame["image"]))
            write_atomically(scores, named.write_csv())
        _write(estimator, compare, adjust, output, out)


def aupro(
    maps: Maps,
    masks: Masks,
    max_fpr: Annotated[float, typer.Option(help="Limit of the false positive rate.")] = 0.3,
    unmasked_are_normal: Unmasked = False,
    low_is_anomalous: Low = False,
    level: Level = 0.95,
    bootstrap: Resamples = None,
    seed: Seed = 0,
    compare: Compare = False,
    adjust: Adjust = Adjustment.HOLM,
    output: Format = None,
    out: Out = None,
) -> None:
    """Mean overlap with the regions of masks, of anomaly maps in folders."""
    with exit_codes(AUPRO):
        folders = _folders(masks, maps, unmasked_are_normal)
        estimator = AUPRO(
            max_fpr=max_fpr,
            higher_is_anomalous=not low_is_anomalous,
            level=level,
            inference="auto" if bootstrap is None else Bootstrap(bootstrap, rng=seed),
        )
        with progress_shown(f"AUPRO of {len(folders.names)} images"):
            estimator.fit(folders.masks, dict(folders.maps))
        _write(estimator, compare, adjust, output, out)


def _folders(masks: Path, maps: list[Path], unmasked_are_normal: bool) -> Folders:
    named = {folder.resolve().name: folder for folder in maps}
    if len(named) < len(maps):
        named = {str(folder): folder for folder in maps}
    if len(named) < len(maps):
        raise InputError("--maps names a folder twice: remove one")
    return pair_folders(masks, named, unmasked_are_normal=unmasked_are_normal)


def _write(
    estimator: AUPIMO | AUPRO,
    compare: bool,
    adjust: Adjustment,
    output: OutputFormat | None,
    out: Path | None,
) -> None:
    estimate = estimator.estimate_
    differences = None
    if compare:
        method = None if adjust is Adjustment.NONE else adjust.value
        differences = estimate.compare(adjust=method)
    suffix = "" if out is None else out.suffix.lower()
    text = render(
        estimate,
        differences,
        FORMAT_OF_SUFFIX.get(suffix, "table") if output is None else output.value,
    )
    if out is None:
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        write_atomically(out, text)
