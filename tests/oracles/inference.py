"""Slow, literal versions of the inference engine's parts."""

import itertools

import numpy as np

MASK = 2**32 - 1


def philox4x32(counter, key, rounds=10):
    """Philox4x32 of Salmon et al. (2011) in unbounded integers, words in their published order."""
    c = list(counter)
    k = list(key)
    for _ in range(rounds):
        first, second = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [
            (second >> 32) ^ c[1] ^ k[0],
            second & MASK,
            (first >> 32) ^ c[3] ^ k[1],
            first & MASK,
        ]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


def repetitions(rows, weight):
    """Row numbers with each row repeated `weight` times."""
    return np.repeat(rows, np.asarray(weight, dtype=int))


def jackknife_covariance(values):
    """Covariance from the values without each unit (Efron and Tibshirani 1993, eq. 11.5)."""
    m = len(values)
    centred = values - values.mean(axis=0)
    return (m - 1) / m * sum(np.outer(row, row) for row in centred)


def holm(p_values):
    """Step-down adjustment: largest (m - rank) p so far, at most 1."""
    order = np.argsort(p_values)
    adjusted = np.empty(len(p_values))
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, (len(p_values) - rank) * p_values[index])
        adjusted[index] = min(running, 1.0)
    return adjusted


def benjamini_hochberg(p_values):
    """Step-up adjustment: smallest m p / rank so far from the largest p-value down."""
    m = len(p_values)
    order = np.argsort(p_values)[::-1]
    adjusted = np.empty(m)
    running = 1.0
    for position, index in enumerate(order):
        running = min(running, p_values[index] * m / (m - position))
        adjusted[index] = running
    return adjusted


def all_pairs(names):
    """Pairs in the order in which comparisons are listed."""
    return list(itertools.combinations(names, 2))
