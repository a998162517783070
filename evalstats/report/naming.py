"""Names of files and link targets, made from whatever the user calls things."""

import re
import unicodedata
from collections.abc import Iterable

LONGEST = 80
# Windows reserves these names, whatever their extension.
PORTS = {f"{port}{digit}" for port in ("com", "lpt") for digit in range(1, 10)}
RESERVED = frozenset({"con", "prn", "aux", "nul"} | PORTS)


def safe_name(text: str) -> str:
    """Name of a file that every file system, LaTeX label and link target accepts.

    Parameters
    ----------
    text : str
        Any text, such as the name of a model.

    Returns
    -------
    str
        ASCII letters, digits, ``.``, ``-`` and ``_``; never empty, hidden or reserved, and at
        most 80 characters long.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-.")[:LONGEST].rstrip("-.")
    if not name or name.split(".")[0].lower() in RESERVED:
        return f"item-{name}".rstrip("-")
    return name


def unique_names(texts: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """Safe name of every text; a number tells apart what would be the same file.

    Parameters
    ----------
    texts : iterable of str
        Any texts.
    taken : iterable of str, optional
        Names that are not to be given.

    Returns
    -------
    list of str
        One name per text, all different, also where upper and lower case are the same.
    """
    used = {name.lower() for name in taken}
    names = []
    for text in texts:
        base = name = safe_name(text)
        number = 2
        while name.lower() in used:
            name, number = f"{base}-{number}", number + 1
        used.add(name.lower())
        names.append(name)
    return names
