"""Fit estimators to tables that do not fit into memory, in one pass over the rows.

Every batch of rows is summarised, and the summaries are merged along a binary tree whose shape
depends on the number of batches alone, so that results have the same bits for any number of threads
and wherever the batches were summarised.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from os import PathLike
from typing import Any, TypeVar, overload

import joblib
import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.data.batches import lazy_table, read_batches, require_rows
from evalstats.data.files import matching_files, scan_table
from evalstats.data.frames import named_columns
from evalstats.data.merge_tree import MergeTree
from evalstats.data.state import State
from evalstats.errors import InputError
from evalstats.estimator import Estimator
from evalstats.mergeable import MergeableEstimator

Item = TypeVar("Item")
Result = TypeVar("Result")
Fitted = TypeVar("Fitted", bound=Estimator)
Array = NDArray[np.float64]
States = list[State]


class Summary:
    """What is done to each batch: the states of all estimators, those that are equal once.

    Parameters
    ----------
    estimators : sequence of MergeableEstimator
        To be fitted to the same rows.
    roles : tuple
        Role arguments, in the order that all estimators share.
    named : mapping of str to object
        Role arguments by name, given to the estimators that have them.
    shared : mapping of str to object
        ``sample_weight`` and ``cluster``, where given.
    state : str or None
        Kind of state of the estimators that have several.
    """

    def __init__(
        self,
        estimators: Sequence[MergeableEstimator],
        roles: tuple[object, ...],
        named: Mapping[str, object],
        shared: Mapping[str, object],
        state: str | None,
    ) -> None:
        self.estimators = estimators
        self.roles = roles
        self.shared = {name: value for name, value in shared.items() if value is not None}
        self.named = [self._named_of(estimator, named) for estimator in estimators]
        self.options = [
            {} if state is None or not estimator.states else {"state": state}
            for estimator in estimators
        ]
        keys = [
            estimator._summary_key(options)
            for estimator, options in zip(estimators, self.options, strict=True)
        ]
        # The position of the first estimator with the same state.
        self.source = [keys.index(key) for key in keys]

    def _named_of(
        self, estimator: MergeableEstimator, named: Mapping[str, object]
    ) -> dict[str, object]:
        names = [role.name for role in estimator._active_roles()][len(self.roles) :]
        return {name: value for name, value in named.items() if name in names}

    def columns(self) -> list[str]:
        """Columns that are read."""
        wanted = [*self.roles, *self.shared.values()]
        return named_columns([*wanted, *(value for own in self.named for value in own.values())])

    def whole(self) -> str | None:
        """Column of units that batches must not cut."""
        for estimator, named in zip(self.estimators, self.named, strict=True):
            names = [role.name for role in estimator._active_roles()]
            given = dict(zip(names, self.roles, strict=False)) | named
            column = estimator._whole_column(given)
            if column is not None:
                return column
        return None

    def partial(self, data: object) -> States:
        """States of one batch, one for each distinct kind."""
        return [
            estimator.partial(*self.roles, data=data, **self.shared, **named, **options)
            for place, (estimator, named, options) in enumerate(
                zip(self.estimators, self.named, self.options, strict=True)
            )
            if self.source[place] == place
        ]

    def merge(self, left: States, right: States) -> States:
        """States of two neighbouring parts."""
        owners = [self.estimators[place] for place in sorted(set(self.source))]
        return [
            owner.merge(first, second)
            for owner, first, second in zip(owners, left, right, strict=True)
        ]

    def finalize(self, states: States) -> None:
        """Set ``estimate_`` of every estimator."""
        for estimator, state in zip(self.estimators, self.own_states(states), strict=True):
            estimator.finalize(state)

    def own_states(self, states: States) -> States:
        """State of each estimator, those that are shared under its own definition."""
        found = dict(zip(sorted(set(self.source)), states, strict=True))
        own = []
        for place, (estimator, source) in enumerate(zip(self.estimators, self.source, strict=True)):
            state = found[source]
            if source != place:
                state = State(estimator._definition(self.options[place]), state.table)
            own.append(state)
        return own


class SecondPass:
    """What the first pass leaves open, as sums over the rows of each batch.

    Parameters
    ----------
    summary : Summary
        The first pass.
    states : list of State
        Its result.
    """

    def __init__(self, summary: Summary, states: States) -> None:
        self.summary = summary
        open_ = enumerate(
            estimator._second_pass(state)
            for estimator, state in zip(summary.estimators, summary.own_states(states), strict=True)
        )
        self.tasks = {place: task for place, task in open_ if task is not None}

    def columns(self) -> list[str]:
        """Columns that are read."""
        return self.summary.columns()

    def partial(self, data: object) -> list[Array]:
        """Sums of one batch."""
        found = []
        for place, task in self.tasks.items():
            estimator = self.summary.estimators[place]
            names = [role.name for role in estimator._active_roles()]
            arguments = dict(zip(names, self.summary.roles, strict=False))
            arguments |= self.summary.named[place]
            weight = self.summary.shared.get("sample_weight")
            found.append(task(estimator._state_columns(arguments, data, weight)))
        return found

    def merge(self, left: list[Array], right: list[Array]) -> list[Array]:
        """Sums of two neighbouring parts."""
        return [first + second for first, second in zip(left, right, strict=True)]

    def finalize(self, total: list[Array]) -> None:
        """Complete the estimates."""
        for place, sums in zip(self.tasks, total, strict=True):
            estimator = self.summary.estimators[place]
            estimator.estimate_ = estimator._with_second_pass(estimator.estimate_, sums)


@overload
def fit(estimators: Fitted, *roles: object, data: object, **options: Any) -> Fitted: ...
@overload
def fit(
    estimators: Sequence[Fitted], *roles: object, data: object, **options: Any
) -> list[Fitted]: ...
def fit(
    estimators: Any,
    *roles: object,
    data: object,
    sample_weight: object = None,
    cluster: object = None,
    state: str | None = None,
    batch_rows: int | None = None,
    n_jobs: int | None = None,
    second_pass: bool = False,
    **named: object,
) -> Any:
    """Fit one or several estimators in one pass over a table that need not fit into memory.

    Parameters
    ----------
    estimators : estimator or list of estimators
        With mergeable states and the same roles, such as AUROC, AUPRC, CalibrationError and
        BalanceScore.
    *roles : str or list of str
        Columns of the role arguments in their order: labels first, then scores.
    data : str, path, LazyFrame, data frame or iterable of data frames
        Name or pattern of files (``"parts/*.parquet"``), a polars LazyFrame, or frames that come
        one by one, each of which is a batch.
    sample_weight, cluster : str, optional
        Columns of weights and clusters, the latter where the states keep them.
    state : str, optional
        Kind of state of the estimators that have several, as in ``partial``: ``"binned"`` bounds
        the memory of AUROC and AUPRC, ``"sums"`` that of trajectory scores.
    batch_rows : int, optional
        Rows of a batch; by default 2^20, fewer where rows are long.
    n_jobs : int, optional
        Batches that are summarised at the same time; by default one per processor.
    second_pass : bool, default False
        Read the table again for the covariances between models that binned states of AUROC and
        AUPRC do not hold, so that ``compare`` works.
    **named : str or list of str
        Role arguments by name; each estimator takes those that it has.

    Returns
    -------
    estimator or list of estimators
        The same objects, with ``estimate_`` set. Errors are analytic, also where the default of
        ``fit`` would resample rows. Views that need rows, such as curves, are not available.

    Raises
    ------
    InputError
        If an estimator has no mergeable state, or the data cannot be used.

    Notes
    -----
    Memory: a few batches and O(log batches) states. The result has the same bits for any `n_jobs`.

    Examples
    --------
    >>> import numpy as np, polars as pl
    >>> import evalstats as es
    >>> from evalstats import streaming
    >>> rng = np.random.default_rng(0)
    >>> table = pl.DataFrame({"y": rng.integers(0, 2, 1000), "p": rng.random(1000)}).lazy()
    >>> auc, balance = streaming.fit(
    ...     [es.AUROC(), es.BalanceScore()], "y", "p", data=table, state="binned", batch_rows=100
    ... )
    >>> auc.estimate_.n_units, balance.estimate_.n_units
    (1000, 1000)
    """
    single = isinstance(estimators, Estimator)
    chosen = [estimators] if single else list(estimators)
    summary = summary_of(chosen, roles, named, sample_weight, cluster, state)
    if second_pass and isinstance(data, Iterator):
        raise InputError(
            "second_pass=True reads the data twice, but an iterator is read once: pass files, a "
            "LazyFrame or a list of frames"
        )
    rows = require_rows(batch_rows)
    states = reduced(summary.partial, summary.merge, frames_of(data, summary, rows), n_jobs)
    summary.finalize(states)
    if second_pass:
        again = SecondPass(summary, states)
        if again.tasks:
            total = reduced(again.partial, again.merge, frames_of(data, summary, rows), n_jobs)
            again.finalize(total)
    return chosen[0] if single else chosen


def summary_of(
    estimators: Sequence[Estimator],
    roles: tuple[object, ...],
    named: Mapping[str, object],
    sample_weight: object,
    cluster: object,
    state: str | None,
) -> Summary:
    """Check what can be checked before any row is read.

    Raises
    ------
    InputError
        If an estimator has no mergeable state or none of the kind, or a role has no taker.
    """
    mergeable = [item for item in estimators if isinstance(item, MergeableEstimator)]
    if not mergeable:
        raise InputError("estimators is empty or has no mergeable state: see docs/scaling.md")
    for item in estimators:
        if not isinstance(item, MergeableEstimator):
            raise InputError(
                f"{type(item).__name__} has no mergeable state: call its fit, which reads only "
                "the columns that it needs"
            )
        item._check_params()
        item._require_summarised_inference()
        if cluster is not None and not item._keeps_clusters:
            raise InputError(
                f"the state of {type(item).__name__} keeps no clusters: call its fit with "
                "cluster=, which reads only the columns that it needs"
            )
    kinds = {kind for item in mergeable for kind in item.states}
    if state is not None and state not in kinds:
        shown = ", ".join(repr(kind) for kind in sorted(kinds)) or "none"
        raise InputError(f"state={state!r}: kinds of state that these estimators have: {shown}")
    taken = {role.name for item in mergeable for role in item._active_roles()}
    for name in named:
        if name not in taken:
            raise InputError(f"{name}= is no role of these estimators: choose from {sorted(taken)}")
    shared = {"sample_weight": sample_weight, "cluster": cluster}
    return Summary(mergeable, roles, named, shared, state)


def frames_of(data: object, summary: Summary, rows: int | None) -> Iterator[object]:
    """Batches of each file or of a table, or the given frames."""
    columns, whole = summary.columns(), summary.whole()
    if isinstance(data, str | PathLike):
        return chain.from_iterable(
            read_batches(scan_table(path), columns, rows, whole) for path in matching_files(data)
        )
    if isinstance(data, pl.DataFrame):
        data = data.lazy()
    table = lazy_table(data)
    if table is not None:
        return iter(read_batches(table, columns, rows, whole))
    if hasattr(data, "__arrow_c_stream__") or not isinstance(data, Iterable):
        return iter([data])
    return iter(data)


def reduced(
    summarise: Callable[[object], Item],
    merge: Callable[[Item, Item], Item],
    batches: Iterator[object],
    n_jobs: int | None = None,
) -> Item:
    """Summaries of all batches, merged along the tree.

    Raises
    ------
    InputError
        If there is no batch, or one of them cannot be used; the message says which.
    """
    tree = MergeTree(merge)
    count = 0

    def summarised(numbered: tuple[int, object]) -> Item:
        number, batch = numbered
        try:
            return summarise(batch)
        except InputError as error:
            raise InputError(f"batch {number}: {error}") from error

    for states in ordered_map(summarised, enumerate(batches), n_jobs):
        tree.push(states)
        count += 1
    if count == 0:
        raise InputError("data has no rows: at least one is needed")
    return tree.result()


def ordered_map(
    task: Callable[[Item], Result], items: Iterable[Item], n_jobs: int | None
) -> Iterator[Result]:
    """Results in the order of the items, of which a few are in work at the same time."""
    workers = int(joblib.cpu_count()) if n_jobs is None else int(n_jobs)
    if workers < 1:
        raise InputError(f"n_jobs={n_jobs!r}: pass the number of threads")
    if workers == 1:
        yield from map(task, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(pool.submit(task, item))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
