"""The command line: formats, options, exit codes, and what goes to which stream."""

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import evalstats as es
from evalstats.cli import VERBS, app
from evalstats.estimator import REGISTRY, Estimator
from evalstats.report.command import constructor_choices, repeat_option_names
from evalstats.report.run import in_shell_terms

WRITERS = {
    "data.parquet": pl.DataFrame.write_parquet,
    "data.csv": pl.DataFrame.write_csv,
    "data.tsv": lambda frame, path: frame.write_csv(path, separator="\t"),
    "data.ndjson": pl.DataFrame.write_ndjson,
    "data.jsonl": pl.DataFrame.write_ndjson,
    "data.arrow": pl.DataFrame.write_ipc,
    "stream.arrow": pl.DataFrame.write_ipc_stream,
    "data.feather": pl.DataFrame.write_ipc,
    "UPPER.CSV": pl.DataFrame.write_csv,
}


@pytest.fixture(scope="module")
def frame() -> pl.DataFrame:
    rng = np.random.default_rng(5)
    n = 300
    label = (rng.random(n) < 0.4).astype(np.int64)
    return pl.DataFrame(
        {
            "label": label,
            "strong": label + rng.normal(size=n),
            "weak": 0.5 * label + rng.normal(size=n),
            "site": rng.choice(["north", "south"], n),
            "patient": rng.integers(0, 60, n),
            "weight": rng.random(n) + 0.1,
            "text": np.where(label == 1, "ill", "well"),
            "unused": ["x" * 10] * n,
        }
    )


@pytest.fixture
def folder(frame, tmp_path, monkeypatch) -> Path:
    frame.write_parquet(tmp_path / "data.parquet")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder, capsys):
    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as leaving:
            app(list(arguments))
        printed = capsys.readouterr()
        return int(leaving.value.code or 0), printed.out, printed.err

    return call


TASK = ("data.parquet", "--y-true", "label", "--y-score")


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_verbs_are_those_of_the_registry():
    for name in es._HOME:
        getattr(es, name)

    listed = {
        verb: ", ".join(spec.fits) or spec.home.split(":")[1]
        for verb, spec in VERBS.items()
        if verb not in ("demo", "init", "recalibrate", "run")
    }
    ours = {
        name: estimator
        for name, estimator in REGISTRY.items()
        if estimator.__module__.startswith("evalstats.")
    }
    of_verb: dict[str, list[str]] = {}
    for name, estimator in ours.items():
        of_verb.setdefault(estimator.verb, []).append(name)
    assert listed == {verb: ", ".join(sorted(names)) for verb, names in of_verb.items()}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_numbers_of_the_library(name, frame, run, folder):
    WRITERS[name](frame, folder / name)
    code, out, err = run(
        "auroc", name, "--y-true", "label", "--y-score", "strong", "weak", "--format", "csv"
    )
    expected = es.AUROC().fit("label", ["strong", "weak"], data=frame).estimate_
    assert (code, err) == (0, "")
    found = rows(out)
    assert [row["model"] for row in found] == ["strong", "weak"]
    assert np.allclose([float(row["estimate"]) for row in found], expected.value, rtol=1e-12)
    assert np.allclose(
        [float(row["standard_error"]) for row in found], expected.standard_error, rtol=1e-9
    )


def test_missing_values_of_other_programs_are_missing(frame, run, folder):
    text = frame.select("label", "strong").write_csv().splitlines()
    text[3] = "NA,0.5"
    (folder / "holes.csv").write_text("\n".join(text))
    task = ("auroc", "holes.csv", "--y-true", "label", "--y-score", "strong")
    code, out, err = run(*task)
    assert code == 2
    assert "--nan-policy omit" in err
    code, out, err = run(*task, "--nan-policy", "omit", "--format", "json")
    assert code == 0
    assert json.loads(out)["n_dropped"] == 1
    assert err.startswith("warning: [rows-dropped]")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "scores",
    [
        ("--y-score", "strong", "weak"),
        ("--y-score", "strong", "--y-score", "weak"),
        ("--y-score=strong", "--y-score=weak"),
    ],
)
def test_several_models_in_any_notation(scores, run):
    code, out, _ = run("auroc", "data.parquet", "--y-true", "label", *scores, "--format", "csv")
    assert code == 0
    assert [row["model"] for row in rows(out)] == ["strong", "weak"]


def test_file_may_come_last(run):
    task = ("auroc", "--y-true", "label", "--y-score", "strong", "weak")
    assert run(*task, "data.parquet") == run(*task, "--", "data.parquet")
    assert run(*task, "data.parquet")[0] == 0


def test_column_named_like_a_file_is_a_column_after_the_file(folder):
    words = ["--y-score", "a", "data.parquet"]
    assert repeat_option_names(es.AUROC, ["data.parquet", *words]) == [
        "data.parquet",
        "--y-score",
        "a",
        "--y-score",
        "data.parquet",
    ]


def test_groups_clusters_and_weights_reach_the_estimator(frame, run):
    code, out, _ = run(
        "auprc", *TASK, "strong", "weak", "--by", "site", "--cluster", "patient", "--weight",
        "weight", "--level", "0.9", "--format", "json",
    )  # fmt: skip
    expected = es.AUPRC(level=0.9).fit(
        "label", ["strong", "weak"], data=frame, by="site", cluster="patient",
        sample_weight="weight",
    ).estimate_  # fmt: skip
    result = json.loads(out)
    assert code == 0
    assert result["level"] == 0.9
    assert result["n_clusters"] == expected.n_clusters
    assert [row["group"] for row in result["estimates"]] == ["north", "north", "south", "south"]
    limits = expected.confidence_interval()
    assert [row["ci_low"] for row in result["estimates"]] == pytest.approx(list(limits.low))


def test_compare_adds_paired_differences(frame, run):
    estimate = es.AUROC().fit("label", ["strong", "weak"], data=frame).estimate_
    expected = estimate.compare(reference="weak", adjust=None)
    code, out, _ = run(
        "auroc", *TASK, "strong", "weak", "--reference", "weak", "--adjust", "none",
        "--format", "json",
    )  # fmt: skip
    (row,) = json.loads(out)["comparisons"]
    assert code == 0
    assert row["reference"] == "weak"
    assert row["p_value"] == pytest.approx(expected["p_value"][0])
    _, text, _ = run("auroc", *TASK, "strong", "weak", "--compare")
    assert text.startswith("AUROC\n")
    assert "Differences in AUROC" in text
    _, table, _ = run("auroc", *TASK, "strong", "weak", "--compare", "--format", "csv")
    assert [row["model"] for row in rows(table)] == ["strong"]


def test_compare_needs_two_models(run):
    code, out, err = run("auroc", *TASK, "strong", "--compare")
    assert (code, out) == (2, "")
    assert err.startswith("error: ")


def test_bootstrap_repeats_with_its_seed(run):
    task = ("auroc", *TASK, "strong", "--bootstrap", "50", "--format", "csv")
    first = run(*task, "--seed", "7")
    assert first == run(*task, "--seed", "7")
    assert first != run(*task, "--seed", "8")
    assert run(*task) == run(*task, "--seed", "0")
    assert "B=50" in first[1]


def test_seed_without_bootstrap_is_refused(run):
    code, _, err = run("auroc", *TASK, "strong", "--seed", "1")
    assert code == 2
    assert "--bootstrap" in err


def test_constructor_options_come_from_the_signature(frame, run):
    assert set(constructor_choices(es.AUROC)) == set(es.AUROC().get_params()) - {"inference"}
    code, out, _ = run(
        "auroc", *TASK, "strong", "--max-fpr", "0.3", "--direction", "lower", "--bootstrap", "20",
        "--format", "csv",
    )  # fmt: skip
    expected = es.AUROC(max_fpr=0.3, direction="lower", inference=es.NoInference())
    expected.fit("label", "strong", data=frame)
    assert code == 0
    assert float(rows(out)[0]["estimate"]) == pytest.approx(expected.estimate_.value[0])
    code, out, _ = run("auprc", *TASK, "strong", "--interpolation", "interp11", "--bootstrap", "9",
                       "--format", "csv")  # fmt: skip
    assert code == 0


@pytest.mark.parametrize(
    ("column", "text", "value"), [("label", "0", 0), ("label", "1", 1), ("text", "ill", "ill")]
)
def test_positive_label_takes_the_type_of_its_column(column, text, value, frame, run):
    code, out, _ = run(
        "auroc", "data.parquet", "--y-true", column, "--y-score", "strong", "--pos-label", text,
        "--format", "csv",
    )  # fmt: skip
    expected = es.AUROC(pos_label=value).fit(column, "strong", data=frame).estimate_
    assert code == 0
    assert float(rows(out)[0]["estimate"]) == pytest.approx(expected.value[0])


def test_positive_label_of_booleans_and_fractions(frame, run, folder):
    frame.select(
        pl.col("label").cast(pl.Boolean).alias("flag"),
        pl.col("label").cast(pl.Float64).alias("real"),
        "strong",
    ).write_parquet(folder / "typed.parquet")
    for column, text in (("flag", "true"), ("real", "1")):
        code, _, err = run("auroc", "typed.parquet", "--y-true", column, "--y-score", "strong",
                           "--pos-label", text)  # fmt: skip
        assert (code, err) == (0, "")
    code, _, err = run("auroc", *TASK, "strong", "--pos-label", "yes")
    assert code == 2
    assert "'yes'" in err or "--pos-label yes" in err


def test_classes_as_one_matrix(run, folder):
    rng = np.random.default_rng(0)
    scores = rng.dirichlet(np.ones(3), size=90)
    classes = pl.DataFrame({"y": np.arange(90) % 3, **{f"p{j}": scores[:, j] for j in range(3)}})
    classes.write_csv(folder / "classes.csv")
    task = ("auroc", "classes.csv", "--y-true", "y", "--y-score", "p0", "p1", "p2")
    code, out, _ = run(*task, "--multiclass", "ovr", "--average", "none", "--format", "csv")
    assert code == 0
    assert [row["class"] for row in rows(out)] == ["0", "1", "2"]
    code, out, _ = run(*task, "--multiclass", "ovo", "--labels", "0", "1", "2", "--format", "csv")
    assert code == 0
    assert len(rows(out)) == 1


def test_mistakes_by_group(frame, run):
    code, out, _ = run(
        "mistakes", *TASK, "strong", "--group", "site", "--bootstrap", "20", "--format", "csv"
    )
    assert code == 0
    assert {row["metric"] for row in rows(out)} >= {"amplification", "AUPRC loss"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("data.parquet", "--y-true", "lable", "--y-score", "strong"), "Did you mean 'label'?"),
        (("data.parquet", "--y-true", "label", "--y-score", "strnog"), "Available columns:"),
        (("nothing.csv", "--y-true", "label", "--y-score", "strong"), "there is no file"),
        ((".", "--y-true", "label", "--y-score", "strong"), "is a directory"),
        (("data.xlsx", "--y-true", "label", "--y-score", "strong"), "no known extension"),
        (("broken.parquet", "--y-true", "label", "--y-score", "strong"), "cannot read"),
        (("broken.arrow", "--y-true", "label", "--y-score", "strong"), "cannot read"),
        (("ragged.csv", "--y-true", "a", "--y-score", "b"), "cannot read"),
        (("empty.csv", "--y-true", "a", "--y-score", "b"), "cannot read"),
        ((*TASK, "text"), "--y-score"),
        ((*TASK, "strong", "strong"), "names the column 'strong' twice"),
        (("data.parquet", "--y-true", "text", "--y-score", "strong"), "--pos-label"),
        ((*TASK, "strong", "--level", "1.5"), "--level 1.5"),
        ((*TASK, "strong", "--bootstrap", "0"), "n_resamples=0: give an integer of at least 2"),
        ((*TASK, "strong", "--out", "nowhere/result.csv"), "cannot write"),
        ((*TASK, "strong", "weak", "--reference", "nobody"), "nobody"),
    ],
)
def test_unusable_input_is_one_line_and_status_2(arguments, message, run, folder):
    for name in ("broken.parquet", "broken.arrow"):
        (folder / name).write_text("no such thing")
    (folder / "ragged.csv").write_text("a,b\n" + "1,2\n" * 3 + "1,2,3,4\n")
    (folder / "empty.csv").write_text("")
    (folder / "data.xlsx").write_text("")
    code, out, err = run("auroc", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("auroc", *TASK, "strong", "--bogus"),
        ("auroc", *TASK, "strong", "--format", "xml"),
        ("auroc", *TASK, "strong", "--max-fpr", "much"),
        ("auroc", "data.parquet", "--y-true", "label"),
        ("auroc", "data.parquet", "--y-true", "label", "--y-score"),
        ("auroc", "--y-true", "label", "--y-score", "strong"),
        ("aurox", "data.parquet"),
        ("--bogus",),
    ],
)
def test_wrong_usage_is_status_2(arguments, run):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    assert err


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("r.csv", "metric,model"),
        ("r.json", "{"),
        ("r.tex", r"\begin{table}"),
        ("r.md", "| "),
        ("r.txt", "AUROC\n"),
    ],
)
def test_out_chooses_the_format_by_its_extension(name, start, run, folder):
    (folder / name).write_text("old")
    assert run("auroc", *TASK, "strong", "weak", "--out", name) == (0, "", "")
    assert (folder / name).read_text().startswith(start)
    assert not list(folder.glob(f".{name}*"))


def test_hostile_column_names(frame, run, folder):
    names = ["a & b_c", "<script>alert(1)</script>", "[red]x[/red]", "--dashed", "50% $x$ \\hline"]
    hostile = frame.select("label", *(pl.col("strong").alias(name) for name in names))
    hostile.write_parquet(folder / "hostile.parquet")
    scores = [f"--y-score={name}" for name in names]
    task = ("auroc", "hostile.parquet", "--y-true", "label", *scores)
    for output, shown in (
        ("table", names),
        ("latex", [r"a \& b\_c", r"50\% \$x\$ \textbackslash{}hline"]),
        ("csv", names),
    ):
        code, out, _ = run(*task, "--format", output)
        assert code == 0
        assert all(name in out for name in shown)
    code, out, _ = run(*task, "--format", "json")
    assert [row["model"] for row in json.loads(out)["estimates"]] == names


def test_json_has_no_number_that_json_does_not_know(run, folder):
    one_class = pl.DataFrame({"y": [1] * 40, "s": np.arange(40.0)})
    one_class.write_parquet(folder / "one.parquet")
    code, out, _ = run("auroc", "one.parquet", "--y-true", "y", "--y-score", "s",
                       "--on-undefined", "nan", "--format", "json")  # fmt: skip
    assert code == 0
    assert json.loads(out)["estimates"][0]["estimate"] is None


def test_messages_name_options_but_leave_column_names_alone():
    def told(message: str) -> str:
        return in_shell_terms(message, es.AUROC)

    assert told("pass nan_policy='omit'") == "pass --nan-policy omit"
    assert told("y_true has a hole") == "--y-true has a hole"
    assert told("no column 'my y_true'") == "no column 'my y_true'"
    assert told("say which by pos_label=") == "say which by --pos-label"
    assert told("sample_weight is -1") == "--weight is -1"
    assert told("a confidence level") == "a confidence level"


def test_only_needed_columns_are_read(frame, folder, monkeypatch):
    seen: list[list[str]] = []
    collect = pl.LazyFrame.collect

    def spy(self, *args, **kwargs):
        result = collect(self, *args, **kwargs)
        seen.append(result.columns)
        return result

    monkeypatch.setattr(pl.LazyFrame, "collect", spy)
    with pytest.raises(SystemExit):
        app(["auroc", *TASK, "strong", "--by", "site"])
    # Later collections are polars' own, of the small result frames.
    assert sorted(seen[0]) == ["label", "site", "strong"]


def test_an_estimator_of_a_later_issue_needs_no_code_here():
    choices = constructor_choices(es.MistakeAnalysis)
    assert "policy" in choices
    assert issubclass(es.MistakeAnalysis, Estimator)


# In a process of its own ------------------------------------------------------------------


def evalstats(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from evalstats.cli import app; app()", *arguments],
        capture_output=True, text=True, check=False, timeout=120, **options,
    )  # fmt: skip


def test_help_and_version_load_nothing_heavy():
    code = (
        "import sys\nfrom evalstats.cli import app\n"
        "try:\n    app(sys.argv[1:])\nexcept SystemExit as leaving:\n"
        "    heavy = {'numba', 'polars', 'scipy', 'sklearn', 'numpy'} & set(sys.modules)\n"
        "    sys.exit(leaving.code or (9 if heavy else 0))\n"
    )
    for option in ("--help", "--version"):
        result = subprocess.run(
            [sys.executable, "-c", code, option], capture_output=True, text=True, check=False
        )
        assert (result.returncode, result.stderr) == (0, "")
        assert ("auroc" in result.stdout) == (option == "--help")


def test_help_of_a_verb_describes_its_options():
    result = evalstats("auprc", "--help", env={**os.environ, "COLUMNS": "160"})
    assert result.returncode == 0
    for word in ("--y-score", "--interpolation", "davis_goadrich", "--bootstrap", "--compare"):
        assert word in result.stdout


def test_a_reader_that_leaves_early_is_no_error(folder):
    command = [sys.executable, "-c", "from evalstats.cli import app; app()"]
    process = subprocess.Popen(
        [*command, "auroc", *TASK, "strong", "weak"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(60) == 141


def test_interruption_is_status_130(run, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(es.AUROC, "fit", interrupted)
    code, out, err = run("auroc", *TASK, "strong")
    assert (code, out, err) == (130, "", "")


def test_discontinuity_verb_takes_numbers_and_rules(run, tmp_path):
    rng = np.random.default_rng(0)
    x = np.round(rng.uniform(-1, 1, 150), 3)
    draws = [rng.normal(a + (a >= 0), 1, 20) for a in x]
    path = tmp_path / "firms.parquet"
    pl.DataFrame(
        {
            "firm": np.repeat(np.arange(150), 20),
            "margin": np.repeat(x, 20),
            "wage": np.concatenate(draws),
        }
    ).write_parquet(path)
    call = ["rdd", str(path), "--running", "margin", "--outcome", "wage", "--unit", "firm"]
    options = ["--quantiles", "0.1", "0.9", "--bandwidth", "0.7", "--format", "csv"]
    code, out, _ = run(*call, *options)
    assert code == 0
    wanted = es.DistributionRDD(quantiles=[0.1, 0.9], bandwidth=0.7).fit(x, draws).estimate_
    np.testing.assert_allclose(pl.read_csv(out.encode())["estimate"], wanted.value, rtol=1e-9)
    assert run(*call, "--quantiles", "0.5", "--bandwidth", "cer")[0] == 0
    code, _, error = run(*call, "--bandwidth", "best")
    assert code == 2
    assert "--bandwidth best is unknown: choose one of 'mse'" in error
