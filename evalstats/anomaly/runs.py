"""Peaks of short runs of pixels: the highest pixels of an image are found through them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalstats.anomaly.run_kernels import run_peaks_32, run_peaks_64

Image = NDArray[Any]
RUN = 256
_PASS: dict[int, tuple[Callable[..., tuple[Image, int]], type[np.signedinteger[Any]]]] = {
    4: (run_peaks_32, np.int32),
    8: (run_peaks_64, np.int64),
}


class Scan(NamedTuple):
    """What one pass over an image tells.

    Attributes
    ----------
    peaks : array
        Maximum of each run of pixels; the last run may be short.
    finite : bool
        Whether every pixel is; if not, the peaks mean nothing.
    """

    peaks: Image
    finite: bool


def scan(image: Image) -> Scan:
    """Read an image once, at the speed of memory. O(pixels)."""
    scores = image.ravel()
    passes = _PASS.get(scores.dtype.itemsize) if scores.dtype.kind == "f" else None
    if passes is None:
        peaks = run_maxima(scores)
        return Scan(peaks, scores.dtype.kind != "f" or bool(np.isfinite(scores).all()))
    peaks_of, bits = passes
    found, largest = peaks_of(scores.view(bits), RUN)
    rest = scores[len(found) * RUN :]
    finite = largest < int(scores.dtype.type(np.inf).view(bits)) and bool(np.isfinite(rest).all())
    peaks = found.view(scores.dtype)
    return Scan(np.append(peaks, rest.max()) if len(rest) else peaks, finite)


def run_maxima(scores: Image) -> Image:
    """Maximum of each run of pixels; the last run may be short. O(n)."""
    whole = len(scores) // RUN * RUN
    maxima = scores[:whole].reshape(-1, RUN).max(axis=1)
    return maxima if whole == len(scores) else np.append(maxima, scores[whole:].max())


def high_runs(scores: Image, maxima: Image, floor: float) -> Image:
    """Pixels of the runs whose maximum reaches `floor`. O(runs + their pixels)."""
    whole = len(scores) // RUN
    chosen = scores[: whole * RUN].reshape(-1, RUN)[maxima[:whole] >= floor].ravel()
    rest = scores[whole * RUN :]
    return np.concatenate([chosen, rest]) if len(rest) else chosen
