"""Helpers of the battery: what can be done to the example arguments of any estimator."""

import hashlib

import numpy as np
import polars as pl

import evalstats as es
from evalstats.estimator import REGISTRY

N = 360


def registered():
    """All estimators; touching the public names is what registers them."""
    for name in es.__all__:
        getattr(es, name)
    return [REGISTRY[name] for name in sorted(REGISTRY)]


def example(cls, n=N, seed=11):
    return cls._example_arguments(np.random.default_rng(seed), n)


def arrays(arguments):
    """Every array of the arguments under a label."""
    found = {}
    for role, value in arguments.items():
        if isinstance(value, dict):
            found.update({f"{role}.{model}": array for model, array in value.items()})
        else:
            found[role] = value
    return found


def mapped(arguments, change):
    """Arguments with `change` applied to each of their arrays."""
    return {
        role: {model: change(array) for model, array in value.items()}
        if isinstance(value, dict)
        else change(value)
        for role, value in arguments.items()
    }


def taken(arguments, rows):
    return mapped(arguments, lambda array: array[rows])


def drawn_weights(cls, rng, low, high, n=N):
    """Weights of the kind that the estimator takes: positive numbers, or counts of rows."""
    if cls.weights_are_counts:
        return rng.integers(1, 4, n).astype(float)
    return rng.uniform(low, high, n)


def _as_column(values):
    """A column of the frame; one array per row becomes a nested column."""
    return np.stack(values) if isinstance(values[0], np.ndarray) else values


def per_row(flags, array):
    """Flags of rows in the shape of `array`, whose rows may be images."""
    flags = np.reshape(flags, (-1,) + (1,) * (np.ndim(array) - 1))
    return np.broadcast_to(flags, np.shape(array))


def as_columns(arguments):
    """A polars frame of the arguments, and the names that stand for them."""
    columns, names = {}, {}
    for role, value in arguments.items():
        if isinstance(value, dict):
            columns.update({name: _as_column(column) for name, column in value.items()})
            names[role] = list(value)
        else:
            columns[role] = _as_column(value)
            names[role] = role
    return pl.DataFrame(columns), names


def checksum(arguments):
    digest = hashlib.sha256()
    for array in arrays(arguments).values():
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def deterministic(cls, arguments, **params):
    """Estimator whose result has no random part: analytic where it can be, else points only."""
    probe = cls(**params)
    known = probe._has_influence(probe._columns(arguments))
    return cls(inference=es.Analytic() if known else es.NoInference(), **params)


def fit(cls, arguments, **options):
    return deterministic(cls, arguments).fit(**arguments, **options).estimate_


def assert_same_numbers(actual, expected, *, value=1e-12, error=1e-10):
    """Equal values and standard errors within relative tolerances."""
    np.testing.assert_allclose(actual.value, expected.value, rtol=value, atol=value)
    np.testing.assert_allclose(
        actual.standard_error, expected.standard_error, rtol=error, atol=error
    )


class ArrowOnly:
    """An object that offers nothing but the Arrow PyCapsule interface."""

    def __init__(self, frame):
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema=None):
        return self._frame.__arrow_c_stream__(requested_schema)
