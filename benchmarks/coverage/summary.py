"""From the readings of all replicates to one tidy row per procedure and target."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks.coverage.design import Design, Observed, Procedure, Reading

SCHEMA: dict[str, Any] = {
    "design": pl.String,
    "family": pl.String,
    "metric": pl.String,
    "about": pl.String,
    "n": pl.Int64,
    "clusters": pl.String,
    "imbalance": pl.String,
    "ties": pl.String,
    "procedure": pl.String,
    "default": pl.Boolean,
    "control": pl.Boolean,
    "target": pl.String,
    "truth": pl.Float64,
    "truth_source": pl.String,
    "replicates": pl.Int64,
    "refused": pl.Int64,
    "undefined": pl.Int64,
    "coverage": pl.Float64,
    "coverage_error": pl.Float64,
    "below": pl.Float64,
    "above": pl.Float64,
    "mean_width": pl.Float64,
    "bias": pl.Float64,
    "sd": pl.Float64,
    "mean_se": pl.Float64,
    "se_ratio": pl.Float64,
    "null": pl.Boolean,
    "rejected": pl.Float64,
    "rejected_error": pl.Float64,
    "warned": pl.Float64,
    "codes": pl.String,
    "seed": pl.Int64,
    "version": pl.String,
}
# Population values from large samples and quadrature are not exact to the last digits.
SLACK = 1e-9


def summarise(
    design: Design, observed: Sequence[Observed], truths: dict[str, float], seed: int, version: str
) -> pl.DataFrame:
    """Rows of one design."""
    shared = {
        name: getattr(design, name)
        for name in ("family", "metric", "about", "n", "clusters", "imbalance", "ties")
    }
    rows = []
    for procedure in design.procedures:
        targets = dict.fromkeys(
            target
            for item in observed
            for label, target in item.readings
            if label == procedure.label
        )
        for target in targets:
            # What is refused with an error misleads nobody; its share is shown beside the rest.
            answered = [item for item in observed if procedure.label not in item.refused]
            readings = np.array(
                [item.readings.get((procedure.label, target), Reading()) for item in answered]
            )
            rows.append(
                {
                    "design": design.name,
                    **shared,
                    "procedure": procedure.label,
                    "default": procedure.default,
                    "control": procedure.control,
                    "target": target,
                    "truth_source": design.truth_source,
                    "replicates": len(observed),
                    "refused": len(observed) - len(answered),
                    "seed": seed,
                    "version": version,
                    **_statistics(readings, truths.get(target, np.nan)),
                    **_warnings(procedure, observed),
                }
            )
    return pl.DataFrame(rows, schema=SCHEMA)


def _warnings(procedure: Procedure, observed: Sequence[Observed]) -> dict[str, Any]:
    seen = Counter(code for item in observed for code in item.codes[procedure.label])
    some = sum(bool(item.codes[procedure.label]) for item in observed)
    # A warning in one sample of fifty is no property of the design.
    often = [code for code, count in seen.most_common() if count > 0.02 * len(observed)]
    return {"warned": some / len(observed), "codes": ", ".join(often)}


def _statistics(readings: NDArray[np.float64], truth: float) -> dict[str, Any]:
    value, error, low, high, p_value, covered = readings.T
    known = np.isfinite(truth)
    slack = SLACK * max(abs(truth), 1e-3) if known and truth != 0 else 0.0
    found: dict[str, Any] = {"truth": float(truth), "undefined": 0}
    bounded = np.isfinite(low) & np.isfinite(high)
    if bounded.any() and known:
        # An interval that could not be given has not covered.
        found["undefined"] = int((~bounded).sum())
        inside = bounded & (low <= truth + slack) & (truth <= high + slack)
        found["coverage"] = float(inside.mean())
        found["below"] = float((bounded & (high < truth - slack)).mean())
        found["above"] = float((bounded & (low > truth + slack)).mean())
        found["mean_width"] = float((high - low)[bounded].mean())
    elif np.isfinite(covered).any():
        found["coverage"] = float(np.nanmean(covered))
        found["undefined"] = int(np.isnan(covered).sum())
    if "coverage" in found:
        found["coverage_error"] = share_error(found["coverage"], len(readings))
    valued = np.isfinite(value)
    if valued.sum() > 1:
        found["sd"] = float(value[valued].std(ddof=1))
        if known:
            found["bias"] = float(value[valued].mean() - truth)
    if np.isfinite(error).any():
        found["mean_se"] = float(np.nanmean(error[np.isfinite(error)]))
        if found.get("sd", 0.0) > 0:
            found["se_ratio"] = found["mean_se"] / found["sd"]
    tested = np.isfinite(p_value)
    if tested.any():
        found["null"] = bool(truth == 0)
        found["rejected"] = float((p_value[tested] <= 0.05).mean())
        found["rejected_error"] = share_error(found["rejected"], int(tested.sum()))
    return found


def share_error(share: float, n: int) -> float:
    """Monte Carlo standard error of a share."""
    return float(np.sqrt(share * (1 - share) / n))
