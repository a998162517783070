"""Smooth calibration error (Blasiok and Nakkiran 2023)."""

from collections.abc import Hashable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalstats.calibration.rows import binary_rows
from evalstats.calibration.score_kernels import residuals_on_mesh
from evalstats.errors import InputError
from evalstats.options import typed_options

Array = NDArray[np.float64]
CELLS = 8192
# Forecasts lie in [0, 1]: beyond a width of some units all of them count alike.
LARGEST_WIDTH = 1e6
BISECTIONS = 10


class SmoothCalibrationError(NamedTuple):
    """Result of :func:`smooth_calibration_error`.

    Attributes
    ----------
    value : float
        Smooth calibration error.
    width : float
        Standard deviation of the Gaussian kernel.
    """

    value: float
    width: float


@typed_options
def smooth_calibration_error(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    *,
    width: float | None = None,
    sample_weight: ArrayLike | None = None,
    pos_label: Hashable | None = None,
) -> SmoothCalibrationError:
    """Calibration error of smoothed residuals, whose bandwidth the data choose.

    Parameters
    ----------
    y_true : array-like (n,)
        Labels: 0/1, boolean, or two values with `pos_label`.
    y_prob : array-like (n,)
        Probability of the positive class.
    width : float, optional
        Standard deviation of the Gaussian kernel; by default the smallest width that is at least
        as large as the error it gives, to 1/1024.
    sample_weight : array-like (n,), optional
        Non-negative weights.
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.

    Returns
    -------
    SmoothCalibrationError
        Named tuple ``(value, width)``.

    Raises
    ------
    InputError
        If the input cannot be used or `width` is not positive.

    Notes
    -----
    The error is the integral over t of ``|E[(y - p) K(p, t)]|`` with a Gaussian kernel K reflected
    at 0 and 1 (Blasiok and Nakkiran 2023, section 4). Residuals are spread on a mesh of 8,192 cells
    once; reflected smoothing multiplies its cosine transform, so a bandwidth costs one transform
    whatever n is. O(n) in all.

    Examples
    --------
    >>> import evalstats as es
    >>> error = es.smooth_calibration_error([0, 1, 0, 1, 0, 0], [0.3, 0.8, 0.6, 0.9, 0.2, 0.7])
    >>> round(error.value, 3), round(error.width, 3)
    (0.25, 0.25)
    """
    rows = binary_rows(y_true, y_prob, sample_weight, pos_label)
    if width is not None and not 0 < width <= LARGEST_WIDTH:
        raise InputError(
            f"width={width!r}: the width of the kernel is a positive number, at most "
            f"{LARGEST_WIDTH:g}"
        )
    mesh = np.zeros(CELLS)
    mass = residuals_on_mesh(rows.forecast, rows.outcome, rows.given_weights, mesh)
    waves = _cosine_transform(mesh / mass)
    if width is not None:
        return SmoothCalibrationError(_error(waves, width), float(width))
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        if _error(waves, middle) <= middle:
            high = middle
        else:
            low = middle
    return SmoothCalibrationError(_error(waves, high), high)


def _cosine_transform(mesh: Array) -> Array:
    from scipy import fft

    return np.asarray(fft.dct(mesh, type=2))


def _error(waves: Array, width: float) -> float:
    """Sum of absolute smoothed residuals; the factors are those of heat flow on [0, 1]."""
    from scipy import fft

    damping = np.exp(-0.5 * (np.pi * width * np.arange(len(waves))) ** 2)
    return float(np.abs(fft.idct(waves * damping, type=2)).sum())
