"""Recalibration against the venn-abers package and scikit-learn."""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression
from venn_abers import VennAbers

import evalstats as es
from benchmarks.harness import Contest, benchmark

SIZE = 10**5
ROWS = 10**6

Array = NDArray[np.float64]


@cache
def sample(n: int) -> tuple[NDArray[np.int64], Array, Array]:
    """Labels and over-confident probabilities to fit on, and new probabilities."""
    rng = np.random.default_rng(1)
    q = rng.random(n)
    y = (rng.random(n) < q).astype(np.int64)
    return y, 1.0 / (1.0 + (1.0 / q - 1.0) ** 1.5), rng.random(n)


@benchmark("Venn-ABERS, 10^5 calibration and 10^5 new rows", peer="venn-abers", size=SIZE)
def venn_abers() -> Contest:
    """Fit, and p0, p1 and the merged probability of every new row."""
    y, p, new = sample(SIZE)
    both, both_new = np.column_stack([1.0 - p, p]), np.column_stack([1.0 - new, new])

    def theirs() -> Array:
        peer = VennAbers()
        peer.fit(both, y)
        merged, ends = peer.predict_proba(both_new)
        return np.column_stack([ends, merged[:, 1]])

    return Contest(ours=lambda: _venn_abers(p, y, new), theirs=theirs)


@benchmark("Venn-ABERS, forecasts of three decimals", peer="venn-abers with precision=3", size=SIZE)
def venn_abers_rounded() -> Contest:
    """The peer's own way to large samples: rounded forecasts."""
    y, p, new = sample(SIZE)
    p, new = p.round(3), new.round(3)
    both, both_new = np.column_stack([1.0 - p, p]), np.column_stack([1.0 - new, new])

    def theirs() -> Array:
        peer = VennAbers()
        peer.fit(both, y, precision=3)
        merged, ends = peer.predict_proba(both_new)
        return np.column_stack([ends, merged[:, 1]])

    return Contest(ours=lambda: _venn_abers(p, y, new), theirs=theirs)


@benchmark("Isotonic recalibration, fit and apply", peer="scikit-learn", size=ROWS)
def isotonic() -> Contest:
    """A million rows to fit on and as many new ones."""
    y, p, new = sample(ROWS)
    return Contest(
        ours=lambda: es.IsotonicRecalibration().fit(p, y).predict_proba(new)[:, 1],
        theirs=lambda: IsotonicRegression(out_of_bounds="clip").fit(p, y).predict(new),
    )


def _venn_abers(p: Array, y: NDArray[np.int64], new: Array) -> Array:
    """The peer returns all three numbers, too."""
    p0, p1 = ends = es.VennABERS().fit(p, y).predict_interval(new)
    return np.column_stack([p0, p1, ends.merged])
