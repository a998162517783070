"""Real data from the dependencies, and cross-validated predictions of three classifiers.

The data sets are read from the files that scikit-learn and statsmodels install, without network.
"""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

FOLDS = 5
SEED = 0
# World Bank regions among the countries of statsmodels' fertility data.
REGIONS = (
    "Latin America & Caribbean (all income levels)",
    "OECD members",
    "Other small states",
    "Pacific island small states",
    "Sub-Saharan Africa (IFC classification)",
)


class Predictions(NamedTuple):
    """Out-of-fold predictions: one row per unit, one column per model.

    Attributes
    ----------
    frame : polars.DataFrame
        Label, scores of each model, and what groups or clusters the rows.
    label : str
        Column of the labels.
    models : list of str
        Columns of the scores.
    """

    frame: pl.DataFrame
    label: str
    models: list[str]


@cache
def tumours() -> Predictions:
    """Wisconsin diagnostic data: which of 569 breast masses are malignant."""
    from sklearn.datasets import load_breast_cancer

    X, benign = load_breast_cancer(return_X_y=True)
    malignant = 1 - benign
    scores = _cross_validated(X, malignant)
    return _predictions("malignant", malignant, scores)


@cache
def marriages() -> Predictions:
    """Survey on marriage (Fair 1978): which of 6366 women report an affair."""
    survey = _statsmodels_table("fair")
    affair = (survey["affairs"] > 0).cast(pl.Int64).to_numpy()
    scores = _cross_validated(survey.drop("affairs").to_numpy(), affair)
    years = pl.col("yrs_married")
    band = (
        pl.when(years < 5)
        .then(pl.lit("first 5 years"))
        .when(years < 15)
        .then(pl.lit("next 10 years"))
        .otherwise(pl.lit("over 15 years"))
    )
    predictions = _predictions("affair", affair, scores)
    frame = predictions.frame.with_columns(survey.select(band.alias("married")))
    return predictions._replace(frame=frame)


@cache
def fertility() -> Predictions:
    """Countries every fifth year: will fertility fall by a tenth within five years."""
    wide = _statsmodels_table("fertility").filter(~pl.col("Country Name").is_in(REGIONS))
    panel = pl.concat([_five_years(wide, year) for year in range(1965, 2006, 5)])
    falls = (panel["next"] < -0.1).cast(pl.Int64).to_numpy()
    country = panel["country"].to_numpy()
    scores = _cross_validated(panel.select("year", "rate", "last").to_numpy(), falls, country)
    predictions = _predictions("falls", falls, scores)
    frame = predictions.frame.with_columns(panel.select("country", "year"))
    return predictions._replace(frame=frame)


@cache
def digits() -> tuple[NDArray[np.int64], dict[str, NDArray[np.float64]]]:
    """Labels and class probabilities of 1797 handwritten digits."""
    from sklearn.datasets import load_digits

    X, digit = load_digits(return_X_y=True)
    return digit.astype(np.int64), _cross_validated(X, digit)


def _statsmodels_table(name: str) -> pl.DataFrame:
    source = files(f"statsmodels.datasets.{name}").joinpath(f"{name}.csv")
    return pl.read_csv(source.read_bytes(), infer_schema_length=None)


def _five_years(wide: pl.DataFrame, year: int) -> pl.DataFrame:
    """Rate of every country in `year`, and its relative change over the five years around it."""
    before, now, after = (pl.col(str(year + shift)).cast(pl.Float64) for shift in (-5, 0, 5))
    return wide.select(
        pl.col("Country Name").alias("country"),
        pl.lit(year).alias("year"),
        now.alias("rate"),
        (now / before - 1).alias("last"),
        (after / now - 1).alias("next"),
    ).drop_nulls()


def _classifiers() -> dict[str, Any]:
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        "random forest": RandomForestClassifier(100, min_samples_leaf=3, random_state=SEED),
        "gradient boosting": HistGradientBoostingClassifier(max_iter=50, random_state=SEED),
    }


def _cross_validated(
    X: NDArray[Any], y: NDArray[Any], groups: NDArray[Any] | None = None
) -> dict[str, NDArray[np.float64]]:
    """Probability of the second class, or of all classes, predicted for rows left out."""
    from sklearn.model_selection import GroupKFold, StratifiedKFold, cross_val_predict
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    folds = (
        StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
        if groups is None
        else GroupKFold(FOLDS)
    )
    scores = {}
    # The threads of small trees wait for each other far longer than they work on a busy machine.
    with threadpool_limits(1):
        for name, classifier in _classifiers().items():
            probability = cross_val_predict(
                classifier, X, y, groups=groups, cv=folds, method="predict_proba"
            )
            scores[name] = probability[:, 1] if probability.shape[1] == 2 else probability
    return scores


def _predictions(
    label: str, y: Sequence[int] | NDArray[Any], scores: dict[str, NDArray[np.float64]]
) -> Predictions:
    return Predictions(pl.DataFrame({label: y, **scores}), label, list(scores))
