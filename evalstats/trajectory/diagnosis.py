"""Warnings and remarks on forecasts that can be scored but should make one look twice."""

from collections.abc import Mapping

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


def diagnose(models: Mapping[str, Scored], plan: Plan) -> list[Diagnosis]:
    """Suspicious cells and sample sizes of all models."""
    found: list[Diagnosis] = []
    sizes = {}
    for name, scored in models.items():
        k = scored.field("n_samples")
        if int(k.max(initial=0)) > 0:
            sizes[name] = int(k[k > 0].min()), int(k.max())
        found += _cell_warnings(name, scored, plan)
        if plan.distance and int(k.max(initial=0)) > 0 and int(k[k > 0].min()) < FEW_SAMPLES:
            found.append(
                (
                    "few-samples",
                    f"{name!r} has {int(k[k > 0].min())} samples of an agent: AMD is biased "
                    f"upwards below about {FEW_SAMPLES} (see small_sample=True)",
                )
            )
    if plan.distance and len(set(sizes.values())) > 1:
        shown = ", ".join(f"{name!r} {low}" for name, (low, _) in sizes.items())
        found.append(
            (
                "unequal-samples",
                f"models differ in their number of samples ({shown}): AMD depends on it, so "
                "compare at equal K or with small_sample=True",
            )
        )
    return found


def _cell_warnings(name: str, scored: Scored, plan: Plan) -> list[Diagnosis]:
    status = scored.field("status")
    total = int((status != MASKED).sum())
    if not plan.distance:
        return []
    limit = plan.fit_options()[1]
    at_cap = int((scored.field("n_components") == limit).sum()) if not plan.robust else 0
    if int(scored.field("n_samples").max(initial=0)) == 0 or limit == 1:
        at_cap = 0
    causes = (
        (
            COINCIDENT,
            "coincident-samples",
            "have at most two distinct samples: the added variance alone sets their distance",
        ),
        (
            REG_DOMINATED,
            "regularised-cells",
            f"have a variance below reg_covar={plan.reg_covar:g}: their distance depends on it "
            "and on the length unit",
        ),
        (
            UNDERFLOW,
            "underflow",
            "underflow and count as distance 0, as in the published code: without "
            "compat='reference' they are computed",
        ),
        (NOT_CONVERGED, "not-converged", "reached the limit of EM iterations"),
    )
    counts = [
        (code, f"{int((status == kind).sum())} of {total} cells of {name!r} {text}")
        for kind, code, text in causes
        if bool((status == kind).any())
    ]
    if at_cap:
        counts.append(
            (
                "components-at-cap",
                f"{at_cap} of {total} cells of {name!r} use all {limit} components: more might "
                "fit better (fit='robust' tries 5)",
            )
        )
    return counts


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
