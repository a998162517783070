"""Why a logistic fit has no finite solution: which terms separate wins from losses."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def separating_terms(design: Array, y: Array, weight: Array, names: list[str]) -> list[str]:
    """Names of the terms along which the likelihood has no maximum; empty if it has one.

    Solves Konis' (2007) linear program: a direction along which no row's predicted preference
    moves away from its outcome, and some row's moves towards it; a fractional outcome must not
    move at all.

    Parameters
    ----------
    design : float64 array (n, p)
        Rows of the fit.
    y, weight : float64 array (n,)
        Outcomes in [0, 1] and weights.
    names : list of str
        Names of the terms.

    Returns
    -------
    list of str
        Terms with a non-zero entry in that direction.
    """
    from scipy import optimize

    used = weight > 0
    design, y = design[used], y[used]
    size = np.maximum(np.abs(design).max(axis=0, initial=0.0), 1e-300)
    decided = (y == 0.0) | (y == 1.0)
    towards = ((2.0 * y - 1.0)[:, np.newaxis] * design / size)[decided]
    fractional = (design / size)[~decided]
    # Equal rows give equal constraints; without this an intercept repeats one of them n times.
    towards, fractional = np.unique(towards, axis=0), np.unique(fractional, axis=0)
    program = optimize.linprog(
        -towards.sum(axis=0),
        A_ub=-towards if len(towards) else None,
        b_ub=np.zeros(len(towards)) if len(towards) else None,
        A_eq=fractional if len(fractional) else None,
        b_eq=np.zeros(len(fractional)) if len(fractional) else None,
        bounds=[(-1.0, 1.0)] * design.shape[1],
    )
    if program.x is None or -program.fun <= 1e-7:
        return []
    return [name for name, entry in zip(names, program.x, strict=True) if abs(entry) > 1e-7]
