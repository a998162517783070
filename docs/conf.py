"""Sphinx configuration; the build is strict and works offline."""

import re
import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "evalstats"
author = "evalstats developers"
project_copyright = "2026, evalstats developers"
release = metadata.version("evalstats-metrics")
version = release

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "method_figures",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "generated"]

html_theme = "pydata_sphinx_theme"
html_title = "evalstats"
html_show_sourcelink = False
# Pages without pages below them have nothing to show beside the text.
html_sidebars = {
    page.stem: [] for page in Path(__file__).parent.glob("*.md") if page.stem != "index"
}
html_theme_options = {
    "navigation_with_keys": True,
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": False,
}

myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3

autosummary_generate = True
autosummary_imported_members = True
autodoc_typehints = "none"
autodoc_inherit_docstrings = True
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
# GL08: a public object without docstring; PR01, PR02, PR03: parameters that differ from the
# signature in presence, name or order; RT03: a return value without description.
numpydoc_validation_checks = {"GL08", "PR01", "PR02", "PR03", "RT03"}
numpydoc_validation_exclude = {
    # Built by evalstats only; their fields are under Attributes.
    r"evalstats\.(Estimate|ModelRanks|DetectionStream|GroundTruth|Detections|StudyResult)$",
    r"\.(RecalibrationReport|ProbabilityInterval|MultiplierBootstrap|FairnessPath)$",
    r"\.to_(html|latex|markdown)$",  # options are documented at the formatter they name
    r"WARNING_CODES$",  # a mapping: its value is its documentation
}

nitpicky = True
# Short references to what stands on the same page or on the index of the API.
nitpick_ignore = [("py:data", "WARNING_CODES"), ("py:attr", "terms")]
# Objects of other projects: the build is offline and has no inventories.
nitpick_ignore_regex = [
    (r"py:.*", r"(numpy|np|polars|pl|matplotlib|joblib|pathlib|collections|typing)\..*"),
]


def append_simulation_results(app, docname, source):
    """Show the recorded coverage of every method that has been simulated."""
    if docname == "guarantees":
        generated = Path(app.srcdir, "generated")
        for page in (generated / "agreement.md", *sorted(generated.glob("coverage*.md"))):
            source[0] += f"\n```{{include}} generated/{page.name}\n:heading-offset: 1\n```\n"


def skip_inherited_from_scikit_learn(_app, _what, name, member, *_):
    """Leave out what scikit-learn documents: its machinery of parameters and metadata."""
    owner = getattr(member, "__module__", None) or type(member).__module__
    if owner.startswith("sklearn.") or re.fullmatch(r"set_\w+_request", name):
        return True
    return None


def setup(app):
    """Connect the hooks above."""
    app.connect("source-read", append_simulation_results)
    app.connect("autodoc-skip-member", skip_inherited_from_scikit_learn)
