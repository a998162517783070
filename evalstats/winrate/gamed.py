"""Judgements of the baseline prompted to be concise or verbose, which inform the length slope."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalstats.data.frames import Frame
from evalstats.errors import InputError
from evalstats.winrate.coding import Coding, unit_preference
from evalstats.winrate.difficulty import key_column

Array = NDArray[np.float64]

# Total weight of the gamed judgements of one instruction, shared by its variants (AlpacaEval).
TOTAL_WEIGHT = 0.2
LENGTH_NAMES = (("length_baseline", "length_model"), ("len_baseline", "len_model"))


@dataclass(frozen=True)
class Gamed:
    """Gamed judgements: instruction, P(gamed baseline preferred), length term and weight."""

    labels: list[Hashable]
    y: Array
    t: Array
    weight: Array

    def among(self, labels: Sequence[Hashable]) -> "Gamed":
        """Return the judgements of the given instructions only."""
        known = set(labels)
        kept = np.array([label in known for label in self.labels], dtype=bool)
        chosen = [label for label in self.labels if label in known]
        return Gamed(chosen, self.y[kept], self.t[kept], self.weight[kept])


def gamed_judgements(source: object, coding: Coding) -> Gamed:
    """Read gamed judgements from a frame.

    Parameters
    ----------
    source : data frame
        Columns ``item`` (or ``index``), ``preference`` in the estimator's coding, and either ``t``
        (the length term itself), ``std_delta_len`` (before the hyperbolic tangent), or
        ``length_baseline`` and ``length_model`` (scaled within each ``variant``, where there is
        such a column).
    coding : str
        Coding of the preferences.

    Returns
    -------
    Gamed
        Judgements whose weights sum to 0.2 within each instruction.
    """
    frame = Frame(source, [], "gamed")
    keys = key_column(frame, "gamed")
    y = unit_preference(
        frame.column("gamed", "preference")[0], coding, argument="preference of gamed"
    )
    t = _length_term(frame)
    usable = np.isfinite(y) & np.isfinite(t)
    if not bool(usable.all()):
        row = int(np.argmin(usable))
        raise InputError(f"gamed has a missing value in row {row}: remove the row")
    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    return Gamed(keys.tolist(), y, t, TOTAL_WEIGHT / counts[inverse.ravel()])


def _length_term(frame: Frame) -> Array:
    if "t" in frame.names:
        return np.array(frame.column("gamed", "t")[0], dtype=np.float64)
    if "std_delta_len" in frame.names:
        return np.tanh(np.array(frame.column("gamed", "std_delta_len")[0], dtype=np.float64))
    for baseline, model in LENGTH_NAMES:
        if baseline in frame.names and model in frame.names:
            delta = np.array(frame.column("gamed", baseline)[0], dtype=np.float64) - np.array(
                frame.column("gamed", model)[0], dtype=np.float64
            )
            variant = (
                frame.column("gamed", "variant")[0]
                if "variant" in frame.names
                else np.zeros(len(delta))
            )
            for name in np.unique(variant):
                delta[variant == name] /= delta[variant == name].std(ddof=1)
            return np.tanh(delta)
    raise InputError(
        "gamed needs a column 't', 'std_delta_len', or 'length_baseline' and 'length_model', but "
        f"has {frame.names}"
    )
