"""Covariances of cells from samples where they lie, and from gathered weighted samples."""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel

# Cells whose sums stay in the cache while their samples stream by; fewer where the samples of a
# cell are neighbours, since each cell is then a stream of its own.
TILE = 1024
NARROW_TILE = 64


@kernel
def sample_moments(
    values: NDArray[np.float64],
    cells: NDArray[np.int64],
    n: int,
    sample_stride: int,
    coordinate_stride: int,
    tile: int,
    reg: float,
    moments: NDArray[np.float64],
) -> None:
    """Covariance S + reg I of every cell as an upper triangle, from samples in place. O(C K d^2).

    Coordinate j of sample k of cell c is ``values[cells[c] + k * sample_stride + j *
    coordinate_stride]``. The samples of up to `tile` cells are read side by side, sample by sample;
    each cell adds its own up in the order of k, so that neither tile nor layout changes a bit. What
    is not finite makes the moments of its cell so.
    """
    d = int(np.sqrt(2.0 * moments.shape[1]))
    n_tiles = max(1, (cells.size + tile - 1) // tile)
    width = (cells.size + n_tiles - 1) // n_tiles
    origin = np.zeros((d, width))
    point = np.zeros((d, width))
    sums = np.empty((d + moments.shape[1], width))
    for first in range(0, cells.size, width):
        block = cells[first : first + width]
        # Differences from the first sample, so that far origins cost no digits.
        for row in range(d):
            for c in range(block.size):
                origin[row, c] = values[block[c] + row * coordinate_stride]
        sums[:] = 0.0
        for k in range(n):
            for row in range(d):
                shift = k * sample_stride + row * coordinate_stride
                for c in range(block.size):
                    point[row, c] = values[block[c] + shift]
                centre(point[row], origin[row], sums[row])
            position = d
            for row in range(d):
                for column in range(row, d):
                    add_products(point[row], point[column], sums[position])
                    position += 1
        write_moments(sums, block.size, n, reg, moments[first : first + width])


@kernel
def centre(
    point: NDArray[np.float64], origin: NDArray[np.float64], total: NDArray[np.float64]
) -> None:
    """Subtract the origin and add what is left to the sums. O(tile)."""
    for c in range(point.size):
        point[c] -= origin[c]
    for c in range(point.size):
        total[c] += point[c]


@kernel
def add_products(
    left: NDArray[np.float64], right: NDArray[np.float64], total: NDArray[np.float64]
) -> None:
    """Add products of two coordinates to the sums. O(tile)."""
    for c in range(left.size):
        total[c] += left[c] * right[c]


@kernel
def write_moments(
    sums: NDArray[np.float64], size: int, n: int, reg: float, moments: NDArray[np.float64]
) -> None:
    """Covariances of one tile of cells from their sums. O(tile d^2)."""
    d = sums.shape[0] - moments.shape[1]
    for c in range(size):
        position = 0
        for row in range(d):
            for column in range(row, d):
                product = sums[row, c] * sums[column, c] / n
                value = (sums[d + position, c] - product) / n
                if row == column:
                    # Cancellation may leave a little less than 0; NaN must stay NaN.
                    value = (0.0 if value < 0.0 else value) + reg
                moments[c, position] = value
                position += 1


@kernel
def cell_moments(
    values: NDArray[np.float64],
    sample_weight: NDArray[np.float64],
    offsets: NDArray[np.int64],
    reg: float,
    moments: NDArray[np.float64],
) -> None:
    """Total covariance S + reg I of every cell as an upper triangle. O(C K d^2)."""
    d = values.shape[1]
    lanes = np.empty((1 + d + d * (d + 1) // 2, 8))
    for cell in range(offsets.size - 1):
        first, last = offsets[cell], offsets[cell + 1]
        # Differences from the first sample, so that far origins cost no digits.
        lanes[:] = 0.0
        for i in range(first, last):
            lane = (i - first) & 7
            w = sample_weight[i]
            lanes[0, lane] += w
            position = 1 + d
            for row in range(d):
                a = w * (values[i, row] - values[first, row])
                lanes[1 + row, lane] += a
                for column in range(row, d):
                    lanes[position, lane] += a * (values[i, column] - values[first, column])
                    position += 1
        total = lanes[0].sum()
        position = 0
        for row in range(d):
            for column in range(row, d):
                product = lanes[1 + row].sum() * lanes[1 + column].sum() / (total * total)
                moments[cell, position] = lanes[1 + d + position].sum() / total - product
                if row == column:
                    moments[cell, position] = max(moments[cell, position], 0.0) + reg
                position += 1
