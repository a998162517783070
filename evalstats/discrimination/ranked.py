"""What AUROC and AUPRC share: rankings prepared once, binary or per class or pair of classes."""

from abc import abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalstats.data.columns import Columns, Role
from evalstats.data.validation import binary_labels, class_labels, finite_scores, row_sums_to_one
from evalstats.errors import InputError
from evalstats.estimator import Diagnosis, Estimator
from evalstats.inference.resampling import parallel_map
from evalstats.kernels.ranking import rank_descending

Array = NDArray[np.float64]
Multiclass = Literal["raise", "ovr", "ovo"]
Average = Literal["macro", "weighted"]
FEW_POSITIVES = 30
NEAR_PERFECT = 0.995
FEW_DECIDING_ROWS = 5.0


@dataclass(frozen=True)
class Component:
    """One binary ranking problem: the whole data, one class against the rest, or one of a pair.

    Attributes
    ----------
    positive, last_in_block, order : array
        Labels and tie blocks in descending order of the score, and the rows in that order.
    rows : int64 array or None
        Rows that take part; None for all.
    """

    positive: NDArray[np.bool_]
    last_in_block: NDArray[np.bool_]
    order: NDArray[np.int64]
    rows: NDArray[np.int64] | None = None

    @classmethod
    def of(
        cls,
        positive: NDArray[np.bool_],
        scores: NDArray[Any],
        rows: NDArray[np.int64] | None = None,
    ) -> "Component":
        """Rank `scores` (of `rows`) once."""
        if rows is not None:
            positive, scores = positive[rows], scores[rows]
        order, last_in_block = rank_descending(scores)
        return cls(positive[order], last_in_block, order, rows)

    def weights(self, weights: Array) -> Array:
        """Weights of the rows that take part."""
        return weights if self.rows is None else weights[self.rows]

    @property
    def ranking(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64]]:
        """The arrays that every ranking kernel takes first."""
        return self.positive, self.last_in_block, self.order


@dataclass(frozen=True)
class Strand:
    """Components whose plain mean is one value, and the rows whose share weighs that value."""

    components: tuple[Component, ...]
    mass: NDArray[np.bool_] | None


@dataclass(frozen=True)
class Prepared:
    """Strands of every model and how they become terms."""

    n: int
    models: list[list[Strand]]
    defined: list[NDArray[np.bool_]]


class RankingEstimator(Estimator):
    """Base of the estimators whose statistic is a function of binary rankings."""

    roles: ClassVar[tuple[Role, ...]] = (
        Role("y_true", "label", help="column with the labels (0/1, or see --pos-label)"),
        Role("y_score", "score", per_model=True, help="column with the scores of a model"),
    )
    multiclass: Multiclass
    average: Average | None
    pos_label: Hashable | None
    labels: list[Hashable] | None
    normalize: bool
    direction: Literal["higher", "lower"]
    on_undefined: Literal["raise", "nan"]

    @abstractmethod
    def _statistic(self, component: Component, weights: Array) -> float:
        """Value of one binary ranking."""

    @abstractmethod
    def _statistic_influence(self, component: Component, weights: Array) -> Array:
        """Influence values of one binary ranking, per row that takes part."""

    def fit(
        self,
        y_true: ArrayLike | str,
        y_score: ArrayLike | Mapping[str, ArrayLike] | str | list[str],
        *,
        data: Any = None,
        sample_weight: ArrayLike | str | None = None,
        cluster: ArrayLike | str | None = None,
        by: ArrayLike | str | list[str] | None = None,
    ) -> Self:
        """Estimate the area of every model on the same rows.

        Parameters
        ----------
        y_true : array-like (n,) or column name
            Labels: 0/1, boolean, or two values with `pos_label`; classes with `multiclass`.
        y_score : array-like (n,), (n, k), mapping of model name to array, or column names
            Scores of one or several models; with `multiclass` (n, n_classes) for each model.
        data : data frame, optional
            polars, pandas, pyarrow or any Arrow-capable frame; role arguments are then names.
        sample_weight : array-like (n,) or column name, optional
            Non-negative weights.
        cluster : array-like (n,) or column name, optional
            Rows of one cluster (patient, site, image) are sampled together.
        by : array-like (n,) or column names, optional
            Fit separately in each group and stack the terms.

        Returns
        -------
        RankingEstimator
            The fitted estimator.

        Raises
        ------
        InputError
            If labels, scores, weights or names cannot be used, or a class is empty.
        """
        return self._fit(
            {"y_true": y_true, "y_score": y_score},
            data=data,
            sample_weight=sample_weight,
            cluster=cluster,
            by=by,
        )

    def _check_params(self) -> None:
        super()._check_params()
        _require_option("multiclass", self.multiclass, ("raise", "ovr", "ovo"))
        _require_option("average", self.average, ("macro", "weighted", None))
        _require_option("direction", self.direction, ("higher", "lower"))
        _require_option("on_undefined", self.on_undefined, ("raise", "nan"))
        if self.multiclass == "ovo" and self.average is None:
            raise InputError("average=None is not defined for multiclass='ovo': choose 'macro'")

    def _active_roles(self) -> tuple[Role, ...]:
        labels, scores = type(self).roles
        if self.multiclass == "raise":
            return labels, scores
        return labels, Role("y_score", "score", per_model=True, matrix=True, help=scores.help)

    def _validate(self, columns: Columns) -> Columns:
        scores = {
            model: finite_scores(_argument("y_score", model, columns), column)
            for model, column in columns.models["y_score"].items()
        }
        if self.direction == "lower":
            scores = {model: _reversed(column) for model, column in scores.items()}
        if self.multiclass == "raise":
            y_true = binary_labels("y_true", columns.single["y_true"], self.pos_label)
            return columns.with_columns({"y_true": y_true}, {"y_score": scores})
        widths = {column.shape[1] if column.ndim == 2 else 1 for column in scores.values()}
        if len(widths) > 1 or min(widths) < 2:
            raise InputError(
                "y_score must have one column per class, at least 2, the same for all models "
                f"(found {sorted(widths)})"
            )
        if self.normalize:
            for model, column in scores.items():
                row_sums_to_one(_argument("y_score", model, columns), column)
        codes, classes = class_labels("y_true", columns.single["y_true"], widths.pop(), self.labels)
        return columns.with_columns({"y_true": codes}, {"y_score": scores}, classes=classes)

    def _prepare(self, columns: Columns) -> Prepared:
        scores = list(columns.models["y_score"].values())
        y_true = columns.single["y_true"]

        def strands(column: NDArray[Any]) -> list[Strand]:
            if self.multiclass == "raise":
                return [Strand((Component.of(y_true, column),), None)]
            if self.multiclass == "ovr":
                return _one_versus_rest(y_true, column)
            return _one_versus_one(y_true, column)

        models = parallel_map(strands, scores, columns.n * 40)
        if self.multiclass == "raise":
            # There is nothing to average over, and so nothing that could be left out.
            return Prepared(columns.n, models, [np.ones(1, dtype=bool)] * len(models))
        weights = np.ones(columns.n) if columns.weight is None else columns.weight
        defined = [np.isfinite(self._strand_values(strand, weights)) for strand in models]
        return Prepared(columns.n, models, defined)

    def _strand_values(self, strands: list[Strand], weights: Array) -> Array:
        return np.array(
            [
                np.mean(
                    [self._statistic(part, part.weights(weights)) for part in strand.components]
                )
                for strand in strands
            ]
        )

    def _evaluate(self, prepared: Prepared, weights: Array) -> Array:
        values = []
        for strands, defined in zip(prepared.models, prepared.defined, strict=True):
            value = self._strand_values(strands, weights)
            if self._averages:
                share = self._shares(strands, weights)
                value = np.array([_weighted_mean(value[defined], share[defined])])
            values.append(value)
        return np.concatenate(values)

    def _influence(self, prepared: Prepared, weights: Array) -> Array:
        n_terms = [1 if self._averages else len(strands) for strands in prepared.models]
        influence = np.empty((prepared.n, sum(n_terms)))
        columns = np.split(influence, np.cumsum(n_terms)[:-1], axis=1)
        models = list(zip(prepared.models, prepared.defined, columns, strict=True))
        parallel_map(lambda model: self._fill_influence(*model, weights), models, prepared.n * 40)
        return influence

    def _fill_influence(
        self, strands: list[Strand], defined: NDArray[np.bool_], out: Array, weights: Array
    ) -> None:
        """Write the influence values of one model's terms into their columns."""
        if not self._averages:
            for column, strand in enumerate(strands):
                out[:, column] = self._strand_influence(strand, weights)
            return
        values = self._strand_values(strands, weights)
        share = self._shares(strands, weights)
        centre = _weighted_mean(values[defined], share[defined])
        total = share[defined].sum()
        out[:] = 0.0
        for position in np.flatnonzero(defined):
            strand = strands[position]
            out[:, 0] += share[position] / total * self._strand_influence(strand, weights)
            if self.average == "weighted" and strand.mass is not None:
                # The share of a class is itself estimated: its derivative by a row's weight.
                out[:, 0] += strand.mass * (values[position] - centre) / total

    def _strand_influence(self, strand: Strand, weights: Array) -> Array:
        if len(strand.components) == 1 and strand.components[0].rows is None:
            return self._statistic_influence(strand.components[0], weights)
        influence = np.zeros(len(weights))
        for part in strand.components:
            own = self._statistic_influence(part, part.weights(weights))
            influence[slice(None) if part.rows is None else part.rows] += own
        return influence / len(strand.components)

    @property
    def _averages(self) -> bool:
        return self.multiclass != "raise" and self.average is not None

    def _shares(self, strands: list[Strand], weights: Array) -> Array:
        if self.average != "weighted":
            return np.ones(len(strands))
        return np.array(
            [weights.sum() if s.mass is None else weights[s.mass].sum() for s in strands]
        )

    def _terms(self, columns: Columns) -> list[dict[str, Hashable]]:
        if self.multiclass == "raise" or self._averages:
            return super()._terms(columns)
        return [
            {"metric": self.metric, "model": model, "class": str(label)}
            for model in columns.model_names
            for label in columns.extra["classes"]
        ]

    def _support(self, columns: Columns, prepared: Prepared) -> dict[str, Array]:
        positives, negatives = self._class_counts(columns)
        fewest_positives: list[Array] = []
        fewest_negatives: list[Array] = []
        for defined in prepared.defined:
            if self._averages:
                kept = defined if bool(defined.any()) else ~defined
                fewest_positives.append(positives[kept].min(keepdims=True))
                fewest_negatives.append(negatives[kept].min(keepdims=True))
            else:
                fewest_positives.append(positives)
                fewest_negatives.append(negatives)
        return {
            "n_positive": np.concatenate(fewest_positives),
            "n_negative": np.concatenate(fewest_negatives),
        }

    def _class_counts(self, columns: Columns) -> tuple[Array, Array]:
        """Rows of positive weight on either side of each strand."""
        y_true = columns.single["y_true"]
        present = y_true if columns.weight is None else y_true[columns.weight > 0]
        if self.multiclass == "raise":
            positives = float(np.count_nonzero(present))
            return np.array([positives]), np.array([len(present) - positives])
        counts = np.bincount(present, minlength=len(columns.extra["classes"])).astype(np.float64)
        if self.multiclass == "ovr":
            return counts, len(present) - counts
        smaller = np.array([min(pair) for pair in combinations(counts, 2)])
        return smaller, smaller

    def _diagnose(self, columns: Columns, prepared: Prepared) -> list[Diagnosis]:
        found: list[Diagnosis] = []
        for model, column in columns.models["y_score"].items():
            if bool((column == column[:1]).all()):
                found.append(("constant-score", f"constant score: {model!r} ranks nothing"))
        fewest = int(self._support(columns, prepared)["n_positive"].min())
        if fewest < FEW_POSITIVES:
            found.append(
                (
                    "few-positives",
                    f"only {fewest} positives: large-sample standard errors are unreliable below "
                    f"about {FEW_POSITIVES}",
                )
            )
        elif self.multiclass == "raise" and self._has_influence(columns):
            found += self._few_deciding_rows(columns, prepared)
        if self.multiclass != "raise":
            absent = np.flatnonzero(~prepared.defined[0])
            if self.multiclass == "ovr" and len(absent):
                names = ", ".join(repr(columns.extra["classes"][code]) for code in absent)
                found.append(("class-absent", f"no rows (or no others) of class {names}: left out"))
            elif len(absent):
                found.append(
                    ("class-absent", f"{len(absent)} pairs of classes are empty: left out")
                )
        return found

    def _few_deciding_rows(self, columns: Columns, prepared: Prepared) -> list[Diagnosis]:
        """Whether the variance of an almost perfect model comes from a handful of rows."""
        weights = np.ones(prepared.n) if columns.weight is None else columns.weight
        value = self._evaluate(prepared, weights)
        near = (value > NEAR_PERFECT) & (value < 1.0)
        if not bool(near.any()):
            return []
        squares = (self._influence(prepared, weights)[:, near] * weights[:, np.newaxis]) ** 2
        effective = squares.sum(axis=0) ** 2 / (squares**2).sum(axis=0)
        fewest = int(np.argmin(effective))
        if effective[fewest] >= FEW_DECIDING_ROWS:
            return []
        message = (
            f"{self.metric} {value[near][fewest]:.4f}: about {effective[fewest]:.1f} rows decide "
            f"its standard error, so that the interval covers less than it claims"
        )
        return [("near-perfect", message)]

    def _require_defined(self, columns: Columns, prepared: Prepared, value: Array) -> None:
        if self.on_undefined == "nan" or (self.multiclass != "raise" and np.isfinite(value).any()):
            return
        if bool(np.isfinite(value).all()):
            return
        weights = np.ones(prepared.n) if columns.weight is None else columns.weight
        y_true = columns.single["y_true"]
        if y_true.dtype == np.bool_:
            missing = "positives" if not bool(weights[y_true].any()) else "negatives"
            weighted = "" if columns.weight is None else " with positive weight"
            raise InputError(
                f"y_true has no {missing}{weighted}, so {self.metric} is undefined: check the "
                "labels or pass on_undefined='nan'"
            )
        raise InputError(f"y_true has one class only, so {self.metric} is undefined")

    @classmethod
    def _example_arguments(cls, rng: np.random.Generator, n: int) -> dict[str, Any]:
        y_true = rng.random(n) < 0.4
        y_true[:2] = [True, False]
        signal = rng.normal(size=n) + y_true
        return {
            "y_true": y_true.astype(np.int64),
            "y_score": {
                "strong": signal + 0.3 * rng.normal(size=n),
                "weak": np.round(signal + 1.5 * rng.normal(size=n), 1),
            },
        }


def _argument(role: str, model: str, columns: Columns) -> str:
    return role if len(columns.models[role]) == 1 else f"{role}[{model!r}]"


def _require_option(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        options = ", ".join(repr(option) for option in allowed)
        raise InputError(f"{name}={value!r} is unknown: choose one of {options}")


def _reversed(column: NDArray[Any]) -> NDArray[Any]:
    """Scores in the opposite order; bitwise complement keeps integers exact."""
    return np.asarray(-column if column.dtype.kind == "f" else ~column)


def _weighted_mean(value: Array, weight: Array) -> float:
    total = float(weight.sum())
    return float((value * weight).sum() / total) if len(value) and total > 0 else np.nan


def _one_versus_rest(codes: NDArray[np.int64], scores: NDArray[Any]) -> list[Strand]:
    strands = []
    for label in range(scores.shape[1]):
        positive = codes == label
        component = Component.of(positive, np.ascontiguousarray(scores[:, label]))
        strands.append(Strand((component,), positive))
    return strands


def _one_versus_one(codes: NDArray[np.int64], scores: NDArray[Any]) -> list[Strand]:
    """Pairs of classes, each judged by both classes' scores (Hand and Till 2001, eq. 7)."""
    strands = []
    for first, second in combinations(range(scores.shape[1]), 2):
        mass = (codes == first) | (codes == second)
        rows = np.flatnonzero(mass)
        parts = tuple(
            Component.of(codes == label, np.ascontiguousarray(scores[:, label]), rows)
            for label in (first, second)
        )
        strands.append(Strand(parts, mass))
    return strands
