"""What is wrong with a study file is said before anything runs, with its line."""

import re

import pytest

import evalstats as es

HEAD = """\
[data.test]
path = "scores.parquet"

[[metric]]
estimator = "AUROC"
y_true = "label"
y_score = ["strong", "weak"]
"""


def message_of(folder, text):
    (folder / "study.toml").write_text(text)
    with pytest.raises(es.InputError) as caught:
        es.Study("study.toml")
    return str(caught.value)


ADDED = {
    # What is added behind line 7, and what is said about it.
    'by = "sitte"': r"line 8: \[\[metric\]\] 1: there is no column 'sitte'. Did you mean 'site'\?",
    'y_scores = "strong"': r"line 8: .*no key 'y_scores' here. Did you mean 'y_score'\?",
    "options = { levle = 0.9 }": r"line 8: .*AUROC has no option 'levle'. Did you mean 'level'\?",
    'options = { average = "makro" }': r"line 8: .*'makro': unknown choice. Did you",
    "options = { max_fpr = true }": r"line 8: .*max_fpr = true: write a number",
    "options = { level = 2 }": r"line 8: .*level=2.0",
    'inference = "bootstap"': r"line 8: .*method 'bootstap' is unknown. Did you mean 'bootstrap'",
    'inference = { method = "bootstrap", resamples = 5 }': r"bootstrap has no option 'resamples'",
    'inference = { method = "bootstrap", n_resamples = 0 }': r"n_resamples=0: give an integer of",
    'inference = { method = "bootstrap", n_resamples = "5" }': r"line 8: .*write an integer",
    'compare = { reference = "stron" }': r"line 8: .*'stron' is no model. Did you mean 'strong'\?",
    'compare = { adjust = "holmes" }': r"line 8: .*'holmes' is unknown. Did you mean 'holm'",
    'compare = { margin = "wide" }': r"line 8: .*margin must be a number",
    "compare = 3": r"line 8: .*compare must be a table",
    "sample_weight = 1": r"line 8: .*sample_weight = 1: write the name of a column",
    'data = "tset"': r"line 8: .*there is no data 'tset'. Did you mean 'test'\?",
    '\n[[metric]]\nestimator = "AUC"': r"line 10: \[\[metric\]\] 2: there is no estimator 'AUC'",
    '\n[[metric]]\nestimator = "detection"': r"ambiguous: choose AveragePrecision or Pool",
    '\n[[metric]]\nestimator = "AUPRC"': r"line 9: \[\[metric\]\] 2: AUPRC needs y_true",
    '\n[[metric]]\nestimator = "AveragePrecision"': r"line 9: .*kind = 'coco'",
    "\n[[metric]]": r"line 9: \[\[metric\]\] 2: estimator is needed",
    '\n[output]\ntables = ["word"]': r"line 10: \[output\]: tables: 'word' is unknown",
    "\n[output]\nreport = 1": r"line 10: \[output\]: report must be true or false",
    '\n[[family]]\nmetrics = ["AURC"]': r"line 10: .*no metric is called 'AURC'. Did you",
    '\n[[family]]\nmetrics = "all"\nadjust = "max-t"': r"line 11: .*adjust = 'max-t' is unknown",
    "\n[[family]]": r"line 9: \[\[family\]\] 1: metrics is needed",
    '\n[compare]\nreference = "other"': r"line 10: \[compare\]: reference = 'other' is no model of",
    '\n[defaults]\ncluter = "patient"': r"line 10: \[defaults\]: there is no argument 'cluter'",
    '\n[data.more]\npath = "none*.csv"': r"line 10: \[data.more\]: no file matches 'none\*.csv'",
    '\n[data.more]\npath = "none.csv"': r"line 10: \[data.more\]: there is no file 'none.csv'",
    '\n[data.more]\npath = "study.toml"': r"line 10: .*no known extension",
    '\n[data.more]\npath = "scores.parquet"\nfilter = "site ="': r"line 11: .*cannot use filter",
    '\n[data.more]\npath = "scores.parquet"\nfilter = "sit = 1"': r"line 11: .*cannot use filter",
    '\n[data.more]\nkind = "coko"': r"line 10: .*kind = 'coko' is unknown. Did you mean 'coco'\?",
    '\n[data.more]\nkind = "coco"': r"ground_truth is needed",
    '\n[data.more]\nkind = "maps"\nmasks = "m"': r"line 9: .*maps is needed",
    "\n[data.more]": r"line 9: \[data.more\]: path is needed",
}


@pytest.mark.parametrize("added", ADDED)
def test_message_names_line_key_and_remedy(added, folder):
    assert re.search(ADDED[added], message_of(folder, HEAD + added + "\n"))


def test_file_line_and_table_stand_in_front(folder):
    message = message_of(folder, HEAD.replace('"label"', '"lable"'))
    assert message == (
        "study.toml, line 6: [[metric]] 1: there is no column 'lable'. Did you mean 'label'?"
    )


def test_all_problems_are_reported_together_in_the_order_of_lines(folder):
    message = message_of(folder, 'sed = 3\nlevel = "x"\n' + HEAD.replace("weak", "waek"))
    lines = [int(re.search(r"line (\d+)", text)[1]) for text in message.splitlines()]
    assert lines == [1, 2, 9]


def test_syntax_error_has_its_line(folder):
    assert message_of(folder, 'title = "x"\nseed = = 3\n').startswith("study.toml, line 2: ")


def test_not_utf8(folder):
    (folder / "study.toml").write_bytes(b'title = "\xff"')
    with pytest.raises(es.InputError, match="no UTF-8"):
        es.Study("study.toml")


def test_same_name_twice(folder):
    again = '\n[[metric]]\nestimator = "AUROC"\ny_true = "label"\ny_score = "weak"\n'
    message = message_of(folder, HEAD + again)
    assert "line 9" in message
    assert "the name 'AUROC' is that of [[metric]] 1 as well: give it a name" in message


def test_empty_study(folder):
    assert "there is no [[metric]]" in message_of(folder, "")


def test_true_is_not_the_word_one(folder):
    text = HEAD.replace("AUROC", "CalibrationError").replace("y_score", "y_prob")
    assert "norm = true" in message_of(folder, text + "options = { norm = true }\n")
    (folder / "study.toml").write_text(text + 'options = { norm = "max", n_bins = 5 }\n')
    made = es.Study("study.toml").specification.metrics[0].estimator
    assert made.get_params()["norm"] == "max"


def test_words_stand_for_what_toml_lacks(folder):
    (folder / "study.toml").write_text(
        HEAD + 'options = { multiclass = "ovr", average = "none" }\n'
    )
    assert es.Study("study.toml").specification.metrics[0].estimator.get_params()["average"] is None


def test_dictionary_without_a_file_has_no_lines(folder):
    with pytest.raises(es.InputError, match=r"^\[\[metric\]\] 1: there is no estimator 'AUC'"):
        es.Study.from_dict({"metric": [{"estimator": "AUC"}]})


def test_python_names_the_element_of_the_list(scores):
    with pytest.raises(es.InputError, match=r"^metrics\[0\]: there is no column 'lable'"):
        es.Study(data=scores, metrics=[(es.AUROC(), {"y_true": "lable", "y_score": "weak"})])


def test_file_and_more_is_refused(scores, folder):
    with pytest.raises(es.InputError, match="a study file says it all"):
        es.Study("study.toml", data=scores)
