"""Venn-ABERS predictors by refitting: one isotonic regression for each row and label."""

from fractions import Fraction


def isotonic_at(scores, labels, x):
    """Value at x of the least-squares non-decreasing fit; x is one of the scores."""
    blocks = []
    for score in sorted(set(scores)):
        hits = [label for s, label in zip(scores, labels, strict=True) if s == score]
        blocks.append([Fraction(sum(hits)), len(hits), [score]])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] >= blocks[-1][0] / blocks[-1][1]:
            total, count, members = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
            blocks[-1][2] += members
    return next(total / count for total, count, members in blocks if x in members)


def interval(scores, labels, x):
    """Probabilities of a positive with x added as a negative and as a positive."""
    return tuple(float(isotonic_at([*scores, x], [*labels, label], x)) for label in (0, 1))
