"""The report as files and as a page: names are literal, files are the same for the same numbers."""

import polars as pl
import pytest
from matplotlib.figure import Figure as Drawing

import evalstats as es
from evalstats.errors import InputError
from evalstats.report.drawings import draw
from evalstats.report.naming import RESERVED, safe_name, unique_names
from evalstats.report.page import render_page, write_report
from evalstats.report.section import Figure, Section, Table
from evalstats.results.citations import citations
from tests.report_support import Page

HOSTILE = "<script>alert(1)</script> & 50% $x$ \\input{secret}"


def hostile_table(name="hostile", title=HOSTILE):
    frame = pl.DataFrame({"model": [HOSTILE], "estimate": [0.5], "ci_low": [0.4], "ci_high": [0.6]})
    return Table(name, title, frame, note=HOSTILE)


def drawing():
    figure = Drawing(figsize=(3.4, 2.0), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1, 2], [0, 1, 0.5], label="model")
    axes.set_xlabel("x")
    axes.legend()
    return figure


def sections():
    auc = es.AUROC().fit([0, 0, 1, 1] * 20, {"a": list(range(80)), "b": [3, 1, 2, 4] * 20})
    table = Table("areas", "Areas", auc.estimate_.to_frame())
    figure = Figure("curve", "A curve.", drawing())
    return [
        Section("Areas", "Text.", [table], [figure], [auc.estimate_], warnings=["[few] look out"])
    ]


def test_names_are_literal_text():
    table = hostile_table()
    manifest = {HOSTILE: {HOSTILE: [HOSTILE, {"inner": HOSTILE}]}}
    section = Section(
        HOSTILE,
        HOSTILE,
        tables=[table],
        figures=[Figure(HOSTILE, HOSTILE, drawing())],
        warnings=[HOSTILE, f"[{HOSTILE}] {HOSTILE}"],
    )
    text = render_page(HOSTILE, HOSTILE, [section], manifest=manifest)
    page = Page(text)
    assert "script" not in page.tags
    assert r"\input{secret}" not in table.to_latex()
    assert citations("evalstats").splitlines()[0] in text


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a/b\\c", "con", "NUL.txt", "", "..", "ä" * 300]
)
def test_files_have_safe_names(name, tmp_path):
    section = Section(
        name, "", tables=[hostile_table(name, "t")], figures=[Figure(name, "c", drawing())]
    )
    folder = tmp_path / "report"
    write_report(folder, "t", "l", [section])
    assert [path.name for path in tmp_path.iterdir()] == ["report"]
    for kind, count in (("tables", 4), ("figures", 3)):
        files = [path.name for path in (folder / kind).iterdir()]
        assert len(files) == count
        stem = files[0].rpartition(".")[0]
        assert stem == safe_name(name)
        assert stem.split(".")[0].lower() not in RESERVED
        assert len(stem) <= 85
    latex = (folder / "tables" / f"{safe_name(name)}.tex").read_text("utf-8")
    assert rf"\label{{tab:{safe_name(name)}}}" in latex


def test_equal_names_become_different_files(tmp_path):
    assert unique_names(["a b", "a/b", "A-B", "c"]) == ["a-b", "a-b-2", "A-B-3", "c"]
    assert unique_names(["methods"], taken=["methods"]) == ["methods-2"]
    two = [Section("Methods", "", tables=[hostile_table("x", f"title {i}")]) for i in range(2)]
    page = write_report(tmp_path, "t", "l", two).read_text("utf-8")
    assert len(Page(page).ids) == len(set(Page(page).ids))
    first, second = (
        (tmp_path / "tables" / f"{name}.md").read_text("utf-8") for name in ("x", "x-2")
    )
    assert first == second
    assert (tmp_path / "tables" / "x-2.tex").read_text("utf-8").count("tab:x-2") == 1


def test_same_numbers_give_the_same_bytes(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    manifest = {"seed": 3}
    for folder in (first, second):
        write_report(folder, "t", "l", sections(), manifest=manifest)
    files = [path.relative_to(first) for path in first.rglob("*") if path.is_file()]
    assert len(files) == 9
    for path in files:
        assert (first / path).read_bytes() == (second / path).read_bytes(), path


def test_formats_are_chosen_and_checked(tmp_path):
    write_report(tmp_path, "t", "l", sections(), table_formats=["md"], figure_formats=["pdf"])
    assert [path.name for path in (tmp_path / "tables").iterdir()] == ["areas.md"]
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["curve.pdf"]
    with pytest.raises(
        InputError, match="table format 'xls' is unknown: use tex, csv, md, parquet"
    ):
        write_report(tmp_path, "t", "l", sections(), table_formats=["xls"])
    with pytest.raises(InputError, match="figure format 'gif' is unknown"):
        write_report(tmp_path, "t", "l", sections(), figure_formats=["gif"])


def test_parquet_holds_every_digit(tmp_path):
    made = sections()
    write_report(tmp_path, "t", "l", made)
    assert pl.read_parquet(tmp_path / "tables" / "areas.parquet").equals(made[0].tables[0].frame)


def test_diagnostics_and_manifest_are_shown():
    manifest = {
        "data": {"rows": 80, "files": ["a.csv", "b.csv"], "share": 0.25, "cached": False},
        "command": "evalstats run study.toml",
    }
    text = render_page("t", "l", sections(), manifest=manifest)
    Page(text)
    assert "<code>few</code> look out" in text
    for expected in ("<li>a.csv</li>", ">0.25<", ">no<", "<h3>Command</h3>", ">80<"):
        assert expected in text
    assert text.count("<h3>Software</h3>") == 1
    own = render_page("t", "l", [], manifest={"software": {"evalstats": "of my own"}})
    assert own.count("<h3>Software</h3>") == 1
    assert ">of my own<" in own


def test_drawing_is_left_as_it_was():
    figure = drawing()
    engine = figure.get_layout_engine()
    images = draw(figure, ["svg", "png"])
    assert figure.get_layout_engine() is engine
    assert set(images.forms) == {"svg", "png"}
    assert images.width == pytest.approx(3.4)
    assert b"<dc:date>" not in images.forms["svg"]


def test_large_vectors_are_shown_as_pixels(monkeypatch):
    monkeypatch.setattr("evalstats.report.page.LARGEST_VECTOR", 10)
    assert Page(render_page("t", "l", sections())).sources[0].startswith("data:image/png;base64,")
