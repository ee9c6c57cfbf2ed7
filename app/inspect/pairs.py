"""Two players on the same stored deals: who solves which, and whether that could be chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from app.shared.paired import Difference, difference
from labkit.evaluation.metrics import Trials
from labkit.runs.index import Pair, Selection

KINDS = ("B", "A", "both", "neither")
"""Who solves a deal; A is the first."""


def kind_of(pair: Pair) -> str:
    """Who solves the deal, of :data:`KINDS`."""
    first, second = (row.status == "success" for row in (pair.first, pair.second))
    return {(True, True): "both", (True, False): "A", (False, True): "B"}.get((first, second), "neither")


class Comparison(NamedTuple):
    """The deals that both have played, and how they compare."""

    pairs: Sequence[Pair]
    difference: Difference

    @property
    def counts(self) -> dict[str, int]:
        """Pairs of each kind."""
        found = dict.fromkeys(KINDS, 0)
        for pair in self.pairs:
            found[kind_of(pair)] += 1
        return found


def compared(first: Selection, second: Selection) -> Comparison | None:
    """The comparison of two selections of whole episodes; None where they have no deal in common."""
    pairs = first.pairs(second)
    old = _trials([(pair.deal, pair.first.status == "success") for pair in pairs])
    new = _trials([(pair.deal, pair.second.status == "success") for pair in pairs])
    found = difference(old, new)
    return Comparison(pairs, found) if found else None


def _trials(solved: Sequence[tuple[int, bool]]) -> list[Trials]:
    """One player's trials, deal by deal; several samples of a deal are one entry."""
    trials: dict[int, Trials] = {}
    for deal, success in solved:
        so_far = trials.get(deal, Trials(0, 0))
        trials[deal] = Trials(so_far.hits + success, so_far.count + 1)
    return [*trials.values()]
