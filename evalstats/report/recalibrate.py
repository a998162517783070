"""``evalstats recalibrate``: calibration of one model before and after recalibration."""

import json
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer

from evalstats.calibration.report import METHODS, RecalibrationReport, recalibration_report
from evalstats.errors import InputError
from evalstats.report.files import reading, scan_table, write_atomically
from evalstats.report.output import FORMAT_OF_SUFFIX, Format, json_rows
from evalstats.report.progress import progress_shown
from evalstats.report.run import as_labels, exit_codes
from evalstats.results.latex import format_latex
from evalstats.results.tables import format_markdown, format_text

FORMATS = ("table", "csv", "json", "latex", "markdown")
Method = Enum("Method", {name: name.replace("_", "-") for name in METHODS})  # type: ignore[misc]
Output = Enum("Output", [(name, name) for name in FORMATS])  # type: ignore[misc]
HEADING = "Differences after - before"
# Columns that are the same in every row, or that a table for reading can do without.
HIDDEN = ("n", "inference")


def recalibrate(
    file: Annotated[
        Path,
        typer.Argument(
            help="Parquet, CSV, TSV, NDJSON/JSONL or Arrow/Feather file.", metavar="FILE"
        ),
    ],
    y_true: Annotated[
        str,
        typer.Option(
            "--y-true",
            help="Column with the labels.",
            metavar="COL",
            rich_help_panel="Columns",
        ),
    ],
    y_prob: Annotated[
        list[str],
        typer.Option(
            "--y-prob",
            help="Column with the probability of the positive class; several: one for each class.",
            metavar="COL [COL…]",
            rich_help_panel="Columns",
        ),
    ],
    method: Annotated[
        list[Method] | None,
        typer.Option(
            "--method", help="Methods to try; all by default.", rich_help_panel="Recalibration"
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            "--cluster",
            help="Rows of one cluster stay in one fold and are sampled together.",
            metavar="COL",
            rich_help_panel="Columns",
        ),
    ] = None,
    weight: Annotated[
        str | None,
        typer.Option(
            "--weight",
            help="Non-negative weight of each row.",
            metavar="COL",
            rich_help_panel="Columns",
        ),
    ] = None,
    pos_label: Annotated[
        str | None,
        typer.Option(
            "--pos-label",
            help="The positive class, needed unless labels are 0/1 or boolean.",
            rich_help_panel="Columns",
        ),
    ] = None,
    n_folds: Annotated[
        int, typer.Option("--n-folds", help="Number of folds.", rich_help_panel="Recalibration")
    ] = 5,
    seed: Annotated[
        int, typer.Option("--seed", help="Seed of the folds.", rich_help_panel="Recalibration")
    ] = 0,
    n_bins: Annotated[
        int,
        typer.Option(
            "--n-bins", help="Bins of the calibration error.", rich_help_panel="Recalibration"
        ),
    ] = 15,
    level: Annotated[
        float, typer.Option("--level", help="Confidence level.", rich_help_panel="Recalibration")
    ] = 0.95,
    compare: Annotated[
        bool,
        typer.Option(
            "--compare", help="Also test paired differences.", rich_help_panel="Recalibration"
        ),
    ] = False,
    output: Annotated[
        Output | None,
        typer.Option(
            "--format",
            help="Output format; by the extension of --out, else a table. CSV holds one table: "
            "with --compare, the differences.",
            rich_help_panel="Output",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write to this file.", metavar="FILE", rich_help_panel="Output"),
    ] = None,
    probabilities: Annotated[
        Path | None,
        typer.Option(
            "--probabilities",
            help="Also write the file's rows with the cross-fitted probabilities, as .csv or "
            ".parquet.",
            metavar="FILE",
            rich_help_panel="Output",
        ),
    ] = None,
) -> None:
    """Recalibrate probabilities out of fold, and compare calibration before and after."""
    with exit_codes():
        suffix = "" if out is None else out.suffix.lower()
        chosen = FORMAT_OF_SUFFIX.get(suffix, "table") if output is None else output.value
        if probabilities is not None and probabilities.suffix.lower() not in (".csv", ".parquet"):
            raise InputError(f"{probabilities.name!r}: end it in .csv or .parquet")
        frame = scan_table(file)
        options = {
            "sample_weight": weight,
            "cluster": cluster,
            "n_folds": n_folds,
            "rng": seed,
            "n_bins": n_bins,
            "level": level,
            "pos_label": _label(pos_label, y_true, frame),
        }
        methods = [one.name for one in method] if method else list(METHODS)
        with progress_shown(f"Recalibration of {file.name}"), reading(file):
            forecast = y_prob[0] if len(y_prob) == 1 else y_prob
            report = recalibration_report(y_true, forecast, methods, data=frame, **options)
            differences = report.differences() if compare else None
            text = _render(report, differences, chosen, level)
            if probabilities is not None:
                _write_rows(frame.collect(), report, probabilities)
        if out is None:
            sys.stdout.write(text)
            sys.stdout.flush()
        else:
            write_atomically(out, text)


def _label(value: str | None, column: str, frame: pl.LazyFrame) -> Any:
    schema = frame.collect_schema()
    return as_labels("pos_label", value, schema[column]) if column in schema else value


def _render(
    report: RecalibrationReport, differences: pl.DataFrame | None, output: Format, level: float
) -> str:
    estimates = report.to_frame()
    if output == "csv":
        return (estimates if differences is None else differences).write_csv()
    if output == "json":
        result: dict[str, Any] = {"level": level, "estimates": json_rows(estimates)}
        if differences is not None:
            result["comparisons"] = json_rows(differences)
        return json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    shown = estimates.drop(HIDDEN)
    compared = None if differences is None else differences.drop("n", strict=False)
    if output == "table":
        tables = [str(report)]
        if compared is not None:
            tables.append(format_text(compared, title=HEADING, level=level))
    elif output == "latex":
        tables = [format_latex(shown, caption="Recalibration", level=level)]
        if compared is not None:
            tables.append(format_latex(compared, caption=HEADING, level=level))
    else:
        tables = [format_markdown(shown, level=level)]
        if compared is not None:
            tables.append(format_markdown(compared, level=level))
    return "\n\n".join(tables) + "\n"


def _write_rows(frame: pl.DataFrame, report: RecalibrationReport, path: Path) -> None:
    """The rows of the file with one column more for each method (and class)."""
    columns = {}
    for method, values in list(report.probabilities.items())[1:]:
        if values.ndim == 1:
            columns[method] = values
        else:
            columns |= {f"{method}_{code}": column for code, column in enumerate(values.T)}
    taken = [name for name in columns if name in frame.columns]
    if taken:
        raise InputError(f"the file has a column {taken[0]!r} already: rename it")
    rows = frame.with_columns(pl.Series(name, values) for name, values in columns.items())
    if path.suffix.lower() == ".csv":
        write_atomically(path, rows.write_csv())
        return
    import io

    buffer = io.BytesIO()
    rows.write_parquet(buffer)
    write_atomically(path, buffer.getvalue())
