"""Calibration errors and balance in plain Python, straight from the definitions."""

import itertools
import math


def balance(y, p, w=None):
    w = [1.0] * len(y) if w is None else w
    total = 0.0
    for yi, pi, wi in zip(y, p, w, strict=True):
        if pi >= 0.5:
            total += wi * ((1 - pi) if yi else -pi)
        else:
            total += wi * (-(1 - pi) if yi else pi)
    return total / sum(w)


def uniform_bin(p, n_bins):
    """Index of the right-closed bin among the exact fractions i / B."""
    for index in range(n_bins):
        if p <= (index + 1) / n_bins:
            return index
    raise AssertionError


def equal_mass_bins(p, n_bins):
    """Rows in order, cut as evenly as possible, each cut moved to the end of its tie block."""
    order = sorted(range(len(p)), key=lambda row: p[row])
    size, extra = divmod(len(p), n_bins)
    cuts = []
    for index in range(n_bins):
        position = (index + 1) * size + min(index + 1, extra)
        while 0 < position < len(p) and p[order[position - 1]] == p[order[position]]:
            position += 1
        cuts.append(position)
    bins, start = [], 0
    for cut in cuts:
        if cut > start:
            bins.append(order[start:cut])
            start = cut
    return bins


def norm_of_bins(bins, y, p, norm, w=None):
    w = [1.0] * len(y) if w is None else w
    total = sum(w)
    parts = []
    for rows in bins:
        mass = sum(w[r] for r in rows)
        if mass > 0:
            gap = sum(w[r] * (y[r] - p[r]) for r in rows) / mass
            parts.append((mass / total, gap))
    if norm == 1:
        return sum(q * abs(d) for q, d in parts)
    if norm == 2:
        return math.sqrt(sum(q * d * d for q, d in parts))
    return max(abs(d) for _, d in parts)


def uniform_error(y, p, n_bins, norm, w=None):
    bins = [[r for r in range(len(p)) if uniform_bin(p[r], n_bins) == b] for b in range(n_bins)]
    return norm_of_bins(bins, y, p, norm, w)


def sweep_error(y, p):
    """Equal masses, as many as leave the observed frequencies in order (Roelofs et al. 2022)."""
    kept = equal_mass_bins(p, 1)
    for n_bins in range(2, len(p) + 1):
        bins = equal_mass_bins(p, n_bins)
        rates = [sum(y[r] for r in rows) / len(rows) for rows in bins]
        if any(b < a for a, b in itertools.pairwise(rates)):
            break
        kept = bins
    return norm_of_bins(kept, y, p, 1)
