"""The role arguments of a metric: which columns, and whether the data have them."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from evalstats.estimator import Estimator
from evalstats.study.messages import suggestion
from evalstats.study.options import fit_arguments, required_arguments
from evalstats.study.sources import Nothing, Source
from evalstats.study.tables import Table
from evalstats.study.toml_lines import KeyPath


class Arguments:
    """Arguments of ``fit`` from a metric and the defaults of its study.

    Parameters
    ----------
    table, defaults : Table
        The metric, and ``[defaults]``.
    estimator : type of Estimator
        What is fitted.
    source : Source
        Where the rows come from.
    """

    def __init__(
        self, table: Table, defaults: Table, estimator: type[Estimator], source: Source
    ) -> None:
        self._table = table
        self._defaults = defaults
        self._estimator = estimator
        self._source = source
        self.sound = True

    def read(self) -> dict[str, Any]:
        """The arguments, after what is wrong with them was reported."""
        if not self._fits_the_kind():
            return {}
        values = {}
        for name in fit_arguments(self._estimator):
            if name in self._table.content:
                values[name] = self._table.content[name]
                self._check(self._table, name, values[name])
            elif name in self._defaults.content and name not in self._source.fills:
                values[name] = self._defaults.content[name]
                self._check(self._defaults, name, values[name])
        for name in self._source.fills:
            if name in values:
                self._report(self._table, name, f"{name} comes from the data {self._source.name!r}")
        for name in required_arguments(self._estimator):
            if name not in values and name not in self._source.fills:
                self._report(
                    self._table, (), f"{self._estimator.__name__} needs {name}: name its column"
                )
        return values

    def _report(self, table: Table, key: str | KeyPath, message: str) -> None:
        table.report(key, message)
        self.sound = False

    def _fits_the_kind(self) -> bool:
        name, kind = self._estimator.__name__, self._source.kind
        needed = [role.name for role in self._estimator.roles if role.kind == "records"]
        accepted = fit_arguments(self._estimator)
        if not set(self._source.fills) <= set(accepted):
            self._report(self._table, "data", f"{name} does not read data of kind {kind!r}")
            return False
        reads_frames = "data" in _parameters(self._estimator)
        if not reads_frames and not self._source.fills and not isinstance(self._source, Nothing):
            self._report(
                self._table,
                "data",
                f"{name} needs {' and '.join(needed)}, not rows: declare the data with "
                "kind = 'coco'",
            )
            return False
        return True

    def _check(self, table: Table, name: str, value: object) -> None:
        schema = self._source.schema()
        for path, column in _names((name,), value):
            if schema is None:
                self._report(table, path, f"{name} = {column!r} is a name, but there is no data")
            elif column not in schema:
                whose = "" if table is self._table else f" in the data {self._source.name!r}"
                hint = suggestion(column, schema)
                self._report(table, path, f"there is no column {column!r}{whose}.{hint}")
        if isinstance(value, bool | int | float):
            self._report(table, name, f"{name} = {value!r}: write the name of a column")


def _parameters(estimator: type[Estimator]) -> list[str]:
    return list(inspect.signature(estimator.fit).parameters)  # type: ignore[attr-defined]


def _names(path: KeyPath, value: object) -> Iterator[tuple[KeyPath, str]]:
    """Every name of a column in an argument, with its place."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _names((*path, str(key)), item)
    elif isinstance(value, list | tuple) and all(
        isinstance(item, str | list | tuple) for item in value
    ):
        for position, item in enumerate(value):
            yield from _names((*path, position), item)


def known_models(
    estimator: type[Estimator], source: Source, values: Mapping[str, Any]
) -> list[str] | None:
    """Names of the models, where they are known before the data are read."""
    brought = source.models()
    if brought is not None:
        return brought
    if values.get("model") is not None:
        return None
    role = next((role for role in estimator.roles if role.per_model and role.required), None)
    if role is None:
        return None
    value = values.get(role.name)
    if isinstance(value, Mapping):
        return [str(name) for name in value]
    if isinstance(value, str):
        return [value]
    if isinstance(value, list | tuple) and all(isinstance(name, str) for name in value):
        return [role.name] if role.matrix else list(value)
    return None
