"""Tables that do not fit into memory: the estimates of all rows, from one pass over batches."""

import pickle
import subprocess
import sys
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import evalstats as es
from evalstats import streaming
from evalstats.data import batches
from evalstats.data.batches import read_batches
from evalstats.data.merge_tree import MergeTree

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
N = 600
ANALYTIC = es.Analytic()
SCORES = {
    "auroc": es.AUROC(),
    "auprc": es.AUPRC(),
    "auprc, prevalence fixed": es.AUPRC(sampling="stratified"),
    "balance": es.BalanceScore(),
    "brier": es.BrierScore(),
    "log loss": es.LogLoss(),
    "ece": es.CalibrationError(inference=ANALYTIC),
    "root mean square": es.CalibrationError(inference=ANALYTIC, norm=2, n_bins=6),
    "largest": es.CalibrationError(inference=es.NoInference(), norm="max"),
    "given edges": es.CalibrationError(inference=ANALYTIC, bin_edges=[0, 0.3, 1]),
}


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(2)
    signal = rng.normal(size=N)
    columns = {
        name: np.round(1 / (1 + np.exp(-slope * (signal + 0.4 * rng.normal(size=N)))), 2)
        for name, slope in (("a", 1.5), ("b", 0.6), ("c", 3.0))
    }
    y = (rng.random(N) < 1 / (1 + np.exp(-signal))).astype(np.int8)
    return pl.DataFrame({"y": y, **columns, "w": rng.integers(0, 4, N) / 2})


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(batches, "MOST_ROWS", 128)


def assert_same(found, expected):
    np.testing.assert_allclose(found.value, expected.value, rtol=1e-12)
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-8, atol=1e-16)
    assert found.terms.equals(expected.terms)
    for name in ("n_units", "n_clusters", "scale", "interval", "inference", "notes", "unit"):
        assert getattr(found, name) == getattr(expected, name), name
    for name in ("df", "residual_df", "n"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for own, other in zip(found.confidence_interval(), expected.confidence_interval(), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-9, atol=1e-15)
    if len(expected.value) > 1 and np.isfinite(expected.covariance).all():
        columns = ["estimate", "standard_error", "p_value"]
        np.testing.assert_allclose(
            found.compare().select(columns).to_numpy(),
            expected.compare().select(columns).to_numpy(),
            rtol=1e-7,
            atol=1e-12,
        )


@pytest.mark.parametrize("weight", [None, "w"])
@pytest.mark.parametrize("name", SCORES)
def test_fit_of_a_lazy_table_streams(table, name, weight, small_batches, monkeypatch):
    estimator = SCORES[name]
    roles = ("y", ["a", "b", "c"])
    expected = estimator.fit(*roles, data=table, sample_weight=weight).estimate_
    monkeypatch.setattr(type(estimator), "_estimate", None)
    monkeypatch.setattr(type(estimator), "_state_pays", lambda *_: True)
    found = estimator.fit(*roles, data=table.lazy(), sample_weight=weight)
    assert_same(found.estimate_, expected)
    clone = pickle.loads(pickle.dumps(found))
    assert clone.estimate_.value.tobytes() == found.estimate_.value.tobytes()


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.lists(st.integers(1, N - 1), max_size=9, unique=True),
    name=st.sampled_from(sorted(SCORES)),
    weight=st.sampled_from([None, "w"]),
    n_jobs=st.sampled_from([1, 3]),
)
def test_any_batches_give_the_estimate_of_all_rows(table, cuts, name, weight, n_jobs):
    estimator = SCORES[name]
    roles = ("y", ["a", "b", "c"])
    expected = estimator.fit(*roles, data=table, sample_weight=weight).estimate_
    edges = [0, *sorted(cuts), N]
    parts = [table[low:high] for low, high in pairwise(edges)]
    if weight is not None and any(part[weight].max() == 0 for part in parts):
        return
    found = streaming.fit(
        estimator, *roles, data=parts, sample_weight=weight, n_jobs=n_jobs
    ).estimate_
    assert_same(found, expected)


def test_one_pass_for_several(table, tmp_path):
    for number in range(3):
        table[number * 200 : (number + 1) * 200].write_parquet(tmp_path / f"part-{number}.parquet")
    pattern = tmp_path / "part-*.parquet"
    chosen = [es.AUROC(), es.AUPRC(), es.BalanceScore()]
    roles = ("y", ["a", "b"])
    found = streaming.fit(chosen, *roles, data=pattern, batch_rows=77)
    assert found is not chosen
    assert [item is own for item, own in zip(found, chosen, strict=True)] == [True] * 3
    for own in chosen:
        assert_same(own.estimate_, type(own)().fit(*roles, data=table).estimate_)
    again = [es.AUROC(), es.AUPRC(), es.BalanceScore()]
    streaming.fit(again, *roles, data=pattern, batch_rows=77, n_jobs=1)
    for own, other in zip(chosen, again, strict=True):
        assert own.estimate_.covariance.tobytes() == other.estimate_.covariance.tobytes()


@pytest.mark.parametrize("weight", [None, "w"])
@pytest.mark.parametrize("norm", [1, 2, "max"])
def test_intervals_by_test_inversion_need_no_rows(table, norm, weight):
    estimator = es.CalibrationError(norm=norm, n_bins=8)
    roles = ("y", ["a", "b"])
    expected = estimator.fit(*roles, data=table, sample_weight=weight).estimate_
    found = streaming.fit(
        estimator, *roles, data=table, sample_weight=weight, batch_rows=111
    ).estimate_
    np.testing.assert_allclose(found.value, expected.value, rtol=1e-12)
    for own, other in zip(found.confidence_interval(), expected.confidence_interval(), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-8, atol=1e-12)
    assert found.inference == "test inversion; differences: analytic"
    assert "test inversion" in found.methods()


def test_roles_by_name(table):
    chosen = [es.AUROC(), es.BrierScore()]
    streaming.fit(chosen, data=table, y_true="y", y_score="a", y_prob="b")
    assert chosen[0].estimate_.value[0] == es.auroc(table["y"], table["a"])
    assert_same(chosen[1].estimate_, es.BrierScore().fit("y", "b", data=table).estimate_)


def test_equal_states_are_made_once(table, monkeypatch):
    calls = []
    partial = es.AUROC.partial
    for cls in (es.AUROC, es.AUPRC):
        monkeypatch.setattr(
            cls, "partial", lambda self, *a, **k: calls.append(type(self)) or partial(self, *a, **k)
        )
    streaming.fit([es.AUROC(), es.AUPRC()], "y", "a", data=[table, table])
    assert calls == [es.AUROC, es.AUROC]
    calls.clear()
    streaming.fit([es.AUROC(direction="lower"), es.AUPRC()], "y", "a", data=[table, table])
    assert len(calls) == 4


def test_bounded_states_carry_their_bounds(table):
    estimate = streaming.fit(
        es.AUROC(), "y", ["a", "b"], data=table, state="binned", batch_rows=90
    ).estimate_
    exact = es.AUROC().fit("y", ["a", "b"], data=table).estimate_
    low, high = estimate.bounds
    assert (low <= exact.value).all()
    assert (exact.value <= high).all()
    assert "no covariances between models" in estimate.notes[-1]


@pytest.mark.parametrize("weight", [None, "w"])
def test_a_second_pass_gives_binned_rankings_their_covariances(table, weight):
    # Scores of few bits are their own bins, so that nothing is lost by binning.
    rounded = table.with_columns((pl.col("a", "b", "c") * 16).round() / 16)
    estimators = [es.AUROC(), es.AUPRC(), es.AUPRC(sampling="stratified"), es.BrierScore()]
    roles = ("y", ["a", "b", "c"])
    streaming.fit(
        estimators,
        *roles,
        data=rounded,
        sample_weight=weight,
        state="binned",
        batch_rows=90,
        second_pass=True,
    )
    for own in estimators:
        expected = own.__class__(**own.get_params()).fit(*roles, data=rounded, sample_weight=weight)
        assert_same(own.estimate_, expected.estimate_)
    with pytest.raises(es.InputError, match="second_pass=True reads the data twice"):
        streaming.fit(es.AUROC(), *roles, data=iter([table]), second_pass=True)


def test_many_distinct_scores_are_collected(small_batches):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"y": rng.integers(0, 2, 400), "p": rng.random(400)})
    auc = es.AUROC().fit("y", "p", data=frame.lazy())
    assert auc._fitted_columns().n == 400
    assert not hasattr(auc, "_rows_of_fit")


def test_views_read_the_rows_again(table, small_batches, monkeypatch):
    monkeypatch.setattr(es.AUROC, "_state_pays", lambda *_: True)
    auc = es.AUROC().fit("y", "a", data=table.lazy())
    assert not hasattr(auc, "_columns_seen")
    assert auc.curves(n_resamples=0).equals(
        es.AUROC().fit("y", "a", data=table).curves(n_resamples=0)
    )


@pytest.mark.parametrize("kind", ["resampled", "by", "cluster", "omit"])
def test_what_does_not_merge_is_collected(table, kind, small_batches):
    frame = table.with_columns(g=pl.int_range(pl.len()) % 50)
    options = {"by": {"by": "g"}, "cluster": {"cluster": "g"}}.get(kind, {})
    configured = {
        "resampled": {"inference": es.Bootstrap(n_resamples=20, rng=0)},
        "omit": {"nan_policy": "omit"},
    }.get(kind, {})
    if kind == "by":
        frame = frame.with_columns(pl.col("g") % 2)
    expected = es.BrierScore(**configured).fit("y", ["a", "b"], data=frame, **options).estimate_
    found = es.BrierScore(**configured).fit("y", ["a", "b"], data=frame.lazy(), **options).estimate_
    assert found.covariance.tobytes() == expected.covariance.tobytes()


def test_labels_that_a_batch_lacks(small_batches):
    rng = np.random.default_rng(9)
    frame = pl.DataFrame({"y": np.sort(rng.integers(1, 4, 600)), "p": rng.random(600)})
    shares = rng.dirichlet(np.ones(3), 600)
    frame = frame.with_columns(**{f"p{code}": shares[:, code] for code in range(3)})
    classes = ("y", ["p0", "p1", "p2"])
    words = frame.with_columns(
        word=pl.when(pl.col("y") > 2).then(pl.lit("yes")).otherwise(pl.lit("no"))
    )
    for options in ({}, {"labels": [1, 2, 3]}):
        estimator = es.BrierScore(target="multiclass", **options)
        expected = estimator.fit(*classes, data=frame).estimate_
        assert_same(estimator.fit(*classes, data=frame.lazy()).estimate_, expected)
    with pytest.raises(es.InputError, match="pass labels="):
        streaming.fit(es.BrierScore(target="multiclass"), *classes, data=frame, batch_rows=100)
    expected = es.BrierScore(pos_label="yes").fit("word", "p", data=words).estimate_
    found = es.BrierScore(pos_label="yes").fit("word", "p", data=words.lazy()).estimate_
    assert_same(found, expected)
    p = pl.when(pl.int_range(pl.len()) == 130).then(2.0).otherwise("p")
    bad = frame.with_columns(p=p, y=pl.col("y") > 2)
    with pytest.raises(es.InputError, match="in the batch from row 128 on: y_prob is 2 in row 2 "):
        es.BrierScore().fit("y", "p", data=bad.lazy())


def test_any_estimator_reads_files(table, tmp_path):
    for number in range(2):
        table[number * 300 : (number + 1) * 300].write_csv(tmp_path / f"{number}.csv")
    pattern = str(tmp_path / "*.csv")
    found = es.MistakeAnalysis().fit("y", "a", data=pattern).estimate_
    expected = es.MistakeAnalysis().fit("y", "a", data=table).estimate_
    np.testing.assert_array_equal(found.value, expected.value)
    with pytest.raises(es.InputError, match=r"there is no column 'z'. Did you mean|Available"):
        es.AUROC().fit("y", "z", data=pattern)
    with pytest.raises(es.InputError, match=r"no file matches '.*nothing-\*.csv'"):
        es.AUROC().fit("y", "a", data=str(tmp_path / "nothing-*.csv"))
    with pytest.raises(es.InputError, match="is a directory: name one data file, or a pattern"):
        es.AUROC().fit("y", "a", data=tmp_path)
    table.select("y").write_csv(tmp_path / "2.csv")
    with pytest.raises(es.InputError, match=r"2.csv' and .*0.csv' differ in the column 'a'"):
        es.AUROC().fit("y", "a", data=pattern)


def test_trajectories_stream(small_batches):
    rng = np.random.default_rng(1)
    n = 300
    truth = rng.normal(size=(n, 2, 2))
    samples = truth[:, None] + rng.normal(size=(n, 10, 2, 2))
    frame = pl.DataFrame({"truth": truth, "model": samples, "scene": np.arange(n) // 3})
    roles = ("truth", "model", "scene")
    expected = es.AMD().fit(*roles, data=frame).estimate_
    found = es.AMD().fit(*roles, data=frame.lazy())
    assert hasattr(found, "_rows_of_fit")
    assert_same(found.estimate_, expected)
    parts = [frame[:60], frame[60:]]
    assert_same(streaming.fit(es.AMD(), *roles, data=parts, state="sums").estimate_, expected)


@pytest.mark.parametrize("weight", [None, "w"])
@pytest.mark.parametrize("kind", ["concatenated", "joint", "marginal"])
@pytest.mark.parametrize("version", ["unbiased", "biased"])
def test_fairness_in_cells_streams(kind, version, weight, small_batches):
    rng = np.random.default_rng(4)
    n = 900
    sex, region = rng.integers(0, 2, n), rng.integers(0, 3, n)
    frame = pl.DataFrame(
        {
            "score": sex + rng.integers(0, 3, n),
            "other": region + rng.integers(0, 2, n),
            "sex": sex,
            "region": np.array(["north", "south", "west"])[region],
            "w": rng.integers(0, 3, n).astype(float),
        }
    )
    estimator = es.DistanceCovariance(kind=kind, estimator=version)
    roles = (["score", "other"], ["sex", "region"])
    expected = estimator.fit(*roles, data=frame, sample_weight=weight).estimate_
    parts = [frame[:500], frame[500:510], frame[510:]]
    found = streaming.fit(estimator, *roles, data=parts, sample_weight=weight)
    assert_same(found.estimate_, expected)
    lazy = frame.lazy()
    estimator = es.DistanceCovariance(kind=kind, estimator=version)
    estimator._state_pays = lambda *_: True
    assert_same(estimator.fit(*roles, data=lazy, sample_weight=weight).estimate_, expected)
    assert hasattr(estimator, "_rows_of_fit")


@pytest.mark.parametrize("weight", [None, "w"])
def test_win_rates_stream(weight, small_batches):
    rng = np.random.default_rng(6)
    frame = pl.DataFrame(
        {**{name: 1 + rng.random(500) for name in "abc"}, "w": rng.integers(0, 3, 500) / 2}
    )
    roles = (["a", "b", "c"],)
    expected = es.WinRate().fit(*roles, data=frame, sample_weight=weight).estimate_
    found = es.WinRate().fit(*roles, data=frame.lazy(), sample_weight=weight)
    assert hasattr(found, "_rows_of_fit")
    assert_same(found.estimate_, expected)
    long = frame.with_row_index("item").unpivot(["a", "b", "c"], index="item")
    whole = es.WinRate().fit("value", "variable", "item", data=long).estimate_
    again = es.WinRate().fit("value", "variable", "item", data=long.lazy()).estimate_
    assert again.covariance.tobytes() == whole.covariance.tobytes()
    with pytest.raises(es.InputError, match="item= may name an instruction in several parts"):
        streaming.fit(es.WinRate(), "value", "variable", "item", data=long)


@pytest.mark.parametrize("shuffled", [False, True])
def test_units_of_a_discontinuity_stay_whole(shuffled, small_batches):
    rng = np.random.default_rng(8)
    units = rng.permutation(300)
    draws = rng.integers(3, 9, 300)
    unit = np.repeat(units, draws)
    running = rng.uniform(-1, 1, 300)[unit]
    outcome = running + (running >= 0) + rng.normal(size=len(unit))
    frame = pl.DataFrame({"x": running, "y": outcome, "z": outcome**2, "unit": unit})
    if shuffled:
        frame = frame.sample(fraction=1.0, shuffle=True, seed=0)
    estimator = es.DistributionRDD(quantiles=[0.25, 0.5])
    roles = ("x", ["y", "z"], "unit")
    expected = estimator.fit(*roles, data=frame).estimate_
    found = es.DistributionRDD(quantiles=[0.25, 0.5]).fit(*roles, data=frame.lazy())
    assert hasattr(found, "_rows_of_fit") == (not shuffled)
    assert_same(found.estimate_, expected)
    if shuffled:
        with pytest.raises(es.InputError, match="is in several parts: keep the draws"):
            streaming.fit(es.DistributionRDD(), *roles, data=frame, batch_rows=200)
    else:
        assert len(found.binned_quantiles()) > 0


def test_runs_are_never_cut():
    values = [1] * 5 + [2] * 3 + [3] * 20 + [4] * 2 + [5]
    frame = pl.DataFrame({"u": values})
    parts = list(read_batches(frame.lazy(), ["u"], 6, "u"))
    assert pl.concat(parts).equals(frame)
    assert [sorted(set(part["u"])) for part in parts] == [[1], [2], [3], [4, 5]]


def test_refusals(table):
    with pytest.raises(es.InputError, match="ReliabilityDiagram has no mergeable state"):
        streaming.fit([es.AUROC(), es.ReliabilityDiagram()], "y", "a", data=table)
    with pytest.raises(es.InputError, match=r"inference=Bootstrap\(.*needs the rows"):
        streaming.fit(es.AUROC(inference=es.Bootstrap()), "y", "a", data=table)
    with pytest.raises(es.InputError, match=r"state='bins': kinds of state .*'binned', 'exact'"):
        streaming.fit(es.AUROC(), "y", "a", data=table, state="bins")
    with pytest.raises(es.InputError, match="the state of AUROC keeps no clusters"):
        streaming.fit(es.AUROC(), "y", "a", data=table, cluster="w")
    with pytest.raises(es.InputError, match="y_prob= is no role of these estimators"):
        streaming.fit(es.AUROC(), "y", data=table, y_prob="a")
    with pytest.raises(es.InputError, match="batch_rows=0: pass a positive number"):
        streaming.fit(es.AUROC(), "y", "a", data=table, batch_rows=0)
    with pytest.raises(es.InputError, match="n_jobs=0: pass the number of threads"):
        streaming.fit(es.AUROC(), "y", "a", data=table, n_jobs=0)
    bad = table.with_columns(a=pl.when(pl.int_range(pl.len()) == 9).then(None).otherwise("a"))
    with pytest.raises(es.InputError, match="batch 1: y_score has 1 missing value"):
        streaming.fit(es.AUROC(), "y", "a", data=[table, bad])
    with pytest.raises(es.InputError, match=r"no column 'aa'. Did you mean 'a'\?"):
        streaming.fit(es.AUROC(), "y", "aa", data=table)
    with pytest.raises(es.InputError, match="data has no rows"):
        streaming.fit(es.AUROC(), "y", "a", data=[])
    frequency = es.BrierScore(inference=es.Analytic(weight_kind="frequency"))
    with pytest.raises(es.InputError, match="frequency weights count identical rows"):
        streaming.fit(frequency, "y", "a", data=table, sample_weight="w")


@given(n=st.integers(1, 200))
def test_the_tree_depends_on_the_number_of_items_alone(n):
    tree = MergeTree(lambda left, right: (left, right))
    for item in range(n):
        tree.push(item)
    level = list(range(n))
    while len(level) > 1:
        pairs = [(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = pairs + level[len(level) - len(level) % 2 :]
    assert tree.result() == level[0]


def test_batches_are_the_same_every_time(table):
    lazy = table.lazy().filter(pl.col("a") > 0.2)
    for rows in (1, 7, 100, 1000):
        found = list(read_batches(lazy, ["a", "y"], rows))
        assert all(part.height == rows for part in found[:-1])
        assert pl.concat(found).equals(lazy.select("a", "y").collect())
    assert batches.batch_rows(table.lazy()) == batches.MOST_ROWS
    wide = pl.DataFrame({"x": np.zeros((2000, 5000))}).lazy()
    assert batches.batch_rows(wide) == batches.BATCH_BYTES // 40_000


SCRIPT = """
import warnings
import numpy as np, polars as pl
import evalstats as es
from evalstats import streaming
warnings.simplefilter("ignore")
def parts(count):
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield pl.DataFrame({"y": rng.integers(0, 2, 100_000), "p": rng.random(100_000)})
estimators = [es.AUROC(), es.AUPRC(), es.CalibrationError(), es.BalanceScore()]
peaks = []
for count in (10, 60):
    streaming.fit(estimators, "y", "p", data=parts(count), state="binned", n_jobs=1)
    status = open("/proc/self/status").read()
    peaks.append(int(status.split("VmHWM:")[1].split()[0]) / 1024)
print(*peaks)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is needed")
def test_memory_does_not_grow_with_the_rows():
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    first, last = map(float, found.stdout.split())
    # Five million further rows, 80 MB as float64 and int64.
    assert last - first < 25, (first, last)
