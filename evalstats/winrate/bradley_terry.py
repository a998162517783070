"""Bradley-Terry ratings with controls: Arena leaderboards with style control."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from evalstats.data.columns import Columns, Role
from evalstats.data.intake import NanPolicy
from evalstats.errors import InputError
from evalstats.estimator import Diagnosis, Estimator
from evalstats.inference.methods import InferenceOption
from evalstats.inference.units import Units
from evalstats.results.estimate import Estimate
from evalstats.results.ranges import require_level
from evalstats.winrate.bradley_terry_columns import (
    contrasts_of_sides,
    model_codes,
    outcomes,
    scaled_design,
    tie_indicator,
)
from evalstats.winrate.bradley_terry_fit import (
    Battles,
    Restriction,
    centred_score_products,
    collapsed,
    connected,
    maximise,
    score_and_hessian,
    score_matrix,
    why_infinite,
)
from evalstats.winrate.bradley_terry_views import predicted_win_rates, ranked_ratings

Array = NDArray[np.float64]
Ties = Literal["half", "davidson"]
RatingScale = Literal["elo", "logit"]

ELO_PER_LOGIT = 400.0 / np.log(10.0)
ELO_MEAN = 1000.0
BATTLES_PER_PARAMETER = 20


@dataclass(frozen=True)
class Prepared:
    """Battles with scaled contrasts, and the maximum at the full weights (None if infinite).

    ``transform @ theta + offset`` are the reported values.
    """

    battles: Battles
    restriction: Restriction
    start: Array
    theta: Array | None
    weight: Array
    transform: Array
    offset: Array


class BradleyTerry(Estimator):
    r"""Ratings of models from pairwise battles, with controls such as length and style.

    Maximises ``sum w [y eta - log(1 + exp(eta))]`` with ``eta = rating_a - rating_b + x'beta``,
    where each control enters as a contrast x of the two sides that is not centred, so that
    exchanging the sides changes nothing. Ratings are reported on the Elo scale.

    Parameters
    ----------
    controls : sequence of str, optional
        Names of the controls. With ``data=`` the columns ``<name>_a`` and ``<name>_b`` hold the two
        sides; without, they are keys of ``controls_a`` and ``controls_b``. Each enters as
        ``(a - b) / (a + b + 1)``, divided by its root mean square.
    ridge : float, default 0.0
        Penalty ``ridge / 2`` times the sum of squared ratings (centred, in log-odds) and control
        coefficients; makes ratings of models with only wins finite, and shrinks all.
    ties : {"half", "davidson"}
        A tie is half a win, or an outcome with a parameter of its own (Davidson 1970), for which
        outcomes must be exactly 0, 0.5 and 1.
    anchor : str, mapping of str to float, or None
        None sets the mean rating to 1000 (0 in log-odds). A name sets that model there; a mapping
        fixes the rating of one or several models at the given numbers.
    rating_scale : {"elo", "logit"}
        400 / log(10) points per unit of log-odds around 1000, or log-odds around 0.
    inference : "auto", Analytic, Bootstrap, Jackknife or NoInference
        "auto" is the sandwich, clustered if `cluster` is given.
    level : float, default 0.95
        Confidence level.
    nan_policy : {"raise", "omit"}
        Refuse or drop rows with missing values.

    Attributes
    ----------
    estimate_ : Estimate
        One term per model (``metric == "rating"``), one per control (``metric == "control"``,
        change of the log-odds per root mean square of the contrast) and, in Davidson's model, one
        ``metric == "log tie"``.

    Notes
    -----
    Newton's method on (models + controls) parameters, accumulated from integer indices: O(n f^2)
    per step, four steps at 10^6 battles; without controls the battles are first collapsed to one
    row per pair. Standard errors come from the sandwich ``A^-1 B A^-1``, whose meat is summed
    without writing down the scores; differences of ratings use the full covariance. A finite
    maximum exists if and only if a chain of wins leads from each model to each other one (Ford
    1957); otherwise the models concerned are named. A bootstrap replicate starts at the full fit.

    References
    ----------
    Bradley and Terry (1952), Biometrika 39; Ford (1957); Davidson (1970); White (1982); Liang and
    Zeger (1986).

    Examples
    --------
    >>> import evalstats as es
    >>> a = ["x", "x", "y", "y", "z", "x", "z", "y"] * 10
    >>> b = ["y", "z", "z", "x", "x", "y", "y", "z"] * 10
    >>> ratings = es.BradleyTerry().fit(a, b, [1, 1, 1, 0.5, 0, 0, 1, 0] * 10).estimate_
    >>> ratings.terms["model"].to_list(), ratings.value.round(1).tolist()
    (['x', 'y', 'z'], [1099.3, 959.0, 941.6])
    """

    metric: ClassVar[str] = "Bradley-Terry rating"
    unit: ClassVar[str] = "comparison"
    verb: ClassVar[str] = "bradley-terry"
    higher_is_better: ClassVar[bool | None] = True
    citation_keys: ClassVar[tuple[str, ...]] = ("bradleyterry1952",)
    roles: ClassVar[tuple[Role, ...]] = (
        Role("model_a", "code", help="column with the first model of each battle"),
        Role("model_b", "code", help="column with the second model of each battle"),
        Role("outcome", "label", help="column with 1 where model_a won, 0 where model_b won"),
        Role("controls_a", "score", per_model=True, required=False, help="controls of model_a"),
        Role("controls_b", "score", per_model=True, required=False, help="controls of model_b"),
        Role("contrasts", "score", per_model=True, required=False, help="ready contrasts"),
    )
    exceptions: ClassVar[Mapping[str, str]] = {
        "models_do_not_influence_each_other": "ratings of models are estimated from their battles",
        "merge": "not offered: a fit of 10^6 battles takes less than a second",
    }

    def __init__(
        self,
        *,
        controls: Sequence[str] | None = None,
        ridge: float = 0.0,
        ties: Ties = "half",
        anchor: str | Mapping[str, float] | None = None,
        rating_scale: RatingScale = "elo",
        inference: InferenceOption = "auto",
        level: float = 0.95,
        nan_policy: NanPolicy = "raise",
    ) -> None:
        self.controls = controls
        self.ridge = ridge
        self.ties = ties
        self.anchor = anchor
        self.rating_scale = rating_scale
        self.inference = inference
        self.level = level
        self.nan_policy = nan_policy

    def fit(
        self,
        model_a: ArrayLike | str,
        model_b: ArrayLike | str,
        outcome: ArrayLike | str,
        controls_a: Mapping[str, ArrayLike | str] | None = None,
        controls_b: Mapping[str, ArrayLike | str] | None = None,
        contrasts: Mapping[str, ArrayLike | str] | None = None,
        *,
        data: Any = None,
        sample_weight: ArrayLike | str | None = None,
        cluster: ArrayLike | str | None = None,
        by: ArrayLike | str | list[str] | None = None,
    ) -> Self:
        """Estimate ratings and control coefficients.

        Parameters
        ----------
        model_a, model_b : array-like (n,) or column name
            Names of the two models of each battle.
        outcome : array-like (n,) or column name
            1 where `model_a` won, 0 where `model_b` won, 0.5 for a tie, or a probability in
            between; or Arena's labels ``model_a``, ``model_b``, ``tie``, ``tie (bothbad)``.
        controls_a, controls_b : mapping of str to array-like or column name, optional
            Non-negative controls of the two sides, such as their lengths.
        contrasts : mapping of str to array-like or column name, optional
            Ready contrasts of the two sides, such as a position of +1 and -1; a column of ones is
            the advantage of side a. They are neither centred nor transformed.
        data : data frame, optional
            Frame whose columns the arguments name.
        sample_weight : array-like (n,) or column name, optional
            Non-negative weights.
        cluster : array-like (n,) or column name, optional
            Battles of one cluster (user, prompt) are sampled together.
        by : array-like (n,) or column names, optional
            Fit separately in each group and stack the terms.

        Returns
        -------
        BradleyTerry
            The fitted estimator.

        Raises
        ------
        InputError
            If a model meets itself, an outcome is outside [0, 1], the ratings are infinite (only
            wins, only losses, unconnected groups) or a control is constant or separates.
        """
        self._check_params()
        controls_a, controls_b = self._named_controls(data, controls_a, controls_b)
        return self._fit(
            {
                "model_a": model_a,
                "model_b": model_b,
                "outcome": outcome,
                "controls_a": controls_a,
                "controls_b": controls_b,
                "contrasts": contrasts,
            },
            data=data,
            sample_weight=sample_weight,
            cluster=cluster,
            by=by,
        )

    def leaderboard(self, level: float | None = None) -> pl.DataFrame:
        """Models from the best down, with simultaneous intervals of their ranks.

        Parameters
        ----------
        level : float, optional
            Confidence level of ratings and, simultaneously, of ranks.

        Returns
        -------
        polars.DataFrame
            ``model``, ``rating``, ``standard_error``, ``ci_low``, ``ci_high``, ``rank``,
            ``rank_low``, ``rank_high``.
        """
        level = self.level if level is None else level
        require_level(level)
        return ranked_ratings(self._ratings(), level)

    def win_rates(self, level: float | None = None) -> pl.DataFrame:
        """Predicted win rate of each model against each other, controls being equal.

        Parameters
        ----------
        level : float, optional
            Confidence level of the intervals, which are built on the log-odds scale.

        Returns
        -------
        polars.DataFrame
            ``model``, ``reference``, ``win_rate`` in percent (ties counted one half),
            ``standard_error``, ``ci_low``, ``ci_high``; rows (i, j) and (j, i) add up to 100.
        """
        level = self.level if level is None else level
        require_level(level)
        unit = ELO_PER_LOGIT if self.rating_scale == "elo" else 1.0
        log_tie = self._log_tie()
        return predicted_win_rates(self._ratings(), self.estimate_, unit, log_tie, level)

    def _ratings(self) -> Estimate:
        if "group" in self.estimate_.terms.columns:
            raise InputError("ratings were estimated by group: fit one group at a time for this")
        return self.estimate_.select(metric="rating")

    def _log_tie(self) -> float:
        return float(self.estimate_.value[-1]) if self.ties == "davidson" else -np.inf

    def _named_controls(
        self, data: object, controls_a: Any, controls_b: Any
    ) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        for argument, value in (("controls_a", controls_a), ("controls_b", controls_b)):
            if value is not None and not isinstance(value, Mapping):
                raise InputError(f"{argument} is a {type(value).__name__}: pass a mapping of names")
        if (controls_a is None) != (controls_b is None):
            raise InputError("controls_a and controls_b belong together: pass both sides")
        if controls_a is not None:
            names = list(controls_a) if self.controls is None else list(self.controls)
            for argument, value in (("controls_a", controls_a), ("controls_b", controls_b)):
                if set(value) != set(names):
                    raise InputError(f"{argument} has {sorted(value)}, expected {sorted(names)}")
            return {n: controls_a[n] for n in names}, {n: controls_b[n] for n in names}
        if self.controls is None:
            return None, None
        if data is None:
            raise InputError(
                f"controls={list(self.controls)} need data= with columns <name>_a and <name>_b, or "
                "controls_a= and controls_b="
            )
        names = list(self.controls)
        return {n: f"{n}_a" for n in names}, {n: f"{n}_b" for n in names}

    def _check_params(self) -> None:
        super()._check_params()
        if self.ties not in ("half", "davidson"):
            raise InputError(f"ties={self.ties!r}: choose 'half' or 'davidson'")
        if self.rating_scale not in ("elo", "logit"):
            raise InputError(f"rating_scale={self.rating_scale!r}: choose 'elo' or 'logit'")
        if not (np.isfinite(self.ridge) and self.ridge >= 0):
            raise InputError(f"ridge={self.ridge!r}: a ridge is a finite number >= 0")
        if isinstance(self.controls, str) or (self.controls is not None and not self.controls):
            raise InputError(f"controls={self.controls!r}: pass a list of names, or None")
        if isinstance(self.anchor, Mapping):
            if not self.anchor:
                raise InputError("anchor is an empty mapping: name at least one model")
            if self.ridge > 0 and len(self.anchor) > 1:
                raise InputError("ridge and several anchors exclude each other: drop one of them")
            bad = [name for name, value in self.anchor.items() if not np.isfinite(value)]
            if bad:
                raise InputError(f"anchor[{bad[0]!r}] is {self.anchor[bad[0]]}: pass a number")

    def _validate(self, columns: Columns) -> Columns:
        first, second, names = model_codes(columns.single["model_a"], columns.single["model_b"])
        same = first == second
        if bool(same.any()):
            row = int(np.argmax(same))
            raise InputError(
                f"model_a and model_b are both {names[first[row]]!r} in row {row}: a model cannot "
                "meet itself; remove such rows"
            )
        for name in self._anchors():
            if name not in names:
                raise InputError(f"anchor={name!r} has no battle: choose one of {names}")
        outcome = outcomes(columns.single["outcome"])
        tie = np.empty((columns.n, 0))
        if self.ties == "davidson":
            tie = tie_indicator(outcome)[:, np.newaxis]
        found = contrasts_of_sides(columns)
        design = np.empty((columns.n, 0))
        if found:
            design = np.ascontiguousarray(np.column_stack(list(found.values())))
        return columns.with_columns(
            {"first": first, "second": second, "outcome": outcome, "tie": tie, "design": design},
            names=names,
            controls=list(found),
            ready=set(columns.models.get("contrasts", {})),
        )

    def _anchors(self) -> dict[str, float]:
        if self.anchor is None:
            return {}
        if isinstance(self.anchor, Mapping):
            return {str(name): float(value) for name, value in self.anchor.items()}
        return {self.anchor: ELO_MEAN if self.rating_scale == "elo" else 0.0}

    def _prepare(self, columns: Columns) -> Prepared:
        weight = np.ones(columns.n) if columns.weight is None else columns.weight
        single = columns.single
        names, controls = columns.extra["names"], columns.extra["controls"]
        design = scaled_design(single["design"], weight, controls, columns.extra["ready"])
        battles = Battles(
            np.ascontiguousarray(single["first"]),
            np.ascontiguousarray(single["second"]),
            np.ascontiguousarray(single["outcome"]),
            np.ascontiguousarray(single["tie"].ravel()),
            design,
            len(names),
        )
        restriction, start, transform, offset = self._parametrisation(battles, names)
        theta = self._maximum(battles, weight, restriction, start, None)
        return Prepared(battles, restriction, start, theta, weight, transform, offset)

    def _parametrisation(
        self, battles: Battles, names: list[str]
    ) -> tuple[Restriction, Array, Array, Array]:
        """Anchors and ridge as restrictions, and the map from parameters to reported values."""
        p, m = battles.n_parameters, battles.n_models
        elo = self.rating_scale == "elo"
        unit, mean = (ELO_PER_LOGIT, ELO_MEAN) if elo else (1.0, 0.0)
        anchors = self._anchors()
        start = np.zeros(p)
        fixed = np.zeros(p, dtype=bool)
        offset = np.zeros(p)
        offset[:m] = mean
        transform = np.eye(p)
        transform[:m] *= unit
        if len(anchors) > 1:
            for name, value in anchors.items():
                fixed[names.index(name)] = True
                start[names.index(name)] = (value - mean) / unit
        elif anchors:
            name, value = next(iter(anchors.items()))
            transform[:m, names.index(name)] -= unit
            offset[:m] = value
        else:
            transform[:m, :m] -= unit / m
        penalty = np.full(p, float(self.ridge))
        if battles.davidson:
            penalty[-1] = 0.0
        return Restriction(fixed, penalty), start, transform, offset

    def _maximum(
        self,
        battles: Battles,
        weight: Array,
        restriction: Restriction,
        start: Array,
        warm: Array | None,
    ) -> Array | None:
        m, p = battles.n_models, battles.n_parameters
        pairs, pair_weight, wins = collapsed(battles, weight)
        anchored = restriction.fixed[:m]
        if self.ridge == 0 and not connected(wins, anchored):
            return None
        if warm is not None:
            source, row_weight = (
                (battles, weight) if battles.design.shape[1] else (pairs, pair_weight)
            )
            return maximise(source, row_weight, warm, restriction)
        # The ratings without controls cost next to nothing and save passes over the rows.
        keep = np.concatenate([np.arange(m), np.arange(p - int(battles.davidson), p)])
        small = Restriction(restriction.fixed[keep], restriction.penalty[keep])
        ratings = maximise(pairs, pair_weight, start[keep], small)
        if ratings is None or not battles.design.shape[1]:
            return ratings
        theta = start.copy()
        theta[keep] = ratings
        return maximise(battles, weight, theta, restriction)

    def _evaluate(self, prepared: Prepared, weights: Array) -> Array:
        theta = self._theta(prepared, weights)
        if theta is None:
            return np.full(len(prepared.offset), np.nan)
        return np.asarray(prepared.transform @ theta + prepared.offset)

    def _theta(self, prepared: Prepared, weights: Array) -> Array | None:
        if prepared.theta is None or np.array_equal(weights, prepared.weight):
            return prepared.theta
        return self._maximum(
            prepared.battles, weights, prepared.restriction, prepared.start, prepared.theta
        )

    def _influence(self, prepared: Prepared, weights: Array) -> Array:
        theta = self._theta(prepared, weights)
        if theta is None:
            return np.full((len(weights), len(prepared.offset)), np.nan)
        scores = score_matrix(prepared.battles, theta)
        scores[:, prepared.restriction.fixed] = 0.0
        return scores @ self._bread(prepared, weights, theta).T

    def _covariance(self, prepared: Prepared, units: Units) -> Array:
        weight = units.row_weight
        theta = self._theta(prepared, weight)
        if theta is None:
            return np.full((len(prepared.offset), len(prepared.offset)), np.nan)
        meat = centred_score_products(prepared.battles, theta, units)
        meat[prepared.restriction.fixed] = 0.0
        meat[:, prepared.restriction.fixed] = 0.0
        bread = self._bread(prepared, weight, theta)
        covariance = bread @ meat @ bread.T
        return np.asarray((covariance + covariance.T) / 2)

    def _bread(self, prepared: Prepared, weight: Array, theta: Array) -> Array:
        """Derivative of the reported values by the sum of the scores."""
        information = score_and_hessian(prepared.battles, weight, theta, prepared.restriction)[1]
        return np.asarray(np.linalg.solve(information, prepared.transform.T).T)

    def _diagnose(self, columns: Columns, prepared: Prepared) -> list[Diagnosis]:  # noqa: ARG002
        battles = int((prepared.weight > 0).sum())
        size = prepared.battles.n_parameters
        if battles >= BATTLES_PER_PARAMETER * size:
            return []
        return [
            (
                "few-items",
                f"{battles} battles for {size} ratings and coefficients: the sandwich is too small "
                f"below about {BATTLES_PER_PARAMETER} battles for each",
            )
        ]

    def _analytic_name(self, columns: Columns) -> str:
        kind = "cluster-robust sandwich" if columns.cluster is not None else "sandwich"
        return f"{kind} standard errors"

    def _terms(self, columns: Columns) -> list[dict[str, Hashable]]:
        terms: list[dict[str, Hashable]] = [
            {"metric": "rating", "model": name} for name in columns.extra["names"]
        ]
        controls = columns.extra["controls"]
        if controls:
            terms = [{**term, "control": None} for term in terms]
        terms += [{"metric": "control", "model": "all", "control": name} for name in controls]
        if self.ties == "davidson":
            terms.append({"metric": "log tie", "model": "all"})
        return terms

    def _require_defined(self, columns: Columns, prepared: Prepared, value: Array) -> None:  # noqa: ARG002
        if prepared.theta is not None:
            return
        battles, restriction = prepared.battles, prepared.restriction
        wins = collapsed(battles, prepared.weight)[2]
        if self.ridge == 0 and not connected(wins, restriction.fixed[: battles.n_models]):
            raise InputError(
                f"{why_infinite(wins, columns.extra['names'])}: drop the models concerned, add "
                "battles, or pass ridge= to shrink"
            )
        if battles.davidson and not bool(((battles.tie == 1) & (prepared.weight > 0)).any()):
            raise InputError("ties='davidson' but no battle is a tie: use ties='half'")
        if not battles.design.shape[1]:
            raise InputError("the likelihood has no finite maximum: pass ridge= or ties='half'")
        name = columns.extra["controls"][_separating(prepared)]
        raise InputError(
            f"the coefficients have no finite maximum: control {name!r} separates wins from losses "
            "or cannot be told from the ratings; leave it out or pass ridge="
        )

    @classmethod
    def _example_arguments(cls, rng: np.random.Generator, n: int) -> dict[str, Any]:
        names = np.array(["large", "medium", "small"])
        strength = np.array([0.8, 0.2, -0.6])
        first = rng.integers(0, 3, n)
        second = (first + rng.integers(1, 3, n)) % 3
        chance = 1 / (1 + np.exp(strength[second] - strength[first]))
        outcome = (rng.random(n) < chance).astype(np.int64)
        return {"model_a": names[first], "model_b": names[second], "outcome": outcome}


def _separating(prepared: Prepared) -> int:
    """Control whose coefficient runs away, found by a weak ridge."""
    battles = prepared.battles
    m, f = battles.n_models, battles.design.shape[1]
    weak = np.full(battles.n_parameters, 1e-6 * float(prepared.weight.sum()))
    theta = maximise(
        battles, prepared.weight, prepared.start, Restriction(prepared.restriction.fixed, weak)
    )
    return 0 if theta is None else int(np.argmax(np.abs(theta[m : m + f])))
