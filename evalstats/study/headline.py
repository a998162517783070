"""The headline of a study: one row per model, one column per metric, the best number marked."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import polars as pl

from evalstats.results.estimate import Estimate
from evalstats.results.layout import format_interval, format_number, is_constant
from evalstats.study.grid import Cell, GridTable, Heading, oriented

# Stands for the model where there is none.
ALL = "all"


@dataclass
class _Column:
    """One metric: its cells by model, and the estimate that it comes from."""

    name: str
    source: str
    higher_is_better: bool | None
    cells: dict[str, Cell]


@dataclass
class _Block:
    """Metrics that share models."""

    columns: list[_Column] = field(default_factory=list)
    models: dict[str, None] = field(default_factory=dict)


def headlines(estimates: Mapping[str, Estimate], title: str) -> list[GridTable]:
    """Tables of all estimates that are one number per metric and model.

    Parameters
    ----------
    estimates : mapping of str to Estimate
        Estimates by name of the metric.
    title : str
        Caption.

    Returns
    -------
    list of GridTable
        One table for each set of models; metrics of different models have no common table.
    """
    left_out = [name for name, estimate in estimates.items() if not _is_flat(estimate)]
    blocks: list[_Block] = []
    for name, estimate in estimates.items():
        if name not in left_out:
            for column in _columns(name, estimate):
                _add(blocks, column)
    note = f"Not in this table: {', '.join(left_out)}" if left_out else ""
    tables = []
    for number, block in enumerate(blocks, 1):
        last = number == len(blocks)
        suffix = "" if len(blocks) == 1 else f" ({number} of {len(blocks)})"
        name = "headline" if number == 1 else f"headline-{number}"
        tables.append(_table(block, estimates, name, title + suffix, note if last else ""))
    return tables


def _add(blocks: list[_Block], column: _Column) -> None:
    """Put a metric beside those that share a model with it."""
    sharing = [block for block in blocks if block.models.keys() & column.cells.keys()]
    target = sharing[0] if sharing else _Block()
    if not sharing:
        blocks.append(target)
    for other in sharing[1:]:
        target.columns += other.columns
        target.models |= other.models
        blocks.remove(other)
    target.columns.append(column)
    target.models |= dict.fromkeys(column.cells)


def _table(
    block: _Block, estimates: Mapping[str, Estimate], name: str, title: str, note: str
) -> GridTable:
    sources = list(dict.fromkeys(column.source for column in block.columns))
    frames = [
        estimates[source].to_frame().select(pl.lit(source).alias("name"), pl.all())
        for source in sources
    ]
    corner, columns, rows = oriented(
        ("Model", "Metric"),
        [Heading(column.name, column.higher_is_better) for column in block.columns],
        [Heading(model) for model in block.models],
        [[column.cells.get(model, Cell()) for column in block.columns] for model in block.models],
    )
    return GridTable(
        name,
        title,
        pl.concat(frames, how="diagonal_relaxed"),
        note=note,
        level=estimates[sources[0]].level,
        corner=corner,
        columns=columns,
        rows=rows,
    )


def _is_flat(estimate: Estimate) -> bool:
    """Whether a metric and a model identify each term."""
    terms = estimate.terms
    keys = [name for name in ("metric", "model") if name in terms.columns]
    varying = [name for name in terms.columns if name not in keys and not is_constant(terms[name])]
    return not varying and bool(keys) and bool(terms.select(keys).is_unique().all())


def _columns(name: str, estimate: Estimate) -> list[_Column]:
    terms, better = estimate.terms, estimate.higher_is_better
    digits = 2 if estimate.scale == "logit_percent" else 3
    low, high = estimate.confidence_interval()
    k = len(estimate)
    metrics = [str(m) for m in terms["metric"]] if "metric" in terms.columns else [name] * k
    models = [str(m) for m in terms["model"]] if "model" in terms.columns else [ALL] * k
    columns: list[_Column] = []
    for metric in dict.fromkeys(metrics):
        rows = [row for row in range(k) if metrics[row] == metric]
        heading = name if len(set(metrics)) == 1 else f"{metric} ({name})"
        values = {models[row]: float(estimate.value[row]) for row in rows}
        if all(math.isnan(value) for value in values.values()):
            continue
        cells = {
            models[row]: Cell(
                format_number(float(estimate.value[row]), digits),
                format_interval(float(low[row]), float(high[row]), digits),
            )
            for row in rows
        }
        columns.append(_Column(heading, name, better, _marked(cells, values, better)))
    return columns


def _marked(
    cells: dict[str, Cell], values: Mapping[str, float], better: bool | None
) -> dict[str, Cell]:
    defined = {model: value for model, value in values.items() if not math.isnan(value)}
    if better is None or len(defined) < 2:
        return cells
    best = (max if better else min)(defined, key=defined.__getitem__)
    # Models that print the same number are equally best to the reader.
    return {
        model: replace(cell, best=cell.number == cells[best].number)
        for model, cell in cells.items()
    }
