"""The documentation says what the package does: examples run, every public name has its page."""

import doctest
import importlib
import inspect
import re
import tomllib
from pathlib import Path

import pytest

import evalstats as es

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *(page for page in (ROOT / "docs").rglob("*.md") if "_build" not in page.parts),
    ]
)
EXAMPLE = re.compile(r"^```pycon\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LISTED = re.compile(r"^   ([A-Za-z]\w*)$", re.MULTILINE)


def with_examples():
    return [page for page in PAGES if EXAMPLE.search(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", with_examples(), ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_run(page):
    text = page.read_text(encoding="utf-8")
    source = "\n".join(match.group(1) for match in EXAMPLE.finditer(text))
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    example = doctest.DocTestParser().get_doctest(source, {}, page.name, str(page), 0)
    report = []
    doctest.DocTestRunner(optionflags=options).run(example, out=report.append)
    assert not report, "".join(report)


def test_api_reference_lists_exactly_the_public_names():
    listed = LISTED.findall((ROOT / "docs/api/index.md").read_text(encoding="utf-8"))
    assert len(listed) == len(set(listed))
    assert set(listed) == {name for name in es.__all__ if not name.startswith("_")}


@pytest.mark.parametrize("name", [name for name in es.__all__ if not name.startswith("_")])
def test_public_name_has_docstring_with_example(name):
    documented = inspect.getdoc(getattr(es, name))
    assert documented
    assert len(documented.splitlines()[0]) > 20
    assert ">>>" in documented


@pytest.mark.parametrize(
    "name", [name for name in es.__all__ if inspect.isclass(getattr(es, name))]
)
def test_public_members_have_docstrings(name):
    public = getattr(es, name)
    undocumented = [
        member
        for member, value in inspect.getmembers(public)
        if not member.startswith("_")
        and (inspect.isfunction(value) or isinstance(value, property))
        and not inspect.getdoc(value)
    ]
    assert undocumented == []


def test_version_is_stated_once_and_repeated_right():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\nversion: {project['version']}\n" in citation
    assert f"\n## {project['version']}" in changelog


METHOD_PAGES = [page for page in PAGES if page.parent.name == "methods" and page.stem != "index"]


@pytest.mark.parametrize("page", METHOD_PAGES, ids=lambda page: page.stem)
def test_method_page_has_example_figure_and_references(page):
    text = page.read_text(encoding="utf-8")
    assert EXAMPLE.search(text)
    assert "\n```{figure} ../generated/" in text
    assert re.search(r"^## References$", text, re.MULTILINE)


def test_figures_of_pages_are_those_that_the_build_draws(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    drawn = importlib.import_module("method_figures").NAMES
    shown = {
        name
        for page in PAGES
        for name in re.findall(r"generated/figures/([\w-]+)\.svg", page.read_text("utf-8"))
    }
    assert shown == drawn


def test_every_page_of_the_site_is_in_its_contents():
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"[\w/]+", index[index.index("```{toctree}") :]))
    assert {page.stem for page in (ROOT / "docs").glob("*.md")} - {"index"} <= listed


def test_links_to_files_of_the_repository_exist():
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"):
        links = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
        assert [link for link in links if not (page.parent / link).exists()] == []
