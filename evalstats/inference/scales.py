"""Natural scales: where an estimate is roughly normal and intervals cannot leave its range."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
ScaleName = Literal["identity", "unit", "non_negative", "logit", "log", "logit_percent"]


@dataclass(frozen=True)
class Scale:
    """A transform with its inverse, its derivative and the range of the estimate.

    Attributes
    ----------
    closed : bool
        The ends of the range are ordinary values, at which a standard error still has a meaning.
    """

    forward: Callable[[Array], Array]
    inverse: Callable[[Array], Array]
    derivative: Callable[[Array], Array]
    low: float
    high: float
    closed: bool = False


# scipy is imported where it is used: point estimates should not wait for it.
def _logit(value: Array) -> Array:
    from scipy.special import logit

    return np.asarray(logit(value))


def _expit(value: Array) -> Array:
    from scipy.special import expit

    return np.asarray(expit(value))


def _logit_percent(value: Array) -> Array:
    return _logit(value / 100.0)


def _expit_percent(value: Array) -> Array:
    return 100.0 * _expit(value)


SCALES: dict[str, Scale] = {
    "identity": Scale(lambda x: x, lambda x: x, np.ones_like, -np.inf, np.inf),
    "unit": Scale(lambda x: x, lambda x: x, np.ones_like, low=0.0, high=1.0, closed=True),
    "non_negative": Scale(
        lambda x: x, lambda x: x, np.ones_like, low=0.0, high=np.inf, closed=True
    ),
    "logit": Scale(_logit, _expit, lambda x: 1.0 / (x * (1.0 - x)), low=0.0, high=1.0),
    "logit_percent": Scale(
        _logit_percent,
        _expit_percent,
        lambda x: 100.0 / (x * (100.0 - x)),
        low=0.0,
        high=100.0,
    ),
    "log": Scale(np.log, np.exp, lambda x: 1.0 / x, low=0.0, high=np.inf),
}


def on_scale(value: Array, standard_error: Array, scale: ScaleName) -> tuple[Array, Array]:
    """Estimate and delta-method standard error on the natural scale; NaN at its ends."""
    transform = SCALES[scale]
    inside = transform.closed | ((value > transform.low) & (value < transform.high))
    safe = np.where(inside, value, np.nan)
    return transform.forward(safe), standard_error * transform.derivative(safe)
