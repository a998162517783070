"""Everything that is wrong with a study, each with its place, reported at once."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path

from evalstats.errors import InputError
from evalstats.study.toml_lines import KeyPath, nearest_line

SHOWN = 12


class Problems:
    """Collects what is wrong, and says where.

    Parameters
    ----------
    file : Path, optional
        The study file; None for a study made in Python.
    lines : mapping of path to int, optional
        Line of each key of the file.
    """

    def __init__(
        self, file: Path | None = None, lines: Mapping[KeyPath, int] | None = None
    ) -> None:
        self._file = file
        self._lines = dict(lines or {})
        self._found: dict[str, tuple[int, int]] = {}

    def add(self, path: KeyPath, message: str) -> None:
        """Take note of a problem at `path`."""
        line = nearest_line(self._lines, path)
        place = (0 if line is None else line, len(self._found))
        self._found.setdefault(self.located(path, message), place)

    def located(self, path: KeyPath, message: str) -> str:
        """`message` behind the file, the line and the table that it is about."""
        parts = []
        if self._file is not None:
            line = nearest_line(self._lines, path)
            parts.append(self._file.name if line is None else f"{self._file.name}, line {line}")
        label = self.label(path)
        if label:
            parts.append(label)
        return ": ".join([*parts, message])

    def label(self, path: KeyPath) -> str:
        """How the table of `path` is written in a study file."""
        if len(path) > 1 and isinstance(path[1], int):
            return f"[[{path[0]}]] {path[1] + 1}"
        if len(path) > 1 and path[0] == "data":
            return f"[data.{path[1]}]"
        if len(path) > 1 or path[:1] in {("compare",), ("output",), ("defaults",)}:
            return f"[{path[0]}]"
        return ""

    def raise_if_any(self) -> None:
        """Raise one error with all problems, in the order of their lines.

        Raises
        ------
        InputError
            If anything was noted.
        """
        if self._found:
            ordered = sorted(self._found, key=self._found.__getitem__)
            raise InputError("\n".join(ordered))


class PythonProblems(Problems):
    """The same for a study made in Python, whose metrics are elements of a list."""

    def label(self, path: KeyPath) -> str:
        """How the part of the study is written in Python."""
        if len(path) > 1 and isinstance(path[1], int):
            names = {"metric": "metrics", "family": "families"}
            return f"{names.get(str(path[0]), str(path[0]))}[{path[1]}]"
        if len(path) > 1 and path[0] == "data":
            return f"data[{path[1]!r}]"
        return "" if path[:1] == ("defaults",) else super().label(path).strip("[]")


def suggestion(name: object, known: Iterable[object]) -> str:
    """Nearest valid name and the list of them, as sentences to append."""
    names = [str(item) for item in known]
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.5)
    if not near:
        lowered = {item.lower(): item for item in names}
        near = [lowered[str(name).lower()]] if str(name).lower() in lowered else []
    if near:
        return f" Did you mean {near[0]!r}?"
    if not names:
        return ""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f" Choose one of {', '.join(map(repr, names[:SHOWN]))}{more}"
