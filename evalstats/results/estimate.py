"""The result of every fit: a labelled vector and its sampling distribution."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from evalstats.data.intake import number_array
from evalstats.errors import InputError
from evalstats.inference.scales import ScaleName
from evalstats.options import typed_options
from evalstats.results import comparison, ranges, storage, tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


class ConfidenceInterval(NamedTuple):
    """Lower and upper limits, one of each per term.

    Examples
    --------
    >>> import evalstats as es
    >>> interval = (
    ...     es.AUROC().fit([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.9]).estimate_.confidence_interval()
    ... )
    >>> bool(interval.low[0] < 0.75 < interval.high[0])
    True
    """

    low: Array
    high: Array


@dataclass(frozen=True, eq=False)
class Estimate:
    """An immutable labelled vector of estimates with their joint sampling distribution.

    Standard errors, intervals, bands, differences, tests, tables and the methods sentence all
    derive from this one object, in the same way for every metric.

    Attributes
    ----------
    name : str
        Name of the metric.
    unit : str
        What one unit of sampling is.
    n_units : int
        Number of units (rows for AUROC) with positive weight.
    n_clusters : int or None
        Number of clusters that were resampled or summed over; None without clusters.
    inference : str
        How the sampling distribution was obtained.
    level : float
        Default confidence level.
    terms : polars.DataFrame
        One row per entry of `value`: ``metric``, ``model``, ``group``, ``class`` and so on.
    value, standard_error : float64 array (k,)
        Estimates, in the order in which models (or terms) were given, and standard errors.
    covariance : float64 array (k, k)
        Joint covariance.
    replicates : float64 array (B, k) or None
        Bootstrap replicates in which every term was defined.
    n_failed, n_dropped : int
        Undefined replicates, and rows dropped under ``nan_policy="omit"``.
    notes : tuple of str
        Status messages that belong under a table.
    warnings : tuple of (str, str)
        Code and message of every :class:`~evalstats.EvalstatsWarning` of the fit, also of those
        that a filter hid; they belong under a table, too.

    Examples
    --------
    >>> import evalstats as es
    >>> y_true, y_score = [0, 0, 1, 1, 0, 1], [0.1, 0.4, 0.35, 0.8, 0.2, 0.7]
    >>> estimate = es.AUROC().fit(y_true, y_score).estimate_
    >>> round(float(estimate.value[0]), 3)
    0.889
    """

    name: str
    unit: str
    n_units: int
    n_clusters: int | None
    inference: str
    level: float
    terms: pl.DataFrame
    value: Array
    standard_error: Array
    covariance: Array
    replicates: Array | None = None
    scale: ScaleName = "identity"
    interval: tuple[str, ...] = ()
    df: Array = field(default_factory=lambda: np.empty(0))
    residual_df: Array = field(default_factory=lambda: np.empty(0))
    sample: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    n: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    support: dict[str, Array] = field(default_factory=dict)
    higher_is_better: bool | None = None
    n_failed: int = 0
    n_dropped: int = 0
    notes: tuple[str, ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()
    method_text: str = ""
    citation_keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        k = len(self.value)
        defaults: dict[str, Any] = {
            "interval": ("wald",) * k,
            "df": np.full(k, np.inf),
            "residual_df": np.full(k, np.inf),
            "sample": np.zeros(k, dtype=np.int64),
            "n": np.full(k, self.n_units, dtype=np.int64),
        }
        for name, default in defaults.items():
            if len(getattr(self, name)) == 0 and k > 0:
                object.__setattr__(self, name, default)
        for name in ("value", "standard_error", "covariance", "replicates", "df", "n"):
            array = getattr(self, name)
            if array is not None:
                array.flags.writeable = False

    @property
    def bias(self) -> Array | None:
        """Bootstrap or jackknife estimate of the bias of each term; None without resampling."""
        return self.support.get("bias")

    @property
    def bounds(self) -> ConfidenceInterval | None:
        """Rigorous numerical bounds of a binned summary (no sampling error); None if exact."""
        if "bound_low" not in self.support:
            return None
        return ConfidenceInterval(self.support["bound_low"], self.support["bound_high"])

    def __len__(self) -> int:
        return len(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Estimate) and storage.equal(self, other)

    __hash__ = None  # type: ignore[assignment]

    @typed_options
    def confidence_interval(
        self, level: float | None = None, *, simultaneous: bool = False
    ) -> ConfidenceInterval:
        """Interval of each term, or a band that holds for all terms at once.

        Parameters
        ----------
        level : float, optional
            Confidence level; the estimator's `level` by default.
        simultaneous : bool, default False
            Return the sup-t band: all terms are covered together with probability `level`.

        Returns
        -------
        ConfidenceInterval
            Named tuple of arrays ``(low, high)``; NaN where inference is undefined.

        Raises
        ------
        InputError
            If `level` is not strictly between 0 and 1.
        """
        level = self.level if level is None else level
        ranges.require_level(level)
        if simultaneous:
            return ConfidenceInterval(*ranges.simultaneous_band(self, level))
        return ConfidenceInterval(*ranges.marginal_intervals(self, level))

    @typed_options
    def test(
        self, null: float = 0.0, *, alternative: str = "two-sided", adjust: str | None = None
    ) -> pl.DataFrame:
        """Test each term against `null` by its standard error (Wald).

        Parameters
        ----------
        null : float, default 0.0
            Value under the null hypothesis.
        alternative : {"two-sided", "greater", "less"}
            Direction of the alternative.
        adjust : {"holm", "bonferroni", "bh", "by", "max-t"} or None
            Adjustment of the p-values over the terms.

        Returns
        -------
        polars.DataFrame
            The terms, then ``estimate``, ``null``, ``statistic``, ``p_value``, ``p_adjusted``.
        """
        return comparison.test_against(self, null, alternative, adjust)

    @typed_options
    def compare(
        self,
        reference: object = None,
        *,
        terms: str | None = None,
        alternative: str = "two-sided",
        adjust: str | None = "holm",
        level: float | None = None,
        margin: float | None = None,
    ) -> pl.DataFrame:
        """Differences between terms from their joint distribution (paired where units are shared).

        Parameters
        ----------
        reference : optional
            Compare every other model with this one (difference = model - reference); None
            compares all pairs (first - second, in the order given).
        terms : str, optional
            Column of :attr:`terms` to compare over; "model" by default, else the first column
            that varies. The other columns are held fixed.
        alternative : {"two-sided", "greater", "less"}
            Direction of the alternative for the difference.
        adjust : {"holm", "bonferroni", "bh", "by", "max-t"} or None
            Adjustment over all rows of the table.
        level : float, optional
            Confidence level of the intervals of the differences.
        margin : float, optional
            Non-negative margin. With ``"two-sided"`` it gives the equivalence test (two one-sided
            tests, TOST), with ``"greater"`` non-inferiority (difference > -margin), with
            ``"less"`` non-superiority (difference < margin).

        Returns
        -------
        polars.DataFrame
            One row per difference with ``estimate``, ``standard_error``, ``ci_low``, ``ci_high``,
            ``statistic``, ``p_value``, ``p_adjusted``, ``adjust`` and ``n``.

        Raises
        ------
        InputError
            If there is nothing to compare, or `reference` or `terms` is unknown.
        """
        return comparison.compare(
            self,
            reference,
            over=terms,
            alternative=alternative,
            adjust=adjust,
            level=self.level if level is None else level,
            margin=margin,
        )

    @typed_options
    def joint_test(self, terms: str | None = None) -> pl.DataFrame:
        """Wald chi-square test that all models are equal, per combination of the other columns.

        Parameters
        ----------
        terms : str, optional
            Column to compare over, as in :meth:`compare`.

        Returns
        -------
        polars.DataFrame
            ``statistic``, ``df`` (rank of the covariance of the differences) and ``p_value``.
        """
        return comparison.joint_test(self, terms)

    def contrast(self, matrix: ArrayLike, labels: Sequence[str]) -> "Estimate":
        """Linear combinations of the terms, again with their joint distribution.

        Parameters
        ----------
        matrix : array-like (m, k)
            One row of coefficients per combination.
        labels : sequence of str
            Name of each combination (column ``contrast`` of the new terms).

        Returns
        -------
        Estimate
            The m combinations.
        """
        return comparison.contrast(self, number_array("matrix", matrix), labels)

    def select(self, **conditions: object) -> "Estimate":
        """Keep the terms whose columns equal the given values, such as ``model="vit"``.

        Parameters
        ----------
        **conditions
            Column of :attr:`terms` and the value that it must have.

        Returns
        -------
        Estimate
            The chosen terms with their joint distribution.

        Raises
        ------
        InputError
            If a column is unknown or no term remains.
        """
        mask = np.ones(len(self), dtype=bool)
        for column, wanted in conditions.items():
            if column not in self.terms.columns:
                raise InputError(f"{column!r} is no column of terms: {self.terms.columns}")
            mask &= np.array(
                [value is wanted or _equal(value, wanted) for value in self.terms[column].to_list()]
            )
        if not bool(mask.any()):
            raise InputError(f"no term has {conditions}")
        return self._take(np.flatnonzero(mask))

    def _take(self, rows: NDArray[np.int64]) -> "Estimate":
        support = {
            name: storage.take_support(name, array, rows) for name, array in self.support.items()
        }
        return replace(
            self,
            terms=self.terms[rows.tolist()],
            value=self.value[rows],
            standard_error=self.standard_error[rows],
            covariance=self.covariance[np.ix_(rows, rows)],
            replicates=None if self.replicates is None else self.replicates[:, rows],
            interval=tuple(self.interval[row] for row in rows),
            df=self.df[rows],
            residual_df=self.residual_df[rows],
            sample=self.sample[rows],
            n=self.n[rows],
            support=support,
        )

    @typed_options
    def to_frame(self, level: float | None = None) -> pl.DataFrame:
        """Tidy frame: the terms, then estimate, standard error, interval, n and inference.

        Parameters
        ----------
        level : float, optional
            Confidence level of ``ci_low`` and ``ci_high``.

        Returns
        -------
        polars.DataFrame
            One row per term.
        """
        low, high = self.confidence_interval(level)
        return self.terms.with_columns(
            pl.Series("estimate", self.value),
            pl.Series("standard_error", self.standard_error),
            pl.Series("ci_low", low),
            pl.Series("ci_high", high),
            pl.Series("n", self.n),
            pl.lit(self.inference).alias("inference"),
        )

    def to_latex(self, **options: Any) -> str:
        """LaTeX table (booktabs); options as in :func:`evalstats.results.tables.format_latex`."""
        options.setdefault("level", self.level)
        options.setdefault("digits", self._digits)
        options.setdefault("bold_best", self.higher_is_better is not None)
        options.setdefault("higher_is_better", self.higher_is_better)
        return tables.format_latex(self.to_frame(), **options)

    def to_html(self, **options: Any) -> str:
        """HTML table; options as in :func:`evalstats.results.tables.format_html`."""
        options.setdefault("title", self.name)
        options.setdefault("level", self.level)
        options.setdefault("digits", self._digits)
        options.setdefault("note", self._note())
        return tables.format_html(self.to_frame(), **options)

    def to_markdown(self, **options: Any) -> str:
        """Markdown table; options as in :func:`evalstats.results.tables.format_markdown`."""
        options.setdefault("note", self._note())
        options.setdefault("level", self.level)
        options.setdefault("digits", self._digits)
        return tables.format_markdown(self.to_frame(), **options)

    @property
    def _digits(self) -> int:
        return 2 if self.scale == "logit_percent" else 3

    def _note(self) -> str:
        sample = f"{self.n_units} {self.unit}s"
        if self.n_clusters is not None:
            sample += f" in {self.n_clusters} clusters"
        parts = [sample]
        if self.n_dropped:
            parts.append(f"{self.n_dropped} rows with missing values dropped")
        if self.n_failed:
            parts.append(f"{self.n_failed} undefined replicates left out")
        told = {"rows-dropped", "failed-replicates"}
        warned = [message for code, message in self.warnings if code not in told]
        return "; ".join(dict.fromkeys([*parts, *warned, *self.notes]))

    def __str__(self) -> str:
        return tables.format_text(
            self.to_frame(),
            title=self.name,
            note=self._note(),
            level=self.level,
            digits=self._digits,
        )

    def __repr__(self) -> str:
        return (
            f"<Estimate {self.name}: {len(self)} term{'s' if len(self) != 1 else ''}, "
            f"{self.n_units} {self.unit}s, {self.inference}>"
        )

    def _repr_html_(self) -> str:
        return self.to_html()

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Forest plot of the estimates with their intervals.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure at paper column width by default.
        **options
            As in :func:`evalstats.results.displays.plot_estimates`.

        Returns
        -------
        matplotlib Axes
            The axes drawn on.
        """
        from evalstats.results.forest import plot_estimates

        return plot_estimates(self.to_frame(), ax=ax, **options)

    def methods(self) -> str:
        """Sentence for the methods section, with citation keys of :func:`evalstats.citations`."""
        return self.method_text

    def save(self, path: "str | PathLike[str]") -> None:
        """Write a lossless, versioned file (numpy archive without pickled objects), atomically.

        Parameters
        ----------
        path : str or path-like
            Where to write; an existing file is replaced.
        """
        storage.save(self, path)

    @classmethod
    def load(cls, path: "str | PathLike[str]") -> "Estimate":
        """Read what :meth:`save` wrote.

        Parameters
        ----------
        path : str or path-like
            File written by :meth:`save`.

        Returns
        -------
        Estimate
            Equal to the saved one.

        Raises
        ------
        InputError
            If the file is no saved Estimate or comes from a newer format.
        """
        return cls(**storage.load(path))


def _equal(value: object, wanted: object) -> bool:
    """Whether a label is the one that was asked for, which may be anything, such as an array."""
    same: object = value == wanted
    return isinstance(same, bool | np.bool_) and bool(same)
