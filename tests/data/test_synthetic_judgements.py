"""The synthetic judge does what its documentation says."""

import numpy as np
import polars as pl

from evalstats.data.synthetic_judgements import BASELINE, MODELS, synthetic_judgements


def test_shape_range_and_determinism():
    data = synthetic_judgements()
    assert data.equals(synthetic_judgements())
    assert not data.equals(synthetic_judgements(seed=1))
    assert data.height == 300 * len(MODELS)
    assert not data.select("item", "model").is_duplicated().any()
    assert data["baseline"].unique().to_list() == [BASELINE]
    assert data["preference"].is_between(1.0, 2.0).all()
    assert data["length_model"].min() >= 1


def test_instructions_share_baseline_and_difficulty():
    shared = (
        synthetic_judgements()
        .group_by("item")
        .agg(pl.col("length_baseline", "difficulty").n_unique())
    )
    assert shared["length_baseline"].max() == shared["difficulty"].max() == 1


def test_judge_is_u_shaped_and_likes_long_answers_to_difficult_instructions():
    data = synthetic_judgements(2000)
    y = data["preference"].to_numpy() - 1.0
    counts, _ = np.histogram(y, bins=5, range=(0.0, 1.0))
    assert min(counts[0], counts[4]) > 1.5 * counts[1:4].max()
    longer = data["length_model"].to_numpy() > data["length_baseline"].to_numpy()
    assert y[longer].mean() - y[~longer].mean() > 0.1
    difficult = data["difficulty"].to_numpy() > 0
    assert y[difficult].mean() - y[~difficult].mean() > 0.1
