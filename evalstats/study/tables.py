"""Typed access to one table of a study, which reports what is wrong instead of raising."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from evalstats.study.messages import Problems, suggestion
from evalstats.study.toml_lines import KeyPath

_WORDS: Mapping[type, str] = {
    str: "a text in quotes",
    bool: "true or false",
    int: "an integer",
    float: "a number",
    dict: "a table",
}


class Table:
    """One table of a study and its place.

    Parameters
    ----------
    content : object
        What the study has there.
    path : tuple
        Its place.
    problems : Problems
        Where to report.
    """

    def __init__(self, content: object, path: KeyPath, problems: Problems) -> None:
        self.path = path
        self.problems = problems
        self.sound = isinstance(content, Mapping)
        self.content: Mapping[str, Any] = content if isinstance(content, Mapping) else {}
        if not self.sound:
            problems.add(path, f"{path[-1]} must be a table")

    def report(self, key: str | KeyPath, message: str) -> None:
        """Take note of what is wrong with `key` of this table."""
        parts = (key,) if isinstance(key, str) else key
        self.problems.add((*self.path, *parts), message)

    def refuse_unknown(self, known: Iterable[str], what: str = "key") -> None:
        """Report keys that are none of `known`."""
        names = list(known)
        for key in self.content:
            if key not in names:
                self.report(key, f"there is no {what} {key!r} here.{suggestion(key, names)}")

    def get(self, key: str, kind: type, default: Any = None) -> Any:
        """Value of `key` if it has the type, else `default` after reporting."""
        if key not in self.content:
            return default
        value = self.content[key]
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            self.report(key, f"{key} must be {_WORDS[kind]}, not {value!r}")
            return default
        return value

    def one_of(self, key: str, allowed: Collection[str], default: Any) -> Any:
        """Value of `key` if it is one of the words."""
        value = self.get(key, str, default)
        if value is not default and value not in allowed:
            self.report(key, f"{key} = {value!r} is unknown.{suggestion(value, allowed)}")
            return default
        return value

    def texts(self, key: str, allowed: Collection[str] | None = None) -> list[str] | None:
        """A text or a list of texts, as a list; None where it is absent or wrong."""
        if key not in self.content:
            return None
        value = self.content[key]
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
            self.report(key, f"{key} must be a text or a list of texts, not {value!r}")
            return None
        wrong = [item for item in items if allowed is not None and item not in allowed]
        for item in wrong:
            self.report(key, f"{key}: {item!r} is unknown.{suggestion(item, allowed or ())}")
        return None if wrong else list(items)

    def named_paths(self, key: str) -> dict[str, str] | None:
        """Paths by name: a table, or a list of paths whose names are those of the files."""
        value = self.content.get(key)
        if isinstance(value, Mapping):
            if value and all(isinstance(item, str) for item in value.values()):
                return {str(name): item for name, item in value.items()}
            self.report(key, f"{key} must name one path for each model")
            return None
        paths = self.texts(key)
        if not paths:
            if key not in self.content or paths == []:
                self.report(key, f"{key} is needed: a table of model = path, or a list of paths")
            return None
        names = [item.replace("\\", "/").rstrip("/").split("/")[-1] for item in paths]
        names = [name.split(".")[0] or name for name in names]
        if len(set(names)) < len(names):
            self.report(key, f"{key} has the same name twice: write a table of model = path")
            return None
        return dict(zip(names, paths, strict=True))
