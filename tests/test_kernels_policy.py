"""Compiled code: one signature per kernel, a cache that is hit, no need of cache or compiler."""

import json
import os
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from numba.core.dispatcher import Dispatcher

import evalstats
from evalstats.kernels import compile as policy
from tests.battery_support import registered

ROOT = Path(__file__).resolve().parents[1]
WORKOUT = """
import importlib, json, pkgutil, sys, warnings
import numpy as np
import evalstats as es
from numba.core.dispatcher import Dispatcher
warnings.simplefilter("ignore", es.EvalstatsWarning)
rng = np.random.default_rng(0)
y = rng.integers(0, 2, 120)
scores = {"a": rng.normal(size=120) + y, "b": np.round(rng.normal(size=120), 1)}
for dtype in ("f8", "f4", "i8", "u1"):
    given = {name: (10 * column + 50).astype(dtype) for name, column in scores.items()}
    es.auroc(y, given["a"]); es.auprc(y, given["b"])
    es.auroc(y, given["a"], max_fpr=0.3); es.auroc(y.astype(bool), given["a"], sample_weight=y + 1)
    for cls in (es.AUROC, es.AUPRC):
        cls().fit(y, given, sample_weight=1 + y, cluster=np.arange(120) // 2)
        cls().finalize(cls().partial(y, given, state="binned"), tolerance=1.0)
        for kind in ("multinomial", "poisson", "bayesian"):
            for interval in ("percentile", "studentized"):
                method = es.Bootstrap(n_resamples=4, kind=kind, interval=interval, rng=0)
                cls(inference=method).fit(y, given, by=y * 0 + np.arange(120) % 2)
for interpolation in ("trapezoid", "davis_goadrich", "interp11", "interp101", "interp_all"):
    es.auprc(y, scores["b"], interpolation=interpolation)
    es.auprc(y, scores["b"], interpolation=interpolation, sample_weight=1 + y)
for ties in ("expected", "best", "worst"):
    es.AUPRC(ties=ties, inference=es.NoInference()).fit(y, scores)
es.AUPRC.chance_level(y)
es.AUROC().fit(y, scores).curves(n_resamples=5)
es.AUPRC().fit(y, scores).curves(n_resamples=5)
for policy in ("argmax", "highest_score", "random"):
    analysis = es.MistakeAnalysis(policy=policy, inference=es.Bootstrap(n_resamples=4, rng=0))
    analysis.fit(y, scores, group=np.arange(120) % 3)
    analysis.atomic_mistakes(), analysis.loss_curves(), analysis.gain_attribution()
    analysis.simulate_fixes(5)
es.atomic_mistakes(y, scores["a"], sample_weight=1.0 + y)
region = np.array(["n", "s", "w"])[np.arange(120) % 3]
age = rng.normal(size=120)
for kind in ("concatenated", "joint", "marginal"):
    audit = es.DistanceCovariance(kind=kind).fit(scores, {"sex": y, "region": region})
    audit.test("permutation", n_resamples=3)
    es.DistanceCovariance(kind=kind).fit(scores["a"], {"age": age, "sex": y})
es.DistanceCovariance().fit(scores["a"].astype("f4"), {"age": age}, sample_weight=1 + y)
es.FairGLM(strength=1.0).fit(np.column_stack([age, y]), scores["a"], protected=y)
shares = 1 / (1 + np.exp(-scores["a"]))
frozen = np.full(120, 1.5)
shares.flags.writeable = frozen.flags.writeable = False
table = np.random.default_rng(1).dirichlet(np.ones(3), 120)
for weight in (None, 1 + y, frozen):
    for p in (shares, shares.astype("f4"), (shares > 0.5).astype("i8")):
        es.brier_score(y, p, sample_weight=weight); es.log_loss(y, p, sample_weight=weight)
        es.corp_decomposition(y, p, sample_weight=weight)
        es.murphy_decomposition(y, p, sample_weight=weight, unbiased=True)
        es.smooth_calibration_error(y, p, sample_weight=weight)
    es.calibration_regression(y, shares, sample_weight=weight)
    for method in ("corp", "binned"):
        few = es.Bootstrap(n_resamples=4, rng=0)
        diagram = es.ReliabilityDiagram(method=method, inference=few)
        diagram.fit(y, shares, sample_weight=weight, by=np.arange(120) % 2)
        diagram.curves(n_resamples=3), diagram.calibration_test(n_resamples=3)
        es.ReliabilityDiagram(method=method, inference=es.Analytic()).fit(y, shares)
for cls in (es.BrierScore, es.LogLoss):
    cls().finalize(cls().partial(y, shares)), cls(target="multiclass").fit(y, {"m": table})
es.LogLoss(clip=None).fit(y, np.where(y == 1, 0.0, shares), sample_weight=frozen)
maps = (es.PlattScaling(), es.IsotonicRecalibration(), es.BetaCalibration())
for p in (shares, shares.astype("f4"), table):
    for kind in ("inductive", "cross"):
        for one in (*maps, es.TemperatureScaling(), es.VennABERS(method=kind)):
            for weight in (None, frozen):
                labels = [0, 1, 2] if p.ndim == 2 else None
                given = np.arange(120) % 3 if p.ndim == 2 else y
                if not isinstance(one, es.TemperatureScaling) or p.ndim == 1:
                    one.set_params(labels=labels).fit(p, given, weight).predict_proba(p)
                    one.cross_fit(p, given, sample_weight=weight, cluster=np.arange(120) // 2)
    es.SplitConformal(score="aps", randomized=True, labels=labels).cross_fit(p, given)
masks = np.zeros((24, 16, 16), dtype=bool)
masks[16:, 4:9, 4:9] = True
maps = rng.normal(size=masks.shape) + 2 * masks
for dtype in ("f8", "f4", "f2", "i2"):
    given = np.round(10 * maps).astype(dtype)
    for rate in ("mean", "max", "quantile"):
        es.aupimo(masks, given, fpr_bounds=(0.01, 0.2), shared_fpr=rate)
    es.aupro(list(masks), list(given))
odd = masks[:, :15, :15].copy()
odd.flags.writeable = False
es.aupimo(odd, maps[:, :15, :15], fpr_bounds=(0.01, 0.2))
es.rank_models(scores).pairwise()
for method in (es.Analytic(), es.Bootstrap(n_resamples=4, rng=0)):
    pimo = es.AUPIMO(fpr_bounds=[(0.01, 0.2), (0.1, 1.0)], inference=method).fit(masks, maps)
    es.AUPRO(inference=method).fit(masks, maps, sample_weight=np.arange(24) + 1)
pimo.curves(n_points=5), pimo.thresholds_at(n_resamples=4), pimo.diagnostics(), pimo.companions()
pimo.finalize(pimo.stream(zip(masks, maps)))
truth, drawn = rng.normal(size=(2, 6, 2)), rng.normal(size=(40, 2, 6, 2))
drawn[:20, :, :3] += 5
frozen = drawn.copy()
frozen.flags.writeable = False
place = np.arange(6) // 2
weighted = es.WeightedSamples(drawn, np.ones(40))
for given in (drawn, drawn.astype("f4"), frozen, drawn[::2], weighted):
    for fit in ("reference", "robust"):
        es.AMD(fit=fit, inference=es.NoInference()).fit(truth, given, scene=place)
    es.AMV().fit(truth, given, scene=place), es.amd_amv(truth, given)
    es.TrajectoryScores(inference=es.NoInference()).fit(truth, given, scene=place)
es.AMD(axes="TAKD").fit(truth, drawn.transpose(1, 2, 0, 3), start=np.arange(6))
es.AMD(axes="DKTA").fit(truth.transpose(2, 0, 1), drawn.transpose(3, 0, 1, 2))
es.AMD().fit(rng.normal(size=(2, 6, 3)), rng.normal(size=(40, 2, 6, 3)))
mixed = es.GaussianMixtures(
    np.ones((1, 2, 6)), np.zeros((1, 2, 6, 2)), np.tile(np.eye(2), (1, 2, 6, 1, 1))
)
es.AMD(inference=es.Bootstrap(n_resamples=4, rng=0)).fit(truth, mixed)
es.AMD(compat="reference", path_weight="density").fit(truth, drawn)
kernels = {}
for module in pkgutil.walk_packages(es.__path__, "evalstats."):
    if module.name in sys.modules:
        for name, item in vars(sys.modules[module.name]).items():
            if isinstance(item, Dispatcher):
                kernels[f"{item.__module__}.{item.__name__}"] = {
                    "signatures": [str(s) for s in item.signatures],
                    "hits": sum(item.stats.cache_hits.values()),
                    "misses": sum(item.stats.cache_misses.values()),
                }
print(json.dumps(kernels))
"""


def workout(environment, cwd=ROOT, code=WORKOUT):
    """Use every public entry point in a fresh process and report on its kernels."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "COV_"))}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env={**clean, "PYTHONPATH": str(cwd), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


def test_one_signature_per_kernel_and_a_cache_that_is_hit(tmp_path):
    environment = {"NUMBA_CACHE_DIR": str(tmp_path)}
    first, second = workout(environment), workout(environment)
    assert len(first) > 20
    signatures = {name: report["signatures"] for name, report in first.items()}
    assert {name: found for name, found in signatures.items() if len(found) > 1} == {}
    # Layout A, neither C nor F, would be a second and slower variant.
    assert [name for name, found in signatures.items() if ", A," in str(found)] == []
    assert sum(report["misses"] for report in first.values()) > 0
    assert {name: report["misses"] for name, report in second.items() if report["misses"]} == {}
    assert sum(report["hits"] for report in second.values()) > 0


SMALL = """
import json
import evalstats as es
from evalstats.discrimination.kernels import ranked_auroc
value = es.AUROC(inference=es.NoInference())
import warnings; warnings.simplefilter("ignore")
value = float(value.fit([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.9]).estimate_.value[0])
print(json.dumps({"value": value, "cache": type(ranked_auroc._cache).__name__}))
"""


def test_works_where_no_cache_location_is_writable(tmp_path):
    """Neither beside the sources nor in a home folder (an immutable container image)."""
    package = tmp_path / "site" / "evalstats"
    shutil.copytree(ROOT / "evalstats", package, ignore=shutil.ignore_patterns("__pycache__"))
    # Root may write anywhere, but not into a folder whose name is taken by a file.
    for folder in [package, *(path for path in package.rglob("*") if path.is_dir())]:
        (folder / "__pycache__").write_text("taken", encoding="utf-8")
    environment = {
        "HOME": "/dev/null",
        "XDG_CACHE_HOME": "/dev/null",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    report = workout(environment, cwd=tmp_path / "site", code=SMALL)
    assert report == {"value": 0.75, "cache": "NullCache"}


def test_kernel_falls_back_to_compiling_once(monkeypatch):
    real = policy.numba.njit

    def refuses_to_cache(*functions, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return real(*functions, **options)

    # numba itself uses njit when it compiles for the first time.
    monkeypatch.setattr(policy, "numba", SimpleNamespace(njit=refuses_to_cache))

    def doubled(x: float) -> float:
        return 2.0 * x

    assert policy.kernel(doubled)(1.5) == 3.0


def loaded_kernels():
    """Every compiled function of the package, by its full name."""
    for module in pkgutil.walk_packages(evalstats.__path__, "evalstats."):
        for item in vars(sys.modules.get(module.name, object)).values():
            if isinstance(item, Dispatcher):
                yield item


def test_compile_options():
    assert registered()
    kernels = list(loaded_kernels())
    assert len(kernels) > 20
    for item in kernels:
        options = item.targetoptions
        assert options["nogil"] is True
        assert options["error_model"] == "python"
        assert not options.get("parallel")
        assert not options.get("fastmath")
        assert item.py_func.__closure__ is None


def test_docstrings_state_the_complexity():
    silent = {
        item.__name__
        for item in loaded_kernels()
        if not any(word in (item.__doc__ or "") for word in ("O(", "Linear"))
    }
    assert silent == set()


def test_only_the_policy_imports_numba():
    users = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "evalstats").rglob("*.py")
        if "import numba" in (text := path.read_text(encoding="utf-8")) or "from numba" in text
    ]
    assert users == ["evalstats/kernels/compile.py"]


def test_suite_runs_without_the_compiler():
    """Plain Python gives the same numbers, and lets coverage see the kernels."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-x",
            "tests/discrimination/test_fixtures.py",
            "tests/inference/test_random.py",
            "-k",
            "not n20000 and not imbal4 and not float32 and not counts_are_uniform",
        ],
        cwd=ROOT,
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_kernels_accept_read_only_arrays():
    from evalstats.discrimination.kernels import ranked_auroc

    arrays = [np.array([True, False]), np.array([True, True]), np.arange(2), np.ones(2)]
    for array in arrays:
        array.flags.writeable = False
    assert ranked_auroc(*arrays) == 1.0


DISCONTINUITY = """
import json, sys, warnings
import numpy as np
import evalstats as es
from numba.core.dispatcher import Dispatcher
warnings.simplefilter("ignore", es.EvalstatsWarning)
rng = np.random.default_rng(0)
x = rng.uniform(-1, 1, 150)
x.flags.writeable = False
draws = rng.normal(size=(150, 12)).astype("f4")
treated = (rng.random(150) < np.where(x > 0, 0.9, 0.1)).astype("i1")
weight = rng.integers(1, 4, 150)
for compat in (None, "r3d"):
    for method in ("frechet", "local_polynomial"):
        for kernel in ("triangular", "epanechnikov", "uniform"):
            rdd = es.DistributionRDD(
                method=method, kernel=kernel, compat=compat, quantiles=[0.2, 0.5, 0.8]
            )
            rdd.fit(x, draws, draw_weight=np.ones((150, 12), "i8")).limits()
            rdd.fit(x, list(draws), treatment=treated).diagnostics()
            rdd.fit(x, draws[:, 0], cluster=np.arange(150) // 2)
es.DistributionRDD(inference=es.Analytic(weight_kind="frequency")).fit(x, x, sample_weight=weight)
es.DistributionRDD(inference=es.Bootstrap(n_resamples=4, rng=0)).fit(x, draws, sample_weight=weight)
es.regression_discontinuity(x, draws[:, 0], bandwidth=0.5)
es.regression_discontinuity(x, draws[:, 0], bandwidth=0.5, sample_weight=weight)
kernels = {}
for module, loaded in list(sys.modules.items()):
    if module.startswith("evalstats.discontinuity"):
        for item in vars(loaded).values():
            if isinstance(item, Dispatcher) and item.__module__ == module:
                kernels[item.__name__] = {"signatures": [str(s) for s in item.signatures]}
print(json.dumps(kernels))
"""


def test_one_signature_per_kernel_of_discontinuities(tmp_path):
    found = workout({"NUMBA_CACHE_DIR": str(tmp_path)}, code=DISCONTINUITY)
    assert len(found) == 15
    assert {name for name, report in found.items() if len(report["signatures"]) != 1} == set()
