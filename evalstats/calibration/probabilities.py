"""What all estimators of calibration share: probabilities in, events and forecasts out."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalstats.data.columns import Column, Columns, Role
from evalstats.data.validation import binary_labels, class_labels, finite_scores, row_sums_to_one
from evalstats.errors import InputError, warn
from evalstats.estimator import Estimator
from evalstats.inference.methods import Bootstrap

Array = NDArray[np.float64]
Target = Literal["positive", "top_label", "classwise"]

# Beyond this share, values outside of [0, 1] are no slips but another kind of number.
MANY_OUTSIDE = 0.05


@dataclass(frozen=True)
class Events:
    """Binary events with the probability that a model gave to each.

    Attributes
    ----------
    forecast : float64 array (n,)
        Probability of the event.
    outcome : bool array (n,)
        Whether it happened.
    label : hashable or None
        The class that the events are about; None for the positive class and the top label.
    """

    forecast: Array
    outcome: NDArray[np.bool_]
    label: Hashable | None = None


class ProbabilityEstimator(Estimator):
    """Base of the estimators that compare probabilities with what happened.

    With ``target="positive"`` a model brings one column, the probability of the positive class.
    With ``"top_label"`` or ``"classwise"`` it brings one column for each class, or again one column
    where there are two classes.
    """

    roles: ClassVar[tuple[Role, ...]] = (
        Role("y_true", "label", help="column with the labels (0/1, or see --pos-label)"),
        Role("y_prob", "score", per_model=True, help="column with the probabilities of a model"),
    )
    target: Target
    pos_label: Hashable | None
    labels: list[Hashable] | None

    def fit(
        self,
        y_true: ArrayLike | str,
        y_prob: ArrayLike | Mapping[str, ArrayLike] | str | list[str],
        *,
        data: Any = None,
        sample_weight: ArrayLike | str | None = None,
        cluster: ArrayLike | str | None = None,
        by: ArrayLike | str | list[str] | None = None,
    ) -> Self:
        """Estimate the terms of every model on the same rows.

        Parameters
        ----------
        y_true : array-like (n,) or column name
            Labels: 0/1, boolean, or two values with `pos_label`; classes where a model brings a
            matrix.
        y_prob : array-like (n,), (n, k), mapping of model name to array, or column names
            Probability of the positive class of one or several models; with another ``target=``
            than "positive" (n, n_classes) for each model.
        data : data frame, optional
            polars, pandas, pyarrow or any Arrow-capable frame; role arguments are then names.
        sample_weight : array-like (n,) or column name, optional
            Non-negative weights.
        cluster : array-like (n,) or column name, optional
            Rows of one cluster (match, patient) are sampled together.
        by : array-like (n,) or column names, optional
            Fit separately in each group and stack the terms.

        Returns
        -------
        ProbabilityEstimator
            The fitted estimator.

        Raises
        ------
        InputError
            If labels, probabilities, weights or names cannot be used, or leave the estimate
            undefined.
        """
        return self._fit(
            {"y_true": y_true, "y_prob": y_prob},
            data=data,
            sample_weight=sample_weight,
            cluster=cluster,
            by=by,
        )

    def _check_params(self) -> None:
        super()._check_params()
        require_option("target", self.target, ("positive", "top_label", "classwise"))

    def _columns(self, arguments: Mapping[str, object], **shared: object) -> Columns:
        if isinstance(self.inference, Bootstrap) and self.inference.stratify == "y_true":
            warn(
                "fixed-base-rate",
                "stratify='y_true' fixes the base rate, which calibration is about; where rows "
                "were sampled by class (case-control), calibration is not identified at all",
                stacklevel=5,
            )
        return super()._columns(arguments, **shared)

    def _active_roles(self) -> tuple[Role, ...]:
        labels, probabilities = type(self).roles
        if self.target == "positive":
            return labels, probabilities
        return labels, Role("y_prob", "score", per_model=True, matrix=True, help=probabilities.help)

    def _validate(self, columns: Columns) -> Columns:
        models = columns.models["y_prob"]
        given = {
            model: probabilities("y_prob" if len(models) == 1 else f"y_prob[{model!r}]", column)
            for model, column in models.items()
        }
        widths = {column.shape[1] if column.ndim == 2 else 1 for column in given.values()}
        if len(widths) > 1:
            raise InputError(
                f"y_prob has models with {sorted(widths)} columns: give all the same classes"
            )
        width = widths.pop()
        if width == 1:
            given = {model: column.reshape(-1) for model, column in given.items()}
            y_true = binary_labels("y_true", columns.single["y_true"], self.pos_label)
            return columns.with_columns({"y_true": y_true}, {"y_prob": given}, classes=None)
        for model, column in given.items():
            row_sums_to_one("y_prob" if len(given) == 1 else f"y_prob[{model!r}]", column)
        codes, classes = class_labels("y_true", columns.single["y_true"], width, self.labels)
        return columns.with_columns({"y_true": codes}, {"y_prob": given}, classes=classes)

    @classmethod
    def _example_arguments(cls, rng: np.random.Generator, n: int) -> dict[str, Any]:
        signal = rng.normal(scale=1.5, size=n)
        y_true = rng.random(n) < 1.0 / (1.0 + np.exp(-signal))
        y_true[:2] = [True, False]
        return {
            "y_true": y_true.astype(np.int64),
            "y_prob": {
                "bold": 1.0 / (1.0 + np.exp(-1.8 * signal)),
                "timid": np.round(1.0 / (1.0 + np.exp(-0.5 * signal)), 2),
            },
        }


def model_events(columns: Columns, target: Target) -> dict[str, list[Events]]:
    """Events of each model: one list entry, or one for each class with ``"classwise"``."""
    return {
        model: _events(columns.single["y_true"], column, target, columns.extra["classes"])
        for model, column in columns.models["y_prob"].items()
    }


def _events(
    y_true: Column, forecast: Array, target: Target, classes: list[Hashable] | None
) -> list[Events]:
    if classes is None:
        return [_binary_events(y_true, forecast, target)]
    if target == "classwise":
        return [
            Events(np.ascontiguousarray(forecast[:, code]), y_true == code, label)
            for code, label in enumerate(classes)
        ]
    # argmax takes the first of tied classes.
    predicted = forecast.argmax(axis=1)
    confidence = np.ascontiguousarray(forecast[np.arange(len(forecast)), predicted])
    return [Events(confidence, predicted == y_true)]


def _binary_events(y_true: NDArray[np.bool_], forecast: Array, target: Target) -> Events:
    if target != "top_label":
        return Events(forecast, y_true)
    # A probability of exactly one half predicts the positive class.
    positive = forecast >= 0.5
    return Events(np.where(positive, forecast, 1.0 - forecast), positive == y_true)


def probabilities(argument: str, column: Column) -> Array:
    """Finite float64 numbers in [0, 1], contiguous; logits and percentages are told apart.

    Raises
    ------
    InputError
        If a value lies outside of [0, 1]; nothing is ever squashed into it.
    """
    # Kernels have one signature for writable arrays: read-only ones are copied.
    values = np.require(finite_scores(argument, column), np.float64, ["C", "W"])
    if len(values) == 0 or (values.min() >= 0.0 and values.max() <= 1.0):
        return values
    outside = (values < 0.0) | (values > 1.0)
    rows = outside if outside.ndim == 1 else outside.any(axis=1)
    row = int(np.argmax(rows))
    value = float(values[row][outside[row]][0]) if values.ndim == 2 else float(values[row])
    advice = "correct it"
    if outside.mean() >= MANY_OUTSIDE:
        advice = "these look like logits: apply a sigmoid (or softmax) first"
        if values.min() >= 0.0 and values.max() <= 100.0:
            advice = "these look like percentages (divide by 100) or scores that need calibration"
    raise InputError(
        f"{argument} is {value:g} in row {row} ({int(rows.sum())} rows outside): probabilities lie "
        f"in [0, 1]; {advice}"
    )


def require_option(name: str, value: object, allowed: tuple[object, ...]) -> None:
    """Refuse a value that is none of those allowed."""
    if not any(value is option or value == option for option in allowed):
        options = ", ".join(repr(option) for option in allowed)
        raise InputError(f"{name}={value!r} is unknown: choose one of {options}")
