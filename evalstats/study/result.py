"""What a study found: estimates, comparisons over families of tests, tables and a report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import polars as pl

from evalstats.inference.multiplicity import adjusted_p_values
from evalstats.results.citations import citations
from evalstats.results.estimate import Estimate
from evalstats.results.latex import escape_latex, format_latex
from evalstats.results.tables import format_text
from evalstats.study.execution import Finished
from evalstats.study.grid import GridTable
from evalstats.study.headline import headlines
from evalstats.study.naming import named
from evalstats.study.specification import Comparison, Family, Specification
from evalstats.study.stored import StepResult

CONTROLLED = {
    "holm": "the family-wise error rate by Holm's method",
    "bonferroni": "the family-wise error rate by Bonferroni's method",
    "bh": "the false discovery rate by the method of Benjamini and Hochberg",
    "by": "the false discovery rate by the method of Benjamini and Yekutieli",
    "max-t": "the family-wise error rate by the joint distribution of the statistics (max-t)",
}


@dataclass(frozen=True)
class StudyResult:
    """Results of a study, by name of the metric.

    Attributes
    ----------
    estimates : mapping of str to Estimate
        What was estimated.
    warnings : polars.DataFrame
        ``name``, ``code`` and ``message`` of everything suspicious.

    Examples
    --------
    >>> import polars as pl
    >>> import evalstats as es
    >>> frame = pl.DataFrame(
    ...     {"y": [0, 1] * 40, "a": [i % 7 for i in range(80)], "b": [i % 9 for i in range(80)]}
    ... )
    >>> study = es.Study(data=frame, metrics=[es.AUROC()], y_true="y", y_score=["a", "b"])
    >>> result = study.run()
    >>> result.comparisons()["p_adjusted"].round(2).to_list()
    [0.84]
    """

    specification: Specification
    finished: Sequence[Finished]
    record: Mapping[str, Any] = field(default_factory=dict)

    @property
    def estimates(self) -> Mapping[str, Estimate]:
        """What was estimated."""
        return MappingProxyType({name: r.estimate for name, r in self._results.items()})

    @property
    def _results(self) -> dict[str, StepResult]:
        return {
            item.step.name: item.result
            for item in self.finished
            if isinstance(item.result, StepResult)
        }

    @property
    def warnings(self) -> pl.DataFrame:
        """``name``, ``code`` and ``message`` of everything suspicious."""
        rows = [
            (name, code, message)
            for name, result in self._results.items()
            for code, message in result.warnings
        ]
        schema = {"name": pl.String, "code": pl.String, "message": pl.String}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def to_frame(self) -> pl.DataFrame:
        """Tidy frame of all estimates: ``name``, the terms, estimate, interval, n, inference.

        Returns
        -------
        polars.DataFrame
            One row per term of each metric.
        """
        frames = [
            estimate.to_frame().select(pl.lit(name).alias("name"), pl.all())
            for name, estimate in self.estimates.items()
        ]
        return _stacked(frames)

    def comparisons(self) -> pl.DataFrame:
        """Paired differences of all metrics, adjusted over the families of the study.

        Returns
        -------
        polars.DataFrame
            ``name``, then as :meth:`evalstats.Estimate.compare`. Metrics in a family are adjusted
            together, the others each on its own.
        """
        found = self.differences()
        return _stacked(
            [frame.select(pl.lit(name).alias("name"), pl.all()) for name, frame in found.items()]
        )

    def differences(self) -> dict[str, pl.DataFrame]:
        """Paired differences by name of the metric, adjusted over the families of the study."""
        found = {
            name: result.differences
            for name, result in self._results.items()
            if result.differences is not None
        }
        for family in self.specification.families:
            members = [name for name in family.metrics if name in found]
            adjusted = _adjusted([found[name] for name in members], family)
            found.update(zip(members, adjusted, strict=True))
        return found

    def headlines(self) -> list[GridTable]:
        """Metrics by models, one table for each set of models that metrics share.

        Returns
        -------
        list of GridTable
            Empty where no metric is one number per model.
        """
        return headlines(self.estimates, self.specification.title)

    def to_latex(self) -> str:
        """The headline table and the table of comparisons, ready for a paper.

        Returns
        -------
        str
            LaTeX source (needs ``booktabs``) in which names are literal text.
        """
        tables = [table.to_latex() for table in self.headlines()]
        if not tables:
            tables = [format_latex(self.to_frame(), bold_best=False, level=self._level)]
        differences = self.comparisons()
        if differences.height:
            caption = escape_latex(f"{self.specification.title}: paired differences")
            tables.append(
                format_latex(
                    named(differences),
                    caption=caption,
                    label="tab:differences",
                    level=self._level,
                    higher_is_better=None,
                )
            )
        return "\n\n".join(tables)

    def __str__(self) -> str:
        parts = [table.to_text() for table in self.headlines()]
        if not parts:
            title = self.specification.title
            parts = [format_text(named(self.to_frame()), title=title, level=self._level)]
        differences = self.comparisons()
        if differences.height:
            parts.append(
                format_text(named(differences), title="Paired differences", level=self._level)
            )
        return "\n\n".join(parts)

    def __repr__(self) -> str:
        return f"<StudyResult {self.specification.title!r}: {', '.join(self.estimates)}>"

    def _repr_html_(self) -> str:
        tables = [table.to_html() for table in self.headlines()]
        return "\n".join(tables or [item.to_html() for item in self.estimates.values()])

    @property
    def _level(self) -> float:
        return next(iter(self.estimates.values())).level

    def methods(self) -> str:
        """Methods paragraph: one sentence per metric, then how comparisons were made.

        Returns
        -------
        str
            Plain text with the citation keys of :meth:`bibtex`.
        """
        sentences = [estimate.methods() for estimate in self.estimates.values()]
        return " ".join([*dict.fromkeys(sentences), *self.comparison_sentences()])

    def comparison_sentences(self) -> list[str]:
        """How models were compared, over all metrics."""
        in_family = {
            name: family for family in self.specification.families for name in family.metrics
        }
        groups: dict[tuple[str, str | None], list[str]] = {}
        for item in self.finished:
            comparison, name = item.step.comparison, item.step.name
            result = item.result
            if comparison is None or not isinstance(result, StepResult):
                continue
            if result.differences is None or name in in_family:
                continue
            groups.setdefault((_tested(comparison), comparison.adjust), []).append(name)
        sentences = []
        for (tested, adjust), names in groups.items():
            text = f"Models were compared in {_listed(names)} by {tested}"
            if adjust is None:
                sentences.append(f"{text}; p-values are not adjusted.")
            else:
                sentences.append(
                    f"{text}; p-values are adjusted within each metric to control "
                    f"{CONTROLLED[adjust]}."
                )
        return sentences + [
            f"The comparisons in {_listed(family.metrics)} form one family ({family.name}), "
            f"whose p-values are adjusted to control {CONTROLLED[family.adjust]}."
            for family in self.specification.families
        ]

    def bibtex(self) -> str:
        """BibTeX entries of everything that :meth:`methods` cites.

        Returns
        -------
        str
            Entries, evalstats first.
        """
        keys = dict.fromkeys(key for e in self.estimates.values() for key in e.citation_keys)
        return citations("evalstats", *keys)

    def report(self, path: "str | Path") -> Path:
        """Write report, tables, figures, estimates and manifest into a folder.

        Parameters
        ----------
        path : str or Path
            The folder; it is created when missing.

        Returns
        -------
        Path
            ``report.html``, or the folder if the study wants no page.
        """
        from evalstats.study.writing import write_study

        return write_study(self, Path(path))


def _stacked(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Frames below each other, term columns first."""
    if not frames:
        return pl.DataFrame()
    from evalstats.results.layout import MEASURES

    stacked = pl.concat([_readable(frame) for frame in frames], how="diagonal_relaxed")
    terms = [name for name in stacked.columns if name not in MEASURES]
    return stacked.select(*terms, *(name for name in MEASURES if name in stacked.columns))


def _readable(frame: pl.DataFrame) -> pl.DataFrame:
    """Term columns as text where metrics may disagree about their type."""
    return frame.with_columns(pl.col(n).cast(pl.String) for n in ("group", "class") if n in frame)


def _adjusted(frames: Sequence[pl.DataFrame], family: Family) -> list[pl.DataFrame]:
    """Comparisons with p-values adjusted over all rows of all frames."""
    if not frames:
        return []
    p_value = np.concatenate([frame["p_value"].to_numpy() for frame in frames])
    n_tests = int(np.isfinite(p_value).sum())
    adjusted = adjusted_p_values(
        p_value,
        family.adjust,
        statistic=np.empty(0),
        covariance=np.empty((0, 0)),
        df=np.inf,
        two_sided=True,
    )
    label = f"{family.adjust} over the {n_tests} tests of {family.name}"
    pieces = np.split(adjusted, np.cumsum([frame.height for frame in frames])[:-1])
    return [
        frame.with_columns(
            pl.Series("p_adjusted", piece), pl.lit(label, dtype=pl.String).alias("adjust")
        )
        for frame, piece in zip(frames, pieces, strict=True)
    ]


def _tested(comparison: Comparison) -> str:
    kind = {"two-sided": "paired tests", "greater": "one-sided paired tests (greater)"}
    text = kind.get(comparison.alternative, "one-sided paired tests (less)")
    if comparison.margin is not None:
        names = {
            "two-sided": "equivalence tests (TOST)",
            "greater": "non-inferiority tests",
            "less": "non-superiority tests",
        }
        text = f"paired {names[comparison.alternative]} with margin {comparison.margin:g}"
    if comparison.reference is not None:
        text += f" with {comparison.reference}"
    return text


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
