"""Two players on the same stored deals: who solves which, and whether that could be chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labkit.evaluation.metrics import Measured, Trials
from labkit.evaluation.paired import Side, Test, change_of, side_of, test_of
from labkit.runs.index import Pair, Selection

KINDS = ("B", "A", "both", "neither")
"""Who solves a deal; A is the first."""


def kind_of(pair: Pair) -> str:
    """Who solves the deal, of :data:`KINDS`."""
    first, second = (row.status == "success" for row in (pair.first, pair.second))
    return {(True, True): "both", (True, False): "A", (False, True): "B"}.get((first, second), "neither")


@dataclass(frozen=True)
class Comparison:
    """The deals that both have played, and how they compare."""

    pairs: Sequence[Pair]
    before: Measured
    """Episodes that end in success, of the first; deals count alike."""
    after: Measured
    change: Measured
    test: Test

    @property
    def counts(self) -> dict[str, int]:
        """Pairs of each kind."""
        found = dict.fromkeys(KINDS, 0)
        for pair in self.pairs:
            found[kind_of(pair)] += 1
        return found


def compared(first: Selection, second: Selection) -> Comparison | None:
    """The comparison of two selections of whole episodes; None where they have no deal in common.

    The test is McNemar's exact one where each deal was played once (:func:`labkit.evaluation.paired.test`).
    """
    pairs = first.pairs(second)
    old = _side([(pair.deal, pair.first.status == "success") for pair in pairs])
    new = _side([(pair.deal, pair.second.status == "success") for pair in pairs])
    if old is None or new is None:
        return None
    return Comparison(pairs, old.estimate, new.estimate, change_of(old, new), test_of(old, new))


def _side(solved: Sequence[tuple[int, bool]]) -> Side | None:
    """One player's trials; several samples of a deal are one entry."""
    trials: dict[int, Trials] = {}
    for deal, success in solved:
        so_far = trials.get(deal, Trials(0, 0))
        trials[deal] = Trials(so_far.hits + success, so_far.count + 1)
    return side_of([*trials.values()], [1.0] * len(trials)) if trials else None
