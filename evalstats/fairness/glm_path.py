"""Models along growing strengths of the penalty, judged out of sample."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from evalstats.errors import InputError
from evalstats.fairness.divergence import binned_divergence, explained_variance
from evalstats.fairness.functions import correlation
from evalstats.fairness.geometry import CellGeometry, Ranking
from evalstats.fairness.glm import FairGLM
from evalstats.fairness.glm_arguments import require_events
from evalstats.fairness.glm_objective import Objective, balancing_shift, constant_start
from evalstats.fairness.glm_optimiser import Descent, minimise_kinked, smooth_start
from evalstats.fairness.parity import chi_square_p_value
from evalstats.fairness.scores import ranked_probability_score, unit_deviance
from evalstats.inference.methods import RandomSource, random_key
from evalstats.inference.resampling import parallel_map
from evalstats.options import typed_options

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
Rule = Literal["jsd-elbow", "test", "one-se", "budget"]
DEFAULT_STEPS = 20


@dataclass(frozen=True)
class FairnessPath:
    """Models for increasing strengths, with what each costs and gains out of sample.

    Attributes
    ----------
    frame : polars.DataFrame
        One row per strength: ``nll``, ``deviance``, its ``deviance_se``, ``rps``, ``ccdcov`` with
        ``ccdcov_se``, ``jdcov``, ``dcor``, ``p_value`` (chi-square test of parity), ``jsd``,
        ``eta2``, ``max_gap``, ``balance_factor``, ``pareto``. Losses are weighted by
        `sample_weight`; what measures dependence counts every row alike.
    models : list of FairGLM
        Fitted on all rows, in the same order.
    extra_deviance, extra_se : float64 arrays
        Mean deviance minus that of the best strength, and the standard error of this paired
        difference.
    out_of_sample : bool
        Whether the criteria come from rows that the models have not seen.
    """

    frame: pl.DataFrame
    models: list[FairGLM]
    extra_deviance: Array
    extra_se: Array
    out_of_sample: bool

    def select(self, rule: Rule = "one-se", *, budget: float = 0.01, level: float = 0.05) -> float:
        """Choose a strength; never on the rows that the models were fitted to.

        Parameters
        ----------
        rule : {"one-se", "test", "budget", "jsd-elbow"}
            Largest strength within one standard error of the best deviance; smallest one whose
            test of parity does not reject; largest one whose deviance exceeds that of strength 0
            by at most `budget`; or the elbow of the divergence against the deviance.
        budget : float, default 0.01
            Relative increase of the deviance.
        level : float, default 0.05
            Level of the test.

        Returns
        -------
        float
            A strength of the path.

        Raises
        ------
        InputError
            If the path was fitted without left-out rows, or no strength satisfies the rule.
        """
        if not self.out_of_sample:
            raise InputError("cv=0 has no left-out rows to choose a strength on: pass cv=5")
        strength = self.frame["strength"].to_numpy()
        deviance = self.frame["deviance"].to_numpy()
        if rule == "one-se":
            kept = self.extra_deviance <= self.extra_se
        elif rule == "budget":
            kept = deviance <= deviance[0] + budget * abs(deviance[0])
        elif rule == "test":
            kept = self.frame["p_value"].to_numpy() > level
            if not kept.any():
                raise InputError("every strength of the path is rejected: extend strengths=")
            return float(strength[kept].min())
        elif rule == "jsd-elbow":
            return float(strength[_elbow(deviance, self.frame["jsd"].to_numpy())])
        else:
            raise InputError(f"rule={rule!r}: choose 'one-se', 'test', 'budget' or 'jsd-elbow'")
        return float(strength[kept].max())

    def model(self, strength: float) -> FairGLM:
        """Model of one strength of the path.

        Parameters
        ----------
        strength : float
            As returned by :meth:`select`.

        Returns
        -------
        FairGLM
            Fitted on all rows.
        """
        place = int(np.argmin(np.abs(self.frame["strength"].to_numpy() - strength)))
        if not np.isclose(self.frame["strength"][place], strength):
            raise InputError(f"strength={strength!r} is not on the path")
        return self.models[place]

    def plot(self, ax: "Axes | None" = None, **options: Any) -> "Axes":
        """Deviance against CCdCov with the choices of the rules.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.
        **options
            As in ``plot_fairness_path``: ``fairness=``, ``loss=``, ``chosen=``.

        Returns
        -------
        matplotlib Axes
            The axes drawn on.
        """
        from evalstats.results.displays import plot_fairness_path

        if "chosen" not in options and self.out_of_sample:
            chosen = {
                "one standard error": self.select("one-se"),
                "1% deviance": self.select("budget"),
            }
            if bool((self.frame["p_value"] > 0.05).any()):
                chosen["parity not rejected"] = self.select("test")
            options["chosen"] = chosen
        return plot_fairness_path(self.frame, ax=ax, **options)


@typed_options
def fairness_path(
    X: ArrayLike,
    y: ArrayLike,
    protected: Any,
    *,
    model: FairGLM | None = None,
    strengths: Sequence[float] | None = None,
    exposure: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    cv: int = 5,
    rng: RandomSource = 0,
) -> FairnessPath:
    """Fit a :class:`FairGLM` for many strengths and judge each one on left-out rows.

    Parameters
    ----------
    X, y, protected
        As in :meth:`FairGLM.fit`.
    model : FairGLM, optional
        Options of the fits; gaussian by default. Its strength is ignored.
    strengths : sequence of float, optional
        Increasing strengths; by default 0 and 19 more up to where predictions have collapsed.
    exposure, sample_weight
        As in :meth:`FairGLM.fit`.
    cv : int, default 5
        Folds of the cross-validation; 0 evaluates on the rows of the fit, and nothing can be
        selected then.
    rng : int, SeedSequence, Generator or None, default 0
        Source of the folds.

    Returns
    -------
    FairnessPath
        Table, models, selectors and plot.

    Raises
    ------
    InputError
        If an argument cannot be used.

    Notes
    -----
    Every path is descended twice, upwards from the unpenalised fit and downwards from a constant
    prediction, and the lower minimum is kept: the objective is not convex.

    Examples
    --------
    >>> import numpy as np
    >>> import evalstats as es
    >>> rng = np.random.default_rng(0)
    >>> sex = rng.integers(0, 2, 200)
    >>> X = np.column_stack([sex + rng.normal(size=200), rng.normal(size=200)])
    >>> y = X[:, 0] + X[:, 1] + rng.normal(size=200)
    >>> path = es.fairness_path(X, y, {"sex": sex}, strengths=[0, 1, 4, 16], cv=4)
    >>> path.frame["ccdcov"].is_sorted(descending=True)
    True
    """
    template = clone(model) if model is not None else FairGLM()
    template.set_params(strength=1.0)
    template._check_params()
    objective = template._objective(X, y, protected, exposure, sample_weight)
    steps = _strengths(strengths, objective)
    n = len(objective.y)
    if cv != int(cv) or cv < 0 or cv == 1 or cv > n // 10:
        raise InputError(f"cv={cv!r}: choose 0, or 2 to {n // 10} folds (10 rows each)")
    fits = sweep(objective, steps)
    models = [_model(template, objective, steps[i], fit) for i, fit in enumerate(fits)]
    if cv == 0:
        links = np.column_stack(
            [_balanced_link(template, objective, f.x, objective.design) for f in fits]
        )
    else:
        links = _left_out_links(template, objective, steps, int(cv), rng)
    frame, deviances = _criteria(objective, steps, links)
    best = int(np.argmin(frame["deviance"].to_numpy()))
    excess = deviances - deviances[:, [best]]
    share = objective.share
    extra = share @ excess
    error = np.sqrt((share**2) @ (excess - extra) ** 2)
    frame = frame.with_columns(
        balance_factor=pl.Series([item.balance_factor_ for item in models]),
        pareto=pl.Series(_pareto(frame["ccdcov"].to_numpy(), frame["deviance"].to_numpy())),
    )
    return FairnessPath(frame, models, extra, error, cv > 0)


def sweep(objective: Objective, strengths: Array) -> list[Descent]:
    """Minima along increasing and then decreasing strengths; the lower ones."""
    smooth = smooth_start(objective)
    inverse = np.asarray(np.linalg.pinv(objective.hessian(smooth)), dtype=np.float64)
    best: list[Descent] = []
    x = smooth
    for strength in strengths:
        run = _descended(objective, float(strength), x, inverse)
        best.append(run)
        x = run.x
    x = constant_start(objective)
    for place in range(len(strengths) - 1, -1, -1):
        if strengths[place] == 0:
            break
        run = _descended(objective, float(strengths[place]), x, inverse)
        if run.value < best[place].value:
            best[place] = run
        x = best[place].x
    return best


def _descended(objective: Objective, strength: float, start: Array, inverse: Array) -> Descent:
    item = replace(objective, strength=strength)
    if strength == 0:
        value, gradient = item(start)
        return Descent(start, value, gradient, converged=True)
    return minimise_kinked(item, start, inverse, tolerance=1e-9, patience=1)


def _strengths(given: Sequence[float] | None, objective: Objective) -> Array:
    if given is not None:
        steps = np.asarray(given, dtype=np.float64)
        if steps.ndim != 1 or len(steps) == 0 or not bool(np.isfinite(steps).all()):
            raise InputError("strengths must be a sequence of numbers")
        if bool((steps < 0).any()) or bool((np.diff(steps) <= 0).any()):
            raise InputError("strengths must be at least 0 and increase")
        return steps
    # The strength at which the slope of the penalty equals that of the loss at a constant
    # prediction bounds what can still change; a little more collapses everything.
    start = constant_start(objective)
    smooth = smooth_start(objective)
    plain = replace(objective, strength=0.0)
    gain = plain(start)[0] - plain(smooth)[0]
    penalty = objective.penalty
    if penalty is None:
        raise AssertionError("the caller has a penalty")
    value = penalty.gradient(objective.scores(objective.design @ smooth)[0])[0]
    top = 4.0 * gain / value if value > 0 and gain > 0 else 100.0
    return np.concatenate([[0.0], np.geomspace(top / 300.0, top, DEFAULT_STEPS - 1)])


def _model(template: FairGLM, objective: Objective, strength: float, fit: Descent) -> FairGLM:
    item = clone(template).set_params(strength=float(strength))
    for name in (
        "n_features_in_",
        "feature_names_in_",
        "classes_",
        "attributes_",
        "_centre",
        "_spread",
    ):
        if hasattr(template, name):
            setattr(item, name, getattr(template, name))
    fitted: FairGLM = item._finish(replace(objective, strength=float(strength)), fit)
    return fitted


def _balanced_link(template: FairGLM, objective: Objective, x: Array, design: Array) -> Array:
    shift = 0.0
    if template.rebalance:
        shift, _ = balancing_shift(objective, objective.design @ x)
    return np.asarray(design @ x + shift)


def _left_out_links(
    template: FairGLM, objective: Objective, steps: Array, cv: int, rng: RandomSource
) -> Array:
    n = len(objective.y)
    bits = np.random.Generator(np.random.Philox(np.random.SeedSequence(random_key(rng))))
    fold = np.empty(n, dtype=np.int64)
    fold[bits.permutation(n)] = np.arange(n) % cv
    links = np.empty((n, len(steps)))

    def judged(held: int) -> None:
        training = subset(objective, np.flatnonzero(fold != held))
        require_events(training.y, training.weights, training.family)
        rows = np.flatnonzero(fold == held)
        for place, fit in enumerate(sweep(training, steps)):
            links[rows, place] = _balanced_link(template, training, fit.x, objective.design[rows])

    # Each strength takes some hundred passes over the rows.
    parallel_map(judged, list(range(cv)), 100 * len(steps) * n)
    return links


def subset(objective: Objective, rows: NDArray[np.int64]) -> Objective:
    """The objective of some rows, with the encoding of all."""
    penalty = objective.penalty
    if penalty is not None:
        geometries = [
            CellGeometry(item.cell[rows], item.distances, item.c) for item in penalty.geometries
        ]
        penalty = replace(penalty, geometries=geometries, weights=objective.weights[rows])
    return replace(
        objective,
        design=np.ascontiguousarray(objective.design[rows]),
        y=objective.y[rows],
        exposure=objective.exposure[rows],
        weights=objective.weights[rows],
        penalty=penalty,
    )


def _criteria(objective: Objective, steps: Array, links: Array) -> tuple[pl.DataFrame, Array]:
    """One row of criteria per strength, and the unit deviances (n, strengths)."""
    penalty = objective.penalty
    if penalty is None:
        raise AssertionError("the caller has a penalty")
    cell = penalty.geometries[0].cell
    blocks = penalty.blocks
    whole = CellGeometry(cell, (np.sqrt(np.sum([d * d for d in blocks], axis=0)),), 0.0)
    c = penalty.geometries[0].c or 1.0
    joint = CellGeometry(cell, blocks, c if len(blocks) > 1 else 0.0)
    ones = np.ones(len(cell))
    rows, deviances = [], []
    for place, strength in enumerate(steps):
        link = links[:, place]
        values, _ = objective.scores(link)
        expected = objective.exposure * objective.mean(link)
        ranking = Ranking.of(values)
        parts = whole.parts(ranking, ones, True)
        slopes = np.asarray(whole.influence(ranking, ones).dependence)
        deviance = unit_deviance(objective.y, expected, objective.family)
        deviances.append(deviance)
        mean = float(objective.share @ deviance)
        groups = np.bincount(cell, values) / np.bincount(cell)
        variances = float(parts.variance_prediction), float(parts.variance_attributes)
        rows.append(
            {
                "strength": float(strength),
                "nll": objective.loss(link),
                "deviance": mean,
                "deviance_se": float(np.sqrt(objective.share**2 @ (deviance - mean) ** 2)),
                "rps": ranked_probability_score(objective.y, expected, family=objective.family),
                "ccdcov": float(parts.dependence),
                "ccdcov_se": float(slopes.std() / np.sqrt(len(slopes))),
                "jdcov": float(joint.parts(ranking, ones, True).dependence),
                "dcor": correlation(float(parts.dependence), *variances),
                "p_value": chi_square_p_value(whole, ranking, len(cell))[1],
                "jsd": binned_divergence(values, cell),
                "eta2": explained_variance(values, cell),
                "max_gap": float(groups.max() - groups.min()),
            }
        )
    return pl.DataFrame(rows), np.column_stack(deviances)


def _pareto(first: Array, second: Array) -> NDArray[np.bool_]:
    """Rows that no other row beats in both respects."""
    better = (first[:, np.newaxis] <= first) & (second[:, np.newaxis] <= second)
    strictly = (first[:, np.newaxis] < first) | (second[:, np.newaxis] < second)
    return np.asarray(~(better & strictly).any(axis=0))


def _elbow(loss: Array, divergence: Array) -> int:
    """Point furthest below the chord from the first to the last strength."""
    if len(loss) < 3 or loss[-1] == loss[0] or divergence[-1] == divergence[0]:
        return 0
    across = (loss - loss[0]) / (loss[-1] - loss[0])
    down = (divergence - divergence[-1]) / (divergence[0] - divergence[-1])
    return int(np.argmax(1.0 - across - down))
