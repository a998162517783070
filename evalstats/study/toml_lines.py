"""Line numbers of the keys of a TOML document, which the parser of the standard library drops.

The document is known to be valid, so that this scanner only has to find where keys begin. A line
is what a message points at; no value is interpreted here.
"""

import re
import tomllib
from collections.abc import Iterator

KeyPath = tuple[str | int, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SPACE = re.compile(r"[ \t\r\n]+|#[^\n]*")
_BLANK = re.compile(r"[ \t]+")
_MULTILINE = re.compile(r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}', re.DOTALL)
_STRING = re.compile(r'"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'')
_SCALAR = re.compile(r"[^,\]}\n#]+")


def key_lines(text: str) -> dict[KeyPath, int]:
    """Line of every table, key and array element of a valid TOML document.

    Parameters
    ----------
    text : str
        A document that :mod:`tomllib` accepts.

    Returns
    -------
    dict of tuple to int
        For each path, such as ``("metric", 1, "y_score", 0)``, the line, from 1. O(n).
    """
    return _Scanner(text).scan()


def nearest_line(lines: dict[KeyPath, int], path: KeyPath) -> int | None:
    """Line of `path`, or of the innermost known table around it."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._lines: dict[KeyPath, int] = {}
        self._elements: dict[KeyPath, int] = {}
        self._counted = (0, 1)

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        for _ in self._until(""):
            if self._text.startswith("[[", self._at):
                table = self._header(2)
            elif self._text.startswith("[", self._at):
                table = self._header(1)
            else:
                self._pair(table)
        return self._lines

    def _until(self, closing: str) -> Iterator[None]:
        """Yield at each item before `closing` (or the end), which is passed over."""
        while True:
            self._skip(_SPACE)
            if self._at >= len(self._text):
                return
            if closing and self._text[self._at] == closing:
                self._at += 1
                return
            if self._text[self._at] == ",":
                self._at += 1
                continue
            yield

    def _header(self, brackets: int) -> KeyPath:
        line = self._line()
        self._at += brackets
        parts = self._key()
        self._at += brackets
        path: KeyPath = ()
        for part in parts[:-1]:
            path = self._in_last_element((*path, part))
        path = (*path, parts[-1])
        self._lines.setdefault(path, line)
        if brackets == 1:
            return self._in_last_element(path)
        position = self._elements.get(path, 0)
        self._elements[path] = position + 1
        self._lines[*path, position] = line
        return (*path, position)

    def _in_last_element(self, path: KeyPath) -> KeyPath:
        """A header below ``[[name]]`` belongs to the last element of that array."""
        count = self._elements.get(path)
        return path if count is None else (*path, count - 1)

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for part in self._key():
            path = (*path, part)
            self._lines.setdefault(path, line)
        self._skip(_BLANK)
        self._at += 1  # the sign "="
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        self._skip(_BLANK)
        start = self._text[self._at]
        if start == "[":
            self._at += 1
            for position, _ in enumerate(self._until("]")):
                self._lines[*path, position] = self._line()
                self._value((*path, position))
        elif start == "{":
            self._at += 1
            for _ in self._until("}"):
                self._pair(path)
        else:
            for pattern in (_MULTILINE, _STRING, _SCALAR):
                if self._skip(pattern):
                    return

    def _key(self) -> list[str]:
        parts = []
        while True:
            self._skip(_BLANK)
            quoted = _STRING.match(self._text, self._at)
            match = quoted or _BARE.match(self._text, self._at)
            if match is None:
                raise AssertionError("the document was parsed before")
            self._at = match.end()
            parts.append(tomllib.loads(f"key = {match[0]}")["key"] if quoted else match[0])
            self._skip(_BLANK)
            if self._text[self._at] != ".":
                return parts
            self._at += 1

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        skipped = False
        while match := pattern.match(self._text, self._at):
            self._at = match.end()
            skipped = True
            if pattern is not _SPACE:
                break
        return skipped

    def _line(self) -> int:
        """Line of the current position; counted onwards from the last one asked for."""
        position, line = self._counted
        line += self._text.count("\n", position, self._at)
        self._counted = (self._at, line)
        return line
