"""Scores, their decompositions and smooth calibration error, written out as defined."""

import math


def isotonic(forecast, outcome, weight):
    """Fit of each row by the max-min formula over blocks of distinct forecasts."""
    values = sorted({p for p, w in zip(forecast, weight, strict=True) if w > 0})

    def mean(low, high):
        rows = [
            (w, y)
            for p, y, w in zip(forecast, outcome, weight, strict=True)
            if low <= p <= high and w > 0
        ]
        return sum(w * y for w, y in rows) / sum(w for w, _ in rows)

    fit = {
        p: max(min(mean(low, high) for high in values if high >= p) for low in values if low <= p)
        for p in values
    }
    return [fit.get(p) for p in forecast]


def row_score(p, y, score):
    if score == "brier":
        return (y - p) ** 2
    given = p if y else 1 - p
    return -math.log(given) if given > 0 else math.inf


def corp(forecast, outcome, weight, score):
    fitted = isotonic(forecast, outcome, weight)
    mass = sum(weight)
    base = sum(w * y for w, y in zip(weight, outcome, strict=True)) / mass

    def mean(values):
        return (
            sum(
                w * row_score(value, y, score)
                for w, value, y in zip(weight, values, outcome, strict=True)
                if w > 0
            )
            / mass
        )

    total, recalibrated, constant = mean(forecast), mean(fitted), mean([base] * len(outcome))
    return {
        "miscalibration": total - recalibrated,
        "discrimination": constant - recalibrated,
        "uncertainty": constant,
        "score": total,
    }


def murphy(forecast, outcome, n_bins):
    """Unweighted terms over right-closed bins, with the terms within bins."""
    n = len(forecast)
    base = sum(outcome) / n
    bins = {}
    for p, y in zip(forecast, outcome, strict=True):
        place = next(b for b in range(n_bins) if p <= (b + 1) / n_bins)
        bins.setdefault(place, []).append((p, y))
    terms = dict.fromkeys(
        ("reliability", "resolution", "within_bin_variance", "within_bin_covariance"), 0.0
    )
    for rows in bins.values():
        p_mean = sum(p for p, _ in rows) / len(rows)
        y_mean = sum(y for _, y in rows) / len(rows)
        terms["reliability"] += len(rows) / n * (p_mean - y_mean) ** 2
        terms["resolution"] += len(rows) / n * (y_mean - base) ** 2
        terms["within_bin_variance"] += sum((p - p_mean) ** 2 for p, _ in rows) / n
        terms["within_bin_covariance"] += 2 * sum((p - p_mean) * (y - y_mean) for p, y in rows) / n
    terms["uncertainty"] = base * (1 - base)
    terms["score"] = sum((y - p) ** 2 for p, y in zip(forecast, outcome, strict=True)) / n
    return terms


def smooth_error(forecast, outcome, width, n_points=4000, reflections=6):
    """Integral of the absolute smoothed residual with a Gaussian reflected at 0 and 1."""
    scale = 1 / (width * math.sqrt(2 * math.pi))
    total = 0.0
    for j in range(n_points):
        t = (j + 0.5) / n_points
        value = 0.0
        for p, y in zip(forecast, outcome, strict=True):
            images = [
                2 * k + sign * p for k in range(-reflections, reflections + 1) for sign in (1, -1)
            ]
            value += (y - p) * sum(math.exp(-0.5 * ((t - x) / width) ** 2) for x in images)
        total += abs(value) * scale / len(outcome)
    return total / n_points
