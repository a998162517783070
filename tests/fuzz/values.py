"""Hostile values: what columns, options and names of a careless or malicious user look like."""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

Rng = np.random.Generator

NAMES: tuple[Any, ...] = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</td></tr></table>&amp;",
    r"\input{/etc/passwd}",
    r"\end{tabular} & % $ # _ ^ ~ { } \\",
    "a|b|c `x` *y* [z](javascript:alert(1))",
    "line\nbreak\r\nand\ttab",
    "\x1b[2Jclear\x07\x00nul",
    "\u202eright-to-left\u202c",
    "e\u0301 \u00e9 \U0001f600 \u4e2d\u6587",
    "\ud800lone",
    "",
    " ",
    "x" * 300,
    "model",
    "metric",
    "estimate",
    "ci_low",
    "{0} %s ${HOME} {{ x }}",
    "=cmd|' /C calc'!A0",
    "../../etc/passwd",
    0,
    1.5,
    None,
    True,
    (1, 2),
)

JUNK: tuple[Any, ...] = (
    None,
    "",
    "nonsense",
    "<b>",
    -1,
    0,
    1,
    2,
    3.5,
    -0.0,
    float("nan"),
    float("inf"),
    -float("inf"),
    1e-320,
    1e308,
    2**31,
    2**63,
    10**30,
    True,
    False,
    b"bytes",
    (),
    [],
    [[]],
    {},
    {"a": 1},
    (0.0, 1.0),
    (1.0, 0.0),
    [0.1, 0.5, float("nan")],
    ["a", "a"],
    np.float32(0.5),
    np.int64(3),
    np.array([1.0, 2.0]),
    np.array("text"),
    Decimal("0.5"),
    Fraction(1, 3),
    1 + 2j,
    object,
    len,
    range(3),
)


def pick(rng: Rng, values: Any) -> Any:
    """One of the values, without turning it into a numpy scalar."""
    return values[int(rng.integers(len(values)))]


def some_rows(rng: Rng, array: Any, value: Any) -> Any:
    """Put `value` into one, a few or all rows."""
    changed = np.array(array, copy=True)
    if not isinstance(value, float):
        changed = changed.astype(object)
    elif changed.dtype.kind not in "fcO":
        changed = changed.astype(float) if changed.dtype.kind in "biu" else changed.astype(object)
    n = len(changed)
    if n:
        count = min(n, int(pick(rng, (1, 1, 2, n))))
        changed[rng.choice(n, size=count, replace=False)] = value
    return changed


CONTENT: tuple[Any, ...] = (
    float("nan"), float("inf"), -float("inf"), -0.0, 5e-324, 1e308, -1e308, 1e-300, 2.0**53 + 2,
    -1.0, 0.0, 1.0, 0.5, 1e16,
)  # fmt: skip

DTYPES = (
    "f4", "f2", "i1", "u1", "?", ">f8", ">i4", "i8", "u8", "O", "U8", "S8", "c16", "M8[s]",
    "m8[s]", "g", "i2",
)  # fmt: skip


def _cast(rng: Rng, array: Any) -> Any:
    dtype = pick(rng, DTYPES)
    with np.errstate(all="ignore"):
        numbers = np.asarray(array)
        if numbers.dtype.kind == "f" and dtype in (
            "i1",
            "u1",
            "u8",
            "i8",
            ">i4",
            "i2",
            "M8[s]",
            "m8[s]",
        ):
            numbers = np.nan_to_num(numbers, posinf=1, neginf=0).clip(-100, 100).astype(np.int64)
        try:
            return numbers.astype(dtype)
        except (TypeError, ValueError):
            return numbers


def _reshape(rng: Rng, array: Any) -> Any:
    array = np.asarray(array)
    n = len(array)
    return pick(
        rng,
        (
            array[:-1],
            array[:0],
            array[:1],
            np.concatenate([array, array]),
            array[:, None],
            array[None],
            np.stack([array, array], axis=-1),
            array[0] if n else array,
            np.broadcast_to(array[:1], array.shape),
        ),
    )


def _container(rng: Rng, array: Any) -> Any:
    array = np.asarray(array)
    makers: tuple[Callable[[], Any], ...] = (
        array.tolist,
        lambda: tuple(array.tolist()),
        lambda: pd.Series(list(array.tolist()), index=np.arange(len(array))[::-1] * 2),
        lambda: pl.Series("a", array.tolist(), strict=False),
        lambda: pa.array(array.tolist()),
        lambda: np.ma.MaskedArray(array, mask=rng.random(array.shape) < 0.2),
        lambda: np.repeat(array, 2, axis=0)[::2],
        lambda: array[::-1],
        lambda: np.asfortranarray(array),
        lambda: _frozen(array),
        lambda: (value for value in array.tolist()),
        lambda: set(array.ravel().tolist()),
        lambda: dict(enumerate(array.tolist())),
        lambda: [None, *array.tolist()[1:]],
        lambda: ["", *array.tolist()[1:]],
        lambda: [[1], *array.tolist()[1:]],
        lambda: [Decimal(1), *array.tolist()[1:]],
        lambda: [10**40, *array.tolist()[1:]],
        lambda: pd.Series(pd.Categorical(array.tolist())),
        lambda: pd.array(array.tolist()),
        lambda: memoryview(np.ascontiguousarray(array)),
    )
    try:
        return pick(rng, makers)()
    except (TypeError, ValueError, pa.ArrowException, pl.exceptions.PolarsError, OverflowError):
        return array


def _frozen(array: Any) -> Any:
    copied = array.copy()
    copied.flags.writeable = False
    return copied


def _ties(rng: Rng, array: Any) -> Any:
    array = np.asarray(array)
    return array[rng.integers(0, 1 + rng.integers(3), len(array)) % max(1, len(array))]


def spoil(rng: Rng, array: Any) -> Any:
    """One hostile change of a column; half of them leave it usable."""
    kind = int(rng.integers(10))
    if kind < 3:
        return some_rows(rng, array, pick(rng, CONTENT))
    if kind < 5:
        return _cast(rng, array)
    if kind < 6:
        return _reshape(rng, array)
    if kind < 8:
        return _container(rng, array)
    if kind < 9:
        return _ties(rng, array)
    return pick(rng, JUNK) if rng.random() < 0.4 else some_rows(rng, array, pick(rng, NAMES[:8]))


def weights(rng: Rng, n: int) -> Any:
    """A ``sample_weight``: valid four times out of five."""
    makers = (
        lambda: rng.random(n),
        lambda: rng.integers(0, 3, n),
        lambda: np.ones(n),
        lambda: np.full(n, pick(rng, (1e300, 5e-324, 1e-29, 1e29))),
        lambda: np.where(rng.random(n) < 0.5, 1e-29, 1e29),
        lambda: rng.integers(1, 4, n),
        lambda: rng.integers(0, 2, n).astype(bool),
        lambda: np.eye(1, n, int(rng.integers(n)) if n else 0)[0] if n else np.ones(0),
        lambda: np.full(n, 2**62),
        lambda: spoil(rng, rng.random(n)),
    )
    return pick(rng, makers)()


def codes(rng: Rng, n: int) -> Any:
    """A ``cluster`` or ``by`` column."""
    makers = (
        lambda: rng.integers(0, max(2, n // 3), n),
        lambda: np.arange(n),
        lambda: rng.integers(0, 2, n),
        lambda: np.array([str(pick(rng, NAMES)) for _ in range(n)], dtype=object),
        lambda: rng.integers(0, 2, n).astype(bool),
        lambda: [pick(rng, ("a", 1, None, 2.5)) for _ in range(n)],
        lambda: spoil(rng, rng.integers(0, 3, n)),
    )
    return pick(rng, makers)()
