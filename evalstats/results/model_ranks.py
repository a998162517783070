"""Which model is best over units, and over data sets, by ranks and paired tests."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.data.frames import Frame
from evalstats.data.intake import number_array
from evalstats.errors import InputError
from evalstats.inference import block_tests, rank_tests
from evalstats.inference.methods import RandomSource
from evalstats.options import typed_options
from evalstats.results.ranges import require_level

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ModelRanks:
    """Per-unit scores of several models, ready to be ranked; made by :func:`rank_models`.

    Attributes
    ----------
    models : tuple of str
        Names of the models.
    blocks : tuple
        Names of the blocks (data sets); one None without blocks.
    scores : tuple of float64 array
        Units by models, one array per block, complete and read-only.
    higher_is_better : bool
        Direction of the scores.

    Examples
    --------
    >>> import evalstats as es
    >>> ranks = es.rank_models({"a": [0.9, 0.8, 0.7], "b": [0.5, 0.8, 0.6]})
    >>> ranks.average_ranks()["average_rank"].round(3).to_list()
    [1.167, 1.833]
    """

    models: tuple[str, ...]
    blocks: tuple[Any, ...]
    scores: tuple[Array, ...]
    higher_is_better: bool = True

    def average_ranks(self) -> pl.DataFrame:
        """Average rank over units of each model in each block, best first.

        Returns
        -------
        polars.DataFrame
            ``block`` (with blocks), ``model``, ``average_rank``, ``mean`` and ``n``.
        """
        frames = []
        for scores in self.scores:
            rank = rank_tests.average_ranks(scores, higher_is_better=self.higher_is_better)
            frames.append(
                pl.DataFrame(
                    {
                        "model": self.models,
                        "average_rank": rank,
                        "mean": scores.mean(axis=0),
                        "n": [len(scores)] * len(self.models),
                    }
                ).sort("average_rank", maintain_order=True)
            )
        return self._stacked(frames)

    def pairwise(
        self,
        test: str = "wilcoxon",
        *,
        protocol: str = "evalstats",
        method: str = "auto",
        alternative: str = "two-sided",
        adjust: str | None = "holm",
        zero: float = 0.0,
        n_resamples: int = 9999,
        rng: RandomSource = 0,
    ) -> pl.DataFrame:
        """Paired tests of all pairs of models over the units, block by block.

        Parameters
        ----------
        test : {"wilcoxon", "t", "sign-flip"}
            Signed-rank test, paired t test or permutation of signs.
        protocol : {"evalstats", "aupimo-paper"}
            The second orders the models by their ranks and tests one-sided in that direction,
            without adjustment, as published; it leaves no other option but `test`.
        method : {"auto", "exact", "asymptotic"}
            Null distribution of the signed-rank test; what was used is reported.
        alternative : {"two-sided", "greater", "less"}
            Direction of model minus reference.
        adjust : {"holm", "bonferroni", "bh", "by"} or None
            Adjustment of the p-values within each block.
        zero : float, default 0
            Differences up to this size count as zero for the signed-rank test.
        n_resamples, rng
            Of the sign flips.

        Returns
        -------
        polars.DataFrame
            See ``evalstats.inference.rank_tests.pairwise_tests``.
        """
        if protocol not in rank_tests.PROTOCOLS:
            raise InputError(f"protocol={protocol!r}: choose 'evalstats' or 'aupimo-paper'")
        models = list(self.models)
        if protocol == "aupimo-paper":
            given = (method, alternative, adjust, zero)
            if given != ("auto", "two-sided", "holm", 0.0) or test == "sign-flip":
                raise InputError(
                    "protocol='aupimo-paper' fixes method, alternative, adjust and zero: "
                    "leave them out, and choose test='wilcoxon' or test='t'"
                )
            return self._stacked(
                [
                    rank_tests.paper_tests(s, models, test, higher_is_better=self.higher_is_better)
                    for s in self.scores
                ]
            )
        paired = rank_tests.PairedTest(test, method, alternative, zero, n_resamples, rng)
        return self._stacked(
            [
                rank_tests.pairwise_tests(
                    s, models, paired, adjust=adjust, higher_is_better=self.higher_is_better
                )
                for s in self.scores
            ]
        )

    def friedman(self, *, level: float = 0.95) -> block_tests.Friedman:
        """Friedman's test over the means of blocks; without blocks every unit is a block.

        Parameters
        ----------
        level : float, default 0.95
            Level of the critical difference.

        Returns
        -------
        Friedman
            Statistics, p-values and Nemenyi's critical difference.
        """
        require_level(level)
        return block_tests.friedman_test(self._block_values(), level=level)

    def post_hoc(self, test: str = "nemenyi", *, adjust: str | None = "holm") -> pl.DataFrame:
        """Tests of all pairs of models after Friedman's.

        Parameters
        ----------
        test : {"nemenyi", "conover"}
            Studentized range of average ranks, or t of rank sums with the pooled variance.
        adjust : {"holm", "bonferroni", "bh", "by"} or None
            Adjustment of Conover's p-values; Nemenyi's hold for all pairs together.

        Returns
        -------
        polars.DataFrame
            One row per pair with ``statistic``, ``p_value`` and ``p_adjusted``.
        """
        return block_tests.post_hoc_tests(
            self._block_values(),
            list(self.models),
            test,
            adjust=adjust,
            higher_is_better=self.higher_is_better,
        )

    def overall(
        self, *, n_resamples: int = 2000, level: float = 0.95, rng: RandomSource = 0
    ) -> pl.DataFrame:
        """Mean of block means and its paired differences, by a bootstrap of blocks and units.

        Parameters
        ----------
        n_resamples : int, default 2000
            Number of replicates.
        level : float, default 0.95
            Confidence level of the percentile intervals.
        rng : int, SeedSequence, Generator or None, default 0
            Source of randomness.

        Returns
        -------
        polars.DataFrame
            ``model``, ``reference`` (null for the mean itself), ``estimate``, ``standard_error``,
            ``ci_low``, ``ci_high`` (percentile), ``n`` (blocks).
        """
        require_level(level)
        if len(self.blocks) < 2:
            raise InputError("overall() draws blocks, so it needs block= with at least 2 blocks")
        replicates = block_tests.hierarchical_means(list(self.scores), n_resamples, rng)
        value = self._block_values().mean(axis=0)
        m = len(self.models)
        rows: list[tuple[str, str | None, float, Array]] = [
            (self.models[i], None, value[i], replicates[:, i]) for i in range(m)
        ]
        for i in range(m):
            for j in range(i + 1, m):
                drawn = replicates[:, i] - replicates[:, j]
                rows.append((self.models[i], self.models[j], value[i] - value[j], drawn))
        tail = (1 - level) / 2
        return pl.DataFrame(
            {
                "model": [row[0] for row in rows],
                "reference": pl.Series([row[1] for row in rows], dtype=pl.String),
                "estimate": [float(row[2]) for row in rows],
                "standard_error": [float(row[3].std(ddof=1)) for row in rows],
                "ci_low": [float(np.quantile(row[3], tail)) for row in rows],
                "ci_high": [float(np.quantile(row[3], 1 - tail)) for row in rows],
                "n": [len(self.blocks)] * len(rows),
            }
        )

    def plot(self, *, level: float = 0.95, ax: "Axes | None" = None) -> "Axes":
        """Average-rank diagram with Nemenyi's critical difference.

        Parameters
        ----------
        level : float, default 0.95
            Level of the critical difference.
        ax : matplotlib Axes, optional
            Where to draw; a new figure at paper column width by default.

        Returns
        -------
        matplotlib Axes
            The axes drawn on.
        """
        from evalstats.results.rank_display import plot_average_ranks

        require_level(level)
        values = self._block_values()
        rank = rank_tests.average_ranks(values, higher_is_better=self.higher_is_better)
        frame = pl.DataFrame({"model": self.models, "average_rank": rank})
        difference = block_tests.critical_difference(*values.shape, level=level)
        return plot_average_ranks(frame, critical_difference=difference, ax=ax)

    def _block_values(self) -> Array:
        if len(self.blocks) == 1 and self.blocks[0] is None:
            return self.scores[0]
        return np.stack([scores.mean(axis=0) for scores in self.scores])

    def _stacked(self, frames: list[pl.DataFrame]) -> pl.DataFrame:
        if len(self.blocks) == 1 and self.blocks[0] is None:
            return frames[0]
        return pl.concat(
            frame.select(pl.lit(block).alias("block"), pl.all())
            for block, frame in zip(self.blocks, frames, strict=True)
        )


@typed_options
def rank_models(
    scores: object,
    *,
    unit: str = "unit",
    model: str = "model",
    score: str = "score",
    block: str | None = None,
    higher_is_better: bool = True,
) -> ModelRanks:
    """Rank models by any per-unit score, and test them in pairs.

    Parameters
    ----------
    scores : mapping or data frame
        Arrays of scores by model, all over the same units; or a frame in long form with the
        columns that the next arguments name.
    unit, model, score : str
        Columns of a long frame.
    block : str, optional
        Column of the data set; units are ranked and tested within it.
    higher_is_better : bool, default True
        Direction of the scores.

    Returns
    -------
    ModelRanks
        Average ranks, tests and the diagram.

    Raises
    ------
    InputError
        If a unit has scores of some models only, occurs twice, or fewer than 2 units remain.

    Examples
    --------
    >>> import evalstats as es
    >>> scores = {"a": [0.9, 0.8, 0.7], "b": [0.5, 0.75, 0.6]}
    >>> es.rank_models(scores).pairwise()["p_value"].to_list()
    [0.25]
    """
    if isinstance(scores, Mapping):
        if block is not None:
            raise InputError("block= names a column: pass scores as a long frame with it")
        columns = [number_array(f"scores[{name!r}]", value) for name, value in scores.items()]
        if any(column.ndim != 1 for column in columns) or len({len(c) for c in columns}) != 1:
            raise InputError("scores: the arrays of all models must be 1-D and of one length")
        matrix = rank_tests.complete_units(np.column_stack(columns))
        matrix.flags.writeable = False
        names = tuple(str(name) for name in scores)
        return ModelRanks(names, (None,), (matrix,), higher_is_better)
    names, blocks, matrices = _pivoted(scores, unit, model, score, block)
    return ModelRanks(names, blocks, matrices, higher_is_better)


def _pivoted(
    data: object, unit: str, model: str, score: str, block: str | None
) -> tuple[tuple[str, ...], tuple[Any, ...], tuple[Array, ...]]:
    wanted = {"unit": unit, "model": model, "score": score}
    if block is not None:
        wanted["block"] = block
    frame = Frame(data, wanted.values(), "scores")
    read = {}
    for role, name in wanted.items():
        values, missing = frame.column(role, name)
        if missing is not None and role != "score":
            row = int(np.flatnonzero(missing)[0])
            raise InputError(f"{role}: column {name!r} has a missing value in row {row}")
        if role == "score":
            try:
                values = np.array(values, dtype=np.float64)
            except (TypeError, ValueError) as error:
                raise InputError(f"score: column {name!r} does not hold numbers") from error
            if missing is not None:
                values[missing] = np.nan
        read[role] = pl.Series(role, values)
    table = pl.DataFrame(read).with_columns(pl.col("model").cast(pl.String)).with_row_index("row")
    if block is None:
        table = table.with_columns(block=pl.lit(None, dtype=pl.String))
    repeated = table.filter(pl.struct("block", "unit", "model").is_first_distinct().not_())
    if not repeated.is_empty():
        raise InputError(
            f"scores: row {repeated['row'][0]} repeats a unit of a model: one score each, "
            "or name the data set in block="
        )
    names = table["model"].unique(maintain_order=True).to_list()
    blocks, matrices = [], []
    for (label,), part in table.group_by(["block"], maintain_order=True):
        wide = part.pivot("model", index="unit", values="score", maintain_order=True)
        absent = [name for name in names if name not in wide.columns]
        if absent:
            raise InputError(f"scores: block {label!r} has no score of model {absent[0]!r}")
        values = wide.select(pl.col(names).fill_null(np.nan)).to_numpy()
        try:
            matrix = rank_tests.complete_units(np.asarray(values, dtype=np.float64))
        except InputError as error:
            where = "" if block is None else f" (block {label!r})"
            raise InputError(f"{error}{where}; rows count the distinct units") from None
        matrix.flags.writeable = False
        blocks.append(label)
        matrices.append(matrix)
    return tuple(names), tuple(blocks), tuple(matrices)
