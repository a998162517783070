"""Fits on a real cluster of two worker processes: bits as here, whatever happens to the workers."""

import contextlib
import os
import signal
import threading
import time

import joblib
import numpy as np
import polars as pl
import pytest

import evalstats as es
from evalstats import streaming

dask = pytest.importorskip("dask")
distributed = pytest.importorskip("distributed")

from evalstats.dask import ClusterError, fit  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning"),
    # Of dask and its event loop, when workers die as the tests ask them to.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
ROLES = ("y", ["a", "b"])


def cluster_of(workers):
    return distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        host="127.0.0.1",
        silence_logs=50,
    )


@pytest.fixture(scope="module")
def client():
    with cluster_of(2) as cluster, distributed.Client(cluster) as client:
        yield client


@pytest.fixture(scope="module")
def frames():
    rng = np.random.default_rng(5)
    parts = []
    for n in (900, 1, 1500, 700, 1100, 300, 1000):
        y = rng.integers(0, 2, n)
        shift = rng.normal(size=n)
        columns = {name: 1 / (1 + np.exp(-(y + shift + rng.normal(size=n)))) for name in "ab"}
        parts.append(pl.DataFrame({"y": y, **columns, "w": rng.uniform(0, 2, n)}))
    return parts


def estimators():
    return [
        es.AUROC(),
        es.AUPRC(),
        es.CalibrationError(inference=es.Analytic()),
        es.BalanceScore(),
        es.LogLoss(),
    ]


def assert_same_bits(found, expected):
    for own, other in zip(found, expected, strict=True):
        for name in ("value", "covariance"):
            left, right = getattr(own.estimate_, name), getattr(other.estimate_, name)
            assert left.tobytes() == right.tobytes(), (own, name)
        assert own.estimate_.terms.equals(other.estimate_.terms)


@pytest.mark.parametrize("state", ["exact", "binned"])
def test_partitions_give_the_bits_of_a_stream(client, frames, state):
    options = {"sample_weight": "w", "state": state, "second_pass": state == "binned"}
    expected = streaming.fit(estimators(), *ROLES, data=frames, **options)
    delayed = [dask.delayed(frame) for frame in frames]
    found = fit(estimators(), delayed, *ROLES, client=client, **options)
    assert np.isfinite(found[0].estimate_.covariance).all()
    assert_same_bits(found, expected)


def test_a_dask_frame_and_files(client, frames, tmp_path):
    pandas = pytest.importorskip("pandas")
    dataframe = pytest.importorskip("dask.dataframe")
    for number, frame in enumerate(frames):
        frame.write_parquet(tmp_path / f"part-{number}.parquet")
    pattern = str(tmp_path / "*.parquet")
    expected = streaming.fit(estimators(), *ROLES, data=pattern, batch_rows=400)
    found = fit(estimators(), pattern, *ROLES, batch_rows=400, client=client)
    assert_same_bits(found, expected)
    whole = pandas.DataFrame({name: pl.concat(frames)[name].to_numpy() for name in ("y", "a", "b")})
    table = dataframe.from_pandas(whole, npartitions=5)
    expected = streaming.fit(
        estimators(), *ROLES, data=[part.compute() for part in table.to_delayed()]
    )
    assert_same_bits(fit(estimators(), table, *ROLES, client=client), expected)


def killing(frame, marker):
    """A partition that takes its worker down when it is first computed."""
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return frame


def test_a_worker_killed_in_the_middle_changes_no_bit(client, frames, tmp_path):
    expected = streaming.fit(estimators(), *ROLES, data=frames)
    parts = [dask.delayed(frame) for frame in frames]
    parts[3] = dask.delayed(killing)(frames[3], tmp_path / "killed")
    found = fit(estimators(), parts, *ROLES, client=client)
    assert (tmp_path / "killed").exists()
    assert_same_bits(found, expected)


def test_bad_partitions_are_named(client, frames):
    bad = frames[2].with_columns(pl.lit(float("nan")).alias("b"))
    with pytest.raises(es.InputError, match=r"batch 2: y_score\['b'\] has 1500 missing values"):
        fit(es.AUROC(), [*frames[:2], bad], *ROLES, client=client)


def test_replicates_go_to_the_cluster(client, frames):
    table = pl.concat(frames)
    estimator = es.AUROC(inference=es.Bootstrap(n_resamples=60, rng=3))
    expected = estimator.fit(*ROLES, data=table).estimate_
    with joblib.parallel_config("dask", client=client):
        found = estimator.fit(*ROLES, data=table).estimate_
    assert found.replicates.tobytes() == expected.replicates.tobytes()


def asleep(frame):
    time.sleep(30)
    return frame


def test_a_lost_scheduler_is_one_readable_error(frames):
    cluster = cluster_of(1)
    client = distributed.Client(cluster, timeout=2)
    try:
        parts = [dask.delayed(asleep)(frame) for frame in frames[:2]]
        with pytest.raises(ClusterError, match=r"took more than timeout=1 seconds"):
            fit(es.AUROC(), parts, *ROLES, client=client, timeout=1)
        stop = threading.Timer(1.0, lambda: cluster.sync(cluster.scheduler.close))
        stop.start()
        start = time.monotonic()
        with pytest.raises(ClusterError, match=r"scheduler at tcp://127\.0\.0\.1:\d+ was lost"):
            fit(es.AUROC(), parts, *ROLES, client=client, patience=3)
        assert time.monotonic() - start < 20
        stop.join()
    finally:
        # Without a scheduler there is nobody to say goodbye to.
        with contextlib.suppress(TimeoutError):
            client.close(timeout=2)
        with contextlib.suppress(TimeoutError):
            cluster.close(timeout=10)
        # What could not be closed would complain later, in the middle of another test.
        cluster.status = distributed.Status.closed


def test_a_restarted_scheduler_is_one_readable_error(frames):
    with cluster_of(1) as cluster, distributed.Client(cluster) as client:
        parts = [dask.delayed(asleep)(frame) for frame in frames[:2]]
        restart = threading.Timer(1.0, client.restart)
        restart.start()
        start = time.monotonic()
        with pytest.raises(ClusterError, match=r"was lost or restarted and forgot"):
            fit(es.AUROC(), parts, *ROLES, client=client, patience=5)
        assert time.monotonic() - start < 30
        restart.join()
        # The cluster is usable again.
        again = fit(es.AUROC(), frames, *ROLES, client=client)
    assert again.estimate_.n_units == sum(frame.height for frame in frames)


def test_without_a_cluster_and_refusals(frames):
    expected = streaming.fit(estimators(), *ROLES, data=frames)
    assert_same_bits(fit(estimators(), frames, *ROLES), expected)
    with pytest.raises(es.InputError, match="data has no partition"):
        fit(es.AUROC(), [], *ROLES)
    with pytest.raises(es.InputError, match="data is a dict: pass a dask DataFrame"):
        fit(es.AUROC(), {}, *ROLES)
    with pytest.raises(es.InputError, match="BradleyTerry has no mergeable state"):
        fit([es.AUROC(), es.BradleyTerry()], frames, *ROLES)
