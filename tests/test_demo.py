"""The demo: real data in, a self-contained report with tables and figures out."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest

from evalstats.cli import app
from evalstats.report.page import render_page
from evalstats.report.section import Section, Table
from evalstats.results.citations import citations

VOID = {"meta", "img", "br", "link", "hr", "input"}
HOSTILE = "<script>alert(1)</script> & 50% $x$ \\input{secret}"


class Page(HTMLParser):
    """Checks that tags are balanced and collects what a browser would load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.headings: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        values = {name: value or "" for name, value in attrs}
        self.sources += [
            values[name] for name in ("src", "srcset", "data", "poster") if name in values
        ]
        self.links += [values["href"]] if "href" in values else []
        self.ids += [values["id"]] if "id" in values else []
        self.headings += [tag] if re.fullmatch("h[1-6]", tag) else []
        if tag == "img":
            assert values["alt"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> tuple[Path, str, str]:
    folder = tmp_path_factory.mktemp("demo") / "a folder"
    result = subprocess.run(
        [sys.executable, "-c", "from evalstats.cli import app; app()", "demo", "--out", folder],
        capture_output=True, text=True, check=False, timeout=240,
        env={**os.environ, "no_proxy": "", "https_proxy": "http://127.0.0.1:9"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return folder, result.stdout, result.stderr


def test_prints_the_headline_and_where_the_files_are(demo):
    folder, out, err = demo
    assert err == ""
    assert out.startswith("Malignant tumours: discrimination\n")
    assert "adj. p" in out
    for path in ("report.html", "tables", "figures", "data"):
        assert str(folder / path) in out


def test_page_is_self_contained_and_well_formed(demo):
    text = (demo[0] / "report.html").read_text("utf-8")
    page = Page(text)
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert len(page.sources) >= 8
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert not page.tags & {"script", "link", "iframe"}
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style
    assert "&" not in style
    assert page.headings[0] == "h1"
    assert page.headings.count("h1") == 1
    assert len(page.ids) == len(set(page.ids))


def test_page_explains_itself(demo):
    text = (demo[0] / "report.html").read_text("utf-8")
    for expected in (
        "AUROC with 95% confidence intervals by DeLong",
        "clustered by 199 clusters",
        "@article{delong1988",
        "scikit-learn",
        "\\toprule",
    ):
        assert expected in text


def test_tables_and_figures_are_files(demo):
    folder = demo[0]
    tables = {path.name for path in (folder / "tables").iterdir()}
    figures = {path.name for path in (folder / "figures").iterdir()}
    assert {"tumours.tex", "tumours.csv", "tumours-differences.tex", "mistakes.tex"} <= tables
    assert {"tumours-roc.png", "tumours-roc.pdf", "countries.png", "mistakes.png"} <= figures
    for path in (folder / "tables").glob("*.tex"):
        text = path.read_text("utf-8")
        assert text.count(r"\begin{") == text.count(r"\end{")
        assert rf"\label{{tab:{path.stem}}}" in text
    for path in (folder / "figures").glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
    assert "@software{evalstats" in (folder / "references.bib").read_text("utf-8")


def test_sampling_countries_widens_the_intervals(demo):
    table = pl.read_csv(demo[0] / "tables" / "countries.csv")
    rows, countries = table.partition_by("sampled", maintain_order=True)
    assert rows["estimate"].to_list() == pytest.approx(countries["estimate"].to_list())
    assert (countries["standard_error"] > rows["standard_error"]).all()


def test_suggested_command_works(demo, capsys):
    data = demo[0] / "data" / "tumours.csv"
    with pytest.raises(SystemExit) as leaving:
        app(["auroc", str(data), "--y-true", "malignant", "--y-score", "random forest",
             "gradient boosting", "--compare"])  # fmt: skip
    assert not leaving.value.code
    out = capsys.readouterr().out
    headline = pl.read_csv(demo[0] / "tables" / "tumours.csv")
    estimate = headline.filter(metric="AUROC", model="random forest")["estimate"][0]
    assert f"{estimate:.3f}" in out


def test_names_are_literal_text():
    frame = pl.DataFrame({"model": [HOSTILE], "estimate": [0.5], "ci_low": [0.4], "ci_high": [0.6]})
    table = Table("hostile", HOSTILE, frame, note=HOSTILE)
    text = render_page(HOSTILE, HOSTILE, [Section(HOSTILE, HOSTILE, tables=[table])])
    page = Page(text)
    assert "script" not in page.tags
    assert r"\input{secret}" not in table.to_latex()
    assert citations("evalstats").splitlines()[0] in text


def test_folder_that_cannot_be_made_is_status_2(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("evalstats.report.demo.SECTIONS", ())
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as leaving:
        app(["demo", "--out", str(tmp_path / "file" / "inside")])
    assert leaving.value.code == 2
    assert capsys.readouterr().err.startswith("error: cannot create")


def test_missing_extra_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("evalstats.report.demo.find_spec", lambda name: None)
    with pytest.raises(SystemExit) as leaving:
        app(["demo", "--out", str(tmp_path)])
    assert leaving.value.code == 2
    assert "evalstats-metrics[report]" in capsys.readouterr().err
