"""Leaderboard and matrix of win rates: order, arrows, marks and refusals."""

import numpy as np
import polars as pl
import pytest

from evalstats.errors import InputError
from evalstats.results.displays import plot_leaderboard, plot_win_matrix
from evalstats.results.style import page_width

pyplot = pytest.importorskip("matplotlib.pyplot")

RAW = pl.DataFrame(
    {
        "model": ["a", "b", "c"],
        "estimate": [60.0, 50.0, 30.0],
        "ci_low": [55.0, 45.0, 25.0],
        "ci_high": [65.0, 55.0, 35.0],
    }
)
CONTROLLED = RAW.with_columns(estimate=pl.Series([45.0, 58.0, 30.1])).reverse()
MATRIX = pl.DataFrame(
    {
        "model": ["b", "b", "a", "a", "c", "c"],
        "opponent": ["a", "c", "b", "c", "a", "b"],
        "estimate": [40.0, 55.0, 60.0, 70.0, 30.0, 45.0],
        "ci_low": [31.2, 46.0, 51.0, 61.0, 22.0, 36.0],
        "ci_high": [49.0, 64.0, 68.8, 78.0, 39.0, 54.0],
    }
)


@pytest.fixture(autouse=True)
def closed():
    yield
    pyplot.close("all")


def labels(ticks):
    return [tick.get_text() for tick in ticks]


def test_leaderboard_is_sorted_by_the_controlled_rate():
    axes = plot_leaderboard(RAW, CONTROLLED)
    assert labels(axes.get_yticklabels()) == ["b", "a", "c"]
    raw, controlled = (line.get_xdata() for line in axes.lines[:2])
    np.testing.assert_array_equal(raw, [50.0, 60.0, 30.0])
    np.testing.assert_array_equal(controlled, [58.0, 45.0, 30.1])
    assert axes.get_ylim()[0] > axes.get_ylim()[1]
    assert axes.figure.get_figwidth() == page_width


def test_arrows_lead_from_raw_to_controlled_where_they_differ():
    axes = plot_leaderboard(RAW, CONTROLLED)
    arrows = [(text.xyann[0], text.xy[0]) for text in axes.texts]
    assert arrows == [(50.0, 58.0), (60.0, 45.0)]


def test_intervals_are_drawn_for_both_rates():
    axes = plot_leaderboard(RAW, CONTROLLED)
    ends = [
        segment[:, 0].tolist() for lines in axes.collections for segment in lines.get_segments()
    ]
    assert ends == 2 * [[45.0, 55.0], [55.0, 65.0], [25.0, 35.0]]


def test_leaderboard_without_intervals_on_given_axes():
    _, axes = pyplot.subplots()
    frame = RAW.select("model", "estimate")
    assert plot_leaderboard(frame, frame, ax=axes) is axes
    assert not axes.texts


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (RAW.head(2), "'c'"),
        (pl.concat([RAW, RAW.head(1)]), "several rows of the model 'a'"),
        (RAW.drop("model"), "model"),
    ],
)
def test_leaderboard_refuses(raw, message):
    with pytest.raises(InputError, match=message):
        plot_leaderboard(raw, CONTROLLED)


def test_matrix_lists_the_strongest_first_and_marks_clear_wins():
    axes = plot_win_matrix(MATRIX)
    assert labels(axes.get_yticklabels()) == labels(axes.get_xticklabels()) == ["a", "b", "c"]
    bold = {t.get_text() for t in axes.texts if t.get_fontweight() == "bold"}
    assert bold == {"60.0", "70.0", "40.0", "30.0"}
    assert "[31.2, 49.0]" in labels(axes.texts)
    values = axes.collections[0].get_array()
    assert values[0, 2] == 20.0
    assert values.mask.sum() == 3


def test_matrix_tells_50_apart_by_the_middle_of_the_scale():
    mesh = plot_win_matrix(MATRIX.with_columns(estimate=50.0)).collections[0]
    assert mesh.get_clim() == (-10.0, 10.0)


def test_matrix_has_no_small_print_without_room_or_intervals():
    bare = plot_win_matrix(MATRIX.drop("ci_low", "ci_high"))
    assert not any("[" in text for text in labels(bare.texts))
    names = [f"model {number}" for number in range(25)]
    pairs = [(m, o, 50.0, 40.0, 60.0) for m in names for o in names if m != o]
    crowded = pl.DataFrame(pairs, schema=MATRIX.columns, orient="row")
    assert not any("[" in text for text in labels(plot_win_matrix(crowded).texts))


def test_matrix_refuses_a_pair_twice():
    with pytest.raises(InputError, match="several rows of 'b' against 'a'"):
        plot_win_matrix(pl.concat([MATRIX, MATRIX.head(1)]))
