"""What a table or plot of results shows: columns, headings and number formats.

Every renderer (text, Markdown, HTML, LaTeX) and every display takes its columns, headings and
numbers from here, so that one estimate reads the same wherever it is printed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import polars as pl

from evalstats.errors import InputError

MISSING = "–"

MEASURES = (
    "estimate",
    "standard_error",
    "ci_low",
    "ci_high",
    "statistic",
    "p_value",
    "p_adjusted",
    "adjust",
    "n",
    "inference",
)
_ALWAYS_IN_NOTE_IF_CONSTANT = ("n", "inference", "adjust")
_HEADINGS = {
    "estimate": "Estimate",
    "standard_error": "SE",
    "statistic": "Statistic",
    "p_value": "p",
    "p_adjusted": "adj. p",
    "adjust": "p adjusted by",
    "n": "n",
}
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

Kind = Literal["text", "number", "interval", "count", "p"]


@dataclass(frozen=True, slots=True)
class Column:
    """One displayed column, already formatted."""

    name: str
    heading: str
    kind: Kind
    is_term: bool
    cells: tuple[str, ...]

    @property
    def is_text(self) -> bool:
        """Whether cells are names, to be escaped, rather than numbers made here."""
        return self.kind == "text"


@dataclass(frozen=True, slots=True)
class Layout:
    """A table ready to be rendered: columns, the note below, and the rows to emphasise."""

    columns: tuple[Column, ...]
    note: str
    n_rows: int
    best: frozenset[int]
    is_comparison: bool

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """The cells, row by row."""
        return [tuple(column.cells[row] for column in self.columns) for row in range(self.n_rows)]

    @property
    def block_starts(self) -> frozenset[int]:
        """Rows where a new block begins: where the term with the longest runs changes."""
        changes = [
            frozenset(row for row in range(1, self.n_rows) if cells[row] != cells[row - 1])
            for cells in (column.cells for column in self.columns if column.is_term)
        ]
        # A term that changes in every row marks no blocks.
        blocks = [rows for rows in changes if 0 < len(rows) < self.n_rows - 1]
        return min(blocks, key=len, default=frozenset())


def lay_out(
    frame: pl.DataFrame,
    *,
    digits: int = 3,
    level: float | None = None,
    note: str | None = None,
    higher_is_better: bool | None = None,
) -> Layout:
    """Decide what a table of `frame` shows.

    Parameters
    ----------
    frame : polars.DataFrame
        Term columns, then measures: a frame of estimates or of comparisons.
    digits : int
        Decimals of estimates, standard errors and interval bounds.
    level : float, optional
        Confidence level, shown in the heading of the interval.
    note : str, optional
        Text that follows the constants in the note.
    higher_is_better : bool, optional
        Which model of a block is the best one; None emphasises none.

    Returns
    -------
    Layout
        The formatted columns, with constant columns moved to the note.
    """
    _check(frame, digits)
    shown, constants = _split_constants(frame)
    columns = []
    for name in shown:
        if name == "ci_low":
            columns.append(_interval_column(frame, digits, level))
        elif name != "ci_high":
            columns.append(_column(frame, name, digits))
    return Layout(
        columns=tuple(columns),
        note=_note(frame, constants, note),
        n_rows=frame.height,
        best=_best_rows(frame, digits, higher_is_better),
        is_comparison=is_comparison(frame),
    )


def require_columns(frame: pl.DataFrame, *names: str) -> None:
    """Refuse a frame without the columns that are to be shown."""
    absent = [name for name in names if name not in frame.columns]
    if absent:
        raise InputError(
            f"frame has no column {', '.join(map(repr, absent))}; "
            f"its columns are {', '.join(map(repr, frame.columns)) or 'none'}"
        )


def term_columns(frame: pl.DataFrame) -> list[str]:
    """Columns left of the first measure: they say what a row is about."""
    names = frame.columns
    first = next(index for index, name in enumerate(names) if name in MEASURES)
    return names[:first]


def is_comparison(frame: pl.DataFrame) -> bool:
    """Whether the rows are differences of a pair rather than single estimates."""
    return "reference" in frame.columns


def is_constant(column: pl.Series) -> bool:
    """Whether all rows of a column hold the same value."""
    return column.n_unique() <= 1


def heading(name: str) -> str:
    """Heading of a column, also used as the label of an axis."""
    return _HEADINGS.get(name) or clean(name[:1].upper() + name[1:].replace("_", " "))


def clean(text: str) -> str:
    """Text on one line, with control characters made visible instead of obeyed."""
    return "".join(_visible(character) for character in text)


def format_term(value: Any) -> str:
    """Value of a term column as text: names as they are, numbers without padding."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return MISSING
    return f"{value:g}" if isinstance(value, float) else clean(str(value))


def format_number(value: float | None, digits: int = 3) -> str:
    """Number with `digits` decimals.

    A value that would round to zero without being zero keeps one significant digit instead,
    because an interval that ends at 0.0003 does not contain zero.
    """
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0.0:
        return f"{0.0:.{digits}f}"
    if abs(value) >= 1e7:
        return f"{value:.{digits}e}"
    fixed = f"{value:.{digits}f}"
    return fixed if float(fixed) != 0.0 else f"{value:.1g}"


def format_p(value: float | None, digits: int = 3) -> str:
    """P-value with at least three decimals, or the bound it lies below."""
    if value is None or math.isnan(value):
        return MISSING
    decimals = max(digits, 3)
    bound = 10.0**-decimals
    return f"<{bound:.{decimals}f}" if value < bound else f"{value:.{decimals}f}"


def format_interval(low: float | None, high: float | None, digits: int = 3) -> str:
    """Interval as ``[low, high]``; missing when both bounds are."""
    bounds = (format_number(low, digits), format_number(high, digits))
    return MISSING if bounds == (MISSING, MISSING) else f"[{bounds[0]}, {bounds[1]}]"


def _check(frame: pl.DataFrame, digits: object) -> None:
    if not any(name in MEASURES for name in frame.columns):
        raise InputError(
            f"frame has no column to show ({', '.join(map(repr, frame.columns)) or 'no columns'}); "
            "it needs 'estimate', as in Estimate.to_frame()"
        )
    if ("ci_low" in frame.columns) != ("ci_high" in frame.columns):
        raise InputError("frame has only one of 'ci_low' and 'ci_high'; give both or neither")
    if not isinstance(digits, int) or not 0 <= digits <= 15:
        raise InputError(f"digits must be between 0 and 15, not {digits!r}")


def _split_constants(frame: pl.DataFrame) -> tuple[list[str], list[str]]:
    """Names of the columns to show, and of those that become part of the note."""
    terms = term_columns(frame)
    shown, constants = [], []
    for name in frame.columns:
        column = frame[name]
        if name in terms or name in _ALWAYS_IN_NOTE_IF_CONSTANT:
            constant = is_constant(column) and frame.height > (name in terms)
        else:
            constant = False
        if constant:
            constants.append(name)
        elif name == "estimate" or not _is_empty(frame, name):
            shown.append(name)
    if not any(name in terms for name in shown):
        # Rows that nothing tells apart still need their names.
        shown = [*terms, *shown]
        constants = [name for name in constants if name not in terms]
    return shown, [name for name in constants if not _is_empty(frame, name)]


def _is_empty(frame: pl.DataFrame, name: str) -> bool:
    if name in ("ci_low", "ci_high"):
        return _all_missing(frame["ci_low"]) and _all_missing(frame["ci_high"])
    if name == "p_adjusted" and "adjust" in frame.columns and _all_missing(frame["adjust"]):
        return "p_value" in frame.columns
    return _all_missing(frame[name])


def _all_missing(column: pl.Series) -> bool:
    missing = column.is_null()
    if column.dtype.is_float():
        missing = missing | column.is_nan().fill_null(True)
    return bool(missing.all()) and len(column) > 0


def _column(frame: pl.DataFrame, name: str, digits: int) -> Column:
    values = frame[name].to_list()
    is_term = name in term_columns(frame)
    kind = "text" if is_term else _kind(frame[name], name)
    cells: Sequence[str]
    if kind == "p":
        cells = [format_p(value, digits) for value in values]
    elif kind == "number":
        cells = [format_number(value, digits) for value in values]
    elif kind == "count":
        cells = [MISSING if value is None else f"{value:,}" for value in values]
    else:
        cells = [format_term(value) for value in values]
    title = "Difference" if name == "estimate" and is_comparison(frame) else heading(name)
    return Column(name, title, kind, is_term, tuple(cells))


def _kind(column: pl.Series, name: str) -> Kind:
    if name.startswith("p_"):
        return "p"
    if column.dtype.is_float():
        return "number"
    return "count" if column.dtype.is_integer() else "text"


def _interval_column(frame: pl.DataFrame, digits: int, level: float | None) -> Column:
    bounds = zip(frame["ci_low"].to_list(), frame["ci_high"].to_list(), strict=True)
    cells = tuple(format_interval(low, high, digits) for low, high in bounds)
    title = "CI" if level is None else f"{100 * level:g}% CI"
    return Column("interval", title, "interval", False, cells)


def _note(frame: pl.DataFrame, constants: Sequence[str], note: str | None) -> str:
    parts = []
    for name in constants:
        value = frame[name][0]
        if name == "n":
            parts.append(f"n = {value:,}")
        else:
            text = heading(name)
            parts.append(f"{text[:1].lower()}{text[1:]}: {format_term(value)}")
    facts = "; ".join(parts)
    return ". ".join(part for part in (facts, clean(note or "")) if part)


def _best_rows(frame: pl.DataFrame, digits: int, higher_is_better: bool | None) -> frozenset[int]:
    """Rows that print the best estimate among the models of the same metric, group and class."""
    if higher_is_better is None or "model" not in term_columns(frame) or is_comparison(frame):
        return frozenset()
    others = [name for name in term_columns(frame) if name != "model"]
    values = frame["estimate"].to_list()
    blocks: dict[tuple[Any, ...], list[int]] = {}
    for row, key in enumerate(frame.select(others).rows() if others else [()] * frame.height):
        if values[row] is not None and not math.isnan(values[row]):
            blocks.setdefault(key, []).append(row)
    best: set[int] = set()
    for rows in blocks.values():
        if len(rows) > 1:
            top = (max if higher_is_better else min)(values[row] for row in rows)
            # Models that print the same number are equally best to the reader.
            printed = format_number(top, digits)
            best.update(row for row in rows if format_number(values[row], digits) == printed)
    return frozenset(best)


def _visible(character: str) -> str:
    if character in "\n\r\t\v\f\u2028\u2029\x85":
        return " "
    if ord(character) < 32 or 127 <= ord(character) < 160 or character in _BIDI_CONTROLS:
        return character.encode("unicode_escape").decode("ascii")
    return character
