"""Estimate: selection, files, notes, and what happens when only part of it is defined."""

import dataclasses
import pickle
import warnings

import numpy as np
import polars as pl
import pytest

import evalstats as es
from evalstats.results.estimate import Estimate

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")


@pytest.fixture
def estimate(rng):
    y = (rng.random(300) < 0.4).astype(int)
    scores = {name: rng.normal(size=300) + y for name in "abc"}
    method = es.Bootstrap(n_resamples=100, interval="bca", rng=0)
    return es.AUROC(inference=method).fit(y, scores, by=np.arange(300) % 2).estimate_


def test_minimal_construction():
    minimal = Estimate(
        name="score",
        unit="image",
        n_units=7,
        n_clusters=None,
        inference="analytic",
        level=0.95,
        terms=pl.DataFrame({"metric": ["score"]}),
        value=np.array([0.4]),
        standard_error=np.array([0.1]),
        covariance=np.array([[0.01]]),
    )
    low, high = minimal.confidence_interval()
    assert high[0] - 0.4 == pytest.approx(0.1959964, rel=1e-6)
    assert 0.4 - low[0] == pytest.approx(0.1959964, rel=1e-6)
    assert repr(minimal) == "<Estimate score: 1 term, 7 images, analytic>"
    assert minimal.n.tolist() == [7]


def test_select_keeps_the_joint_distribution(estimate):
    chosen = estimate.select(group=1)
    rows = [i for i, group in enumerate(estimate.terms["group"]) if group == 1]
    assert chosen.terms["model"].to_list() == ["a", "b", "c"]
    np.testing.assert_array_equal(chosen.covariance, estimate.covariance[np.ix_(rows, rows)])
    np.testing.assert_array_equal(chosen.replicates, estimate.replicates[:, rows])
    np.testing.assert_array_equal(
        chosen.confidence_interval().low, estimate.confidence_interval().low[rows]
    )
    single = chosen.compare("a")
    nested = estimate.compare("a").filter(pl.col("group") == 1)
    np.testing.assert_allclose(single["ci_low"], nested["ci_low"], rtol=1e-12)
    with pytest.raises(es.InputError, match="'site' is no column of terms"):
        estimate.select(site=1)
    with pytest.raises(es.InputError, match="no term has"):
        estimate.select(group=9)


@pytest.mark.parametrize("level", [0, 1, -0.5, 1.5, 95, float("nan")])
def test_level_is_checked_wherever_it_is_given(estimate, level):
    for call in (
        lambda: estimate.confidence_interval(level),
        lambda: estimate.confidence_interval(level, simultaneous=True),
        lambda: estimate.to_frame(level),
        lambda: estimate.compare(level=level),
    ):
        with pytest.raises(es.InputError, match="a confidence level lies strictly between 0 and 1"):
            call()


def test_equality_sees_every_field(estimate):
    assert estimate == dataclasses.replace(estimate)
    assert estimate != "estimate"
    changed = {
        "value": estimate.value + 1e-15,
        "level": 0.9,
        "notes": ("new",),
        "terms": estimate.terms.with_columns(model=pl.lit("z")),
        "support": {},
        "replicates": None,
        "n_dropped": 1,
    }
    for name, value in changed.items():
        assert dataclasses.replace(estimate, **{name: value}) != estimate
    with pytest.raises(TypeError, match="unhashable"):
        hash(estimate)


def test_saved_file_holds_groups_labels_and_supports(estimate, tmp_path):
    path = tmp_path / "estimate.npz"
    estimate.save(path)
    loaded = Estimate.load(str(path))
    assert loaded == estimate
    assert loaded.terms.schema == estimate.terms.schema
    assert loaded.compare("a").equals(estimate.compare("a"))
    assert pickle.loads(pickle.dumps(loaded)) == estimate
    assert not loaded.value.flags.writeable
    contrast = estimate.contrast(np.eye(6)[:2], ["x", "y"])
    contrast.save(path)
    assert Estimate.load(path) == contrast


def test_infinite_degrees_of_freedom_survive(rng, tmp_path):
    y = np.repeat([0, 1], 40)
    fitted = es.AUROC().fit(y, rng.normal(size=80) + y, cluster=np.arange(80) // 2).estimate_
    for item in (fitted, es.AUROC().fit(y, rng.normal(size=80)).estimate_):
        item.save(tmp_path / "e")
        assert Estimate.load(tmp_path / "e").df.tolist() == item.df.tolist()


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04broken"])
def test_foreign_files_are_refused(content, tmp_path):
    path = tmp_path / "foreign"
    path.write_bytes(content)
    with pytest.raises(es.InputError, match="is no saved Estimate"):
        Estimate.load(path)
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    with pytest.raises(es.InputError, match="is no saved Estimate"):
        Estimate.load(tmp_path / "other.npz")
    with pytest.raises(FileNotFoundError):
        Estimate.load(tmp_path / "missing")


def test_newer_format_is_refused(estimate, tmp_path, monkeypatch):
    from evalstats.results import storage

    monkeypatch.setattr(storage, "FORMAT_VERSION", 99)
    estimate.save(tmp_path / "e")
    monkeypatch.undo()
    with pytest.raises(es.InputError, match="version 99, which this version"):
        Estimate.load(tmp_path / "e")


def test_failed_save_leaves_the_old_file(estimate, tmp_path):
    path = tmp_path / "e"
    estimate.save(path)
    before = path.read_bytes()
    broken = dataclasses.replace(estimate, method_text=object())
    with pytest.raises(TypeError):
        broken.save(path)
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["e"]


def test_notes_appear_under_the_table():
    y, s = [0, 1, 0, 1, None], [0.1, 0.4, 0.5, 0.9, 0.2]
    estimate = es.AUROC(nan_policy="omit").fit(y, s).estimate_
    assert estimate.n_dropped == 1
    text = str(estimate)
    assert "1 rows with missing values dropped" in text
    assert "only 2 positives" in text
    assert "4 observations" in text


def test_estimate_carries_its_warnings(rng, tmp_path):
    y, s = [0, 1, 0, 1, None], [0.1, 0.4, 0.5, 0.9, 0.2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimate = es.AUROC(nan_policy="omit").fit(y, s).estimate_
    assert [code for code, _ in estimate.warnings] == ["rows-dropped", "few-positives"]
    for text in (str(estimate), estimate.to_markdown(), estimate.to_html()):
        assert text.count("only 2 positives") == 1
        assert text.count("missing values") == 1
    estimate.save(tmp_path / "e")
    loaded = Estimate.load(tmp_path / "e")
    assert loaded.warnings == estimate.warnings
    assert loaded.select(model=loaded.terms["model"][0]).warnings == estimate.warnings
    healthy = es.AUROC().fit(np.repeat([0, 1], 60), rng.normal(size=120)).estimate_
    assert healthy.warnings == ()


def test_warnings_of_one_fit_do_not_reach_the_next():
    few = es.AUROC().fit([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.9]).estimate_
    again = es.AUROC().fit([0, 1, 0, 1], [0.1, 0.4, 0.5, 0.9]).estimate_
    assert few.warnings == again.warnings
    assert [code for code, _ in few.warnings] == ["few-positives"]


def test_methods_sentence_says_what_was_done(rng):
    y = np.repeat([0, 1], 60)
    s = rng.normal(size=120) + y
    weight, cluster = np.ones(120), np.arange(120) // 2
    plain = es.AUROC(level=0.9).fit(y, s).estimate_.methods()
    assert "AUROC with 90% confidence intervals by DeLong's method (logit interval)" in plain
    assert "n = 120 observations" in plain
    assert "[delong1988]" in plain
    full = es.AUROC().fit(y, s, sample_weight=weight, cluster=cluster, by=cluster % 2).estimate_
    for phrase in ("clustered by", "60", "with sample weights", "separately in 2 groups"):
        assert phrase in full.methods()
    resampled = es.AUPRC(inference=es.Bootstrap(n_resamples=50, interval="bca", rng=0)).fit(y, s)
    assert "BCa interval, 50 replicates" in resampled.estimate_.methods()
    jackknife = es.AUPRC(inference=es.Jackknife()).fit(y, s).estimate_
    assert "by the jackknife" in jackknife.methods()


def test_warning_has_a_stable_code_and_survives_pickling():
    warning = es.EvalstatsWarning("few-clusters", "only 3")
    again = pickle.loads(pickle.dumps(warning))
    assert (again.code, again.message, str(again)) == (
        "few-clusters",
        "only 3",
        "[few-clusters] only 3",
    )
    with pytest.raises(ValueError, match="unknown warning code"):
        es.EvalstatsWarning("few-cluster", "typo")


def test_more_terms_than_units_is_warned_of(rng):
    y = np.array([0, 1, 0, 1])
    with pytest.warns(es.EvalstatsWarning, match=r"\[covariance-rank\] 4 units but 6 terms"):
        es.AUROC().fit(y, rng.normal(size=(4, 6)))
