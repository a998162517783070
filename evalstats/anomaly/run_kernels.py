"""One pass over the pixels of a map: the peak of each run, and whether every pixel is finite.

Floating-point numbers of one sign are ordered as the integers with the same bits, and a maximum of
integers is computed many at a time, where one of floats has NaN to think of.
"""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel


@kernel
def run_peaks_32(bits: NDArray[np.int32], run: int) -> tuple[NDArray[np.int32], int]:
    """Bits of the highest float32 in each whole run, and the largest bits without sign. O(n)."""
    peaks = np.empty(bits.size // run, dtype=np.int32)
    magnitude = np.int32(0x7FFFFFFF)
    largest = np.int32(0)
    for index in range(peaks.size):
        block = bits[index * run : (index + 1) * run]
        peak = np.int32(-0x80000000)
        for position in range(block.size):
            word = block[position]
            # The order of negative numbers is turned round.
            key = np.int32(word ^ np.int32(np.int32(word >> np.int32(31)) & magnitude))
            peak = key if key > peak else peak
            size = np.int32(word & magnitude)
            largest = size if size > largest else largest
        peaks[index] = np.int32(peak ^ np.int32(np.int32(peak >> np.int32(31)) & magnitude))
    return peaks, int(largest)


@kernel
def run_peaks_64(bits: NDArray[np.int64], run: int) -> tuple[NDArray[np.int64], int]:
    """Bits of the highest float64 in each whole run, and the largest bits without sign. O(n)."""
    peaks = np.empty(bits.size // run, dtype=np.int64)
    magnitude = np.int64(0x7FFFFFFFFFFFFFFF)
    largest = np.int64(0)
    for index in range(peaks.size):
        block = bits[index * run : (index + 1) * run]
        peak = np.int64(-0x8000000000000000)
        for position in range(block.size):
            word = block[position]
            key = word ^ ((word >> np.int64(63)) & magnitude)
            peak = key if key > peak else peak
            size = word & magnitude
            largest = size if size > largest else largest
        peaks[index] = peak ^ ((peak >> np.int64(63)) & magnitude)
    return peaks, int(largest)
