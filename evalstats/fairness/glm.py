"""Generalised linear models whose predictions depend less on protected attributes."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from evalstats.data.validation import computable
from evalstats.errors import InputError, warn
from evalstats.fairness.encoding import Encoding
from evalstats.fairness.functions import require_constant
from evalstats.fairness.glm_arguments import (
    outcome_of,
    penalty_of,
    positive_column,
    require_events,
)
from evalstats.fairness.glm_errors import bootstrap_covariance, sandwich_covariance
from evalstats.fairness.glm_objective import (
    Family,
    Objective,
    PenaltyScale,
    PenaltyVersion,
    balancing_shift,
    constant_start,
)
from evalstats.fairness.glm_optimiser import Descent, minimise_best, smooth_start
from evalstats.inference.methods import RandomSource
from evalstats.options import require_declared_types

Array = NDArray[np.float64]
LARGEST_STRENGTH = 1e50

PenaltyKind = Literal["concatenated", "joint", "marginal"]

# A gradient that stays this large at the optimum means that it lies on a kink.
KINK = 1e-6


class InputTypeError(InputError, TypeError):
    """What scikit-learn's checks of estimators want for columns of text."""


def _has_classes(model: "FairGLM") -> bool:
    return model.family == "binomial"


class FairGLM(BaseEstimator):  # type: ignore[misc]
    """GLM with a distance-covariance penalty: accuracy against demographic parity.

    Minimises ``mean negative log-likelihood + strength * dCov2(prediction, protected attributes)``.
    A scikit-learn regressor, or a classifier with ``family="binomial"``.

    Parameters
    ----------
    family : {"gaussian", "binomial", "poisson"}
        Distribution of the outcome, with the canonical link.
    penalty : {"concatenated", "joint", "marginal"}
        CCdCov of all attributes, JdCov, or the sum over the attributes one by one.
    estimator : {"biased", "unbiased", "positive"}
        V-statistic; U-statistic, which may be negative and then rewards larger predictions; or its
        positive part.
    strength : float, default 0.0
        Weight of the penalty. In "deviance + lambda penalty", lambda is twice the sum of the
        weights times the strength.
    scale : {"rate", "mean", "link"}
        What is penalised: the expected outcome per exposure, including exposure (the paper), or the
        linear predictor.
    rebalance : bool, default True
        Shift the intercept afterwards so that the mean prediction equals the mean outcome. A log
        link otherwise under-predicts by exactly strength times penalty.
    c : float, default 1.0
        Constant of the joint penalty.
    encoding, nominal, ordinal, continuous, levels
        As in :class:`DistanceCovariance`.

    Attributes
    ----------
    coef_ : ndarray (n_features,)
        Coefficients, and ``intercept_``.
    objective_, loss_, penalty_ : float
        Minimum, mean negative log-likelihood, and penalty at it, before rebalancing.
    balance_factor_ : float
        Mean prediction after over before rebalancing.
    kink_ : bool
        Whether the optimum lies where the slope jumps, as L1 penalties have it.
    n_tied_ : int
        Number of predictions that equal another one.
    converged_ : bool
        Whether the last restarts gained nothing.

    Notes
    -----
    The penalty is piecewise smooth and not convex: the minimum is sought by restarted BFGS with a
    weak Wolfe line search from the unpenalised fit, from a constant prediction and along strengths
    from below and above. O(n log n + nK + np) per step with K joint levels.

    References
    ----------
    Lee, Antonio, Avanzi, Marchi and Zhou (2025), arXiv:2509.08163; Lewis and Overton (2013).

    Examples
    --------
    >>> import numpy as np
    >>> import evalstats as es
    >>> rng = np.random.default_rng(0)
    >>> sex = rng.integers(0, 2, 300)
    >>> X = np.column_stack([sex + rng.normal(size=300), rng.normal(size=300)])
    >>> claims = rng.poisson(np.exp(0.5 * X[:, 0]))
    >>> plain = es.FairGLM(family="poisson").fit(X, claims)
    >>> fair = es.FairGLM(family="poisson", strength=5.0).fit(X, claims, protected={"sex": sex})
    >>> bool(fair.coef_[0] < plain.coef_[0])
    True
    """

    def __init__(
        self,
        *,
        family: Family = "gaussian",
        penalty: PenaltyKind = "concatenated",
        estimator: PenaltyVersion = "biased",
        strength: float = 0.0,
        scale: PenaltyScale = "rate",
        rebalance: bool = True,
        c: float = 1.0,
        encoding: Encoding = "default",
        nominal: list[Hashable] | None = None,
        ordinal: list[Hashable] | None = None,
        continuous: list[Hashable] | None = None,
        levels: Mapping[str, Sequence[Hashable]] | None = None,
    ) -> None:
        self.family = family
        self.penalty = penalty
        self.estimator = estimator
        self.strength = strength
        self.scale = scale
        self.rebalance = rebalance
        self.c = c
        self.encoding = encoding
        self.nominal = nominal
        self.ordinal = ordinal
        self.continuous = continuous
        self.levels = levels

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        protected: Any = None,
        exposure: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array-like (n, n_features)
            Features without intercept; with or without the protected attributes.
        y : array-like (n,)
            Outcome; counts for Poisson, two classes or shares in [0, 1] for binomial.
        protected : array-like (n,), frame or mapping of attribute name to array
            Needed when ``strength > 0``.
        exposure : array-like (n,), optional
            Positive exposure of a Poisson model; log exposure is the offset.
        sample_weight : array-like (n,), optional
            Non-negative weights.

        Returns
        -------
        FairGLM
            The fitted model.

        Raises
        ------
        InputError
            If an option, a column or the outcome cannot be used.
        """
        self._check_params()
        objective = self._objective(X, y, protected, exposure, sample_weight)
        start = smooth_start(objective)
        if objective.strength == 0:
            value, gradient = objective(start)
            found = Descent(start, value, gradient, converged=True)
        else:
            found = minimise_best(objective, start, constant_start(objective))
        return self._finish(objective, found)

    def _check_params(self) -> None:
        require_declared_types(type(self).__init__, self.get_params())
        for name, allowed in (
            ("family", ("gaussian", "binomial", "poisson")),
            ("penalty", ("concatenated", "joint", "marginal")),
            ("estimator", ("biased", "unbiased", "positive")),
            ("scale", ("rate", "mean", "link")),
            ("encoding", ("default", "paper")),
        ):
            if getattr(self, name) not in allowed:
                raise InputError(f"{name}={getattr(self, name)!r}: choose one of {allowed}")
        if not 0 <= float(self.strength) <= LARGEST_STRENGTH:
            raise InputError(
                f"strength={self.strength!r}: the penalty needs a number >= 0, and at most "
                f"{LARGEST_STRENGTH:g}"
            )
        require_constant(self.c)

    def _objective(
        self, X: ArrayLike, y: ArrayLike, protected: Any, exposure: Any, sample_weight: Any
    ) -> Objective:
        try:
            features, outcome = validate_data(
                self, X, y, dtype=np.float64, y_numeric=self.family != "binomial"
            )
        except TypeError as error:
            raise InputTypeError(f"X or y cannot be used: {error}") from error
        except ValueError as error:
            raise InputError(f"X or y cannot be used: {error}") from error
        features = computable("X", features)
        if outcome.dtype.kind == "f":
            outcome = computable("y", outcome)
        n = len(outcome)
        outcome, classes = outcome_of(outcome, self.family)
        if classes is not None:
            self.classes_ = classes
        weights = positive_column("sample_weight", sample_weight, n, zero=True)
        require_events(outcome, weights, self.family)
        exposed = positive_column("exposure", exposure, n, zero=False)
        if exposure is not None and self.family != "poisson":
            raise InputError("exposure is for family='poisson': use sample_weight")
        self._remember_scaling(features, weights)
        design = np.column_stack([np.ones(n), (features - self._centre) / self._spread])
        penalty = None
        if protected is not None:
            penalty, self.attributes_ = penalty_of(self, protected, features, weights)
        elif self.strength > 0:
            raise InputError(f"strength={self.strength!r} needs protected=: pass the attributes")
        return Objective(
            np.ascontiguousarray(design),
            outcome,
            exposed,
            weights,
            self.family,
            self.scale,
            penalty,
            float(self.strength),
        )

    def _remember_scaling(self, features: Array, weights: Array) -> None:
        # Columns of one size keep the optimiser's steps round; coefficients are given back as is.
        share = weights / weights.sum()
        self._centre = share @ features
        spread = np.sqrt(share @ (features - self._centre) ** 2)
        counted = features[weights > 0]
        # The mean of a constant is rounded: its spread is no number to divide by.
        constant = counted.min(axis=0) == counted.max(axis=0)
        self._centre = np.where(constant, counted[0], self._centre)
        self._spread = np.where(constant | (spread == 0), 1.0, spread)

    def _finish(self, objective: Objective, found: Descent) -> Self:
        # Nothing holds the coefficient of a constant column where it is.
        varies = objective.design[objective.weights > 0].any(axis=0)
        found.x = np.where(varies, found.x, 0.0)
        self.objective_ = found.value
        link = objective.design @ found.x
        self.loss_ = objective.loss(link)
        scores, _ = objective.scores(link)
        self.penalty_ = (
            np.nan if objective.penalty is None else objective.penalty.gradient(scores)[0]
        )
        self.converged_ = found.converged
        self.n_iter_ = max(found.n_iterations, 1)
        self.gradient_norm_ = float(np.abs(found.gradient).max())
        self.kink_ = bool(self.gradient_norm_ > KINK and objective.strength > 0)
        self.n_tied_ = int(len(scores) - len(np.unique(scores)))
        if not found.converged:
            warn("not-converged", "the penalised fit was still improving: scale X or try again")
        self._optimum = found.x
        shift = 0.0
        self.balance_factor_ = 1.0
        if self.rebalance and objective.strength > 0:
            shift, self.balance_factor_ = balancing_shift(objective, link)
        self.coef_ = found.x[1:] / self._spread
        self.intercept_ = float(found.x[0] + shift - self._centre @ self.coef_)
        self._objective_seen = objective
        return self

    def __getstate__(self) -> dict[str, Any]:
        # The data are the user's; a pickled model carries its coefficients only.
        state = super().__getstate__()
        return {name: item for name, item in state.items() if name != "_objective_seen"}

    def _link(self, X: ArrayLike) -> Array:
        check_is_fitted(self)
        try:
            features = validate_data(self, X, dtype=np.float64, reset=False)
        except TypeError as error:
            raise InputTypeError(f"X cannot be used: {error}") from error
        except ValueError as error:
            raise InputError(f"X cannot be used: {error}") from error
        return np.asarray(computable("X", features) @ self.coef_ + self.intercept_)

    def predict_mean(self, X: ArrayLike, exposure: ArrayLike | None = None) -> Array:
        """Expected outcome: a mean, a probability, or a rate times `exposure`.

        Parameters
        ----------
        X : array-like (n, n_features)
            Features.
        exposure : array-like (n,), optional
            Exposure of a Poisson model; 1 by default.

        Returns
        -------
        ndarray (n,)
            Expected outcomes.
        """
        link = self._link(X)
        if self.family == "gaussian":
            return link
        if self.family == "binomial":
            from scipy.special import expit

            return np.asarray(expit(link))
        return np.exp(link) * positive_column("exposure", exposure, len(link), zero=False)

    def predict(self, X: ArrayLike) -> NDArray[Any]:
        """Expected outcome, or the more probable class with ``family="binomial"``.

        Parameters
        ----------
        X : array-like (n, n_features)
            Features.

        Returns
        -------
        ndarray (n,)
            Predictions.
        """
        mean = self.predict_mean(X)
        return self.classes_[(mean > 0.5).astype(np.int64)] if self.family == "binomial" else mean

    @available_if(_has_classes)  # type: ignore[untyped-decorator]
    def predict_proba(self, X: ArrayLike) -> Array:
        """Probabilities of both classes; with ``family="binomial"`` only.

        Parameters
        ----------
        X : array-like (n, n_features)
            Features.

        Returns
        -------
        ndarray (n, 2)
            One column per class of ``classes_``.
        """
        mean = self.predict_mean(X)
        return np.column_stack([1.0 - mean, mean])

    def score(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Accuracy for classes; else the share of the deviance explained (D squared).

        Parameters
        ----------
        X : array-like (n, n_features)
            Features.
        y : array-like (n,)
            Outcomes.
        sample_weight : array-like (n,), optional
            Weights.

        Returns
        -------
        float
            At most 1.
        """
        from sklearn.metrics import accuracy_score, d2_tweedie_score

        if self.family == "binomial":
            return float(accuracy_score(y, self.predict(X), sample_weight=sample_weight))
        power = 1 if self.family == "poisson" else 0
        return float(d2_tweedie_score(y, self.predict(X), sample_weight=sample_weight, power=power))

    def covariance(
        self,
        kind: Literal["sandwich", "model", "bootstrap"] | None = None,
        *,
        n_resamples: int = 200,
        rng: RandomSource = 0,
    ) -> Array:
        """Covariance of the intercept and the coefficients, for the penalised target.

        Parameters
        ----------
        kind : {"sandwich", "model", "bootstrap"}, optional
            ``"sandwich"``: J^-1 M J^-1, the default; ``"model"``: inverse information, for
            ``strength=0``; ``"bootstrap"``: pairs of rows, each replicate started at the fit, the
            default where many predictions are tied.
        n_resamples : int, default 200
            Bootstrap replicates.
        rng : int, SeedSequence, Generator or None, default 0
            Source of randomness.

        Returns
        -------
        ndarray (1 + n_features, 1 + n_features)
            Intercept first, before rebalancing. The fit is biased by design: intervals are for the
            coefficients that minimise the penalised population objective.
        """
        check_is_fitted(self)
        if not hasattr(self, "_objective_seen"):
            raise InputError("this FairGLM holds no data (unpickled): call fit")
        objective = self._objective_seen
        if kind is None:
            collapsed = self.strength > 0 and self.n_tied_ > len(objective.y) // 2
            kind = "bootstrap" if collapsed else "sandwich"
        if kind == "model" and self.strength > 0:
            raise InputError("kind='model' is for strength=0: use 'sandwich' or 'bootstrap'")
        if kind == "bootstrap":
            scaled = bootstrap_covariance(objective, self._optimum, n_resamples, rng)
        elif kind in ("sandwich", "model"):
            scaled = sandwich_covariance(objective, self._optimum, model=kind == "model")
        else:
            raise InputError(f"kind={kind!r}: choose 'sandwich', 'model' or 'bootstrap'")
        jacobian = np.diag(np.concatenate([[1.0], 1.0 / self._spread]))
        jacobian[0, 1:] = -self._centre / self._spread
        return np.asarray(jacobian @ scaled @ jacobian.T)

    def coefficient_table(
        self, kind: Literal["sandwich", "model", "bootstrap"] | None = None, level: float = 0.95
    ) -> pl.DataFrame:
        """Coefficients with standard errors and intervals.

        Parameters
        ----------
        kind : {"sandwich", "model", "bootstrap"}, optional
            See :meth:`covariance`.
        level : float, default 0.95
            Confidence level.

        Returns
        -------
        polars.DataFrame
            ``term``, ``estimate``, ``standard_error``, ``ci_low``, ``ci_high``. The standard error
            of the intercept takes the shift that rebalances it as given.
        """
        from scipy.special import ndtri

        error = np.sqrt(np.diag(self.covariance(kind)))
        value = np.concatenate([[self.intercept_], self.coef_])
        names = getattr(self, "feature_names_in_", [f"x{j}" for j in range(len(self.coef_))])
        reach = float(ndtri((1.0 + level) / 2.0)) * error
        return pl.DataFrame(
            {
                "term": ["intercept", *map(str, names)],
                "estimate": value,
                "standard_error": error,
                "ci_low": value - reach,
                "ci_high": value + reach,
            }
        )

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, RegressorTags

        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        if self.family == "binomial":
            tags.estimator_type = "classifier"
            tags.classifier_tags = ClassifierTags(multi_class=False)
        else:
            tags.estimator_type = "regressor"
            tags.regressor_tags = RegressorTags()
            tags.target_tags.positive_only = self.family == "poisson"
        return tags
