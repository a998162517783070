"""What Brier score and log loss share: targets, multiclass rows, decompositions."""

from abc import abstractmethod
from typing import Any, ClassVar, Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from evalstats.calibration.corp import CorpScore, corp_terms
from evalstats.calibration.means import MeanScore, RowValues
from evalstats.calibration.probabilities import require_option
from evalstats.calibration.samples import group_samples
from evalstats.calibration.skewed_losses import cubic_tally, skewness_note
from evalstats.data.columns import Columns, Role
from evalstats.data.intake import to_array
from evalstats.estimator import Diagnosis, Estimator
from evalstats.inference.scales import ScaleName

Array = NDArray[np.float64]
ScoreTarget = Literal["positive", "multiclass"]


class ProperScore(MeanScore):
    """Base of the proper scores: means over rows of a loss that only the truth minimises."""

    scale: ClassVar[ScaleName] = "non_negative"
    higher_is_better: ClassVar[bool | None] = False
    corp_score: ClassVar[CorpScore]
    target: ScoreTarget  # type: ignore[assignment]

    @abstractmethod
    def _losses(self, columns: Columns, forecast: Array, model: str) -> Array:
        """Loss of each row under one model's forecasts, one column or one for each class."""

    def _check_params(self) -> None:
        Estimator._check_params(self)
        require_option("target", self.target, ("positive", "multiclass"))

    def _active_roles(self) -> tuple[Role, ...]:
        labels, probabilities = type(self).roles
        if self.target == "positive":
            return labels, probabilities
        return labels, Role("y_prob", "score", per_model=True, matrix=True, help=probabilities.help)

    def _row_values(self, columns: Columns) -> Array:
        return np.stack(
            [
                self._losses(columns, forecast, model)
                for model, forecast in columns.models["y_prob"].items()
            ]
        )

    def _diagnose(self, columns: Columns, prepared: RowValues) -> list[Diagnosis]:
        notes = super()._diagnose(columns, prepared)
        # Few clusters have a warning of their own, and resampling shows the skewness.
        if not self._is_analytic or columns.cluster is not None:
            return notes
        tally = cubic_tally(prepared.values, _weights(columns))
        rows = columns.n if columns.weight is None else int((columns.weight > 0).sum())
        return notes + skewness_note(rows, columns.model_names, tally)

    def _tallies(self, columns: Columns, prepared: RowValues) -> dict[str, list[Any]]:
        return cubic_tally(prepared.values, _weights(columns))

    def _summary_diagnoses(self, columns: Columns) -> list[Diagnosis]:
        return skewness_note(columns.n, list(columns.extra["terms"]), columns.extra)

    def decompose(self) -> pl.DataFrame:
        """CORP decomposition of the fitted score: miscalibration, discrimination, uncertainty.

        Returns
        -------
        polars.DataFrame
            ``model``, ``group`` (if grouped), ``miscalibration``, ``discrimination``,
            ``uncertainty`` and ``score``, with score = miscalibration - discrimination +
            uncertainty. Errors of these terms: :class:`~evalstats.ReliabilityDiagram`.

        Raises
        ------
        InputError
            If the estimator is not fitted, or was fitted to a matrix of class probabilities.
        """
        columns = self._fitted_columns()
        frames = []
        for labels, sample in group_samples(columns, "a decomposition"):
            weights = np.ones(sample.n) if sample.weight is None else sample.weight
            for model, forecast in sample.models["y_prob"].items():
                terms = corp_terms(forecast, sample.single["y_true"], weights, self.corp_score)
                frames.append(pl.DataFrame({"model": [model], **labels, **terms}))
        return pl.concat(frames)


def _weights(columns: Columns) -> Array:
    return np.ones(columns.n) if columns.weight is None else columns.weight


def target_of(y_prob: ArrayLike) -> ScoreTarget:
    """A matrix with several columns holds class probabilities, anything else one event's."""
    shape = to_array("y_prob", y_prob)[0].shape
    return "multiclass" if len(shape) == 2 and shape[1] > 1 else "positive"
