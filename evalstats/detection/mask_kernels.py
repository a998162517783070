"""Compiled code for run-length encoded masks (column-major, as in COCO)."""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel

Runs = NDArray[np.uint32]
Codes = NDArray[np.int64]
Array = NDArray[np.float64]


@kernel
def count_runs(text: NDArray[np.uint8], offsets: Codes, runs: Codes) -> None:
    """Number of runs in each compressed mask. O(bytes)."""
    for mask in range(len(offsets) - 1):
        count = 0
        for position in range(offsets[mask], offsets[mask + 1]):
            if ((text[position] - 48) & 0x20) == 0:
                count += 1
        runs[mask] = count


@kernel
def decode_runs(text: NDArray[np.uint8], text_offsets: Codes, offsets: Codes, runs: Runs) -> None:
    """Decode the six-bit text of each mask into run lengths. O(bytes)."""
    for mask in range(len(offsets) - 1):
        position = text_offsets[mask]
        start = offsets[mask]
        for run in range(start, offsets[mask + 1]):
            value = np.int64(0)
            shift = np.int64(0)
            more = True
            while more:
                char = np.int64(text[position]) - 48
                value |= (char & 0x1F) << (5 * shift)
                more = (char & 0x20) != 0
                position += 1
                shift += 1
                if not more and (char & 0x10) != 0:
                    value |= np.int64(-1) << (5 * shift)
            if run - start > 2:
                value += np.int64(runs[run - 2])
            runs[run] = value


@kernel
def describe_masks(
    runs: Runs, offsets: Codes, height: Codes, area: Array, box: Array, pixels: Codes
) -> None:
    """Area, bounding box and number of all pixels of each mask. O(runs)."""
    for mask in range(len(offsets) - 1):
        h = max(height[mask], 1)
        at = np.int64(0)
        foreground = np.int64(0)
        left, right, top, bottom = np.int64(1 << 40), np.int64(-1), np.int64(1 << 40), np.int64(-1)
        for run in range(offsets[mask], offsets[mask + 1]):
            length = np.int64(runs[run])
            if (run - offsets[mask]) % 2 == 1 and length > 0:
                foreground += length
                first, last = at, at + length - 1
                left = min(left, first // h)
                right = max(right, last // h)
                if first // h != last // h:
                    top, bottom = np.int64(0), h - 1
                else:
                    top = min(top, first % h)
                    bottom = max(bottom, last % h)
            at += length
        area[mask] = foreground
        pixels[mask] = at
        if foreground > 0:
            box[mask, 0], box[mask, 1] = left, top
            box[mask, 2], box[mask, 3] = right - left + 1, bottom - top + 1
        else:
            box[mask, :] = 0.0


@kernel
def mask_intersection(
    a: Runs, a_start: int, a_stop: int, b: Runs, b_start: int, b_stop: int
) -> float:
    """Pixels that two masks share, by merging their runs. O(runs)."""
    i, j = a_start, b_start
    if i >= a_stop or j >= b_stop:
        return 0.0
    left_a, left_b = np.int64(a[i]), np.int64(b[j])
    in_a = in_b = False
    shared = np.int64(0)
    while True:
        step = min(left_a, left_b)
        if in_a and in_b:
            shared += step
        left_a -= step
        left_b -= step
        if left_a == 0:
            i += 1
            if i >= a_stop:
                return float(shared)
            left_a = np.int64(a[i])
            in_a = not in_a
        if left_b == 0:
            j += 1
            if j >= b_stop:
                return float(shared)
            left_b = np.int64(b[j])
            in_b = not in_b
