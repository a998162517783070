"""All scores of probabilistic forecasts from one preparation."""

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evalstats.configuration import OptionNamedAsMethod
from evalstats.data.columns import Columns
from evalstats.data.intake import NanPolicy, to_array
from evalstats.errors import InputError
from evalstats.estimator import Diagnosis
from evalstats.inference.methods import Analytic, Inference, InferenceOption, RandomSource
from evalstats.inference.scales import ScaleName
from evalstats.options import typed_options
from evalstats.trajectory.amd import Compat, Fit, PathWeight, fitting_plan, require_fit_options
from evalstats.trajectory.amv import require_amv_level, tied_eigenvalues
from evalstats.trajectory.forecast_score import ForecastScore
from evalstats.trajectory.paired import PairedForecasts
from evalstats.trajectory.scored import Plan
from evalstats.trajectory.statistic import (
    Aggregate,
    AmvLevel,
    Layout,
    Prepared,
    Quantity,
    prepared_from,
)

MEAN_OF_BOTH = "(AMD+AMV)/2"
ROUND_OFF = 1e-12
DISPLACEMENT = ("minADE", "minFDE", "ADE", "FDE", "miss rate")
JOINT = ("joint minADE", "joint minFDE")
DEFAULT = (
    "AMD",
    "AMV",
    "KDE-NLL",
    "energy score",
    "CRPS",
    "minADE",
    "minFDE",
    "joint minADE",
    "joint minFDE",
    "ADE",
    "FDE",
    "miss rate",
    "path energy score",
    "scene energy score",
    "variogram score",
)
FIELDS: dict[str, tuple[str, Literal["cell", "agent", "scene", "spread"]]] = {
    "AMD": ("distance", "cell"),
    "AMV": ("moments", "spread"),
    "KDE-NLL": ("kde_nll", "cell"),
    "energy score": ("energy_score", "cell"),
    "CRPS": ("crps", "cell"),
    "minADE": ("min_ade", "agent"),
    "minFDE": ("min_fde", "agent"),
    "joint minADE": ("joint_min_ade", "agent"),
    "joint minFDE": ("joint_min_fde", "agent"),
    "ADE": ("ade", "agent"),
    "FDE": ("fde", "agent"),
    "miss rate": ("miss", "agent"),
    "path energy score": ("path_energy", "agent"),
    "scene energy score": ("scene_energy", "scene"),
    "variogram score": ("variogram_score", "agent"),
}
SCENE_SCORES = (*JOINT, "scene energy score")
# Scores that may be negative or 0 keep plain intervals, the others have them on the log scale.
PLAIN = ("KDE-NLL", "miss rate")


class TrajectoryScores(PairedForecasts, ForecastScore):
    """AMD, AMV, displacement errors and proper scores of forecasts, with joint inference.

    AMD and AMV alone cannot rank forecasts: a wider spread lowers AMD, a narrower one AMV. The
    energy score, the CRPS and the variogram score are proper: the best expected score is that of
    the true distribution.

    Parameters
    ----------
    scores : list of str, optional
        Which scores; all that apply by default: "AMD", "AMV", "KDE-NLL", "energy score" and
        "CRPS" per cell, "minADE", "minFDE", "ADE", "FDE", "miss rate", "path energy score" and
        "variogram score" per agent, and with `scene` "joint minADE", "joint minFDE" and "scene
        energy score" per scene.
    fair : bool, default True
        Estimate proper scores without bias in K instead of by the V-statistic.
    miss_threshold : float, default 2.0
        Distance beyond which the best sample misses, in units of length.
    miss_rule : {"final", "max"}
        Distance at the last step, or the largest over the steps.
    length_unit : str, optional
        Unit of length, such as "m". With it the mean of AMD and AMV is reported, too, which adds
        a pure number to an area and so depends on the unit.
    fit : {"reference", "robust"}
        How mixtures are fitted; see :class:`AMD`.
    aggregate : {"scene", "cell"}
        Mean over scenes of the mean over their cells, or mean over all cells, for scores of
        cells.
    amv_level : {"scene", "pooled", "cell", "track"}
        See :class:`AMV`.
    compat : {"reference"} or None
        See :class:`AMD`.
    axes : str, default "KTAD"
        Order of the axes of `samples`: K samples, T steps, A agents, D coordinates; `trajectory`
        has the same order without K.
    path_weight : {"segment", "density"}
        See :class:`AMD`.
    small_sample : bool, default False
        Remove the leading bias of few samples from AMD in cells with one component.
    reg_covar : float, default 1e-6
        Variance added to every coordinate, in squared units of length.
    max_components : int, optional
        Limit of the number of components.
    window_length : int, optional
        Frames of a window, the number of steps by default. Blocks made from `start` are whole
        windows, at least two, and as many as leave about 20 blocks.
    rng : int, SeedSequence, Generator or None, default 0
        Source of the k-means++ starts.
    inference : "auto", Analytic, Bootstrap, Jackknife or NoInference
        How the sampling distribution is obtained; "auto" is linearisation, clustered.
    level : float, default 0.95
        Confidence level.
    nan_policy : {"raise", "omit"}
        Refuse or drop agents with missing values.

    Attributes
    ----------
    estimate_ : Estimate
        One term per model and score.

    Notes
    -----
    minADE and minFDE are the best of K for each agent (marginal), each minimised on its own;
    their joint forms take the mean over the agents of a scene first. Proper scores cost
    O(K^2 d) per cell, all others O(K d^2).

    References
    ----------
    Mohamed et al. (2022), arXiv:2203.03057; Gneiting and Raftery (2007), JASA 102, eq. 21-22;
    Scheuerer and Hamill (2015), Monthly Weather Review 143.

    Examples
    --------
    >>> import numpy as np
    >>> import evalstats as es
    >>> rng = np.random.default_rng(0)
    >>> truth = rng.normal(size=(3, 40, 2))
    >>> samples = rng.normal(size=(64, 3, 40, 2))
    >>> scores = es.TrajectoryScores(scores=["AMD", "minADE", "energy score"])
    >>> scores.fit(truth, {"a": samples}).estimate_.value.round(2).tolist()
    [1.33, 0.78, 0.89]
    """

    metric: ClassVar[str] = "Trajectory scores"
    verb: ClassVar[str] = "trajectory"
    scale: ClassVar[ScaleName] = "identity"
    value_range: ClassVar[tuple[float, float]] = (-np.inf, np.inf)
    citation_keys: ClassVar[tuple[str, ...]] = ("mohamed2022", "gneiting2007", "scheuerer2015")
    _mixtures_allowed: ClassVar[bool] = False
    _joint: ClassVar[bool] = True

    def __init__(
        self,
        *,
        scores: list[str] | None = None,
        fair: bool = True,
        miss_threshold: float = 2.0,
        miss_rule: Literal["final", "max"] = "final",
        length_unit: str | None = None,
        fit: Fit = "reference",
        aggregate: Aggregate = "scene",
        amv_level: AmvLevel = "scene",
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
        self.scores = scores
        self.fair = fair
        self.miss_threshold = miss_threshold
        self.miss_rule = miss_rule
        self.length_unit = length_unit
        self.fit = fit
        self.aggregate = aggregate
        self.amv_level = amv_level
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
        require_amv_level(self.amv_level)
        for name in self.scores or ():
            if name not in FIELDS:
                raise InputError(f"scores: {name!r} is unknown: choose from {', '.join(FIELDS)}")
        if self.scores is not None and not self.scores:
            raise InputError("scores is empty: name at least one score, or leave it out")
        if self.miss_rule not in ("final", "max"):
            raise InputError(f"miss_rule={self.miss_rule!r}: choose 'final' or 'max'")
        if not (np.isfinite(self.miss_threshold) and self.miss_threshold >= 0):
            raise InputError(f"miss_threshold={self.miss_threshold!r}: give a distance >= 0")

    def _names(self) -> list[str]:
        return list(dict.fromkeys(DEFAULT if self.scores is None else self.scores))

    def _plan(self) -> Plan:
        names = set(self._names())
        return fitting_plan(
            self,
            distance="AMD" in names,
            density="KDE-NLL" in names,
            energy="energy score" in names,
            crps="CRPS" in names,
            displacement=bool(names & {*DISPLACEMENT, *JOINT}),
            path_energy=bool(names & {"path energy score", "scene energy score"}),
            variogram="variogram score" in names,
            miss_threshold=float(self.miss_threshold),
            miss_rule=self.miss_rule,
        )

    def _layout(self, columns: Columns) -> Layout:
        scene, track = self._grouping(columns)
        return Layout(self._weight(columns), scene, track, self.aggregate, self.amv_level)

    def _quantities(self, columns: Columns) -> list[Quantity]:
        quantities = []
        by_step = columns.extra.get("by_step", False)
        for name in self._names():
            field, level = FIELDS[name]
            if name in SCENE_SCORES and "scene" not in columns.single:
                if self.scores is not None:
                    raise InputError(f"scores: {name!r} is of whole scenes: pass scene=")
                continue
            if by_step and level in ("agent", "scene"):
                continue
            if self.fair and name in ("energy score", "CRPS", "path energy score"):
                field += "_fair"
            if self.fair and name == "scene energy score":
                field += "_fair"
            quantities.append(Quantity(name, field, level))
        if not quantities:
            raise InputError("no chosen score is one of single steps: horizon() needs one")
        return quantities

    def _averaged(self, columns: Columns) -> bool:
        """Whether the mean of AMD and AMV is asked for and can be had."""
        chosen = {"AMD", "AMV"} <= set(self._names())
        return self.length_unit is not None and chosen and not columns.extra.get("by_step", False)

    def _prepare(self, columns: Columns) -> Prepared:
        prepared = super()._prepare(columns)
        if not self._averaged(columns):
            return prepared
        names = [quantity.metric for quantity in self._quantities(columns)]
        amd, amv, width = names.index("AMD"), names.index("AMV"), len(names)
        pairs = tuple(
            (model * width + amd, model * width + amv) for model in range(len(columns.model_names))
        )
        return prepared_from(prepared.terms, pairs)

    def _terms(self, columns: Columns) -> list[dict[str, Any]]:
        rows = super()._terms(columns)
        if self._averaged(columns):
            rows += [{"metric": MEAN_OF_BOTH, "model": model} for model in columns.model_names]
        return rows

    def _interval_names(self, columns: Columns, method: Inference, k: int) -> list[str]:
        names = super()._interval_names(columns, method, k)
        if not isinstance(method, Analytic):
            return names
        metrics = [str(row["metric"]) for row in self._terms(columns)]
        scales = ["wald" if metric in PLAIN else "log" for metric in metrics]
        return scales * (k // len(scales))

    def _diagnose(self, columns: Columns, prepared: Prepared) -> list[Diagnosis]:
        found = super()._diagnose(columns, prepared)
        found += tied_eigenvalues(prepared, self._weight(columns), columns.model_names)
        if self._averaged(columns):
            found.append(
                (
                    "unit-dependent",
                    f"{MEAN_OF_BOTH} adds a pure number to an area in {self.length_unit}^2: "
                    "another unit of length can rank models the other way",
                )
            )
        return [*found, *self._certain_misses(columns, prepared)]

    def _certain_misses(self, columns: Columns, prepared: Prepared) -> list[Diagnosis]:
        """Miss rates of 0 or 1, whose standard error is 0 whatever the number of agents."""
        terms = self._terms(columns)
        if not any(term["metric"] == "miss rate" for term in terms):
            return []
        values = self._evaluate(prepared, self._weight(columns))
        return [
            (
                "degenerate-variance",
                f"miss rate {value:g} of {term['model']!r}: its interval is a point, but a rate "
                "off by 3 over the number of agents is compatible with the data (rule of three)",
            )
            for term, value in zip(terms, values, strict=True)
            if term["metric"] == "miss rate" and min(value, 1.0 - value) < ROUND_OFF
        ]


@typed_options
def min_ade_fde(
    trajectory: ArrayLike,
    samples: ArrayLike,
    *,
    scene: ArrayLike | None = None,
    joint: bool = False,
    axes: str = "KTAD",
) -> tuple[float, float]:
    """Best-of-K displacement errors of one model, as plain numbers.

    Parameters
    ----------
    trajectory : array-like
        True positions, in the order of `axes` without K.
    samples : array-like
        Sampled positions, in the order of `axes`.
    scene : array-like (A,), optional
        Scene of each agent, for the joint form; one scene by default.
    joint : bool, default False
        Take the mean over the agents of a scene before the minimum over the samples.
    axes : str, default "KTAD"
        Order of the axes.

    Returns
    -------
    tuple of float
        minADE and minFDE, each minimised on its own, as means over agents.

    Raises
    ------
    InputError
        If the input cannot be used.

    Examples
    --------
    >>> import numpy as np
    >>> import evalstats as es
    >>> truth = np.zeros((3, 2, 2))
    >>> samples = np.ones((5, 3, 2, 2)) * np.arange(1, 6)[:, None, None, None]
    >>> [round(value, 3) for value in es.min_ade_fde(truth, samples)]
    [1.414, 1.414]
    """
    names = ["joint minADE", "joint minFDE"] if joint else ["minADE", "minFDE"]
    if joint and scene is None:
        shape = to_array("samples", samples)[0].shape
        count = shape[axes.index("A")] if "A" in axes and len(shape) == len(axes) else 0
        scene = np.zeros(count, dtype=np.int64)
    value = _values(names, trajectory, samples, scene, axes, fair=True)
    return float(value[0]), float(value[1])


@typed_options
def energy_score(
    trajectory: ArrayLike,
    samples: ArrayLike,
    *,
    fair: bool = True,
    axes: str = "KTAD",
) -> float:
    """Mean energy score of the cells of one model, as a plain number.

    Parameters
    ----------
    trajectory : array-like
        True positions, in the order of `axes` without K.
    samples : array-like
        Sampled positions, in the order of `axes`.
    fair : bool, default True
        Divide the pairs by K (K - 1), which is unbiased, instead of K^2.
    axes : str, default "KTAD"
        Order of the axes.

    Returns
    -------
    float
        ``E|X - y| - E|X - X'| / 2``, averaged over agents and steps; lower is better.

    Raises
    ------
    InputError
        If the input cannot be used.

    Notes
    -----
    O(K^2 d) per cell (Gneiting and Raftery 2007, eq. 22).

    Examples
    --------
    >>> import numpy as np
    >>> import evalstats as es
    >>> samples = np.array([-1.0, -0.5, 0.5, 1.0]).reshape(4, 1, 1, 1) * np.ones((1, 1, 1, 2))
    >>> round(es.energy_score(np.zeros((1, 1, 2)), samples), 4)
    0.2357
    """
    value = _values(["energy score"], trajectory, samples, None, axes, fair=fair)
    return float(value[0])


def _values(
    names: list[str],
    trajectory: ArrayLike,
    samples: ArrayLike,
    scene: ArrayLike | None,
    axes: str,
    *,
    fair: bool,
) -> NDArray[np.float64]:
    estimator = TrajectoryScores(scores=names, fair=fair, axes=axes)
    columns = estimator.point_columns(
        {"trajectory": trajectory, "samples": samples, "scene": scene}
    )
    return estimator._value_of(columns)
