"""Reading of the reference fixtures."""

import gzip
import json

import numpy as np
import polars as pl

FIT_ROLES = ("preference", "model", "index", "len_model", "len_baseline")
VARIANTS = {
    "length_controlled_v1": "alpaca_v1",
    "length_controlled_noreg": "alpaca_noreg",
    "length_controlled_minimal": "alpaca_minimal",
}


def alpaca(reference):
    """Annotations of the 24 shared models, difficulty and gamed judgements."""
    folder = reference / "winrate"
    annotations = pl.read_parquet(folder / "alpaca_annotations_24.parquet")
    difficulty = pl.read_csv(folder / "alpaca_difficulty_reconstructed.csv")
    gamed = pl.read_parquet(folder / "alpaca_gamed_reconstructed.parquet")
    return annotations, difficulty, gamed.with_columns(pl.col("preference") + 1.0)


def number(value):
    return np.nan if value == {"nonfinite": "nan"} else value


def synthetic_cases(reference):
    path = reference / "winrate" / "lc_synthetic.json.gz"
    return {case["name"]: case for case in json.loads(gzip.decompress(path.read_bytes()))}


def synthetic(case):
    """Frame of one case, its difficulties and its gamed judgements."""
    frame = pl.DataFrame(
        {
            "model": ["m"] * case["n"],
            "index": case["index"],
            "preference": [number(value) for value in case["preference"]],
            "len_model": case["len_model"],
            "len_baseline": case["len_baseline"],
        }
    )
    n_items = len(case["difficulty"])
    difficulty = pl.DataFrame({"index": range(n_items), "difficulty": case["difficulty"]})
    gamed = pl.DataFrame(
        {
            "index": [*range(n_items), *range(n_items)],
            "std_delta_len": case["gamed_std_delta_len"],
            "preference": np.asarray(case["gamed_preference"]) + offset(case),
        }
    )
    return frame, difficulty, gamed


def offset(case):
    return 1.0 if max(case["gamed_preference"]) <= 1.0 else 0.0
