"""The Python twin: few lines, the same numbers, tables ready for a paper."""

import re

import numpy as np
import polars as pl
import pytest

import evalstats as es

ROLES = {"y_true": "label", "y_score": ["strong", "weak"], "y_prob": ["strong", "weak"]}
HOSTILE = r'<script>alert(1)</script> & \input{x} $_^ | ../../"é"'


def test_five_lines_to_a_latex_table(scores):
    study = es.Study(
        data=scores, metrics=[es.AUROC(), es.AUPRC()], y_true="label", y_score=["strong", "weak"]
    )
    latex = study.run().to_latex()
    assert latex.count(r"\begin{tabular}") == 2
    auroc = es.AUROC().fit("label", ["strong", "weak"], data=scores).estimate_
    low, high = auroc.confidence_interval()
    assert rf"strong & \textbf{{{auroc.value[0]:.3f}}} [{low[0]:.3f}, {high[0]:.3f}] &" in latex
    assert "adj. p" in latex
    assert "p adjusted by: holm within each metric" in latex


def test_metrics_as_estimators_pairs_tables_and_names(scores):
    metrics = [
        es.AUROC(),
        (es.BrierScore(), {"cluster": "patient"}),
        {"estimator": "AUPRC", "name": "area", "y_score": {"A": "strong", "B": "weak"}},
    ]
    result = es.Study(data=scores, metrics=metrics, **ROLES).run()
    assert list(result.estimates) == ["AUROC", "Brier score", "area"]
    assert result.estimates["area"].terms["model"].to_list() == ["A", "B"]
    assert result.estimates["Brier score"].n_clusters == scores["patient"].n_unique()
    named = es.Study(data=scores, metrics={"one": es.AUROC(), "two": es.AUROC()}, **ROLES)
    assert list(named.run().estimates) == ["one", "two"]


def test_the_users_estimator_is_left_alone(scores):
    mine = es.AUROC(inference=es.Bootstrap(30))
    es.Study(data=scores, metrics=[mine], level=0.8, seed=3, **ROLES).run()
    assert mine.get_params() == es.AUROC(inference=es.Bootstrap(30)).get_params()
    assert not mine.__sklearn_is_fitted__()


@pytest.mark.parametrize(
    "convert", [pl.DataFrame.lazy, pl.DataFrame.to_pandas, pl.DataFrame.to_arrow]
)
def test_any_frame(convert, scores):
    expected = es.Study(data=scores, metrics=[es.AUROC()], **ROLES).run()
    found = es.Study(data=convert(scores), metrics=[es.AUROC()], **ROLES).run()
    assert found.to_frame().equals(expected.to_frame())


def test_several_data_sets(scores):
    half = scores.head(200)
    study = es.Study(
        data={"all": scores, "half": half},
        metrics=[{"estimator": "AUROC", "data": "all"}, {"estimator": "AUROC", "data": "half"}],
        **ROLES,
    )
    assert study.plan()["rows"].to_list() == [400, 200]
    assert list(study.run().estimates) == ["AUROC (all)", "AUROC (half)"]


def test_arrays_need_no_frame(scores):
    y, models = scores["label"].to_numpy(), {"a": scores["strong"].to_numpy()}
    result = es.Study(metrics=[(es.AUROC(), {"y_true": y, "y_score": models})]).run()
    assert result.estimates["AUROC"] == es.AUROC().fit(y, models).estimate_
    assert result.comparisons().height == 0
    with pytest.raises(es.InputError, match="'label' is a name, but there is no data"):
        es.Study(metrics=[es.AUROC()], **ROLES)


def test_what_is_no_frame_is_refused():
    with pytest.raises(es.InputError, match="no data frame"):
        es.Study(data=object(), metrics=[es.AUROC()], **ROLES)


# Comparisons and families -----------------------------------------------------------------------


def test_family_is_adjusted_over_all_its_tests(scores):
    metrics = [es.AUROC(), es.AUPRC(), es.BrierScore()]
    plain = es.Study(data=scores, metrics=metrics, **ROLES).run().comparisons()
    family = {"name": "primary", "metrics": ["AUROC", "AUPRC"], "adjust": "bonferroni"}
    result = es.Study(data=scores, metrics=metrics, families=[family], **ROLES).run()
    found = result.comparisons()
    p = plain["p_value"].to_numpy()
    np.testing.assert_array_equal(found["p_value"], p)
    np.testing.assert_allclose(found["p_adjusted"], [min(1, 2 * p[0]), min(1, 2 * p[1]), p[2]])
    assert found["adjust"].to_list() == ["bonferroni over the 2 tests of primary"] * 2 + ["holm"]
    assert "AUROC and AUPRC form one family (primary)" in result.methods()


def test_holm_over_a_family_by_hand(scores):
    third = scores.with_columns(noise=pl.Series(np.random.default_rng(1).random(400)))
    roles = {"y_true": "label", "y_score": ["strong", "weak", "noise"]}
    family = [{"metrics": "all", "adjust": "holm"}]
    result = es.Study(data=third, metrics=[es.AUROC(), es.AUPRC()], families=family, **roles).run()
    p = result.comparisons()["p_value"].to_numpy()
    expected, running = np.empty(6), 0.0
    for rank, index in enumerate(np.argsort(p, kind="stable")):
        running = max(running, min(1.0, (6 - rank) * p[index]))
        expected[index] = running
    np.testing.assert_allclose(result.comparisons()["p_adjusted"], expected)


def test_reference_margin_and_no_comparison(scores):
    compare = {"reference": "weak", "margin": 0.05, "adjust": "none"}
    metrics = [es.AUROC(), {"estimator": "AUPRC", "compare": False}]
    result = es.Study(data=scores, metrics=metrics, compare=compare, **ROLES).run()
    expected = es.AUROC().fit("label", ["strong", "weak"], data=scores).estimate_
    expected = expected.compare("weak", margin=0.05, adjust=None)
    found = result.comparisons()
    assert found.drop("name").equals(expected.select(found.columns[1:]))
    assert "equivalence tests (TOST) with margin 0.05 with weak" in result.methods()
    none = es.Study(data=scores, metrics=[es.AUROC()], compare=False, **ROLES).run()
    assert none.comparisons().height == 0


# Tables -----------------------------------------------------------------------------------------


def test_best_is_marked_by_the_direction_of_each_metric(scores):
    result = es.Study(data=scores, metrics=[es.AUROC(), es.BrierScore()], **ROLES).run()
    (head,) = result.headlines()
    best = {
        column.name: [model.name for model, cells in head.rows if cells[place].best]
        for place, column in enumerate(head.columns)
    }
    for name, way in (("AUROC", np.argmax), ("Brier score", np.argmin)):
        estimate = result.estimates[name]
        assert best[name] == [estimate.terms["model"][int(way(estimate.value))]]
    assert "AUROC ↑" in str(result)
    assert "Brier score ↓" in head.to_markdown()
    assert "<strong>" in head.to_html()


def test_many_metrics_become_rows(scores):
    metrics = {f"level {k}": es.AUROC() for k in range(6)}
    head = es.Study(data=scores, metrics=metrics, **ROLES).run().headlines()[0]
    lines = head.to_text().splitlines()
    assert lines[1].split() == ["Metric", "strong", "weak"]
    assert lines[3].startswith("level 0")


def test_groups_and_classes_are_not_in_the_headline(scores):
    metrics = [es.AUROC(), (es.AUPRC(), {"by": "site"})]
    result = es.Study(data=scores, metrics=metrics, **ROLES).run()
    (head,) = result.headlines()
    assert [column.name for column in head.columns] == ["AUROC"]
    assert "Not in this table: AUPRC by site" in head.to_text()
    assert result.to_frame()["group"].drop_nulls().unique().sort().to_list() == ["north", "south"]
    only = es.Study(data=scores, metrics=metrics[1:], **ROLES).run()
    assert only.headlines() == []
    assert "north" in only.to_latex()
    assert "north" in str(only)


def test_warnings_are_given_again_with_the_name_of_the_metric(scores):
    few = scores.head(200)
    roles = ROLES | {"cluster": "site"}
    with pytest.warns(es.EvalstatsWarning, match=r"\[few-clusters\] AUROC: ") as heard:
        result = es.Study(data=few, metrics=[es.AUROC()], **roles).run()
    assert len(heard) >= 1
    assert "few-clusters" in result.warnings["code"].to_list()


def test_hostile_names_are_text_everywhere(scores, tmp_path):
    frame = scores.rename({"strong": HOSTILE})
    roles = {"y_true": "label", "y_score": [HOSTILE, "weak"]}
    metrics = {HOSTILE: es.AUROC(), "b": es.AUPRC()}
    family = [{"name": HOSTILE, "metrics": "all"}]
    study = es.Study(data=frame, metrics=metrics, families=family, title=HOSTILE, **roles)
    result = study.run(tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    for path in (tmp_path / "out" / "tables").glob("*.tex"):
        text = path.read_text()
        assert r"\input{" not in text
        assert not re.search(r"(?<!\\)[_$^]|(?<!\\)&\s*\\input", re.sub(r"\$[^$]*\$", "", text))
    assert r"\input{" not in result.to_latex()
    outside = [path for path in tmp_path.iterdir() if path.name != "out"]
    assert outside == []
    names = [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+", name) for name in names)


def test_bibtex_has_every_key_of_the_methods(scores):
    result = es.Study(data=scores, metrics=[es.AUROC(), es.CalibrationError()], **ROLES).run()
    keys = re.findall(r"\[([a-z]+\d{4})\]", result.methods())
    assert keys
    assert all(f"{{{key}," in result.bibtex() for key in keys)


def test_report_of_a_result_that_was_not_written(scores, tmp_path):
    result = es.Study(data=scores, metrics=[es.AUROC()], **ROLES).run()
    page = result.report(tmp_path / "later")
    assert page.name == "report.html"
    assert (tmp_path / "later" / "tables" / "headline.tex").exists()


def test_metrics_of_different_models_have_tables_of_their_own(scores):
    metrics = [
        es.AUROC(),
        {"estimator": "BrierScore", "y_prob": {"A": "strong", "B": "weak"}},
        {"estimator": "AUPRC", "y_score": {"B": "weak", "C": "strong"}},
    ]
    first, second = es.Study(data=scores, metrics=metrics, **ROLES).run().headlines()
    assert [model.name for model, _ in first.rows] == ["strong", "weak"]
    assert [model.name for model, _ in second.rows] == ["A", "B", "C"]
    assert [column.name for column in second.columns] == ["Brier score", "AUPRC"]
    assert second.rows[0][1][1].text == "–"
    assert (first.name, second.name) == ("headline", "headline-2")
