"""What a study asks for, after it was read and checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evalstats.estimator import Estimator
from evalstats.study.sources import Source
from evalstats.study.toml_lines import KeyPath

TABLE_FORMATS = ("tex", "csv", "md", "parquet")
FIGURE_FORMATS = ("png", "pdf", "svg")


@dataclass(frozen=True)
class Comparison:
    """How the models of a metric are compared.

    Attributes
    ----------
    reference : str or None
        Model that the others are compared with; None compares all pairs.
    adjust, alternative, margin, terms
        As in :meth:`evalstats.Estimate.compare`.
    """

    reference: str | None = None
    adjust: str | None = "holm"
    alternative: str = "two-sided"
    margin: float | None = None
    terms: str | None = None


@dataclass(frozen=True)
class Family:
    """Metrics whose comparisons are one family of tests.

    Attributes
    ----------
    name : str
        Its name in tables.
    metrics : tuple of str
        Names of the metrics.
    adjust : str
        Adjustment over all their p-values.
    """

    name: str
    metrics: tuple[str, ...]
    adjust: str = "holm"


@dataclass(frozen=True)
class Output:
    """What is written.

    Attributes
    ----------
    tables, figures : tuple of str
        Formats of each table and figure.
    report : bool
        Whether to write ``report.html``.
    """

    tables: tuple[str, ...] = ("tex", "csv")
    figures: tuple[str, ...] = ("png", "pdf")
    report: bool = True


@dataclass(frozen=True)
class Metric:
    """One metric on one data set.

    Attributes
    ----------
    name : str
        Unique in the study; seeds are derived from it.
    estimator : Estimator
        Configured, not fitted.
    source : Source
        Where the rows come from.
    arguments : mapping of str to object
        Arguments of ``fit`` without ``data``.
    comparison : Comparison or None
        None compares nothing.
    path : tuple
        Place in the study, for messages.
    own_rng : bool
        Whether the study itself sets the parameter ``rng`` of the estimator.
    """

    name: str
    estimator: Estimator
    source: Source
    arguments: Mapping[str, Any]
    comparison: Comparison | None
    path: KeyPath
    own_rng: bool = False


@dataclass(frozen=True)
class Specification:
    """A whole study.

    Attributes
    ----------
    title : str
        Heading of the report.
    seed : int or None
        Root of all seeds; None keeps the default seed of each estimator.
    sources : mapping of str to Source
        The data sets.
    metrics, families : sequence
        What to estimate, and which comparisons are adjusted together.
    output : Output
        What is written.
    """

    title: str
    seed: int | None
    sources: Mapping[str, Source]
    metrics: Sequence[Metric]
    families: Sequence[Family] = ()
    output: Output = field(default_factory=Output)
