"""From the tables of a study to a :class:`~evalstats.study.specification.Specification`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evalstats.errors import InputError
from evalstats.estimator import Estimator
from evalstats.inference.multiplicity import METHODS
from evalstats.results.comparison import ALTERNATIVES
from evalstats.results.ranges import require_level
from evalstats.study.messages import Problems, suggestion
from evalstats.study.options import constructed, find_estimator, fit_arguments, registered
from evalstats.study.reading_columns import Arguments, known_models
from evalstats.study.reading_data import read_sources
from evalstats.study.sources import Nothing, Source
from evalstats.study.specification import (
    FIGURE_FORMATS,
    TABLE_FORMATS,
    Comparison,
    Family,
    Metric,
    Output,
    Specification,
)
from evalstats.study.tables import Table

TOP = ("title", "seed", "level", "data", "defaults", "metric", "compare", "family", "output")
COMPARE = ("reference", "adjust", "alternative", "margin", "terms")
# Options that are asked for so often that a metric may have them beside its columns.
DIRECT = ("inference", "level", "nan_policy")
OWN = ("estimator", "name", "data", "options", "compare", *DIRECT)
# The joint distribution of different metrics is not estimated, which max-t would need.
FAMILY_METHODS = tuple(name for name in METHODS if name != "max-t")


def read_specification(
    document: Mapping[str, Any], folder: Path, problems: Problems
) -> Specification:
    """Check a study and resolve everything in it that needs no fit.

    Parameters
    ----------
    document : mapping
        The tables of a study file; data may be frames and estimators may be instances.
    folder : Path
        Where relative paths begin.
    problems : Problems
        Where the places of messages come from.

    Returns
    -------
    Specification
        The study.

    Raises
    ------
    InputError
        With everything that is wrong.
    """
    return _Reader(document, folder, problems).read()


class _Reader:
    def __init__(self, document: Mapping[str, Any], folder: Path, problems: Problems) -> None:
        self._top = Table(document, (), problems)
        self._problems = problems
        self._folder = folder
        self._defaults = Table(self._top.content.get("defaults", {}), ("defaults",), problems)

    def read(self) -> Specification:
        top = self._top
        top.refuse_unknown(TOP)
        title = top.get("title", str, "Study")
        seed = top.get("seed", int)
        if seed is not None and seed < 0:
            top.report("seed", f"seed = {seed}: write an integer >= 0")
        self._level = self._read_level()
        self._sources = read_sources(top.content.get("data", {}), self._folder, self._problems)
        shared = top.content.get("compare", {})
        self._compares = shared is not False
        table = Table(shared if self._compares else {}, ("compare",), self._problems)
        self._comparison = self._read_comparison(table, Comparison())
        found = self._read_metrics()
        metrics = [metric for metric in found if metric is not None]
        self._refuse_unknown_defaults()
        families = self._read_families(metrics, complete=len(metrics) == len(found))
        output = self._read_output()
        self._problems.raise_if_any()
        sources = {name: source for name, source in self._sources.items() if source is not None}
        return Specification(title, seed, sources, metrics, families, output)

    def _read_level(self) -> float | None:
        level = self._top.get("level", float)
        try:
            if level is not None:
                require_level(level)
        except InputError as error:
            self._top.report("level", str(error))
            return None
        return level  # type: ignore[no-any-return]

    def _read_metrics(self) -> list[Metric | None]:
        given = self._top.content.get("metric", [])
        if not isinstance(given, list | tuple) or not given:
            self._top.report("metric", "there is no [[metric]]: add at least one")
            return []
        tables = [Table(item, ("metric", i), self._problems) for i, item in enumerate(given)]
        found = [self._read_metric(table) if table.sound else None for table in tables]
        seen: dict[str, Metric] = {}
        for metric in found:
            if metric is None:
                continue
            if metric.name in seen:
                self._problems.add(
                    metric.path,
                    f"the name {metric.name!r} is that of "
                    f"{self._problems.label(seen[metric.name].path)} as well: give it a name = ...",
                )
            seen.setdefault(metric.name, metric)
        return found

    def _read_metric(self, table: Table) -> Metric | None:
        estimator = self._read_estimator(table)
        source = self._read_source(table)
        if estimator is None:
            return None
        cls, configured, own_rng = estimator
        table.refuse_unknown([*OWN, *fit_arguments(cls)])
        if source is None:
            return None
        arguments = Arguments(table, self._defaults, cls, source)
        values = arguments.read()
        name = table.get("name", str) or self._name(configured, source, values)
        if configured is None or not arguments.sound:
            return None
        comparison = self._comparison_of(table, known_models(cls, source, values), name)
        return Metric(name, configured, source, values, comparison, table.path, own_rng)

    def _name(self, configured: Estimator | None, source: Source, values: Mapping[str, Any]) -> str:
        if configured is None:
            return ""
        parts = [configured.metric]
        by = values.get("by")
        if isinstance(by, str) or (isinstance(by, list) and all(isinstance(n, str) for n in by)):
            parts.append(f"by {by if isinstance(by, str) else ', '.join(by)}")
        if len(self._sources) > 1:
            parts.append(f"({source.name})")
        return " ".join(parts)

    def _read_estimator(
        self, table: Table
    ) -> tuple[type[Estimator], Estimator | None, bool] | None:
        given = table.content.get("estimator")
        if isinstance(given, Estimator):
            parameters = given.get_params()
            if self._level is not None and given.level == 0.95:
                parameters["level"] = self._level
            return type(given), type(given)(**parameters), parameters.get("rng", 0) != 0
        if given is None:
            table.report("estimator", "estimator is needed, such as 'AUROC'")
            return None
        try:
            cls = find_estimator(given)
        except InputError as error:
            table.report("estimator", str(error))
            return None
        options = self._options(table, cls)
        if options is None:
            return cls, None, False

        def report(path: tuple[str | int, ...], message: str) -> None:
            direct = bool(path) and path[0] in DIRECT and path[0] in table.content
            table.report(path if direct else ("options", *path), message)

        return cls, constructed(cls, options, report), "rng" in options

    def _options(self, table: Table, cls: type[Estimator]) -> dict[str, Any] | None:
        """Options of the metric over those of the defaults that it has."""
        own = Table(table.content.get("options", {}), (*table.path, "options"), self._problems)
        shared = Table(
            self._defaults.content.get("options", {}), ("defaults", "options"), self._problems
        )
        if not (own.sound and shared.sound):
            return None
        options = {} if self._level is None else {"level": self._level}
        for content in (shared.content, self._defaults.content):
            wanted = content if content is shared.content else DIRECT
            for name in wanted:
                if name in content and name in cls._parameter_names():
                    options[name] = content[name]
        options |= own.content
        options |= {name: table.content[name] for name in DIRECT if name in table.content}
        return options

    def _read_source(self, table: Table) -> Source | None:
        name = table.content.get("data", self._defaults.content.get("data"))
        if name is None:
            if len(self._sources) == 1:
                return next(iter(self._sources.values()))
            if not self._sources and not isinstance(self._top.content.get("data"), Mapping):
                return Nothing("arrays")
            table.report("data", f"data is needed: one of {', '.join(map(repr, self._sources))}")
            return None
        if name not in self._sources:
            table.report("data", f"there is no data {name!r}.{suggestion(name, self._sources)}")
            return None
        return self._sources[name]

    def _read_comparison(self, table: Table, default: Comparison) -> Comparison:
        table.refuse_unknown(COMPARE)
        adjust = table.one_of("adjust", (*METHODS, "none"), default.adjust)
        margin = table.get("margin", float, default.margin)
        if margin is not None and not 0 <= margin < float("inf"):
            table.report("margin", f"margin = {margin}: write a finite number >= 0")
        return Comparison(
            table.get("reference", str, default.reference),
            None if adjust == "none" else adjust,
            table.one_of("alternative", ALTERNATIVES, default.alternative),
            margin,
            table.get("terms", str, default.terms),
        )

    def _comparison_of(
        self, table: Table, models: list[str] | None, name: str
    ) -> Comparison | None:
        own = table.content.get("compare", self._compares)
        if own is False:
            return None
        comparison = self._comparison
        if own is not True:
            mine = Table(own, (*table.path, "compare"), self._problems)
            comparison = self._read_comparison(mine, comparison)
        if models is not None and len(models) < 2 and own is True and comparison.terms is None:
            return None
        reference = comparison.reference
        if reference is not None and models is not None and reference not in models:
            inherited = own is True or "reference" not in own
            path = ("compare", "reference") if inherited else (*table.path, "compare", "reference")
            whose = f" of {name!r}" if inherited else ""
            self._problems.add(
                path,
                f"reference = {reference!r} is no model{whose}.{suggestion(reference, models)}",
            )
        return comparison

    def _refuse_unknown_defaults(self) -> None:
        """A default that no metric uses is fine; one that no metric could use is a mistake."""
        roles = [name for cls in registered().values() for name in fit_arguments(cls)]
        known = ["data", "options", *DIRECT, *dict.fromkeys(roles)]
        self._defaults.refuse_unknown(known, "argument")

    def _read_families(self, metrics: list[Metric], *, complete: bool) -> list[Family]:
        given = self._top.content.get("family", [])
        if not isinstance(given, list | tuple):
            self._top.report("family", "write [[family]] in double brackets")
            return []
        names = [metric.name for metric in metrics]
        families: list[Family] = []
        for position, item in enumerate(given):
            table = Table(item, ("family", position), self._problems)
            table.refuse_unknown(("name", "metrics", "adjust"))
            members = table.texts("metrics")
            members = names if members == ["all"] else members or []
            if not members:
                table.report("metrics", "metrics is needed: names of metrics, or 'all'")
            for member in members:
                if member not in names and complete:
                    table.report(
                        "metrics", f"no metric is called {member!r}.{suggestion(member, names)}"
                    )
                before = next((f for f in families if member in f.metrics), None)
                if before is not None:
                    table.report("metrics", f"{member!r} is in the family {before.name!r} already")
            name = table.get("name", str) or f"family {position + 1}"
            if any(family.name == name for family in families):
                table.report("name", f"another family is called {name!r}")
            adjust = table.one_of("adjust", FAMILY_METHODS, "holm")
            families.append(Family(name, tuple(members), adjust))
        return families

    def _read_output(self) -> Output:
        table = Table(self._top.content.get("output", {}), ("output",), self._problems)
        table.refuse_unknown(("tables", "figures", "report"))
        tables = table.texts("tables", TABLE_FORMATS)
        figures = table.texts("figures", FIGURE_FORMATS)
        default = Output()
        return Output(
            default.tables if tables is None else tuple(dict.fromkeys(tables)),
            default.figures if figures is None else tuple(dict.fromkeys(figures)),
            table.get("report", bool, True),
        )
