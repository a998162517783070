"""Sorting of numbers by their leading bytes, at the same speed on every processor.

NumPy's vectorised sort takes a sixth of its usual time on some processors and all of it on others
(of one vendor and with the same instruction set); a radix sort needs no special instructions.
"""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel

Keys = NDArray[np.uint64]
# Below that many values NumPy is faster everywhere.
FEW = 2048
# Rows are counted in 32 bits.
MANY = 2**31 - 1
BYTE = 8
# Four leading bytes tell a million numbers apart, five all that fit into memory.
FOUR_BYTES_UP_TO = 4_000_000
# Moves of the last step, for each value, after which sorting by all bytes is cheaper.
MOVES = 8


def ascending(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sorted copy of finite or infinite numbers; 0.0 and -0.0 are equal. O(n) from 2,048 values."""
    if values.size < FEW:
        return np.sort(values)
    values = np.ascontiguousarray(values)
    keys, moved = sorted_keys(values.view(np.uint64), False, _bytes_for(values.size))
    if moved < 0:
        keys, _ = sorted_keys(values.view(np.uint64), False, BYTE)
    return numbers_of_keys(keys).view(np.float64)


def stable_order(values: NDArray[np.float64], *, descending: bool = False) -> NDArray[np.int64]:
    """Rows in the order of their numbers, equal ones in the order of rows. O(n) from 2,048 values.

    Parameters
    ----------
    values : float64 array (n,)
        Without NaN; -0.0 must have been replaced by 0.0.
    descending : bool
        From high to low.
    """
    if not FEW <= values.size <= MANY:
        return np.argsort(-values if descending else values, kind="stable").astype(np.int64)
    values = np.ascontiguousarray(values)
    bits = values.view(np.uint64)
    order, moved = sorted_rows(bits, descending, _bytes_for(values.size))
    if moved < 0:
        order, _ = sorted_rows(bits, descending, BYTE)
    return order.astype(np.int64)


def _bytes_for(n: int) -> int:
    return 4 if n <= FOUR_BYTES_UP_TO else 5


@kernel
def keys_and_counts(bits: Keys, descending: bool, keys: Keys, counts: NDArray[np.int64]) -> None:
    """Integers in the order of the numbers, and how often each byte has each value. O(n)."""
    sign = np.uint64(1) << np.uint64(63)
    byte = np.uint64(255)
    first = BYTE - counts.shape[0]
    for row in range(bits.size):
        number = bits[row]
        key = ~number if number & sign else number | sign
        if descending:
            key = ~key
        keys[row] = key
        shifted = key >> np.uint64(BYTE * first)
        for place in range(counts.shape[0]):
            counts[place, shifted & byte] += 1
            shifted >>= np.uint64(BYTE)


@kernel
def starts_of_counts(counts: NDArray[np.int64]) -> None:
    """Replace counts by the place of the first of each. O(256)."""
    total = 0
    for value in range(counts.size):
        count = counts[value]
        counts[value] = total
        total += count


@kernel
def sorted_keys(bits: Keys, descending: bool, n_bytes: int) -> tuple[Keys, int]:
    """Sorted keys, and the moves of the last step; negative if it gave up. O(n).

    By the leading bytes first, the least significant of them first; what those do not tell apart
    is put in order by insertion, which is quick where little is left to do.
    """
    n = bits.size
    keys = np.empty(n, np.uint64)
    other = np.empty(n, np.uint64)
    counts = np.zeros((n_bytes, 256), np.int64)
    keys_and_counts(bits, descending, keys, counts)
    byte = np.uint64(255)
    for place in range(n_bytes):
        shift = np.uint64(BYTE * (BYTE - n_bytes + place))
        starts = counts[place]
        if starts[(keys[0] >> shift) & byte] == n:
            continue
        starts_of_counts(starts)
        for row in range(n):
            key = keys[row]
            value = (key >> shift) & byte
            other[starts[value]] = key
            starts[value] += 1
        keys, other = other, keys
    moved = 0
    if n_bytes < BYTE:
        for row in range(1, n):
            key = keys[row]
            place = row
            while place > 0 and keys[place - 1] > key:
                keys[place] = keys[place - 1]
                place -= 1
            keys[place] = key
            moved += row - place
            if moved > MOVES * n:
                return keys, -1
    return keys, moved


@kernel
def sorted_rows(bits: Keys, descending: bool, n_bytes: int) -> tuple[NDArray[np.int32], int]:
    """As `sorted_keys`, with the row of each key; equal keys keep the order of rows. O(n)."""
    n = bits.size
    keys = np.empty(n, np.uint64)
    other = np.empty(n, np.uint64)
    rows = np.empty(n, np.int32)
    other_rows = np.empty(n, np.int32)
    for row in range(n):
        rows[row] = row
    counts = np.zeros((n_bytes, 256), np.int64)
    keys_and_counts(bits, descending, keys, counts)
    byte = np.uint64(255)
    for place in range(n_bytes):
        shift = np.uint64(BYTE * (BYTE - n_bytes + place))
        starts = counts[place]
        if starts[(keys[0] >> shift) & byte] == n:
            continue
        starts_of_counts(starts)
        for row in range(n):
            key = keys[row]
            value = (key >> shift) & byte
            target = starts[value]
            other[target] = key
            other_rows[target] = rows[row]
            starts[value] = target + 1
        keys, other = other, keys
        rows, other_rows = other_rows, rows
    moved = 0
    if n_bytes < BYTE:
        for row in range(1, n):
            key = keys[row]
            if keys[row - 1] <= key:
                continue
            own = rows[row]
            place = row
            while place > 0 and keys[place - 1] > key:
                keys[place] = keys[place - 1]
                rows[place] = rows[place - 1]
                place -= 1
            keys[place] = key
            rows[place] = own
            moved += row - place
            if moved > MOVES * n:
                return rows, -1
    return rows, moved


@kernel
def numbers_of_keys(keys: Keys) -> Keys:
    """Bits of the numbers of ascending keys, written over them. O(n)."""
    sign = np.uint64(1) << np.uint64(63)
    for row in range(keys.size):
        key = keys[row]
        keys[row] = key ^ sign if key & sign else ~key
    return keys
