"""Published and recomputed length-controlled win rates of the shared AlpacaEval models.

Usage: python -m benchmarks.winrate_table [FOLDER]; writes docs/generated/winrate_table.md from the
annotations in FOLDER (../shared/reference/winrate beside the repository by default).
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import polars as pl
from scipy import stats

import evalstats as es

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "generated" / "winrate_table.md"
FOLDER = ROOT / "../shared/reference/winrate"
ROLES = ("preference", "model", "index", "len_model", "len_baseline")


def table(folder: Path) -> pl.DataFrame:
    """One row per model: published numbers, ours in the old alignment and by key."""
    annotations = pl.read_parquet(folder / "alpaca_annotations_24.parquet")
    difficulty = pl.read_csv(folder / "alpaca_difficulty_reconstructed.csv")
    gamed = pl.read_parquet(folder / "alpaca_gamed_reconstructed.parquet").with_columns(
        pl.col("preference") + 1.0
    )
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
    for alignment in ("position", "key"):
        estimate = (
            es.LengthControlledWinRate(
                difficulty=difficulty,
                gamed=gamed,
                alignment=alignment,  # type: ignore[arg-type]
            )
            .fit(*ROLES, baseline="baseline", data=annotations)
            .estimate_
        )
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


def report(rows: pl.DataFrame) -> str:
    """Markdown table and the summary of the differences."""
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
        rows = table(folder)
    if page is not None:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(report(rows), encoding="utf-8")
    return rows


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:2]))
