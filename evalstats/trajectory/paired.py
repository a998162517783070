"""Two predictors on the same truth: exchange within clusters, and one long recording."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.data.columns import Columns, dense_codes
from evalstats.errors import InputError
from evalstats.inference.methods import RandomSource
from evalstats.inference.permutation import paired_swap_test
from evalstats.inference.units import Units
from evalstats.results.comparison import tail_probability
from evalstats.trajectory.scored import Scored

Array = NDArray[np.float64]
MIN_PERIODS = 10


class PairedForecasts:
    """Adds paired tests of two predictors to an estimator of forecasts."""

    def permutation_test(
        self: Any,
        reference: str | None = None,
        model: str | None = None,
        *,
        n_resamples: int = 9999,
        alternative: str = "two-sided",
        rng: RandomSource = 0,
    ) -> pl.DataFrame:
        """Exchange the two models within random clusters (for means a random sign).

        Parameters
        ----------
        reference, model : str, optional
            The two models; the first and the second by default.
        n_resamples : int, default 9999
            Random exchanges.
        alternative : {"two-sided", "greater", "less"}
            Direction of the alternative for model - reference.
        rng : int, SeedSequence, Generator or None, default 0
            Source of randomness.

        Returns
        -------
        polars.DataFrame
            One row per score: ``metric``, ``model``, ``reference``, ``estimate``, ``p_value``,
            ``n_units``.

        Raises
        ------
        InputError
            If fewer than two models were fitted, a name is unknown, or ``by=`` was used.
        """
        columns = _ungrouped(self._fitted_columns(), "permutation_test")
        first, second = _two_models(columns, model, reference)
        pair = _only(columns, [first, second])
        units = Units(
            pair.n,
            pair.n if pair.cluster is None else int(pair.cluster.max()) + 1,
            pair.cluster,
            pair.weight,
        )
        names = [row["metric"] for row in self._terms(pair)]
        half = len(names) // 2
        rows = []
        for position in range(half):

            def difference(swap: NDArray[np.bool_], position: int = position) -> float:
                value = self._value_of(_swapped(pair, swap))
                return float(value[position] - value[half + position])

            observed, p_value = paired_swap_test(difference, units, n_resamples, alternative, rng)
            rows.append(
                {
                    "metric": names[position],
                    "model": first,
                    "reference": second,
                    "estimate": observed,
                    "p_value": p_value,
                    "n_units": int(units.active.sum()),
                }
            )
        return pl.DataFrame(rows)

    def diebold_mariano(
        self: Any,
        reference: str | None = None,
        model: str | None = None,
        *,
        lags: int | None = None,
        alternative: str = "two-sided",
    ) -> pl.DataFrame:
        """Test equal scores along one recording, with a variance robust to serial dependence.

        The scores of each window (scene, or agents of one `start`) form a series in time; the
        mean of its differences is divided by its Newey-West standard error.

        Parameters
        ----------
        reference, model : str, optional
            The two models; the first and the second by default.
        lags : int, optional
            Lags of the Bartlett kernel. By default the windows that overlap with one window,
            but at least ``4 (n / 100)^(2/9)``.
        alternative : {"two-sided", "greater", "less"}
            Direction of the alternative for model - reference.

        Returns
        -------
        polars.DataFrame
            One row per score: ``metric``, ``model``, ``reference``, ``estimate`` (mean over
            windows), ``standard_error``, ``statistic``, ``p_value``, ``lags``, ``n_windows``.

        Raises
        ------
        InputError
            Without ``start=``, with fewer than 10 windows, or if a name is unknown.

        References
        ----------
        Diebold and Mariano (1995), Journal of Business & Economic Statistics 13.
        """
        columns = _ungrouped(self._fitted_columns(), "diebold_mariano")
        if "start" not in columns.single:
            raise InputError("diebold_mariano needs start= in fit: the first frame of each agent")
        first, second = _two_models(columns, model, reference)
        pair = _only(columns, [first, second])
        times, labels = dense_codes(pair.single["start"])
        if len(labels) < MIN_PERIODS:
            raise InputError(
                f"diebold_mariano needs at least {MIN_PERIODS} windows in time, not {len(labels)}"
            )
        series = np.stack(
            [
                self._value_of(pair.take(np.flatnonzero(times == code)))
                for code in range(len(labels))
            ]
        )
        if lags is None:
            spacing = float(np.median(np.diff(np.array(labels, dtype=np.float64))))
            overlap = int(np.ceil(self._window(pair) / spacing)) - 1
            lags = max(overlap, int(4 * (len(labels) / 100) ** (2 / 9)))
        lags = min(int(lags), len(labels) - 2)
        names = [row["metric"] for row in self._terms(pair)]
        half = len(names) // 2
        rows = []
        for position in range(half):
            difference = series[:, position] - series[:, half + position]
            error = newey_west_error(difference, lags)
            estimate = float(difference.mean())
            statistic = estimate / error if error > 0 else float("nan")
            df = np.array([len(labels) - 1.0])
            rows.append(
                {
                    "metric": names[position],
                    "model": first,
                    "reference": second,
                    "estimate": estimate,
                    "standard_error": error,
                    "statistic": statistic,
                    "p_value": float(tail_probability(np.array([statistic]), df, alternative)[0]),
                    "lags": lags,
                    "n_windows": len(labels),
                }
            )
        return pl.DataFrame(rows)


def newey_west_error(series: Array, lags: int) -> float:
    """Standard error of a mean under serial dependence (Bartlett kernel), by statsmodels."""
    import statsmodels.api as sm

    fitted = sm.OLS(series, np.ones(len(series))).fit(
        cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True}
    )
    return float(fitted.bse[0])


def _ungrouped(columns: Columns, method: str) -> Columns:
    if columns.group is not None:
        raise InputError(f"{method} tests all agents together: fit without by=")
    return columns


def _two_models(columns: Columns, model: str | None, reference: str | None) -> tuple[str, str]:
    names = columns.model_names
    if len(names) < 2:
        raise InputError("a paired test needs two models: pass a mapping of name to samples")
    for argument, name in (("reference", reference), ("model", model)):
        if name is not None and name not in names:
            raise InputError(f"{argument}={name!r} is no model: choose one of {names}")
    reference = reference or next(name for name in names if name != model)
    model = model or next(name for name in names if name != reference)
    if model == reference:
        raise InputError(f"model and reference are both {model!r}: choose two models")
    return model, reference


def _only(columns: Columns, models: list[str]) -> Columns:
    samples = columns.models["samples"]
    return columns.with_columns(models={"samples": {name: samples[name] for name in models}})


def _swapped(pair: Columns, swap: NDArray[np.bool_]) -> Columns:
    """Exchange the scores of the two models in the given rows."""
    first, second = pair.models["samples"].items()
    exchanged: Any = {}
    for (name, own), (_, other) in ((first, second), (second, first)):
        mine: Scored = own  # type: ignore[assignment]
        theirs: Scored = other  # type: ignore[assignment]
        fields = {
            key: np.where(swap.reshape((-1,) + (1,) * (array.ndim - 1)), theirs.field(key), array)
            for key, array in mine.fields.items()
        }
        exchanged[name] = Scored(fields)
    return pair.with_columns(models={"samples": exchanged})
