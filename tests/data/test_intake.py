"""Intake: whatever holds the columns, the same columns come out, or the message says what to do."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import evalstats as es
from evalstats.data.columns import Role, dense_codes
from evalstats.data.frames import Frame
from evalstats.data.intake import collect_columns
from tests.battery_support import ArrowOnly

ROLES = (Role("y", "label"), Role("s", "score", per_model=True), Role("g", "code", required=False))
MATRIX = (Role("y", "label"), Role("s", "score", per_model=True, matrix=True))
Y = [0, 1, 0, 1]
S = [0.1, 0.2, 0.3, 0.4]


def collect(arguments, roles=ROLES, **options):
    return collect_columns(roles, arguments, **options)


def test_two_dimensional_scores_are_models():
    columns = collect({"y": Y, "s": np.arange(8.0).reshape(4, 2)})
    assert columns.model_names == ["model_0", "model_1"]
    assert columns.models["s"]["model_1"].tolist() == [1, 3, 5, 7]


def test_single_column_is_one_model():
    columns = collect({"y": np.array(Y)[:, np.newaxis], "s": np.array(S)[:, np.newaxis]})
    assert columns.single["y"].tolist() == Y
    assert len(columns.model_names) == 1


@pytest.mark.parametrize("wrap", [pl.DataFrame, pd.DataFrame, lambda d: pa.table(d)])
def test_frame_of_scores_keeps_its_names(wrap):
    columns = collect({"y": Y, "s": wrap({"left": S, "right": S[::-1]})})
    assert list(columns.models["s"]) == ["left", "right"]
    assert columns.models["s"]["right"].tolist() == S[::-1]


def test_frame_of_scores_with_numbered_columns_and_nulls():
    numbered = collect({"y": Y, "s": pd.DataFrame(np.ones((4, 2)))})
    assert numbered.model_names == ["0", "1"]
    with pytest.raises(es.InputError, match=r"s\['b'\] has 1 missing value \(first in row 3\)"):
        collect({"y": Y, "s": pl.DataFrame({"a": Y, "b": [1, 2, 3, None]})})
    with pytest.raises(es.InputError, match=r"s has 1 missing value \(first in row 3\)"):
        collect({"y": Y, "s": pl.DataFrame({"a": Y, "b": [1, 2, 3, None]})}, MATRIX)


def test_matrix_of_class_scores_belongs_to_one_model():
    matrix = np.arange(12.0).reshape(4, 3)
    one = collect({"y": Y, "s": matrix}, MATRIX)
    assert one.models["s"]["s"].shape == (4, 3)
    two = collect({"y": Y, "s": {"a": matrix, "b": matrix + 1}}, MATRIX)
    assert two.model_names == ["a", "b"]
    frame = pl.DataFrame(matrix, schema=["c0", "c1", "c2"]).with_columns(y=pl.Series(Y))
    named = collect({"y": "y", "s": ["c0", "c1", "c2"]}, MATRIX, data=frame)
    np.testing.assert_array_equal(named.models["s"]["s"], matrix)


def test_missing_class_score_counts_as_one_missing_row():
    matrix = np.arange(12.0).reshape(4, 3)
    matrix[2, 1:] = np.nan
    with pytest.raises(es.InputError, match=r"s has 1 missing value \(first in row 2\)"):
        collect({"y": Y, "s": matrix}, MATRIX)


def test_optional_role_may_be_left_out():
    assert "g" not in collect({"y": Y, "s": S, "g": None}).single
    assert collect({"y": Y, "s": S, "g": list("aabb")}).single["g"].tolist() == list("aabb")


def test_arrays_next_to_a_frame():
    columns = collect({"y": "y", "s": np.array(S)}, data=pl.DataFrame({"y": Y}))
    assert columns.models["s"]["s"].tolist() == S
    mapping = collect({"y": "y", "s": {"new": "t"}}, data=pl.DataFrame({"y": Y, "t": S}))
    assert mapping.model_names == ["new"]


def test_lazy_frame_collects_only_what_is_named():
    """A column whose evaluation would fail is never touched."""

    def fail(series):
        raise AssertionError("evaluated")

    failing = pl.col("y").map_batches(fail, return_dtype=pl.Int64)
    lazy = pl.LazyFrame({"y": Y, "s": S}).with_columns(broken=failing)
    assert collect({"y": "y", "s": "s"}, data=lazy).n == 4
    frame = Frame(lazy, ["y", ["s"], {"a": "s"}, None])
    assert frame.names == ["y", "s", "broken"]


@pytest.mark.parametrize(
    "column",
    [
        pl.Series(["a", "b", None, "a"], dtype=pl.Categorical),
        pl.Series(["a", "b", None, "a"], dtype=pl.Enum(["b", "a"])),
        pd.Series(["a", "b", None, "a"], dtype="category"),
        pd.Series(["a", "b", None, "a"], dtype="string"),
        pa.array(["a", "b", None, "a"]),
        pa.array(["a", "b", None, "a"]).dictionary_encode(),
        ["a", "b", None, "a"],
        np.array(["a", "b", None, "a"], dtype=object),
        pl.Series([1, 2, None, 1]),
        pd.Series([1, 2, None, 1], dtype="Int64"),
        pd.Series([1.0, 2.0, np.nan, 1.0]),
        pd.Series([True, False, None, True], dtype="boolean"),
        [datetime.date(2026, 1, 1), datetime.date(2026, 1, 2), None, datetime.date(2026, 1, 1)],
        np.array(["2026-01-01", "2026-01-02", "NaT", "2026-01-01"], dtype="M8[D]"),
    ],
    ids=lambda column: f"{type(column).__module__.split('.')[0]} {getattr(column, 'dtype', '')}",
)
def test_nulls_of_any_kind_are_missing(column):
    with pytest.raises(es.InputError, match=r"cluster has 1 missing value \(first in row 2\)"):
        collect({"y": Y, "s": S}, cluster=column)
    with pytest.warns(es.EvalstatsWarning, match=r"\[rows-dropped\] 1 of 4 rows"):
        columns = collect({"y": Y, "s": S}, cluster=column, nan_policy="omit")
    assert columns.n == 3
    assert columns.cluster[0] == columns.cluster[2] != columns.cluster[1]
    assert columns.models["s"]["s"].tolist() == [0.1, 0.2, 0.4]


def test_big_integers_with_nulls_are_told_apart():
    """As floats these two patients would be one."""
    identifiers = pl.Series([2**60, 2**60 + 1, None, 2**60])
    with pytest.warns(es.EvalstatsWarning, match="rows-dropped"):
        columns = collect({"y": Y, "s": S}, cluster=identifiers, nan_policy="omit")
    assert len(np.unique(columns.cluster)) == 2


def test_decimals_are_numbers():
    decimals = [Decimal("0.1"), Decimal("0.4"), Decimal("0.35"), Decimal("0.8")]
    assert es.auroc([0, 0, 1, 1], decimals) == 0.75
    assert es.auroc([0, 0, 1, 1], pl.Series(decimals)) == 0.75


def test_integer_label_column_with_nulls():
    frame = pl.DataFrame({"y": [0, 1, None, 1, 0], "s": [0.1, 0.3, 0.5, 0.7, 0.2]})
    with pytest.raises(es.InputError, match=r"y_true has 1 missing value \(first in row 2\)"):
        es.AUROC().fit("y", "s", data=frame)


def test_groups_by_several_columns():
    by = {"site": list("aabb"), "sex": ["f", "m", "f", "m"]}
    columns = collect({"y": Y, "s": S}, by=by)
    assert columns.group_names == ("site", "sex")
    assert columns.group_labels == (("a", "f"), ("a", "m"), ("b", "f"), ("b", "m"))
    assert columns.group.tolist() == [0, 1, 2, 3]
    frame = pl.DataFrame({"y": Y, "s": S, **by})
    from_frame = collect({"y": "y", "s": "s"}, data=frame, by=["site", "sex"])
    assert from_frame.group_labels == columns.group_labels
    present = collect({"y": Y, "s": S}, by={"a": [0, 0, 1, 1], "b": [0, 0, 1, 1]})
    assert present.group_labels == ((0, 0), (1, 1))


def test_dense_codes_of_what_cannot_be_sorted():
    codes, labels = dense_codes(np.array(["a", 1, "a", (2,)], dtype=object))
    assert codes.tolist() == [0, 1, 0, 2]
    assert labels == ["a", 1, (2,)]


def test_input_is_not_copied_into_the_caller():
    scores = np.array(S)
    columns = collect({"y": Y, "s": scores}, sample_weight=np.ones(4, dtype=np.float32))
    assert columns.weight.dtype == np.float64
    assert scores.tolist() == S


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ({"y": None, "s": S}, {}, "y is required, but None was given"),
        ({"y": "y", "s": S}, {}, "y='y' is a name, but no frame was given: pass data="),
        ({"y": 3, "s": S}, {}, "y must be one-dimensional|y .*"),
        ({"y": Y, "s": {}}, {}, "s is an empty mapping"),
        ({"y": [], "s": []}, {}, "y is empty: at least one row is needed"),
        ({"y": [[1, 2], [3]], "s": S}, {}, "y cannot be read as an array"),
        ({"y": iter(Y), "s": S}, {}, "y is a list_iterator: pass an array or a list"),
        ({"y": Y, "s": np.ones((4, 0))}, {}, r"s must have one column per model, .*\(4, 0\)"),
        ({"y": "y", "s": "s"}, {"data": [1, 2]}, "data is a list, which is no data frame"),
        ({"y": 0, "s": "s"}, {"data": pl.DataFrame({"s": S})}, "y"),
    ],
)
def test_refusals(arguments, options, message):
    with pytest.raises(es.InputError, match=message):
        collect(arguments, **options)


def test_wrong_column_suggests_the_nearest():
    frame = pl.DataFrame({"outcome": Y, "resnet50": S, "vit": S})
    with pytest.raises(es.InputError) as caught:
        collect({"y": "outcom", "s": "vit"}, data=frame)
    assert str(caught.value) == (
        "y: there is no column 'outcom'. Did you mean 'outcome'? "
        "Available columns: 'outcome', 'resnet50', 'vit'"
    )
    with pytest.raises(es.InputError, match=r"no column 'zzz'\. Available"):
        collect({"y": "zzz", "s": "vit"}, data=ArrowOnly(frame))
    wide = pl.DataFrame({f"column_{i}": [0] for i in range(30)})
    with pytest.raises(es.InputError, match=r"'column_19' and 10 more$"):
        collect({"y": "q", "s": "vit"}, data=wide)


def test_repeated_column_names_are_refused():
    frame = pd.DataFrame(np.ones((4, 3)), columns=["y", "s", "s"])
    with pytest.raises((es.InputError, ValueError), match=r"s"):
        collect({"y": "y", "s": "s"}, data=frame)
