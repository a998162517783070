"""Logistic regressions by Newton's method on explicit sums, and what is built on them."""

import math

import numpy as np


def logistic(design, outcome, weight, offset=None, steps=60):
    """Maximum likelihood coefficients; outcomes may be fractions between 0 and 1."""
    n, p = len(design), len(design[0])
    offset = [0.0] * n if offset is None else offset
    theta = np.zeros(p)
    for _ in range(steps):
        score, information = np.zeros(p), np.zeros((p, p))
        for row, y, w, o in zip(design, outcome, weight, offset, strict=True):
            x = np.array(row)
            q = 1.0 / (1.0 + math.exp(-(x @ theta + o)))
            score += w * (y - q) * x
            information += w * q * (1.0 - q) * np.outer(x, x)
        step = np.linalg.solve(information, score)
        theta += step
        if np.abs(step).max() < 1e-14:
            break
    return theta


def calibration_line(y, p, weight):
    """Intercept and slope on the logit of the forecast, and the intercept at slope 1."""
    logit = [math.log(v / (1.0 - v)) for v in p]
    intercept, slope = logistic([[1.0, v] for v in logit], y, weight)
    large = logistic([[1.0]] * len(y), y, weight, offset=logit)[0]
    return intercept, slope, large


def length_controlled(preference, length_model, length_baseline):
    """AlpacaEval's minimal model: win rate in percent at equal lengths."""
    delta = np.array(length_baseline, float) - np.array(length_model, float)
    mediator = np.tanh(delta / delta.std(ddof=1))
    theta = logistic([[t, 1.0] for t in mediator], preference, [1.0] * len(preference))
    return 100.0 / (1.0 + math.exp(-theta[1]))


def bradley_terry(model_a, model_b, outcome, weight, sweeps=200_000):
    """Elo ratings about 1000 by Zermelo's iteration; a tie is half a win."""
    names = sorted(set(model_a) | set(model_b))
    won = dict.fromkeys(names, 0.0)
    for a, b, y, w in zip(model_a, model_b, outcome, weight, strict=True):
        won[a] += w * y
        won[b] += w * (1.0 - y)
    strength = dict.fromkeys(names, 1.0)
    for _ in range(sweeps):
        below = dict.fromkeys(names, 0.0)
        for a, b, w in zip(model_a, model_b, weight, strict=True):
            share = w / (strength[a] + strength[b])
            below[a] += share
            below[b] += share
        fresh = {name: won[name] / below[name] for name in names}
        mean = math.exp(sum(math.log(v) for v in fresh.values()) / len(names))
        fresh = {name: v / mean for name, v in fresh.items()}
        change = max(abs(math.log(fresh[name] / strength[name])) for name in names)
        strength = fresh
        if change < 1e-15:
            break
    return {name: 1000.0 + 400.0 * math.log10(v) for name, v in strength.items()}
