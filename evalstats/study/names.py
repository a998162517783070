"""Names of files from names that users chose."""

import hashlib
import unicodedata
from collections.abc import Iterable

LONGEST = 60


def slug(name: str) -> str:
    """Letters, digits and hyphens, safe as a file name and as a LaTeX label."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = "".join(c if c.isalnum() else " " for c in plain).split()
    return (
        "-".join(words)[:LONGEST].strip("-") or f"x{hashlib.sha256(name.encode()).hexdigest()[:8]}"
    )


def slugs(names: Iterable[str]) -> dict[str, str]:
    """A slug of each name, all different."""
    taken: dict[str, str] = {}
    for name in names:
        base = slug(name)
        candidate, number = base, 2
        while candidate in taken.values():
            candidate, number = f"{base}-{number}", number + 1
        taken[name] = candidate
    return taken
