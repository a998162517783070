"""Options of the estimator, checked before any data are read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalstats.discontinuity.monotone import Step
from evalstats.discontinuity.sides import KERNEL_CODES
from evalstats.errors import InputError

Array = NDArray[np.float64]
Method = Literal["frechet", "local_polynomial"]
Kernel = Literal["triangular", "epanechnikov", "uniform"]
BandwidthRule = Literal["mse", "imse", "cer", "mse_two", "imse_two", "cer_two", "r3d"]
Bandwidth: TypeAlias = BandwidthRule | float | Sequence[float] | Mapping[str, ArrayLike]
Rearrangement = Literal["sort", "none"]
OutcomeForm = Literal["draws", "quantiles"]
Compat = Literal["r3d"]

RULES = ("mse", "imse", "cer", "mse_two", "imse_two", "cer_two", "r3d")
BANDWIDTH_KEYS = ("outcome", "below", "above", "treatment")
DEFAULT_GRID = np.arange(1, 100) / 100.0
MAX_ORDER = 8
LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class Grid:
    """Quantiles in ascending order, and where each of the user's stands among them."""

    levels: Array
    position: NDArray[np.int64]

    @classmethod
    def of(cls, quantiles: "ArrayLike | None") -> "Grid":
        """Check and sort the quantiles."""
        given = DEFAULT_GRID if quantiles is None else np.atleast_1d(np.asarray(quantiles, float))
        if given.ndim != 1 or len(given) == 0:
            raise InputError("quantiles is empty or no list: pass numbers strictly between 0 and 1")
        bad = ~((given > 0) & (given < 1))
        if bool(bad.any()):
            raise InputError(
                f"quantiles has {given[bad][0]:g} at position {int(np.argmax(bad))}: they must lie "
                "strictly between 0 and 1"
            )
        levels, position = np.unique(given, return_inverse=True)
        if len(levels) < len(given):
            order = np.sort(given)
            raise InputError(f"quantiles names {order[:-1][np.diff(order) == 0][0]:g} twice")
        return cls(levels, position.astype(np.int64).ravel())


def require_choice(name: str, value: object, allowed: Sequence[object]) -> None:
    """Refuse a value that is none of the allowed ones."""
    if value not in allowed:
        options = ", ".join(repr(option) for option in allowed)
        raise InputError(f"{name}={value!r} is unknown: choose one of {options}")


def require_orders(p: object, s: object) -> None:
    """Orders are integers with 1 <= s <= p <= 8."""
    for name, value, low in (("p", p, 0), ("s", s, 1)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
            raise InputError(f"{name}={value!r}: it must be an integer >= {low}")
        if value > MAX_ORDER:
            raise InputError(
                f"{name}={value!r}: polynomials of order > {MAX_ORDER} are ill-conditioned"
            )


def require_number(name: str, value: Any, low: float) -> None:
    """Refuse what is no finite number of at least `low`."""
    value = value.item() if isinstance(value, np.number) else value
    number = isinstance(value, int | float) and not isinstance(value, bool)
    # Compared rather than converted: an integer may be larger than any float.
    if not number or not low <= value <= LARGEST or value < -LARGEST:
        wanted = "a finite number" if low == -np.inf else f"a finite number >= {low:g}"
        raise InputError(f"{name}={value!r}: it must be {wanted}")


def monotone_step(method: str, rearrange: str, compat: "str | None") -> Step:
    """How a method makes its limit curves non-decreasing."""
    if method == "frechet":
        return "isotonic"
    if compat == "r3d":
        return "r3d"
    return "sort" if rearrange == "sort" else "none"


def given_bandwidths(bandwidth: Any, grid: Grid) -> dict[str, Array]:
    """Bandwidths by value: for each key (Q,) in ascending order of the quantiles, or (1,)."""
    named = bandwidth if isinstance(bandwidth, Mapping) else {"outcome": bandwidth}
    unknown = [key for key in named if key not in BANDWIDTH_KEYS]
    if unknown or not named:
        raise InputError(f"bandwidth has the keys {list(named)}: use some of {BANDWIDTH_KEYS}")
    if ("below" in named) != ("above" in named) or ("outcome" in named and "below" in named):
        raise InputError("bandwidth needs 'outcome' for both sides, or 'below' and 'above'")
    return {key: _values(key, value, grid) for key, value in named.items()}


def _values(key: str, value: Any, grid: Grid) -> Array:
    label = "bandwidth" if key == "outcome" else f"bandwidth[{key!r}]"
    try:
        h = np.atleast_1d(np.asarray(value, dtype=np.float64))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{label}={value!r}: pass a rule ({', '.join(RULES)}) or positive numbers"
        ) from error
    allowed = (1,) if key == "treatment" else (1, len(grid.levels))
    if h.ndim != 1 or len(h) not in allowed:
        wanted = "one value" if key == "treatment" else "one value or one per quantile"
        raise InputError(f"{label} has shape {h.shape}: pass {wanted} ({len(grid.levels)})")
    if not bool((np.isfinite(h) & (h > 0)).all()):
        raise InputError(f"{label} is {h[~(np.isfinite(h) & (h > 0))][0]}: it must be > 0")
    if len(h) > 1:
        ascending = np.empty_like(h)
        ascending[grid.position] = h
        return ascending
    return h


KERNELS = tuple(KERNEL_CODES)
