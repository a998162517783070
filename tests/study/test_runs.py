"""Plans, caches, interrupted runs, processes: what is computed when, and that it is the same."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import evalstats as es
from tests.study.conftest import STUDY

ROOT = Path(__file__).resolve().parents[2]
NOT_COMPARED = {"timings.json", "cache"}


def status(out="out"):
    return dict(es.Study("study.toml").plan(out).select("name", "status").rows())


def cached(result):
    return {item.step.name: item.cached for item in result.finished}


def content(folder):
    """All files of a result that do not say how long it took."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file() and path.relative_to(folder).parts[0] not in NOT_COMPARED
    }


def light(text=STUDY):
    """The same study without figures, for tests about numbers."""
    return f"{text}\n[output]\nfigures = []\nreport = false\n"


@pytest.fixture
def study(folder):
    (folder / "study.toml").write_text(light())
    return folder


def command(*arguments, **options):
    code = "import sys; from evalstats.cli import app; app(sys.argv[1:])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


# The plan ---------------------------------------------------------------------------------------


def test_plan_says_what_would_be_done(study):
    plan = es.Study("study.toml").plan("out")
    assert plan["name"].to_list() == ["AUROC", "Brier score", "AUPRC", "AUROC by site"]
    assert plan["rows"].to_list() == [400] * 4
    assert plan["models"].to_list() == ["strong, weak"] * 4
    assert plan["inference"][2] == "bootstrap (percentile, multinomial, B=60)"
    assert set(plan["status"]) == {"to run"}
    assert not Path("out").exists()


def test_dry_run_prints_the_plan_and_runs_nothing(study):
    run = command("run", "study.toml", "--dry-run", "--out", "out")
    out, err = run.communicate(timeout=400)
    assert (run.returncode, err) == (0, "")
    assert "Brier score" in out
    assert "to run" in out
    assert not Path("out").exists()


def test_numbers_are_those_of_the_estimators(study, scores):
    result = es.Study("study.toml").run()
    expected = es.AUROC().fit("label", ["strong", "weak"], data=scores).estimate_
    assert result.estimates["AUROC"] == expected
    grouped = es.AUROC().fit("label", ["strong", "weak"], data=scores, by="site").estimate_
    assert result.estimates["AUROC by site"] == grouped
    brier = es.BrierScore().fit("label", ["strong", "weak"], data=scores, cluster="patient")
    assert result.estimates["Brier score"] == brier.estimate_
    expected = expected.compare()
    found = result.comparisons().filter(name="AUROC")
    assert found["p_value"].to_list() == expected["p_value"].to_list()


# The cache --------------------------------------------------------------------------------------


def test_second_run_computes_nothing(study):
    first = es.Study("study.toml").run("out")
    assert not any(cached(first).values())
    assert set(status().values()) == {"cached"}
    second = es.Study("study.toml").run("out")
    assert all(cached(second).values())
    assert dict(second.estimates) == dict(first.estimates)
    assert second.comparisons().equals(first.comparisons())
    assert not any(cached(es.Study("study.toml").run("out", resume=False)).values())


def test_changed_metric_runs_alone(study):
    es.Study("study.toml").run("out")
    text = light(STUDY.replace("n_resamples = 60", "n_resamples = 61"))
    (study / "study.toml").write_text(text)
    assert status() == {
        "AUROC": "cached",
        "Brier score": "cached",
        "AUPRC": "to run",
        "AUROC by site": "cached",
    }
    assert cached(es.Study("study.toml").run("out"))["AUPRC"] is False
    (study / "study.toml").write_text(light())
    assert set(status().values()) == {"cached"}


@pytest.mark.parametrize(
    ("old", "new", "again"),
    [
        ("seed = 7", "seed = 8", {"AUROC", "Brier score", "AUPRC", "AUROC by site"}),
        ('cluster = "patient"', "", {"Brier score"}),
        ('by = "site"', 'by = "site"\nlevel = 0.9', {"AUROC by site"}),
        ('by = "site"', 'by = "site"\ncompare = { adjust = "bh" }', {"AUROC by site"}),
        ('title = "Two models"', 'title = "Other"', set()),
        ('y_prob = ["strong", "weak"]', 'y_prob = ["weak", "strong"]', {"Brier score"}),
    ],
)
def test_what_decides_a_number_decides_its_key(old, new, again, study):
    es.Study("study.toml").run("out")
    assert old in STUDY
    (study / "study.toml").write_text(light(STUDY.replace(old, new)))
    assert {name for name, state in status().items() if state == "to run"} == again


def test_changed_data_are_seen_whatever_their_date(study, scores):
    es.Study("study.toml").run("out")
    before = os.stat("scores.parquet")
    scores.with_columns(strong=pl.col("strong").reverse()).write_parquet("scores.parquet")
    os.utime("scores.parquet", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert set(status().values()) == {"to run"}


def test_moved_data_are_the_same_data(study):
    es.Study("study.toml").run("out")
    Path("scores.parquet").rename("moved.parquet")
    (study / "study.toml").write_text(light(STUDY.replace("scores.parquet", "moved.parquet")))
    assert set(status().values()) == {"cached"}


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text", "member", "swap"])
def test_damaged_entries_are_computed_again(damage, study):
    first = es.Study("study.toml").run("out")
    entries = {path.name.split("-")[0]: path for path in Path("out/cache").glob("*.zip")}
    entry = entries["brier"]
    data = bytearray(entry.read_bytes())
    if damage == "flip":
        data[len(data) // 3] ^= 0xFF
    elif damage == "member":
        with zipfile.ZipFile(entry) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        members["estimate.npz"] = b"no archive"
        with zipfile.ZipFile(entry, "w") as archive:
            for name, item in members.items():
                archive.writestr(name, item)
        data = entry.read_bytes()
    elif damage == "swap":
        data = entries["auprc"].read_bytes()
    else:
        data = {"cut": data[: len(data) // 2], "empty": b"", "text": b"{}"}[damage]
    entry.write_bytes(data)
    assert status()["Brier score"] == "to run"
    second = es.Study("study.toml").run("out")
    assert [name for name, old in cached(second).items() if not old] == ["Brier score"]
    assert "Brier score" in second.record["damaged"][0]
    assert second.estimates["Brier score"] == first.estimates["Brier score"]
    assert set(status().values()) == {"cached"}


def test_figures_are_drawn_when_they_are_asked_for_later(study):
    es.Study("study.toml").run("out")
    (study / "study.toml").write_text(STUDY)
    assert set(status().values()) == {"to run"}


def test_frames_in_memory_are_cached_by_content(scores, tmp_path):
    def run(frame):
        study = es.Study(
            data=frame,
            metrics=[es.AUROC()],
            y_true="label",
            y_score=["strong", "weak"],
            output={"figures": [], "report": False},
        )
        return cached(study.run(tmp_path / "out"))["AUROC"]

    assert run(scores) is False
    assert run(scores.clone()) is True
    assert run(scores.to_pandas()) is True
    assert run(scores.with_columns(weak=1 - pl.col("weak"))) is False


def test_arrays_are_cached_by_content_and_generators_never(scores, tmp_path):
    output = {"figures": [], "report": False}
    label, weak = scores["label"].to_numpy(), scores["weak"].to_numpy()
    given = {"y_true": label, "y_score": {"weak": weak}}
    study = es.Study(metrics=[(es.AUROC(), given)], output=output)
    assert cached(study.run(tmp_path / "a")) == {"AUROC": False}
    study = es.Study(metrics=[(es.AUROC(), given | {"y_true": label.copy()})], output=output)
    assert cached(study.run(tmp_path / "a")) == {"AUROC": True}
    drawn = es.AUROC(inference=es.Bootstrap(20, rng=np.random.default_rng(1)))
    study = es.Study(metrics=[(drawn, given)], output=output)
    assert study.plan(tmp_path / "a")["status"].to_list() == ["to run (not kept)"]
    assert cached(study.run(tmp_path / "a")) == {"AUROC": False}


# Seeds and processes ----------------------------------------------------------------------------


def test_seeds_belong_to_names_not_to_places(study):
    seeds = dict(es.Study("study.toml").plan().select("name", "seed").rows())
    assert len(set(seeds.values())) == 4
    blocks = STUDY.split("\n[[metric]]\n")
    (study / "study.toml").write_text("\n[[metric]]\n".join([blocks[0], *blocks[:0:-1]]))
    assert dict(es.Study("study.toml").plan().select("name", "seed").rows()) == seeds


def test_seed_reaches_chosen_and_automatic_resampling(scores):
    def replicates(seed, **options):
        estimator = es.CalibrationError(**options)
        roles = {"y_true": "label", "y_prob": "weak"}
        study = es.Study(data=scores, metrics=[estimator], seed=seed, **roles)
        return study.run().estimates["Calibration error"].replicates

    plain = es.CalibrationError().fit("label", "weak", data=scores).estimate_.replicates
    assert np.array_equal(replicates(None), plain)
    assert np.array_equal(replicates(3), replicates(3))
    assert not np.array_equal(replicates(3), plain)
    assert not np.array_equal(replicates(3), replicates(4))
    fixed = {"inference": es.Bootstrap(50, rng=5)}
    assert np.array_equal(replicates(3, **fixed), replicates(4, **fixed))
    free = {"inference": es.Bootstrap(50)}
    assert np.array_equal(replicates(3, **free), replicates(3, **free))
    assert not np.array_equal(replicates(3, **free), replicates(4, **free))


def test_outputs_are_the_same_bytes_for_any_number_of_processes(folder):
    text = (
        STUDY + '\n[output]\ntables = ["tex", "csv", "md", "parquet"]\nfigures = ["svg", "pdf"]\n'
    )
    (folder / "study.toml").write_text(text)
    es.Study("study.toml").run("one", workers=1)
    es.Study("study.toml").run("two", workers=2)
    one, two = content("one"), content("two")
    assert one.keys() == two.keys()
    assert [name for name in one if one[name] != two[name]] == []
    es.Study("study.toml").run("one", workers=2)
    assert content("one") == one
    assert {"report.html", "manifest.json", "references.bib", "methods.txt"} <= one.keys()


# Runs that end early ----------------------------------------------------------------------------


def started(folder, *arguments):
    """A run whose third metric takes long, once two metrics are finished."""
    (folder / "study.toml").write_text(
        light(STUDY.replace("n_resamples = 60", "n_resamples = 3000000"))
    )
    run = command("run", "study.toml", "--out", "out", *arguments, start_new_session=True)
    deadline = time.monotonic() + 400
    while len(list(Path("out/cache").glob("*.zip"))) < 2:
        assert time.monotonic() < deadline, run.communicate()
        assert run.poll() is None, run.communicate()
        time.sleep(0.05)
    return run


def half_written():
    return [path.name for path in Path("out").rglob(".*")]


def test_killed_run_resumes(folder):
    run = started(folder)
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    assert run.returncode == -signal.SIGKILL
    assert not Path("out/manifest.json").exists()
    before = status()
    assert (before["AUROC"], before["AUPRC"]) == ("cached", "to run")
    (folder / "study.toml").write_text(light())
    result = es.Study("study.toml").run("out")
    assert cached(result) == {
        "AUROC": True,
        "Brier score": True,
        "AUPRC": False,
        "AUROC by site": False,
    }
    whole = es.Study("study.toml").run("whole")
    assert content("out") == content("whole")
    assert dict(result.estimates) == dict(whole.estimates)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_interruption_is_status_130_and_leaves_whole_files(workers, folder):
    run = started(folder, "--workers", workers)
    os.killpg(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=300)
    assert run.returncode == 130, err
    assert "Traceback" not in err
    assert half_written() == []
    assert not Path("out/manifest.json").exists()
    (folder / "study.toml").write_text(light())
    assert cached(es.Study("study.toml").run("out"))["AUROC"] is True


@pytest.mark.skipif(sys.platform != "linux", reason="reads the process table of Linux")
def test_killed_worker_is_reported_and_the_rest_is_kept(folder):
    run = started(folder, "--workers", "2")
    children = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    for child in children:
        if b"loky.process_executor" in Path(f"/proc/{child}/cmdline").read_bytes() or (
            b"popen_loky" in Path(f"/proc/{child}/cmdline").read_bytes()
        ):
            os.kill(int(child), signal.SIGKILL)
    _, err = run.communicate(timeout=400)
    assert run.returncode == 2, err
    assert "error: a worker process was killed" in err
    assert half_written() == []
    assert list(status().values()).count("cached") >= 2


def test_failed_metric_does_not_take_the_others_with_it(study):
    text = STUDY + '\n[[metric]]\nestimator = "AUROC"\nname = "bad"\ny_score = ["text"]\n'
    (study / "study.toml").write_text(light(text))
    with pytest.raises(es.InputError, match=r"study.toml, line 27: \[\[metric\]\] 5: bad: y_score"):
        es.Study("study.toml").run("out")
    assert [name for name, state in status().items() if state != "cached"] == ["bad"]
    assert not Path("out/manifest.json").exists()


def test_workers_must_be_a_positive_number(study):
    with pytest.raises(es.InputError, match="workers=0"):
        es.Study("study.toml").run(workers=0)


# What is written --------------------------------------------------------------------------------


def test_manifest_holds_what_makes_the_run_reproducible(study):
    result = es.Study("study.toml").run("out", command="evalstats run study.toml")
    manifest = json.loads(Path("out/manifest.json").read_text())
    assert manifest["study"]["text"] == Path("study.toml").read_text()
    assert manifest["data"]["test"]["rows"] == 400
    assert len(manifest["data"]["test"]["files"][0]["sha256"]) == 64
    assert [m["name"] for m in manifest["metrics"]] == list(result.estimates)
    assert manifest["metrics"][1]["arguments"]["cluster"] == "patient"
    assert manifest["software"]["numpy"] == np.__version__
    assert set(manifest["files"]) == set(content("out")) - {"manifest.json"}
    timings = json.loads(Path("out/timings.json").read_text())
    assert timings["command"] == "evalstats run study.toml"
    assert {m["status"] for m in timings["metrics"]} == {"computed"}
    estimate = es.Estimate.load("out/estimates/auroc.npz")
    assert estimate == result.estimates["AUROC"]
    assert pl.read_csv("out/estimates.csv").height == result.to_frame().height


def test_files_of_a_metric_that_is_gone_are_removed_and_others_stay(study):
    es.Study("study.toml").run("out")
    Path("out/tables/mine.txt").write_text("kept")
    (study / "study.toml").write_text(
        light(STUDY.replace('by = "site"', 'by = "site"\nname = "new"'))
    )
    es.Study("study.toml").run("out")
    assert not Path("out/tables/auroc-by-site.tex").exists()
    assert Path("out/tables/new.tex").exists()
    assert Path("out/tables/mine.txt").exists()


def test_manifest_cannot_make_a_run_remove_files_elsewhere(study):
    es.Study("study.toml").run("out")
    manifest = json.loads(Path("out/manifest.json").read_text())
    manifest["files"] |= {"../study.toml": "", "tables/../../study.toml": "", "/etc/passwd": ""}
    Path("out/manifest.json").write_text(json.dumps(manifest))
    es.Study("study.toml").run("out")
    assert Path("study.toml").exists()


def test_only_what_is_asked_for_is_written(study):
    text = STUDY + '\n[output]\ntables = ["md"]\nfigures = []\nreport = false\n'
    (study / "study.toml").write_text(text)
    es.Study("study.toml").run("out")
    assert {path.suffix for path in Path("out/tables").iterdir()} == {".md"}
    assert list(Path("out/figures").iterdir()) == []
    assert not Path("out/report.html").exists()


def test_command_writes_and_reports(folder):
    run = command("run", "study.toml", "--out", "out")
    out, err = run.communicate(timeout=400)
    assert (run.returncode, err) == (0, "")
    assert "AUROC ↑" in out
    assert "holm" in out
    assert str(Path("out/report.html").resolve()) in out
    page = Path("out/report.html").read_text()
    assert page.count("<section") >= 7
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_problem_of_a_file_is_status_2(folder):
    (folder / "study.toml").write_text(STUDY.replace('"label"', '"lable"'))
    run = command("run", "study.toml")
    out, err = run.communicate(timeout=400)
    assert (run.returncode, out) == (2, "")
    assert err.startswith("error: study.toml, line 8: [defaults]: there is no column 'lable'")
