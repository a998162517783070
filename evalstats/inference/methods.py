"""The ``inference=`` argument: small immutable configuration objects."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

import numpy as np

from evalstats.errors import InputError
from evalstats.options import require_count, require_declared_types

WeightKind = Literal["probability", "frequency"]
BootstrapInterval = Literal[
    "percentile", "expanded", "basic", "bias_corrected", "bca", "studentized"
]
BootstrapKind = Literal["multinomial", "poisson", "bayesian", "multiplier"]
RandomSource: TypeAlias = "int | np.random.SeedSequence | np.random.Generator | None"


@dataclass(frozen=True)
class Analytic:
    """Standard errors from influence values (DeLong, sandwich), without resampling.

    Parameters
    ----------
    weight_kind : {"probability", "frequency"}, default "probability"
        How ``sample_weight`` enters the standard error. Probability weights (sampling or
        importance weights) give the sandwich; frequency weights are counts of identical rows, so
        that the result equals that of the repeated rows.

    Examples
    --------
    >>> import evalstats as es
    >>> es.AUROC(inference=es.Analytic()).fit([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.9]).estimate_.n_units
    4
    """

    weight_kind: WeightKind = "probability"

    def __post_init__(self) -> None:
        _require("weight_kind", self.weight_kind, ("probability", "frequency"))

    def describe(self) -> str:
        """Return the short name that tables show."""
        return "analytic"


@dataclass(frozen=True)
class Bootstrap:
    """Resample units with replacement, as weights, in compiled chunks.

    Parameters
    ----------
    n_resamples : int, default 2000
        Number of replicates B.
    interval : {"percentile", "expanded", "basic", "bias_corrected", "bca", "studentized"}
        How replicates become an interval. ``"expanded"`` takes percentiles as much further out as
        those of a mean fall short in a sample of this size (Hesterberg 2015);
        ``"bias_corrected"`` is the normal (or t) interval around the estimate minus its estimated
        bias, for statistics that a small sample biases.
    kind : {"multinomial", "poisson", "bayesian", "multiplier"}, default "multinomial"
        Distribution of the weights: counts of a resample of fixed size, independent Poisson(1)
        counts, Dirichlet (standard exponential) weights, or Gaussian multipliers of the influence
        values, which never re-evaluate the metric.
    stratify : str, array-like or None, default None
        Resample within strata: the name of a role (``"y_true"`` fixes the class sizes, as pROC
        does), or one stratum per row.
    rng : int, SeedSequence, Generator or None, default None
        Source of the 64-bit key from which every replicate derives its own stream. A Generator is
        consumed once per fit.
    n_jobs : int or None, default None
        Threads. None uses the active ``joblib.parallel_config``, else all cores. The result does
        not depend on it.
    double : bool, default False
        Resample each resample once more and estimate the bias as ``2 b1 - b2``, where b1 is the
        mean change from the data to the resamples and b2 that from those to theirs. It serves
        ``interval="bias_corrected"`` where a resample is more biased than the data (Efron and
        Tibshirani 1993, ch. 10; Hall and Martin 1988), and doubles the work.

    Raises
    ------
    InputError
        If an option is unknown or `n_resamples` is below 2.

    Examples
    --------
    >>> import evalstats as es
    >>> bootstrap = es.Bootstrap(n_resamples=200, stratify="y_true", rng=0)
    >>> auc = es.AUROC(inference=bootstrap).fit([0, 1, 0, 1, 1, 0], [0.1, 0.4, 0.5, 0.9, 0.7, 0.2])
    >>> auc.estimate_.replicates.shape
    (200, 1)
    """

    n_resamples: int = 2000
    interval: BootstrapInterval = "percentile"
    kind: BootstrapKind = "multinomial"
    stratify: object = None
    rng: RandomSource = None
    n_jobs: int | None = None
    double: bool = False

    def __post_init__(self) -> None:
        require_declared_types(
            type(self).__init__, {name: getattr(self, name) for name in ("n_jobs", "double")}
        )
        require_count("n_resamples", self.n_resamples, minimum=2)
        _require("interval", self.interval, get_args(BootstrapInterval))
        _require("kind", self.kind, ("multinomial", "poisson", "bayesian", "multiplier"))
        if self.double and self.kind != "multinomial":
            raise InputError(
                f"double=True resamples counts: use kind='multinomial', not {self.kind!r}"
            )
        if isinstance(self.rng, np.random.RandomState):
            raise InputError("rng is a RandomState: pass an int or numpy.random.default_rng(seed)")

    def describe(self) -> str:
        """Return the short name that tables show."""
        stratified = ", stratified" if self.stratify is not None else ""
        double = "double " if self.double else ""
        return f"{double}bootstrap ({self.interval}, {self.kind}{stratified}, B={self.n_resamples})"


@dataclass(frozen=True)
class Jackknife:
    """Leave out one unit (or one cluster) at a time; also estimates the bias.

    Examples
    --------
    >>> import evalstats as es
    >>> ap = es.AUPRC(inference=es.Jackknife())
    >>> estimate = ap.fit([0, 1, 0, 1, 1], [0.1, 0.4, 0.5, 0.9, 0.7]).estimate_
    >>> bool(estimate.standard_error[0] > 0)
    True
    """

    def describe(self) -> str:
        """Return the short name that tables show."""
        return "jackknife"


@dataclass(frozen=True)
class NoInference:
    """Point estimates only; standard errors and intervals are NaN.

    Examples
    --------
    >>> import evalstats as es
    >>> auc = es.AUROC(inference=es.NoInference()).fit([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.9])
    >>> float(auc.estimate_.standard_error[0])
    nan
    """

    def describe(self) -> str:
        """Return the short name that tables show."""
        return "none"


Inference: TypeAlias = Analytic | Bootstrap | Jackknife | NoInference
InferenceOption: TypeAlias = Inference | Literal["auto"]


def require_inference(inference: object) -> None:
    """Refuse anything but ``"auto"`` and the four configuration objects."""
    if isinstance(inference, Analytic | Bootstrap | Jackknife | NoInference):
        return
    if isinstance(inference, str) and inference == "auto":
        return
    raise InputError(
        f"inference={inference!r}: pass 'auto', Analytic(), Bootstrap(...), Jackknife() or "
        "NoInference()"
    )


_automatic_seed: ContextVar[int] = ContextVar("evalstats_automatic_seed", default=0)


@contextmanager
def automatic_inference_seeded(seed: int) -> Iterator[None]:
    """Seed the resampling that ``inference="auto"`` chooses inside the block; 0 elsewhere."""
    token = _automatic_seed.set(seed)
    try:
        yield
    finally:
        _automatic_seed.reset(token)


def automatically_seeded(inference: Inference) -> Inference:
    """The inference that an estimator chose itself, with the seed of the surrounding block."""
    if isinstance(inference, Bootstrap) and inference.rng == 0:
        return replace(inference, rng=_automatic_seed.get())
    return inference


def seeded_generator(rng: RandomSource) -> np.random.Generator:
    """Return a generator of numpy, for work that is not resampling.

    Raises
    ------
    InputError
        If `rng` is no seed.
    """
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise _no_seed(rng) from error


def _no_seed(rng: object) -> InputError:
    return InputError(f"rng={rng!r}: pass an integer >= 0, numpy.random.default_rng(seed) or None")


def random_key(rng: RandomSource) -> tuple[int, int]:
    """Derive the 64-bit key of the counter-based streams, as two 32-bit words."""
    if isinstance(rng, np.random.Generator):
        drawn = rng.integers(0, 2**32, size=2, dtype=np.uint32)
        return int(drawn[0]), int(drawn[1])
    try:
        sequence = rng if isinstance(rng, np.random.SeedSequence) else np.random.SeedSequence(rng)
    except (TypeError, ValueError) as error:
        raise _no_seed(rng) from error
    words = sequence.generate_state(2, np.uint32)
    return int(words[0]), int(words[1])


def _require(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if not isinstance(value, str) or value not in allowed:
        options = ", ".join(repr(option) for option in allowed)
        raise InputError(f"{name}={value!r} is unknown: choose one of {options}")
