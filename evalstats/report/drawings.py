"""Drawings as files: the same numbers give the same bytes."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from evalstats.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

PAPER_DPI = 300
MARGIN = 0.1
# What would otherwise hold the time of writing; PNG has no such field.
UNDATED: Mapping[str, dict[str, None]] = {
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
    "png": {},
}


@dataclass(frozen=True)
class Images:
    """A drawing that has been drawn.

    Parameters
    ----------
    forms : mapping of str to bytes
        Content of the file in each format.
    width : float
        Width of the drawing in inches.
    """

    forms: Mapping[str, bytes]
    width: float


def draw(drawing: "Drawing", forms: Iterable[str]) -> Images:
    """Draw once per format, all with one layout.

    Parameters
    ----------
    drawing : matplotlib Figure
        The drawing; it is left as it was.
    forms : iterable of str
        ``"png"``, ``"pdf"`` or ``"svg"``.

    Returns
    -------
    Images
        Files on white ground without dates.

    Raises
    ------
    InputError
        If a format is unknown.
    """
    from matplotlib import rc_context

    wanted = list(dict.fromkeys(forms))
    unknown = [form for form in wanted if form not in UNDATED]
    if unknown:
        raise InputError(f"figure format {unknown[0]!r} is unknown: use {', '.join(UNDATED)}")
    engine = drawing.get_layout_engine()
    # The layout is most of the work and does not depend on the format; identifiers in SVG are
    # random without a salt.
    with rc_context({"svg.hashsalt": "evalstats", "pdf.fonttype": 42}):
        drawing.draw_without_rendering()
        drawing.set_layout_engine("none")
        try:
            # The tight box keeps names whole that stand outside the axes.
            box = drawing.get_tightbbox().padded(MARGIN)
            found = {form: _drawn(drawing, form, box) for form in wanted}
        finally:
            drawing.set_layout_engine(engine)
    return Images(found, float(drawing.get_figwidth()))


def _drawn(drawing: "Drawing", form: str, box: object) -> bytes:
    buffer = io.BytesIO()
    drawing.savefig(
        buffer,
        format=form,
        dpi=PAPER_DPI,
        metadata=UNDATED[form],
        facecolor="white",
        bbox_inches=box,
    )
    return buffer.getvalue()
