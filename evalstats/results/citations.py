"""BibTeX of the works behind the methods, from the file `references.bib` next to this module."""

import difflib
import re
from functools import cache
from importlib.resources import files

from evalstats.errors import InputError
from evalstats.results.method_text import package_version

_ENTRY = re.compile(r"^@\w+\{([^,\s]+),.*?^\}", re.MULTILINE | re.DOTALL)


def citations(*keys: str) -> str:
    """BibTeX entries of the works that a methods sentence names.

    Parameters
    ----------
    *keys : str
        Citation keys such as ``"delong1988"``; without any, all works and evalstats itself.

    Returns
    -------
    str
        The entries in the order asked for, ready to be appended to a ``.bib`` file.

    Raises
    ------
    InputError
        If a key is unknown.

    Examples
    --------
    >>> import evalstats as es
    >>> print(es.citations("holm1979").splitlines()[0])
    @article{holm1979,
    """
    entries = _entries()
    given: tuple[object, ...] = keys
    for key in given:
        if not isinstance(key, str) or key not in entries:
            near = difflib.get_close_matches(str(key), entries, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise InputError(f"no citation {key!r}: {hint}Known keys: {', '.join(entries)}")
    return "\n\n".join(entries[key] for key in keys or entries)


@cache
def _entries() -> dict[str, str]:
    text = files("evalstats.results").joinpath("references.bib").read_text(encoding="utf-8")
    entries = {match[1]: match[0] for match in _ENTRY.finditer(text)}
    # The version is known only where the package is installed.
    release = f",\n  version = {{{package_version()}}}\n}}"
    entries["evalstats"] = entries["evalstats"].removesuffix("\n}") + release
    return entries
