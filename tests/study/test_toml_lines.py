"""Lines of keys, against a plain reading of where each key was written."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalstats.study.toml_lines import key_lines, nearest_line

TRICKY = '''\
# a comment with [brackets] and = signs
title = "a # no comment, [no] table" # comment = here
'quoted key' = 1
"escaped \\u0041 key" = 2
dotted . inner = 3

text = """
[not.a.table]
key = "inside" \\""" still
"""
literal = \'\'\'
[[metric]] \\
\'\'\'
numbers = [ 1, 2, # two
  3,
]
date = 1979-05-27T07:32:00Z

[data."odd.name"]
path = ["a,b]", 'c#d']

[[metric]]
estimator = "AUROC"
options = { level = 0.9, nested = { deep = [
  "x",
  { key = 1 } ] } }

[metric.compare]
reference = "a"

[[metric]]
y_score = [
  "one",
  "two"
]
[[metric.inner]]
z = 1
[[metric.inner]]
z = 2
'''


def paths(value, prefix=()):
    """Every path of a parsed document."""
    if prefix:
        yield prefix
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if isinstance(item, dict | list):
            yield from paths(item, (*prefix, key))
        else:
            yield (*prefix, key)


EXPECTED = {
    ("title",): 2,
    ("quoted key",): 3,
    ("escaped A key",): 4,
    ("dotted", "inner"): 5,
    ("text",): 7,
    ("literal",): 11,
    ("numbers", 2): 15,
    ("date",): 17,
    ("data", "odd.name"): 19,
    ("data", "odd.name", "path", 1): 20,
    ("metric", 0): 22,
    ("metric", 0, "options", "level"): 24,
    ("metric", 0, "options", "nested", "deep", 0): 25,
    ("metric", 0, "options", "nested", "deep", 1, "key"): 26,
    ("metric", 0, "compare", "reference"): 29,
    ("metric", 1): 31,
    ("metric", 1, "y_score", 1): 34,
    ("metric", 1, "inner", 1, "z"): 39,
}


@pytest.mark.parametrize("path", EXPECTED, ids=str)
def test_line_of_a_key(path):
    assert key_lines(TRICKY)[path] == EXPECTED[path]


def test_every_key_has_a_line_and_nothing_else_has():
    lines = key_lines(TRICKY)
    wanted = {path for path in paths(tomllib.loads(TRICKY)) if path != ("data",)}
    assert wanted - set(lines) == set()
    assert set(lines) - wanted == set()


def test_unknown_path_gets_the_line_around_it():
    lines = key_lines(TRICKY)
    assert nearest_line(lines, ("metric", 1, "nothing", 3)) == 31
    assert nearest_line(lines, ("nothing",)) is None


texts = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=12)
values = st.recursive(
    st.integers(-9, 9).map(str)
    | st.booleans().map(lambda b: str(b).lower())
    | texts.map(lambda t: '"' + t.replace("\\", "\\\\").replace('"', '\\"') + '"')
    | texts.filter(lambda t: "'" not in t).map(lambda t: f"'{t}'")
    | texts.filter(lambda t: '"' not in t and "\\" not in t).map(lambda t: f'"""\n{t}\n\n"""'),
    lambda inner: st.lists(inner, max_size=3).map(lambda xs: "[\n" + ", # ]\n".join(xs) + "\n]"),
    max_leaves=6,
)


@given(st.lists(values, max_size=8))
def test_any_values_between_keys(written):
    text = "# start\n"
    expected = {}
    for number, value in enumerate(written):
        expected[(f"key{number}",)] = text.count("\n") + 1
        text += f"key{number} = {value} # end\n"
    tomllib.loads(text)
    found = {path: line for path, line in key_lines(text).items() if len(path) == 1}
    assert found == expected
