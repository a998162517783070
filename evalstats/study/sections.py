"""The sections of a study's report: headline, forest plots, and one for each metric."""

from typing import TYPE_CHECKING

import polars as pl

from evalstats.report.naming import unique_names
from evalstats.report.section import Figure, Section, Table
from evalstats.results.estimate import Estimate
from evalstats.study.diagnostics import diagnostics_table
from evalstats.study.execution import Finished
from evalstats.study.naming import named
from evalstats.study.stored import StepResult

if TYPE_CHECKING:
    from evalstats.study.result import StudyResult

# Longer plots are unreadable; their numbers are in the tables.
MOST_ROWS = 40
RESERVED = ("headline", "differences", "warnings")


def make_sections(result: "StudyResult") -> list[Section]:
    """Sections in the order of the study.

    Parameters
    ----------
    result : StudyResult
        What was found.
    """
    names = [item.step.name for item in result.finished]
    files = unique_names((name.lower() for name in names), taken=RESERVED)
    file_of = dict(zip(names, files, strict=True))
    draw = result.specification.output.report or bool(result.specification.output.figures)
    sections = [*_headline(result), *(_forests(result, file_of) if draw else [])]
    differences = result.differences()
    for item in result.finished:
        if isinstance(item.result, StepResult):
            own = differences.get(item.step.name)
            sections.append(_metric(result, item, item.result, own, file_of[item.step.name], draw))
    return [*sections, *_families(result)]


def _headline(result: "StudyResult") -> list[Section]:
    tables = result.headlines()
    if not tables:
        return []
    return [
        Section(
            title="Headline",
            intro="All metrics that are one number per model. Arrows show the better direction. "
            "Whether a difference is more than chance is a question for the paired comparisons "
            "below, not for overlapping intervals.\n\n" + " ".join(result.comparison_sentences()),
            tables=tables,
        )
    ]


def _forests(result: "StudyResult", file_of: dict[str, str]) -> list[Section]:
    from evalstats.results.displays import plot_estimates

    figures = []
    for name, estimate in result.estimates.items():
        frame = _for_readers(estimate.to_frame())
        if frame.height <= MOST_ROWS:
            caption = f"{name}: estimates with {100 * estimate.level:g}% intervals."
            figures.append(
                Figure.of_axes(f"{file_of[name]}-forest", caption, plot_estimates(frame))
            )
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
    result: "StudyResult",
    item: Finished,
    found: StepResult,
    differences: pl.DataFrame | None,
    file: str,
    draw: bool,
) -> Section:
    name, estimate = item.step.name, found.estimate
    warned = {message for _, message in found.warnings}
    tables: list[Table] = [
        Table(
            file,
            name,
            _for_readers(estimate.to_frame()),
            note="; ".join(note for note in estimate.notes if note not in warned),
            level=estimate.level,
            higher_is_better=estimate.higher_is_better,
        )
    ]
    figures = [
        Figure(f"{file}-{figure.name}", f"{name}: {figure.caption}", figure.drawing)
        for figure in (found.figures if draw else ())
    ]
    if differences is not None and differences.height:
        title = f"{name}: paired differences"
        tables.append(Table(f"{file}-differences", title, differences, level=estimate.level))
        if draw and differences.height <= MOST_ROWS:
            figures.append(_differences(result, item, differences, file))
    for number, (title, frame) in enumerate(found.tables.items(), 1):
        titled = f"{name}: {title[:1].lower()}{title[1:]}"
        table = diagnostics_table(f"{file}-diagnostics-{number}", titled, frame, estimate.level)
        tables += [] if table is None else [table]
    return Section(
        title=name,
        intro=_sampled(item, estimate),
        tables=tables,
        figures=figures,
        estimates=(estimate,),
        warnings=[f"[{code}] {message}" for code, message in found.warnings],
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


def _differences(
    result: "StudyResult", item: Finished, differences: pl.DataFrame, file: str
) -> Figure:
    from evalstats.results.displays import plot_differences

    comparison = item.step.comparison
    margin = None if comparison is None or not comparison.margin else comparison.margin
    families = result.specification.families
    family = next((f.name for f in families if item.step.name in f.metrics), None)
    over = "" if family is None else f" over the family {family}"
    return Figure.of_axes(
        f"{file}-differences",
        f"{item.step.name}: paired differences with intervals and p-values adjusted{over}.",
        plot_differences(differences, margin=margin),
    )


def _families(result: "StudyResult") -> list[Section]:
    families = result.specification.families
    if not families:
        return []
    found = result.comparisons()
    files = unique_names(f"family-{family.name.lower()}" for family in families)
    tables = []
    for file, family in zip(files, families, strict=True):
        frame = found.filter(pl.col("name").is_in(family.metrics)) if found.height else found
        if frame.height:
            title = f"Family {family.name}: all comparisons"
            tables.append(Table(file, title, named(frame)))
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


def _for_readers(frame: pl.DataFrame) -> pl.DataFrame:
    """Models of one metric and group stand together, to be compared."""
    first = [name for name in ("metric", "group") if name in frame.columns]
    ordered = frame.select(*first, pl.exclude(first))
    if not first:
        return ordered
    # Metrics and groups keep their order, which is seldom that of the alphabet.
    ranks = [
        pl.col(name).replace_strict(list(dict.fromkeys(frame[name])), range(frame[name].n_unique()))
        for name in first
    ]
    return ordered.sort(ranks, maintain_order=True)
