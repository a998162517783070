"""From a problem and an inference method to the sampling distribution."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from evalstats.errors import InputError, warn
from evalstats.inference.influence import acceleration, influence_factor
from evalstats.inference.methods import (
    Analytic,
    Bootstrap,
    Inference,
    Jackknife,
    NoInference,
    WeightKind,
    random_key,
)
from evalstats.inference.problem import Part, Problem, SamplingDistribution
from evalstats.inference.resampling import (
    bootstrap_replicates,
    jackknife_values,
    second_level_replicates,
)

MAX_FAILED = 0.10
WARN_FAILED = 0.01
MAX_JACKKNIFE_UNITS = 20_000
MAX_SKEWNESS_TERMS = 12


def infer(problem: Problem, method: Inference) -> SamplingDistribution:
    """Obtain the joint sampling distribution of all values of `problem` by `method`.

    Parameters
    ----------
    problem : Problem
        Values and influence as functions of the weights.
    method : Analytic, Bootstrap, Jackknife or NoInference
        How to obtain the distribution.

    Returns
    -------
    SamplingDistribution
        Covariance, replicates and what the intervals need.

    Raises
    ------
    InputError
        If the method does not apply to the metric, or too many replicates are undefined.
    """
    k = len(problem.value)
    if isinstance(method, NoInference):
        return SamplingDistribution(np.full((k, k), np.nan))
    if isinstance(method, Analytic):
        return SamplingDistribution(_analytic_covariance(problem, method.weight_kind))
    if isinstance(method, Jackknife):
        return _jackknife(problem)
    if method.kind == "multiplier":
        return _multiplier(problem, method)
    return _bootstrap(problem, method)


Factor = list[NDArray[np.float64]]


def _analytic_covariance(problem: Problem, weight_kind: WeightKind) -> NDArray[np.float64]:
    """Z'Z, directly where a part offers it and no common units or frequencies need Z itself."""
    parts = problem.parts
    separate = len(parts) == 1 or problem.independent_parts
    frequency = weight_kind == "frequency" and not problem.units.clustered
    if not separate or frequency or any(part.covariance is None for part in parts):
        return cross_covariance(joint_factor(problem, weight_kind))
    covariance = np.zeros((len(problem.value), len(problem.value)))
    start = 0
    for part in parts:
        if part.covariance is None:
            raise AssertionError("checked above")
        block = part.covariance(part.units)
        stop = start + len(block)
        covariance[start:stop, start:stop] = block
        start = stop
    return covariance


def joint_factor(problem: Problem, weight_kind: WeightKind) -> Factor:
    """Scaled influence blocks whose rows are common units: one block if parts share units."""
    blocks = [_part_factor(part, weight_kind) for part in problem.parts]
    if len(blocks) == 1 or problem.independent_parts:
        return blocks
    joint = np.zeros((problem.units.n_units, len(problem.value)))
    column = 0
    for part, block in zip(problem.parts, blocks, strict=True):
        joint[part.unit_ids, column : column + block.shape[1]] = block
        column += block.shape[1]
    return [joint]


def _part_factor(part: Part, weight_kind: WeightKind) -> NDArray[np.float64]:
    if part.influence is None:
        raise InputError(
            "inference=Analytic() needs influence values, which this configuration does not have: "
            "use Bootstrap() or Jackknife()"
        )
    return influence_factor(part.influence(part.units.row_weight), part.units, weight_kind)


def cross_covariance(blocks: Factor) -> NDArray[np.float64]:
    """Block-diagonal Z'Z over independent blocks."""
    k = sum(block.shape[1] for block in blocks)
    covariance = np.zeros((k, k))
    start = 0
    for block in blocks:
        stop = start + block.shape[1]
        covariance[start:stop, start:stop] = block.T @ block
        start = stop
    return covariance


def _jackknife(problem: Problem) -> SamplingDistribution:
    n_active = int(problem.units.active.sum())
    if n_active > MAX_JACKKNIFE_UNITS:
        raise InputError(
            f"inference=Jackknife() would re-evaluate the metric {n_active} times (limit "
            f"{MAX_JACKKNIFE_UNITS}): use Analytic() or Bootstrap()"
        )
    members, offsets = problem.units.strata
    values = jackknife_values(problem, members)
    failed = _undefined_rows(values, problem)
    _check_failed(int(failed.sum()), len(values), "jackknife")
    k = len(problem.value)
    covariance = np.zeros((k, k))
    bias = np.zeros(k)
    for start, stop in pairwise(offsets):
        block = values[start:stop][~failed[start:stop]]
        m = len(block)
        if m == 0:
            _check_failed(1, 1, "jackknife")
        centred = block - block.mean(axis=0)
        covariance += (m - 1) / m * centred.T @ centred
        bias += (m - 1) * (block.mean(axis=0) - problem.value)
    return SamplingDistribution(covariance, support={"bias": bias}, n_failed=int(failed.sum()))


def _multiplier(problem: Problem, method: Bootstrap) -> SamplingDistribution:
    """Gaussian multipliers of the influence values: exactly N(value, Z'Z), free of the rows."""
    if method.interval not in ("percentile", "basic"):
        raise InputError(
            f"kind='multiplier' has no {method.interval} interval: use 'percentile' or 'basic'"
        )
    covariance = _analytic_covariance(problem, "probability")
    roots, vectors = np.linalg.eigh(np.nan_to_num(covariance))
    scale = vectors * np.sqrt(np.clip(roots, 0.0, None))
    generator = np.random.Generator(
        np.random.Philox(np.random.SeedSequence(random_key(method.rng)))
    )
    normals = generator.standard_normal((method.n_resamples, len(roots)))
    replicates = problem.value + normals @ scale.T
    return SamplingDistribution(covariance, replicates)


def _bootstrap(problem: Problem, method: Bootstrap) -> SamplingDistribution:
    studentized = method.interval == "studentized"
    if studentized and any(part.influence is None for part in problem.parts):
        raise InputError(
            "interval='studentized' needs influence values, which this configuration does not "
            "have: use interval='bca' or 'percentile'"
        )
    if method.double and not isinstance(method.rng, int | np.random.SeedSequence):
        # Both levels need one key, but a Generator moves on and None is fresh each time.
        fixed = np.random.SeedSequence(list(random_key(method.rng)))
        method = replace(method, rng=fixed)
    replicates, covariances = bootstrap_replicates(problem, method, studentized)
    defined = ~_undefined_rows(replicates, problem)
    n_failed = int((~defined).sum())
    _check_failed(n_failed, len(replicates), "bootstrap")
    replicates = replicates[defined]
    k = len(problem.value)
    # Terms that are infinite in the data have no bias and no covariance: NaN, not a warning.
    with np.errstate(invalid="ignore"):
        bias = replicates.mean(axis=0) - problem.replicate_truth
        covariance = np.cov(replicates, rowvar=False).reshape(k, k)
        if method.double:
            again = second_level_replicates(problem, method)
            again = again[~_undefined_rows(again, problem)]
            bias = 2 * bias - (again.mean(axis=0) - replicates.mean(axis=0))
    support = {"bias": bias}
    if problem.truth is not None:
        support["replicate_truth"] = problem.truth
    if covariances is not None:
        support["replicate_covariance"] = covariances[defined]
    if method.interval == "bca":
        support.update(_bca_support(problem))
    return SamplingDistribution(covariance, replicates, support, n_failed)


def _bca_support(problem: Problem) -> dict[str, NDArray[np.float64]]:
    if all(part.influence is not None for part in problem.parts):
        blocks = joint_factor(problem, "probability")
    else:
        n_active = int(problem.units.active.sum())
        if n_active > MAX_JACKKNIFE_UNITS:
            raise InputError(
                f"interval='bca' needs a jackknife over {n_active} units here (limit "
                f"{MAX_JACKKNIFE_UNITS}): use interval='percentile' or 'basic'"
            )
        values = jackknife_values(problem, problem.units.strata[0])
        values = values[~_undefined_rows(values, problem)]
        if not len(values):
            _check_failed(1, 1, "jackknife")
        blocks = [values.mean(axis=0) - values]
    support = {
        "acceleration": np.concatenate([acceleration(block) for block in blocks]),
        "influence_covariance": cross_covariance(blocks),
    }
    if len(problem.value) <= MAX_SKEWNESS_TERMS:
        support["skewness"] = _third_moments(blocks)
    return support


def _third_moments(blocks: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Sums of products of three influence values, from which any contrast's skewness follows."""
    k = sum(block.shape[1] for block in blocks)
    moments = np.zeros((k, k, k))
    start = 0
    for block in blocks:
        stop = start + block.shape[1]
        for column in range(block.shape[1]):
            weighted = block * block[:, column : column + 1]
            moments[start + column, start:stop, start:stop] = weighted.T @ block
        start = stop
    return moments


def _undefined_rows(values: NDArray[np.float64], problem: Problem) -> NDArray[np.bool_]:
    """Replicates in which a statistic is undefined that the full data define.

    Where the problem asks for it, terms that are often undefined are blanked in `values` instead.
    """
    known = np.isfinite(problem.value)
    if problem.blank_undefined:
        rare = (~np.isfinite(values)).mean(axis=0) > WARN_FAILED
        values[:, rare] = np.nan
        known = known & ~rare
    return np.asarray(~np.isfinite(values[:, known]).all(axis=1))


def _check_failed(n_failed: int, total: int, what: str) -> None:
    share = n_failed / total
    if share > MAX_FAILED:
        raise InputError(
            f"the statistic is undefined in {n_failed} of {total} {what} replicates: too few units "
            "of a class or group; stratify the bootstrap (stratify='y_true') or use Analytic()"
        )
    if share > WARN_FAILED:
        warn(
            "failed-replicates",
            f"the statistic was undefined in {n_failed} of {total} {what} replicates, which were "
            "left out",
        )
