"""Targets ``cli:<verb>``: every verb in this process, with spoiled words and files."""

import contextlib
import io
import json
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from evalstats.cli import VERBS, app
from tests.fuzz.checks import CONTROL
from tests.fuzz.files import folder
from tests.fuzz.functions import coco
from tests.fuzz.harness import Target, Trial, WrongError
from tests.fuzz.values import NAMES, Rng, pick

ROWS = 24
WORDS = (
    "--level", "--format", "--out", "--bootstrap", "--seed", "--compare", "--reference", "--by",
    "--cluster", "--weight", "--adjust", "--nan-policy", "--pos-label", "--labels", "--n-bins",
    "--nonsense", "--help", "--", "-", "-x", "--interval", "--formula", "--metric", "--protocol",
)  # fmt: skip
VALUES = (
    "0.9", "1", "0", "-1", "nan", "inf", "1e400", "", " ", "table", "csv", "json", "latex",
    "markdown", "none", "holm", "raise", "omit", "5", "99999999999999999999", "a", "<b>", "é",
    "__import__('os').system('true')", "length", "{}", "/dev/null", "/nonexistent/x.csv", ".",
    "AP", "coco", "fixed", "pool", "\x1b[2J", "wald", "group",
)  # fmt: skip
SHARES = {"recalibrate": 0.03, "demo": 0.002, "run": 0.3}


@cache
def data() -> dict[str, str]:
    """Files that every verb can read."""
    rng = np.random.default_rng(3)
    root = folder()
    label = np.arange(ROWS) % 2
    columns: dict[str, Any] = {
        "y": label,
        "p": (label + rng.random(ROWS)) / 2,
        "q": rng.random(ROWS),
        "<script>": rng.random(ROWS),
        r"\input{x}|_%": rng.random(ROWS),
        "group": np.array(["a", "<b>"])[np.arange(ROWS) // 4 % 2],
        "cl": np.arange(ROWS) // 2,
        "w": rng.random(ROWS),
        "word": ["yes" if value else "no" for value in label],
        "pref": 1 + rng.random(ROWS),
        "len_a": rng.integers(10, 90, ROWS),
        "len_b": rng.integers(10, 90, ROWS),
        "model": np.array(["m1", "m2"])[label],
        "other": np.array(["m2", "m1"])[label],
        "item": np.arange(ROWS) // 2,
        "verdict": np.array(["win", "lose", "tie", "win_much"])[np.arange(ROWS) % 4],
        "outcome": (rng.random(ROWS) < 0.5).astype(int),
        "mark": rng.integers(1, 10, ROWS),
        "run": np.linspace(-1, 1, ROWS),
    }
    frame = pl.DataFrame(columns)
    paths = {"csv": root / "rows.csv", "parquet": root / "rows.parquet", "npz": root / "rows.npz"}
    frame.write_csv(paths["csv"])
    frame.write_parquet(paths["parquet"])
    np.savez(paths["npz"], truth=rng.normal(size=(3, 6, 2)), s=rng.normal(size=(9, 3, 6, 2)))
    document, results = coco(rng, 3)
    for name, content in (("gt", document), ("dt", results), ("dt2", results[:3])):
        paths[name] = root / f"{name}-cli.json"
        paths[name].write_text(json.dumps(content), encoding="utf-8")
    for name in ("masks", "maps", "maps2"):
        paths[name] = root / f"cli-{name}"
        paths[name].mkdir(exist_ok=True)
        for i in range(4):
            image = np.zeros((8, 8)) if i < 2 else np.pad(np.ones((3, 3)), (2, 3))
            content = image if name == "masks" else image + rng.normal(size=(8, 8))
            np.save(paths[name] / f"{i}.npy", content)
    paths["toml"] = root / "study.toml"
    paths["toml"].write_text(STUDY.replace("ROWS", str(paths["csv"])), encoding="utf-8")
    return {name: str(path) for name, path in paths.items()}


STUDY = """
title = "<script>"
seed = 1
[data.test]
path = "ROWS"
filter = "p > 0.1"
[defaults]
y_true = "y"
y_score = ["p", "q"]
y_prob = { A = "p", B = "q" }
[[metric]]
estimator = "AUROC"
by = "group"
[[metric]]
estimator = "BrierScore"
inference = { method = "bootstrap", n_resamples = 20 }
compare = { reference = "A", margin = 0.1 }
[compare]
adjust = "holm"
[[family]]
name = "all"
metrics = "all"
[output]
tables = ["tex"]
figures = []
report = false
"""
SPOILS = (
    "[",
    "]",
    "=",
    "\n[[metric]]\n",
    "nan",
    "-1",
    '""',
    "true",
    "1e400",
    "\x00",
    "é",
    "{",
    "[]",
)


def broken_study(rng: Rng) -> str:
    """A study file with pieces cut out, repeated or exchanged."""
    text = Path(data()["toml"]).read_text(encoding="utf-8")
    for _ in range(int(rng.integers(1, 4))):
        lines = text.split("\n")
        at = int(rng.integers(len(lines)))
        kind = int(rng.integers(4))
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(int(rng.integers(len(lines))), lines[at])
        elif kind == 2:
            lines[at] = lines[at].split("=")[0] + "= " + pick(rng, SPOILS)
        else:
            place = int(rng.integers(len(lines[at]) + 1))
            lines[at] = lines[at][:place] + pick(rng, SPOILS) + lines[at][place:]
        text = "\n".join(lines) or "x"
    path = folder() / f"study-{int(rng.integers(1000))}.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


SCORES = ["p", "q", "<script>", r"\input{x}|_%"]
TRAJECTORY = ["--trajectory", "truth", "--samples", "s"]
BASE: Mapping[str, Callable[[Mapping[str, str]], list[str]]] = {
    "demo": lambda f: ["--out", "/nonexistent/folder/report"],
    "run": lambda f: [f["toml"], "--dry-run"],
    "init": lambda f: [f["csv"], "--out", "starter.toml", "--force"],
    "auroc": lambda f: [f["csv"], "--y-true", "y", "--y-score", *SCORES],
    "auprc": lambda f: [f["parquet"], "--y-true", "y", "--y-score", *SCORES],
    "mistakes": lambda f: [f["csv"], "--y-true", "y", "--y-score", *SCORES, "--group", "group"],
    "amd": lambda f: [f["npz"], *TRAJECTORY],
    "amv": lambda f: [f["npz"], *TRAJECTORY],
    "trajectory": lambda f: [f["npz"], *TRAJECTORY],
    "brier-score": lambda f: [f["csv"], "--y-true", "y", "--y-prob", *SCORES],
    "log-loss": lambda f: [f["csv"], "--y-true", "y", "--y-prob", *SCORES],
    "reliability": lambda f: [f["csv"], "--y-true", "y", "--y-prob", "p", "<script>",
                              "--bootstrap", "5"],
    "calibration-slope": lambda f: [f["csv"], "--y-true", "y", "--y-prob", "q", "<script>"],
    "balance-score": lambda f: [f["csv"], "--y-true", "y", "--y-prob", *SCORES],
    "calibration-error": lambda f: [f["csv"], "--y-true", "y", "--y-prob", *SCORES,
                                    "--bootstrap", "9"],
    "detection": lambda f: [f["gt"], f["dt"], f["dt2"], "--bootstrap", "5"],
    "aupimo": lambda f: ["--masks", f["masks"], "--maps", f["maps"], "--maps", f["maps2"],
                         "--lower", "0.01", "--upper", "0.3"],
    "aupro": lambda f: ["--masks", f["masks"], "--maps", f["maps"]],
    "recalibrate": lambda f: [f["csv"], "--y-true", "y", "--y-prob", "p", "--method", "platt",
                              "--n-folds", "2"],
    "winrate": lambda f: [f["csv"], "--preference", "pref", "--length-model", "len_a",
                          "--length-baseline", "len_b"],
    "raw-win-rate": lambda f: [f["csv"], "--preference", "pref", "--model", "model"],
    "wildbench-reward": lambda f: [f["csv"], "--outcome", "verdict", "--model", "model",
                                   "--item", "item"],
    "wildbench-score": lambda f: [f["csv"], "--score", "mark", "--model", "model",
                                  "--item", "item"],
    "fairness": lambda f: [f["csv"], "--prediction", "p", "<script>", "--protected", "group", "q"],
    "bradley-terry": lambda f: [f["csv"], "--model-a", "model", "--model-b", "other",
                                "--outcome", "outcome"],
    "rdd": lambda f: [f["csv"], "--running", "run", "--outcome", "p", "--bandwidth", "0.8",
                      "--quantiles", "0.5"],
}  # fmt: skip


def targets() -> list[Target]:
    """One target for each verb."""
    unknown = set(VERBS) - set(BASE)
    names = [name for name in VERBS if name not in unknown]
    found = [Target(f"cli:{name}", _drawer(name), SHARES.get(name, 0.08)) for name in names]
    return [*found, Target("cli:(no verb)", _drawer(""), 0.2)]


def _drawer(verb: str) -> Callable[[Rng], Trial]:
    def draw(rng: Rng) -> Trial:
        words = BASE[verb](data()) if verb else []
        if verb == "run" and rng.random() < 0.7:
            words[0] = broken_study(rng)
        for _ in range(int(pick(rng, (0, 1, 1, 2, 3)))):
            words = _spoiled(rng, words)
        if rng.random() < 0.5 and verb and verb not in ("demo", "run", "init"):
            words = [*words, "--format", pick(rng, ("latex", "markdown", "json", "table", "csv"))]
        if verb in ("demo", ""):
            words = [word for word in words if "demo" not in word]
        given = [verb, *words] if verb else words
        return Trial(lambda: run(given), text=f"evalstats {given!r}", check=_check_output)

    return draw


def _spoiled(rng: Rng, words: list[str]) -> list[str]:
    """Drop, repeat, exchange or insert a word."""
    kind = int(rng.integers(6))
    words = list(words)
    at = int(rng.integers(len(words) + 1))
    if kind == 0 and words:
        del words[at - 1]
    elif kind == 1 and words:
        words[at - 1] = pick(
            rng, (*VALUES, *(name for name in NAMES[:16] if isinstance(name, str)))
        )
    elif kind == 2 and words:
        words.insert(at, words[at - 1])
    elif kind == 3:
        words.insert(at, pick(rng, VALUES))
    else:
        words += [pick(rng, WORDS), pick(rng, VALUES)]
    out = [i for i, word in enumerate(words) if word == "--out"]
    for i in out:
        if i + 1 < len(words) and not words[i + 1].startswith("/"):
            words[i + 1] = str(folder() / "out" / Path(words[i + 1]).name.replace("\x00", ""))
    return [word.replace("\x00", "") for word in words]


class _Stream(io.StringIO):
    """Text stream without terminal; surrogates are written as they would be to a pipe."""

    encoding = "utf-8"

    def fileno(self) -> int:
        raise io.UnsupportedOperation


def run(words: list[str]) -> tuple[int, str, str, list[str]]:
    """Exit code, standard output and standard error of a command."""
    out, err = _Stream(), _Stream()
    before = sys.argv
    sys.argv = ["evalstats"]
    try:
        # Studies are written where the command was called.
        with (
            contextlib.chdir(folder()),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            app(words)
        code: Any = 0
    except SystemExit as stopped:
        code = stopped.code or 0
    finally:
        sys.argv = before
    return code, out.getvalue(), err.getvalue(), words


def _check_output(result: tuple[int, str, str, list[str]]) -> None:
    code, out, err, words = result
    if code not in (0, 2):
        raise WrongError(f"exit code {code}: {err[-300:]}")
    if "Traceback" in err:
        raise WrongError("a traceback was printed")
    if code == 2 and not (err.strip() or out.strip()):
        raise WrongError("refused without a word")
    if code == 2:
        import evalstats as es

        raise es.InputError("refused, as it should be")
    if "json" in words[-1:] and "--help" not in words:
        json.loads(out)
    if "--help" not in words and CONTROL.search(out.replace("\t", " ")) and "csv" not in words:
        raise WrongError(f"control character in the output: {CONTROL.search(out)}")
