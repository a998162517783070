"""Tables of bins."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.calibration.binned_error import effective_size
from evalstats.calibration.binning import Bins, Prepared
from evalstats.calibration.probabilities import Target
from evalstats.data.columns import Columns

Array = NDArray[np.float64]


def bin_table(
    columns: Columns, samples: Sequence[tuple[str | None, Columns, Prepared]], target: Target
) -> pl.DataFrame:
    """Bins with rows, of every model, class and group."""
    classes = columns.extra["classes"] if target == "classwise" else None
    frames = []
    for group, sample, prepared in samples:
        weights = np.ones(sample.n) if sample.weight is None else sample.weight
        for model, sets in zip(sample.model_names, prepared.models, strict=True):
            for position, bins in enumerate(sets):
                labels = {"model": model}
                if group is not None:
                    labels["group"] = group
                if classes is not None:
                    labels["class"] = str(classes[position])
                frames.append(_bins_of(bins, weights, labels))
    return pl.concat(frames)


def _bins_of(bins: Bins, weights: Array, labels: dict[str, str]) -> pl.DataFrame:
    sums = bins.sums(weights)
    low, high = bins.limits(weights)
    counts = np.bincount(bins.assigned(weights)[weights > 0], minlength=len(sums))
    used = np.flatnonzero(sums[:, 0] > 0)
    mass = sums[used, 0]
    rate, gap = sums[used, 2] / mass, sums[used, 1] / mass
    size = effective_size(sums[used])
    return pl.DataFrame(
        {
            **{name: [label] * len(used) for name, label in labels.items()},
            "low": low[used],
            "high": high[used],
            "n": counts[used].astype(np.int64),
            "share": mass / mass.sum(),
            "mean_forecast": rate - gap,
            "observed_frequency": rate,
            "difference": gap,
            "standard_error": np.sqrt(rate * (1.0 - rate) / size),
        }
    )
