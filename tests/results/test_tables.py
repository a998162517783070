"""Tables: the same numbers in every format, and names that cannot break out of any of them."""

import math
import re
from html.parser import HTMLParser

import polars as pl
import pytest

from evalstats.errors import InputError
from evalstats.results.layout import format_number, format_p, lay_out
from evalstats.results.tables import (
    escape_latex,
    format_html,
    format_latex,
    format_markdown,
    format_text,
)

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    r"\input{/etc/passwd}",
    r"a & b \\ \hline",
    "50% $x_1$ #1 ~ ^2 {y}",
    "| pipe | `code` | [link](http://x)",
    "[red]bold[/red]",
    "\x1b[31mred\x1b[0m",
    "two\nlines",
    "\u202egnp.exe",
    "[3cm] after a line break",
    "--flag",
]
ALL_FORMATS = [format_text, format_markdown, format_html, format_latex]


def estimates(models=("resnet", "vit"), values=(0.9123, 0.9341), **terms):
    count = len(models)
    return pl.DataFrame(
        {
            "metric": ["AUROC"] * count,
            **terms,
            "model": list(models),
            "estimate": list(values),
            "standard_error": [0.0142] * count,
            "ci_low": [value - 0.0323 for value in values],
            "ci_high": [value + 0.0239 for value in values],
            "n": [569] * count,
            "inference": ["DeLong"] * count,
        }
    )


def comparisons(models=("a", "b"), reference="c", p_value=(0.3, 1e-5), adjust="holm"):
    count = len(models)
    return pl.DataFrame(
        {
            "metric": ["AUROC"] * count,
            "model": list(models),
            "reference": [reference] * count,
            "estimate": [-0.012, 0.021][:count],
            "standard_error": [0.01, 0.02][:count],
            "ci_low": [-0.03, 0.0003][:count],
            "ci_high": [0.01, 0.04][:count],
            "statistic": [-1.2, 3.3][:count],
            "p_value": list(p_value),
            "p_adjusted": [min(1.0, 2 * p) for p in p_value],
            "adjust": pl.Series([adjust] * count, dtype=pl.String),
            "n": [569] * count,
        }
    )


class Html(HTMLParser):
    """Tags seen and text of every cell."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.cells, self.attributes = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes.append((tag, dict(attrs)))
        if tag in ("td", "th", "caption"):
            self.cells.append("")

    def handle_data(self, data):
        if self.cells:
            self.cells[-1] += data.strip("\n")


def test_plain_text_is_this_table():
    text = format_text(estimates(), title="AUROC", note="Seed 1", level=0.95)
    assert text == (
        "AUROC\n"
        "Model    Estimate      SE           95% CI\n"
        "------------------------------------------\n"
        "resnet      0.912   0.014   [0.880, 0.936]\n"
        "vit         0.934   0.014   [0.902, 0.958]\n"
        "metric: AUROC; n = 569; inference: DeLong. Seed 1"
    )


def test_latex_is_this_table():
    latex = format_latex(estimates(), caption="Accuracy of $k$ models", label="tab:auroc")
    assert latex == "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            r"\caption{Accuracy of $k$ models}",
            r"\label{tab:auroc}",
            r"\begin{tabular}{lrr}",
            r"\toprule",
            r"Model & Estimate {[}CI{]} & SE \\",
            r"\midrule",
            r"resnet & 0.912 [0.880, 0.936] & 0.014 \\",
            r"vit & \textbf{0.934} [0.902, 0.958] & 0.014 \\",
            r"\bottomrule",
            r"\end{tabular}",
            r"\par\smallskip",
            r"\begin{minipage}{\linewidth}\footnotesize metric: AUROC; n = 569; "
            r"inference: DeLong. Bold: best estimate, not a test of difference.\end{minipage}",
            r"\end{table}",
        ]
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.9125, "0.912"),
        (1.0, "1.000"),
        (0.0, "0.000"),
        (-0.0, "0.000"),
        (0.0003, "0.0003"),
        (-0.0002, "-0.0002"),
        (0.00004, "4e-05"),
        (123456.7, "123456.700"),
        (2.5e7, "2.500e+07"),
        (math.nan, "–"),
        (None, "–"),
        (math.inf, "inf"),
    ],
)
def test_a_small_number_never_prints_as_zero(value, text):
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.0009999, 3, "<0.001"),
        (0.001, 3, "0.001"),
        (0.0496, 2, "0.050"),
        (0.0, 3, "<0.001"),
        (1.0, 3, "1.000"),
        (0.00005, 4, "<0.0001"),
        (math.nan, 3, "–"),
    ],
)
def test_p_values(value, digits, text):
    assert format_p(value, digits) == text


@pytest.mark.parametrize("render", ALL_FORMATS)
def test_missing_numbers_are_dashes(render):
    frame = estimates(values=(0.9, math.nan)).with_columns(
        standard_error=pl.Series([0.01, None]), ci_low=pl.Series([0.8, math.nan])
    )
    text = render(frame)
    assert "nan" not in text.lower()
    assert "None" not in text
    assert ("--" if render is format_latex else "–") in text


@pytest.mark.parametrize("render", ALL_FORMATS)
def test_point_estimates_alone_have_no_empty_columns(render):
    frame = estimates().with_columns(
        pl.lit(math.nan).alias(name) for name in ("standard_error", "ci_low", "ci_high")
    )
    text = render(frame)
    assert "SE" not in text
    assert "CI" not in text


def test_constant_columns_go_to_the_note():
    layout = lay_out(estimates(group=["a", "b"]))
    shown = [column.name for column in layout.columns]
    assert shown == ["group", "model", "estimate", "standard_error", "interval"]
    assert layout.note == "metric: AUROC; n = 569; inference: DeLong"


def test_a_single_row_keeps_its_names():
    layout = lay_out(estimates()[:1])
    assert [column.name for column in layout.columns[:2]] == ["metric", "model"]
    assert layout.note == "n = 569; inference: DeLong"


def test_rows_that_nothing_tells_apart_keep_their_names():
    layout = lay_out(estimates(models=("vit", "vit")))
    assert [column.name for column in layout.columns[:2]] == ["metric", "model"]


def test_varying_counts_stay_in_the_table():
    layout = lay_out(estimates().with_columns(n=pl.Series([1234, 10])))
    assert next(c.cells for c in layout.columns if c.name == "n") == ("1,234", "10")


@pytest.mark.parametrize("render", ALL_FORMATS)
def test_numeric_and_null_terms(render):
    frame = estimates(quantile=[0.1, 0.25], site=[3, None], fold=[None, None])
    text = render(frame)
    assert "0.25" in text
    assert "Fold" not in text


@pytest.mark.parametrize("render", ALL_FORMATS)
def test_comparisons(render):
    text = render(comparisons())
    assert "Difference" in text
    assert "reference: c" in text
    assert "p adjusted by: holm" in text
    shown = {format_latex: "$<$0.001", format_html: "&lt;0.001"}.get(render, "<0.001")
    assert text.count(shown) == 2
    assert "textbf" not in text


@pytest.mark.parametrize("render", ALL_FORMATS)
def test_unadjusted_p_values_are_shown_once(render):
    assert "adj" not in render(comparisons(adjust=None))


@pytest.mark.parametrize("render", ALL_FORMATS)
def test_empty_frame(render):
    assert "Estimate" in render(estimates()[:0])


def test_bold_marks_the_best_of_each_block_only():
    frame = estimates(
        models=("a", "b", "a", "b", "a"),
        values=(0.8, 0.9, 0.7, 0.6, math.nan),
        group=["x", "x", "y", "y", "z"],
    )
    latex = format_latex(frame)
    assert re.findall(r"textbf\{([\d.]+)\}", latex) == ["0.900", "0.700"]
    lower = format_latex(frame, higher_is_better=False)
    assert re.findall(r"textbf\{([\d.]+)\}", lower) == ["0.800", "0.600"]
    for plain in (format_latex(frame, higher_is_better=None), format_latex(frame, bold_best=False)):
        assert "textbf" not in plain
        assert "Bold" not in plain


@pytest.mark.parametrize("order", [["model", "group"], ["group", "model"]])
def test_space_between_blocks(order):
    frame = estimates(("a", "b", "a", "b"), (0.8, 0.9, 0.7, 0.6), group=["x", "x", "y", "y"])
    latex = format_latex(frame.select("metric", *order, *frame.columns[3:]))
    assert latex.count("addlinespace") == 1
    assert latex.split("addlinespace")[1].count(r"\\") == 2
    assert "addlinespace" not in format_latex(estimates(models=("a", "b", "c"), values=(1, 2, 3)))


def test_numbers_that_print_alike_are_equally_bold():
    latex = format_latex(estimates(values=(0.90001, 0.90002)))
    assert latex.count(r"\textbf{0.900}") == 2


def test_a_single_model_is_not_the_best_of_anything():
    assert "textbf" not in format_latex(estimates()[:1])


def test_siunitx_columns():
    latex = format_latex(comparisons(), siunitx=True)
    assert "S[table-format=-1.3,detect-weight=true]" in latex
    assert "{Difference}" in latex
    assert "& -0.012 &" in latex
    assert "[$-$0.030, 0.010]" in latex
    missing = format_latex(estimates(values=(0.9, math.nan)), siunitx=True)
    assert "{--}" in missing
    assert "table-format=1.3" in missing


def test_latex_signs_and_exponents():
    frame = estimates(values=(-0.5, 4e-5)).with_columns(ci_low=pl.Series([-math.inf, 1e-6]))
    latex = format_latex(frame)
    assert r"$-$0.500 [$-\infty$" in latex
    assert r"4$\times10^{-5}$} [1$\times10^{-6}$" in latex


def test_latex_escapes_every_special_character():
    assert escape_latex(r"\{}$&#_%^~<>|`[]") == (
        r"\textbackslash{}\{\}\$\&\#\_\%\textasciicircum{}\textasciitilde{}\textless{}"
        r"\textgreater{}\textbar{}\textasciigrave{}{[}{]}"
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_latex_names_are_inert(name):
    latex = format_latex(estimates(models=(name, "other"), site=[name, "there"]), note=name)
    body = latex.split(r"\midrule")[1].split(r"\bottomrule")[0]
    rows = [line for line in body.split("\n") if line]
    assert len(rows) == 2
    assert all(len(re.findall(r"(?<!\\)&", row)) == 3 for row in rows)
    harmless = r"\\text\w+\{\}|\\[{}$&#_%]|\\textbf|\\\\$|\$-\$"
    left = re.sub(harmless, "", rows[0])
    assert not re.search(r"[\\$#%_^~]", left)
    assert left.count("{") == left.count("}")
    assert not rows[0].startswith("[")


@pytest.mark.parametrize("name", HOSTILE)
def test_html_names_are_inert(name):
    frame = estimates(models=(name, "other")).rename({"metric": "by <i>"})
    parsed = Html(format_html(frame, title=name, note=name))
    assert set(parsed.tags) == {"table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td"}
    attributes = {key for _, given in parsed.attributes for key in given}
    assert attributes <= {"class", "scope", "style", "colspan"}
    if name.isprintable():
        assert name in parsed.cells


def test_html_structure():
    text = format_html(estimates(), title="Accuracy")
    parsed = Html(text)
    assert parsed.cells[0] == "Accuracy"
    assert text.count('scope="col"') == 4
    assert text.count('scope="row"') == 2
    assert "<caption>Estimates</caption>" in format_html(estimates())
    assert "<caption>Differences</caption>" in format_html(comparisons())
    assert "−0.012" in format_html(comparisons())


@pytest.mark.parametrize("name", HOSTILE)
def test_markdown_names_are_inert(name):
    lines = format_markdown(estimates(models=(name, "other")), note=name).split("\n")
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 4
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {5}
    assert not re.search(r"(?<!\\)[<`_$]", re.sub(r"\\\\", "", "".join(lines)))


@pytest.mark.parametrize("name", HOSTILE)
def test_text_names_are_shown_as_they_are(name):
    text = format_text(estimates(models=(name, "other")), title="T", note="N")
    assert len(text.split("\n")) == 6
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\u202e]", text)
    if name.isprintable():
        assert name in text


def test_text_is_as_wide_as_its_names(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    name = "model-" * 400
    text = format_text(estimates(models=(name, "漢字")))
    assert name in text
    assert "…" not in text
    # A wide character takes two cells, so the line is shorter by as many characters.
    assert len(text.split("\n")[2]) - len(text.split("\n")[3]) == len("漢字")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: format_text(pl.DataFrame({"model": ["a"]})), "needs 'estimate'"),
        (lambda: format_text(pl.DataFrame()), "no columns"),
        (lambda: format_text(estimates().drop("ci_high")), "give both or neither"),
        (lambda: format_latex(estimates(), digits=-1), "digits must be between"),
        (lambda: format_latex(estimates(), label="tab:a}b"), "label"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(InputError, match=message):
        call()
