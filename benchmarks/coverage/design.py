"""What a design is: a population with known truths, and procedures tried on its samples."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np

import evalstats as es

LEVEL = 0.95
NAN = float("nan")
EXACT = "closed form"
# Samples of estimators that take below 20 ms with all their procedures, about 50 ms, and more.
CHEAP = 2000
MEDIUM = 1000
DEAR = 500


class Reading(NamedTuple):
    """What one procedure says about one target in one sample; NaN where it says nothing.

    Attributes
    ----------
    value, error : float
        Estimate and standard error.
    low, high : float
        Limits of the interval.
    p_value : float
        Of a test of the hypothesis that the target is zero (or that what it names holds).
    covered : float
        1 or 0 where coverage concerns a whole curve and not one number.
    """

    value: float = NAN
    error: float = NAN
    low: float = NAN
    high: float = NAN
    p_value: float = NAN
    covered: float = NAN


Arguments = dict[str, Any]
Readings = dict[str, Reading]


class Population(Protocol):
    """Where samples come from."""

    def draw(self, rng: np.random.Generator) -> Arguments:
        """Arguments of ``fit`` for one sample."""
        ...

    def truths(self) -> dict[str, float]:
        """Population value of each target; 0 for a test whose hypothesis holds, else NaN."""
        ...


@dataclass(frozen=True)
class Procedure:
    """One way to an interval or a test.

    Attributes
    ----------
    label : str
        Shown in the table.
    run : callable
        Arguments of ``fit`` and a seed to the readings of the targets.
    control : bool
        A procedure that is known to fail, shown for contrast.
    default : bool
        What a user gets without asking for anything.
    """

    label: str
    run: Callable[[Arguments, int], Readings]
    control: bool = False
    default: bool = False


@dataclass(frozen=True)
class Design:
    """One line of the declarative list.

    Attributes
    ----------
    name : str
        Unique; selects the streams of random numbers.
    metric, about : str
        What is estimated, and the population in words.
    n : int
        Units of one sample.
    clusters, imbalance, ties : str
        What is hard about the sample; empty where nothing is.
    truth_source : str
        How the population values are known.
    replicates : int
        Samples of the recorded run.
    """

    name: str
    metric: str
    about: str
    n: int
    population: Population
    procedures: tuple[Procedure, ...]
    clusters: str = ""
    imbalance: str = ""
    ties: str = ""
    truth_source: str = EXACT
    replicates: int = CHEAP

    @property
    def family(self) -> str:
        """First part of the name."""
        return self.name.split("/")[0]


@dataclass(frozen=True)
class Fit:
    """Fit an estimator and read its terms: the usual ``run`` of a procedure.

    Attributes
    ----------
    estimator : callable
        Makes the unfitted estimator from a seed.
    read : callable
        Fitted estimator to readings.
    without : tuple of str
        Arguments that are left out, such as the clusters in a negative control.
    """

    estimator: Callable[[int], Any]
    read: Callable[[Any], Readings]
    without: tuple[str, ...] = ()

    def __call__(self, arguments: Arguments, seed: int) -> Readings:
        """Fit to one sample."""
        given = {name: item for name, item in arguments.items() if name not in self.without}
        return self.read(self.estimator(seed).fit(**given))


def make(kind: Callable[..., Any], **options: Any) -> Callable[[int], Any]:
    """Estimator factory; an option that is callable is called with the seed."""

    def build(seed: int) -> Any:
        ready = {name: item(seed) if callable(item) else item for name, item in options.items()}
        return kind(level=LEVEL, **ready)

    return build


INTERVALS = ("percentile", "expanded", "basic", "bias_corrected", "bca", "studentized")


def bootstrap(interval: str = "percentile", **options: Any) -> Callable[[int], es.Bootstrap]:
    """Bootstrap of 300 replicates with its own seed in every sample, in one thread."""
    options.setdefault("n_resamples", 300)

    def build(seed: int) -> es.Bootstrap:
        return es.Bootstrap(interval=interval, rng=seed, n_jobs=1, **options)  # type: ignore[arg-type]

    return build


def terms(**positions: int) -> Callable[[Any], Readings]:
    """Read the intervals of terms, by name of the target and position."""

    def read(fitted: Any) -> Readings:
        estimate = fitted.estimate_
        low, high = estimate.confidence_interval()
        return {
            name: Reading(
                float(estimate.value[k]),
                float(estimate.standard_error[k]),
                float(low[k]),
                float(high[k]),
            )
            for name, k in positions.items()
        }

    return read


value = terms(value=0)


def labelled(column: str) -> Callable[[Any], Readings]:
    """Read every term under its label in a column of the terms."""

    def read(fitted: Any) -> Readings:
        names = fitted.estimate_.terms[column].to_list()
        return terms(**{str(name): k for k, name in enumerate(names)})(fitted)

    return read


def difference(fitted: Any) -> Readings:
    """Read the first term, and its difference to the second with the paired test."""
    row = fitted.estimate_.compare(adjust=None).row(0, named=True)
    paired = Reading(
        row["estimate"], row["standard_error"], row["ci_low"], row["ci_high"], row["p_value"]
    )
    return {**value(fitted), "difference": paired}


def against(null: float) -> Callable[[Any], Readings]:
    """Read the first term, and the Wald test of a value."""

    def read(fitted: Any) -> Readings:
        p_value = float(fitted.estimate_.test(null)["p_value"][0])
        return {**value(fitted), f"test of {null:g}": Reading(p_value=p_value)}

    return read


@dataclass
class Observed:
    """What all procedures of a design said about one sample.

    Attributes
    ----------
    readings : dict
        (procedure, target) to reading.
    codes : dict
        Procedure to the codes of its warnings.
    refused : set
        Procedures that refused the sample with an ``InputError``.
    """

    readings: dict[tuple[str, str], Reading] = field(default_factory=dict)
    codes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)


def generator(design: Design, replicate: int, seed: int) -> np.random.Generator:
    """Stream of one replicate of one design: a key for the design, a counter for the replicate."""
    words = [seed, *design.name.encode()]
    key = np.random.SeedSequence(words).generate_state(2, np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, replicate]))


def observe(design: Design, replicate: int, seed: int) -> Observed:
    """Draw one sample and try every procedure on it."""
    rng = generator(design, replicate, seed)
    arguments = design.population.draw(rng)
    observed = Observed()
    for procedure in design.procedures:
        found: Readings = {}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", es.EvalstatsWarning)
            try:
                found = procedure.run(arguments, int(rng.integers(2**31)))
            except es.InputError:
                observed.refused.add(procedure.label)
        messages = [item.message for item in caught]
        codes = {item.code for item in messages if isinstance(item, es.EvalstatsWarning)}
        observed.codes[procedure.label] = tuple(sorted(codes))
        for target, reading in found.items():
            observed.readings[procedure.label, target] = reading
    return observed


def default(estimator: Callable[[int], Any], read: Callable[[Any], Readings] = value) -> Procedure:
    """Procedure of a user who asks for nothing."""
    return Procedure("default", Fit(estimator, read), default=True)


def options_of(
    kind: Callable[..., Any],
    choices: Mapping[str, Mapping[str, Any]],
    read: Callable[[Any], Readings] = value,
    **shared: Any,
) -> tuple[Procedure, ...]:
    """One procedure for each labelled set of options."""
    return tuple(
        Procedure(label, Fit(make(kind, **shared, **options), read))
        for label, options in choices.items()
    )


def resampled_choices(intervals: Sequence[str] = INTERVALS) -> dict[str, dict[str, Any]]:
    """Options of the bootstrap with each interval, and of the jackknife."""
    choices: dict[str, dict[str, Any]] = {
        f"bootstrap, {name}": {"inference": bootstrap(name)} for name in intervals
    }
    return {**choices, "jackknife": {"inference": es.Jackknife()}}
