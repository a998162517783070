"""The validated agents of one analysis: truths, forecasts and which steps count."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalstats.data.columns import Columns
from evalstats.data.intake import missing_values
from evalstats.errors import InputError
from evalstats.trajectory.forecasts import AgentMixture, AgentSamples

Array = NDArray[Any]
Forecast = Array | AgentSamples | AgentMixture


@dataclass(frozen=True)
class Agents:
    """Truths (T, D) and step masks of all agents, and the forecasts of each model."""

    truths: list[Array]
    steps: list[NDArray[np.int64]]
    forecasts: dict[str, list[Forecast]]

    @property
    def dimension(self) -> int:
        """Number of coordinates."""
        return int(self.truths[0].shape[1])

    @property
    def n_steps(self) -> int:
        """Largest number of steps."""
        return max(len(truth) for truth in self.truths)


def drop_unusable(column: object, mask: object) -> object:
    """Replace agents whose unmasked cells hold NaN by None, so that they count as missing."""
    if not isinstance(column, np.ndarray) or column.dtype != object or column.ndim != 1:
        return column
    masks = mask if isinstance(mask, np.ndarray) and len(mask) == len(column) else None
    changed = column
    for row, item in enumerate(column):
        values = item.values if isinstance(item, AgentSamples) else item
        if not isinstance(values, np.ndarray) or values.dtype.kind != "f":
            continue
        # A sum is finite unless a number is not, and costs one pass without a copy.
        with np.errstate(over="ignore", invalid="ignore"):
            total = values.sum(dtype=np.float64)
        if np.isfinite(total):
            continue
        axis = 1 if values.ndim == 3 else 0
        if masks is not None and np.shape(masks[row]) == (values.shape[axis],):
            values = np.compress(np.asarray(masks[row], dtype=bool), values, axis=axis)
        if bool(np.isnan(values).any()):
            if changed is column:
                changed = column.copy()
            changed[row] = None
    return changed


def collect_agents(columns: Columns, *, mixtures_allowed: bool) -> Agents:
    """Check shapes and content of every agent."""
    if "mask" in columns.single:
        masks = [np.asarray(item) for item in columns.single["mask"]]
    else:
        masks = None
    truths = [
        _numbers("trajectory", row, item, 2)
        for row, item in enumerate(columns.single["trajectory"])
    ]
    steps = [_steps(row, truth, masks) for row, truth in enumerate(truths)]
    d = truths[0].shape[1]
    for row, truth in enumerate(truths):
        if truth.shape[1] != d:
            raise InputError(
                f"trajectory has {truth.shape[1]} coordinates in row {row} but {d} in row 0"
            )
    _require_finite_truths(truths, steps)
    forecasts = {}
    models = columns.models["samples"]
    for name, column in models.items():
        label = sample_label(name, models)
        forecasts[name] = [
            _forecast(label, row, item, truths[row].shape, mixtures_allowed)
            for row, item in enumerate(column)
        ]
    return Agents(truths, steps, forecasts)


def sample_label(name: str, models: Collection[str]) -> str:
    """How messages call the samples of one model."""
    return "samples" if list(models) == ["samples"] else f"samples[{name!r}]"


def _steps(row: int, truth: Array, masks: list[Array] | None) -> NDArray[np.int64]:
    if masks is None:
        if len(truth) == 0:
            raise InputError(f"trajectory has no step in row {row}: leave the agent out")
        return np.arange(len(truth))
    mask = masks[row]
    if mask.shape != (len(truth),) or mask.dtype.kind not in "biu":
        raise InputError(
            f"mask has shape {mask.shape} and dtype {mask.dtype} in row {row}: pass one boolean "
            f"for each of the {len(truth)} steps, True for cells to evaluate"
        )
    used = np.flatnonzero(mask)
    if len(used) == 0:
        raise InputError(f"mask leaves no cell in row {row}: leave the agent out")
    return used


def _numbers(label: str, row: int, item: object, ndim: int) -> Array:
    form = {2: "(T, D)", 3: "(K, T, D)"}[ndim]
    if isinstance(item, np.ndarray) and item.dtype != object:
        array = item
    else:
        listed = item.tolist() if isinstance(item, np.ndarray) else item
        try:
            array = np.array(_lists(listed))
        except ValueError as error:
            raise InputError(f"{label} is ragged in row {row}: pass {form} per agent") from error
    if array.dtype.kind == "c":
        raise InputError(f"{label} is complex: pass real numbers")
    if array.dtype.kind == "f" and array.ndim == 0 and np.isinf(array):
        raise InputError(f"{label} has 1 infinite value (first in row {row}): pass finite numbers")
    if array.dtype.kind not in "biuf":
        raise InputError(f"{label} has dtype {array.dtype} in row {row}: pass real numbers")
    if array.ndim != ndim:
        raise InputError(
            f"{label} has shape {array.shape} in row {row}: pass {form} per agent, or one array "
            "for all agents with its axes named by axes="
        )
    return array


def _lists(item: object) -> object:
    """Nested lists of what may be arrays within arrays."""
    if isinstance(item, np.ndarray):
        return _lists(item.tolist()) if item.dtype == object else item
    return [_lists(part) for part in item] if isinstance(item, list | tuple) else item


def _require_finite_truths(truths: list[Array], steps: list[NDArray[np.int64]]) -> None:
    # A sum is finite unless a number is not; masked cells may hold anything.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.concatenate(truths).sum(dtype=np.float64)):
            return
    used = [truth[kept] for truth, kept in zip(truths, steps, strict=True)]
    require_finite("trajectory", dict(enumerate(used)))


def require_finite(label: str, suspects: Mapping[int, Array]) -> None:
    """Refuse missing and infinite numbers among the rows given."""
    missing = [row for row, values in suspects.items() if bool((values != values).any())]  # noqa: PLR0124 - NaN of any dtype
    if missing:
        raise missing_values(label, len(missing), missing[0])
    for row, values in suspects.items():
        count = int(np.isinf(values).sum()) if values.dtype.kind == "f" else 0
        if count > 0:
            raise InputError(
                f"{label} has {count} infinite or missing values in one agent (first in row "
                f"{row}): pass finite numbers, or exclude cells by mask="
            )


def _forecast(
    label: str,
    row: int,
    item: object,
    shape: tuple[int, ...],
    mixtures_allowed: bool,
) -> Forecast:
    t, d = shape
    if isinstance(item, AgentMixture):
        if not mixtures_allowed:
            raise InputError(f"{label}: mixtures have AMD and AMV only: use AMD() or AMV()")
        if item.means.shape[0] != t or item.means.shape[2] != d:
            raise InputError(
                f"{label} has {item.means.shape[0]} steps of {item.means.shape[2]} coordinates in "
                f"row {row}, the trajectory {t} of {d}"
            )
        return item
    given = item.values if isinstance(item, AgentSamples) else item
    values = _numbers(label, row, given, 3)
    k = len(values)
    if values.shape[1:] != (t, d):
        raise InputError(
            f"{label} has {values.shape[1]} steps of {values.shape[2]} coordinates in row {row}, "
            f"the trajectory {t} of {d}: check axes="
        )
    if k < d + 2:
        raise InputError(
            f"{label} has {k} samples in row {row}: at least {d + 2} are needed to estimate a "
            f"covariance of {d} coordinates"
        )
    return AgentSamples(values, item.probability) if isinstance(item, AgentSamples) else values
