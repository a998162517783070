"""The controlled fit of all models, as values and influence of the weights of instructions."""

from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from evalstats.errors import InputError
from evalstats.winrate import glm_kernels
from evalstats.winrate.design import Design
from evalstats.winrate.separation import separating_terms
from evalstats.winrate.views import View

Array = NDArray[np.float64]
Penalty = Literal["firth", "ridge", "lasso"]
Target = Literal["items", "these_items"]

PENALTIES: dict[str | None, int] = {
    None: glm_kernels.NO_PENALTY,
    "ridge": glm_kernels.RIDGE,
    "lasso": glm_kernels.LASSO,
    "firth": glm_kernels.FIRTH,
}
# Newton's error squares in every step: after one of 1e-8 nothing is left of it.
TOLERANCE = 1e-8
# Firth's step contracts linearly only.
LINEAR_TOLERANCE = 1e-12
MAX_ITERATIONS = 60
MAX_LINEAR_ITERATIONS = 2000
MAX_GRADIENT = 1e-8
# Beyond this a solution may only look converged: rounding hides the gradient of a separated fit.
LARGE_LOGIT = 15.0


@dataclass(frozen=True)
class ControlledFit:
    """Design, the fit to the full data, and how values follow from the coefficients.

    Attributes
    ----------
    design : Design
        Rows of all models.
    theta : float64 array (models, p)
        Coefficients at `base_weights`, where every refit starts.
    penalty, strength : int, float
        Penalty of the fit.
    base_weights : float64 array (items,)
        Weights of the instructions in the data.
    fixed_items : bool
        Whether the instructions over which the rates average are the whole population.
    view : View
        What is read off the coefficients.
    """

    design: Design
    theta: Array
    penalty: int
    strength: float
    base_weights: Array
    fixed_items: bool
    view: View

    @classmethod
    def to(
        cls,
        design: Design,
        weights: Array,
        *,
        penalty: Penalty | None,
        strength: float,
        fixed_items: bool,
        view: View,
    ) -> Self:
        """Fit the design at the given weights."""
        zero = np.zeros((len(design.models), len(design.names)))
        start = cls(design, zero, PENALTIES[penalty], float(strength), weights, fixed_items, view)
        theta = start.coefficients(weights)
        # A failed model starts at zero again and fails again, which is then explained.
        return replace(start, theta=np.where(np.isfinite(theta), theta, 0.0))

    def coefficients(self, weights: Array) -> Array:
        """Coefficients of every model at the given weights; NaN where the fit fails."""
        theta = self.theta.copy()
        rows = self.design.fit
        quadratic = self.penalty != glm_kernels.FIRTH
        glm_kernels.fit_models(
            rows.design,
            rows.y,
            rows.weight,
            rows.item,
            rows.offsets,
            self.design.fitted,
            np.ascontiguousarray(weights, dtype=np.float64),
            self.penalty,
            self.strength,
            TOLERANCE if quadratic else LINEAR_TOLERANCE,
            MAX_ITERATIONS if quadratic else MAX_LINEAR_ITERATIONS,
            theta,
        )
        return theta

    def values(self, weights: Array) -> Array:
        """Values of the view at the given weights."""
        return self.view.values(self.design, self.coefficients(weights), self._averaging(weights))

    def influence(self, weights: Array) -> Array:
        """Derivative (items, k) of the values by the weight of each instruction."""
        theta = self.coefficients(weights)
        derivatives = self.view.derivatives(self.design, theta, self._averaging(weights))
        influence = np.zeros_like(derivatives.by_weight)
        if not self.fixed_items:
            influence += derivatives.by_weight
        for model in np.flatnonzero(self.design.fitted):
            on_theta = self._coefficient_influence(int(model), theta[model], weights)
            influence += on_theta @ derivatives.by_theta[:, model].T
        return influence

    def _averaging(self, weights: Array) -> Array:
        return self.base_weights if self.fixed_items else weights

    def _coefficient_influence(self, model: int, theta: Array, weights: Array) -> Array:
        """Derivative of one model's coefficients by the weight of each instruction."""
        rows = self.design.fit
        own = rows.of(model)
        p = len(theta)
        scores, score, information = (
            np.zeros((self.design.n_items, p)),
            np.empty(p),
            np.empty((p, p)),
        )
        owned = (rows.design, rows.y, rows.weight, rows.item, own.start, own.stop)
        glm_kernels.item_scores(*owned, theta, scores)
        glm_kernels.accumulate(*owned, weights, theta, score, information)
        information = np.tril(information) + np.tril(information, -1).T
        active = np.ones(p, dtype=bool)
        if self.penalty == glm_kernels.RIDGE:
            information += self.strength * np.eye(p)
        if self.penalty == glm_kernels.LASSO:
            active = theta != 0
        influence = np.zeros_like(scores)
        block = information[np.ix_(active, active)]
        influence[:, active] = np.linalg.solve(block, scores[:, active].T).T
        return influence

    def require_defined(self) -> None:
        """Refuse a fit without a finite solution, and say which term is to blame."""
        rows = self.design.fit
        theta = self.coefficients(self.base_weights)
        for model in np.flatnonzero(self.design.fitted):
            own = rows.of(int(model))
            weight = rows.weight[own] * self.base_weights[rows.item[own]]
            failed = not bool(np.isfinite(theta[model]).all())
            if self.penalty == glm_kernels.NO_PENALTY and not failed:
                eta = rows.design[own] @ theta[model]
                residual = weight * (rows.y[own] - 0.5 * (1.0 + np.tanh(0.5 * eta)))
                gradient = np.abs(residual @ rows.design[own]).max()
                failed = bool(gradient > MAX_GRADIENT * weight.sum()) or bool(
                    np.abs(eta).max() > LARGE_LOGIT
                    and separating_terms(rows.design[own], rows.y[own], weight, self.design.names)
                )
            if failed:
                self._explain(self.design.models[int(model)], own, weight)

    def _explain(self, name: str, own: slice, weight: Array) -> None:
        rows, names = self.design.fit, self.design.names
        matrix = rows.design[own]
        rank = int(np.linalg.matrix_rank(matrix[weight > 0]))
        if rank < matrix.shape[1]:
            raise InputError(
                f"the terms {names} of the model {name!r} are collinear (rank {rank}): a constant "
                "or repeated mediator cannot be told from the rest; leave it out"
            )
        terms = separating_terms(matrix, rows.y[own], weight, names)
        if terms:
            raise InputError(
                f"the preferences of the model {name!r} are perfectly separated by {terms}: the "
                "maximum likelihood estimate is infinite; use penalty='firth' or penalty='ridge'"
            )
        raise InputError(
            f"the fit of the model {name!r} did not converge: use penalty='firth' or 'ridge'"
        )
