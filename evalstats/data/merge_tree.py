"""Merging in the shape of a tournament, which depends on the number of items alone."""

from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class MergeTree(Generic[Item]):
    """Merge items pairwise as they come, the two of a pair always of the same level.

    Holds one item per level, O(log n) for n items. The pairs are those of a tournament over all
    items in their order, whoever merges them and when.

    Parameters
    ----------
    merge : callable
        Two neighbours to one item.

    Examples
    --------
    >>> from evalstats.data.merge_tree import MergeTree
    >>> tree = MergeTree(lambda left, right: f"({left} {right})")
    >>> for item in "abcde":
    ...     tree.push(item)
    >>> tree.result()
    '(((a b) (c d)) e)'
    """

    def __init__(self, merge: Callable[[Item, Item], Item]) -> None:
        self._merge = merge
        self._levels: list[tuple[int, Item]] = []

    def push(self, item: Item) -> None:
        """Add the next item."""
        level = 0
        while self._levels and self._levels[-1][0] == level:
            item = self._merge(self._levels.pop()[1], item)
            level += 1
        self._levels.append((level, item))

    def result(self) -> Item:
        """Everything merged; at least one item must have been pushed."""
        items = [item for _, item in self._levels]
        merged = items.pop()
        while items:
            merged = self._merge(items.pop(), merged)
        return merged
