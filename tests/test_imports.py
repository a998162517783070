"""``import evalstats`` is cheap, and every public name is found where it is said to be."""

import ast
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

import evalstats as es

ROOT = Path(__file__).resolve().parents[1]
HEAVY = (
    "numba",
    "scipy.stats",
    "sklearn",
    "statsmodels",
    "matplotlib",
    "polars",
    "pandas",
    "numpy",
)


def run(code):
    """Output of `code` in a fresh interpreter without the site's start-up hooks."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_import_loads_nothing_heavy():
    code = f"import sys, evalstats; print(*[name for name in {HEAVY} if name in sys.modules])"
    assert run(code) == []


def test_import_takes_little_time():
    code = (
        "import time; start = time.process_time(); import evalstats; "
        "print(time.process_time() - start)"
    )
    assert float(run(code)[0]) < 0.5


@pytest.mark.parametrize("name", ["AUROC", "Estimate", "InputError", "Bootstrap"])
def test_first_use_does_not_need_matplotlib_or_pandas(name):
    late = ("matplotlib", "pandas", "sklearn", "statsmodels")
    code = (
        f"import sys, evalstats; evalstats.{name}; "
        f"print(*[module for module in {late} if module in sys.modules])"
    )
    assert run(code) == []


def test_listing_does_not_import():
    code = "import sys, evalstats; print(*dir(evalstats)); assert 'polars' not in sys.modules"
    assert set(run(code)) == {*es.__all__, "__version__"}


@pytest.mark.parametrize("name", es.__all__)
def test_public_name_resolves(name):
    public = getattr(es, name)
    assert public.__name__ == name
    assert public.__module__.startswith("evalstats.")


def test_star_import_and_unknown_names():
    code = "from evalstats import *; print(AUROC.__name__, auroc.__name__)"
    assert run(code) == ["AUROC", "auroc"]
    with pytest.raises(AttributeError, match="module 'evalstats' has no attribute 'AUCROC'"):
        es.AUCROC  # noqa: B018


def test_stub_lists_the_same_names():
    stub = (ROOT / "evalstats" / "__init__.pyi").read_text(encoding="utf-8")
    exported = {line.split(" as ")[1].rstrip(",") for line in stub.splitlines() if " as " in line}
    assert exported == set(es.__all__)


def test_methods_do_not_import_each_other():
    """A method's folder knows the floors below it, and no other method."""
    floors = {
        "data",
        "errors",
        "estimator",
        "inference",
        "kernels",
        "mergeable",
        "recalibration",
        "results",
    }
    folders = [path for path in (ROOT / "evalstats").iterdir() if path.is_dir()]
    methods = {path.name for path in folders} - floors - {"report", "study", "__pycache__"}
    for method in sorted(methods):
        for path in (ROOT / "evalstats" / method).rglob("*.py"):
            for other in methods - {method} | {"report", "study", "cli"}:
                assert f"evalstats.{other}" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("floor", ["data", "inference", "kernels", "recalibration", "results"])
def test_floors_do_not_import_upwards(floor):
    products = ("report", "study", "cli")
    above = {
        "kernels": ("data", "inference", "results", "estimator", "discrimination"),
        "data": ("inference", "results", "estimator", "discrimination"),
        "inference": ("results", "estimator", "discrimination"),
        "recalibration": ("results", "estimator", "discrimination", "calibration"),
        "results": ("discrimination",),
    }[floor] + products
    for path in (ROOT / "evalstats" / floor).rglob("*.py"):
        imports = [
            line.strip()
            for line in path.read_text(encoding="utf-8").splitlines()
            if line.strip().startswith(("from evalstats.", "import evalstats."))
        ]
        for line in imports:
            assert not any(line.split()[1].startswith(f"evalstats.{name}") for name in above), (
                path,
                line,
            )


def _imported_modules(path):
    """Modules of the package that a file imports at any time, not only for the type checker."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and id(node) not in for_types:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_imports_run_in_no_circle():
    package = ROOT / "evalstats"
    files = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in package.rglob("*.py")
    }
    graph = {name: (_imported_modules(path) & set(files)) - {name} for name, path in files.items()}
    assert len(tuple(graphlib.TopologicalSorter(graph).static_order())) == len(files)
