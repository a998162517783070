"""How plots look: paper sizes and fonts, and colours that colour-blind readers tell apart."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from evalstats.results.latex import escape_latex
from evalstats.results.layout import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes

column_width = 3.4
page_width = 7.0

OKABE_ITO = MappingProxyType(
    {
        "black": "#000000",
        "orange": "#E69F00",
        "sky blue": "#56B4E9",
        "bluish green": "#009E73",
        "yellow": "#F0E442",
        "blue": "#0072B2",
        "vermillion": "#D55E00",
        "reddish purple": "#CC79A7",
    }
)
# Okabe-Ito without yellow, which is too pale for a line on white paper.
COLORS = tuple(
    OKABE_ITO[name]
    for name in (
        "blue",
        "vermillion",
        "bluish green",
        "reddish purple",
        "orange",
        "sky blue",
        "black",
    )
)
# Four styles and five markers against seven colours: no combination repeats within 28 models.
LINE_STYLES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v")
NEUTRAL = "#6B6B6B"
DIVERGING_MAP = "PuOr_r"

# Breaks may follow spaces and separators, but never tear a leading separator from its name.
_WORD = re.compile(r"[_\-/]*[^\s_\-/]+[_\-/]*\s*|\S+\s*|\s+")

_PAPER = MappingProxyType(
    {
        "axes.grid": False,
        "axes.labelsize": 8,
        "axes.linewidth": 0.6,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 8,
        "axes.titleweight": "bold",
        "figure.constrained_layout.use": True,
        "figure.dpi": 150,
        "figure.figsize": (column_width, 2.6),
        "font.family": "sans-serif",
        "font.size": 8,
        "legend.fontsize": 7,
        "legend.frameon": False,
        "lines.linewidth": 1.2,
        "lines.markersize": 4,
        "pdf.fonttype": 42,
        "ps.fonttype": 42,
        "savefig.dpi": 300,
        "text.usetex": False,
        "xtick.labelsize": 7,
        "xtick.major.width": 0.6,
        "ytick.labelsize": 7,
        "ytick.major.width": 0.6,
    }
)


@contextmanager
def paper_style() -> Iterator[None]:
    """Draw at the size and with the fonts of a paper column, within the ``with`` block only.

    Yields
    ------
    None
        The previous settings come back when the block ends.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from evalstats.results.style import paper_style
    >>> with paper_style():
    ...     figure, ax = plt.subplots()
    >>> float(figure.get_figwidth())
    3.4
    >>> plt.close(figure)
    """
    pyplot = require_pyplot()
    from cycler import cycler

    color = [COLORS[i % len(COLORS)] for i in range(len(COLORS) * len(LINE_STYLES))]
    style = [LINE_STYLES[i % len(LINE_STYLES)] for i in range(len(color))]
    with pyplot.rc_context({**_PAPER, "axes.prop_cycle": cycler(color=color, linestyle=style)}):
        yield


def require_pyplot() -> Any:
    """Import pyplot, or say how to install it."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'evalstats-metrics[plot]'") from error
    return pyplot


@contextmanager
def drawing_axes(ax: "Axes | None", *, width: float, height: float) -> Iterator["Axes"]:
    """Yield the caller's axes untouched, or new ones of the given size (inches) in paper style."""
    pyplot = require_pyplot()
    if ax is not None:
        yield ax
        return
    with paper_style():
        _, new = pyplot.subplots(figsize=(width, height))
        yield new


def literal(text: str) -> str:
    """Text that matplotlib prints as it stands, whatever it would read as mathematics."""
    text = clean(text)
    return (
        escape_latex(text) if require_pyplot().rcParams["text.usetex"] else text.replace("$", r"\$")
    )


def wrapped(text: str, width: int) -> str:
    """Long name broken over lines of at most `width` characters; nothing is cut off.

    Names often have no spaces, so they may also break after their own separators, and within a
    word that is longer than a line.
    """
    lines = [""]
    for word in _WORD.findall(clean(text)):
        for start in range(0, len(word), width):
            piece = word[start : start + width]
            if lines[-1] and len((lines[-1] + piece).rstrip()) > width:
                lines.append("")
            lines[-1] += piece
    return "\n".join(literal(line.rstrip()) for line in lines)


def write_legend(axes: "Axes", lines: "Sequence[Any]", labels: Sequence[str]) -> None:
    """Legend below the axis label, where no curve can run through it."""
    from matplotlib.transforms import ScaledTranslation

    # Room for tick labels and axis label, which do not grow with the axes.
    drop = -3.7 * float(axes.xaxis.label.get_fontsize()) / 72
    legend = axes.legend(
        lines,
        [str(number) for number in range(len(lines))],
        loc="upper left",
        bbox_to_anchor=(0.0, 0.0),
        bbox_transform=axes.transAxes + ScaledTranslation(0.0, drop, axes.figure.dpi_scale_trans),
        borderaxespad=0.0,
        handlelength=2.6,
        labelspacing=0.3,
        frameon=False,
    )
    # Set afterwards because a legend may drop names that begin with an underscore.
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set_text(label)
