"""Re-analysis of the published per-image AUPIMO scores.

Usage: python -m benchmarks.rank_table [FOLDER]; writes docs/generated/rank_table.md from the scores
in FOLDER (../shared/reference/aupimo beside the repository by default).
"""

import sys
import warnings
from pathlib import Path

import polars as pl

import evalstats as es

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "generated" / "rank_table.md"
FOLDER = ROOT / "../shared/reference/aupimo"


def main() -> None:
    """Write the page."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    scores = pl.read_parquet(folder / "published_per_image.parquet")
    scores = scores.with_columns(pl.col("model", "collection", "dataset").cast(pl.String))
    scores = scores.with_columns(block=pl.concat_str("collection", "dataset", separator="/"))
    ranks = es.rank_models(scores, unit="image_index", score="aupimo", block="block")
    paper = ranks.pairwise(protocol="aupimo-paper")
    ours = ranks.pairwise(zero=1e-3)
    friedman = ranks.friedman()
    published = (paper["confidence"] >= 0.95).sum()
    plain = (ours["p_value"] <= 0.05).sum()
    holm = (ours["p_adjusted"] <= 0.05).sum()
    lines = [
        "# Published AUPIMO scores, tested again",
        "",
        f"{friedman.n_models} models, {friedman.n_blocks} data sets, {paper.height} pairs.",
        "",
        "| Protocol | Significant pairs |",
        "| --- | ---: |",
        f"| Paper: one-sided in the direction of the ranks, no adjustment | {published} |",
        f"| Two-sided, no adjustment | {plain} |",
        f"| Two-sided, Holm within data set | {holm} |",
        "",
        f"Friedman over data sets: chi-square {friedman.statistic:.2f} on {friedman.df} degrees of "
        f"freedom, F {friedman.f_statistic:.2f}, critical difference of Nemenyi "
        f"{friedman.critical_difference:.2f}.",
        "",
        "Pairs with exactly tied ranks have no direction; they are taken in the order of the "
        "models, so the first count may differ by one where another order is used.",
    ]
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    warnings.simplefilter("error")
    main()
