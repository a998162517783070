"""Fit estimators on a dask cluster: summarise partitions where they are, merge, finish here.

The states of neighbouring partitions are merged along the tree that ``evalstats.streaming`` uses,
so that the result has the same bits as there, for any number of workers and whatever happens to
them.
"""

import time
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import polars as pl

from evalstats.data.batches import batch_rows as default_rows
from evalstats.data.batches import require_rows, selected
from evalstats.data.files import matching_files, scan_table
from evalstats.data.frames import unknown_column
from evalstats.errors import InputError
from evalstats.estimator import Estimator
from evalstats.streaming import SecondPass, Summary, summary_of

# How often an unfinished computation looks whether its scheduler is still there.
POLL_SECONDS = 0.5


class ClusterError(RuntimeError):
    """The cluster lost the computation; the data and the options are not to blame.

    Examples
    --------
    >>> from evalstats.dask import ClusterError
    >>> issubclass(ClusterError, RuntimeError)
    True
    """


def fit(
    estimators: Any,
    data: Any,
    *roles: object,
    sample_weight: object = None,
    cluster: object = None,
    state: str | None = None,
    batch_rows: int | None = None,
    client: Any = None,
    retries: int = 3,
    timeout: float | None = None,
    patience: float = 30.0,
    second_pass: bool = False,
    **named: object,
) -> Any:
    """Fit one or several estimators to partitions that lie on a dask cluster.

    Parameters
    ----------
    estimators : estimator or list of estimators
        With mergeable states and the same roles.
    data : dask DataFrame, list, str or path
        A dask DataFrame; a list of delayed objects or frames, each a partition; or the name or
        pattern of files that all workers can read, whose batches are the partitions.
    *roles : str or list of str
        Columns of the role arguments in their order: labels first, then scores.
    sample_weight, cluster : str, optional
        Columns of weights and clusters, the latter where the states keep them.
    state : str, optional
        Kind of state, as in :func:`evalstats.streaming.fit`.
    batch_rows : int, optional
        Rows of a batch of a file.
    client : distributed.Client, optional
        Where to compute; by default the current client, or threads of this process without one.
    retries : int, default 3
        How often a partition is computed again where its worker died.
    timeout : float, optional
        Seconds after which the computation is given up.
    patience : float, default 30
        Seconds without a scheduler after which it counts as lost.
    second_pass : bool, default False
        As in :func:`evalstats.streaming.fit`.
    **named : str or list of str
        Role arguments by name.

    Returns
    -------
    estimator or list of estimators
        The same objects, with ``estimate_`` set: bits as from
        ``evalstats.streaming.fit(estimators, data=partitions)``.

    Raises
    ------
    InputError
        If an estimator has no mergeable state, or a partition cannot be used.
    ClusterError
        If workers kept dying, the scheduler was lost, or the time was up.

    Notes
    -----
    Every merge is a task of its own; what travels are states, never rows. Bootstrap replicates go
    to a cluster through ``joblib.parallel_config("dask")`` around an ordinary ``fit``.

    Examples
    --------
    >>> import polars as pl
    >>> import evalstats as es
    >>> import evalstats.dask
    >>> parts = [pl.DataFrame({"y": [0, 1, 1], "p": [0.2, 0.6, 0.9]}) for _ in range(4)]
    >>> balance = evalstats.dask.fit(es.BalanceScore(), parts, "y", "p")
    >>> balance.estimate_.n_units
    12
    """
    single = isinstance(estimators, Estimator)
    chosen = [estimators] if single else list(estimators)
    summary = summary_of(chosen, roles, named, sample_weight, cluster, state)
    parts = _partitions(data, summary.columns(), require_rows(batch_rows))
    if not parts:
        raise InputError("data has no partition: at least one is needed")
    where = (_client(client), retries, timeout, patience)
    states = _computed(_tree(summary, parts), *where)
    summary.finalize(states)
    if second_pass:
        again = SecondPass(summary, states)
        if again.tasks:
            again.finalize(_computed(_tree(again, parts), *where))
    return chosen[0] if single else chosen


def _partitions(data: Any, columns: list[str], rows: int | None) -> list[Any]:
    """What the tasks take: delayed frames, frames, or the place of a batch in a file."""
    if isinstance(data, str | PathLike):
        return [
            place for path in matching_files(data) for place in _batches_of(path, columns, rows)
        ]
    if hasattr(data, "to_delayed"):
        for name in columns:
            if name not in data.columns:
                raise InputError(unknown_column(name, list(data.columns)))
        return list(data[columns].to_delayed())
    if isinstance(data, Sequence):
        return list(data)
    raise InputError(
        f"data is a {type(data).__name__}: pass a dask DataFrame, a list of partitions, or the "
        "name of files"
    )


def _batches_of(path: Any, columns: list[str], rows: int | None) -> list[dict[str, Any]]:
    table = selected(scan_table(path), columns)
    size = default_rows(table) if rows is None else rows
    total = int(table.select(pl.len()).collect().item())
    return [{"path": str(path), "start": start, "rows": size} for start in range(0, total, size)]


def _summarised(summary: Summary | SecondPass, number: int, part: Any) -> Any:
    """Summary of one partition, on a worker."""
    if isinstance(part, Mapping):
        table = selected(scan_table(part["path"]), summary.columns())
        part = table.slice(part["start"], part["rows"]).collect()
    try:
        return summary.partial(part)
    except InputError as error:
        raise InputError(f"batch {number}: {error}") from error


def _merged(summary: Summary | SecondPass, left: Any, right: Any) -> Any:
    """Summary of two neighbouring parts, on a worker."""
    return summary.merge(left, right)


def _tree(summary: Summary | SecondPass, parts: list[Any]) -> Any:
    """Delayed summary of everything: pairs of neighbours until one is left, as in `MergeTree`."""
    from dask.delayed import delayed

    shared = delayed(summary, pure=False)
    summarise, merge = delayed(_summarised, pure=False), delayed(_merged, pure=False)
    level = [summarise(shared, number, part) for number, part in enumerate(parts)]
    while len(level) > 1:
        pairs = [
            merge(shared, level[place], level[place + 1]) for place in range(0, len(level) - 1, 2)
        ]
        level = pairs + level[len(level) - len(level) % 2 :]
    return level[0]


def _client(given: Any) -> Any:
    if given is not None:
        return given
    try:
        from distributed import get_client
    except ImportError:
        return None
    try:
        return get_client()
    except ValueError:
        return None


def _computed(root: Any, client: Any, retries: int, timeout: float | None, patience: float) -> Any:
    if client is None:
        return root.compute(scheduler="threads")
    from distributed import CancelledError, KilledWorker
    from distributed.comm.core import CommClosedError

    try:
        future = client.compute(root, retries=retries)
        _watch(client, future, timeout, patience)
        # What is finished needs only to be fetched.
        found = future.result(timeout=patience)
    except KilledWorker as error:
        raise ClusterError(
            f"workers died {retries + 1} times while they summarised a partition: give them more "
            "memory, or smaller partitions (batch_rows=)"
        ) from error
    except (CancelledError, CommClosedError, TimeoutError, OSError) as error:
        raise ClusterError(_lost(client)) from error
    return found


def _watch(client: Any, future: Any, timeout: float | None, patience: float) -> None:
    """Wait for a future, as long as its scheduler is there."""
    start = time.monotonic()
    seen = start
    while not future.done():
        now = time.monotonic()
        if client.status == "running":
            seen = now
        if client.status == "closed" or now - seen > patience:
            raise ClusterError(_lost(client))
        if timeout is not None and now - start > timeout:
            future.cancel()
            raise ClusterError(
                f"the computation took more than timeout={timeout:g} seconds: give it more time "
                "or more workers"
            )
        time.sleep(min(POLL_SECONDS, patience))


def _lost(client: Any) -> str:
    address = getattr(client.scheduler, "address", "unknown address")
    return (
        f"the dask scheduler at {address} was lost or restarted and forgot the computation: start "
        "the cluster and call fit again (states are not kept; nothing was changed)"
    )
