"""Which ranking mistakes AUROC and AUPRC punish, at which scores and in which subgroups."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from evalstats.data.columns import Columns, Role, dense_codes
from evalstats.data.intake import NanPolicy
from evalstats.data.validation import binary_labels, finite_scores
from evalstats.discrimination.fixing import POLICIES, FixTrajectory, Policy, fix_mistakes
from evalstats.discrimination.mistake_kernels import atomic_mistakes as ranked_mistakes
from evalstats.discrimination.mistake_kernels import (
    firing_rate_at_share,
    loss_curves,
    subgroup_losses,
    top_gain_shares,
)
from evalstats.discrimination.ranked import Component
from evalstats.errors import InputError
from evalstats.estimator import Diagnosis, Estimator
from evalstats.inference.methods import Bootstrap, Inference, InferenceOption, seeded_generator
from evalstats.options import require_count

Array = NDArray[np.float64]
MATRICES = ("AUROC loss", "AUPRC loss", "amplification")
HALVES = ("phi50 AUROC", "phi50 AUPRC", "phi50 ratio")


class AtomicMistakes(NamedTuple):
    """Adjacent pairs in the wrong order, from the highest score down.

    Attributes
    ----------
    positive_row, negative_row : int64 array (m,)
        Rows of the positive and of the negative directly above it.
    auroc_gain, auprc_gain : float64 array (m,)
        What exchanging the two scores adds to AUROC and to AUPRC.

    Examples
    --------
    >>> import evalstats as es
    >>> es.atomic_mistakes([0, 1, 0, 1], [0.9, 0.8, 0.3, 0.6]).negative_row.tolist()
    [0]
    """

    positive_row: NDArray[np.int64]
    negative_row: NDArray[np.int64]
    auroc_gain: Array
    auprc_gain: Array


@dataclass(frozen=True)
class Prepared:
    """One ranking per model and the group of every row."""

    components: list[Component]
    group: NDArray[np.int64]
    n_groups: int


class MistakeAnalysis(Estimator):
    """What AUROC and AUPRC lose, by score and by subgroup of the mistaken pair.

    Each discordant pair of a positive and a negative is a loss in both metrics; AUPRC weighs it by
    the inverse firing rate at the missed positive, and so favours repairs where scores are high.
    The *amplification* of a cell (group of the positive, group of the negative) is its share of
    the AUPRC loss over its share of the AUROC loss: above 1, optimising AUPRC spends more effort
    on that cell than AUROC does.

    Parameters
    ----------
    policy : {"argmax", "highest_score", "random"}
        Which mistake :meth:`simulate_fixes` repairs next: the one worth most to AUPRC, the one at
        the highest score, or a random one (all are worth the same to AUROC).
    pos_label : hashable, optional
        The positive class, needed unless labels are 0/1 or boolean.
    inference : "auto", Bootstrap, Jackknife or NoInference
        "auto" is the percentile bootstrap with 1000 replicates.
    level : float, default 0.95
        Confidence level.
    nan_policy : {"raise", "omit"}
        Refuse or drop rows with missing values.

    Attributes
    ----------
    estimate_ : Estimate
        Terms ``AUROC loss``, ``AUPRC loss`` and ``amplification`` for each pair of groups (the
        losses sum to 1 - metric), and the firing rates ``phi50`` that hold half of each loss.

    Notes
    -----
    O(n log n) to prepare, O(n + positives x groups) per replicate.

    References
    ----------
    McDermott, Zhang, Hansen, Angelotti and Gallifant (2024), theorem 1 and section 3.

    Examples
    --------
    >>> import evalstats as es
    >>> analysis = es.MistakeAnalysis(inference=es.NoInference())
    >>> y_true, y_score = [0, 1, 0, 1, 0, 1], [0.9, 0.8, 0.3, 0.2, 0.1, 0.7]
    >>> estimate = analysis.fit(y_true, y_score, group=list("aabbab")).estimate_
    >>> round(float(estimate.select(metric="AUROC loss").value.sum()), 4)
    0.4444
    """

    metric: ClassVar[str] = "Mistake analysis"
    verb: ClassVar[str] = "mistakes"
    roles: ClassVar[tuple[Role, ...]] = (
        Role("y_true", "label", help="column with the labels (0/1, or see --pos-label)"),
        Role("y_score", "score", per_model=True, help="column with the scores of a model"),
        Role("group", "code", required=False, help="column with the subgroup of each row"),
    )
    citation_keys: ClassVar[tuple[str, ...]] = ("mcdermott2024",)
    exceptions: ClassVar[Mapping[str, str]] = {
        "analytic": "ratios of losses are bootstrapped; no influence values are derived",
        "merge": "the subgroup matrices need the joint ranking of all rows",
    }

    def __init__(
        self,
        *,
        policy: Policy = "argmax",
        pos_label: Hashable | None = None,
        inference: InferenceOption = "auto",
        level: float = 0.95,
        nan_policy: NanPolicy = "raise",
    ) -> None:
        self.policy = policy
        self.pos_label = pos_label
        self.inference = inference
        self.level = level
        self.nan_policy = nan_policy

    def fit(
        self,
        y_true: ArrayLike | str,
        y_score: ArrayLike | Mapping[str, ArrayLike] | str | list[str],
        group: ArrayLike | str | None = None,
        *,
        data: Any = None,
        sample_weight: ArrayLike | str | None = None,
        cluster: ArrayLike | str | None = None,
        by: ArrayLike | str | list[str] | None = None,
    ) -> Self:
        """Decompose the losses of every model.

        Parameters
        ----------
        y_true : array-like (n,) or column name
            Labels: 0/1, boolean, or two values with `pos_label`.
        y_score : array-like (n,), (n, k), mapping of model name to array, or column names
            Scores of one or several models.
        group : array-like (n,) or column name, optional
            Subgroup of each row.
        data : data frame, optional
            Frame whose columns the arguments name.
        sample_weight : array-like (n,) or column name, optional
            Non-negative weights.
        cluster : array-like (n,) or column name, optional
            Rows of one cluster are sampled together.
        by : array-like (n,) or column names, optional
            Analyse separately in each group and stack the terms.

        Returns
        -------
        MistakeAnalysis
            The fitted estimator.

        Raises
        ------
        InputError
            If labels, scores or groups cannot be used, or a class is empty.
        """
        return self._fit(
            {"y_true": y_true, "y_score": y_score, "group": group},
            data=data,
            sample_weight=sample_weight,
            cluster=cluster,
            by=by,
        )

    def atomic_mistakes(self) -> pl.DataFrame:
        """Adjacent mistakes of every model with exact gains, largest AUPRC gain first.

        Returns
        -------
        polars.DataFrame
            ``model``, ``positive_row``, ``negative_row``, ``auroc_gain``, ``auprc_gain``, and the
            groups of both rows.
        """
        columns = self._fitted_columns()
        group, labels = _group_codes(columns)
        frames = []
        for model, scores in columns.models["y_score"].items():
            mistakes = AtomicMistakes(*self._mistakes(columns, scores))
            frames.append(
                pl.DataFrame(mistakes._asdict())
                .insert_column(
                    0, pl.Series("model", [model] * len(mistakes.positive_row), pl.String)
                )
                .with_columns(
                    pl.Series("positive_group", [labels[g] for g in group[mistakes.positive_row]]),
                    pl.Series("negative_group", [labels[g] for g in group[mistakes.negative_row]]),
                )
            )
        return pl.concat(frames).sort("model", "auprc_gain", descending=[False, True])

    def loss_curves(self) -> pl.DataFrame:
        """Cumulative share of each loss against the firing rate at the missed positive.

        Returns
        -------
        polars.DataFrame
            ``model``, ``metric``, ``firing_rate``, ``cumulative_share``.
        """
        columns = self._fitted_columns()
        frames = []
        for model, scores in columns.models["y_score"].items():
            component = Component.of(columns.single["y_true"], scores)
            rate, auroc_loss, auprc_loss, _, _ = loss_curves(*component.ranking, _weights(columns))
            for metric, loss in (("AUROC", auroc_loss), ("AUPRC", auprc_loss)):
                total = loss.sum()
                share = np.cumsum(loss) / total if total > 0 else np.full(len(loss), np.nan)
                frames.append(
                    pl.DataFrame({"firing_rate": rate, "cumulative_share": share}).select(
                        pl.lit(model).alias("model"), pl.lit(metric).alias("metric"), pl.all()
                    )
                )
        return pl.concat(frames)

    def gain_attribution(self, share: float = 0.5) -> pl.DataFrame:
        """Which groups hold the fewest mistakes that make up `share` of the attainable AUPRC gain.

        Parameters
        ----------
        share : float in (0, 1]
            Part of the summed gains of all atomic mistakes.

        Returns
        -------
        polars.DataFrame
            ``model``, ``group`` (of the positive), ``gain_share`` and ``count_share``.
        """
        if not 0 < share <= 1:
            raise InputError(f"share={share!r}: a share lies in (0, 1]")
        columns = self._fitted_columns()
        group, labels = _group_codes(columns)
        frames = []
        for model, scores in columns.models["y_score"].items():
            positive_row, _, _, gain = self._mistakes(columns, scores)
            gains, counts = top_gain_shares(gain, group[positive_row], len(labels), share)
            frames.append(
                pl.DataFrame(
                    {
                        "model": [model] * len(labels),
                        "group": [str(label) for label in labels],
                        "gain_share": gains,
                        "count_share": counts,
                    }
                )
            )
        return pl.concat(frames)

    def simulate_fixes(
        self, n_steps: int = 50, *, model: str | None = None, rng: int | None = 0
    ) -> FixTrajectory:
        """Repair one atomic mistake per step by `policy`, as a model builder would.

        Parameters
        ----------
        n_steps : int, default 50
            Number of repairs.
        model : str, optional
            Which model; the first by default.
        rng : int or None, default 0
            Seed of the random policy.

        Returns
        -------
        FixTrajectory
            AUROC and AUPRC of all rows and of each group before and after every repair.
        """
        require_count("n_steps", n_steps, minimum=0)
        columns = self._fitted_columns()
        models = columns.models["y_score"]
        name = next(iter(models)) if model is None else model
        if name not in models:
            raise InputError(f"model={model!r} is unknown: choose one of {list(models)}")
        group, labels = _group_codes(columns)
        return fix_mistakes(
            columns.single["y_true"],
            models[name],
            n_steps=n_steps,
            policy=self.policy,
            weight=columns.weight,
            group=group,
            n_groups=len(labels),
            rng=seeded_generator(rng),
        )

    def plot(self, ax: Any = None, *, model: str | None = None, **options: Any) -> Any:
        """Loss against firing rate, and the matrix of amplifications.

        Parameters
        ----------
        ax : sequence of two matplotlib Axes, optional
            Where to draw; a new figure by default.
        model : str, optional
            Which model; the first by default.
        **options
            As in :func:`evalstats.results.displays.plot_mistakes`.

        Returns
        -------
        sequence of matplotlib Axes
            The two axes drawn on.
        """
        from evalstats.results.displays import plot_mistakes

        names = self.estimate_.terms["model"].unique(maintain_order=True).to_list()
        chosen = names[0] if model is None else model
        frame = self.estimate_.select(model=chosen, metric="amplification").to_frame()
        curve = self.loss_curves().filter(pl.col("model") == chosen)
        return plot_mistakes(curve, frame, axes=ax, **options)

    def _mistakes(
        self, columns: Columns, scores: NDArray[Any]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], Array, Array]:
        component = Component.of(columns.single["y_true"], scores)
        return ranked_mistakes(*component.ranking, _weights(columns))

    def _check_params(self) -> None:
        super()._check_params()
        if self.policy not in POLICIES:
            raise InputError(f"policy={self.policy!r}: choose one of {', '.join(POLICIES)}")

    def _default_inference(self, columns: Columns) -> Inference:  # noqa: ARG002
        return Bootstrap(n_resamples=1000, rng=0)

    def _validate(self, columns: Columns) -> Columns:
        y_true = binary_labels("y_true", columns.single["y_true"], self.pos_label)
        scores = {
            model: finite_scores("y_score", column)
            for model, column in columns.models["y_score"].items()
        }
        extra: dict[str, Any] = {}
        single: dict[str, NDArray[Any]] = {"y_true": y_true}
        if "group" in columns.single:
            single["group"], extra["labels"] = dense_codes(columns.single["group"])
        return columns.with_columns(single, {"y_score": scores}, **extra)

    def _prepare(self, columns: Columns) -> Prepared:
        group, labels = _group_codes(columns)
        y_true = columns.single["y_true"]
        components = [Component.of(y_true, s) for s in columns.models["y_score"].values()]
        return Prepared(components, group, len(labels))

    def _evaluate(self, prepared: Prepared, weights: Array) -> Array:
        values = []
        for component in prepared.components:
            ranking = component.ranking
            auroc_loss, auprc_loss = subgroup_losses(
                *ranking, weights, prepared.group, prepared.n_groups
            )
            with np.errstate(divide="ignore", invalid="ignore"):
                amplification = (auprc_loss / auprc_loss.sum()) / (auroc_loss / auroc_loss.sum())
            rate, auroc_curve, auprc_curve, _, _ = loss_curves(*ranking, weights)
            half_auroc = firing_rate_at_share(rate, auroc_curve, 0.5)
            half_auprc = firing_rate_at_share(rate, auprc_curve, 0.5)
            ratio = half_auprc / half_auroc if half_auroc > 0 else np.nan
            values += [auroc_loss.ravel(), auprc_loss.ravel(), amplification.ravel()]
            values.append(np.array([half_auroc, half_auprc, ratio]))
        return np.concatenate(values)

    def _terms(self, columns: Columns) -> list[dict[str, Hashable]]:
        labels = [str(label) for label in _group_codes(columns)[1]]
        terms: list[dict[str, Hashable]] = []
        for model in columns.model_names:
            terms += [
                {
                    "metric": metric,
                    "model": model,
                    "positive_group": positive,
                    "negative_group": negative,
                }
                for metric in MATRICES
                for positive in labels
                for negative in labels
            ]
            terms += [
                {"metric": metric, "model": model, "positive_group": None, "negative_group": None}
                for metric in HALVES
            ]
        return terms

    def _diagnose(self, columns: Columns, prepared: Prepared) -> list[Diagnosis]:
        found: list[Diagnosis] = []
        for model, component in zip(columns.model_names, prepared.components, strict=True):
            tied = 1 - float(component.last_in_block.mean())
            if tied > 0.5:
                found.append(
                    (
                        "tied-mistakes",
                        f"{100 * tied:.0f} % of the scores of {model!r} repeat another one: tied "
                        "pairs are losses, but no atomic mistakes",
                    )
                )
        return found

    def _require_defined(
        self,
        columns: Columns,
        prepared: Prepared,  # noqa: ARG002
        value: Array,  # noqa: ARG002
    ) -> None:
        present = columns.single["y_true"]
        if columns.weight is not None:
            present = present[columns.weight > 0]
        if bool(present.all()) or not bool(present.any()):
            raise InputError("y_true has one class only, so there is no pair to be mistaken about")

    @classmethod
    def _example_arguments(cls, rng: np.random.Generator, n: int) -> dict[str, Any]:
        y_true = (rng.random(n) < 0.4).astype(np.int64)
        y_true[:2] = [1, 0]
        group = rng.integers(0, 2, n)
        signal = rng.normal(size=n) + y_true * (1 + 0.3 * group)
        scores = {"strong": signal, "weak": signal + rng.normal(size=n)}
        return {"y_true": y_true, "y_score": scores, "group": group}


def atomic_mistakes(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    pos_label: Hashable | None = None,
) -> AtomicMistakes:
    """Pairs of adjacent scores in the wrong order, with the exact gain of exchanging them.

    Parameters
    ----------
    y_true : array-like (n,)
        Labels: 0/1, boolean, or two values with `pos_label`.
    y_score : array-like (n,)
        Scores; tied rows are no mistake.
    sample_weight : array-like (n,), optional
        Non-negative weights.
    pos_label : hashable, optional
        The positive class.

    Returns
    -------
    AtomicMistakes
        Rows and gains, from the highest score down.

    Raises
    ------
    InputError
        If the input cannot be used.

    Notes
    -----
    O(n log n). Every repair is worth ``1 / (positives x negatives)`` to AUROC; to AUPRC it is
    worth the precision after the repair over ``positives x (rank + 1)`` (McDermott et al. 2024).

    Examples
    --------
    >>> import evalstats as es
    >>> mistakes = es.atomic_mistakes([0, 1, 0, 1], [0.9, 0.8, 0.3, 0.2])
    >>> mistakes.auroc_gain.tolist(), mistakes.auprc_gain.round(4).tolist()
    ([0.25, 0.25], [0.25, 0.0833])
    """
    estimator = MistakeAnalysis(pos_label=pos_label)
    columns = estimator.point_columns({"y_true": y_true, "y_score": y_score}, sample_weight)
    component = Component.of(columns.single["y_true"], columns.models["y_score"]["y_score"])
    return AtomicMistakes(*ranked_mistakes(*component.ranking, _weights(columns)))


def _weights(columns: Columns) -> Array:
    return np.ones(columns.n) if columns.weight is None else columns.weight


def _group_codes(columns: Columns) -> tuple[NDArray[np.int64], list[Hashable]]:
    if "group" not in columns.single:
        return np.zeros(columns.n, dtype=np.int64), ["all"]
    return columns.single["group"], columns.extra["labels"]
