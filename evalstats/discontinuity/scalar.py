"""Jump of a scalar outcome at a given bandwidth, as plain numbers."""

from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalstats.data.columns import require_same_length
from evalstats.data.intake import to_array
from evalstats.data.validation import finite_scores
from evalstats.discontinuity.kernels import MAX_CONDITION
from evalstats.discontinuity.options import Kernel, require_choice, require_number, require_orders
from evalstats.discontinuity.scalar_kernels import scalar_jump
from evalstats.discontinuity.sides import KERNEL_CODES
from evalstats.errors import InputError
from evalstats.options import typed_options

NO_WEIGHT = np.empty(0)


@typed_options
def regression_discontinuity(
    running: ArrayLike,
    outcome: ArrayLike,
    *,
    bandwidth: float,
    cutoff: float = 0.0,
    p: int = 2,
    kernel: Kernel = "triangular",
    sample_weight: ArrayLike | None = None,
) -> tuple[float, float]:
    """Jump of a scalar outcome at the cutoff and its standard error, in one given window.

    Parameters
    ----------
    running : array-like (n,)
        Running variable; rows at the cutoff count as above it.
    outcome : array-like (n,)
        One number per row.
    bandwidth : float
        Half width of the window, in units of `running`.
    cutoff : float, default 0.0
        Where the treatment begins.
    p : int, default 2
        Order of the local polynomial on each side.
    kernel : {"triangular", "epanechnikov", "uniform"}
        Weight by distance from the cutoff.
    sample_weight : array-like (n,), optional
        Non-negative weights.

    Returns
    -------
    estimate, standard_error : float
        The conventional estimate, and its error from leave-one-out residuals (HC3), equal to those
        of :class:`DistributionRDD` for the same window. The fit of order ``p + 1`` is the estimate
        of order `p` corrected for its bias with the same window.

    Raises
    ------
    InputError
        If a column is not finite, or a window has too few rows or values for the order.

    Notes
    -----
    O(n + window p^2); nothing is sorted.

    References
    ----------
    Calonico, Cattaneo and Titiunik (2014), Econometrica 82.

    Examples
    --------
    >>> import numpy as np
    >>> import evalstats as es
    >>> x = np.linspace(-1, 1, 201)
    >>> estimate, error = es.regression_discontinuity(x, x + (x >= 0), bandwidth=0.5, p=1)
    >>> round(estimate, 6), round(error, 6)
    (1.0, 0.0)
    """
    require_orders(p, 1)
    require_choice("kernel", kernel, get_args(Kernel))
    require_number("cutoff", cutoff, -np.inf)
    require_number("bandwidth", bandwidth, 0.0)
    if bandwidth <= 0:
        raise InputError(f"bandwidth={bandwidth!r}: it must be a finite number > 0")
    x, y = _numbers("running", running), _numbers("outcome", outcome)
    require_same_length("outcome", y, len(x), "running")
    weight = NO_WEIGHT
    if sample_weight is not None:
        weight = _numbers("sample_weight", sample_weight)
        require_same_length("sample_weight", weight, len(x), "running")
        if bool((weight < 0).any()):
            row = int(np.argmax(weight < 0))
            raise InputError(
                f"sample_weight is {weight[row]:g} in row {row}: weights must be finite and >= 0"
            )
    limits, sums, conditions, rows = scalar_jump(
        x, y, weight, float(cutoff), float(bandwidth), KERNEL_CODES[kernel], int(p)
    )
    for side, name in enumerate(("below", "above")):
        if rows[side] < p + 2 or not conditions[side] < MAX_CONDITION:
            raise InputError(
                f"the window {name} the cutoff (h = {bandwidth:.6g}) holds {rows[side]} rows, too "
                f"few or too alike for a fit of order {p}: widen the bandwidth or lower p"
            )
    n = len(x) if sample_weight is None else int(np.count_nonzero(weight))
    total = sums[1, 0] - sums[0, 0]
    variance = n / (n - 1.0) * (sums[:, 1].sum() - total * total / n)
    return float(limits[1] - limits[0]), float(np.sqrt(max(variance, 0.0)))


def _numbers(argument: str, values: ArrayLike) -> NDArray[np.float64]:
    column, missing = to_array(argument, values)
    if column.ndim != 1:
        raise InputError(
            f"{argument} must be one-dimensional, but has shape {column.shape}: pass one value per "
            "row"
        )
    if missing is not None and bool(missing.any()):
        row = int(np.argmax(missing))
        raise InputError(f"{argument} has a missing value in row {row}: leave the row out")
    if column.dtype.kind == "f" and column.size and bool(np.isnan(column.min())):
        row = int(np.argmax(np.isnan(column)))
        raise InputError(f"{argument} is NaN in row {row}: leave the row out")
    return np.ascontiguousarray(finite_scores(argument, column), dtype=np.float64)
