"""The Python twin of a study file."""

import time
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import polars as pl

from evalstats.errors import InputError, warn
from evalstats.estimator import Estimator
from evalstats.study.cache import Cache
from evalstats.study.execution import Failure, run_steps
from evalstats.study.manifest import text_digest
from evalstats.study.messages import Problems, PythonProblems
from evalstats.study.reading import read_specification
from evalstats.study.reading_columns import known_models
from evalstats.study.result import StudyResult
from evalstats.study.steps import Step, make_steps
from evalstats.study.toml_lines import key_lines
from evalstats.study.writing import require_extras, write_study

CACHE = "cache"
MetricGiven = Estimator | tuple[Estimator, Mapping[str, Any]] | Mapping[str, Any]


class Study:
    r"""Data, metrics and comparisons, declared once and run whole.

    Parameters
    ----------
    path : str or Path, optional
        A study file; nothing else is given then.
    data : frame, or mapping of str to frame, optional
        Rows of all metrics; role arguments are then names of columns.
    metrics : sequence or mapping, optional
        Estimators; pairs of an estimator and its own role arguments; or tables as below
        ``[[metric]]`` in a study file. A mapping gives them names.
    compare : mapping or False, optional
        ``reference``, ``adjust``, ``alternative``, ``margin`` and ``terms`` of the comparisons;
        False makes none.
    families : sequence of mapping
        ``name``, ``metrics`` and ``adjust`` of metrics that are adjusted together.
    title : str
        Heading of tables and report.
    seed : int, optional
        Root of the seeds of all metrics; None keeps the default seed of each estimator, so that
        numbers equal those of the estimator alone.
    level : float, optional
        Confidence level of metrics that have no other.
    output : mapping, optional
        ``tables``, ``figures`` and ``report``, as in a study file.
    **roles
        Role arguments (``y_true``, ``y_score``, ``cluster``, ``by``, ...) of every metric that
        takes them.

    Raises
    ------
    InputError
        With everything that is wrong, each with its place.

    Examples
    --------
    >>> import polars as pl
    >>> import evalstats as es
    >>> frame = pl.DataFrame(
    ...     {"y": [0, 1] * 40, "a": [i % 7 for i in range(80)], "b": [i % 9 for i in range(80)]}
    ... )
    >>> study = es.Study(
    ...     data=frame, metrics=[es.AUROC(), es.AUPRC()], y_true="y", y_score=["a", "b"]
    ... )
    >>> study.plan()["models"].to_list()
    ['a, b', 'a, b']
    >>> print(study.run().headlines()[0].to_latex().splitlines()[6])
    Model & AUROC $\uparrow$ & AUPRC $\uparrow$ \\
    """

    def __init__(
        self,
        path: "str | Path | None" = None,
        *,
        data: Any = None,
        metrics: "Sequence[MetricGiven] | Mapping[str, MetricGiven] | None" = None,
        compare: "Mapping[str, Any] | bool | None" = None,
        families: Sequence[Mapping[str, Any]] = (),
        title: str = "Study",
        seed: int | None = None,
        level: float | None = None,
        output: Mapping[str, Any] | None = None,
        **roles: Any,
    ) -> None:
        self._record: dict[str, Any] = {"study": None}
        if path is not None:
            if metrics is not None or data is not None or roles:
                raise InputError("a study file says it all: pass path alone, or no path")
            self._read_file(Path(path))
            return
        document: dict[str, Any] = {
            "title": title,
            "metric": _tables(metrics),
            "defaults": roles,
            "family": list(families),
            "output": output or {},
        }
        if data is not None:
            document["data"] = data if isinstance(data, Mapping) else {"data": data}
        given = {"seed": seed, "level": level, "compare": compare}
        document |= {name: value for name, value in given.items() if value is not None}
        self._problems: Problems = PythonProblems()
        self.specification = read_specification(document, Path(), self._problems)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any], folder: "str | Path" = ".") -> Self:
        """A study from the tables of a study file.

        Parameters
        ----------
        document : mapping
            What ``tomllib.load`` returns for a study file.
        folder : str or Path
            Where relative paths begin.

        Returns
        -------
        Study
            The study.
        """
        study = cls.__new__(cls)
        study._record = {"study": None}
        study._problems = Problems()
        study.specification = read_specification(document, Path(folder), study._problems)
        return study

    def _read_file(self, path: Path) -> None:
        try:
            text = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError(f"{path.name} is no UTF-8 text: {error.reason}") from error
        except OSError as error:
            raise InputError(f"cannot read {str(path)!r}: {error.strerror or error}") from error
        text = text.replace("\r\n", "\n")
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise InputError(_syntax_error(path.name, str(error))) from error
        self._record["study"] = {"file": path.name, "sha256": text_digest(text), "text": text}
        self._problems = Problems(path, key_lines(text))
        self.specification = read_specification(document, path.parent, self._problems)

    def plan(self, out: "str | Path | None" = None) -> pl.DataFrame:
        """What :meth:`run` would do, without fitting anything.

        Parameters
        ----------
        out : str or Path, optional
            The folder of an earlier run, whose finished metrics are ``cached``.

        Returns
        -------
        polars.DataFrame
            ``name``, ``estimator``, ``data``, ``rows``, ``models``, ``inference``,
            ``comparison``, ``seed`` and ``status`` of each metric.
        """
        cache = Cache(None if out is None else Path(out) / CACHE)
        output = self.specification.output
        draw = output.report or bool(output.figures)
        steps = make_steps(self.specification, with_keys=out is not None)
        rows = [_planned(step, cache, draw) for step in steps]
        return pl.DataFrame(rows, schema_overrides={"rows": pl.Int64}, infer_schema_length=None)

    def run(
        self,
        out: "str | Path | None" = None,
        *,
        workers: int = 1,
        resume: bool = True,
        command: str | None = None,
    ) -> StudyResult:
        """Fit all metrics, compare models and, into a folder, write the report.

        Parameters
        ----------
        out : str or Path, optional
            Folder of report, tables, figures and the cache of finished metrics; None writes
            nothing.
        workers : int, default 1
            Number of processes that fit metrics. The results do not depend on it.
        resume : bool, default True
            Use the metrics that an earlier run into `out` finished from the same data and
            options.
        command : str, optional
            What the user typed, for the record.

        Returns
        -------
        StudyResult
            Estimates, comparisons, tables.

        Raises
        ------
        InputError
            If a metric cannot be fitted; the others are finished and kept first.
        """
        if int(workers) != workers or workers < 1:
            raise InputError(f"workers={workers!r}: pass a positive integer")
        output = self.specification.output
        draw = out is not None and (output.report or bool(output.figures))
        if out is not None:
            require_extras(output)
        started, clock = datetime.now(UTC), time.perf_counter()
        steps = make_steps(self.specification, with_keys=out is not None)
        cache = Cache(None if out is None else Path(out) / CACHE)
        finished = run_steps(steps, cache, workers=workers, resume=resume, draw=draw)
        for item in finished:
            if isinstance(item.result, Failure):
                self._problems.add(item.step.path, f"{item.step.name}: {item.result.message}")
        self._problems.raise_if_any()
        record = {
            **self._record,
            "command": command,
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - clock, 3),
            "workers": workers,
            "damaged": cache.damaged,
        }
        result = StudyResult(self.specification, finished, record)
        for name, code, message in result.warnings.rows():
            warn(code, f"{name}: {message}")
        if out is not None:
            write_study(result, Path(out))
        return result


def _tables(
    metrics: "Sequence[MetricGiven] | Mapping[str, MetricGiven] | None",
) -> list[Mapping[str, Any]]:
    """Metrics as the tables of a study file."""
    if metrics is None:
        return []
    if isinstance(metrics, Mapping):
        return [{**_table(item), "name": str(name)} for name, item in metrics.items()]
    return [_table(item) for item in metrics]


def _table(item: MetricGiven) -> Mapping[str, Any]:
    if isinstance(item, Estimator):
        return {"estimator": item}
    if isinstance(item, Mapping):
        return item
    estimator, roles = item
    return {"estimator": estimator, **roles}


def _planned(step: Step, cache: Cache, draw: bool) -> dict[str, Any]:
    models = known_models(type(step.estimator), step.source, step.arguments)
    inference = step.estimator.inference
    comparison = step.comparison
    against = "none"
    if comparison is not None:
        against = "all pairs" if comparison.reference is None else f"with {comparison.reference}"
    status = "to run"
    if cache.folder is not None and step.key is None:
        status = "to run (not kept)"
    elif cache.load(step, drawn=draw) is not None:
        status = "cached"
    return {
        "name": step.name,
        "estimator": type(step.estimator).__name__,
        "data": step.source.name,
        "rows": step.source.n_rows(),
        "models": "in the data" if models is None else ", ".join(models),
        "inference": inference if isinstance(inference, str) else inference.describe(),
        "comparison": against,
        "seed": step.seed,
        "status": status,
    }


def _syntax_error(file: str, message: str) -> str:
    """The parser's message with its line in front, as in all messages."""
    text, separator, place = message.rpartition(" (at line ")
    if not separator:
        return f"{file}: {message}"
    line, _, column = place.rstrip(")").partition(", column ")
    return f"{file}, line {line}: {text} (column {column})"
