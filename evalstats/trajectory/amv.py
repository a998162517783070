"""Average maximum eigenvalue: how wide the predicted distribution is."""

from typing import Any, ClassVar

import numpy as np

from evalstats.data.columns import Columns
from evalstats.data.intake import NanPolicy
from evalstats.errors import InputError
from evalstats.estimator import Diagnosis
from evalstats.inference.methods import InferenceOption
from evalstats.trajectory.amd import require_reg_covar
from evalstats.trajectory.forecast_score import ForecastScore
from evalstats.trajectory.paired import PairedForecasts
from evalstats.trajectory.scored import Plan
from evalstats.trajectory.statistic import AmvLevel, Layout, Prepared, Quantity, Spread

# Below this share of the top eigenvalue its eigenvector is too loose for the linearisation.
SMALL_GAP = 0.05


class AMV(PairedForecasts, ForecastScore):
    """Average maximum eigenvalue (AMV) of the predicted covariance, in squared units of length.

    The covariance of each cell (agent and step) is that of its samples, denominator K, plus
    `reg_covar` on the diagonal: after any M-step of EM the total covariance of a fitted mixture
    equals it, so no mixture is fitted and the value depends on no random start.

    Parameters
    ----------
    amv_level : {"scene", "pooled", "cell", "track"}
        Where the largest eigenvalue is taken: of the mean covariance of each scene, as published
        (then the mean over scenes), of the mean over all cells, of each cell, or of the mean of
        each track (agent). By convexity cell >= scene >= pooled when the weights agree.
    axes : str, default "KTAD"
        Order of the axes of `samples`: K samples, T steps, A agents, D coordinates; `trajectory`
        has the same order without K.
    reg_covar : float, default 1e-6
        Variance added to every coordinate, in squared units of length.
    window_length : int, optional
        Frames of a window, the number of steps by default. Blocks made from `start` are whole
        windows, at least two, and as many as leave about 20 blocks.
    inference : "auto", Analytic, Bootstrap, Jackknife or NoInference
        How the sampling distribution is obtained; "auto" is linearisation, clustered.
    level : float, default 0.95
        Confidence level.
    nan_policy : {"raise", "omit"}
        Refuse or drop agents with missing values.

    Attributes
    ----------
    estimate_ : Estimate
        One term per model.

    Notes
    -----
    O(K d^2) per cell. The influence of an agent is its own spread along the top eigenvector of
    its scene, less the mean; it fails where the two largest eigenvalues nearly tie.

    References
    ----------
    Mohamed, Zhu, Vu, Elhoseiny and Claudel (2022), ECCV, arXiv:2203.03057.

    Examples
    --------
    >>> import numpy as np
    >>> import evalstats as es
    >>> rng = np.random.default_rng(0)
    >>> samples = rng.normal(scale=[2.0, 1.0], size=(500, 4, 30, 2))
    >>> amv = es.AMV().fit(np.zeros((4, 30, 2)), {"wide": samples})
    >>> round(float(amv.estimate_.value[0]), 1)
    4.0
    """

    metric: ClassVar[str] = "AMV"
    verb: ClassVar[str] = "amv"
    citation_keys: ClassVar[tuple[str, ...]] = ("mohamed2022",)

    def __init__(
        self,
        *,
        amv_level: AmvLevel = "scene",
        axes: str = "KTAD",
        reg_covar: float = 1e-6,
        window_length: int | None = None,
        inference: InferenceOption = "auto",
        level: float = 0.95,
        nan_policy: NanPolicy = "raise",
    ) -> None:
        self.amv_level = amv_level
        self.axes = axes
        self.reg_covar = reg_covar
        self.window_length = window_length
        self.inference = inference
        self.level = level
        self.nan_policy = nan_policy

    def _check_params(self) -> None:
        super()._check_params()
        require_amv_level(self.amv_level)
        require_reg_covar(self.reg_covar)

    def _plan(self) -> Plan:
        return Plan(reg_covar=self.reg_covar)

    def _layout(self, columns: Columns) -> Layout:
        scene, track = self._grouping(columns)
        return Layout(self._weight(columns), scene, track, "cell", self.amv_level)

    def _quantities(self, columns: Columns) -> list[Quantity]:  # noqa: ARG002
        return [Quantity("AMV", "moments", "spread")]

    def _diagnose(self, columns: Columns, prepared: Prepared) -> list[Diagnosis]:
        return super()._diagnose(columns, prepared) + tied_eigenvalues(
            prepared, self._weight(columns), columns.model_names
        )


def require_amv_level(amv_level: str) -> None:
    """Refuse an unknown level."""
    if amv_level not in ("scene", "pooled", "cell", "track"):
        raise InputError(f"amv_level={amv_level!r}: choose 'scene', 'pooled', 'cell' or 'track'")


def tied_eigenvalues(prepared: Prepared, weights: Any, models: list[str]) -> list[Diagnosis]:
    """Warn where one eigenvalue decides and the next one is as large."""
    found = []
    spreads = [term for term in prepared.terms if isinstance(term, Spread)]
    for model, term in zip(models, spreads, strict=False):
        if np.count_nonzero(term.scale) > 1:
            continue
        gap = term.relative_gap(weights)
        if gap < SMALL_GAP:
            found.append(
                (
                    "eigenvalue-tie",
                    f"the two largest eigenvalues of {model!r} differ by {100 * gap:.1f} % only: "
                    "AMV is biased upwards and its linearised standard error loose; use "
                    "inference=Bootstrap()",
                )
            )
    return found
