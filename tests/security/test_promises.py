"""What SECURITY.md promises, one test each."""

import ast
import gzip
import json
import os
import pickle
import socket
import time
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import evalstats as es
from evalstats.anomaly.files import read_image
from evalstats.cli import app
from evalstats.data import archives
from evalstats.report.files import write_atomically
from evalstats.results.tables import format_html, format_latex, format_markdown, format_text
from evalstats.winrate.formula import require_safe_formula
from tests.battery_support import example, registered
from tests.fuzz.checks import check_html, check_latex, check_markdown, check_terminal
from tests.fuzz.files import png_bomb

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "evalstats").rglob("*.py"))


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.write_text, (Path(self.path), "unpickled")


# No pickle --------------------------------------------------------------------------------------


def test_a_pickle_is_no_saved_estimate(tmp_path):
    mark = tmp_path / "mark"
    (tmp_path / "saved").write_bytes(pickle.dumps(Payload(str(mark))))
    with pytest.raises(es.InputError, match="cannot read"):
        es.Estimate.load(tmp_path / "saved")
    assert not mark.exists()


def test_objects_in_an_archive_are_not_unpickled(tmp_path):
    mark = tmp_path / "mark"
    estimate = es.AUROC().fit([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.9]).estimate_
    estimate.save(tmp_path / "saved")
    with np.load(tmp_path / "saved") as archive:
        arrays = {name: archive[name] for name in archive.files}
    hostile = np.array([Payload(str(mark))], dtype=object)
    np.savez(tmp_path / "hostile.npz", **(arrays | {"value": hostile}))
    np.save(tmp_path / "image.npy", hostile, allow_pickle=True)
    with pytest.raises(es.InputError, match="Object arrays cannot be loaded"):
        es.Estimate.load(tmp_path / "hostile.npz")
    with pytest.raises(es.InputError, match="cannot be read as an image"):
        read_image(tmp_path / "image.npy")
    assert not mark.exists()


def test_no_source_imports_pickle_or_runs_text():
    forbidden = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = {alias.name.split(".")[0] for alias in node.names}
                names.add((getattr(node, "module", None) or "").split(".")[0])
                assert not names & forbidden, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec", "compile", "__import__"), path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                plain = isinstance(node.func.value, ast.Name) and node.func.value.id == "os"
                assert not (plain and node.func.attr in ("system", "popen")), path


# Formulas ---------------------------------------------------------------------------------------

HOSTILE_FORMULAS = [
    "__import__('os')",
    "__import__('os').system('true')",
    "tanh(__import__('os').getpid() * length)",
    "length.__class__",
    "std(length.__class__.__mro__)",
    "{length}",
    "`length`",
    "length[0]",
    "(lambda: length)()",
    "[x for x in (1, 2)]",
    "eval('length')",
    "open('x')",
    "Q('length')",
    "bs(length, 3)",
    "std(length, 1)",
    "tanh(print(length))",
    "f'{length}'",
    "length if length else 1",
    "(x := length)",
    "9**9**9**9",
    "tanh(9**9 * length)",
    "length**99",
    "length**length",
    "((a + b + c)**5)**5",
    "(a + b + c + d + e + f + g)**5",
    "(" * 300 + "length" + ")" * 300,
    "-" * 900 + "length",
    "a" * 5000,
    "length; import os",
    "length\nimport os",
    "length @ 3",
    "y ~ length",
    "",
    "True",
    "'length'",
]


@pytest.mark.parametrize("formula", HOSTILE_FORMULAS, ids=lambda text: text[:30])
def test_formulas_are_not_python(formula):
    start = time.perf_counter()
    with pytest.raises(es.InputError, match="formula"):
        es.LengthControlledWinRate(formula=formula).fit(
            [1.1, 1.9, 1.4], length_model=[1, 2, 5], length_baseline=[2, 2, 2]
        )
    assert time.perf_counter() - start < 5


def test_the_grammar_admits_what_it_says():
    for formula in (
        "length",
        "tanh(std(length)) + std(log1p(lists_baseline) - log1p(lists_model)) + position",
        "length:position + length*position - 1",
        "(length + lists)**2 + sign(length) / 2 + I(length**3) + C(task)",
        "sqrt(length) + log(length) + arcsinh(-length)",
    ):
        require_safe_formula(formula)


def test_the_command_line_does_not_run_a_formula(tmp_path, capsys):
    path, mark = tmp_path / "rows.csv", tmp_path / "mark"
    pl.DataFrame({"p": [1.1, 1.9], "a": [3, 4], "b": [5, 9]}).write_csv(path)
    formula = f"__import__('pathlib').Path('{mark}').touch()"
    words = ["winrate", str(path), "--preference", "p", "--length-model", "a"]
    with pytest.raises(SystemExit) as stopped:
        app([*words, "--length-baseline", "b", "--formula", formula])
    assert stopped.value.code == 2
    assert "is not allowed" in capsys.readouterr().err
    assert not mark.exists()


# No network -------------------------------------------------------------------------------------


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("evalstats opened a socket")

    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("no_network")
def test_no_estimator_uses_the_network(tmp_path):
    for cls in registered():
        estimate = cls(inference=es.NoInference()).fit(**example(cls, 60)).estimate_
        estimate.save(tmp_path / "saved")
        assert es.Estimate.load(tmp_path / "saved") == estimate
        assert estimate.to_html()
        assert estimate.to_latex()
    assert es.citations()


@pytest.mark.usefixtures("no_network")
def test_the_command_line_does_not_use_the_network(tmp_path, capsys):
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"y": [0, 1, 0, 1, 1, 0], "s": [0.1, 0.7, 0.4, 0.3, 0.9, 0.2]}).write_parquet(path)
    with pytest.raises(SystemExit) as stopped:
        app(
            [
                "auroc",
                str(path),
                "--y-true",
                "y",
                "--y-score",
                "s",
                "--out",
                str(tmp_path / "o.tex"),
            ]
        )
    assert stopped.value.code == 0
    for address in ("https://example.org/x.parquet", "s3://bucket/x.parquet"):
        with pytest.raises(SystemExit) as stopped:
            app(["auroc", address, "--y-true", "y", "--y-score", "s"])
        assert stopped.value.code == 2
        assert "there is no file" in capsys.readouterr().err
        with pytest.raises(es.InputError):
            es.read_ground_truth(address)
        with pytest.raises(es.InputError):
            es.read_detections(address)


def test_no_source_imports_a_network_client():
    clients = {"socket", "urllib", "http", "requests", "httpx", "aiohttp", "ftplib", "smtplib"}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not {alias.name.split(".")[0] for alias in node.names} & clients, path
            if isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in clients, path


# Files ------------------------------------------------------------------------------------------


def test_output_replaces_a_link_and_not_its_target(tmp_path):
    victim, link = tmp_path / "victim", tmp_path / "result.csv"
    victim.write_text("precious")
    link.symlink_to(victim)
    write_atomically(link, "new")
    assert victim.read_text() == "precious"
    assert not link.is_symlink()
    assert link.read_text() == "new"
    link.unlink()
    link.symlink_to(victim)
    es.AUROC().fit([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.9]).estimate_.save(link)
    assert victim.read_text() == "precious"


def test_temporary_files_are_private_and_in_the_target_folder(tmp_path, monkeypatch):
    seen = []
    replace = os.replace

    def watch(source, target):
        source = Path(source)
        seen.append((source.parent, source.stat().st_mode & 0o777))
        replace(source, target)

    monkeypatch.setattr(os, "replace", watch)
    es.AUROC().fit([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.9]).estimate_.save(tmp_path / "saved")
    assert seen == [(tmp_path, 0o600)]
    write_atomically(tmp_path / "out", "text")
    assert seen[1][0] == tmp_path


def test_gzip_bombs_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "gt.json.gz"
    path.write_bytes(gzip.compress(b" " * 10_000_000))
    monkeypatch.setattr(archives, "MAX_UNPACKED", 1_000_000)
    monkeypatch.setattr(archives, "_CHUNK", 2**16)
    with pytest.raises(es.InputError, match="unpacks to more than"):
        es.read_ground_truth(path)


def test_zip_bombs_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "saved.npz"
    np.savez_compressed(path, value=np.zeros(1_000_000))
    monkeypatch.setattr(archives, "MAX_UNPACKED", 1_000_000)
    with pytest.raises(es.InputError, match="unpacks to more than"):
        es.Estimate.load(path)


def test_a_zip_that_lies_about_its_size_is_refused(tmp_path):
    path = tmp_path / "saved.npz"
    np.savez_compressed(path, value=np.zeros(100_000))
    with zipfile.ZipFile(path) as archive:
        size = archive.infolist()[0].file_size
    content = path.read_bytes()
    path.write_bytes(content.replace(size.to_bytes(4, "little"), (200).to_bytes(4, "little")))
    with pytest.raises(es.InputError, match="cannot read"):
        es.Estimate.load(path)


@pytest.mark.parametrize("size", [[10**9, 10**9], [2**31, 2**31], [2**63, 1]])
@pytest.mark.parametrize("counts", ["P" * 50, [10**18], [2**32 - 1] * 4])
def test_run_length_bombs_are_refused(size, counts):
    row = {"image_id": 1, "category_id": 1, "score": 0.5}
    row["segmentation"] = {"size": size, "counts": counts}
    start = time.perf_counter()
    with pytest.raises(es.InputError, match="detections row 0"):
        es.read_detections([row])
    document = {
        "images": [{"id": 1, "height": min(size[0], 10**9), "width": min(size[1], 10**9)}],
        "categories": [{"id": 1}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "segmentation": row["segmentation"]}
        ],
    }
    with pytest.raises(es.InputError, match="row 0"):
        es.read_ground_truth(document, iou_type="segm")
    assert time.perf_counter() - start < 5


def test_image_bombs_are_refused(tmp_path):
    (tmp_path / "bomb.png").write_bytes(png_bomb())
    with pytest.raises(es.InputError, match="is too large"):
        read_image(tmp_path / "bomb.png")


def test_deep_json_is_refused(tmp_path):
    for name, read in (("gt.json", es.read_ground_truth), ("dt.json", es.read_detections)):
        (tmp_path / name).write_text("[" * 200_000)
        with pytest.raises(es.InputError):
            read(tmp_path / name)


def test_links_in_a_circle_are_refused(tmp_path, capsys):
    loop = tmp_path / "loop.csv"
    loop.symlink_to(loop)
    with pytest.raises(SystemExit) as stopped:
        app(["auroc", str(loop), "--y-true", "y", "--y-score", "s"])
    assert stopped.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


# Names are text ---------------------------------------------------------------------------------

HOSTILE_NAMES = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</td></tr></table>",
    r"\input{/etc/passwd}",
    r"\end{tabular} & % $ # _ ^ ~ { } \\",
    "a|b`c`*d*[e](javascript:alert(1))",
    "line\nbreak\r\n\ttab",
    "\x1b[2J\x07",
    "\u202egnp.exe",
]


def test_names_are_literal_in_every_output(tmp_path, capsys):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 40)
    models = {name: rng.random(40) for name in HOSTILE_NAMES}
    by = {"<b>group</b>": np.array(["<i>", "\\x{"])[np.arange(40) % 2]}
    estimate = es.AUROC(inference=es.NoInference()).fit(y, models, by=by).estimate_
    height = 2 * len(HOSTILE_NAMES)
    compared = es.BrierScore().fit(y, models).estimate_.compare()
    check_html(estimate.to_html(title="<script>", note="<script>"))
    check_html(format_html(compared, title="<script>"))
    check_latex(estimate.to_latex(note=r"\input{x}"))
    check_latex(format_latex(compared))
    check_markdown(estimate.to_markdown(note="<script>"), height)
    check_markdown(format_markdown(compared), compared.height)
    check_terminal(str(estimate))
    check_terminal(format_text(compared, title="\x1b[2J", note="\x1b[2J"))
    path = tmp_path / "rows.parquet"
    pl.DataFrame({"y": y, **models}).write_parquet(path)
    words = ["auroc", str(path), "--y-true", "y", "--y-score", *HOSTILE_NAMES[:5]]
    for output in ("latex", "markdown", "json", "table"):
        with pytest.raises(SystemExit):
            app([*words, "--format", output])
        shown = capsys.readouterr().out
        if output == "latex":
            check_latex(shown)
        elif output == "json":
            assert json.loads(shown)["estimates"][0]["model"] == HOSTILE_NAMES[0]


def test_reports_escape_names():
    from evalstats.report.page import render_page
    from evalstats.report.section import Section, Table

    hostile = "<script>alert(1)</script>"
    rng = np.random.default_rng(0)
    estimate = es.AUROC(inference=es.NoInference())
    estimate = estimate.fit(rng.integers(0, 2, 40), {hostile: rng.random(40)}).estimate_
    table = Table("t", hostile, estimate.to_frame(), note=hostile)
    page = render_page(hostile, hostile, [Section(hostile, hostile, [table], [], [estimate])])
    assert hostile not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
