"""Literal versions of the scores of anomaly maps: thresholds one by one, no tail, no influence."""

import numpy as np
from scipy import ndimage


def shared_rate(maps, masks, threshold, weight, kind="mean", quantile=0.95):
    """False positive rate of the normal images at `threshold`."""
    rates, sizes, weights = [], [], []
    for image, mask, own in zip(maps, masks, weight, strict=True):
        if not np.any(mask) and own > 0:
            rates.append(np.mean(image >= threshold))
            sizes.append(image.size)
            weights.append(own)
    rates, sizes, weights = map(np.array, (rates, sizes, weights))
    if kind == "pooled":
        return (weights * sizes * rates).sum() / (weights * sizes).sum()
    if kind == "max":
        return rates.max()
    if kind == "quantile":
        order = np.argsort(rates)
        reached = np.cumsum(weights[order]) / weights.sum()
        return rates[order][np.argmax(reached >= quantile - 1e-12)]
    return (weights * rates).sum() / weights.sum()


def aupimo(maps, masks, bounds, ties="half", weight=None, kind="mean", quantile=0.95):
    """Score of each anomalous image from the found of its pixels; NaN for normal images."""
    lower, upper = bounds
    weight = np.ones(len(maps)) if weight is None else weight

    def credit(share):
        return np.log(upper / np.clip(share, lower, upper)) / np.log(upper / lower)

    scores = []
    for image, mask in zip(maps, masks, strict=True):
        if not np.any(mask):
            scores.append(np.nan)
            continue
        found = []
        for score in image[mask]:
            above, at = (
                shared_rate(maps, masks, t, weight, kind, quantile)
                for t in (np.nextafter(score, np.inf), score)
            )
            part = {"half": 0.5, "conservative": 0.0, "optimistic": 1.0}[ties]
            found.append(part * credit(above) + (1 - part) * credit(at))
        scores.append(np.mean(found))
    return np.array(scores)


def aupro(maps, masks, limit, weight=None):
    """Trapezoid of mean region recall over the pooled background rate, cut at `limit`."""
    weight = np.ones(len(maps)) if weight is None else weight
    regions, background, region_weight, background_weight = [], [], [], []
    for image, mask, own in zip(maps, masks, weight, strict=True):
        labels, n = ndimage.label(mask, np.ones((3, 3)))
        regions += [image[labels == code] for code in range(1, n + 1)]
        region_weight += [own] * n
        background.append(image[~mask])
        background_weight.append(np.full(background[-1].size, own))
    background, background_weight = np.concatenate(background), np.concatenate(background_weight)
    thresholds = np.unique(np.concatenate([image.ravel() for image in maps]))[::-1]
    x, y = [0.0], [0.0]
    for threshold in thresholds:
        x.append(background_weight[background >= threshold].sum() / background_weight.sum())
        recalls = [np.mean(region >= threshold) for region in regions]
        y.append(np.average(recalls, weights=region_weight))
    x, y = np.array(x), np.array(y)
    inside = x <= limit
    if inside.all():
        return np.trapezoid(y, x) / limit
    first = np.argmin(inside)
    end = np.interp(limit, x[first - 1 : first + 1], y[first - 1 : first + 1])
    return np.trapezoid(np.append(y[:first], end), np.append(x[:first], limit)) / limit


def iou_over_band(maps, masks, bounds, steps=20_000):
    """IoU at each rate of a fine logarithmic grid, averaged, for each anomalous image."""
    weight = np.ones(len(maps))
    levels = np.unique(np.concatenate([m.ravel() for m in maps]))[::-1]
    rates = np.array([shared_rate(maps, masks, level, weight) for level in levels])
    axis = np.geomspace(*bounds, steps + 1)
    axis = np.sqrt(axis[1:] * axis[:-1])
    lowest = levels[np.searchsorted(rates, axis, side="right") - 1]
    lowest = np.where(axis < rates[0], np.inf, lowest)
    out = []
    for image, mask in zip(maps, masks, strict=True):
        if np.any(mask):
            by_level = {
                t: np.sum(mask & (image >= t)) / np.sum(mask | (image >= t))
                for t in np.unique(lowest)
            }
            out.append(np.mean([by_level[t] for t in lowest]))
    return np.array(out)
