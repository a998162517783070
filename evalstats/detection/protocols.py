"""Which numbers a protocol reports, and the curves each of them needs."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalstats.detection.matching import AREAS, Matches

Protocol = Literal["coco", "lvis", "fixed"]
Ties = Literal["reference", "block"]
COCO_CAPS = (1, 10, 100)
LVIS_CAP = 300


class Number(NamedTuple):
    """One reported number.

    Attributes
    ----------
    kind : {"ap", "recall"}
        Average precision or recall.
    area : int
        Position in :data:`~evalstats.detection.matching.AREAS`.
    cap : int or None
        Largest number of detections (per image, or per image and category for COCO).
    threshold : float or None
        The only threshold; None averages all.
    frequency : int or None
        The only frequency group of categories (0, 1, 2 for r, c, f).
    """

    kind: Literal["ap", "recall"]
    area: int = 0
    cap: int | None = None
    threshold: float | None = None
    frequency: int | None = None


def protocol_numbers(
    protocol: Protocol, caps: tuple[int, ...], with_frequency: bool
) -> dict[str, Number]:
    """Names of a protocol's numbers and what they are, in the reference's order."""
    last = caps[-1] if caps else None
    numbers = {
        "AP": Number("ap", 0, last),
        "AP50": Number("ap", 0, last, 0.5),
        "AP75": Number("ap", 0, last, 0.75),
    }
    letters = [area[0] for area in AREAS]
    numbers |= {f"AP{letters[a]}": Number("ap", a, last) for a in (1, 2, 3)}
    if with_frequency:
        numbers |= {f"AP{'rcf'[f]}": Number("ap", 0, last, None, f) for f in (0, 1, 2)}
    if protocol == "coco":
        numbers |= {f"AR{cap}": Number("recall", 0, cap) for cap in caps}
        numbers |= {f"AR{letters[a]}": Number("recall", a, last) for a in (1, 2, 3)}
        return numbers
    suffix = f"@{last}" if protocol == "lvis" and last is not None else ""
    numbers |= {
        f"AR{'' if a == 0 else letters[a]}{suffix}": Number("recall", a, last) for a in range(4)
    }
    return numbers


def kept(matches: Matches, protocol: str, cap: int | None, budget: int) -> NDArray[np.bool_] | None:
    """Detections within the protocol's cap or budget; None keeps all."""
    if protocol == "coco":
        return None if cap is None else matches.group_rank < cap
    if protocol == "lvis":
        return None if cap is None else matches.image_rank < cap
    return matches.category_rank < budget


def threshold_position(thresholds: NDArray[np.float64], wanted: float) -> int | None:
    """Position of a threshold up to rounding, None when it is not in the list."""
    found = np.flatnonzero(np.isclose(thresholds, wanted, rtol=0.0, atol=1e-9))
    return int(found[0]) if len(found) else None


DEFAULT_CAPS: Mapping[str, tuple[int, ...]] = {"coco": COCO_CAPS, "lvis": (LVIS_CAP,), "fixed": ()}
