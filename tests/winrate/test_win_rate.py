"""Raw win rates against the recorded helpers and the published table."""

import json

import numpy as np
import polars as pl
import pytest

import evalstats as es

NAN = {"nonfinite": "nan"}


def number(value):
    return np.nan if value == NAN else value


def test_helpers(reference):
    cases = json.loads((reference / "winrate" / "winrate_helpers.json").read_text())
    assert len(cases) == 12
    for case in cases:
        result = es.win_rate([number(value) for value in case["preference"]])
        assert list(result) == list(case["expected"])
        for name, expected in case["expected"].items():
            assert result[name] == pytest.approx(number(expected), abs=1e-12, nan_ok=True), (
                case["name"],
                name,
            )


def test_published_table(reference):
    folder = reference / "winrate"
    frame = pl.read_parquet(folder / "alpaca_annotations_24.parquet")
    published = pl.read_csv(folder / "alpaca_published_24.csv")
    for row in published.iter_rows(named=True):
        own = frame.filter(pl.col("model") == row["model"])
        result = es.win_rate(own["preference"])
        for name in ("win_rate", "standard_error", "n_wins", "n_wins_base", "n_draws", "n_total"):
            assert result[name] == pytest.approx(row[name], abs=2e-10), (row["model"], name)
        estimate = es.WinRate().fit("preference", "model", "index", data=own).estimate_
        assert estimate.value[0] == pytest.approx(row["win_rate"], abs=2e-10)
        assert estimate.standard_error[0] == pytest.approx(row["standard_error"], abs=2e-10)


def test_models_are_paired_over_common_instructions(rng):
    n = 200
    shared = rng.random(n)
    first, second = 1 + shared, 1 + np.clip(shared + rng.normal(0, 0.1, n), 0, 1)
    long = es.WinRate().fit(
        np.concatenate([first, second]),
        np.repeat(["a", "b"], n),
        np.concatenate([np.arange(n), np.arange(n)]),
    )
    row = long.estimate_.compare().row(0, named=True)
    expected = 100 * np.std(first - second, ddof=1) / np.sqrt(n)
    assert row["standard_error"] == pytest.approx(expected, rel=1e-12)
    wide = es.WinRate().fit({"a": first, "b": second})
    np.testing.assert_allclose(wide.estimate_.covariance, long.estimate_.covariance, rtol=1e-12)


def test_codings_agree():
    expected = es.WinRate().fit([1, 2, 1.5, 2, 0]).estimate_
    for coding, values in (
        ("unit", [0, 1, 0.5, 1, 0.5]),
        ("pm1", [-1, 1, 0, 1, 0]),
        ("labels", ["baseline", "model", "draw", "model", "tie"]),
    ):
        estimate = es.WinRate(coding=coding).fit(values).estimate_
        np.testing.assert_array_equal(estimate.value, expected.value)
        np.testing.assert_array_equal(estimate.standard_error, expected.standard_error)
        assert es.win_rate(values, coding=coding) == es.win_rate([1, 2, 1.5, 2, 0])


def test_discrete_rate_and_draws():
    values = [1.2, 1.9, 1.5, 1.51, 1.7]
    assert es.WinRate(discrete=True).fit(values).estimate_.value[0] == 70.0
    near = es.WinRate(discrete=True, draw_within=0.02).fit(values)
    assert near.estimate_.value[0] == pytest.approx(60.0)


def test_swapping_sides(rng):
    preference = 1 + rng.random(50)
    one, other = (es.WinRate().fit(p).estimate_ for p in (preference, 3 - preference))
    assert other.value[0] == pytest.approx(100 - one.value[0], abs=1e-12)
    assert other.standard_error[0] == pytest.approx(one.standard_error[0], rel=1e-12)
    low, high = one.confidence_interval()
    np.testing.assert_allclose(np.ravel(other.confidence_interval()), [100 - high[0], 100 - low[0]])


def test_all_wins_get_an_interval():
    low, high = es.WinRate().fit(np.full(20, 2.0)).estimate_.confidence_interval()
    assert low[0] == pytest.approx(100 * 0.025 ** (1 / 20))
    assert high[0] == 100.0


@pytest.mark.parametrize(
    ("coding", "values", "message"),
    [
        ("alpaca", [1.0, 2.5, 1.0], "preference is 2.5 in row 1"),
        ("alpaca", [1.9, 0.3, 1.0], "two codings are mixed"),
        ("unit", [0.5, 1.5], "coding='unit' means 0"),
        ("pm1", [0.5, -1.5], "in row 1"),
        ("labels", ["model", "moddel"], "is moddel in row 1"),
        ("alpaca", ["model", "tie"], "coding='labels'"),
        ("stars", [1.0], "coding='stars' is unknown"),
    ],
)
def test_refused_preferences(coding, values, message):
    with pytest.raises(es.InputError, match=message):
        es.WinRate(coding=coding).fit(values)


def test_refused_keys():
    with pytest.raises(es.InputError, match=r"item 3 is judged more than once.*again in row 2"):
        es.WinRate().fit([1, 2, 1], ["a"] * 3, [3, 4, 3])
    repeated = es.WinRate(repeats=True).fit([1, 2, 1], ["a"] * 3, [3, 4, 3]).estimate_
    assert repeated.n_units == 2
    with pytest.raises(es.InputError, match="item is required with model="):
        es.WinRate().fit([1, 2, 1], ["a", "b", "b"])
    with pytest.raises(es.InputError, match="cluster varies within the item 3"):
        es.WinRate().fit([1, 2, 1], ["a", "a", "b"], [3, 4, 3], cluster=[0, 0, 1])
    with pytest.raises(es.InputError, match="draw_within"):
        es.WinRate(draw_within=0.7).fit([1, 2])
