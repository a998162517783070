import numpy as np
import polars as pl
import pytest

STUDY = """\
title = "Two models"
seed = 7

[data.test]
path = "scores.parquet"

[defaults]
y_true = "label"
y_score = ["strong", "weak"]
y_prob = ["strong", "weak"]

[[metric]]
estimator = "AUROC"

[[metric]]
estimator = "BrierScore"
cluster = "patient"

[[metric]]
estimator = "AUPRC"
options = { inference = { method = "bootstrap", n_resamples = 60 } }

[[metric]]
estimator = "AUROC"
by = "site"
"""


@pytest.fixture(scope="session")
def scores():
    rng = np.random.default_rng(5)
    n = 400
    label = (rng.random(n) < 0.4).astype(np.int64)
    signal = {"strong": 2.0 * label, "weak": 1.0 * label}
    models = {name: 1 / (1 + np.exp(-s + 1 - rng.normal(size=n))) for name, s in signal.items()}
    return pl.DataFrame(
        {
            "label": label,
            **models,
            "site": rng.choice(["north", "south"], n),
            "patient": rng.integers(0, 90, n),
            "text": ["x"] * n,
        }
    )


@pytest.fixture
def folder(scores, tmp_path, monkeypatch):
    scores.write_parquet(tmp_path / "scores.parquet")
    (tmp_path / "study.toml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    return tmp_path
