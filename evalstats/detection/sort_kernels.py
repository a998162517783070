"""Compiled stable sorts by small keys and ranks within groups."""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel

Codes = NDArray[np.int64]


@kernel
def counting_sort(order: Codes, key: Codes, n_keys: int, out: Codes, offsets: Codes) -> None:
    """Stable sort of `order` by ``key[order]``; `offsets` gets each key's start. O(n + keys)."""
    offsets[:] = 0
    for item in order:
        offsets[key[item] + 1] += 1
    for k in range(n_keys):
        offsets[k + 1] += offsets[k]
    fill = offsets[:-1].copy()
    for item in order:
        k = key[item]
        out[fill[k]] = item
        fill[k] += 1


@kernel
def sort_tied_runs(order: Codes, value: NDArray[np.float64], key: Codes) -> None:
    """Sort each run of equal ``value[order]`` by ``key[order]``. O(n + ties log ties)."""
    start = 0
    n = len(order)
    while start < n:
        stop = start + 1
        while stop < n and value[order[stop]] == value[order[start]]:
            stop += 1
        if stop > start + 1:
            run = order[start:stop].copy()
            order[start:stop] = run[np.argsort(key[run])]
        start = stop


@kernel
def ranks_within(order: Codes, key: Codes, n_keys: int, rank: Codes) -> None:
    """Position of each item among those of its key, in `order`; -1 for negative keys. O(n)."""
    seen = np.zeros(n_keys, dtype=np.int64)
    for item in order:
        k = key[item]
        if k < 0:
            rank[item] = -1
        else:
            rank[item] = seen[k]
            seen[k] += 1


@kernel
def verified_pairs(
    offsets: Codes,
    category: Codes,
    listed_offsets: Codes,
    listed: Codes,
    n_categories: int,
    found: NDArray[np.uint8],
) -> None:
    """Whether each detection's category is listed for its image. O(detections + list)."""
    stamp = np.full(n_categories, -1, dtype=np.int64)
    for image in range(len(offsets) - 1):
        for position in range(listed_offsets[image], listed_offsets[image + 1]):
            stamp[listed[position]] = image
        for row in range(offsets[image], offsets[image + 1]):
            if category[row] >= 0 and stamp[category[row]] == image:
                found[row] = 1
