"""Warnings and remarks on forecasts that can be scored but should make one look twice."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from evalstats.data.columns import Columns
from evalstats.estimator import Diagnosis
from evalstats.trajectory.mixture_kernels import (
    COINCIDENT,
    MASKED,
    NOT_CONVERGED,
    REG_DOMINATED,
    UNDERFLOW,
)
from evalstats.trajectory.scored import Plan, Scored

FEW_SAMPLES = 50
OVERLAP_SHARE = 0.5
LEAST_WINDOWS = 2
# With fewer clusters than this the variance itself is too uncertain.
BLOCKS = 20


class Tally(NamedTuple):
    """What warnings about one model are made of; adds up over parts of the agents.

    Attributes
    ----------
    fewest, most : int
        Samples of an agent; 0 for given mixtures.
    cells, coincident, regularised, underflow, not_converged, at_cap : int
        Cells that count, and those of each status.
    """

    fewest: int
    most: int
    cells: int
    coincident: int
    regularised: int
    underflow: int
    not_converged: int
    at_cap: int

    @classmethod
    def of(cls, scored: Scored, plan: Plan) -> "Tally":
        """Counts of scored agents."""
        k, status = scored.field("n_samples"), scored.field("status")
        limit = plan.fit_options()[1]
        capped = plan.distance and not plan.robust and limit > 1 and bool((k > 0).any())
        return cls(
            fewest=int(k[k > 0].min()) if bool((k > 0).any()) else 0,
            most=int(k.max(initial=0)),
            cells=int((status != MASKED).sum()),
            coincident=int((status == COINCIDENT).sum()),
            regularised=int((status == REG_DOMINATED).sum()),
            underflow=int((status == UNDERFLOW).sum()),
            not_converged=int((status == NOT_CONVERGED).sum()),
            at_cap=int((scored.field("n_components") == limit).sum()) if capped else 0,
        )

    def merged(self, other: "Tally") -> "Tally":
        """Counts of both parts."""
        known = [tally.fewest for tally in (self, other) if tally.fewest > 0]
        counts = (a + b for a, b in zip(self[2:], other[2:], strict=True))
        return Tally(min(known, default=0), max(self.most, other.most), *counts)


def diagnose(models: Mapping[str, Tally], plan: Plan) -> list[Diagnosis]:
    """Suspicious cells and sample sizes of all models."""
    found: list[Diagnosis] = []
    if not plan.distance:
        return found
    sizes = {}
    for name, tally in models.items():
        if tally.most > 0:
            sizes[name] = tally.fewest, tally.most
        found += _cell_warnings(name, tally, plan)
        if 0 < tally.fewest < FEW_SAMPLES:
            found.append(
                (
                    "few-samples",
                    f"{name!r} has {tally.fewest} samples of an agent: AMD is biased "
                    f"upwards below about {FEW_SAMPLES} (see small_sample=True)",
                )
            )
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{name!r} {low}" for name, (low, _) in sizes.items())
        found.append(
            (
                "unequal-samples",
                f"models differ in their number of samples ({shown}): AMD depends on it, so "
                "compare at equal K or with small_sample=True",
            )
        )
    return found


def _cell_warnings(name: str, tally: Tally, plan: Plan) -> list[Diagnosis]:
    causes = (
        (
            tally.coincident,
            "coincident-samples",
            "have at most two distinct samples: the added variance alone sets their distance",
        ),
        (
            tally.regularised,
            "regularised-cells",
            f"have a variance below reg_covar={plan.reg_covar:g}: their distance depends on it "
            "and on the length unit",
        ),
        (
            tally.underflow,
            "underflow",
            "underflow and count as distance 0, as in the published code: without "
            "compat='reference' they are computed",
        ),
        (tally.not_converged, "not-converged", "reached the limit of EM iterations"),
        (
            tally.at_cap,
            "components-at-cap",
            f"use all {plan.fit_options()[1]} components: more might fit better (fit='robust' "
            "tries 5)",
        ),
    )
    return [
        (code, f"{count} of {tally.cells} cells of {name!r} {text}")
        for count, code, text in causes
        if count
    ]


def overlap_message(columns: Columns, window: int) -> list[Diagnosis]:
    """Windows that share frames but are counted as independent."""
    if "start" not in columns.single or columns.cluster is None:
        return []
    order = np.argsort(columns.single["start"], kind="stable")
    start, cluster = columns.single["start"][order], columns.cluster[order]
    gap = np.diff(start)
    moved = gap > 0
    if not bool(moved.any()):
        return []
    split = moved & (gap < window) & (np.diff(cluster) != 0)
    if split.sum() <= OVERLAP_SHARE * moved.sum():
        return []
    return [
        (
            "overlapping-windows",
            f"{int(split.sum())} of {int(moved.sum())} successive windows overlap in time (windows "
            f"of {window} frames) but lie in different clusters: standard errors are too small; "
            "cluster by recording, by track or by blocks of frames (leave cluster= out and pass "
            "start=)",
        )
    ]


def block_length(start: NDArray[np.int64], window: int) -> int:
    """Frames of a block: whole windows, at least two, and as many as leave about 20 blocks.

    Windows that overlap the end of a block depend on those of the next one. The longer the block,
    the smaller their share of its variance.
    """
    frames = int(start.max() - start.min()) + 1
    if frames <= LEAST_WINDOWS * window:
        return window
    return window * max(LEAST_WINDOWS, frames // (BLOCKS * window))


def cluster_remark(columns: Columns) -> list[str]:
    """What the clusters are, when the estimator chose them."""
    words = {
        "start": f"blocks of {columns.extra.get('block_frames')} frames (from start=)",
        "track": "tracks (from track=)",
        "scene": "scenes (from scene=); windows that overlap in time need cluster= or start=",
    }
    chosen = columns.extra.get("cluster_of")
    return [f"Clusters are {words[chosen]}."] if chosen in words else []
