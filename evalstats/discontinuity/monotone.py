"""Limit curves made non-decreasing, as quantile functions must be."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evalstats.discontinuity.kernels import isotonic_rows

Array = NDArray[np.float64]
Step = Literal["isotonic", "sort", "r3d", "none"]

REFERENCE_POINTS = 1000


def monotone_curve(curve: Array, grid: Array, step: Step) -> Array:
    """Apply the monotone step of a method to one limit curve on an ascending grid.

    ``isotonic`` is the projection in the 2-Wasserstein space, ``sort`` the rearrangement of an
    equally spaced curve (Chernozhukov, Fernandez-Val and Galichon 2010), ``r3d`` the gridded
    rearrangement that R3D uses, which also moves curves that are monotone already.
    """
    if not bool(np.isfinite(curve).all()) or len(curve) < 2:
        return curve
    if step == "isotonic":
        row = curve[np.newaxis].copy()
        isotonic_rows(row)
        return np.asarray(row[0])
    if step == "sort":
        return np.sort(curve)
    if step == "r3d":
        position = (grid - grid[0]) / (grid[-1] - grid[0])
        fine = np.interp(np.arange(REFERENCE_POINTS + 1) / REFERENCE_POINTS, position, curve)
        return np.asarray(np.quantile(fine, position))
    return curve
