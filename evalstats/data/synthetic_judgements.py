"""Synthetic judgements of a length-biased judge, for demonstrations and tests."""

import numpy as np
import polars as pl

BASELINE = "baseline"
# Quality in log-odds against the baseline and median length relative to the baseline's.
MODELS = {
    "concise": (0.30, 0.60),
    "balanced": (0.35, 1.00),
    "verbose": (0.05, 2.00),
    "wordy": (-0.45, 1.70),
    "short": (-0.50, 0.70),
    "small": (-1.20, 1.00),
}
LENGTH_BIAS = 1.2
DIFFICULTY_EFFECT = 0.8
JUDGE_SPREAD = 2.5
MEDIAN_LENGTH = 1200.0


def synthetic_judgements(n_items: int = 300, *, seed: int = 0) -> pl.DataFrame:
    """Judgements of six invented models against a baseline by an invented judge.

    Nothing here was measured. The judge prefers longer answers, instructions differ in difficulty,
    and its probabilities pile up near 0 and 1, as those of language models used as judges do.

    Parameters
    ----------
    n_items : int, default 300
        Number of instructions, all of them judged for every model.
    seed : int, default 0
        Seed of the random numbers; equal seeds give equal data.

    Returns
    -------
    polars.DataFrame
        One row per judgement: ``item``, ``model``, ``baseline``, ``preference`` (1 baseline, 2
        model, as AlpacaEval codes it), ``length_model``, ``length_baseline`` and ``difficulty``.

    Notes
    -----
    ``logit(preference - 1)`` is quality + 1.2 tanh(log length ratio) + 0.8 difficulty plus normal
    noise of standard deviation 2.5, which makes the distribution of the preferences U-shaped.

    Examples
    --------
    >>> from evalstats.data.synthetic_judgements import synthetic_judgements
    >>> synthetic_judgements(10).shape
    (60, 7)
    """
    rng = np.random.default_rng(seed)
    item = np.array([f"instruction {number:03d}" for number in range(n_items)])
    difficulty = rng.normal(size=n_items)
    topic = MEDIAN_LENGTH * np.exp(0.5 * rng.normal(size=n_items))
    base = np.maximum(1, np.rint(topic * np.exp(0.25 * rng.normal(size=n_items)))).astype(np.int64)
    parts = []
    for model, (quality, ratio) in MODELS.items():
        answer = ratio * topic * np.exp(0.35 * rng.normal(size=n_items))
        length = np.maximum(1, np.rint(answer)).astype(np.int64)
        bias = LENGTH_BIAS * np.tanh(np.log(length / base))
        noise = JUDGE_SPREAD * rng.normal(size=n_items)
        logit = quality + bias + DIFFICULTY_EFFECT * difficulty + noise
        parts.append(
            pl.DataFrame(
                {
                    "item": item,
                    "model": [model] * n_items,
                    "baseline": [BASELINE] * n_items,
                    "preference": 1.0 + 1.0 / (1.0 + np.exp(-logit)),
                    "length_model": length,
                    "length_baseline": base,
                    "difficulty": difficulty,
                }
            )
        )
    return pl.concat(parts)
