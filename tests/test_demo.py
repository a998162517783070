"""The demo: real data in, a self-contained report with tables and figures out."""

import os
import re
import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from evalstats.cli import app
from evalstats.errors import warn
from evalstats.report.demo import _finished
from evalstats.report.section import Section
from tests.report_support import Page, browser, console, measured, pdf_of


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> tuple[Path, str, str]:
    folder = tmp_path_factory.mktemp("demo") / "a folder"
    result = subprocess.run(
        [sys.executable, "-c", "from evalstats.cli import app; app()", "demo", "--out", folder],
        capture_output=True, text=True, check=False, timeout=600,
        env={**os.environ, "no_proxy": "", "https_proxy": "http://127.0.0.1:9"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return folder, result.stdout, result.stderr


def test_prints_the_headline_and_where_the_files_are(demo):
    folder, out, err = demo
    assert err == ""
    assert out.startswith("Estimates with 95% intervals\n")
    assert "Paired differences, one family of tests\n" in out
    assert "adj. p" in out
    for path in ("report.html", "tables", "figures", "data"):
        assert str(folder / path) in out


def test_page_is_self_contained_and_well_formed(demo):
    text = (demo[0] / "report.html").read_text("utf-8")
    page = Page(text)
    assert all(source.startswith("data:image/svg+xml;base64,") for source in page.sources)
    assert len(page.sources) >= 30
    assert len(text) < 5_000_000
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert not page.tags & {"script", "link", "iframe", "form", "object", "embed"}
    assert not re.search(r'(?:src|srcset|href|action|data|poster)="(?:https?:)?//', text)
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style
    assert "&" not in style
    assert page.headings[:2] == ["h1", "h2"]
    assert page.headings.count("h1") == 1
    assert set(page.headings) == {"h1", "h2", "h3"}
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in text
    assert len(page.ids) == len(set(page.ids))


def test_keyboard_reaches_everything(demo):
    text = (demo[0] / "report.html").read_text("utf-8")
    page = Page(text)
    assert page.links[0] == "#content"
    for landmark in ("<header>", '<nav id="contents" aria-label="Contents">', '<main id="content"'):
        assert landmark in text
    assert text.count('<div class="scroll"') == text.count(
        '<div class="scroll" tabindex="0" role="'
    )
    assert text.count("<pre") == text.count('<pre tabindex="0">')
    for name in re.findall(r'<figure id="figure-([^"]+)"', text):
        assert f"#figure-{name}" in page.links
        assert f"#caption-{name}" in page.links
    assert ":focus-visible" in text


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
    names = {name.partition(".")[0] for name in tables}
    assert {"headline", "headline-differences", "tumours", "mistakes"} <= names
    assert tables == {
        f"{name}.{form}" for name in names for form in ("tex", "csv", "md", "parquet")
    }
    names = {name.partition(".")[0] for name in figures}
    assert {"headline-differences", "tumours-roc", "countries", "mistakes"} <= names
    assert figures == {f"{name}.{form}" for name in names for form in ("png", "svg", "pdf")}
    for path in (folder / "tables").glob("*.tex"):
        text = path.read_text("utf-8")
        assert text.count(r"\begin{") == text.count(r"\end{")
        assert rf"\label{{tab:{path.stem}}}" in text
    for path in (folder / "figures").glob("*.png"):
        assert path.read_bytes().startswith(b"\x89PNG")
    assert "@software{evalstats" in (folder / "references.bib").read_text("utf-8")


def test_report_covers_every_method_and_says_what_is_suspicious(demo):
    text = (demo[0] / "report.html").read_text("utf-8")
    methods = text[text.index('id="methods"') : text.index('id="references"')]
    for metric in (
        "AUROC", "AUPRC", "Mistake analysis", "Balance score", "Calibration error", "Brier score",
        "length-controlled win rate", "AUPIMO", "Average precision", "Pooled average precision",
        "Trajectory scores", "Quantile treatment effect", "Distance covariance",
    ):  # fmt: skip
        assert metric.lower() in methods.lower(), metric
    assert "<code>few-tail-images</code>" in text
    assert "SHA-256" in text


def test_headline_is_one_family_of_tests(demo):
    table = pl.read_parquet(demo[0] / "tables" / "headline-differences.parquet")
    p = table["p_value"].sort().to_numpy()
    holm = np.minimum(np.maximum.accumulate(p * np.arange(len(p), 0, -1)), 1)
    assert table["p_adjusted"].sort().to_numpy() == pytest.approx(holm)
    tumours = pl.read_parquet(demo[0] / "tables" / "tumours-differences.parquet")
    again = tumours.filter(metric="AUROC", model="gradient boosting")["estimate"][0]
    assert table.filter(question="Malignant tumours", metric="AUROC")["estimate"][0] == again


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


def test_folder_that_cannot_be_made_is_status_2(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("evalstats.report.demo.SECTIONS", ())
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as leaving:
        app(["demo", "--out", str(tmp_path / "file" / "inside")])
    assert leaving.value.code == 2
    assert capsys.readouterr().err.startswith("error: cannot create")


def test_second_process_may_die():
    def make():
        warn("few-positives", "only two")
        return Section("t", "i")

    def ended():
        raise BrokenProcessPool("killed")

    section = _finished(SimpleNamespace(result=ended), make)
    assert section.warnings == ("[few-positives] only two",)
    assert _finished(SimpleNamespace(result=lambda: section), make) is section
    assert _finished(None, make) == section


def test_missing_extra_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("evalstats.report.demo.find_spec", lambda name: None)
    with pytest.raises(SystemExit) as leaving:
        app(["demo", "--out", str(tmp_path)])
    assert leaving.value.code == 2
    assert "evalstats-metrics[report]" in capsys.readouterr().err


def test_browser_shows_the_page_without_complaint(demo, tmp_path):
    program = browser()
    assert console(program, demo[0] / "report.html") == []
    control = tmp_path / "control.html"
    control.write_text('<img src="missing.png"><script>console.error("seen")</script>')
    assert len(console(program, control)) >= 1


def test_body_fits_a_phone_and_headings_stay_readable(demo, tmp_path):
    found = measured(browser(), demo[0] / "report.html", tmp_path, width=390)
    assert found["clientWidth"] == 390
    assert found["scrollWidth"] == 390
    assert found["outside"] == []
    assert found["images"] >= 30
    assert found["broken"] == 0


def test_page_prints(demo, tmp_path):
    printed = pdf_of(browser(), demo[0] / "report.html", tmp_path / "report.pdf")
    assert printed.startswith(b"%PDF-")
    assert 10 <= len(re.findall(rb"/Type\s*/Page\b(?!s)", printed)) <= 60
