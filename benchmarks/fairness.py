"""Distance covariance against plain matrices and dcor; paths of penalised models."""

from functools import cache

import dcor
import numpy as np
from numpy.typing import NDArray

import evalstats as es
from benchmarks.harness import Contest, benchmark
from evalstats.fairness.encoding import Types, encode, geometry_of
from evalstats.fairness.geometry import CellGeometry
from evalstats.fairness.glm_objective import Penalty

Array = NDArray[np.float64]


@cache
def sample(size: int) -> tuple[Array, NDArray[np.int64], Array]:
    """A prediction, 20 cells that it depends on, and a continuous attribute."""
    rng = np.random.default_rng(4)
    cell = rng.integers(0, 20, size)
    age = rng.normal(size=size)
    return rng.normal(size=size) + 0.1 * (cell % 3) + 0.05 * age, cell, age


def plain_covariance(y: Array, z: Array) -> float:
    """U-centred matrices of all pairs, as the definition has it."""
    n = len(y)
    first = np.abs(y[:, None] - y)
    second = np.sqrt(sum((column[:, None] - column) ** 2 for column in z.T))
    for matrix in (first, second):
        rows = matrix.sum(axis=1)
        np.subtract(matrix, (rows[:, None] + rows) / (n - 2), out=matrix)
        np.add(matrix, rows.sum() / ((n - 1) * (n - 2)), out=matrix)
        np.fill_diagonal(matrix, 0.0)
    return float((first * second).sum() / (n * (n - 3)))


@benchmark(
    "CCdCov of 20 joint levels",
    peer="n x n matrices in NumPy",
    size=10**4,
    min_ratio=1000,
    runs=9,
    peer_runs=1,
)
def cells_against_matrices() -> Contest:
    """Binary and nominal attributes; both compute from encoded columns."""
    y, cell, _ = sample(10**4)
    sex = (cell % 2).astype(np.float64)
    region = np.eye(10)[cell // 2] / np.sqrt(2)
    z = np.column_stack([sex, region])
    attributes = {"sex": cell % 2, "region": np.array(list("abcdefghij"))[cell // 2]}
    pairs = [encode(name, column, Types(), "default", None) for name, column in attributes.items()]
    geometry = geometry_of([a for a, _ in pairs], [c for _, c in pairs], joint=False, c=0.0)
    ones = np.ones(len(y))

    def ours() -> float:
        from evalstats.fairness.geometry import Ranking

        return float(geometry.parts(Ranking.of(y), ones, True).dependence)

    return Contest(ours=ours, theirs=lambda: plain_covariance(y, z))


@benchmark(
    "Squared distance covariance, binary attribute",
    peer="dcor `u_distance_covariance_sqr`, its fast method",
    size=10**6,
    min_ratio=10,
    runs=5,
    peer_runs=2,
)
def binary_attribute() -> Contest:
    """Whole call, from arrays."""
    y, cell, _ = sample(10**6)
    sex = (cell % 2).astype(np.float64)
    return Contest(
        ours=lambda: es.distance_covariance_squared(y, sex),
        theirs=lambda: float(dcor.u_distance_covariance_sqr(y, sex)),
    )


@benchmark(
    "Squared distance covariance, continuous attribute",
    peer="dcor `u_distance_covariance_sqr`, its fast method",
    size=10**6,
    min_ratio=1.3,
    runs=3,
    peer_runs=2,
)
def continuous_attribute() -> Contest:
    """Whole call, from arrays."""
    y, _, age = sample(10**6)
    return Contest(
        ours=lambda: es.distance_covariance_squared(y, age),
        theirs=lambda: float(dcor.u_distance_covariance_sqr(y, age)),
    )


@benchmark("CCdCov of 20 cells, value and gradient", size=10**6, max_seconds=0.5, runs=5)
def value_and_gradient() -> Contest:
    """One evaluation of the penalty of FairGLM, sort included."""
    y, cell, _ = sample(10**6)
    distances = 1.0 - np.eye(20)
    penalty = Penalty([CellGeometry(cell, (distances,), 0.0)], np.ones(len(y)), "biased")
    return Contest(ours=lambda: penalty.gradient(y)[0])


@benchmark("Bootstrap of CCdCov, 1,000 replicates, 20 cells", size=10**5, max_seconds=4, runs=3)
def bootstrap() -> Contest:
    """Whole fit."""
    y, cell, _ = sample(10**5)
    labels = np.array(list("abcdefghijklmnopqrst"))[cell]
    method = es.Bootstrap(n_resamples=1000, rng=0)

    def ours() -> Array:
        audit = es.DistanceCovariance(inference=method).fit(y, {"cell": labels})
        return audit.estimate_.standard_error

    return Contest(ours=ours)


@benchmark(
    "Squared distance covariance, three continuous attributes (all pairs, O(n) memory)",
    size=50_000,
    max_seconds=20,
    runs=3,
)
def all_pairs() -> Contest:
    """Whole call, from arrays."""
    rng = np.random.default_rng(4)
    y, z = rng.normal(size=50_000), rng.normal(size=(50_000, 3))
    return Contest(ours=lambda: es.distance_covariance_squared(y, z))


@benchmark("FairGLM, path of 20 strengths, logistic, 12 cells", size=6172, max_seconds=6, runs=3)
def path() -> Contest:
    """As many rows, coefficients and cells as the COMPAS data."""
    return Contest(ours=lambda: last_loss(cv=0))


@benchmark("The same path, judged on 5 folds", size=6172, max_seconds=6, runs=3)
def path_with_folds() -> Contest:
    """Six paths: one of all rows and one without each fold."""
    return Contest(ours=lambda: last_loss(cv=5))


def last_loss(cv: int) -> float:
    """Fit the path; whole call, from arrays."""
    rng = np.random.default_rng(4)
    n = 6172
    cell = rng.choice(12, n, p=np.arange(1, 13) / 78)
    X = np.column_stack([rng.normal(size=(n, 5)) + 0.3 * (cell[:, None] % 3), rng.random(n) < 0.6])
    y = (rng.random(n) < 1 / (1 + np.exp(0.5 - 0.4 * X[:, 0] - 0.3 * X[:, 1]))).astype(np.int64)
    labels = np.array(list("abcdefghijkl"))[cell]
    model = es.FairGLM(family="binomial")
    path = es.fairness_path(X, y, {"cell": labels}, model=model, cv=cv)
    return float(path.frame["nll"][-1])
