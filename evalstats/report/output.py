"""What a verb prints: estimates and comparisons in the format that was asked for."""

import json
import math
from typing import Any, Literal

import polars as pl

from evalstats.results.estimate import Estimate
from evalstats.results.latex import format_latex
from evalstats.results.tables import format_markdown, format_text

Format = Literal["table", "csv", "json", "latex", "markdown"]

FORMAT_OF_SUFFIX: dict[str, Format] = {
    ".csv": "csv",
    ".json": "json",
    ".tex": "latex",
    ".md": "markdown",
}


def render(estimate: Estimate, differences: pl.DataFrame | None, output: Format) -> str:
    """Write a result as text.

    Parameters
    ----------
    estimate : Estimate
        What was estimated.
    differences : polars.DataFrame or None
        Comparisons to show as well. CSV holds one table only: the comparisons if there are any.
    output : {"table", "csv", "json", "latex", "markdown"}
        The format.

    Returns
    -------
    str
        Text that ends with a line break.
    """
    if output == "csv":
        frame = estimate.to_frame() if differences is None else differences
        return frame.write_csv()
    if output == "json":
        return _json(estimate, differences)
    level = estimate.level
    heading = f"Differences in {estimate.name}"
    if output == "latex":
        tables = [estimate.to_latex(caption=estimate.name)]
        if differences is not None:
            tables.append(format_latex(differences, caption=heading, level=level))
    elif output == "markdown":
        tables = [estimate.to_markdown()]
        if differences is not None:
            tables.append(format_markdown(differences, level=level))
    else:
        tables = [str(estimate)]
        if differences is not None:
            tables.append(format_text(differences, title=heading, level=level))
    return "\n\n".join(tables) + "\n"


def _json(estimate: Estimate, differences: pl.DataFrame | None) -> str:
    result: dict[str, Any] = {
        "metric": estimate.name,
        "level": estimate.level,
        "inference": estimate.inference,
        "unit": estimate.unit,
        "n_units": estimate.n_units,
        "n_clusters": estimate.n_clusters,
        "n_dropped": estimate.n_dropped,
        "notes": list(estimate.notes),
        "methods": estimate.methods(),
        "estimates": json_rows(estimate.to_frame()),
    }
    if differences is not None:
        result["comparisons"] = json_rows(differences)
    return json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n"


def json_rows(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Rows in which numbers that JSON does not know are null."""
    return [
        {name: None if _is_not_finite(value) else value for name, value in row.items()}
        for row in frame.to_dicts()
    ]


def _is_not_finite(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
