"""Resampling weights from counter-based random streams (Philox4x32-10, Salmon et al. 2011).

Every number is a pure function of (key, replicate, position), so results depend neither on the
number of threads nor on the order of the work.
"""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel

MASK32 = np.uint64(0xFFFFFFFF)
SHIFT32 = np.uint64(32)
MULTIPLIER0 = np.uint64(0xD2511F53)
MULTIPLIER1 = np.uint64(0xCD9E8D57)
WEYL0 = np.uint64(0x9E3779B9)
WEYL1 = np.uint64(0xBB67AE85)

# Cumulative Poisson(1) probabilities, to below the resolution of a 32-bit uniform.
POISSON_CDF = np.cumsum(np.exp(-1.0) / np.cumprod(np.maximum(np.arange(14), 1.0)))


# Blocks are computed this many at a time, so that the compiler can use vector instructions.
LANES = 64


@kernel
def philox(
    block: np.uint64, replicate: np.uint64, key0: np.uint64, key1: np.uint64
) -> tuple[np.uint64, np.uint64]:
    """First two 32-bit random words of one counter, each in a uint64. O(1)."""
    c0 = block & MASK32
    c1 = block >> SHIFT32
    c2 = replicate & MASK32
    c3 = replicate >> SHIFT32
    k0 = key0
    k1 = key1
    for _ in range(10):
        product0 = MULTIPLIER0 * c0
        product1 = MULTIPLIER1 * c2
        c0 = (product1 >> SHIFT32) ^ c1 ^ k0
        c1 = product1 & MASK32
        c2 = (product0 >> SHIFT32) ^ c3 ^ k1
        c3 = product0 & MASK32
        k0 = (k0 + WEYL0) & MASK32
        k1 = (k1 + WEYL1) & MASK32
    return c0, c1


@kernel
def philox_blocks(
    first: np.uint64,
    replicate: np.uint64,
    key0: np.uint64,
    key1: np.uint64,
    words: NDArray[np.uint64],
) -> None:
    """Fill `words` (4, LANES) with the four 32-bit words of LANES successive counters. O(LANES)."""
    for lane in range(LANES):
        block = first + np.uint64(lane)
        words[0, lane] = block & MASK32
        words[1, lane] = block >> SHIFT32
        words[2, lane] = replicate & MASK32
        words[3, lane] = replicate >> SHIFT32
    k0 = key0
    k1 = key1
    for _ in range(10):
        for lane in range(LANES):
            product0 = MULTIPLIER0 * words[0, lane]
            product1 = MULTIPLIER1 * words[2, lane]
            words[0, lane] = (product1 >> SHIFT32) ^ words[1, lane] ^ k0
            words[1, lane] = product1 & MASK32
            words[2, lane] = (product0 >> SHIFT32) ^ words[3, lane] ^ k1
            words[3, lane] = product0 & MASK32
        k0 = (k0 + WEYL0) & MASK32
        k1 = (k1 + WEYL1) & MASK32


@kernel
def multinomial_counts(
    members: NDArray[np.int64],
    offsets: NDArray[np.int64],
    key0: np.uint64,
    key1: np.uint64,
    replicate: np.uint64,
    counts: NDArray[np.float64],
) -> None:
    """Count how often each unit is drawn when each stratum is resampled to its own size.

    ``members[offsets[s]:offsets[s + 1]]`` are the units of stratum s. Bounded integers come from
    Lemire's multiplication with rejection, so that they are exactly uniform. O(units).
    """
    # One byte per unit keeps the random writes within the cache; a count above 255 has a
    # probability below 1e-500.
    drawn_of = np.zeros(members.size, dtype=np.uint8)
    words = np.empty((4, LANES), dtype=np.uint64)
    flat = words.ravel()
    block = np.uint64(0)
    cursor = flat.size
    for stratum in range(offsets.size - 1):
        start = offsets[stratum]
        size = offsets[stratum + 1] - start
        bound = np.uint64(size)
        threshold = (MASK32 + np.uint64(1)) % bound
        drawn = 0
        while drawn < size:
            if cursor == flat.size:
                philox_blocks(block, replicate, key0, key1, words)
                block += np.uint64(LANES)
                cursor = 0
            stop = min(flat.size, cursor + size - drawn)
            for position in range(cursor, stop):
                product = flat[position] * bound
                if (product & MASK32) >= threshold:
                    drawn_of[start + np.int64(product >> SHIFT32)] += np.uint8(1)
                    drawn += 1
            cursor = stop
    counts[:] = 0.0
    for position in range(members.size):
        counts[members[position]] = drawn_of[position]


@kernel
def poisson_counts(
    members: NDArray[np.int64],
    cdf: NDArray[np.float64],
    key0: np.uint64,
    key1: np.uint64,
    replicate: np.uint64,
    counts: NDArray[np.float64],
) -> None:
    """Independent Poisson(1) counts, each a function of its unit id alone. O(units)."""
    counts[:] = 0.0
    for position in range(members.size):
        unit = members[position]
        word = philox(np.uint64(unit), replicate, key0, key1)[0]
        uniform = (np.float64(word) + 0.5) / 4294967296.0
        count = 0
        while count < cdf.size - 1 and uniform > cdf[count]:
            count += 1
        counts[unit] = count


@kernel
def exponential_weights(
    members: NDArray[np.int64],
    offsets: NDArray[np.int64],
    key0: np.uint64,
    key1: np.uint64,
    replicate: np.uint64,
    weights: NDArray[np.float64],
) -> None:
    """Standard exponential weights, scaled in each stratum to sum to its size. O(units)."""
    weights[:] = 0.0
    for stratum in range(offsets.size - 1):
        start = offsets[stratum]
        stop = offsets[stratum + 1]
        total = 0.0
        for position in range(start, stop):
            unit = members[position]
            words = philox(np.uint64(unit), replicate, key0, key1)
            high = np.float64(words[0] >> np.uint64(5))
            low = np.float64(words[1] >> np.uint64(6))
            uniform = (high * 67108864.0 + low + 0.5) / 9007199254740992.0
            weights[unit] = -np.log(uniform)
            total += weights[unit]
        for position in range(start, stop):
            weights[members[position]] *= (stop - start) / total


@kernel
def bernoulli_draws(
    probability: NDArray[np.float64],
    key0: np.uint64,
    key1: np.uint64,
    replicate: np.uint64,
    out: NDArray[np.bool_],
) -> None:
    """Independent events with the given probabilities, each a function of its place alone. O(n).

    A probability of 0 never and one of 1 always happens; others are met to within 2^-33.
    """
    words = np.empty((4, LANES), dtype=np.uint64)
    flat = words.ravel()
    block = np.uint64(0)
    for start in range(0, probability.size, flat.size):
        philox_blocks(block, replicate, key0, key1, words)
        block += np.uint64(LANES)
        for position in range(min(flat.size, probability.size - start)):
            uniform = (np.float64(flat[position]) + 0.5) / 4294967296.0
            out[start + position] = uniform < probability[start + position]


@kernel
def uniform_draws(
    key0: np.uint64, key1: np.uint64, replicate: np.uint64, out: NDArray[np.float64]
) -> None:
    """Independent uniform numbers in (0, 1), each a function of its place alone. O(n)."""
    for position in range(out.size):
        words = philox(np.uint64(position), replicate, key0, key1)
        high = np.float64(words[0] >> np.uint64(5))
        low = np.float64(words[1] >> np.uint64(6))
        out[position] = (high * 67108864.0 + low + 0.5) / 9007199254740992.0
