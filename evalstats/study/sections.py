"""The sections of a study's report: headline, forest plots, and one for each metric."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from evalstats.report.section import Figure, Section, Table
from evalstats.results.estimate import Estimate
from evalstats.results.layout import MEASURES
from evalstats.study.execution import Finished
from evalstats.study.names import slugs
from evalstats.study.result import StudyResult, named
from evalstats.study.stored import StepResult
from evalstats.study.views import RememberedDrawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Longer plots are unreadable; their numbers are in the tables.
MOST_ROWS = 40
RESERVED = ("headline", "differences", "warnings")


def make_sections(result: StudyResult) -> list[Section]:
    """Sections in the order of the study.

    Parameters
    ----------
    result : StudyResult
        What was found.
    """
    names = [item.step.name for item in result.finished]
    files = slugs([*RESERVED, *(f"\0{name}" for name in names)])
    file_of = {name: files[f"\0{name}"] for name in names}
    draw = result.specification.output.report or bool(result.specification.output.figures)
    sections = [*_headline(result), *(_forests(result, file_of) if draw else [])]
    differences = result.differences()
    for item in result.finished:
        if isinstance(item.result, StepResult):
            own = differences.get(item.step.name)
            sections.append(_metric(result, item, item.result, own, file_of[item.step.name], draw))
    return [*sections, *_families(result)]


def _headline(result: StudyResult) -> list[Section]:
    table = result.headline()
    if table is None:
        return []
    return [
        Section(
            title="Headline",
            intro="All metrics that are one number per model. Arrows show the better direction. "
            "Whether a difference is more than chance is a question for the paired comparisons "
            "below, not for overlapping intervals.",
            tables=(table,),
        )
    ]


def _forests(result: StudyResult, file_of: dict[str, str]) -> list[Section]:
    from evalstats.results.displays import plot_estimates

    figures = []
    for name, estimate in result.estimates.items():
        frame = _by_group(estimate.to_frame())
        if frame.height <= MOST_ROWS:
            caption = f"{name}: estimates with {100 * estimate.level:g}% intervals."
            figures.append(_figure(f"{file_of[name]}-forest", caption, plot_estimates(frame)))
    if not figures:
        return []
    return [
        Section(
            title="Forest plots",
            intro="Every estimate with its interval; each metric has its own scale.",
            figures=figures,
        )
    ]


def _metric(
    result: StudyResult,
    item: Finished,
    found: StepResult,
    differences: pl.DataFrame | None,
    file: str,
    draw: bool,
) -> Section:
    name, estimate = item.step.name, found.estimate
    tables = [
        Table(
            file,
            name,
            _by_group(estimate.to_frame()),
            note="; ".join(estimate.notes),
            level=estimate.level,
            higher_is_better=estimate.higher_is_better,
        )
    ]
    figures = [
        Figure(f"{file}-{figure.name}", f"{name}: {figure.caption}", figure.drawing)  # type: ignore[arg-type]
        for figure in (found.figures if draw else ())
    ]
    if differences is not None and differences.height:
        title = f"{name}: paired differences"
        tables.append(Table(f"{file}-differences", title, differences, level=estimate.level))
        if draw and differences.height <= MOST_ROWS:
            figures.append(_differences(result, item, differences, file))
    for number, (title, frame) in enumerate(found.tables.items(), 1):
        shown = _long(frame)
        if shown.height:
            tables.append(Table(f"{file}-diagnostics-{number}", f"{name}: {title.lower()}", shown))
    return Section(
        title=name,
        intro="\n\n".join([_sampled(item, estimate), *_warned(found)]),
        tables=tables,
        figures=figures,
        estimates=(estimate,),
    )


def _sampled(item: Finished, estimate: Estimate) -> str:
    text = f"{estimate.n_units:,} {estimate.unit}s"
    if estimate.n_clusters is not None:
        text += f" in {estimate.n_clusters:,} clusters"
    source = item.step.source
    text += f" of the data {source.name!r}. " if source.kind != "arrays" else ". "
    if estimate.n_dropped:
        text += f"{estimate.n_dropped:,} rows with missing values were left out. "
    return f"{text}Inference: {estimate.inference}."


def _warned(found: StepResult) -> list[str]:
    # With `Section(warnings=...)` these become the warnings of the section.
    return [f"Warning [{code}]: {message}" for code, message in found.warnings]


def _differences(
    result: StudyResult, item: Finished, differences: pl.DataFrame, file: str
) -> Figure:
    from evalstats.results.displays import plot_differences

    comparison = item.step.comparison
    margin = None if comparison is None or not comparison.margin else comparison.margin
    families = result.specification.families
    family = next((f.name for f in families if item.step.name in f.metrics), None)
    over = "" if family is None else f" over the family {family}"
    return _figure(
        f"{file}-differences",
        f"{item.step.name}: paired differences with intervals and p-values adjusted{over}.",
        plot_differences(differences, margin=margin),
    )


def _families(result: StudyResult) -> list[Section]:
    families = result.specification.families
    if not families:
        return []
    found = result.comparisons()
    file_of = slugs([*RESERVED, *(f"\0family {family.name}" for family in families)])
    tables = []
    for family in families:
        frame = found.filter(pl.col("name").is_in(family.metrics)) if found.height else found
        if frame.height:
            title = f"Family {family.name}: all comparisons"
            tables.append(Table(file_of[f"\0family {family.name}"], title, named(frame)))
    if not tables:
        return []
    return [
        Section(
            title="Families of tests",
            intro="Comparisons that answer one question together are adjusted together, over all "
            "metrics of the family: " + " ".join(result.comparison_sentences()[-len(families) :]),
            tables=tables,
        )
    ]


def _by_group(frame: pl.DataFrame) -> pl.DataFrame:
    """Models of one group stand together, to be compared."""
    if "group" not in frame.columns:
        return frame
    first = [name for name in ("metric", "group") if name in frame.columns]
    return frame.select(*first, pl.exclude(first))


def _long(frame: pl.DataFrame) -> pl.DataFrame:
    """A table of any quantities as one that the table module can show."""
    if "estimate" in frame.columns and frame.columns[0] not in MEASURES:
        return frame
    labels = [name for name, dtype in frame.schema.items() if not dtype.is_numeric()]
    numbers = [name for name in frame.columns if name not in labels]
    if not numbers:
        return frame.clear()
    frame = frame.with_columns(pl.col(labels).cast(pl.String), pl.col(numbers).cast(pl.Float64))
    return frame.unpivot(
        numbers, index=labels or None, variable_name="quantity", value_name="estimate"
    )


def _figure(name: str, caption: str, axes: "Axes | Sequence[Any]") -> Figure:
    from matplotlib import pyplot

    drawing: Any = axes.figure  # type: ignore[union-attr]
    pyplot.close(drawing)
    return Figure(name, caption, RememberedDrawing(drawing))  # type: ignore[arg-type]
