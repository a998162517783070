"""Plots: what is drawn where, names that stay literal, and text that does not overlap."""

import math
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from matplotlib import pyplot as plt
from matplotlib.text import Text

from evalstats.errors import InputError
from evalstats.results.displays import (
    plot_differences,
    plot_estimates,
    plot_mistakes,
    plot_pr_curves,
    plot_roc_curves,
)
from evalstats.results.style import (
    COLORS,
    LINE_STYLES,
    column_width,
    page_width,
    paper_style,
    wrapped,
)

NAMES = [
    "resnet_50",
    "$x_1$ and $\\alpha$",
    "<b>vit</b>",
    "_private",
    "a very long model name with many words that never ends (seed 12, fold 3)",
    "checkpoint/very-long-hash-0123456789abcdef0123456789abcdef",
    "50% & ~100",
    "ConvNeXt",
]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def estimates(models=("a", "b"), metrics=("AUROC",)):
    rows = [
        {
            "metric": metric,
            "model": model,
            "estimate": 0.7 + 0.02 * place,
            "ci_low": 0.65 + 0.02 * place,
            "ci_high": 0.74 + 0.02 * place,
        }
        for metric in metrics
        for place, model in enumerate(models)
    ]
    return pl.DataFrame(rows)


def comparisons(models=("a", "b"), reference="c"):
    return pl.DataFrame(
        {
            "metric": "AUROC",
            "model": list(models),
            "reference": reference,
            "estimate": [0.01 * place - 0.02 for place in range(len(models))],
            "ci_low": [0.01 * place - 0.05 for place in range(len(models))],
            "ci_high": [0.01 * place + 0.01 for place in range(len(models))],
            "p_value": [10.0**-place for place in range(len(models))],
            "p_adjusted": [min(1.0, 2 * 10.0**-place) for place in range(len(models))],
            "adjust": "holm",
        }
    )


def curves(models=("a", "b"), *, band=True):
    x = np.linspace(0, 1, 50)
    parts = []
    for place, model in enumerate(models):
        y = x ** (0.1 + 0.1 * place)
        part = pl.DataFrame({"model": [model] * 50, "x": x, "y": y})
        if band:
            part = part.with_columns(low=pl.col("y") - 0.02, high=pl.col("y") + 0.02)
        parts.append(part)
    return pl.concat(parts)


def losses():
    rate = np.geomspace(1e-3, 1, 5000)
    depth = np.log(rate / 1e-3) / math.log(1e3)
    return pl.concat(
        pl.DataFrame(
            {"firing_rate": rate, "metric": [metric] * 5000, "cumulative_share": depth**power}
        )
        for metric, power in (("AUROC", 8.0), ("AUPRC", 1.0))
    )


def amplifications(groups=("low", "high"), factor=2.0, width=1.5):
    """First group's positives over the last group's negatives hold the largest value."""
    rows = []
    for row, positive in enumerate(groups):
        for column, negative in enumerate(groups):
            top = row == 0 and column == len(groups) - 1
            estimate = factor if top else 0.9
            rows.append(
                {
                    "positive_group": positive,
                    "negative_group": negative,
                    "estimate": estimate,
                    "ci_low": estimate / width,
                    "ci_high": estimate * width,
                }
            )
    return pl.DataFrame(rows)


def draw_all(names):
    yield plot_estimates(estimates(names, ("AUROC", "AUPRC")), null=0.5, title=names[0])
    yield plot_differences(comparisons(names), margin=0.05)
    yield plot_differences(comparisons(names, reference=["c", *names[1:]]))
    yield plot_roc_curves(curves(names))
    yield plot_pr_curves(curves(names), chance=0.2)
    yield plot_mistakes(losses(), amplifications(names))[1]


def visible_texts(figure):
    renderer = figure.canvas.get_renderer()
    # Ticks beyond the limits keep labels that are never drawn.
    hidden = {
        label
        for ax in figure.axes
        for axis in (ax.xaxis, ax.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
        for label in (tick.label1, tick.label2)
    }
    return [
        (text.get_text(), text.get_window_extent(renderer))
        for text in figure.findobj(Text)
        if text not in hidden and text.get_visible() and text.get_text().strip()
    ]


def legend_labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


@pytest.mark.parametrize("names", [NAMES[:1], NAMES[:2], NAMES], ids=["1", "2", "8"])
def test_text_stays_inside_and_does_not_overlap(names):
    for ax in draw_all(names):
        figure = ax.figure
        figure.draw_without_rendering()
        page = figure.bbox.padded(1.0)
        drawn = visible_texts(figure)
        for text, box in drawn:
            assert page.x0 <= box.x0, text
            assert box.x1 <= page.x1, text
            assert page.y0 <= box.y0, text
            assert box.y1 <= page.y1, text
        for first, (text, box) in enumerate(drawn):
            for other, other_box in drawn[first + 1 :]:
                shrunk = other_box.padded(-1.0)
                assert not box.padded(-1.0).overlaps(shrunk), (text, other)


@pytest.mark.parametrize("width", [5, 14, 24])
def test_wrapping_loses_nothing(width):
    for name in NAMES:
        lines = wrapped(name, width).split("\n")
        assert all(len(line.replace(r"\$", "$")) <= width for line in lines)
        assert "".join(lines).replace(" ", "").replace(r"\$", "$") == name.replace(" ", "")


def test_names_are_not_read_as_mathematics():
    ax = plot_estimates(estimates(NAMES[:4]))
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["resnet_50", r"\$x_1\$ and \$\alpha\$", "<b>vit</b>", "_private"]
    assert mpl.cbook.is_math_text(labels[1]) is False
    broken = plot_estimates(estimates([r"$\nonsense{$", "b"]), title=r"$\frac$")
    broken.figure.draw_without_rendering()


def test_names_with_leading_underscore_are_in_the_legend():
    assert legend_labels(plot_roc_curves(curves(["_private", "a"]))) == ["_private", "a", "chance"]


def test_names_are_escaped_when_latex_sets_them():
    with mpl.rc_context({"text.usetex": True}):
        assert wrapped("50%_a", 20) == r"50\%\_a"


def test_estimates_draw_points_and_intervals():
    ax = plot_estimates(estimates(), null=0.5)
    intervals = [list(line.get_xdata()) for line in ax.lines if len(line.get_xdata()) == 2]
    assert intervals[:2] == [[0.65, 0.74], [0.67, 0.76]]
    assert intervals[2] == [0.5, 0.5]
    points = [line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 1]
    assert points == [0.7, 0.72]
    assert ax.get_xlabel() == "AUROC"
    assert ax.get_xlim()[0] < 0.5
    first, second = ax.get_yticks()
    assert ax.transData.transform((0, first))[1] > ax.transData.transform((0, second))[1]


def test_estimates_are_gathered_under_headings():
    frame = estimates(("a", "b"), ("AUROC", "AUPRC"))[[0, 2, 1, 3]]
    ax = plot_estimates(frame)
    assert [text.get_text() for text in ax.texts] == ["AUROC", "AUPRC"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b", "a", "b"]
    colors = [line.get_color() for line in ax.lines if len(line.get_xdata()) == 1]
    assert colors == [COLORS[0], COLORS[1], COLORS[0], COLORS[1]]
    assert ax.get_xlabel() == "Estimate"


def test_missing_and_unbounded_intervals():
    frame = estimates(("a", "b", "c")).with_columns(
        estimate=pl.Series([0.7, math.nan, 0.8]),
        ci_low=pl.Series([0.6, None, math.nan]),
        ci_high=pl.Series([math.inf, None, math.nan]),
    )
    ax = plot_estimates(frame)
    assert [text.get_text() for text in ax.texts] == ["not estimable"]
    right = ax.get_xlim()[1]
    assert [line.get_xdata()[0] for line in ax.lines if line.get_marker() == ">"] == [right]
    assert [list(x.get_xdata()) for x in ax.lines if len(x.get_xdata()) == 2] == [[0.6, right]]


def test_estimates_without_intervals():
    ax = plot_estimates(estimates().drop("ci_low", "ci_high"))
    assert len(ax.lines) == 2


def test_differences_write_adjusted_p_values():
    ax = plot_differences(comparisons(("a", "b", "d", "e"), reference="c"), margin=0.1)
    assert [text.get_text() for text in ax.texts] == ["adj. p", "1.000", "0.200", "0.020", "0.002"]
    assert ax.get_xlabel() == "Difference in AUROC\nfrom c"
    low, high = ax.get_xlim()
    assert low < -0.1 < 0.1 < high


def test_unadjusted_differences_are_not_called_adjusted():
    frame = comparisons().with_columns(adjust=pl.lit(None, dtype=pl.String))
    ax = plot_differences(frame)
    assert [text.get_text() for text in ax.texts] == ["p", "1.000", "0.100"]


def test_a_single_pair_is_named_in_full():
    ax = plot_differences(comparisons(("a",)))
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a − c"]
    assert ax.get_xlabel() == "Difference in AUROC"


def test_differences_between_groups():
    frame = comparisons(("site 1", "site 2")).rename({"model": "group"})
    ax = plot_differences(frame)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["site 1", "site 2"]


def test_roc_curves():
    ax = plot_roc_curves(curves())
    assert legend_labels(ax) == ["a", "b", "chance"]
    assert [list(line) for line in ax.lines[-1].get_xydata()] == [[0.0, 0.0], [1.0, 1.0]]
    assert len(ax.collections) == 2
    assert ax.lines[0].get_color() != ax.lines[1].get_color()
    assert ax.lines[0].get_linestyle() != ax.lines[1].get_linestyle()
    assert not plot_roc_curves(curves(band=False)).collections


def test_pr_curves_have_chance_only_where_it_is_known():
    ax = plot_pr_curves(curves(), chance=0.3)
    assert list(ax.lines[-1].get_ydata()) == [0.3, 0.3]
    assert legend_labels(plot_pr_curves(curves())) == ["a", "b"]


def test_labels_of_curves():
    labelled = curves(("a", "b")).with_columns(area_label=pl.col("model") + " 0.91 [0.88, 0.94]")
    assert legend_labels(plot_roc_curves(labelled))[0] == "a 0.91 [0.88, 0.94]"
    numbers = curves(("a", "b")).with_columns(area_label=pl.lit(0.91234))
    assert legend_labels(plot_roc_curves(numbers))[:2] == ["a, 0.912", "b, 0.912"]
    grouped = pl.concat([labelled.with_columns(group=pl.lit(name)) for name in ("x", "y")])
    labels = legend_labels(plot_roc_curves(grouped))
    assert labels[0] == "x, a 0.91 [0.88, 0.94]"
    assert len(set(labels)) == 5
    single = plot_roc_curves(curves(("a",)).rename({"model": "class"}))
    assert legend_labels(single) == ["a", "chance"]


def test_mistakes_mark_half_of_each_loss():
    left, _ = plot_mistakes(losses(), amplifications())
    # Half of depth ** power lies at depth 0.5 ** (1 / power) of three decades.
    expected = [1e-3 * 1e3 ** (0.5 ** (1 / power)) for power in (8.0, 1.0)]
    marks = [line.get_xdata()[0] for line in left.lines if line.get_marker() == "o"]
    # One step of the grid, not of the thinned line: the number must equal the estimate.
    assert marks == pytest.approx(expected, rel=1.4e-3)
    assert legend_labels(left)[1] == "AUPRC: half by firing rate 0.032"
    assert left.get_xscale() == "log"
    assert max(len(line.get_xdata()) for line in left.lines) <= 1000


def test_the_favoured_pair_is_framed_and_named():
    _, right = plot_mistakes(losses(), amplifications())
    assert right.get_title(loc="left") == "AUPRC favours low over high"
    (frame,) = right.patches
    assert frame.get_xy() == (1, 0)
    assert [text.get_text() for text in right.texts[2:4]] == ["2.00", "[1.33, 3.00]"]
    assert right.texts[2].get_fontweight() == "bold"
    assert right.texts[0].get_fontweight() == "normal"


def test_a_group_is_not_favoured_over_itself():
    frame = amplifications().with_columns(positive_group=pl.lit("b"), negative_group=pl.lit("b"))
    _, right = plot_mistakes(losses(), frame[1:2])
    assert right.get_title(loc="left") == "AUPRC favours pairs within b"


def test_noise_is_not_called_favour():
    _, right = plot_mistakes(losses(), amplifications(factor=1.3, width=1.5))
    assert right.get_title(loc="left") == "AUPRC favours no sub-group clearly"
    assert not right.patches


def test_one_is_neutral_and_the_scale_is_symmetric():
    _, right = plot_mistakes(losses(), amplifications(factor=4.0))
    (mesh,) = right.collections
    assert mesh.get_clim() == pytest.approx((-math.log(4.0), math.log(4.0)))
    assert mesh.cmap(mesh.norm(0.0))[:3] == pytest.approx((0.97, 0.97, 0.97), abs=0.02)


def test_cells_without_a_value():
    frame = amplifications().with_columns(
        estimate=pl.Series([0.0, math.inf, None, math.nan]),
        ci_low=pl.Series([None] * 4, dtype=pl.Float64),
        ci_high=pl.Series([None] * 4, dtype=pl.Float64),
    )
    _, right = plot_mistakes(losses(), frame)
    right.figure.draw_without_rendering()
    assert [text.get_text() for text in right.texts] == ["0.00", "inf", "–", "–"]


@pytest.mark.parametrize("groups", [["only"], [str(place) for place in range(14)]])
def test_matrices_of_any_size(groups):
    axes = plot_mistakes(losses(), amplifications(groups))
    assert axes[1].figure.get_figwidth() == page_width


def test_a_perfect_ranking_has_no_loss_to_show():
    empty = losses().with_columns(cumulative_share=pl.lit(math.nan))
    left, _ = plot_mistakes(empty, amplifications())
    assert legend_labels(left) == []


def test_own_axes_are_used_and_left_in_their_style():
    figure, axes = plt.subplots(1, 2)
    fonts = axes[0].xaxis.label.get_fontsize()
    assert plot_roc_curves(curves(), ax=axes[0]) is axes[0]
    assert plot_estimates(estimates(), ax=axes[1]) is axes[1]
    assert axes[0].xaxis.label.get_fontsize() == fonts
    _, pair = plt.subplots(1, 2)
    assert plot_mistakes(losses(), amplifications(), axes=pair) == tuple(pair)
    assert plt.get_fignums() == [figure.number, figure.number + 1]


def test_style_is_local():
    before = dict(mpl.rcParams)
    with paper_style():
        assert mpl.rcParams["font.size"] == 8
    plot_estimates(estimates())
    with pytest.raises(ZeroDivisionError), paper_style():
        _ = 1 / 0
    assert dict(mpl.rcParams) == before


def test_new_figures_have_paper_width():
    assert plot_roc_curves(curves()).figure.get_figwidth() == column_width == 3.4
    assert plot_estimates(estimates()).figure.get_figwidth() == column_width


def test_colours_and_styles_repeat_only_after_28_models():
    pairs = {(COLORS[i % 7], LINE_STYLES[i % 4]) for i in range(28)}
    assert len(COLORS) == 7
    assert len(pairs) == 28


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plot_estimates(pl.DataFrame({"a": [1]})), "no column 'estimate'"),
        (lambda: plot_differences(estimates()), "no column 'reference'"),
        (lambda: plot_differences(comparisons(), margin=-1.0), "margin=-1.0"),
        (lambda: plot_roc_curves(curves().drop("y")), "no column 'y'"),
        (lambda: plot_mistakes(losses(), estimates()), "'positive_group'"),
        (lambda: plot_mistakes(losses().drop("metric"), amplifications()), "'metric'"),
        (lambda: plot_mistakes(losses(), amplifications(), axes=[None]), "needs two"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_missing_matplotlib_says_how_to_install_it():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import polars as pl\n"
        "from evalstats.results.displays import plot_estimates\n"
        "frame = pl.DataFrame({'model': ['a'], 'estimate': [0.5]})\n"
        "try:\n"
        "    plot_estimates(frame)\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert "pip install 'evalstats-metrics[plot]'" in result.stdout
