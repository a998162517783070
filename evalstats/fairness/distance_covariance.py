"""Dependence between predictions and protected attributes, with standard errors and tests."""

from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from evalstats.data.columns import Columns, Role
from evalstats.data.intake import NanPolicy
from evalstats.data.validation import computable
from evalstats.errors import InputError
from evalstats.estimator import Diagnosis
from evalstats.fairness.audit import Audit, Kind, audit_of, geometry_of_columns, rankings_of
from evalstats.fairness.counted_state import CountedRowsEstimator
from evalstats.fairness.encoding import Attribute, Balance, Encoding, Types, encode
from evalstats.fairness.functions import (
    Version,
    require_constant,
    require_counts,
    require_rows,
    require_version,
)
from evalstats.fairness.geometry import CellGeometry
from evalstats.fairness.groups import diagnose_cells, group_table, interaction_table
from evalstats.fairness.parity import parity_table
from evalstats.inference.methods import Bootstrap, InferenceOption, RandomSource

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

NEAR_NULL = 0.05


class DistanceCovariance(CountedRowsEstimator):
    """Squared distance covariance of predictions and protected attributes, 0 for parity.

    Demographic parity asks that the prediction is independent of all protected attributes jointly.
    Distance covariance is 0 in the population if and only if it is, whatever the type of the
    attributes: binary, nominal, ordinal or continuous, without binning.

    Parameters
    ----------
    kind : {"concatenated", "joint", "marginal"}
        ``"concatenated"``: the prediction against all attributes side by side (CCdCov).
        ``"joint"``: joint distance covariance (JdCov), the part that involves the prediction
        first. ``"marginal"``: each attribute alone, which can miss what an intersection shows.
    estimator : {"unbiased", "biased"}
        U-centred (may be negative) or V-statistic (never negative).
    c : float, default 1.0
        Constant of the joint version; large values stress pairs, small ones interactions.
    encoding : {"default", "paper"}
        ``"default"``: levels of a nominal attribute are 1 apart, continuous ones are divided by
        their standard deviation. ``"paper"``: sqrt(2) apart and divided by their range.
    balance : {"mean-distance"}, optional
        Divide the distances of each attribute by their mean over all pairs of rows, so that none
        dominates side by side with others. By default they stay as encoded.
    nominal, ordinal, continuous : list of str, optional
        Types of attributes that hold whole numbers with more than two values. Labels are nominal,
        two values binary, fractions continuous without being asked.
    levels : mapping of str to list, optional
        Levels of ordinal attributes with labels, from low to high.
    inference : "auto", Analytic, Bootstrap, Jackknife or NoInference
        How the sampling distribution is obtained; "auto" is analytic.
    level : float, default 0.95
        Confidence level.
    nan_policy : {"raise", "omit"}
        Refuse or drop rows with missing values.

    Attributes
    ----------
    estimate_ : Estimate
        Per model the covariance and, for one pair of variables, the distance correlation, which has
        no unit. Covariances of two models compare only if both predict on one scale.

    Notes
    -----
    O(n log n) to prepare and O(nK) per value with K joint levels of the attributes; O(n log n) for
    one continuous attribute; else O(n^2) time and O(n) memory.

    Standard errors come from the influence function of the V-statistic. Near independence it
    vanishes and neither it nor the bootstrap is valid: the warning ``near-null`` says so, the
    bootstrap is refused, and :meth:`test` answers the question.

    References
    ----------
    Lee, Antonio, Avanzi, Marchi and Zhou (2025), arXiv:2509.08163; Szekely, Rizzo and Bakirov
    (2007); Szekely and Rizzo (2014); Chakraborty and Zhang (2019).

    Examples
    --------
    >>> import numpy as np
    >>> import evalstats as es
    >>> rng = np.random.default_rng(0)
    >>> sex, region = rng.integers(0, 2, 400), rng.choice(["north", "south"], 400)
    >>> price = rng.normal(size=400) + 0.8 * (sex == (region == "north"))
    >>> audit = es.DistanceCovariance().fit(price, {"sex": sex, "region": region})
    >>> audit.estimate_.value.round(3).tolist()
    [0.016, 0.043]
    """

    metric: ClassVar[str] = "Distance covariance"
    unit: ClassVar[str] = "person"
    verb: ClassVar[str] = "fairness"
    roles: ClassVar[tuple[Role, ...]] = (
        Role("prediction", "score", per_model=True, help="column with the prediction of a model"),
        Role("protected", "code", per_model=True, help="columns with the protected attributes"),
    )
    higher_is_better: ClassVar[bool | None] = False
    citation_keys: ClassVar[tuple[str, ...]] = ("lee2025", "szekely2007")
    weights_are_counts: ClassVar[bool] = True
    exceptions: ClassVar[Mapping[str, str]] = {
        "scale_of_weights_does_not_matter": "the unbiased statistic of every row twice is another "
        "number: it corrects for the number of rows; the biased one has its own test",
        "analytic": "the unbiased statistic takes the influence of the biased one, which it "
        "differs from by O(1/n); that of the biased one is tested against its derivative",
    }

    def __init__(
        self,
        *,
        kind: Kind = "concatenated",
        estimator: Version = "unbiased",
        c: float = 1.0,
        encoding: Encoding = "default",
        balance: Balance | None = None,
        nominal: list[Hashable] | None = None,
        ordinal: list[Hashable] | None = None,
        continuous: list[Hashable] | None = None,
        levels: Mapping[str, Sequence[Hashable]] | None = None,
        inference: InferenceOption = "auto",
        level: float = 0.95,
        nan_policy: NanPolicy = "raise",
    ) -> None:
        self.kind = kind
        self.estimator = estimator
        self.c = c
        self.encoding = encoding
        self.balance = balance
        self.nominal = nominal
        self.ordinal = ordinal
        self.continuous = continuous
        self.levels = levels
        self.inference = inference
        self.level = level
        self.nan_policy = nan_policy

    def fit(
        self,
        prediction: ArrayLike | Mapping[str, ArrayLike] | str | list[str],
        protected: ArrayLike | Mapping[str, ArrayLike] | str | list[str],
        *,
        data: Any = None,
        sample_weight: ArrayLike | str | None = None,
        cluster: ArrayLike | str | None = None,
        by: ArrayLike | str | list[str] | None = None,
    ) -> Self:
        """Estimate the dependence of every model's prediction on the protected attributes.

        Parameters
        ----------
        prediction : array-like (n,), (n, k), mapping of model name to array, or column names
            One number per person: a price, a frequency, a probability, a score.
        protected : array-like (n,), frame, mapping of attribute name to array, or column names
            One or several protected attributes of any type.
        data : data frame, optional
            polars, pandas, pyarrow or any Arrow-capable frame; role arguments are then names.
        sample_weight : array-like (n,) or column name, optional
            A weight of 2 is a row twice; whole numbers unless ``estimator="biased"``.
        cluster : array-like (n,) or column name, optional
            Rows of one cluster (household, policyholder) are sampled together.
        by : array-like (n,) or column names, optional
            Fit separately in each group and stack the terms; the encoding is that of all rows.

        Returns
        -------
        DistanceCovariance
            The fitted estimator.

        Raises
        ------
        InputError
            If a column cannot be used, an attribute needs a type, or rows are too few.
        """
        return self._fit(
            {"prediction": prediction, "protected": protected},
            data=data,
            sample_weight=sample_weight,
            cluster=cluster,
            by=by,
        )

    def test(
        self,
        method: Literal["chi-square", "permutation"] = "chi-square",
        *,
        n_resamples: int = 999,
        rng: RandomSource = 0,
        adjust: str | None = "holm",
    ) -> pl.DataFrame:
        """Test demographic parity: the prediction is independent of the attributes jointly.

        Parameters
        ----------
        method : {"chi-square", "permutation"}
            ``"chi-square"``: P(chi2_1 > n dCor2_U + 1), conservative up to the 5 % level, not meant
            for larger ones. ``"permutation"``: the prediction is permuted against whole rows of
            attributes, exact at any level; the only one for ``kind="joint"``.
        n_resamples : int, default 999
            Random permutations.
        rng : int, SeedSequence, Generator or None, default 0
            Source of randomness; every permutation has a stream of its own.
        adjust : str or None, default "holm"
            Adjustment of the p-values over all tests.

        Returns
        -------
        polars.DataFrame
            ``model`` (and ``attribute``), ``statistic``, ``p_value``, ``p_adjusted``, ``test``, n.

        Raises
        ------
        InputError
            With weights, clusters or groups, for which these tests are not valid.
        """
        columns = self._fitted_columns()
        if columns.weight is not None or columns.cluster is not None or columns.group is not None:
            raise InputError(
                "tests of parity need independent rows that count alike: fit without "
                "sample_weight, cluster and by (or one group at a time)"
            )
        if adjust == "max-t":
            raise InputError("adjust='max-t' needs a joint distribution: choose 'holm'")
        if method not in ("chi-square", "permutation"):
            raise InputError(f"method={method!r}: choose 'chi-square' or 'permutation'")
        if method == "chi-square" and self.kind == "joint":
            raise InputError("kind='joint' has no chi-square test: use method='permutation'")
        return parity_table(
            self._prepare(columns),
            columns,
            self._geometry_labels(columns),
            None if method == "chi-square" else n_resamples,
            rng,
            adjust,
        )

    def marginals(self) -> Self:
        """Fit each attribute alone, on the same rows.

        Returns
        -------
        DistanceCovariance
            A fitted estimator with ``kind="marginal"``.
        """
        parameters = {**self.get_params(), "kind": "marginal"}
        other = type(self)(**parameters)
        other.estimate_ = other._estimate(self._fitted_columns())
        other._columns_seen = self._columns_seen
        return other

    def interactions(self) -> pl.DataFrame:
        """Distance covariance of the prediction with every subset of the attributes.

        Returns
        -------
        polars.DataFrame
            ``model``, ``attributes``, ``order`` (number of attributes) and ``estimate``, the
            dCov2 of that order (mean of the product of U over prediction and subset). Their sum,
            weighted by c^(p - order), is the part of JdCov2 that involves the prediction.

        Raises
        ------
        InputError
            If the attributes have too many joint levels for cells.
        """
        columns = self._fitted_columns()
        geometry = geometry_of_columns(
            columns, list(columns.extra["attributes"]), joint=True, c=1.0
        )
        if not isinstance(geometry, CellGeometry):
            raise InputError(
                "protected has too many joint levels for a table of interactions: round the "
                "continuous attributes"
            )
        weights = np.ones(columns.n) if columns.weight is None else columns.weight
        rankings = rankings_of(columns)
        return interaction_table(
            geometry,
            dict(zip(columns.model_names, rankings, strict=True)),
            list(columns.extra["attributes"]),
            weights,
            self.estimator == "unbiased",
        )

    def groups(
        self,
        outcome: ArrayLike | None = None,
        *,
        exposure: ArrayLike | None = None,
        min_n: int = 10,
    ) -> pl.DataFrame:
        """Mean prediction of every joint level and of every level of each attribute.

        Parameters
        ----------
        outcome : array-like (n,), optional
            What was observed; adds the mean outcome and actual over expected.
        exposure : array-like (n,), optional
            Exposure of each row; adds its sum.
        min_n : int, default 10
            Means of groups with fewer rows are suppressed.

        Returns
        -------
        polars.DataFrame
            ``model``, ``attribute``, ``level``, ``n``, ``estimate`` with its standard error and
            interval, ``ratio`` to the overall mean, ``shrunken`` mean, ``four_fifths`` (ratio to
            the highest group below 0.8).
        """
        return group_table(
            self._fitted_columns(), outcome, exposure, min_n=min_n, level=float(self.level)
        )

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        what: Literal["distributions", "interactions", "groups", "estimates"] = "distributions",
        **options: Any,
    ) -> "Axes":
        """Draw where the dependence sits.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.
        what : {"distributions", "interactions", "groups", "estimates"}
            Group distribution functions, whose spread is what distance covariance adds up; a map of
            every subset of attributes; mean predictions of the groups; or the estimates.
        **options
            Passed on; ``model=`` chooses a model.

        Returns
        -------
        matplotlib Axes
            The axes drawn on.
        """
        from evalstats.fairness.views import draw

        if what == "estimates":
            return super().plot(ax, **options)
        return draw(self, self._fitted_columns(), ax, what, options)

    # The contract ---------------------------------------------------------------------------

    def _check_params(self) -> None:
        super()._check_params()
        require_version(self.estimator)
        require_constant(self.c)
        if self.kind not in ("concatenated", "joint", "marginal"):
            raise InputError(f"kind={self.kind!r}: choose 'concatenated', 'joint' or 'marginal'")
        if self.encoding not in ("default", "paper"):
            raise InputError(f"encoding={self.encoding!r}: choose 'default' or 'paper'")
        if self.balance not in (None, "mean-distance"):
            raise InputError(f"balance={self.balance!r}: choose 'mean-distance' or None")

    def _validate(self, columns: Columns) -> Columns:
        several = len(columns.models["prediction"]) > 1
        predictions = {
            model: computable(f"prediction[{model!r}]" if several else "prediction", column)
            for model, column in columns.models["prediction"].items()
        }
        if self.estimator == "unbiased" and columns.weight is not None:
            require_counts(columns.weight)
        types = Types(self.nominal or (), self.ordinal or (), self.continuous or (), self.levels)
        types.check(list(columns.models["protected"]))
        attributes: dict[str, Attribute] = {}
        codes = {}
        for name, column in columns.models["protected"].items():
            attributes[name], codes[name] = encode(
                name, column, types, self.encoding, columns.weight
            )
            if self.balance is not None:
                attributes[name] = attributes[name].balanced(codes[name], columns.weight)
        models = {"prediction": predictions, "protected": codes}
        return columns.with_columns(models=models, attributes=attributes)

    def _prepare(self, columns: Columns) -> Audit:
        return audit_of(columns, self.kind, float(self.c), self.estimator == "unbiased")

    def _evaluate(self, prepared: Audit, weights: Array) -> Array:
        return prepared.values(weights)

    def _influence(self, prepared: Audit, weights: Array) -> Array:
        return prepared.influence(weights)

    def _geometry_labels(self, columns: Columns) -> list[dict[str, Hashable]]:
        if self.kind == "marginal":
            return [{"attribute": name} for name in columns.extra["attributes"]]
        return [{}]

    def _terms(self, columns: Columns) -> list[dict[str, Hashable]]:
        metrics = {
            "concatenated": ("CCdCov²", "dCor²"),
            "joint": ("JdCov² of the prediction", "JdCov²"),
            "marginal": ("dCov²", "dCor²"),
        }[self.kind]
        return [
            {"metric": metric, "model": model, **labels}
            for model in columns.model_names
            for labels in self._geometry_labels(columns)
            for metric in metrics
        ]

    def _require_defined(self, columns: Columns, prepared: Audit, value: Array) -> None:  # noqa: ARG002
        weights = np.ones(columns.n) if columns.weight is None else columns.weight
        if self.estimator == "unbiased":
            require_rows(float(weights.sum()))
        resampled = isinstance(self.inference, Bootstrap) and self.inference.kind != "multiplier"
        unclear = [p > NEAR_NULL for p in prepared.p_values]
        if resampled and any(unclear):
            model = columns.model_names[unclear.index(True)]
            raise InputError(
                f"prediction of {model!r} is not clearly dependent on the attributes (p = "
                f"{prepared.p_values[unclear.index(True)]:.2g}), and the bootstrap of a distance "
                "covariance fails near independence: use inference='auto' and test()"
            )

    def _diagnose(self, columns: Columns, prepared: Audit) -> list[Diagnosis]:
        found: list[Diagnosis] = []
        for model, ranking, p_value in zip(
            columns.model_names, prepared.rankings, prepared.p_values, strict=True
        ):
            if ranking.y[0] == ranking.y[-1]:
                found.append(
                    (
                        "constant-score",
                        f"constant prediction: {model!r} is independent of everything",
                    )
                )
            elif p_value > NEAR_NULL:
                found.append(
                    (
                        "near-null",
                        f"{model!r}: independence is not rejected (p = {p_value:.2g}), and near "
                        "independence standard errors and intervals are not valid: see test()",
                    )
                )
        return found + diagnose_cells(columns)

    def _remarks(self, columns: Columns) -> list[str]:
        kinds = ", ".join(
            f"{name}: {item.kind}" for name, item in columns.extra["attributes"].items()
        )
        balance = "" if self.balance is None else ", balanced by mean distance"
        remarks = [f"attributes ({self.encoding} encoding{balance}) {kinds}"]
        if self.kind == "joint" and len(columns.extra["attributes"]) > 1:
            remarks.append(
                "JdCov² also counts dependence among the attributes, which no model can change"
            )
        return remarks

    def _analytic_name(self, columns: Columns) -> str:
        clustered = "cluster-robust " if columns.cluster is not None else ""
        return f"{clustered}influence-function standard errors of the V-statistic"

    @classmethod
    def _example_arguments(cls, rng: np.random.Generator, n: int) -> dict[str, Any]:
        sex = rng.integers(0, 2, n)
        region = rng.integers(0, 3, n)
        shift = 1.5 * sex + 1.2 * (region == 1)
        return {
            "prediction": {
                "tariff": shift + rng.normal(size=n),
                "fairer": 0.8 * shift + np.round(rng.normal(size=n), 1),
            },
            "protected": {
                "sex": sex,
                "region": np.array(["north", "south", "west"])[region],
            },
        }
