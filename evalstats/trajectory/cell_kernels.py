"""Every score of a chunk of cells, from samples or from given mixtures."""

import numpy as np
from numpy.typing import NDArray

from evalstats.kernels.compile import kernel
from evalstats.trajectory.distance_kernels import path_distance
from evalstats.trajectory.em_kernels import LANES
from evalstats.trajectory.mixture_kernels import (
    COINCIDENT,
    NOT_CONVERGED,
    OK,
    REG_DOMINATED,
    UNDERFLOW,
    count_distinct,
    fit_mixture,
    load_cell,
)


@kernel
def fit_cells(
    values: NDArray[np.float64],
    sample_weight: NDArray[np.float64],
    offsets: NDArray[np.int64],
    truth: NDArray[np.float64],
    robust: bool,
    max_components: int,
    n_starts: int,
    reg: float,
    tol: float,
    max_iter: int,
    key0: np.uint64,
    key1: np.uint64,
    with_determinant: bool,
    naive: bool,
    small_sample: bool,
    distance: NDArray[np.float64],
    bic: NDArray[np.float64],
    components: NDArray[np.int64],
    status: NDArray[np.int64],
    weights: NDArray[np.float64],
    means: NDArray[np.float64],
    covariances: NDArray[np.float64],
) -> int:
    """Fit the samples of every cell and measure its truth; the number of refused fits.

    ``values[offsets[c]:offsets[c + 1]]`` are the samples of cell c. Mixtures are written to
    `weights` (C, m), `means` (C, m, d) and `covariances` (C, m, d, d). O(C K d^2 x EM passes).
    """
    d = values.shape[1]
    mean = np.empty(d)
    covariance = np.empty((d, d))
    x = np.empty((d, 0))
    share = np.empty(0)
    refused = 0
    for cell in range(truth.shape[0]):
        first, last = offsets[cell], offsets[cell + 1]
        n = last - first
        width = (n + LANES - 1) // LANES * LANES
        if width != x.shape[1]:
            x = np.empty((d, width))
            share = np.empty(width)
        weighted, effective = load_cell(
            values, sample_weight, first, last, mean, covariance, x, share
        )
        m, bic[cell], converged, failed = fit_mixture(
            x,
            share,
            weighted,
            n,
            effective,
            covariance,
            robust,
            max_components,
            n_starts,
            reg,
            tol,
            max_iter,
            key0,
            key1,
            weights[cell],
            means[cell],
            covariances[cell],
        )
        refused += failed
        components[cell] = m
        for k in range(m):
            for row in range(d):
                means[cell, k, row] += mean[row]
        value = path_distance(
            m,
            weights[cell],
            means[cell],
            covariances[cell],
            mean,
            truth[cell],
            with_determinant,
            naive,
        )
        status[cell] = OK if converged else NOT_CONVERGED
        if np.linalg.eigvalsh(covariance)[0] < reg:
            status[cell] = COINCIDENT if count_distinct(x, n) <= 2 else REG_DOMINATED
        if naive and np.isnan(value):
            status[cell] = UNDERFLOW
            value = 0.0
        if small_sample and m == 1:
            squared = (effective - d - 2.0) / effective * value * value - d / effective
            value = np.sqrt(max(squared, 0.0))
        distance[cell] = value
    return refused


@kernel
def mixture_distances(
    weights: NDArray[np.float64],
    means: NDArray[np.float64],
    covariances: NDArray[np.float64],
    components: NDArray[np.int64],
    truth: NDArray[np.float64],
    with_determinant: bool,
    naive: bool,
    distance: NDArray[np.float64],
    moments: NDArray[np.float64],
    status: NDArray[np.int64],
) -> None:
    """Distance and total covariance of every cell from its given mixture. O(C m d^3)."""
    d = truth.shape[1]
    for cell in range(truth.shape[0]):
        m = components[cell]
        centre = np.zeros(d)
        total = 0.0
        for k in range(m):
            total += weights[cell, k]
        for k in range(m):
            for row in range(d):
                centre[row] += weights[cell, k] / total * means[cell, k, row]
        spread = np.zeros((d, d))
        for k in range(m):
            share = weights[cell, k] / total
            for row in range(d):
                for column in range(d):
                    spread[row, column] += share * (
                        covariances[cell, k, row, column]
                        + (means[cell, k, row] - centre[row])
                        * (means[cell, k, column] - centre[column])
                    )
        pack_upper(spread, moments[cell])
        value = path_distance(
            m,
            weights[cell],
            means[cell],
            covariances[cell],
            centre,
            truth[cell],
            with_determinant,
            naive,
        )
        if naive and np.isnan(value):
            status[cell] = UNDERFLOW
            value = 0.0
        distance[cell] = value


@kernel
def pack_upper(matrix: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """Write the upper triangle of a symmetric matrix row by row. O(d^2)."""
    position = 0
    for row in range(matrix.shape[0]):
        for column in range(row, matrix.shape[0]):
            out[position] = matrix[row, column]
            position += 1
