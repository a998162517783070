"""What must hold of a result that came back without complaint."""

import io
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any

import numpy as np

import evalstats as es
from tests.fuzz.harness import WrongError
from tests.fuzz.values import Rng

HTML_TAGS = {
    "table": {"class"},
    "caption": set(),
    "thead": set(),
    "tbody": set(),
    "tfoot": set(),
    "tr": set(),
    "th": {"scope", "style"},
    "td": {"colspan", "style"},
}
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
DANGEROUS_LATEX = re.compile(
    r"\\(?:input|end\{tabular\} &|write|immediate|catcode)|(?<!\\)%|(?<!\\)#"
)
WALD = ("wald", "logit", "logit_percent")


def check_estimate(rng: Rng, estimate: Any, cls: Any, params: Mapping[str, Any]) -> None:
    """No silent NaN, nothing out of range, intervals around their values, clean tables."""
    value, error = estimate.value, estimate.standard_error
    k = len(value)
    _require(k >= 1, "no value")
    _require(value.shape == error.shape == (k,), "shapes differ")
    _require(estimate.covariance.shape == (k, k), "covariance has another shape")
    _require(estimate.terms.height == k, "terms have another length")
    _require(not np.isinf(error).any(), f"infinite standard error {error}")
    _require(not (error < 0).any(), f"negative standard error {error}")
    allowed = cls.undefined_terms == "blank" or params.get("on_undefined") == "nan"
    if cls.__name__ == "MistakeAnalysis":
        allowed = True  # the amplification between groups without a mistake is 0 / 0, as documented
    if not allowed and not estimate.notes:
        _require(not np.isnan(value).any(), f"silent NaN: {value}")
    low, high = cls.value_range
    if params.get("method") == "binned":
        low = -np.inf  # the remainder within bins has either sign
    slack = 1e-9 * max(1.0, float(np.nanmax(np.abs(value), initial=0.0)))
    inside = np.isnan(value) | ((value >= low - slack) & (value <= high + slack))
    _require(bool(inside.all()), f"{value} outside {cls.value_range}")
    bottom, top = estimate.confidence_interval()
    _require(not (bottom > top).any(), f"interval upside down: {bottom} {top}")
    for row, name in enumerate(estimate.interval):
        if name in WALD and np.isfinite([bottom[row], top[row], value[row]]).all():
            around = bottom[row] - slack <= value[row] <= top[row] + slack
            _require(around, f"{name}: {value[row]} outside [{bottom[row]}, {top[row]}]")
    if rng.random() < 0.2:
        check_tables(estimate)


def check_tables(estimate: Any) -> None:
    """Names are literal text in every format."""
    check_html(estimate.to_html())
    check_latex(estimate.to_latex())
    check_markdown(estimate.to_markdown(), estimate.terms.height)
    check_terminal(str(estimate))


def check_html(text: str) -> None:
    """Only the tags and attributes of our own tables."""

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            known = HTML_TAGS.get(tag)
            _require(known is not None, f"HTML: tag <{tag}> came through")
            _require({name for name, _ in attrs} <= (known or set()), f"HTML: attributes {attrs}")

        def handle_comment(self, data: str) -> None:
            raise WrongError("HTML: a comment came through")

    Reader(convert_charrefs=True).feed(text)


def check_latex(text: str) -> None:
    """Braces balance, rows have equal numbers of cells, no command of a name survives."""
    _require(DANGEROUS_LATEX.search(text) is None, f"LaTeX: {DANGEROUS_LATEX.search(text)}")
    plain = re.sub(r"\\[{}\\&]", "", text)
    _require(plain.count("{") == plain.count("}"), "LaTeX: braces do not balance")
    body = text.split(r"\toprule")[1].split(r"\bottomrule", maxsplit=1)[0]
    rows = [line for line in body.split("\n") if line.endswith(r"\\")]
    cells = {len(re.findall(r"(?<!\\)&", row)) for row in rows}
    _require(len(cells) == 1, f"LaTeX: rows with {sorted(cells)} separators")
    stray = [
        line for line in body.split("\n") if line and not line.endswith((r"\\", "rule", "space"))
    ]
    _require(not stray, f"LaTeX: stray line {stray[:1]}")


def check_markdown(text: str, height: int) -> None:
    """One line per row, and the same number of cells in each."""
    rows = [line for line in text.split("\n") if line.startswith("|")]
    cells = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
    _require(len(cells) == 1, f"Markdown: rows with {sorted(cells)} bars")
    _require(len(rows) == height + 2, f"Markdown: {len(rows)} lines for {height} terms")
    _require(re.search(r"(?<!\\)<[a-z/]", text) is None, "Markdown: a tag came through")


def check_terminal(text: str) -> None:
    """No control characters, which a terminal would obey."""
    found = CONTROL.search(text)
    _require(found is None, f"text table: control character {found and found[0]!r}")


def check_saved(estimate: Any) -> None:
    """Saving and loading gives the same estimate."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "saved"
        estimate.save(path)
        _require(es.Estimate.load(path) == estimate, "the loaded estimate differs")
        _require(len(list(Path(folder).iterdir())) == 1, "files were left behind")


def check_plot(axes: Any) -> None:
    """A plot that can be written."""
    import matplotlib.pyplot as plt

    figure = np.ravel(axes)[0].figure
    figure.savefig(io.BytesIO(), format="svg")
    plt.close("all")


def check_numbers(result: Any) -> None:
    """No silent NaN and nothing infinite in what a function returns."""
    if isinstance(result, float | np.floating):
        _require(not np.isnan(result), "silent NaN")


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise WrongError(message)
