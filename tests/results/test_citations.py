"""Citations: every key resolves to a well-formed entry."""

import re

import pytest

from evalstats.errors import InputError
from evalstats.results.citations import citations

KEYS = [
    "benjamini1995",
    "boyd2013",
    "davisgoadrich2006",
    "delong1988",
    "efron1987",
    "evalstats",
    "handtill2001",
    "holm1979",
    "hothorn2008",
    "mcclish1989",
    "mcdermott2024",
    "newcombe2006",
    "obuchowski1997",
    "rubin1981",
    "schuirmann1987",
    "sunxu2014",
]


@pytest.mark.parametrize("key", KEYS)
def test_entries_are_complete(key):
    entry = citations(key)
    assert re.match(rf"@\w+\{{{key},\n", entry)
    assert entry.count("{") == entry.count("}")
    assert "author = {" in entry
    assert "title = {" in entry
    assert key == "evalstats" or re.search(rf"year = \{{{key[-4:]}\}}", entry)


def test_entries_come_in_the_order_asked_for():
    both = citations("sunxu2014", "delong1988")
    assert both.index("sunxu2014") < both.index("delong1988")
    assert both == citations("sunxu2014") + "\n\n" + citations("delong1988")


def test_a_page_of_the_seed_method():
    entry = citations("delong1988")
    assert "volume = {44}" in entry
    assert "pages = {837--845}" in entry
    assert "doi = {10.2307/2531595}" in entry


def test_all_works_and_the_package_itself():
    everything = citations()
    found = re.findall(r"^@\w+\{(\S+),$", everything, re.MULTILINE)
    assert set(KEYS) <= set(found)
    assert len(found) == len(set(found))
    assert everything.count("\n}") == len(found)


def test_the_package_is_cited_with_its_version():
    assert re.search(r"version = \{\S+\}\n\}$", citations("evalstats"))


def test_unknown_key_names_the_nearest():
    with pytest.raises(InputError, match="no citation 'delong1987': did you mean 'delong1988'"):
        citations("delong1987")
