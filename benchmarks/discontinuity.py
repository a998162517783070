"""Discontinuity designs: whole analyses, a large file, and rdrobust on scalar outcomes."""

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

import evalstats as es
from benchmarks.harness import Contest, benchmark
from evalstats.discontinuity.options import Method

Array = NDArray[np.float64]

UNITS, DRAWS, B = 500, 100, 999
MANY_UNITS = 10**5
SCALARS = (10**3, 10**4, 10**5, 10**6)
WINDOW = 0.5


def sample(n: int, draws: int) -> tuple[Array, Array]:
    """Running variable and draws of n units."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, n)
    location = x + (x >= 0) + rng.normal(0, 0.3, n)
    return x, location[:, np.newaxis] + rng.normal(size=(n, draws))


def whole_analysis(method: Method) -> Callable[[], float]:
    """Quantiles, bandwidth, fit, band and both tests."""
    x, draws = sample(UNITS, DRAWS)
    rdd = es.DistributionRDD(method=method)

    def analyse() -> float:
        drawn = rdd.fit(x, draws).multiplier_bootstrap(B)
        drawn.tests()
        return drawn.critical_value()

    return analyse


@benchmark("Distribution-valued RD, Fréchet: fit, band, tests", size=UNITS, max_seconds=0.015)
def frechet() -> Contest:
    """500 units of 100 draws, 99 quantiles, 999 multipliers."""
    return Contest(ours=whole_analysis("frechet"))


@benchmark("Distribution-valued RD, per quantile: fit, band, tests", size=UNITS, max_seconds=0.04)
def per_quantile() -> Contest:
    """A window for each quantile."""
    return Contest(ours=whole_analysis("local_polynomial"))


@benchmark(
    "Distribution-valued RD from a file of 10^7 draws", size=MANY_UNITS, max_seconds=5.0, runs=3
)
def large_file() -> Contest:
    """10^5 units of 100 draws in a parquet file."""
    x, draws = sample(MANY_UNITS, DRAWS)
    path = Path(tempfile.mkdtemp()) / "draws.parquet"
    pl.DataFrame(
        {
            "unit": np.repeat(np.arange(MANY_UNITS), DRAWS),
            "x": np.repeat(x, DRAWS),
            "y": draws.ravel(),
        }
    ).write_parquet(path)

    def analyse() -> float:
        rdd = es.DistributionRDD().fit("x", "y", "unit", data=pl.scan_parquet(path))
        return rdd.multiplier_bootstrap(B).critical_value()

    return Contest(ours=analyse)


def conventional(y: Array, x: Array, vce: str = "nn") -> float:
    """Rdrobust's conventional estimate, with standard errors of all three of its rows."""
    from rdrobust import rdrobust

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = rdrobust(y, x, h=WINDOW, b=WINDOW, p=1, vce=vce)
    return float(fitted.coef.iloc[0, 0])


def scalar(n: int, vce: str) -> Contest:
    """Contest of n units: estimate of order 1 with its error, through both public interfaces."""
    x, draws = sample(n, 1)
    y = draws[:, 0]
    rdd = es.DistributionRDD(p=1, bandwidth=WINDOW)

    def ours() -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(rdd.fit(x, y).estimate_.value[0])

    return Contest(ours=ours, theirs=lambda: conventional(y, x, vce))


def register_plain(n: int, vce: str) -> None:
    """Register one size of the plain function; the peer has no narrower call than its own."""

    @benchmark(
        "RD at a fixed bandwidth, one number per unit, plain function",
        peer=f"rdrobust, vce={vce}",
        size=n,
        min_ratio=20.0,
        runs=31,
        peer_runs=5,
    )
    def contest() -> Contest:
        x, draws = sample(n, 1)
        y = draws[:, 0]
        return Contest(
            ours=lambda: es.regression_discontinuity(x, y, bandwidth=WINDOW, p=1)[0],
            theirs=lambda: conventional(y, x, vce),
        )


def register_scalar(n: int, vce: str) -> None:
    """Register one size and one kind of the peer's standard errors."""
    few = n < SCALARS[2]

    @benchmark(
        "RD at a fixed bandwidth, one number per unit",
        peer=f"rdrobust, vce={vce}",
        size=n,
        runs=31 if few else 7,
        peer_runs=15 if few else 3,
    )
    def contest() -> Contest:
        return scalar(n, vce)


# Ours has HC3 errors, so the peer is asked for them too; its default is nearest neighbours.
for _size in SCALARS:
    register_scalar(_size, "hc3")
register_scalar(SCALARS[0], "nn")
for _size in SCALARS:
    register_plain(_size, "hc3")
register_plain(SCALARS[0], "nn")


@benchmark(
    "RD at a fixed bandwidth, 99 quantiles",
    peer="rdrobust per quantile (one of them x 99)",
    size=SCALARS[0],
    min_ratio=20.0,
    runs=15,
)
def quantiles() -> Contest:
    """All quantiles with their joint covariance, against one call for each."""
    x, draws = sample(SCALARS[0], DRAWS)
    grid = np.arange(1, 100) / 100
    rows = np.quantile(draws, grid, axis=1).T.copy()
    rdd = es.DistributionRDD(
        p=1, bandwidth=WINDOW, method="local_polynomial", outcome_form="quantiles"
    )

    def ours() -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return float(rdd.fit(x, rows).estimate_.value[49])

    return Contest(ours=ours, theirs=lambda: conventional(rows[:, 49], x), peer_scale=99.0)
