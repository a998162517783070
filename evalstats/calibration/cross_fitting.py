"""What recalibrators share: reading forecasts and labels, fitting, and cross-fitting."""

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from evalstats.calibration.probabilities import probabilities
from evalstats.data.columns import Column, Role, dense_codes
from evalstats.data.intake import collect_columns
from evalstats.data.validation import binary_labels, class_labels, row_sums_to_one
from evalstats.errors import InputError
from evalstats.inference.methods import RandomSource
from evalstats.options import require_declared_types
from evalstats.recalibration.folds import assign_folds

Array = NDArray[np.float64]
FORECASTS = Role("X", "score", per_model=True, matrix=True)
LABELS = Role("y", "label")


@dataclass(frozen=True)
class Sample:
    """Validated rows to fit on.

    Attributes
    ----------
    probability : float64 array (n,) or (n, K)
        Probability of the positive class, or of each class.
    code : int64 array (n,)
        Position of each row's class in `classes`.
    weight : float64 array (n,) or None
        Weights of the rows.
    cluster : int64 array (n,) or None
        Dense codes of clusters.
    classes : array (K,)
        Labels; the second of two is the positive class.
    """

    probability: Array
    code: NDArray[np.int64]
    weight: Array | None
    cluster: NDArray[np.int64] | None
    classes: NDArray[Any]

    def take(self, rows: NDArray[np.int64]) -> "Sample":
        """Return the given rows."""
        return replace(
            self,
            probability=self.probability[rows],
            code=self.code[rows],
            weight=None if self.weight is None else self.weight[rows],
            cluster=None if self.cluster is None else self.cluster[rows],
        )


class CrossFitted(BaseEstimator, ABC):  # type: ignore[misc]
    """Base of everything that is learned from forecasts and labels, in scikit-learn's manner."""

    pos_label: Hashable | None
    labels: list[Hashable] | None
    classes_: NDArray[Any]
    learned_: Any

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn from forecasts and labels that the forecasting model was not trained on.

        Parameters
        ----------
        X : array-like (n,), (n, 1), (n, 2) or (n, K)
            Predicted probabilities: of the positive class, or of each class (the second of two
            columns is the positive class).
        y : array-like (n,)
            Labels: 0/1, boolean, two values with `pos_label`, or K classes.
        sample_weight : array-like (n,), optional
            Non-negative weights; a weight of 2 is a repeated row.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        InputError
            If probabilities, labels or weights cannot be used.
        """
        self._check_params()
        sample = self._sample(X, y, sample_weight, None)
        self.learned_ = self._learn(sample)
        self.classes_ = sample.classes
        return self

    def cross_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        cluster: ArrayLike | None = None,
        n_folds: int = 5,
        rng: RandomSource = 0,
    ) -> NDArray[Any]:
        """Result for each row, learned from the rows of the other folds only.

        Folds are stratified by the forecasts, not by the labels, so that a row's own label has no
        part in its result. The estimator itself is left as it was.

        Parameters
        ----------
        X, y, sample_weight : array-like
            As in :meth:`fit`.
        cluster : array-like (n,), optional
            Rows of one cluster are kept in one fold.
        n_folds : int, default 5
            Number of folds; the number of rows (or clusters) leaves one out.
        rng : int, SeedSequence, Generator or None
            Source of randomness of the folds.

        Returns
        -------
        array (n,) or (n, K)
            Probability of the positive class, or of each class, in the shape that the metrics
            take; for prediction sets booleans (n, K).

        Raises
        ------
        InputError
            If the input cannot be used, or the rows outside of one fold cannot be fitted.
        """
        self._check_params()
        sample = self._sample(X, y, sample_weight, cluster)
        fold = assign_folds(sample.probability, sample.cluster, n_folds, rng)
        parts = []
        for number in range(n_folds):
            others = np.flatnonzero(fold != number)
            if sample.weight is not None and not (sample.weight[others] > 0.0).any():
                raise InputError(f"sample_weight is 0 in every row outside of fold {number}")
            try:
                learned = self._learn(sample.take(others))
            except InputError as error:
                raise InputError(
                    f"without fold {number} of {n_folds} the rows cannot be fitted: {error}"
                ) from error
            parts.append(self._apply(learned, sample.probability[fold == number]))
        result = np.empty((len(fold), *parts[0].shape[1:]), dtype=parts[0].dtype)
        for number, part in enumerate(parts):
            result[fold == number] = part
        return result

    @abstractmethod
    def _learn(self, sample: Sample) -> Any:
        """Everything that is learned, as a value that can be pickled."""

    @abstractmethod
    def _apply(self, learned: Any, probability: Array) -> NDArray[Any]:
        """Results of validated forecasts, (n,) or (n, K)."""

    def _check_params(self) -> None:
        require_declared_types(type(self).__init__, self.get_params())
        if self.pos_label is not None and self.labels is not None:
            raise InputError("pos_label is for two classes and labels for several: give one")

    def _forecasts(self, X: ArrayLike) -> Array:
        """Validated forecasts to apply what was learned to."""
        check_is_fitted(self)
        _require_array(X)
        probability = validated_forecasts(
            "X", collect_columns((FORECASTS,), {"X": X}).models["X"]["X"]
        )
        width = 2 if probability.ndim == 1 else probability.shape[1]
        if width != len(self.classes_):
            raise InputError(
                f"X has probabilities of {width} classes but the fit had {len(self.classes_)}: "
                "give the same classes"
            )
        return probability

    def _sample(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None,
        cluster: ArrayLike | None,
    ) -> Sample:
        _require_array(X)
        columns = collect_columns(
            (LABELS, FORECASTS), {"X": X, "y": y}, sample_weight=sample_weight, cluster=cluster
        )
        probability = validated_forecasts("X", columns.models["X"]["X"])
        if probability.ndim == 1:
            code, classes = _two_classes(columns.single["y"], self.pos_label)
        else:
            code, labels = class_labels("y", columns.single["y"], probability.shape[1], self.labels)
            classes = np.array(labels)
        return Sample(probability, code, columns.weight, columns.cluster, classes)


class Recalibrator(ClassifierMixin, CrossFitted):  # type: ignore[misc]
    """Base of the maps from forecasts to recalibrated forecasts."""

    def predict_proba(self, X: ArrayLike) -> Array:
        """Recalibrated probabilities of each class.

        Parameters
        ----------
        X : array-like (n,), (n, 1), (n, 2) or (n, K)
            Predicted probabilities, of the same classes as those fitted.

        Returns
        -------
        float64 array (n, 2) or (n, K)
            One column for each of ``classes_``.
        """
        given = self._forecasts(X)
        probability = self._apply(self.learned_, given)
        if probability.ndim == 1:
            return np.column_stack([1.0 - probability, probability])
        return probability

    def transform(self, X: ArrayLike) -> Array:
        """Recalibrated probabilities, as :meth:`predict_proba`, for use inside of a pipeline.

        Parameters
        ----------
        X : array-like (n,), (n, 1), (n, 2) or (n, K)
            Predicted probabilities.

        Returns
        -------
        float64 array (n, 2) or (n, K)
            One column for each of ``classes_``.
        """
        return self.predict_proba(X)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Class of the largest recalibrated probability; one half predicts the positive class.

        Parameters
        ----------
        X : array-like (n,), (n, 1), (n, 2) or (n, K)
            Predicted probabilities.

        Returns
        -------
        array (n,)
            Values of ``classes_``.
        """
        probability = self.predict_proba(X)
        code = probability.argmax(axis=1)
        if probability.shape[1] == 2:
            code = (probability[:, 1] >= 0.5).astype(np.int64)
        predicted: NDArray[Any] = self.classes_[code]
        return predicted


def normalised(columns: list[Array]) -> Array:
    """Rows of probabilities from one-vs-rest ones; uniform where all of them are 0."""
    matrix = np.column_stack(columns)
    total = matrix.sum(axis=1, keepdims=True)
    result = np.full(matrix.shape, 1.0 / matrix.shape[1])
    np.divide(matrix, total, out=result, where=total > 0.0)
    return result


def _require_array(X: object) -> None:
    if isinstance(X, Mapping):
        raise InputError("X is a mapping: pass the probabilities of one model as an array")


def validated_forecasts(argument: str, column: Column) -> Array:
    """Probabilities of the positive class (n,) for one or two columns, else of classes (n, K)."""
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.ndim > 2 or column.shape[-1:] == (0,):
        raise InputError(
            f"{argument} has shape {column.shape}: pass shape (n,), (n, 1), (n, 2) or (n, K)"
        )
    values = probabilities(argument, column)
    if values.ndim == 1:
        return values
    row_sums_to_one(argument, values)
    return np.ascontiguousarray(values[:, 1]) if values.shape[1] == 2 else values


def _two_classes(
    column: Column, pos_label: Hashable | None
) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Code of each row, 1 for the positive class, and both labels."""
    code = binary_labels("y", column, pos_label).astype(np.int64)
    if pos_label is None:
        return code, np.array([0, 1]).astype(column.dtype)
    other = [label for label in dense_codes(column)[1] if label != pos_label]
    if not other:
        raise InputError(f"y is {pos_label!r} in every row: both classes are needed")
    return code, np.array([other[0], pos_label], dtype=column.dtype)
