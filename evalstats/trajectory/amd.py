"""Average Mahalanobis distance of the truth from the predicted distribution."""

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from evalstats.configuration import OptionNamedAsMethod
from evalstats.data.columns import Columns
from evalstats.data.intake import NanPolicy
from evalstats.data.validation import LARGEST_NUMBER
from evalstats.errors import InputError
from evalstats.inference.methods import InferenceOption, RandomSource
from evalstats.options import require_count, require_declared_types
from evalstats.trajectory.forecast_score import ForecastScore
from evalstats.trajectory.paired import PairedForecasts
from evalstats.trajectory.scored import Plan
from evalstats.trajectory.statistic import Aggregate, Layout, Quantity

Fit = Literal["reference", "robust"]
Compat = Literal["reference"]
PathWeight = Literal["segment", "density"]


class AMD(PairedForecasts, ForecastScore):
    """Average Mahalanobis distance (AMD): how far the truth lies from the predicted distribution.

    The samples of each cell (agent and step) are fitted by a Gaussian mixture whose number of
    components is chosen by BIC; the distance of the truth from its centre is measured in units of
    the spread met on the way. A calibrated Gaussian forecast of d coordinates has the expected
    distance ``sqrt(2) Gamma((d + 1) / 2) / Gamma(d / 2)``, 1.2533 in the plane: smaller values
    mean a spread that is too wide, not a better forecast.

    Parameters
    ----------
    fit : {"reference", "robust"}
        ``"reference"``: one k-means start, tolerance 1e-3, components added until the BIC stops
        to fall (at most 4), as in the published code. ``"robust"``: best of several starts,
        tolerance 1e-6, at most 5 components of at least 1 % of the samples each.
    aggregate : {"scene", "cell"}
        Mean over scenes of the mean over their cells, as published, or mean over all cells.
    compat : {"reference"} or None
        ``"reference"`` evaluates the distance as the published code does and counts a cell whose
        shares underflow as 0; None evaluates on the log scale.
    axes : str, default "KTAD"
        Order of the axes of `samples`: K samples, T steps, A agents, D coordinates; `trajectory`
        has the same order without K.
    path_weight : {"segment", "density"}
        Whether components on the way are weighted without (as published) or with the factor
        ``det(C)^(-1/2)`` of their density.
    small_sample : bool, default False
        Remove the leading bias of few samples from cells with one component.
    reg_covar : float, default 1e-6
        Variance added to every coordinate, in squared units of length.
    max_components : int, optional
        Limit of the number of components; 4 for the reference, 5 for the robust fit.
    window_length : int, optional
        Frames of a window, the number of steps by default. Blocks made from `start` are whole
        windows, at least two, and as many as leave about 20 blocks.
    rng : int, SeedSequence, Generator or None, default 0
        Source of the k-means++ starts; a cell's stream depends on its samples only.
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
    Fits cost O(K d^2) per cell and EM pass and are done once; a bootstrap replicate is O(A). The
    memory of fitting does not grow with the number of cells, the result holds about 100 bytes per
    cell. Intervals are on the log scale. They describe finite data: see
    :meth:`error_sources` for finite K and the EM starts.

    References
    ----------
    Mohamed, Zhu, Vu, Elhoseiny and Claudel (2022), ECCV, arXiv:2203.03057; Tipping (1999), ICANN;
    Cameron and Miller (2015) for clusters.

    Examples
    --------
    >>> import numpy as np
    >>> import evalstats as es
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(size=(4, 30, 2)).cumsum(axis=0)
    >>> samples = truth + rng.normal(size=(100, 1, 30, 2)) + rng.normal(size=(100, 4, 30, 2))
    >>> amd = es.AMD().fit(truth, {"wide": samples})
    >>> round(float(amd.estimate_.value[0]), 2)
    0.12
    """

    metric: ClassVar[str] = "AMD"
    verb: ClassVar[str] = "amd"
    citation_keys: ClassVar[tuple[str, ...]] = ("mohamed2022", "tipping1999")

    def __init__(
        self,
        *,
        fit: Fit = "reference",
        aggregate: Aggregate = "scene",
        compat: Compat | None = None,
        axes: str = "KTAD",
        path_weight: PathWeight = "segment",
        small_sample: bool = False,
        reg_covar: float = 1e-6,
        max_components: int | None = None,
        window_length: int | None = None,
        rng: RandomSource = 0,
        inference: InferenceOption = "auto",
        level: float = 0.95,
        nan_policy: NanPolicy = "raise",
    ) -> None:
        self.fit = fit
        self.aggregate = aggregate
        self.compat = compat
        self.axes = axes
        self.path_weight = path_weight
        self.small_sample = small_sample
        self.reg_covar = reg_covar
        self.max_components = max_components
        self.window_length = window_length
        self.rng = rng
        self.inference = inference
        self.level = level
        self.nan_policy = nan_policy

    fit = OptionNamedAsMethod(ForecastScore.fit)

    def _check_params(self) -> None:
        super()._check_params()
        require_fit_options(self)

    def _plan(self) -> Plan:
        return fitting_plan(self)

    def _layout(self, columns: Columns) -> Layout:
        scene, track = self._grouping(columns)
        return Layout(self._weight(columns), scene, track, self.aggregate, "scene")

    def _quantities(self, columns: Columns) -> list[Quantity]:  # noqa: ARG002
        return [Quantity("AMD", "distance", "cell")]


def require_fit_options(estimator: Any) -> None:
    """Refuse unknown values of the options that AMD and TrajectoryScores share."""
    params = estimator.get_params()
    choices = {
        "fit": ("reference", "robust"),
        "aggregate": ("scene", "cell"),
        "compat": (None, "reference"),
        "path_weight": ("segment", "density"),
    }
    for name, allowed in choices.items():
        if params[name] not in allowed:
            shown = " or ".join(repr(value) for value in allowed)
            raise InputError(f"{name}={params[name]!r}: choose {shown}")
    require_reg_covar(params["reg_covar"])
    limit = params["max_components"]
    if limit is not None:
        require_count("max_components", limit, maximum=1000)


def require_reg_covar(reg_covar: float) -> None:
    """Refuse anything but a positive, finite variance."""
    require_declared_types(require_reg_covar, {"reg_covar": reg_covar})
    if not 0 < float(reg_covar) <= LARGEST_NUMBER:
        raise InputError(f"reg_covar={reg_covar!r}: give a small positive variance")


def fitting_plan(estimator: Any, *, distance: bool = True, **wanted: Any) -> Plan:
    """Plan of an estimator with the options of AMD."""
    params = estimator.get_params()
    return Plan(
        distance=distance,
        robust=params["fit"] == "robust",
        max_components=params["max_components"],
        reg_covar=params["reg_covar"],
        density_weights=params["path_weight"] == "density",
        naive=params["compat"] == "reference",
        small_sample=params["small_sample"],
        rng=params["rng"],
        **wanted,
    )


def amd_amv(
    trajectory: ArrayLike,
    samples: ArrayLike,
    *,
    scene: ArrayLike | None = None,
    fit: Fit = "reference",
    aggregate: Aggregate = "scene",
    compat: Compat | None = None,
    axes: str = "KTAD",
    reg_covar: float = 1e-6,
    rng: RandomSource = 0,
) -> tuple[float, float]:
    """AMD and AMV of one model, as plain numbers.

    Parameters
    ----------
    trajectory : array-like
        True positions, in the order of `axes` without K.
    samples : array-like
        Sampled positions, in the order of `axes`.
    scene : array-like (A,), optional
        Scene of each agent; one scene by default.
    fit, aggregate, compat, axes, reg_covar, rng
        See :class:`AMD`.

    Returns
    -------
    tuple of float
        AMD (in units of the predicted spread) and AMV (in squared units of length).

    Raises
    ------
    InputError
        If the input cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> import evalstats as es
    >>> rng = np.random.default_rng(0)
    >>> amd, amv = es.amd_amv(rng.normal(size=(3, 50, 2)), rng.normal(size=(200, 3, 50, 2)))
    >>> round(amd, 2), round(amv, 2)
    (1.31, 1.0)
    """
    estimator = AMD(
        fit=fit, aggregate=aggregate, compat=compat, axes=axes, reg_covar=reg_covar, rng=rng
    )
    columns = estimator.point_columns(
        {"trajectory": trajectory, "samples": samples, "scene": scene}
    )
    spread = Quantity("AMV", "moments", "spread")
    layout = estimator._layout(columns)
    term = layout.term(columns.models["samples"]["samples"], spread, None)  # type: ignore[arg-type]
    value = term.value(np.ones(columns.n))  # type: ignore[union-attr]
    return estimator.point_value(columns), float(value)
