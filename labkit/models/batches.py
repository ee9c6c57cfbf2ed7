"""Micro-batches: a batch cut into forward passes that fit into memory, the same on every process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np


class HasIds(Protocol):
    """Anything with token ids."""

    @property
    def ids(self) -> np.ndarray: ...


Item = TypeVar("Item", bound=HasIds)


def micro_batches(
    items: Sequence[Item], tokens: int, rank: int = 0, world: int = 1
) -> Iterator[tuple[Sequence[Item], bool]]:
    """This process's share of each micro-batch, and whether it counts.

    Items of like length go together, at most ``tokens`` tokens a process, padding included; a longer item is a
    micro-batch by itself. Every process gets the same number of micro-batches, since each is a collective operation: a
    process without an item left gets another's, which does not count.
    """
    ordered = sorted(items, key=lambda item: len(item.ids))
    first = 0
    for last in range(1, len(ordered) + 1):
        # Rows are as long as the longest, which is the last; a process has at most so many of them.
        if last == len(ordered) or len(ordered[last].ids) * -(-(last + 1 - first) // world) > tokens:
            mine = ordered[first + rank : last : world]
            yield (mine, True) if mine else (ordered[first : first + 1], False)
            first = last
