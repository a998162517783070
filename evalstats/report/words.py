"""Options with several values, in a form that option parsers understand."""

from pathlib import Path


def repeat_names(several: set[str], words: list[str]) -> list[str]:
    """Turn ``--y-score a b`` into ``--y-score a --y-score b``.

    Parameters
    ----------
    several : set of str
        Options that take one or more values.
    words : list of str
        What follows the verb. A value that is an existing file is taken as FILE when none came
        before.

    Returns
    -------
    list of str
        Words in which each option has one value.
    """
    seen_file = bool(words) and not words[0].startswith("-")
    expanded: list[str] = []
    position = 0
    while position < len(words):
        word = words[position]
        position += 1
        if word == "--":
            return [*expanded, word, *words[position:]]
        if word not in several:
            expanded.append(word)
            continue
        first = position
        while position < len(words) and (position == first or not words[position].startswith("-")):
            value = words[position]
            if position > first and not seen_file and Path(value).is_file():
                expanded.append(value)
                seen_file = True
            else:
                expanded += [word, value]
            position += 1
        if position == first:
            expanded.append(word)
    return expanded
