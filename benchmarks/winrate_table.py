"""Published and recomputed length-controlled win rates of the shared AlpacaEval models.

Usage: python -m benchmarks.winrate_table [FOLDER]; writes docs/generated/winrate_table.md from the
annotations in FOLDER (../shared/reference/winrate beside the repository by default).
"""

import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import numpy as np
import polars as pl
from scipy import stats

import evalstats as es
from evalstats.winrate.mediated import Alignment

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "generated" / "winrate_table.md"
FOLDER = ROOT / "../shared/reference/winrate"
PAIRS = (
    ("FuseChat-Gemma-2-9B-Instruct", "FuseChat-Llama-3.1-8B-Instruct"),
    ("gpt-3.5-turbo-1106", "gpt-3.5-turbo-1106_verbose"),
    ("Mixtral-8x7B-Instruct-v0.1_concise", "claude-2.1"),
)
ROLES = ("preference", "model", "index", "len_model", "len_baseline")


def controlled(folder: Path, alignment: Alignment) -> es.Estimate:
    """Controlled win rates of all models."""
    annotations = pl.read_parquet(folder / "alpaca_annotations_24.parquet")
    gamed = pl.read_parquet(folder / "alpaca_gamed_reconstructed.parquet")
    estimator = es.LengthControlledWinRate(
        difficulty=pl.read_csv(folder / "alpaca_difficulty_reconstructed.csv"),
        gamed=gamed.with_columns(pl.col("preference") + 1.0),
        alignment=alignment,
    )
    return estimator.fit(*ROLES, baseline="baseline", data=annotations).estimate_


def table(folder: Path, estimates: Mapping[str, es.Estimate]) -> pl.DataFrame:
    """One row per model: published numbers, ours in the old alignment and by key."""
    annotations = pl.read_parquet(folder / "alpaca_annotations_24.parquet")
    rows = pl.read_csv(folder / "alpaca_published_24.csv").select(
        "model",
        raw="win_rate",
        published="length_controlled_winrate",
        published_error="lc_standard_error",
    )
    raw = es.WinRate().fit(*ROLES[:3], data=annotations).estimate_
    rows = rows.join(
        pl.DataFrame(
            {
                "model": raw.terms["model"],
                "raw_ours": raw.value,
                "raw_error": raw.standard_error,
            }
        ),
        on="model",
    )
    for alignment, estimate in estimates.items():
        low, high = estimate.confidence_interval()
        ours = {
            "model": estimate.terms["model"],
            alignment: estimate.value,
            f"{alignment}_error": estimate.standard_error,
            f"{alignment}_low": low,
            f"{alignment}_high": high,
            f"{alignment}_n": estimate.n,
        }
        rows = rows.join(pl.DataFrame(ours), on="model")
    return rows.sort("published", descending=True)


def paired(estimate: es.Estimate) -> list[str]:
    """Table of paired tests, and what the two standard errors alone would give."""
    lines = [
        "| Models | Difference | 95% interval | Paired SE | As if independent | p |",
        "| --- | ---: | --- | ---: | ---: | ---: |",
    ]
    errors = dict(zip(estimate.terms["model"], estimate.standard_error, strict=True))
    for model, reference in PAIRS:
        compared = estimate.compare(reference=reference, adjust=None)
        row = compared.filter(pl.col("model") == model).row(0, named=True)
        lines.append(
            f"| {model} − {reference} | {row['estimate']:.2f} "
            f"| {row['ci_low']:.2f} to {row['ci_high']:.2f} | {row['standard_error']:.2f} "
            f"| {np.hypot(errors[model], errors[reference]):.2f} | {row['p_value']:.2g} |"
        )
    return lines


def report(rows: pl.DataFrame, estimate: es.Estimate) -> str:
    """Markdown tables and the summary of the differences."""
    gap = np.abs(rows["position"].to_numpy() - rows["published"].to_numpy())
    worst = rows["model"][int(np.argmax(gap))]
    spearman = stats.spearmanr(rows["position"], rows["published"])[0]
    raw_gap = np.abs(rows["raw_ours"].to_numpy() - rows["raw"].to_numpy()).max()
    lines = [
        f"The raw rates of the {rows.height} models agree with the published ones to "
        f"{raw_gap:.0e}. The controlled rates, with the difficulties aligned by position as in the "
        f"published table, differ by {gap.mean():.2f} points on average and {gap.max():.2f} at "
        f"most ({worst}); Spearman's correlation is {spearman:.4f}.",
        "",
        "| Model | n | Raw | Published LC | By position | By key | 95% interval | Published SE "
        "| Our SE |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: |",
    ]
    for row in rows.iter_rows(named=True):
        error = row["published_error"]
        lines.append(
            f"| {row['model']} | {row['key_n']} | {row['raw']:.2f} | {row['published']:.2f} "
            f"| {row['position']:.2f} | {row['key']:.2f} "
            f"| {row['key_low']:.2f} to {row['key_high']:.2f} "
            f"| {'–' if error is None else f'{error:.2f}'} | {row['key_error']:.2f} |"
        )
    lines += [
        "",
        "Paired differences of controlled rates, by key:",
        "",
        *paired(estimate),
        "",
        "Judgements: tatsu-lab/alpaca_eval (CC BY-NC 4.0), commit cd543a14, without texts; "
        "difficulties and gamed judgements are reconstructions, because the original files are "
        f"not public in that repository. Made by `python -m benchmarks.winrate_table`, "
        f"evalstats {es.__version__}.",
        "",
    ]
    return "\n".join(lines)


def main(folder: Path = FOLDER, page: Path | None = PAGE) -> pl.DataFrame:
    """Compute the table and write the page, if one is given."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", es.EvalstatsWarning)
        estimates = {alignment: controlled(folder, alignment) for alignment in get_args(Alignment)}
        rows = table(folder, estimates)
    if page is not None:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(report(rows, estimates["key"]), encoding="utf-8")
    return rows


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:2]))
