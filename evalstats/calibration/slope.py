"""Calibration slope, intercept and calibration-in-the-large by logistic recalibration."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from evalstats.calibration.probabilities import ProbabilityEstimator, Target, require_option
from evalstats.calibration.rows import BinaryRows, binary_rows
from evalstats.calibration.slope_kernels import fit_logistic_line, logistic_sums
from evalstats.data.columns import Columns
from evalstats.data.intake import NanPolicy
from evalstats.errors import InputError
from evalstats.inference.methods import InferenceOption, NoInference
from evalstats.options import typed_options
from evalstats.results.estimate import Estimate

Array = NDArray[np.float64]
Clip = Literal["eps"]
EPSILON = float(np.finfo(np.float64).eps)
PARAMETERS = ("intercept", "slope", "calibration-in-the-large")


@dataclass(frozen=True)
class Lines:
    """Logits of the forecasts of each model, with the common outcomes."""

    logits: dict[str, Array]
    outcome: NDArray[np.bool_]
    # Weights and values of the first call: the sample's own come back for the influence.
    _first: list[tuple[Array, Array]] = field(default_factory=list, repr=False, compare=False)

    def values(self, weights: Array) -> Array:
        """Coefficients of all models."""
        for known, value in self._first:
            if np.array_equal(known, weights):
                return value.copy()
        value = np.concatenate([self.coefficients(x, weights) for x in self.logits.values()])
        if not self._first:
            self._first.append((weights.copy(), value.copy()))
        return value

    def coefficients(self, logit: Array, weights: Array) -> Array:
        """Intercept and slope, and the intercept at slope one; NaN where there are none. O(n)."""
        out = np.full(3, np.nan)
        line = np.empty(2)
        if separation(logit, self.outcome, weights) is None and fit_logistic_line(
            logit, self.outcome, weights, True, line
        ):
            out[:2] = line
        if fit_logistic_line(logit, self.outcome, weights, False, line):
            out[2] = line[0]
        return out


class CalibrationSlope(ProbabilityEstimator):
    """Calibration slope and intercept: logistic regression of the outcome on the logit.

    Fits ``logit P(y = 1) = a + b logit(p)``: the slope b is 1 and the intercept a is 0 under
    calibration, b < 1 means forecasts that are too extreme. Calibration-in-the-large is the
    intercept with b fixed at 1. Standard errors are those of the sandwich, summed within clusters
    where there are any.

    Parameters
    ----------
    clip : "eps" or None, default None
        Forecasts of 0 and 1 have no finite logit and are refused; "eps" clips them to
        [eps, 1 - eps] of float64, where each of them has much leverage.
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.
    inference : "auto", Analytic, Bootstrap, Jackknife or NoInference
        How the sampling distribution is obtained; "auto" is the sandwich.
    level : float, default 0.95
        Confidence level.
    nan_policy : {"raise", "omit"}
        Refuse or drop rows with missing values.

    Attributes
    ----------
    estimate_ : Estimate
        Three terms per model: ``intercept``, ``slope`` and ``calibration-in-the-large`` in the
        column ``parameter``.

    Notes
    -----
    Newton's method from (0, 1), usually 3 to 6 passes of O(n). Outcomes that the forecasts
    separate have no finite estimate and are refused.

    References
    ----------
    Cox (1958), Biometrika 45; Steyerberg (2019), Clinical Prediction Models, ch. 15.

    Examples
    --------
    >>> import evalstats as es
    >>> y_true = [0, 0, 1, 0, 1, 1, 0, 1]
    >>> y_prob = [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9]
    >>> es.CalibrationSlope().fit(y_true, y_prob).estimate_.value.round(3).tolist()
    [-0.0, 0.805, 0.0]
    """

    metric: ClassVar[str] = "Calibration slope"
    verb: ClassVar[str] = "calibration-slope"
    citation_keys: ClassVar[tuple[str, ...]] = ("cox1958",)
    exceptions: ClassVar[Mapping[str, str]] = {
        "dtypes_of_numbers": "forecasts rounded to 0 or 1 have infinite logits, which are refused",
        "merge": "a regression needs all rows again at every step of the fit",
    }
    target: Target = "positive"

    def __init__(
        self,
        *,
        clip: Clip | None = None,
        pos_label: Hashable | None = None,
        inference: InferenceOption = "auto",
        level: float = 0.95,
        nan_policy: NanPolicy = "raise",
    ) -> None:
        self.clip = clip
        self.pos_label = pos_label
        self.inference = inference
        self.level = level
        self.nan_policy = nan_policy

    def calibration_test(self) -> pl.DataFrame:
        """Joint Wald test of intercept 0 and slope 1 for each model (and group).

        Returns
        -------
        polars.DataFrame
            The terms that tell models apart, ``statistic`` (chi-squared with 2 degrees of freedom),
            ``df``, ``p_value``. With clusters the p-value is that of F(2, clusters - 1).

        Raises
        ------
        InputError
            If the estimator is not fitted, or was fitted without inference.
        """
        if not hasattr(self, "estimate_"):
            raise InputError("this CalibrationSlope is not fitted: call fit")
        if isinstance(self.inference, NoInference):
            raise InputError("inference=NoInference() leaves no covariance to test with")
        return joint_test(self.estimate_)

    def _check_params(self) -> None:
        super()._check_params()
        require_option("clip", self.clip, ("eps", None))

    def _validate(self, columns: Columns) -> Columns:
        columns = super()._validate(columns)
        models = columns.models["y_prob"]
        logits = {
            model: finite_logits(
                "y_prob" if len(models) == 1 else f"y_prob[{model!r}]", p, self.clip
            )
            for model, p in models.items()
        }
        return columns.with_columns(models={"y_prob": logits})

    def _prepare(self, columns: Columns) -> Lines:
        return Lines(columns.models["y_prob"], columns.single["y_true"])

    def _evaluate(self, prepared: Lines, weights: Array) -> Array:
        return prepared.values(weights)

    def _influence(self, prepared: Lines, weights: Array) -> Array:
        value = self._evaluate(prepared, weights)
        blocks = [
            line_influence(logit, prepared.outcome, weights, value[3 * number : 3 * number + 3])
            for number, logit in enumerate(prepared.logits.values())
        ]
        return np.hstack(blocks)

    def _require_defined(self, columns: Columns, prepared: Lines, value: Array) -> None:
        weights = np.ones(columns.n) if columns.weight is None else columns.weight
        for model, logit in prepared.logits.items():
            reason = separation(logit, prepared.outcome, weights)
            if reason is not None:
                raise InputError(
                    f"y_prob[{model!r}]: {reason}: the calibration slope has no finite estimate"
                )
        if not np.isfinite(value).all():
            raise InputError("y_prob: the fit of the calibration slope did not converge")

    def _terms(self, columns: Columns) -> list[dict[str, Hashable]]:
        return [
            {"metric": self.metric, "model": model, "parameter": parameter}
            for model in columns.model_names
            for parameter in PARAMETERS
        ]

    def _analytic_name(self, columns: Columns) -> str:
        if columns.cluster is not None:
            return "the cluster sandwich of a logistic regression"
        return "the sandwich of a logistic regression"


def finite_logits(argument: str, p: Array, clip: Clip | None) -> Array:
    """Logits of probabilities; refuse or clip 0 and 1."""
    from scipy.special import logit

    if clip == "eps":
        p = np.clip(p, EPSILON, 1.0 - EPSILON)
    certain = (p <= 0.0) | (p >= 1.0)
    if bool(certain.any()):
        row = int(np.argmax(certain))
        raise InputError(
            f"{argument} is {p[row]:g} in row {row} ({int(certain.sum())} rows are 0 or 1), whose "
            "logit is infinite: leave these rows out, or pass clip='eps'"
        )
    return np.ascontiguousarray(logit(p), dtype=np.float64)


def separation(logit: Array, outcome: NDArray[np.bool_], weights: Array) -> str | None:
    """Why a logistic line has no finite estimate; None where it has one. O(n)."""
    present = weights > 0
    positive, negative = present & outcome, present & ~outcome
    if not bool(positive.any()) or not bool(negative.any()):
        return "y_true has one class only"
    above, below = logit[positive], logit[negative]
    low, high = min(above.min(), below.min()), max(above.max(), below.max())
    if low == high:
        return "all forecasts are equal"
    if above.min() >= below.max() or above.max() <= below.min():
        return "the forecasts separate the two classes"
    return None


def line_influence(logit: Array, outcome: NDArray[np.bool_], weights: Array, value: Array) -> Array:
    """Influence (n, 3) of intercept, slope and calibration-in-the-large. O(n)."""
    from scipy.special import expit

    sums = logistic_sums(logit, outcome, weights, value[0], value[1])
    inverse = np.linalg.inv(np.array([[sums[3], sums[4]], [sums[4], sums[5]]]))
    residual = outcome - expit(value[0] + value[1] * logit)
    out = np.empty((len(logit), 3))
    out[:, 0] = residual * (inverse[0, 0] + inverse[0, 1] * logit)
    out[:, 1] = residual * (inverse[1, 0] + inverse[1, 1] * logit)
    information = logistic_sums(logit, outcome, weights, value[2], 1.0)[3]
    out[:, 2] = (outcome - expit(value[2] + logit)) / information
    return out


def joint_test(estimate: Estimate) -> pl.DataFrame:
    """Wald test of (intercept, slope) = (0, 1) in each block of three terms."""
    from scipy import stats

    rows = []
    for start in range(0, len(estimate), len(PARAMETERS)):
        pair = slice(start, start + 2)
        gap = estimate.value[pair] - np.array([0.0, 1.0])
        statistic = float(gap @ np.linalg.solve(estimate.covariance[pair, pair], gap))
        df = float(estimate.df[start])
        p_value = (
            stats.f.sf(0.5 * statistic, 2, df) if np.isfinite(df) else stats.chi2.sf(statistic, 2)
        )
        labels = estimate.terms.drop("metric", "parameter").row(start, named=True)
        rows.append({**labels, "statistic": statistic, "df": 2, "p_value": float(p_value)})
    return pl.DataFrame(rows)


@typed_options
def calibration_regression(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    cluster: ArrayLike | None = None,
    clip: Clip | None = None,
    covariance: Literal["sandwich", "model"] = "sandwich",
    pos_label: Hashable | None = None,
) -> dict[str, float]:
    """Calibration slope and intercept of one model, as plain numbers.

    Parameters
    ----------
    y_true : array-like (n,)
        Labels: 0/1, boolean, or two values with `pos_label`.
    y_prob : array-like (n,)
        Probability of the positive class, strictly between 0 and 1.
    sample_weight : array-like (n,), optional
        Non-negative weights.
    cluster : array-like (n,), optional
        Rows of one cluster are sampled together.
    clip : "eps" or None, default None
        Clip forecasts of 0 and 1 instead of refusing them.
    covariance : {"sandwich", "model"}
        Robust standard errors, or those of the logistic likelihood that R's ``glm`` prints.
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.

    Returns
    -------
    dict
        ``intercept``, ``slope``, ``calibration_in_the_large``, each also with ``_se``, and
        ``statistic`` and ``p_value`` of the joint Wald test of intercept 0 and slope 1.

    Raises
    ------
    InputError
        If the input cannot be used, a forecast is 0 or 1, or the forecasts separate the classes.

    Notes
    -----
    See :class:`CalibrationSlope`. O(n) per step of Newton's method.

    Examples
    --------
    >>> import evalstats as es
    >>> y_true, y_prob = [0, 1, 0, 1, 1, 0], [0.2, 0.3, 0.4, 0.6, 0.9, 0.7]
    >>> line = es.calibration_regression(y_true, y_prob)
    >>> round(line["slope"], 4), round(line["p_value"], 4)
    (0.7207, 0.9191)
    """
    require_option("covariance", covariance, ("sandwich", "model"))
    if covariance == "model":
        if cluster is not None:
            raise InputError("covariance='model' has no clusters: use 'sandwich'")
        return _model_based(binary_rows(y_true, y_prob, sample_weight, pos_label), clip)
    fitted = CalibrationSlope(clip=clip, pos_label=pos_label).fit(
        y_true, {"y_prob": y_prob}, sample_weight=sample_weight, cluster=cluster
    )
    estimate = fitted.estimate_
    test = fitted.calibration_test().row(0, named=True)
    return _named(estimate.value, estimate.standard_error, test["statistic"], test["p_value"])


def _model_based(rows: BinaryRows, clip: Clip | None) -> dict[str, float]:
    from scipy import stats

    logit = finite_logits("y_prob", rows.forecast, clip)
    reason = separation(logit, rows.outcome, rows.weights)
    if reason is not None:
        raise InputError(f"y_prob: {reason}: the calibration slope has no finite estimate")
    value = Lines({}, rows.outcome).coefficients(logit, rows.weights)
    sums = logistic_sums(logit, rows.outcome, rows.weights, value[0], value[1])
    information = np.array([[sums[3], sums[4]], [sums[4], sums[5]]])
    line = np.sqrt(np.diag(np.linalg.inv(information)))
    large = logistic_sums(logit, rows.outcome, rows.weights, value[2], 1.0)[3] ** -0.5
    gap = value[:2] - np.array([0.0, 1.0])
    statistic = float(gap @ information @ gap)
    errors = np.array([line[0], line[1], large])
    return _named(value, errors, statistic, float(stats.chi2.sf(statistic, 2)))


def _named(value: Array, error: Array, statistic: float, p_value: float) -> dict[str, float]:
    names = [parameter.replace("-", "_") for parameter in PARAMETERS]
    estimates = dict(zip(names, value.tolist(), strict=True))
    errors = {f"{name}_se": item for name, item in zip(names, error.tolist(), strict=True)}
    return {**estimates, **errors, "statistic": statistic, "p_value": p_value}
